"""Scores many answers concurrently."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

from ..checking import answer_key
from ..feedback import Feedback, FeedbackKind
from ..languages import get_language
from .failures import cut, failure_kind, missing_answer
from .results import Outcome, Score
from .tasks import Sample, Task


async def judge_answers(
    tasks: Sequence[Task],
    samples: Sequence[Sample],
    run: Callable[[Task, str], Awaitable[Feedback]],
    *,
    concurrency: int | None = None,
    report: Callable[[int], None] = lambda judged: None,
) -> Score:
    """
    Scores the answers to one benchmark separately.

    Args:
        tasks (`Sequence[Task]`):
            Tasks of one benchmark.
        samples (`Sequence[Sample]`):
            Answers to the tasks.
        run (`Callable`):
            Runs a task's tests on the code of an answer.
        concurrency (`int`, *optional*):
            Maximum number of answers to score concurrently; by default twice the number of CPU cores.
        report (`Callable`, *optional*):
            Called with the number of judged answers.

    Returns:
        [`~reflection_trl.evaluation.results.Score`]: One outcome per answer, in order.

    Raises:
        ValueError: If an answer belongs to none of the tasks, or the tasks to several benchmarks.
    """
    known = {task.id: task for task in tasks}
    benchmarks = sorted({task.benchmark for task in tasks})
    if len(benchmarks) != 1:
        raise ValueError(
            f"Only tasks of one benchmark can be scored together, got {', '.join(benchmarks) or 'none'}: score each benchmark separately."
        )
    for sample in samples:
        if sample.task_id not in known:
            raise ValueError(
                f"{tasks[0].benchmark} has no task {sample.task_id!r}: use the ids of its tasks, such as {tasks[0].id!r}."
            )
    slots = asyncio.Semaphore(concurrency or 2 * len(os.sched_getaffinity(0)))
    judged = 0

    async def judge_one(sample: Sample) -> Outcome:
        nonlocal judged
        async with slots:
            outcome = await outcome_of(sample)
        judged += 1
        report(judged)
        return outcome

    async def outcome_of(sample: Sample) -> Outcome:
        if (missing := missing_answer(sample)) is not None:
            return Outcome(sample.task_id, sample.sample, False, *missing, sample.solution)
        task = known[sample.task_id]
        feedback = await run(task, sample.solution)
        suspicious: list[str] = []
        answer = ""
        if task.has_final_answer and task.problem is not None:
            if feedback.kind is not FeedbackKind.NO_ANSWER:
                answer = answer_key(feedback.actual or "", task.problem.checker, task.problem.choices)
        else:
            suspicious += get_language(task.language).suspicious(sample.solution)
        kind, detail = ("none", "") if feedback.passed else (failure_kind(sample, feedback), _detail(feedback))
        return Outcome(
            sample.task_id, sample.sample, feedback.passed, kind, detail, sample.solution, suspicious, answer
        )

    running = [asyncio.ensure_future(judge_one(sample)) for sample in samples]
    try:
        outcomes = await asyncio.gather(*running)
    finally:
        for one in running:  # after a failure, the others would continue
            one.cancel()
    return Score(tasks[0].benchmark, outcomes)


def _detail(feedback: Feedback) -> str:
    """Returns the failing test and its feedback."""
    test = feedback.source_line.strip() if feedback.file == "tests" and feedback.source_line else ""
    said = feedback.text.strip()
    parts = [test, said] if test not in said else [said]
    return cut("\n".join(filter(None, parts)) or "A test failed.")
