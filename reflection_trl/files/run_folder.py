"""Stores the state of a run on disk: append-only records, locks and results. A rerun of the same command resumes from it.

run.json                     settings of the run, which distinguish it from other runs
weights.json                 of a model in a folder: digest of its weights
rollouts/00000.jsonl         completed rollouts, one file per process
references.json              of a build: which references pass the tests of their problems
sessions/00000-*.json        tokens and programs of each session of a process so far
queue/00000.jsonl            tasks that each process takes and finishes: see `work_queue`
rows/accepted-00000.jsonl    accepted rows, in the order of the problems: see `reflection_sequences`
rows/set_aside-00000.jsonl   accepted rows that `min_repaired_share` excludes
rows/rejected-00000.jsonl    rejected rollouts, with the reason
statistics.json, build.png   statistics of the run
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from ..quoting import quote_error


FORMAT_VERSION = 1
ROWS_PER_SHARD = 2000
_SYNC_SECONDS = 2.0
_LOCK_ATTEMPTS = 20
# Files that another process of the same run may have created before this one starts
_OWN_FILES = re.compile(r"run\.json|\.lock-\d+|\.run\.json\.\d+\.partial")


class RunError(RuntimeError):
    """Raised when a run cannot start or resume. The message gives the fix. Existing results are kept."""


@dataclass
class SessionUsage:
    """
    Counts what one process has used since its start, including answers and programs of unfinished rollouts.

    Args:
        process (`int`, *optional*, defaults to `0`):
            Index of the process.
        began (`float`, *optional*):
            Start time, in seconds since the epoch.
        until (`float`, *optional*, defaults to `0.0`):
            Time of the last update.
        prompt_tokens (`int`, *optional*, defaults to `0`):
            Tokens of all answered requests.
        completion_tokens (`int`, *optional*, defaults to `0`):
            Tokens of all answers.
        runs (`int`, *optional*, defaults to `0`):
            Programs that ran.
    """

    process: int = 0
    began: float = field(default_factory=time.time)
    until: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    runs: int = 0


def take_lock(path: Path) -> TextIO:
    """
    Opens a file that no other process can open in this way until it is closed.

    Args:
        path (`Path`):
            The file, in the folder that it protects.

    Raises:
        [`RunError`]: If another process holds it.
    """
    lock = open(path, "w")  # noqa: SIM115 (open as long as the run)
    # A process that was killed may take a moment to end
    for patience in reversed(range(_LOCK_ATTEMPTS)):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not patience:
                lock.close()
                raise RunError(f"Another process uses {path.parent}: wait for it, or give another folder.") from None
            time.sleep(0.1)
    return lock


class RunFolder:
    """
    Manages the folder of one run.

    Args:
        path (`str` or `Path`):
            The folder. It is created if it does not exist.
        settings (`dict`):
            Settings of the run. A folder with a run of other settings raises an error.
        process (`int`, *optional*, defaults to `0`):
            Index of this process among the processes of the run.
        records (`str`, *optional*, defaults to `"rollouts"`):
            Name of the subfolder for the records of [`RunFolder.append`].

    Raises:
        [`RunError`]: If the folder has other content or cannot be written, or another process uses it.
    """

    def __init__(
        self, path: str | os.PathLike[str], settings: dict[str, Any], process: int = 0, records: str = "rollouts"
    ):
        self.path = Path(path)
        self.process = process
        self._records = self.path / records
        settings = json.loads(json.dumps(settings))  # as they will be read again
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file: give a folder for the run.")
        if self.path.is_dir() and not (self.path / "run.json").exists():
            names = {entry.name for entry in self.path.iterdir()} - {records}
            strange = sorted(name for name in names if not _OWN_FILES.fullmatch(name))
            if strange:
                raise RunError(f"{self.path} contains {strange[0]!r} but no run: give an empty or a new folder.")
        try:
            self._records.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(self.path / f".lock-{self.process}")
        except OSError as error:
            raise RunError(
                f"The folder {self.path} cannot be written ({error.strerror}): free disk space, change its permissions, or give another folder."
            ) from error
        self._file: BinaryIO | None = None
        self._synced = 0.0
        self._seen: dict[Path, int] = {}
        try:
            self._claim(settings)
            self._cut_torn_line()
            if self.queue_file.exists():
                self.write_to_queue({"begin": time.time()})
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk was reported before
                os.fsync(self._file.fileno())
            self._file.close()
        self._lock.close()

    def is_locked(self, process: int) -> bool:
        """
        Returns whether another process of this run is active.

        Args:
            process (`int`):
                Its index.
        """
        try:
            with open(self.path / f".lock-{process}") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _claim(self, settings: dict[str, Any]) -> None:
        file = self.path / "run.json"
        if not file.exists():
            try:
                write_json(file, {"format_version": FORMAT_VERSION, **settings})
            except OSError as error:
                raise RunError(
                    f"{file} cannot be written ({error.strerror}): free disk space, or give another folder."
                ) from error
            return
        try:
            before = json.loads(file.read_text())
            version = before.pop("format_version")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{file} cannot be read ({quote_error(error)}): give another folder.") from error
        if version != FORMAT_VERSION:
            raise RunError(
                f"{self.path} contains a run of format {version}, but this version writes format {FORMAT_VERSION}: give another folder."
            )
        key = next((key for key in {**before, **settings} if before.get(key) != settings.get(key)), None)
        if key is None:
            return
        if self._has_no_results():
            # The run never began, perhaps for lack of a model; fixing that must not require a new folder
            shutil.rmtree(self.path / "sessions", ignore_errors=True)
            write_json(file, {"format_version": FORMAT_VERSION, **settings})
            return
        was, wanted = before.get(key), settings.get(key)
        while isinstance(was, dict) and isinstance(wanted, dict):  # such as the sampling of a step
            part = next(part for part in {**was, **wanted} if was.get(part) != wanted.get(part))
            key, was, wanted = f"{key}.{part}", was.get(part), wanted.get(part)
        raise RunError(
            f"{self.path} contains a run with {_brief(key, was)}, not {_brief(key, wanted)}: give another "
            "`output_dir`, or the settings of that run."
        )

    def _has_no_results(self) -> bool:
        """Returns whether no process has written results here, and none is active."""
        numbers = (int(lock.name.rpartition("-")[2]) for lock in self.path.glob(".lock-*"))
        return not any(file.stat().st_size for file in self._records.glob("*.jsonl")) and not any(
            number != self.process and self.is_locked(number) for number in numbers
        )

    def check_weights(self, model: str, weights: str | None) -> None:
        """
        Rejects results of a model whose weights have changed since: they would count as results of the new weights.

        Args:
            model (`str`):
                The folder of the model.
            weights (`str` or `None`):
                Digest of its weights, from [`~reflection_trl.files.model_folder.weights_digest`]. With `None`, for
                missing weights or a server, nothing is rejected, because existing results can be scored without
                weights.

        Raises:
            [`RunError`]: If the weights have changed, or the run folder cannot be written.
        """
        if weights is None:
            return
        file = self.path / "weights.json"
        try:
            if file.exists() and json.loads(file.read_text())["weights"] == weights:
                return
            if file.exists() and next(self.records(), None) is not None:
                raise RunError(
                    f"{self.path} contains results of {model!r} from before its weights changed: give another `output_dir`, or "
                    "remove that folder."
                )
            write_json(file, {"weights": weights})
        except OSError as error:
            raise RunError(
                f"{file} cannot be written ({error.strerror}): free disk space, or give another `output_dir`."
            ) from error

    # Rollouts

    @property
    def _own_file(self) -> Path:
        return self._records / f"{self.process:05d}.jsonl"

    def _cut_torn_line(self) -> None:
        """Removes an incomplete line that a crash left at the end of this process's file."""
        if not self._own_file.exists():
            return
        with open(self._own_file, "rb+") as file:
            whole = end = file.seek(0, os.SEEK_END)
            while whole:
                start = max(0, whole - (1 << 16))
                file.seek(start)
                if (newline := file.read(whole - start).rfind(b"\n")) >= 0:
                    whole = start + newline + 1
                    break
                whole = start
            if whole < end:
                file.truncate(whole)

    def records(self) -> Iterator[dict[str, Any]]:
        """Returns all rollouts of all processes so far. Incomplete lines are skipped."""
        return self._read({})

    def new_records(self) -> Iterator[dict[str, Any]]:
        """Yields the rollouts of all processes that this method has not yielded before."""
        return self._read(self._seen)

    def _read(self, seen: dict[Path, int]) -> Iterator[dict[str, Any]]:
        for path in sorted(self._records.glob("*.jsonl")):
            with open(path, "rb") as file:
                file.seek(seen.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    try:
                        record = json.loads(line)
                    except ValueError:
                        raise RunError(
                            f"{path} is damaged at byte {seen.get(path, 0)}: truncate it there, or give another folder."
                        ) from None
                    seen[path] = seen.get(path, 0) + len(line)
                    yield record

    def append(self, record: dict[str, Any]) -> None:
        """
        Appends a rollout. It is safe at once if this process ends, and after about two seconds if the machine fails.

        Raises:
            [`RunError`]: If the disk is full. The file is unchanged then.
        """
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        before = None
        try:
            if self._file is None:
                self._file = open(self._own_file, "ab", buffering=0)  # noqa: SIM115
            before = self._file.seek(0, os.SEEK_END)
            if self._file.write(line) != len(line):
                raise OSError("no space left")
            if time.monotonic() > self._synced + _SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            if self._file is not None and before is not None:
                with contextlib.suppress(OSError):
                    self._file.truncate(before)
            raise RunError(
                f"{self._own_file} cannot be written ({error.strerror or error}): free disk space and rerun the same command; earlier "
                "results are kept."
            ) from error

    # The queue of several processes

    @property
    def queue_file(self) -> Path:
        """Returns the file of the tasks that this process has taken and finished: see [`~reflection_trl.files.work_queue.WorkQueue`]."""
        return self.path / "queue" / f"{self.process:05d}.jsonl"

    def write_to_queue(self, line: dict[str, Any]) -> None:
        """
        Adds a line to this process's file of the queue.

        Args:
            line (`dict`):
                Task that it took or finished, or the mark of a new start.

        Raises:
            [`RunError`]: If the disk is full.
        """
        # Starts a new line, since a killed process may have left a partial one
        text = f"\n{json.dumps(line)}\n".encode()
        try:
            self.queue_file.parent.mkdir(exist_ok=True)
            with open(self.queue_file, "ab", buffering=0) as file:
                if file.write(text) != len(text):
                    raise OSError("no space left")
        except OSError as error:
            raise RunError(
                f"{self.queue_file} cannot be written ({error.strerror or error}): free disk space and rerun the same command; "
                "earlier results are kept."
            ) from error

    # Sessions

    def keep_session(self, session: SessionUsage) -> None:
        """Writes the counts of a session so far. A full disk is ignored, because these counts are not essential."""
        session.until = time.time()
        with contextlib.suppress(OSError):
            folder = self.path / "sessions"
            folder.mkdir(exist_ok=True)
            write_json(folder / f"{session.process:05d}-{session.began:.3f}.json", asdict(session))

    def sessions(self) -> list[SessionUsage]:
        """Returns all sessions of all processes, with their latest counts."""
        return [
            SessionUsage(**json.loads(file.read_text())) for file in sorted((self.path / "sessions").glob("*.json"))
        ]

    # Results

    def write_rows(self, kind: str, rows: Sequence[dict[str, Any]]) -> None:
        """
        Writes the rows of one kind in shards, and replaces earlier ones.

        Args:
            kind (`str`):
                `"accepted"`, `"set_aside"` or `"rejected"`.
            rows (`Sequence[dict]`):
                The rows, in order.
        """
        folder = self.path / "rows"
        folder.mkdir(exist_ok=True)
        partial = []
        try:
            for number, start in enumerate(range(0, len(rows), ROWS_PER_SHARD)):
                partial.append(folder / f".{kind}-{number:05d}.jsonl.partial")
                with open(partial[-1], "w", encoding="utf-8", errors="backslashreplace") as file:
                    file.writelines(
                        json.dumps(row, ensure_ascii=False) + "\n" for row in rows[start : start + ROWS_PER_SHARD]
                    )
        except OSError:
            for path in partial:
                path.unlink(missing_ok=True)
            raise
        for stale in folder.glob(f"{kind}-*.jsonl"):
            stale.unlink()
        for path in partial:
            path.rename(folder / path.name[1:].removesuffix(".partial"))


def write_json(file: Path, content: Any) -> None:
    """Writes a file atomically: it is either complete or absent."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _brief(key: str, value: Any) -> str:
    text = json.dumps(value)
    return f"{key} = {text if len(text) <= 80 else text[:77] + '...'}"
