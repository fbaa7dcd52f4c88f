"""Quotes values in error messages: short and on one line, for every value."""

import reprlib
from collections.abc import Iterable
from typing import Any


class _Repr(reprlib.Repr):
    def __init__(self, limit: int):
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = limit

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # more digits than Python converts to text
            return f"an integer of {x.bit_length()} bits"


def quote(value: object, limit: int = 80) -> str:
    """
    Returns the `repr` of a value for an error message, shortened in the middle. Cost and length are bounded for large
    values. Values that are nested too deeply for `repr` are quoted too.

    Args:
        value (`object`):
            Any value.
        limit (`int`, *optional*, defaults to `80`):
            Maximum number of characters.

    Returns:
        `str`: One line of at most `limit` characters.
    """
    text = _Repr(limit).repr(value)
    if len(text) > limit:
        kept = limit - len("...")
        text = f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"
    return " ".join(text.split())


def quote_error(error: object, limit: int = 300) -> str:
    """
    Returns the reason that another library's error gives, as a message of this package quotes it.

    Args:
        error (`object`):
            The error, or its text.
        limit (`int`, *optional*, defaults to `300`):
            Most characters.

    Returns:
        `str`: The first line with text, without the mark that ends it, so that the surrounding sentence can continue. The name of the
        error's class where it has no text.
    """
    lines = (" ".join(line.split()).rstrip(" .:;,!") for line in str(error).splitlines())
    text = next(filter(None, lines), type(error).__name__)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def list_names(values: Iterable[Any], limit: int = 8) -> str:
    """
    Returns a list of names for an error message: the first names, and the number of the others.

    Args:
        values (`Iterable[str]`):
            Names, such as those of columns.
        limit (`int`, *optional*, defaults to `8`):
            Maximum number of names to list.

    Returns:
        `str`: The names, separated by commas.
    """
    values = [str(value) for value in values]
    shown = [value if len(value) <= 40 else f"{value[:37]}..." for value in values[:limit]]
    more = [f"{len(values) - limit} more"] if len(values) > limit else []
    return ", ".join([*shown, *more])
