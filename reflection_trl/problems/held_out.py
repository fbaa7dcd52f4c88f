"""Problems that no training data comes from, to choose settings by."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .problem import Problem


def hold_out(problems: Iterable[Problem], share: float) -> tuple[list[Problem], list[Problem]]:
    """
    Set problems aside. Which ones depends on their ids alone, so that a problem stays on its side whatever else is in the set.

    Args:
        problems (`Iterable[Problem]`): of [`~reflection_trl.builder.prepare_problems`], so that no duplicate of a problem is on the other side.
        share (`float`): of the problems that are set aside, about; from 0 on, and below 1.

    Returns:
        `tuple[list[Problem], list[Problem]]`: The problems to train on, and those set aside, each in their order.

    Raises:
        ValueError: If `share` is out of range.
    """
    if not 0 <= share < 1:
        raise ValueError(f"The share of problems that are held out must be from 0 on and below 1, got {share}.")
    kept: list[Problem] = []
    aside: list[Problem] = []
    for problem in problems:
        (aside if _fraction(problem.id) < share else kept).append(problem)
    return kept, aside


def write_problems(problems: Sequence[Problem], path: str | os.PathLike[str]) -> None:
    """
    Writes problems as JSON Lines, in the form that [`load_problems`] reads without any setting.

    Args:
        problems (`Sequence[Problem]`): the problems.
        path (`str` or `Path`): the file; its folder is made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "w", encoding="utf-8") as lines:
        for problem in problems:
            lines.write(json.dumps(dataclasses.asdict(problem), ensure_ascii=False) + "\n")
    partial.replace(path)


def _fraction(text: str) -> float:
    """A number from 0 to 1 that is the same for the same text everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
