"""Attacks each kind of sandbox when a process first opens one: a mechanism that fails is not used."""

from __future__ import annotations

import os
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..scratch import ScratchFolder
from .verdict import CommandProgram, Limits, Program, PythonProgram, SandboxUnavailableError, Status, Verdict


_LIMITS = Limits(timeout=20.0, memory=256 << 20, processes=32, disk=16 << 20, output=64 << 10)

_CONNECT = """
import socket
for family, kind, address in {targets!r}:
    try:
        with socket.socket(family, kind) as s:
            s.settimeout(2)
            s.connect(address)
            s.send(b"escaped")
    except OSError:
        pass
"""
_WRITE = """
import os
for path in {paths!r}:
    try:
        open(path, "w").write("escaped")
    except OSError:
        pass
"""
_READ = """
for path in {paths!r}:
    try:
        print(open(path, errors="replace").read())
    except OSError:
        pass
"""
_ENVIRONMENT = """
import glob, os
print(dict(os.environ))
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        print(open(path, errors="replace").read())
    except OSError:
        pass
"""
_BOMB = """
import os, time
children = 0
try:
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        children += 1
except OSError:
    pass
print("children", children)
"""
_DAEMON = """
import os, sys
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.chdir("/")
    if os.fork() == 0:
        os.execv(sys.executable, [{mark!r}, "-c", "import time; time.sleep(60)"])
    os._exit(0)
os.close(writer)
os.read(reader, 1)  # returns when the daemon has got its name
"""
_MEMORY = "blocks = []\nfor _ in range(64):\n    blocks.append(b'x' * (16 << 20))\nprint('escaped')"
_DISK = """
with open("big", "wb") as file:
    for _ in range(64):
        file.write(bytes(1 << 20))
        file.flush()
print("escaped")
"""
_EXIT = "import os\nos._exit(0)"


class Runner(Protocol):
    """Runs programs and returns their verdicts, as an open [`Sandbox`] does."""

    def run(self, program: Program) -> Verdict: ...

    def run_many(self, programs: Iterable[Program]) -> list[Verdict]: ...


@dataclass
class _Attack:
    """Describes an attack, and how to detect that it succeeded."""

    what: str
    program: PythonProgram | CommandProgram
    succeeded: Callable[[Verdict], bool]


def attack(sandbox: Runner) -> None:
    """
    Attacks `sandbox` in every known way.

    Raises:
        [`SandboxUnavailableError`]: When an attack gets through, or when a harmless program does not run.
    """
    verdict = sandbox.run(PythonProgram("def f(x): return x + 1", checks="assert f(1) == 2", limits=_LIMITS))
    if not verdict.passed:
        raise SandboxUnavailableError(
            f"it does not run a harmless program ({verdict.reason or verdict.stderr.strip()})"
        )
    token = secrets.token_hex(8)
    with ScratchFolder(prefix="reflection_trl_probe-") as directory, _Listeners(token) as listeners:
        os.chmod(directory, 0o777)  # no more protected than the sandbox makes it
        secret = Path(directory, "secret")
        secret.write_text(token)
        secret.chmod(0o644)
        written = [os.path.join(directory, "written"), f"/var/tmp/{token}", f"/usr/{token}", f"/dev/shm/{token}"]
        os.environ["REFLECTION_TRL_PROBE"] = token
        try:
            attacks = _attacks(token, listeners, str(secret), written)
            verdicts = sandbox.run_many(item.program for item in attacks)
            through = [item.what for item, verdict in zip(attacks, verdicts, strict=True) if item.succeeded(verdict)]
            broken = [verdict.reason for verdict in verdicts if verdict.status is Status.INFRASTRUCTURE]
        finally:
            del os.environ["REFLECTION_TRL_PROBE"]
            for path in written:
                Path(path).unlink(missing_ok=True)
    if through:
        raise SandboxUnavailableError(f"a program escaped from it ({', '.join(through)})")
    if broken:
        raise SandboxUnavailableError(f"it fails under attack ({broken[0]})")


def _attacks(token: str, listeners: _Listeners, secret: str, written: list[str]) -> list[_Attack]:
    readable = [secret, "/etc/shadow", "/proc/1/environ", os.path.expanduser("~/.netrc")]

    def python(source: str, **kwargs: Any) -> PythonProgram:
        return PythonProgram(source, limits=_LIMITS, **kwargs)

    return [
        _Attack("network", python(_CONNECT.format(targets=listeners.targets)), lambda _: listeners.reached()),
        _Attack("host write", python(_WRITE.format(paths=written)), lambda _: any(map(os.path.exists, written))),
        _Attack("host read", python(_READ.format(paths=readable)), lambda v: token in v.stdout or "root:" in v.stdout),
        _Attack("environment", python(_ENVIRONMENT), lambda v: token in v.stdout),
        _Attack("fork bomb", python(_BOMB), lambda v: "children 200" in v.stdout),
        _Attack("daemon", python(_DAEMON.format(mark=token)), lambda _: _running(token)),
        _Attack("memory", python(_MEMORY), lambda v: "escaped" in v.stdout),
        _Attack("disk", python(_DISK), lambda v: "escaped" in v.stdout),
        _Attack("early exit", python(_EXIT, checks="assert False"), lambda v: v.passed),
        _Attack(
            "command",
            CommandProgram(
                ["sh", "-c", f"cat {secret} /etc/shadow; echo escaped > {written[0]}; env"], limits=_LIMITS
            ),
            lambda v: token in v.stdout or "root:" in v.stdout or os.path.exists(written[0]),
        ),
    ]


def _running(mark: str) -> bool:
    """Returns whether a process of that name is left. A dying one gets a moment."""
    for _ in range(20):
        if not any(_name(path).startswith(mark.encode()) for path in Path("/proc").glob("[0-9]*/cmdline")):
            return False
        time.sleep(0.05)
    return True


def _name(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


class _Listeners:
    """Opens servers of the host that no program may reach: TCP, UDP and an abstract Unix socket."""

    def __init__(self, token: str):
        self._sockets = [
            socket.socket(socket.AF_INET, socket.SOCK_STREAM),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        ]
        for listener in self._sockets[:2]:
            listener.bind(("127.0.0.1", 0))
        self._sockets[2].bind(f"\0{token}")
        self.targets = [(int(s.family), int(s.type), s.getsockname()) for s in self._sockets]

    def __enter__(self) -> _Listeners:
        for listener in self._sockets:
            if listener.type == socket.SOCK_STREAM:
                listener.listen()
        return self

    def __exit__(self, *error: object) -> None:
        for listener in self._sockets:
            listener.close()

    def reached(self) -> bool:
        """Returns whether a connection or a message waits: the kernel keeps both, even if their sender has ended."""
        ready, _, _ = select.select(self._sockets, [], [], 0)
        return bool(ready)
