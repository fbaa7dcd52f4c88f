"""One answer to a one-off request, wherever it was drawn: read and judged by the problem's tests."""

from dataclasses import dataclass
from typing import Any

from ..answers import Answer, read_answer
from ..feedback import Feedback
from ..generation.types import Completion, Generate, RequestRefusedError, Sampling
from ..languages.execution import Execute
from ..problems import Problem
from ..problems.judge import judge
from .asserts import split_asserts


@dataclass(frozen=True)
class Draw:
    """
    A drawn answer, judged.

    Args:
        completion ([`~reflection_trl.generation.Completion`]):
            As it was drawn.
        answer ([`~reflection_trl.answers.Answer`]):
            What stands in it.
        feedback ([`~reflection_trl.feedback.Feedback`], *optional*):
            What the problem's tests gave; `None` where there are none, or nothing to run.
        tests (`bool`):
            Whether it holds tests of itself, which a one-off request does not ask for.
    """

    completion: Completion
    answer: Answer
    feedback: Feedback | None = None
    tests: bool = False

    @property
    def solved(self) -> bool:
        """Returns whether the code passes the problem's tests, whatever stands around it."""
        return self.feedback is not None and self.feedback.passed


async def judge_draw(problem: Problem, completion: Completion, execute: Execute) -> Draw:
    """
    Reads an answer and runs the problem's tests against its code, without the tests that it may have written for itself.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            What was asked.
        completion ([`~reflection_trl.generation.Completion`]):
            The answer.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs.

    Returns:
        [`Draw`]
    """
    answer = read_answer(completion.text, problem.language, problem.entry_point)
    if not answer.code:
        return Draw(completion, answer)
    parts = split_asserts(answer.code, problem.language)
    tests = bool(parts.tests or parts.asserts) and not problem.examples
    # An answer that is cut off may hold its whole program; an open fence says that it does not
    if completion.finish_reason == "length" and not answer.closed:
        return Draw(completion, answer, tests=tests)
    code = parts.solution if tests and parts.solution.strip() else answer.code
    return Draw(completion, answer, await judge(problem, code, execute), tests)


async def generate_after_runs(generate: Generate, chat: list[dict[str, Any]], sampling: Sampling) -> Completion:
    """
    Draws an answer in a conversation that may hold output of runs, in turns of the role `tool`.

    Args:
        generate ([`~reflection_trl.generation.Generate`]):
            Draws answers.
        chat (`list[dict]`):
            The conversation.
        sampling ([`~reflection_trl.generation.Sampling`]):
            How.

    Returns:
        [`~reflection_trl.generation.Completion`]: Where tool turns are refused, that of the conversation with the output in user
        turns, which is what training makes of such a template too.
    """
    try:
        return await generate([*chat], sampling)
    except RequestRefusedError:
        if not any(turn["role"] == "tool" for turn in chat):
            raise
    from ..rendering import executions_as_user_turns

    try:
        return await generate(_plain(executions_as_user_turns(chat, alternate=False)), sampling)
    except RequestRefusedError:
        return await generate(_plain(executions_as_user_turns(chat, alternate=True)), sampling)


def _plain(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]
