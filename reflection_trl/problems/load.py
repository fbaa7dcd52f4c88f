"""From the rows of any data set to problems, each of them checked."""

import dataclasses
import itertools
import logging
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from ..languages import get_language
from .mappings import MAPPINGS, Mapping
from .mappings.plain import FIELDS, from_columns
from .mappings.text import parse
from .problem import Problem
from .sources import open_rows


logger = logging.getLogger(__name__)


def load_problems(
    source: Any,
    *,
    mapping: str | Mapping | None = None,
    columns: dict[str, str] | None = None,
    split: str = "train",
    name: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    language: str | None = None,
    licence: str | None = None,
    limit: int | None = None,
    skip_invalid: bool = False,
) -> Iterator[Problem]:
    """
    Read problems from any data set.

    ```python
    >>> from reflection_trl.problems import load_problems

    >>> problems = load_problems("google-research-datasets/mbpp")  # the mapping is known by the columns
    >>> problems = load_problems("my/*.jsonl", columns={"instruction": "task", "tests": "asserts"}, language="javascript")
    ```

    Args:
        source (`str`, `PathLike`, `Dataset`, `IterableDataset`, `DatasetDict` or an iterable of `dict` or [`Problem`]):
            A data set on the Hub; local JSON, JSON lines, Parquet or CSV (a file, or a pattern such as `"data/*.jsonl"`); a
            folder that `datasets` can read; or rows in memory.
        mapping (`str` or `Callable[[dict], Problem | None]`, *optional*):
            How a row becomes a problem: one of `MAPPINGS` (`"mbpp"`, `"apps"`, `"leetcode"`, `"puzzles"`, `"exercism"`,
            `"code_feedback"`, `"plain"`), or a function of yours, which may return `None` to leave a row out. Defaults to
            the one that fits the columns.
        columns (`dict[str, str]`, *optional*):
            In place of a mapping, the column that holds each field of a [`Problem`]: `instruction`, and any others.
        split (`str`, *optional*, defaults to `"train"`):
            Split of the data set. Local files have none.
        name (`str`, *optional*):
            Configuration of a data set on the Hub.
        revision (`str`, *optional*):
            Revision of a data set on the Hub.
        streaming (`bool`, *optional*, defaults to `False`):
            Read the data set while it is being downloaded.
        language (`str`, *optional*):
            Language of the problems whose rows name none. Defaults to `"python"`.
        licence (`str`, *optional*):
            SPDX identifier for the problems whose rows and mapping name none.
        limit (`int`, *optional*):
            Stop after so many problems.
        skip_invalid (`bool`, *optional*, defaults to `False`):
            Leave out rows that make no valid problem, with a warning, instead of raising.

    Returns:
        `Iterator[Problem]`: The problems, in the order of the rows. A problem without an id of its own is called by the
        source and the number of its row.

    Raises:
        ValueError: If the source cannot be read, a column is missing, an option is wrong or no row makes a problem; and,
            unless `skip_invalid`, if a row has an empty instruction, an id that was there before, an unknown language, or
            Python tests that cannot be parsed. Rows count from 0.
    """
    _check_options(mapping, columns, limit)
    title, rows = open_rows(source, split=split, name=name, streaming=streaming, revision=revision)
    defaults = {"language": language and get_language(language).name, "licence": licence}
    problems = _problems(rows, title, mapping, columns, skip_invalid, {k: v for k, v in defaults.items() if v})
    return itertools.islice(problems, limit)


def _check_options(mapping: str | Mapping | None, columns: dict[str, str] | None, limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise ValueError(f"`limit` must be at least 1, got {limit}.")
    if mapping is not None and columns is not None:
        raise ValueError("Give either `mapping` or `columns`, not both.")
    if isinstance(mapping, str) and mapping not in MAPPINGS:
        raise ValueError(f"Unknown mapping {mapping!r}; there are {', '.join(map(repr, MAPPINGS))}.")
    for field in columns or ():
        if field not in FIELDS:
            raise ValueError(f"`columns` names the field {field!r}, but a problem has only {', '.join(FIELDS)}.")
    if columns is not None and "instruction" not in columns:
        raise ValueError("`columns` has to say which column holds the `instruction`.")


def _problems(
    rows: Iterator[Any],
    title: str,
    mapping: str | Mapping | None,
    columns: dict[str, str] | None,
    skip_invalid: bool,
    defaults: dict[str, str],
) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    map_row, index = None, -1
    for index, row in enumerate(rows):
        if map_row is None and isinstance(row, dict):
            map_row = _resolve(mapping, columns, list(row), title)
        try:
            problem = _complete(_to_problem(row, map_row), title, index, defaults)
            _check(problem, seen)
        except Exception as error:
            reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            message = f"Row {index} of {title!r}: {reason.rstrip('.')}."
            if not skip_invalid:
                raise ValueError(message) from error
            logger.warning("%s Left out.", message)
            continue
        if problem is not None:
            seen[problem.id] = index
            yield problem
    if index < 0:
        raise ValueError(f"{title!r} has no rows.")
    if not seen:
        raise ValueError(f"None of the {index + 1} rows of {title!r} makes a problem.")


def _to_problem(row: Any, map_row: Mapping | None) -> Problem | None:
    if isinstance(row, Problem):
        return row
    if not isinstance(row, dict) or map_row is None:
        raise ValueError(f"a row is a dict or a Problem, not {row!r:.60}")
    return map_row(row)


def _resolve(mapping: str | Mapping | None, columns: dict[str, str] | None, present: list[str], title: str) -> Mapping:
    """The mapping for rows with these columns."""
    if callable(mapping):
        return mapping
    found: Mapping
    if columns is not None:
        wanted, found = [*columns.values()], from_columns(columns)
    elif mapping is not None:
        wanted, found = [*MAPPINGS[mapping].columns], MAPPINGS[mapping].map
    else:
        return _detect(present, title)
    missing = [column for column in wanted if column not in present]
    if missing:
        raise ValueError(
            f"{title!r} has no column {', '.join(f'`{column}`' for column in missing)}, only {', '.join(present)}; say which "
            f"column holds what, as in `columns={{'instruction': {present[0]!r}}}`."
        )
    return found


def _detect(present: list[str], title: str) -> Mapping:
    fitting = [name for name, ready in MAPPINGS.items() if set(ready.columns) <= set(present)]
    if len(fitting) != 1:
        what = f"fit the mappings {' and '.join(map(repr, fitting))}" if fitting else "fit no ready-made mapping"
        raise ValueError(
            f"The columns of {title!r} {what}: {', '.join(present)}; set `mapping` to one of {', '.join(MAPPINGS)}, or say which "
            f"column holds what, as in `columns={{'instruction': {present[0]!r}}}`."
        )
    logger.info("The columns of %r fit the mapping %r.", title, fitting[0])
    return MAPPINGS[fitting[0]].map


def _complete(problem: Problem | None, title: str, index: int, defaults: dict[str, str]) -> Problem | None:
    """Fill in what neither row nor mapping said."""
    if problem is None:
        return None
    if not isinstance(problem, Problem):
        raise ValueError(f"the mapping gave {type(problem).__name__}, not a Problem")
    source = problem.source or title
    return dataclasses.replace(
        problem,
        id=problem.id or f"{PurePath(source).name}/{index}",
        source=source,
        language=get_language(problem.language or defaults.get("language", "python")).name,
        licence=problem.licence or defaults.get("licence", ""),
    )


def _check(problem: Problem | None, seen: dict[str, int]) -> None:
    if problem is None:
        return
    if not problem.instruction.strip():
        raise ValueError("the instruction is empty")
    if problem.id in seen:
        raise ValueError(f"the id {problem.id!r} is that of row {seen[problem.id]} too; ids have to be unique")
    if problem.language == "python" and problem.tests:
        try:
            parse(problem.tests)
        except SyntaxError as error:
            raise ValueError(f"the tests are not Python ({error.msg}, line {error.lineno})") from error
