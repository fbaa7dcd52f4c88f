"""Computes pass@k, its interval, and the significance of differences between runs, as pure functions of plain numbers.

Benchmarks are small, so a difference of a few tasks is often chance. The unit of sampling is the task: answers to one
task are not independent of each other, so every interval and test here is over tasks.

An interval of a difference and its test agree: 0 is outside the interval exactly if p < 0.05. The bootstrap is too
narrow if few tasks differ. If it contradicts the test, the interval is the set of differences that the test does not
reject.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb, lgamma, sqrt
from statistics import NormalDist, fmean

import numpy as np

from .results import Score


_RESAMPLES = 10_000
_LEVEL = 0.05
# Random samples that are held in memory at a time: your own set may have many more tasks than a benchmark
_MOST_NUMBERS = 20_000_000


@dataclass(frozen=True)
class Rate:
    """
    Holds a share with its 95 % interval, all from 0 to 1.

    Args:
        value (`float`):
            The share.
        low (`float`):
            Lower end of the interval.
        high (`float`):
            Upper end of the interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """
    Compares two runs on the same tasks of one benchmark.

    Args:
        tasks (`int`):
            Number of tasks that both runs answered.
        won (`int`):
            Number of tasks that the first solves more often than the second: with one answer each, solves alone.
        lost (`int`):
            Number of tasks that the second solves more often.
        difference (`float`):
            Pass@1 of the first minus that of the second.
        low, high (`float`):
            95 % interval of the difference. 0 is outside it exactly if `p_value` is below 0.05.
        p_value (`float`):
            P-value of the difference: McNemar's exact test with one answer each, else a permutation test over tasks.
    """

    tasks: int
    won: int
    lost: int
    difference: float
    low: float
    high: float
    p_value: float


def pass_at_k(answers: int, right: int, k: int) -> float:
    """
    Returns the unbiased estimate of the probability that at least one of `k` answers is correct.

    Args:
        answers (`int`):
            Number of sampled answers.
        right (`int`):
            Number of correct ones.
        k (`int`):
            At most `answers`.

    Raises:
        ValueError: If `right` is not in [0, `answers`], or `k` not in [1, `answers`].
    """
    if not 0 <= right <= answers or not 1 <= k <= answers:
        raise ValueError(
            f"pass@{k} cannot be estimated from {right} correct answers out of {answers}: sample at least {k}."
        )
    return 1.0 - comb(answers - right, k) / comb(answers, k)


def wilson_interval(share: float, tasks: int) -> tuple[float, float]:
    """
    Returns Wilson's 95 % interval of a share of `tasks` that succeed or fail.

    Args:
        share (`float`):
            Share, from 0 to 1.
        tasks (`int`):
            Number of tasks.
    """
    z = NormalDist().inv_cdf(0.975)
    center = share + z**2 / (2 * tasks)
    margin = z * sqrt(share * (1 - share) / tasks + (z / (2 * tasks)) ** 2)
    scale = 1 + z**2 / tasks
    return max(0.0, (center - margin) / scale), min(1.0, (center + margin) / scale)


def bootstrap_interval(
    values: Sequence[float], weights: Sequence[float] | None = None, seed: int = 0
) -> tuple[float, float]:
    """
    Returns the 95 % interval of the mean of `values`, one per task, by a bootstrap over tasks.

    Args:
        values (`Sequence[float]`):
            One value per task.
        weights (`Sequence[float]`, *optional*):
            Weight of each task; equal by default.
        seed (`int`, *optional*, defaults to `0`):
            Seed of the bootstrap.
    """
    low, high = np.quantile(_resampled_means(values, np.random.default_rng(seed), weights), [0.025, 0.975])
    return float(low), float(high)


def mcnemar_p(won: int, lost: int) -> float:
    """
    Returns the two-sided p-value of McNemar's exact test, for the tasks that only one side solves.

    Args:
        won (`int`):
            Number of tasks that only the first solves.
        lost (`int`):
            Number of tasks that only the second solves.
    """
    discordant = won + lost
    tail = sum(comb(discordant, count) for count in range(min(won, lost) + 1))
    return min(1.0, 2 * tail / 2**discordant)


def mcnemar_interval(won: int, lost: int, tasks: int) -> tuple[float, float]:
    """
    Returns the 95 % interval of a difference of two runs with one answer per task, which agrees with [`mcnemar_p`].

    The difference is the share of tasks that only one side solves, times the excess of the first side among them. The
    interval of the latter is Clopper and Pearson's, so that 0 is outside exactly if McNemar's exact test rejects. That
    of the former is Wilson's, so that runs which agree on every task get an interval whose width fits their number.

    Args:
        won (`int`):
            Number of tasks that only the first solves.
        lost (`int`):
            Number of tasks that only the second solves.
        tasks (`int`):
            Number of all tasks.
    """
    fewest, most = wilson_interval((won + lost) / tasks, tasks)
    balance_low, balance_high = (2 * share - 1 for share in _clopper_pearson(won, won + lost))
    low = balance_low * (most if balance_low < 0 else fewest)
    high = balance_high * (most if balance_high > 0 else fewest)
    return low, high


def permutation_interval(
    differences: Sequence[float], weights: Sequence[float] | None = None, seed: int = 0
) -> tuple[float, float]:
    """
    Returns the differences that [`permutation_p`] does not reject at 5 %, from the lowest to the highest.

    Args:
        differences (`Sequence[float]`):
            One difference per task, from -1 to 1.
        weights (`Sequence[float]`, *optional*):
            Weight of each task; equal by default.
        seed (`int`, *optional*, defaults to `0`):
            Seed of the random signs, which are those of [`permutation_p`].
    """
    numbers = np.asarray(differences, dtype=float)
    counts = np.full(len(numbers), 1 / len(numbers)) if weights is None else np.asarray(weights, dtype=float)
    counts = counts / counts.sum()
    flipped, flipped_weights = (
        np.concatenate(parts) for parts in zip(*_signed(numbers * counts, counts, seed), strict=True)
    )
    estimate = float(numbers @ counts)

    def is_rejected(difference: float) -> bool:
        as_far = np.abs(flipped - difference * flipped_weights) >= abs(estimate - difference) - 1e-12
        return bool((np.count_nonzero(as_far) + 1) / (_RESAMPLES + 1) < _LEVEL)

    ends = []
    for outermost in (-1.0, 1.0):
        inside, outside = estimate, outermost
        if not is_rejected(outside):
            ends.append(outside)
            continue
        for _ in range(40):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if is_rejected(middle) else (middle, outside)
        ends.append(inside)
    low, high = ends
    if high - low < 1e-9:  # all tasks differ equally
        return _equal_differences_interval(estimate, len(numbers))
    return low, high


def _equal_differences_interval(difference: float, tasks: int) -> tuple[float, float]:
    """
    Returns the 95 % interval of a difference that is the same for every task, so that there is no spread.

    Its width is Wilson's for the number of tasks. If that and the permutation test disagree on 0, the end near 0 is the one of
    Clopper and Pearson's interval for the share of tasks with this sign. The test rejects 0 exactly if that share is above a half.
    """
    margin = wilson_interval(0.0, tasks)[1]
    nearest, farthest = abs(difference) - margin, min(1.0, abs(difference) + margin)
    by_sign = abs(difference) * (2 * _clopper_pearson(tasks, tasks)[0] - 1)
    if difference and (by_sign > 0) != (nearest > 0):
        nearest = by_sign
    nearest = max(-1.0, nearest)
    return (nearest, farthest) if difference >= 0 else (-farthest, -nearest)


def permutation_p(differences: Sequence[float], seed: int = 0) -> float:
    """
    Returns the p-value of the mean difference, by a permutation test with random signs of the tasks' differences.

    Args:
        differences (`Sequence[float]`):
            One difference per task.
        seed (`int`, *optional*, defaults to `0`):
            Seed of the random signs.
    """
    numbers = np.asarray(differences, dtype=float)
    observed = abs(numbers.sum())
    as_far = sum(
        int(np.count_nonzero(np.abs(sums) >= observed - 1e-12)) for sums, _ in _signed(numbers, numbers, seed)
    )
    # The observed signs are one of the possible permutations, so no p-value is 0
    return float((as_far + 1) / (_RESAMPLES + 1))


def permutation_comparison(
    differences: Sequence[float], weights: Sequence[float] | None = None
) -> tuple[float, float, float]:
    """
    Returns the 95 % interval of a mean difference and the p-value of its permutation test, which agree: 0 is outside
    the interval exactly if the p-value is below 0.05.

    Args:
        differences (`Sequence[float]`):
            One difference per task, from -1 to 1.
        weights (`Sequence[float]`, *optional*):
            Weight of each task; equal by default.

    Returns:
        `tuple`: Lower end, upper end, p-value.
    """
    counts = np.ones(len(differences)) if weights is None else np.asarray(weights, dtype=float)
    p_value = permutation_p((np.asarray(differences, dtype=float) * counts).tolist())
    low, high = bootstrap_interval(differences, weights)
    if not _agree(low, high, p_value):
        low, high = permutation_interval(differences, weights)
    return low, high, p_value


def right_answers(score: Score) -> dict[str, tuple[int, int]]:
    """
    Returns, for each task, the number of answers and of correct answers.

    Args:
        score ([`Score`]):
            Score of one benchmark.
    """
    counts: dict[str, tuple[int, int]] = {}
    for outcome in score.outcomes:
        answers, right = counts.get(outcome.task_id, (0, 0))
        counts[outcome.task_id] = answers + 1, right + outcome.passed
    return counts


def rate(score: Score, k: int = 1) -> Rate:
    """
    Returns pass@k of a score with its interval: Wilson's if each task has one answer, else by the bootstrap over tasks
    (Wilson's if all tasks agree, for which the bootstrap interval would have no width).

    Args:
        score ([`Score`]):
            Score of one benchmark.
        k (`int`, *optional*, defaults to `1`):
            At most the number of answers of each task.

    Raises:
        ValueError: If the score has no answers, or a task has fewer than `k`.
    """
    counts = right_answers(score)
    if not counts:
        raise ValueError(f"The score of {score.benchmark} has no answers: score at least one.")
    values = [pass_at_k(answers, right, k) for answers, right in counts.values()]
    share = fmean(values)
    single = all(answers == 1 for answers, _ in counts.values()) or len(set(values)) == 1
    return Rate(share, *(wilson_interval(share, len(values)) if single else bootstrap_interval(values)))


def answers_per_task(score: Score) -> int:
    """
    Returns the number of answers to each task: the lowest if they differ, and 0 without answers.

    Args:
        score ([`Score`]):
            Score of one benchmark.
    """
    return min((answers for answers, _ in right_answers(score).values()), default=0)


def pass_rates(score: Score) -> dict[int, Rate]:
    """
    Returns pass@k by k, for those of 1, 10 and 100 of which each task has as many answers.

    Args:
        score ([`Score`]):
            Score of one benchmark.
    """
    answers = answers_per_task(score)
    return {k: rate(score, k) for k in (1, 10, 100) if k <= answers}


def majority(score: Score) -> Rate | None:
    """
    Returns maj@k, where k is the number of answers to each problem: the share of problems whose most frequent final
    answer is correct.

    All correct answers count as one answer, in any notation. The others are distinguished by
    [`~reflection_trl.checking.answer_key`]. Texts without a final answer do not vote. If several answers are the most
    frequent, a problem counts with the probability of choosing the correct one among them.

    Args:
        score ([`Score`]):
            Score of one benchmark.

    Returns:
        [`Rate`], *optional*: `None` if no problem has a final answer, or each was answered once.
    """
    votes: dict[str, Counter[str]] = {}
    for outcome in score.outcomes:
        counts = votes.setdefault(outcome.task_id, Counter())
        if outcome.passed or outcome.answer:
            counts["" if outcome.passed else outcome.answer] += 1
    if not any(outcome.answer for outcome in score.outcomes) or len(votes) == len(score.outcomes):
        return None
    values = []
    for counts in votes.values():
        first = [answer for answer, count in counts.items() if count == max(counts.values())]
        values.append(1 / len(first) if "" in first else 0.0)
    share = fmean(values)
    single = set(values) <= {0.0, 1.0} or len(set(values)) == 1
    interval = wilson_interval(share, len(values)) if single else bootstrap_interval(values)
    return Rate(share, *interval)


def task_differences(first: Score, second: Score) -> list[float]:
    """
    Returns, for each task that both runs answered, the share of correct answers of one run minus that of the other.

    Args:
        first ([`Score`]):
            Score of one run.
        second ([`Score`]):
            Score of the other run, on the same benchmark.

    Raises:
        ValueError: If they belong to different benchmarks, or have no task in common.
    """
    if first.benchmark != second.benchmark:
        raise ValueError(
            f"{first.benchmark} and {second.benchmark} cannot be compared problem by problem: compare runs of the same benchmark."
        )
    mine, theirs = right_answers(first), right_answers(second)
    common = [task for task in mine if task in theirs]
    if not common:
        raise ValueError(
            f"The two runs have no problem of {first.benchmark} in common: compare runs of the same problems."
        )
    return [_share(mine, task) - _share(theirs, task) for task in common]


def compare(first: Score, second: Score) -> Comparison:
    """
    Compares two runs, task by task, on the tasks that both answered.

    Args:
        first ([`Score`]):
            Score of one run.
        second ([`Score`]):
            Score of the other run, on the same benchmark.

    Raises:
        ValueError: If they belong to different benchmarks, or have no task in common.
    """
    differences = task_differences(first, second)
    won, lost = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    mine, theirs = right_answers(first), right_answers(second)
    single = all(counts[task][0] == 1 for counts in (mine, theirs) for task in mine.keys() & theirs.keys())
    if single:
        p_value = mcnemar_p(won, lost)
        low, high = bootstrap_interval(differences)
        if not _agree(low, high, p_value):
            low, high = mcnemar_interval(won, lost, len(differences))
    else:
        low, high, p_value = permutation_comparison(differences)
    return Comparison(len(differences), won, lost, fmean(differences), low, high, p_value)


def pool(scores: Sequence[Score]) -> Score:
    """
    Combines several scores of the same benchmark into one, such as those of models trained with different seeds. The
    answers of all count as answers to the same tasks.

    Args:
        scores (`Sequence[Score]`):
            Scores of one benchmark.

    Raises:
        ValueError: If they belong to different benchmarks.
    """
    if len({score.benchmark for score in scores}) != 1:
        names = ", ".join(dict.fromkeys(score.benchmark for score in scores)) or "none"
        raise ValueError(f"Only scores of the same benchmark can be pooled, got {names}.")
    outcomes, first = [], 0
    for score in scores:
        outcomes += [replace(outcome, sample=first + outcome.sample) for outcome in score.outcomes]
        first += 1 + max((outcome.sample for outcome in score.outcomes), default=-1)
    return Score(scores[0].benchmark, outcomes)


def compare_means(first: Sequence[Score], second: Sequence[Score]) -> Comparison:
    """
    Compares two runs by their unweighted mean over several benchmarks, independent of the numbers of tasks.

    Args:
        first (`Sequence[Score]`):
            Scores of one run, one per benchmark.
        second (`Sequence[Score]`):
            Scores of the other run, on the same benchmarks in the same order.

    Returns:
        [`Comparison`]: `difference` is that of the means. The interval is from a bootstrap over the tasks of each
        benchmark, unless it contradicts the test. The p-value is from a permutation test over all tasks.

    Raises:
        ValueError: If the benchmarks differ, or one has no task in common.
    """
    pairs = list(zip(first, second, strict=True))
    groups = [task_differences(mine, theirs) for mine, theirs in pairs]
    generator = np.random.default_rng(0)
    means = np.zeros(_RESAMPLES)
    for group in groups:
        means += _resampled_means(group, generator) / len(groups)
    low, high = (float(end) for end in np.quantile(means, [0.025, 0.975]))
    weighted = [value / len(group) for group in groups for value in group]
    p_value = permutation_p(weighted)
    if not _agree(low, high, p_value):
        weights = [1 / len(group) for group in groups for _ in group]
        low, high = permutation_interval([value for group in groups for value in group], weights)
    return Comparison(
        tasks=len(weighted),
        won=sum(value > 0 for value in weighted),
        lost=sum(value < 0 for value in weighted),
        difference=fmean(fmean(group) for group in groups),
        low=low,
        high=high,
        p_value=p_value,
    )


def failure_kinds(score: Score) -> dict[str, int]:
    """
    Returns the number of answers for each failure type, the most frequent first.

    Args:
        score ([`Score`]):
            Score of one benchmark.
    """
    counts: dict[str, int] = {}
    for outcome in score.outcomes:
        if not outcome.passed:
            counts[outcome.kind] = counts.get(outcome.kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _agree(low: float, high: float, p_value: float) -> bool:
    """Returns whether an interval has a width and excludes 0 exactly if the test rejects."""
    return high > low and (low > 0 or high < 0) == (p_value < _LEVEL)


def _clopper_pearson(successes: int, trials: int) -> tuple[float, float]:
    """Returns the exact 95 % interval of a share, by bisection of the binomial distribution's tails."""
    counts = np.arange(trials + 1)
    log_ways = np.array([lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1) for k in counts])

    def tail(share: float, upper: bool) -> float:
        chances = np.exp(log_ways + counts * np.log(share) + (trials - counts) * np.log1p(-share))
        return float(chances[successes:].sum() if upper else chances[: successes + 1].sum())

    ends = []
    for at_limit, upper in ((successes == 0, True), (successes == trials, False)):
        low, high = 0.0, 1.0
        for _ in range(0 if at_limit else 50):
            middle = (low + high) / 2
            too_low = tail(middle, upper) < _LEVEL / 2 if upper else tail(middle, upper) > _LEVEL / 2
            low, high = (middle, high) if too_low else (low, middle)
        ends.append((low if upper else high) if at_limit else (low + high) / 2)
    return ends[0], ends[1]


def _signed(first: np.ndarray, second: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields sums of two rows of numbers under the same random signs, in blocks."""
    generator = np.random.default_rng(seed)
    for rows in _blocks(len(first)):
        signs = generator.integers(2, size=(rows, len(first))) * 2 - 1
        yield signs @ first, signs @ second


def _resampled_means(
    values: Sequence[float], generator: np.random.Generator, weights: Sequence[float] | None = None
) -> np.ndarray:
    """Returns means over tasks that are resampled with replacement."""
    numbers = np.asarray(values, dtype=float)
    counts = None if weights is None else np.asarray(weights, dtype=float)
    resamples = (
        generator.integers(len(numbers), size=(rows, len(numbers)), dtype=np.int32) for rows in _blocks(len(numbers))
    )
    if counts is None:
        return np.concatenate([numbers[indices].mean(axis=1) for indices in resamples])
    sums = numbers * counts
    return np.concatenate([sums[indices].sum(axis=1) / counts[indices].sum(axis=1) for indices in resamples])


def _blocks(tasks: int) -> Iterator[int]:
    """Yields the sizes of the blocks of resamples: one block, except for very many tasks."""
    most = max(1, _MOST_NUMBERS // tasks)
    for done in range(0, _RESAMPLES, most):
        yield min(most, _RESAMPLES - done)


def _share(counts: Mapping[str, tuple[int, int]], task: str) -> float:
    answers, right = counts[task]
    return right / answers
