"""What a problem is: one that code solves, or one with a final answer."""

import re
from dataclasses import dataclass

from ..checking import expected_form
from ..checking.compare import CHECKERS, LABELS


@dataclass(frozen=True)
class Example:
    """
    One run of a whole program: what it reads and what it must print.

    Args:
        stdin (`str`): standard input.
        stdout (`str`): the expected standard output; compared line by line without trailing white space, see
            [`~reflection_trl.problems.judge.compare_output`].
    """

    stdin: str
    stdout: str


@dataclass(frozen=True)
class Problem:
    """
    A problem that a program solves, with or without tests, or a problem with a final answer, such as one of mathematics.

    Args:
        id (`str`):
            Name that is unique in its set, such as `"mbpp/602"`.
        instruction (`str`):
            The request, as a user would put it. Everything that an answer needs to know stands here, the names that the
            tests call included.
        language (`str`, *optional*, defaults to `"python"`):
            Language of the answer: a name of [`reflection_trl.languages.LANGUAGES`].
        tests (`str`, *optional*, defaults to `""`):
            Code that, placed behind an answer, ends normally when the answer is right. Empty where there are none.
        examples (`tuple[Example]`, *optional*):
            Runs of the whole program, for problems that read standard input and print.
        entry_point (`str`, *optional*):
            Name of the function or class under test.
        reference (`str`, *optional*):
            A right answer (code). Never shown to the model; it tells wrong asserts from wrong code.
        source (`str`, *optional*, defaults to `""`):
            The data set that it comes from.
        license (`str`, *optional*, defaults to `""`):
            SPDX identifier of the license of the problem.
        tolerance (`float`, *optional*):
            Absolute or relative error that numbers in the output of `examples` may have; by default the one that the
            instruction states, see [`~reflection_trl.problems.judge.compare_output`].
        answer (`str`, *optional*):
            The final answer, in place of tests and examples. Never shown to the model. For `checker="choice"` the letter of the right
            choice, for `"regex"` a regular expression that the whole answer must match.
        checker (`str`, *optional*, defaults to `"math"`):
            How a final answer is compared: `"math"` (numbers, expressions, sets and words: see [`reflection_trl.checking`]), `"exact"`,
            `"regex"`, `"choice"`, or the source of a Python function `check(answer, expected)` that returns whether the answer is right. It
            is run in the sandbox, and gets both as strings.
        choices (`tuple[str]`, *optional*):
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
        """Whether anything of the problem's own can judge an answer: tests, examples, or a final answer."""
        return bool(self.tests or self.examples or self.answer is not None)

    @property
    def runs_programs(self) -> bool:
        """Whether a program has to be run to judge an answer."""
        return self.answer is None or is_checker_source(self.checker)

    @property
    def request(self) -> str:
        r"""
        What a model is asked: the instruction, and for a final answer the choices and the form in which the answer is read. An instruction
        that speaks of `\boxed` itself is asked as it is.
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
        """Which form the final answer must have, in words, such as `"a number"`."""
        if self.answer is None:
            return ""
        known = self.checker if self.checker in CHECKERS else "exact"
        return expected_form(self.answer, known, self.choices)


def is_checker_source(checker: str) -> bool:
    """Returns whether a problem's `checker` is the source of a function `check`, and no name."""
    return re.search(r"^def check\(", checker, re.MULTILINE) is not None
