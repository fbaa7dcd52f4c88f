"""Neighbors do not decide whether a program is in time."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reflection_trl.evaluation.judging import judge_answers
from reflection_trl.evaluation.tasks import Sample, Task
from reflection_trl.feedback import Feedback
from reflection_trl.languages import Executor
from reflection_trl.online.judging import AnswerJudge
from reflection_trl.problems import Problem
from reflection_trl.problems.judge import judge
from reflection_trl.sandbox import CommandProgram, Limits, Partner, PythonProgram, Sandbox, Status, Verdict
from reflection_trl.sandbox.guest.job import used_time
from reflection_trl.sandbox.turns import Turns, are_asleep, is_doubtful
from reflection_trl.sandbox.worker import Worker, WorkerError


LIMIT = Limits(timeout=2.0)
SPINNERS = "import os\nfor _ in range(60):\n    if os.fork() == 0:\n        while True: pass\nwhile True: pass\n"
WORK = "import time\nwhile time.process_time() < {seconds}: pass\n"


def test_sixty_spinning_children_next_door(sandbox: Sandbox):
    neighbor = threading.Thread(target=sandbox.run, args=(PythonProgram(SPINNERS, limits=LIMIT),))
    neighbor.start()
    time.sleep(0.3)
    verdict = sandbox.run(PythonProgram(WORK.format(seconds=1.6), limits=LIMIT))
    neighbor.join()
    assert verdict.passed, verdict


@pytest.mark.parametrize("argv", [None, ["python3", "main.py"]])
def test_too_much_work_is_a_timeout(sandbox: Sandbox, argv: list[str] | None):
    source, limits = WORK.format(seconds=20), Limits(timeout=0.5)
    program = PythonProgram(source, limits=limits)
    if argv is not None:
        program = CommandProgram(argv, files={"main.py": source}, limits=limits)
    assert sandbox.run(program).status is Status.TIMEOUT


@pytest.mark.parametrize(
    ("wall", "processor", "queued", "patience", "used"),
    [
        (3.0, 3.0, 0.0, 1.0, 3.0),  # alone: the clock on the wall
        (3.0, 3.0, 0.0, 2.0, 1.5),  # among others
        (9.0, 3.0, 6.0, 2.0, 1.5),  # of which it stood in the queue
        (3.0, 0.0, 0.0, 2.0, 3.0),  # asleep
        (4.0, 1.0, 1.0, 2.0, 2.5),  # some of each
        (3.0, 9.0, 0.0, 2.0, 1.5),  # on several processors
    ],
)
def test_used_time(wall: float, processor: float, queued: float, patience: float, used: float):
    assert used_time(wall, processor, queued, patience) == used


OUTCOMES: dict[str, tuple[dict[str, Any], bool, bool]] = {  # outcome, whether it waits for another job, whether it is doubtful
    "in time": ({"ended": None, "late": False}, False, False),
    "in time for one with neighbors": ({"ended": None, "late": True}, False, True),
    "worked all the time": ({"ended": "timeout", "processor": 4.0}, False, False),
    "slept": ({"ended": "timeout", "processor": 0.01}, False, False),
    "waited for another": ({"ended": "timeout", "processor": 0.01}, True, True),
    "half of each": ({"ended": "timeout", "processor": 1.5}, False, True),
    "nobody knows": ({"ended": "timeout", "processor": None}, False, True),
    "memory": ({"ended": "memory", "late": True}, False, False),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTCOMES)
def test_doubt(name: str):
    outcome, waits, doubtful = OUTCOMES[name]
    assert is_doubtful(outcome, 2.0, 2.0, waits) is doubtful
    assert not is_doubtful(outcome, 2.0, 1.0, waits)  # it was alone


ASLEEP = {"ended": "timeout", "processor": 0.02, "queued": 0.01}


@pytest.mark.parametrize(
    ("other", "asleep"),
    [
        (ASLEEP, True),
        ({**ASLEEP, "ended": None}, True),
        ({**ASLEEP, "processor": 0.08}, False),
        ({**ASLEEP, "queued": 1.0}, False),  # it would have answered, had it had a CPU
        ({**ASLEEP, "processor": None}, False),
        (None, False),  # it had to be stopped
    ],
)
def test_two_jobs_that_only_wait_for_each_other_are_not_confirmed(other: dict[str, Any] | None, asleep: bool):
    assert are_asleep([ASLEEP, *([other] if other else [])], 2.0) is asleep


def test_a_sandbox_that_the_kernel_ended_for_its_memory_is_not_asleep():
    class Group:
        kills = iter(range(2)).__next__

        def limit(self, **_: int) -> None: ...

    worker = Worker(None, b"", None)
    worker.cgroup = Group()
    worker.sock, theirs = socket.socketpair()
    theirs.close()
    with worker.sock, tempfile.TemporaryFile() as worker.log:
        outcome = worker.run({"limits": dataclasses.asdict(Limits()), "patience": 2.0, "waits": True}, "")
    assert outcome["ended"] == "memory"
    assert not are_asleep([ASLEEP, outcome], 2.0)


def test_a_worker_that_another_thread_stops_fails_as_a_worker():
    class Group:
        def limit(self, **_: int) -> None:
            worker.stop()

        def kills(self) -> int:
            return 0

    worker = Worker(None, b"", None)
    worker.cgroup = Group()
    worker.sock, theirs = socket.socketpair()
    channel = os.pipe()
    with theirs, tempfile.TemporaryFile() as worker.log:
        worker.sock.close()
        with pytest.raises(WorkerError):
            worker.run({"limits": dataclasses.asdict(Limits()), "patience": 2.0, "waits": True}, "", channel)
    for descriptor in channel:
        with pytest.raises(OSError):
            os.fstat(descriptor)


def test_a_pair_that_sleeps_runs_once(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    patience = []
    run = Sandbox._run_pair

    def counted(self: Sandbox, program: CommandProgram, partner: Partner, factor: float) -> tuple[Verdict, bool]:
        patience.append(factor)
        return run(self, program, partner, factor)

    monkeypatch.setattr(Sandbox, "_run_pair", counted)
    partner = Partner(["sleep", "1000"])
    # The judge ends with its partner, and says so by its exit code
    program = CommandProgram(["sh", "-c", "cat <&3; exit 97"], partner=partner, limits=LIMIT)
    assert sandbox.run(program).status is Status.TIMEOUT
    assert patience == [2.0]


def _fake(monkeypatch: pytest.MonkeyPatch, outcomes: list[dict[str, Any]], seen: list[float]) -> None:
    def run(self: object, job: dict[str, Any], checks: str, *_: object) -> dict[str, Any]:
        seen.append(job["patience"])
        report = b'{"completed": true, "error": null, "steps": [["run", 0]]}'
        return {"report": report, "stdout": b"", "stderr": b"", "duration": 1.0, **outcomes.pop(0)}

    monkeypatch.setattr("reflection_trl.sandbox.worker.Worker.run", run)


TIMEOUT = {"ended": "timeout", "late": True, "processor": 1.5}
IN_TIME = {"ended": None, "late": False, "processor": None}


@pytest.mark.parametrize(("second", "status"), [(IN_TIME, Status.OK), (TIMEOUT, Status.TIMEOUT)])
def test_doubtful_timeouts_are_confirmed_alone(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, second: dict[str, Any], status: Status
):
    seen: list[float] = []
    _fake(monkeypatch, [TIMEOUT, second], seen)
    assert sandbox.run(PythonProgram("", limits=LIMIT)).status is status
    assert seen == [2.0, 1.0]


async def _builder(execute: Executor) -> bool:
    feedback = await judge(PROBLEM, ANSWER, execute)
    return feedback is not None and feedback.passed


async def _reward(execute: Executor) -> bool:
    answer_judge = AnswerJudge(execute=execute)
    return (await answer_judge.judge_async([PROBLEM], [f"```python\n{ANSWER}\n```"]))[0].passed


async def _evaluator(execute: Executor) -> bool:
    async def run(task: Task, code: str) -> Feedback:
        return (await execute("python", code, task.tests, entry_point=task.entry_point)).feedback

    task = Task("one", "own", "x", tests=PROBLEM.tests, entry_point="f")
    return (await judge_answers([task], [Sample("one", 0, ANSWER)], run)).outcomes[0].passed


ANSWER, PROBLEM = "def f(x): return x", Problem("one", "x", tests="assert f(3) == 3", entry_point="f")


@pytest.mark.parametrize("path", [_builder, _reward, _evaluator])
@pytest.mark.parametrize(("second", "passes"), [(IN_TIME, True), (TIMEOUT, False)])
def test_each_path_confirms_a_timeout_alone(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    path: Callable[[Executor], Awaitable[bool]],
    second: dict[str, Any],
    passes: bool,
):
    async def run() -> bool:
        async with Executor(sandbox) as execute:
            return await path(execute)

    seen: list[float] = []
    _fake(monkeypatch, [TIMEOUT, second], seen)
    assert asyncio.run(run()) is passes
    assert seen == [2.0, 1.0]


def test_who_is_late_alone_is_too_late(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    late = {**IN_TIME, "late": True}
    seen: list[float] = []
    _fake(monkeypatch, [late, late], seen)
    assert sandbox.run(PythonProgram("", limits=LIMIT)).status is Status.TIMEOUT
    assert seen == [2.0, 1.0]


def test_turns():
    turns, start, lock = Turns(), threading.Barrier(5), threading.Lock()
    beside: list[int] = []
    running = 0

    def among() -> None:
        nonlocal running
        start.wait()
        for _ in range(50):
            with turns.among_others():
                with lock:
                    running += 1
                time.sleep(0.0001)
                with lock:
                    running -= 1

    def alone() -> None:
        start.wait()
        for _ in range(50):
            with turns.alone():
                beside.append(running)
                time.sleep(0.0001)
                beside.append(running)

    threads = [threading.Thread(target=one) for one in (among, among, among, alone, alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert beside == [0] * 200
