"""A problem's own tests and examples, run against an answer."""

import math
import re

from ..feedback import Feedback, FeedbackKind
from ..languages.execution import Execute
from .problem import Example, Problem


_TOLERANCE = 1e-6
_NUMBER = re.compile(r"[-+]?(\d{1,400}\.?\d{0,400}|\.\d{1,400})([eE][-+]?\d{1,4})?", re.ASCII)
# A number that is no integer as it stands there: integers have to be right to the digit
_DECIMAL = re.compile(r"[-+]?(\d{1,400}\.\d{0,400}|\.\d{1,400}|\d{1,400}(?=[eE]))([eE][-+]?\d{1,4})?", re.ASCII)
_SHOWN = 1000  # characters of an example that a model is shown


async def judge(problem: Problem, code: str, execute: Execute) -> Feedback | None:
    """
    Runs a problem's own tests and examples against an answer.

    Args:
        problem ([`Problem`]): the problem.
        code (`str`): the answer's code.
        execute ([`~reflection_trl.languages.execution.Execute`]): runs programs.

    Returns:
        [`~reflection_trl.feedback.Feedback`], *optional*: that of the first failure, or of the last run where all passed; `None` where the
        problem has neither tests nor examples.
    """
    feedback = None
    if problem.tests:
        run = await execute(problem.language, code, problem.tests, entry_point=problem.entry_point)
        feedback = run.feedback
    for example in problem.examples:
        if feedback is not None and not feedback.passed:
            break
        run = await execute(problem.language, code, stdin=example.stdin)
        feedback = run.feedback if not run.feedback.passed else compare_output(example, run.stdout)
    return feedback


def compare_output(example: Example, stdout: str) -> Feedback:
    """
    Compares what a program printed with what it should have printed, line by line, without trailing white space.

    Where a decimal number is expected (`0.5`, `1e-9`), one within an absolute or relative error of 1e-6 will do.

    Args:
        example ([`Example`]): the input and the expected output.
        stdout (`str`): what was printed.

    Returns:
        [`~reflection_trl.feedback.Feedback`]: of kind `ASSERTION` where they differ; its line is that of the output.
    """
    actual, expected = _lines(stdout), _lines(example.stdout)
    if len(actual) == len(expected) and all(map(_same_line, actual, expected)):
        return Feedback(FeedbackKind.NONE, text=_clip(stdout.rstrip()) or "(no output)")
    pairs = enumerate(zip([*actual, None], [*expected, None], strict=False), 1)
    line, got, wanted = next(
        (number, one, other)
        for number, (one, other) in pairs
        if one is None or other is None or not _same_line(one, other)
    )
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
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _same_line(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    parts, wanted = actual.split(), expected.split()
    return any(map(_DECIMAL.fullmatch, wanted)) and len(parts) == len(wanted) and all(map(_same_number, parts, wanted))


def _same_number(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    if _DECIMAL.fullmatch(expected) is None or _NUMBER.fullmatch(actual) is None:
        return False
    return math.isclose(float(actual), float(expected), rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _quote(line: str | None) -> str:
    return "nothing" if line is None else f"`{_clip(line)}`"


def _clip(text: str) -> str:
    """The text, or its two ends."""
    if len(text) <= _SHOWN:
        return text
    half = _SHOWN // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
