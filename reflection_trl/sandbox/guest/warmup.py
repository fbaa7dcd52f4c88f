"""
Runs a small program and its checks before the first job.

Python specializes its bytecode and fills its caches while code runs. Each job is a fork, so it would do that again, and
write to memory that the kernel must copy first.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import socket
import sys
from typing import Any

from . import errors
from .checks import run_checks
from .program import Program, own_modules
from .remote import Channel
from .usage import prepare


# Python specializes a function within this many calls
_ROUNDS = 16
_PROGRAM = "def f(x, y=1):\n    return x\nclass A:\n    pass\n"
_PASSING = """
assert f(1) == 1
assert f([1], "a") == [1] and f((1.5, None)) == (1.5, None), "message"
def check(f):
    assert f({1: "a"})
    assert not f(0)
check(f)
"""
_FAILING = "assert f([1]) == {2: 'b'}"


def warm_up() -> None:
    """Imports the modules that each job would import, and calls the functions that each job calls."""
    prepare()
    own_modules()
    main = sys.modules["__main__"]
    with contextlib.redirect_stderr(io.StringIO()):
        for _ in range(_ROUNDS):
            _run(_PASSING)
            _run(_FAILING)
    # Nothing of it is left that a job could take for its own
    errors.forget_values()
    sys.modules["__main__"] = main
    for name in ("main.py", "checks.py"):
        linecache.cache.pop(name, None)


def _run(checks: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        errors.register_source("main.py", _PROGRAM)
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(errors.compiled(_PROGRAM, "main.py"), namespace)
        program = Program(Channel(theirs, reads_ahead=True), namespace)
        run_checks(checks, _Line(ours, program), None)


class _Line(Channel):
    """
    Represents the checks' end of a connection to a program in the same process, which answers each message at once.

    Args:
        sock (`socket.socket`):
            Their socket.
        program (`Program`):
            The program's end.
    """

    def __init__(self, sock: socket.socket, program: Program):
        super().__init__(sock, reads_ahead=True)
        self._program = program

    def send_encoded(self, message: bytes) -> None:
        super().send_encoded(message)
        request = self._program.channel.receive()
        if "do" in request:
            self._program.answer(request)
            self._program.channel.send_encoded(b"")
        else:
            self._program.channel.send({"end": "program"})
