"""Defines problems, which are solved by code or by a final answer."""

import re
from dataclasses import dataclass

from ..checking import expected_form
from ..checking.compare import CHECKERS, LABELS


@dataclass(frozen=True)
class Example:
    """
    Represents one run of a whole program: its input and its expected output.

    Args:
        stdin (`str`):
            Standard input.
        stdout (`str`):
            Expected standard output. It is compared line by line without trailing whitespace, see
            [`~reflection_trl.problems.judge.compare_output`].
    """

    stdin: str
    stdout: str


@dataclass(frozen=True)
class Problem:
    """
    Represents a problem that a program solves, with or without tests, or a problem with a final answer, such as mathematics.

    Args:
        id (`str`):
            Unique id, such as `"mbpp/602"`.
        instruction (`str`):
            The request, as a user would write it. It contains everything that an answer needs, including the names
            that the tests call.
        language (`str`, *optional*, defaults to `"python"`):
            Language of the answer: a name of [`reflection_trl.languages.LANGUAGES`].
        tests (`str`, *optional*, defaults to `""`):
            Code that runs after an answer, and ends normally if the answer is correct. Empty if there are no tests.
        examples (`tuple[Example]`, *optional*, defaults to `()`):
            Runs of the whole program, for problems that read standard input and print.
        entry_point (`str`, *optional*):
            Name of the function or class under test.
        reference (`str`, *optional*):
            A correct answer (code). It is never shown to the model, and distinguishes wrong asserts from wrong code.
        source (`str`, *optional*, defaults to `""`):
            Name of its dataset.
        license (`str`, *optional*, defaults to `""`):
            SPDX identifier of the license of the problem.
        tolerance (`float`, *optional*):
            Absolute or relative error of numbers in the output of `examples`; by default the error in the instruction,
            see [`~reflection_trl.problems.judge.compare_output`].
        answer (`str`, *optional*):
            The final answer, in place of tests and examples. It is never shown to the model. For `checker="choice"` it
            is the letter of the correct choice, for `"regex"` a regular expression that the whole answer must match.
        checker (`str`, *optional*, defaults to `"math"`):
            Comparison of a final answer: `"math"` (numbers, expressions, sets and words: see
            [`reflection_trl.checking`]), `"exact"`, `"regex"`, `"choice"`, or the source of a Python function
            `check(answer, expected)` that returns whether the answer is correct. The function runs in the sandbox, and
            its arguments are strings.
        choices (`tuple[str]`, *optional*, defaults to `()`):
            The choices of a multiple-choice problem, in the order of their letters.
    """

    id: str
    instruction: str
    language: str = "python"
    tests: str = ""
    examples: tuple[Example, ...] = ()
    entry_point: str | None = None
    reference: str | None = None
    source: str = ""
    license: str = ""
    tolerance: float | None = None
    answer: str | None = None
    checker: str = "math"
    choices: tuple[str, ...] = ()

    @property
    def has_tests(self) -> bool:
        """Returns whether the problem has tests, examples or a final answer, which can score an answer."""
        return bool(self.tests or self.examples or self.answer is not None)

    @property
    def runs_programs(self) -> bool:
        """Returns whether a program has to be run to judge an answer."""
        return self.answer is None or is_checker_source(self.checker)

    @property
    def request(self) -> str:
        r"""
        Returns the request for a model: the instruction, and for a final answer the choices and the form of the
        answer. An instruction that mentions `\boxed` is unchanged.
        """
        if self.answer is None or r"\boxed" in self.instruction:
            return self.instruction
        parts = [self.instruction.strip()]
        if self.choices:
            parts.append("\n".join(f"{label}. {choice}" for label, choice in zip(LABELS, self.choices, strict=False)))
        what = "the letter of the right choice" if self.checker == "choice" else "the final answer"
        parts.append(rf"Reason step by step, and put {what} in \boxed{{}}.")
        return "\n\n".join(parts)

    @property
    def expected_form(self) -> str:
        """Returns the form of the final answer in words, such as `"a number"`."""
        if self.answer is None:
            return ""
        known = self.checker if self.checker in CHECKERS else "exact"
        return expected_form(self.answer, known, self.choices)


def is_checker_source(checker: str) -> bool:
    """Returns whether a problem's `checker` is the source of a function `check`, and not a name."""
    return re.search(r"^def check\(", checker, re.MULTILINE) is not None
