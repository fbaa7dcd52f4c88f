"""Maps APPS and similar datasets (TACO): a question with `input_output`, for whole programs or for one function.

`input_output` is JSON with `inputs`, `outputs` and, for tests of a function, `fn_name`.
"""

import json
from typing import Any

from ...quoting import quote
from ..problem import Problem
from .tests import call_tests, read_cases, refuse_unread_tests, to_examples
from .text import Row, code_block, name_of, parses, text_of, unix_lines


def apps(row: Row) -> Problem:
    """
    Maps a row of APPS.

    Args:
        row (`dict`):
            Row with `question` and `input_output` (JSON or a dict; empty for a problem without tests); `problem_id` or
            `id`, `solutions` (JSON or a list) and `starter_code` are optional.
    """
    question, starter = text_of(row, "question").strip(), text_of(row, "starter_code").strip()
    inputs, outputs, function = read_cases(_json(row, "input_output"), "input_output")
    if not inputs:
        refuse_unread_tests(row, used=("input_output",))
    number = name_of(row, "problem_id", "id")
    shared: dict[str, Any] = {
        "id": f"apps/{number}" if number else "",
        "reference": _reference(row),
        "source": "apps",
    }
    if function is None:
        task = "Write a Python program that reads standard input and prints the answer to standard output."
        return Problem(instruction=_request(question, task, starter), examples=to_examples(inputs, outputs), **shared)
    is_method = "class Solution" in (starter or shared["reference"] or "")
    task = f"Write a Python {'class `Solution` with the method' if is_method else 'function'} `{function}`."
    callee = f"Solution().{function}" if is_method else function
    return Problem(
        instruction=_request(question, task, starter),
        tests=call_tests(callee, inputs, outputs),
        entry_point="Solution" if is_method else function,
        **shared,
    )


def _reference(row: Row) -> str | None:
    """Returns the first solution that is Python 3."""
    solutions = _json(row, "solutions")
    if solutions is None:
        return None
    if not isinstance(solutions, list) or not all(isinstance(code, str) for code in solutions):
        raise ValueError(f"`solutions` must be a list of programs, got {quote(solutions)}")
    return next((code for code in map(unix_lines, solutions) if parses(code)), None)


def _json(row: Row, column: str) -> Any:
    """Returns the value of a column that may be JSON; `None` if it is empty."""
    value = row.get(column)
    if not isinstance(value, str):
        return value or None
    if not value.strip():
        return None
    try:
        return json.loads(value) or None
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"`{column}` is not JSON ({str(error) or 'nested too deeply'}): {quote(value, 40)}"
        ) from error


def _request(question: str, task: str, starter: str) -> str:
    if not question:
        return ""
    return f"{question}\n\n{task}" + (f" Start from this code:\n\n{code_block(starter)}" if starter else "")
