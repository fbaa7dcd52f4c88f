"""Problems of one's own as a benchmark: any set that [`reflection_trl.problems.load_problems`] reads and that has tests."""

import os
from collections.abc import Callable, Sequence

from ..feedback import Feedback
from ..languages import get_language
from ..languages.execution import Execute
from ..problems import Problem, load_problems
from ..problems.judge import judge
from .benchmarks import OWN_PROBLEMS
from .judging import judge_answers
from .results import Score
from .tasks import Sample, Task


def load_own_problems(source: str | os.PathLike[str]) -> list[Task]:
    """
    Reads problems as tasks: each is asked by its instruction, and judged by its tests and examples.

    Args:
        source (`str` or `Path`): file, pattern, folder or Hub id, as in [`~reflection_trl.problems.load_problems`].

    Raises:
        ValueError: If it cannot be read, or a problem has neither tests nor examples.
    """
    benchmark = f"{OWN_PROBLEMS}{source}"
    problems = list(load_problems(source))
    for problem in problems:
        if not problem.has_tests:
            raise ValueError(
                f"The problem {problem.id!r} of {source} has no tests, so that no answer to it can be judged."
            )
    return [_task(problem, benchmark) for problem in problems]


def missing_language(tasks: Sequence[Task]) -> str | None:
    """
    What this machine lacks to judge some problems, in one sentence; `None` if nothing.

    Args:
        tasks (`Sequence[Task]`): the problems.
    """
    languages = dict.fromkeys(task.language for task in tasks)
    return next(filter(None, (get_language(language).missing() for language in languages)), None)


async def judge_own_problems(
    tasks: Sequence[Task],
    samples: Sequence[Sample],
    execute: Execute,
    *,
    concurrency: int | None = None,
    report: Callable[[int], None] = lambda judged: None,
) -> Score:
    """
    Judges answers by the problems' own tests and examples.

    Args:
        tasks (`Sequence[Task]`): of [`load_own_problems`].
        samples (`Sequence[Sample]`): answers to them.
        execute ([`~reflection_trl.languages.execution.Execute`]): runs programs.
        concurrency (`int`, *optional*): programs in flight at a time; twice the number of processors by default.
        report (`Callable`, *optional*): is told how many have been judged so far.

    Returns:
        [`~reflection_trl.evaluation.results.Score`]: one outcome for each answer, in their order.

    Raises:
        ValueError: If an answer belongs to none of the problems.
        [`~reflection_trl.sandbox.SandboxError`]: If the sandbox fails; that is never a judgment on an answer.
    """

    async def run(task: Task, solution: str) -> Feedback:
        feedback = await judge(task.problem, solution, execute) if task.problem else None
        if feedback is None:
            raise ValueError(f"The task {task.id!r} has no tests that an answer can be judged by.")
        return feedback

    return await judge_answers(tasks, samples, run, concurrency=concurrency, report=report)


def _task(problem: Problem, benchmark: str) -> Task:
    return Task(
        problem.id,
        benchmark,
        problem.instruction,
        language=problem.language,
        entry_point=problem.entry_point,
        problem=problem,
    )
