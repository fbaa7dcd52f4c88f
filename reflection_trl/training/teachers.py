"""Implements teachers other than the live model: a moving average of the weights, or the weights before training."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments


TEACHER_FILE = "reflection_teacher.safetensors"

# Initializations of LoRA that PEFT subtracts from the base weights
_SUBTRACTED_FROM_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


@contextmanager
def adapter_disabled(model: nn.Module) -> Iterator[None]:
    """
    Runs a PEFT model as its base model in the context.

    PEFT's `disable_adapter` also toggles `requires_grad` of the adapter, after which FSDP2 treats the gathered
    parameters as frozen. This function changes only the flags of the layers.

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


def disabled_adapter_is_base(config: PeftConfig) -> bool:
    """
    Returns whether a model with its adapter disabled equals the model that the adapter was put on.

    Args:
        config ([`~peft.PeftConfig`]):
            Configuration of the adapter.

    Returns:
        `bool`: False if the initial adapter was subtracted from the base weights (PiSSA, OLoRA and others), or if
        biases of the base model are trained.
    """
    start = getattr(config, "init_lora_weights", None)
    is_subtracted = isinstance(start, str) and start.lower().startswith(_SUBTRACTED_FROM_BASE)
    return not is_subtracted and getattr(config, "bias", "none") == "none"


def adapter_has_effect(model: PeftModel) -> bool:
    """
    Returns whether a LoRA adapter changes the outputs of the model that it was put on: it was trained before, or does not
    start at zero.

    Args:
        model ([`~peft.PeftModel`]):
            PEFT model.
    """
    pairs = (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B"))
    return any(
        all(_weight(getattr(layer, half)[name]).any() for half in pair)
        for layer in model.modules()
        if isinstance(layer, LoraLayer)
        for name in model.active_adapters
        for pair in pairs
        if name in getattr(layer, pair[0])
    )


def _weight(part: Any) -> torch.Tensor:
    return part if isinstance(part, torch.Tensor) else part.weight


@contextmanager
def dropout_disabled(model: nn.Module) -> Iterator[None]:
    """
    Runs a model without dropout and NEFTune noise in the context.

    Args:
        model (`nn.Module`):
            Model. Each of its modules returns to its previous mode.
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
    Stores a second set of values for the trained parameters: the initial values, frozen, or a moving average.

    Args:
        model (`nn.Module`):
            Model whose trained parameters are copied.
        update_rate (`float`):
            Weight of the live values in each [`~TeacherWeights.update`]; 0 for a frozen teacher.
    """

    def __init__(self, model: nn.Module, update_rate: float):
        self.update_rate = update_rate
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.values = {name: p.detach().to(self._dtype(p), copy=True) for name, p in self.parameters.items()}

    def _dtype(self, parameter: torch.Tensor) -> torch.dtype:
        # In half precision a small part of a small step is rounded to zero, so the average would never change
        return torch.promote_types(parameter.dtype, torch.float32) if self.update_rate > 0 else parameter.dtype

    def update(self) -> None:
        """Moves the values towards the live ones: `values += update_rate * (live - values)`."""
        if self.update_rate > 0:
            for name, parameter in self.parameters.items():
                value = self.values[name] = self.values[name].to(parameter.device)
                value.lerp_(parameter.detach().to(value.dtype), self.update_rate)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Runs the model with the teacher's values in the context."""
        live = {name: p.data for name, p in self.parameters.items()}
        try:
            for name, parameter in self.parameters.items():
                parameter.data = self.values[name].to(parameter.device, parameter.dtype)
            # Autocast keeps the half-precision copies of weights until its outermost context ends, so it would run the
            # teacher with the live values, or the live model with the teacher's
            torch.clear_autocast_cache()
            yield
        finally:
            for name, parameter in self.parameters.items():
                parameter.data = live[name]
            torch.clear_autocast_cache()

    def save(self, checkpoint: Path) -> None:
        """
        Writes the values of a moving average to a checkpoint. Frozen values are those of the model before training.

        Args:
            checkpoint (`Path`):
                Folder of the checkpoint.
        """
        if self.update_rate > 0:
            save_file({name: value.contiguous() for name, value in self.values.items()}, checkpoint / TEACHER_FILE)

    def load(self, checkpoint: Path) -> None:
        """
        Restores the values of a moving average.

        Args:
            checkpoint (`Path`):
                Folder of the checkpoint.

        Raises:
            ValueError: If the checkpoint has no such values, or those of another model.
        """
        if self.update_rate == 0:
            return
        file = checkpoint / TEACHER_FILE
        if not file.exists():
            raise ValueError(
                f"{checkpoint} has no {TEACHER_FILE}: it was written without a moving average of the weights (another `teacher`, or a "
                f"`distillation_weight` of 0); resume with the settings of that training."
            )
        values = load_file(file)
        if set(values) != set(self.values):
            raise ValueError(
                "The checkpoint's teacher has other parameters than this model; resume with the same model."
            )
        self.values = {name: value.to(self.values[name]) for name, value in values.items()}


class UpdateTeacher(TrainerCallback):
    """
    Updates the moving average of an `ema` teacher after each optimizer step.

    Args:
        weights ([`TeacherWeights`]):
            The teacher's weights.
    """

    def __init__(self, weights: TeacherWeights):
        self.weights = weights

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.weights.update()


def second_copy_error(teacher: str) -> ValueError:
    """
    Returns the error for a teacher whose weights cannot be copied, because the parameters are sharded.

    Args:
        teacher (`str`):
            Setting of the trainer.
    """
    return ValueError(
        f"`teacher='{teacher}'` keeps a second copy of the trained weights, which sharded parameters (FSDP, DeepSpeed "
        f"ZeRO-3) do not allow; use `teacher='live'`, DDP or ZeRO-1/2, or a new LoRA adapter in its usual form (no "
        f"`bias`, no `init_lora_weights` such as PiSSA) with `teacher='base'`."
    )


def check_teacher_before_loading(
    teacher: str, model: str | PreTrainedModel | PeftModel, peft_config: PeftConfig | None, is_sharded: bool
) -> None:
    """
    Rejects a teacher with a second copy of sharded weights before the model is loaded.

    Args:
        teacher (`str`):
            Setting of the trainer.
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model of the trainer.
        peft_config ([`~peft.PeftConfig`] or `None`):
            Adapter to train. With one, [`make_teacher_weights`] decides after loading whether the base model is at
            hand.
        is_sharded (`bool`):
            Whether each process will have only a part of the parameters.

    Raises:
        ValueError: If the teacher needs a second copy.
    """
    has_adapter = peft_config is not None or isinstance(model, PeftModel)
    if is_sharded and teacher != "live" and (teacher == "ema" or not has_adapter):
        raise second_copy_error(teacher)


def make_teacher_weights(
    model: PreTrainedModel | PeftModel,
    teacher: str,
    update_rate: float,
    is_sharded: bool,
    continues_adapter: bool = False,
) -> TeacherWeights | None:
    """
    Creates the weights of a teacher that needs a separate copy.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model to be trained.
        teacher (`str`):
            One of `live`, `ema`, `base`.
        update_rate (`float`):
            Weight of the live values in each step of the average.
        is_sharded (`bool`):
            Whether each process has only a part of the parameters.
        continues_adapter (`bool`, *optional*, defaults to `False`):
            Whether the trainer was given a model with an adapter, rather than an adapter to add. If this adapter was
            trained before, the model before training is the model with it.

    Returns:
        [`TeacherWeights`], *optional*: `None` for the live model, and for a base model that is available by disabling
        the adapter.

    Raises:
        ValueError: If the parameters are sharded.
    """
    if teacher == "live":
        return None
    if (
        teacher == "base"
        and isinstance(model, PeftModel)
        and all(disabled_adapter_is_base(model.peft_config[name]) for name in model.active_adapters)
        and not (continues_adapter and adapter_has_effect(model))
    ):
        return None
    if is_sharded:
        raise second_copy_error(teacher)
    return TeacherWeights(model, update_rate if teacher == "ema" else 0.0)


@contextmanager
def teacher_in_place(model: nn.Module, weights: TeacherWeights | None) -> Iterator[None]:
    """
    Runs the model as its teacher in the context: without dropout, with the teacher's weights or without the adapter.

    Args:
        model (`nn.Module`):
            Model to be trained.
        weights ([`TeacherWeights`] or `None`):
            Weights of the teacher; `None` if the teacher is the model with its adapter disabled.
    """
    with adapter_disabled(model) if weights is None else weights.in_place(), dropout_disabled(model):
        yield
