"""Rows that are requests already: Evol-Instruct's `instruction`, CodeFeedback's `query`, and rows of our own [`Problem`].

The answers that come with instruction data are nobody's proof: they are no references, and are left out.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from ..problem import Example, Problem


FIELDS = tuple(field.name for field in dataclasses.fields(Problem))


def from_columns(columns: dict[str, str]) -> Callable[[dict[str, Any]], Problem]:
    """
    A mapping that takes each field of a problem from a column.

    Args:
        columns (`dict[str, str]`): the column of each field: `instruction`, and any of `id`, `language`, `tests` (code, or
            a list of it), `examples` (see [`read_examples`]), `entry_point`, `reference`, `source` and `licence`.
    """

    def map_row(row: dict[str, Any]) -> Problem:
        fields = {field: row[column] for field, column in columns.items() if row.get(column) is not None}
        fields = {"id": "", "instruction": "", "language": "", **fields}
        fields["id"] = str(fields["id"])
        if isinstance(fields.get("tests"), list):
            fields["tests"] = "\n".join(fields["tests"])
        if "examples" in fields:
            fields["examples"] = read_examples(fields["examples"])
        for field, value in fields.items():
            if field != "examples" and not isinstance(value, str):
                raise ValueError(f"`{columns.get(field, field)}` is no text but {value!r:.60}")
        return Problem(**fields)

    return map_row


def read_examples(value: Any) -> tuple[Example, ...]:
    """
    Runs of a whole program from whatever form they have.

    Args:
        value (`str` or `list` or `dict`): a list of `{"stdin": ..., "stdout": ...}`, of `{"input": ..., "output": ...}` or
            of pairs, or a dict of two lists, `inputs` and `outputs`; any of these may be JSON.
    """
    try:
        value = json.loads(value) if isinstance(value, str) else value
        if isinstance(value, dict):
            value = list(zip(value["inputs"], value["outputs"], strict=True))
        pairs = [
            ((pair["stdin"], pair["stdout"]) if "stdin" in pair else (pair["input"], pair["output"]))
            if isinstance(pair, dict)
            else tuple(pair)
            for pair in value
        ]
        if not all(len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs):
            raise ValueError("not pairs of text")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"examples must be a list of `stdin` and `stdout`, of `input` and `output`, or of pairs, got {value!r:.60}"
        ) from error
    return tuple(Example(stdin, stdout) for stdin, stdout in pairs)


def plain(row: dict[str, Any]) -> Problem:
    """
    Map a row whose columns are called like the fields of a [`Problem`]; only `instruction` has to be there.

    Args:
        row (`dict`): with `instruction`; an `input` (Alpaca's form) is put below it.
    """
    problem = from_columns({field: field for field in FIELDS})(row)
    context = row.get("input")
    if problem.instruction.strip() and isinstance(context, str) and context.strip():
        problem = dataclasses.replace(problem, instruction=f"{problem.instruction.strip()}\n\n{context.strip()}")
    return problem


def code_feedback(row: dict[str, Any]) -> Problem:
    """
    Map a row of CodeFeedback.

    Args:
        row (`dict`): with `query`; `lang` names the language.
    """
    return from_columns({"instruction": "query", "language": "lang", "id": "id"})(row)
