"""Ready-made mappings: pure functions from one row of a well-known data set to a [`Problem`].

A mapping returns `None` for a row that holds nothing to ask for, and raises `ValueError` for one that is broken. It need not
set `id`, `source` and `license`: whoever loads the rows knows better.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..problem import Problem
from .apps import apps
from .exercism import exercism
from .final_answers import gsm8k, has_boxed_answer, has_choices, has_final_answer, math, multiple_choice
from .leetcode import leetcode
from .mbpp import mbpp
from .plain import ALIASES, code_feedback, plain
from .puzzles import puzzles


Mapping = Callable[[dict[str, Any]], Problem | None]


@dataclass(frozen=True)
class ReadyMapping:
    """
    A mapping, and by what its rows are known.

    Args:
        columns (`tuple[str]`): columns that every such data set has.
        map (`Callable`): the mapping.
        fits (`Callable`, *optional*): whether a row with these columns is one of this mapping, where other data sets have them too.
    """

    columns: tuple[str, ...]
    map: Mapping
    fits: Callable[[dict[str, Any]], bool] = lambda row: True


MAPPINGS = {
    "mbpp": ReadyMapping(("code", "test_list"), mbpp),
    "apps": ReadyMapping(("question", "input_output"), apps),
    "leetcode": ReadyMapping(("prompt", "completion", "test", "entry_point"), leetcode),
    "puzzles": ReadyMapping(("sat", "sol_header", "sol_bodies"), puzzles),
    "exercism": ReadyMapping(("slug", "description", "canonical_data"), exercism),
    "code_feedback": ReadyMapping(("query", "answer"), code_feedback),
    "gsm8k": ReadyMapping(("question", "answer"), gsm8k, has_final_answer),
    "math": ReadyMapping(("problem",), math, has_boxed_answer),
    "multiple_choice": ReadyMapping(("question",), multiple_choice, has_choices),
    "plain": ReadyMapping(("instruction",), plain),
}


def find_mapping(row: dict[str, Any]) -> list[str]:
    """
    Returns the names of the mappings that fit a data set: by the columns that only it has and what they hold, else `"plain"` where a column
    is called as requests often are, such as TRL's `prompt`.

    Args:
        row (`dict`): its first row.
    """
    fitting = [name for name, ready in MAPPINGS.items() if set(ready.columns) <= row.keys() and ready.fits(row)]
    return fitting or ["plain"] * any(name in row for name in ALIASES["instruction"])


__all__ = ["MAPPINGS", "Mapping", "ReadyMapping", "find_mapping"]
