"""Runs programs of all supported languages in the sandbox, and converts their failures to feedback."""

from .executor import Executor
from .language import Language
from .registry import LANGUAGES, get_language


__all__ = ["LANGUAGES", "Executor", "Language", "get_language"]
