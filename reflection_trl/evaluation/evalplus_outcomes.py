"""
Determines failure reasons of evalplus answers. Where judging did not find the reason, the answer runs again on the failing
input.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from ..feedback import Feedback, FeedbackKind
from ..languages import get_language
from ..languages.execution import Execute, Run, refuse_to_run
from ..languages.python import feedback_of_error
from .evalplus_score import Check, Judgment
from .failures import cut, failure_kind, missing_answer
from .results import DECEIVED, Outcome, Score
from .tasks import Sample, Task


# evalplus 0.3.1 rejects the canonical solution of this task, and so every answer
_UNSOLVABLE = "HumanEval/32"
# Names that `repr` writes for special floats
_NAMES = "from math import inf, nan\n"


async def score_evalplus(
    benchmark: str,
    tasks: Sequence[Task],
    samples: Sequence[Sample],
    judgments: Sequence[Judgment],
    open_executor: Callable[[], AbstractAsyncContextManager[Execute]],
) -> list[Score]:
    """
    Returns the scores of a benchmark and of its `+`, with the reason of each failure.

    Args:
        benchmark (`str`):
            `"humaneval"` or `"mbpp"`.
        tasks (`Sequence[Task]`):
            Its tasks.
        samples (`Sequence[Sample]`):
            Answers.
        judgments (`Sequence[Judgment]`):
            Evalplus's, one for each answer.
        open_executor (`Callable`):
            Opens the executor of Python programs, isolated, if an answer must run again.

    Returns:
        `list[Score]`: Of the benchmark, and of the `+`, where both sets of inputs have to pass.
    """
    by_id = {task.id: task for task in tasks}

    async def outcomes(sample: Sample, judgment: Judgment, execute: Execute) -> tuple[Outcome, Outcome]:
        task = by_id[sample.task_id]
        base = await _outcome(task, sample, judgment.base, execute)
        if not base.passed:
            return base, base
        return base, await _outcome(task, sample, judgment.plus, execute)

    async with AsyncExitStack() as stack:
        execute: Execute = refuse_to_run
        if any(map(_runs_again, samples, judgments)):
            execute = _once_each(await stack.enter_async_context(open_executor()))
        found = await asyncio.gather(*(outcomes(*each, execute) for each in zip(samples, judgments, strict=True)))
    return [Score(benchmark, [base for base, _ in found]), Score(f"{benchmark}+", [plus for _, plus in found])]


def _runs_again(sample: Sample, judgment: Judgment) -> bool:
    """Returns whether only another run tells why an answer failed."""
    check = judgment.plus if judgment.base.passed else judgment.base
    return not (check.passed or check.late or check.error is not None) and missing_answer(sample) is None


def _once_each(execute: Execute) -> Execute:
    """Returns an executor that runs programs that are alike to the letter once, since there are many at a temperature."""
    runs: dict[tuple[str, str], asyncio.Future[Run]] = {}

    async def execute_once(language: str, source: str, tests: str = "", **options: Any) -> Run:
        if (source, tests) not in runs:
            runs[source, tests] = asyncio.ensure_future(execute(language, source, tests, **options))
        return await runs[source, tests]

    return execute_once


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
    if check.late:
        return "timeout", cut(_describe_late(check, call or f"{task.entry_point}"))
    if check.error is not None:
        feedback = feedback_of_error(check.error)
    else:
        run = await execute("python", sample.solution, f"{_NAMES}{test}", entry_point=task.entry_point)
        feedback = run.feedback
    if not feedback.passed:
        kind, detail = failure_kind(sample, feedback), _describe(feedback, call, check)
    elif check.status == "timeout":
        kind, detail = "runtime", f"The process ends during {call or task.entry_point}."
    elif check.expected is None:
        kind, detail = "wrong_answer", "It fails on an input that is too long to show."
    else:
        kind, detail = "wrong_answer", f"{call} is right alone, but not after the inputs before it."
    if kind == "wrong_answer" and task.id == _UNSOLVABLE:
        detail = "evalplus 0.3.1 counts every answer to this problem as wrong, its own solution included."
    return kind, cut(detail)


def _describe_late(check: Check, call: str) -> str:
    limit = "" if check.limit is None else f" of {check.limit:g} s"
    if check.status == "timeout":  # in the program, in this call, or in those before it together
        return f"The time limit{limit} for all inputs ends at {call}."
    return f"{call} exceeds its time limit{limit}."


def _describe(feedback: Feedback, call: str, check: Check) -> str:
    if feedback.kind is FeedbackKind.ASSERTION and feedback.file != "program" and call:
        got = "did not return the right value" if feedback.actual is None else f"returned {feedback.actual}"
        return f"{call} {got}, expected {check.expected}"
    return f"{call}\n{feedback.text}" if call else feedback.text


def _argument_list(arguments: str) -> str:
    """Formats `(1,)` as the arguments of a call: `(1)`."""
    return f"{arguments[:-2]})" if arguments.endswith(",)") else arguments
