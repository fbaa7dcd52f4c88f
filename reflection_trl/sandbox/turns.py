"""Decides when a job runs: among others, or alone, so that other jobs cannot cause its timeout."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any


# Times its limit that a job may use a processor beside others: they share its caches and its memory
PATIENCE = 2.0
# Of that time, what has certainly been used up; and of the limit, what one that only slept uses
_USED_UP, _ASLEEP = 0.95, 0.05


class Turns:
    """Lets jobs run beside each other, and one at a time alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = self._waiting = 0
        self._one_is_alone = False

    @contextlib.contextmanager
    def among_others(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._one_is_alone and not self._waiting)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until those that run have ended, and lets no other begin."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._one_is_alone and not self._running)
                self._one_is_alone = True
            finally:
                self._waiting -= 1
        try:
            yield
        finally:
            with self._changed:
                self._one_is_alone = False
                self._changed.notify_all()


def is_doubtful(outcome: dict[str, Any], limit: float, patience: float, waits: bool) -> bool:
    """
    Returns whether a job's neighbors, and not the job, may be why it took too long. It is then run again, alone.

    A timeout is beyond doubt where the job's own time on a processor accounts for it, several times over, or where it has only
    slept.

    Args:
        outcome (`dict`):
            What `guest.job.watch` reported.
        limit (`float`):
            Seconds that the job might use.
        patience (`float`):
            Times that limit that it might use a processor.
        waits (`bool`):
            Whether another job ran beside it, which it may have waited for.
    """
    if patience == 1.0:
        return False
    if outcome["ended"] != "timeout":
        return bool(outcome["ended"] is None and outcome["late"])
    processor = outcome["processor"]
    if processor is None:
        return True
    return not (processor >= _USED_UP * limit * patience or (processor <= _ASLEEP * limit and not waits))
