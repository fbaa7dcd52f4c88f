"""Selects the accepted sequences for the dataset."""

import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def select(
    records: Sequence[dict[str, Any]], min_repaired_share: float, quotas: Mapping[str, int] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    Sets aside surplus sequences: those beyond the quota of their problem, and those without a failed attempt, so that
    enough of the others show a real failure and its repair.

    One sequence of every problem is kept before a second of any. The selection depends only on problem and sample, and
    not on when the rollouts were made.

    Args:
        records (`Sequence[dict]`):
            Accepted rollouts, in order.
        min_repaired_share (`float`):
            Minimum share of sequences with at least one failed attempt, between 0 and 1. If there are no repairs, 1
            selects nothing.
        quotas (`Mapping[str, int]`, *optional*):
            Maximum number of sequences per problem id; see [`difficulty_quotas`]. Other problems have no limit.

    Returns:
        `tuple`: The selected and the set-aside sequences, each in the order of `records`.

    Raises:
        ValueError: If the share is out of range.
    """
    if not 0 <= min_repaired_share <= 1:
        raise ValueError(f"`min_repaired_share` must be between 0 and 1, got {min_repaired_share}.")
    within = {_key(record) for record in _within(records, quotas or {})}
    allowed_records = [record for record in records if _key(record) in within]
    first_try = [record for record in allowed_records if not record["repaired"]]
    allowed = len(first_try)
    if min_repaired_share:
        repaired = len(allowed_records) - len(first_try)
        allowed = math.floor(min(allowed, repaired * (1 - min_repaired_share) / min_repaired_share + 1e-9))
    staying = {_key(record) for record in _spread(first_try)[:allowed]}
    staying |= {_key(record) for record in allowed_records if record["repaired"]}
    kept = [record for record in records if _key(record) in staying]
    return kept, [record for record in records if _key(record) not in staying]


def difficulty_quotas(solve_rates: Mapping[str, float | None], samples: int) -> dict[str, int]:
    """
    Returns the number of sequences to keep per problem, from how often the model solves it without a sequence: none if
    it always does, few if it nearly always does, all if it never does.

    Args:
        solve_rates (`Mapping[str, float]`):
            Share of passing answers to the request alone, by problem id. `None`, for problems without a measurement,
            sets no limit.
        samples (`int`):
            Number of rollouts per problem.

    Returns:
        `dict[str, int]`: `samples` times the share of failing answers, rounded up.
    """
    return {
        problem: math.ceil(samples * (1 - rate) - 1e-9) for problem, rate in solve_rates.items() if rate is not None
    }


def _within(records: Sequence[dict[str, Any]], quotas: Mapping[str, int]) -> list[dict[str, Any]]:
    """Returns the records within the quota of their problem, in hash order."""
    taken: Counter[str] = Counter()
    within = []
    for record in sorted(records, key=_hash_order):
        problem = record["problem_id"]
        if taken[problem] < quotas.get(problem, math.inf):
            within.append(record)
        taken[problem] += 1
    return within


def _spread(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns one record of every problem, then a second of each, and so on, each time in hash order."""
    ordered = sorted(records, key=_hash_order)
    before: Counter[str] = Counter()
    turns = []
    for record in ordered:
        turns.append(before[record["problem_id"]])
        before[record["problem_id"]] += 1
    return [record for _, record in sorted(zip(turns, ordered, strict=True), key=lambda pair: pair[0])]


def _key(record: dict[str, Any]) -> tuple[str, int]:
    return record["problem_id"], record["sample"]


def _hash_order(record: dict[str, Any]) -> tuple[int, str, int]:
    return zlib.crc32(f"{record['problem_id']}\0{record['sample']}".encode("utf-8", "surrogatepass")), *_key(record)
