"""Implements BigCodeBench: tasks that call many libraries, as code to complete and as instructions.

Scores answers like its own evaluator: the imports and the head of the task's function precede an answer
("calibrated"), the class `TestCases` follows it, in one module named `__test__`, and no test may fail. Many tests
patch modules and so run in the answer's own process: see [`~reflection_trl.evaluation.one_process`] for the conditions
of a pass. There is no network. Source: huggingface.co/papers/2406.15877, github.com/bigcode-project/bigcodebench.
"""

import ast
import json
from collections.abc import Sequence
from typing import Any, Self

from ...answers import without_thoughts
from ...feedback import Feedback
from ...languages.execution import Execute
from ...problems.mappings.text import code_block
from ...quoting import quote
from ...sandbox import Limits
from ..answers import sanitize
from ..one_process import judge_in_one_process
from ..prompts import Prompt
from ..tasks import Task
from .benchmark import Benchmark, HubDataset
from .libraries import imported_libraries, third_party, with_libraries
from .rows import Columns, read_rows, unique_tasks


VERSION = "v0.1.4"  # split of the dataset, as in bigcodebench 0.2
_HUB_IDS = {"": "bigcode/bigcodebench", "hard-": "bigcode/bigcodebench-hard"}
_SPLITS = ("complete", "instruct", "hard-complete", "hard-instruct")
_COLUMNS: Columns = {
    "task_id": str,
    "complete_prompt": str,
    "instruct_prompt": str,
    "code_prompt": str,
    "canonical_solution": str,
    "test": str,
    "entry_point": str,
    "libs": (str, list),
}
# As in bigcodebench 0.2 (`provider.utility`)
_STOPS = (
    "<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(",
    "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ",
)  # fmt: skip

# Follows the tests if they run in another process than the answer: raises the first failure
_RUN = "\n\nimport unittest as _unittest\n\n_unittest.defaultTestLoader.loadTestsFromTestCase(TestCases).debug()\n"


class BigCodeBench(Benchmark):
    """
    Implements one split of BigCodeBench.

    Args:
        name (`str`):
            `"bigcodebench:SPLIT"`: `complete`, `instruct`, `hard-complete` or `hard-instruct`.
    """

    key = "bigcodebench"
    usage = "bigcodebench:SPLITS"
    limits = Limits(timeout=240.0, memory=8 << 30, processes=256, disk=1 << 30, output=16 << 20)
    packages = True

    def __init__(self, name: str):
        super().__init__(name)
        split = name.partition(":")[2]
        self.hub_id = _HUB_IDS["hard-" if split.startswith("hard-") else ""]
        self.is_completion = split.endswith("complete")
        self.styles = ("request", "completion") if self.is_completion else ("request",)

    @classmethod
    def parse(cls, argument: str) -> list[Self]:
        splits = [split.strip().lower() for split in argument.split(",") if split.strip()] or ["complete", "instruct"]
        for split in splits:
            if split not in _SPLITS:
                raise ValueError(f"BigCodeBench has no split {split!r}: use some of {', '.join(_SPLITS)}.")
        return [cls(f"{cls.key}:{split}") for split in splits]

    def load_tasks(self, source: str | None = None) -> list[Task]:
        return unique_tasks((where, self._task(row, where)) for where, row in self._rows(source))

    def runnable(self, tasks: Sequence[Task]) -> tuple[list[Task], str | None]:
        return with_libraries(
            "BigCodeBench", tasks, {task.id: {*json.loads(task.tests)["libraries"]} for task in tasks}
        )

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        return {
            row["task_id"]: [row["complete_prompt"], row["instruct_prompt"], row["canonical_solution"]]
            for _, row in self._rows(source)
        }

    def make_styled_prompt(self, task: Task, style: str) -> Prompt:
        return Prompt(f"{task.prompt.strip()}\n", task.stop)

    def read_solution(self, task: Task, text: str, style: str) -> str:
        if style == "request":
            return super().read_solution(task, text, style)
        return sanitize(f"{task.prompt}{without_thoughts(text)}", task.entry_point)

    async def run_tests(self, task: Task, solution: str, execute: Execute) -> Feedback:
        stored = json.loads(task.tests)
        answer = f"{stored['head']}\n    pass\n{solution}"

        async def look_again() -> Feedback:
            run = await execute("python", answer, stored["test"] + _RUN, entry_point=task.entry_point)
            return run.feedback

        call = ("run_unittest", answer, stored["test"])
        return await judge_in_one_process(
            solution, call, stored["names"], execute, reference=stored["reference"], look_again=look_again
        )

    def hub_dataset(self, score: str) -> HubDataset | None:
        split = self.name.partition(":")[2]
        title = f"BigCodeBench ({split})"
        return HubDataset(self.hub_id, f"bigcodebench_{split.replace('-', '_')}", title, split, VERSION)

    def _rows(self, source: str | None) -> Any:
        return read_rows("BigCodeBench", self.key, _COLUMNS, source, self.hub_id, split=VERSION)

    def _task(self, row: dict[str, Any], where: str) -> Task:
        libraries = _libraries(row["libs"], where) | imported_libraries(row["test"], f"{row['code_prompt']}\n    pass")
        prompt = row["complete_prompt"] if self.is_completion else row["instruct_prompt"]
        request = f"Complete this Python code:\n\n{code_block(prompt)}" if self.is_completion else prompt
        stored = {
            "head": row["code_prompt"],
            "reference": row["code_prompt"] + row["canonical_solution"],
            "test": row["test"],
            "names": _test_names(row["test"], where),
            "libraries": sorted(libraries),
        }
        return Task(
            row["task_id"],
            self.name,
            request,
            prompt=row["complete_prompt"],
            entry_point=row["entry_point"],
            tests=json.dumps(stored),
            stop=_STOPS,
        )


def _libraries(libs: Any, where: str) -> set[str]:
    try:
        names = ast.literal_eval(libs) if isinstance(libs, str) else libs
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{where}: `libs` must be a list of names of libraries, got {quote(libs)}.")
    return third_party(name.partition(".")[0] for name in names)


def _test_names(test: str, where: str) -> list[str]:
    """Returns the names of the tests of the class `TestCases`, including those of its base classes."""
    try:
        tree = ast.parse(test)
    except (MemoryError, RecursionError, SyntaxError, ValueError) as error:
        raise ValueError(f"{where}: `test` is not Python ({error}).") from error
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    names, pending, seen = set[str](), ["TestCases"], set[str]()
    while pending:
        name = pending.pop()
        if name in classes and name not in seen:
            seen.add(name)
            pending += [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
            functions = [one for one in classes[name].body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {function.name for function in functions if function.name.startswith("test")}
    if not names:
        raise ValueError(f"{where}: `test` has no class `TestCases` with tests.")
    return sorted(names)
