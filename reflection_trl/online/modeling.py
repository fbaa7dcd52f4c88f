"""A forward pass that gives the log-probabilities of a policy and its divergence from a teacher, from one run of the backbone."""

import functools
import types
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from trl.trainer.utils import FusedCausalLMOutput

from ..training.forward import LossInputs, TeacherPredictions, take_loss
from ..training.head import logit_scaling
from ..training.losses import Head


@dataclass
class TaughtCausalLMOutput(FusedCausalLMOutput):
    """
    TRL's output of a fused language-model head, and the divergence from a teacher.

    Args:
        divergence_loss (`torch.Tensor`, scalar):
            Weighted sum of the divergences.
        divergence (`torch.Tensor` of shape `(N,)`):
            Divergence of each taught token in nats, without gradient.
        agree (`torch.Tensor` of shape `(N,)`):
            Whether teacher and student have the same first choice.
        taught_nll (`torch.Tensor` of shape `(N,)`):
            The student's negative log-likelihood of each taught token, without gradient.
    """

    divergence_loss: torch.Tensor | None = None
    divergence: torch.Tensor | None = None
    agree: torch.Tensor | None = None
    taught_nll: torch.Tensor | None = None


def add_taught_forward(model: PreTrainedModel) -> None:
    """
    Lets a model with TRL's fused head take the divergence from a teacher in the same forward pass.

    `model(..., fused_lm_head=True, taught=LossInputs(...))` returns a [`TaughtCausalLMOutput`], for which all predictions of
    `taught` have to be a student's; without `taught` the forward pass is the one before. The divergence is taken inside the forward
    pass, where the hooks of DDP and FSDP expect the parameters.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Model that `trl.trainer.utils.add_fused_lm_head` was applied to, without PEFT around it; changed in place.
    """
    scaling = logit_scaling(model)
    fused_forward = model.forward

    @functools.wraps(type(model).forward)  # `generate` validates its arguments against the original signature
    def forward(self: PreTrainedModel, *args: Any, taught: LossInputs | None = None, **kwargs: Any) -> Any:
        if taught is None:
            return fused_forward(*args, **kwargs)
        states: list[torch.Tensor] = []
        hook = self.base_model.register_forward_hook(lambda _, __, output: states.append(output.last_hidden_state))
        try:
            output = fused_forward(*args, **kwargs)
        finally:
            hook.remove()
        loss = take_loss(self, scaling, states[0], taught)
        return TaughtCausalLMOutput(
            **output,
            divergence_loss=loss["loss"],
            divergence=loss["divergence"],
            agree=loss["agree"],
            taught_nll=loss["nll"],
        )

    model.forward = types.MethodType(forward, model)


def mixed_prediction(first: TeacherPredictions, second: TeacherPredictions, weight: float) -> TeacherPredictions:
    """
    Returns hidden states and a head whose logits are a mixture of two predictions' logits.

    The logits `(1 - w) W1 h1 + w W2 h2` are those of the head `[W1 W2]` on the states `[(1 - w) h1, w h2]`. Where both have the
    same weights, as under LoRA, it is enough to mix the hidden states. A cap of the logits is applied to the mixture.

    Args:
        first ([`~reflection_trl.training.forward.TeacherPredictions`]):
            The live model's hidden states and head.
        second ([`~reflection_trl.training.forward.TeacherPredictions`]):
            The other's; its head may be `"base"`.
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
