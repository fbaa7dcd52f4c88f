"""
Limits memory and processes of a whole sandbox, and gives it a fair share of the CPU cores, if the kernel allows it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from pathlib import Path


_PREFIX = "reflection_trl"
_EVENTS = ("memory.events", "memory.oom_control")
_counter = itertools.count()


class Cgroup:
    """
    Manages a control group below our own (version 1 or 2), for one worker. Resource limits apply to each process. A
    cgroup limits all of them together, including `tmpfs` and kernel memory. Groups get equal shares of busy cores,
    however many processes each of them has.

    Args:
        directories (`list[Path]`):
            One directory in version 2, one per controller in version 1.
    """

    def __init__(self, directories: list[Path]):
        self.directories = directories
        self._limits: tuple[int, int, int] | None = None  # in force
        self._events: Path | None = None  # the file that counts kills

    @classmethod
    def create(cls) -> Cgroup | None:
        """Creates a new group, or returns `None` if that is not allowed. Only resource limits apply then."""
        parents = _parents()
        name = f"{_PREFIX}-{os.getpid()}-{next(_counter)}"
        group = cls([])
        try:
            for parent in parents:
                _sweep(parent)
                (parent / name).mkdir()
                group.directories.append(parent / name)
            group.limit(memory=1 << 30, processes=64)
        except OSError:
            group.remove()
            return None
        return group if group.directories else None

    def limit(self, memory: int, processes: int, share: int = 1) -> None:
        """
        Sets the limits.

        Args:
            memory (`int`):
                Bytes.
            processes (`int`):
                Maximum number.
            share (`int`, *optional*, defaults to `1`):
                Share of busy cores, as a multiple of that of another group.
        """
        limits, self._limits = self._limits, None
        if limits != (memory, processes, share):
            self._set_limits(memory, processes, share)
        self._limits = memory, processes, share

    def _set_limits(self, memory: int, processes: int, share: int) -> None:
        for directory in self.directories:
            for name, one in (("cpu.shares", 1024), ("cpu.weight", 100)):
                if (directory / name).exists():
                    (directory / name).write_text(str(min(one * share, 10_000)))
            if (directory / "memory.limit_in_bytes").exists():
                (directory / "memory.limit_in_bytes").write_text(str(memory))
            if (directory / "memory.max").exists():
                (directory / "memory.max").write_text(str(memory))
                if (directory / "memory.swap.max").exists():
                    (directory / "memory.swap.max").write_text("0")
            if (directory / "pids.max").exists():
                (directory / "pids.max").write_text(str(processes))

    def kills(self) -> int:
        """Returns the number of processes of the group that the kernel has killed for lack of memory."""
        if self._events is None:
            files = (directory / name for directory in self.directories for name in _EVENTS)
            self._events = next((file for file in files if file.exists()), None)
        if self._events is None:
            return 0
        try:
            text = self._events.read_text()
        except FileNotFoundError:  # the group was removed
            return 0
        fields = dict(line.split() for line in text.splitlines())
        return int(fields.get("oom_kill", 0))

    def remove(self) -> None:
        """Removes the group; its processes must have ended."""
        for directory in self.directories:
            for _ in range(50):
                try:
                    directory.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)  # the last process has not ended completely
        self.directories = []


def _parents() -> list[Path]:
    """Returns the directories in which we can create a group: those of our own groups."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path
    mounts: dict[str, tuple[str, str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        root, point = left.split()[3:5]
        if kind == "cgroup":
            for controller in options.split(","):
                mounts.setdefault(controller, (root, point))
        elif kind == "cgroup2":
            mounts.setdefault("", (root, point))

    def directory(controller: str) -> Path | None:
        if controller not in own or controller not in mounts:
            return None
        root, point = mounts[controller]
        path = own[controller]
        if root != "/" and path.startswith(root):
            path = path[len(root) :]
        return Path(point) / path.lstrip("/")

    version1 = [path for path in (directory("memory"), directory("pids")) if path is not None]
    if len(version1) == 2:
        processors = directory("cpu")
        if processors is not None and os.access(processors, os.W_OK):
            version1.append(processors)
        return list(dict.fromkeys(version1))
    unified = directory("")
    if unified is None:
        return []
    try:
        # Version 2 passes controllers on only from a group without processes, and ours has some unless it is the root
        control = unified / "cgroup.subtree_control"
        handed = set(control.read_text().split())
        if not {"memory", "pids"} <= handed:
            control.write_text("+memory +pids")
        if "cpu" not in handed:
            with contextlib.suppress(OSError):
                control.write_text("+cpu")
    except OSError:
        return []
    return [unified]


def _sweep(parent: Path) -> None:
    """Removes groups of ours whose process was killed before it could do so."""
    for directory in parent.glob(f"{_PREFIX}-*-*"):
        if not Path("/proc", directory.name.split("-")[-2]).exists():
            try:
                directory.rmdir()
            except OSError:
                continue
