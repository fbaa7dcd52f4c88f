"""Why answers failed: evalplus says that one did, and on which input; running it on that input says why."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ..feedback import Feedback, FeedbackKind
from ..languages import get_language
from ..languages.execution import Execute, Run
from .evalplus_score import Check, Judgment
from .results import Outcome, Score
from .tasks import Sample, Task


_MAX_DETAIL = 2000
# evalplus 0.3.1 holds this task's canonical solution for wrong, and so every answer
_UNSOLVABLE = "HumanEval/32"
# What `repr` writes of numbers that are none
_NAMES = "from math import inf, nan\n"


async def score_evalplus(
    benchmark: str, tasks: Sequence[Task], samples: Sequence[Sample], judgments: Sequence[Judgment], execute: Execute
) -> list[Score]:
    """
    The scores of a benchmark and of its `+`, with the reason of each failure.

    Args:
        benchmark (`str`): `"humaneval"` or `"mbpp"`.
        tasks (`Sequence[Task]`): its tasks.
        samples (`Sequence[Sample]`): answers.
        judgments (`Sequence[Judgment]`): evalplus's, one for each answer.
        execute ([`~reflection_trl.languages.execution.Execute`]): runs the answers that failed, isolated.

    Returns:
        `list[Score]`: of the benchmark, and of the `+`, where both sets of inputs have to pass.
    """
    by_id = {task.id: task for task in tasks}
    runs: dict[tuple[str, str], asyncio.Future[Run]] = {}

    async def execute_once(language: str, source: str, tests: str = "", **options: Any) -> Run:
        # Of many answers with a temperature, many are alike to the letter
        if (source, tests) not in runs:
            runs[source, tests] = asyncio.ensure_future(execute(language, source, tests, **options))
        return await runs[source, tests]

    async def outcomes(sample: Sample, judgment: Judgment) -> tuple[Outcome, Outcome]:
        task = by_id[sample.task_id]
        base = await _outcome(task, sample, judgment.base, execute_once)
        if not base.passed:
            return base, base
        return base, await _outcome(task, sample, judgment.plus, execute_once)

    found = await asyncio.gather(*map(outcomes, samples, judgments))
    return [Score(benchmark, [base for base, _ in found]), Score(f"{benchmark}+", [plus for _, plus in found])]


def missing_answer(sample: Sample) -> tuple[str, str] | None:
    """
    Kind and detail of an answer that failed before it could run: refused, empty or without code. `None` if it can run.

    Args:
        sample ([`Sample`]): the answer.
    """
    if sample.finish_reason == "refused":
        return "refused", "The request was refused."
    if sample.solution.strip():
        return None
    if not sample.text.strip():
        return "empty", "The answer is empty."
    if sample.finish_reason == "length":
        return "truncated", "The answer was cut off before any code."
    return "refused", cut(f"The answer holds no code: {sample.text.strip()}")


def failure_kind(sample: Sample, feedback: Feedback) -> str:
    """
    The kind of a failure, in one word.

    Args:
        sample ([`Sample`]): the answer.
        feedback ([`~reflection_trl.feedback.Feedback`]): of its run; one that did not pass.
    """
    if sample.finish_reason == "length" and feedback.kind in (FeedbackKind.SYNTAX, FeedbackKind.NAME):
        return "truncated"
    return "wrong_answer" if feedback.kind is FeedbackKind.ASSERTION else feedback.kind.value


# Of an answer that evalplus itself counts
DECEIVED = "passes evalplus only by an object of its own or by what it does to its judge"


async def _outcome(task: Task, sample: Sample, check: Check, execute: Execute) -> Outcome:
    suspicious = [*get_language("python").suspicious(sample.solution)]
    if check.passed:
        return Outcome(task.id, sample.sample, True, solution=sample.solution, suspicious=suspicious)
    if check.deceived:
        suspicious.append(DECEIVED)
    kind, detail = missing_answer(sample) or await _explain(task, sample, check, execute)
    return Outcome(task.id, sample.sample, False, kind, detail, sample.solution, suspicious)


async def _explain(task: Task, sample: Sample, check: Check, execute: Execute) -> tuple[str, str]:
    call, test = "", f"{task.entry_point}"
    if check.arguments is not None:
        call = test = f"{task.entry_point}{_argument_list(check.arguments)}"
        if check.expected is not None:
            test = f"assert {call} == {check.expected}"
    run = await execute("python", sample.solution, f"{_NAMES}{test}", entry_point=task.entry_point)
    if not run.feedback.passed:
        kind, detail = failure_kind(sample, run.feedback), _told(run.feedback, call, check)
    elif check.status == "timeout" or (check.slow and check.expected is not None):
        limit = "its limit" if check.limit is None else f"{check.limit:g} seconds"
        kind, detail = "timeout", f"{call or task.entry_point} takes longer than {limit}."
    elif check.expected is None:
        kind, detail = "wrong_answer", "It fails on an input that is too long to show."
    else:
        kind, detail = "wrong_answer", f"{call} is right alone, but not after the inputs before it."
    if kind == "wrong_answer" and task.id == _UNSOLVABLE:
        detail = "evalplus 0.3.1 counts every answer to this task as wrong, its own solution included."
    return kind, cut(detail)


def _told(feedback: Feedback, call: str, check: Check) -> str:
    if feedback.kind is FeedbackKind.ASSERTION and feedback.file != "program" and call:
        got = "did not return the right value" if feedback.actual is None else f"returned {feedback.actual}"
        return f"{call} {got}, expected {check.expected}"
    return f"{call}\n{feedback.text}" if call else feedback.text


def _argument_list(arguments: str) -> str:
    """`(1,)` as a call has it: `(1)`."""
    return f"{arguments[:-2]})" if arguments.endswith(",)") else arguments


def cut(text: str) -> str:
    """
    The beginning of a text, as long as a person reads of it.

    Args:
        text (`str`): what was said of a failure.
    """
    return text if len(text) <= _MAX_DETAIL else f"{text[:_MAX_DETAIL]} ..."
