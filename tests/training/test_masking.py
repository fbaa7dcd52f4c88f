"""Dynamic masking: every schedule and strategy by hand, and what must hold for all of them."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.rendering import VISIBLE
from reflection_trl.sequences import BLOCK_TYPES
from reflection_trl.training.masking import (
    MASK_SCHEDULES,
    MASK_STRATEGIES,
    failed_attempts,
    hidden_tokens,
    mask_rate,
    row_generator,
)


EXECUTION, TEXT, CODE = (BLOCK_TYPES.index(name) for name in ("execution", "text", "code"))

# BOS | instruction of 2 | text of 1 | code of 2 | execution of 1 | text of 2 | re-answer turn and answer of 3
BLOCK_IDS = np.array([-1, 0, 0, 1, 2, 2, 3, 4, 4, -1, -1, -1])
BLOCKS = np.array([TEXT, CODE, EXECUTION, TEXT])


def hidden(rate, strategy, seed=0, **kwargs):
    mask = hidden_tokens(BLOCK_IDS, BLOCKS, rate, strategy, rng=np.random.default_rng(seed), **kwargs)
    assert mask.dtype == bool and mask.shape == BLOCK_IDS.shape
    return np.flatnonzero(mask).tolist()


# Attempts


@pytest.mark.parametrize(
    ("blocks", "failed"),
    [
        ("tcetcet", "ttffffff"),
        ("tcetcetcet", "ttfttfffff"),
        ("cete", "ffff"),  # the text before a second run holds no code, so the one attempt was the last
        ("cetce", "tffff"),
        ("cecet", "fffff"),  # tests in a turn of their own
        ("tcecetcecet", "ttftfffffff"),  # a repair starts with its analysis
        ("tctceetc", "ttttffff"),  # two programs before one run are one attempt; the last one need not be run
        ("tct", "fff"),
        ("tt", "ff"),
        (
            "tet",
            "fff",
        ),  # without any code, each text before a verdict is an attempt, and the one behind the last is not
        ("tetet", "tffff"),
        ("e", "f"),
        ("", ""),
    ],
)
def test_all_attempts_but_the_last_failed(blocks, failed):
    types = np.array([{"t": TEXT, "c": CODE, "e": EXECUTION}[block] for block in blocks], dtype=np.int64)
    expected = [mark == "t" for mark in failed[: len(blocks)]]
    assert failed_attempts(types).tolist() == expected


# Schedules


@pytest.mark.parametrize(
    ("schedule", "kwargs", "expected"),
    [
        ("linear", {}, [0.25, 0.5, 0.75, 1.0]),
        ("linear", {"start": 0.2, "end": 0.6}, [0.3, 0.4, 0.5, 0.6]),
        ("cosine", {}, [(1 - math.sqrt(0.5)) / 2, 0.5, (1 + math.sqrt(0.5)) / 2, 1.0]),
        ("cosine", {"start": 0.5}, [0.5 + (1 - math.sqrt(0.5)) / 4, 0.75, 0.5 + (1 + math.sqrt(0.5)) / 4, 1.0]),
        ("step", {}, [0.0, 1 / 3, 2 / 3, 1.0]),
        ("step", {"num_levels": 2}, [0.0, 0.0, 1.0, 1.0]),
        ("step", {"num_levels": 3}, [0.0, 0.5, 1.0, 1.0]),
        ("step", {"num_levels": 2, "start": 0.5, "end": 0.75}, [0.5, 0.5, 0.75, 0.75]),
        ("constant", {}, [1.0, 1.0, 1.0, 1.0]),
        ("constant", {"start": 0.1, "end": 0.4}, [0.4, 0.4, 0.4, 0.4]),
    ],
)
def test_schedules_by_hand(schedule, kwargs, expected):
    assert [mask_rate(step, 4, schedule, **kwargs) for step in range(4)] == pytest.approx(expected, abs=1e-12)


def test_published_schedule_is_the_default():
    assert [mask_rate(step, 5) for step in range(5)] == [1 / 5, 2 / 5, 3 / 5, 4 / 5, 1.0]


@pytest.mark.parametrize("schedule", MASK_SCHEDULES)
@given(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1), st.integers(2, 9))
def test_schedules_grow_to_the_end_rate(schedule, max_steps, a, b, levels):
    start, end = sorted((a, b))
    rates = [mask_rate(step, max_steps, schedule, start, end, levels) for step in range(max_steps + 2)]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(rates))
    assert all(start - 1e-12 <= rate <= end + 1e-12 for rate in rates)
    assert rates[max_steps - 1] == rates[max_steps] == rates[-1] == end  # the last step, and any after it, exactly


@given(st.integers(2, 100), st.integers(1, 5))
def test_step_schedule_spends_equal_time_on_each_level(levels, each):
    rates = [mask_rate(step, levels * each, "step", num_levels=levels) for step in range(levels * each)]
    assert rates == [level / (levels - 1) for level in range(levels) for _ in range(each)]


def test_unknown_names():
    with pytest.raises(
        ValueError, match="Unknown mask schedule 'exponential'; use one of linear, cosine, constant, step"
    ):
        mask_rate(0, 1, "exponential")
    with pytest.raises(
        ValueError, match="Unknown mask strategy 'random_blockmask'; use one of block-type, random-block"
    ):
        hidden(0.5, "random_blockmask")


@pytest.mark.parametrize("strategy", ["random-block", "random-token"])
def test_random_strategies_need_random_numbers(strategy):
    with pytest.raises(ValueError, match=r"^The `random-\*` strategies need random numbers; pass `rng=row_generator"):
        hidden_tokens(BLOCK_IDS, BLOCKS, 0.5, strategy)


# Strategies


@pytest.mark.parametrize(
    ("rate", "order", "expected"),
    [
        (0.0, ("execution", "text", "code"), [1, 2]),
        (0.01, ("execution", "text", "code"), [1, 2, 6]),
        (0.3299, ("execution", "text", "code"), [1, 2, 6]),
        (0.33, ("execution", "text", "code"), [1, 2, 3, 6, 7, 8]),
        (0.6699, ("execution", "text", "code"), [1, 2, 3, 6, 7, 8]),
        (0.67, ("execution", "text", "code"), [1, 2, 3, 4, 5, 6, 7, 8]),
        (1.0, ("execution", "text", "code"), [1, 2, 3, 4, 5, 6, 7, 8]),
        (0.01, ("text", "code", "execution"), [1, 2, 3, 7, 8]),
        (0.5, ("text", "code", "execution"), [1, 2, 3, 4, 5, 7, 8]),
        (0.5, ("code", "execution", "text"), [1, 2, 4, 5, 6]),
    ],
)
def test_block_type_by_hand(rate, order, expected):
    assert hidden(rate, "block-type", order=order) == expected
    if order == BLOCK_TYPES:  # both are the defaults
        assert np.flatnonzero(hidden_tokens(BLOCK_IDS, BLOCKS, rate)).tolist() == expected


def test_an_order_names_each_type():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        hidden(0.5, "block-type", order=("text", "code", "execution", "text"))


@pytest.mark.parametrize(
    ("rate", "strategy", "expected"),
    [
        (0.0, "sequential-block", [1, 2]),
        (1e-9, "sequential-block", [1, 2, 3]),
        (0.25, "sequential-block", [1, 2, 3]),
        (0.26, "sequential-block", [1, 2, 3, 4, 5]),
        (0.75, "sequential-block", [1, 2, 3, 4, 5, 6]),
        (1.0, "sequential-block", [1, 2, 3, 4, 5, 6, 7, 8]),
        (0.0, "sequential-token", [1, 2]),
        (1 / 6, "sequential-token", [1, 2, 3]),
        (0.4, "sequential-token", [1, 2, 3, 4, 5]),
        (1.0, "sequential-token", [1, 2, 3, 4, 5, 6, 7, 8]),
        (0.0, "all", [1, 2, 3, 4, 5, 6, 7, 8]),
        (1.0, "none", [1, 2]),
    ],
)
def test_sequential_all_and_none_by_hand(rate, strategy, expected):
    assert hidden(rate, strategy) == expected


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.25, 0.3, 0.5, 0.75, 1.0])
def test_random_strategies_count_and_reach(rate):
    tokens_of = {1: {3}, 2: {4, 5}, 3: {6}, 4: {7, 8}}
    seen_blocks, seen_tokens = set(), set()
    for seed in range(60):
        blocks = set(hidden(rate, "random-block", seed)) - {1, 2}
        chosen = {block for block, tokens in tokens_of.items() if tokens <= blocks}
        assert blocks == set().union(*(tokens_of[block] for block in chosen)), "blocks are hidden as a whole"
        assert len(chosen) == math.ceil(rate * 4)
        tokens = set(hidden(rate, "random-token", seed)) - {1, 2}
        assert len(tokens) == math.ceil(rate * 6) and tokens <= {3, 4, 5, 6, 7, 8}
        seen_blocks |= chosen
        seen_tokens |= tokens
    if rate:
        assert seen_blocks == {1, 2, 3, 4} and seen_tokens == {3, 4, 5, 6, 7, 8}


def test_share_is_exact():
    """7 of 100 is 7, although 0.07 * 100 is a little more in floating point."""
    block_ids, blocks = np.arange(1, 101), np.zeros(100, dtype=int)
    for strategy in ("sequential-block", "sequential-token", "random-block", "random-token"):
        for step in range(100):
            mask = hidden_tokens(block_ids, blocks, mask_rate(step, 100), strategy, rng=np.random.default_rng(0))
            assert mask.sum() == step + 1


@st.composite
def rows(draw):
    blocks = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=8))
    ids = [VISIBLE] * draw(st.integers(0, 3)) + [0] * draw(st.integers(1, 4))
    for number, (_, length) in enumerate(blocks, start=1):
        ids += [number] * length
    ids += [VISIBLE] * draw(st.integers(1, 5))
    return np.array(ids), np.array([kind for kind, _ in blocks], dtype=np.int64)


orders = st.permutations(BLOCK_TYPES)


@pytest.mark.parametrize("strategy", MASK_STRATEGIES)
@given(rows(), st.lists(st.floats(0, 1), min_size=2, max_size=6), orders, st.integers(0, 1000))
def test_properties(strategy, row, rates, order, seed):
    block_ids, block_types = row
    untouched = block_ids.copy(), block_types.copy()

    def mask(rate):
        return hidden_tokens(block_ids, block_types, rate, strategy, tuple(order), np.random.default_rng(seed))

    masks = [mask(rate) for rate in sorted(rates)]
    for fewer, more in itertools.pairwise(masks):
        assert not (fewer & ~more).any(), "the hidden set only grows with the rate"
    for one in masks:
        assert not one[block_ids == VISIBLE].any(), "prefix, re-answer turn and answer are always seen"
        assert one[block_ids == 0].all(), "the reflection instruction is always hidden"
        if not strategy.endswith("token"):
            for block in range(1, len(block_types) + 1):
                assert len(set(one[block_ids == block])) <= 1
    in_blocks = block_ids > 0
    assert mask(0.0)[in_blocks].any() == (strategy == "all" and in_blocks.any())
    assert mask(1.0)[in_blocks].all() == (strategy != "none" or not in_blocks.any())
    assert (block_ids == untouched[0]).all() and (block_types == untouched[1]).all()


@pytest.mark.parametrize("strategy", ["sequential-block", "random-block", "sequential-token", "random-token"])
@given(rows(), st.integers(0, 60), st.integers(1, 60), st.integers(0, 1000))
def test_shares_are_rounded_up_as_fractions_are(strategy, row, numerator, denominator, seed):
    block_ids, block_types = row
    rate = min(numerator / denominator, 1.0)
    mask = hidden_tokens(block_ids, block_types, rate, strategy, rng=np.random.default_rng(seed))
    exact = min(Fraction(numerator, denominator), Fraction(1))
    if strategy.endswith("token"):
        assert mask[block_ids > 0].sum() == math.ceil(exact * int((block_ids > 0).sum()))
    else:
        sizes = np.bincount(block_ids[block_ids > 0], minlength=len(block_types) + 1)[1:]
        empty = int((sizes == 0).sum())  # whether these are among the chosen cannot be seen
        chosen = len(set(block_ids[mask & (block_ids > 0)]))
        assert math.ceil(exact * len(block_types)) - empty <= chosen <= math.ceil(exact * len(block_types))


@pytest.mark.parametrize("strategy", MASK_STRATEGIES)
def test_plain_rows_hide_nothing(strategy):
    mask = hidden_tokens(
        np.full(5, VISIBLE), np.array([], dtype=np.int64), 1.0, strategy, rng=np.random.default_rng(0)
    )
    assert not mask.any()


# Random numbers


def test_generators_depend_on_seed_step_and_row_only():
    draw = {
        (seed, step, row): tuple(row_generator(seed, step, row).permutation(50))
        for seed in (0, 1, 42)
        for step in (0, 1, 1000)
        for row in (0, 1, 2**40)
    }
    assert len(set(draw.values())) == len(draw), "no two of them alike"
    again = {key: tuple(row_generator(*key).permutation(50)) for key in reversed(draw)}
    assert draw == again, "in any order"


def test_generators_are_the_same_everywhere():
    """Known numbers: another version or platform must not change the masks of a resumed run."""
    assert row_generator(42, 3, 7).permutation(8).tolist() == [5, 4, 0, 7, 2, 3, 1, 6]


@pytest.mark.parametrize("strategy", ["random-block", "random-token"])
def test_random_strategies_ask_for_random_numbers(strategy):
    with pytest.raises(ValueError, match="pass `rng="):
        hidden_tokens(np.array([1, 1, 2]), np.array([0, 1]), 0.5, strategy)
