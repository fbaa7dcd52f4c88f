"""Generates the rows of the benchmark: random tokens in the shape of real reflection rows."""

from typing import Any

import numpy as np

from ...rendering import INSTRUCTION, VISIBLE
from ...sequences import BLOCK_TYPES
from .models import EOS_TOKEN_ID


def synthetic_rows(number: int, mean_tokens: int, vocabulary: int, seed: int) -> list[dict[str, Any]]:
    """
    Generates tokenized reflection rows of random tokens, in the shape of real ones: an instruction, three to five rounds of text, code and
    execution output, the request and the answer. Lengths vary by a quarter around the mean.
    """
    rng = np.random.default_rng(seed)
    types: dict[str, int] = {name: number for number, name in enumerate(BLOCK_TYPES)}
    rows = []
    for row_id in range(number):
        length = int(mean_tokens * rng.uniform(0.75, 1.25))
        rounds = int(rng.integers(3, 6))
        instruction, request, answer = (max(2, int(length * share)) for share in (0.1, 0.08, 0.2))
        blocks = [("text", 0.2), ("code", 0.55), ("execution", 0.25)] * rounds
        rest = length - instruction - request - answer
        block_ids, block_types, trained = [INSTRUCTION] * instruction, [], [0] * instruction
        for kind, share in blocks:
            size = max(1, int(rest * share / rounds))
            block_types.append(types[kind])
            block_ids += [len(block_types)] * size
            trained += [kind != "execution"] * size
        block_ids += [VISIBLE] * (request + answer)
        answer_start = len(trained) + request
        trained += [0] * request + [1] * answer
        rows.append(
            {
                "input_ids": [*rng.integers(0, vocabulary, len(trained) - 1).tolist(), EOS_TOKEN_ID],
                "loss_mask": [int(value) for value in trained],
                "block_ids": block_ids,
                "block_types": block_types,
                "answer_start": answer_start,
                "row_id": row_id,
            }
        )
    return rows
