"""Builds the content of a report: figures, tables and sentences for the page, the Markdown and the plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..results import EvaluationRun, Score
from ..statistics import (
    Comparison,
    Rate,
    answers_per_task,
    compare,
    failure_kinds,
    majority,
    pass_rates,
    right_answers,
)


# Kinds of failure with their colors: first answers that do not run, then wrong ones, then those that never ended
COLORS = {
    "syntax": "#d1495b",
    "name": "#ee8959",
    "import": "#f2c14e",
    "type": "#8d6cab",
    "value": "#5b8fd9",
    "runtime": "#3a6ea5",
    "assertion": "#2a9d8f",
    "wrong_answer": "#2a9d8f",
    "timeout": "#8a6b4f",
    "memory": "#b08968",
    "output_limit": "#c9ada7",
    "refused": "#6d7784",
    "truncated": "#98a2ae",
    "empty": "#c3cad2",
    "no_answer": "#7a9e4b",
    "wrong_form": "#c06ba8",
}
_OTHER_COLOR = "#555b6e"


class Cell(NamedTuple):
    """
    Represents one cell of a table.

    Args:
        text (`str`):
            Text of the cell.
        note (`str`, *optional*, defaults to `""`):
            Text beside or below it, in smaller type.
    """

    text: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """
    Represents a table in plain text.

    Args:
        head (`Sequence[str]`):
            The first row.
        body (`Sequence[Sequence[Cell]]`):
            The others.
        kind (`str`, *optional*, defaults to `"numbers"`):
            `"numbers"`, `"rates"` (with their intervals below them) or `"words"`.
    """

    head: Sequence[str]
    body: Sequence[Sequence[Cell]]
    kind: str = "numbers"


class Content:
    """
    Computes the content of a report.

    Args:
        runs (`Sequence[EvaluationRun]`):
            The run to report, then its baselines.
        names (`Sequence[str]`):
            Their names, all different.
    """

    def __init__(self, runs: Sequence[EvaluationRun], names: Sequence[str]):
        self.runs = runs
        self.names = names
        scores = [score for run in runs for score in run.scores if score.outcomes]
        self.benchmarks = list(dict.fromkeys(score.benchmark for score in scores))
        self.rates = {
            (benchmark, run, k): found
            for benchmark in self.benchmarks
            for run, score in self.scores(benchmark)
            for k, found in pass_rates(score).items()
        }
        self.majorities = {
            (benchmark, run): (share, answers_per_task(score))
            for benchmark in self.benchmarks
            for run, score in self.scores(benchmark)
            if (share := majority(score)) is not None
        }
        self.comparisons = {
            (baseline, benchmark): compare(ours, theirs)
            for baseline in range(1, len(runs))
            for benchmark in self.benchmarks
            if (ours := self.score(0, benchmark)) and (theirs := self.score(baseline, benchmark))
            if right_answers(ours).keys() & right_answers(theirs).keys()
        }
        self.failures = {
            (benchmark, run): (failure_kinds(score), len(score.outcomes))
            for benchmark in self.benchmarks
            for run, score in self.scores(benchmark)
        }
        found = {kind for kinds, _ in self.failures.values() for kind in kinds}
        self.kinds = [kind for kind in COLORS if kind in found] + sorted(found - COLORS.keys())
        named = list(zip(names, runs, strict=True))
        self.warnings = [("Trial run.", sentence) for name, run in named if (sentence := run.trial_sentence(name))]
        self.warnings += [
            ("Part of a benchmark.", f"{name} judged only a part of {benchmark}: {why}")
            for name, run in named
            for benchmark, why in run.skipped.items()
            if run.score(benchmark)
        ]
        self.labels = _label_runs(names, runs)
        self.skipped = [(name, benchmark, why) for name, run in named for benchmark, why in run.skipped.items()]
        self.suspicious = [
            (
                name,
                score.benchmark,
                outcome.task_id,
                "passed" if outcome.passed else "failed",
                ", ".join(outcome.suspicious),
            )
            for name, run in named
            for score in run.scores
            for outcome in score.outcomes
            if outcome.suspicious
        ]
        self.contamination = {
            name: _plain(run.settings["contamination"]) for name, run in named if run.settings.get("contamination")
        }

    def score(self, run: int, benchmark: str) -> Score | None:
        """Returns the score of a run on a benchmark, or `None` where it has no answers."""
        score = self.runs[run].score(benchmark)
        return score if score and score.outcomes else None

    def scores(self, benchmark: str) -> list[tuple[int, Score]]:
        """Returns the runs that were scored on a benchmark, with their scores."""
        return [(run, score) for run in range(len(self.runs)) if (score := self.score(run, benchmark))]

    def baselines(self) -> list[int]:
        """Returns the runs that have a benchmark in common with the reported one."""
        return sorted({baseline for baseline, _ in self.comparisons})

    def pass_table(self) -> Table:
        """Returns pass@k of every run, and maj@k of final answers."""
        places = dict.fromkeys((benchmark, k) for benchmark, _, k in self.rates)
        columns = sorted(places, key=lambda column: (self.benchmarks.index(column[0]), column[1]))
        voted = list(dict.fromkeys((benchmark, k) for (benchmark, _), (_, k) in self.majorities.items()))
        head = [
            "model",
            *(f"{benchmark} pass@{k}" for benchmark, k in columns),
            *(f"{benchmark} maj@{k}" for benchmark, k in voted),
        ]
        body = [
            [
                Cell(name),
                *(_rate_cell(self.rates.get((benchmark, run, k))) for benchmark, k in columns),
                *(_rate_cell(self._majority(benchmark, run, k)) for benchmark, k in voted),
            ]
            for run, name in enumerate(self.names)
        ]
        return Table(head, body, "rates")

    def _majority(self, benchmark: str, run: int, k: int) -> Rate | None:
        found, answers = self.majorities.get((benchmark, run), (None, 0))
        return found if answers == k else None

    def comparison_table(self, baseline: int) -> Table:
        """Returns the comparison of the reported run with a baseline."""
        found = [
            (benchmark, self.comparisons[baseline, benchmark])
            for benchmark in self.benchmarks
            if (baseline, benchmark) in self.comparisons
        ]
        head = ["benchmark", "problems", "won", "lost", "difference in pass@1", "95 % interval", "p", "verdict"]
        return Table(head, [_comparison_row(benchmark, one) for benchmark, one in found])

    def failure_table(self, benchmark: str) -> Table:
        """Returns the failed answers to a benchmark by kind."""
        runs = [run for run, _ in self.scores(benchmark)]
        kinds = [kind for kind in self.kinds if any(kind in self.failures[benchmark, run][0] for run in runs)]
        totals = [self.failures[benchmark, run][1] for run in runs]
        counts = {words(kind): [self.failures[benchmark, run][0].get(kind, 0) for run in runs] for kind in kinds}
        counts["all failures"] = [sum(self.failures[benchmark, run][0].values()) for run in runs]
        body = [
            [
                Cell(kind),
                *(Cell(f"{count:,}", percent(count, total)) for count, total in zip(row, totals, strict=True)),
            ]
            for kind, row in counts.items()
        ]
        return Table(["failed with", *(self.labels[run] for run in runs)], body)

    def suspicious_table(self) -> Table:
        """Returns the suspicious answers."""
        head = ["model", "benchmark", "problem", "verdict", "what the answer touches"]
        return Table(head, [list(map(Cell, row)) for row in self.suspicious], "words")

    def skipped_table(self) -> Table:
        """Returns the benchmarks that were not run, with the reasons."""
        return Table(["model", "benchmark", "why"], [list(map(Cell, row)) for row in self.skipped], "words")

    def facts(self, run: int) -> dict[str, str]:
        """Returns how a run was made."""
        one = self.runs[run]
        facts = {"date": one.date, "model revision": one.revision or "", "command": one.command}
        facts |= {words(name): _plain(value) for name, value in one.settings.items() if name != "contamination"}
        return {name: value for name, value in facts.items() if value}


def name_runs(runs: Sequence[EvaluationRun]) -> list[str]:
    """
    Returns names for the models of runs, with a number if two are equal.

    Args:
        runs (`Sequence[EvaluationRun]`):
            Some runs.
    """
    names: list[str] = []
    for run in runs:
        same = sum(other.model == run.model for other in runs[: len(names)])
        names.append(f"{run.model} ({same + 1})" if same else run.model)
    return names


def color_of(kind: str) -> str:
    """Returns the color of a kind of failure."""
    return COLORS.get(kind, _OTHER_COLOR)


def words(name: str) -> str:
    """Writes the name of a setting or a failure as words."""
    return name.replace("_", " ")


def percent(count: int, total: int) -> str:
    """Writes a share in percent."""
    return f"{100 * count / total:.1f} %"


def _label_runs(names: Sequence[str], runs: Sequence[EvaluationRun]) -> list[str]:
    """Returns names for charts: without the owners where the rest tells them apart, and with the limit of a trial."""
    bare = [name.rpartition("/")[2] or name for name in names]
    short = bare if len(set(bare)) == len(bare) else names
    return [
        f"{name} (first {run.settings['limit']:,})" if run.trial_sentence(name) else name
        for name, run in zip(short, runs, strict=True)
    ]


def _rate_cell(one: Rate | None) -> Cell:
    return Cell(f"{100 * one.value:.1f}", f"{100 * one.low:.1f} to {100 * one.high:.1f}") if one else Cell("-")


def _comparison_row(benchmark: str, one: Comparison) -> list[Cell]:
    interval = f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
    p = f"{one.p_value:.3f}" if one.p_value >= 0.001 else "< 0.001"
    verdict = "no clear difference" if one.p_value >= 0.05 else "better" if one.difference > 0 else "worse"
    counts = (f"{count:,}" for count in (one.tasks, one.won, one.lost))
    return list(map(Cell, [benchmark, *counts, f"{100 * one.difference:+.1f}", interval, p, verdict]))


def _plain(value: Any) -> str:
    """Returns a setting as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return str(value)
