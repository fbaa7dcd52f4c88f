"""Defines the input and the output of the sandbox."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class SandboxError(RuntimeError):
    """Raised when the sandbox is misused, or fails."""


class SandboxUnavailableError(SandboxError):
    """Raised when no isolation mechanism works on this machine. The message gives the fix."""


class Status(enum.StrEnum):
    """
    Lists how a job can end. Only `OK` is a pass. `INFRASTRUCTURE` says nothing about the program: such a job must run again or
    left out, and must never become a label.
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
            Seconds for the whole job: program and checks, or all steps of a command. What it waits for a processor that its
            neighbors use does not count, up to six times the limit by the clock on the wall; and where its neighbors may be
            why a job took longer, it is run once more, alone, before it is a timeout.
        memory (`int`, *optional*, defaults to 1 GiB):
            Bytes of memory of each process, and of all processes of the job together.
        processes (`int`, *optional*, defaults to `64`):
            Processes and threads at a time.
        disk (`int`, *optional*, defaults to 256 MiB):
            Bytes in `/tmp`, the only place that the job can write to (and a quarter of it in `/dev/shm`).
        output (`int`, *optional*, defaults to 1 MiB):
            Bytes of standard output, and of standard error. The job ends when it writes more.
    """

    timeout: float = 10.0
    memory: int = 1 << 30
    processes: int = 64
    disk: int = 256 << 20
    output: int = 1 << 20

    def __post_init__(self) -> None:
        for limit in dataclasses.fields(self):
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

    The program runs as `__main__`, without what stands under `if __name__ == "__main__":` when there are checks. The checks then run **in another process**, which calls the program's functions and
    gets plain data back (see `reflection_trl.sandbox` for what that guarantees). They see the program's global names,
    except where these hide a built-in.

    Args:
        source (`str`):
            The program. Hostile.
        checks (`str`, *optional*, defaults to `""`):
            Python code whose last line is reached only when the program is right, e.g. `assert` statements. Without
            checks, a pass says no more than that the program reached its own end and exited with 0, by its own account.
        entry_point (`str`, *optional*):
            Name of the function under test. Needed only where it is the name of a built-in (`def sum(a, b)`) or of a
        common module (`def bisect(a, x)`):
            The checks take no other such name from the program.
        stdin (`str` or `bytes`, *optional*, defaults to `""`):
            Standard input of the program.
        files (`Mapping[str, str | bytes]`, *optional*):
            Files to put into the working directory, by relative path.
        limits ([`Limits`], *optional*):
            What it may use.
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

    Neither sees the other's files, processes and memory. Two pipes connect them: both read from descriptor 3 and write to
    descriptor 4. What the partner prints is part of the verdict's output, and it gets the standard input.

    Args:
        argv (`Sequence[str]`):
            The command that runs it.
        compile (`Sequence[str]`, *optional*):
            The command that comes before it.
        files (`Mapping[str, str | bytes]`, *optional*):
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
            The command that comes before it. When it fails, [`Verdict.step`] is `"compile"`, and its output is the
            verdict's; when it succeeds its output is dropped.
        files (`Mapping[str, str | bytes]`, *optional*):
            The files, by relative path. The text [`END_MARK`] in a file (and in `argv`) is replaced by a secret that is
            new for each run.
        end_mark (`bool`, *optional*, defaults to `False`):
            Whether the program must print [`END_MARK`] as the last line of its standard output in order to pass. Put
            the statement that prints it behind the last check. The mark is taken off `stdout`. It stops programs that
            exit early; a program that searches its own memory or files can find it.
        stdin (`str` or `bytes`, *optional*, defaults to `""`):
            Standard input of the program.
        environment (`Mapping[str, str]`, *optional*):
            Environment variables beside the sandbox's own few. Nothing is inherited.
        limits ([`Limits`], *optional*):
            What it may use, and its partner as much again.
        partner ([`Partner`], *optional*):
            A program that runs beside it. The verdict is this program's alone; where it ends with the exit code
            [`PARTNER_ENDED`], which means that the partner is gone, the verdict says how the partner ended.
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
            Its text, cut when it is very long.
        file (`str`, *optional*):
            `"main.py"` (the program) or `"checks.py"`.
        line (`int`, *optional*):
            Line of the last frame in that file.
        column (`int`, *optional*):
            First column of the failing expression.
        end_line (`int`, *optional*):
            Last line of it.
        end_column (`int`, *optional*):
            First column behind it.
        source_line (`str`, *optional*):
            That line of the source.
        assertion (`str`, *optional*):
            Source of the assert that failed.
        actual (`str`, *optional*):
            `repr` of the value that it compared, shortened.
        expected (`str`, *optional*):
            What it compared that with.
        text (`str`):
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


@dataclass(frozen=True)
class Verdict:
    """
    Holds the outcome of a job.

    Args:
        status ([`Status`]):
            How it ended.
        stdout (`str`):
            Standard output, capped; bytes that are not UTF-8 read `\\xNN`.
        stderr (`str`):
            Standard error, likewise. For a Python program it ends with the traceback.
        exit_code (`int`, *optional*):
            Of the last step, when it exited.
        signal (`int`, *optional*):
            That killed the last step.
        duration (`float`):
            Seconds of wall clock.
        error ([`ErrorInfo`], *optional*):
            The Python exception that ended the program or the checks.
        step (`str`):
            `"run"`, or `"compile"` when that step was the last.
        completed (`bool`):
            Whether the end of the checks was reached. A program without checks that leaves through
            `sys.exit(0)` has exit code 0 and is not completed: callers that judge by the output alone may accept it.
        left (`bool`):
            Whether a Python program has left through `sys.exit` or its like, by its own account.
        reason (`str`):
            One sentence on what went wrong, where no other field says it.
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
