"""Computes the losses of reflection self-distillation, with logits for only one chunk of positions at a time.

For trained tokens of the teacher's sample and of plain rows (S), and the student's answer tokens (A):

    L = sum_S w_i (-log p_i(y_i)) + sum_A w_i (-log q_i(y_i)) + w_d sum_A D(p_i || q_i)

where p is the teacher's prediction, without gradient in D, and q the student's. D is the forward Kullback-Leibler
divergence KL(p || q) for beta = 0 (ReflectionCoder, https://huggingface.co/papers/2405.17057), the reverse KL(q || p)
for beta = 1, and between them the generalized Jensen-Shannon divergence beta KL(p || m) + (1 - beta) KL(q || m), m =
beta p + (1 - beta) q (GKD, https://huggingface.co/papers/2306.13649). The weights include the normalization: see
[`~reflection_trl.training.trainer.ReflectionDistillTrainer`].

[`FusedDistillationLoss`] never stores `[N, vocabulary]`. It processes chunks of positions, projects each chunk once,
computes all loss terms, their gradients and the metrics from the same float32 logits, and stores only gradients of
hidden states and head.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch


# Number of elements of one float32 chunk of logits; 2^26 are 256 MiB
CHUNK_ELEMENTS = 2**26


@dataclass
class Head:
    """
    Represents a language model head: `logits = cap(scale * (hidden @ weight.T + bias))`.

    Args:
        weight (`torch.Tensor` of shape `(V, H)`):
            Weight.
        bias (`torch.Tensor` of shape `(V,)`, *optional*):
            Bias.
        scale (`float`, *optional*, defaults to `1.0`):
            Factor of the logits (Cohere, Granite).
        softcap (`float`, *optional*):
            Cap c of `c * tanh(logits / c)` (Gemma).
    """

    weight: torch.Tensor
    bias: torch.Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None


@dataclass
class DistillationLossOutput:
    """
    Contains the loss and the inputs of the metrics. All values except `loss` are without gradient.

    Args:
        loss (`torch.Tensor`, scalar):
            Weighted sum of all terms.
        nll (`torch.Tensor` of shape `(N,)`):
            Negative log-likelihood of each target, in nats.
        entropy (`torch.Tensor` of shape `(N,)`):
            Entropy of each prediction, in nats.
        correct (`torch.Tensor` of bool, shape `(N,)`):
            Whether the target is the top-1 token.
        divergence (`torch.Tensor` of shape `(A,)`):
            D of each answer token, in nats.
        agree (`torch.Tensor` of bool, shape `(A,)`):
            Whether teacher and student have the same top-1 token.
        teacher_nll (`torch.Tensor` of shape `(A,)`):
            Negative log-likelihood of each answer token under the teacher, in nats, at temperature 1.
    """

    loss: torch.Tensor
    nll: torch.Tensor
    entropy: torch.Tensor
    correct: torch.Tensor
    divergence: torch.Tensor
    agree: torch.Tensor
    teacher_nll: torch.Tensor


def distillation_loss(
    hidden: torch.Tensor,
    head: Head,
    targets: torch.Tensor,
    nll_weight: torch.Tensor,
    student_index: torch.Tensor,
    teacher_index: torch.Tensor,
    divergence_weight: float | torch.Tensor = 1.0,
    beta: float = 0.0,
    temperature: float = 1.0,
    teacher_hidden: torch.Tensor | None = None,
    teacher_head: Head | None = None,
    compile_backend: str | None = None,
    full_precision: bool = False,
) -> DistillationLossOutput:
    """
    Computes cross-entropies and divergence of a batch, in chunks.

    Args:
        hidden (`torch.Tensor` of shape `(N, H)`):
            Hidden states that predict the targets.
        head ([`Head`]):
            Head of the model.
        targets (`torch.Tensor` of shape `(N,)`):
            Token ids.
        nll_weight (`torch.Tensor` of shape `(N,)`):
            Weight of each target's negative log-likelihood.
        student_index (`torch.Tensor` of shape `(A,)`):
            Indices of the student's predictions.
        teacher_index (`torch.Tensor` of shape `(A,)`):
            Index of the teacher's prediction for the same token.
        divergence_weight (`float`, *optional*, defaults to `1.0`):
            Weight of each divergence.
        beta (`float`, *optional*, defaults to `0.0`):
            0 for forward KL, 1 for reverse KL, values between for generalized JSD.
        temperature (`float`, *optional*, defaults to `1.0`):
            Temperature of both distributions in the divergence, which is not rescaled.
        teacher_hidden (`torch.Tensor` of shape `(A, H)`, *optional*):
            Hidden states of the teacher, if the teacher is not the live model.
        teacher_head ([`Head`], *optional*):
            Head for these states; by default the live model's.
        compile_backend (`str`, *optional*):
            Backend of `torch.compile` for the operations on a chunk of logits; not compiled by default.
        full_precision (`bool`, *optional*, defaults to `False`):
            Whether hidden states and head are multiplied in float32, also where bfloat16 would do.

    Returns:
        [`DistillationLossOutput`]: Loss and metrics.
    """
    # The dtype of each product is chosen here. Autocast would round the float32 products too
    kind = hidden.device.type
    autocast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    dtype = torch.float32 if full_precision else product_dtype(kind, hidden.dtype, autocast)
    terms = _Terms(
        dtype,
        (head.scale, head.softcap),
        targets,
        nll_weight,
        student_index,
        teacher_index,
        divergence_weight,
        beta,
        temperature,
        teacher_hidden,
        teacher_head,
        compile_backend,
    )
    weight, bias = head.weight, head.bias
    if not torch.is_grad_enabled():
        # `ctx.needs_input_grad` describes only the tensors, so an evaluation would compute the head's gradient
        # needlessly
        hidden, weight, bias = hidden.detach(), weight.detach(), None if bias is None else bias.detach()
    with torch.autocast(hidden.device.type, enabled=False):
        outputs = FusedDistillationLoss.apply(hidden, weight, bias, terms)
    return DistillationLossOutput(*outputs)


@dataclass
class _Terms:
    # The inputs of the loss except the tensors that receive gradients; see `distillation_loss`
    dtype: torch.dtype
    scaling: tuple[float, float | None]
    targets: torch.Tensor
    nll_weight: torch.Tensor
    student_index: torch.Tensor
    teacher_index: torch.Tensor
    divergence_weight: float | torch.Tensor
    beta: float
    temperature: float
    teacher_hidden: torch.Tensor | None
    teacher_head: Head | None
    compile_backend: str | None


class _Chunks:
    # Processes the predictions in chunks: one projection of a chunk gives its loss terms, their gradients and the
    # metrics

    def __init__(
        self,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        terms: _Terms,
        needs_grad: tuple[bool, bool, bool],
    ):
        device, num, num_pairs = hidden.device, len(terms.targets), len(terms.student_index)
        self.hidden, self.terms = hidden, terms
        self.head = Head(weight.to(terms.dtype), bias, *terms.scaling)
        self.teacher_head = self.head
        if terms.teacher_head is not None:
            self.teacher_head = replace(terms.teacher_head, weight=terms.teacher_head.weight.to(terms.dtype))
        needs_hidden, needs_weight, needs_bias = needs_grad
        self.grads = _HeadGradients(
            hidden=torch.zeros_like(hidden, dtype=_kept_dtype(hidden)) if needs_hidden else None,
            weight=torch.zeros(weight.shape, dtype=torch.float32, device=device) if needs_weight else None,
            bias=torch.zeros_like(bias, dtype=torch.float32) if bias is not None and needs_bias else None,
        )
        # The bias sums the gradients of logits in float32. All other products use the gradients in their own dtype
        self.grad_dtype: torch.dtype | None = torch.float32 if needs_bias else terms.dtype
        if not any(needs_grad):
            self.grad_dtype = None
        self.nll = torch.zeros(num, dtype=torch.float32, device=device)
        self.entropy, self.correct = torch.zeros_like(self.nll), torch.zeros(num, dtype=torch.bool, device=device)
        self.divergence = torch.zeros(num_pairs, dtype=torch.float32, device=device)
        self.agree = torch.zeros(num_pairs, dtype=torch.bool, device=device)
        self.teacher_nll = torch.zeros_like(self.divergence)
        self.score, self.score_pair = _scorers(terms.compile_backend)
        # Compiled, a chunk needs less memory in addition to its logits
        self.rows = max(1, CHUNK_ELEMENTS * (2 if terms.compile_backend else 1) // weight.shape[0])

    def score_unpaired(self) -> None:
        # Predictions with a cross-entropy and no divergence
        terms, num, num_pairs = self.terms, len(self.nll), len(self.divergence)
        unpaired = torch.ones(num, dtype=torch.bool, device=self.hidden.device)
        unpaired[terms.student_index] = False
        if terms.teacher_hidden is None:
            unpaired[terms.teacher_index] = False
        # `student_index` and `teacher_index` are also on the host, so the number of these predictions needs no
        # synchronization
        num_unpaired = num - num_pairs * (2 if terms.teacher_hidden is None else 1)
        for which in torch.argsort(unpaired, descending=True, stable=True)[:num_unpaired].split(self.rows):
            self._score(which)

    def score_pairs(self) -> None:
        # The student's predictions, each with the teacher's prediction of the same token
        terms = self.terms
        for start in range(0, len(self.divergence), self.rows):
            pair = slice(start, start + self.rows)
            student = terms.student_index[pair]
            states = self.hidden[student].to(terms.dtype)
            logits = _project(states, self.head)
            if terms.teacher_hidden is None:
                teacher_logits = self._score(terms.teacher_index[pair])
            else:
                teacher_logits = _project(terms.teacher_hidden[pair].to(terms.dtype), self.teacher_head)
            (
                self.nll[student],
                self.entropy[student],
                self.correct[student],
                self.divergence[pair],
                self.agree[pair],
                self.teacher_nll[pair],
                grad,
            ) = self.score_pair(
                logits,
                teacher_logits,
                terms.targets[student],
                terms.nll_weight[student],
                terms.divergence_weight,
                terms.beta,
                terms.temperature,
                *terms.scaling,
                self.grad_dtype,
            )
            self.grads.add(student, states, grad, self.head)

    def _score(self, which: torch.Tensor) -> torch.Tensor:
        # Returns the chunk's logits, which the scoring of a pair uses again
        terms = self.terms
        states = self.hidden[which].to(terms.dtype)
        logits = _project(states, self.head)
        self.nll[which], self.entropy[which], self.correct[which], grad = self.score(
            logits, terms.targets[which], terms.nll_weight[which], *terms.scaling, self.grad_dtype
        )
        self.grads.add(which, states, grad, self.head)
        return logits


class FusedDistillationLoss(torch.autograd.Function):
    """
    Implements [`distillation_loss`] for autograd: gradients are computed in the forward pass and scaled in the
    backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, terms: _Terms
    ) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)
        chunks = _Chunks(hidden, weight, bias, terms, ctx.needs_input_grad[:3])
        chunks.score_unpaired()
        chunks.score_pairs()
        loss = (chunks.nll * terms.nll_weight).sum() + (chunks.divergence * terms.divergence_weight).sum()
        ctx.save_for_backward(
            *(
                None if g is None or p is None else g.to(_kept_dtype(p))
                for g, p in zip(chunks.grads.all(), (hidden, weight, bias), strict=True)
            )
        )
        ctx.dtypes = [None if p is None else p.dtype for p in (hidden, weight, bias)]
        metrics = chunks.nll, chunks.entropy, chunks.correct, chunks.divergence, chunks.agree, chunks.teacher_nll
        ctx.mark_non_differentiable(*metrics)
        return loss, *metrics

    @staticmethod
    def backward(ctx: Any, grad_loss: torch.Tensor | None, *_: Any) -> tuple[torch.Tensor | None, ...]:
        if grad_loss is None:
            return (None,) * 4
        return (
            *(
                g if g is None else (g * grad_loss.to(g.dtype)).to(dtype)
                for g, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
            ),
            None,
        )


def _score(
    logits: torch.Tensor,
    labels: torch.Tensor,
    weight: torch.Tensor,
    scale: float,
    softcap: float | None,
    grad_dtype: torch.dtype | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    # Cross-entropy, entropy and accuracy of a chunk of predictions, and the gradient with respect to `hidden @ weight.T`
    log_probs = logits.log_softmax(-1)
    probs = log_probs.exp()
    nll = -log_probs.gather(1, labels[:, None])[:, 0]
    entropy = -(probs * log_probs).sum(-1)
    correct = logits.argmax(-1) == labels
    if grad_dtype is None:
        return nll, entropy, correct, None
    grad = _minus_target(probs, labels).mul_(weight[:, None])
    return nll, entropy, correct, _before_cap(grad, logits, scale, softcap).to(grad_dtype)


def _score_pair(
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    labels: torch.Tensor,
    weight: torch.Tensor,
    divergence_weight: float | torch.Tensor,
    beta: float,
    temperature: float,
    scale: float,
    softcap: float | None,
    grad_dtype: torch.dtype | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    # The same for the student's predictions, with their divergence from the teacher's
    log_probs, teacher_log_probs = logits.log_softmax(-1), teacher_logits.log_softmax(-1)
    probs = log_probs.exp()
    first = logits.argmax(-1)
    nll, teacher_nll = (-chosen.gather(1, labels[:, None])[:, 0] for chosen in (log_probs, teacher_log_probs))
    entropy = -(probs * log_probs).sum(-1)
    agree = first == teacher_logits.argmax(-1)
    if temperature != 1.0:
        log_probs, teacher_log_probs = ((x / temperature).log_softmax(-1) for x in (logits, teacher_logits))
    divergence, grad = divergence_and_gradient(log_probs, teacher_log_probs, beta)
    if grad_dtype is None:
        return nll, entropy, first == labels, divergence, agree, teacher_nll, None
    grad = grad.mul_(divergence_weight / temperature).add_(_minus_target(probs, labels).mul_(weight[:, None]))
    grad = _before_cap(grad, logits, scale, softcap).to(grad_dtype)
    return nll, entropy, first == labels, divergence, agree, teacher_nll, grad


@functools.cache
def _scorers(compile_backend: str | None) -> tuple[Callable[..., Any], ...]:
    # Compiled, they read and write a chunk of logits two or three times, and about twelve times in eager mode
    if compile_backend is None:
        return _score, _score_pair
    return tuple(torch.compile(function, dynamic=True, backend=compile_backend) for function in (_score, _score_pair))


def _minus_target(probs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    # probs - one_hot(labels): fused with the loop over the chunk if compiled, otherwise in place
    if torch.compiler.is_compiling():
        return probs - (labels[:, None] == torch.arange(probs.shape[1], device=labels.device)).to(probs.dtype)
    return probs.scatter_add_(1, labels[:, None], torch.full_like(labels[:, None], -1, dtype=probs.dtype))


def _before_cap(grad: torch.Tensor, logits: torch.Tensor, scale: float, softcap: float | None) -> torch.Tensor:
    # Converts the gradient with respect to the logits to the gradient with respect to the head's product
    if softcap is not None:
        grad.mul_(1 - (logits / softcap) ** 2)
    return grad if scale == 1.0 else grad.mul_(scale)


def divergence_and_gradient(
    student_log_probs: torch.Tensor, teacher_log_probs: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Computes the divergence of two distributions and its gradient with respect to the student's logits.

    Args:
        student_log_probs (`torch.Tensor` of shape `(n, V)`):
            log q.
        teacher_log_probs (`torch.Tensor` of shape `(n, V)`):
            log p.
        beta (`float`):
            0 for KL(p || q), 1 for KL(q || p), values between for generalized JSD.

    Returns:
        `tuple`: Divergence of shape `(n,)`, gradient of shape `(n, V)`.
    """
    q, p = student_log_probs.exp(), teacher_log_probs.exp()
    if beta == 0.0:
        return (p * (teacher_log_probs - student_log_probs)).sum(-1), q - p
    if beta == 1.0:
        gap = student_log_probs - teacher_log_probs
        kl = (q * gap).sum(-1)
        return kl, q * (gap - kl[:, None])
    log_m = torch.logaddexp(student_log_probs + math.log(1 - beta), teacher_log_probs + math.log(beta))
    gap = student_log_probs - log_m
    kl_student = (q * gap).sum(-1)
    kl_teacher = (p * (teacher_log_probs - log_m)).sum(-1)
    return beta * kl_teacher + (1 - beta) * kl_student, (1 - beta) * q * (gap - kl_student[:, None])


@dataclass
class _HeadGradients:
    hidden: torch.Tensor | None
    weight: torch.Tensor | None
    bias: torch.Tensor | None

    def all(self) -> tuple[torch.Tensor | None, ...]:
        return self.hidden, self.weight, self.bias

    def add(self, which: torch.Tensor, states: torch.Tensor, grad: torch.Tensor | None, head: Head) -> None:
        # Adds the gradients of hidden states and head that result from the gradient of one chunk of the head's
        # products
        if grad is None:
            return
        if self.bias is not None:
            self.bias += grad.sum(0)
        grad = grad.to(states.dtype)
        if self.hidden is not None:
            self.hidden[which] = (grad @ head.weight).to(self.hidden.dtype)
        if self.weight is not None:
            if grad.dtype == torch.float32:
                self.weight.addmm_(grad.t(), states)
            else:
                torch.addmm(self.weight, grad.t(), states, out_dtype=torch.float32, out=self.weight)


def product_dtype(device_type: str, dtype: torch.dtype, autocast: torch.dtype | None) -> torch.dtype:
    """
    Returns the data type in which hidden states and head are multiplied.

    It is bfloat16 where cuBLAS returns its float32 sums unrounded, else float32. float16 would underflow, because gradients are computed
    before any loss scaling.

    Args:
        device_type (`str`):
            Type of the device, such as `"cuda"`.
        dtype (`torch.dtype`):
            Data type of the hidden states.
        autocast (`torch.dtype` or `None`):
            Data type of autocast, if it is on.
    """
    return torch.bfloat16 if device_type == "cuda" and (autocast or dtype) == torch.bfloat16 else torch.float32


def _kept_dtype(tensor: torch.Tensor) -> torch.dtype:
    # Data type of a gradient until the loss scale is applied in the backward pass. float16 can represent neither the
    # scale (65536) nor gradients without it
    return torch.float32 if tensor.dtype == torch.float16 else tensor.dtype


def _project(states: torch.Tensor, head: Head) -> torch.Tensor:
    # float32 logits, because rounding would hide the small divergences of self-distillation
    if states.dtype == torch.float32:
        logits = states @ head.weight.t()
    else:
        logits = torch.mm(states, head.weight.t(), out_dtype=torch.float32)
    if head.bias is not None:
        logits += head.bias.float()
    if head.scale != 1.0:
        logits *= head.scale
    if head.softcap is not None:
        logits = head.softcap * torch.tanh(logits / head.softcap)
    return logits
