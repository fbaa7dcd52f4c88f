"""Maps rows by the names of their columns: Evol-Instruct's `instruction`, CodeFeedback's `query`, TRL's `prompt`, rows
of [`Problem`].

The answers of instruction data (`output`, `answer`, `response`, `completion`) are not verified, so they are not
references and are ignored. An `answer` that is a final answer (a number, or the input of a `checker`) replaces tests.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from ...checking import CHECKERS
from ...quoting import quote
from ..problem import Example, Problem
from .final_answers import RIGHT_CHOICE, final_answer_of, is_final, read_choices, right_choice
from .tests import read_tests, refuse_unread_tests
from .text import Row, join_code, name_of, parses


FIELDS = tuple(field.name for field in dataclasses.fields(Problem))

# Common column names of each field, starting with the name of the field
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "task_id", "problem_id", "question_id"),
    "instruction": ("instruction", "prompt", "question", "query", "problem", "problem_statement", "messages"),
    "language": ("language", "lang", "programming_language"),
    "tests": (
        "tests", "test", "test_list", "test_code", "test_cases", "testcases", "testcase", "asserts", "assertions", "unit_tests",
        "unit_test",
    ),
    "examples": ("examples", "input_output"),
    "entry_point": ("entry_point", "function_name", "fn_name", "func_name", "method_name"),
    "reference": ("reference", "canonical_solution", "reference_solution", "solution", "solutions", "code"),
    "source": ("source",),
    "license": ("license", "licence"),  # codespell:ignore licence
    "tolerance": ("tolerance",),
    "answer": ("answer", "final_answer"),
    "checker": ("checker",),
    "choices": ("choices", "options"),
}  # fmt: skip
# Columns with code before the tests
_SETUP = ("test_setup", "test_setup_code", "test_imports")

Columns = Mapping[str, str | None]


def from_columns(columns: Columns) -> Callable[[Row], Problem]:
    """
    Returns a mapping that reads each field of a problem from a column.

    Args:
        columns (`Mapping[str, str]`):
            Column of each field: `instruction`, and any of `id`, `language`, `tests` (code, a list of it, or any form
            for [`read_tests`]), `examples`, `entry_point`, `reference`, `source`, `license`, `tolerance`, `answer`,
            `checker` and `choices`. `None` leaves the field empty, even if a column looks like it.
    """

    def map_row(row: Row) -> Problem:
        problem = _problem(row, {field: column for field, column in columns.items() if column is not None})
        if not {"tests", "examples"} & columns.keys():
            refuse_unread_tests(row, used=set(columns.values()))
        return problem

    return map_row


def plain(row: Row) -> Problem:
    """
    Maps a row whose columns have the names of the fields of a [`Problem`], or those in `ALIASES`. Only the instruction
    is required.

    Args:
        row (`dict`):
            Row with `instruction`. An `input` (Alpaca's form) is appended to it.
    """
    columns = {field: column for field in FIELDS if (column := _find(field, row)) is not None}
    answer = row.get(columns.get("answer", ""))
    may_be_ignored = isinstance(answer, str) or {"tests", "examples"} & columns.keys()  # prose, or data beside tests
    if may_be_ignored and not (
        {"checker", "choices"} & columns.keys() or is_final(answer) or isinstance(answer, bool)
    ):
        columns.pop("answer", None)
    if not {"answer", "tests", "examples"} & columns.keys():
        _refuse_unread_answer(row, columns.get("choices"))
    if "answer" not in columns and row.get("checker") not in CHECKERS:
        columns.pop("checker", None)  # tests, perhaps
    problem = _problem(row, columns)
    setup = [column for column in _SETUP if row.get(column)] if problem.tests else []
    if setup:
        texts = [read_tests(row[column], column)[0] for column in setup]
        problem = dataclasses.replace(problem, tests=join_code(*texts, problem.tests))
    refuse_unread_tests(row, used={*columns.values(), *setup})
    context = row.get("input")
    if problem.instruction.strip() and isinstance(context, str) and context.strip():
        problem = dataclasses.replace(problem, instruction=f"{problem.instruction.strip()}\n\n{context.strip()}")
    return problem


def _refuse_unread_answer(row: Row, choices: str | None) -> None:
    listed = row[choices] if choices else None
    if choices is None or not isinstance(
        listed["text"] if isinstance(listed, dict) and "text" in listed else listed, list | tuple
    ):
        return
    right = next((name for name in RIGHT_CHOICE if row.get(name) not in (None, "")), None)
    named = quote(right or "...")
    raise ValueError(
        f"it has `{choices}` but no `answer`, so nothing would check its answers; map the column of the right one, as in "
        f"`columns={{'instruction': ..., 'choices': {choices!r}, 'answer': {named}}}`, or give `columns` without it"
    )


def code_feedback(row: Row) -> Problem:
    """
    Maps a row of CodeFeedback.

    Args:
        row (`dict`):
            Row with `query`, and its language in `lang`.
    """
    return from_columns({"instruction": "query", "language": "lang", "id": "id"})(row)


def _find(field: str, row: Row) -> str | None:
    """Returns the column of a field."""
    holding = [name for name in ALIASES[field] if row.get(name) not in (None, "", [], {})]
    if field in ("instruction", "tests") and len(holding) > 1 and holding[0] != field:
        raise ValueError(
            f"{' and '.join(f'`{name}`' for name in holding)} may each hold the {field}; say which does, as in "
            f"`columns={{'instruction': {(holding[0] if field == 'instruction' else 'instruction')!r}"
            + (f", 'tests': {holding[0]!r}}}`" if field == "tests" else "}`")
        )
    return holding[0] if holding else None


def _problem(row: Row, columns: Mapping[str, str]) -> Problem:
    texts = {
        field: _text(row[column], column)
        for field, column in columns.items()
        if field in ("language", "entry_point", "source", "license") and row.get(column) is not None
    }
    tests, examples = "", tuple[Example, ...]()
    if column := columns.get("tests"):
        tests, examples = read_tests(row.get(column), column)
    if column := columns.get("examples"):
        # Expected return values for given arguments are code, and belong to the tests
        code, read = read_tests(row.get(column), column, code=False)
        tests, examples = join_code(tests, code) if code else tests, (*examples, *read)
    instruction = (
        _instruction(row.get(columns["instruction"]), columns["instruction"]) if "instruction" in columns else ""
    )
    choices, answer, checker = _final_answer(row, columns)
    return Problem(
        id=name_of(row, columns["id"]) if "id" in columns else "",
        instruction=instruction,
        language=texts.pop("language", ""),
        tests=tests,
        examples=examples,
        reference=_reference(row.get(column), column, instruction) if (column := columns.get("reference")) else None,
        tolerance=_tolerance(row.get(column), column) if (column := columns.get("tolerance")) else None,
        answer=answer,
        checker=checker,
        choices=choices,
        **texts,
    )


def _final_answer(row: Row, columns: Mapping[str, str]) -> tuple[tuple[str, ...], str | None, str]:
    """Returns choices, final answer and checker."""
    column = columns.get("answer")
    value = row.get(column) if column else None
    if column is None or value is None or value == "":
        return (), None, "math"
    named = _text(row[given], given) if (given := columns.get("checker")) and row.get(given) else ""
    choices: list[str] = []
    labels: list[str] = []
    if (listed := columns.get("choices")) and row.get(listed):
        choices, labels = read_choices(row[listed], listed)
    checker = named or ("choice" if choices else "math")
    if checker == "choice" and choices:
        return tuple(choices), right_choice(value, column, choices, labels), checker
    if checker == "regex":
        return tuple(choices), _text(value, column), checker
    return tuple(choices), final_answer_of(value, column), checker


def _text(value: Any, column: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{column}` must be text, got {quote(value)}")
    return value


def _instruction(value: Any, column: str) -> str:
    """
    Returns a text, or the request of a conversation with one user turn, such as TRL's `prompt`. A system turn is put
    before it.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    turns = value if isinstance(value, list | tuple) else []
    contents: dict[str, str] = {}
    for turn in turns:
        role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        if role == "assistant" and contents.get("user") and turn is turns[-1]:
            break  # an answer, which is not verified
        if role not in ("system", "user") or role in contents or not isinstance(content, str):
            contents = {}
            break
        contents[role] = content
    if not contents.get("user"):
        raise ValueError(f"`{column}` must be text or the messages of one user turn, got {quote(value)}")
    return "\n\n".join(filter(None, (contents.get("system"), contents["user"])))


def _reference(value: Any, column: str, instruction: str) -> str | None:
    """
    Returns a program, or the first of several that is Python. If it only continues the code of the instruction, both
    are joined.
    """
    if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
        return next(filter(parses, value), None) or next(iter(value), None)
    reference = _text(value, column) if value is not None else None
    if reference and re.match(r"[ \t]", reference) and not parses(reference) and parses(instruction + reference):
        return instruction + reference
    return reference


def _tolerance(value: Any, column: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
        raise ValueError(f"`{column}` must be a number above 0 and below 1, got {quote(value)}")
    return float(value)
