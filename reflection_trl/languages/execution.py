"""Runs programs of any language in the sandbox and hands back feedback."""

from dataclasses import dataclass
from typing import Protocol

from ..feedback import Feedback


@dataclass(frozen=True)
class Run:
    """
    Holds one run of one program.

    Args:
        feedback ([`~reflection_trl.feedback.Feedback`]):
            How it ended.
        stdout (`str`):
            What it printed.
        seconds (`float`):
            Wall clock.
        suspicious (`tuple[str]`):
            What the program touches that honest ones do not ([`Language.suspicious`]).
    """

    feedback: Feedback
    stdout: str = ""
    seconds: float = 0.0
    suspicious: tuple[str, ...] = ()


class Execute(Protocol):
    """
    Runs one program, isolated. What rollouts and evaluation call; many calls may be in flight at a time.

    A failure of the sandbox itself raises [`~reflection_trl.sandbox.SandboxError`]; it is never a feedback.
    """

    async def __call__(
        self, language: str, source: str, tests: str = "", *, entry_point: str | None = None, stdin: str = ""
    ) -> Run: ...


async def run_nothing(
    language: str, source: str, tests: str = "", *, entry_point: str | None = None, stdin: str = ""
) -> Run:
    """Returns an [`Execute`] for problems whose answers are not run, so that no sandbox is opened for them."""
    raise AssertionError(f"a program in {language} was to be run where none is expected")
