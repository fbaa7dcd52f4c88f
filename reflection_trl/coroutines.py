"""Runs coroutines: from synchronous code, also in a notebook, and as workers that share a queue."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar


_T = TypeVar("_T")


def run_coroutine(work: Coroutine[Any, Any, _T]) -> _T:
    """
    Runs a coroutine to its end and returns its result.

    If this thread has a running event loop, as in a notebook, the coroutine runs on the loop of another thread. Ctrl-C
    cancels it.

    Args:
        work (`Coroutine`):
            The coroutine to run.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)

    def run() -> None:
        with contextlib.suppress(BaseException):  # the task keeps it
            loop.run_until_complete(task)

    thread = threading.Thread(target=run, name="coroutine")
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    finally:
        loop.close()
    return task.result()


async def run_workers(work: Callable[[], Coroutine[Any, Any, None]], count: int) -> None:
    """
    Runs several workers concurrently, until all have ended.

    If a worker fails, the others are canceled, and its error is raised once they have ended too.

    Args:
        work (`Callable`):
            Starts a worker.
        count (`int`):
            Number of workers.
    """
    workers = [asyncio.create_task(work()) for _ in range(count)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
