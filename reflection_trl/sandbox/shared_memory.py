"""Removes System V objects that sandlock leaves behind: it keeps two segments and semaphore sets for each user that runs it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
from collections.abc import Collection, Iterator
from pathlib import Path


_KEYS = 0x534C0000, 0xFFFF0000  # "SL": the beginning of the key of sandlock's first segment, and the bits that hold it
_IPC_RMID = 0
_ID = {"shm": "shmid", "sem": "semid", "msg": "msqid"}


def remove_shared_memory(users: Collection[int]) -> None:
    """
    Removes sandlock's objects of users that exist for sandboxes alone, as soon as no process of such a user is left. Only root can have
    such users; an ordinary user has one set of objects for all runs, which sandlock uses again.

    Args:
        users (`Collection[int]`):
            Ids of users.
    """
    if os.geteuid() != 0:
        return
    objects = [(kind, row) for kind in _ID for row in _rows(kind)]
    owners = {row["uid"] for kind, row in objects if kind == "shm" and row["key"] & _KEYS[1] == _KEYS[0]}
    owners &= set(users)
    owners -= {row["uid"] for _, row in objects if row.get("nattch")}
    owners = {uid for uid in owners if not _has_name(uid)}
    if owners:
        owners -= _running()
    libc = ctypes.CDLL(None)
    for kind, row in objects:
        if row["uid"] in owners:
            number, command = row[_ID[kind]], (0, _IPC_RMID, 0) if kind == "sem" else (_IPC_RMID, None)
            getattr(libc, f"{kind}ctl")(number, *command)


def _rows(kind: str) -> Iterator[dict[str, int]]:
    with contextlib.suppress(OSError):
        head, *rows = Path("/proc/sysvipc", kind).read_text().splitlines()
        names = head.split()
        for row in rows:
            fields = dict(zip(names, row.split(), strict=False))
            del fields["perms"]  # octal
            yield {name: int(value) for name, value in fields.items()}


def _running() -> set[int]:
    """Returns the users that have a process."""
    found: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            line = next(line for line in status.read_text().splitlines() if line.startswith("Uid:"))
            found.update(map(int, line.split()[1:]))
    return found


def _has_name(uid: int) -> bool:
    with contextlib.suppress(KeyError):
        pwd.getpwuid(uid)
        return True
    return False
