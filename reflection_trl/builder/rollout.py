"""
One rollout: a model writes a program with asserts, sees what running it gives, repairs it, and answers the request.

A pure function of its arguments: models and sandboxes come as `generate` and `execute`, nothing is read or written.

**Stage one** is a conversation. Each program is run as it stands; when it ends well, the problem's own tests are run
behind it, and a failure there is shown like any other output. It ends when all of that passes, and is given up after
`rounds` programs, or when the model does nothing but repeat itself. Of several repairs that were drawn for a round, one
that passes goes into the sequence.

**Stage two** is a conversation of its own: the model answers the one-off request, alone at first if the settings say so, then given
the program that passed, and its answer is judged from scratch. So the answer cannot refer to attempts that it has never seen.

Stage one may also start from the model's answer to the one-off request, to which it then adds asserts (`answer_first`). The sequence
shows then what is wrong with that answer, in the words that the model has for one, and one that passes at once is the final answer.

What is stored is not word for word what was sent: the sequence holds the output of a run where the model was sent that
output with a request to go on, prose behind a program is cut (it was written before the program had run), and an assert
that is known to be wrong is taken out (see `asserts`).
"""

import asyncio
import contextlib
import dataclasses
import functools
import re
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..answers import Answer, read_answer, without_thoughts
from ..feedback import Feedback, FeedbackKind
from ..generation.types import BudgetExhaustedError, Completion, Generate, GenerationError, Sampling
from ..languages.execution import Execute, Run
from ..problems import Problem
from ..problems.judge import judge
from .acceptance import Rejected, Rejection, check_standalone, echoed_words, is_refusal
from .asserts import Assert, assert_hint, contradicted, drop_asserts, majority_contradicts, split_asserts
from .prompts import Prompts
from .sequence import Attempt, ReflectionSequence


_NO_OUTPUT = "(no output)"
# "Here is the corrected program:"
_ANNOUNCEMENT = re.compile(
    r"^(here|below|the following|sure|certainly|corrected|the corrected)[^.!?\n]*[:!]|^#.*", re.I | re.M
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
# Another draw may do better
_WORTH_ANOTHER = frozenset(
    {
        Rejection.EMPTY_ANSWER,
        Rejection.TRUNCATED,
        Rejection.NO_CODE,
        Rejection.WRONG_LANGUAGE,
        Rejection.NO_PROGRESS,
        Rejection.LEANS_ON_REFLECTION,
        Rejection.ECHOES_PROMPT,
        Rejection.UNDEFINED_NAMES,
        Rejection.TESTS_FAILED,
        Rejection.OWN_ASSERTS_FAILED,
    }
)
_HOTTER, _HOTTEST = 0.2, 2.0  # the latter is as much as servers take
_SENTENCES = re.compile(r"(.*[.!?](?=\s|$))?", re.DOTALL)


@dataclass(frozen=True)
class RolloutSettings:
    """
    How rollouts are made.

    Args:
        rounds (`int`, *optional*, defaults to `4`):
            The most programs that the model may write in stage one.
        first ([`~reflection_trl.generation.Sampling`], *optional*):
            How the first program is drawn.
        repair ([`~reflection_trl.generation.Sampling`], *optional*):
            How the others are.
        prose ([`~reflection_trl.generation.Sampling`], *optional*):
            How the closing sentence of an accepted sequence is, and an analysis where a repair came without one.
        answer ([`~reflection_trl.generation.Sampling`], *optional*):
            How the answer to the one-off request is.
        seed (`int`, *optional*, defaults to `0`):
            Each draw has a seed of its own, made from this one, the problem's id, the sample and the round. Seeds in the
            samplings above are not used.
        tell_tests (`bool`, *optional*, defaults to `True`):
            Whether the model sees how its program fails the problem's own tests. If not, such a program ends the rollout.
        repair_candidates (`int`, *optional*, defaults to `1`):
            Repairs that are drawn for each round. The first that passes is taken, or else the first: small models repair
            seldom, and what they are asked for begins with the same tokens.
        answer_first (`bool`, *optional*, defaults to `False`):
            Whether the first program is the model's answer to the one-off request alone, to which it adds asserts. If it passes, it is
            the final answer too.
        unaided_answers (`int`, *optional*, defaults to `0`):
            How many answers to the one-off request alone are tried before the model is given the program that passed. The first that is
            good enough is taken: it is in the model's own style, where one that is copied from a program tends to be terse.
        redraws (`int`, *optional*, defaults to `2`):
            How often an answer that cannot be used (no code, cut off, a program that has failed already, words that lean on
            the attempts) is drawn again, each time at a temperature that is higher by 0.2.
        voters (`int`, *optional*, defaults to `0`):
            Answers to draw beside, for a problem with neither tests nor reference: an assert that most of them fail is wrong.
        max_chars (`int`, *optional*, defaults to `32000`):
            The longest conversation, in characters, and the longest single answer that is looked at.
        templates (`str` or `Path`, *optional*):
            Directory with prompts of your own: see [`~reflection_trl.builder.prompts.Prompts`].

    Raises:
        ValueError: If a number is out of its range, or a template cannot be used.
    """

    rounds: int = 4
    first: Sampling = field(default_factory=lambda: Sampling(temperature=0.8, top_p=0.95, max_tokens=1024))
    repair: Sampling = field(default_factory=lambda: Sampling(temperature=0.6, top_p=0.95, max_tokens=1536))
    prose: Sampling = field(default_factory=lambda: Sampling(temperature=0.6, top_p=0.95, max_tokens=160))
    answer: Sampling = field(default_factory=lambda: Sampling(temperature=0.2, top_p=0.95, max_tokens=1024))
    seed: int = 0
    tell_tests: bool = True
    repair_candidates: int = 1
    answer_first: bool = False
    unaided_answers: int = 0
    redraws: int = 2
    voters: int = 0
    max_chars: int = 32_000
    templates: str | Path | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("rounds", 1),
            ("max_chars", 1000),
            ("repair_candidates", 1),
            ("unaided_answers", 0),
            ("redraws", 0),
            ("voters", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` must be at least {least}, got {getattr(self, name)}.")
        if self.voters == 1:
            raise ValueError("`voters` must be 0 or at least 2, got 1: one answer is no majority.")
        _ = self.prompts  # a template that cannot be used is found before anything is drawn

    @functools.cached_property
    def prompts(self) -> Prompts:
        """The templates, read once."""
        return Prompts.load(self.templates)


def draw_seed(seed: int, problem_id: str, sample: int, step: str | int) -> int:
    """
    The seed of one draw: the same in every process and every run.

    Args:
        seed (`int`): of the whole run.
        problem_id (`str`): the problem.
        sample (`int`): the rollout among those of the problem.
        step (`str` or `int`): the round, from 0, or the name of another step.

    Returns:
        `int`: 32 bits, unsigned.
    """
    return zlib.crc32(f"{seed}\0{problem_id}\0{sample}\0{step}".encode("utf-8", "surrogatepass"))


async def rollout(
    problem: Problem, generate: Generate, execute: Execute, settings: RolloutSettings | None = None, sample: int = 0
) -> ReflectionSequence:
    """
    Makes one reflection sequence.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            The problem. Its reference is never shown to the model.
        generate ([`~reflection_trl.generation.Generate`]):
            Draws answers.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs, isolated.
        settings ([`RolloutSettings`], *optional*):
            How.
        sample (`int`, *optional*, defaults to `0`):
            Number of this rollout among those of the problem: each draws differently.

    Returns:
        [`ReflectionSequence`]: accepted or not. One that is rejected holds what there was until then, and says why in `rejection`
        (a [`~reflection_trl.builder.acceptance.Rejection`]) and `detail`. `"generation_failed"` is no judgement: no answer
        could be had, and the same rollout may be made again.

    Raises:
        [`~reflection_trl.generation.BudgetExhaustedError`]: when nothing more may be asked of the model.
        [`~reflection_trl.sandbox.SandboxError`]: when the sandbox fails. It is never a judgement of a program.
    """
    return await _Rollout(problem, generate, execute, settings or RolloutSettings(), sample).make()


@dataclass
class _Findings:
    """
    What is known of the model's asserts.

    Args:
        asserts (`dict`): those of all programs, by source.
        shown (`set`): sources of those whose failure the model has seen.
        wrong (`dict`): sources of wrong ones, in the order in which they were found.
    """

    asserts: dict[str, Assert] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    wrong: dict[str, None] = field(default_factory=dict)

    def copy(self) -> "_Findings":
        return _Findings(dict(self.asserts), set(self.shown), dict(self.wrong))


class _Rollout:
    """The state of one rollout: the sequence so far, and what the model has been sent."""

    def __init__(self, problem: Problem, generate: Generate, execute: Execute, settings: RolloutSettings, sample: int):
        self.problem = problem
        self.settings = settings
        self._generate = generate
        self._execute = execute
        self._chat: list[dict[str, Any]] = []
        self._votes: list[str] | None = None
        self._found = _Findings()
        self._first_answer: Answer | None = None  # with `answer_first`
        self.sequence = ReflectionSequence(
            problem,
            sample,
            instruction=self._instruction(problem.instruction),
            request=self._prompt("request", instruction=problem.instruction),
        )

    async def make(self) -> ReflectionSequence:
        try:
            await self._reflect()
            await self._reconsider_asserts()
            await self._answer()
            await self._conclude()
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
        self._note(wrong_asserts=tuple(self._found.wrong))
        return self.sequence

    async def _reflect(self) -> None:
        """Stage one. The last attempt is the program that passed."""
        self._chat.append({"role": "user", "content": self.sequence.instruction})
        failed: set[str] = set()
        for number in range(self.settings.rounds):
            answer, attempt, further = await self._attempt(number, failed)
            code, feedback = attempt.code, attempt.feedback
            failed |= {answer.code, code}
            self._note(attempts=(*self.sequence.attempts, attempt))
            self._chat.append({"role": "assistant", "content": attempt.text})
            if feedback.passed:
                if not self._tests_itself(code):
                    raise Rejected(
                        Rejection.ASSERTS_MISSING, f"The program of round {number + 1} makes no test of itself."
                    )
                return
            if further and not self.settings.tell_tests:
                raise Rejected(Rejection.TESTS_FAILED, f"The program fails the problem's tests: {_brief(feedback)}")
            request = self._feedback(self.problem.instruction, feedback.text, further)
            self._chat.append({"role": "user", "content": request})
        raise Rejected(
            Rejection.ROUNDS_EXHAUSTED,
            f"No program passed in {self.settings.rounds} rounds; the last one: {_brief(self.sequence.attempts[-1].feedback)}",
        )

    async def _attempt(self, number: int, failed: set[str]) -> tuple[Answer, Attempt, bool]:
        """One round: an answer, what running it gave, and whether that comes from the problem's tests alone."""
        answers, before, chosen = await self._write(number, failed), self._found, None
        refused: list[Rejected] = []
        for answer in answers:
            self._found = before.copy()  # a candidate that is not taken leaves nothing behind
            try:
                code, feedback, further = await self._try(answer.code)
                if not feedback.passed and code in failed:  # as it would be stored
                    raise Rejected(
                        Rejection.NO_PROGRESS,
                        f"Round {number + 1} repeats a program that has failed, but for wrong asserts.",
                    )
            except Rejected as rejected:
                refused.append(rejected)
                continue
            done = feedback.passed and self._tests_itself(code)
            if chosen is None or done:
                chosen = answer, code, feedback, further, self._found
            if done:
                break
        if chosen is None:
            raise refused[0]
        answer, code, feedback, further, self._found = chosen
        if number and not _has_analysis(answer.lead):
            answer = await self._analyse(answer, number)
        text = dataclasses.replace(answer, code=code).message(self.problem.language)
        return answer, Attempt(text, code, feedback), further

    async def _write(self, number: int, failed: set[str]) -> list[Answer]:
        """The programs that are drawn for a round, none of which has failed before."""

        async def draw(candidate: int, again: int) -> Answer:
            sampling = self.settings.repair if number else self.settings.first
            step = f"{number} candidate {candidate}" if candidate else number
            if number == 0 and self.settings.answer_first:
                answer = await self._write_from_answer(again)
            else:
                answer = await self._draw(self._chat, sampling, step, again)
            _refuse_echo(answer, orders)
            if answer.code in failed:
                raise Rejected(Rejection.NO_PROGRESS, f"Round {number + 1} repeats a program that has failed.")
            return answer

        orders = self._feedback("", "") if number else self._instruction("")
        count = self.settings.repair_candidates if number else 1
        drawn = await asyncio.gather(
            *(self._until_usable(functools.partial(draw, candidate)) for candidate in range(count)),
            return_exceptions=True,
        )
        refused = [outcome for outcome in drawn if isinstance(outcome, BaseException)]
        for error in refused:
            if not isinstance(error, Rejected):
                raise error
        answers = {answer.code: answer for answer in reversed(drawn) if isinstance(answer, Answer)}
        if not answers:
            raise refused[0]
        return [*answers.values()][::-1]

    async def _write_from_answer(self, again: int) -> Answer:
        """An answer to the request alone, with asserts that the model adds when it has been asked for them."""
        sampling, language = self.settings.first, self.problem.language
        chat = [{"role": "user", "content": self.sequence.request}]
        self._first_answer = answer = await self._draw(chat, sampling, "first answer", again)
        if self.problem.examples:
            return Answer(answer.code)
        program = split_asserts(answer.code, language).solution.strip() or answer.code
        # Its fence is still open, and a comment ends it: space at the end is cut by some templates, and its last line gone on with
        comment = "#" if language in ("python", "bash") else "//"
        begun = Answer(f"{program}\n\n{comment} Tests").message(language).rpartition("\n")[0]
        return await self._draw(self._chat, sampling, 0, again, begun=begun)

    async def _until_usable(self, draw: Callable[[int], Awaitable[Answer]]) -> Answer:
        """Draws again what cannot be used, as often as the settings allow. `draw` is told how often that was."""
        for again in range(self.settings.redraws):
            try:
                return await draw(again)
            except Rejected as rejected:
                if rejected.reason not in _WORTH_ANOTHER:
                    raise
        return await draw(self.settings.redraws)

    async def _analyse(self, answer: Answer, number: int) -> Answer:
        """Asks what was wrong, where a program was repaired without a word on that."""
        language, feedback = self.problem.language, self.sequence.attempts[-1].feedback
        request = self._prompt("analysis", instruction=self.problem.instruction, feedback=feedback.text)
        turns = [{"role": "assistant", "content": answer.message(language)}, {"role": "user", "content": request}]
        lead = await self._say([*self._chat, *turns], f"analysis {number}")
        if not _has_analysis(lead):
            raise Rejected(
                Rejection.ANALYSIS_MISSING, f"Round {number + 1} repairs the program without saying what was wrong."
            )
        return dataclasses.replace(answer, lead=lead)

    async def _try(self, code: str) -> tuple[str, Feedback, bool]:
        """
        Runs a program of the model's.

        Returns:
            `tuple`: the program without the asserts that are known to be wrong, the outcome, and whether that comes from the
            problem's tests after the program's own asserts have held.
        """
        problem, tests = self.problem, split_asserts(code, self.problem.language)
        code = self._drop(code, await self._refuted(tests.asserts))
        if problem.examples and (judged := await judge(problem, code, self._run)):
            return code, _shown(judged), False
        feedback = (await self._run(problem.language, code)).feedback
        out_of_bounds = feedback.kind in (FeedbackKind.TIMEOUT, FeedbackKind.MEMORY)  # with fewer asserts too
        if not feedback.passed and not out_of_bounds and tests.asserts and problem.tests and not problem.reference:
            judged = await judge(problem, tests.solution, self._run)
            # A solution that passes the tests proves the asserts wrong that it fails
            if judged and judged.passed and (failed := await self._contradicted(tests.asserts, tests.solution)):
                code = self._drop(code, failed)
                feedback = (await self._run(problem.language, code)).feedback
        tests = split_asserts(code, problem.language)
        self._found.asserts |= {one.source: one for one in tests.asserts}
        if not feedback.passed:
            self._found.shown |= _blamed(feedback, tests.asserts)
            return code, _shown(feedback), False
        # Elsewhere the tests bring a `main` of their own; Python keeps its lines, which the output names
        judged = await judge(problem, code if problem.language == "python" else tests.solution, self._run)
        if judged is None or judged.passed:
            return code, _shown(feedback), False
        if self.settings.tell_tests:
            judged = dataclasses.replace(judged, text=self._prompt("further", feedback=_shown(judged).text))
        return code, judged, True

    def _tests_itself(self, code: str) -> bool:
        """Whether a program makes the tests that it was asked for."""
        return bool(self.problem.examples or split_asserts(code, self.problem.language).asserts)

    async def _refuted(self, asserts: Sequence[Assert]) -> Sequence[Assert]:
        """Those of the asserts that the reference fails, or most other answers where nothing else can judge."""
        if self.problem.reference:
            return await self._contradicted(asserts, self.problem.reference)
        if self.problem.has_tests or not self.settings.voters or not asserts:
            return ()
        return await majority_contradicts(
            asserts, await self._voters(), self._run, self.problem.language, self.problem.entry_point
        )

    async def _voters(self) -> list[str]:
        """Programs of other answers to the problem, drawn once."""
        if self._votes is None:
            chat = [{"role": "user", "content": self.sequence.request}]
            draws = (
                self._draw(chat, self.settings.first, f"voter {number}") for number in range(self.settings.voters)
            )
            answers = await asyncio.gather(*draws, return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException) and not isinstance(answer, Rejected):
                    raise answer
            self._votes = [answer.code for answer in answers if isinstance(answer, Answer)]
        return self._votes

    def _drop(self, code: str, wrong: Sequence[Assert]) -> str:
        """The program without wrong asserts, which are noted."""
        if not wrong:
            return code
        self._found.wrong |= {one.source: None for one in wrong}
        rest = drop_asserts(code, wrong, self.problem.language)
        if rest is None:
            raise Rejected(
                Rejection.WRONG_ASSERT, f"`{wrong[0].source}` is wrong and cannot be cut out of its program."
            )
        return rest

    async def _reconsider_asserts(self) -> None:
        """Asks the program that passed about the asserts of the programs before it, which may have been left out since."""
        if len(self.sequence.attempts) < 2:
            return
        solution = split_asserts(self.sequence.attempts[-1].code, self.problem.language).solution
        for one in await self._contradicted([*self._found.asserts.values()], solution):
            if self.problem.reference:
                raise Rejected(
                    Rejection.OWN_ASSERTS_FAILED, f"The program that passed fails an earlier `{one.source}`."
                )
            if not self.problem.has_tests:
                raise Rejected(
                    Rejection.ASSERT_WITHDRAWN,
                    f"`{one.source}` does not hold for the program that passed, and nothing tells which of them is wrong.",
                )
            self._found.wrong[one.source] = None
            del self._found.asserts[one.source]
        if shown := [source for source in self._found.wrong if source in self._found.shown]:
            raise Rejected(Rejection.WRONG_ASSERT, f"The model was shown a failure of `{shown[0]}`, which is wrong.")

    async def _answer(self) -> None:
        """Stage two."""
        if self._first_answer is not None and not self.sequence.repaired:
            with contextlib.suppress(Rejected):
                await self._accept(self._first_answer)
                self._note(unaided=True)
                return
        for number in range(self.settings.unaided_answers):
            try:
                chat = [{"role": "user", "content": self.sequence.request}]
                await self._accept(await self._draw(chat, self.settings.answer, "unaided answer", number))
            except Rejected:
                continue
            self._note(unaided=True)
            return
        await self._until_usable(self._aided_answer)

    async def _aided_answer(self, again: int) -> Answer:
        """An answer of the model when it has been given the program that passed."""
        problem = self.problem
        program = split_asserts(self.sequence.attempts[-1].code, problem.language).solution.strip()
        flags = {"examples": bool(problem.examples)}
        request = self._prompt("answer", instruction=problem.instruction, program=program, **flags)
        answer = await self._draw(
            [{"role": "user", "content": request}], self.settings.answer, "answer", again, program
        )
        _refuse_echo(answer, self._prompt("answer", instruction="", program="", **flags))
        return await self._accept(answer)

    async def _accept(self, answer: Answer) -> Answer:
        """Judges an answer to the one-off request, and notes it."""
        problem, programs = self.problem, [attempt.code for attempt in self.sequence.attempts]
        if not problem.examples and (solution := split_asserts(answer.code, problem.language).solution.strip()):
            answer = dataclasses.replace(answer, code=solution)
        text = answer.message(problem.language, tail=True)
        self._note(answer=text, answer_code=answer.code)
        check_standalone(text, answer.code, programs, problem)
        judged = await judge(problem, answer.code, self._run)
        if judged is not None and not judged.passed:
            raise Rejected(Rejection.TESTS_FAILED, f"The answer fails the problem's tests: {_brief(judged)}")
        tests = [one for one in self._found.asserts.values() if one.source not in self._found.wrong]
        failed = await self._contradicted(tests, answer.code)
        if failed:
            raise Rejected(
                Rejection.OWN_ASSERTS_FAILED, f"The answer fails `{failed[0].source}`, which its own program passes."
            )
        if judged is None and tests:
            # Nothing but these asserts judges it, so they must all have been able to
            run = await self._run(problem.language, answer.code, _joined(tests), entry_point=problem.entry_point)
            if not run.feedback.passed:
                raise Rejected(
                    Rejection.OWN_ASSERTS_FAILED, f"The answer fails its own asserts: {_brief(run.feedback)}"
                )
        return answer

    async def _conclude(self) -> None:
        """What the model says at the end of stage one. Asked for last: only accepted sequences need it."""
        request = self._prompt(
            "conclusion",
            instruction=self.problem.instruction,
            feedback=self.sequence.attempts[-1].feedback.text,
            repaired=self.sequence.repaired,
        )
        self._note(conclusion=await self._say([*self._chat, {"role": "user", "content": request}], "conclusion"))

    async def _say(self, chat: list[dict[str, Any]], step: str) -> str:
        """Prose alone, in whole sentences; empty where none can be had."""
        completion = await self._complete(chat, self.settings.prose, step)
        prose = _FENCE.split(completion.text)[0].strip()
        if completion.finish_reason == "length" and (whole := _SENTENCES.match(prose)):
            prose = whole[0]
        return "" if completion.finish_reason == "refused" or is_refusal(prose) else prose

    async def _draw(
        self,
        chat: list[dict[str, Any]],
        sampling: Sampling,
        step: str | int,
        again: int = 0,
        known: str = "",
        begun: str = "",
    ) -> Answer:
        """
        One answer with a program in it.

        Args:
            chat (`list`): what the model is sent.
            sampling ([`~reflection_trl.generation.Sampling`]): how the answer is drawn for the first time.
            step (`str` or `int`): the round, from 0, or the name of another step.
            again (`int`, *optional*, defaults to 0): how often it was drawn before.
            known (`str`, *optional*): program that an answer in prose alone explains; it is put before the prose.
            begun (`str`, *optional*): how the answer begins, which the model goes on with.
        """
        if again:
            hotter = min(sampling.temperature + _HOTTER * again, _HOTTEST)
            sampling = dataclasses.replace(sampling, temperature=hotter)
        chat = [*chat, {"role": "assistant", "content": begun}] if begun else chat
        completion = await self._complete(chat, sampling, f"{step} again {again}" if again else step)
        text, cut = begun + completion.text, completion.finish_reason == "length"
        number = str(step).partition(" ")[0]
        where = f"round {int(number) + 1}" if number.isdecimal() else f"the {step}"
        if completion.finish_reason == "refused":
            raise Rejected(Rejection.REFUSED, f"The model's server refused {where}.")
        if not text.strip() and not cut:
            raise Rejected(Rejection.EMPTY_ANSWER, f"The model wrote nothing in {where}.")
        if len(text) > self.settings.max_chars:
            raise Rejected(Rejection.TOO_LONG, f"The model wrote {len(text)} characters in {where}.")
        answer = read_answer(text, self.problem.language)
        if cut and not (answer.code and answer.closed):
            detail = f"The model came to no end within {sampling.max_tokens} tokens in {where}."
            raise Rejected(Rejection.TRUNCATED, detail, text)
        if answer.foreign:
            detail = f"The model wrote {answer.foreign} instead of {self.problem.language} in {where}."
            raise Rejected(Rejection.WRONG_LANGUAGE, detail, text)
        if not answer.code and is_refusal(text):
            raise Rejected(Rejection.REFUSED, f"The model declined in {where}.", text)
        if not answer.code and not known:
            raise Rejected(Rejection.NO_CODE, f"The model wrote no code in {where}.", text)
        if not answer.code:
            return Answer(known, tail=answer.lead)
        # Prose that was cut off in the middle of a sentence is left out
        return dataclasses.replace(answer, tail="") if cut else answer

    async def _complete(self, chat: list[dict[str, Any]], sampling: Sampling, step: str | int) -> Completion:
        seed = draw_seed(self.settings.seed, self.problem.id, self.sequence.sample, step)
        completion = await self._generate(list(chat), dataclasses.replace(sampling, seed=seed))
        self._note(
            prompt_tokens=self.sequence.prompt_tokens + completion.prompt_tokens,
            completion_tokens=self.sequence.completion_tokens + completion.completion_tokens,
        )
        # Half of a surrogate pair can be neither run nor stored
        text = (completion.text or "").encode("utf-8", "replace").decode("utf-8")
        return dataclasses.replace(completion, text=without_thoughts(text))

    async def _run(
        self, language: str, source: str, tests: str = "", *, entry_point: str | None = None, stdin: str = ""
    ) -> Run:
        """Counts."""
        self._note(runs=self.sequence.runs + 1)
        return await self._execute(language, source, tests, entry_point=entry_point, stdin=stdin)

    async def _contradicted(self, asserts: Sequence[Assert], program: str) -> tuple[Assert, ...]:
        movable = [one for one in asserts if one.source]
        return await contradicted(movable, program, self._run, self.problem.language, self.problem.entry_point)

    def _instruction(self, problem: str) -> str:
        """The reflection instruction for a problem; for an empty one, what it says of its own."""
        return self._prompt(
            "reflection",
            instruction=problem,
            examples=bool(self.problem.examples),
            tests=bool(self.problem.tests) and self.settings.tell_tests,
            asserts=assert_hint(self.problem.language),
        )

    def _feedback(self, problem: str, feedback: str, further: bool = False) -> str:
        """The request to go on after a failure, or what it says of its own."""
        return self._prompt(
            "feedback",
            instruction=problem,
            feedback=feedback,
            examples=bool(self.problem.examples),
            further=further,
        )

    def _prompt(self, name: str, **values: Any) -> str:
        language = self.problem.language
        return self.settings.prompts.render(name, language, **values)

    def _note(self, **changes: Any) -> None:
        self.sequence = dataclasses.replace(self.sequence, **changes)


def _refuse_echo(answer: Answer, prompt: str) -> None:
    if repeated := echoed_words(f"{answer.lead}\n{answer.tail}", prompt):
        raise Rejected(Rejection.ECHOES_PROMPT, f"The model repeats its prompt: {repeated!r}.")


def _shown(feedback: Feedback) -> Feedback:
    """The feedback, with a text where it has none."""
    return feedback if feedback.text.strip() else dataclasses.replace(feedback, text=_NO_OUTPUT)


def _blamed(feedback: Feedback, asserts: Sequence[Assert]) -> set[str]:
    """The asserts that a failed run of their own program has reported."""
    at = {one.source for one in asserts if feedback.line is not None and one.first <= feedback.line <= one.last}
    # An assert within a test function stands elsewhere: any of them may be meant
    return at or ({one.source for one in asserts} if feedback.kind is FeedbackKind.ASSERTION else set())


def _joined(asserts: Sequence[Assert]) -> str:
    return "\n".join(one.source for one in asserts if one.source)


def _has_analysis(lead: str) -> bool:
    """Whether prose says more than that a program follows."""
    return len(_ANNOUNCEMENT.sub("", lead).split()) >= 5


def _brief(feedback: Feedback) -> str:
    """The failure in one line."""
    parts = [part for part in (feedback.error_type, feedback.message) if part]
    return ": ".join(parts).split("\n")[0][:200] or f"{feedback.kind.value}."
