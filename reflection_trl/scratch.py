"""Creates temporary folders. The next process that creates one removes the folders of killed processes."""

import contextlib
import fcntl
import functools
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


_YOUNG_SECONDS = 60.0


class ScratchFolder:
    """
    Creates a temporary folder and removes it; use it as a context manager. A lock on the folder shows whether its process still
    runs. A process id would not, because it may be reused or belong to another container.

    Args:
        directory (`str`, *optional*):
            Parent folder; the system's folder for temporary files by default.
        prefix (`str`, *optional*, defaults to `"reflection_trl-"`):
            Prefix of its name.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, prefix: str = "reflection_trl-"):
        place = os.fspath(directory or tempfile.gettempdir())
        # Locks of another host cannot be seen in a directory that hosts share
        prefix = f"{prefix}{re.sub(r'[^A-Za-z0-9]', '_', platform.node())}-"
        remove_abandoned(place, prefix)
        while True:
            self.path = tempfile.mkdtemp(dir=place, prefix=prefix)
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            # Where locks are not supported, nobody removes the folder of another process either
            with contextlib.suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.exists(self.path):
                return
            os.close(self._lock)

    def remove(self) -> None:
        """Removes the folder and all that is in it."""
        if self._lock >= 0:
            _remove(self.path)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> str:
        return self.path

    def __exit__(self, *error: object) -> None:
        self.remove()


@functools.cache
def remove_abandoned(directory: str, prefix: str) -> None:
    """
    Removes folders of this user and host whose process has ended, once in each process.

    Args:
        directory (`str`):
            Parent folder.
        prefix (`str`):
            Prefix of their names.
    """
    for folder in _candidates(directory, prefix):
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its process lives
                _remove(folder)
            finally:
                os.close(lock)


def _candidates(directory: str, prefix: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            if not entry.name.startswith(prefix):
                continue
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                # Between the making of a folder and its lock there is a moment
                old = time.time() - status.st_ctime > _YOUNG_SECONDS
                if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and old:
                    yield entry.path


def _remove(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.isdir(folder):  # a program has taken the rights to a directory in it from its owner
        for path, directories, _ in os.walk(folder):
            for directory in directories:
                inner = Path(path, directory)
                if not inner.is_symlink():
                    with contextlib.suppress(OSError):
                        inner.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
