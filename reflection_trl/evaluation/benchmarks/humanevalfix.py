"""Implements HumanEvalFix: HumanEval's Python functions with a bug in each, and the tests that it fails; the answer is the repaired function.

Scores answers with HumanEvalPack's own tests, which run in another process than the answer. As in its own evaluator,
imports of common modules and the declaration of the function, with its helper functions, precede an answer.
Source: huggingface.co/papers/2308.07124, github.com/bigcode-project/octopack.
"""

import re
from typing import Any

from ...answers import without_thoughts
from ...feedback import Feedback
from ...languages.execution import Execute
from ...problems.mappings.text import code_block
from ...problems.runnable import complete_tests
from ...quoting import quote
from ..answers import sanitize
from ..prompts import Prompt
from ..tasks import Task
from .benchmark import Benchmark, HubDataset
from .rows import Columns, download_file, read_rows, unique_tasks


HUB_ID = "bigcode/humanevalpack"
_COLUMNS: Columns = {
    "task_id": str,
    "prompt": str,
    "declaration": str,
    "canonical_solution": str,
    "buggy_solution": str,
    "entry_point": str,
    "test": str,
}
# As in bigcode-evaluation-harness (`tasks.humanevalpack`), without NumPy, which the sandbox may lack
_PREAMBLE = (
    "import math, re, sys, copy, datetime, itertools, collections, heapq, statistics, functools, hashlib, string\n"
    "from typing import *\nfrom collections import *\n"
)


class HumanEvalFix(Benchmark):
    """Implements HumanEvalFix in Python, with the tests in the request."""

    key = "humanevalfix"
    usage = "humanevalfix"
    styles = ("request", "completion")

    def load_tasks(self, source: str | None = None) -> list[Task]:
        return unique_tasks((where, self._task(row, where)) for where, row in self._rows(source))

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        """Returns the texts under the names of HumanEval's tasks, whose texts are equal."""
        return {
            f"HumanEval/{_name(row, where).partition('/')[2]}": [
                row["prompt"],
                row["canonical_solution"],
                row["buggy_solution"],
            ]
            for where, row in self._rows(source)
        }

    def make_styled_prompt(self, task: Task, style: str) -> Prompt:
        """Returns the request, and the head of the function, for the model to continue."""
        return Prompt(f"{task.request}\n\n```python\n{task.prompt}", ("\n```", "\ndef ", "\nclass ", "\nprint("))

    def read_solution(self, task: Task, text: str, style: str) -> str:
        if style == "request":
            return super().read_solution(task, text, style)
        return sanitize(f"{task.prompt}{without_thoughts(text)}", task.entry_point)

    async def run_tests(self, task: Task, solution: str, execute: Execute) -> Feedback:
        head = f"{_PREAMBLE}{task.prompt}    pass\n\n"
        run = await execute("python", head + solution, task.tests, entry_point=task.entry_point)
        return run.feedback

    def hub_dataset(self, score: str) -> HubDataset | None:
        return HubDataset(HUB_ID, "humanevalfix_python", "HumanEvalFix (Python)", "python")

    def _rows(self, source: str | None) -> Any:
        return read_rows("HumanEvalFix", self.key, _COLUMNS, source, HUB_ID, download=_download)

    def _task(self, row: dict[str, Any], where: str) -> Task:
        try:
            tests = complete_tests(row["test"], row["entry_point"])
        except ValueError as error:
            raise ValueError(f"{where}: {error}.") from error
        return Task(
            _name(row, where),
            self.name,
            f"This Python code has a bug:\n\n{code_block(row['declaration'] + row['buggy_solution'])}\n\n"
            f"These tests fail:\n\n{code_block(row['test'])}\n\nFix `{row['entry_point']}`, and give the whole code.",
            prompt=row["declaration"],
            entry_point=row["entry_point"],
            tests=tests,
        )


def _name(row: dict[str, Any], where: str) -> str:
    name = row["task_id"]
    if not re.fullmatch(r"Python/\d+", name, re.ASCII):
        raise ValueError(
            f"{where}: this package scores HumanEvalFix in Python only, with tasks named Python/NUMBER, got {quote(name)}."
        )
    return str(name)


def _download() -> str:
    """Returns the file on the Hub. The dataset has a loading script, which `datasets` no longer runs."""
    return download_file(HUB_ID, "data/python/data/humanevalpack.jsonl")
