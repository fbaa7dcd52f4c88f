"""Builds the grid of all problems, as data for the script of the page."""

from collections import Counter
from typing import Any

from ..benchmarks import find_benchmark
from ..results import Outcome
from ..statistics import right_answers
from .content import Content


# Limits of what the page shows for one problem and run; the counts include all answers
_MOST_ANSWERS = 6
_LONGEST = 20_000


class _Texts:
    """Numbers texts, since most of them occur more than once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n[{len(text) - _LONGEST:,} characters left out]"
        return self.numbers.setdefault(text, len(self.numbers))


def grid_data(content: Content) -> dict[str, Any]:
    """
    Returns the data for the page's script: `runs` (names), `benchmarks` (`name`, `language` and the problems as `tasks`, each
    with `id`, `problem` and one side for each run) and `texts`, to which numbers refer.

    Args:
        content ([`Content`]):
            Of the report.
    """
    texts = _Texts()
    benchmarks = []
    for benchmark in content.benchmarks:
        by_run = [_by_task(content, run, benchmark) for run in range(len(content.runs))]
        known = find_benchmark(benchmark)
        problems = _problem_texts(content, known.name if known else benchmark)
        tasks = [
            {
                "id": task,
                "problem": texts.number(problems[task]) if task in problems else None,
                "runs": [_side(by_task.get(task, []), texts) for by_task in by_run],
            }
            for task in dict.fromkeys(task for by_task in by_run for task in by_task)
        ]
        language = known.language if known else "python"
        benchmarks.append({"name": benchmark, "language": language, "tasks": tasks})
    return {"runs": content.names, "benchmarks": benchmarks, "texts": list(texts.numbers)}


def grid_help(content: Content) -> str:
    """
    Returns a sentence that explains the cells of the grid.

    Args:
        content ([`Content`]):
            Of the report.
    """
    several = any(
        answers > 1
        for benchmark in content.benchmarks
        for _, score in content.scores(benchmark)
        for answers, _ in right_answers(score).values()
    )
    shades = " The stronger a cell's color, the larger the share of answers with that result." if several else ""
    sides = "the answers of both sides" if len(content.runs) > 1 else "the answer"
    return (
        f"Each cell is a problem: choose one to see the problem, {sides} and what failed. Arrow keys move from cell to "
        f"cell.{shades}"
    )


def _problem_texts(content: Content, benchmark: str) -> dict[str, str]:
    """
    Returns the texts of a benchmark's problems, of the first run that has them: results of earlier versions have none.
    """
    return {task: text for run in reversed(content.runs) for task, text in run.problems.get(benchmark, {}).items()}


def _by_task(content: Content, run: int, benchmark: str) -> dict[str, list[Outcome]]:
    score = content.score(run, benchmark)
    by_task: dict[str, list[Outcome]] = {}
    for outcome in score.outcomes if score else ():
        by_task.setdefault(outcome.task_id, []).append(outcome)
    return by_task


def _side(outcomes: list[Outcome], texts: _Texts) -> list[Any] | None:
    """Returns one run's answers to one problem; of many answers only some correct and some wrong ones."""
    if not outcomes:
        return None
    failed = Counter(one.kind for one in outcomes if not one.passed)
    right, wrong = ([one for one in outcomes if one.passed is passed] for passed in (True, False))
    half = _MOST_ANSWERS // 2
    kept = [*right[: max(half, _MOST_ANSWERS - len(wrong))], *wrong[: max(half, _MOST_ANSWERS - len(right))]]
    kept.sort(key=lambda one: one.sample)
    answers = [
        [one.sample, one.passed, one.kind, texts.number(one.detail), texts.number(one.solution)] for one in kept
    ]
    return [len(outcomes), len(right), [kind for kind, _ in failed.most_common()], answers]
