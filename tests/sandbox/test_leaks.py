"""Nothing is left: of many jobs, of a closed sandbox, of a process that was killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reflection_trl.sandbox import CommandProgram, Limits, PythonProgram, Sandbox, SandboxError, Status
from reflection_trl.sandbox.cgroup import Cgroup

from .observers import descendants, neighbor, own_folders


def _resident(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) << 10


def _state(sandbox: Sandbox) -> dict[str, int]:
    """What could grow: on our side and in the sandbox's own processes."""
    processes = descendants(os.getpid())
    return {
        "processes": len(processes),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "descriptors of the sandbox": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in processes if _mine(pid)),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "mounts of the sandbox": sum(
            len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()) for pid in processes
        ),
        "groups": len(_groups()),
        "folders": len(own_folders()),
        "memory": _resident(os.getpid()) + sum(map(_resident, processes)),
    }


def _mine(pid: int) -> bool:
    return os.access(f"/proc/{pid}/fd", os.R_OK)


def _groups() -> list[Path]:
    return [
        path for root in Path("/sys/fs/cgroup").glob("*") for path in root.glob(f"**/reflection_trl-{os.getpid()}-*")
    ]


def _run_many_and_compare(sandbox: Sandbox, jobs: int) -> None:
    limits = Limits(timeout=30.0, memory=256 << 20)
    kinds: list[Callable[[int], PythonProgram]] = [
        neighbor,
        lambda n: PythonProgram("raise ValueError", limits=limits),
        lambda n: PythonProgram("import os\nif os.fork() == 0:\n    import time\n    time.sleep(60)", limits=limits),
        lambda n: PythonProgram("open('/tmp/f', 'w').write('x' * 100000)\nimport os\nos._exit(0)", limits=limits),
        lambda n: PythonProgram("print('x' * 200000)", limits=limits),
    ]
    sandbox.run_many(kinds[n % len(kinds)](n) for n in range(60))
    time.sleep(0.5)
    before = _state(sandbox)
    verdicts = sandbox.run_many(kinds[n % len(kinds)](n) for n in range(jobs))
    time.sleep(0.5)
    after = _state(sandbox)
    assert not [verdict for verdict in verdicts if verdict.status is Status.INFRASTRUCTURE]
    assert all(verdict.passed for verdict in verdicts[:: len(kinds)])
    # The verdicts themselves weigh something.
    assert after.pop("memory") - before.pop("memory") < (32 << 20) + 400_000 * jobs // len(kinds), (before, after)
    assert after == before


def test_jobs_leak_nothing(sandbox: Sandbox):
    _run_many_and_compare(sandbox, 300)


@pytest.mark.slow
def test_ten_thousand_jobs_leak_nothing(sandbox: Sandbox):
    _run_many_and_compare(sandbox, 10_000)


def test_commands_leak_nothing(sandbox: Sandbox):
    sandbox.run(CommandProgram(["true"]))
    before = _state(sandbox)
    assert all(verdict.passed for verdict in sandbox.run_many([CommandProgram(["sh", "-c", "sleep 60 &"])] * 20))
    time.sleep(0.5)
    after = _state(sandbox)
    assert after.pop("memory") - before.pop("memory") < 32 << 20
    assert after == before


def test_close_leaves_nothing(sandbox: Sandbox):
    before = descendants(os.getpid())
    with Sandbox(workers=2, mechanism=sandbox.mechanism) as fresh:
        fresh.run_many([PythonProgram("x = 1")] * 4)
        assert len(descendants(os.getpid())) > len(before)
    _wait(lambda: descendants(os.getpid()) == before)
    with pytest.raises(SandboxError):
        fresh.run(PythonProgram("x = 1"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_everything_ends_with_us(sandbox: Sandbox, number: int, tmp_path: Path):
    """Also by SIGKILL, in the middle of jobs that never end."""
    script = f"""
import sys
sys.path[:] = {sys.path!r}
from reflection_trl.sandbox import CommandProgram, Limits, PythonProgram, Sandbox, probe
probe.attack = lambda sandbox: None  # the fixture's has been attacked
with Sandbox(workers=2, mechanism={sandbox.mechanism!r}) as sandbox:
    print("open", flush=True)
    limits = Limits(timeout=600)
    source = "import os, time\\nos.fork()\\ntime.sleep(600)"
    sandbox.run_many([PythonProgram(source, limits=limits), CommandProgram(["sleep", "600"], limits=limits)])
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == b"open\n"
    _wait(lambda: len(descendants(process.pid)) >= 7)
    started = descendants(process.pid)
    if number == signal.SIGINT:
        # `run_many` waits for its jobs, so an interrupt needs a second one; a user's second Ctrl-C does the same.
        process.send_signal(number)
        time.sleep(0.5)
        process.kill()
    process.send_signal(number)
    process.wait(30)
    process.stdout.close()
    _wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


def test_a_killed_zygote_comes_back(sandbox: Sandbox):
    with Sandbox(workers=1, mechanism=sandbox.mechanism) as fresh:
        assert fresh.run(PythonProgram("x = 1")).passed
        others = set(descendants(os.getpid()))
        worker = fresh._idle.get()
        fresh._idle.put(worker)
        os.kill(worker.process.pid, signal.SIGKILL)
        assert fresh.run(PythonProgram("x = 1")).passed
        assert others


SCAN = r"""
found = []
needles = [bytes(codes) for codes in ({needles})]
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
        place, rights = line.split()[:2]
        start, end = (int(part, 16) for part in place.split('-'))
        if 'r' in rights and '[v' not in line:
            try:
                memory.seek(start)
                part = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            found += [needle for needle in needles if needle in part.replace(needle + b'\0', b'')]
print(found)
"""


def test_a_job_finds_nothing_of_the_one_before(sandbox: Sandbox):
    """Its answer, what it printed, and what its checks expected, which may be what the next answer needs."""
    words = ("of-the-answer-before", "printed-by-it", "expected-of-it")
    before = f"print({words[1]!r})\ndef f(x): return {words[0]!r}\n"
    needles = "".join(f"{list(word.encode())}, " for word in words)
    with Sandbox(workers=1, mechanism=sandbox.mechanism) as fresh:
        assert not fresh.run(PythonProgram(before, f"assert f(3) == {words[2]!r}")).passed
        verdict = fresh.run(PythonProgram(SCAN.format(needles=needles)))
        assert (verdict.passed, verdict.stdout) == (True, "[]\n"), verdict


def test_failure_of_the_sandbox_is_no_verdict(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    with Sandbox(workers=1, mechanism=sandbox.mechanism) as fresh:
        tries = []

        def fail(self, *args):
            from reflection_trl.sandbox.worker import WorkerError

            tries.append(1)
            raise WorkerError("broken")

        monkeypatch.setattr("reflection_trl.sandbox.worker.Worker.run", fail)
        verdict = fresh.run(PythonProgram("x = 1"))
        assert verdict.status is Status.INFRASTRUCTURE and not verdict.passed and "broken" in verdict.reason
        assert len(tries) == 3
        monkeypatch.undo()
        assert fresh.run(PythonProgram("x = 1")).passed


def test_a_fork_cannot_use_the_sandbox(sandbox: Sandbox):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            sandbox.run(PythonProgram("x = 1"))
        except SandboxError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"forked process" in os.read(reader, 1000)
    os.close(reader)
    os.close(writer)
    assert sandbox.run(PythonProgram("x = 1")).passed


def test_groups_are_removed():
    group = Cgroup.create()
    if group is None:
        pytest.skip("control groups cannot be made here")
    directories = group.directories
    assert all(directory.exists() for directory in directories)
    group.remove()
    assert not any(directory.exists() for directory in directories)


def _wait(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.1)
    assert condition()
