"""Every hostile program, with the proof that nothing got out, that nothing stayed, and that nobody else was disturbed."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reflection_trl.sandbox import Limits, PythonProgram, Sandbox, Status

from .hostile_programs import PROGRAMS, Hostile
from .observers import Host, inspection, neighbor


@pytest.fixture(scope="module")
def clean(sandbox: Sandbox) -> str:
    """What a job finds in a sandbox that nobody has attacked."""
    verdict = sandbox.run(inspection())
    assert verdict.passed, verdict
    return verdict.stdout


@pytest.mark.parametrize("hostile", PROGRAMS, ids=lambda hostile: hostile.name)
def test_hostile_program(hostile: Hostile, sandbox: Sandbox, host: Host, clean: str):
    names = host.names(hostile.name)
    program = PythonProgram(
        hostile.source.format(**names), hostile.checks, limits=hostile.limits, entry_point=hostile.entry_point
    )
    neighbors = []
    with ThreadPoolExecutor(1) as pool:
        attack = pool.submit(sandbox.run, program)
        # As long as it may disturb them, and a few when it is over
        while (not attack.done() and len(neighbors) < 20) or len(neighbors) < 4:
            neighbors.append(sandbox.run(neighbor(len(neighbors))))
        verdict = attack.result()

    assert verdict.status in hostile.statuses, verdict
    assert "ESCAPED" not in verdict.stdout + verdict.stderr, verdict
    assert host.secret not in verdict.stdout + verdict.stderr
    assert len(verdict.stdout) <= hostile.limits.output * 4 and len(verdict.stderr) <= hostile.limits.output * 4
    host.check_untouched(names["mark"])
    assert all(one.passed for one in neighbors), neighbors
    # On every worker.
    for after in sandbox.run_many([inspection()] * sandbox.workers):
        assert after.passed and after.stdout == clean, after


def test_there_are_enough_of_them():
    assert len(PROGRAMS) >= 40 and len({hostile.name for hostile in PROGRAMS}) == len(PROGRAMS)


def test_neighbors_cannot_meet(sandbox: Sandbox):
    """Two programs at the same time: neither sees the other's sockets, files or processes."""
    source = """
import os, socket, time
me = {me!r}
server = socket.socket(socket.AF_UNIX)
server.bind("\\0meeting-point-" + me)
server.listen()
open("/tmp/" + me, "w").close()
open("/dev/shm/" + me, "w").close()
time.sleep(1.0)
other = {other!r}
seen = [path for path in ("/tmp/" + other, "/dev/shm/" + other) if os.path.exists(path)]
seen += [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) > 3]
try:
    socket.socket(socket.AF_UNIX).connect("\\0meeting-point-" + other)
    seen.append("socket")
except OSError:
    pass
print(seen)
"""
    if sandbox.workers < 2:
        pytest.skip("needs two workers")
    programs = [PythonProgram(source.format(me=me, other=other)) for me, other in (("a", "b"), ("b", "a"))]
    for verdict in sandbox.run_many(programs):
        assert verdict.passed and verdict.stdout == "[]\n", verdict


def test_many_hostile_programs_at_once(sandbox: Sandbox):
    bombs = [
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        "x = []\nwhile True: x.append(bytearray(1 << 24))",
        "while True: print('x' * 10000)",
        "f = open('f', 'wb')\nwhile True: f.write(bytes(1 << 20))",
    ]
    limits = Limits(timeout=2.0, memory=256 << 20, disk=32 << 20)
    programs = [PythonProgram(source, limits=limits) for source in bombs]
    mixed = [program for pair in zip(programs * 2, [neighbor(n) for n in range(8)], strict=True) for program in pair]
    verdicts = sandbox.run_many(mixed)
    assert all(verdict.passed for verdict in verdicts[1::2]), verdicts[1::2]
    assert not any(verdict.status in (Status.OK, Status.INFRASTRUCTURE) for verdict in verdicts[::2]), verdicts[::2]


def test_threads_of_the_host_may_end(sandbox: Sandbox):
    """The kernel kills a sandbox with the thread that started it: that must not be a user's thread."""
    with Sandbox(workers=1, mechanism=sandbox.mechanism) as fresh:
        verdicts = []
        for _ in range(3):
            thread = threading.Thread(target=lambda: verdicts.append(fresh.run(PythonProgram("print(1)"))))
            thread.start()
            thread.join()
        assert len(verdicts) == 3 and all(verdict.passed for verdict in verdicts)
        assert os.getpid() == fresh._owner
