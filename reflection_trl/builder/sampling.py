"""Samples programs and prose for a rollout, each with its own seed, and resamples unusable ones."""

import dataclasses
import re
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..answers import Answer, foreign_script, read_answer, without_thoughts
from ..fences import before_fences
from ..generation.types import Completion, Generate, Sampling
from ..problems import Problem
from .acceptance import Rejected, Rejection, is_refusal
from .settings import RolloutSettings
from .single_turn import generate_after_runs
from .tested_answer import read_tested_answer


T = TypeVar("T")
# Rejections for which another sample may succeed
_WORTH_ANOTHER = frozenset(
    {
        Rejection.EMPTY_ANSWER,
        Rejection.FOREIGN_SCRIPT,
        Rejection.TRUNCATED,
        Rejection.NO_CODE,
        Rejection.WRONG_LANGUAGE,
        Rejection.NO_PROGRESS,
        Rejection.LEANS_ON_REFLECTION,
        Rejection.ECHOES_PROMPT,
        Rejection.UNDEFINED_NAMES,
        Rejection.TESTS_IN_ANSWER,
        Rejection.TESTS_NOT_SEPARATE,
        Rejection.TESTS_FAILED,
        Rejection.OWN_ASSERTS_FAILED,
        Rejection.NO_ANSWER,
        Rejection.IMAGINED_OUTPUT,
        Rejection.WRONG_ANSWER,
    }
)
_HOTTER, _HOTTEST = 0.2, 2.0  # servers accept at most the latter
_SENTENCES = re.compile(r"(.*[.!?](?=\s|$))?", re.DOTALL)


def step_seed(seed: int, problem_id: str, sample: int, step: str | int) -> int:
    """
    Returns the seed of one sample: the same in every process and every run.

    Args:
        seed (`int`):
            Seed of the run.
        problem_id (`str`):
            Id of the problem.
        sample (`int`):
            Index of the rollout among those of the problem.
        step (`str` or `int`):
            The round, from 0, or the name of another step.

    Returns:
        `int`: 32-bit unsigned integer.
    """
    return zlib.crc32(f"{seed}\0{problem_id}\0{sample}\0{step}".encode("utf-8", "surrogatepass"))


class RolloutSampler:
    """
    Samples the completions of one rollout, and counts their tokens.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            The problem.
        sample (`int`):
            Index of the rollout among those of the problem.
        generate ([`~reflection_trl.generation.Generate`]):
            Generates completions.
        settings ([`RolloutSettings`]):
            Settings of the rollout.
    """

    def __init__(self, problem: Problem, sample: int, generate: Generate, settings: RolloutSettings):
        self.prompt_tokens = self.completion_tokens = 0
        self._problem = problem
        self._sample = sample
        self._generate = generate
        self._settings = settings
        self._prompts = "\n".join([problem.instruction, *settings.prompts.sources.values()])

    async def resample_until_usable(self, sample: Callable[[int], Awaitable[T]]) -> T:
        """Resamples unusable answers, as often as the settings allow. `sample` receives the number of the attempt."""
        for again in range(self._settings.max_resamples):
            try:
                return await sample(again)
            except Rejected as rejected:
                if rejected.reason not in _WORTH_ANOTHER:
                    raise
        return await sample(self._settings.max_resamples)

    async def sample_prose(self, chat: list[dict[str, Any]], step: str) -> str:
        """Samples prose in complete sentences; returns `""` if there is none."""
        completion = await self.complete(chat, self._settings.prose, step)
        prose = before_fences(completion.text).strip()
        if completion.finish_reason == "length" and (whole := _SENTENCES.match(prose)):
            prose = whole[0]
        unusable = completion.finish_reason == "refused" or is_refusal(prose) or foreign_script(prose, self._prompts)
        return "" if unusable else prose

    async def sample_program(
        self,
        chat: list[dict[str, Any]],
        sampling: Sampling,
        step: str | int,
        again: int = 0,
        known: str = "",
        begun: str = "",
        tested: bool = False,
    ) -> Answer:
        """
        Samples one answer with a program.

        Args:
            chat (`list`):
                Conversation that is sent to the model.
            sampling ([`~reflection_trl.generation.Sampling`]):
                Sampling settings of the first attempt.
            step (`str` or `int`):
                The round, from 0, or the name of another step.
            again (`int`, *optional*, defaults to `0`):
                Number of earlier attempts.
            known (`str`, *optional*, defaults to `""`):
                Program that an answer in prose explains. It is inserted before the prose.
            begun (`str`, *optional*, defaults to `""`):
                Beginning of the answer, which the model continues.
            tested (`bool`, *optional*, defaults to `False`):
                Whether the answer was asked to contain tests of its own.
        """
        sampling = self.heated(sampling, again)
        chat = [*chat, {"role": "assistant", "content": begun}] if begun else chat
        completion = await self.complete(chat, sampling, f"{step} again {again}" if again else step)
        text, cut = begun + completion.text, completion.finish_reason == "length"
        number = str(step).partition(" ")[0]
        where = f"round {int(number) + 1}" if number.isdecimal() else f"the {step}"
        read = read_tested_answer if tested else read_answer
        answer = read(text, self._problem.language, self._problem.entry_point)
        if cut and len(text) <= self._settings.max_chars and not (answer.code and answer.closed):
            detail = f"The model did not finish within {sampling.max_tokens} tokens in {where}."
            raise Rejected(Rejection.TRUNCATED, detail, text)
        self.check_readable(answer, dataclasses.replace(completion, text=text), where, known)
        if not answer.code:
            return Answer(known, tail=answer.lead)
        # Prose that ends in the middle of a sentence is removed
        return dataclasses.replace(answer, tail="") if cut else answer

    def heated(self, sampling: Sampling, again: int) -> Sampling:
        """
        Returns the sampling of another attempt, at a higher temperature.

        Args:
            sampling ([`~reflection_trl.generation.Sampling`]):
                Sampling of the first attempt.
            again (`int`):
                Number of earlier attempts.
        """
        hotter = min(sampling.temperature + _HOTTER * again, _HOTTEST)
        return dataclasses.replace(sampling, temperature=hotter) if again else sampling

    def check_text(self, completion: Completion, where: str, declined: bool) -> None:
        """
        Rejects a completion that is no answer.

        Args:
            completion ([`~reflection_trl.generation.Completion`]):
                The completion.
            where (`str`):
                The step, for the message.
            declined (`bool`):
                Whether words of a refusal count as one.
        """
        text = completion.text
        if completion.finish_reason == "refused":
            raise Rejected(Rejection.REFUSED, f"The model's server rejected the request of {where}.")
        if not text.strip():
            raise Rejected(Rejection.EMPTY_ANSWER, f"The model wrote nothing in {where}.")
        if len(text) > self._settings.max_chars:
            raise Rejected(Rejection.TOO_LONG, f"The model wrote {len(text)} characters in {where}.")
        if declined and is_refusal(text):
            raise Rejected(Rejection.REFUSED, f"The model refused to answer in {where}.", text)
        if script := foreign_script(text, self._prompts):
            raise Rejected(
                Rejection.FOREIGN_SCRIPT,
                f"The model wrote {script} letters in {where}, which its prompts do not.",
                text,
            )

    def check_readable(self, answer: Answer, completion: Completion, where: str, known: str = "") -> None:
        """
        Rejects an answer without a program in the requested language, unless its prose explains the `known` program.
        """
        self.check_text(completion, where, declined=not answer.code and not answer.foreign)
        text = completion.text
        if answer.foreign:
            detail = f"The model wrote {answer.foreign} instead of {self._problem.language} in {where}."
            raise Rejected(Rejection.WRONG_LANGUAGE, detail, text)
        if not answer.code and not known:
            raise Rejected(Rejection.NO_CODE, f"The model wrote no code in {where}.", text)

    async def complete(self, chat: list[dict[str, Any]], sampling: Sampling, step: str | int) -> Completion:
        """Generates a completion without its thinking part, with a different seed for each step."""
        seed = step_seed(self._settings.seed, self._problem.id, self._sample, step)
        completion = await generate_after_runs(self._generate, chat, dataclasses.replace(sampling, seed=seed))
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        # Half of a surrogate pair can be neither run nor stored
        text = (completion.text or "").encode("utf-8", "replace").decode("utf-8")
        return dataclasses.replace(completion, text=without_thoughts(text))
