"""Finds benchmark tasks in existing training data, with the builder's rule."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..files.rows import open_rows
from ..problems import NgramIndex
from ..sequences import normalize_row, split_blocks
from .benchmark_texts import benchmark_texts


# Number of tasks to list; of the others only the number is given
_MAX_NAMED = 20


def find_contamination(
    source: Any, benchmarks: Iterable[str], benchmark_files: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """
    Compares the rows of a training dataset with prompts and solutions of benchmarks, by word n-grams.

    Args:
        source (`str`, `Dataset` or an iterable of `dict`):
            A dataset on the Hub, files, or rows, in any form of [`~reflection_trl.row_forms`].
        benchmarks (`Iterable[str]`):
            Such as `"humaneval"`, `"multipl-e:java"` (whose tasks are HumanEval's) and `"problems:FILE"`.
        benchmark_files (`Mapping[str, str]`, *optional*):
            File, folder or Hub id with the tasks of a benchmark, by its name before the colon, as in
            [`~reflection_trl.evaluation.run.EvaluationSettings`].

    Returns:
        `dict`: `dataset`, `benchmarks`, number of `rows` and of `contaminated_rows`, number of `tasks` that they
        overlap with, and `found`: task, row (from 0) and common words of the first ones.

    Raises:
        ValueError: If the source cannot be read, or a row cannot be trained on.
    """
    names = sorted(set(benchmarks))
    files = benchmark_files or {}
    keys = {name: name.partition(":")[0] for name in names}
    places = [f"{name}={files[key]}" if key in files else name for name, key in keys.items()]
    index = NgramIndex.from_texts(benchmark_texts(places))
    title, rows = open_rows(source)
    found: dict[str, tuple[int, str]] = {}
    number, contaminated = -1, 0
    for number, row in enumerate(rows):
        overlaps = row_overlaps(row, index, f"row {number} of {title}")
        contaminated += bool(overlaps)
        for name, ngram in overlaps.items():
            found.setdefault(name, (number, ngram))
    if number < 0:
        raise ValueError(f"{title} has no rows: give the dataset that the model was trained on.")
    named = [{"task": name, "row": row, "words": ngram} for name, (row, ngram) in list(found.items())[:_MAX_NAMED]]
    return {
        "dataset": title,
        "benchmarks": names,
        "rows": number + 1,
        "contaminated_rows": contaminated,
        "tasks": len(found),
        "found": named,
    }


def contamination_sentence(contamination: dict[str, Any]) -> str:
    """
    Returns the result in one sentence.

    Args:
        contamination (`dict`):
            Output of [`find_contamination`].
    """
    benchmarks = " and ".join(contamination["benchmarks"])
    if not contamination["tasks"]:
        return f"None of the {contamination['rows']:,} rows of {contamination['dataset']} shares an n-gram with {benchmarks}."
    first = contamination["found"][0]
    return (
        f"{contamination['contaminated_rows']:,} of the {contamination['rows']:,} rows of {contamination['dataset']} give away "
        f"{contamination['tasks']} problems of {benchmarks}, such as {first['task']} (row {first['row']}: {first['words']!r})."
    )


def row_overlaps(row: Any, index: NgramIndex, where: str = "row") -> dict[str, str]:
    """
    Returns the benchmark tasks that a row overlaps with. The blocks of each message are compared separately.

    Args:
        row (`dict`):
            The row, in any form of [`~reflection_trl.row_forms`].
        index ([`~reflection_trl.problems.NgramIndex`]):
            Index of the benchmarks.
        where (`str`, *optional*, defaults to `"row"`):
            Name of the row in errors.

    Returns:
        `dict[str, str]`: Common words by name of the task.

    Raises:
        ValueError: If the row cannot be trained on.
    """
    return {
        overlap.name: overlap.ngram
        for message in normalize_row(row, where)["messages"]
        for block in split_blocks(message)
        for overlap in index.overlaps(message["content"][block.start : block.end])
    }
