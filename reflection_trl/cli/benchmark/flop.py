"""Computes the FLOP that a step needs, and measures the matmul rate of a device."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig

from ...training.collator import DataCollatorForReflectionDistillation
from ...training.masking import hidden_tokens, mask_rate, row_generator
from ...training.packing import student_sequence
from .arguments import BenchmarkArguments
from .arms import Arm


MATRIX = 8192


def useful_flop(lengths: Sequence[int], predictions: int, config: PreTrainedConfig, products: int) -> float:
    """
    Returns the FLOP that a step needs without padding, hidden tokens or recomputation.

    Args:
        lengths (`list[int]`):
            Number of tokens of each separate sequence.
        predictions (`int`):
            Number of positions at which logits are needed.
        config (`PreTrainedConfig`):
            Configuration of the model.
        products (`int`):
            FLOP per weight and token: 6 forward and backward, 4 if the weights need no gradient (LoRA), 2 forward
            only.
    """
    head_dim = config.hidden_size // config.num_attention_heads
    key_values = config.num_key_value_heads * head_dim
    hidden = config.hidden_size
    layer = hidden * (hidden + 2 * key_values) + hidden * hidden + 3 * hidden * config.intermediate_size
    body = products * layer * config.num_hidden_layers * sum(lengths)
    head = products * hidden * config.vocab_size * predictions
    # Two products of half a square each forward, and twice that backward
    attention = (2 if products == 2 else 6) * config.num_hidden_layers * hidden * sum(length**2 for length in lengths)
    return float(body + head + attention)


def step_counters(
    rows: list[dict[str, Any]], arguments: BenchmarkArguments, arm: Arm, config: PreTrainedConfig
) -> tuple[list[int], list[float]]:
    """Returns source tokens and useful FLOP of each step. Samples the same masks as the trainer."""
    products = 4 if arguments.use_peft else 6
    collate = DataCollatorForReflectionDistillation()
    tokens, flop = [], []
    for step in range(arguments.total_steps):
        batch = rows[step * arguments.batch_size : (step + 1) * arguments.batch_size]
        useful = 0.0
        for row in collate(batch)["rows"]:
            length = len(row.input_ids)
            if arm.frozen_teacher:
                useful += useful_flop([length], row.num_answer, config, 2)
            else:
                useful += useful_flop([length], row.num_loss_tokens, config, products)
            if not arm.has_student:
                continue
            rng = row_generator(arguments.seed, step, row.row_id)
            rng.integers(1)  # the trainer samples the strategy first
            rate = mask_rate(step, arguments.total_steps, "linear", 0.0, 1.0)
            hidden = hidden_tokens(
                row.block_ids, row.block_types, rate, "block-type", ("execution", "text", "code"), rng
            )
            length = len(student_sequence(row, hidden).tokens)
            useful += useful_flop([length], row.num_answer, config, products)
        tokens.append(int(np.sum([len(row["input_ids"]) for row in batch])))
        flop.append(useful)
    return tokens, flop


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Returns FLOP/s of one large matrix product in the dtype of training: the median of twenty."""
    size = MATRIX if device == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(25):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(times[5:])
