"""
Runs programs that nobody has read.

```python
>>> from reflection_trl.sandbox import CommandProgram, PythonProgram, Sandbox

>>> with Sandbox() as sandbox:
...     verdict = sandbox.run(PythonProgram("def add(a, b): return a - b", checks="assert add(1, 2) == 3"))
>>> verdict.status, verdict.error.type, verdict.error.line
(<Status.FAILED: 'failed'>, 'AssertionError', 1)
```

**What holds.** A program sees no file of the host but `/usr` and its like (read-only), no network, no process, no
environment variable of ours, no device but `/dev/null` and its kin. It runs as an unprivileged user without
capabilities, in namespaces of its own (user, mount, process, network, IPC, host name), under a seccomp filter and limits
on time, memory, processes, disk and output. All of it ends with the job, also what it has started in the background,
and every job ends when our process ends, even by `SIGKILL`. The kernel is shared: a hole in the kernel is a hole in the
sandbox.

**What a pass means.** Python checks run in a process that the program cannot reach, and `Status.OK` is said by that
process alone, on a pipe that the program does not hold. No exit code, no printed text, no patched built-in, no frame,
no search through memory can claim success, and the source of the checks is never in the program's process. What a
function returns crosses as plain data: a subclass of `int` that equals everything arrives as an `int`. An object of the
program's own class is never equal to data, and answers for itself only where the checks test that class, as `guest.checks`
says. A test that `unittest` finds wrong fails the checks whether they look at its result or not.

**What a pass does not mean.** SECURITY.md has a table of what the checks still believe. In short:
- The program sees the arguments of each call, so it may know the answers by heart.
- Where the checks test a class, two of its instances are equal when its `==` says so (unless that says so of any object).
  Helper functions and constants that the checks take from the program, beside the function under test, are believed.
- Arguments and results are copies (containers are brought up to date when a call returns): a program that keeps a
  reference to an argument, and checks that change it later, do not see each other. Objects that cannot be copied are
  stand-ins, for which `isinstance` works and `type` does not.
- Without checks, the program itself says that it came to its end.
- A [`CommandProgram`] is judged by its exit code, and by the end mark when asked for. A program that searches its own
  memory can find the mark: what judges it must be a program of its own, with the judged one as its [`Partner`].
- Checks are confined like the program, but they are the judge: checks written by a model may pass anything.

A program with checks is used as a module: what stands under `if __name__ == "__main__":` does not run.

`Status.INFRASTRUCTURE` says that the sandbox failed, three times; it must never become a label.
"""

from .sandbox import Sandbox
from .verdict import (
    END_MARK,
    PARTNER_ENDED,
    CommandProgram,
    ErrorInfo,
    Limits,
    Partner,
    Program,
    PythonProgram,
    SandboxError,
    SandboxUnavailableError,
    Status,
    Verdict,
)


__all__ = [
    "END_MARK",
    "PARTNER_ENDED",
    "CommandProgram",
    "ErrorInfo",
    "Limits",
    "Partner",
    "Program",
    "PythonProgram",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailableError",
    "Status",
    "Verdict",
]
