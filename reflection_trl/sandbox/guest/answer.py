"""
Runs answers in separate processes, which the judging process calls over a socket.

This is a new interpreter, so its memory contains nothing of the judge. No answer runs in it: each answer runs in a
fork, in separate namespaces, which ends before the next answer starts.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import errors, job, remote, zygote  # noqa: F401  (`errors` is loaded once, inherited by each fork)
from .program import leave, run_program


# Calls of ours below the answer's. In strict mode there are at most as many left as below evalplus's own
_OWN_DEPTH, _STRICT_DEPTH = 100, -20
_PR_SET_DUMPABLE = 4


def main(settings: dict[str, Any]) -> None:
    """
    Starts answers on request, over descriptor 3: `s` with a socket for each process, then `e` to end them.

    Args:
        settings (`dict`):
            `filter` (the seccomp program; empty for no isolation at all), `apart` (further arguments of [`job.fork_apart`]), `memory`
            (bytes of address space), `longest_message` (bytes) and `guard` (module and name of a function that takes the memory, and is
            called before an answer that is run in strict mode).
    """
    control = socket.socket(fileno=3)
    remote.MAX_MESSAGE = settings["longest_message"]
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(2):
        os.dup2(null, descriptor)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    for name in zygote.PRELOADED:
        importlib.import_module(name)
    module, name = settings["guard"]
    guard = functools.partial(getattr(importlib.import_module(module), name), settings["memory"])
    gc.collect()
    gc.freeze()
    while True:
        request, sockets, _, _ = socket.recv_fds(control, 1, 2)
        if not request:
            return
        filter, limits = settings["filter"], settings["apart"]
        if (child := job.fork_apart(proc, filter, **limits) if filter else os.fork()) == 0:
            os.dup2(null, 2)  # the error above reports the cause to the judge
            _become_init(sockets, settings["memory"], guard)
        for descriptor in sockets:
            os.close(descriptor)
        ended = not control.recv(1)
        os.kill(child, signal.SIGKILL)  # also ends every process in its namespaces
        os.waitpid(child, 0)
        if ended:
            return
        control.sendall(b"e")


def _become_init(sockets: list[int], memory: int, guard: Callable[[], None]) -> NoReturn:
    """Runs process 1 of the namespaces: starts a process per socket, whose first message is the answer's source."""
    try:
        for descriptor in sockets:
            if os.fork() == 0:
                _become_answer(descriptor, memory, guard)
        os.closerange(3, 1 << 16)
        while True:
            os.wait()
    finally:
        os._exit(0)


def _become_answer(descriptor: int, memory: int, guard: Callable[[], None]) -> None:
    code = 1
    try:
        os.dup2(descriptor, 3)
        os.closerange(4, 1 << 16)
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        channel = remote.Channel(socket.socket(fileno=3), reads_ahead=True)
        request = channel.receive()
        strict = request["strict"]
        sys.setrecursionlimit(sys.getrecursionlimit() + (_STRICT_DEPTH if strict else _OWN_DEPTH))
        code = run_program(request["source"], channel, checked=True, confine=guard if strict else lambda: None)
    finally:
        leave(code)
