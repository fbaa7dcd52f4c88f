"""Implements dynamic masking: selects the part of a reflection sequence that the student does not see at each step.

The mask rate r grows during training ([`mask_rate`]). A strategy converts it to hidden blocks or tokens
([`hidden_tokens`]). The reflection instruction is always hidden. Prefix, re-answer instruction and answer are never
hidden. All functions are pure and work on arrays. For a fixed random generator, the hidden set only grows with the
rate. At rate 0 no block is hidden, and at rate 1 all are.

Source: ReflectionCoder (https://huggingface.co/papers/2405.17057), section on dynamically masked self-distillation, and its
published code for the thresholds of `block-type` and the ceilings of the other strategies.
"""

import math

import numpy as np

from ..rendering import VISIBLE
from ..sequences import BLOCK_TYPES


MASK_STRATEGIES = (
    "block-type",
    "random-block",
    "sequential-block",
    "random-token",
    "sequential-token",
    "all",
    "none",
)
MASK_SCHEDULES = ("linear", "cosine", "constant", "step")

# Rates from which the first, second and third block type of the order is hidden, from the published code
BLOCK_TYPE_THRESHOLDS = (0.0, 0.33, 0.67)


def mask_rate(
    step: int, max_steps: int, schedule: str = "linear", start: float = 0.0, end: float = 1.0, num_levels: int = 4
) -> float:
    """
    Returns the mask rate of an optimizer step.

    With progress p = (step + 1) / max_steps, capped at 1, so that the last step has the end rate exactly:

    - `linear`: start + (end - start) p, the published one
    - `cosine`: start + (end - start) (1 - cos(pi p)) / 2
    - `step`: `num_levels` equal steps, the first at `start`, the last at `end`
    - `constant`: end

    Args:
        step (`int`):
            Number of completed optimizer steps: 0 for the first.
        max_steps (`int`):
            Number of optimizer steps of the whole training.
        schedule (`str`, *optional*, defaults to `"linear"`):
            One of `linear`, `cosine`, `constant`, `step`.
        start (`float`, *optional*, defaults to `0.0`):
            Rate at progress 0.
        end (`float`, *optional*, defaults to `1.0`):
            Rate at progress 1.
        num_levels (`int`, *optional*, defaults to `4`):
            Levels of the `step` schedule, at least 2.

    Returns:
        `float`: Rate in [0, 1].

    Raises:
        ValueError: If `max_steps` is below 1, or the schedule is unknown.
    """
    if max_steps < 1:
        raise ValueError(
            "No training is running, so there is no mask rate and no training loss; call `train()` first, or `evaluate()` for "
            "the one-off loss."
        )
    progress = min((step + 1) / max_steps, 1.0)
    if schedule == "linear":
        shape = progress
    elif schedule == "cosine":
        shape = (1 - math.cos(math.pi * progress)) / 2
    elif schedule == "step":
        shape = (_share(progress, num_levels) - 1) / (num_levels - 1)
    elif schedule == "constant":
        shape = 1.0
    else:
        raise ValueError(f"Unknown mask schedule {schedule!r}; use one of {', '.join(MASK_SCHEDULES)}.")
    return start * (1 - shape) + end * shape


def hidden_tokens(
    block_ids: np.ndarray,
    block_types: np.ndarray,
    rate: float,
    strategy: str = "block-type",
    order: tuple[str, ...] = BLOCK_TYPES,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """
    Selects the tokens of a row that are hidden from the student.

    With n blocks (or tokens of blocks) and rate r:

    - `block-type`: nothing at r = 0; blocks of the first type of `order` at r > 0, of the second too from r = 0.33, of the
      third too from r = 0.67
    - `random-block`, `random-token`: ceil(r n) of them at random
    - `sequential-block`, `sequential-token`: the first ceil(r n)
    - `all`: every block, at any rate; `none`: no block, at any rate

    Args:
        block_ids (`np.ndarray` of shape `(L,)`):
            For each token: `VISIBLE` (-1), `INSTRUCTION` (0, always hidden), or the number of its block, from 1.
        block_types (`np.ndarray` of shape `(n,)`):
            For each block: its type, as an index into `BLOCK_TYPES`.
        rate (`float`):
            Mask rate in [0, 1].
        strategy (`str`, *optional*, defaults to `"block-type"`):
            One of `MASK_STRATEGIES`.
        order (`tuple[str]`, *optional*, defaults to `("execution", "text", "code")`):
            Order in which `block-type` hides the types.
        rng (`np.random.Generator`, *optional*):
            Random generator for the `random-*` strategies; see [`row_generator`].

    Returns:
        `np.ndarray` of bool, shape `(L,)`: True for hidden tokens.

    Raises:
        ValueError: If the strategy is unknown.
    """
    num_blocks = len(block_types)
    if strategy in ("random-token", "sequential-token"):
        positions = np.flatnonzero(block_ids > 0)
        if strategy == "random-token":
            positions = _permutation(positions, rng)
        hidden = block_ids != VISIBLE
        hidden[positions[_share(rate, len(positions)) :]] = False
        return hidden
    if strategy == "block-type":
        thresholds = dict(zip(order, BLOCK_TYPE_THRESHOLDS, strict=True))
        hidden_types = [rate > 0 and rate >= thresholds[block_type] for block_type in BLOCK_TYPES]
        hidden_blocks = np.array(hidden_types)[np.asarray(block_types, dtype=np.int64)]
    elif strategy in ("random-block", "sequential-block"):
        chosen = np.arange(num_blocks) if strategy == "sequential-block" else _permutation(num_blocks, rng)
        hidden_blocks = np.zeros(num_blocks, dtype=bool)
        hidden_blocks[chosen[: _share(rate, num_blocks)]] = True
    elif strategy in ("all", "none"):
        hidden_blocks = np.full(num_blocks, strategy == "all")
    else:
        raise ValueError(f"Unknown mask strategy {strategy!r}; use one of {', '.join(MASK_STRATEGIES)}.")
    # Index 0 is the reflection instruction; index -1, the last, are the tokens that are always visible
    return np.concatenate([[True], hidden_blocks, [False]])[block_ids]


def failed_attempts(block_types: np.ndarray) -> np.ndarray:
    """
    Finds the blocks of a row that belong to failed attempts.

    An attempt is the assistant's text before an execution, or before the end of the sequence, if it contains code. A turn
    that starts with code continues the attempt before it: tests are in such turns, while a repair starts with its
    analysis. In a row without any code (solutions with a final answer) an attempt is any text before an execution. All
    attempts but the last failed, since another one follows.

    Args:
        block_types (`np.ndarray` of shape `(n,)`):
            For each block: its type, as an index into `BLOCK_TYPES`.

    Returns:
        `np.ndarray` of bool, shape `(n,)`: True for the text and code of failed attempts, False for executions.
    """
    block_types = np.asarray(block_types, dtype=np.int64)
    is_execution, is_code = (block_types == BLOCK_TYPES.index(name) for name in ("execution", "code"))
    turn = np.cumsum(is_execution)
    turns, first = np.unique(turn[~is_execution], return_index=True)
    starts_with_code = is_code[~is_execution][first]
    is_attempt = np.isin(turns, turn[is_code]) if is_code.any() else turns < np.count_nonzero(is_execution)
    number = np.cumsum(is_attempt & ~starts_with_code)
    failed = turns[is_attempt & (number < number.max(initial=0))]
    return ~is_execution & np.isin(turn, failed)


def failed_tokens(block_ids: np.ndarray, block_types: np.ndarray) -> np.ndarray:
    """
    Returns the tokens of a row that belong to failed attempts.

    Args:
        block_ids (`np.ndarray` of shape `(length,)`):
            Of each token: its block as a number from 1, 0 for the reflection instruction, -1 for whatever is always visible.
        block_types (`np.ndarray` of shape `(n,)`):
            Of each block: its type, as an index into `BLOCK_TYPES`.

    Returns:
        `np.ndarray` of bool, shape `(length,)`
    """
    # Index 0 is the reflection instruction, index -1, the last, whatever is always visible
    return np.concatenate([[False], failed_attempts(block_types), [False]])[block_ids]


def row_generator(seed: int, step: int, row: int) -> np.random.Generator:
    """
    Returns the random generator of one row in one optimizer step: the same in every process, worker and resumed run.

    Args:
        seed (`int`):
            Seed of the training.
        step (`int`):
            Number of completed optimizer steps.
        row (`int`):
            Index of the row in the dataset.

    Returns:
        `np.random.Generator`: A fresh generator.
    """
    return np.random.default_rng([seed, step, row])


def _permutation(items: np.ndarray | int, rng: np.random.Generator | None) -> np.ndarray:
    if rng is None:
        raise ValueError("The `random-*` strategies need random numbers; pass `rng=row_generator(seed, step, row)`.")
    return rng.permutation(items)


def _share(rate: float, count: int) -> int:
    # ceil(rate * count) without rounding errors: 7 / 100 of 100 is 7, although the product is slightly above 7
    return math.ceil(rate * count * (1 - 1e-12))
