"""
Runs the reference of each problem against the problem's own tests, before rollouts of the problem are made.

A reference that fails the tests, or tests that fail a correct reference, would reject every rollout of the problem: the
reference removes the correct asserts of the model, or the tests fail its correct answers. No rollout of such a problem
is made. A reference that does not run, such as prose or code with a missing import, contradicts nothing. Rollouts of
its problem do without it.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..coroutines import run_workers
from ..files.run_folder import write_json
from ..languages.execution import Execute
from ..problems import Problem
from ..problems.judge import judge
from ..quoting import list_names
from .asserts import contradicts
from .rollout_base import brief


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReferenceCheck:
    """
    Holds the outcome of running a reference.

    Args:
        failure (`str`, *optional*, defaults to `""`):
            The failure on one line; empty if the reference passes the tests, or the problem has no reference or no tests.
        contradicts (`bool`, *optional*, defaults to `False`):
            Whether the reference and the tests contradict each other: the reference ran, and failed.
    """

    failure: str = ""
    contradicts: bool = False


class References:
    """
    Checks references, each once.

    Args:
        file (`Path`, *optional*):
            File with the outcomes of [`References.check_all`], so that a resumed run does not check again. References that
            do not run are not in it, because the machine may have what they need next time.
    """

    def __init__(self, file: Path | None = None):
        self._file = file
        self._known: dict[str, ReferenceCheck] = {}
        self._checks: dict[str, asyncio.Task[ReferenceCheck]] = {}
        if file is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):  # it can be made again
                known = json.loads(file.read_text(encoding="utf-8"))
                self._known = {key: ReferenceCheck(**outcome) for key, outcome in known.items()}

    async def check(self, problem: Problem, execute: Execute) -> ReferenceCheck:
        """
        Runs a reference against the tests and examples of its problem, if it has both.

        Args:
            problem ([`~reflection_trl.problems.Problem`]):
                The problem.
            execute ([`~reflection_trl.languages.execution.Execute`]):
                Runs programs.

        Raises:
            [`~reflection_trl.sandbox.SandboxError`]: If the sandbox fails.
        """
        if not _can_be_checked(problem):
            return ReferenceCheck()
        key = _key(problem)
        if key not in self._known:
            if key not in self._checks:
                self._checks[key] = asyncio.create_task(_check(problem, execute))
            self._known[key] = await self._checks[key]
        return self._known[key]

    async def check_all(
        self, problems: Sequence[Problem], execute: Execute, in_flight: int = 128, bar: bool = False
    ) -> None:
        """
        Runs the references of all problems, and saves the outcomes.

        Args:
            problems (`Sequence[Problem]`):
                The problems.
            execute ([`~reflection_trl.languages.execution.Execute`]):
                Runs programs.
            in_flight (`int`, *optional*, defaults to `128`):
                Maximum number of concurrent checks.
            bar (`bool`, *optional*, defaults to `False`):
                Whether to show a progress bar while they run.
        """
        from tqdm.auto import tqdm

        unknown = [problem for problem in problems if _can_be_checked(problem) and _key(problem) not in self._known]
        if not unknown:
            return
        logger.info("References to run against the tests of their problems: %s.", f"{len(unknown):,}")
        remaining = iter(unknown)
        shown = tqdm(desc="references", total=len(unknown), dynamic_ncols=True, leave=False, disable=not bar)

        async def work() -> None:
            for problem in remaining:
                await self.check(problem, execute)
                shown.update()

        try:
            await run_workers(work, min(in_flight, len(unknown)))
        finally:
            shown.close()
            self._save()

    def describe(self, problems: Sequence[Problem]) -> list[str]:
        """
        Returns a sentence on the references that fail, and one on those that do not run, if there are any.

        Args:
            problems (`Sequence[Problem]`):
                Problems whose references have been checked.
        """
        checked = [problem for problem in problems if _can_be_checked(problem)]
        outcomes = [(problem.id, self._known[_key(problem)]) for problem in checked]
        failing = [(name, outcome) for name, outcome in outcomes if outcome.failure]
        sentences = []
        for disagree, what, so in (
            (True, "fails the problem's own tests", "no rollouts of these are made"),
            (False, "does not run with the problem's tests", "their rollouts do without it"),
        ):
            which = {name: outcome.failure for name, outcome in failing if outcome.contradicts == disagree}
            if which:
                (first, failure), *others = which.items()
                names = [f"{first} ({failure.rstrip('.')})", *filter(None, [list_names(name for name, _ in others)])]
                sentences.append(
                    f"The reference {what} in {len(which):,} of {len(checked):,} problems, so {so}: {', '.join(names)}."
                )
        return sentences

    def common_failure(self, problems: Sequence[Problem]) -> str:
        """
        Returns the first failure if no problem is left, because the references of all contradict their tests; or `""`.

        Args:
            problems (`Sequence[Problem]`):
                Problems whose references have been checked.
        """
        outcomes = [self._known.get(_key(problem), ReferenceCheck()) for problem in problems]
        return f"{problems[0].id}: {outcomes[0].failure}" if all(one.contradicts for one in outcomes) else ""

    def _save(self) -> None:
        if self._file is None:
            return
        decided = {
            key: asdict(outcome) for key, outcome in self._known.items() if outcome.contradicts or not outcome.failure
        }
        with contextlib.suppress(OSError):  # on a full disk, they are checked again
            write_json(self._file, decided)


def _can_be_checked(problem: Problem) -> bool:
    return bool(problem.reference and problem.answer is None and problem.has_tests)


async def _check(problem: Problem, execute: Execute) -> ReferenceCheck:
    assert problem.reference is not None
    feedback = await judge(problem, problem.reference, execute)
    if feedback is None or feedback.passed:
        return ReferenceCheck()
    return ReferenceCheck(brief(feedback), contradicts(feedback, problem.language))


def _key(problem: Problem) -> str:
    """Returns a digest of what decides the outcome."""
    text = json.dumps(asdict(problem), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
