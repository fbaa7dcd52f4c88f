"""Defines reflection sequences: their schema, their validation, and the conversion from and to the published form.

A row has `messages` and `type`. A reflection row contains

    user        the reflection instruction: the problem, with the request to write code, run it, analyze and repair
    assistant   analysis and fenced code            \\
    tool        output of the interpreter            | the reflection sequence
    assistant   analysis and fenced code, ...       /
    user        the re-answer instruction: the one-off request, as a user would write it
    assistant   the final answer

A `generation` row is any plain instruction conversation. Both kinds may start with one `system` message. All contents
are strings, so chat templates and TRL's `SFTTrainer(assistant_only_loss=True)` accept the rows unchanged.

The rows published with ReflectionCoder (https://huggingface.co/papers/2405.17057) have typed blocks instead. The whole
reflection sequence is one assistant message, whose content lists `text`, `code` and `execution` blocks. `messages` may
be a JSON string. [`from_typed_blocks`] and [`to_typed_blocks`] convert without loss in both directions.

This module does not depend on tokens, masks or models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .fences import fence_code, find_fences, read_fence
from .quoting import quote
from .row_forms import read_row


BlockType = Literal["text", "code", "execution"]
BLOCK_TYPES: tuple[BlockType, ...] = ("execution", "text", "code")
ROW_TYPES = ("reflection", "generation")
ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class Block:
    """
    Marks a part of one message: `content[start:end]` is text, fenced code (including its fences) or execution output.

    Args:
        type (`str`):
            `"text"`, `"code"` or `"execution"`.
        start (`int`):
            Index of the first character of the block in the message's content.
        end (`int`):
            Index after its last character.
    """

    type: BlockType
    start: int
    end: int


def split_blocks(message: dict[str, Any]) -> list[Block]:
    """
    Splits a message's content into its blocks, in order.

    In an assistant message, fenced code, as [`reflection_trl.fences`] finds it, is a `code` block, and the text around
    it is a `text` block. A line with prose and a fence belongs to the code. A tool message is one `execution` block.
    Other messages are one `text` block. If the message has `blocks` (see [`from_typed_blocks`]), their types and
    lengths apply instead. One newline between two blocks belongs to neither.

    Args:
        message (`dict`):
            Message with `role` and a string `content`.

    Returns:
        `list[Block]`: At least one block.
    """
    content = message["content"]
    if message["role"] == "tool":
        return [Block("execution", 0, len(content))]
    if message.get("blocks"):
        blocks, start = [], 0
        for block in message["blocks"]:
            blocks.append(Block(block["type"], start, start + block["length"]))
            start += block["length"] + 1
        return blocks
    if message["role"] != "assistant":
        return [Block("text", 0, len(content))]
    blocks, start = [], 0
    for fence in find_fences(content):
        if fence.start < start:  # it opens on the line on which the previous fence closes
            blocks[-1] = Block("code", blocks[-1].start, fence.end)
        else:
            if fence.start > start:  # `start` is after the newline that separates it from the previous block
                blocks.append(Block("text", start, fence.start - 1))
            blocks.append(Block("code", fence.start, fence.end))
        start = fence.end + 1
    if start <= len(content):
        blocks.append(Block("text", start, len(content)))
    return blocks


def from_typed_blocks(row: dict[str, Any]) -> dict[str, Any]:
    """
    Converts a row of the published form (typed blocks, `messages` as a list or as a JSON string) to the form of this
    package.

    Each run of `text` and `code` blocks becomes an assistant message with code in fences. Each `execution` block
    becomes a tool message. If the blocks cannot be recovered from the text alone (text that contains fenced code, two
    adjacent blocks of one type), the message has a key `blocks` with the type and length of each.

    Args:
        row (`dict`):
            Row with `messages` and `type`. Other columns are kept.

    Returns:
        `dict`: The row in the form that [`validate_row`] describes.

    Raises:
        ValueError: If the contents are not lists of typed blocks. The one-line message names the field and the fix.
    """
    row = read_row(row)
    _validate_typed_blocks(row["messages"], "row")
    return {**row, "messages": _from_typed_blocks(row["messages"])}


def to_typed_blocks(row: dict[str, Any]) -> dict[str, Any]:
    """
    Converts a row of this package to the published form: the inverse of [`from_typed_blocks`].

    Only the content of code is kept. A fence that is not a plain `python` fence is recorded in the optional keys
    `language` or `markdown` of the block.

    Args:
        row (`dict`):
            Row with `messages` and `type`. Other columns are kept.

    Returns:
        `dict`: The row with typed blocks; `messages` is a list.
    """
    converted: list[dict[str, Any]] = []
    for message in row["messages"]:
        role = "assistant" if message["role"] == "tool" else message["role"]
        blocks = [_to_typed_block(block, message["content"]) for block in split_blocks(message)]
        if role == "assistant" and converted and converted[-1]["role"] == "assistant":
            converted[-1]["content"] += blocks
        else:
            converted.append({"role": role, "content": blocks})
    return {**row, "messages": converted}


def normalize_row(row: Mapping[str, Any], where: str = "row") -> dict[str, Any]:
    """
    Converts a row of any supported form to the form of this package and validates it.

    Args:
        row (`Mapping`):
            Row in one of the forms of [`~reflection_trl.row_forms`]: `messages`, `prompt` and `completion`, or
            `conversations`. Contents are strings or typed blocks. A row without `type` is a generation row.
        where (`str`, *optional*, defaults to `"row"`):
            How errors name the row, such as `"row 17 of the train dataset"`.

    Returns:
        `dict`: A valid row.

    Raises:
        ValueError: If the structure is wrong. The one-line message names the row, the field and the fix.
    """
    normalized = read_row(row, where)
    if any(isinstance(message["content"], list) for message in normalized["messages"]):
        _validate_typed_blocks(normalized["messages"], where)
        normalized["messages"] = _from_typed_blocks(normalized["messages"])
    validate_row(normalized, where)
    return normalized


def validate_row(row: dict[str, Any], where: str = "row") -> None:
    """
    Checks that a row in the form of this package can be trained on.

    Args:
        row (`dict`):
            Row with `messages`, a list of messages with `role` and `content`, and `type`.
        where (`str`, *optional*, defaults to `"row"`):
            How errors name the row.

    Raises:
        ValueError: If the structure is wrong. The one-line message names the row, the field and the fix.
    """
    messages, row_type = row["messages"], row.get("type")
    if not isinstance(row_type, str) or row_type not in ROW_TYPES:
        raise ValueError(
            f"{where}: `type` is {quote(row_type)}; it must be 'reflection' or 'generation' (the default)."
        )
    for index, message in enumerate(messages):
        _validate_message(message, index, where)
        role = message["role"]
        if index > 0 and role == messages[index - 1]["role"] and role != "tool":
            raise ValueError(
                f"{where}: `messages[{index - 1}]` and `messages[{index}]` are both {role} turns; merge them into one."
            )
    _validate_order(messages, row_type, where)


def _validate_message(message: dict[str, Any], index: int, where: str) -> None:
    role, content = message["role"], message["content"]
    if not isinstance(role, str) or role not in ROLES:
        raise ValueError(f"{where}: `messages[{index}].role` is {quote(role)}; use one of {', '.join(ROLES)}.")
    if role == "system" and index > 0:
        raise ValueError(
            f"{where}: `messages[{index}]` is a system turn, but only the first turn may be one; move or remove it."
        )
    if not isinstance(content, str):
        raise ValueError(
            f"{where}: `messages[{index}].content` is of type {type(content).__name__}; it must be a string, or a "
            f"list of typed blocks in every turn."
        )
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}: `messages[{index}].content` contains half of a surrogate pair, {quote(content[error.start])}, at character "
            f"{error.start}, which no tokenizer can encode; remove it, or decode the text with `errors='replace'`."
        ) from None
    blocks = message.get("blocks")
    if blocks:
        _validate_blocks(blocks, role, content, f"{where}: `messages[{index}].blocks`")


def _validate_blocks(blocks: Any, role: str, content: str, field: str) -> None:
    fix = "drop the key `blocks`, or convert the row again from its typed blocks."
    types = ("text", "code") if role == "assistant" else BLOCK_TYPES
    if not isinstance(blocks, list):
        raise ValueError(f"{field} must be a list, got {quote(blocks)}; {fix}")
    for block in blocks:
        # Not `isinstance(length, int)`, because `True` is an `int` in Python
        if not isinstance(block, dict) or block.get("type") not in types or type(block.get("length")) is not int:
            raise ValueError(
                f"{field} must have a `type` ({', '.join(types)}) and a `length` for each block, got {quote(block)}; {fix}"
            )
        if block["length"] < 0:
            raise ValueError(f"{field} has a `length` below 0, {quote(block['length'])}; {fix}")
    if sum(block["length"] + 1 for block in blocks) - 1 != len(content):
        raise ValueError(f"{field} do not add up to the length of the content; {fix}")
    start = 0
    for block in blocks[:-1]:
        start += block["length"] + 1
        if content[start - 1] != "\n":
            raise ValueError(f"{field} must end at line ends; {fix}")


def _validate_order(messages: list[dict[str, Any]], row_type: str, where: str) -> None:
    turns = messages[1:] if messages[0]["role"] == "system" else messages
    if len(turns) < 2 or turns[0]["role"] != "user" or turns[-1]["role"] != "assistant":
        what = "the final answer" if row_type == "reflection" else "an assistant turn"
        raise ValueError(f"{where}: `messages` must start with a user turn and end with {what}.")
    if not turns[-1]["content"].strip():
        raise ValueError(
            f"{where}: `messages[{len(messages) - 1}].content`, the final answer, is empty; drop the row."
        )
    if row_type == "generation":
        return
    if len(turns) < 4 or turns[-2]["role"] != "user":
        roles = "/".join(turn["role"] for turn in turns[-6:])
        raise ValueError(
            f"{where}: a reflection row ends with the one-off request (user) and the final answer (assistant) after the reflection "
            f"sequence, but its roles are {'.../' if len(turns) > 6 else ''}{roles}; add these two turns, or set `type` to 'generation'."
        )
    for index, message in enumerate(messages[:-2]):
        if message["role"] == "user" and message is not turns[0]:
            raise ValueError(
                f"{where}: `messages[{index}]` is a user turn inside the reflection sequence; give execution "
                f"output the role `tool`, since only the first and the last but one turn may be user turns."
            )


def _from_typed_blocks(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    converted: list[dict[str, Any]] = []
    for message in messages:
        pending: list[dict[str, Any]] = []
        for block in message["content"]:
            if block["type"] == "execution" and message["role"] == "assistant":
                if pending:
                    converted.append(_join_blocks("assistant", pending))
                    pending = []
                converted.append({"role": "tool", "content": block["content"]})
            else:
                pending.append(block)
        if pending:
            converted.append(_join_blocks(message["role"], pending))
    return converted


def _join_blocks(role: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    pieces = []
    for block in blocks:
        if block["type"] != "code":
            pieces.append(block["content"])
        elif block.get("markdown") is not None:
            pieces.append(block["markdown"])
        else:
            language = block.get("language")
            pieces.append(fence_code(block["content"], "python" if language is None else language))
    message: dict[str, Any] = {"role": role, "content": "\n".join(pieces)}
    plain = [{"type": block["type"], "content": block["content"]} for block in blocks]
    typed = [_to_typed_block(block, message["content"]) for block in split_blocks(message)]
    if [{"type": block["type"], "content": block["content"]} for block in typed] != plain:
        message["blocks"] = [
            {"type": block["type"], "length": len(piece)} for block, piece in zip(blocks, pieces, strict=True)
        ]
    return message


def _to_typed_block(block: Block, content: str) -> dict[str, Any]:
    segment = content[block.start : block.end]
    if block.type != "code":
        return {"type": block.type, "content": segment}
    fence = read_fence(segment)
    if fence is None:  # typed as code without a fence, or with prose: keep the segment unchanged
        return {"type": "code", "content": segment, "markdown": segment}
    typed = {"type": "code", "content": fence.code}
    if segment != fence_code(fence.code):
        if segment == fence_code(fence.code, fence.info):
            typed["language"] = fence.info
        else:
            typed["markdown"] = segment
    return typed


def _validate_typed_blocks(messages: list[dict[str, Any]], where: str) -> None:
    for index, message in enumerate(messages):
        if not isinstance(message["content"], list) or not message["content"]:
            raise ValueError(
                f"{where}: `messages[{index}].content` must be a non-empty list of typed blocks, as in the other turns."
            )
        for number, block in enumerate(message["content"]):
            field = f"{where}: `messages[{index}].content[{number}]"
            block_type = block.get("type") if isinstance(block, dict) else block
            if not isinstance(block_type, str) or block_type not in BLOCK_TYPES or not isinstance(block, dict):
                raise ValueError(f"{field}.type` is {quote(block_type)}; use 'text', 'code' or 'execution'.")
            if not isinstance(block.get("content"), str):
                raise ValueError(f"{field}.content` must be a string, got {quote(block.get('content'))}.")
            for key in ("language", "markdown"):
                if not isinstance(block.get(key, ""), str | None):
                    raise ValueError(f"{field}.{key}` must be a string, got {quote(block[key])}; drop the key.")
