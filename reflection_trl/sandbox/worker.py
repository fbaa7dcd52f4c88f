"""Manages one sandboxed process: starts it, sends it jobs, and stops it."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import marshal
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any

from .cgroup import Cgroup
from .guest.job import BACKSTOP
from .mechanisms import Mechanism
from .verdict import Limits


# Seconds that the sandbox may take beyond a job's own limit, and to start; after that it counts as broken.
_GRACE, _START = 10.0, 60.0
# Memory and processes of the zygote itself, its warden and its init.
_OWN_MEMORY, _OWN_PROCESSES = 96 << 20, 16
_MAX_OUTCOME, _LONGEST_REPORT = 64 << 20, 1 << 20
# What crosses in files; the first two are the job's, the others are filled by it
_FILES = ("job", "checks", "stdout", "stderr", "report")
_HEADER = struct.Struct("!I")
_GUEST = Path(__file__).parent / "guest"

# The interpreter inside can see none of our files, so the modules arrive over the same socket as the jobs: as code if it is of
# our version, since compiling takes longer than its start and leaves holes in memory that each job is a copy of, or else as text
_BOOTSTRAP = """
import importlib.abc, importlib.util, json, marshal, socket, struct, sys
sock = socket.socket(fileno=0)
def read(size):
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            sys.exit(1)
        data += part
    return bytes(data)
sock.sendall(importlib.util.MAGIC_NUMBER)
compiled, size = struct.unpack("!?I", read(5))
modules = (marshal if compiled else json).loads(read(size))
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name in modules:
            return importlib.util.spec_from_loader(name, self, is_package=name == "sandbox_guest")
    def exec_module(self, module):
        module.__file__ = "/sandbox_guest/" + module.__name__.rpartition(".")[2] + ".py"
        source = modules.pop(module.__name__)
        exec(source if compiled else compile(source, module.__file__, "exec"), vars(module))
sys.meta_path.insert(0, Finder())
sock.detach()
from sandbox_guest.zygote import main
del sys.meta_path[0]
main()
"""


@functools.cache
def _modules(directory: Path, compiled: bool) -> bytes:
    """Returns the modules of the guest, by name, as the bootstrap reads them."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.py"))}
    texts = {"sandbox_guest" if name == "__init__" else f"sandbox_guest.{name}": text for name, text in texts.items()}
    if not compiled:
        return json.dumps(texts).encode()
    return marshal.dumps(
        {
            name: compile(text, f"/sandbox_guest/{name.rpartition('.')[2]}.py", "exec", dont_inherit=True, optimize=0)
            for name, text in texts.items()
        }
    )


class WorkerError(Exception):
    """Raised when the sandboxed process failed. It says nothing about the job."""


class Worker:
    """
    Manages one sandboxed process: a zygote that takes one job after another, or (`single`) a process for one job.

    Args:
        mechanism ([`Mechanism`]):
            How the process gets into isolation.
        filter (`bytes`):
            The seccomp program.
        spawner (`ThreadPoolExecutor`):
            The thread that starts processes. The kernel kills a sandbox when the thread that started it ends, so that
            thread must live as long as the sandbox.
        single (`bool`, *optional*, defaults to `False`):
            Whether it is for one job.
        packages (`bool`, *optional*, defaults to `True`):
            Whether its job may import packages of the interpreter, which takes longer to start with them.
    """

    def __init__(
        self,
        mechanism: Mechanism,
        filter: bytes,
        spawner: ThreadPoolExecutor,
        single: bool = False,
        packages: bool = True,
    ):
        self.mechanism = mechanism
        self.filter = filter
        self.spawner = spawner
        self.single = single
        self.packages = packages
        self.process: subprocess.Popen[bytes] | None = None
        self.cgroup: Cgroup | None = None
        # Resources that `stop` releases, once: it is called again after a failed start
        self._resources = contextlib.ExitStack()

    def start(self, limits: Limits) -> None:
        """Starts the process and waits until it is ready for a job of these limits."""
        self.sock, theirs = socket.socketpair()
        self._resources.callback(self.sock.close)
        self.log = self._resources.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self.workdir = self.mechanism.make_workdir()
        self._resources.callback(self.mechanism.remove_workdir, self.workdir)
        self.cgroup = Cgroup.create()
        if self.cgroup is not None:
            self._resources.callback(self.cgroup.remove)
        namespaces = self.mechanism.fork_server and not self.single
        try:
            try:
                self.process = self.spawner.submit(self._spawn, theirs, limits).result()
            finally:
                theirs.close()
            compiled = self._read(len(MAGIC_NUMBER), time.monotonic() + _START) == MAGIC_NUMBER
            modules = _modules(_GUEST, compiled)
            settings = {
                "namespaces": namespaces,
                "own_user": self.mechanism.own_user,
                "proc": self.mechanism.proc,
                # A sandbox for one job is filtered as a whole, where its mechanism can do that.
                "filter": "" if self.single and self.mechanism.fork_server else base64.b64encode(self.filter).decode(),
                "workdir": self.workdir,
                "keep": self.mechanism.covered,
            }
            self._send_bytes(struct.pack("!?I", compiled, len(modules)) + modules)
            self._send(settings)
            if self._receive(time.monotonic() + _START) != {"ready": True}:
                raise self._failure("the sandboxed process did not start in time")
        except BaseException:
            self.stop()
            raise

    def _spawn(self, theirs: socket.socket, limits: Limits) -> subprocess.Popen[bytes]:
        # The socket is the process's standard input: the one descriptor that every mechanism passes on.
        options = ["-s", "-B"] if self.packages else ["-s", "-B", "-S"]
        guest = [self.mechanism.python, *options, "-c", _BOOTSTRAP, "single" if self.single else "zygote"]
        cgroup = [str(path / "cgroup.procs") for path in self.cgroup.directories] if self.cgroup else []
        with tempfile.TemporaryFile() as filter:
            filter.write(self.filter)
            filter.seek(0)
            command = self.mechanism.command(
                guest,
                memory=limits.memory + _OWN_MEMORY,
                processes=limits.processes + _OWN_PROCESSES,
                disk=limits.disk,
                workdir=self.workdir,
                seccomp=filter.fileno() if self.single else None,
                nested=not self.single,
                cgroup=cgroup,
            )
            try:
                return subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=self.log,
                    pass_fds=[filter.fileno()] if self.single else [],
                    start_new_session=True,
                    env={"PATH": os.environ.get("PATH", os.defpath)},
                    cwd="/",
                )
            except OSError as error:
                raise WorkerError(str(error)) from error

    def run(self, job: dict[str, Any], checks: str, channel: Sequence[int] = ()) -> dict[str, Any]:
        """
        Runs one job and returns what `job.watch` reported.

        Args:
            job (`dict`):
                The job, as `sandbox._job` makes it.
            checks (`str`):
                Source of the checks of a Python program.
            channel (`Sequence[int]`, *optional*, defaults to `()`):
                Descriptors of the pipes from and to the partner. They are closed here.

        Raises:
            `WorkerError`: When the sandbox, and not the job, failed.
        """
        limits = job["limits"]
        cgroup, kills = self.cgroup, 0  # another thread may stop this process
        with contextlib.ExitStack() as stack:
            ends = stack.enter_context(contextlib.ExitStack())
            for descriptor in channel:
                ends.callback(os.close, descriptor)
            files = [stack.enter_context(open(os.memfd_create(name), "w+b")) for name in _FILES]
            for file, content in zip(
                files, (json.dumps(job).encode(), checks.encode("utf-8", "surrogatepass")), strict=False
            ):
                file.write(content)
                file.seek(0)
            try:
                if cgroup is not None:
                    memory = limits["memory"] + limits["disk"] + _OWN_MEMORY
                    cgroup.limit(memory=memory, processes=limits["processes"] + _OWN_PROCESSES)
                    kills = cgroup.kills()
                self._send({name: job[name] for name in ("limits", "patience", "waits")})
                socket.send_fds(self.sock, [b"c"], [*(file.fileno() for file in files), *channel])
                ends.close()
                outcome = self._receive(time.monotonic() + limits["timeout"] * BACKSTOP + _GRACE)
            except WorkerError:
                if cgroup is not None and cgroup.kills() > kills:
                    return {
                        "ended": "memory",
                        "report": b"",
                        "stdout": b"",
                        "stderr": b"",
                        "duration": 0.0,
                        "processor": None,
                        "queued": 0.0,
                        "late": False,
                    }
                raise
            except OSError as error:
                raise self._failure(str(error)) from error
            for name, file in zip(_FILES[2:], files[2:], strict=True):
                file.seek(0)
                outcome[name] = file.read(_LONGEST_REPORT if name == "report" else limits["output"])
        if cgroup is not None and cgroup.kills() > kills and outcome.get("ended") is None:
            outcome["ended"] = "memory"
        if "infrastructure" in outcome:
            raise WorkerError(str(outcome["infrastructure"])[:500])
        return outcome

    def stop(self) -> None:
        """Stops the process and everything in its sandbox."""
        if self.process is not None:
            self.sock.close()
            # A mechanism without a process namespace needs a moment to find what is to be ended.
            self.process.terminate()
            try:
                self.process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.process = None
        self._resources.close()
        self.cgroup = None

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        self._send_bytes(_HEADER.pack(len(data)) + data)

    def _send_bytes(self, data: bytes) -> None:
        try:
            self.sock.settimeout(_GRACE)
            self.sock.sendall(data)
        except OSError as error:
            raise self._failure(str(error)) from error

    def _receive(self, deadline: float) -> dict[str, Any]:
        (size,) = _HEADER.unpack(self._read(_HEADER.size, deadline))
        if size > _MAX_OUTCOME:
            raise self._failure("the sandboxed process sent too much data")
        message = json.loads(self._read(size, deadline))
        if not isinstance(message, dict):
            raise self._failure("the sandboxed process sent an invalid message")
        return message

    def _read(self, size: int, deadline: float) -> bytes:
        parts = []
        while size:
            self.sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                part = self.sock.recv(min(size, 1 << 20))
            except TimeoutError:
                raise self._failure("the sandboxed process did not answer in time") from None
            if not part:
                raise self._failure("the sandboxed process has ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _failure(self, what: str) -> WorkerError:
        """Returns an error that ends with the last output of the process."""
        said = ""
        with contextlib.suppress(ValueError):  # another thread has stopped this process, which closes its log
            self.log.seek(0)
            said = self.log.read(2000).decode("utf-8", "replace").strip()
        return WorkerError(f"{what}: {said}" if said else what)
