"""Runs a command and its partner: two sandboxed processes, two pipes between them, one verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from .guest.job import BACKSTOP
from .verdict import PARTNER_ENDED, CommandProgram, Status, Verdict
from .worker import Worker, WorkerError


# Seconds in which the partner can end by itself after its pipe has closed: after a pass, and after a failure, whose
# feedback shows its output
_AFTER_PASS, _AFTER_FAILURE = 0.3, 2.0


def run_pair(
    worker: Worker,
    partner: Worker,
    job: dict[str, Any],
    partner_job: dict[str, Any],
    pool: ThreadPoolExecutor,
    judge: Callable[[dict[str, Any]], Verdict],
) -> tuple[Verdict, dict[str, Any] | None]:
    """
    Runs two jobs side by side, connected by two pipes.

    Args:
        worker (`Worker`):
            Runs the judging program.
        partner (`Worker`):
            Runs its partner. It is stopped if the partner does not end by itself.
        job, partner_job (`dict`):
            The jobs.
        pool (`ThreadPoolExecutor`):
            Runs the partner's thread.
        judge (`Callable`):
            Converts the outcome of the judging job to a verdict.

    Returns:
        `tuple`: The verdict, and the outcome of the partner's job, or `None` if it had to be stopped.

    Raises:
        `WorkerError`: If the sandbox, and not a job, failed.
    """
    to_partner, from_partner = os.pipe(), os.pipe()
    ended_at = time.monotonic() + job["limits"]["timeout"] * BACKSTOP
    future = pool.submit(partner.run, partner_job, "", (to_partner[0], from_partner[1]))
    try:
        verdict = judge(worker.run(job, "", (from_partner[0], to_partner[1])))
    except BaseException:
        partner.stop()
        with contextlib.suppress(WorkerError, OSError):
            future.result()
        raise
    return verdict, _await(future, partner, verdict, ended_at)


def _await(
    future: Future[dict[str, Any]], partner: Worker, verdict: Verdict, ended_at: float
) -> dict[str, Any] | None:
    """Returns the partner's outcome, or `None` if it continues although its pipe is closed."""
    if verdict.passed:
        seconds = _AFTER_PASS
    elif verdict.step == "compile" or verdict.exit_code == PARTNER_ENDED:
        seconds = ended_at - time.monotonic()  # the partner's compiler output, or how it ended, decides
    else:
        seconds = _AFTER_FAILURE if verdict.status is not Status.TIMEOUT else 0.0
    try:
        return future.result(max(0.0, seconds))
    except FutureTimeoutError:
        partner.stop()
        with contextlib.suppress(WorkerError, OSError, ValueError):
            future.result()
        return None


def combine(program: CommandProgram, verdict: Verdict, partner: Verdict | None) -> Verdict:
    """
    Combines two verdicts into one.

    The program alone decides whether the partner has passed. How the partner ended counts if the program reports that
    it has ended, or if the partner could not be compiled.

    Args:
        program ([`CommandProgram`]):
            The judging program.
        verdict ([`Verdict`]):
            Its verdict.
        partner ([`Verdict`] or `None`):
            Verdict of its partner; `None` if the partner had to be stopped.
    """
    if partner is not None:
        partner = dataclasses.replace(partner, duration=max(partner.duration, verdict.duration))
    lost = verdict.step == "run" and verdict.exit_code == PARTNER_ENDED
    if partner is None:
        reason = f"The job took longer than {program.limits.timeout:g} seconds."
        return dataclasses.replace(verdict, status=Status.TIMEOUT, exit_code=None, reason=reason) if lost else verdict
    if not verdict.passed and partner.step == "compile" and not partner.passed:
        return partner
    if lost and partner.passed:
        reason = "The program exited with 0 before the end of its checks."
        return dataclasses.replace(partner, status=Status.FAILED, completed=False, reason=reason)
    if lost:
        return partner
    return dataclasses.replace(verdict, stdout=partner.stdout + verdict.stdout, stderr=partner.stderr + verdict.stderr)
