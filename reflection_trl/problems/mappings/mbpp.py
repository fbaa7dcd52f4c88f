"""Mostly Basic Python Problems, the original columns (`text`) and the sanitised ones (`prompt`, `test_imports`).

The statement of a row does not say what the function is called, nor what its arguments look like: the request says both with
one call from the first test. The other tests stay hidden.
"""

import ast
from typing import Any

from ..problem import Problem
from .text import code_block, join_code, names, parse, unix_lines


def mbpp(row: dict[str, Any]) -> Problem:
    """
    Map a row of MBPP.

    Args:
        row (`dict`): with `task_id`, `code`, `test_list` and either `text` or `prompt`; `test_setup_code`, `test_imports`
            and `challenge_test_list` are optional.
    """
    tests = [unix_lines(test).strip() for test in [*row["test_list"], *(row.get("challenge_test_list") or [])]]
    setup = join_code(unix_lines(row.get("test_setup_code")), *(row.get("test_imports") or [])).strip()
    reference = unix_lines(row["code"])
    entry_point = _function_under_test(reference, tests)
    return Problem(
        id=f"mbpp/{row['task_id']}",
        instruction=_request(
            unix_lines(row.get("text") or row.get("prompt")).strip(), entry_point, setup, tests, reference
        ),
        tests=join_code(setup, *tests),
        entry_point=entry_point,
        reference=reference,
        source="mbpp",
        licence="CC-BY-4.0",
    )


def _function_under_test(reference: str, tests: list[str]) -> str:
    """The function of the reference that the first test calls."""
    defined = {node.name for node in parse(reference).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(parse(tests[0]) if tests else ast.Module([], [])):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
            return node.func.id
    raise ValueError("no test calls a function of `code`")


def _request(text: str, entry_point: str, setup: str, tests: list[str], reference: str) -> str:
    if not text:
        return ""
    built = names(parse(setup))
    definitions = [node for node in parse(reference).body if isinstance(node, ast.ClassDef)]
    classes = [ast.unparse(node) for node in definitions if node.name in built]
    if classes:  # the tests build their arguments from a class that the answer has to bring
        return (
            f"{text}\n\nThe function must be named `{entry_point}`. Include this class in your code:\n\n"
            + code_block("\n\n".join(classes))
        )
    return f"{text}\n\nThe function must be named `{entry_point}`. {_example(tests[0], entry_point)}"


def _example(test: str, entry_point: str) -> str:
    statement = parse(test).body[0]
    if not isinstance(statement, ast.Assert):
        raise ValueError("the first test is no `assert`")
    match statement.test:
        case ast.Compare(left=ast.Call(func=ast.Name(id=name)) as call, ops=[ast.Eq()], comparators=[expected]) if (
            name == entry_point
        ):
            return f"For example, `{ast.unparse(call)}` should return `{ast.unparse(expected)}`."
    return f"For example, `{ast.unparse(statement.test)}` should be true."
