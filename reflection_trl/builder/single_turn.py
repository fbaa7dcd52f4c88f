"""Samples one answer to a one-off request, parses it, and scores it with the problem's tests."""

from dataclasses import dataclass
from typing import Any

from ..answers import Answer, read_answer, without_thoughts
from ..feedback import Feedback, FeedbackKind
from ..generation.types import Completion, Generate, RequestRefusedError, Sampling
from ..languages.execution import Execute
from ..problems import Problem
from ..problems.final_answer import judge_answer
from ..problems.judge import judge
from .asserts import split_asserts
from .tested_answer import read_tested_answer


@dataclass(frozen=True)
class JudgedCompletion:
    """
    Holds a sampled answer and its score.

    Args:
        completion ([`~reflection_trl.generation.Completion`]):
            The completion.
        answer ([`~reflection_trl.answers.Answer`]):
            The parsed answer. Its `code` is the final answer if the problem has one.
        feedback ([`~reflection_trl.feedback.Feedback`], *optional*):
            Feedback of the problem's tests; `None` if there are none, or there is no code.
        tests (`bool`, *optional*, defaults to `False`):
            Whether the answer contains tests, which a one-off request does not ask for.
    """

    completion: Completion
    answer: Answer
    feedback: Feedback | None = None
    tests: bool = False

    @classmethod
    def of_final_answer(cls, completion: Completion, feedback: Feedback) -> "JudgedCompletion":
        """
        Returns a text whose final answer has been compared.

        Args:
            completion ([`~reflection_trl.generation.Completion`]):
                The completion.
            feedback ([`~reflection_trl.feedback.Feedback`]):
                Feedback of the comparison.
        """
        read = "" if feedback.kind is FeedbackKind.NO_ANSWER else feedback.actual or ""
        return cls(completion, Answer(read, lead=completion.text.strip()), feedback)

    @property
    def solved(self) -> bool:
        """Returns whether the code passes the problem's tests, regardless of other text."""
        return self.feedback is not None and self.feedback.passed


async def judge_completion(problem: Problem, completion: Completion, execute: Execute) -> JudgedCompletion:
    """
    Parses an answer and runs the problem's tests on its code, without any tests in the answer; or compares its final
    answer.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            The problem.
        completion ([`~reflection_trl.generation.Completion`]):
            The answer.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs.

    Returns:
        [`JudgedCompletion`]
    """
    if problem.answer is not None:
        feedback = await judge_answer(problem, without_thoughts(completion.text), execute)
        return JudgedCompletion.of_final_answer(completion, feedback)
    read = read_answer if problem.examples else read_tested_answer  # tests in a block of their own count as tests
    answer = read(completion.text, problem.language, problem.entry_point)
    if not answer.code:
        return JudgedCompletion(completion, answer)
    parts = split_asserts(answer.code, problem.language)
    tests = bool(parts.tests or parts.asserts) and not problem.examples
    # A truncated answer may contain its complete program, unless a fence is open
    if completion.finish_reason == "length" and not answer.closed:
        return JudgedCompletion(completion, answer, tests=tests)
    code = parts.solution if tests and parts.solution.strip() else answer.code
    return JudgedCompletion(completion, answer, await judge(problem, code, execute), tests)


async def generate_after_runs(generate: Generate, chat: list[dict[str, Any]], sampling: Sampling) -> Completion:
    """
    Samples an answer in a conversation that may contain execution output in turns of the role `tool`.

    Args:
        generate ([`~reflection_trl.generation.Generate`]):
            Generates completions.
        chat (`list[dict]`):
            Conversation.
        sampling ([`~reflection_trl.generation.Sampling`]):
            Sampling settings.

    Returns:
        [`~reflection_trl.generation.Completion`]: If the server rejects tool turns, the completion of the conversation
        with the output in user turns, as training renders it for such a template.
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
