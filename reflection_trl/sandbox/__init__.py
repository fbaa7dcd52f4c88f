"""
Runs untrusted programs in isolation.

```python
>>> from reflection_trl.sandbox import CommandProgram, PythonProgram, Sandbox

>>> with Sandbox() as sandbox:
...     verdict = sandbox.run(PythonProgram("def add(a, b): return a - b", checks="assert add(1, 2) == 3"))
>>> verdict.status, verdict.error.type, verdict.error.line
(<Status.FAILED: 'failed'>, 'AssertionError', 1)
```

**Isolation.** A program sees no file of the host except `/usr` and similar directories (read-only), no network, no process, none of our
environment variables, and no device except `/dev/null` and similar ones. It runs as an unprivileged user without capabilities, in
separate namespaces (user, mount, process, network, IPC, host name), under a seccomp filter and limits on time, memory, processes, disk
and output. Everything ends with the job, including background processes, and every job ends when our process ends, even by `SIGKILL`.
The kernel is shared: a vulnerability of the kernel is one of the sandbox.

**What a pass means.** Python checks run in a process that the program cannot reach. Only this process reports `Status.OK`, on a pipe that
the program does not have. No exit code, printed text, patched built-in, frame or search through memory can fake a success, and the
source of the checks is never in the program's process. Return values are transferred as plain data: a subclass of `int` that equals
everything arrives as an `int`. An object of one of the program's classes is never equal to data (of a class that derives from a
built-in type, the content is compared), and its methods are called only if the
checks test this class, as `guest.checks` describes. A failure in `unittest` fails the checks, even if they ignore its result.

**What a pass does not mean.** SECURITY.md has a table of what the checks still trust. In short:
- The program sees the arguments of each call, so it may know the answers by heart.
- If the checks test a class, its `==` decides whether two instances are equal (unless it accepts any object). Helper functions and
  constants that the checks use from the program, other than the function under test, are trusted.
- Arguments and results are copies (containers and arrays are updated when a call returns). If the program keeps a reference to an
  argument and the checks change it later, neither sees the other's changes. Objects that cannot be copied are represented by stand-ins,
  for which `isinstance` works and `type` does not.
- Without checks, only the program itself reports that it reached its end.
- The exit code of a [`CommandProgram`], and the end mark if requested, decide whether it passed. A program that searches its own memory
  can find the mark. The judge must therefore be a separate program, with the judged program as its [`Partner`].
- If the checks redirect `sys.stdout` or patch `input`, this applies to the program's functions that they call. Other
  patches of the checks stay in their process.
- Checks are isolated like the program, but they decide: checks that a model wrote may pass anything.

A program with checks is used as a module: the body of `if __name__ == "__main__":` does not run.

`Status.INFRASTRUCTURE` means that the sandbox failed three times. Never use it as a label.
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
    read_error,
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
    "read_error",
]
