"""Creates feedback on programs that a limit ended, for all languages."""

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
    Returns the feedback if the verdict is sufficient without the output.

    Args:
        verdict ([`~reflection_trl.sandbox.Verdict`]):
            The verdict.

    Returns:
        [`~reflection_trl.feedback.Feedback`], *optional*: Feedback on a pass or on a reached limit, else `None`.
    """
    if verdict.status is Status.OK:
        return Feedback(FeedbackKind.NONE, with_output(verdict.stdout, ""))
    kind = _KINDS.get(verdict.status)
    if kind is None:
        return None
    message = normalized(verdict.reason) or "The program reached a limit."
    # The output of a program that prints too much is not useful
    printed = "" if kind is FeedbackKind.OUTPUT_LIMIT else verdict.stdout
    return Feedback(kind, with_output(printed, message), message=message)
