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
            Name in problems and on command lines, such as `"python"`, `"cpp"`, `"javascript"`.
        title (`str`):
            Name in prose, such as `"C++"`.
        fences (`tuple[str]`):
            Info strings of its Markdown fences. Prompts ask for the first.
        suspects (`tuple[tuple[str, str]]`):
            Suspicious code: a description, and the regular expression that finds it.
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
        Returns what an answer uses that legitimate answers do not, such as "ends processes". This is a reason to
        inspect it, not a verdict.

        Args:
            source (`str`):
                The answer.
        """
        return by_patterns(source, self.suspects)

    @property
    def readonly(self) -> tuple[str, ...]:
        """
        Returns the directories of the toolchain that must be visible in the sandbox, in addition to the system's.
        """
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
        Converts the program to the form for the sandbox.

        Args:
            source (`str`):
                The program, which may be hostile.
            tests (`str`, *optional*, defaults to `""`):
                Code after it, whose end is reached only if it is correct.
            entry_point (`str`, *optional*):
                Name of the function under test.
            stdin (`str`, *optional*, defaults to `""`):
                Standard input.
            limits ([`~reflection_trl.sandbox.Limits`], *optional*):
                Resource limits. By default those that the language's compiler needs.
        """

    @abstractmethod
    def diagnose(self, verdict: Verdict, source: str, tests: str = "") -> Feedback:
        """
        Converts a verdict on [`Language.program`] to feedback.

        Args:
            verdict ([`~reflection_trl.sandbox.Verdict`]):
                Verdict other than `Status.INFRASTRUCTURE`, which callers handle before.
            source (`str`):
                The program.
            tests (`str`, *optional*, defaults to `""`):
                The tests after it.
        """
