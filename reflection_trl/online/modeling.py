"""A forward pass that gives the log-probabilities of a policy and its divergence from a teacher, from one run of the backbone."""

import functools
import types
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel
from trl.trainer.utils import FusedCausalLMOutput, maybe_gather_lm_head_ctx

from ..losses import Head, distillation_loss, model_head


@dataclass
class Teaching:
    """
    What a batch of student sequences is taught.

    Args:
        index (`torch.Tensor` of shape `(N,)`):
            Positions, in the flattened batch, whose hidden states predict the tokens that are taught.
        targets (`torch.Tensor` of shape `(N,)`):
            These tokens.
        hidden (`torch.Tensor` of shape `(N, H)`):
            The teacher's hidden states for the same tokens.
        head ([`~reflection_trl.losses.Head`], *optional*):
            The head that goes with them; the student's by default.
        weight (`torch.Tensor`, scalar):
            Weight of each divergence.
        beta (`float`):
            0 for KL(teacher || student), 1 for KL(student || teacher), between for the generalised Jensen-Shannon divergence.
        temperature (`float`):
            Softens both distributions.
    """

    index: torch.Tensor
    targets: torch.Tensor
    hidden: torch.Tensor
    head: Head | None
    weight: torch.Tensor
    beta: float
    temperature: float


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

    `model(..., fused_lm_head=True, teaching=Teaching(...))` returns a [`TaughtCausalLMOutput`]; without `teaching` the forward
    pass is the one before. The divergence is taken inside the forward pass, where the hooks of DDP and FSDP expect the parameters.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Model that `trl.trainer.utils.add_fused_lm_head` was applied to, without PEFT around it; changed in place.
    """
    fused_forward = model.forward

    @functools.wraps(type(model).forward)  # `generate` validates its arguments against the original signature
    def forward(self: PreTrainedModel, *args: Any, teaching: Teaching | None = None, **kwargs: Any) -> Any:
        if teaching is None:
            return fused_forward(*args, **kwargs)
        states: list[torch.Tensor] = []
        hook = self.base_model.register_forward_hook(lambda _, __, output: states.append(output.last_hidden_state))
        try:
            output = fused_forward(*args, **kwargs)
        finally:
            hook.remove()
        return TaughtCausalLMOutput(**output, **_divergence(self, states[0], teaching))

    model.forward = types.MethodType(forward, model)


def _divergence(model: PreTrainedModel, states: torch.Tensor, teaching: Teaching) -> dict[str, torch.Tensor]:
    head = model_head(model)
    if isinstance(head.weight, DTensor):
        head.weight = head.weight.full_tensor()
    if isinstance(head.bias, DTensor):
        head.bias = head.bias.full_tensor()
    # With the model split across devices (`device_map`), the backbone can end on another device than the head
    hidden = states.flatten(0, 1)[teaching.index.to(states.device)].to(head.weight.device)
    everything = torch.arange(len(teaching.targets), device=hidden.device)
    with maybe_gather_lm_head_ctx(head.weight, head.bias):  # type: ignore[arg-type] # annotated for parameters only
        loss = distillation_loss(
            hidden,
            head,
            teaching.targets.to(hidden.device),
            nll_weight=torch.zeros(len(everything), device=hidden.device),
            student=everything,
            teacher=everything[:0],
            divergence_weight=teaching.weight.to(hidden.device),
            beta=teaching.beta,
            temperature=teaching.temperature,
            teacher_hidden=teaching.hidden.to(hidden.device),
            teacher_head=teaching.head,
        )
    return {
        "divergence_loss": loss.loss,
        "divergence": loss.divergence,
        "agree": loss.agree,
        "taught_nll": loss.nll,
    }


def mixed_prediction(
    first: tuple[torch.Tensor, Head], second: tuple[torch.Tensor, Head], weight: float
) -> tuple[torch.Tensor, Head]:
    """
    Returns hidden states and a head whose logits are a mixture of two predictions' logits.

    The logits `(1 - w) W1 h1 + w W2 h2` are those of the head `[W1 W2]` on the states `[(1 - w) h1, w h2]`. Where both have the
    same weights, as under LoRA, it is enough to mix the hidden states.

    Args:
        first (`tuple[torch.Tensor, Head]`):
            Hidden states of shape `(N, H)` and their head.
        second (`tuple[torch.Tensor, Head]`):
            The others.
        weight (`float`):
            Weight of the second, in [0, 1].
    """
    (hidden, head), (other_hidden, other) = first, second
    states = (1 - weight) * hidden, weight * other_hidden
    same = head.weight.data_ptr() == other.weight.data_ptr()
    bias = None
    if head.bias is not None and other.bias is not None:
        bias = (1 - weight) * head.bias + weight * other.bias
    if same:
        return states[0] + states[1], Head(head.weight, bias, head.scale, head.softcap)
    return torch.cat(states, -1), Head(torch.cat([head.weight, other.weight], -1), bias, head.scale, head.softcap)
