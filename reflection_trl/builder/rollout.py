"""
Makes one rollout: a model writes a program with asserts, reads the output of running it, repairs it, and answers the
request.

A rollout is a pure function of its arguments: models and sandboxes are passed as `generate` and `execute`, and nothing
is read or written.

**Stage one** is a conversation. Each program runs: first the solution alone, then with the asserts that the model
wrote for it. If both succeed, the problem's own tests run after it, and a failure there is shown like any other
output. The stage ends when everything passes. It is given up after `rounds` programs, or when the model only repeats
itself. If several repairs were sampled for a round, one that passes is used.

Solution and asserts are separate messages, each followed by its output. The sequence therefore never shows the model
how to mix them, and the later answers contain no tests.

**Stage two** is the final answer. `answer_context` selects its context: after the sequence, in the conversation of the
row (that of the teacher in training), where several answers are sampled and the chosen one is kept unchanged; with the
program that passed; or from the request alone. It is scored independently.

Stage one may also start from the model's answer to the one-off request, to which the model then adds asserts
(`answer_first`). The sequence then shows what is wrong with that answer, in the model's own style.

The stored sequence differs from the sent conversation. It contains only the output of a run, without the request to
continue. Prose after a program is removed, because it was written before the program ran. Asserts that are known to be
wrong are removed (see `asserts`).

Problems with a final answer have a rollout of their own: see [`reflection_trl.builder.answer_rollout`].
"""

import contextlib
import dataclasses
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..answers import Answer
from ..feedback import Feedback, FeedbackKind
from ..fences import fence_code
from ..generation.types import Generate
from ..languages import get_language
from ..languages.execution import Execute
from ..problems import Problem
from ..problems.judge import judge
from .acceptance import Rejected, Rejection, check_standalone
from .answer_rollout import AnswerRollout
from .asserts import (
    Assert,
    assert_hint,
    comment_mark,
    contradicted,
    drop_asserts,
    majority_contradicts,
    separate_tests,
    split_asserts,
)
from .rollout_base import Rollout, brief, gather_usable, refuse_echo, shown
from .sequence import Attempt, ReflectionSequence
from .settings import RolloutSettings
from .single_turn import JudgedCompletion


_TESTS = "Tests:"  # between a solution and its asserts if both are in one message
# For example "Here is the corrected program:"
_ANNOUNCEMENT = re.compile(
    r"^(here|below|the following|sure|certainly|corrected|the corrected)[^.!?\n]*[:!]|^#.*", re.I | re.M
)


async def rollout(
    problem: Problem, generate: Generate, execute: Execute, settings: RolloutSettings | None = None, sample: int = 0
) -> ReflectionSequence:
    """
    Makes one reflection sequence.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            The problem. Its reference is never shown to the model.
        generate ([`~reflection_trl.generation.Generate`]):
            Generates completions.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs in isolation.
        settings ([`RolloutSettings`], *optional*):
            Settings of the rollout.
        sample (`int`, *optional*, defaults to `0`):
            Index of this rollout among those of the problem. Each uses other seeds.

    Returns:
        [`ReflectionSequence`]: The sequence, accepted or not. A rejected one contains the rollout up to its end, with
        the reason in `rejection` (a [`~reflection_trl.builder.acceptance.Rejection`]) and `detail`.
        `"generation_failed"` means that there was no completion; the rollout can be made again.

    Raises:
        [`~reflection_trl.generation.BudgetExhaustedError`]: If the budget of requests or tokens is used up.
        [`~reflection_trl.sandbox.SandboxError`]: If the sandbox fails. This never counts against a program.
    """
    kind = _CodeRollout if problem.answer is None else AnswerRollout
    return await kind(problem, generate, execute, settings or RolloutSettings(), sample).make()


@dataclass
class _Findings:
    """
    Tracks the model's asserts.

    Args:
        asserts (`dict`, *optional*, defaults to `{}`):
            Asserts of all programs, by source.
        shown (`set`, *optional*, defaults to `set()`):
            Sources of asserts whose failure the model has seen.
        wrong (`dict`, *optional*, defaults to `{}`):
            Sources of wrong asserts, in the order of their detection.
    """

    asserts: dict[str, Assert] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    wrong: dict[str, None] = field(default_factory=dict)

    def copy(self) -> "_Findings":
        return _Findings(dict(self.asserts), set(self.shown), dict(self.wrong))


@dataclass(frozen=True)
class _Outcome:
    """
    Holds the result of running a program of the model.

    Args:
        code (`str`):
            The program without asserts that are known to be wrong.
        feedback ([`~reflection_trl.feedback.Feedback`]):
            Feedback of the program, or of the problem's tests after it.
        further (`bool`, *optional*, defaults to `False`):
            Whether it comes from the problem's tests, after the program's own asserts passed.
        alone ([`~reflection_trl.feedback.Feedback`], *optional*):
            Feedback of the solution without its asserts, if it ran separately.
    """

    code: str
    feedback: Feedback
    further: bool = False
    alone: Feedback | None = None


class _CodeRollout(Rollout):
    """Makes the rollout of a problem that a program solves."""

    def __init__(self, problem: Problem, generate: Generate, execute: Execute, settings: RolloutSettings, sample: int):
        super().__init__(problem, generate, execute, settings, sample)
        self._votes: list[str] | None = None
        self._found = _Findings()
        self._first_answer: Answer | None = None  # with `answer_first`

    async def make(self) -> ReflectionSequence:
        await super().make()
        self._note(wrong_asserts=tuple(self._found.wrong))
        return self.sequence

    async def _reflect(self) -> None:
        """Runs stage one. The last attempt is the program that passed."""
        self._chat.append({"role": "user", "content": self.sequence.instruction})
        failed: set[str] = set()
        for number in range(self.settings.rounds):
            answer, attempt, further = await self._attempt(number, failed)
            code, feedback = attempt.code, attempt.feedback
            failed |= {answer.code, code}
            self._note(attempts=(*self.sequence.attempts, attempt))
            said = f"\n\n{_TESTS}\n\n".join(part for part in (attempt.text, attempt.tests) if part)
            self._chat.append({"role": "assistant", "content": said})
            if feedback.passed:
                if not self._tests_itself(code):
                    raise Rejected(Rejection.ASSERTS_MISSING, f"The program of round {number + 1} contains no tests.")
                await self._reconsider_asserts()
                return
            if further and not self.settings.tell_tests:
                raise Rejected(Rejection.TESTS_FAILED, f"The program fails the problem's tests: {brief(feedback)}")
            request = self._feedback(self.problem.instruction, feedback.text, further)
            self._chat.append({"role": "user", "content": request})
        raise Rejected(
            Rejection.ROUNDS_EXHAUSTED,
            f"No program passed in {self.settings.rounds} rounds; the last one: {brief(self.sequence.attempts[-1].feedback)}",
        )

    async def _attempt(self, number: int, failed: set[str]) -> tuple[Answer, Attempt, bool]:
        """
        Runs one round. Returns an answer, its outcome, and whether the outcome comes from the problem's tests alone.
        """
        answers, before, chosen = await self._write(number, failed), self._found, None
        refused: list[Rejected] = []
        for answer in answers:
            self._found = before.copy()  # an unused candidate must not leave findings
            try:
                outcome = await self._try(answer.code)
                code, passed = outcome.code, outcome.feedback.passed
                if not passed and code in failed:  # compared in its stored form
                    raise Rejected(
                        Rejection.NO_PROGRESS,
                        f"Round {number + 1} repeats a program that failed, except for wrong asserts.",
                    )
            except Rejected as rejected:
                refused.append(rejected)
                continue
            done = passed and self._tests_itself(code)
            if chosen is None or done:
                chosen = answer, outcome, self._found
            if done:
                break
        if chosen is None:
            raise refused[0]
        answer, outcome, self._found = chosen
        from_answer = number == 0 and self._first_answer is not None
        if from_answer and outcome.feedback.passed and not self._tests_itself(outcome.code):
            answer, outcome = await self._resample_asserts(answer, outcome)
        if number and not _has_analysis(answer.lead):
            answer = await self._analyze(answer, number)
        return answer, self._as_attempt(answer, outcome), outcome.further

    def _as_attempt(self, answer: Answer, outcome: _Outcome) -> Attempt:
        """Converts a round to its stored form."""
        language, parts = self.problem.language, split_asserts(outcome.code, self.problem.language)
        if outcome.alone is None:
            text = _whole_message(dataclasses.replace(answer, code=outcome.code), language)
            return Attempt(text, outcome.code, outcome.feedback)
        alone = dataclasses.replace(answer, code=parts.solution.strip("\n").rstrip())
        # An answer to the request alone has its explanation after the code, and the answers after the sequence copy
        # this style
        text = alone.message(language, tail=self.settings.answer_first and not self.sequence.attempts)
        tests = fence_code(parts.tests, get_language(language).fences[0])
        return Attempt(text, outcome.code, outcome.feedback, tests, outcome.alone)

    async def _write(self, number: int, failed: set[str]) -> list[Answer]:
        """Samples the programs of a round, and skips programs that failed before."""

        async def sample(candidate: int, again: int) -> Answer:
            sampling = self.settings.repair if number else self.settings.first
            step = f"{number} candidate {candidate}" if candidate else number
            if number == 0 and self.settings.answer_first:
                answer = await self._write_from_answer(again)
            else:
                tested = not self.problem.examples
                answer = await self._sampler.sample_program(self._chat, sampling, step, again, tested=tested)
            refuse_echo(f"{answer.lead}\n{answer.tail}", orders)
            answer = self._with_separate_tests(answer, number)
            if answer.code in failed:
                raise Rejected(Rejection.NO_PROGRESS, f"Round {number + 1} repeats a program that has failed.")
            return answer

        orders = self._feedback("", "") if number else self._instruction("")
        count = self.settings.repair_candidates if number else 1
        answers, refused = await gather_usable(
            self._sampler.resample_until_usable(functools.partial(sample, candidate)) for candidate in range(count)
        )
        if not answers:
            raise refused[0]
        different: dict[str, Answer] = {}
        for answer in answers:
            different.setdefault(answer.code, answer)
        return [*different.values()]

    def _with_separate_tests(self, answer: Answer, number: int) -> Answer:
        """Moves the tests of a program after its solution."""
        if self.problem.examples:
            return answer
        parts = separate_tests(answer.code, self.problem.language)
        if parts is None:
            detail = f"The tests of round {number + 1} cannot be separated from its solution."
            raise Rejected(Rejection.TESTS_NOT_SEPARATE, detail)
        return dataclasses.replace(answer, code=parts.program)

    async def _write_from_answer(self, again: int) -> Answer:
        """Samples an answer to the request alone, to which the model then adds asserts."""
        chat = [{"role": "user", "content": self.sequence.request}]
        sampling = self.settings.first
        self._first_answer = answer = await self._sampler.sample_program(chat, sampling, "first answer", again)
        if self.problem.examples:
            return Answer(answer.code)
        return await self._add_asserts(answer, again)

    async def _add_asserts(self, answer: Answer, again: int) -> Answer:
        """Samples asserts for an answer to the request alone."""
        language = self.problem.language
        program = split_asserts(answer.code, language).solution.strip() or answer.code
        # The fence of the tests is opened here, because a small model may omit it. It ends with a comment, since some
        # templates strip trailing space
        fence = f"```{get_language(language).fences[0]}\n{comment_mark(language)} Tests"
        begun = f"{Answer(program).message(language)}\n\n{_TESTS}\n\n{fence}"
        tested = await self._sampler.sample_program(
            self._chat, self.settings.first, 0, again, begun=begun, tested=True
        )
        return dataclasses.replace(tested, lead=answer.lead, tail=answer.tail)

    async def _resample_asserts(self, answer: Answer, outcome: _Outcome) -> tuple[Answer, _Outcome]:
        """Samples other asserts for an answer to the request alone that passes, if its asserts are missing or all wrong."""
        first, before = self._first_answer, self._found
        assert first is not None
        for again in range(1, self.settings.max_resamples + 1):
            self._found = before.copy()
            with contextlib.suppress(Rejected):
                other = self._with_separate_tests(await self._add_asserts(first, again), 0)
                tried = await self._try(other.code)
                if tried.feedback.passed and self._tests_itself(tried.code):
                    return other, tried
        self._found = before
        return answer, outcome

    async def _analyze(self, answer: Answer, number: int) -> Answer:
        """Asks the model what was wrong, if it repaired a program without an explanation."""
        language, feedback = self.problem.language, self.sequence.attempts[-1].feedback
        request = self._prompt("analysis", instruction=self.problem.instruction, feedback=feedback.text)
        turns = [
            {"role": "assistant", "content": _whole_message(answer, language)},
            {"role": "user", "content": request},
        ]
        lead = await self._sampler.sample_prose([*self._chat, *turns], f"analysis {number}")
        if not _has_analysis(lead):
            raise Rejected(
                Rejection.ANALYSIS_MISSING, f"Round {number + 1} repairs the program without saying what was wrong."
            )
        return dataclasses.replace(answer, lead=lead)

    async def _try(self, code: str) -> _Outcome:
        """Runs a program of the model."""
        problem, tests = self.problem, split_asserts(code, self.problem.language)
        code = self._drop(code, await self._refuted(tests.asserts))
        if problem.examples and (judged := await judge(problem, code, self._run)):
            return _Outcome(code, shown(judged))
        alone = await self._run_solution(code)
        if alone is not None and not alone.passed:
            return _Outcome(split_asserts(code, problem.language).solution.strip("\n").rstrip(), alone)
        feedback = (await self._run(problem.language, code)).feedback
        out_of_bounds = feedback.kind in (FeedbackKind.TIMEOUT, FeedbackKind.MEMORY)  # also with fewer asserts
        if not feedback.passed and not out_of_bounds and tests.asserts and problem.tests and not problem.reference:
            judged = await judge(problem, tests.solution, self._run)
            # If a solution passes the tests, the asserts that it fails are wrong
            if judged and judged.passed and (failed := await self._contradicted(tests.asserts, tests.solution)):
                code = self._drop(code, failed)
                feedback = (await self._run(problem.language, code)).feedback
        tests = split_asserts(code, problem.language)
        alone = alone if tests.tests else None
        self._found.asserts |= {one.source: one for one in tests.asserts}
        if not feedback.passed:
            self._found.shown |= _blamed(feedback, tests.asserts)
            return _Outcome(code, shown(feedback), alone=alone)
        # In other languages the tests have a `main`. Python keeps its lines, since the output names them
        judged = await judge(problem, code if problem.language == "python" else tests.solution, self._run)
        if judged is None or judged.passed:
            return _Outcome(code, shown(feedback), alone=alone)
        if self.settings.tell_tests:
            judged = dataclasses.replace(judged, text=self._prompt("further", feedback=shown(judged).text))
        return _Outcome(code, judged, True, alone)

    async def _run_solution(self, code: str) -> Feedback | None:
        """
        Runs a solution without its tests. This works only for Python: in other languages the tests contain the `main`.
        """
        parts = split_asserts(code, self.problem.language)
        if self.problem.language != "python" or not parts.tests:
            return None
        return shown((await self._run(self.problem.language, parts.solution)).feedback)

    def _tests_itself(self, code: str) -> bool:
        """Returns whether a program contains the tests that the prompt asked for."""
        return bool(self.problem.examples or split_asserts(code, self.problem.language).asserts)

    async def _refuted(self, asserts: Sequence[Assert]) -> Sequence[Assert]:
        """Returns the asserts that the reference fails, or that most other answers fail if nothing else can decide."""
        if self.problem.reference:
            return await self._contradicted(asserts, self.problem.reference)
        if self.problem.has_tests or not self.settings.voters or not asserts:
            return ()
        return await majority_contradicts(
            asserts, await self._voters(), self._run, self.problem.language, self.problem.entry_point
        )

    async def _voters(self) -> list[str]:
        """Returns programs of other answers to the problem, sampled once."""
        if self._votes is None:
            chat = [{"role": "user", "content": self.sequence.request}]
            answers, _ = await gather_usable(
                self._sampler.sample_program(chat, self.settings.first, f"voter {number}")
                for number in range(self.settings.voters)
            )
            self._votes = [answer.code for answer in answers]
        return self._votes

    def _drop(self, code: str, wrong: Sequence[Assert]) -> str:
        """Removes wrong asserts from the program, and records them."""
        if not wrong:
            return code
        self._found.wrong |= {one.source: None for one in wrong}
        rest = drop_asserts(code, wrong, self.problem.language)
        if rest is None:
            raise Rejected(
                Rejection.WRONG_ASSERT, f"`{wrong[0].source}` is wrong and cannot be removed from its program."
            )
        # Without the first assert, blank lines may come before the tests. They are not shown, and would shift the lines
        # that the output names
        parts = separate_tests(rest, self.problem.language)
        return rest if parts is None else parts.program

    async def _reconsider_asserts(self) -> None:
        """
        Checks the program that passed against the asserts of earlier programs, which may have been removed since.
        """
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
                    f"`{one.source}` fails for the program that passed, and it is unknown which of the two is wrong.",
                )
            self._found.wrong[one.source] = None
            del self._found.asserts[one.source]
        if shown := [source for source in self._found.wrong if source in self._found.shown]:
            raise Rejected(Rejection.WRONG_ASSERT, f"The model was shown a failure of `{shown[0]}`, which is wrong.")

    async def _accept_completion(self, judged: JudgedCompletion) -> None:
        """Checks an answer that is kept unchanged, and records it."""
        completion, answer = judged.completion, judged.answer
        if completion.finish_reason == "length":
            detail = f"The model did not finish its answer within {self.settings.answer.max_tokens} tokens."
            raise Rejected(Rejection.TRUNCATED, detail, completion.text)
        self._sampler.check_readable(answer, completion, "the answer")
        self._note(answer=completion.text, answer_code=answer.code)
        if judged.tests:
            raise Rejected(Rejection.TESTS_IN_ANSWER, "The answer contains tests, which the request did not ask for.")
        await self._judge_answer(completion.text, answer.code, judged.feedback)

    async def _answer(self) -> None:
        if self._first_answer is not None and not self.sequence.repaired:
            with contextlib.suppress(Rejected):
                await self._accept(self._first_answer)
                self._note(unaided=True)
                return
        await super()._answer()

    async def _answer_from_program(self) -> None:
        await self._sampler.resample_until_usable(self._aided_answer)

    async def _aided_answer(self, again: int) -> Answer:
        """Samples an answer of the model, given the program that passed."""
        problem = self.problem
        program = split_asserts(self.sequence.attempts[-1].code, problem.language).solution.strip()
        flags = {"examples": bool(problem.examples)}
        request = self._prompt("answer", instruction=problem.instruction, program=program, **flags)
        answer = await self._sampler.sample_program(
            [{"role": "user", "content": request}], self.settings.answer, "answer", again, program
        )
        refuse_echo(f"{answer.lead}\n{answer.tail}", self._prompt("answer", instruction="", program="", **flags))
        return await self._accept(answer)

    async def _accept(self, answer: Answer) -> Answer:
        """Scores an answer to the one-off request, and records it."""
        problem = self.problem
        if not problem.examples and (solution := split_asserts(answer.code, problem.language).solution.strip()):
            answer = dataclasses.replace(answer, code=solution)
        text = answer.message(problem.language, tail=True)
        self._note(answer=text, answer_code=answer.code)
        await self._judge_answer(text, answer.code)
        return answer

    async def _judge_answer(self, text: str, code: str, judged: Feedback | None = None) -> None:
        """
        Rejects an answer that refers to the attempts, or that fails the problem's tests or the sequence's asserts.

        Args:
            text (`str`):
                The answer.
            code (`str`):
                The code in it.
            judged ([`~reflection_trl.feedback.Feedback`], *optional*):
                Feedback of the problem's tests, if they ran before.
        """
        problem, programs = self.problem, [attempt.code for attempt in self.sequence.attempts]
        check_standalone(text, code, programs, problem)
        judged = judged or await judge(problem, code, self._run)
        if judged is not None and not judged.passed:
            raise Rejected(Rejection.TESTS_FAILED, f"The answer fails the problem's tests: {brief(judged)}")
        tests = [one for one in self._found.asserts.values() if one.source not in self._found.wrong]
        failed = await self._contradicted(tests, code)
        if failed:
            raise Rejected(
                Rejection.OWN_ASSERTS_FAILED, f"The answer fails `{failed[0].source}`, which its own program passes."
            )
        if judged is None and tests:
            # Only these asserts check it, so all of them must have run
            run = await self._run(problem.language, code, _joined(tests), entry_point=problem.entry_point)
            if not run.feedback.passed:
                raise Rejected(
                    Rejection.OWN_ASSERTS_FAILED, f"The answer fails its own asserts: {brief(run.feedback)}"
                )

    async def _contradicted(self, asserts: Sequence[Assert], program: str) -> tuple[Assert, ...]:
        movable = [one for one in asserts if one.source]
        return await contradicted(movable, program, self._run, self.problem.language, self.problem.entry_point)

    def _instruction(self, problem: str) -> str:
        """Returns the reflection instruction for a problem; for an empty problem, the text of the template alone."""
        return self._prompt(
            "reflection",
            instruction=problem,
            examples=bool(self.problem.examples),
            tests=bool(self.problem.tests) and self.settings.tell_tests,
            asserts=assert_hint(self.problem.language),
        )

    def _feedback(self, problem: str, feedback: str, further: bool = False) -> str:
        """Returns the request to continue after a failure; for an empty problem, the text of the template alone."""
        return self._prompt(
            "feedback",
            instruction=problem,
            feedback=feedback,
            examples=bool(self.problem.examples),
            further=further,
        )


def _whole_message(answer: Answer, language: str) -> str:
    """Returns a program as one message, with its tests in a separate code block."""
    parts = split_asserts(answer.code, language)
    if not parts.tests:
        return answer.message(language)
    solution = dataclasses.replace(answer, code=parts.solution.strip("\n").rstrip()).message(language)
    return f"{solution}\n\n{_TESTS}\n\n{fence_code(parts.tests, get_language(language).fences[0])}"


def _blamed(feedback: Feedback, asserts: Sequence[Assert]) -> set[str]:
    """Returns the asserts that a failed run of their program reported."""
    at = {one.source for one in asserts if feedback.line is not None and one.first <= feedback.line <= one.last}
    # The line of an assert in a test function does not identify it, so any of them may be meant
    return at or ({one.source for one in asserts} if feedback.kind is FeedbackKind.ASSERTION else set())


def _joined(asserts: Sequence[Assert]) -> str:
    return "\n".join(one.source for one in asserts if one.source)


def _has_analysis(lead: str) -> bool:
    """Returns whether the prose is more than an announcement of the program."""
    return len(_ANNOUNCEMENT.sub("", lead).split()) >= 5
