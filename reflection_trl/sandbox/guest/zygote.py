"""
The entry into the sandbox.

A zygote starts once, with the modules that programs import most, and each job is a fork of a fork of it, in namespaces of its own:
that costs a fraction of a new interpreter in a new sandbox. In `single` mode the process takes one job and ends.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
from typing import Any

from . import checks, job, program, remote  # noqa: F401  (loaded once, inherited by each fork)


PRELOADED = [
    "abc",
    "bisect",
    "collections",
    "copy",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "random",
    "re",
    "string",
    "time",
    "typing",
]


def main() -> None:
    """The settings arrive as the first message on standard input, a socket, and jobs after it."""
    # No directory that a job can write to: the checks must not import what the program has put there.
    sys.path[:] = [path for path in sys.path if path]
    channel = remote.Channel(socket.socket(fileno=os.dup(0)))
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    settings = channel.receive()
    if sys.argv[1] == "zygote":
        for name in PRELOADED:
            importlib.import_module(name)
        gc.collect()
        gc.freeze()
    # `/proc` of the whole sandbox: a warden finds its own uid_map there, and the job's own `/proc` hides it.
    proc = None
    if settings["namespaces"]:
        proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    else:
        # Here the program is this process's neighbor, and must not read it.
        job.hide(settings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel.send({"ready": True})
    if sys.argv[1] != "zygote":
        _serve(channel, settings, proc)
        return
    # A job's warden is a process of its own: what it has learned of an answer, and of what its checks expect, is in no
    # memory that later jobs are forked from
    while _is_waiting(channel.sock):
        warden = os.fork()
        if warden == 0:
            code = 1
            try:
                _serve(channel, settings, proc)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(warden, 0)
        if status != 0:
            return


def _is_waiting(sock: socket.socket) -> bool:
    """Waits for a job, and tells whether there is one."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def _serve(channel: remote.Channel, settings: dict[str, Any], proc: int | None) -> None:
    """Runs one job and sends its outcome."""
    try:
        request = channel.receive()
        _, (source, *channel_ends), _, _ = socket.recv_fds(channel.sock, 1, 3)
    except (remote.Disconnected, ValueError):
        return
    try:
        outcome = job.watch(request, settings, source, proc, channel_ends)
    except OSError as error:
        outcome = {"infrastructure": f"{type(error).__name__}: {error}"}
    channel.send(outcome)


if __name__ == "__main__":
    main()
