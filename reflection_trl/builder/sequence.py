"""What a rollout leaves: the attempts with their feedback, the one-off answer, and whether it may be trained on."""

from dataclasses import dataclass

from ..feedback import Feedback
from ..problems import Problem


@dataclass(frozen=True)
class Attempt:
    """
    One round: what the model wrote, the code in it, and what running that taught.

    Args:
        text (`str`): the assistant's message, its fenced code included.
        code (`str`): the code that was run.
        feedback ([`~reflection_trl.feedback.Feedback`]): its outcome.
    """

    text: str
    code: str
    feedback: Feedback


@dataclass(frozen=True)
class ReflectionSequence:
    """
    One rollout on one problem, accepted or not.

    Args:
        problem ([`~reflection_trl.problems.Problem`]): the problem.
        sample (`int`): number of this rollout among those of the problem, from 0.
        instruction (`str`): the reflection instruction (first user turn).
        attempts (`tuple[Attempt]`): the rounds, in order.
        conclusion (`str`): what the assistant says after the last run.
        request (`str`): the one-off request (second user turn).
        answer (`str`): the final answer, its fenced code included.
        answer_code (`str`): the code of the final answer.
        unaided (`bool`): whether the final answer was given to the request alone, without the program that had passed.
        rejection (`str`, *optional*): why it may not be trained on, as a short slug such as `"tests_failed"`; `None` when accepted.
        detail (`str`): one sentence on the rejection.
        unusable (`str`): what the model wrote last, where that is what it was rejected for.
        wrong_asserts (`tuple[str]`): asserts of the model's own that were found wrong, and marked or dropped.
        prompt_tokens (`int`): tokens of all requests.
        completion_tokens (`int`): tokens of all answers.
        runs (`int`): programs executed.
    """

    problem: Problem
    sample: int
    instruction: str
    attempts: tuple[Attempt, ...] = ()
    conclusion: str = ""
    request: str = ""
    answer: str = ""
    answer_code: str = ""
    unaided: bool = False
    rejection: str | None = None
    detail: str = ""
    unusable: str = ""
    wrong_asserts: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    runs: int = 0

    @property
    def accepted(self) -> bool:
        """Whether it may be trained on."""
        return self.rejection is None

    @property
    def rounds(self) -> int:
        """Programs that the model wrote before it was done, the passing one included."""
        return len(self.attempts)

    @property
    def repaired(self) -> bool:
        """Whether at least one attempt really failed before one passed."""
        return any(not attempt.feedback.passed for attempt in self.attempts)

    def messages(self) -> list[dict[str, str]]:
        """The conversation, in the form of [`reflection_trl.sequences`]."""
        turns = [{"role": "user", "content": self.instruction}]
        for attempt in self.attempts:
            turns.append({"role": "assistant", "content": attempt.text})
            turns.append({"role": "tool", "content": attempt.feedback.text})
        if self.conclusion:
            turns.append({"role": "assistant", "content": self.conclusion})
        return [*turns, {"role": "user", "content": self.request}, {"role": "assistant", "content": self.answer}]
