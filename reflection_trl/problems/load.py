"""Loads problems from the rows of any dataset, and checks each of them."""

import dataclasses
import itertools
import logging
import numbers
import re
from collections import abc
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from ..checking import CHECKERS, reference_problem
from ..files.rows import check_split, open_rows
from ..languages import get_language
from ..quoting import list_names, quote
from .mappings import MAPPINGS, Mapping, find_mapping
from .mappings.plain import FIELDS, Columns, from_columns
from .mappings.text import Row, parses
from .problem import Example, Problem, is_checker_source
from .runnable import complete_tests
from .tolerance import stated_tolerance


logger = logging.getLogger(__name__)

_LONGEST_REASON = 500
_NAME = re.compile(r"[^\W\d]\w*(?:(?:\(\))?\.[^\W\d]\w*)*")


def load_problems(
    source: Any,
    *,
    mapping: str | Mapping | None = None,
    columns: Columns | None = None,
    split: str = "train",
    name: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    language: str | None = None,
    license: str | None = None,
    limit: int | None = None,
    skip_invalid: bool = False,
) -> Iterator[Problem]:
    """
    Loads problems from any dataset.

    ```python
    >>> from reflection_trl.problems import load_problems

    >>> problems = load_problems("google-research-datasets/mbpp")  # the columns determine the mapping
    >>> problems = load_problems("my/*.jsonl", columns={"instruction": "task", "tests": "asserts"}, language="javascript")
    ```

    Args:
        source (`str`, `PathLike`, `Dataset`, `IterableDataset`, `DatasetDict` or an iterable of `dict` or [`Problem`]):
            A dataset on the Hub; local JSON, JSON lines, Parquet or CSV (a file, or a pattern such as
            `"data/*.jsonl"`); a folder that `datasets` can read; or rows in memory.
        mapping (`str` or `Callable[[dict], Problem | None]`, *optional*):
            Converts a row to a problem: one of `MAPPINGS` (`"mbpp"`, `"apps"`, `"leetcode"`, `"puzzles"`,
            `"exercism"`, `"code_feedback"`, `"gsm8k"`, `"math"`, `"multiple_choice"`, `"plain"`), or your own
            function, which may return `None` to skip a row. Defaults to the mapping that fits the columns, or to
            `"plain"`, which knows common column names: see [Your own problems](../problems.md).
        columns (`dict[str, str]`, *optional*):
            In place of a mapping, the column of each field of a [`Problem`]: `instruction`, and any others. `None`
            leaves a field empty: with `"tests": None`, a column that looks like tests is not an error.
        split (`str`, *optional*, defaults to `"train"`):
            Split of the dataset. Local files have none.
        name (`str`, *optional*):
            Configuration of a dataset on the Hub.
        revision (`str`, *optional*):
            Revision of a dataset on the Hub.
        streaming (`bool`, *optional*, defaults to `False`):
            Whether to read the dataset while it is downloaded.
        language (`str`, *optional*):
            Language of problems whose rows have none. Defaults to `"python"`.
        license (`str`, *optional*):
            SPDX identifier for problems whose rows and mapping have none.
        limit (`int`, *optional*):
            Maximum number of problems.
        skip_invalid (`bool`, *optional*, defaults to `False`):
            Whether to skip rows that are not valid problems, with a warning, instead of raising an error.

    Returns:
        `Iterator[Problem]`: The problems, in the order of the rows. The id of a problem without one is the source and
        the index of its row.

    Raises:
        ValueError: If the source cannot be read, a column is missing, an option is wrong or no row is a problem.
        Unless `skip_invalid` is set, also if a row has an empty instruction, a duplicate id, an unknown language, an
        unread column that looks like tests, Python tests that cannot be parsed or run nothing, both tests and a final
        answer, or an invalid final answer. Rows count from 0.
    """
    _check_types(
        columns=(columns, abc.Mapping),
        split=(split, str),
        name=(name, str),
        revision=(revision, str),
        streaming=(streaming, bool),
        language=(language, str),
        license=(license, str),
        limit=(limit, numbers.Integral),
        skip_invalid=(skip_invalid, bool),
    )
    _check_options(mapping, columns, limit)
    check_split(source, split, name, revision)
    title, rows = open_rows(source, split=split, name=name, streaming=streaming, revision=revision)
    defaults = {"language": language and get_language(language).name, "license": license}
    problems = _problems(rows, title, mapping, columns, skip_invalid, {k: v for k, v in defaults.items() if v})
    return itertools.islice(problems, limit)


def _check_types(**options: tuple[Any, type]) -> None:
    """Checks the types of options, which may come from a YAML file."""
    kinds = {
        str: "text",
        bool: "true or false",
        numbers.Integral: "a whole number",
        abc.Mapping: "a mapping of fields to columns",
    }
    for name, (value, kind) in options.items():
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"`{name}` of a source of problems must be {kinds[kind]}, got {quote(value)}.")


def _check_options(mapping: str | Mapping | None, columns: Columns | None, limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise ValueError(f"`limit` must be at least 1, got {limit}.")
    if mapping is not None and columns is not None:
        raise ValueError("Give either `mapping` or `columns`, not both.")
    if mapping is not None and not callable(mapping) and not (isinstance(mapping, str) and mapping in MAPPINGS):
        raise ValueError(f"Unknown mapping {quote(mapping)}; use one of {', '.join(map(repr, MAPPINGS))}.")
    for field, column in (columns or {}).items():
        if field not in FIELDS:
            raise ValueError(
                f"`columns` names the field {quote(field)}, but a problem has no such field; use some of {', '.join(FIELDS)}."
            )
        if column is not None and not isinstance(column, str):
            raise ValueError(f"`columns` must name a column for `{field}`, got {quote(column)}.")
    if columns is not None and columns.get("instruction") is None:
        raise ValueError("`columns` must name the column of `instruction`.")


def _problems(
    rows: Iterator[Any],
    title: str,
    mapping: str | Mapping | None,
    columns: Columns | None,
    skip_invalid: bool,
    defaults: dict[str, str],
) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    map_row, index = None, -1
    for index, row in enumerate(rows):
        if map_row is None and isinstance(row, dict) and row:
            map_row = _resolve(mapping, columns, row, title)
        try:
            problem = _to_problem(row, map_row)
            if problem is not None:
                problem = _complete(problem, title, index, defaults)
                _check(problem, seen)
        except Exception as error:
            message = f"Row {index} of {title!r}: {_reason(error)}."
            if not skip_invalid:
                raise ValueError(message) from error
            logger.warning("%s Skipped.", message)
            continue
        if problem is not None:
            seen[problem.id] = index
            yield problem
    if index < 0:
        raise ValueError(f"{title!r} has no rows.")
    if not seen:
        raise ValueError(
            f"None of the {index + 1} rows of {title!r} makes a problem: name the `columns`, or give another `mapping`."
        )


def _to_problem(row: Any, map_row: Mapping | None) -> Problem | None:
    if isinstance(row, Problem):
        return row
    if not isinstance(row, dict):
        raise ValueError(f"a row is a dict or a Problem, not {quote(row, 60)}")
    if not row or map_row is None:
        raise ValueError("it has no columns; a problem needs at least an `instruction`")
    problem = map_row(row)
    if problem is not None and not isinstance(problem, Problem):
        raise ValueError(f"the mapping gave {type(problem).__name__}, not a Problem")
    return problem


def _reason(error: Exception) -> str:
    if type(error) is ValueError:
        reason = str(error)
    elif isinstance(error, RecursionError | MemoryError):
        reason = "it is nested too deeply"
    else:  # of a mapping that the caller wrote
        reason = f"the mapping raised {type(error).__name__}: {error}"
    return (reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}...").rstrip(".")


def _resolve(mapping: str | Mapping | None, columns: Columns | None, row: dict[str, Any], title: str) -> Mapping:
    """Returns the mapping for rows of this form."""
    present = list(row)
    if callable(mapping):
        return mapping
    found: Mapping
    if columns is not None:
        wanted, found = [column for column in columns.values() if column is not None], from_columns(columns)
    elif mapping is not None:
        wanted, found = [*MAPPINGS[mapping].columns], MAPPINGS[mapping].map
    else:
        return _detect(row, title)
    missing = [column for column in wanted if column not in present]
    if missing:
        raise ValueError(
            f"{title!r} has no column {', '.join(f'`{column}`' for column in missing)}, only {list_names(present)}; say which "
            f"column holds what, {_columns_example(present[0])}."
        )
    return found


def _columns_example(column: str) -> str:
    name = quote(column, 40)
    return f"as in `columns={{'instruction': {name}}}`, or `columns: {{instruction: {name}}}` beside the `path` in a YAML file"


def _detect(row: dict[str, Any], title: str) -> Mapping:
    fitting, present = find_mapping(row), list(row)
    if len(fitting) != 1:
        what = f"fit the mappings {' and '.join(map(repr, fitting))}" if fitting else "fit no ready-made mapping"
        raise ValueError(
            f"The columns of {title!r} {what}: {list_names(present)}; rename them to `instruction`, `tests` and so on, set `mapping` "
            f"to one of {', '.join(MAPPINGS)}, or say which column holds what, {_columns_example(present[0])}."
        )
    logger.info("The columns of %r fit the mapping %r.", title, fitting[0])
    return MAPPINGS[fitting[0]].map


def _complete(problem: Problem, title: str, index: int, defaults: dict[str, str]) -> Problem:
    """Sets the fields that neither row nor mapping have set."""
    problem = _standardized(problem, defaults.get("language", "python"))
    source = problem.source or title
    return dataclasses.replace(
        problem,
        id=problem.id or f"{PurePath(source).name}/{index}",
        source=source,
        license=problem.license or defaults.get("license", ""),
    )


def _standardized(problem: Problem, default_language: str = "python") -> Problem:
    """Checks the fields by which answers are judged, and brings them into the form that the judge expects."""
    _check_fields(problem)
    language = get_language(problem.language or default_language).name
    tests = problem.tests
    if language == "python" and tests.strip():
        tests = complete_tests(tests, problem.entry_point)
    tolerance = problem.tolerance
    if tolerance is None and problem.examples:
        tolerance = stated_tolerance(problem.instruction)
    if language == "python" and problem.entry_point and not _NAME.fullmatch(problem.entry_point):
        raise ValueError(
            f"`entry_point` {quote(problem.entry_point)} is not the name of a function or class; give what the tests call, as in `add` or "
            "`Solution().add`"
        )
    if problem.answer is not None:
        _check_answer(problem, problem.answer)
    return dataclasses.replace(problem, language=language, tests=tests, tolerance=tolerance)


def read_problem(row: Row, instruction: str) -> Problem:
    """
    Reads a row of a dataset for reinforcement learning, whose request is a prompt.

    Args:
        row (`dict`):
            Columns with the names of the fields of a [`Problem`], in any form that [`load_problems`] reads.
        instruction (`str`):
            The request. It may be empty.

    Raises:
        ValueError: If answers cannot be judged by the columns.
    """
    problem = from_columns({field: field for field in FIELDS if field in row})(row)
    return _standardized(dataclasses.replace(problem, instruction=instruction))


def _check_fields(problem: Problem) -> None:
    """Checks the types of all fields, because a custom mapping may return any values."""
    for field in FIELDS:
        value = getattr(problem, field)
        if field == "examples":
            if not all(
                isinstance(example, Example) and isinstance(example.stdin, str) and isinstance(example.stdout, str)
                for example in (value if isinstance(value, tuple) else [value])
            ):
                raise ValueError(f"`examples` must be a tuple of Example with texts, got {quote(value)}")
        elif field == "tolerance":
            if value is not None and not (isinstance(value, int | float) and 0 < value < 1):
                raise ValueError(f"`tolerance` must be a number above 0 and below 1, got {quote(value)}")
        elif field == "choices":
            if not isinstance(value, tuple) or not all(isinstance(choice, str) for choice in value):
                raise ValueError(f"`choices` must be a tuple of texts, got {quote(value)}")
        elif not isinstance(value, str) and not (value is None and field in ("entry_point", "reference", "answer")):
            raise ValueError(f"`{field}` must be text, got {quote(value)}")


def _check(problem: Problem, seen: dict[str, int]) -> None:
    if not problem.instruction.strip():
        raise ValueError("the instruction is empty")
    if problem.id in seen:
        raise ValueError(
            f"the id {quote(problem.id)} is also that of row {seen[problem.id]}; give each row a unique id"
        )
    texts = {field: value for field in FIELDS if isinstance(value := getattr(problem, field), str)}
    examples = "".join(f"{example.stdin}{example.stdout}" for example in problem.examples)
    for field, text in (*texts.items(), ("examples", examples), ("choices", "".join(problem.choices))):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"`{field}` holds half of a surrogate pair ({quote(text[error.start])}), which is not a valid character; "
                "remove or replace it"
            ) from None


def _check_answer(problem: Problem, answer: str) -> None:
    if problem.tests.strip() or problem.examples:
        what = "tests" if problem.tests.strip() else "examples"
        raise ValueError(
            f"it has both {what} and a final `answer`; remove one of them, as in `columns={{..., 'answer': None}}`"
        )
    if problem.checker not in CHECKERS and not is_checker_source(problem.checker):
        raise ValueError(
            f"`checker` must be one of {', '.join(map(repr, CHECKERS))}, or the source of a function `check(answer, expected)`, got "
            f"{quote(problem.checker)}"
        )
    if problem.checker in CHECKERS:
        if reason := reference_problem(answer, problem.checker, problem.choices):
            raise ValueError(reason)
    elif not parses(problem.checker):
        raise ValueError(f"`checker` is not Python: {quote(problem.checker)}")
