"""Reads and writes answers as JSON Lines in evalplus's format, with additional fields."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..quoting import quote, quote_error
from .benchmarks import benchmark_of_task, get_benchmark
from .tasks import Sample, Task


def read_samples(file: str | os.PathLike[str], tasks: Sequence[Task], known: Iterable[str] = ()) -> list[Sample]:
    """
    Reads existing answers. Each line has `task_id` and either `solution` (the complete code) or `completion` (the
    continuation of the benchmark's prompt). Several answers to a problem are several lines.

    Args:
        file (`str` or `Path`):
            JSON Lines file.
        tasks (`Sequence[Task]`):
            The tasks, which must all have the same number of answers.
        known (`Iterable[str]`, *optional*, defaults to `()`):
            Other tasks of the benchmark, whose answers are ignored.

    Returns:
        `list[Sample]`: Answers in the order of the tasks.

    Raises:
        ValueError: If the file cannot be read or has another content. The message names the place.
    """
    by_id = {task.id: task for task in tasks}
    passed_over = set(known) - by_id.keys()
    found: dict[str, dict[int, Sample]] = {task.id: {} for task in tasks}
    for line, record in _records(file):
        name = _task_id(file, line, record)
        if name in passed_over:
            continue
        if name not in by_id:
            benchmark = tasks[0].benchmark if tasks else "the benchmark"
            raise ValueError(
                f"{file}, line {line}: {benchmark} has no problem {quote(name)}; put samples of one benchmark into each file."
            )
        sample = _sample(file, line, record, by_id[name], len(found[name]))
        if sample.sample in found[name]:
            raise ValueError(
                f"{file}, line {line}: an earlier line has answer number {sample.sample} to {name}: remove one."
            )
        found[name][sample.sample] = sample
    missing = [name for name, answers in found.items() if not answers]
    if missing:
        raise ValueError(
            f"{file} lacks answers to {len(missing)} of {len(tasks)} problems, such as {missing[0]}: add them, or score only the "
            "first N problems with --limit N."
        )
    counts = Counter(len(answers) for answers in found.values())
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        name = next(name for name, answers in found.items() if len(answers) != usual)
        raise ValueError(
            f"{file} has {len(found[name])} answers to {name} and {usual} to others: give the same number of answers to every problem."
        )
    return [answers[number] for answers in found.values() for number in sorted(answers)]


def benchmark_of(file: str | os.PathLike[str]) -> str | None:
    """
    Returns the benchmark of a file's first answer, from the name of its task; `None` if the name is ambiguous.

    Args:
        file (`str` or `Path`):
            The file.
    """
    line, record = next(_records(file))
    name = _task_id(file, line, record)
    benchmark = benchmark_of_task(name)
    return benchmark.name if benchmark else None


def write_samples(file: str | os.PathLike[str], samples: Iterable[Sample]) -> None:
    """
    Writes answers in the format of [`read_samples`] and evalplus, atomically.

    Args:
        file (`str` or `Path`):
            The file.
        samples (`Iterable[Sample]`):
            The answers.
    """
    file = Path(file)
    partial = file.with_name(f".{file.name}.partial")
    with open(partial, "w", encoding="utf-8") as lines:
        for sample in samples:
            lines.write(json.dumps(vars(sample)) + "\n")
    partial.replace(file)


def _records(file: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the records of a file with their line numbers, from 1."""
    empty = True
    try:
        with open(file, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    reason = quote_error(error) if isinstance(error, ValueError) else "nested too deeply"
                    raise ValueError(
                        f"{file}, line {number} is not JSON ({reason}); write one JSON object per line."
                    ) from None
                if not isinstance(record, dict):
                    raise ValueError(
                        f"{file}, line {number} must be an object with `task_id` and `solution`, got {quote(record)}."
                    )
                empty = False
                yield number, record
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from None
    if empty:
        raise ValueError(f"{file} contains no answers: add one JSON object per line.")


def _task_id(file: Any, line: int, record: dict[str, Any]) -> str:
    name = record.get("task_id")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{file}, line {line}: `task_id` must name a problem of the benchmark, got {quote(name)}.")
    return name


def _sample(file: Any, line: int, record: dict[str, Any], task: Task, number: int) -> Sample:
    solution = record.get("solution")
    if solution is None and isinstance(record.get("completion"), str):
        solution = get_benchmark(task.benchmark).complete(task, record["completion"])
    if not isinstance(solution, str):
        raise ValueError(
            f"{file}, line {line}: `solution` (the whole code) or `completion` must be text, got {quote(solution)}."
        )
    number = record.get("sample", number)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"{file}, line {line}: `sample` counts the answers to a problem from 0, got {quote(number)}.")
    text, reason = record.get("text", ""), record.get("finish_reason", "stop")
    for field, value in (("text", text), ("finish_reason", reason)):
        if not isinstance(value, str):
            raise ValueError(f"{file}, line {line}: `{field}` must be text, got {quote(value)}.")
    return Sample(task.id, number, solution, text, reason)
