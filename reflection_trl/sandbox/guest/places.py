"""Finds the asserts of the checks, so that no program can prevent the checks from reaching them."""

from __future__ import annotations

import ast
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
        self._contexts: list[tuple[int, int, list[int], list[int]]] = []
        try:
            tree = ast.parse(source)
        except (MemoryError, RecursionError, SyntaxError, ValueError):
            return
        for node in ast.walk(tree):
            if isinstance(node, _Function) and any(map(_checks, ast.walk(node))):
                first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
                self._functions.add((getattr(node, "name", "<lambda>"), first))
            elif isinstance(node, (ast.With, ast.AsyncWith)):
                inner = [one for statement in node.body for one in ast.walk(statement)]
                checks = [getattr(one, "end_lineno", 0) for one in inner if _checks(one)]
                raises = [one.lineno for one in inner if isinstance(one, ast.Raise)]
                self._contexts.append((node.lineno, node.end_lineno or node.lineno, checks, raises))

    def in_function(self, function: object) -> bool:
        """Returns whether a function of the checks contains an assert."""
        code = getattr(function, "__code__", None)
        return (
            isinstance(code, CodeType)
            and code.co_filename == "checks.py"
            and (code.co_name, code.co_firstlineno) in self._functions
        )

    def behind(self, trace: TracebackType | None, remote: bool) -> bool:
        """
        Returns whether checks would follow the line of a `with` block that an error has left.

        Args:
            trace (`TracebackType`, *optional*):
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


def _checks(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)  # `assert False` marks a line that must not be reached
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return type(name) is str and name.startswith("assert")
