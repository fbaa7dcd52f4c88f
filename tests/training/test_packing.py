"""Batches, packed and padded, against plain loops over the same sequences; and filling packs to a token budget."""

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from reflection_trl.rendering import VISIBLE
from reflection_trl.training.collator import DataCollatorForReflectionDistillation
from reflection_trl.training.dataset import TOKEN_FEATURES, best_fit_decreasing, pack_rows
from reflection_trl.training.packing import Row, full_sequence, one_off_sequence, pack, pad, student_sequence


def make_row(row_id=0, is_reflection=True, answer=((9, 1), (8, 1))):
    """BOS | instruction of 2 | text of 2, trained | execution of 1 | re-answer turn of 2 | answer."""
    parts = [(1, 0, VISIBLE), (2, 0, 0), (3, 0, 0), (4, 1, 1), (5, 1, 1), (6, 0, 2), (7, 0, VISIBLE), (7, 0, VISIBLE)]
    if not is_reflection:
        parts = [(1, 0, VISIBLE), (2, 0, VISIBLE)]
    parts += [(token, trained, VISIBLE) for token, trained in answer]
    ids, trained, blocks = (np.array(column) for column in zip(*parts, strict=True))
    types = np.array([1, 0] if is_reflection else [], dtype=np.int64)
    return Row(ids + 100 * row_id, trained.astype(bool), blocks, types, len(parts) - len(answer), row_id)


def test_rows_count_their_tokens():
    row, plain = make_row(), make_row(is_reflection=False)
    assert (row.is_reflection, row.num_loss_tokens, row.num_answer) == (True, 4, 2)
    assert (plain.is_reflection, plain.num_loss_tokens, plain.num_answer) == (False, 2, 2)
    plain.loss_mask[:] = True
    assert plain.num_loss_tokens == 3, "nothing predicts the first token of a row"


def test_sequences_by_hand():
    row = make_row()
    hidden = np.isin(np.arange(10), [1, 2, 5])
    student, one_off = student_sequence(row, hidden), one_off_sequence(row)
    assert full_sequence(row).row is student.row is one_off.row is row
    assert full_sequence(row).tokens.tolist() == full_sequence(row).positions.tolist() == list(range(10))
    assert not full_sequence(row).is_student and student.is_student and one_off.is_student
    assert student.tokens.tolist() == student.positions.tolist() == [0, 3, 4, 6, 7, 8, 9]
    assert one_off.tokens.tolist() == [0, 6, 7, 8, 9] and one_off.positions.tolist() == [0, 1, 2, 3, 4]


def test_pack_by_hand():
    row, plain = make_row(0), make_row(1, is_reflection=False)
    student = student_sequence(row, np.isin(np.arange(10), [1, 2, 5]))
    batch = pack([full_sequence(row), student, full_sequence(plain)])
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5, 6, 7, 7, 9, 8, 1, 4, 5, 7, 7, 9, 8, 101, 102, 109, 108]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 3, 4, 6, 7, 8, 9, 0, 1, 2, 3]]
    assert batch.cu_seq_lens.tolist() == [0, 10, 17, 21] and batch.cu_seq_lens.dtype == np.int32
    assert batch.attention_mask is None
    assert batch.loss_index.tolist() == [2, 3, 7, 8, 14, 15, 18, 19]
    assert batch.targets.tolist() == [4, 5, 9, 8, 9, 8, 109, 108]
    assert batch.student_index.tolist() == [4, 5] and batch.teacher_index.tolist() == [2, 3]
    assert batch.student_index.dtype == batch.teacher_index.dtype == np.int64
    assert batch.sequence_index.tolist() == [0] * 4 + [1] * 2 + [2] * 2
    assert batch.num_hidden == 3 and (batch.num_hidden_block_tokens, batch.num_block_tokens) == (1, 3)


def test_pad_by_hand():
    row, plain = make_row(0), make_row(1, is_reflection=False)
    student = student_sequence(row, np.isin(np.arange(10), [1, 2, 5]))
    batch = pad([full_sequence(row), student, full_sequence(plain)], pad_token_id=77)
    assert batch.input_ids.tolist() == [
        [1, 2, 3, 4, 5, 6, 7, 7, 9, 8],
        [1, 77, 77, 4, 5, 77, 7, 7, 9, 8],
        [101, 102, 109, 108, 77, 77, 77, 77, 77, 77],
    ]
    assert batch.attention_mask.tolist() == [[1] * 10, [1, 0, 0, 1, 1, 0, 1, 1, 1, 1], [1] * 4 + [0] * 6]
    assert batch.position_ids.tolist() == [list(range(10))] * 3
    assert batch.attention_mask.dtype == np.int64
    assert batch.cu_seq_lens is None
    assert (pad([student]).input_ids == [[1, 0, 0, 4, 5, 0, 7, 7, 9, 8]]).all()
    assert batch.loss_index.tolist() == [2, 3, 7, 8, 17, 18, 21, 22]
    assert batch.student_index.tolist() == [4, 5] and batch.teacher_index.tolist() == [2, 3]


@st.composite
def sequences(draw):
    rows = []
    for row_id in range(draw(st.integers(1, 4))):
        blocks = draw(st.lists(st.integers(0, 3), max_size=4))
        ids = [VISIBLE] * draw(st.integers(0, 2))
        if blocks:
            ids += [0] * draw(st.integers(1, 3))
        for number, length in enumerate(blocks, start=1):
            ids += [number] * length
        ids += [VISIBLE] * draw(st.integers(1, 3))
        answer_start = len(ids)
        ids += [VISIBLE] * draw(st.integers(1, 4))
        trained = np.array(draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))))
        input_ids = np.array(draw(st.lists(st.integers(0, 50), min_size=len(ids), max_size=len(ids))))
        rows.append(Row(input_ids, trained, np.array(ids), np.zeros(len(blocks), dtype=int), answer_start, row_id))
    result = []
    for row in rows:
        teacher, student = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
        if teacher or not row.is_reflection:
            result.append(full_sequence(row))
        if student and row.is_reflection:
            show = np.array(draw(st.lists(st.booleans(), min_size=len(row.block_ids), max_size=len(row.block_ids))))
            result.append(student_sequence(row, (row.block_ids == 0) | ((row.block_ids > 0) & show)))
    return result


def predictions(items):
    """What the loss must read: (sequence, token before it, token, target), and the student's pairs, token by token."""
    wanted, pairs = [], []
    for number, item in enumerate(items):
        for before, token in zip(item.tokens, item.tokens[1:], strict=False):
            if item.row.loss_mask[token] and (not item.is_student or token >= item.row.answer_start):
                wanted.append((number, before, token, item.row.input_ids[token]))
    for index, (number, _, token, _) in enumerate(wanted):
        if items[number].is_student and number and items[number - 1].row is items[number].row:
            (teacher,) = [i for i, (n, _, t, _) in enumerate(wanted) if n == number - 1 and t == token]
            pairs.append((index, teacher))
    return wanted, pairs


@given(sequences(), st.booleans())
def test_batches_against_loops(items, padded):
    batch = pad(items, pad_token_id=99) if padded else pack(items)
    wanted, pairs = predictions(items)
    assert batch.targets.tolist() == [target for *_, target in wanted]
    assert batch.sequence_index.tolist() == [number for number, *_ in wanted]
    assert list(zip(batch.student_index.tolist(), batch.teacher_index.tolist(), strict=True)) == pairs
    assert batch.num_hidden == sum(len(i.row.input_ids) - len(i.tokens) for i in items if i.is_student)
    flat_ids, flat_positions = batch.input_ids.reshape(-1), batch.position_ids.reshape(-1)
    for place, (number, before, _, _) in zip(batch.loss_index, wanted, strict=True):
        item = items[number]
        assert flat_ids[place] == item.row.input_ids[before] and flat_positions[place] == before
        if padded:
            assert place // batch.input_ids.shape[1] == number and batch.attention_mask.reshape(-1)[place] == 1
        else:
            assert batch.cu_seq_lens[number] <= place < batch.cu_seq_lens[number + 1]
    if padded:
        assert batch.attention_mask.sum(1).tolist() == [len(item.tokens) for item in items]
        assert (batch.input_ids[batch.attention_mask == 0] == 99).all()
    else:
        assert np.diff(batch.cu_seq_lens).tolist() == [len(item.tokens) for item in items]
        assert batch.cu_seq_lens[-1] == batch.input_ids.size


@pytest.mark.parametrize("layout", [pack, pad])
def test_one_row_twice_in_a_batch(layout):
    """Upsampled rows share their number; each student still goes with the teacher before it."""
    row = make_row()
    pair = [full_sequence(row), student_sequence(row, row.block_ids == 0)]
    batch = layout([*pair, *pair])
    assert batch.student_index.tolist() == [4, 5, 10, 11] and batch.teacher_index.tolist() == [2, 3, 8, 9]


@pytest.mark.parametrize("layout", [pack, pad])
def test_batch_without_students_or_predictions(layout):
    row = make_row(answer=((9, 0),))
    row.loss_mask[:] = False
    batch = layout([full_sequence(row)])
    for array in (batch.loss_index, batch.targets, batch.sequence_index, batch.student_index, batch.teacher_index):
        assert array.shape == (0,) and array.dtype.kind == "i"


# Packs


@given(st.lists(st.integers(1, 20), max_size=40), st.integers(20, 60))
def test_best_fit_decreasing(costs, budget):
    bins = best_fit_decreasing(costs, budget)
    assert sorted(item for one in bins for item in one) == list(range(len(costs)))
    loads = [sum(costs[item] for item in one) for one in bins]
    assert all(0 < load <= budget for load in loads)
    # At most one bin is less than half full, or the two would share one
    assert sum(2 * load <= budget for load in loads) <= 1
    # The definition, item by item
    expected = []
    for item in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        room = [(budget - sum(costs[i] for i in one), number) for number, one in enumerate(expected)]
        fitting = [pair for pair in room if pair[0] >= costs[item]]
        if fitting:
            expected[min(fitting)[1]].append(item)
        else:
            expected.append([item])
    assert bins == expected


def test_best_fit_decreasing_by_hand():
    assert best_fit_decreasing([], 5) == []
    assert best_fit_decreasing([2, 5, 3, 4, 1], 5) == [[1], [3, 4], [2, 0]]
    assert best_fit_decreasing([5, 5], 5) == [[0], [1]]


def prepared(lengths):
    """Prepared rows: of each, (visible, instruction, block) tokens."""
    rows = []
    for row_id, (visible, instruction, block) in enumerate(lengths):
        size = visible + instruction + block
        rows.append(
            {
                "input_ids": list(range(row_id * 100, row_id * 100 + size)),
                "loss_mask": [1] * size,
                "block_ids": [0] * instruction + [1] * block + [VISIBLE] * visible,
                "block_types": [2] * bool(block),
                "answer_start": size - 1,
                "row_id": row_id,
            }
        )
    return Dataset.from_list(rows, features=TOKEN_FEATURES)


def test_pack_rows_keeps_every_row_whole():
    dataset = prepared([(3, 2, 4), (5, 0, 0), (2, 1, 1), (9, 0, 0), (1, 1, 9)])
    # As teacher and student: 9 + 7, 5, 4 + 3, 9, 11 + 10
    packs = pack_rows(dataset, 21)
    assert packs["row_id"] == [[4], [0, 1], [3, 2]]
    collator = DataCollatorForReflectionDistillation()
    rows = {row.row_id: row for example in packs for row in collator([example])["rows"]}
    assert sorted(rows) == list(range(5))
    for original in dataset:
        row = rows[original["row_id"]]
        for name, value in original.items():
            assert np.array_equal(getattr(row, name), value)


plain = st.tuples(st.integers(1, 20), st.just(0), st.just(0))
reflection = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 6))


@settings(max_examples=15)  # each makes three datasets
@given(st.lists(plain | reflection, min_size=1, max_size=25), st.integers(32, 60))
def test_packs_lose_and_double_no_row_and_keep_to_the_budget(lengths, budget):
    dataset = prepared(lengths)
    collator = DataCollatorForReflectionDistillation()
    originals, packed = dataset.to_list(), []
    for example in pack_rows(dataset, budget):
        rows = collator([example])["rows"]
        batch = pack(
            [
                s
                for row in rows
                for s in [full_sequence(row), student_sequence(row, row.block_ids == 0)][: 1 + row.is_reflection]
            ]
        )
        assert batch.input_ids.size <= budget, "at mask rate 0, where the student sees most"
        packed += rows
    assert sorted(row.row_id for row in packed) == list(range(len(lengths)))
    for row in packed:
        assert all(np.array_equal(getattr(row, name), value) for name, value in originals[row.row_id].items())


def test_pack_rows_after_selection():
    dataset = prepared([(3, 0, 0), (4, 0, 0), (5, 0, 0)]).select([2, 0])
    assert pack_rows(dataset, 8)["row_id"] == [[2, 0]]


def test_pack_rows_refuses_a_row_above_the_budget():
    with pytest.raises(
        ValueError, match="`token_budget` is 15, but the largest row has 16 tokens as teacher and student"
    ):
        pack_rows(prepared([(3, 2, 4), (5, 0, 0)]), 15)
    assert len(pack_rows(prepared([(3, 2, 4), (5, 0, 0)]), 16)) == 2
