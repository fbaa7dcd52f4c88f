"""
Limits the time of a call like evalplus's `time_limit`, by a clock that stops while the process waits in the queue for a CPU.

On a busy machine, wall time says more about the neighbors than about the answer. Time that the process sleeps, or waits for
another process, counts.
"""

from __future__ import annotations

import functools
import os
import signal
from os import O_RDONLY, pread
from os import open as open_file
from time import monotonic, process_time
from typing import Any


# The share of a limit that a process must have computed so that the limit would end it again, alone
WORKED = 0.9
# A timer that was set to less could end before it is set again
_SHORTEST = 1e-3


class TimeLimitError(Exception):
    """Raised in a call that takes longer than its limit. The call may catch it, as in evalplus."""


class TimeLimit:
    """
    Context manager around a call.

    Args:
        seconds (`float`):
            Maximum time of the call, without time in the queue for a CPU.

    Attributes:
        exceeded (`bool`):
            Whether the call took longer, even if it caught the error.
        worked (`bool`):
            Whether it computed for most of this time, so that neighbors are not the cause.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.exceeded = self.worked = False

    def __enter__(self) -> TimeLimit:
        self._queued, self._processor, self._started = queued_time(), process_time(), monotonic()
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def __exit__(self, *error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _look(self, *_: Any) -> None:
        left = self.seconds + queued_time() - self._queued - (monotonic() - self._started)
        if left > _SHORTEST:
            signal.setitimer(signal.ITIMER_REAL, left)
            return
        self.exceeded = True
        self.worked = process_time() - self._processor >= WORKED * self.seconds
        raise TimeLimitError(f"The call takes longer than {self.seconds:g} seconds.")


def queued_time() -> float:
    """Returns the seconds that this process has waited for a CPU; 0 if the kernel does not count them."""
    try:
        return int(pread(_schedstat(), 64, 0).split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


@functools.cache
def _schedstat() -> int:
    return open_file("/proc/self/schedstat", O_RDONLY)


# A fork inherits the descriptor of its parent
os.register_at_fork(after_in_child=_schedstat.cache_clear)
