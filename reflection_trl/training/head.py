"""Describes the head of a causal language model for the loss, which is computed without logits.

There is no list of model families. For operations before the output embedding, the loss uses the hidden states that
the model passes to this module in its own forward pass ([`in_place_of_head`]). Operations on the logits are determined
once, with known logits ([`logit_scaling`]).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft.utils import AuxiliaryTrainingWrapper, ModulesToSaveWrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor, Partial
from transformers import PreTrainedModel
from transformers.utils import ModelOutput
from trl.trainer.utils import maybe_gather_lm_head_ctx

from .losses import Head


def head_module(model: PreTrainedModel) -> nn.Module:
    """
    Returns the module that converts hidden states to logits.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.

    Returns:
        `nn.Module`: The output embedding, inside any wrappers of FSDP1 and of PEFT's `modules_to_save`, so that its
        own hooks run around the replacement.
    """
    module: Any = model.get_output_embeddings()
    if isinstance(module, ModulesToSaveWrapper):
        trained = [name for name in module.active_adapters if name in module.modules_to_save]
        is_base = module.disable_adapters or not trained
        module = module.original_module if is_base else module.modules_to_save[trained[0]]
    return module.module if isinstance(module, FullyShardedDataParallel) else module


@contextmanager
def in_place_of_head(model: PreTrainedModel, function: Callable[..., torch.Tensor]) -> Iterator[None]:
    """
    Replaces the forward pass of a model's head with a function in the context.

    The module is still called, and its hooks run around the function. With these hooks FSDP2 and DeepSpeed ZeRO-3
    gather the head's weights and reduce their gradients.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
        function (`Callable`):
            Takes the hidden states that the model passes to its head, and returns the output of the head.
    """
    with replaced_forward(head_module(model), function):
        yield


def model_head(model: PreTrainedModel, scaling: tuple[float, float | None]) -> Head:
    """
    Returns the current weights of a model's head.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
        scaling (`tuple`):
            Scale and cap, from [`logit_scaling`].

    Returns:
        [`~reflection_trl.training.losses.Head`]: Weight, bias, scale and cap.
    """
    module: Any = head_module(model)
    bias = getattr(module, "bias", None)
    return Head(_whole(module.weight), None if bias is None else _whole(bias), *scaling)


def gathered_head(model: PreTrainedModel) -> AbstractContextManager[None]:
    """
    Gathers the parameters of a model's head, if DeepSpeed ZeRO-3 has partitioned them and no hook gathers them.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
    """
    module: Any = model.get_output_embeddings()
    parameters = list(module.parameters())
    # A tied head reads its new tokens from the adapter of the input embedding
    tied = getattr(getattr(module, "token_adapter", None), "tied_adapter", None)
    if tied is not None:
        parameters += tied.parameters()
    return maybe_gather_lm_head_ctx(*parameters)


def check_head(model: PreTrainedModel) -> None:
    """
    Rejects a head whose weights the loss cannot use directly.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.

    Raises:
        ValueError: If the head is quantized, or has other parameters.
    """
    module = head_module(model)
    name = f"`{type(model).__name__}` (model type '{model.config.model_type}')"
    parameters = dict(module.named_parameters())
    weights = {path.rpartition(".")[2] for path in parameters}
    if "weight" not in weights or any(_is_quantized(parameter) for parameter in parameters.values()):
        raise ValueError(
            f"The head of {name} is a quantized `{type(module).__name__}`, whose weights the loss cannot read; leave it out of the "
            f"quantization, as `BitsAndBytesConfig` does by `llm_int8_skip_modules=['lm_head']`."
        )
    # PEFT's wrappers return the weight together with the trained part
    further = set() if isinstance(module, AuxiliaryTrainingWrapper) else set(parameters) - {"weight", "bias"}
    if further:
        raise ValueError(
            f"The head of {name} has {', '.join(sorted(further))} in addition to weight and bias, which the loss does not "
            f"support; use another model."
        )


def logit_scaling(model: PreTrainedModel) -> tuple[float, float | None]:
    """
    Determines how a model changes the output of its head: it runs on known logits, and its output is compared with a
    scale and a cap.

    No layer runs and no layer weights are read, so this works for models that are sharded, quantized or on the meta
    device.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.

    Returns:
        `tuple`: Factor of the logits, and the cap c of `c * tanh(logits / c)`, or `None` without a cap.

    Raises:
        ValueError: If the model changes its logits in any other way.
    """
    name = f"`{type(model).__name__}` (model type '{model.config.model_type}')"
    device = _device(model)
    # Zero, small values (where a cap has no effect), large values (where it has the most), and a different value for
    # each token
    size = model.config.get_text_config().vocab_size
    rows = [
        torch.zeros(size),
        torch.full((size,), 2.0**-12),
        torch.full((size,), 2.0**15),
        torch.linspace(-100, 100, size),
    ]
    given = torch.stack(rows)[None].to("cpu" if device.type == "meta" else device)
    got = _logits_after(model, given)
    if got is None or got.shape != given.shape:
        raise ValueError(
            f"{name} does not take its logits from its output embedding, a `{type(head_module(model)).__name__}`, in whose place the "
            f"loss is taken; use another model."
        )
    exact = got.dtype in (torch.float32, torch.float64)
    known, answer = given[0].double(), got[0].double()
    scale, most = (answer[1, 0] / known[1, 0]).item(), answer[2, 0].item()
    if math.isclose(scale, 1.0, rel_tol=1e-6 if exact else 1e-2):
        scale = 1.0
    softcap = None if abs(most) > 0.5 * abs(scale * known[2, 0].item()) else abs(most)
    expected = scale * known if softcap is None else softcap * torch.tanh(scale * known / softcap)
    if not torch.allclose(answer, expected, rtol=1e-4 if exact else 2e-2, atol=1e-5):
        raise ValueError(
            f"{name} changes its logits by more than a scale and a soft cap, which the loss does not support; use another model."
        )
    return scale, softcap


@dataclass
class _NoOutput(ModelOutput):
    """Replaces the output of a backbone that did not run: zeros as states, and `None` for every other field."""

    last_hidden_state: torch.Tensor | None = None

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@torch.no_grad()
def _logits_after(model: PreTrainedModel, logits: torch.Tensor) -> torch.Tensor | None:
    # The model's logits if its head returns `logits`; `None` if the head is not called, or more than once
    calls = []
    tokens: Any = model.get_input_embeddings()
    head_device = _device(model)
    width = getattr(model.config.get_text_config(), "hidden_size", None) or tokens.embedding_dim
    states = torch.zeros(1, logits.shape[1], width, dtype=model.dtype, device=head_device)

    def head(*_: Any, **__: Any) -> torch.Tensor:
        calls.append(1)
        return logits.clone()

    def backbone(*_: Any, **__: Any) -> _NoOutput:
        return _NoOutput(states)

    # Some models call only the decoder of their backbone
    around = [m for m in model.modules() if m is not tokens and any(inner is tokens for inner in m.modules())][1:]
    excluded = {id(p) for module in (*around[:1], head_module(model)) for p in module.parameters()}
    with ExitStack() as stack:
        # Modules between backbone and head, as in ModernBERT's decoder
        stack.enter_context(maybe_gather_lm_head_ctx(*(p for p in model.parameters() if id(p) not in excluded)))
        for module in around:
            stack.enter_context(replaced_forward(module, backbone))
        stack.enter_context(in_place_of_head(model, head))
        input_ids = torch.zeros(1, logits.shape[1], dtype=torch.long, device=head_device)
        output = model(input_ids=input_ids, use_cache=False).logits
    return output if len(calls) == 1 else None


@contextmanager
def replaced_forward(module: nn.Module, function: Callable[..., Any]) -> Iterator[None]:
    """
    Replaces the forward pass of a module in the context. The module's hooks run around the function.

    Args:
        module (`nn.Module`):
            Module.
        function (`Callable`):
            Takes the arguments of the module.
    """
    before = module.__dict__.get("forward")  # accelerate's hooks replace it as well
    module.forward = function
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def _device(model: PreTrainedModel) -> torch.device:
    return next(head_module(model).parameters()).device


def _is_quantized(weight: torch.Tensor) -> bool:
    # torchao's weights report the dtype from which they were quantized
    return not weight.is_floating_point() or type(weight.data) not in (torch.Tensor, DTensor)


def _whole(weight: torch.Tensor) -> torch.Tensor:
    # Already gathered if FSDP2 wraps the head's module. Otherwise (tied weights of another module, a module inside a
    # wrapper of PEFT), each process has a gradient of its own rows, which FSDP2 also averages elsewhere
    if isinstance(weight, DTensor):
        return weight.full_tensor(grad_placements=[Partial("avg")] * weight.device_mesh.ndim)
    return weight
