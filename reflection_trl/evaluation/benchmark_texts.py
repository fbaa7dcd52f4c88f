"""Loads the texts of benchmarks for decontamination: prompts and solutions of their tasks."""

from collections.abc import Iterable
from pathlib import Path

from ..files.rows import open_rows
from ..row_forms import read_row
from .benchmarks import find_benchmark


_PROMPTS = ("prompt", "instruction", "question", "text")
_SOLUTIONS = ("canonical_solution", "reference", "code")
_NAMES = ("task_id", "name", "id")


def benchmark_texts(names: Iterable[str]) -> dict[str, list[str]]:
    """
    Reads the prompts and canonical solutions of benchmarks.

    Args:
        names (`Iterable[str]`):
            Benchmarks that can be evaluated, such as `"humaneval"` and `"mbpp"` (their `+` may be left out: evalplus's HumanEval+ and
            MBPP+ hold the original tasks), and any data set with a `prompt`: a file, a pattern such as `"multipl_e/*.jsonl"`,
            a folder or a Hub id, followed by its configuration where it has several (`"nuprl/MultiPL-E:humaneval-rs"`). A
            benchmark's own files elsewhere are named behind it: `"livecodebench=my/folder"`.

    Returns:
        `dict[str, list[str]]`: The texts of each task, by its name.

    Raises:
        ValueError: If a benchmark is neither on this machine nor available from the network, a row has no prompt, or one name
        lists several benchmarks, as in `"humaneval,mbpp"`.
    """
    if isinstance(names, str):
        raise ValueError(f"Benchmarks must be a list of names, got {names!r}.")
    texts: dict[str, list[str]] = {}
    for name in names:
        chosen, source = split_source(name)
        benchmark = find_benchmark(chosen)
        if not benchmark and "," in name and not Path(name).exists():
            raise ValueError(f"{name!r} is no benchmark; several are given with spaces between, or as a list.")
        for task, parts in (benchmark.texts(source) if benchmark else _data_set_texts(name)).items():
            known = texts.setdefault(task, [])
            known += [part for part in parts if part not in known]
    return texts


def split_source(name: str) -> tuple[str, str | None]:
    """
    Splits the name of a benchmark from the place of its files: `"ds1000=my/file.jsonl"`.

    Args:
        name (`str`):
            As [`benchmark_texts`] takes it.

    Returns:
        `tuple[str, str | None]`: The name and the place, or the whole and `None` where it is no benchmark's name.
    """
    chosen, _, source = name.partition("=")
    return (chosen, source or None) if find_benchmark(chosen) else (name, None)


def _data_set_texts(source: str) -> dict[str, list[str]]:
    path, _, config = source.partition(":")
    title, rows = open_rows(path, name=config or None, split="test" if config else "train")
    texts: dict[str, list[str]] = {}
    for index, row in enumerate(rows):
        prompt = next((row[column] for column in _PROMPTS if row.get(column)), None)
        if prompt is None:
            raise ValueError(
                f"Row {index} of the benchmark {title!r} has no {', '.join(f'`{column}`' for column in _PROMPTS[:-1])} or "
                f"`{_PROMPTS[-1]}`, only {', '.join(row)}."
            )
        name = next((str(row[column]) for column in _NAMES if row.get(column) is not None), f"{title}/{index}")
        prompts = [prompt]
        if not isinstance(prompt, str):  # a conversation, as TRL has it
            prompts = [
                turn["content"] for turn in read_row({"messages": prompt}, f"row {index} of {title}")["messages"]
            ]
        solutions = [row[column] for column in _SOLUTIONS if row.get(column)]
        texts.setdefault(name, []).extend([*prompts, *solutions])
    if not texts:
        raise ValueError(f"The benchmark {title!r} has no rows: give another file.")
    return texts
