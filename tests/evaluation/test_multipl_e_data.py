"""
MultiPL-E itself, where its files are: `MULTIPL_E_DIR` names the folder. Its license keeps it out of this repository; the solutions
of its tasks here are the project's own translations.
"""

import asyncio
import json
import os
from pathlib import Path

import pytest

from reflection_trl.evaluation.benchmarks import get_benchmark, load_tasks
from reflection_trl.evaluation.multipl_e_code import solution_of
from reflection_trl.evaluation.tasks import Sample
from reflection_trl.languages import LANGUAGES, Executor


SOLUTIONS = Path(__file__).parents[1] / "data" / "multipl_e_solutions"
FOLDER = os.environ.get("MULTIPL_E_DIR")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="MULTIPL_E_DIR names no folder with MultiPL-E's files"),
]


@pytest.mark.parametrize(
    "language", ["cpp", "java", "javascript", "rust", "bash", "typescript", "php", "csharp", "swift"]
)
def test_every_task_is_understood(language):
    tasks = load_tasks(f"multipl-e:{language}", FOLDER)
    assert len(tasks) > 150
    assert [task.id for task in tasks if not task.entry_point or task.entry_point not in task.tests] == []


@pytest.mark.parametrize("language", sorted(path.stem for path in SOLUTIONS.glob("*.json")))
def test_right_translations_pass_and_others_do_not(language):
    if missing := get_benchmark(f"multipl-e:{language}").missing_toolchain():
        pytest.skip(missing)
    tasks = {task.id: task for task in load_tasks(f"multipl-e:{language}", FOLDER)}
    solutions = json.loads((SOLUTIONS / f"{language}.json").read_text())
    samples = []
    for name, code in solutions.items():
        answer = f"```{LANGUAGES[language].fences[0]}\n{code}```\n\nThat is all."
        samples.append(Sample(name, 0, solution_of(tasks[name], answer)))
        samples.append(Sample(name, 1, solution_of(tasks[name], _wrong(language, code))))

    async def judge():
        async with Executor(languages=[language]) as execute:
            return await get_benchmark(f"multipl-e:{language}").judge_with(execute, list(tasks.values()), samples)

    outcomes = asyncio.run(judge()).outcomes
    assert [outcome for outcome in outcomes if outcome.sample == 0 and not outcome.passed] == []
    assert {outcome.kind for outcome in outcomes if outcome.sample == 1} == {"wrong_answer"}


def _wrong(language: str, code: str) -> str:
    """The same function with a failing assert of the language in it: a body that no test accepts."""
    head = code.split("{\n")[0]
    end = {
        "cpp": "assert(0 == 1); abort();", "java": "throw new AssertionError();", "rust": "assert!(false); loop {}",
        "csharp": 'throw new System.Exception("Debug.Assert does not hold");', "php": 'throw new Exception("Test failed!");',
        "bash": "echo 'no answer'", "javascript": "return 'no answer';", "typescript": "return null as any;",
    }[language]  # fmt: skip
    return f"```{LANGUAGES[language].fences[0]}\n{head}{{\n{end}\n}}\n```"
