"""Pieces of text and code that several mappings need."""

import ast
import re
import warnings


def unix_lines(text: str | None) -> str:
    """The text with `\\n` alone as line ends, no trailing white space and no space that breaks tokenisers."""
    text = (text or "").replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


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


def parses(code: str) -> bool:
    try:
        parse(code)
    except SyntaxError:
        return False
    return True


def names(tree: ast.AST) -> set[str]:
    """All names that the code reads or writes."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
