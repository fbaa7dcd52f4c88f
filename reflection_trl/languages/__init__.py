"""Programming languages: how their programs run in the sandbox, and how their failures become feedback."""

from .executor import Executor
from .language import Language
from .registry import LANGUAGES, get_language


__all__ = ["LANGUAGES", "Executor", "Language", "get_language"]
