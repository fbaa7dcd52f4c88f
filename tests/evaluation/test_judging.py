"""Answers to a benchmark are scored concurrently, within a limit, and in the order of the answers."""

import asyncio

import pytest

from reflection_trl.evaluation.judging import judge_answers
from reflection_trl.evaluation.tasks import Sample, Task
from reflection_trl.feedback import Feedback, FeedbackKind


TASKS = [Task("a", "own", "x"), Task("b", "own", "x")]
RIGHT = Feedback(FeedbackKind.NONE, text="")
WRONG = Feedback(FeedbackKind.ASSERTION, text="assert f(1) == 2", message="1 != 2")


def judge(samples, run, **options):
    return asyncio.run(judge_answers(TASKS, samples, run, **options))


def test_outcomes_keep_the_order_of_the_answers():
    samples = [Sample("b", 0, "slow"), Sample("a", 0, "fast"), Sample("a", 1, "", text="I cannot.")]
    judged = []

    async def run(task, code):
        await asyncio.sleep(0.05 if code == "slow" else 0)
        return WRONG if code == "slow" else RIGHT

    score = judge(samples, run, report=judged.append)
    assert score.benchmark == "own"
    assert [(outcome.task_id, outcome.sample) for outcome in score.outcomes] == [("b", 0), ("a", 0), ("a", 1)]
    assert [(outcome.passed, outcome.kind) for outcome in score.outcomes] == [
        (False, "wrong_answer"), (True, "none"), (False, "refused"),
    ]  # fmt: skip
    assert score.outcomes[0].detail == "assert f(1) == 2"
    assert judged == [1, 2, 3]


def test_no_more_answers_run_at_a_time_than_allowed():
    running, most = 0, 0

    async def run(task, code):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return RIGHT

    judge([Sample("a", number, "x") for number in range(9)], run, concurrency=3)
    assert most == 3


def test_an_error_ends_the_other_answers():
    ended = []

    async def run(task, code):
        if code == "breaks":
            raise OSError("the sandbox is gone")
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(code)

    async def judge_both():
        with pytest.raises(OSError, match="the sandbox is gone"):
            await judge_answers(TASKS, [Sample("a", 0, "waits"), Sample("a", 1, "breaks")], run)
        await asyncio.sleep(0)
        return list(ended)  # before the loop closes, which would end any task

    assert asyncio.run(judge_both()) == ["waits"]


async def never(task, code):
    raise AssertionError("an answer ran")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([], "Only tasks of one benchmark can be scored together, got none: "),
        ([*TASKS, Task("c", "other", "x")], "Only tasks of one benchmark can be scored together, got other, own: "),
        (TASKS, "own has no task 'gone': use the ids of its tasks, such as 'a'."),
    ],
)
def test_answers_of_other_tasks_are_rejected_before_any_runs(tasks, message):
    with pytest.raises(ValueError) as raised:
        asyncio.run(judge_answers(tasks, [Sample("a", 0, "x"), Sample("gone", 0, "x")], never))
    assert str(raised.value).startswith(message)
