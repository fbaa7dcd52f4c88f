"""Maps Mostly Basic Python Problems, with the original columns (`text`) or the sanitized ones (`prompt`,
`test_imports`).

The statement of a row contains neither the name of the function nor the form of its arguments. The request adds both,
with one call from the first test. The other tests stay hidden.
"""

import ast

from ..problem import Problem
from .text import Row, code_block, join_code, name_of, names, parse_column, text_of, texts_of


def mbpp(row: Row) -> Problem:
    """
    Maps a row of MBPP.

    Args:
        row (`dict`):
            Row with `task_id`, `code`, `test_list` and either `text` or `prompt`; `test_setup_code`, `test_imports`
            and `challenge_test_list` are optional.
    """
    tests = [test.strip() for test in [*texts_of(row, "test_list"), *texts_of(row, "challenge_test_list")]]
    setup = join_code(text_of(row, "test_setup_code"), *texts_of(row, "test_imports")).strip()
    reference = text_of(row, "code")
    entry_point = _function_under_test(reference, tests)
    return Problem(
        id=f"mbpp/{number}" if (number := name_of(row, "task_id")) else "",
        instruction=_request(
            (text_of(row, "text") or text_of(row, "prompt")).strip(), entry_point, setup, tests, reference
        ),
        tests=join_code(setup, *tests),
        entry_point=entry_point,
        reference=reference,
        source="mbpp",
        license="CC-BY-4.0",
    )


def _function_under_test(reference: str, tests: list[str]) -> str:
    """Returns the function of the reference that the first test calls."""
    defined = {
        node.name for node in parse_column(reference, "code").body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    for node in ast.walk(parse_column(tests[0], "test_list") if tests else ast.Module([], [])):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
            return node.func.id
    raise ValueError("no test calls a function of `code`")


def _request(text: str, entry_point: str, setup: str, tests: list[str], reference: str) -> str:
    if not text:
        return ""
    built = names(parse_column(setup, "test_setup_code"))
    definitions = [node for node in parse_column(reference, "code").body if isinstance(node, ast.ClassDef)]
    classes = [ast.unparse(node) for node in definitions if node.name in built]
    if classes:  # the tests build their arguments from a class that the answer must contain
        return (
            f"{text}\n\nThe function must be named `{entry_point}`. Include this class in your code:\n\n"
            + code_block("\n\n".join(classes))
        )
    return f"{text}\n\nThe function must be named `{entry_point}`. {_example(tests[0], entry_point)}"


def _example(test: str, entry_point: str) -> str:
    statement = next(iter(parse_column(test, "test_list").body), None)
    if not isinstance(statement, ast.Assert):
        raise ValueError("the first test is not an `assert`")
    match statement.test:
        case ast.Compare(left=ast.Call(func=ast.Name(id=name)) as call, ops=[ast.Eq()], comparators=[expected]) if (
            name == entry_point
        ):
            return f"For example, `{ast.unparse(call)}` should return `{ast.unparse(expected)}`."
    return f"For example, `{ast.unparse(statement.test)}` should be true."
