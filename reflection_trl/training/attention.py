"""Implements attention over packed rows: each sequence is causal and attends only to itself, whatever its positions.

The model's `attn_implementation` selects the method:

| `attn_implementation` | packed attention |
|---|---|
| `sdpa` (default of most models) | torch's `varlen_attn` on CUDA in half precision, else one causal sdpa call per sequence |
| `flash_attention_2`, `flash_attention_3` | the variable-length form of the kernel |
| `flex_attention` | a block mask |
| `eager` | a `[T, T]` mask: slow, for models with logit soft-capping and for checks |

[`prepare_attention`] replaces `sdpa` with an implementation registered with transformers. It behaves exactly as `sdpa`
if it gets no sequence boundaries, so `generate` and saved models are unaffected. [`attention_inputs`] returns the
keyword arguments for a forward pass. Transformers' detection of packed rows from position ids is not used, because it
would mistake the gaps in a student's positions for boundaries (see `find_packed_sequence_indices` in its
`masking_utils.py`).

[`padding_reason`] identifies models for which dropping hidden tokens differs from masking them.
"""

import inspect
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask


PACKED_SDPA = "reflection_sdpa"

# Layer types in transformers' configs that attend to all earlier tokens
_FULL_ATTENTION = {"full_attention"}
_SLIDING_ATTENTION = {"sliding_attention", "chunked_attention"}
# Additive position biases that count tokens and do not read position ids
_ALIBI_MODELS = {"bloom", "mpt"}


class UnsupportedAttentionError(ValueError):
    """Raised for attention features that an `attn_implementation` would silently ignore."""


def packed_sdpa_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """
    Computes causal attention within each sequence of a packed row, or plain `sdpa` if no boundaries are given.

    Args:
        module (`nn.Module`):
            Attention layer.
        query (`torch.Tensor` of shape `(1, heads, T, head_dim)`):
            Queries.
        key (`torch.Tensor` of shape `(1, kv_heads, T, head_dim)`):
            Keys.
        value (`torch.Tensor` of shape `(1, kv_heads, T, head_dim)`):
            Values.
        attention_mask (`torch.Tensor` or `None`):
            Ignored if boundaries are given.
        dropout (`float`, *optional*, defaults to `0.0`):
            Attention dropout.
        scaling (`float`, *optional*):
            Factor of the scores; 1 / sqrt(head_dim) by default.
        cu_seq_lens_q (`torch.Tensor` of shape `(S + 1,)`, *optional*):
            Boundaries of the sequences.
        max_length_q (`int`, *optional*):
            Length of the longest sequence.
        **kwargs (`Any`):
            Other arguments of transformers' attention interface, for plain `sdpa`.

    Returns:
        `tuple`: Output of shape `(1, T, heads, head_dim)`, and `None`.

    Raises:
        [`UnsupportedAttentionError`]: If the layer has soft-capped scores or attention sinks.
    """
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    if kwargs.get("softcap") is not None or kwargs.get("s_aux") is not None:
        raise UnsupportedAttentionError(
            f"{type(module).__name__} uses soft-capped attention scores or attention sinks, which sdpa does not support; load the model "
            f"with `attn_implementation='flex_attention'`, or 'eager'."
        )
    # Under autocast, rotary embeddings in float32 give float32 queries and keys with half-precision values
    device_type = query.device.type
    dtype = torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else value.dtype
    query, key, value = (x.to(dtype) for x in (query, key, value))
    if _uses_varlen(query, value, dropout):
        assert max_length_q is not None  # given with the boundaries
        query, key, value = (x[0].transpose(0, 1) for x in (query, key, value))  # (T, heads, head_dim)
        options: dict[str, Any] = {"scale": scaling} if "scale" in _VARLEN_PARAMETERS else {}
        # The default window, (-1, -1), is bidirectional
        options |= {"window_size": (-1, 0)} if "window_size" in _VARLEN_PARAMETERS else {"is_causal": True}
        if "enable_gqa" in _VARLEN_PARAMETERS:
            options["enable_gqa"] = key.shape[1] != query.shape[1]
        else:
            groups = query.shape[1] // key.shape[1]
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        # The kernel needs equal head sizes. Multi-head latent attention (DeepSeek V2, V3) has smaller values
        missing = query.shape[-1] - value.shape[-1]
        output: Any = varlen_attn(
            query,
            key,
            pad(value, (0, missing)) if missing else value,
            cu_seq_lens_q,
            cu_seq_lens_q,
            max_length_q,
            max_length_q,
            **options,
        )
        return output[None, ..., : value.shape[-1]].contiguous(), None

    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    return _sequence_by_sequence(query, key, value, cu_seq_lens_q, dropout, scaling), None


@torch.compiler.disable  # otherwise it would be recompiled for each number of sequences
def _sequence_by_sequence(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_lens: torch.Tensor,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    seq_lens = cu_seq_lens.diff().tolist()
    # Not cuDNN's kernel, which builds a new plan for each length
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        outputs = [
            scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout, scale=scaling).transpose(1, 2)
            for q, k, v in zip(*(x.split(seq_lens, dim=2) for x in (query, key, value)), strict=True)
        ]
    return torch.cat(outputs, dim=1)  # contiguous, as some models require


_VARLEN_PARAMETERS = inspect.signature(varlen_attn).parameters

AttentionInterface.register(PACKED_SDPA, packed_sdpa_attention_forward)
AttentionMaskInterface.register(PACKED_SDPA, sdpa_mask)


def prepare_attention(model: PreTrainedModel) -> None:
    """
    Prepares a model loaded with `sdpa` for packed rows. Models with other implementations need no change.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, changed in place.
    """
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(PACKED_SDPA)


def runs_by_sequence(model: PreTrainedModel, is_half_on_cuda: bool) -> bool:
    """
    Returns whether packed attention of a model runs as one call per sequence, which `torch.compile` leaves out.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model after [`prepare_attention`].
        is_half_on_cuda (`bool`):
            Whether it computes in half precision on CUDA.
    """
    dropout = getattr(model.config.get_text_config(), "attention_dropout", 0.0)
    return model.config._attn_implementation == PACKED_SDPA and not (is_half_on_cuda and not dropout)


def attention_inputs(
    implementation: str, cu_seq_lens: torch.Tensor, seq_lens: list[int], dtype: torch.dtype
) -> dict[str, Any]:
    """
    Returns the keyword arguments that limit a forward pass to attention within the sequences of a packed row.

    Args:
        implementation (`str`):
            The model's `config._attn_implementation`.
        cu_seq_lens (`torch.Tensor` of int32, shape `(S + 1,)`):
            Boundaries of the sequences, on the model's device.
        seq_lens (`list[int]`):
            Their lengths.
        dtype (`torch.dtype`):
            Data type of the attention scores, for the additive mask of `eager`.

    Returns:
        `dict`: Arguments for the model beside `input_ids` and `position_ids`.

    Raises:
        ValueError: If the implementation does not support packed rows.
    """
    boundaries = {
        "cu_seq_lens_q": cu_seq_lens,
        "cu_seq_lens_k": cu_seq_lens,
        "max_length_q": max(seq_lens),
        "max_length_k": max(seq_lens),
    }
    if implementation == PACKED_SDPA:
        # Transformers passes 4D masks through unchanged. An empty one avoids a `[T, T]` mask that is never read
        empty = torch.empty((1, 1, 0, 0), dtype=torch.bool, device=cu_seq_lens.device)
        return {"attention_mask": empty, **boundaries}
    if implementation in ("flash_attention_2", "flash_attention_3"):
        return {"attention_mask": None, **boundaries}

    sequence = torch.repeat_interleave(
        torch.arange(len(seq_lens), device=cu_seq_lens.device), cu_seq_lens.diff(), output_size=sum(seq_lens)
    )
    if implementation == "flex_attention":
        from torch.nn.attention.flex_attention import create_block_mask

        def within_sequence(
            batch: torch.Tensor, head: torch.Tensor, q: torch.Tensor, kv: torch.Tensor
        ) -> torch.Tensor:
            return (sequence[q] == sequence[kv]) & (q >= kv)

        total = len(sequence)
        return {
            "attention_mask": create_block_mask(within_sequence, 1, None, total, total, device=str(sequence.device))
        }
    if implementation == "eager":
        allowed = (sequence[:, None] == sequence[None]).tril()
        mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
        return {"attention_mask": mask.masked_fill(~allowed, torch.finfo(dtype).min)[None, None]}
    raise ValueError(
        f"`attn_implementation='{implementation}'` does not support packed batches; use 'sdpa', 'flash_attention_2', "
        f"'flash_attention_3', 'flex_attention' or 'eager'."
    )


def padding_reason(model: PreTrainedModel, max_length: int | None) -> str | None:
    """
    Returns why hidden tokens of a model must be masked in a padded batch instead of being dropped.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model.
        max_length (`int` or `None`):
            Longest row in tokens.

    Returns:
        `str`, *optional*: The reason; `None` if dropping is equivalent to masking.

    Raises:
        ValueError: If masking is not possible either.
    """
    config = model.config.get_text_config()
    name = config.model_type
    layer_types = set(getattr(config, "layer_types", None) or [])
    other = layer_types - _FULL_ATTENTION - _SLIDING_ATTENTION
    if other:
        raise ValueError(
            f"Model type '{name}' has layers of type {', '.join(sorted(other))}, whose state runs through hidden tokens, so "
            f"dynamic masking is not defined for it; use a model with attention layers only."
        )
    if name in _ALIBI_MODELS or getattr(config, "alibi", False):
        raise ValueError(
            f"Model type '{name}' counts distances between tokens instead of reading position ids (ALiBi), so hidden tokens "
            f"would move the others; use a model with rotary or learned positions."
        )
    window = _attention_window(config, layer_types)
    if window is not None and (max_length is None or window < max_length):
        return f"its attention window of {window} tokens is shorter than rows may be (max_length={max_length})"
    if not model._supports_attention_backend:
        return "its attention layers do not accept a custom attention function"
    return None


def _attention_window(config: PreTrainedConfig, layer_types: set[str]) -> int | None:
    if layer_types:
        if not layer_types & _SLIDING_ATTENTION:
            return None
        return getattr(config, "sliding_window", None) or getattr(config, "attention_chunk_size", None)
    window = getattr(config, "sliding_window", None)
    return window if getattr(config, "use_sliding_window", True) else None


def _uses_varlen(query: torch.Tensor, value: torch.Tensor, dropout: float) -> bool:
    # The kernel is FlashAttention, which needs CUDA, half precision and no dropout
    return (
        query.is_cuda
        and query.dtype in (torch.float16, torch.bfloat16)
        and dropout == 0.0
        and value.shape[-1] <= query.shape[-1] <= 256
    )
