"""Defines tasks of a benchmark, and answers to them."""

from dataclasses import dataclass

from ..problems import Problem


@dataclass(frozen=True)
class Task:
    """
    Represents one task of any benchmark.

    Args:
        id (`str`):
            Name in the benchmark, such as `"HumanEval/17"`.
        benchmark (`str`):
            Name of the benchmark, such as `"humaneval"` or `"multipl-e:java"`.
        request (`str`):
            The one-off request, as a user would write it.
        prompt (`str`, *optional*, defaults to `""`):
            Code that the answer continues, in benchmarks of completions.
        language (`str`, *optional*, defaults to `"python"`):
            A name of [`reflection_trl.languages.LANGUAGES`].
        entry_point (`str`, *optional*):
            Name of the function under test.
        tests (`str`, *optional*, defaults to `""`):
            Code that runs after an answer, and ends normally if the answer is correct. Empty if evalplus or `problem`
            has the tests.
        stop (`tuple[str]`, *optional*, defaults to `()`):
            Texts at which a completion of `prompt` ends.
        problem ([`~reflection_trl.problems.Problem`], *optional*):
            The problem of the task, if it is one of the user's own.
    """

    id: str
    benchmark: str
    request: str
    prompt: str = ""
    language: str = "python"
    entry_point: str | None = None
    tests: str = ""
    stop: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def has_final_answer(self) -> bool:
        """Returns whether an answer is scored by its final answer, without running it."""
        return self.problem is not None and self.problem.answer is not None


@dataclass(frozen=True)
class Sample:
    """
    Represents one answer to a task.

    Args:
        task_id (`str`):
            Id of the task.
        sample (`int`):
            Index of the answer among those of the task, from 0.
        solution (`str`):
            The complete code to score, including the task's prompt if the answer continues it. The whole text if the
            final answer is scored.
        text (`str`, *optional*, defaults to `""`):
            The unchanged completion; empty if it is unknown.
        finish_reason (`str`, *optional*, defaults to `"stop"`):
            `"stop"`, `"length"` or `"refused"`.
    """

    task_id: str
    sample: int
    solution: str
    text: str = ""
    finish_reason: str = "stop"
