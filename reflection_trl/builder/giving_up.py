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
            self.note((record["problem_id"], record["sample"]), record["rejection"])

    def are_known(self, problem_id: str, sample: int) -> bool:
        """
        Returns whether [`Prospects.are_gone`] would not have to wait.

        Args:
            problem_id (`str`): a problem.
            sample (`int`): number of a rollout among those of the problem.
        """
        if self._first is None or sample < self._first:
            return True
        known = self._worthwhile[problem_id]
        return all(number in known for number in range(self._first))

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
        async with self._changed:
            await self._changed.wait_for(lambda: self.are_known(problem_id, sample))
        return not any(self._worthwhile[problem_id][number] for number in range(self._first))

    async def learn(self, record: dict[str, Any]) -> None:
        """
        Takes note of a rollout.

        Args:
            record (`dict`):
                Of [`~reflection_trl.builder.features.to_record`].
        """
        self.note((record["problem_id"], record["sample"]), record["rejection"])
        async with self._changed:
            self._changed.notify_all()

    def note(self, key: tuple[str, int], rejection: str | None) -> None:
        """
        Takes note of a rollout of another process.

        Args:
            key (`tuple[str, int]`):
                Its problem, and its number among those of the problem.
            rejection (`str`, *optional*):
                Why it was rejected; `None` if it was accepted.
        """
        # That no answer could be had is no judgment of the problem
        self._worthwhile[key[0]][key[1]] = rejection in (None, Rejection.GENERATION_FAILED)
