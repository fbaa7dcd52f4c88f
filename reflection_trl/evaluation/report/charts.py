"""Computes the charts of a report as numbers, for the page and for the plots."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from .content import Content, color_of, percent, words


@dataclass(frozen=True)
class RateBar:
    """
    Holds pass@1 of a run on a benchmark.

    Args:
        label (`str`):
            Name of the run, as short as it can be.
        title (`str`):
            Full name and figures.
        value, low, high (`float`):
            The rate and its 95 % interval, from 0 to 1.
        reported (`bool`):
            Whether it is the run that is reported, and no baseline.
    """

    label: str
    title: str
    value: float
    low: float
    high: float
    reported: bool


@dataclass(frozen=True)
class Segment:
    """
    Holds the failures of one kind in a bar.

    Args:
        kind (`str`):
            The kind.
        share (`float`):
            Their share of all answers of the run.
        title (`str`):
            The same in words.
        color (`str`):
            Color in CSS.
    """

    kind: str
    share: float
    title: str
    color: str


@dataclass(frozen=True)
class FailureBar:
    """
    Holds the failures of a run on a benchmark.

    Args:
        label (`str`):
            Name of the run, as short as it can be.
        segments (`list[Segment]`):
            Its failures by kind.
        largest (`float`):
            The largest share of failures in any bar of the chart.
    """

    label: str
    segments: list[Segment]
    largest: float

    @property
    def share(self) -> float:
        """Returns the share of answers that failed."""
        return sum(segment.share for segment in self.segments)


BarType = TypeVar("BarType", RateBar, FailureBar)


@dataclass(frozen=True)
class Group(Generic[BarType]):
    """
    Holds the bars of one benchmark.

    Args:
        benchmark (`str`):
            The benchmark.
        bars (`list[RateBar]` or `list[FailureBar]`):
            One for each run that was scored on it.
    """

    benchmark: str
    bars: list[BarType]


def rate_bars(content: Content) -> list[Group[RateBar]]:
    """
    Returns pass@1 with intervals.

    Args:
        content ([`Content`]):
            Of a report with at least one benchmark.
    """

    def bar(benchmark: str, run: int) -> RateBar:
        one = content.rates[benchmark, run, 1]
        figures = f"{100 * one.value:.1f} ({100 * one.low:.1f} to {100 * one.high:.1f})"
        title = f"{content.names[run]}: {figures}"
        return RateBar(content.labels[run], title, one.value, one.low, one.high, run == 0)

    return [
        Group(benchmark, [bar(benchmark, run) for run, _ in content.scores(benchmark)])
        for benchmark in content.benchmarks
    ]


def failure_bars(content: Content) -> list[Group[FailureBar]]:
    """
    Returns shares of failed answers by kind.

    Args:
        content ([`Content`]):
            Of a report with at least one failed answer.
    """
    largest = max(sum(kinds.values()) / total for kinds, total in content.failures.values())

    def bar(benchmark: str, run: int) -> FailureBar:
        counts, total = content.failures[benchmark, run]
        segments = [
            Segment(
                kind,
                counts[kind] / total,
                f"{content.names[run]}, {benchmark}: {words(kind)} {counts[kind]:,} ({percent(counts[kind], total)})",
                color_of(kind),
            )
            for kind in content.kinds
            if kind in counts
        ]
        return FailureBar(content.labels[run], segments, largest)

    return [
        Group(benchmark, [bar(benchmark, run) for run, _ in content.scores(benchmark)])
        for benchmark in content.benchmarks
    ]
