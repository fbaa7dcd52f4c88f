"""From a conversation to the text that a local model goes on from."""

import functools
import json
from collections.abc import Sequence
from typing import Any

from .types import GenerationError, RequestRefusedError


def as_prompt(
    prompt: Sequence[dict[str, Any]] | str, tokenizer: Any, model: str, variables: dict[str, Any] | None = None
) -> str:
    """
    Returns the prompt as text, special tokens included.

    Args:
        prompt (`list[dict]` or `str`):
            A conversation, whose last turn is gone on with when it is the assistant's, or a raw prompt.
        tokenizer: the model's.
        model (`str`):
            Its name, for messages.
        variables (`dict`, *optional*):
            Further ones for the template.

    Raises:
        [`GenerationError`]: If the model has no chat template.
        [`RequestRefusedError`]: If the template refuses this conversation.
    """
    if isinstance(prompt, str):
        return _encodable((tokenizer.bos_token or "") + prompt if _adds_bos(tokenizer) else prompt)
    if not tokenizer.chat_template:
        raise GenerationError(
            f"The tokenizer of {model!r} has no chat template: give a model that was tuned for conversations, or raw prompts."
        )
    from jinja2 import TemplateSyntaxError

    turns = [*prompt]
    if tokenizer.is_fast and any(turn["role"] == "tool" for turn in turns):
        turns = _renderer(tokenizer, json.dumps(variables)).expressible(turns)
    goes_on = turns[-1]["role"] == "assistant"
    try:
        text = tokenizer.apply_chat_template(
            turns,
            tokenize=False,
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            **(variables or {}),
        )
    except (ImportError, TemplateSyntaxError) as error:
        raise GenerationError(f"The chat template of {model!r} cannot be used: {error}") from error
    except Exception as error:  # a template may raise anything
        raise RequestRefusedError(f"The chat template of {model!r} refuses the conversation: {error}") from error
    return _encodable(text)


@functools.lru_cache(maxsize=4)
def _renderer(tokenizer: Any, variables: str) -> Any:
    """Knows in which role a template writes output of runs."""
    from ..rendering import ChatTemplateRenderer

    return ChatTemplateRenderer(tokenizer, chat_template_kwargs=json.loads(variables))


def check_prompt_length(length: int, context: int) -> int:
    """
    Returns tokens that are left for the answer.

    Raises:
        [`RequestRefusedError`]: If there is no room for one, or no prompt.
    """
    if not length:
        raise RequestRefusedError("The prompt is empty.")
    if length >= context:
        raise RequestRefusedError(f"The prompt has {length} tokens, and the model takes {context} with its answer.")
    return context - length


def _adds_bos(tokenizer: Any) -> bool:
    ids = tokenizer("").input_ids
    return bool(ids) and tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id


def _encodable(text: str) -> str:
    """Returns the text with a question mark for each half of a surrogate pair, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
