"""
Samples answers in the two contexts of a row: after its sequence, as the teacher, and from its request alone, as the
student.
"""

import ast
import dataclasses
import hashlib
import random
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..answers import Answer, read_answer
from ..builder.acceptance import leaning_phrase
from ..builder.single_turn import generate_after_runs, judge_completion
from ..coroutines import run_workers
from ..files.run_folder import RunFolder
from ..generation.types import Generate
from ..languages.execution import Execute
from ..problems import Example, Problem
from ..python_code import parse_python
from .settings import GapSettings


TEACHER, STUDENT = "teacher", "student"


@dataclass(frozen=True)
class Task:
    """
    Describes one answer to sample.

    Args:
        context (`str`):
            `"teacher"` or `"student"`.
        key (`str`):
            Key of the row, or of the request, which several rows may share.
        sample (`int`):
            Index of the sample, from 0.
        chat (`list[dict]`):
            Conversation that the answer continues.
        row (`dict`):
            Row.
    """

    context: str
    key: str
    sample: int
    chat: list[dict[str, Any]]
    row: dict[str, Any]


def choose_rows(rows: Sequence[dict[str, Any]], settings: GapSettings) -> list[tuple[int, dict[str, Any]]]:
    """
    Selects the reflection rows to evaluate, with their indices, in the order of the dataset.

    Args:
        rows (`Sequence[dict]`):
            Rows in the form of [`reflection_trl.sequences`].
        settings ([`GapSettings`]):
            Number of rows, and seed.

    Raises:
        ValueError: If there is no reflection row.
    """
    found = [(number, row) for number, row in enumerate(rows) if row["type"] == "reflection"]
    if not found:
        raise ValueError(
            f"None of the {len(rows):,} rows is a reflection row, so no teacher knows more than the student: build some with "
            "`reflection-trl build`."
        )
    if len(found) > settings.rows:
        found = sorted(random.Random(settings.seed).sample(found, settings.rows), key=lambda pair: pair[0])
    return found


def make_tasks(rows: Sequence[tuple[int, dict[str, Any]]], settings: GapSettings) -> list[Task]:
    """
    Lists all answers that the gap needs. The student's answers are sampled once per request, even if several rows
    share it.

    Args:
        rows (`Sequence`):
            Output of [`choose_rows`].
        settings ([`GapSettings`]):
            Number of samples.
    """
    tasks, asked = [], set()
    for number, row in rows:
        teacher = [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"][:-1]]
        system = teacher[:1] if teacher[0]["role"] == "system" else []
        request = request_key(row)
        contexts = [(TEACHER, f"row {number}", teacher)]
        if request not in asked:
            contexts.append((STUDENT, request, [*system, teacher[-1]]))
            asked.add(request)
        tasks += [
            Task(context, key, sample, chat, row)
            for context, key, chat in contexts
            for sample in range(settings.samples)
        ]
    return tasks


def request_key(row: dict[str, Any]) -> str:
    """Returns a key for the request of a row, equal for all rows with the same request."""
    first = row["messages"][0]
    text = (first["content"] if first["role"] == "system" else "") + "\0" + row["messages"][-2]["content"]
    # Long enough that different requests of a large dataset do not share a key, and with it the student's answers
    return f"request {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def row_problem(row: dict[str, Any]) -> Problem:
    """Builds the problem of a row from its columns."""
    examples = tuple(Example(one["stdin"], one["stdout"]) for one in row.get("examples") or ())
    return Problem(
        id=str(row.get("problem_id") or request_key(row)),
        instruction=row["messages"][-2]["content"],
        language=row.get("language") or "python",
        tests=row.get("tests") or "",
        examples=examples,
        entry_point=row.get("entry_point"),
        answer=row.get("answer") if row.get("checker") else None,
        checker=row.get("checker") or "math",
        choices=tuple(row.get("choices") or ()),
    )


async def sample_all(
    tasks: Sequence[Task],
    generate: Generate,
    execute: Execute,
    settings: GapSettings,
    folder: RunFolder,
    in_flight: int,
    advance: Callable[[], Any] = lambda: None,
) -> None:
    """
    Samples and scores the answers that are not in the folder yet, and saves each immediately.

    Args:
        tasks (`Sequence[Task]`):
            All tasks.
        generate ([`~reflection_trl.generation.Generate`]):
            Generates answers.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs.
        settings ([`GapSettings`]):
            Sampling settings.
        folder ([`~reflection_trl.files.run_folder.RunFolder`]):
            Folder for the answers.
        in_flight (`int`):
            Maximum number of concurrent requests.
        advance (*optional*):
            Called after each answer.
    """
    made = {(record["context"], record["key"], record["sample"]) for record in folder.records()}
    pending = iter([task for task in tasks if (task.context, task.key, task.sample) not in made])

    async def work() -> None:
        for task in pending:
            folder.append(await sample_one(task, generate, execute, settings))
            advance()

    await run_workers(work, min(in_flight, len(tasks)))


async def sample_one(task: Task, generate: Generate, execute: Execute, settings: GapSettings) -> dict[str, Any]:
    """Samples and scores one answer, and returns its record: the text, whether it is correct, and its style."""
    problem = row_problem(task.row)
    seed = zlib.crc32(f"{settings.seed}\0{task.context}\0{task.key}\0{task.sample}".encode())
    completion = await generate_after_runs(generate, task.chat, dataclasses.replace(settings.sampling, seed=seed))
    sample = await judge_completion(problem, completion, execute)
    judged_by = "tests" if problem.has_tests else "agreement"
    solved = sample.solved if problem.has_tests else agrees(sample.answer, task.row)
    is_python = problem.language == "python" and problem.answer is None
    code = parse_python(sample.answer.code) if is_python and sample.answer.code else None
    return {
        "context": task.context,
        "key": task.key,
        "sample": task.sample,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "tokens": completion.completion_tokens,
        "solved": solved,
        "judged_by": judged_by,
        "no_code": not sample.answer.code,
        "cut": completion.finish_reason == "length",
        "tests": sample.tests,
        "leaning": leaning_phrase(completion.text, problem.instruction),
        "docstring": code is not None and _has_docstring(code),
        "prose": bool(sample.answer.lead.strip() or sample.answer.tail.strip()),
    }


def agrees(answer: Answer, row: dict[str, Any]) -> bool:
    """
    Returns whether an answer equals the row's program, ignoring layout and comments. This scores rows without tests.
    """
    language = row.get("language") or "python"
    wanted = read_answer(row["messages"][-1]["content"], language).code
    return bool(wanted) and _normal(answer.code, language) == _normal(wanted, language)


def _normal(code: str, language: str) -> str:
    tree = parse_python(code) if language == "python" else None
    if tree is None:
        return re.sub(r"\s+", "", code)
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    try:
        return ast.dump(tree)
    except RecursionError:  # an expression that is nested too deeply
        return re.sub(r"\s+", "", code)


def _has_docstring(tree: ast.Module) -> bool:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, definitions) and ast.get_docstring(node) is not None for node in ast.walk(tree))
