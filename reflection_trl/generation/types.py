"""What goes to a model and what comes back, whichever way it is served."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Sampling:
    """
    How one answer is drawn.

    Args:
        temperature (`float`, *optional*, defaults to `0.0`):
            0 takes the likeliest token at each step.
        top_p (`float`, *optional*, defaults to `1.0`):
            Nucleus: tokens are drawn from the likeliest ones that add up to this probability.
        max_tokens (`int`, *optional*, defaults to `1024`):
            The longest answer, in tokens.
        stop (`tuple[str]`, *optional*):
            Texts at which the answer ends; they are not part of it.
        seed (`int`, *optional*):
            Makes a draw repeatable, as far as the server honors it.

    Raises:
        ValueError: If a value is out of its range.
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
            raise ValueError(f"`stop` must be a tuple of texts that are not empty, got {self.stop!r}.")


@dataclass(frozen=True)
class Completion:
    """
    One answer.

    Args:
        text (`str`):
            What the model wrote. Empty where it wrote nothing.
        finish_reason (`str`):
            `"stop"`, `"length"` (cut at `max_tokens` or at the end of the context), or `"refused"` (a content filter).
        prompt_tokens (`int`):
            Tokens of the request.
        completion_tokens (`int`):
            Tokens of the answer.
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class GenerationError(RuntimeError):
    """No answer could be had: the endpoint is dead, says no, or the request is too long. The message says what to do."""


class RequestRefusedError(GenerationError):
    """This one prompt cannot be answered (too long, or refused by the server); others can."""


class BudgetExhaustedError(GenerationError):
    """The budget of requests or tokens that the user set is used up."""


class Generate(Protocol):
    """
    Draws one answer. What the builder and the evaluation call; many calls are in flight at a time.

    A conversation is a list of `{"role", "content"}`; when its last turn is the assistant's, the answer goes on from there.
    A `str` is a raw prompt, sent without a chat template.
    """

    async def __call__(self, prompt: list[dict[str, Any]] | str, sampling: Sampling) -> Completion: ...


def first_line(error: object) -> str:
    """What an error says, without the pages that some say behind it."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
