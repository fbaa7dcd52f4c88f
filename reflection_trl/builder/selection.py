"""Which accepted sequences make the dataset."""

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any


def select(
    records: Sequence[dict[str, Any]], min_repaired_share: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    Leaves out surplus sequences that passed at the first try, so that enough of the rest show a real failure and its repair.

    One of every problem stays before a second of any. The rest is drawn by problem and sample alone, and does not depend on when they
    were made.

    Args:
        records (`Sequence[dict]`):
            Accepted rollouts, in their order.
        min_repaired_share (`float`):
            Least share of sequences with at least one failed attempt, between 0 and 1. Where nothing was repaired, 1 leaves
            nothing.

    Returns:
        `tuple`: those that stay and those that are set aside, each in the order of `records`.

    Raises:
        ValueError: If the share is out of its range.
    """
    if not 0 <= min_repaired_share <= 1:
        raise ValueError(f"`min_repaired_share` must be between 0 and 1, got {min_repaired_share}.")
    first_try = [record for record in records if not record["repaired"]]
    allowed = len(first_try)
    if min_repaired_share:
        repaired = len(records) - len(first_try)
        allowed = math.floor(min(allowed, repaired * (1 - min_repaired_share) / min_repaired_share + 1e-9))
    staying = {_key(record) for record in _spread(first_try)[:allowed]}
    kept = [record for record in records if record["repaired"] or _key(record) in staying]
    aside = [record for record in records if not record["repaired"] and _key(record) not in staying]
    return kept, aside


def _spread(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of every problem, then a second of each that has one, and so on; each time in the order of their lots."""
    drawn = sorted(records, key=_lot)
    before: Counter[str] = Counter()
    turns = []
    for record in drawn:
        turns.append(before[record["problem_id"]])
        before[record["problem_id"]] += 1
    return [record for _, record in sorted(zip(turns, drawn, strict=True), key=lambda pair: pair[0])]


def _key(record: dict[str, Any]) -> tuple[str, int]:
    return record["problem_id"], record["sample"]


def _lot(record: dict[str, Any]) -> tuple[int, str, int]:
    return zlib.crc32(f"{record['problem_id']}\0{record['sample']}".encode("utf-8", "surrogatepass")), *_key(record)
