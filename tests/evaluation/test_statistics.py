"""Figures and their intervals, against brute force and known values."""

import itertools
import tracemalloc
from math import comb, isclose, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reflection_trl.evaluation import statistics
from reflection_trl.evaluation.results import Outcome, Score
from reflection_trl.evaluation.statistics import (
    Rate,
    bootstrap_interval,
    compare,
    compare_means,
    failure_kinds,
    mcnemar_interval,
    mcnemar_p,
    pass_at_k,
    permutation_interval,
    permutation_p,
    pool,
    rate,
    right_answers,
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
    with pytest.raises(ValueError, match="cannot be estimated"):
        pass_at_k(*case)


def test_wilson_interval_where_it_can_be_worked_out_by_hand():
    z = NormalDist().inv_cdf(0.975)
    assert np.allclose(wilson_interval(0.0, 10), (0.0, z**2 / (10 + z**2)))
    assert np.allclose(wilson_interval(1.0, 10), (10 / (10 + z**2), 1.0))
    half = z / (2 * sqrt(20 + z**2))
    assert np.allclose(wilson_interval(0.5, 20), (0.5 - half, 0.5 + half))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_ends_where_the_share_is_z_deviations_away(case):
    right, tasks = case
    share, z = right / tasks, NormalDist().inv_cdf(0.975)
    low, high = wilson_interval(share, tasks)
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1
    for end, open_end in ((low, right > 0), (high, right < tasks)):
        if open_end:
            assert isclose(abs(share - end), z * sqrt(end * (1 - end) / tasks), abs_tol=1e-9)
    assert np.allclose(wilson_interval(1 - share, tasks), (1 - high, 1 - low))
    twice = wilson_interval(share, 2 * tasks)
    assert twice[1] - twice[0] < high - low, "more tasks are surer"


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


@given(st.integers(0, 6), st.integers(0, 6))
def test_mcnemar_is_the_share_of_splits_at_least_as_uneven(won, lost):
    n = won + lost
    splits = [abs(2 * sum(signs) - n) for signs in itertools.product((0, 1), repeat=n)] if n else [0]
    assert isclose(mcnemar_p(won, lost), sum(split >= abs(won - lost) for split in splits) / len(splits))


quarters = st.integers(-4, 4).map(lambda number: number / 4)


@given(st.lists(quarters, min_size=1, max_size=8), st.integers(0, 3))
@example([0.5, 0.25, 0.25, -0.25, 0.5, 0.75, 0.0, 0.5], 0)
@example([0.1] * 3 + [-0.3], 0)  # whose sums are 0 but for rounding
def test_permutation_test_is_near_its_exact_value(differences, seed):
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    exact = np.mean([value >= abs(sum(differences)) - 1e-9 for value in sums])
    assert abs(permutation_p(differences, seed) - exact) < 0.025  # five deviations of 10,000 draws


def test_permutation_test_is_never_sure_and_may_see_nothing():
    assert permutation_p([0.0] * 5) == 1.0
    assert permutation_p([1.0] * 60) == 1 / 10_001
    assert permutation_p([0.5] * 6, seed=1) != permutation_p([0.5] * 6, seed=2)


def test_bootstrap_agrees_with_the_normal_interval_where_that_holds():
    values = np.random.default_rng(1).random(300)
    low, high = bootstrap_interval(values)
    margin = 1.96 * values.std() / np.sqrt(len(values))
    assert abs(low - (values.mean() - margin)) < 0.005
    assert abs(high - (values.mean() + margin)) < 0.005


@given(st.lists(quarters, min_size=1, max_size=4))
def test_bootstrap_is_near_the_quantiles_of_every_draw_there_is(values):
    """All n^n draws; an end may fall on the means beside the quantile, as the share below it is estimated."""
    means = sorted(sum(draw) / len(draw) for draw in itertools.product(values, repeat=len(values)))
    for end, quantile in zip(bootstrap_interval(values), (0.025, 0.975), strict=True):
        first, last = (means[int(share * len(means))] for share in (quantile - 0.01, quantile + 0.01))
        assert first - 1e-9 <= end <= last + 1e-9


def test_draws_are_the_same_everywhere():
    """Known numbers: another version or platform must not change what was published."""
    found = bootstrap_interval([0.0, 0.1, 0.37, 1.0, 0.93, 0.58, 0.22])
    assert np.allclose(found, (0.19999999999999998, 0.7299999999999999), rtol=0, atol=1e-9)
    assert permutation_p([0.5, -0.25, 0.25, 0.5, 0.0, 0.75]) == 1847 / 10_001


@pytest.mark.parametrize("test", [bootstrap_interval, permutation_p])
def test_very_many_tasks_do_not_take_the_machines_memory(test, monkeypatch):
    values = [0.0, 1.0, -1.0] * 2000
    tracemalloc.start()
    found = test(values)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 600 << 20
    monkeypatch.setattr(statistics, "_MOST_NUMBERS", 1_000_000)  # smaller blocks are the same draws
    assert test(values) == found


def test_bootstrap_repeats_itself_and_takes_seeds():
    values = np.random.default_rng(1).random(50)
    assert bootstrap_interval(values) == bootstrap_interval(values, seed=0) != bootstrap_interval(values, seed=1)


def test_a_task_of_weight_two_counts_as_two_equal_tasks_that_are_drawn_together():
    values, weights = [1.0, 0.0, 0.5], [2.0, 1.0, 1.0]
    draws = [
        sum(values[i] * weights[i] for i in drawn) / sum(weights[i] for i in drawn)
        for drawn in itertools.product(range(3), repeat=3)
    ]
    expected = np.quantile(np.repeat(draws, 1000), [0.025, 0.975])
    assert bootstrap_interval(values, weights) == pytest.approx(tuple(expected), abs=0.01)
    assert bootstrap_interval(values, [3.0] * 3) == pytest.approx(bootstrap_interval(values))


def test_one_answer_a_task_has_wilsons_interval():
    found = rate(score(*"1110"))
    assert found.value == 0.75
    assert (found.low, found.high) == wilson_interval(0.75, 4)


def test_answers_to_one_task_are_not_counted_as_independent():
    assert rate(score("10", "11", "00", "10")) == Rate(0.5, *bootstrap_interval([0.5, 1.0, 0.0, 0.5]))
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


def test_tasks_of_one_run_alone_change_nothing():
    first, second = score("1", "1", "0", "1", "1"), score("0", "0", "0", "1")
    more = Score("humaneval", [*second.outcomes, *(Outcome("T/only-here", number, True) for number in range(3))])
    assert compare(first, more) == compare(first, second)


def test_comparison_of_several_answers_a_task():
    found = compare(score("11", "10", "11", "10", "11", "11"), score("10", "00", "01", "10", "00", "01"))
    assert (found.won, found.lost) == (5, 0)
    assert isclose(found.difference, (0.5 + 0.5 + 0.5 + 0 + 1 + 0.5) / 6)
    assert 0.03 < found.p_value < 0.1  # 2 of 32 draws of signs are as far from 0
    assert found.p_value == permutation_p([0.5, 0.5, 0.5, 0, 1, 0.5]) != mcnemar_p(5, 0)


marks = st.text("01", min_size=1, max_size=4)


@given(st.lists(st.tuples(marks, marks), min_size=1, max_size=8))
def test_either_run_may_come_first(pairs):
    first, second = (score(*several) for several in zip(*pairs, strict=True))
    there, back = compare(first, second), compare(second, first)
    shares = [mine.count("1") / len(mine) - theirs.count("1") / len(theirs) for mine, theirs in pairs]
    assert isclose(there.difference, sum(shares) / len(shares), abs_tol=1e-12)
    assert (there.won, there.lost) == (sum(one > 0 for one in shares), sum(one < 0 for one in shares))
    assert (there.tasks, there.won, there.lost, there.difference) == (
        back.tasks,
        back.lost,
        back.won,
        -back.difference,
    )
    assert there.p_value == back.p_value
    assert there.low <= there.difference + 1e-9 and there.difference <= there.high + 1e-9
    assert np.allclose((there.low, there.high), (-back.high, -back.low), atol=0.051)  # the same draws, mirrored


def test_a_run_compared_with_itself_shows_nothing():
    found = compare(score(*"1101"), score(*"1101"))
    assert (found.won, found.lost, found.difference, found.p_value) == (0, 0, 0, 1)
    # Four tasks cannot show more: Wilson's upper end of none of four
    assert (found.low, found.high) == pytest.approx((-wilson_interval(0, 4)[1], wilson_interval(0, 4)[1]))
    several = compare(score(*["10", "11", "00"] * 3), score(*["01", "11", "00"] * 3))
    assert (several.low, several.high) == pytest.approx((-wilson_interval(0, 9)[1], wilson_interval(0, 9)[1]))


def test_the_interval_of_few_tasks_says_what_the_test_says():
    """The bootstrap alone gave +28.6 [+7.1, +57.1] with p 0.125."""
    found = compare(score(*"11110000000000"), score(*"00000000000000"))
    assert (found.won, found.lost, found.p_value) == (4, 0, 0.125)
    assert found.low < 0 < found.difference < found.high


@given(
    st.lists(
        st.tuples(st.text("01", min_size=1, max_size=2), st.text("01", min_size=1, max_size=2)),
        min_size=1,
        max_size=30,
    )
)
@example([("1", "0")] * 6)  # the fewest tasks that can show a difference
@example([("1", "0")] * 5)
@example([("11", "00")] * 7)
@example([("1000", "0000")] * 8)  # all tasks differ by the same small amount
@example([("1111111110", "0000000000")] * 5)
def test_interval_and_test_agree(pairs):
    first, second = (score(*several) for several in zip(*pairs, strict=True))
    for found in (compare(first, second), compare_means([first], [second])):
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)
        assert -1 <= found.low <= found.difference + 1e-9 and found.difference - 1e-9 <= found.high <= 1
        assert found.high > found.low


def test_intervals_agree_with_scipy():
    from scipy.stats import binomtest

    for successes, trials in [(0, 7), (7, 7), (3, 10), (40, 90), (900, 2000)]:
        expected = binomtest(successes, trials).proportion_ci(0.95, method="exact")
        assert np.allclose(statistics._clopper_pearson(successes, trials), (expected.low, expected.high))


def test_mcnemar_interval_where_it_can_be_worked_out_by_hand():
    # All of the discordant tasks are won, so the balance has the lower end 2 * 0.025^(1/n) - 1 and the upper end 1
    fewest, most = wilson_interval(10 / 50, 50)
    assert np.allclose(mcnemar_interval(10, 0, 50), (fewest * (2 * 0.025**0.1 - 1), most))
    assert np.allclose(mcnemar_interval(0, 10, 50), [-end for end in mcnemar_interval(10, 0, 50)[::-1]])
    assert np.allclose(mcnemar_interval(0, 0, 4), (-wilson_interval(0, 4)[1], wilson_interval(0, 4)[1]))


def test_permutation_interval_of_equal_differences_where_it_can_be_worked_out_by_hand():
    margin = wilson_interval(0, 8)[1]
    # The test rejects 0, so the lower end is that of the share of tasks with this sign, 0.025^(1/8), on the scale of the difference
    assert permutation_p([0.25] * 8) < 0.05
    assert np.allclose(permutation_interval([0.25] * 8), (0.25 * (2 * 0.025 ** (1 / 8) - 1), 0.25 + margin))
    assert np.allclose(permutation_interval([-0.25] * 8), (-0.25 - margin, -0.25 * (2 * 0.025 ** (1 / 8) - 1)))
    assert np.allclose(permutation_interval([0.5] * 8), (0.5 - margin, 0.5 + margin))


def test_permutation_interval_is_what_the_test_does_not_reject():
    values = np.random.default_rng(3).normal(0.1, 0.2, 40).clip(-1, 1)
    low, high = permutation_interval(values)
    for end, outwards in ((low, -1), (high, 1)):
        inside, outside = end - outwards * 1e-6, end + outwards * 1e-3
        assert permutation_p(values - inside) >= 0.05 > permutation_p(values - outside)
    # On well-behaved numbers it is the t interval
    margin = 2.02 * values.std(ddof=1) / np.sqrt(len(values))
    assert np.allclose((low, high), (values.mean() - margin, values.mean() + margin), atol=0.01)


def test_permutation_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    samples = generator.choice([-0.5, 0.0, 0.5, 1.0], p=[0.2, 0.4, 0.2, 0.2], size=(200, 25))
    covered = [low <= 0.2 <= high for low, high in map(permutation_interval, samples)]
    assert 0.9 <= np.mean(covered) <= 0.99


def test_comparison_refuses_what_has_nothing_in_common():
    with pytest.raises(ValueError, match=r"humaneval and mbpp cannot be compared"):
        compare(score("1"), score("1", benchmark="mbpp"))
    with pytest.raises(ValueError, match="no problem of humaneval in common"):
        compare(score("1"), Score("humaneval", [Outcome("T/9", 0, True)]))


def test_pooled_answers_are_further_answers_to_the_same_tasks():
    pooled = pool([score("1", "0"), score("01", "11"), Score("humaneval", []), score("0", "1")])
    assert pooled.benchmark == "humaneval"
    assert pool([score("1")]) == score("1")
    assert right_answers(pooled) == {"T/0": (4, 2), "T/1": (4, 3)}
    assert [outcome.sample for outcome in pooled.outcomes if outcome.task_id == "T/0"] == [0, 1, 2, 3]
    assert rate(pooled).value == (2 / 4 + 3 / 4) / 2
    with pytest.raises(ValueError, match="of the same benchmark can be pooled, got humaneval, mbpp"):
        pool([score("1"), score("1", benchmark="mbpp")])
    with pytest.raises(ValueError, match="can be pooled, got none"):
        pool([])


def test_each_benchmark_counts_alike_in_a_mean():
    small, large = score(*"10", benchmark="humaneval"), score(*"0000000011", benchmark="mbpp")
    nothing = [score(*"00", benchmark="humaneval"), score(*"0" * 10, benchmark="mbpp")]
    found = compare_means([small, large], nothing)
    assert isclose(found.difference, (1 / 2 + 2 / 10) / 2)
    assert (found.tasks, found.won, found.lost) == (12, 3, 0)
    assert found.low <= found.difference <= found.high
    # Of the eight ways in which three tasks can fall, two are as far from 0
    assert isclose(found.p_value, 2 / 8, abs_tol=0.02)


def test_tasks_of_a_small_benchmark_weigh_more_in_a_mean():
    first = [score(*"10"), score(*"0000000000", benchmark="mbpp")]
    second = [score(*"00"), score(*"1110000000", benchmark="mbpp")]
    weights = [1 / 2, -1 / 10, -1 / 10, -1 / 10]
    sums = [abs(np.dot(signs, weights)) for signs in itertools.product((-1, 1), repeat=4)]
    exact = np.mean([value >= abs(sum(weights)) - 1e-9 for value in sums])
    assert isclose(compare_means(first, second).p_value, exact, abs_tol=0.02)


def test_a_mean_over_two_benchmarks_is_surer_than_either():
    def runs(benchmark):
        return score(*"1101" * 25, benchmark=benchmark), score(*"0101" * 25, benchmark=benchmark)

    alone = compare(*runs("humaneval"))
    mean = compare_means(*zip(runs("humaneval"), runs("mbpp"), strict=True))
    assert mean.difference == alone.difference
    assert isclose((mean.high - mean.low) / (alone.high - alone.low), sqrt(1 / 2), rel_tol=0.1)


def test_a_mean_over_one_benchmark_is_that_benchmark():
    first, second = score(*["110", "100", "010", "111"] * 10), score(*["010", "110", "000", "101"] * 10)
    alone, mean = compare(first, second), compare_means([first], [second])
    assert (mean.tasks, mean.won, mean.lost, mean.difference) == (
        alone.tasks, alone.won, alone.lost, alone.difference,
    )  # fmt: skip
    assert isclose(mean.low, alone.low, abs_tol=0.01) and isclose(mean.high, alone.high, abs_tol=0.01)
    assert isclose(mean.p_value, alone.p_value, abs_tol=0.02)


def test_means_of_different_benchmarks_are_refused():
    with pytest.raises(ValueError, match="cannot be compared problem by problem"):
        compare_means([score("1"), score("1", benchmark="mbpp")], [score("1", benchmark="mbpp"), score("1")])
    with pytest.raises(ValueError, match="shorter"):
        compare_means([score("1"), score("1", benchmark="mbpp")], [score("1")])


def test_failure_kinds_are_counted():
    outcomes = [Outcome("a", 0, False, kind) for kind in ("type", "syntax", "import", "type")] + [
        Outcome("b", 0, True)
    ]
    assert [*failure_kinds(Score("humaneval", outcomes)).items()] == [("type", 2), ("import", 1), ("syntax", 1)]
