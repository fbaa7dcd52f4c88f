"""A problem's own tests, examples or final answer, held against what a model answered."""

import re
from collections.abc import Callable

from ..feedback import Feedback, FeedbackKind
from ..languages.execution import Execute
from .final_answer import judge_answer
from .problem import Example, Problem
from .tolerance import is_same_line


_SHOWN = 1000  # characters of an example that a model is shown
# What programs write at the end of a line. `str.splitlines` also splits at form feeds, U+2028 and others, which are characters of a line
_LINE_END = re.compile(r"\r\n|\n|\r")
_BLANK = " \t\r\n\f\v"


async def judge(problem: Problem, code: str, execute: Execute) -> Feedback | None:
    """
    Runs a problem's own tests and examples against an answer, or compares its final answer.

    Args:
        problem ([`Problem`]): the problem.
        code (`str`): the answer's code; the whole answer where the problem has a final answer.
        execute ([`~reflection_trl.languages.execution.Execute`]): runs programs.

    Returns:
        [`~reflection_trl.feedback.Feedback`], *optional*: that of the first failure, or of the last run where all passed; `None` where the
        problem has neither tests nor examples nor a final answer.
    """
    feedback = None
    if problem.answer is not None:
        return await judge_answer(problem, code, execute)
    if problem.tests:
        run = await execute(problem.language, code, problem.tests, entry_point=problem.entry_point)
        feedback = run.feedback
    for example in problem.examples:
        if feedback is not None and not feedback.passed:
            break
        run = await execute(problem.language, code, stdin=example.stdin)
        feedback = compare_output(example, run.stdout, problem.tolerance) if run.feedback.passed else run.feedback
    return feedback


def compare_output(example: Example, stdout: str, tolerance: float | None = None) -> Feedback:
    """
    Compares what a program printed with what it should have printed, line by line, without white space at the ends of lines and
    blank lines at the end. A line ends with `\\n`, `\\r\\n` or `\\r`.

    Args:
        example ([`Example`]): the input and the expected output.
        stdout (`str`): what was printed.
        tolerance (`float`, *optional*): absolute or relative error that numbers may have; by default they must be printed as
            expected, but for the rounding of those with six decimals or more.

    Returns:
        [`~reflection_trl.feedback.Feedback`]: of kind `ASSERTION` where they differ; its line is that of the output.
    """
    return compare_lines(example, stdout, _lines, lambda expected, got: is_same_line(expected, got, tolerance))


def compare_lines(
    example: Example, stdout: str, split: Callable[[str], list[str]], is_same: Callable[[str, str], bool]
) -> Feedback:
    """
    Compares two outputs line by line, by rules of the caller's.

    Args:
        example ([`Example`]):
            The input and the expected output.
        stdout (`str`):
            What was printed.
        split (`Callable`):
            Returns the lines of an output.
        is_same (`Callable`):
            Returns whether an expected line and a printed one say the same.

    Returns:
        [`~reflection_trl.feedback.Feedback`]: Of kind `ASSERTION` where the outputs differ; its line is that of the output.
    """
    actual, expected = split(stdout), split(example.stdout)
    pairs = enumerate(zip([*actual, None], [*expected, None], strict=False), 1)
    differing = (
        (number, got, wanted)
        for number, (got, wanted) in pairs
        if (got is not wanted if got is None or wanted is None else not is_same(wanted, got))
    )
    line, got, wanted = next(differing, (None, None, None))
    if line is None:
        return Feedback(FeedbackKind.NONE, text=_clip(stdout.rstrip()) or "(no output)")
    message = f"Line {line} of the output: expected {_quote(wanted)}, got {_quote(got)}."
    text = (
        f"Input:\n{_clip(example.stdin.rstrip()) or '(empty)'}\n\nExpected output:\n{_clip(example.stdout.rstrip())}\n\n"
        f"Output of the program:\n{_clip(stdout.rstrip()) or '(nothing)'}\n\n{message}"
    )
    return Feedback(
        FeedbackKind.ASSERTION,
        text=text,
        error_type="WrongOutput",
        message=message,
        actual=None if got is None else _clip(got),
        expected=None if wanted is None else _clip(wanted),
    )


def _lines(text: str) -> list[str]:
    text = text.rstrip(_BLANK)
    return [line.rstrip(_BLANK) for line in _LINE_END.split(text)] if text else []


def _quote(line: str | None) -> str:
    return "nothing" if line is None else f"`{_clip(line)}`"


def _clip(text: str) -> str:
    """The text, or its two ends."""
    if len(text) <= _SHOWN:
        return text
    half = _SHOWN // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
