"""
Answers that are wrong and written to pass, each beside an honest one that the same tests must let pass.

One module a judge or a language, each with a list `LYING`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lie:
    """
    An answer that lies to its judge.

    Args:
        name (`str`): what it does.
        lying (`str`): the answer, which `tests` must fail.
        honest (`str`): a right answer, which `tests` must let pass.
        tests (`str`): the tests behind both.
        entry_point (`str`, *optional*): the function under test.
    """

    name: str
    lying: str
    honest: str
    tests: str
    entry_point: str | None = None


@dataclass(frozen=True)
class Right:
    """
    A right answer that a judge once failed.

    Args:
        name (`str`): what it, or its tests, do.
        answer (`str`): the answer.
        tests (`str`): the tests behind it, which it must pass.
        entry_point (`str`, *optional*): the function under test.
    """

    name: str
    answer: str
    tests: str
    entry_point: str | None = None
