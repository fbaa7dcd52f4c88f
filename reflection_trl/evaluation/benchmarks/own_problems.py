"""Problems of the user's own as a benchmark: any set that [`reflection_trl.problems.load_problems`] reads and that has tests."""

from typing import Self

from ...feedback import Feedback
from ...languages.execution import Execute
from ...problems import load_problems
from ...problems.judge import judge
from ..tasks import Task
from .benchmark import Benchmark


class OwnProblems(Benchmark):
    """
    Problems of the user's own: each is asked by its instruction, and judged by its tests and examples.

    Args:
        name (`str`):
            `"problems:SOURCE"`.
    """

    key = "problems"
    usage = "problems:FILE"

    @classmethod
    def parse(cls, argument: str) -> list[Self]:
        return [cls(f"{cls.key}:{argument}")] if argument else []

    @property
    def source(self) -> str:
        return self.name.partition(":")[2]

    def load_tasks(self, source: str | None = None) -> list[Task]:
        problems = list(load_problems(source or self.source))
        for problem in problems:
            if not problem.has_tests:
                raise ValueError(
                    f"The problem {problem.id!r} of {self.source} has no tests, so that no answer to it can be judged."
                )
        return [
            Task(
                problem.id,
                self.name,
                problem.instruction,
                language=problem.language,
                entry_point=problem.entry_point,
                problem=problem,
            )
            for problem in problems
        ]

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        return {
            problem.id: [problem.instruction, problem.reference or ""]
            for problem in load_problems(source or self.source)
        }

    def judges_output(self, task: Task) -> bool:
        return task.problem is not None and bool(task.problem.examples)

    async def run_tests(self, task: Task, solution: str, execute: Execute) -> Feedback:
        feedback = await judge(task.problem, solution, execute) if task.problem else None
        if feedback is None:
            raise ValueError(f"The task {task.id!r} has no tests that an answer can be judged by.")
        return feedback
