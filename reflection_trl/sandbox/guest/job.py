"""
Runs one job: the *warden* keeps the clock and reads the output, the *init* confines itself and runs the job.

```
warden (of the zygote) ── init (process 1 of the job) ─┬─ program
clock, output             namespaces, limits,          └─ ... whatever the program starts
                          checks, verdict
```

The warden stays outside the job's process namespace: nothing in the job can see or signal it, and when it kills the
init, the kernel kills everything in the namespace. The verdict is sent over a pipe that only the init can write to.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable
from typing import Any, BinaryIO, NoReturn

from . import errors
from .checks import run_checks
from .program import leave, run_program
from .remote import Channel, Disconnected, ProtocolError


# Descriptors that only the init holds.
_REPORT, _CHECKS = 3, 4
# CLONE_NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES = 0x20000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000
_SYS_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC = 2, 4, 8, 0x1000, 0x4000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
# Of version 3, of this process
_OWN_CAPABILITIES, _NO_CAPABILITIES = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
_SPLICE_F_NONBLOCK = 2
_LONGEST_REPORT = 1 << 20
_POLL = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")
# Maximum wall time of a job, as a multiple of its limit, however busy the machine is
BACKSTOP = 6.0
# Bytes of address space of a Python program beside its memory: libraries and shared mappings
ADDRESSES_BESIDE_MEMORY = 512 << 20

_USER, _GROUP = os.getuid(), os.getgid()
_PROCESSORS = os.cpu_count() or 1
# Each job is a fork of this process and pays for what it does first, such as finding a function of a library
_libc = ctypes.CDLL(None, use_errno=True)
_linux: list[Any] = [getattr(_libc, name, None) for name in ("prctl", "mount", "capset", "splice")]
_prctl, _mount_call, _capset, _splice = _linux  # other systems lack them, and can import this module
_clone = ctypes.PyDLL(None, use_errno=True).syscall  # keeps the GIL, which a fork needs
_CLONE, _SIGCHLD = _SYS_CLONE.get(os.uname().machine, -1), int(signal.SIGCHLD)
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_in_child = ctypes.pythonapi.PyOS_AfterFork_Child
_after_fork_in_parent = ctypes.pythonapi.PyOS_AfterFork_Parent


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


# The warden


def watch(
    limits: dict[str, Any], settings: dict[str, Any], files: list[int], proc: int | None, channel: list[int]
) -> dict[str, Any]:
    """
    Runs a job to its end and reports what happened.

    The job, its output and the result of its checks are passed in files of the host, which this process never reads.
    The next job is a fork of it, and could otherwise find the expected values of the previous job in its memory.

    Args:
        limits (`dict`):
            Limits, patience and waits of the job, as `Worker` sent them.
        settings (`dict`):
            Settings of all jobs: `namespaces` (whether each job gets its own), `filter` (the seccomp program),
            `workdir`.
        files (`list[int]`):
            Descriptors of the job, which the init reads; of the checks, which it reads when the program has been forked off,
            so that the expected answers are nowhere in the program's memory; and of where standard output, standard error
            and the init's report go. They are closed here.
        proc (`int` or `None`):
            Descriptor of the `/proc` directory in which the init can find itself.
        channel (`list[int]`):
            Descriptors of the pipes from and to the partner of a command, or none. They are closed here.

    Returns:
        `dict`: Ended (timeout, output_limit, memory or `None`), duration, processor and queued (the seconds that the job has
        used one and waited for one, if it ran for longer than its limit, or half of it where it waits) and late (see [`_Clock`]).
    """
    job, checks, *targets = files
    out, err, report = os.pipe(), os.pipe(), os.pipe()
    started = time.monotonic()
    init = _fork(_NAMESPACES) if settings["namespaces"] else os.fork()
    if init == 0:
        _become_init(job, settings, checks, proc, out, err, report, channel)
    for descriptor in (out[1], err[1], report[1], job, checks, *channel):
        os.close(descriptor)
    cap = limits["limits"]["output"]
    pipes = {
        source: _Pipe(source, target, cap)
        for source, target, cap in zip((out[0], err[0], report[0]), targets, (cap, cap, _LONGEST_REPORT), strict=True)
    }
    clock = _Clock(started, limits["limits"]["timeout"], limits["patience"], limits["waits"])
    ended = _pump(pipes, report[0], clock, limits["limits"]["memory"])
    os.kill(init, signal.SIGKILL)
    if not settings["namespaces"] and os.getpid() == 1:
        os.kill(-1, signal.SIGKILL)
    _, status = os.waitpid(init, 0)
    # No writer is left, so the pipes contain all remaining output.
    overflowing = [pipe for pipe in pipes.values() if not pipe.drain()]
    if overflowing and ended is None:
        ended = "output_limit"
    for descriptor in (*pipes, *targets):
        os.close(descriptor)
    return {
        "ended": ended,
        "duration": time.monotonic() - started,
        "processor": clock.processor,
        "queued": clock.queued,
        "late": clock.late(),
        "init_status": status,
    }


def _fork(namespaces: int) -> int:
    """Forks into new namespaces, with one process per job fewer than `unshare` followed by `fork`."""
    _before_fork()
    child: int = _clone(_CLONE, namespaces | _SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        _after_fork_in_child()
        return 0
    _after_fork_in_parent()
    if child < 0:
        raise OSError(ctypes.get_errno(), f"clone: {os.strerror(ctypes.get_errno())}")
    return child


def _map_user(proc: int | None) -> None:
    """Maps only the same user and group as outside in the new user namespace."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{_USER} {_USER} 1"), ("gid_map", f"{_GROUP} {_GROUP} 1")):
        descriptor = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        os.write(descriptor, text.encode())
        os.close(descriptor)


class _Clock:
    """
    Determines when a job has used up its time: CPU time, and time waiting for anything but a CPU. Time in the queue
    for a CPU does not count, since it depends on other processes.

    Args:
        started (`float`):
            By `time.monotonic`.
        limit (`float`):
            Seconds that the job may take.
        patience (`float`):
            Factor on the CPU time that a job may use beside others, with which it also shares caches. A job that needs
            it is `late`, and must run again alone.
        waits (`bool`):
            Whether the job waits for another one, so that only its CPU time counts.
    """

    def __init__(self, started: float, limit: float, patience: float, waits: bool):
        self.started, self.limit, self.patience, self.waits = started, limit, patience, waits
        # A job that waits may end with the limit of the other one, and says then whether it was asleep
        self.next_look = started + limit * (0.5 if waits else 1.0)
        self.processor: float | None = None
        self.queued = 0.0

    def expired(self) -> bool:
        """Returns whether the job has used up its time. Called from `next_look` on."""
        now = time.monotonic()
        self.next_look = now + _POLL
        wall = now - self.started
        try:
            processor, queued = cpu_times(_processes())
        except OSError:
            return wall >= self.limit
        self.processor, self.queued = max(processor, self.processor or 0.0), max(queued, self.queued)
        return (
            self._used(wall, self.patience) >= self.limit
            or self.processor >= self.limit * self.patience * _PROCESSORS
            or wall >= self.limit * BACKSTOP
        )

    def late(self) -> bool:
        """Returns whether the job might have exceeded its limit if it had run alone."""
        wall = time.monotonic() - self.started
        return wall > self.limit and self._used(wall, 1.0) > self.limit

    def _used(self, wall: float, patience: float) -> float:
        processor = self.processor or 0.0
        return processor / patience if self.waits else used_time(wall, processor, self.queued, patience)


def used_time(wall: float, processor: float, queued: float, patience: float) -> float:
    """
    Returns the seconds that count against a job's limit.

    Args:
        wall (`float`):
            Seconds since it began.
        processor (`float`):
            CPU seconds of all its processes.
        queued (`float`):
            Seconds in the queue for a CPU.
        patience (`float`):
            Divisor of the CPU time.
    """
    active = max(0.0, wall - queued)
    return active - min(active, processor) * (1 - 1 / patience)


def cpu_times(processes: Iterable[int]) -> tuple[float, float]:
    """Returns the CPU seconds of processes, and the longest time that one of them waited for a CPU."""
    processor = queued = 0.0
    for process in processes:
        try:
            with open(f"/proc/{process}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            processor += sum(map(int, fields[11:15])) / _TICKS
            with open(f"/proc/{process}/schedstat", "rb") as file:
                queued = max(queued, int(file.read().split()[1]) / 1e9)
        except (OSError, ValueError, IndexError):
            continue
    return processor, queued


def _processes() -> list[int]:
    """Returns the processes of the job. Raises `OSError` if there is no `/proc`."""
    others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid(), os.getppid()}
    return sorted(others)


class _Pipe:
    """Copies the output of a pipe to a file, inside the kernel."""

    def __init__(self, source: int, target: int, cap: int):
        self.source, self.target, self.left = source, target, cap + 1
        os.set_blocking(source, False)

    def move(self) -> int:
        """Moves bytes and returns their number: 0 at the end. Raises `BlockingIOError` if none are available yet."""
        moved: int = _splice(self.source, None, self.target, None, min(self.left, 1 << 16), _SPLICE_F_NONBLOCK)
        if moved < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.left -= moved
        return moved

    def drain(self) -> bool:
        """Moves the remaining output, and returns whether that was all."""
        with contextlib.suppress(BlockingIOError):
            while self.left and self.move():
                pass
        return self.left > 0


def _pump(pipes: dict[int, _Pipe], report: int, clock: _Clock, memory: int) -> str | None:
    """Moves output until the report's pipe closes, that is, until the init has ended. Returns what ended it early."""
    poll = select.poll()
    for descriptor in pipes:
        poll.register(descriptor, select.POLLIN)
    next_look = time.monotonic() + _POLL
    while True:
        now = time.monotonic()
        if now >= clock.next_look and clock.expired():
            return "timeout"
        if now >= next_look:
            if _resident() > memory:
                return "memory"
            next_look = time.monotonic() + _POLL
        for descriptor, _ in poll.poll(max(1, int(1000 * (min(next_look, clock.next_look) - now)))):
            if not pipes[descriptor].move():
                poll.unregister(descriptor)
                if descriptor == report:
                    return None
            if not pipes[descriptor].left:
                return "output_limit"


def _resident() -> int:
    """Returns the memory of all processes of the job, with shared pages counted once. This is a fallback without a cgroup."""
    try:
        processes = _processes()
    except OSError:
        return 0
    total = 0
    for process in processes:
        try:
            with open(f"/proc/{process}/smaps_rollup", "rb") as file:
                total += sum(int(line.split()[1]) << 10 for line in file if line.startswith(b"Pss:"))
        except (OSError, ValueError, IndexError):
            continue
    return total


# The init


def _become_init(
    described: int,
    settings: dict[str, Any],
    checks: int,
    proc: int | None,
    out: tuple[int, int],
    err: tuple[int, int],
    report: tuple[int, int],
    channel: list[int],
) -> NoReturn:
    """Confines this process, runs the job in it and writes the report. Never returns."""
    result: dict[str, Any] = {}
    try:
        if settings["namespaces"]:
            _map_user(proc)
        else:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        # Moves them first to numbers that do not conflict with their final ones.
        sources = [
            fcntl.fcntl(source, fcntl.F_DUPFD, 64) for source in (null, out[1], err[1], report[1], checks, *channel)
        ]
        job: dict[str, Any] = json.loads(_read_text(described))
        for target, source in enumerate(sources):
            os.dup2(source, target, inheritable=target < _REPORT)
        os.closerange(len(sources), 1 << 16)
        job["channel"] = list(range(_CHECKS + 1, len(sources)))
        _confine(settings, job["limits"], job["patience"])
        _prepare_files(job)
    except BaseException as error:
        _write_report({"infrastructure": f"{type(error).__name__}: {error}"})
    try:
        result = _run_python(job) if job["kind"] == "python" else _run_steps(job)
    except MemoryError:
        result = {"error": {"type": "MemoryError", "message": "in the checks"}}
    except BaseException as error:
        result = {"infrastructure": f"{type(error).__name__}: {error}"}
    _write_report(result)


def _write_report(result: dict[str, Any]) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    data = json.dumps(result).encode()
    while data:
        data = data[os.write(_REPORT, data) :]
    os._exit(0)


def _confine(settings: dict[str, Any], limits: dict[str, Any], patience: float) -> None:
    if settings["namespaces"]:
        _mount_own(limits["disk"], settings["keep"])
    with contextlib.suppress(FileExistsError):
        os.mkdir(settings["workdir"])
    os.chdir(settings["workdir"])
    _set_limits(limits, settings["own_user"], patience)
    _give_up_rights(settings["namespaces"], settings["filter"])
    # Same user as the program, which must not read or change this process.
    hide(settings)


def _mount_own(disk: int, keep: list[str], hidden: str | None = None) -> None:
    """Mounts, in a new mount namespace, separate writable directories, and an empty one over `hidden`."""
    kept = [(path, os.open(path, os.O_PATH)) for path in keep]
    for target, options, size in (("/tmp", "mode=1777", disk), ("/dev/shm", "mode=1777", disk // 4)):
        # Inodes use memory that the size limit does not count.
        _mount("tmpfs", target, f"{options},size={size},nr_inodes=20000")
    if hidden is not None:
        _mount("tmpfs", hidden, "mode=0755,size=4k,nr_inodes=20")
    for path, descriptor in kept:
        os.makedirs(path)
        _check(
            _mount_call(f"/proc/self/fd/{descriptor}".encode(), path.encode(), None, _MS_BIND | _MS_REC, None),
            path,
        )
        os.close(descriptor)
    # Shows directories of processes only, since others, such as `/proc/sys`, reveal the host.
    _mount("proc", "/proc", "subset=pid")


def _give_up_rights(namespaces: bool, filter: bytes) -> None:
    _check(_prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if namespaces:
        for capability in range(64):
            if _prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                break
        _check(_capset(_OWN_CAPABILITIES, _NO_CAPABILITIES), "capset")
    if filter:
        _install_filter(filter)


def fork_apart(proc: int, filter: bytes, *, disk: int, processes: int, keep: list[str], hidden: str | None) -> int:
    """
    Forks into new namespaces (users, processes, mounts, network), with empty temporary directories, a limit on
    processes and no capabilities. All processes that the child starts end with it.

    Args:
        proc (`int`):
            Descriptor of the `/proc` directory in which the child can find itself.
        filter (`bytes`):
            The seccomp program.
        disk (`int`):
            Bytes in `/tmp`, and a quarter of it in `/dev/shm`.
        processes (`int`):
            Processes and threads at a time.
        keep (`list[str]`):
            Read-only directories below these, or below the hidden one, which stay visible.
        hidden (`str` or `None`):
            A directory that the child cannot see.
    """
    child = _fork(_NAMESPACES)
    if child != 0:
        return child
    try:
        _map_user(proc)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        _mount_own(disk, keep, hidden)
        os.chdir("/tmp")
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
        _give_up_rights(True, filter)
        hide({"proc": True})
        return 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)


def hide(settings: dict[str, Any]) -> None:
    """Prevents other processes of the same user from tracing this one, and from reading its memory and descriptors."""
    if settings["proc"]:
        _check(_prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")


def _mount(kind: str, target: str, options: str) -> None:
    flags = _MS_NOSUID | _MS_NODEV | (_MS_NOEXEC if kind == "proc" else 0)
    _check(_mount_call(kind.encode(), target.encode(), kind.encode(), flags, options.encode()), f"mount {target}")


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def _install_filter(program: bytes) -> None:
    argument = _Filter(len(program) // 8, program)
    _check(_prctl(_PR_SET_SECCOMP, 2, ctypes.byref(argument), 0, 0), "seccomp")


def _set_limits(limits: dict[str, Any], own_user: bool, patience: float) -> None:
    seconds = int(limits["timeout"] * patience) + 2
    for name, value in (
        # Without a user namespace this counts all processes of the user, so jobs would fail because of the desktop's.
        *([("NPROC", limits["processes"])] if own_user else []),
        ("DATA", limits["memory"]),
        ("FSIZE", limits["disk"]),
        ("NOFILE", 256),
        ("CORE", 0),
        ("MEMLOCK", 0),
        ("MSGQUEUE", 0),
        ("SIGPENDING", 256),
        ("CPU", seconds * _PROCESSORS),
        ("STACK", 64 << 20),
    ):
        number = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(number)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        soft = min(value, 8 << 20) if name == "STACK" else value
        resource.setrlimit(number, (soft, value))


def _prepare_files(job: dict[str, Any]) -> None:
    for name, content in job["files"].items():
        if "/" in name:
            os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(base64.b64decode(content))
    if job["stdin"]:
        with _scratch_file() as file:
            file.write(base64.b64decode(job["stdin"]))
            file.seek(0)
            os.dup2(file.fileno(), 0)


def _read_text(descriptor: int) -> str:
    with open(descriptor, "rb", buffering=0) as file:
        return file.readall().decode()


def _scratch_file() -> BinaryIO:
    """Returns a file without a name. `tempfile` does the same, but costs a megabyte in every fork."""
    file = open(".scratch", "w+b")  # noqa: SIM115
    os.unlink(".scratch")
    return file


def _run_python(job: dict[str, Any]) -> dict[str, Any]:
    mine, theirs = socket.socketpair()
    # AS, unlike DATA, counts shared mappings; only Python programs run within it.
    memory = job["limits"]["memory"]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            mine.close()
            os.close(_REPORT)
            os.close(_CHECKS)
            os.setsid()
            _prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            resource.setrlimit(resource.RLIMIT_AS, (memory + ADDRESSES_BESIDE_MEMORY,) * 2)
            code = run_program(job["source"], Channel(theirs, reads_ahead=True), job["checked"])
        except BaseException:
            code = 1
        finally:
            leave(code)
    theirs.close()
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    channel = Channel(mine, reads_ahead=True)
    result: dict[str, Any] = {"completed": False, "error": None}
    try:
        outcome = channel.receive()
        if isinstance(outcome.get("error"), dict):
            result["error"] = errors.from_program(outcome["error"])
        result["left"] = outcome.get("end") == "exited"
        if outcome.get("end") == "finished":
            result["error"] = run_checks(_read_text(_CHECKS), channel, job["entry_point"])
            result["completed"] = result["error"] is None
    except (Disconnected, ProtocolError, AttributeError):
        pass
    mine.close()
    _, status = os.waitpid(child, 0)
    result["steps"] = [["run", status]]
    return result


def _run_steps(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the commands one after another, as long as they exit with 0."""
    steps: list[list[Any]] = []
    for name, argv in job["steps"]:
        last = len(steps) + 1 == len(job["steps"])
        # Before the last step, only the output of a failing step matters.
        streams = None if last else (_scratch_file(), _scratch_file())
        child = os.fork()
        if child == 0:
            try:
                if streams is not None:
                    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
                    os.dup2(streams[0].fileno(), 1)
                    os.dup2(streams[1].fileno(), 2)
                for target, descriptor in enumerate(job["channel"], start=_REPORT):
                    os.dup2(descriptor, target)
                os.setsid()
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.execvpe(argv[0], argv, {**os.environ, **job["environment"]})
            except BaseException as error:
                os.write(2, f"{argv[0]}: {error}\n".encode())
            finally:
                os._exit(127)
        if last:
            for descriptor in job["channel"]:
                os.close(descriptor)
        _, status = os.waitpid(child, 0)
        steps.append([name, status])
        for descriptor, file in enumerate(streams or (), start=1):
            file.seek(0)
            data = file.read(job["limits"]["output"] + 1) if status != 0 else b""
            while data:
                data = data[os.write(descriptor, data) :]
            file.close()
        if status != 0:
            break
    return {"completed": len(steps) == len(job["steps"]) and steps[-1][1] == 0, "error": None, "steps": steps}
