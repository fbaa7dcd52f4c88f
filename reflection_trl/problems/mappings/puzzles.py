"""Python Programming Puzzles: find an input that makes a checker return `True`."""

import ast
import inspect
import itertools
import re
import sys
from pathlib import PurePath
from typing import Any

from ..problem import Problem
from .text import code_block, join_code, unix_lines


_IMPORT = "from typing import List"


def puzzles(row: dict[str, Any]) -> Problem | None:
    """
    Map a puzzle. Its checker `sat` judges what the answer's function `sol` returns, type included.

    Args:
        row (`dict`): with `name`, `sat`, `ans_type`, `sol_header` and `sol_bodies`; `sol_docstring` and `module` are
            optional.

    Returns:
        `Problem`, *optional*: `None` where the checker holds a number that Python refuses to read.
    """
    if re.search(rf"\d{{{sys.int_info.default_max_str_digits + 1}}}", row["sat"]):
        return None
    sat, header = unix_lines(row["sat"]).strip(), row["sol_header"].strip()
    bodies = row["sol_bodies"] or []
    module = PurePath(row.get("module") or "").stem
    return Problem(
        id=f"puzzles/{row['name']}",
        instruction=_request(_docstring(row.get("sol_docstring")), sat, header, row["ans_type"]),
        tests=join_code(_IMPORT, sat, _checks(row["ans_type"]), blank_lines=2),
        entry_point="sol",
        reference=join_code(_IMPORT, f"{header}\n{unix_lines(bodies[0])}", blank_lines=2) if bodies else None,
        source="/".join(filter(None, ["python-programming-puzzles", module])),
        licence="MIT",
    )


def _checks(answer_type: str) -> str:
    return f"answer = sol()\nassert {type_check(answer_type, 'answer')}\nassert sat(answer)"


def _docstring(text: str | None) -> str:
    text = unix_lines(text).strip()
    return inspect.cleandoc(ast.literal_eval(text)) if text else ""


def _request(task: str, sat: str, header: str, answer_type: str) -> str:
    return (
        f"{task}\n\nWrite a Python function that starts with\n\n{code_block(header)}\n\n"
        f"Called without arguments, it must return a value of type `{answer_type}` for which this function returns `True`:"
        f"\n\n{code_block(join_code(_IMPORT, sat, blank_lines=2))}"
    ).strip()


def type_check(annotation: str, value: str) -> str:
    """
    An expression that tells whether a value is of a type, exactly: a `bool` is no `int`.

    Args:
        annotation (`str`): such as `"List[List[int]]"`.
        value (`str`): the expression that gives the value.
    """
    fresh = (f"item{n}" if n else "item" for n in itertools.count())

    def check(node: ast.expr, value: str) -> str:
        match node:
            case ast.Name(id="bool" | "float" | "int" | "str" as name):
                return f"type({value}) is {name}"
            case ast.Subscript(value=ast.Name(id="List"), slice=inner):
                item = next(fresh)
                return f"type({value}) is list and all({check(inner, item)} for {item} in {value})"
        raise ValueError(f"the type {annotation!r} of the answer is neither bool, float, int, str nor a List of these")

    return check(ast.parse(annotation, mode="eval").body, value)
