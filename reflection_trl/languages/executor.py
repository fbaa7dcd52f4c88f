"""Runs programs of any language in the sandbox, many concurrently."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ..sandbox import Limits, Sandbox, SandboxError, Status
from .execution import Run
from .registry import LANGUAGES, get_language


class Executor:
    """
    Implements [`Execute`] with a [`~reflection_trl.sandbox.Sandbox`]. Use it as an asynchronous context manager.

    Args:
        sandbox ([`~reflection_trl.sandbox.Sandbox`], *optional*):
            An open sandbox, which stays open. By default a sandbox is opened, and closed at the end.
        languages (`Iterable[str]`, *optional*):
            Languages whose toolchains are visible in the sandbox; by default all that are installed.
        workers (`int`, *optional*):
            Number of programs that run at a time; by default the number of CPU cores.
        limits ([`~reflection_trl.sandbox.Limits`], *optional*):
            Resource limits of each program; by default those of its language.

    Attributes:
        runs (`int`):
            Number of programs that ran.

    Raises:
        [`~reflection_trl.sandbox.SandboxUnavailableError`]: On entry, if no isolation mechanism works on this machine.

    Example:

    ```python
    >>> async with Executor() as execute:
    ...     run = await execute("python", "def double(x): return x * 3", "assert double(2) == 4")
    >>> run.feedback.kind, run.feedback.actual
    (<FeedbackKind.ASSERTION: 'assertion'>, '6')
    ```
    """

    def __init__(
        self,
        sandbox: Sandbox | None = None,
        *,
        languages: Iterable[str] | None = None,
        workers: int | None = None,
        limits: Limits | None = None,
    ):
        self.runs = 0
        self._borrowed = sandbox
        names = LANGUAGES if languages is None else [get_language(name).name for name in languages]
        self._readonly = tuple(dict.fromkeys(path for name in names for path in LANGUAGES[name].readonly))
        self._workers = workers
        self._limits = limits

    async def __aenter__(self) -> "Executor":
        self._sandbox = self._borrowed or Sandbox(workers=self._workers, readonly=self._readonly)
        if self._borrowed is None:
            await asyncio.to_thread(self._sandbox.start)
        self._threads = ThreadPoolExecutor(self._sandbox.workers, thread_name_prefix="execute")
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        if self._borrowed is None:
            await asyncio.to_thread(self._sandbox.close)

    async def __call__(
        self, language: str, source: str, tests: str = "", *, entry_point: str | None = None, stdin: str = ""
    ) -> Run:
        toolchain = get_language(language)
        program = toolchain.program(source, tests, entry_point=entry_point, stdin=stdin, limits=self._limits)
        verdict = await asyncio.get_running_loop().run_in_executor(self._threads, self._sandbox.run, program)
        if verdict.status is Status.INFRASTRUCTURE:
            raise SandboxError(f"The sandbox could not run a program: {verdict.reason}")
        self.runs += 1
        feedback = toolchain.diagnose(verdict, source, tests)
        return Run(feedback, verdict.stdout, verdict.duration)
