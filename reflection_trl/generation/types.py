"""Defines requests to a model and its completions, for all backends."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Sampling:
    """
    Sampling settings of one completion.

    Args:
        temperature (`float`, *optional*, defaults to `0.0`):
            0 selects the most probable token at each step (greedy).
        top_p (`float`, *optional*, defaults to `1.0`):
            Nucleus sampling: tokens are sampled from the most probable ones whose probabilities add up to this value.
        max_tokens (`int`, *optional*, defaults to `1024`):
            Maximum number of tokens of the completion.
        stop (`tuple[str]`, *optional*, defaults to `()`):
            Texts at which the completion ends. They are not part of it.
        seed (`int`, *optional*):
            Makes sampling reproducible, if the backend supports seeds.

    Raises:
        ValueError: If a value is out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"`temperature` must be 0 or more, got {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"`top_p` must be above 0 and at most 1, got {self.top_p}.")
        if self.max_tokens < 1:
            raise ValueError(f"`max_tokens` must be at least 1, got {self.max_tokens}.")
        if isinstance(self.stop, str) or not all(self.stop):
            raise ValueError(f"`stop` must be a tuple of non-empty strings, got {self.stop!r}.")


@dataclass(frozen=True)
class Completion:
    """
    One completion.

    Args:
        text (`str`):
            The generated text, possibly empty.
        finish_reason (`str`, *optional*, defaults to `"stop"`):
            `"stop"`, `"length"` (truncated at `max_tokens` or at the end of the context), or `"refused"` (a content
            filter).
        prompt_tokens (`int`, *optional*, defaults to `0`):
            Number of tokens of the prompt.
        completion_tokens (`int`, *optional*, defaults to `0`):
            Number of tokens of the completion.
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class GenerationError(RuntimeError):
    """Raised when no completion is possible: the server is down or rejects requests. The message gives the fix."""


class RequestRefusedError(GenerationError):
    """Raised when one prompt is rejected (too long, or refused by the server), while others are not."""


class BudgetExhaustedError(GenerationError):
    """Raised when the user's budget of requests or tokens is used up."""


class Generate(Protocol):
    """
    Generates one completion. The builder and the evaluation make many concurrent calls.

    A conversation is a list of `{"role", "content"}`. If its last turn is the assistant's, the completion continues
    it. A `str` is a raw prompt, sent without a chat template.
    """

    async def __call__(self, prompt: list[dict[str, Any]] | str, sampling: Sampling) -> Completion: ...
