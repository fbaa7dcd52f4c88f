"""Compares the final answer of a text with that of a problem."""

from ..checking import compare_answers, read_final_answer
from ..checking.compare import contradictory, no_answer
from ..feedback import Feedback, FeedbackKind
from ..languages.execution import Execute
from .problem import Problem, is_checker_source


# The answer is passed to the process of the checks, and the source of the checker is the program that they call
_CALL = """_verdict = check({answer!r}, {expected!r})
if _verdict is not True and _verdict is not False:
    raise TypeError("the checker must return True or False, not " + type(_verdict).__name__)
assert _verdict"""


async def judge_answer(problem: Problem, text: str, execute: Execute, tell_expected: bool = False) -> Feedback:
    """
    Reads the final answer of a text and compares it with the problem's.

    Args:
        problem ([`Problem`]):
            A problem with an `answer`.
        text (`str`):
            Text of the model, without its reasoning between `<think>` tags.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs the checker if it is a Python function. Nothing else runs.
        tell_expected (`bool`, *optional*, defaults to `False`):
            Whether the feedback contains the expected answer.

    Returns:
        [`~reflection_trl.feedback.Feedback`]: Feedback with the parsed answer as `actual`; of kind `NO_ANSWER` if
        there is none.

    Raises:
        [`~reflection_trl.checking.CheckerUnavailableError`]: If math-verify is needed and not installed.
    """
    assert problem.answer is not None
    if not is_checker_source(problem.checker):
        return await compare_answers(
            text, problem.answer, problem.checker, problem.choices, tell_expected=tell_expected
        )
    reading = read_final_answer(text)
    if len(reading.answers) != 1:  # a function decides on one answer
        return contradictory(reading.answers) if reading.answers else no_answer()
    (answer,) = reading.answers
    call = _CALL.format(answer=answer, expected=problem.answer)
    found = (await execute("python", problem.checker, call, entry_point="check")).feedback
    if found.passed:
        return Feedback(FeedbackKind.NONE, f"The final answer `{answer}` is right.", actual=answer)
    expected = problem.answer if tell_expected else None
    if found.kind is FeedbackKind.ASSERTION and found.file == "tests":
        message = f"The final answer `{answer}` is wrong."
        revealed = f" Expected: `{expected}`." if expected is not None else ""
        return Feedback(found.kind, message + revealed, "WrongAnswer", message, actual=answer, expected=expected)
    message = f"The final answer `{answer}` cannot be compared: the checker ended with {found.error_type or found.kind.value}."
    return Feedback(
        found.kind, message, "CheckerFailed", message, actual=answer, hint=found.message, expected=expected
    )
