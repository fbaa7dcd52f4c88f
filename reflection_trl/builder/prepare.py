"""Prepares problems for training: removes duplicates, and problems from benchmarks."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..evaluation.benchmark_texts import benchmark_texts, split_source
from ..problems import NgramIndex, Overlap, Problem, find_contamination
from ..problems.duplicates import group_duplicates
from ..problems.words import words


Reason = Literal["duplicate", "near_duplicate", "contaminated"]


@dataclass(frozen=True)
class Removal:
    """
    Describes why a problem was removed.

    Args:
        id (`str`):
            Id of the problem.
        reason (`str`):
            `"duplicate"`, `"near_duplicate"` or `"contaminated"`.
        of (`str`):
            Id of the problem that is kept in its place, or of the benchmark's task.
        ngram (`str`, *optional*, defaults to `""`):
            Words that it shares with the task; empty if its id or its source names the benchmark.
        through (`str`, *optional*):
            The contaminated duplicate of this problem, if it is another one.
    """

    id: str
    reason: Reason
    of: str
    ngram: str = ""
    through: str | None = None

    def __str__(self) -> str:
        if self.reason != "contaminated":
            return f"{self.id}: {self.reason.replace('_', ' ')} of {self.of}"
        through = f" through its duplicate {self.through}" if self.through else ""
        return f"{self.id}: contaminated by {self.of}{through}" + (f" ({self.ngram!r})" if self.ngram else "")


@dataclass(frozen=True)
class ProblemReport:
    """
    Reports the results of [`prepare_problems`].

    Args:
        total (`int`):
            Number of input problems.
        kept (`int`):
            Number of kept problems.
        removed (`list[Removal]`, *optional*, defaults to `[]`):
            The other problems, in order.
        benchmarks (`list[str]`, *optional*, defaults to `[]`):
            Benchmarks of the decontamination.
        ngram_size (`int`, *optional*, defaults to `10`):
            Number of words of an n-gram.
        near_duplicate_threshold (`float`, *optional*):
            Similarity of near duplicates; `None` if they were kept.
        with_tests (`int`, *optional*, defaults to `0`):
            Number of kept problems with tests, examples or a final answer.
        sources (`dict[str, int]`, *optional*, defaults to `{}`):
            Number of kept problems of each source.
        languages (`dict[str, int]`, *optional*, defaults to `{}`):
            Number of kept problems of each language. Problems with a final answer have none.
    """

    total: int
    kept: int
    removed: list[Removal] = field(default_factory=list)
    benchmarks: list[str] = field(default_factory=list)
    ngram_size: int = 10
    near_duplicate_threshold: float | None = None
    with_tests: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)

    def count(self, reason: Reason) -> int:
        """Returns the number of problems that were removed for this reason."""
        return sum(removal.reason == reason for removal in self.removed)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data, including counts."""
        reasons: tuple[Reason, ...] = ("duplicate", "near_duplicate", "contaminated")
        return {**dataclasses.asdict(self), "counts": {reason: self.count(reason) for reason in reasons}}

    def summary(self) -> str:
        """Returns the report as a short text."""
        against = (
            f"against {', '.join(self.benchmarks)}, {self.ngram_size}-grams" if self.benchmarks else "not looked for"
        )
        near = self.near_duplicate_threshold
        rows = [
            ("problems", self.total, ""),
            ("- duplicates", self.count("duplicate"), "same instruction"),
            (
                "- near duplicates",
                self.count("near_duplicate"),
                "not looked for" if near is None else f"from {near:g} on",
            ),
            ("- contaminated", self.count("contaminated"), against),
            ("= kept", self.kept, f"{self.with_tests} with tests or a final answer"),
            ("", "", f"languages: {_counts(self.languages)}"),
            ("", "", f"sources: {_counts(self.sources)}"),
        ]
        return "\n".join(f"{label:<18}{number:>8}  {note}".rstrip() for label, number, note in rows)


def _counts(counts: dict[str, int], most: int = 4) -> str:
    shown = [f"{name} {number}" for name, number in counts.items()]
    return ", ".join(shown if len(shown) <= most else [*shown[:most], f"{len(shown) - most} more"]) or "none"


def prepare_problems(
    problems: Iterable[Problem],
    *,
    decontaminate_against: Sequence[str] = ("humaneval", "mbpp"),
    near_duplicate_threshold: float | None = 0.8,
) -> tuple[list[Problem], ProblemReport]:
    """
    Removes duplicates and problems that overlap with benchmarks.

    Of problems with the same request in the same language, the first is kept. If one of them is contaminated, all are
    removed.

    Args:
        problems (`Iterable[Problem]`):
            Problems from one or several calls of [`~reflection_trl.problems.load_problems`].
        decontaminate_against (`Sequence[str]`, *optional*, defaults to `("humaneval", "mbpp")`):
            Benchmarks, with the names of [`~reflection_trl.evaluation.benchmark_texts.benchmark_texts`]. Empty for no
            decontamination.
        near_duplicate_threshold (`float`, *optional*, defaults to `0.8`):
            Share of common word 5-grams from which two instructions are near duplicates; `None` keeps these.

    Returns:
        `tuple[list[Problem], ProblemReport]`: The remaining problems, in order, and the report on the others.

    Raises:
        ValueError: If two problems have the same id, there are none, or a benchmark cannot be read.
    """
    problems = list(problems)
    _check_ids(problems)
    benchmarks = list(decontaminate_against) if not isinstance(decontaminate_against, str) else [decontaminate_against]
    try:
        texts = benchmark_texts(benchmarks)
    except ValueError as error:
        raise ValueError(
            f"Problems cannot be compared with {' and '.join(benchmarks)}: {error} `decontaminate_against=[]` "
            f"(`--decontaminate_against none`) leaves the comparison out."
        ) from error
    index = NgramIndex.from_texts(texts)
    overlaps = [find_contamination(problem, index) for problem in problems]
    groups = _group(problems, near_duplicate_threshold)
    contaminated = {
        group: (problem, overlap)
        for problem, overlap, group in reversed(list(zip(problems, overlaps, groups, strict=True)))
        if overlap
    }
    kept, removed = [], []
    for number, (problem, group) in enumerate(zip(problems, groups, strict=True)):
        if group in contaminated:
            removed.append(_contaminated(problem, overlaps[number], *contaminated[group]))
        elif group != number:
            same = words(problem.instruction) == words(problems[group].instruction)
            removed.append(Removal(problem.id, "duplicate" if same else "near_duplicate", problems[group].id))
        else:
            kept.append(problem)
    return kept, ProblemReport(
        total=len(problems),
        kept=len(kept),
        removed=removed,
        benchmarks=[split_source(name)[0] for name in benchmarks],  # cards show no paths of this machine
        ngram_size=index.n,
        near_duplicate_threshold=near_duplicate_threshold,
        with_tests=sum(problem.has_tests for problem in kept),
        sources=dict(Counter(problem.source for problem in kept).most_common()),
        languages=dict(Counter(problem.language for problem in kept if problem.answer is None).most_common()),
    )


def _check_ids(problems: list[Problem]) -> None:
    if not problems:
        raise ValueError("There are no problems: give a source that contains some.")
    name, times = Counter(problem.id for problem in problems).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{times} problems have the id {name!r}; give each problem a unique id.")


def _group(problems: list[Problem], threshold: float | None) -> list[int]:
    """Returns, for each problem, the index of the first problem with the same request in the same language."""
    groups = list(range(len(problems)))
    for language in dict.fromkeys(problem.language for problem in problems):
        numbers = [number for number, problem in enumerate(problems) if problem.language == language]
        firsts = group_duplicates([problems[number].instruction for number in numbers], threshold)
        for number, first in zip(numbers, firsts, strict=True):
            groups[number] = numbers[first]
    return groups


def _contaminated(problem: Problem, own: Overlap | None, other: Problem, others: Overlap) -> Removal:
    overlap, through = (own, None) if own else (others, other.id)
    return Removal(problem.id, "contaminated", overlap.name, overlap.ngram, through)
