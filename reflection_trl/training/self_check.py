"""Tests a model on a few random tokens before it is trained.

Causal language models of all families are supported, so the assumptions of the loss, the packed batch and the masks
are tested instead of looked up in a list of families: see [`self_check`]. Properties that a few tokens do not show
(attention windows, large positions) are read from the config.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.integrations import is_fsdp_enabled
from transformers.modeling_utils import is_local_dist_rank_0
from transformers.utils import logging

from ..quoting import quote_error
from .attention import UnsupportedAttentionError, padding_reason, prepare_attention
from .forward import LossInputs
from .inputs import model_inputs
from .packing import Batch, Row, Sequence, full_sequence, pack, pad, student_sequence
from .teachers import dropout_disabled


logger = logging.get_logger(__name__)

# Tokens of the two test sequences, and the hidden tokens of the first
_LENGTHS = (12, 6)
_HIDDEN = slice(4, 8)
# With FSDP the model is on the CPU when the trainer is created, where a test of a larger model would take seconds
_MOST_PARAMETERS_ON_CPU = 2e9


def padding_reason_by_trial(model: PreTrainedModel, max_length: int | None) -> str | None:
    """
    Returns why the batches of a model must be padded and their hidden tokens masked, from its config or by a test.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model after [`~reflection_trl.training.forward.add_distillation_forward`]. Its attention is
            prepared for packed batches if it supports them.
        max_length (`int` or `None`):
            Maximum length of a row in tokens.

    Returns:
        `str`, *optional*: The reason; `None` if batches are packed and hidden tokens dropped.

    Raises:
        ValueError: If hidden tokens cannot be masked either, or the loss would be wrong.
    """
    implementation = model.config._attn_implementation
    reason = padding_reason(model, max_length)
    if reason is None:
        prepare_attention(model)
        reason = self_check(model, packed=True)
        if reason is None:
            return None
        model.set_attn_implementation(implementation)
    if implementation not in ("sdpa", "eager"):
        raise ValueError(
            f"Hidden tokens must be masked, not dropped, for model type '{model.config.model_type}', since {reason}; load it with "
            f"`attn_implementation='sdpa'`, or lower `max_length`."
        )
    self_check(model, packed=False)
    logger.warning(f"Hidden tokens are masked in a padded batch, not dropped, because {reason}.")
    return reason


def self_check(model: PreTrainedModel, packed: bool) -> str | None:
    """
    Tests a model on a few random tokens, without changing its weights or the state of any random number generator.

    It checks that the loss is the one of the model's own logits, that no token sees later ones, and that the content
    of hidden tokens does not change the states of visible ones. For packed batches it checks that each sequence of a
    pack has the same states as by itself. A model whose weights are not available (meta device, DeepSpeed ZeRO-3,
    quantized, very large on the CPU) is not tested.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model after [`~reflection_trl.training.forward.add_distillation_forward`].
        packed (`bool`):
            Whether batches will be packed.

    Returns:
        `str`, *optional*: The reason why its batches cannot be packed; `None` if they can, or if `packed` is false.

    Raises:
        ValueError: If the loss would be wrong, or hidden tokens affect others although they are masked.
    """
    if (skipped := _skip_reason(model)) is not None:
        logger.info(f"The self-check of `{type(model).__name__}` is skipped: {skipped}.")
        return None
    with _undisturbed(model):
        trial = _Trial(model)
        trial.check_loss()
        if packed:
            return trial.packing_fault()
        trial.check_masks()
    return None


class _Trial:
    """Runs a model on a few random tokens in several ways."""

    def __init__(self, model: PreTrainedModel):
        self.model = model
        self.name = f"`{type(model).__name__}` (model type '{model.config.model_type}')"
        self.parameter = next(model.get_input_embeddings().parameters())
        rng = np.random.default_rng(0)
        tokens = _plain_tokens(model)
        self.rows = [_row(rng.choice(tokens, length), number) for number, length in enumerate(_LENGTHS)]
        self.other_tokens = rng.choice(tokens, _LENGTHS[0])
        hidden = np.zeros(_LENGTHS[0], dtype=bool)
        hidden[_HIDDEN] = True
        self.student = student_sequence(self.rows[0], hidden)

    def check_loss(self) -> None:
        """
        Compares the cross-entropies of the loss with those of the model's logits, and those for two different last
        tokens.
        """
        other = replace(self.rows[0], input_ids=self.rows[0].input_ids.copy(), row_id=2)
        other.input_ids[-1] = self.other_tokens[-1]
        batch = pad([full_sequence(self.rows[0]), full_sequence(other)])
        inputs = self._inputs(batch)
        targets = torch.as_tensor(batch.targets, device=self.parameter.device)
        empty = torch.zeros(0, dtype=torch.long)
        loss_inputs = LossInputs(
            loss_index=torch.as_tensor(batch.loss_index),
            targets=targets,
            nll_weight=torch.ones(len(targets)),
            student_index=empty,
            teacher_index=empty,
        )
        try:
            logits = self.model(**inputs, use_cache=False).logits.flatten(0, 1)[batch.loss_index].float()
            nll = self.model(**inputs, loss_inputs=loss_inputs)["nll"]
        except Exception as error:
            raise self._failure("a batch of text", error) from error
        own = torch.nn.functional.cross_entropy(logits, targets.to(logits.device), reduction="none")
        gap = (nll.to(own.device) - own).abs().mean().item()
        if not gap <= self._tolerance * max(1.0, own.mean().item()):
            raise ValueError(
                f"The loss would be wrong for {self.name}: on {len(targets)} random tokens its cross-entropy is {nll.mean():.4f}, and "
                f"by the model's own logits {own.mean():.4f}. Something in its forward pass depends on more than the loss knows; use "
                f"another model."
            )
        # All predictions but the last of either row; the rows are equal before it
        first, second = logits.chunk(2)
        gap = self._difference(first[:-1], second[:-1])
        if not gap <= self._tolerance_within_batch:
            raise ValueError(
                f"{self.name} is not causal: its logits move by {gap:.2g} of their size when the last token is "
                f"another; load it as a decoder (`is_decoder=True` in its config, where it has that), or use another model."
            )

    def check_masks(self) -> None:
        """Compares the states of visible tokens for two contents of the hidden tokens."""
        batch = pad([self.student, self.student])
        batch.input_ids[0, _HIDDEN] = self.rows[0].input_ids[_HIDDEN]
        batch.input_ids[1, _HIDDEN] = self.other_tokens[_HIDDEN]
        try:
            first, second = self._states(batch, [self.student, self.student])
        except Exception as error:
            raise self._failure("a padded batch with hidden tokens", error) from error
        gap = self._difference(first, second)
        if not gap <= self._tolerance_within_batch:
            raise ValueError(
                f"Hidden tokens change the states of visible ones in {self.name} by {gap:.2g} of their size: its state "
                f"runs through hidden tokens, so dynamic masking is not defined for it; use a model with attention layers only."
            )

    def packing_fault(self) -> str | None:
        """Compares the states of each sequence of a pack with those in a padded batch."""
        sequences = [full_sequence(self.rows[0]), self.student, full_sequence(self.rows[1])]
        try:
            packed = self._states(pack(sequences), sequences)
        except (torch.OutOfMemoryError, UnsupportedAttentionError):
            raise
        except Exception as error:
            return f"its forward pass fails on a packed batch ({_named(error)})"
        try:
            padded = self._states(pad(sequences), sequences)
        except Exception as error:
            raise self._failure("a padded batch with hidden tokens", error) from error
        for what, state, expected in zip(("first", "shortened", "last"), packed, padded, strict=True):
            gap = self._difference(state, expected)
            if not gap <= self._tolerance:
                return f"the {what} sequence of a packed batch differs from the same by itself, by {gap:.2g} of its states' size"
        return None

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        implementation = self.model.config._attn_implementation
        return model_inputs(batch, implementation, self.parameter.device, self.model.dtype)

    def _states(self, batch: Batch, sequences: list[Sequence]) -> list[torch.Tensor]:
        # The states before the head of all tokens, sequence by sequence
        index = torch.arange(batch.input_ids.size)
        states = self.model(**self._inputs(batch), teacher_index=index)["hidden"].float()
        if batch.cu_seq_lens is not None:
            return list(states.split([len(sequence.tokens) for sequence in sequences]))
        width = batch.input_ids.shape[1]
        return [
            states[number * width + torch.as_tensor(sequence.positions)] for number, sequence in enumerate(sequences)
        ]

    def _difference(self, states: torch.Tensor, expected: torch.Tensor) -> float:
        gaps = (states - expected).norm(dim=-1) / expected.norm(dim=-1)
        # Rounding may route a token of a half-precision model to another expert
        return (gaps.median() if self._is_half else gaps.max()).item()

    @property
    def _is_half(self) -> bool:
        return self.parameter.itemsize < 4 or torch.is_autocast_enabled(self.parameter.device.type)

    @property
    def _tolerance(self) -> float:
        if self._is_half:
            return 0.1
        return 0.02 if _rounds_float32_products(self.parameter.device) else 1e-3

    @property
    def _tolerance_within_batch(self) -> float:
        # The same shapes use the same kernels, so rounding differs very little
        return self._tolerance / 5 if self._is_half else self._tolerance

    def _failure(self, what: str, error: Exception) -> ValueError:
        return ValueError(
            f"{self.name} fails on {what} ({_named(error)}); load it with another `attn_implementation`, such as 'sdpa' or 'eager', "
            f"or use another model."
        )


def _row(input_ids: np.ndarray, number: int) -> Row:
    return Row(
        input_ids=input_ids,
        loss_mask=np.ones(len(input_ids), dtype=bool),
        block_ids=np.zeros(len(input_ids), dtype=np.int64),
        block_types=np.zeros(0, dtype=np.int64),
        answer_start=0,
        row_id=number,
    )


def _plain_tokens(model: PreTrainedModel) -> np.ndarray:
    # Without the special tokens of the config, such as images and padding, which models treat differently
    config = model.config.get_text_config()
    values = {**model.config.to_dict(), **config.to_dict()}
    named = [value for name, value in values.items() if "token" in name and isinstance(value, int)]
    return np.setdiff1d(np.arange(config.vocab_size), named)


def _skip_reason(model: PreTrainedModel) -> str | None:
    parameters = list(model.parameters())
    if any(parameter.is_meta for parameter in parameters) or (is_fsdp_enabled() and not is_local_dist_rank_0()):
        return "its weights are not loaded in this process"
    if any(hasattr(parameter, "ds_id") for parameter in parameters):
        return "DeepSpeed ZeRO-3 has partitioned its weights"
    if getattr(model, "hf_quantizer", None) is not None:
        return "it is quantized"
    on_cpu = sum(parameter.numel() for parameter in parameters if parameter.device.type == "cpu")
    if on_cpu > _MOST_PARAMETERS_ON_CPU:
        return f"it has {on_cpu / 1e9:.1f}B parameters on the CPU"
    return None


def _rounds_float32_products(device: torch.device) -> bool:
    # transformers enables TF32 by this setting. After that, the older `torch.get_float32_matmul_precision` raises an error
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    return backend.matmul.fp32_precision not in ("none", "ieee")


@contextmanager
def _undisturbed(model: PreTrainedModel) -> Iterator[None]:
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with ExitStack() as stack:
        for context in (torch.no_grad(), torch.random.fork_rng(devices), dropout_disabled(model)):
            stack.enter_context(context)
        # Compiled for a few tokens, flex attention would be recompiled for the first batch
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        if model.config._attn_implementation.startswith("flash") and model.dtype == torch.float32:
            stack.enter_context(
                torch.autocast(model.device.type, torch.bfloat16)
            )  # as in training; the kernels take no other
        yield


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {quote_error(error, 120)}" if str(error).strip() else type(error).__name__
