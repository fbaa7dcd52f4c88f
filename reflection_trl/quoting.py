"""Values as error messages quote them: short, on one line, whatever they hold."""

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
        except ValueError:  # more digits than Python converts
            return f"an integer of {x.bit_length()} bits"


def quote(value: object, limit: int = 80) -> str:
    """
    Returns a value as an error message quotes it: its `repr`, shortened in the middle. The cost and the length do not grow with the
    value, and values that are nested too deeply for `repr` are quoted too.

    Args:
        value (`object`):
            Any value.
        limit (`int`, *optional*, defaults to `80`):
            Most characters.

    Returns:
        `str`: One line of at most `limit` characters.
    """
    text = _Repr(limit).repr(value)
    if len(text) > limit:
        kept = limit - len("...")
        text = f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"
    return " ".join(text.split())


def list_names(values: Iterable[Any], limit: int = 8) -> str:
    """
    Returns names as an error message lists them: the first few, and how many more there are.

    Args:
        values (`Iterable[str]`):
            Names, such as those of columns.
        limit (`int`, *optional*, defaults to `8`):
            Most names that are spelled out.

    Returns:
        `str`: The names, separated by commas.
    """
    values = [str(value) for value in values]
    shown = [value if len(value) <= 40 else f"{value[:37]}..." for value in values[:limit]]
    more = [f"{len(values) - limit} more"] if len(values) > limit else []
    return ", ".join([*shown, *more])
