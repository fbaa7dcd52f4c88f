"""
Implements the entry into the sandbox.

A zygote starts once, with the modules that programs import most, and each job is a fork of it in separate namespaces,
which costs a fraction of a new interpreter in a new sandbox. In `single` mode the process runs one job and ends.
"""

from __future__ import annotations

import base64
import gc
import importlib
import io
import os
import signal
import socket
import sys
from typing import Any

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
    _open_outputs()
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


def _open_outputs() -> None:
    """
    Opens the two outputs as those of pipes, which the outputs of a program are. A stream asks once whether it can seek,
    and those of this process can: `sys.stdout.reconfigure` would seek in a pipe.
    """
    ends = os.pipe()
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        known, own = getattr(sys, name), os.dup(descriptor)
        os.dup2(ends[1], descriptor)
        raw = io.FileIO(descriptor, "w", closefd=False)
        raw.name = f"<{name}>"
        stream: Any = io.TextIOWrapper(
            io.BufferedWriter(raw), known.encoding, known.errors, newline="\n", line_buffering=known.line_buffering
        )
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
        os.dup2(own, descriptor)
        os.close(own)
    for end in ends:
        os.close(end)


if __name__ == "__main__":
    main()
