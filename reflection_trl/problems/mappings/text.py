"""Pieces of text and code that several mappings need, and the values of a row with their types checked."""

import ast
import re
import warnings
from typing import Any

from ...quoting import quote


Row = dict[str, Any]


def unix_lines(text: str | None) -> str:
    """The text with `\\n` alone as line ends, no trailing white space and no space that breaks tokenizers."""
    text = (text or "").replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def text_of(row: Row, column: str) -> str:
    """
    Returns the text in a column, as [`unix_lines`] leaves it; empty where the row has none.

    Args:
        row (`dict`): the row.
        column (`str`): name of the column.

    Raises:
        ValueError: If the column holds something else.
    """
    value = row.get(column)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{column}` must be text, got {quote(value)}")
    return unix_lines(value)


def texts_of(row: Row, column: str) -> list[str]:
    """
    Returns the list of texts in a column; empty where the row has none.

    Args:
        row (`dict`): the row.
        column (`str`): name of the column.

    Raises:
        ValueError: If the column holds something else.
    """
    value = row.get(column)
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"`{column}` must be a list of texts, got {quote(value)}")
    return [unix_lines(text) for text in value]


def name_of(row: Row, *columns: str) -> str:
    """
    Returns the name or number in the first of these columns that holds one; empty where none does.

    Args:
        row (`dict`): the row.
        columns (`str`): names of columns.

    Raises:
        ValueError: If a column holds something else.
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
    """Pieces of a program below each other, empty ones left out."""
    return ("\n" * (blank_lines + 1)).join(part.strip("\n") for part in parts if part and part.strip()) + "\n"


def parse(code: str) -> ast.Module:
    """
    Python code as a syntax tree, without the interpreter's warnings.

    Raises:
        SyntaxError: If it cannot be parsed, whatever the reason.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (MemoryError, RecursionError, ValueError) as error:  # too deep, or null bytes
            raise SyntaxError(str(error) or type(error).__name__) from error


def parse_column(code: str, column: str) -> ast.Module:
    """
    Returns Python code from a column as a syntax tree.

    Args:
        code (`str`): the code.
        column (`str`): the column that it comes from, for the message.

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
    """All names that the code reads or writes."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
