"""The share of repaired sequences: reached exactly, whichever rollouts there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.builder.selection import difficulty_quotas, select


def records(repaired):
    return [{"problem_id": f"p{number}", "sample": 0, "repaired": one} for number, one in enumerate(repaired)]


@given(st.lists(st.booleans(), max_size=40), st.floats(0, 1))
def test_the_share_is_reached_and_nothing_more_is_left_out(repaired, share):
    found = records(repaired)
    kept, aside = select(found, share)
    assert sorted(map(found.index, kept + aside)) == list(range(len(found)))
    assert kept == [one for one in found if one in kept] and aside == [one for one in found if one in aside]
    assert not any(one["repaired"] for one in aside)
    count = sum(repaired)
    if kept:
        assert count / len(kept) >= share - 1e-9
    if aside:  # one more would be too many
        assert count / (len(kept) + 1) < share + 1e-9


@pytest.mark.parametrize(("share", "rows"), [(0, 10), (0.2, 10), (0.5, 4), (0.4, 5), (1, 2)])
def test_two_repairs_of_ten(share, rows):
    assert len(select(records([True] * 2 + [False] * 8), share)[0]) == rows


def test_without_repairs_any_share_leaves_nothing():
    kept, aside = select(records([False] * 3), 0.01)
    assert kept == [] and len(aside) == 3


def test_the_order_does_not_matter():
    found = records([True] * 2 + [False] * 8)
    kept = select(found, 0.5)[0]
    assert select(found[::-1], 0.5)[0] == kept[::-1]


def test_every_problem_has_one_before_any_has_two():
    found = [
        {"problem_id": problem, "sample": sample, "repaired": problem == "hard"}
        for problem, samples in {"easy": 16, "other": 2, "third": 1, "hard": 4}.items()
        for sample in range(samples)
    ]
    kept = [record["problem_id"] for record in select(found, 0.5)[0]]
    assert sorted(kept) in (
        ["easy", *["hard"] * 4, "other", "other", "third"],
        [*["easy"] * 2, *["hard"] * 4, "other", "third"],
    )
    assert select(found[::-1], 0.5)[0] == select(found, 0.5)[0][::-1]


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_out_of_range(share):
    with pytest.raises(ValueError, match=r"`min_repaired_share` must be between 0 and 1"):
        select([], share)


def test_the_quota_of_a_problem_is_what_the_model_does_not_solve_without_a_sequence():
    rates = {"always": 1.0, "nearly": 0.75, "half": 0.5, "never": 0.0, "unknown": None}
    assert difficulty_quotas(rates, 4) == {"always": 0, "nearly": 1, "half": 2, "never": 4}
    assert difficulty_quotas({"three of ten": 0.7}, 10) == {"three of ten": 3}  # no row more for a rounding error


def test_rows_beyond_the_quota_are_set_aside_whatever_they_show():
    found = [
        {"problem_id": problem, "sample": sample, "repaired": sample % 2 == 0}
        for problem in ("a", "b", "c")
        for sample in range(4)
    ]
    kept, aside = select(found, 0.0, {"a": 0, "b": 2})
    assert [one["problem_id"] for one in kept] == ["b"] * 2 + ["c"] * 4
    assert [*map(id, sorted([*kept, *aside], key=found.index))] == [*map(id, found)]
    again, _ = select([*reversed(found)], 0.0, {"a": 0, "b": 2})
    assert {(one["problem_id"], one["sample"]) for one in again} == {
        (one["problem_id"], one["sample"]) for one in kept
    }
    kept, _ = select(found, 1.0, {"a": 0, "b": 2})
    assert all(one["repaired"] and one["problem_id"] != "a" for one in kept)
