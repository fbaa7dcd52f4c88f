"""Tracks the requests that a generator repeats, so that a waiting progress bar shows the reason and the time limit."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field
from typing import Any


_SHOW_SECONDS = 1.0
_LONGEST_REASON = 60


@dataclass
class Retries:
    """
    Keeps the requests that are being repeated.

    Args:
        waiting (`dict`, *optional*, defaults to `{}`):
            For each such request the reason, and the time in seconds since the epoch at which it is given up if it keeps failing.
    """

    waiting: dict[Hashable, tuple[str, float]] = field(default_factory=dict)

    def note(self, request: Hashable, reason: str, seconds: float) -> None:
        """
        Notes that a request failed and is repeated.

        Args:
            request (`Hashable`):
                Identifies the request.
            reason (`str`):
                Why it failed.
            seconds (`float`):
                Time until it is given up if it keeps failing.
        """
        self.waiting[request] = reason, time.time() + seconds

    def forget(self, request: Hashable) -> None:
        """
        Notes that a request was answered or given up.

        Args:
            request (`Hashable`):
                As in [`Retries.note`].
        """
        self.waiting.pop(request, None)

    def describe(self) -> str:
        """Returns which requests are repeated and until when, as in `"retrying 3 requests until 14:05:30 (says 503: loading)"`; else nothing."""
        if not self.waiting:
            return ""
        reason, until = min(self.waiting.values(), key=lambda one: one[1])
        reason = reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 3]}..."
        requests = f"{len(self.waiting):,} request{'s' * (len(self.waiting) > 1)}"
        return f"retrying {requests} until {time.strftime('%H:%M:%S', time.localtime(until))} ({reason})"


def describe_retries(generate: Any) -> str:
    """
    Returns which requests a generator repeats and until when; nothing for a generator that does not say.

    Args:
        generate ([`Generate`]):
            Generator, such as one of [`open_generator`].
    """
    retries = getattr(getattr(generate, "usage", None), "repeated", None)
    return retries.describe() if isinstance(retries, Retries) else ""


@contextlib.asynccontextmanager
async def show_retries(bar: Any, generate: Any) -> AsyncIterator[None]:
    """
    Shows beside a progress bar which requests are repeated, also while none is answered.

    Args:
        bar (`tqdm.tqdm`):
            The bar.
        generate ([`Generate`]):
            Generator whose requests the bar counts.
    """

    async def watch() -> None:
        shown = ""
        while True:
            if (text := describe_retries(generate)) != shown:
                bar.set_postfix_str(text)
                shown = text
            await asyncio.sleep(_SHOW_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        bar.set_postfix_str("", refresh=False)
