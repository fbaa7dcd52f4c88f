"""
Adds a forward pass that computes the log-probabilities of a policy and its divergence from a teacher in one backbone
pass.
"""

import functools
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from trl.trainer.utils import FusedCausalLMOutput

from ..training.forward import LossInputs, TeacherPredictions, take_loss
from ..training.head import head_module, logit_scaling, replaced_forward
from ..training.losses import Head


# Arguments of TRL's fused forward pass that the backbone does not take
_OF_THE_HEAD = ("labels", "shift_labels", "num_items_in_batch")


@dataclass
class DistillationCausalLMOutput(FusedCausalLMOutput):
    """
    Output of TRL's fused language model head, with the divergence from a teacher.

    Args:
        divergence_loss (`torch.Tensor`, scalar, *optional*):
            Weighted sum of the divergences.
        divergence (`torch.Tensor` of shape `(N,)`, *optional*):
            Divergence of each distilled token in nats, without gradient.
        agree (`torch.Tensor` of shape `(N,)`, *optional*):
            Whether teacher and student have the same top-1 token.
        student_nll (`torch.Tensor` of shape `(N,)`, *optional*):
            Negative log-likelihood of each distilled token under the student, without gradient.
        teacher_nll (`torch.Tensor` of shape `(N,)`, *optional*):
            Negative log-likelihood of each distilled token under the teacher.
    """

    divergence_loss: torch.Tensor | None = None
    divergence: torch.Tensor | None = None
    agree: torch.Tensor | None = None
    student_nll: torch.Tensor | None = None
    teacher_nll: torch.Tensor | None = None


def add_divergence_forward(model: PreTrainedModel) -> None:
    """
    Makes a model with TRL's fused head compute the divergence from a teacher in the same forward pass.

    `model(..., fused_lm_head=True, distillation=LossInputs(...))` returns a [`DistillationCausalLMOutput`]. All
    predictions of `distillation` must be a student's. Without `distillation` the output is TRL's. The divergence is
    computed inside the forward pass, where the hooks of DDP and FSDP expect the parameters.

    TRL's head reads the weights of the head's module without calling it. Under DeepSpeed ZeRO-3 they would be
    partitioned when their gradient arrives, so the module is called there, with both losses in place of its logits: its
    hooks gather the weights for the backward pass.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Model after `trl.trainer.utils.add_fused_lm_head`, without PEFT around it. It is changed in place.
    """
    scaling = logit_scaling(model)
    fused_forward = model.forward

    def score(self: PreTrainedModel, states: torch.Tensor, outputs: Any, distillation: LossInputs | None) -> Any:
        if distillation is None:
            return outputs
        loss = take_loss(self, scaling, states, distillation)
        return DistillationCausalLMOutput(
            **outputs,
            divergence_loss=loss["loss"],
            divergence=loss["divergence"],
            agree=loss["agree"],
            student_nll=loss["nll"],
            teacher_nll=loss["teacher_nll"],
        )

    def call_head(self: PreTrainedModel, args: Any, kwargs: dict[str, Any], distillation: LossInputs | None) -> Any:
        labels = {name: kwargs.pop(name) for name in _OF_THE_HEAD if name in kwargs}
        backbone = self.base_model(*args, **kwargs, use_cache=False)
        found: list[Any] = []

        def head(states: torch.Tensor) -> tuple[torch.Tensor, ...]:
            given = type(backbone)(**{**backbone, "last_hidden_state": states})
            with replaced_forward(self.base_model, lambda *_, **__: given):
                outputs = fused_forward(fused_lm_head=True, **labels)
            found.append(score(self, states, outputs, distillation))
            return tuple(value for value in found[0].values() if isinstance(value, torch.Tensor))

        module = head_module(self)
        with replaced_forward(module, head):
            values = iter(module(backbone.last_hidden_state))
        # The hooks of the module are on the tensors that it returns
        return type(found[0])(**{k: next(values) if isinstance(v, torch.Tensor) else v for k, v in found[0].items()})

    @functools.wraps(type(model).forward)  # `generate` validates its arguments against the original signature
    def forward(
        self: PreTrainedModel,
        *args: Any,
        distillation: LossInputs | None = None,
        fused_lm_head: bool = False,
        **kwargs: Any,
    ) -> Any:
        if not fused_lm_head:
            return fused_forward(*args, **kwargs)
        if is_deepspeed_zero3_enabled() and torch.is_grad_enabled():
            return call_head(self, args, kwargs, distillation)
        states: list[torch.Tensor] = []
        hook = self.base_model.register_forward_hook(lambda _, __, output: states.append(output.last_hidden_state))
        try:
            outputs = fused_forward(*args, **kwargs, fused_lm_head=True)
        finally:
            hook.remove()
        return score(self, states[0], outputs, distillation)

    model.forward = types.MethodType(forward, model)


def mixed_prediction(first: TeacherPredictions, second: TeacherPredictions, weight: float) -> TeacherPredictions:
    """
    Returns hidden states and a head whose logits are a mixture of the logits of two predictions.

    The logits `(1 - w) W1 h1 + w W2 h2` are those of the head `[W1 W2]` on the states `[(1 - w) h1, w h2]`. If both
    heads have the same weights, as with LoRA, only the hidden states are mixed. A cap of the logits is applied to the
    mixture.

    Args:
        first ([`~reflection_trl.training.forward.TeacherPredictions`]):
            Hidden states and head of the live model.
        second ([`~reflection_trl.training.forward.TeacherPredictions`]):
            Inputs of the other model; its head may be `"base"`.
        weight (`float`):
            Weight of the second, in [0, 1].
    """
    states = (1 - weight) * first.hidden, weight * second.hidden
    head, other = first.head, second.head
    if not isinstance(head, Head) or not isinstance(other, Head):
        return TeacherPredictions(states[0] + states[1], other)
    bias = None
    if head.bias is not None and other.bias is not None:
        bias = (1 - weight) * head.bias + weight * other.bias
    weights = torch.cat([head.weight, other.weight], -1)
    return TeacherPredictions(torch.cat(states, -1), Head(weights, bias, head.scale, head.softcap))


@contextmanager
def precision_kept(model: nn.Module) -> Iterator[None]:
    """
    Restores the values and the mode of a model after a context in which it is cast to another dtype in place.

    TRL's continuous batching casts the trained model with `model.to(torch.bfloat16)`, and leaves it in this dtype and
    in training mode. Steps of an optimizer are too small for weights in bfloat16, and an evaluation would continue as
    training. Buffers, such as the rotary frequencies, are not cast even in the context.

    Args:
        model (`nn.Module`):
            Model.
    """
    training, values = model.training, [(parameter, parameter.data) for parameter in model.parameters()]
    buffers = [(module, name, buffer) for module in model.modules() for name, buffer in module._buffers.items()]
    for module, name, buffer in buffers:  # `Module.to` casts what is registered
        del module._buffers[name]
        module.__dict__[name] = buffer
    try:
        yield
    finally:
        for module, name, buffer in buffers:
            del module.__dict__[name]
            module._buffers[name] = buffer
        for parameter, value in values:
            parameter.data = value
        model.train(training)
