"""Defines the interface of a programming language."""

from abc import ABC, abstractmethod
from typing import ClassVar

from ..feedback import Feedback
from ..sandbox import Limits, Program, Verdict
from .suspicion import by_patterns


class Language(ABC):
    """
    Runs programs of one language, and parses their failures.

    Attributes:
        name (`str`):
            As problems and command lines name it, e.g. `"python"`, `"cpp"`, `"javascript"`.
        title (`str`):
            As prose names it, e.g. `"C++"`.
        fences (`tuple[str]`):
            Info strings of Markdown fences that hold it; the first is the one that prompts ask for.
        suspects (`tuple[tuple[str, str]]`):
            What honest answers do not touch: words for it, and the expression that finds it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    fences: ClassVar[tuple[str, ...]]
    suspects: ClassVar[tuple[tuple[str, str], ...]] = ()

    @abstractmethod
    def missing(self) -> str | None:
        """Returns what this machine lacks to run the language, with the fix, in one sentence; `None` if nothing is missing."""

    def suspicious(self, source: str) -> tuple[str, ...]:
        """
        Returns what an answer uses that legitimate answers do not, such as "ends processes". This is a reason to inspect it, not a verdict.

        Args:
            source (`str`):
                The answer.
        """
        return by_patterns(source, self.suspects)

    @property
    def readonly(self) -> tuple[str, ...]:
        """Directories of the toolchain that the sandbox has to show, beside the system's."""
        return ()

    @abstractmethod
    def program(
        self,
        source: str,
        tests: str = "",
        *,
        entry_point: str | None = None,
        stdin: str = "",
        limits: Limits | None = None,
    ) -> Program:
        """
        Returns the program as the sandbox takes it.

        Args:
            source (`str`):
                The program. Hostile.
            tests (`str`, *optional*):
                Code placed behind it, whose end is reached only when it is right.
            entry_point (`str`, *optional*):
                Name of the function under test.
            stdin (`str`, *optional*):
                Standard input.
            limits ([`~reflection_trl.sandbox.Limits`], *optional*):
                Defaults to what the language's compiler needs.
        """

    @abstractmethod
    def diagnose(self, verdict: Verdict, source: str, tests: str = "") -> Feedback:
        """
        Reads a verdict on [`Language.program`].

        Args:
            verdict ([`~reflection_trl.sandbox.Verdict`]):
                Any but `Status.INFRASTRUCTURE`, which is no judgment: callers deal with it before.
            source (`str`):
                The program.
            tests (`str`, *optional*):
                The tests behind it.
        """
