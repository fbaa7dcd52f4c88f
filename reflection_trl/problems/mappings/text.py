"""Provides text and code helpers for mappings, and reads values of a row with type checks."""

import ast
import re
import warnings
from typing import Any

from ...quoting import quote


Row = dict[str, Any]


def unix_lines(text: str | None) -> str:
    """Normalizes line ends to `\\n`, and removes trailing whitespace and spaces that break tokenizers."""
    text = (text or "").replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def text_of(row: Row, column: str) -> str:
    """
    Returns the text in a column, normalized by [`unix_lines`], or `""` if the row has none.

    Args:
        row (`dict`):
            The row.
        column (`str`):
            Name of the column.

    Raises:
        ValueError: If the column has another type.
    """
    value = row.get(column)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{column}` must be text, got {quote(value)}")
    return unix_lines(value)


def texts_of(row: Row, column: str) -> list[str]:
    """
    Returns the list of texts in a column, or an empty list if the row has none.

    Args:
        row (`dict`):
            The row.
        column (`str`):
            Name of the column.

    Raises:
        ValueError: If the column has another type.
    """
    value = row.get(column)
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"`{column}` must be a list of texts, got {quote(value)}")
    return [unix_lines(text) for text in value]


def name_of(row: Row, *columns: str) -> str:
    """
    Returns the first name or number in these columns, or `""` if there is none.

    Args:
        row (`dict`):
            The row.
        *columns (`str`):
            Names of columns.

    Raises:
        ValueError: If a column has another type.
    """
    for column in columns:
        value = row.get(column)
        if value is None or value == "":
            continue
        if not isinstance(value, str | int) or isinstance(value, bool) or (isinstance(value, int) and value >= 2**64):
            raise ValueError(f"`{column}` must be a name or a number, got {quote(value)}")
        return str(value)
    return ""


def code_block(code: str) -> str:
    return f"```python\n{code.strip()}\n```"


def join_code(*parts: str | None, blank_lines: int = 0) -> str:
    """Joins pieces of a program, without empty ones."""
    return ("\n" * (blank_lines + 1)).join(part.strip("\n") for part in parts if part and part.strip()) + "\n"


def parse(code: str) -> ast.Module:
    """
    Parses Python code to a syntax tree, without the interpreter's warnings.

    Raises:
        SyntaxError: If it cannot be parsed, for any reason.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (MemoryError, RecursionError, ValueError) as error:  # too deep, or null bytes
            raise SyntaxError(str(error) or type(error).__name__) from error


def parse_column(code: str, column: str) -> ast.Module:
    """
    Parses the Python code of a column to a syntax tree.

    Args:
        code (`str`):
            The code.
        column (`str`):
            Name of the column, for errors.

    Raises:
        ValueError: If it is not Python.
    """
    try:
        return parse(code)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(f"`{column}` is not Python ({error.msg}{where})") from error


def parses(code: str) -> bool:
    try:
        parse(code)
    except SyntaxError:
        return False
    return True


def names(tree: ast.AST) -> set[str]:
    """Returns all names that the code reads or writes."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
