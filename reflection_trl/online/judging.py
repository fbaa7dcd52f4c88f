"""Runs completions against the tests of their problems, many at a time."""

import asyncio
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..answers import read_answer, without_thoughts
from ..checking import read_final_answer, require_checker
from ..coroutines import run_coroutine
from ..feedback import Feedback, FeedbackKind
from ..files.processes import cores_per_process
from ..languages import Executor, get_language
from ..languages.execution import Execute, refuse_to_run
from ..problems import Problem
from ..problems.final_answer import judge_answer
from ..problems.judge import compare_output, judge
from ..quoting import quote_error
from ..sandbox import Limits, SandboxError
from .partial import count_passed_tests


logger = logging.getLogger(__name__)

Credit = Literal["all", "fraction"]
# Each attempt is three attempts of the sandbox
_ATTEMPTS = 3
_PAUSE = 1.0  # seconds, doubled after each attempt
# Calls from several threads or event loops share one sandbox
_OPENING = threading.Lock()

NO_CODE = "no_code"
SANDBOX_FAILED = "sandbox_failed"


@dataclass(frozen=True)
class Outcome:
    """
    Holds the result of running an answer.

    Args:
        kind (`str`):
            `"none"` if it passed, the [`~reflection_trl.feedback.FeedbackKind`] of its failure, `"no_code"`, or
            `"sandbox_failed"` if the sandbox could not run it, which does not count against the answer.
        score (`float`, *optional*, defaults to `0.0`):
            Fraction of the tests that passed; 1 or 0 unless `credit` is `"fraction"`.
        text (`str`, *optional*, defaults to `""`):
            Feedback in the form for a model.
        code (`str`, *optional*, defaults to `""`):
            Program that ran.
        well_formed (`bool`, *optional*, defaults to `False`):
            Whether the program is in one closed fence of its language.
        feedback ([`~reflection_trl.feedback.Feedback`], *optional*):
            Complete feedback, if a program ran.
        suspicious (`tuple[str]`, *optional*, defaults to `()`):
            Names in the program that legitimate programs do not use, whether it passed or not.
        foreign_script (`str`, *optional*):
            Name of a script in its prose or comments that the prompt does not use, such as `"CJK"`.
        is_solution (`bool`, *optional*, defaults to `False`):
            Whether the final answer of a solution was compared, rather than a program run. `code` is the answer that was read.
    """

    kind: str
    score: float = 0.0
    text: str = ""
    code: str = ""
    well_formed: bool = False
    feedback: Feedback | None = None
    suspicious: tuple[str, ...] = ()
    foreign_script: str | None = None
    is_solution: bool = False

    @property
    def passed(self) -> bool:
        """Returns whether all tests passed."""
        return self.kind == "none"

    @property
    def is_judged(self) -> bool:
        """Returns whether the answer was scored, and not lost to a failure of the sandbox."""
        return self.kind != SANDBOX_FAILED


class AnswerJudge:
    """
    Scores answers to problems in its own sandbox, which is opened once per process, at the first problem that runs programs.

    Args:
        credit (`str`, *optional*, defaults to `"all"`):
            `"fraction"` counts the tests that a failed answer passes, for which it runs once more.
        workers (`int`, *optional*):
            Number of programs that run at a time; by default the CPU cores of this machine, divided among the
            processes of a distributed run.
        limits ([`~reflection_trl.sandbox.Limits`], *optional*):
            Resource limits of each program; by default those of its language.
        execute ([`~reflection_trl.languages.execution.Execute`], *optional*):
            Runs programs in place of a new sandbox, for tests.
        tell_answer (`bool`, *optional*, defaults to `False`):
            Whether the feedback on a wrong final answer contains the expected one.

    Raises:
        TypeError: If `limits` are not [`~reflection_trl.sandbox.Limits`].
        ValueError: If `credit` is unknown, or there are no workers.
    """

    def __init__(
        self,
        credit: Credit = "all",
        workers: int | None = None,
        limits: Limits | None = None,
        execute: Execute | None = None,
        tell_answer: bool = False,
    ):
        if credit not in ("all", "fraction"):
            raise ValueError(f"`credit` must be 'all' or 'fraction', got {credit!r}.")
        if workers is not None and workers < 1:
            raise ValueError(f"`workers` must be at least 1, got {workers}.")
        if not isinstance(limits, Limits | None):
            raise TypeError(f"`limits` must be `Limits`, such as `Limits(timeout=5)`, got {limits!r}.")
        self.credit = credit
        self.workers = workers
        self.limits = limits
        self.tell_answer = tell_answer
        self._given = execute
        self._executor: Executor | None = None
        self._owner = 0

    def __getstate__(self) -> dict[str, Any]:
        # The receiving process opens its own sandbox
        return {**self.__dict__, "_executor": None, "_owner": 0}

    def open(self) -> None:
        """
        Opens the sandbox, unless it is open. The first problem that runs programs does so otherwise.

        Raises:
            [`~reflection_trl.sandbox.SandboxUnavailableError`]: If no isolation mechanism works on this machine.
        """
        self._open()

    def judge(self, problems: Sequence[Problem], texts: Sequence[str]) -> list[Outcome]:
        """
        Scores answers, with or without a running event loop in this thread.

        Args:
            problems (`Sequence[Problem]`):
                Problem of each answer.
            texts (`Sequence[str]`):
                Completions.
        """
        return run_coroutine(self.judge_async(problems, texts))

    async def judge_async(self, problems: Sequence[Problem], texts: Sequence[str]) -> list[Outcome]:
        """
        Scores answers concurrently: one program per worker runs at a time, and the others wait.

        Args:
            problems (`Sequence[Problem]`):
                Problem of each answer.
            texts (`Sequence[str]`):
                Completions.

        Returns:
            `list[Outcome]`: Outcomes in the order of the answers.

        Raises:
            ValueError: If the machine lacks a compiler of a language.
            [`~reflection_trl.checking.CheckerUnavailableError`]: If math-verify is needed and not installed.
            [`~reflection_trl.sandbox.SandboxUnavailableError`]: If programs are to run, and no isolation mechanism works
            on this machine.
            [`~reflection_trl.sandbox.SandboxError`]: If the sandbox could not run any program, not even a trivial one.
        """
        check_installed(problems)
        runs_programs = any(problem.runs_programs for problem in problems)
        outcomes: list[Outcome] = [Outcome(SANDBOX_FAILED)] * len(texts)
        left, pause, error = list(range(len(texts))), _PAUSE, None
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(pause)
                pause *= 2
            execute = await asyncio.to_thread(self._open) if runs_programs else refuse_to_run
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
        if len(left) == len(texts) and not await _runs(execute):
            raise SandboxError(
                f"The sandbox could not run any of {len(texts)} programs, so they have no reward ({quote_error(error)}); fix the machine, and resume "
                f"training from its last checkpoint."
            ) from error
        logger.warning(
            "The sandbox could not run %d of %d programs; they have no reward: %s", len(left), len(texts), error
        )
        return outcomes

    def close(self) -> None:
        """Closes the sandbox, which otherwise ends with the process. The next use opens a new one."""
        if self._executor is not None and self._owner == os.getpid():
            run_coroutine(self._executor.__aexit__())
        self._executor = None

    async def _judge_one(self, problem: Problem, text: str, execute: Execute) -> Outcome:
        text = without_thoughts(text)
        if problem.answer is not None:
            return await self._compare(problem, text, execute)
        answer = read_answer(text, problem.language, problem.entry_point)
        fence = get_language(problem.language).fences[0]
        if not answer.code.strip():
            return Outcome(NO_CODE, text=f"The answer has no ```{fence} code block.")
        well_formed = answer.closed and not answer.foreign
        if self.credit == "fraction":
            feedback, score = await _judge_each(problem, answer.code, execute)
        else:
            found = await judge(problem, answer.code, execute)
            assert found is not None  # the problem has tests
            feedback, score = found, float(found.passed)
        suspicious = get_language(problem.language).suspicious(answer.code)
        return Outcome(feedback.kind.value, score, feedback.text, answer.code, well_formed, feedback, suspicious)

    async def _compare(self, problem: Problem, text: str, execute: Execute) -> Outcome:
        feedback = await judge_answer(problem, text, execute, tell_expected=self.tell_answer)
        read = feedback.kind is not FeedbackKind.NO_ANSWER
        return Outcome(
            feedback.kind.value,
            float(feedback.passed),
            feedback.text,
            code=(feedback.actual or "") if read else "",
            well_formed=read and read_final_answer(text).form == "boxed",
            feedback=feedback,
            is_solution=True,
        )

    def _open(self) -> Execute:
        if self._given is not None:
            return self._given
        with _OPENING:
            if self._executor is None or self._owner != os.getpid():
                workers = self.workers or cores_per_process()
                executor = Executor(workers=workers, limits=self.limits)
                run_coroutine(executor.__aenter__())
                self._executor, self._owner = executor, os.getpid()
            return self._executor


def check_installed(problems: Iterable[Problem]) -> None:
    """
    Checks that everything that judges answers to problems is installed.

    Args:
        problems (`Iterable[Problem]`):
            The problems.

    Raises:
        ValueError: If the machine lacks a compiler of a language.
        [`~reflection_trl.checking.CheckerUnavailableError`]: If math-verify is needed and not installed.
    """
    needed = {(problem.language, None if problem.answer is None else problem.checker) for problem in problems}
    for language, checker in needed:
        if checker is not None:
            require_checker(checker)
        elif (missing := get_language(language).missing()) is not None:
            raise ValueError(missing)


async def _runs(execute: Execute) -> bool:
    # A few programs may each break the sandbox, which then still runs others
    try:
        await execute("python", "x = 1", "assert x == 1")
    except SandboxError:
        return False
    return True


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
    # Only the judge decides that all tests passed
    return first, 1.0 if first.passed else min(passed / total, 1 - 1 / (total + 1))
