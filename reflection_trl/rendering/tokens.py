"""Text with spans, and its token ids: what both renderers share."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..sequences import BLOCK_TYPES


# Values of the token column `block_ids` that are not blocks of the reflection sequence, which count from 1
VISIBLE = -1
INSTRUCTION = 0


class UnrenderableRow(ValueError):
    """A valid row that this chat template cannot express; such rows are dropped and counted, not fatal."""


@dataclass
class Rendering:
    """
    One row as text, with character spans.

    Args:
        text (`str`):
            The whole row, up to and including the end token of the last answer.
        answer_start (`int`):
            Where the final answer begins: all before it is what the model is prompted with.
        trained (`list[tuple[int, int]]`):
            Spans with next-token loss: what the assistant writes, end tokens included.
        prefix_end (`int`, *optional*, defaults to `0`):
            End of BOS and system prompt.
        sequence_start (`int`, *optional*, defaults to `0`):
            Where the reflection instruction ends and the first block begins.
        reanswer_start (`int`, *optional*, defaults to `0`):
            Where the last block ends and the re-answer instruction begins.
        blocks (`list[tuple[str, int]]`, *optional*):
            Type and start of each block of the reflection sequence; each ends where the next one starts, the last at
            `reanswer_start`. Empty for generation rows.
    """

    text: str
    answer_start: int
    trained: list[tuple[int, int]]
    prefix_end: int = 0
    sequence_start: int = 0
    reanswer_start: int = 0
    blocks: list[tuple[str, int]] = field(default_factory=list)


def tokenize(rendering: Rendering, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """
    Tokenise a rendering once, with offsets, and say of each token what it is.

    Args:
        rendering ([`Rendering`]):
            Text and spans of one row.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer.

    Returns:
        `dict` with

        - `input_ids` (`list[int]`, length L): the teacher's sample, or a plain row.
        - `loss_mask` (`list[int]`, length L): 1 where a token is trained on (what the assistant writes), else 0.
        - `block_ids` (`list[int]`, length L): `VISIBLE` (-1), `INSTRUCTION` (0), or k >= 1 for the k-th block.
        - `block_types` (`list[int]`): index into `BLOCK_TYPES` of each block; empty for generation rows.
        - `answer_start` (`int`): index of the first token of the answer.
    """
    input_ids, starts, ends = encode(rendering, tokenizer)
    loss_mask = np.zeros(len(input_ids), dtype=np.int8)
    for start, end in rendering.trained:
        loss_mask |= (starts < end) & (ends > start)
    block_ids = np.full(len(input_ids), VISIBLE, dtype=np.int64)
    if rendering.blocks:
        block_starts = np.array([start for _, start in rendering.blocks])
        hidden = (starts >= rendering.prefix_end) & (starts < rendering.reanswer_start)
        block_ids[hidden] = np.searchsorted(block_starts, starts[hidden], side="right")
    return {
        "input_ids": input_ids,
        "loss_mask": loss_mask.tolist(),
        "block_ids": block_ids.tolist(),
        "block_types": [BLOCK_TYPES.index(block_type) for block_type, _ in rendering.blocks],
        "answer_start": int(np.searchsorted(starts, rendering.answer_start)),
    }


def require_fast_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """
    Raise a clear error for tokenizers without offsets.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Tokenizer.
    """
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer of '{tokenizer.name_or_path}' gives no character offsets ({type(tokenizer).__name__} is not a "
            f"fast tokenizer); load it with `AutoTokenizer` and the `tokenizers` backend."
        )


def encode(rendering: Rendering, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], np.ndarray, np.ndarray]:
    """
    Token ids of a rendering with the characters that each comes from.

    Args:
        rendering ([`Rendering`]):
            Text and spans of one row.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer.

    Returns:
        `tuple`: Token ids; first character of each; character after its last one.
    """
    edges = {rendering.prefix_end, rendering.sequence_start, rendering.reanswer_start, rendering.answer_start}
    edges |= {start for start, _ in rendering.trained}
    return _encode(rendering.text, tokenizer, sorted(edges))


def _encode(
    text: str, tokenizer: PreTrainedTokenizerBase, edges: list[int]
) -> tuple[list[int], np.ndarray, np.ndarray]:
    # One tokenisation; only where a token would straddle an edge between parts (an answer that begins with a newline
    # after a header that ends with one), the text is cut there, as inference cuts it
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = np.array(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    starts, ends = offsets[:, 0], offsets[:, 1]
    straddled = [edge for edge in edges if ((starts < edge) & (ends > edge)).any()]
    if not straddled or _adds_prefix(tokenizer):
        return list(encoded["input_ids"]), starts, ends
    input_ids: list[int] = []
    pieces = []
    for start, end in zip([0, *straddled], [*straddled, len(text)], strict=True):
        piece = _encode(text[start:end], tokenizer, [edge - start for edge in edges if start < edge < end])
        input_ids += piece[0]
        pieces.append(np.stack(piece[1:]) + start)
    starts, ends = np.concatenate(pieces, axis=1)
    return input_ids, starts, ends


def _adds_prefix(tokenizer: PreTrainedTokenizerBase) -> bool:
    # Whether a text gets a space before it, as in Llama 2: its pieces would each get one, so it cannot be cut
    alone, continued = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("x", "\nx"))
    return alone != continued[-len(alone) :]
