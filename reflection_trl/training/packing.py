"""Builds one batch from rows and hidden tokens: packed without padding, or padded with masks.

In a causal model with full attention, a hidden token can be dropped from the student's sample if the other tokens keep
their positions. The packed form ([`pack`]) puts all sequences into one row without padding,

    teacher of row 0 | student of row 0 | row 1, a plain one | teacher of row 2 | student of row 2 | ...

each a separate sequence for attention. If dropping differs from masking (sliding windows), [`pad`] builds the same
batch with padding and an attention mask. Both list the positions whose next-token prediction the loss needs, so that
logits are computed only there. The functions are pure and work on arrays.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..rendering import VISIBLE


@dataclass
class Row:
    """
    Holds a tokenized row; see [`~reflection_trl.rendering.tokenize`].

    Args:
        input_ids (`np.ndarray` of shape `(L,)`):
            Token ids.
        loss_mask (`np.ndarray` of bool, shape `(L,)`):
            Tokens with next-token loss: the assistant's text.
        block_ids (`np.ndarray` of shape `(L,)`):
            Part or block of each token.
        block_types (`np.ndarray` of shape `(n,)`):
            Type of each block; empty for plain rows.
        answer_start (`int`):
            Index of the first token of the answer.
        row_id (`int`):
            Index of the row in its dataset, or a hash of its content in a stream. Masks are sampled with it.
        stream_index (`int`, *optional*):
            Position of the row in its stream.
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
        """Returns whether the row has a reflection sequence, and therefore a student."""
        return len(self.block_types) > 0

    @property
    def num_loss_tokens(self) -> int:
        """
        Returns the number of tokens with next-token loss in the teacher's sample. The first token is never predicted.
        """
        return int(self.loss_mask[1:].sum())

    @property
    def num_answer(self) -> int:
        """Returns the number of trained tokens of the answer."""
        return int(self.loss_mask[self.answer_start :].sum())


@dataclass
class Sequence:
    """Represents one sequence of a batch: its tokens, their positions, and their indices in the row."""

    row: Row
    tokens: np.ndarray  # indices into the row, ascending
    positions: np.ndarray
    is_student: bool = False


@dataclass
class Batch:
    """
    Holds the inputs of a forward pass, and the indices of the predictions for the loss.

    N positions are predicted: those of the trained tokens of every sequence. Predictions are numbered in the order of
    `loss_index`. A of them are the student's, and each is paired with the teacher's prediction of the same token.

    Args:
        input_ids (`np.ndarray` of shape `(B, T)`):
            Token ids; B is 1 when packed.
        position_ids (`np.ndarray` of shape `(B, T)`):
            Positions in the full row. The student's positions have gaps at hidden tokens.
        loss_index (`np.ndarray` of shape `(N,)`):
            Index, in the flattened batch, of the hidden state that predicts each target.
        targets (`np.ndarray` of shape `(N,)`):
            Token ids to predict.
        student_index (`np.ndarray` of shape `(A,)`):
            Indices of the student's predictions.
        teacher_index (`np.ndarray` of shape `(A,)`):
            Index of the teacher's prediction for the same token.
        sequence_index (`np.ndarray` of shape `(N,)`):
            Index of the sequence of each prediction.
        cu_seq_lens (`np.ndarray` of shape `(S + 1,)`, *optional*):
            Boundaries of the packed sequences.
        attention_mask (`np.ndarray` of shape `(B, T)`, *optional*):
            1 for tokens that can be attended to; padded batches only.
        num_hidden (`int`, *optional*, defaults to `0`):
            Number of tokens hidden from students, including reflection instructions.
        num_block_tokens (`int`, *optional*, defaults to `0`):
            Number of tokens of the students' reflection sequences, including hidden ones.
        num_hidden_block_tokens (`int`, *optional*, defaults to `0`):
            Number of hidden tokens among them.
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
        """Returns which predictions are the student's: bool, of shape `(N,)`."""
        is_student = np.zeros(len(self.targets), dtype=bool)
        is_student[self.student_index] = True
        return is_student

    @property
    def num_computed(self) -> int:
        """Returns the number of tokens that the model computes, without padding."""
        return self.input_ids.size if self.attention_mask is None else int(self.attention_mask.sum())


def full_sequence(row: Row) -> Sequence:
    """
    Returns the complete row: the teacher's sample, or a plain row.

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
    Returns the student's sample: the row without its hidden tokens, with unchanged positions.

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
    Returns the prompt and answer alone, with positions from 0, as at inference.

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
    Concatenates sequences in one row without padding.

    Args:
        sequences (`list[Sequence]`):
            Sequences. A student follows its teacher.

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
    Arranges sequences as a padded batch, with hidden tokens in place and masked.

    Args:
        sequences (`list[Sequence]`):
            Sequences. A student follows its teacher. Positions must be indices into the row.
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
    # `places` contains, for each sequence, the indices of its tokens in the flattened batch
    index, targets, sequence_index, student, teacher = [], [], [], [], []
    count = num_hidden = num_block_tokens = num_visible_block_tokens = 0
    teachers: dict[int, np.ndarray] = {}  # per row: prediction index of each token of its full sequence
    for number, (sequence, place) in enumerate(zip(sequences, places, strict=True)):
        row, tokens = sequence.row, sequence.tokens
        wanted = row.loss_mask[tokens].copy()
        if sequence.is_student:
            wanted &= tokens >= row.answer_start
            num_hidden += len(row.input_ids) - len(tokens)
            num_block_tokens += int((row.block_ids > 0).sum())
            num_visible_block_tokens += int((row.block_ids[tokens] > 0).sum())
        wanted[0] = False  # no token before the first one predicts it
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
