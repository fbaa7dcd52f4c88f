"""Makes feedback on programs that were stopped from outside, for all languages."""

from ..feedback import Feedback, FeedbackKind
from ..sandbox import Status, Verdict
from .rendering import normalized, with_output


_KINDS = {
    Status.TIMEOUT: FeedbackKind.TIMEOUT,
    Status.MEMORY: FeedbackKind.MEMORY,
    Status.OUTPUT_LIMIT: FeedbackKind.OUTPUT_LIMIT,
}


def feedback_of_status(verdict: Verdict) -> Feedback | None:
    """
    Returns the feedback where the verdict needs no look at what was printed.

    Args:
        verdict ([`~reflection_trl.sandbox.Verdict`]):
            The verdict.

    Returns:
        [`~reflection_trl.feedback.Feedback`], *optional*: For a pass, and for a limit that was reached; else `None`.
    """
    if verdict.status is Status.OK:
        return Feedback(FeedbackKind.NONE, with_output(verdict.stdout, ""))
    kind = _KINDS.get(verdict.status)
    if kind is None:
        return None
    message = normalized(verdict.reason) or "The program reached a limit."
    # What a flood printed helps nobody
    printed = "" if kind is FeedbackKind.OUTPUT_LIMIT else verdict.stdout
    return Feedback(kind, with_output(printed, message), message=message)
