"""Renders prompts in four styles.

| style | content |
|---|---|
| `request` | the request as a user would write it, through the model's chat template: the prompt at the end of a training row |
| `evalplus` | EvalPlus's own chat prompt with the beginning of the answer, for comparison with its leaderboard |
| `published` | the block-token prompts of ReflectionCoder's published results |
| `completion` | the benchmark's code, to be continued: for base models |
"""

from dataclasses import dataclass
from typing import Any

from ..rendering import BLOCK_TOKENS


# Maximum tokens of an answer; those of evalplus for its prompts
MAX_TOKENS = {"request": 1024, "evalplus": 768, "published": 1024, "completion": 768}


@dataclass(frozen=True)
class Prompt:
    """
    Holds a prompt for [`~reflection_trl.generation.Generate`].

    Args:
        content (`list[dict]` or `str`):
            Conversation, or text to continue.
        stop (`tuple[str]`, *optional*, defaults to `()`):
            Texts at which the answer ends.
    """

    content: list[dict[str, Any]] | str
    stop: tuple[str, ...] = ()


def check_style(style: str) -> None:
    """
    Rejects an unknown prompt style.

    Args:
        style (`str`):
            Name of the style.

    Raises:
        ValueError: If there is no such style.
    """
    if style not in MAX_TOKENS:
        raise ValueError(f"Unknown prompt style {style!r}: use one of {', '.join(MAX_TOKENS)}.")


def needs_chat_template(style: str) -> bool:
    """Returns whether prompts of a style are conversations."""
    return style in ("request", "evalplus")


def make_published_prompt(request: str, opening: str, stop: tuple[str, ...]) -> Prompt:
    """
    Returns a prompt of the style `"published"`: block tokens around a request, and the beginning of the answer's code
    block.

    Args:
        request (`str`):
            The request.
        opening (`str`):
            Beginning of the answer: the fence, and code to continue.
        stop (`tuple[str]`):
            Texts at which the answer ends.
    """
    tokens = BLOCK_TOKENS
    ends = tokens["end_of_block"] + tokens["end_of_message"]
    asked = f"{tokens['user']}{tokens['text']}{request}{ends}{tokens['assistant']}{tokens['text']}"
    return Prompt(f"{asked}{opening}", stop)
