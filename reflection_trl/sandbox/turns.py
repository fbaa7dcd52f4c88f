"""Decides when a job runs: among others, or alone, so that other jobs cannot cause its timeout."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any


# How many times its limit a job may use a core beside others, which share its caches and memory
PATIENCE = 2.0
# The fraction of this time that was certainly used, and the fraction of the limit that a sleeping job uses
_USED_UP, _ASLEEP = 0.95, 0.05


class Turns:
    """Lets jobs run concurrently, and single jobs alone."""

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
        """Waits until running jobs have ended, and lets no other begin."""
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
    Returns whether other jobs may be the cause of a job's timeout. It then runs again, alone.

    A timeout is certain if the job's own CPU time explains it several times over, or if it only slept.

    Args:
        outcome (`dict`):
            Report of `guest.job.watch`.
        limit (`float`):
            Time limit of the job in seconds.
        patience (`float`):
            Maximum CPU time, as a multiple of this limit.
        waits (`bool`):
            Whether another job ran at the same time, for which it may have waited.
    """
    if patience == 1.0:
        return False
    if outcome["ended"] != "timeout":
        return bool(outcome["ended"] is None and outcome["late"])
    processor = outcome["processor"]
    if processor is None:
        return True
    return not (processor >= _USED_UP * limit * patience or (processor <= _ASLEEP * limit and not waits))


def are_asleep(outcomes: Sequence[dict[str, Any]], limit: float) -> bool:
    """
    Returns whether both jobs of a pair slept until a time limit ended them, so that no other job is the cause.

    Args:
        outcomes (`Sequence[dict]`):
            Reports of `guest.job.watch`; fewer than two if the partner had to be stopped.
        limit (`float`):
            Time limit of each in seconds.
    """
    if len(outcomes) < 2 or any(one["processor"] is None for one in outcomes):
        return False
    return sum(one["processor"] + one["queued"] for one in outcomes) <= _ASLEEP * limit
