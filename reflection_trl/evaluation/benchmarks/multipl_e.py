"""Implements MultiPL-E: HumanEval in other languages, with its official prompts, stop tokens and test programs.

A correct answer passes here as in the official evaluation: the program is the prompt, the completion up to the first
stop token, and the tests, compiled and run by the commands of [`reflection_trl.languages`]. There are two differences.
Answers of chat models are parsed as a person would read them (see
[`~reflection_trl.evaluation.multipl_e_code.solution_of`]). And the tests run in a separate process, which calls the
answer through pipes: a pass means that they ran to their end, on values that they compared themselves. An answer fails
if it exits early, redefines functions that the tests call, reads expected values, or returns objects that equal
everything. A correct answer passes even if it defines a function with the name of one of the tests'. In Swift, tests
and answer still share one process.

The official tests in C# compare lists and dictionaries by reference, so no answer passes a task that returns one:
compare C# figures with other C# figures only.
"""

import os
import re
from pathlib import Path
from typing import Any, Self

from ...answers import without_thoughts
from ...feedback import Feedback
from ...fences import fence_code
from ...files.rows import open_rows
from ...languages import get_language
from ...languages.execution import Execute
from ...languages.java import JAVATUPLES
from ..multipl_e_code import program_of, solution_of
from ..prompts import Prompt, make_published_prompt
from ..tasks import Task
from .benchmark import Benchmark, HubDataset
from .evalplus import HumanEval


HUB_ID = "nuprl/MultiPL-E"

# Names of languages in MultiPL-E
_CODES = {
    "cpp": "cpp", "java": "java", "javascript": "js", "typescript": "ts", "php": "php", "rust": "rs", "bash": "sh",
    "csharp": "cs", "swift": "swift",
}  # fmt: skip
_COLUMNS = ("name", "prompt", "tests", "stop_tokens")
# Spelled as in the published code
_PUBLISHED_NAMES = {"csharp": "CSharp", "javascript": "Javascript", "typescript": "Typescript"}


class MultiPLE(Benchmark):
    """
    Implements HumanEval in one other language.

    Args:
        name (`str`):
            `"multipl-e:LANGUAGE"`.
    """

    key = "multipl-e"
    usage = "multipl-e:LANGUAGES"
    styles = ("request", "published", "completion")

    @classmethod
    def parse(cls, argument: str) -> list[Self]:
        return [cls(f"{cls.key}:{_name(language)}") for language in map(str.strip, argument.split(",")) if language]

    @property
    def language(self) -> str:
        return self.name.partition(":")[2]

    def missing_toolchain(self) -> str | None:
        if missing := get_language(self.language).missing():
            return missing
        if self.language == "java" and not os.path.exists(JAVATUPLES):
            return "MultiPL-E's Java programs need javatuples: `apt-get install libjavatuples-java`."
        return None

    def load_tasks(self, source: str | os.PathLike[str] | None = None) -> list[Task]:
        """
        Reads the tasks, in the source's order.

        Args:
            source (`str`, *optional*):
                A file of JSON lines, a pattern such as `"multipl_e/*.jsonl"`, a folder with `humaneval-cpp.jsonl` and the
                like, or the id of a dataset on the Hub. Rows in other languages are skipped. Defaults to `nuprl/MultiPL-E`.

        Raises:
            ValueError: If the source cannot be read, or has no tasks in this language.
        """
        code = _CODES[self.language]
        place = os.fspath(source) if source is not None else HUB_ID
        if (folder := Path(place).expanduser()).is_dir() and any(folder.glob("*.jsonl")):
            place = str(folder / f"humaneval-{code}*.jsonl")
        tasks: dict[str, Task] = {}
        try:
            title, rows = open_rows(place, name=f"humaneval-{code}", split="test")
            for number, row in enumerate(rows):
                task = self._task(row, f"Row {number} of {title!r}")
                if task is None:
                    continue
                if task.id in tasks:
                    raise ValueError(f"The task {task.id!r} appears twice in {title!r}: give one file per language.")
                tasks[task.id] = task
        except ValueError as error:
            if source is not None:
                raise
            raise ValueError(
                f"MultiPL-E is neither on this machine nor available from the Hub ({str(error).rstrip('.')}): with no network, get "
                f"its file (`humaneval-{code}.jsonl`) elsewhere and give its path."
            ) from error
        if not tasks:
            raise ValueError(
                f"{title!r} has no tasks in {get_language(self.language).title} (`language` {code!r}): give the file of this language."
            )
        return list(tasks.values())

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        """Returns HumanEval's texts, since these tasks are their translations."""
        return HumanEval(HumanEval.key).texts()

    def make_styled_prompt(self, task: Task, style: str) -> Prompt:
        if style == "completion":
            return Prompt(task.prompt, task.stop)
        title = _PUBLISHED_NAMES.get(self.language, get_language(self.language).title)
        request = f"Write a complete {title} function for the problem.\n\n{task.prompt.strip()}"
        return make_published_prompt(request, f"```{title.lower()}\n{task.prompt}", (*task.stop, "```"))

    def read_solution(self, task: Task, text: str, style: str) -> str:
        return solution_of(task, without_thoughts(text))

    def complete(self, task: Task, completion: str) -> str:
        return solution_of(task, completion)

    async def run_tests(self, task: Task, solution: str, execute: Execute) -> Feedback:
        run = await execute(task.language, *program_of(task, solution), entry_point=task.entry_point)
        return run.feedback

    def hub_dataset(self, score: str) -> HubDataset | None:
        config = f"humaneval-{_CODES[self.language]}"
        return HubDataset(HUB_ID, config, f"MultiPL-E HumanEval ({self.language})", config)

    def _task(self, row: dict[str, Any], place: str) -> Task | None:
        for column in _COLUMNS:
            if not isinstance(row, dict) or not isinstance(row.get(column), list if column == "stop_tokens" else str):
                raise ValueError(f"{place} is not a task of MultiPL-E: it has no `{column}`.")
        code = _CODES[self.language]
        if row.get("language", code) != code:
            return None
        prompt = row["prompt"]
        function = re.search(r"(\w+)\s*\(", prompt.rstrip("\n").rpartition("\n")[2])
        if function is None:
            raise ValueError(
                f"{place}: the prompt of {row['name']!r} does not end with the signature of a function: use the files of MultiPL-E."
            )
        known = get_language(self.language)
        return Task(
            id=row["name"],
            benchmark=self.name,
            request=f"Complete this {known.title} function, and give it as a whole.\n\n"
            + fence_code(prompt.rstrip("\n"), known.fences[0]),
            prompt=prompt,
            language=self.language,
            entry_point=function.group(1),
            tests=row["tests"],
            stop=tuple(row["stop_tokens"]),
        )


def _name(language: str) -> str:
    name = get_language(language).name
    if name not in _CODES:
        raise ValueError(f"MultiPL-E in {language!r} is not supported: use one of {', '.join(_CODES.values())}.")
    return name
