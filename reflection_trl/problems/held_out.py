"""Holds out problems from the training data, for choosing settings."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .problem import Problem


def hold_out(problems: Iterable[Problem], share: float) -> tuple[list[Problem], list[Problem]]:
    """
    Holds out problems. The choice depends only on their ids, so a problem stays on its side when others are added.

    Args:
        problems (`Iterable[Problem]`):
            Output of [`~reflection_trl.builder.prepare_problems`], so that no duplicate of a problem is on the other
            side.
        share (`float`):
            Approximate share of held-out problems; at least 0, and below 1.

    Returns:
        `tuple[list[Problem], list[Problem]]`: The training problems and the held-out problems, each in order.

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
        problems (`Sequence[Problem]`):
            The problems.
        path (`str` or `Path`):
            File to write. Its folder is created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "w", encoding="utf-8") as lines:
        for problem in problems:
            lines.write(json.dumps(dataclasses.asdict(problem), ensure_ascii=False) + "\n")
    partial.replace(path)


def _fraction(text: str) -> float:
    """Maps a text to a number from 0 to 1, deterministically."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
