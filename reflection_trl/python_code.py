"""Python code that a model wrote, as a syntax tree."""

import ast
import warnings


# Longer code is no answer to a problem of this kind, and parsing it would take long
MAX_PARSED = 200_000


def parse_python(code: str) -> ast.Module | None:
    """
    Returns the syntax tree of some code.

    Args:
        code (`str`):
            What may be Python.

    Returns:
        `ast.Module`, *optional*: `None` where it is no Python, or longer than `MAX_PARSED` characters.
    """
    if len(code) > MAX_PARSED:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence" and the like
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nesting without end
        return None


def defined_names(statements: list[ast.stmt]) -> set[str]:
    """
    Returns the names of the functions and classes that stand at the top of a Python module.

    Args:
        statements (`list[ast.stmt]`):
            The module's body.
    """
    return {
        node.name for node in statements if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }
