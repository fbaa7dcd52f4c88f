"""Adds a forward pass that computes the distillation loss inside the model, in place of its head."""

import functools
import types
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from .config import ReflectionDistillConfig
from .head import check_head, gathered_head, in_place_of_head, logit_scaling, model_head
from .inputs import to_device
from .losses import Head, distillation_loss
from .packing import Batch
from .teachers import adapter_disabled


@dataclass
class LossInputs:
    """
    Arguments of [`~reflection_trl.training.losses.distillation_loss`] except hidden states and head, for the model's
    forward pass.

    Args:
        loss_index (`torch.Tensor` of shape `(N,)`):
            Index, in the flattened batch, of the hidden state that predicts each target.
        targets (`torch.Tensor` of shape `(N,)`):
            Token ids.
        nll_weight (`torch.Tensor` of shape `(N,)`):
            Weight of each target's negative log-likelihood.
        student_index (`torch.Tensor` of shape `(A,)`):
            Indices of the student's predictions.
        teacher_index (`torch.Tensor` of shape `(A,)`):
            Index of the teacher's prediction for the same token.
        divergence_weight (`float` or `torch.Tensor`, *optional*, defaults to `1.0`):
            Weight of each divergence.
        beta (`float`, *optional*, defaults to `0.0`):
            0 for forward KL, 1 for reverse KL, values between for generalized JSD.
        temperature (`float`, *optional*, defaults to `1.0`):
            Temperature of both distributions of the divergence.
        teacher_hidden (`torch.Tensor` of shape `(A, H)`, *optional*):
            Hidden states of the teacher, if the teacher is not the live model.
        teacher_head ([`~reflection_trl.training.losses.Head`] or `str`, *optional*):
            Head for these states; `"base"` for the live model's head without its adapter, which is complete only
            inside the live forward pass if parameters are sharded. By default the live model's head.
        compile_backend (`str`, *optional*):
            Backend of `torch.compile` for the operations on a chunk of logits.
        full_precision (`bool`, *optional*, defaults to `False`):
            Whether hidden states and head are multiplied in float32, also where bfloat16 would do.
    """

    loss_index: torch.Tensor
    targets: torch.Tensor
    nll_weight: torch.Tensor
    student_index: torch.Tensor
    teacher_index: torch.Tensor
    divergence_weight: float | torch.Tensor = 1.0
    beta: float = 0.0
    temperature: float = 1.0
    teacher_hidden: torch.Tensor | None = None
    teacher_head: Head | Literal["base"] | None = None
    compile_backend: str | None = None
    full_precision: bool = False


def make_loss_inputs(
    batch: Batch, num_items_in_batch: torch.Tensor, args: ReflectionDistillConfig, device: torch.device
) -> LossInputs:
    """
    Computes the weights of the predictions of a batch.

    Args:
        batch ([`~reflection_trl.training.packing.Batch`]):
            Batch.
        num_items_in_batch (`torch.Tensor` of shape `(2,)`):
            Loss tokens of full sequences and of students in the whole optimizer step.
        args ([`ReflectionDistillConfig`]):
            Weights and normalization of the terms.
        device (`torch.device`):
            Device of the model.

    Returns:
        [`LossInputs`]: Arguments for a live teacher. The caller sets the fields for another teacher.
    """
    sequence_tokens, student_tokens = num_items_in_batch.clamp(min=1)
    sequence_mean, student_mean = 1 / sequence_tokens, 1 / student_tokens
    if args.loss_normalization == "joint":
        sequence_mean = student_mean = 1 / num_items_in_batch.sum().clamp(min=1)
    return LossInputs(
        loss_index=to_device(batch.loss_index, device),
        targets=to_device(batch.targets, device),
        nll_weight=torch.where(
            to_device(batch.is_student, device),
            args.student_loss_weight * student_mean,
            args.sequence_loss_weight * sequence_mean,
        ),
        student_index=to_device(batch.student_index, device),
        teacher_index=to_device(batch.teacher_index, device),
        divergence_weight=args.distillation_weight / student_tokens,
        beta=args.beta,
        temperature=args.temperature,
        compile_backend=args.torch_compile_backend,
    )


def make_answer_loss_inputs(batch: Batch, device: torch.device) -> LossInputs:
    """
    Computes the weights for the mean loss of the answers of a batch alone, as an evaluation takes it.

    Args:
        batch ([`~reflection_trl.training.packing.Batch`]):
            Batch of one-off sequences.
        device (`torch.device`):
            Device of the model.

    Returns:
        [`LossInputs`]: Arguments without a divergence.
    """
    none = torch.zeros(0, dtype=torch.long, device=device)
    return LossInputs(
        loss_index=to_device(batch.loss_index, device),
        targets=to_device(batch.targets, device),
        nll_weight=torch.full((len(batch.targets),), 1 / max(len(batch.targets), 1), device=device),
        student_index=none,
        teacher_index=none,
    )


@dataclass
class TeacherPredictions:
    """
    Hidden states of a teacher that is not the live model, and their head; without gradient.

    Args:
        hidden (`torch.Tensor` of shape `(A, H)`):
            Hidden states that predict the tokens of the answers.
        head ([`~reflection_trl.training.losses.Head`] or `str`):
            Head of the teacher; `"base"` for the live model's head without its adapter.
    """

    hidden: torch.Tensor
    head: Head | Literal["base"]


def add_distillation_forward(model: PreTrainedModel) -> None:
    """
    Adds a forward pass to a causal language model that computes the distillation loss without storing all logits.

    There are two entry points. All other calls use the original forward pass:

    - `model(..., loss_inputs=LossInputs(...))` runs it with [`~reflection_trl.training.losses.distillation_loss`] in
      place of the head, and returns the fields of [`~reflection_trl.training.losses.DistillationLossOutput`].
    - `model(..., teacher_index=...)` returns the fields of [`TeacherPredictions`] at these positions of the flattened
      batch.

    Both return a `dict`, whose tensors the hooks of DDP, FSDP and DeepSpeed find. The loss is computed inside the
    model's forward pass and inside the call of its head, so these hooks see all parameters where they expect them.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it. It is changed in place.

    Raises:
        ValueError: If the loss does not support the model's head.
    """
    check_head(model)
    scaling = logit_scaling(model)
    original_forward = model.forward

    @functools.wraps(type(model).forward)  # `generate` validates its arguments against the original signature
    def forward(
        self: PreTrainedModel,
        *args: Any,
        loss_inputs: LossInputs | None = None,
        teacher_index: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        if loss_inputs is None and teacher_index is None:
            return original_forward(*args, **kwargs)
        kwargs = {key: value for key, value in kwargs.items() if key not in ("labels", "use_cache")}
        outputs: dict[str, Any] = {}

        def head(states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            if loss_inputs is not None:
                outputs.update(take_loss(self, scaling, states, loss_inputs))
            elif teacher_index is not None:
                outputs.update(_teacher(self, scaling, states, teacher_index))
            # Replaces the logits, which the model may scale afterwards: zero, with the graph of the loss
            return (0 * outputs["loss"] if "loss" in outputs else states.new_zeros(())).reshape(1, 1, 1)

        with in_place_of_head(self, head):
            logits = original_forward(*args, use_cache=False, **kwargs).logits
        if "loss" in outputs:
            # In the backward pass, ZeRO-3 gathers the head's weights when a gradient reaches the output of its module
            outputs["loss"] = outputs["loss"] + 0 * logits.sum()
        return outputs

    model.forward = types.MethodType(forward, model)


def take_loss(
    model: PreTrainedModel, scaling: tuple[float, float | None], states: torch.Tensor, loss_inputs: LossInputs
) -> dict[str, Any]:
    """
    Computes the distillation loss of hidden states, inside the model's forward pass.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
        scaling (`tuple`):
            Scale and cap of its logits, from [`~reflection_trl.training.head.logit_scaling`].
        states (`torch.Tensor` of shape `(B, L, H)`):
            Hidden states, the input of the head.
        loss_inputs ([`LossInputs`]):
            Targets, positions and weights.

    Returns:
        `dict`: The fields of [`~reflection_trl.training.losses.DistillationLossOutput`].
    """
    arguments = {field.name: getattr(loss_inputs, field.name) for field in fields(loss_inputs)}
    with gathered_head(model):
        head = model_head(model, scaling)
        hidden = _at(states, arguments.pop("loss_index"), head)
        if loss_inputs.teacher_head == "base":
            with adapter_disabled(model):
                arguments["teacher_head"] = _detached(model_head(model, scaling))
        arguments = {
            name: value.to(hidden.device) if isinstance(value, torch.Tensor) else value
            for name, value in arguments.items()
        }
        return vars(distillation_loss(hidden, head, **arguments))


def _teacher(
    model: PreTrainedModel, scaling: tuple[float, float | None], states: torch.Tensor, index: torch.Tensor
) -> dict[str, Any]:
    head = model_head(model, scaling)
    return vars(TeacherPredictions(_at(states, index, head), _detached(head)))


def _at(states: torch.Tensor, index: torch.Tensor, head: Head) -> torch.Tensor:
    # If the model is split across devices (`device_map`), the backbone and the head can be on different devices
    return states.flatten(0, 1)[index.to(states.device)].to(head.weight.device)


def _detached(head: Head) -> Head:
    return replace(head, weight=head.weight.detach(), bias=None if head.bias is None else head.bias.detach())
