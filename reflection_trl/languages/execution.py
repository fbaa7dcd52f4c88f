"""Defines the interface that runs programs of any language and returns feedback."""

from dataclasses import dataclass
from typing import Protocol

from ..feedback import Feedback


@dataclass(frozen=True)
class Run:
    """
    Holds one run of one program.

    Args:
        feedback ([`~reflection_trl.feedback.Feedback`]):
            Feedback on the run.
        stdout (`str`, *optional*, defaults to `""`):
            Standard output.
        seconds (`float`, *optional*, defaults to `0.0`):
            Wall-clock time.
    """

    feedback: Feedback
    stdout: str = ""
    seconds: float = 0.0


class Execute(Protocol):
    """
    Runs one program in isolation. Rollouts and the evaluation make many concurrent calls.

    A failure of the sandbox raises [`~reflection_trl.sandbox.SandboxError`]. It never becomes feedback.
    """

    async def __call__(
        self, language: str, source: str, tests: str = "", *, entry_point: str | None = None, stdin: str = ""
    ) -> Run: ...


async def refuse_to_run(
    language: str, source: str, tests: str = "", *, entry_point: str | None = None, stdin: str = ""
) -> Run:
    """Implements [`Execute`] for problems whose answers do not run, so that no sandbox is opened for them."""
    raise AssertionError(f"A program in {language} was run although the problems need none")
