"""Converts a batch of arrays to the input tensors of a forward pass, on the device."""

from typing import Any

import numpy as np
import torch

from .attention import attention_inputs
from .packing import Batch


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """
    Copies an array to a device asynchronously.

    Args:
        array (`np.ndarray`):
            Array on the host.
        device (`torch.device`):
            Target device.

    Returns:
        `torch.Tensor`: Tensor of the same dtype and shape.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def model_inputs(batch: Batch, attn_implementation: str, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """
    Returns the keyword arguments for a forward pass on a batch.

    Args:
        batch ([`~reflection_trl.training.packing.Batch`]):
            Packed or padded batch.
        attn_implementation (`str`):
            The model's `config._attn_implementation`.
        device (`torch.device`):
            Device of the model.
        dtype (`torch.dtype`):
            Data type of the model outside autocast.

    Returns:
        `dict`: `input_ids`, `position_ids`, and the arguments that limit attention to each sequence.
    """
    inputs = {
        "input_ids": to_device(batch.input_ids, device),
        "position_ids": to_device(batch.position_ids, device),
    }
    if batch.attention_mask is not None:
        inputs["attention_mask"] = to_device(batch.attention_mask, device)
    if batch.cu_seq_lens is not None:
        if torch.is_autocast_enabled(device.type):
            dtype = torch.get_autocast_dtype(device.type)
        cu_seq_lens = to_device(batch.cu_seq_lens, device)
        inputs |= attention_inputs(attn_implementation, cu_seq_lens, np.diff(batch.cu_seq_lens).tolist(), dtype)
    return inputs
