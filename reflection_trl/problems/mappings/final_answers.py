r"""
Maps problems with a final answer: GSM8K's `####`, MATH's `\boxed`, multiple choice, and other rows with a final
`answer`.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from ...checking import read_final_answer
from ...checking.compare import LABELS
from ...checking.numbers import read_number
from ...checking.reading import tidy
from ...quoting import quote
from ..problem import Problem
from .tests import refuse_unread_tests
from .text import Row, name_of, text_of


# GSM8K's calculator annotations
_CALCULATION = re.compile(r"<<[^<>\n]*>>")
_LABELED = re.compile(r"[(\[]?([A-Z])[)\].:]\s*(.+)", re.DOTALL)
_ROUNDED = 2**53  # from here on, a float cannot hold every whole number
_CHOICES = ("choices", "options")
RIGHT_CHOICE = ("answerKey", "answer", "correct", "label", "answer_index")


def gsm8k(row: Row) -> Problem:
    """
    Maps a row of GSM8K.

    Args:
        row (`dict`):
            Row with `question`, and `answer`: the solution, whose last line is `#### 72`.

    Raises:
        ValueError: If `answer` has no line `#### ...`, a column has another type, or the row has tests that are not read.
    """
    refuse_unread_tests(row, used=("question", "answer"))
    solution = text_of(row, "answer")
    reading = read_final_answer(solution)
    if reading.form != "####":
        raise ValueError("`answer` has no line `#### ...` with the final answer")
    return Problem(
        id=name_of(row, "id"),
        instruction=text_of(row, "question").strip(),
        answer=reading.answers[0],
        reference=_CALCULATION.sub("", solution).strip(),
        license="MIT",
    )


def math(row: Row) -> Problem:
    r"""
    Maps a row of MATH and similar datasets.

    Args:
        row (`dict`):
            Row with `problem` and `solution`, whose `\boxed{...}` is the final answer, unless `answer` has it;
            `unique_id` is optional.
    """
    refuse_unread_tests(row, used=("problem", "solution", "answer"))
    solution = text_of(row, "solution")
    answer = final_answer_of(row["answer"], "answer") if row.get("answer") not in (None, "") else None
    return Problem(
        id=name_of(row, "unique_id", "id"),
        instruction=text_of(row, "problem").strip(),
        answer=answer if answer is not None else final_answer_of(solution, "solution", boxed=True),
        reference=solution.strip() or None,
    )


def multiple_choice(row: Row) -> Problem:
    """
    Maps a row of MMLU, MMLU-Pro, ARC, CommonsenseQA, AQuA and similar datasets.

    Args:
        row (`dict`):
            Row with `question`; `choices` or `options`: texts, with or without their letters, or a dict of `text` and
            `label`; and the correct one in `answerKey`, `answer`, `correct`, `label` or `answer_index`: a letter, an
            index from 0, or the text.

    Raises:
        ValueError: If the choices or the correct one are missing or invalid, or the row has tests that are not read.
    """
    refuse_unread_tests(row, used=("question", *_CHOICES, *RIGHT_CHOICE))
    column = next((name for name in _CHOICES if row.get(name)), None)
    if column is None:
        raise ValueError("it has no `choices` or `options`")
    choices, labels = read_choices(row[column], column)
    right = next((name for name in RIGHT_CHOICE if row.get(name) not in (None, "")), None)
    if right is None:
        raise ValueError(
            "it has no `answerKey`, `answer`, `correct`, `label` or `answer_index` that names the correct choice"
        )
    return Problem(
        id=name_of(row, "id", "question_id"),
        instruction=text_of(row, "question").strip(),
        answer=right_choice(row[right], right, choices, labels),
        checker="choice",
        choices=tuple(choices),
    )


def has_final_answer(row: Row) -> bool:
    """Returns whether a row's `answer` is a final answer in GSM8K's form."""
    answer = row.get("answer")
    return isinstance(answer, str) and read_final_answer(answer).form == "####"


def has_boxed_answer(row: Row) -> bool:
    r"""Returns whether a row has MATH's form: its solution has a `\boxed` answer, or its `answer` is one."""
    solution = row.get("solution")
    boxed = isinstance(solution, str) and read_final_answer(solution).form == "boxed"
    return boxed or is_final(row.get("answer"))


def has_choices(row: Row) -> bool:
    """Returns whether a row has choices and the correct one."""
    return any(row.get(name) for name in _CHOICES) and any(row.get(name) not in (None, "") for name in RIGHT_CHOICE)


def is_final(value: Any) -> bool:
    r"""
    Returns whether a value is a final answer and not prose: a number, a text that is a number, or a text with a
    `\boxed` or `####` answer.

    Args:
        value (`Any`):
            Value of a row.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return False
    return not isinstance(value, str) or read_number(tidy(value[:1000])) is not None or _marked(value) is not None


def final_answer_of(value: Any, column: str, boxed: bool = False) -> str:
    r"""
    Returns the final answer in a column.

    Args:
        value (`str`, `int`, `float` or `Decimal`):
            The answer, or a solution that marks it with `\boxed` or `####`.
        column (`str`):
            Name of the column, for errors.
        boxed (`bool`, *optional*, defaults to `False`):
            Whether a text must mark its answer.

    Raises:
        ValueError: If there is none, or there are several different ones.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError(f"`{column}` must hold a final answer, as text or a number, got {quote(value)}")
    if not isinstance(value, str):
        return _number_text(value, column)
    marked = _marked(value)
    if marked is None:
        if boxed:
            raise ValueError(rf"`{column}` has no \boxed{{...}} with the final answer")
        return value.strip()
    keys = {"".join(tidy(answer).split()) for answer in marked}
    if len(keys) > 1:
        raise ValueError(
            rf"`{column}` has different boxed answers ({quote(marked[-2], 40)} and {quote(marked[-1], 40)}); give the right one as `answer`"
        )
    return marked[-1]


def read_choices(value: Any, column: str) -> tuple[list[str], list[str]]:
    """
    Returns the texts of choices, and their labels in the row.

    Args:
        value (`list` or `dict`):
            Texts; or a dict of `text` and `label`, two lists.
        column (`str`):
            Name of the column, for errors.

    Raises:
        ValueError: If the column is not a list of texts or numbers, or has more choices than letters.
    """
    labels: Any = None
    if isinstance(value, dict):
        value, labels = value.get("text"), value.get("label")
    texts = [*value] if isinstance(value, list | tuple) else None
    if not texts or not all(isinstance(text, str | int | float) and not isinstance(text, bool) for text in texts):
        raise ValueError(f"`{column}` must be a list of at least one text, got {quote(value)}")
    texts = [text.strip() if isinstance(text, str) else _number_text(text, column) for text in texts]
    matches = [_LABELED.fullmatch(text) for text in texts]
    if all(match and match[1] == label for match, label in zip(matches, LABELS, strict=False)):
        texts = [match[2].strip() for match in matches if match]
    if len(texts) > len(LABELS):
        raise ValueError(f"`{column}` has {len(texts)} choices, and at most {len(LABELS)} have a letter")
    if not isinstance(labels, list | tuple) or len(labels) != len(texts):
        return texts, [*LABELS[: len(texts)]]
    return texts, [str(label) for label in labels]


def right_choice(value: Any, column: str, choices: Sequence[str], labels: Sequence[str]) -> str:
    """
    Returns the letter of the correct choice.

    Args:
        value (`str` or `int`):
            Its label, its index from 0, or its text.
        column (`str`):
            Name of the column, for errors.
        choices (`Sequence[str]`):
            The texts.
        labels (`Sequence[str]`):
            The labels in the row.

    Raises:
        ValueError: If it is none of the choices.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        return LABELS[value]
    if isinstance(value, str):
        said = value.strip()
        if said in labels:
            return LABELS[labels.index(said)]
        if [*choices].count(said) == 1:
            return LABELS[choices.index(said)]
    raise ValueError(
        f"`{column}` must name one of {len(choices)} choices by its letter, number or text, got {quote(value)}"
    )


def _marked(text: str) -> tuple[str, ...] | None:
    reading = read_final_answer(text)
    return reading.answers if reading.form in ("boxed", "####") else None


def _number_text(value: float | Decimal, column: str) -> str:
    if not isinstance(value, int) and not isfinite(value):
        raise ValueError(f"`{column}` must hold a finite number, got {value}; write null if there is no answer")
    if isinstance(value, float) and abs(value) >= _ROUNDED:
        raise ValueError(
            f"`{column}` is read as {value}, which may be rounded: a column of CSV or Parquet with an empty cell or a longer number holds "
            "floats; write it as text, in JSON or Parquet"
        )
    try:
        text = str(value)
    except ValueError:  # more digits than Python converts
        raise ValueError(f"`{column}` must hold a final answer, got {quote(value)}") from None
    return text.removesuffix(".0")
