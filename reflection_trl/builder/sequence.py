"""
Defines the result of a rollout: the attempts with their feedback, the one-off answer, and whether it is accepted.
"""

from dataclasses import dataclass

from ..feedback import Feedback
from ..problems import Problem


@dataclass(frozen=True)
class Computation:
    """
    Holds a part of a solution that computes.

    Args:
        text (`str`):
            The assistant's message: prose, and a fenced program at its end.
        code (`str`):
            The program.
        feedback ([`~reflection_trl.feedback.Feedback`]):
            Its outcome.
    """

    text: str
    code: str
    feedback: Feedback


@dataclass(frozen=True)
class Attempt:
    """
    Holds one round: the message of the model, its code, and the result of running it.

    Args:
        text (`str`):
            Message of the assistant, including its fenced code.
        code (`str`):
            Code that ran: the solution and its tests.
        feedback ([`~reflection_trl.feedback.Feedback`]):
            Outcome of the run.
        tests (`str`, *optional*, defaults to `""`):
            Fenced tests, if they are a separate message.
        alone ([`~reflection_trl.feedback.Feedback`], *optional*):
            Outcome of the solution without its tests, if these are separate.
        computed (`tuple[Computation]`, *optional*, defaults to `()`):
            Computations of a solution before its final answer.
    """

    text: str
    code: str
    feedback: Feedback
    tests: str = ""
    alone: Feedback | None = None
    computed: tuple[Computation, ...] = ()

    @property
    def runs(self) -> tuple[Feedback, ...]:
        """Returns the outcome of each run, in the order of the conversation's tool turns."""
        own = (self.feedback,) if self.alone is None else (self.alone, self.feedback)
        return (*(computation.feedback for computation in self.computed), *own)

    def messages(self) -> list[dict[str, str]]:
        """
        Returns the turns of the round: solution, output, tests, output; or program and output if the tests are not
        separate; or computations with their output, then solution and verdict.
        """
        turns = []
        texts = [*(computation.text for computation in self.computed), self.text, self.tests]
        for text, run in zip(texts, self.runs, strict=False):
            turns += [{"role": "assistant", "content": text}, {"role": "tool", "content": run.text}]
        return turns


@dataclass(frozen=True)
class ReflectionSequence:
    """
    Holds one rollout of one problem, accepted or not.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            The problem.
        sample (`int`):
            Index of this rollout among those of the problem, from 0.
        instruction (`str`):
            The reflection instruction (first user turn).
        attempts (`tuple[Attempt]`, *optional*, defaults to `()`):
            The rounds, in order.
        conclusion (`str`, *optional*, defaults to `""`):
            The assistant's text after the last run.
        request (`str`, *optional*, defaults to `""`):
            The one-off request (second user turn).
        answer (`str`, *optional*, defaults to `""`):
            Final answer, including its fenced code.
        answer_code (`str`, *optional*, defaults to `""`):
            The code of the final answer.
        unaided (`bool`, *optional*, defaults to `False`):
            Whether the final answer was sampled from the request alone, without the program that passed.
        solved (`tuple[bool]`, *optional*, defaults to `()`):
            Whether each answer sampled from the request alone, to measure the difficulty, passed the tests.
        taught (`tuple[bool]`, *optional*, defaults to `()`):
            The same for answers sampled in the sequence's conversation.
        rejection (`str`, *optional*):
            Reason of the rejection, such as `"tests_failed"`; `None` if accepted.
        detail (`str`, *optional*, defaults to `""`):
            One sentence on the rejection.
        unusable (`str`, *optional*, defaults to `""`):
            The last text of the model, if it caused the rejection.
        wrong_asserts (`tuple[str]`, *optional*, defaults to `()`):
            The model's asserts that were found wrong, and marked or removed.
        prompt_tokens (`int`, *optional*, defaults to `0`):
            Number of tokens of all requests.
        completion_tokens (`int`, *optional*, defaults to `0`):
            Number of tokens of all completions.
        runs (`int`, *optional*, defaults to `0`):
            Number of programs that ran.
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
        """Returns whether the sequence may be trained on."""
        return self.rejection is None

    @property
    def rounds(self) -> int:
        """Returns the number of programs that the model wrote, including the one that passed."""
        return len(self.attempts)

    @property
    def repaired(self) -> bool:
        """Returns whether at least one attempt failed before one passed."""
        return any(not attempt.feedback.passed for attempt in self.attempts)

    def messages(self) -> list[dict[str, str]]:
        """Returns the conversation, in the form of [`reflection_trl.sequences`]."""
        turns = [{"role": "user", "content": self.instruction}]
        for attempt in self.attempts:
            turns += attempt.messages()
        if self.conclusion:
            turns.append({"role": "assistant", "content": self.conclusion})
        return [*turns, {"role": "user", "content": self.request}, {"role": "assistant", "content": self.answer}]
