"""Hands out the tasks of a run one at a time, so that the processes that share its folder end together.

Each process writes the tasks that it takes and finishes to a file of its own, `queue/00003.jsonl`, under one lock for all. A task is
taken as long as the process that took it holds its lock on the folder, so the tasks of a process that was killed are handed out again.
"""

import asyncio
import contextlib
import fcntl
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .run_folder import RunFolder


Key = tuple[str, int]
# Seconds after which another process may have finished something
_POLL_SECONDS = 0.5


class WorkQueue:
    """
    Distributes the remaining tasks of a run among the processes that share them.

    A process holds at most its share of all unfinished tasks at a time, so that the first one to start does not take the last tasks
    while others wait.

    Args:
        keys (`Sequence[tuple[str, int]]`):
            Tasks that have to be done, in the order in which they are handed out.
        folder ([`~reflection_trl.files.run_folder.RunFolder`], *optional*):
            Folder of the run, by which the processes share the tasks. Only needed for several processes.
        processes (`int`, *optional*, defaults to `1`):
            Number of processes.
        ready (`Callable`, *optional*):
            Tells whether a task can begin. One that cannot is passed over until it can.
        learn (`Callable`, *optional*):
            Called with a task that another process has finished, and its result.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        folder: RunFolder | None = None,
        processes: int = 1,
        ready: Callable[[Key], bool] = lambda key: True,
        learn: Callable[[Key, Any], None] = lambda key, result: None,
    ):
        self._keys = list(keys)
        self._unclaimed = OrderedDict.fromkeys(self._keys)
        self._unfinished = set(self._keys)
        self._held: set[Key] = set()
        self._processes = processes
        self._ready, self._learn = ready, learn
        self._changed = asyncio.Event()
        self._others = _Others(folder) if folder is not None and processes > 1 else None

    async def take(self) -> Key | None:
        """
        Returns the next task once there is one that can begin; `None` where this process has nothing more to do, or enough.

        Raises:
            [`RunError`]: If the folder cannot be written.
        """
        while True:
            with self._locked():
                self._read_others()
                if len(self._held) >= -(-len(self._unfinished) // self._processes):
                    return None
                if (key := self._next()) is not None:
                    self._claim(key)
                    return key
                if not self._unclaimed:
                    return None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _POLL_SECONDS)

    def finish(self, key: Key, result: Any = None) -> None:
        """
        Marks a task as done, in this session.

        Args:
            key (`tuple[str, int]`):
                The task.
            result (*optional*):
                Argument for `learn` of the other processes, as JSON.
        """
        if self._others is not None:
            self._others.write({"done": key, "result": result})
        self._held.discard(key)
        self._unfinished.discard(key)
        self._changed.set()
        self._changed = asyncio.Event()

    def is_empty(self) -> bool:
        """Returns whether no task is left that no process works on."""
        with self._locked():
            self._read_others()
            self._next()
        return not self._unclaimed

    def is_done(self) -> bool:
        """Returns whether all tasks are finished."""
        with self._locked():
            self._read_others()
        return not self._unfinished

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return self._others.locked() if self._others else contextlib.nullcontext()

    def _next(self) -> Key | None:
        """
        Returns the first task that can begin, those of processes that have ended without finishing them among them.
        """
        key = next(filter(self._ready, self._unclaimed), None)
        if key is None and self._others is not None:
            self._put_back(self._others.abandoned())
            key = next(filter(self._ready, self._unclaimed), None)
        return key

    def _claim(self, key: Key) -> None:
        if self._others is not None:
            self._others.write({"claim": key})
        del self._unclaimed[key]
        self._held.add(key)

    def _read_others(self) -> None:
        returned: set[Key] = set()
        for what, key, result in self._others.read() if self._others else ():
            if what == "back":
                returned.add(key)
                continue
            self._unclaimed.pop(key, None)
            returned.discard(key)
            if what == "done":
                self._unfinished.discard(key)
                self._learn(key, result)
        self._put_back(returned)

    def _put_back(self, keys: set[Key]) -> None:
        if keys := keys & self._unfinished:
            self._unclaimed = OrderedDict.fromkeys(key for key in self._keys if key in keys or key in self._unclaimed)


class _Others:
    """
    Reads which tasks the processes of a run have claimed and finished, from the files of its folder.

    Args:
        folder ([`~reflection_trl.files.run_folder.RunFolder`]):
            Locked by this process.
    """

    def __init__(self, folder: RunFolder):
        self._folder = folder
        self._path = folder.queue_file.parent
        self._read: dict[Path, int] = {}
        self._claims: dict[int, set[Key]] = {}
        self.write({"begin": time.time()})
        for path in self._files():
            # Claims of earlier sessions do not count: their tasks are open again. Active processes have written "begin"
            text = path.read_bytes() if folder.is_locked(int(path.stem)) else b""
            self._read[path] = max(text.rfind(b'{"begin"'), 0) if text else path.stat().st_size

    def _files(self) -> list[Path]:
        return sorted(path for path in self._path.glob("*.jsonl") if path != self._folder.queue_file)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        with open(self._path / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def abandoned(self) -> set[Key]:
        """Returns, once, the tasks of processes that ended without finishing them."""
        found: set[Key] = set()
        for process, keys in self._claims.items():
            if keys and not self._folder.is_locked(process):
                found |= keys
                keys.clear()
        return found

    def write(self, line: dict[str, Any]) -> None:
        self._folder.write_to_queue(line)

    def read(self) -> Iterator[tuple[str, Key, Any]]:
        """Yields the entries of other processes since the last call: `"claim"`, `"done"` or `"back"`, a task, and a result."""
        for path in self._files():
            with open(path, "rb") as file:
                file.seek(self._read.get(path, 0))
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            claims = self._claims.setdefault(int(path.stem), set())
            for line in filter(None, whole.split(b"\n")):
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # written by a process that was killed
                if "begin" in record:  # the process was started again
                    yield from (("back", key, None) for key in claims)
                    claims.clear()
                elif "claim" in record:
                    claims.add(key := _key(record["claim"]))
                    yield "claim", key, None
                else:
                    claims.discard(key := _key(record["done"]))
                    yield "done", key, record["result"]


def _key(data: list[Any]) -> Key:
    name, number = data
    return name, number
