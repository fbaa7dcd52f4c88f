"""Implements benchmarks whose tasks are problems with tests and examples, or with a final answer."""

from collections.abc import Iterable, Sequence

from ...answers import without_thoughts
from ...checking import CheckerUnavailableError, require_checker
from ...coroutines import run_coroutine
from ...feedback import Feedback
from ...languages.execution import Execute, refuse_to_run
from ...problems import Problem
from ...problems.final_answer import judge_answer
from ...problems.judge import judge
from ..results import Score
from ..tasks import Sample, Task
from .benchmark import Benchmark, Judging


class ProblemBenchmark(Benchmark):
    """Implements benchmarks of problems with tests, examples or a final answer."""

    def make_tasks(self, problems: Iterable[Problem]) -> list[Task]:
        """
        Converts problems to tasks.

        Args:
            problems (`Iterable[Problem]`):
                The problems.

        Raises:
            ValueError: If a problem has neither tests nor a final answer.
        """
        problems = list(problems)
        for problem in problems:
            if not problem.has_tests:
                raise ValueError(
                    f"The problem {problem.id!r} of {self.name} has neither tests nor a final answer, so its answers cannot be scored: add "
                    r"tests, or an `answer` that is a number or a \boxed{...} or has a `checker`, or remove it."
                )
        return [
            Task(
                problem.id,
                self.name,
                problem.request,
                language=problem.language,
                entry_point=problem.entry_point,
                problem=problem,
            )
            for problem in problems
        ]

    def make_texts(self, problems: Iterable[Problem]) -> dict[str, list[str]]:
        """
        Returns the texts of problems that must not be in training data.

        Args:
            problems (`Iterable[Problem]`):
                The problems.
        """
        return {problem.id: [problem.instruction, problem.reference or ""] for problem in problems}

    def runs_programs(self, tasks: Sequence[Task]) -> bool:
        return any(task.problem is None or task.problem.runs_programs for task in tasks)

    def runnable(self, tasks: Sequence[Task]) -> tuple[list[Task], str | None]:
        try:
            for task in tasks:
                if task.problem is not None and task.problem.answer is not None:
                    require_checker(task.problem.checker)
        except CheckerUnavailableError as error:
            return [], str(error)
        return super().runnable(tasks)

    def read_solution(self, task: Task, text: str, style: str) -> str:
        if task.has_final_answer:
            return without_thoughts(text).strip()
        return super().read_solution(task, text, style)

    def judges_output(self, task: Task) -> bool:
        return task.problem is not None and bool(task.problem.examples)

    def judge(self, tasks: Sequence[Task], samples: Sequence[Sample], judging: Judging) -> list[Score]:
        if self.runs_programs(tasks):
            return super().judge(tasks, samples, judging)
        return [run_coroutine(self.judge_with(refuse_to_run, tasks, samples, report=judging.report))]

    async def run_tests(self, task: Task, solution: str, execute: Execute) -> Feedback:
        problem = task.problem
        if problem is not None and problem.answer is not None:
            return await judge_answer(problem, solution, execute, tell_expected=True)  # for readers of the report
        feedback = await judge(problem, solution, execute) if problem else None
        if feedback is None:
            raise ValueError(
                f"The task {task.id!r} has no tests to score an answer with: add tests or an `answer`, or leave it out."
            )
        return feedback
