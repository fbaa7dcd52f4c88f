"""Implements benchmarks from the user's own problems: any set that [`reflection_trl.problems.load_problems`] reads and that has tests or answers."""

from typing import Self

from ...files.packaged import resolve_packaged
from ...problems import load_problems
from ..tasks import Task
from .problem_benchmark import ProblemBenchmark


class OwnProblems(ProblemBenchmark):
    """
    Implements a benchmark from the user's own problems, with their instructions, and their tests, examples or final answers.

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
        """Returns the set of problems; a file of the package may have its name in the repository."""
        return str(resolve_packaged(self.name.partition(":")[2]))

    def load_tasks(self, source: str | None = None) -> list[Task]:
        return self.make_tasks(load_problems(source or self.source))

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        return self.make_texts(load_problems(source or self.source))
