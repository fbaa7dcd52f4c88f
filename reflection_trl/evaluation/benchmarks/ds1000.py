"""Implements DS-1000: code that completes a data-science program, judged by what the program computes.

Each task has its own judge (`code_context`), which inserts the answer in place of `[insert]`, runs it on inputs, and
compares by the rules of the library (tolerances, several correct results, plots). Some also require or forbid words of
code (`test_string`). The judge runs in the answer's own process: see [`~reflection_trl.evaluation.one_process`] for
the conditions of a pass. Source: huggingface.co/papers/2211.11501, github.com/xlang-ai/DS-1000.
"""

import ast
import json
from collections.abc import Sequence
from typing import Any

from ...answers import without_thoughts
from ...feedback import Feedback
from ...fences import find_fences
from ...languages.execution import Execute
from ...quoting import quote
from ...sandbox import Limits
from ..one_process import judge_in_one_process
from ..prompts import Prompt
from ..tasks import Task
from .benchmark import Benchmark, HubDataset
from .libraries import imported_libraries, with_libraries
from .rows import Columns, read_rows, unique_tasks


HUB_ID = "xlangai/DS-1000"
_COLUMNS: Columns = {"prompt": str, "reference_code": str, "metadata": (dict, str), "code_context": str}
# Texts that end the code in completions and answers
_STOPS = ("</code>", "# SOLUTION END", "\nEND SOLUTION")
_ASKED = (
    "Answer with the code that follows, and nothing else: it continues the code above, uses the variables there, and leaves the result "
    "in the variable that is asked for."
)


class DS1000(Benchmark):
    """Implements DS-1000 in its simplified form (2024): columns `prompt`, `reference_code`, `metadata`, `code_context`."""

    key = "ds1000"
    aliases = ("ds-1000",)
    usage = "ds1000"
    styles = ("request", "completion")
    limits = Limits(timeout=120.0, memory=8 << 30, processes=256, disk=1 << 30, output=16 << 20)
    packages = True

    @classmethod
    def owns(cls, task_id: str) -> bool:
        return task_id.startswith("DS-1000/")

    def load_tasks(self, source: str | None = None) -> list[Task]:
        rows = read_rows("DS-1000", self.key, _COLUMNS, source, HUB_ID)
        return unique_tasks((where, self._task(row, where)) for where, row in rows)

    def runnable(self, tasks: Sequence[Task]) -> tuple[list[Task], str | None]:
        return with_libraries("DS-1000", tasks, {task.id: {*json.loads(task.tests)["libraries"]} for task in tasks})

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        return {
            _name(row, where): [row["prompt"], row["reference_code"]]
            for where, row in read_rows("DS-1000", self.key, _COLUMNS, source, HUB_ID)
        }

    def make_styled_prompt(self, task: Task, style: str) -> Prompt:
        return Prompt(task.prompt, task.stop)

    def read_solution(self, task: Task, text: str, style: str) -> str:
        return read_code(without_thoughts(text))

    def complete(self, task: Task, completion: str) -> str:
        return read_code(completion)

    async def run_tests(self, task: Task, solution: str, execute: Execute) -> Feedback:
        stored = json.loads(task.tests)
        call = ("run_context", solution, stored["context"])
        return await judge_in_one_process(solution, call, stored["names"], execute, reference=stored["reference"])

    def hub_dataset(self, score: str) -> HubDataset | None:
        return HubDataset(HUB_ID, "ds1000", "DS-1000")

    def _task(self, row: dict[str, Any], where: str) -> Task:
        context = row["code_context"]
        names, inserted = _read_context(context, where)
        stored = {
            "context": context,
            "reference": row["reference_code"],
            "names": names,
            # The answer may be the body of a function, so one of the two may not parse
            "libraries": sorted(
                imported_libraries(context, *(inserted.replace("[insert]", code) for code in ("...", "    ...")))
            ),
        }
        return Task(
            _name(row, where),
            self.name,
            f"{row['prompt'].rstrip()}\n\n{_ASKED}",
            prompt=row["prompt"],
            tests=json.dumps(stored),
            stop=_STOPS,
        )


def read_code(text: str) -> str:
    """
    Returns the code in an answer: between `<code>` tags, or in the first fence, or the whole text, up to a word that
    ends it. Keeps whitespace at the beginning of lines, since the code may be inserted into the body of a function.

    Args:
        text (`str`):
            Completion.
    """
    end = min((place for stop in _STOPS if (place := text.find(stop)) >= 0), default=len(text))
    opened = text.rfind("<code>", 0, end)
    code = text[opened + len("<code>") if opened >= 0 else 0 : end]
    fences = find_fences(code)
    if fences:
        code = fences[0].code
    return code.strip("\n")


def _name(row: dict[str, Any], where: str) -> str:
    metadata = row["metadata"]
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            metadata = None
    number = metadata.get("problem_id") if isinstance(metadata, dict) else None
    if not isinstance(number, int):
        raise ValueError(
            f"{where} is not a task of a known version of DS-1000: `metadata` must name its `problem_id`, got "
            f"{quote(row['metadata'])}."
        )
    return f"DS-1000/{number}"


def _read_context(context: str, where: str) -> tuple[list[str], str]:
    """Returns the names of the tests of a context, and the program with `[insert]` in place of the answer."""
    try:
        tree = ast.parse(context)
    except (MemoryError, RecursionError, SyntaxError, ValueError) as error:
        raise ValueError(f"{where}: `code_context` is not Python ({error}).") from error
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    names: list[str] = [name for name in ("test_execution", "test_string") if name in functions]
    if "test_execution" not in names:
        raise ValueError(f"{where}: `code_context` has no function `test_execution`.")
    inserted = next(
        (
            str(node.value.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and any(isinstance(target, ast.Name) and target.id == "exec_context" for target in node.targets)
        ),
        "",
    )
    return names, inserted
