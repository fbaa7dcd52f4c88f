"""Which accepted sequences make the dataset."""

import math
import zlib
from collections.abc import Sequence
from typing import Any


def select(
    records: Sequence[dict[str, Any]], min_repaired_share: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    Leaves out surplus sequences that passed at the first try, so that enough of the rest show a real failure and its repair.

    Which ones are left out is drawn by their problem and sample alone: it does not depend on when they were made.

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
    staying = {_key(record) for record in sorted(first_try, key=_lot)[:allowed]}
    kept = [record for record in records if record["repaired"] or _key(record) in staying]
    aside = [record for record in records if not record["repaired"] and _key(record) not in staying]
    return kept, aside


def _key(record: dict[str, Any]) -> tuple[str, int]:
    return record["problem_id"], record["sample"]


def _lot(record: dict[str, Any]) -> tuple[int, str, int]:
    return zlib.crc32(f"{record['problem_id']}\0{record['sample']}".encode("utf-8", "surrogatepass")), *_key(record)
