"""Judging many answers at a time."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

from .results import Outcome, Score
from .tasks import Sample, Task


async def judge_answers(
    tasks: Sequence[Task],
    samples: Sequence[Sample],
    judge: Callable[[Task, Sample], Awaitable[Outcome]],
    *,
    concurrency: int | None = None,
    report: Callable[[int], None] = lambda judged: None,
) -> Score:
    """
    Judges the answers to one benchmark, each on its own.

    Args:
        tasks (`Sequence[Task]`): tasks of one benchmark.
        samples (`Sequence[Sample]`): answers to them.
        judge (`Callable`): judges one answer.
        concurrency (`int`, *optional*): answers in flight at a time; twice the number of processors by default.
        report (`Callable`, *optional*): is told how many have been judged so far.

    Returns:
        [`~reflection_trl.evaluation.results.Score`]: one outcome for each answer, in their order.

    Raises:
        ValueError: If an answer belongs to none of the tasks, or the tasks to several benchmarks.
    """
    known = {task.id: task for task in tasks}
    if len({task.benchmark for task in tasks}) != 1:
        raise ValueError("Tasks of one benchmark are judged at a time.")
    for sample in samples:
        if sample.task_id not in known:
            raise ValueError(f"{tasks[0].benchmark} has no task {sample.task_id!r}.")
    slots = asyncio.Semaphore(concurrency or 2 * len(os.sched_getaffinity(0)))
    judged = 0

    async def judge_one(sample: Sample) -> Outcome:
        nonlocal judged
        async with slots:
            outcome = await judge(known[sample.task_id], sample)
        judged += 1
        report(judged)
        return outcome

    running = [asyncio.ensure_future(judge_one(sample)) for sample in samples]
    try:
        outcomes = await asyncio.gather(*running)
    finally:
        for one in running:  # where one has failed, the others would go on
            one.cancel()
    return Score(tasks[0].benchmark, outcomes)
