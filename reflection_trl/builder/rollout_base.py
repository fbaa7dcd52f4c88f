"""Implements the common part of all rollouts: their stages, the sampling and selection of answers, and their records."""

import asyncio
import dataclasses
import random
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from ..feedback import Feedback
from ..generation.types import BudgetExhaustedError, Generate, GenerationError
from ..languages.execution import Execute, Run
from ..problems import Problem
from .acceptance import Rejected, Rejection, echoed_words
from .prompts import SOLUTION
from .sampling import RolloutSampler, step_seed
from .sequence import ReflectionSequence
from .settings import RolloutSettings
from .single_turn import JudgedCompletion, judge_completion


T = TypeVar("T")
_NO_OUTPUT = "(no output)"


class Rollout(ABC):
    """
    Holds the state of one rollout: the sequence so far, and the sent conversation. The arguments are those of
    [`~reflection_trl.builder.rollout.rollout`].
    """

    def __init__(self, problem: Problem, generate: Generate, execute: Execute, settings: RolloutSettings, sample: int):
        self.problem = problem
        self.settings = settings
        self._sampler = RolloutSampler(problem, sample, generate, settings)
        self._execute = execute
        self._chat: list[dict[str, Any]] = []
        self.sequence = ReflectionSequence(
            problem,
            sample,
            instruction=self._instruction(problem.request),
            request=self._prompt("request", instruction=problem.request),
        )

    async def make(self) -> ReflectionSequence:
        """Makes the sequence, accepted or not: see [`~reflection_trl.builder.rollout.rollout`]."""
        try:
            await self._measure_difficulty()
            await self._reflect()
            if self.settings.answer_context == "sequence":
                await self._conclude()
                await self._answer_in_sequence()
            else:
                await self._answer()
                await self._conclude()  # last, because only accepted sequences need it
            if sum(len(turn["content"]) for turn in self.sequence.messages()) > self.settings.max_chars:
                raise Rejected(
                    Rejection.TOO_LONG, f"The conversation is longer than {self.settings.max_chars} characters."
                )
        except Rejected as rejected:
            self._note(rejection=rejected.reason.value, detail=rejected.detail, unusable=rejected.text)
        except BudgetExhaustedError:
            raise
        except GenerationError as error:
            self._note(rejection=Rejection.GENERATION_FAILED.value, detail=str(error))
        self._note(
            prompt_tokens=self._sampler.prompt_tokens,
            completion_tokens=self._sampler.completion_tokens,
        )
        return self.sequence

    @abstractmethod
    def _instruction(self, problem: str) -> str:
        """Returns the reflection instruction for a problem; for an empty one, the text of the template alone."""

    @abstractmethod
    async def _reflect(self) -> None:
        """Runs stage one. The last attempt is the one that passed."""

    @abstractmethod
    async def _accept_completion(self, judged: JudgedCompletion) -> None:
        """Checks an answer that is kept unchanged, and records it."""

    @abstractmethod
    async def _answer_from_program(self) -> None:
        """Runs stage two in a separate conversation that holds the attempt that passed."""

    async def _measure_difficulty(self) -> None:
        """Measures how many answers to the request alone pass the problem's tests, once per problem."""
        if self.sequence.sample or not self.problem.has_tests:
            return
        completions = await self._single_turn_completions(
            self._request_alone(), self.settings.solve_rate_samples, "one-off answer"
        )
        self._note(solved=tuple(completion.solved for completion in completions))

    async def _answer_in_sequence(self) -> None:
        """Runs stage two in the conversation of the row. One of several sampled answers is kept unchanged."""
        completions = await self._single_turn_completions(
            self.sequence.messages()[:-1], self.settings.answer_samples, "answer"
        )
        if self.problem.has_tests:
            self._note(taught=tuple(completion.solved for completion in completions))
        await self._take_one(completions, prompt=self._instruction(""))

    async def _answer(self) -> None:
        """Runs stage two in a separate conversation."""
        if self.settings.answer_context == "program":
            await self._answer_from_program()
            return
        await self._take_one(
            await self._single_turn_completions(self._request_alone(), self.settings.answer_samples, "answer")
        )
        self._note(unaided=True)

    def _request_alone(self) -> list[dict[str, Any]]:
        return [{"role": "user", "content": self.sequence.request}]

    async def _single_turn_completions(
        self, chat: list[dict[str, Any]], count: int, step: str
    ) -> list[JudgedCompletion]:
        """Samples answers to the request concurrently, and scores them with the problem's tests."""

        async def sample(number: int) -> JudgedCompletion:
            completion = await self._sampler.complete(
                chat, self.settings.answer, f"{step} {number}" if number else step
            )
            return await judge_completion(self.problem, completion, self._run)

        outcomes = await asyncio.gather(*(sample(number) for number in range(count)), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, JudgedCompletion)]

    async def _take_one(self, completions: Sequence[JudgedCompletion], prompt: str = "") -> None:
        """
        Selects the first usable answer, or a random one.

        Args:
            completions (`Sequence[JudgedCompletion]`):
                The answers.
            prompt (`str`, *optional*, defaults to `""`):
                Prompt that the model has seen, but the reader of an answer has not. An answer that copies it is unusable.
        """
        order = [*completions]
        if self.settings.answer_choice == "random":
            seed = step_seed(self.settings.seed, self.problem.id, self.sequence.sample, "choice")
            random.Random(seed).shuffle(order)
        refused: list[Rejected] = []
        for completion in order:
            try:
                refuse_echo(completion.completion.text, prompt)
                await self._accept_completion(completion)
                return
            except Rejected as rejected:
                refused.append(rejected)
        raise refused[0]

    async def _conclude(self) -> None:
        """Asks the model for its conclusion at the end of stage one."""
        request = self._prompt(
            "conclusion",
            instruction=self.problem.instruction,
            feedback=self.sequence.attempts[-1].feedback.text,
            repaired=self.sequence.repaired,
        )
        self._note(
            conclusion=await self._sampler.sample_prose(
                [*self._chat, {"role": "user", "content": request}], "conclusion"
            )
        )

    async def _run(
        self, language: str, source: str, tests: str = "", *, entry_point: str | None = None, stdin: str = ""
    ) -> Run:
        """Runs a program and counts it."""
        self._note(runs=self.sequence.runs + 1)
        return await self._execute(language, source, tests, entry_point=entry_point, stdin=stdin)

    def _prompt(self, name: str, **values: Any) -> str:
        kind = SOLUTION if self.problem.answer is not None else self.problem.language
        return self.settings.prompts.render(name, kind, **values)

    def _note(self, **changes: Any) -> None:
        self.sequence = dataclasses.replace(self.sequence, **changes)


async def gather_usable(samples: Iterable[Coroutine[Any, Any, T]]) -> tuple[list[T], list[Rejected]]:
    """
    Makes samples concurrently.

    Args:
        samples (`Iterable[Coroutine]`):
            Samples, each of which may raise [`~reflection_trl.builder.acceptance.Rejected`].

    Returns:
        `tuple[list, list[Rejected]]`: The usable samples, in order, and the reasons against the others. Any other error is raised
        once all samples have ended.
    """
    usable: list[T] = []
    refused: list[Rejected] = []
    for outcome in await asyncio.gather(*samples, return_exceptions=True):
        if isinstance(outcome, Rejected):
            refused.append(outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            usable.append(outcome)
    return usable, refused


def refuse_echo(text: str, prompt: str) -> None:
    """
    Rejects prose that repeats the prompt.

    Args:
        text (`str`):
            Text of the model.
        prompt (`str`):
            The prompt without the problem.

    Raises:
        [`~reflection_trl.builder.acceptance.Rejected`]: If eight consecutive words of the text are in the prompt.
    """
    if repeated := echoed_words(text, prompt):
        raise Rejected(Rejection.ECHOES_PROMPT, f"The model repeats its prompt: {repeated!r}.")


def shown(feedback: Feedback) -> Feedback:
    """Returns the feedback, with a text if it has none."""
    return feedback if feedback.text.strip() else dataclasses.replace(feedback, text=_NO_OUTPUT)


def brief(feedback: Feedback) -> str:
    """Returns the failure on one line."""
    parts = [part for part in (feedback.error_type, feedback.message) if part]
    return ": ".join(parts).split("\n")[0][:200] or f"{feedback.kind.value}."
