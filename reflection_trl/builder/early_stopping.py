"""Stops sampling a problem after its first `give_up_after` rollouts were all rejected."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from .acceptance import Rejection


class EarlyStopping:
    """
    Tracks the first rollouts of each problem. The decision to give up a problem depends only on these, so a resumed
    run gives up the same problems.

    Args:
        give_up_after (`int`, *optional*):
            Number of rejected rollouts after which a problem is no longer sampled. `None` sets no limit.
        records (`Iterable[dict]`, *optional*, defaults to `()`):
            Existing rollouts.
    """

    def __init__(self, give_up_after: int | None = None, records: Iterable[dict[str, Any]] = ()):
        self._first = give_up_after
        self._worthwhile: dict[str, dict[int, bool]] = defaultdict(dict)
        self._changed = asyncio.Condition()
        for record in records:
            self.note((record["problem_id"], record["sample"]), record["rejection"])

    def is_decided(self, problem_id: str, sample: int) -> bool:
        """
        Returns whether [`EarlyStopping.should_skip`] can answer without waiting.

        Args:
            problem_id (`str`):
                Id of the problem.
            sample (`int`):
                Index of the rollout among those of the problem.
        """
        if self._first is None or sample < self._first:
            return True
        known = self._worthwhile[problem_id]
        return all(number in known for number in range(self._first))

    async def should_skip(self, problem_id: str, sample: int) -> bool:
        """
        Returns whether the problem of a rollout is given up. Waits for the first rollouts of this problem, which
        started earlier.

        Args:
            problem_id (`str`):
                Id of the problem.
            sample (`int`):
                Index of the rollout among those of the problem.
        """
        if self._first is None or sample < self._first:
            return False
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_decided(problem_id, sample))
        return not any(self._worthwhile[problem_id][number] for number in range(self._first))

    async def add(self, record: dict[str, Any]) -> None:
        """
        Records a rollout.

        Args:
            record (`dict`):
                Output of [`~reflection_trl.builder.features.to_record`].
        """
        self.note((record["problem_id"], record["sample"]), record["rejection"])
        async with self._changed:
            self._changed.notify_all()

    def note(self, key: tuple[str, int], rejection: str | None) -> None:
        """
        Records a rollout of another process.

        Args:
            key (`tuple[str, int]`):
                Problem id, and index of the rollout among those of the problem.
            rejection (`str` or `None`):
                Reason of the rejection; `None` if the rollout was accepted.
        """
        # A missing completion says nothing about the problem
        self._worthwhile[key[0]][key[1]] = rejection in (None, Rejection.GENERATION_FAILED)
