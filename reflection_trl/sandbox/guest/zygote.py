"""
Implements the entry into the sandbox.

A zygote starts once, with the modules that programs import most, and each job is a fork of it in separate namespaces,
which costs a fraction of a new interpreter in a new sandbox. In `single` mode the process runs one job and ends.
"""

from __future__ import annotations

import base64
import gc
import importlib
import os
import signal
import socket
import sys

from . import job, remote
from .warmup import warm_up


# The job, its checks, and the destinations of its two outputs and its report
FILES = 5
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
    """Reads the settings, the first message on standard input (a socket), and then jobs."""
    # Contains no directory that a job can write to, so that the checks cannot import files of the program.
    sys.path[:] = [path for path in sys.path if path]
    channel = remote.Channel(socket.socket(fileno=os.dup(0)))
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    settings = channel.receive()
    settings["filter"] = base64.b64decode(settings["filter"])
    if sys.argv[1] == "zygote":
        for name in PRELOADED:
            importlib.import_module(name)
        warm_up()
        gc.collect()
        gc.freeze()
    # `/proc` of the whole sandbox, where a warden finds its own uid_map. The job's own `/proc` hides it.
    proc = None
    if settings["namespaces"]:
        proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    else:
        # Here the program runs beside this process, and must not read it.
        job.hide(settings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel.send({"ready": True})
    while True:
        try:
            request = channel.receive()
            _, descriptors, _, _ = socket.recv_fds(channel.sock, 1, FILES + 2)
        except (remote.Disconnected, ValueError):
            return
        try:
            outcome = job.watch(request, settings, descriptors[:FILES], proc, descriptors[FILES:])
        except OSError as error:
            outcome = {"infrastructure": f"{type(error).__name__}: {error}"}
        channel.send(outcome)
        if sys.argv[1] != "zygote":
            return


if __name__ == "__main__":
    main()
