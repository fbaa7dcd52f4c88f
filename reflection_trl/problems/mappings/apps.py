"""APPS and its like (TACO): a question with `input_output`, for whole programs or for one function.

`input_output` is JSON: `inputs`, `outputs` and, where a function is under test, `fn_name`.
"""

import json
from typing import Any

from ..problem import Example, Problem
from .text import code_block, join_code, parses, unix_lines


_PLAIN = '''def plain(value):
    """Lists for tuples: the expected values come from JSON, which has no tuples."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
'''


def apps(row: dict[str, Any]) -> Problem:
    """
    Map a row of APPS.

    Args:
        row (`dict`): with `question` and `input_output` (JSON or a dict; empty for a problem without tests); `problem_id`
            or `id`, `solutions` (JSON or a list) and `starter_code` are optional.
    """
    question, starter = unix_lines(row["question"]).strip(), unix_lines(row.get("starter_code")).strip()
    reference = next((code for code in map(unix_lines, _json(row.get("solutions"), [])) if parses(code)), None)
    cases = _json(row["input_output"], {})
    inputs, outputs, function = cases.get("inputs") or [], cases.get("outputs") or [], cases.get("fn_name")
    if len(inputs) != len(outputs):
        raise ValueError(f"`input_output` has {len(inputs)} inputs but {len(outputs)} outputs")
    number = row.get("problem_id", row.get("id"))
    name = "" if number is None else f"apps/{number}"
    shared: dict[str, Any] = {"id": name, "reference": reference, "source": "apps"}
    if function is None:
        task = "Write a Python program that reads standard input and prints the answer to standard output."
        examples = tuple(Example(_lines(stdin), _lines(stdout)) for stdin, stdout in zip(inputs, outputs, strict=True))
        return Problem(instruction=_request(question, task, starter), examples=examples, **shared)
    is_method = "class Solution" in (starter or reference or "")
    task = f"Write a Python {'class `Solution` with the method' if is_method else 'function'} `{function}`."
    callee = f"Solution().{function}" if is_method else function
    asserts = "\n".join(_assert(callee, *case) for case in zip(inputs, outputs, strict=True))
    return Problem(
        instruction=_request(question, task, starter),
        tests=join_code(_PLAIN, asserts, blank_lines=2) if asserts else "",
        entry_point="Solution" if is_method else function,
        **shared,
    )


def _json(value: Any, default: Any) -> Any:
    try:
        return (json.loads(value) if isinstance(value, str) else value) or default
    except ValueError as error:
        if not value.strip():
            return default
        raise ValueError(f"{value[:40]!r}... is not JSON: {error}") from error


def _lines(text: Any) -> str:
    return "\n".join(map(str, text)) if isinstance(text, list) else str(text)


def _request(question: str, task: str, starter: str) -> str:
    if not question:
        return ""
    return f"{question}\n\n{task}" + (f" Start from this code:\n\n{code_block(starter)}" if starter else "")


def _assert(callee: str, arguments: list[Any], expected: Any) -> str:
    call = f"plain({callee}({', '.join(map(repr, arguments))}))"
    if isinstance(expected, list) and len(expected) == 1:  # most rows wrap the value in a list, some do not
        return f"assert {call} in ({expected[0]!r}, {expected!r})"
    return f"assert {call} == {expected!r}"
