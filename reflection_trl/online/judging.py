"""Runs what a model wrote against the tests of its problem, many answers at a time."""

import asyncio
import dataclasses
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from ..answers import read_answer, without_thoughts
from ..coroutines import run_coroutine
from ..feedback import Feedback
from ..languages import Executor, get_language
from ..languages.execution import Execute
from ..problems import Problem
from ..problems.judge import compare_output, judge
from ..sandbox import Limits, SandboxError
from .partial import count_passed_tests


logger = logging.getLogger(__name__)

Credit = Literal["all", "fraction"]
_T = TypeVar("_T")
# Each of them is three tries of the sandbox
_ATTEMPTS = 3
_PAUSE = 1.0  # seconds, doubled each time

NO_CODE = "no_code"
SANDBOX_FAILED = "sandbox_failed"


@dataclass(frozen=True)
class Outcome:
    """
    What running an answer gave.

    Args:
        kind (`str`):
            `"none"` where it passed, the [`~reflection_trl.feedback.FeedbackKind`] of its failure, `"no_code"`, or `"sandbox_failed"`
            where the sandbox could not run it, which says nothing of the answer.
        score (`float`):
            Fraction of the tests that passed; 1 or 0 unless fractions were asked for.
        text (`str`):
            The feedback as a model reads it.
        code (`str`):
            The program that was run.
        well_formed (`bool`):
            Whether the program stands in one closed fence of its language.
        feedback ([`~reflection_trl.feedback.Feedback`], *optional*):
            The whole record, where a program was run.
        suspicious (`tuple[str]`):
            What the program touches that honest ones do not, whether it passed or not.
    """

    kind: str
    score: float = 0.0
    text: str = ""
    code: str = ""
    well_formed: bool = False
    feedback: Feedback | None = None
    suspicious: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Returns whether all tests passed."""
        return self.kind == "none"

    @property
    def is_judged(self) -> bool:
        """Returns whether this says anything of the answer."""
        return self.kind != SANDBOX_FAILED

    def to_dict(self) -> dict[str, Any]:
        """Returns the outcome as plain data, as a rollout on disk holds it."""
        record = self.feedback.to_dict() if self.feedback is not None else None
        return {**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, "feedback": record}


class AnswerJudge:
    """
    Judges answers to problems in a sandbox of its own, which is opened once for each process that uses it.

    Args:
        credit (`str`, *optional*, defaults to `"all"`):
            `"fraction"` to count the tests that a failed answer passes, for which it is run once more.
        workers (`int`, *optional*):
            Programs that run at a time; the processors of this machine, divided among the processes of a distributed run.
        limits ([`~reflection_trl.sandbox.Limits`], *optional*):
            What each program may use; by default what its language needs.
        execute ([`~reflection_trl.languages.execution.Execute`], *optional*):
            Runs programs in place of a sandbox of its own, which tests need.

    Raises:
        [`~reflection_trl.sandbox.SandboxUnavailableError`]: If no isolation holds on this machine.
    """

    def __init__(
        self,
        credit: Credit = "all",
        workers: int | None = None,
        limits: Limits | None = None,
        execute: Execute | None = None,
    ):
        if credit not in ("all", "fraction"):
            raise ValueError(f"`credit` must be 'all' or 'fraction', got {credit!r}.")
        self.credit = credit
        self.workers = workers
        self.limits = limits
        self._given = execute
        self._executor: Executor | None = None
        self._owner = 0
        run_coroutine(self._open())

    def __getstate__(self) -> dict[str, Any]:
        # A process that this is sent to opens a sandbox there
        return {**self.__dict__, "_executor": None, "_owner": 0}

    def judge(self, problems: Sequence[Problem], texts: Sequence[str]) -> list[Outcome]:
        """
        Judges answers, whether or not an event loop runs in this thread.

        Args:
            problems (`Sequence[Problem]`):
                The problem of each answer.
            texts (`Sequence[str]`):
                What the model wrote.
        """
        return run_coroutine(self.judge_async(problems, texts))

    async def judge_async(self, problems: Sequence[Problem], texts: Sequence[str]) -> list[Outcome]:
        """
        Judges answers, all at a time: as many programs run as there are workers, and the others wait.

        Args:
            problems (`Sequence[Problem]`):
                The problem of each answer.
            texts (`Sequence[str]`):
                What the model wrote.

        Returns:
            `list[Outcome]`: In the order of the answers.

        Raises:
            ValueError: If the machine lacks a language's compiler.
            [`~reflection_trl.sandbox.SandboxError`]: If the sandbox could not run a single program.
        """
        for language in {problem.language for problem in problems}:
            if (missing := get_language(language).missing()) is not None:
                raise ValueError(missing)
        outcomes: list[Outcome] = [Outcome(SANDBOX_FAILED)] * len(texts)
        left, pause, error = list(range(len(texts))), _PAUSE, None
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(pause)
                pause *= 2
            execute = await self._open()
            found = await asyncio.gather(
                *(self._judge_one(problems[i], texts[i], execute) for i in left), return_exceptions=True
            )
            failed = []
            for i, outcome in zip(left, found, strict=True):
                if isinstance(outcome, Outcome):
                    outcomes[i] = outcome
                elif isinstance(outcome, SandboxError):
                    failed.append(i)
                    error = outcome
                else:
                    raise outcome
            left = failed
            if not left:
                return outcomes
        if len(left) == len(texts):
            raise SandboxError(
                f"The sandbox could not run any of {len(texts)} programs, so they have no reward ({error}); training can be resumed "
                f"from its last checkpoint when the machine is in order."
            ) from error
        logger.warning(
            "The sandbox could not run %d of %d programs; they have no reward: %s", len(left), len(texts), error
        )
        return outcomes

    def close(self) -> None:
        """Closes the sandbox, which otherwise ends with the process. The next use opens another."""
        if self._executor is not None and self._owner == os.getpid():
            run_coroutine(self._executor.__aexit__())
        self._executor = None

    async def _judge_one(self, problem: Problem, text: str, execute: Execute) -> Outcome:
        answer = read_answer(without_thoughts(text), problem.language, problem.entry_point)
        fence = get_language(problem.language).fences[0]
        if not answer.code.strip():
            return Outcome(NO_CODE, text=f"The answer holds no ```{fence} code block.")
        well_formed = answer.closed and not answer.foreign
        if self.credit == "fraction":
            feedback, score = await _judge_each(problem, answer.code, execute)
        else:
            found = await judge(problem, answer.code, execute)
            assert found is not None  # the problem has tests
            feedback, score = found, float(found.passed)
        suspicious = get_language(problem.language).suspicious(answer.code)
        return Outcome(feedback.kind.value, score, feedback.text, answer.code, well_formed, feedback, suspicious)

    async def _open(self) -> Execute:
        if self._given is not None:
            return self._given
        if self._executor is None or self._owner != os.getpid():
            workers = self.workers or max(
                1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
            )
            executor = Executor(workers=workers, limits=self.limits)
            await executor.__aenter__()
            self._executor, self._owner = executor, os.getpid()
        return self._executor


async def _judge_each(problem: Problem, code: str, execute: Execute) -> tuple[Feedback, float]:
    """Returns the feedback of the first failure, and the fraction of tests and examples that passed."""
    passed = total = 0
    first: Feedback | None = None
    if problem.tests:
        run = await execute(problem.language, code, problem.tests, entry_point=problem.entry_point)
        first = run.feedback
        passed, total = await count_passed_tests(problem, code, first, execute)
    runs = await asyncio.gather(*(execute(problem.language, code, stdin=e.stdin) for e in problem.examples))
    for example, run in zip(problem.examples, runs, strict=True):
        feedback = run.feedback
        if feedback.passed:
            feedback = compare_output(example, run.stdout, problem.tolerance)
        passed, total = passed + feedback.passed, total + 1
        if first is None or (first.passed and not feedback.passed):
            first = feedback
    assert first is not None  # the problem has tests
    # That all tests passed is said by the judge alone
    return first, 1.0 if first.passed else min(passed / total, 1 - 1 / (total + 1))
