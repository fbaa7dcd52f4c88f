"""Defines a benchmark: its tasks, prompts, parsing and scoring of answers, and the names of its results."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

from ...answers import read_answer, without_thoughts
from ...coroutines import run_coroutine
from ...feedback import Feedback
from ...languages import get_language
from ...languages.execution import Execute
from ...sandbox import Limits
from ..answers import strip_usage_examples
from ..judging import judge_answers
from ..prompts import Prompt, check_style
from ..results import Score
from ..tasks import Sample, Task


@dataclass(frozen=True)
class HubDataset:
    """
    Identifies a benchmark on the Hub.

    Args:
        dataset (`str`):
            Id of the dataset on the Hub.
        task (`str`):
            Task of the benchmark in the dataset.
        title (`str`):
            Title of the benchmark.
        config (`str`, *optional*):
            Configuration of the dataset.
        split (`str`, *optional*, defaults to `"test"`):
            Split of the dataset.
        kind (`str`, *optional*, defaults to `"Code generation"`):
            Kind of its tasks, as model cards show it.
    """

    dataset: str
    task: str
    title: str
    config: str | None = None
    split: str = "test"
    kind: str = "Code generation"


class OpenExecutor(Protocol):
    """Opens an executor for programs of some languages in isolation, with the limits of a benchmark."""

    def __call__(
        self, languages: Iterable[str], limits: Limits | None = None, packages: bool = False
    ) -> AbstractAsyncContextManager[Execute]: ...


@dataclass(frozen=True)
class Judging:
    """
    Holds the resources with which a benchmark scores answers.

    Args:
        folder (`Path`):
            Folder of the benchmark's results, in which it may create files.
        open_executor ([`OpenExecutor`]):
            Opens the executor of programs.
        workers (`int`, *optional*):
            Number of answers to score concurrently; by default the number of CPU cores.
        unsandboxed (`bool`, *optional*, defaults to `False`):
            Whether to run answers with **no isolation at all**.
        report (`Callable`, *optional*):
            Called with the number of scored answers.
    """

    folder: Path
    open_executor: OpenExecutor
    workers: int | None = None
    unsandboxed: bool = False
    report: Callable[[int], None] = lambda judged: None


class Benchmark(ABC):
    """
    Base class of benchmarks. A new one is a subclass in a separate file, and a line in `reflection_trl.evaluation.benchmarks`.

    Args:
        name (`str`):
            Name in results, such as `"humaneval"` or `"multipl-e:java"`. [`parse`] creates it.

    Attributes:
        key (`str`):
            Name on the command line, before the colon.
        aliases (`tuple[str]`):
            Other names, including those of its scores.
        usage (`str`):
            Form on the command line, with its argument, such as `"multipl-e:LANGUAGES"`.
        styles (`tuple[str]`):
            Supported prompt styles, from [`~reflection_trl.evaluation.prompts.MAX_TOKENS`].
        limits ([`~reflection_trl.sandbox.Limits`], *optional*):
            Resource limits of a program; by default those of the language.
        packages (`bool`):
            Whether programs may import the packages of this Python's environment, and not only those of the interpreter that it is
            based on.
    """

    key: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    usage: ClassVar[str]
    styles: tuple[str, ...] = ("request",)
    limits: ClassVar[Limits | None] = None
    packages: ClassVar[bool] = False

    def __init__(self, name: str):
        self.name = name

    @classmethod
    def parse(cls, argument: str) -> list[Self]:
        """
        Returns the benchmarks for `key:argument` on the command line; none if the argument is invalid.

        Args:
            argument (`str`):
                Text after the colon, or `""` if there is no colon.
        """
        return [] if argument else [cls(cls.key)]

    @property
    def score_names(self) -> tuple[str, ...]:
        """Returns the names of the scores that [`judge`] returns."""
        return (self.name,)

    @property
    def language(self) -> str:
        """Returns the language of its answers, for highlighting. Problems may be in several languages."""
        return "python"

    @classmethod
    def owns(cls, task_id: str) -> bool:
        """Returns whether the id of a task is sufficient to assign it to this benchmark."""
        return False

    # Tasks

    def missing_toolchain(self) -> str | None:
        """Returns what this machine lacks to score any answer, in one sentence, before the tasks are read; `None` if nothing is missing."""
        return None

    @abstractmethod
    def load_tasks(self, source: str | None = None) -> list[Task]:
        """
        Reads all tasks.

        Args:
            source (`str`, *optional*):
                File, pattern, folder or Hub id of the tasks; by default the benchmark's own.

        Raises:
            ValueError: If they are neither on this machine nor available from the network, or are invalid.
        """

    def runnable(self, tasks: Sequence[Task]) -> tuple[list[Task], str | None]:
        """
        Returns the tasks whose answers this machine can score, and what it lacks for the others, in one sentence.

        Args:
            tasks (`Sequence[Task]`):
                Output of [`load_tasks`].
        """
        languages = dict.fromkeys(task.language for task in tasks)
        missing = next(filter(None, (get_language(language).missing() for language in languages)), None)
        return ([], missing) if missing else ([*tasks], None)

    def runs_programs(self, tasks: Sequence[Task]) -> bool:
        """
        Returns whether answers to these tasks run, which requires isolation.

        Args:
            tasks (`Sequence[Task]`):
                Output of [`load_tasks`].
        """
        return True

    @abstractmethod
    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        """
        Returns the texts that must not be in training data, by the name of the task. Prompts and solutions are
        separate, since each may occur without the other.

        Args:
            source (`str`, *optional*):
                Source, as in [`load_tasks`].

        Raises:
            ValueError: As in [`load_tasks`].
        """

    # Prompts and answers

    def make_prompt(self, task: Task, style: str) -> Prompt:
        """
        Returns the prompt of a task.

        Args:
            task ([`~reflection_trl.evaluation.tasks.Task`]):
                The task.
            style (`str`):
                One of `styles`.

        Raises:
            ValueError: If there is no such style, or the benchmark does not support it.
        """
        check_style(style)
        if style not in self.styles:
            raise ValueError(f"{self.name} has no prompts in the style {style!r}: use {' or '.join(self.styles)}.")
        if style == "request":
            return Prompt([{"role": "user", "content": task.request}])
        return self.make_styled_prompt(task, style)

    def make_styled_prompt(self, task: Task, style: str) -> Prompt:
        """
        Returns the prompt of a task in a style other than `"request"`. By default it is the benchmark's code to
        continue; subclasses may override this.
        """
        return Prompt(task.prompt, task.stop)

    def read_solution(self, task: Task, text: str, style: str) -> str:
        """
        Returns the code in an answer, parsed as in the builder, without the examples that it runs on itself.

        Args:
            task ([`~reflection_trl.evaluation.tasks.Task`]):
                The task.
            text (`str`):
                Completion.
            style (`str`):
                Style of the prompt.

        Returns:
            `str`: The code, or `""` if there is none.
        """
        code = read_answer(without_thoughts(text), task.language, task.entry_point).code
        if task.language == "python" and not self.judges_output(task):
            return strip_usage_examples(code, task.entry_point)
        return code

    def judges_output(self, task: Task) -> bool:
        """Returns whether a task scores the output of a whole program, and not the return value of a function."""
        return False

    def complete(self, task: Task, completion: str) -> str:
        """Returns the code to score for an existing completion of the task's prompt."""
        return task.prompt + completion

    # Scoring

    def judge(self, tasks: Sequence[Task], samples: Sequence[Sample], judging: Judging) -> list[Score]:
        """
        Scores answers.

        Args:
            tasks (`Sequence[Task]`):
                Tasks of [`load_tasks`].
            samples (`Sequence[Sample]`):
                Answers to the tasks.
            judging ([`Judging`]):
                Resources for scoring.

        Returns:
            `list[Score]`: One per name in `score_names`, with one outcome per answer, in order.

        Raises:
            ValueError: If an answer belongs to none of the tasks.
            [`~reflection_trl.sandbox.SandboxError`]: If the sandbox fails. This never counts against an answer.
        """

        async def judge_all() -> Score:
            async with judging.open_executor({task.language for task in tasks}, self.limits, self.packages) as execute:
                return await self.judge_with(execute, tasks, samples, report=judging.report)

        return [run_coroutine(judge_all())]

    async def judge_with(
        self,
        execute: Execute,
        tasks: Sequence[Task],
        samples: Sequence[Sample],
        *,
        concurrency: int | None = None,
        report: Callable[[int], None] = lambda judged: None,
    ) -> Score:
        """
        Scores answers one by one with [`Benchmark.run_tests`].

        Args:
            execute ([`~reflection_trl.languages.execution.Execute`]):
                Runs programs.
            tasks (`Sequence[Task]`):
                Tasks of [`load_tasks`].
            samples (`Sequence[Sample]`):
                Answers to the tasks.
            concurrency (`int`, *optional*):
                Maximum number of concurrent programs; by default twice the number of CPU cores.
            report (`Callable`, *optional*):
                Called with the number of scored answers.
        """

        async def run(task: Task, solution: str) -> Feedback:
            return await self.run_tests(task, solution, execute)

        return await judge_answers(tasks, samples, run, concurrency=concurrency, report=report)

    async def run_tests(self, task: Task, solution: str, execute: Execute) -> Feedback:
        """
        Runs a task's tests on one answer. An answer that does not pass here has failed.

        Args:
            task ([`~reflection_trl.evaluation.tasks.Task`]):
                The task.
            solution (`str`):
                Code of the answer.
            execute ([`~reflection_trl.languages.execution.Execute`]):
                Runs programs in isolation.
        """
        run = await execute(task.language, solution, task.tests, entry_point=task.entry_point)
        return run.feedback

    # Results

    def hub_dataset(self, score: str) -> HubDataset | None:
        """
        Returns the Hub's name for a score; `None` if the Hub has no benchmark for it.

        Args:
            score (`str`):
                One of `score_names`.
        """
        return None
