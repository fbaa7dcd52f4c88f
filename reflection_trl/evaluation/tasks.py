"""Tasks of a benchmark, and the answers that a model gives to them."""

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
            The one-off request, as a user would put it.
        prompt (`str`, *optional*, defaults to `""`):
            Code that the answer continues, in benchmarks of completions.
        language (`str`, *optional*, defaults to `"python"`):
            A name of [`reflection_trl.languages.LANGUAGES`].
        entry_point (`str`, *optional*):
            Name of the function under test.
        tests (`str`, *optional*, defaults to `""`):
            Code that, placed behind an answer, ends normally when the answer is right. Empty where evalplus or `problem` holds
            the tests.
        stop (`tuple[str]`, *optional*):
            Texts at which a completion of `prompt` ends.
        problem ([`~reflection_trl.problems.Problem`], *optional*):
            The problem that the task is, where it is one of the user's own.
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
        """Returns whether an answer is judged by the final answer that it states, and not run."""
        return self.problem is not None and self.problem.answer is not None


@dataclass(frozen=True)
class Sample:
    """
    Represents one answer to a task.

    Args:
        task_id (`str`):
            The task.
        sample (`int`):
            Number of the answer among those of the task, from 0.
        solution (`str`):
            Code that is judged: complete, the task's prompt included where the answer continues it. The whole text where a final
            answer is judged.
        text (`str`, *optional*, defaults to `""`):
            What the model wrote, word for word; empty where it is not known.
        finish_reason (`str`, *optional*, defaults to `"stop"`):
            `"stop"`, `"length"` or `"refused"`.
    """

    task_id: str
    sample: int
    solution: str
    text: str = ""
    finish_reason: str = "stop"
