"""What a rollout leaves: the attempts with their feedback, the one-off answer, and whether it may be trained on."""

from dataclasses import dataclass

from ..feedback import Feedback
from ..problems import Problem


@dataclass(frozen=True)
class Attempt:
    """
    One round: what the model wrote, the code in it, and what running that taught.

    Args:
        text (`str`):
            The assistant's message, its fenced code included.
        code (`str`):
            The code that was run: the solution and its tests.
        feedback ([`~reflection_trl.feedback.Feedback`]):
            Its outcome.
        tests (`str`, *optional*, defaults to `""`):
            The fenced tests, where they are a message of their own.
        alone ([`~reflection_trl.feedback.Feedback`], *optional*):
            Outcome of the solution without its tests, where these are apart.
    """

    text: str
    code: str
    feedback: Feedback
    tests: str = ""
    alone: Feedback | None = None

    @property
    def runs(self) -> tuple[Feedback, ...]:
        """Returns the outcome of each run, in the order of the conversation's tool turns."""
        return (self.feedback,) if self.alone is None else (self.alone, self.feedback)

    def messages(self) -> list[dict[str, str]]:
        """
        Returns the turns of the round: solution, output, tests, output; or program and output, where the tests are not
        apart.
        """
        turns = []
        for text, run in zip((self.text, self.tests), self.runs, strict=False):
            turns += [{"role": "assistant", "content": text}, {"role": "tool", "content": run.text}]
        return turns


@dataclass(frozen=True)
class ReflectionSequence:
    """
    One rollout on one problem, accepted or not.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            The problem.
        sample (`int`):
            Number of this rollout among those of the problem, from 0.
        instruction (`str`):
            The reflection instruction (first user turn).
        attempts (`tuple[Attempt]`):
            The rounds, in order.
        conclusion (`str`):
            What the assistant says after the last run.
        request (`str`):
            The one-off request (second user turn).
        answer (`str`):
            The final answer, its fenced code included.
        answer_code (`str`):
            The code of the final answer.
        unaided (`bool`):
            Whether the final answer was given to the request alone, without the program that had passed.
        solved (`tuple[bool]`):
            Of answers drawn to the request alone to measure how hard the problem is, whether each passed its tests.
        taught (`tuple[bool]`):
            Of the answers drawn in the sequence's own conversation, likewise.
        rejection (`str`, *optional*):
            Why it may not be trained on, as a short slug such as `"tests_failed"`; `None` when accepted.
        detail (`str`):
            One sentence on the rejection.
        unusable (`str`):
            What the model wrote last, where that is what it was rejected for.
        wrong_asserts (`tuple[str]`):
            Asserts of the model's own that were found wrong, and marked or dropped.
        prompt_tokens (`int`):
            Tokens of all requests.
        completion_tokens (`int`):
            Tokens of all answers.
        runs (`int`):
            Programs executed.
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
    solved: tuple[bool, ...] = ()
    taught: tuple[bool, ...] = ()
    rejection: str | None = None
    detail: str = ""
    unusable: str = ""
    wrong_asserts: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    runs: int = 0

    @property
    def accepted(self) -> bool:
        """Returns whether it may be trained on."""
        return self.rejection is None

    @property
    def rounds(self) -> int:
        """Returns programs that the model wrote before it was done, the passing one included."""
        return len(self.attempts)

    @property
    def repaired(self) -> bool:
        """Returns whether at least one attempt really failed before one passed."""
        return any(not attempt.feedback.passed for attempt in self.attempts)

    def messages(self) -> list[dict[str, str]]:
        """Returns the conversation, in the form of [`reflection_trl.sequences`]."""
        turns = [{"role": "user", "content": self.instruction}]
        for attempt in self.attempts:
            turns += attempt.messages()
        if self.conclusion:
            turns.append({"role": "assistant", "content": self.conclusion})
        return [*turns, {"role": "user", "content": self.request}, {"role": "assistant", "content": self.answer}]
