"""Classifies failures: the reason why an answer failed, as one word and as a readable detail."""

from ..feedback import Feedback, FeedbackKind
from .tasks import Sample


_MAX_DETAIL = 2000
# For final answers: more precise than the kind of the feedback
_KINDS_OF_ANSWERS = {
    "ContradictoryAnswers": "contradictory",
    "UnreadableAnswer": "unreadable",
    "WrongForm": "wrong_form",
    "CheckerFailed": "checker_failed",
}


def missing_answer(sample: Sample) -> tuple[str, str] | None:
    """
    Returns kind and detail of an answer that cannot run: refused, empty or without code. `None` if it can run.

    Args:
        sample ([`Sample`]):
            The answer.
    """
    if sample.finish_reason == "refused":
        return "refused", "The request was refused."
    if sample.solution.strip():
        return None
    if not sample.text.strip():
        return "empty", "The answer is empty."
    if sample.finish_reason == "length":
        return "truncated", "The answer was truncated before any code."
    return "refused", cut(f"The answer contains no code: {sample.text.strip()}")


def failure_kind(sample: Sample, feedback: Feedback) -> str:
    """
    Returns the kind of a failure, in one word.

    Args:
        sample ([`Sample`]):
            The answer.
        feedback ([`~reflection_trl.feedback.Feedback`]):
            Feedback on its run, which failed.
    """
    cut_off = (FeedbackKind.SYNTAX, FeedbackKind.NAME, FeedbackKind.NO_ANSWER)
    if sample.finish_reason == "length" and feedback.kind in cut_off:
        return "truncated"
    if feedback.error_type in _KINDS_OF_ANSWERS:
        return _KINDS_OF_ANSWERS[feedback.error_type]
    return "wrong_answer" if feedback.kind is FeedbackKind.ASSERTION else feedback.kind.value


def cut(text: str) -> str:
    """
    Truncates a text to a readable length.

    Args:
        text (`str`):
            Description of a failure.
    """
    return text if len(text) <= _MAX_DETAIL else f"{text[:_MAX_DETAIL]} ..."
