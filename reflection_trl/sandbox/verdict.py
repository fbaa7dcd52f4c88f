"""Defines the input and the output of the sandbox."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any


class SandboxError(RuntimeError):
    """Raised when the sandbox is misused, or fails."""


class SandboxUnavailableError(SandboxError):
    """Raised when no isolation mechanism works on this machine. The message gives the fix."""


class Status(enum.StrEnum):
    """
    Lists how a job can end. Only `OK` is a pass. `INFRASTRUCTURE` says nothing about the program: run such a job again
    or skip it, but never use it as a label.
    """

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    SIGNAL = "signal"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True)
class Limits:
    """
    Resource limits of one job.

    Args:
        timeout (`float`, *optional*, defaults to `10.0`):
            Seconds for the whole job: program and checks, or all steps of a command. Waiting for a CPU core that other
            jobs use does not count, up to six times the limit in wall-clock time. If other jobs may have caused a
            timeout, the job runs once more, alone, before it counts as a timeout.
        memory (`int`, *optional*, defaults to `1 << 30`):
            Bytes of memory for each process, and for all processes of the job together.
        processes (`int`, *optional*, defaults to `64`):
            Maximum number of processes and threads.
        disk (`int`, *optional*, defaults to `256 << 20`):
            Bytes in `/tmp`, the only place that the job can write to (and a quarter of it in `/dev/shm`).
        output (`int`, *optional*, defaults to `1 << 20`):
            Bytes of standard output, and of standard error. The job ends if it writes more.

    Raises:
        ValueError: If a limit is not positive, or `memory` is below 64 MiB.
    """

    timeout: float = 10.0
    memory: int = 1 << 30
    processes: int = 64
    disk: int = 256 << 20
    output: int = 1 << 20

    def __post_init__(self) -> None:
        for limit in fields(self):
            if not getattr(self, limit.name) > 0:
                raise ValueError(f"`{limit.name}` must be positive, got {getattr(self, limit.name)!r}.")
        if self.memory < 64 << 20:
            raise ValueError(
                f"`memory` must be at least 64 MiB, which the interpreter needs, got {self.memory} bytes."
            )


@dataclass(frozen=True)
class PythonProgram:
    """
    Describes a Python program, and the checks that score it.

    The program runs as `__main__`. If there are checks, the body of `if __name__ == "__main__":` does not run. The
    checks then run **in another process**, which calls the program's functions and receives plain data (see
    `reflection_trl.sandbox` for the guarantees). They see the program's global names, except those that hide a
    built-in.

    Args:
        source (`str`):
            The program, which may be hostile.
        checks (`str`, *optional*, defaults to `""`):
            Python code whose last line is reached only if the program is correct, such as `assert` statements. Without
            checks, a pass only means that the program says it reached its end and exited with 0.
        entry_point (`str`, *optional*):
            Name of the function under test. Needed only if it is the name of a built-in (`def sum(a, b)`) or of a
            common module (`def bisect(a, x)`). The checks take no other such name from the program.
        stdin (`str` or `bytes`, *optional*, defaults to `""`):
            Standard input of the program.
        files (`Mapping[str, str | bytes]`, *optional*, defaults to `{}`):
            Files for the working directory, by relative path.
        limits ([`Limits`], *optional*, defaults to `Limits()`):
            Resource limits.
    """

    source: str
    checks: str = ""
    entry_point: str | None = None
    stdin: str | bytes = ""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    limits: Limits = Limits()


@dataclass(frozen=True)
class Partner:
    """
    Describes a program that runs beside a [`CommandProgram`], isolated separately: the answer, beside its judge.

    Neither sees the other's files, processes and memory. Two pipes connect them: both read from descriptor 3 and write
    to descriptor 4. The partner's output is part of the verdict's output, and the partner receives the standard input.

    Args:
        argv (`Sequence[str]`):
            The command that runs it.
        compile (`Sequence[str]`, *optional*):
            A command that runs first.
        files (`Mapping[str, str | bytes]`, *optional*, defaults to `{}`):
            Its files, by relative path.
    """

    argv: Sequence[str]
    compile: Sequence[str] | None = None
    files: Mapping[str, str | bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class CommandProgram:
    """
    Describes a program in any language: files, and the command that runs them.

    Args:
        argv (`Sequence[str]`):
            The command that runs the program, in the directory of the files.
        compile (`Sequence[str]`, *optional*):
            A command that runs first. If it fails, [`Verdict.step`] is `"compile"`, and its output is that of the
            verdict. If it succeeds, its output is discarded.
        files (`Mapping[str, str | bytes]`, *optional*, defaults to `{}`):
            The files, by relative path. The text [`END_MARK`] in a file (and in `argv`) is replaced with a secret that
            is new for each run.
        end_mark (`bool`, *optional*, defaults to `False`):
            Whether the program must print [`END_MARK`] as the last line of its standard output to pass. Put the
            statement that prints it after the last check. The mark is removed from `stdout`. It detects programs that
            exit early, but a program that searches its own memory or files can find it.
        stdin (`str` or `bytes`, *optional*, defaults to `""`):
            Standard input of the program.
        environment (`Mapping[str, str]`, *optional*, defaults to `{}`):
            Environment variables in addition to those of the sandbox. Nothing is inherited.
        limits ([`Limits`], *optional*, defaults to `Limits()`):
            Resource limits. The partner has the same limits separately.
        partner ([`Partner`], *optional*):
            A program that runs beside it. The verdict is that of this program. If it exits with [`PARTNER_ENDED`],
            which means that the partner has ended, the verdict describes how the partner ended.
    """

    argv: Sequence[str]
    compile: Sequence[str] | None = None
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    end_mark: bool = False
    stdin: str | bytes = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    partner: Partner | None = None


END_MARK = "@END_OF_CHECKS@"
PARTNER_ENDED = 97
Program = PythonProgram | CommandProgram


@dataclass(frozen=True)
class ErrorInfo:
    """
    Holds a Python exception as plain data. Lines and columns count from 1. Unknown values are `None`.

    Args:
        type (`str`):
            Name of the exception's class.
        message (`str`):
            Its text, truncated if it is very long.
        file (`str`, *optional*):
            `"main.py"` (the program) or `"checks.py"`.
        line (`int`, *optional*):
            Line of the last frame in that file.
        column (`int`, *optional*):
            First column of the failing expression.
        end_line (`int`, *optional*):
            Last line of this expression.
        end_column (`int`, *optional*):
            First column after it.
        source_line (`str`, *optional*):
            Source of that line.
        assertion (`str`, *optional*):
            Source of the assert that failed.
        actual (`str`, *optional*):
            `repr` of the compared value, shortened.
        expected (`str`, *optional*):
            The value with which it was compared.
        text (`str`, *optional*, defaults to `""`):
            The traceback as the interpreter prints it.
    """

    type: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    source_line: str | None = None
    assertion: str | None = None
    actual: str | None = None
    expected: str | None = None
    text: str = ""


def read_error(record: Any) -> ErrorInfo | None:
    """Returns an error that comes from inside as plain data, checked field by field; `None` if it is none."""
    if not isinstance(record, dict):
        return None
    values: dict[str, Any] = {}
    for name in (one.name for one in fields(ErrorInfo)):
        value, number = record.get(name), name in ("line", "column", "end_line", "end_column")
        if isinstance(value, int if number else str) and not isinstance(value, bool):
            # A lone surrogate can neither be printed nor stored
            values[name] = value if number else str(value).encode("utf-8", "backslashreplace").decode()
    values.setdefault("type", "Exception")
    values.setdefault("message", "")
    return ErrorInfo(**values)


@dataclass(frozen=True)
class Verdict:
    """
    Holds the outcome of a job.

    Args:
        status ([`Status`]):
            How it ended.
        stdout (`str`, *optional*, defaults to `""`):
            Standard output, limited in length; bytes that are not UTF-8 are shown as `\\xNN`.
        stderr (`str`, *optional*, defaults to `""`):
            Standard error, likewise. For a Python program it ends with the traceback.
        exit_code (`int`, *optional*):
            Exit code of the last step, if it exited.
        signal (`int`, *optional*):
            Signal that killed the last step.
        duration (`float`, *optional*, defaults to `0.0`):
            Wall-clock time in seconds.
        error ([`ErrorInfo`], *optional*):
            The Python exception that ended the program or the checks.
        step (`str`, *optional*, defaults to `"run"`):
            `"run"`, or `"compile"` if that step was the last.
        completed (`bool`, *optional*, defaults to `False`):
            Whether the end of the checks was reached. A program without checks that calls `sys.exit(0)` has exit code
            0 and is not completed. Callers that only compare the output may accept it.
        left (`bool`, *optional*, defaults to `False`):
            Whether a Python program says that it ended with `sys.exit` or a similar call.
        reason (`str`, *optional*, defaults to `""`):
            One sentence on the failure, if no other field describes it.
    """

    status: Status
    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    signal: int | None = None
    duration: float = 0.0
    error: ErrorInfo | None = None
    step: str = "run"
    completed: bool = False
    left: bool = False
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Returns whether the program exited with 0 and every check held."""
        return self.status is Status.OK
