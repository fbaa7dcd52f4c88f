"""
Runs processes that compare expressions. Their CPU time and memory are limited, so that no expression can stop a run.

math-verify's own limits are alarms, which do not interrupt a computation in C (`9**9**9`) and work only in the main
thread. Here the kernel ends the process when it has used its CPU time. Waiting for a core does not count. The next
comparison starts another process.
"""

import atexit
import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ..files.processes import cores_per_process


_WORKER = Path(__file__).parent / "worker.py"
CPU_SECONDS = 5.0  # per comparison
MEMORY = 2 << 30  # bytes of address space, of which Python and SymPy use about 0.3 GB
_WALL_SECONDS = 120.0  # for a process that sleeps, or waits for a core


class CheckerUnavailableError(RuntimeError):
    """Raised when answers cannot be compared on this machine. The message gives the fix."""


class CheckerTimeoutError(Exception):
    """Raised when a comparison took longer than its limit, or crashed its process."""


def require_math_verify() -> None:
    """
    Checks that math-verify is installed, without importing it.

    Raises:
        [`CheckerUnavailableError`]: If it is not.
    """
    if importlib.util.find_spec("math_verify") is None:
        raise CheckerUnavailableError(
            "Mathematical answers are compared by math-verify, which is not installed: run `pip install math-verify`."
        )


class CheckerProcesses:
    """
    Manages a pool of processes for comparisons, each started when it is first needed. Thread-safe.

    Args:
        workers (`int`, *optional*):
            Number of concurrent comparisons. Defaults to the CPU cores of this machine, divided among the processes of
            a distributed run.
        cpu_seconds (`float`, *optional*, defaults to `5.0`):
            CPU time of one comparison.

    Raises:
        ValueError: If `workers` or `cpu_seconds` is not positive.
    """

    def __init__(self, workers: int | None = None, cpu_seconds: float = CPU_SECONDS):
        if workers is None:
            workers = cores_per_process()
        if workers < 1 or cpu_seconds <= 0:
            raise ValueError(f"`workers` and `cpu_seconds` must be positive, got {workers} and {cpu_seconds}.")
        self.cpu_seconds = cpu_seconds
        self._idle: queue.LifoQueue[subprocess.Popen[str] | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._all: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> str:
        """
        Makes one comparison.

        Args:
            request (`dict`):
                With `kind` (`"math"` or `"regex"`), `answer` and `expected`.

        Returns:
            `str`: `"right"`, `"wrong"`, `"unreadable"` or `"memory"`.

        Raises:
            [`CheckerTimeoutError`]: If it uses up its processor time, or ends the process.
            [`CheckerUnavailableError`]: If the process cannot be started.
        """
        process = self._idle.get()
        try:
            if process is None:
                process = self._start()
            try:
                reply = _exchange(process, json.dumps({**request, "cpu_seconds": self.cpu_seconds}))
            except CheckerTimeoutError:
                self._end(process)
                process = None
                raise
            return reply
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """Ends all processes. The next comparison starts a new one."""
        for process in list(self._all):
            self._end(process)

    def _start(self) -> "subprocess.Popen[str]":
        # Runs a file with -P instead of a module, so neither this package nor files beside it are imported
        command = [sys.executable, "-P", "-B", str(_WORKER), str(MEMORY)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                errors="surrogatepass",
                env=environment,
            )
        except OSError as error:
            raise CheckerUnavailableError(f"The process that compares answers cannot be started: {error}.") from error
        with self._lock:
            self._all.add(process)
        try:
            ready = _exchange(process, "", wall=600.0)
        except CheckerTimeoutError as error:
            self._end(process)
            raise CheckerUnavailableError(
                "The process that compares answers ended while it started: try `python -c 'import math_verify'`."
            ) from error
        if ready != "ready":
            self._end(process)
            raise CheckerUnavailableError(f"The process that compares answers cannot be used: {ready}.")
        return process

    def _end(self, process: "subprocess.Popen[str]") -> None:
        with self._lock:
            self._all.discard(process)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # unwritten data for a process that has ended
                    continue


def _exchange(process: "subprocess.Popen[str]", request: str, wall: float = _WALL_SECONDS) -> str:
    assert process.stdin is not None and process.stdout is not None
    timer = threading.Timer(wall, process.kill)
    timer.start()
    try:
        process.stdin.write(request + "\n")
        process.stdin.flush()
        reply = process.stdout.readline()
    except (BrokenPipeError, OSError):
        reply = ""
    finally:
        timer.cancel()
    if not reply.endswith("\n"):
        code = process.wait()
        ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise CheckerTimeoutError(f"The process that compares answers ended: {ended}.")
    return reply.strip()


_shared: CheckerProcesses | None = None
_owner = 0
_opening = threading.Lock()


def shared_processes() -> CheckerProcesses:
    """Returns the pool of this process, which ends with it."""
    global _shared, _owner
    with _opening:
        if _shared is None or _owner != os.getpid():  # a forked process must not share the pipes of its parent
            _shared, _owner = CheckerProcesses(), os.getpid()
            atexit.register(_shared.close)
        return _shared
