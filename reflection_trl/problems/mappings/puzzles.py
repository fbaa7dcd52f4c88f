"""Maps Python Programming Puzzles: find an input for which a checker returns `True`."""

import ast
import inspect
import itertools
import re
import sys
from pathlib import PurePath

from ...quoting import quote
from ..problem import Problem
from .text import Row, code_block, join_code, name_of, parse_column, text_of, texts_of


_IMPORT = "from typing import List"


def puzzles(row: Row) -> Problem | None:
    """
    Maps a puzzle. Its checker `sat` scores the return value of the answer's function `sol`, including its type.

    Args:
        row (`dict`):
            Row with `name`, `sat`, `ans_type`, `sol_header` and `sol_bodies`; `sol_docstring` and `module` are
            optional.

    Returns:
        `Problem`, *optional*: `None` if the checker contains a number that is too long for Python.

    Raises:
        ValueError: If `sat` defines no function `sat`, or a column has another type.
    """
    sat, header, answer_type = (text_of(row, column).strip() for column in ("sat", "sol_header", "ans_type"))
    if re.search(rf"\d{{{sys.int_info.default_max_str_digits + 1}}}", sat):
        return None
    if not re.search(r"^def sat\(", sat, re.MULTILINE):
        raise ValueError("`sat` must define the checker `sat`")
    bodies, module, name = texts_of(row, "sol_bodies"), PurePath(text_of(row, "module")).stem, name_of(row, "name")
    return Problem(
        id=f"puzzles/{name}" if name else "",
        instruction=_request(_docstring(text_of(row, "sol_docstring")), sat, header, answer_type),
        tests=join_code(_IMPORT, sat, _checks(answer_type), blank_lines=2),
        entry_point="sol",
        reference=join_code(_IMPORT, f"{header}\n{bodies[0]}", blank_lines=2) if bodies else None,
        source="/".join(filter(None, ["python-programming-puzzles", module])),
        license="MIT",
    )


def _checks(answer_type: str) -> str:
    return f"answer = sol()\nassert {type_check(answer_type, 'answer')}\nassert sat(answer)"


def _docstring(text: str) -> str:
    try:
        task = ast.literal_eval(text.strip()) if text.strip() else ""
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        task = None
    if not isinstance(task, str):
        raise ValueError(f"`sol_docstring` must be a string as Python writes it, got {quote(text)}")
    return inspect.cleandoc(task)


def _request(task: str, sat: str, header: str, answer_type: str) -> str:
    return (
        f"{task}\n\nWrite a Python function that starts with\n\n{code_block(header)}\n\n"
        f"Called without arguments, it must return a value of type `{answer_type}` for which this function returns `True`:"
        f"\n\n{code_block(join_code(_IMPORT, sat, blank_lines=2))}"
    ).strip()


def type_check(annotation: str, value: str) -> str:
    """
    Returns an expression that checks the exact type of a value: a `bool` is not an `int`.

    Args:
        annotation (`str`):
            Type, such as `"List[List[int]]"`.
        value (`str`):
            Expression for the value.
    """
    fresh = (f"item{n}" if n else "item" for n in itertools.count())

    def check(node: ast.AST, value: str) -> str:
        match node:
            case ast.Name(id="bool" | "float" | "int" | "str" as name):
                return f"type({value}) is {name}"
            case ast.Subscript(value=ast.Name(id="List"), slice=inner):
                item = next(fresh)
                return f"type({value}) is list and all({check(inner, item)} for {item} in {value})"
            case ast.Module(body=[ast.Expr(value=inner)]):
                return check(inner, value)
        raise ValueError(f"`ans_type` must be bool, float, int, str or a List of these, got {quote(annotation)}")

    return check(parse_column(annotation, "ans_type"), value)
