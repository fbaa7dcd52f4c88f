"""Reads the text of prompts and completions, which are plain text or messages."""

from collections.abc import Callable
from typing import Any


def content_text(content: Any) -> str:
    """
    Returns the text of a message.

    Args:
        content (`str`, `list[dict]` or `None`):
            Content of the message: text, or parts with a `type`, of which those of the type `text` are read.
    """
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def prompt_text(prompt: Any) -> str:
    """
    Returns the text of a prompt.

    Args:
        prompt (`str` or `list[dict]`):
            Plain text, or messages, whose texts are joined by line breaks.
    """
    if isinstance(prompt, str):
        return prompt
    return "\n".join(content_text(message.get("content")) for message in prompt)


def is_prompt(prompt: Any) -> bool:
    """
    Returns whether a value is plain text or messages.

    Args:
        prompt (`Any`):
            Value of the column `prompt`.
    """
    if isinstance(prompt, list):
        return all(isinstance(message, dict) and "role" in message and "content" in message for message in prompt)
    return isinstance(prompt, str)


def is_text(prompt: Any) -> bool:
    """
    Returns whether a prompt contains only text, without parts such as images.

    Args:
        prompt (`str` or `list[dict]`):
            Plain text, or messages.
    """
    if isinstance(prompt, str):
        return True
    parts = (message.get("content") for message in prompt)
    return all(part.get("type") == "text" for content in parts if isinstance(content, list) for part in content)


def completion_text(completion: Any) -> str:
    """
    Returns the text of a plain completion or of the last assistant message of a conversation.

    Args:
        completion (`str` or `list[dict]`):
            Completion in the form that TRL passes to reward functions.
    """
    if isinstance(completion, str):
        return completion
    return content_text(next((m.get("content") for m in reversed(completion) if m.get("role") == "assistant"), None))


def complete_request(prompt: Any, complete: Callable[[str], str]) -> Any:
    """
    Changes the request of a prompt: a plain prompt as a whole, or the text of the last message of the user. If no message
    is of the user, it is the last message.

    Args:
        prompt (`str` or `list[dict]`):
            Prompt. It is not changed.
        complete (`Callable`):
            Returns the new text of the request.

    Returns:
        `str` or `list[dict]`: Prompt in the same form. Parts of the message that are not text are kept before its text.
    """
    if isinstance(prompt, str):
        return complete(prompt)
    number = max((i for i, message in enumerate(prompt) if message["role"] == "user"), default=len(prompt) - 1)
    content: Any = prompt[number]["content"]
    text = complete(content_text(content))
    if isinstance(content, list):
        content = [*(part for part in content if part.get("type") != "text"), {"type": "text", "text": text}]
    else:
        content = text
    return [*prompt[:number], {**prompt[number], "content": content}, *prompt[number + 1 :]]
