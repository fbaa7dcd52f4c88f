"""Scores an answer with the tests, examples or final answer of its problem."""

import re
from collections.abc import Callable

from ..feedback import Feedback, FeedbackKind
from ..languages.execution import Execute
from .final_answer import judge_answer
from .problem import Example, Problem
from .tolerance import is_same_line


_SHOWN = 1000  # characters of an example in a feedback text
# Line ends that programs write. `str.splitlines` also splits at form feeds, U+2028 and others, which are characters of a line
_LINE_END = re.compile(r"\r\n|\n|\r")
_BLANK = " \t\r\n\f\v"


async def judge(problem: Problem, code: str, execute: Execute) -> Feedback | None:
    """
    Runs a problem's tests and examples on an answer, or compares its final answer.

    Args:
        problem ([`Problem`]):
            The problem.
        code (`str`):
            Code of the answer, or the whole answer if the problem has a final answer.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs.

    Returns:
        [`~reflection_trl.feedback.Feedback`], *optional*: Feedback of the first failure, or of the last run if all
        passed; `None` if the problem has neither tests nor examples nor a final answer.
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
    Compares the output of a program with the expected output, line by line, ignoring whitespace at the ends of lines
    and blank lines at the end. A line ends with `\\n`, `\\r\\n` or `\\r`.

    Args:
        example ([`Example`]):
            Input and expected output.
        stdout (`str`):
            Output of the program.
        tolerance (`float`, *optional*):
            Absolute or relative error of numbers. By default they must be printed as expected, except that numbers
            with six or more decimals may be rounded.

    Returns:
        [`~reflection_trl.feedback.Feedback`]: Feedback of kind `ASSERTION` if the outputs differ. Its line is the line
        of the output.
    """
    return compare_lines(example, stdout, _lines, lambda expected, got: is_same_line(expected, got, tolerance))


def compare_lines(
    example: Example, stdout: str, split: Callable[[str], list[str]], is_same: Callable[[str, str], bool]
) -> Feedback:
    """
    Compares two outputs line by line with given rules.

    Args:
        example ([`Example`]):
            Input and expected output.
        stdout (`str`):
            Output of the program.
        split (`Callable`):
            Returns the lines of an output.
        is_same (`Callable`):
            Returns whether an expected line and an output line are equivalent.

    Returns:
        [`~reflection_trl.feedback.Feedback`]: Feedback of kind `ASSERTION` if the outputs differ. Its line is the line
        of the output.
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
    """Returns the text, or its beginning and end."""
    if len(text) <= _SHOWN:
        return text
    half = _SHOWN // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
