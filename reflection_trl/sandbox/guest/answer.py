"""
Runs answers in separate processes, which the judging process calls over a socket, or whose outputs it compares as data.

This is a new interpreter, so its memory contains nothing of the judge. No answer runs in it: each answer runs in a
fork, in separate namespaces, which ends before the next answer starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import os
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Iterator

# By name, since an answer may replace them in their modules
from resource import RLIM_INFINITY, RLIMIT_CPU, getrlimit, setrlimit
from time import process_time
from typing import Any, NoReturn

from . import digests, errors, job, remote, zygote
from .program import leave, run_program
from .time_limit import TimeLimit


# Errors that an answer raises wherever it runs. Others, such as those of files or recursion, may depend on the place
_CERTAIN = frozenset(
    [
        AssertionError, AttributeError, ImportError, IndexError, KeyError, ModuleNotFoundError, NameError, OverflowError, TypeError,
        UnboundLocalError, ValueError, ZeroDivisionError,
    ]
)  # fmt: skip
# Frames of ours below an answer that is called, and those of `evalplus.evaluate` less ours when outputs are compared
_OWN_DEPTH, _DEPTH_OF_EVALPLUS = 100, 24
_PR_SET_DUMPABLE = 4
# CPU seconds for packing an output: so many, and a multiple of those that the answer has spent. Right answers to `Mbpp/255`
# compute for 2 seconds, and their 700 MB are packed in 6
_PACKING_SECONDS, _PACKING_FACTOR = 2, 10


def main(settings: dict[str, Any]) -> None:
    """
    Starts answers on request, over descriptor 3: `s` with a socket for each process, then `e` to end them.

    Args:
        settings (`dict`):
            `filter` (the seccomp program; empty for no isolation at all), `apart` (further arguments of [`job.fork_apart`]), `memory`
            (bytes of address space), `longest_message` (bytes) and `harness` (the module of evalplus whose `swallow_io` and
            `reliability_guard` surround an answer there).
    """
    control = socket.socket(fileno=3)
    remote.MAX_MESSAGE = settings["longest_message"]
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(2):
        os.dup2(null, descriptor)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    for name in zygote.PRELOADED:
        importlib.import_module(name)
    harness = importlib.import_module(settings["harness"])
    gc.collect()
    gc.freeze()
    while True:
        request, sockets, _, _ = socket.recv_fds(control, 1, 2)
        if not request:
            return
        filter, limits = settings["filter"], settings["apart"]
        if (child := job.fork_apart(proc, filter, **limits) if filter else os.fork()) == 0:
            os.dup2(null, 2)  # the error above reports the cause to the judge
            _become_init(sockets, settings["memory"], harness)
        for descriptor in sockets:
            os.close(descriptor)
        ended = not control.recv(1)
        os.kill(child, signal.SIGKILL)  # also ends every process in its namespaces
        os.waitpid(child, 0)
        if ended:
            return
        control.sendall(b"e")


def _become_init(sockets: list[int], memory: int, harness: Any) -> NoReturn:
    """Runs process 1 of the namespaces: starts a process per socket, whose first message is the answer's source."""
    try:
        for descriptor in sockets:
            if os.fork() == 0:
                _become_answer(descriptor, memory, harness)
        os.closerange(3, 1 << 16)
        while True:
            os.wait()
    finally:
        os._exit(0)


def _become_answer(descriptor: int, memory: int, harness: Any) -> None:
    code = 1
    try:
        os.dup2(descriptor, 3)
        os.closerange(4, 1 << 16)
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        channel = remote.Channel(socket.socket(fileno=3), reads_ahead=True)
        request = channel.receive()
        if "name" in request:
            sys.setrecursionlimit(sys.getrecursionlimit() - _DEPTH_OF_EVALPLUS)
            calls = pickle.loads(channel.receive_bytes())  # from the judge, before the answer runs
            try:
                digests.send(_messages(request, calls, memory, harness), channel.sock)
            finally:
                os._exit(0)
        sys.setrecursionlimit(sys.getrecursionlimit() + _OWN_DEPTH)
        code = run_program(request["source"], channel, checked=True)
    finally:
        leave(code)


def _messages(
    request: dict[str, Any], calls: list[tuple[list[Any], float]], memory: int, harness: Any
) -> Iterator[bytes]:
    """
    Yields a message with the output of each call of an answer's function, which runs as in evalplus, or with what ended
    it. A call is its arguments and its time limit in seconds.
    """
    harness.reliability_guard(memory)
    names: dict[str, Any] = {}
    try:
        # Without the `__future__` imports of this file
        code = compile(request["source"], "main.py", "exec", dont_inherit=True)
    except BaseException as error:
        certain = isinstance(error, SyntaxError)
        yield from _error(error, digests.Error(ran=False, in_call=False, certain=certain), request["source"])
        return
    try:
        with harness.swallow_io():
            exec(code, names)
        if request["name"] not in names:
            raise NameError(f"name {request['name']!r} is not defined")
    except BaseException as error:
        found = digests.Error(ran=True, in_call=False, certain=_is_certain(error))
        yield from _error(error, found, request["source"])
        return
    function = names[request["name"]]
    for arguments, seconds in calls:
        limit = TimeLimit(seconds)
        try:
            with limit, harness.swallow_io():  # an answer may return what it has printed in this call
                output = function(*arguments)
        except BaseException as error:
            if limit.exceeded:
                yield digests.message(digests.LATE if limit.worked else digests.WAITED)
            else:
                found = digests.Error(ran=True, in_call=True, certain=_is_certain(error))
                yield from _error(error, found, request["source"])
            return
        try:
            with _limited_packing():
                sent = digests.message_of(output)
        except ValueError:  # evalplus may accept it
            found = digests.Error(ran=True, in_call=True, certain=False)
            yield from digests.error_messages(found, functools.partial(errors.describe_output, output))
            return
        yield sent


@contextlib.contextmanager
def _limited_packing() -> Iterator[None]:
    """
    Ends this process if the block takes too long. `marshal` takes twice as long with each level of sets in sets, and handles no
    signals.
    """
    limit, maximum = getrlimit(RLIMIT_CPU)
    seconds = _PACKING_SECONDS + int(_PACKING_FACTOR * process_time())
    setrlimit(RLIMIT_CPU, (seconds if maximum == RLIM_INFINITY else min(seconds, maximum), maximum))
    try:
        yield
    finally:
        setrlimit(RLIMIT_CPU, (limit, maximum))


def _is_certain(error: BaseException) -> bool:
    """Returns whether an answer that raises an error here raises it in any process."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    # A call with wrong arguments is an error of this file. Libraries, and what surrounds a call, differ between processes
    certain = trace is None or trace.tb_frame.f_code.co_filename in ("main.py", __file__)
    return type(error) in _CERTAIN and certain


def _error(error: BaseException, found: digests.Error, source: str) -> Iterator[bytes]:
    """Yields the messages about an error of an answer."""
    errors.register_source("main.py", source)
    trace = errors.own_traceback(error.__traceback__)
    yield from digests.error_messages(found, functools.partial(errors.describe, error, trace))
