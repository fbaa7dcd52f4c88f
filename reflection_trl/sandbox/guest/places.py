"""Finds the asserts of the checks, so that no program can prevent the checks from reaching them."""

from __future__ import annotations

import ast
import functools
from types import CodeType, TracebackType


_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Places:
    """
    Lists the asserts of the checks by line.

    Args:
        source (`str`):
            The checks.
    """

    def __init__(self, source: str):
        self._functions: set[tuple[str, int]] = set()
        self.methods: set[str] = set()  # of classes, which only a program calls
        self._contexts: list[tuple[int, int, list[int], list[int]]] = []
        self.exits: list[tuple[int, int]] = []  # lines that must end in `SystemExit`, or check nothing behind it
        try:
            tree = ast.parse(source)
        except (MemoryError, RecursionError, SyntaxError, ValueError):
            return
        checking = _checking_functions(tree)
        read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        self.methods = {
            one.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for one in node.body
            if one in checking and isinstance(one, ast.FunctionDef) and one.name[:1] != "_" and one.name not in read
        }
        for node in ast.walk(tree):
            if node in checking:
                assert isinstance(node, _Function)
                first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
                self._functions.add((getattr(node, "name", "<lambda>"), first))
            elif isinstance(node, ast.Call) and _raises_exit(node) and len(node.args) > 1:
                self.exits.append((node.lineno, node.end_lineno or node.lineno))
            elif isinstance(node, ast.Try) and _catches_exit(node) and not _checks_within(node.body, checking):
                self.exits.append((node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno))
            elif isinstance(node, (ast.With, ast.AsyncWith)):
                if any(_raises_exit(item.context_expr) for item in node.items):
                    self.exits.append((node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno))
                inner = [one for statement in node.body for one in ast.walk(statement)]
                checks = [getattr(one, "end_lineno", 0) for one in inner if _checks(one)]
                raises = [one.lineno for one in inner if isinstance(one, ast.Raise)]
                self._contexts.append((node.lineno, node.end_lineno or node.lineno, checks, raises))

    def checks_call(self, value: object, own: bool = False) -> bool:
        """
        Returns whether the checks pass a value to be called that contains an assert: a function, a partial one, a
        generator, or an object.

        Args:
            value (`object`):
                The value.
            own (`bool`, *optional*, defaults to `False`):
                Whether it is an instance of a class of the checks.
        """
        if isinstance(value, functools.partial):
            return self.checks_call(value.func)
        if own and not isinstance(value, type):
            called = getattr(type(value), "__call__", None)  # noqa: B004
            return self.checks_call(called) or any(hasattr(type(value), name) for name in self.methods)
        code = getattr(value, "__code__", getattr(value, "gi_code", None))
        return (
            isinstance(code, CodeType)
            and code.co_filename == "checks.py"
            and (code.co_name, code.co_firstlineno) in self._functions
        )

    def expects_exit(self, line: int) -> bool:
        """Returns whether the checks expect at a line that the program exits, and skip no check if it does."""
        return any(first <= line <= last for first, last in self.exits)

    def behind(self, trace: TracebackType | None, remote: bool) -> bool:
        """
        Returns whether checks would follow the line of a `with` block that an error has left.

        Args:
            trace (`TracebackType` or `None`):
                The traceback of the error, from the block's frame on.
            remote (`bool`):
                Whether the program raised it. Errors that the checks raise themselves are meant to be caught.
        """
        if trace is None:
            return False
        line = trace.tb_lineno
        return any(
            first <= line <= last and any(one >= line for one in [*checks, *(raises if remote else [])])
            for first, last, checks, raises in self._contexts
        )


def _checking_functions(tree: ast.AST) -> set[ast.AST]:
    """Returns the functions that check something: themselves, or by a call of such a function."""
    functions = [node for node in ast.walk(tree) if isinstance(node, _Function)]
    called = {
        function: {
            one.func.id for one in ast.walk(function) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)
        }
        for function in functions
    }
    found: set[ast.AST] = {function for function in functions if any(map(_checks, ast.walk(function)))}
    while True:
        names = {getattr(function, "name", "") for function in found}
        more = {function for function in functions if function not in found and called[function] & names}
        if not more:
            return found
        found |= more


def _names_exit(node: ast.AST | None) -> bool:
    return node is not None and any(isinstance(one, ast.Name) and one.id == "SystemExit" for one in ast.walk(node))


def _raises_exit(node: ast.AST) -> bool:
    """Returns whether this is a call of `pytest.raises` or `assertRaises` with `SystemExit`."""
    if not (isinstance(node, ast.Call) and node.args):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in ("assertRaises", "assertRaisesRegex", "raises") and _names_exit(node.args[0])


def _catches_exit(node: ast.Try) -> bool:
    return any(_names_exit(handler.type) for handler in node.handlers)


def _checks_within(body: list[ast.stmt], checking: set[ast.AST]) -> bool:
    """Returns whether statements check something themselves, or call functions that might."""
    names = {getattr(function, "name", "") for function in checking} | {"exec", "main", "run"}
    inner = [one for statement in body for one in ast.walk(statement) if not isinstance(one, ast.Raise)]
    called = {getattr(one.func, "attr", getattr(one.func, "id", "")) for one in inner if isinstance(one, ast.Call)}
    return bool(called & names) or any(map(_checks, inner))


def _checks(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise):
        return node.exc is not None and any(getattr(one, "id", "") == "AssertionError" for one in ast.walk(node.exc))
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)  # `assert False` marks a line that must not be reached
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return type(name) is str and name.startswith("assert")
