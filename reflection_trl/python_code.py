"""Parses Python code that a model wrote."""

import ast
import warnings


# Longer code is not an answer to this kind of problem, and would take long to parse
MAX_PARSED = 200_000


def parse_python(code: str) -> ast.Module | None:
    """
    Parses code to a syntax tree.

    Args:
        code (`str`):
            Code that may be Python.

    Returns:
        `ast.Module`, *optional*: `None` if it is not Python, or longer than `MAX_PARSED` characters.
    """
    if len(code) > MAX_PARSED:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as "invalid escape sequence"
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: code that is nested too deeply
        return None


def defined_names(statements: list[ast.stmt]) -> set[str]:
    """
    Returns the names of the functions and classes at the top level of a Python module.

    Args:
        statements (`list[ast.stmt]`):
            The module's body.
    """
    return {
        node.name for node in statements if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }


def dotted_name(node: ast.AST) -> str:
    """
    Returns the source of a name, or of an attribute of a name. `ast.unparse` is recursive, and fails for expressions
    that a model nested too deeply, such as a thousand method calls in a row.

    Args:
        node (`ast.AST`):
            Any expression.

    Returns:
        `str`: Such as `"sys.exit"`; empty for other expressions.
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def canonical_form(code: str) -> str:
    """
    Returns a text that is the same for programs which differ only in comments, blank lines and layout.

    Args:
        code (`str`):
            Python, or any other text, which is returned as it is.
    """
    tree = parse_python(code)
    try:
        return code if tree is None else ast.dump(tree)
    except RecursionError:
        return code
