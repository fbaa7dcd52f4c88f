"""Ready-made mappings: pure functions from one row of a well-known data set to a [`Problem`].

A mapping returns `None` for a row that holds nothing to ask for, and raises `ValueError` for one that is broken. It need not
set `id`, `source` and `license`: whoever loads the rows knows better.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from ..problem import Problem
from .apps import apps
from .exercism import exercism
from .leetcode import leetcode
from .mbpp import mbpp
from .plain import ALIASES, code_feedback, plain
from .puzzles import puzzles


Mapping = Callable[[dict[str, Any]], Problem | None]


@dataclass(frozen=True)
class ReadyMapping:
    """
    A mapping and the columns by which its rows are known.

    Args:
        columns (`tuple[str]`): columns that every such data set has.
        map (`Callable`): the mapping.
    """

    columns: tuple[str, ...]
    map: Mapping


MAPPINGS = {
    "mbpp": ReadyMapping(("code", "test_list"), mbpp),
    "apps": ReadyMapping(("question", "input_output"), apps),
    "leetcode": ReadyMapping(("prompt", "completion", "test", "entry_point"), leetcode),
    "puzzles": ReadyMapping(("sat", "sol_header", "sol_bodies"), puzzles),
    "exercism": ReadyMapping(("slug", "description", "canonical_data"), exercism),
    "code_feedback": ReadyMapping(("query", "answer"), code_feedback),
    "plain": ReadyMapping(("instruction",), plain),
}


def find_mapping(columns: Collection[str]) -> list[str]:
    """
    Returns the names of the mappings that fit a data set: by the columns that only it has, else `"plain"` where a column is called
    as requests often are, such as TRL's `prompt`.

    Args:
        columns (`Collection[str]`): names of the columns.
    """
    fitting = [name for name, ready in MAPPINGS.items() if set(ready.columns) <= set(columns)]
    return fitting or ["plain"] * any(name in columns for name in ALIASES["instruction"])


__all__ = ["MAPPINGS", "Mapping", "ReadyMapping", "find_mapping"]
