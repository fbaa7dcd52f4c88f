"""Problems on which no more is spent: those of which the first rollouts all came to nothing."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from .acceptance import Rejection


class Prospects:
    """
    What the first rollouts of each problem came to. Whether a problem is given up depends on these alone, so that a run that
    was stopped and goes on gives up the same problems.

    Args:
        give_up_after (`int`, *optional*):
            How many rollouts must have come to nothing; `None` to give nothing up.
        records (`Iterable[dict]`, *optional*):
            Rollouts that there are already.
    """

    def __init__(self, give_up_after: int | None = None, records: Iterable[dict[str, Any]] = ()):
        self._first = give_up_after
        self._worthwhile: dict[str, dict[int, bool]] = defaultdict(dict)
        self._changed = asyncio.Condition()
        for record in records:
            self._keep(record)

    async def are_gone(self, problem_id: str, sample: int) -> bool:
        """
        Returns whether a rollout is not worth while. Waits for the first rollouts of its problem, which have begun
        before.

        Args:
            problem_id (`str`):
                Its problem.
            sample (`int`):
                Its number among those of the problem.
        """
        if self._first is None or sample < self._first:
            return False
        known, first = self._worthwhile[problem_id], range(self._first)
        async with self._changed:
            await self._changed.wait_for(lambda: all(number in known for number in first))
        return not any(known[number] for number in first)

    async def learn(self, record: dict[str, Any]) -> None:
        """
        Takes note of a rollout.

        Args:
            record (`dict`):
                Of [`~reflection_trl.builder.features.to_record`].
        """
        self._keep(record)
        async with self._changed:
            self._changed.notify_all()

    def _keep(self, record: dict[str, Any]) -> None:
        # That no answer could be had is no judgment of the problem
        worthwhile = record["rejection"] in (None, Rejection.GENERATION_FAILED)
        self._worthwhile[record["problem_id"]][record["sample"]] = worthwhile
