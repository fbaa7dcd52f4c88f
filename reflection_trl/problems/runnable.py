"""Completes Python tests that only define functions: without calls, they would pass every answer."""

import ast
import re
from collections.abc import Iterator

from .mappings.text import join_code, parse


# Common names of the answer's module in tests for a separate file
_ANSWER_MODULES = frozenset(["answer", "main", "my_solution", "program", "solution", "submission", "your_module"])
_DEFINITIONS = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
    ast.Pass,
)
# Functions with which a runner finds tests by name
_FINDERS = frozenset(
    [
        "discover",
        "getmembers",
        "globals",
        "loadTestsFromModule",
        "loadTestsFromName",
        "loadTestsFromNames",
        "locals",
        "vars",
    ]
)

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def complete_tests(tests: str, entry_point: str | None) -> str:
    """
    Adds calls of tests that are only defined: `check(candidate)` in the form of HumanEval, functions and classes that
    pytest collects, and unittest's cases. Imports of the answer as a module are removed, because the tests run after
    it. So is a last `sys.exit(0)`, which would end the process before the end of the tests.

    Args:
        tests (`str`):
            The tests.
        entry_point (`str` or `None`):
            Argument of `check`.

    Returns:
        `str`: The tests; unchanged if they already run all that they define.

    Raises:
        ValueError: If they are not Python, or contain nothing to run.
    """
    try:
        statements = parse(tests).body
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(f"the tests are not Python ({error.msg}{where})") from error
    ends = [node for node in statements if _starts_runner(node) or (node is statements[-1] and _exits(node))]
    tests = _without(tests, [node for node in statements if _imports_answer(node) or node in ends])
    statements = [node for node in statements if node not in ends]
    run = _run_names(statements)
    calls = list(_calls([node for node in statements if getattr(node, "name", "") not in run], entry_point))
    if not calls and not any(map(_runs, statements)):
        raise ValueError(
            "the tests run nothing, so every answer would pass: they need an `assert`, a call, `check(candidate)`, or tests of "
            "pytest or unittest"
        )
    return join_code(tests, "\n".join(calls), blank_lines=2) if calls else tests


def _run_names(statements: list[ast.stmt]) -> set[str]:
    """
    Returns the names that the statements use when they run: `random.seed(0)` alone runs no test. They may find tests by
    name, as in `globals()`; then these are all names.
    """
    uses: dict[str, set[str]] = {}
    found: set[str] = set()
    for node in statements:
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        names |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            uses[node.name] = uses.get(node.name, set()) | names
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            uses |= {target.id: names for target in targets if isinstance(target, ast.Name)}
        elif _runs(node):
            found |= names
    pending = list(found)
    while pending:
        new = uses.get(pending.pop(), set()) - found
        found |= new
        pending += new
    return found | uses.keys() if found & _FINDERS else found


def _runs(node: ast.stmt) -> bool:
    return not isinstance(node, _DEFINITIONS) and not (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _imports_answer(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module in _ANSWER_MODULES


def _starts_runner(node: ast.stmt) -> bool:
    """Returns whether a statement is `unittest.main()` or `pytest.main()`, guarded or not: these end the process."""
    calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return isinstance(node, ast.If | ast.Expr) and any(
        isinstance(function, ast.Attribute)
        and function.attr == "main"
        and isinstance(function.value, ast.Name)
        and function.value.id in ("unittest", "pytest")
        for function in calls
    )


def _exits(node: ast.stmt) -> bool:
    """Returns whether a statement ends the process successfully, such as `sys.exit(0)`: a pass is the end of the tests."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or call.keywords:
        return False
    function = ast.unparse(call.func)
    status = [ast.unparse(argument) for argument in call.args]
    return function in ("sys.exit", "exit", "quit") and status in ([], ["0"], ["None"])


def _without(code: str, nodes: list[ast.stmt]) -> str:
    gone = {line for node in nodes for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = code.split("\n")
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in gone) if gone else code


def _calls(statements: list[ast.stmt], entry_point: str | None) -> Iterator[str]:
    for node in statements:
        if isinstance(node, _Function) and node.name == "check" and len(_required(node)) == 1:
            if not entry_point:
                raise ValueError("the tests define `check`, but there is no `entry_point` to call it with; set it")
            yield f"check({entry_point})"
        elif isinstance(node, _Function) and node.name.startswith("test"):
            yield _call(node, node.name)
        elif isinstance(node, ast.ClassDef) and any(_is_test_case(base) for base in node.bases):
            yield (
                "import unittest as _unittest\n\n"
                f"_unittest.defaultTestLoader.loadTestsFromTestCase({node.name}).debug()  # raises where one fails"
            )
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            methods = [method for method in node.body if isinstance(method, _Function)]
            yield from (
                _call(method, f"{node.name}().{method.name}", bound=True)
                for method in methods
                if method.name.startswith("test")
            )


def _call(function: _Function, name: str, bound: bool = False) -> str:
    required = _required(function)[1:] if bound else _required(function)
    if required or function.decorator_list:
        raise ValueError(
            f"`{function.name}` of the tests needs pytest, for its fixtures or decorators; write it as plain asserts"
        )
    if isinstance(function, ast.AsyncFunctionDef):
        return f"import asyncio as _asyncio\n\n_asyncio.run({name}())"
    return f"{name}()"


def _required(function: _Function) -> list[str]:
    arguments = function.args
    positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    keywords = [
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    return positional[: len(positional) - len(arguments.defaults)] + keywords


def _is_test_case(base: ast.expr) -> bool:
    name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
    return re.fullmatch(r"\w*TestCase", name) is not None
