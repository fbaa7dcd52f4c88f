"""Renders a conversation as the prompt text of a local model."""

import functools
import json
from collections.abc import Sequence
from typing import Any

from ..quoting import quote_error
from .types import GenerationError, RequestRefusedError


def render_prompt(
    prompt: Sequence[dict[str, Any]] | str, tokenizer: Any, model: str, variables: dict[str, Any] | None = None
) -> str:
    """
    Renders a prompt as text, including special tokens.

    Args:
        prompt (`list[dict]` or `str`):
            A conversation or a raw prompt. If the last turn is the assistant's, the model continues it.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Tokenizer of the model.
        model (`str`):
            Name of the model, for messages.
        variables (`dict`, *optional*):
            Additional variables for the template.

    Raises:
        [`GenerationError`]: If the model has no chat template.
        [`RequestRefusedError`]: If the template refuses this conversation.
    """
    if isinstance(prompt, str):
        return _encodable((tokenizer.bos_token or "") + prompt if _adds_bos(tokenizer) else prompt)
    if not tokenizer.chat_template:
        raise GenerationError(
            f"The tokenizer of {model!r} has no chat template: use an instruct model, or raw prompts."
        )
    from jinja2 import TemplateSyntaxError

    turns = [*prompt]
    if tokenizer.is_fast and any(turn["role"] == "tool" for turn in turns):
        turns = _renderer(tokenizer, json.dumps(variables)).expressible(turns)
    continues = turns[-1]["role"] == "assistant"
    try:
        text = tokenizer.apply_chat_template(
            turns,
            tokenize=False,
            add_generation_prompt=not continues,
            continue_final_message=continues,
            **(variables or {}),
        )
    except (ImportError, TemplateSyntaxError) as error:
        raise GenerationError(f"The chat template of {model!r} cannot be used: {quote_error(error)}") from error
    except Exception as error:  # a template may raise anything
        raise RequestRefusedError(
            f"The chat template of {model!r} rejects the conversation: {quote_error(error)}"
        ) from error
    return _encodable(text)


@functools.lru_cache(maxsize=4)
def _renderer(tokenizer: Any, variables: str) -> Any:
    """Returns the renderer, which determines the role of execution output in the template."""
    from ..rendering import ChatTemplateRenderer

    return ChatTemplateRenderer(tokenizer, chat_template_kwargs=json.loads(variables))


def encode_prompt(
    prompt: Sequence[dict[str, Any]] | str, tokenizer: Any, model: str, variables: dict[str, Any] | None = None
) -> list[int]:
    """
    Returns the token ids of a prompt: see [`render_prompt`]. Several samples of one prompt encode it once, because
    encoding takes most of the time that a request spends in this process.
    """
    return [*_token_ids(tokenizer, render_prompt(prompt, tokenizer, model, variables))]


@functools.lru_cache(maxsize=16)
def _token_ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def check_prompt_length(length: int, context: int) -> int:
    """
    Returns the number of tokens that are left for the completion.

    Raises:
        [`RequestRefusedError`]: If the prompt is empty or leaves no room.
    """
    if not length:
        raise RequestRefusedError("The prompt is empty: give at least one token.")
    if length >= context:
        raise RequestRefusedError(
            f"The prompt has {length} tokens, but prompt and answer together may have {context}: raise --max_context, or shorten the prompt."
        )
    return context - length


def _adds_bos(tokenizer: Any) -> bool:
    ids = tokenizer("").input_ids
    return bool(ids) and tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id


def _encodable(text: str) -> str:
    """Replaces each half of a surrogate pair, which no tokenizer accepts, with a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
