"""What is done to a model: a forward pass that returns the distillation loss, and teachers other than the live model."""

import functools
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.modeling_layers import GradientCheckpointingLayer
from trl.trainer.utils import maybe_gather_lm_head_ctx

from .losses import DistillationLossOutput, Head, distillation_loss, model_head


# Starts of LoRA that PEFT subtracts from the base weights
_TAKEN_FROM_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


def add_distillation_forward(model: PreTrainedModel) -> None:
    """
    Give a causal language model a forward pass that takes the distillation loss without ever holding its logits.

    `model(..., loss_inputs=...)` runs the backbone and [`~reflection_trl.training.losses.distillation_loss`]; without `loss_inputs`
    the forward pass is the original one. The loss is taken inside the model's forward pass, so that the hooks of DDP, FSDP and
    DeepSpeed see all parameters where they expect them. Same technique as TRL's `add_fused_lm_head`.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it; changed in place.
    """
    original_forward = model.forward

    @functools.wraps(type(model).forward)  # `generate` validates its arguments against the original signature
    def forward(
        self: PreTrainedModel, *args: Any, loss_inputs: dict[str, Any] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        if loss_inputs is None:
            return original_forward(*args, **kwargs)
        kwargs = {key: value for key, value in kwargs.items() if key not in ("labels", "use_cache")}
        states = self.base_model(*args, use_cache=False, **kwargs).last_hidden_state
        head = model_head(self)
        # With the model split across devices (`device_map`), the backbone can end on another device than the head
        loss_index = loss_inputs["loss_index"].to(states.device)
        hidden = states.flatten(0, 1)[loss_index].to(head.weight.device)
        loss_inputs = {
            name: value.to(hidden.device) if isinstance(value, torch.Tensor) else value
            for name, value in loss_inputs.items()
            if name != "loss_index"
        }
        if isinstance(head.weight, DTensor):
            head.weight = head.weight.full_tensor()
        if isinstance(head.bias, DTensor):
            head.bias = head.bias.full_tensor()
        if "targets" not in loss_inputs:
            return {"hidden": hidden, "head": _detached(head)}
        with maybe_gather_lm_head_ctx(head.weight, head.bias):  # type: ignore[arg-type] # annotated for parameters only
            output: DistillationLossOutput = distillation_loss(hidden, head, **loss_inputs)
        return vars(output)

    model.forward = types.MethodType(forward, model)


def learned_positions(model: PreTrainedModel) -> int | None:
    """
    How many positions a model has embeddings for.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model.

    Returns:
        `int`, *optional*: The number; `None` where positions are computed, as by rotary embeddings.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is None:
        return None
    tokens = model.get_input_embeddings()
    others = (module for module in model.modules() if isinstance(module, nn.Embedding) and module is not tokens)
    # Some have one or two more, for padding (OPT)
    return positions if any(positions <= module.num_embeddings <= positions + 2 for module in others) else None


def stop_generation_at(model: PreTrainedModel, token_id: int) -> None:
    """
    Let a model's generation stop at one more token.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model; its generation config is changed in place.
        token_id (`int`):
            Token id.
    """
    stops = model.generation_config.eos_token_id
    stops = [] if stops is None else [stops] if isinstance(stops, int) else list(stops)
    if token_id not in stops:
        model.generation_config.eos_token_id = [token_id, *stops]


def compile_layers(model: PreTrainedModel, backend: str, mode: str | None) -> None:
    """
    Compile each layer of a model in place, for sequences of any length.

    Layers alike share one compilation, so that this takes seconds where compiling the whole model takes minutes. What a whole
    batch decides, its number of sequences above all, stays outside and compiles nothing anew.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model; changed in place.
        backend (`str`):
            Backend of `torch.compile`.
        mode (`str`, *optional*):
            Its mode.
    """
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.compile(dynamic=True, backend=backend, mode=mode)


def _detached(head: Head) -> Head | None:
    if is_deepspeed_zero3_enabled():  # partitioned: only to be had inside the live forward pass
        return None
    return Head(head.weight.detach(), None if head.bias is None else head.bias.detach(), head.scale, head.softcap)


@contextmanager
def without_adapter(model: nn.Module) -> Iterator[None]:
    """
    Let a PEFT model run as its base model for the time of the context.

    PEFT's `disable_adapter` also switches `requires_grad` of the adapter off and on again, from which FSDP2 takes the
    gathered parameters to be frozen; here only the layers' own flags change.

    Args:
        model (`nn.Module`):
            PEFT model.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, (BaseTunerLayer, AuxiliaryTrainingWrapper))]
    before = [layer._disable_adapters for layer in layers]
    try:
        for layer in layers:
            layer._disable_adapters = True
        yield
    finally:
        for layer, disabled in zip(layers, before, strict=True):
            layer._disable_adapters = disabled


def is_base_without_adapter(model: PeftModel) -> bool:
    """
    Whether a PEFT model whose adapter is switched off is the model that the adapter was put on.

    Args:
        model ([`~peft.PeftModel`]):
            PEFT model.

    Returns:
        `bool`: False where the adapter took its start out of the base weights (PiSSA, OLoRA and others), or where biases of
        the base model are trained.
    """
    for name in model.active_adapters:
        config = model.peft_config[name]
        start = getattr(config, "init_lora_weights", None)
        if isinstance(start, str) and start.lower().startswith(_TAKEN_FROM_BASE):
            return False
        if getattr(config, "bias", "none") != "none":
            return False
    return True


@contextmanager
def without_noise(model: nn.Module) -> Iterator[None]:
    """
    Let a model run without dropout and NEFTune's noise for the time of the context.

    Args:
        model (`nn.Module`):
            Model, in whatever mode each of its modules is.
    """
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True


class TeacherWeights:
    """
    A second set of values for the trained parameters: the frozen start, or a moving average.

    Args:
        model (`nn.Module`):
            Model whose trained parameters are copied. The copy starts at their present values.
        update_rate (`float`):
            Share of the live values that [`~TeacherWeights.update`] lets in; 0 for a frozen teacher.
    """

    def __init__(self, model: nn.Module, update_rate: float):
        self.update_rate = update_rate
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.values = {name: p.detach().to(self._dtype(p), copy=True) for name, p in self.parameters.items()}

    def _dtype(self, parameter: torch.Tensor) -> torch.dtype:
        # Half precision drops what a small share of a small step adds, so that an average in it would never move
        return torch.promote_types(parameter.dtype, torch.float32) if self.update_rate > 0 else parameter.dtype

    def update(self) -> None:
        """Move the values towards the live ones: `values += update_rate * (live - values)`."""
        if self.update_rate > 0:
            for name, parameter in self.parameters.items():
                value = self.values[name] = self.values[name].to(parameter.device)
                value.lerp_(parameter.detach().to(value.dtype), self.update_rate)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model run with the teacher's values for the time of the context."""
        live = {name: p.data for name, p in self.parameters.items()}
        try:
            for name, parameter in self.parameters.items():
                parameter.data = self.values[name].to(parameter.device, parameter.dtype)
            yield
        finally:
            for name, parameter in self.parameters.items():
                parameter.data = live[name]

    def state_dict(self) -> dict[str, torch.Tensor]:
        """
        The values, for a checkpoint.

        Returns:
            `dict[str, torch.Tensor]`: Values by parameter name.
        """
        return {name: value.contiguous() for name, value in self.values.items()}

    def load_state_dict(self, values: dict[str, torch.Tensor]) -> None:
        """
        Take the values of a checkpoint.

        Args:
            values (`dict[str, torch.Tensor]`):
                Values by parameter name.
        """
        if set(values) != set(self.values):
            raise ValueError(
                "The checkpoint's teacher has other parameters than this model; resume with the same model."
            )
        self.values = {name: value.to(self.values[name]) for name, value in values.items()}
