"""Extracts the code to score from a completion.

Answers to our own prompt are conversations, so their code is parsed as in the builder: fenced code of the language,
joined if it is in pieces, without the examples that the answer runs on itself. For comparison with evalplus's results,
`evalplus.sanitize` is used. It selects the longest text that parses, and of it only the code that the function under
test needs. It is not better (it reads words of prose as code, drops functions that return nothing and, on long texts,
needs quadratic time), but others use it. Each benchmark selects one of the two, or parses answers in its own way.
"""

import ast
from collections.abc import Mapping

from ..python_code import parse_python


# `sanitize` parses every run of lines; this limit gives 20,000 runs
_MAX_LINES = 200


def sanitize(text: str, entry_point: str | None) -> str:
    """
    Calls evalplus's `sanitize` safely on any text.

    Args:
        text (`str`):
            Code, or prose with code. Only the beginning of a very long text is used.
        entry_point (`str` or `None`):
            Name of the function under test.
    """
    from evalplus.sanitize import sanitize

    text = "\n".join(text.split("\n")[:_MAX_LINES]).encode("utf-8", "replace").decode()
    try:
        return sanitize(text, entry_point)
    except (ValueError, RecursionError):  # null bytes, nesting that is too deep
        return text


def strip_usage_examples(code: str, entry_point: str | None = None) -> str:
    """
    Removes usage examples from an answer: asserts, prints and calls at the top level. A wrong example does not make
    the function wrong. Calls of helpers without such effects are kept, since they may prepare data for the function
    under test, such as a table of primes.

    Args:
        code (`str`):
            Python code.
        entry_point (`str`, *optional*):
            Name of the function under test. If it is unknown, calls of helpers are removed too.

    Returns:
        `str`: The code without them; unchanged if it does not parse.
    """
    tree = parse_python(code)
    if tree is None:
        return code
    own = {
        node.name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }
    examples = [node for node in tree.body if _is_example(node, own, entry_point)]
    if len(examples) == len(tree.body):
        return code
    gone = {line for node in examples for line in _lines(node)}
    # Several statements on a line are kept together
    gone -= {line for node in tree.body if node not in examples for line in _lines(node)}
    lines = code.split("\n")
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in gone).strip("\n")


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _is_example(node: ast.stmt, own: Mapping[str, ast.stmt], entry_point: str | None) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, (ast.Expr, ast.If, ast.For, ast.While, ast.With, ast.Try)):
        return False
    if isinstance(node, ast.If) and "__name__" in {
        name.id for name in ast.walk(node.test) if isinstance(name, ast.Name)
    }:
        return True
    if any(isinstance(inner, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)) for inner in ast.walk(node)):
        return False  # `try: import numpy ... except ImportError: ...`
    called = {
        call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }
    if not called & (own.keys() | {"print", "input"}):
        return False
    return entry_point not in own or bool(_reached(node, own) & {entry_point, "print", "input", "assert"})


def _reached(node: ast.stmt, own: Mapping[str, ast.stmt]) -> set[str]:
    """Returns the names in a statement and in the functions that it reaches, with `assert` if one of them has any."""
    reached: set[str] = set()
    pending = [node]
    while pending:
        inside = list(ast.walk(pending.pop()))
        names = {inner.id for inner in inside if isinstance(inner, ast.Name)} - reached
        pending += [own[name] for name in names & own.keys()]
        reached |= names | ({"assert"} if any(isinstance(inner, ast.Assert) for inner in inside) else set())
    return reached
