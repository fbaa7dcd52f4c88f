"""Runs a build: many concurrent rollouts, each saved when it ends, until every problem has its samples."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from ..coroutines import run_workers
from ..files.run_folder import RunFolder, SessionUsage
from ..files.work_queue import WorkQueue
from ..generation.types import Completion, Generate, GenerationError, RequestRefusedError, Sampling
from ..languages.execution import Execute, Run
from ..problems import Problem
from .acceptance import Rejection
from .early_stopping import EarlyStopping
from .features import to_record
from .references import References
from .rollout import rollout
from .sequence import ReflectionSequence
from .settings import RolloutSettings


Task = tuple[Problem, int]


class _CountedModel:
    """Wraps the generator: counts tokens, and stores an error that affects all requests."""

    def __init__(self, generate: Generate, session: SessionUsage):
        self._generate = generate
        self._session = session
        self.error: GenerationError | None = None

    async def __call__(self, prompt: Any, sampling: Sampling) -> Completion:
        if self.error is not None:
            raise self.error
        try:
            completion = await self._generate(prompt, sampling)
        except RequestRefusedError:
            raise
        except GenerationError as error:
            self.error = error
            raise
        self._session.prompt_tokens += completion.prompt_tokens
        self._session.completion_tokens += completion.completion_tokens
        return completion


class CountedRuns:
    """Wraps the sandbox: counts programs."""

    def __init__(self, execute: Execute, session: SessionUsage):
        self._execute = execute
        self._session = session

    async def __call__(
        self, language: str, source: str, tests: str = "", *, entry_point: str | None = None, stdin: str = ""
    ) -> Run:
        run = await self._execute(language, source, tests, entry_point=entry_point, stdin=stdin)
        self._session.runs += 1
        return run


def share_of(
    problems: Sequence[Problem], samples: int, process: int, processes: int, whole_problems: bool = False
) -> list[Task]:
    """
    Returns the rollouts of one of several processes. The result does not depend on existing rollouts, because
    processes read those at different times.

    Args:
        problems (`Sequence[Problem]`):
            All problems.
        samples (`int`):
            Number of rollouts per problem.
        process (`int`):
            Index of the process.
        processes (`int`):
            Number of processes.
        whole_problems (`bool`, *optional*, defaults to `False`):
            Whether one process makes all rollouts of a problem.

    Returns:
        `list`: Problem and index of the sample. One sample of every problem comes before the second of any.
    """
    if whole_problems:
        return [(problem, sample) for sample in range(samples) for problem in problems[process::processes]]
    return [(problem, sample) for sample in range(samples) for problem in problems][process::processes]


def open_tasks(
    problems: Sequence[Problem],
    samples: int,
    folder: RunFolder,
    process: int = 0,
    processes: int = 1,
    whole_problems: bool = False,
) -> list[Task]:
    """
    Returns the rollouts of [`share_of`] that are still open.

    Args:
        problems, samples:
            See [`share_of`].
        folder ([`RunFolder`]):
            Folder with the existing rollouts.
        process, processes, whole_problems (*optional*):
            See [`share_of`].
    """
    made = {key for key, record in latest_records(folder).items() if not is_open(record)}
    share = share_of(problems, samples, process, processes, whole_problems)
    return [(problem, sample) for problem, sample in share if (problem.id, sample) not in made]


def latest_records(folder: RunFolder) -> dict[tuple[str, int], dict[str, Any]]:
    """
    Returns the rollouts in a folder, by problem and sample. A rollout without a completion counts until it is made
    again.

    Args:
        folder ([`RunFolder`]):
            Folder of the run.
    """
    latest: dict[tuple[str, int], dict[str, Any]] = {}
    for record in folder.records():
        key = (record["problem_id"], record["sample"])
        if key not in latest or not is_open(record):
            latest[key] = record
    return latest


def is_open(record: dict[str, Any]) -> bool:
    """Returns whether a rollout must be made again because there was no completion."""
    return record["rejection"] == Rejection.GENERATION_FAILED


async def make_rollouts(
    tasks: Sequence[Task],
    generate: Generate,
    execute: Execute,
    settings: RolloutSettings,
    folder: RunFolder,
    session: SessionUsage,
    in_flight: int = 128,
    early_stopping: EarlyStopping | None = None,
    queue: WorkQueue | None = None,
    references: References | None = None,
) -> None:
    """
    Makes rollouts and saves each one. For a problem that is given up, or whose reference fails its tests, it saves only
    this fact.

    Args:
        tasks (`Sequence[Task]`):
            Rollouts to make.
        generate ([`~reflection_trl.generation.Generate`]):
            Generates completions.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs.
        settings ([`RolloutSettings`]):
            Settings of the rollouts.
        folder ([`RunFolder`]):
            Folder of the run.
        session ([`SessionUsage`]):
            SessionUsage to update.
        in_flight (`int`, *optional*, defaults to `128`):
            Maximum number of concurrent rollouts.
        early_stopping ([`EarlyStopping`], *optional*):
            Decides which problems are given up.
        queue ([`~reflection_trl.files.work_queue.WorkQueue`], *optional*):
            Distributes the tasks, also to other processes.
        references ([`References`], *optional*):
            Checks the references of the problems.

    Raises:
        [`~reflection_trl.generation.GenerationError`]: If the model is no longer available, or a budget is used up.
        [`~reflection_trl.sandbox.SandboxError`]: If the sandbox fails.
        [`RunError`]: If rollouts can no longer be written.
    """
    model, runs = _CountedModel(generate, session), CountedRuns(execute, session)
    by_key = {(problem.id, sample): problem for problem, sample in tasks}
    queue = queue or WorkQueue([*by_key])
    early_stopping = early_stopping or EarlyStopping()

    references = references or References()

    async def make(problem: Problem, sample: int) -> ReflectionSequence:
        reference = await references.check(problem, runs)
        if reference.contradicts:
            detail = f"The reference fails the problem's own tests: {reference.failure}"
            reason = Rejection.REFERENCE_FAILED.value
            return ReflectionSequence(problem, sample, problem.request, rejection=reason, detail=detail)
        if await early_stopping.should_skip(problem.id, sample):
            return ReflectionSequence(problem, sample, "", rejection=Rejection.GIVEN_UP.value)
        if reference.failure:
            problem = dataclasses.replace(problem, reference=None)
        return await rollout(problem, model, runs, settings, sample)

    async def work() -> None:
        while (key := await queue.take()) is not None:
            record = to_record(await make(by_key[key], key[1]))
            if model.error is not None and is_open(record):
                raise model.error
            folder.append(record)
            await early_stopping.add(record)
            queue.finish(key, record["rejection"])

    await run_workers(work, min(in_flight, len(tasks)))
