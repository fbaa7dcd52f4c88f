"""Defines mappings for well-known datasets: pure functions from one row to a [`Problem`].

A mapping returns `None` for a row without a request, and raises `ValueError` for an invalid row. It does not need to
set `id`, `source` and `license`, which the caller sets.
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
    Describes a mapping, and how to recognize its rows.

    Args:
        columns (`tuple[str]`):
            Columns that every such dataset has.
        map (`Callable`):
            The mapping.
        fits (`Callable`, *optional*):
            Returns whether a row with these columns belongs to this mapping, if other datasets have them too.
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
    Returns the names of the mappings that fit a dataset, from its characteristic columns and their content. Otherwise
    `"plain"`, if a column has a common name of requests, such as TRL's `prompt`.

    Args:
        row (`dict`):
            First row of the dataset.
    """
    fitting = [name for name, ready in MAPPINGS.items() if set(ready.columns) <= row.keys() and ready.fits(row)]
    return fitting or ["plain"] * any(name in row for name in ALIASES["instruction"])


__all__ = ["MAPPINGS", "Mapping", "ReadyMapping", "find_mapping"]
