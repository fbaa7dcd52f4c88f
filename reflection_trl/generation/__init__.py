"""Generates completions, with the same call for a server, for vLLM and for transformers."""

from .settings import GenerationArguments, open_generator, with_served_name
from .types import BudgetExhaustedError, Completion, Generate, GenerationError, RequestRefusedError, Sampling
from .usage import Usage


__all__ = [
    "BudgetExhaustedError",
    "Completion",
    "Generate",
    "GenerationArguments",
    "GenerationError",
    "RequestRefusedError",
    "Sampling",
    "Usage",
    "open_generator",
    "with_served_name",
]
