"""Selects the isolation mechanism."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from ..scratch import ScratchFolder
from .bubblewrap import Bubblewrap
from .interpreter import Interpreter
from .landlock import Landlock
from .verdict import SandboxError


class Mechanism(Protocol):
    """
    Defines how a process is isolated.

    Attributes:
        name (`str`):
            Its name.
        python (`str`):
            The interpreter that programs run on.
        fork_server (`bool`):
            Whether jobs can be forks of one process, each in separate namespaces.
        own_user (`bool`):
            Whether the kernel counts a job's processes separately from those of the user.
        covered (`list[str]`):
            Read-only directories at places where each job gets a new file system.
        proc (`bool`):
            Whether jobs can read `/proc`, so that the judging processes must hide there.
    """

    name: str
    python: str
    fork_server: bool
    own_user: bool
    proc: bool
    covered: list[str]

    def command(
        self,
        argv: Sequence[str],
        *,
        workdir: str,
        memory: int,
        processes: int,
        disk: int,
        seccomp: int | None = None,
        nested: bool = False,
        cgroup: Sequence[str] = (),
    ) -> list[str]: ...

    def make_workdir(self) -> str: ...

    def remove_workdir(self, workdir: str) -> None: ...


class Unsandboxed:
    """Runs processes without isolation, on machines without any mechanism, at the user's own risk, and never for root."""

    name = "unsandboxed"
    fork_server = False
    own_user = False
    proc = True

    def __init__(self, interpreter: Interpreter):
        if os.geteuid() == 0:
            raise SandboxError("`unsandboxed=True` is refused for root: run as an ordinary user.")
        self.python = interpreter.path
        self.covered: list[str] = []
        self._folders: dict[str, ScratchFolder] = {}

    def command(self, argv: Sequence[str], **limits: Any) -> list[str]:
        return list(argv)

    def make_workdir(self) -> str:
        folder = ScratchFolder()
        self._folders[folder.path] = folder
        return folder.path

    def remove_workdir(self, workdir: str) -> None:
        self._folders.pop(workdir).remove()


def candidates(
    wanted: str | None, interpreter: Interpreter, readonly: Sequence[str]
) -> Iterator[tuple[str, Callable[[], Mechanism]]]:
    """Returns the mechanisms to try, best first: their names and constructors."""
    known: dict[str, Callable[[], Mechanism]] = {
        "bubblewrap": partial(Bubblewrap, interpreter, readonly),
        "landlock": partial(Landlock, interpreter, readonly),
    }
    if wanted is not None and wanted not in known:
        raise ValueError(f"`mechanism` must be one of {sorted(known)}, got {wanted!r}.")
    return ((name, make) for name, make in known.items() if wanted in (None, name))
