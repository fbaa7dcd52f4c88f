"""Shows the progress bar of a run: the rollouts of all processes, and the usage of this session."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from ..files.run_folder import RunFolder, SessionUsage
from .acceptance import Rejection
from .run import is_open
from .statistics import cost_of


_LOG_SECONDS = 15.0  # between two lines in a log file


class Progress:
    """
    Shows the progress of a run. Use it as a context manager.

    Args:
        folder ([`RunFolder`]):
            Folder of the run.
        wanted (`Collection[tuple[str, int]]`):
            Problem id and sample index of all rollouts.
        session ([`SessionUsage`]):
            SessionUsage of this process.
        price (`float`, *optional*):
            Price per million tokens; adds the cost of this session.
        retries (`Callable`, *optional*):
            Returns which requests are being repeated and until when, or an empty text.
    """

    def __init__(
        self,
        folder: RunFolder,
        wanted: Collection[tuple[str, int]],
        session: SessionUsage,
        price: float | None = None,
        retries: Callable[[], str] = str,
    ):
        from tqdm.auto import tqdm

        self._folder = folder
        self._session = session
        self._price = price
        self._retries = retries
        self._left = set(wanted)
        self._counts: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        for record in folder.new_records():
            if not is_open(record):
                self._count(record)
        self._total = len(wanted)
        self._bar = tqdm(
            total=self._total,
            initial=self._total - len(self._left),
            bar_format="{n_fmt}/{total_fmt} |{bar:8}| {elapsed}<{remaining} {desc}",
            dynamic_ncols=True,
            smoothing=0,  # many rollouts end together, so only the overall average predicts the end
        )
        self._pause = 0.0 if sys.stderr.isatty() else _LOG_SECONDS
        self._shown = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.update(show=True)
        self._bar.close()

    def update(self, show: bool = False) -> None:
        """Reads the folder, and draws the bar if it is time, or at once with `show`."""
        for record in self._folder.new_records():
            self._count(record)
        self._bar.n = self._total - len(self._left)
        if show or time.monotonic() >= self._shown + self._pause:
            self._shown = time.monotonic()
            self._bar.set_description_str(self.describe(), refresh=False)
            self._bar.refresh()

    def describe(self) -> str:
        """Returns the text beside the bar: counts of the whole run, rates and cost of this session."""
        sessions = [one for one in self._folder.sessions() if one.until >= self._session.began]
        at_work = [one for one in sessions if one.process != self._session.process] + [self._session]
        prompt, written, runs = (
            sum(getattr(one, name) for one in at_work) for name in ("prompt_tokens", "completion_tokens", "runs")
        )
        seconds = max(time.time() - self._session.began, 1e-9)
        # First, since it says why nothing moves
        parts = [
            self._retries(),
            f"accepted {self._counts['accepted']:,} ({self._counts['repaired']:,} repaired) rejected {self._counts['rejected']:,}",
            f"{written / seconds:,.0f} tokens/s {runs / seconds:,.0f} runs/s",
        ]
        if self._price is not None:
            parts.append(f"cost {cost_of(prompt + written, self._price)}")
        # Last, because a narrow terminal truncates them
        parts.append(" ".join(f"{kind} {count:,}" for kind, count in self._failures.most_common(5)))
        return ", ".join(filter(None, parts))

    def _count(self, record: dict[str, Any]) -> None:
        key = (record["problem_id"], record["sample"])
        if key not in self._left:
            return
        self._left.remove(key)
        if record["rejection"] == Rejection.GIVEN_UP:
            return
        accepted = record["rejection"] is None
        self._counts["accepted" if accepted else "rejected"] += 1
        self._counts["repaired"] += accepted and record["repaired"]
        self._failures.update(kind for kind in record["outcomes"] if kind != "none")
