"""Problems of the user's own as a benchmark: any set that [`reflection_trl.problems.load_problems`] reads and that has tests or answers."""

from typing import Self

from ...problems import load_problems
from ..tasks import Task
from .problem_benchmark import ProblemBenchmark


class OwnProblems(ProblemBenchmark):
    """
    Problems of the user's own: each is asked by its instruction, and judged by its tests, its examples or its final answer.

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
        return self.make_tasks(load_problems(source or self.source))

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        return self.make_texts(load_problems(source or self.source))
