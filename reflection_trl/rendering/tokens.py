"""Defines rendered text with spans and converts it to token ids, for both renderers."""

import functools
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sequences import BLOCK_TYPES


if TYPE_CHECKING:  # `show` without a tokenizer does not import transformers
    from transformers import PreTrainedTokenizerBase


# Values of the token column `block_ids` outside the blocks of the reflection sequence, which count from 1
VISIBLE = -1
INSTRUCTION = 0

# Code that a tokenizer must decode unchanged
_CODE = "def f(a, b):\n    if a != b:\n\n        return [a , 'b']  # x . y\n\tX = {1: 2}\n"

_Tokens = tuple[list[int], np.ndarray, np.ndarray]  # ids, start of each in characters, end of each


class UnrenderableRow(ValueError):
    """
    Raised for a valid row that this chat template cannot express. Such rows are dropped and counted; training
    continues.

    Args:
        reason (`str`):
            The reason, in the same words for all rows of this kind. Rows are counted by reason.
        detail (`str`, *optional*, defaults to `""`):
            The part that is specific to this row.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass
class Rendering:
    """
    Holds one row as text with character spans.

    Args:
        text (`str`):
            The whole row, up to and including the end token of the last answer.
        answer_start (`int`):
            Start of the final answer. The text before it is the prompt.
        trained (`list[tuple[int, int]]`):
            Spans with next-token loss: the assistant's text, including end tokens.
        prefix_end (`int`, *optional*, defaults to `0`):
            End of BOS and system prompt.
        sequence_start (`int`, *optional*, defaults to `0`):
            Position at which the reflection instruction ends and the first block begins.
        reanswer_start (`int`, *optional*, defaults to `0`):
            Position at which the last block ends and the re-answer instruction begins.
        blocks (`list[tuple[str, int]]`, *optional*, defaults to `[]`):
            Type and start of each block of the reflection sequence. Each block ends where the next one starts, the
            last at `reanswer_start`. Empty for generation rows.
    """

    text: str
    answer_start: int
    trained: list[tuple[int, int]]
    prefix_end: int = 0
    sequence_start: int = 0
    reanswer_start: int = 0
    blocks: list[tuple[str, int]] = field(default_factory=list)


def tokenize(rendering: Rendering, tokenizer: "PreTrainedTokenizerBase") -> dict[str, Any]:
    """
    Tokenizes a rendering with offsets, and labels each token.

    Args:
        rendering ([`Rendering`]):
            Text and spans of one row.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer.

    Returns:
        `dict` with

        - `input_ids` (`list[int]`, length L): the teacher's sample, or a plain row.
        - `loss_mask` (`list[int]`, length L): 1 for tokens that are trained on (the assistant's text), else 0.
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


def check_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> None:
    """
    Rejects tokenizers that cannot tokenize rows: those without offsets, and those that do not decode code unchanged.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Tokenizer.

    Raises:
        ValueError: If it is not a fast tokenizer, or loses characters of a few lines of code.
    """
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer of '{tokenizer.name_or_path}' gives no character offsets ({type(tokenizer).__name__} is not a "
            f"fast tokenizer); load it with `AutoTokenizer` and the `tokenizers` backend."
        )
    ids = tokenizer(_CODE, add_special_tokens=False)["input_ids"]
    # Some decoders keep the space that their tokenizer adds before a text
    decoded = str(tokenizer.decode(ids)).lstrip(" ")
    if decoded != _CODE:
        at = next((i for i, (a, b) in enumerate(zip(decoded, _CODE, strict=False)) if a != b), len(decoded))
        raise ValueError(
            f"The tokenizer of '{tokenizer.name_or_path}' does not preserve code: {_CODE[max(at - 8, 0) : at + 8]!r} became "
            f"{decoded[max(at - 8, 0) : at + 8]!r}, so a model would learn and write broken code; load the tokenizer with the class "
            f"that its model was published with, or use another model."
        )


def encode(rendering: Rendering, tokenizer: "PreTrainedTokenizerBase") -> tuple[list[int], np.ndarray, np.ndarray]:
    """
    Returns the token ids of a rendering with the character offsets of each.

    The prompt and the answer are tokenized separately, as at inference: no token spans the end of a prompt and the
    start of an answer, and the last tokens of the prompt do not depend on the answer. The same holds for each turn of
    the reflection sequence. Other text is tokenized in its context.

    Args:
        rendering ([`Rendering`]):
            Text and spans of one row.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer.

    Returns:
        `tuple`: Token ids; start of each in characters; end of each in characters.

    Raises:
        UnrenderableRow: If the prefix has different tokens before the reflection instruction and before the re-answer
        instruction.
    """
    text, prefix_end, hidden_end = rendering.text, rendering.prefix_end, rendering.reanswer_start
    answer_start = rendering.answer_start
    prompt = _encode(text[:prefix_end] + text[hidden_end:answer_start], tokenizer)
    answer = _encode_after(text[:answer_start], text[answer_start:], tokenizer)
    if not hidden_end:
        return _join([prompt, _moved(answer, answer_start)])

    cuts = {start for start, _ in rendering.trained if start < hidden_end}
    before = _encode_cut(text[:hidden_end], cuts, tokenizer)
    _, starts, ends = before
    if ((starts < rendering.sequence_start) & (ends > rendering.sequence_start)).any():
        before = _encode_cut(text[:hidden_end], cuts | {rendering.sequence_start}, tokenizer)
    in_prefix, in_prompt = (int(np.searchsorted(tokens[1], prefix_end)) for tokens in (before, prompt))
    if before[0][:in_prefix] != prompt[0][:in_prompt]:
        raise UnrenderableRow(
            "the tokenizer merges the end of the system prompt with the first request, because the chat template has no header between them"
        )
    request = prompt[0][in_prompt:], prompt[1][in_prompt:], prompt[2][in_prompt:]
    return _join([before, _moved(request, hidden_end - prefix_end), _moved(answer, answer_start)])


def _encode(text: str, tokenizer: "PreTrainedTokenizerBase") -> _Tokens:
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = np.array(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    return list(encoded["input_ids"]), offsets[:, 0], offsets[:, 1]


def _encode_cut(text: str, cuts: set[int], tokenizer: "PreTrainedTokenizerBase") -> _Tokens:
    # Encodes piece by piece: no token crosses a cut, and none depends on the text after it
    edges = [*sorted(cuts), len(text)]
    pieces = [_encode(text[: edges[0]], tokenizer)]
    for start, end in pairwise(edges):
        pieces.append(_moved(_encode_after(text[:start], text[start:end], tokenizer), start))
    return _join(pieces)


def _encode_after(before: str, text: str, tokenizer: "PreTrainedTokenizerBase") -> _Tokens:
    # If a tokenizer adds a space before a text, as Llama 2's does, `text` must not get one. It is therefore encoded
    # after a prefix that is removed again: the preceding special token (some tokenizers add the space after these too)
    # or a newline
    if not _adds_prefix(tokenizer):
        return _encode(text, tokenizer)
    lead = max((token for token in tokenizer.get_added_vocab() if before.endswith(token)), key=len, default="\n")
    ids, starts, ends = _encode(lead + text, tokenizer)
    if ((starts < len(lead)) & (ends > len(lead))).any():  # one token spans both
        return _encode(text, tokenizer)
    first = int(np.searchsorted(ends, len(lead), side="right"))
    return ids[first:], np.maximum(starts[first:] - len(lead), 0), ends[first:] - len(lead)


def _moved(tokens: _Tokens, by: int) -> _Tokens:
    ids, starts, ends = tokens
    return ids, starts + by, ends + by


def _join(pieces: list[_Tokens]) -> _Tokens:
    ids, starts, ends = zip(*pieces, strict=True)
    return list(chain.from_iterable(ids)), np.concatenate(starts), np.concatenate(ends)


@functools.lru_cache(maxsize=8)
def _adds_prefix(tokenizer: "PreTrainedTokenizerBase") -> bool:
    # Whether the tokenizer adds a space before a text, as in Llama 2
    alone, continued = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("x", "\nx"))
    return alone != continued[-len(alone) :]
