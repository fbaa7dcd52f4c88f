"""Figures and their intervals, against brute force and known values."""

import itertools
from math import comb, isclose, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflection_trl.evaluation.results import Outcome, Score
from reflection_trl.evaluation.statistics import (
    bootstrap_interval,
    compare,
    failure_kinds,
    mcnemar_p,
    pass_at_k,
    permutation_p,
    rate,
    wilson_interval,
)


def score(*marks, benchmark="humaneval"):
    """One task for each text of 0 and 1, one answer for each letter."""
    return Score(
        benchmark,
        [
            Outcome(f"T/{task}", number, mark == "1", "none" if mark == "1" else "wrong_answer")
            for task, answers in enumerate(marks)
            for number, mark in enumerate(answers)
        ],
    )


@settings(deadline=None)
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_answer(case):
    answers, right, k = case
    draws = list(itertools.combinations([1] * right + [0] * (answers - right), k))
    assert isclose(pass_at_k(answers, right, k), sum(map(any, draws)) / len(draws))


def test_pass_at_k_agrees_with_evalplus():
    evalplus = pytest.importorskip("evalplus.eval")
    for answers, right, k in [(200, 0, 10), (200, 3, 100), (200, 150, 1), (100, 1, 100)]:
        (expected,) = evalplus.estimate_pass_at_k(answers, [right], k)
        assert isclose(pass_at_k(answers, right, k), expected, rel_tol=1e-9)


@pytest.mark.parametrize("case", [(5, 6, 1), (5, -1, 1), (5, 2, 6), (5, 2, 0)])
def test_pass_at_k_refuses_what_cannot_be(case):
    with pytest.raises(ValueError, match="cannot be told"):
        pass_at_k(*case)


def test_wilson_interval_where_it_can_be_worked_out_by_hand():
    z = NormalDist().inv_cdf(0.975)
    assert np.allclose(wilson_interval(0.0, 10), (0.0, z**2 / (10 + z**2)))
    assert np.allclose(wilson_interval(1.0, 10), (10 / (10 + z**2), 1.0))
    half = z / (2 * sqrt(20 + z**2))
    assert np.allclose(wilson_interval(0.5, 20), (0.5 - half, 0.5 + half))


def test_wilson_interval_agrees_with_scipy():
    binomtest = pytest.importorskip("scipy.stats").binomtest
    for right, tasks in [(123, 164), (1, 164), (232, 378), (377, 378)]:
        expected = binomtest(right, tasks).proportion_ci(0.95, method="wilson")
        assert np.allclose(wilson_interval(right / tasks, tasks), (expected.low, expected.high))


def test_wilson_interval_covers_the_truth_about_as_often_as_it_says():
    def coverage(p, n=40):
        covers = (k for k in range(n + 1) if wilson_interval(k / n, n)[0] <= p <= wilson_interval(k / n, n)[1])
        return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in covers)

    assert 0.94 < np.mean([coverage(p) for p in np.linspace(0.05, 0.95, 91)]) < 0.96


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(0, 6))
def test_mcnemar_is_the_share_of_splits_at_least_as_uneven(won, lost):
    n = won + lost
    splits = [abs(2 * sum(signs) - n) for signs in itertools.product((0, 1), repeat=n)] if n else [0]
    assert isclose(mcnemar_p(won, lost), sum(split >= abs(won - lost) for split in splits) / len(splits))


def test_permutation_test_is_near_its_exact_value():
    differences = [0.5, 0.25, 0.25, -0.25, 0.5, 0.75, 0.0, 0.5]
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    exact = np.mean([value >= abs(sum(differences)) - 1e-12 for value in sums])
    assert abs(permutation_p(differences) - exact) < 0.01
    assert permutation_p([0.0] * 5) == 1.0


def test_bootstrap_agrees_with_the_normal_interval_where_that_holds():
    values = np.random.default_rng(1).random(300)
    low, high = bootstrap_interval(values)
    margin = 1.96 * values.std() / np.sqrt(len(values))
    assert abs(low - (values.mean() - margin)) < 0.005
    assert abs(high - (values.mean() + margin)) < 0.005
    assert bootstrap_interval(values) == (low, high)


def test_one_answer_a_task_has_wilsons_interval():
    found = rate(score(*"1110"))
    assert found.value == 0.75
    assert (found.low, found.high) == wilson_interval(0.75, 4)


def test_answers_to_one_task_are_not_counted_as_independent():
    few, many = rate(score("10", "11", "00", "10")), rate(score(*["10" * 50, "11" * 50, "00" * 50, "10" * 50]))
    assert few.value == many.value == 0.5
    assert (few.low, few.high) == (many.low, many.high)


def test_tasks_that_all_agree_do_not_make_an_interval_of_no_width():
    assert rate(score("11", "11", "11")).low < 0.5
    assert rate(score("00", "00", "00")).high > 0.5


def test_pass_at_k_of_a_score():
    assert rate(score("10", "00"), 2).value == 0.5
    assert rate(score("10", "00"), 1).value == 0.25
    with pytest.raises(ValueError, match="no answers"):
        rate(Score("humaneval", []))


def test_comparison_is_task_by_task():
    found = compare(score(*"1101011"), score(*"1010010"))
    assert (found.tasks, found.won, found.lost) == (7, 3, 1)
    assert isclose(found.difference, 2 / 7)
    assert found.low <= found.difference <= found.high
    assert found.p_value == mcnemar_p(3, 1)


def test_comparison_takes_the_tasks_that_both_have_in_whatever_order():
    mine, theirs = score(*"110"), score(*"10")
    assert compare(mine, Score("humaneval", theirs.outcomes[::-1])).tasks == 2


def test_comparison_of_several_answers_a_task():
    found = compare(score("11", "10", "11", "10", "11", "11"), score("10", "00", "01", "10", "00", "01"))
    assert (found.won, found.lost) == (5, 0)
    assert isclose(found.difference, (0.5 + 0.5 + 0.5 + 0 + 1 + 0.5) / 6)
    assert 0.03 < found.p_value < 0.1  # 2 of 32 draws of signs are as far from 0


def test_a_run_compared_with_itself_shows_nothing():
    found = compare(score(*"1101"), score(*"1101"))
    assert (found.won, found.lost, found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 0, 0, 1)


def test_comparison_refuses_what_has_nothing_in_common():
    with pytest.raises(ValueError, match=r"humaneval and mbpp cannot be compared"):
        compare(score("1"), score("1", benchmark="mbpp"))
    with pytest.raises(ValueError, match="no task of humaneval in common"):
        compare(score("1"), Score("humaneval", [Outcome("T/9", 0, True)]))


def test_failure_kinds_are_counted():
    outcomes = [Outcome("a", 0, False, kind) for kind in ("name", "syntax", "name")] + [Outcome("b", 0, True)]
    assert list(failure_kinds(Score("humaneval", outcomes)).items()) == [("name", 2), ("syntax", 1)]
