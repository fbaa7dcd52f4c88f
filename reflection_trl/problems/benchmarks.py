"""The texts of benchmarks, for decontamination: what their tasks ask, and how they are solved."""

from collections.abc import Callable, Iterable
from typing import Any

from .sources import open_rows


_EVALPLUS = {"humaneval": "HumanEval", "humaneval+": "HumanEval", "mbpp": "MBPP", "mbpp+": "MBPP"}
_PROMPTS = ("prompt", "instruction", "question", "text")
_SOLUTIONS = ("canonical_solution", "reference", "code")
_NAMES = ("task_id", "name", "id")


def benchmark_texts(names: Iterable[str]) -> dict[str, list[str]]:
    """
    Read the prompts and canonical solutions of benchmarks.

    Args:
        names (`Iterable[str]`):
            `"humaneval"` and `"mbpp"`, which evalplus provides (its HumanEval+ and MBPP+ hold the original tasks: the `+`
            may be left out), and any data set with a `prompt`: a file, a pattern such as `"multipl_e/*.jsonl"`, a folder or
            a Hub id, followed by its configuration where it has several (`"nuprl/MultiPL-E:humaneval-rs"`).

    Returns:
        `dict[str, list[str]]`: The texts of each task, by its name.

    Raises:
        ValueError: If a benchmark is neither on this machine nor to be had from the network.
    """
    if isinstance(names, str):
        raise ValueError(f"Benchmarks are given as a list of names, got the text {names!r}.")
    texts: dict[str, list[str]] = {}
    for name in names:
        benchmark = _EVALPLUS.get(name.lower())
        for task, parts in (_evalplus_texts(benchmark) if benchmark else _data_set_texts(name)).items():
            texts.setdefault(task, []).extend(parts)
    return texts


def read_evalplus(benchmark: str) -> dict[str, dict[str, Any]]:
    """
    The tasks of a benchmark as evalplus holds them, with its own inputs and those of the `+`.

    Args:
        benchmark (`str`): `"HumanEval"` or `"MBPP"`.

    Raises:
        ValueError: If evalplus is not installed, or the tasks are neither on this machine nor to be had from the network.
    """
    try:
        from evalplus.data import humaneval, mbpp
    except ImportError as error:
        raise ValueError(f"{benchmark} is read through evalplus: run `pip install evalplus`.") from error
    read: Callable[[], dict[str, dict[str, Any]]]
    if benchmark == "HumanEval":
        read, override = humaneval.get_human_eval_plus, humaneval.HUMANEVAL_OVERRIDE_PATH
    else:
        read, override = mbpp.get_mbpp_plus, mbpp.MBPP_OVERRIDE_PATH
    variable = f"{benchmark.upper()}_OVERRIDE_PATH"
    try:
        return read()
    except Exception as error:  # whatever the download library, a cut file or an incomplete one raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{benchmark}+ cannot be read from {override!r}: {reason}."
            if override
            else f"{benchmark}+ is not in evalplus's cache and cannot be downloaded ({reason}); with no network, get its file "
            f"(jsonl) elsewhere and set {variable} to its path."
        ) from error


def _evalplus_texts(benchmark: str) -> dict[str, list[str]]:
    tasks = read_evalplus(benchmark)
    return {name: [*_statement(task["prompt"]), task["canonical_solution"]] for name, task in tasks.items()}


def _statement(prompt: str) -> list[str]:
    """MBPP's prompt is a sentence and an assert: each may be found without the other."""
    text, _, test = prompt.strip('"\n ').partition("\nassert ")
    return [text, test] if test else [prompt]


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
        solutions = [row[column] for column in _SOLUTIONS if row.get(column)]
        texts.setdefault(name, []).extend([prompt, *solutions])
    if not texts:
        raise ValueError(f"The benchmark {title!r} has no rows.")
    return texts
