"""From rows and hidden tokens to one batch that a model can run: packed without padding, or padded with masks.

In a causal model with full attention, a hidden token can be dropped from the student's sample if the others keep their
positions. So the packed form ([`pack`]) lays out, in one row without padding,

    teacher of row 0 | student of row 0 | row 1, a plain one | teacher of row 2 | student of row 2 | ...

each a sequence of its own for attention. Where dropping is not the same as masking (sliding windows), [`pad`] gives the same
batch as a padded one with an attention mask. Either lists the positions whose next-token prediction the loss needs, so that
logits exist only there. Pure functions on arrays.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..rendering import VISIBLE


@dataclass
class Row:
    """
    A tokenized row; see [`~reflection_trl.rendering.tokenize`].

    Args:
        input_ids (`np.ndarray` of shape `(L,)`):
            Token ids.
        loss_mask (`np.ndarray` of bool, shape `(L,)`):
            Tokens with next-token loss: what the assistant writes.
        block_ids (`np.ndarray` of shape `(L,)`):
            Part or block of each token.
        block_types (`np.ndarray` of shape `(n,)`):
            Type of each block; empty for plain rows.
        answer_start (`int`):
            First token of the answer.
        row_id (`int`):
            Number of the row in its dataset, or of its content in a stream. Masks are drawn by it.
        stream_index (`int`, *optional*):
            Place of the row in its stream.
    """

    input_ids: np.ndarray
    loss_mask: np.ndarray
    block_ids: np.ndarray
    block_types: np.ndarray
    answer_start: int
    row_id: int
    stream_index: int | None = None

    @property
    def is_reflection(self) -> bool:
        """Returns whether the row has a reflection sequence, and so a student."""
        return len(self.block_types) > 0

    @property
    def num_loss_tokens(self) -> int:
        """Returns tokens with next-token loss in the teacher's sample; the first token of a row is never predicted."""
        return int(self.loss_mask[1:].sum())

    @property
    def num_answer(self) -> int:
        """Trained tokens of the answer."""
        return int(self.loss_mask[self.answer_start :].sum())


@dataclass
class Sequence:
    """One sequence of a batch: tokens with their positions and the indices in its row that they come from."""

    row: Row
    tokens: np.ndarray  # indices into the row, ascending
    positions: np.ndarray
    is_student: bool = False


@dataclass
class Batch:
    """
    What a model needs to run a batch, and where the loss reads its predictions.

    N positions are predicted in all: those of every sequence's trained tokens. Predictions are numbered in the order of
    `loss_index`; A of them are the student's, each paired with the teacher's prediction of the same token.

    Args:
        input_ids (`np.ndarray` of shape `(B, T)`):
            Token ids; B is 1 when packed.
        position_ids (`np.ndarray` of shape `(B, T)`):
            Positions, as in the full row: the student's have gaps where tokens are hidden.
        loss_index (`np.ndarray` of shape `(N,)`):
            Index, in the flattened batch, of the hidden state that predicts each target.
        targets (`np.ndarray` of shape `(N,)`):
            Token ids to predict.
        student_index (`np.ndarray` of shape `(A,)`):
            Which predictions are the student's.
        teacher_index (`np.ndarray` of shape `(A,)`):
            Prediction of the teacher for the same token.
        sequence_index (`np.ndarray` of shape `(N,)`):
            Number of the sequence that each prediction belongs to.
        cu_seq_lens (`np.ndarray` of shape `(S + 1,)`, *optional*):
            Boundaries of the packed sequences.
        attention_mask (`np.ndarray` of shape `(B, T)`, *optional*):
            1 where a token can be attended to; padded batches only.
        num_hidden (`int`, *optional*, defaults to `0`):
            Tokens hidden from students, reflection instructions included.
        num_block_tokens (`int`, *optional*, defaults to `0`):
            Tokens of the students' reflection sequences, those hidden included.
        num_hidden_block_tokens (`int`, *optional*, defaults to `0`):
            Those hidden.
    """

    input_ids: np.ndarray
    position_ids: np.ndarray
    loss_index: np.ndarray
    targets: np.ndarray
    student_index: np.ndarray
    teacher_index: np.ndarray
    sequence_index: np.ndarray
    cu_seq_lens: np.ndarray | None = None
    attention_mask: np.ndarray | None = None
    num_hidden: int = 0
    num_block_tokens: int = 0
    num_hidden_block_tokens: int = 0

    @property
    def is_student(self) -> np.ndarray:
        """Which predictions are the student's: bool, of shape `(N,)`."""
        is_student = np.zeros(len(self.targets), dtype=bool)
        is_student[self.student_index] = True
        return is_student

    @property
    def num_computed(self) -> int:
        """Returns tokens that the model computes, without padding."""
        return self.input_ids.size if self.attention_mask is None else int(self.attention_mask.sum())


def full_sequence(row: Row) -> Sequence:
    """
    Returns the whole row: what the teacher sees, or a plain row.

    Args:
        row ([`Row`]):
            Row.

    Returns:
        [`Sequence`]: All its tokens.
    """
    tokens = np.arange(len(row.input_ids))
    return Sequence(row, tokens, tokens)


def student_sequence(row: Row, hidden: np.ndarray) -> Sequence:
    """
    What the student sees: the row without its hidden tokens, positions kept.

    Args:
        row ([`Row`]):
            Row.
        hidden (`np.ndarray` of bool, shape `(L,)`):
            Hidden tokens.

    Returns:
        [`Sequence`]: The visible tokens.
    """
    tokens = np.flatnonzero(~hidden)
    return Sequence(row, tokens, tokens, is_student=True)


def one_off_sequence(row: Row) -> Sequence:
    """
    What inference meets: the one-off prompt and the answer, everything else gone and positions counted anew.

    Args:
        row ([`Row`]):
            Row of either type.

    Returns:
        [`Sequence`]: Prompt and answer.
    """
    tokens = np.flatnonzero(row.block_ids == VISIBLE)
    return Sequence(row, tokens, np.arange(len(tokens)), is_student=True)


def pack(sequences: list[Sequence]) -> Batch:
    """
    Lay sequences out in one padding-free row.

    Args:
        sequences (`list[Sequence]`):
            Sequences; a student follows its teacher.

    Returns:
        [`Batch`]: Batch with `cu_seq_lens` and without `attention_mask`.
    """
    lengths = [len(sequence.tokens) for sequence in sequences]
    cu_seq_lens = np.concatenate([[0], np.cumsum(lengths)])
    return Batch(
        input_ids=np.concatenate([s.row.input_ids[s.tokens] for s in sequences])[None],
        position_ids=np.concatenate([s.positions for s in sequences])[None],
        cu_seq_lens=cu_seq_lens.astype(np.int32),
        **_predictions(
            sequences, [np.arange(length) + start for length, start in zip(lengths, cu_seq_lens, strict=False)]
        ),
    )


def pad(sequences: list[Sequence], pad_token_id: int = 0) -> Batch:
    """
    Lay sequences out as a padded batch, hidden tokens kept in place and masked.

    Args:
        sequences (`list[Sequence]`):
            Sequences; a student follows its teacher. Positions must be indices into the row.
        pad_token_id (`int`, *optional*, defaults to `0`):
            Token id of the padding.

    Returns:
        [`Batch`]: Batch with `attention_mask` and without `cu_seq_lens`.
    """
    width = 1 + max(int(sequence.positions[-1]) for sequence in sequences)
    input_ids = np.full((len(sequences), width), pad_token_id)
    attention_mask = np.zeros((len(sequences), width), dtype=np.int64)
    for number, sequence in enumerate(sequences):
        input_ids[number, sequence.positions] = sequence.row.input_ids[sequence.tokens]
        attention_mask[number, sequence.positions] = 1
    places = [number * width + sequence.positions for number, sequence in enumerate(sequences)]
    return Batch(
        input_ids=input_ids,
        position_ids=np.broadcast_to(np.arange(width), input_ids.shape).copy(),
        attention_mask=attention_mask,
        **_predictions(sequences, places),
    )


def _predictions(sequences: list[Sequence], places: list[np.ndarray]) -> dict[str, Any]:
    # `places` gives, for each sequence, where its tokens stand in the flattened batch
    index, targets, sequence_index, student, teacher = [], [], [], [], []
    count = num_hidden = num_block_tokens = num_visible_block_tokens = 0
    teachers: dict[int, np.ndarray] = {}  # per row: prediction number of each token of its full sequence
    for number, (sequence, place) in enumerate(zip(sequences, places, strict=True)):
        row, tokens = sequence.row, sequence.tokens
        wanted = row.loss_mask[tokens].copy()
        if sequence.is_student:
            wanted &= tokens >= row.answer_start
            num_hidden += len(row.input_ids) - len(tokens)
            num_block_tokens += int((row.block_ids > 0).sum())
            num_visible_block_tokens += int((row.block_ids[tokens] > 0).sum())
        wanted[0] = False  # nothing stands before the first token to predict it
        predicted = np.flatnonzero(wanted)
        index.append(place[predicted - 1])
        targets.append(row.input_ids[tokens[predicted]])
        sequence_index.append(np.full(len(predicted), number))
        numbers = count + np.arange(len(predicted))
        count += len(predicted)
        if not sequence.is_student:
            lookup = np.full(len(row.input_ids), -1)
            lookup[tokens[predicted]] = numbers
            teachers[row.row_id] = lookup
        elif row.row_id in teachers:
            student.append(numbers)
            teacher.append(teachers[row.row_id][tokens[predicted]])
    none = np.zeros(0, dtype=np.int64)
    return {
        "loss_index": np.concatenate(index),
        "targets": np.concatenate(targets),
        "sequence_index": np.concatenate(sequence_index),
        "student_index": np.concatenate(student or [none]),
        "teacher_index": np.concatenate(teacher or [none]),
        "num_hidden": num_hidden,
        "num_block_tokens": num_block_tokens,
        "num_hidden_block_tokens": num_block_tokens - num_visible_block_tokens,
    }
