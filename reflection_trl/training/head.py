"""The head of a causal language model as the loss takes it, without logits.

What a family does between its last layer and its logits is listed nowhere here. Whatever it does before its output embedding,
the loss takes the states that the model itself hands to that module, within the model's own forward pass
([`in_place_of_head`]). What it does to the logits afterwards is read off once, by handing it known ones ([`logit_scaling`]).
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
    Returns the module that turns hidden states into logits.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.

    Returns:
        `nn.Module`: Its output embedding, inside the wrappers of FSDP1 and of PEFT's `modules_to_save` where there are any, so that
        its own hooks run around what stands in for it.
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
    Let a function stand in for the forward pass of a model's head for the time of the context.

    The module is called as ever, with its hooks around the function, by which FSDP2 and DeepSpeed ZeRO-3 gather the head's weights
    and reduce their gradients.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
        function (`Callable`):
            Takes the hidden states that the model hands to its head, and returns what the model takes for its output.
    """
    with _replaced_forward(head_module(model), function):
        yield


def model_head(model: PreTrainedModel, scaling: tuple[float, float | None]) -> Head:
    """
    Returns the present weights of a model's head.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
        scaling (`tuple`):
            Scale and cap, as of [`logit_scaling`].

    Returns:
        [`~reflection_trl.training.losses.Head`]: Weight, bias, scale and cap.
    """
    module: Any = head_module(model)
    bias = getattr(module, "bias", None)
    return Head(_whole(module.weight), None if bias is None else _whole(bias), *scaling)


def gathered_head(model: PreTrainedModel) -> AbstractContextManager[None]:
    """
    Gathers the parameters that a model's head is made of, where DeepSpeed ZeRO-3 has partitioned them and no hook gathers them.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
    """
    module: Any = model.get_output_embeddings()
    parameters = list(module.parameters())
    # A tied head takes its new tokens from the adapter of the input embedding
    tied = getattr(getattr(module, "token_adapter", None), "tied_adapter", None)
    if tied is not None:
        parameters += tied.parameters()
    return maybe_gather_lm_head_ctx(*parameters)


def check_head(model: PreTrainedModel) -> None:
    """
    Refuse a head whose weights the loss cannot take as they are.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.

    Raises:
        ValueError: If the head is quantized, or has further parameters.
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
    # PEFT's wrappers hand the weight over with what they train in it
    further = set() if isinstance(module, AuxiliaryTrainingWrapper) else set(parameters) - {"weight", "bias"}
    if further:
        raise ValueError(
            f"The head of {name} has {', '.join(sorted(further))} beside weight and bias, which the loss does not know; use "
            f"another model."
        )


def logit_scaling(model: PreTrainedModel) -> tuple[float, float | None]:
    """
    What a model does to the output of its head: it is handed known logits, and its answer is compared with a scale and a cap.

    No layer is run and none of their weights read, so this works for models that are sharded, quantized or on the meta device.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.

    Returns:
        `tuple`: Factor of the logits, and the cap c of `c * tanh(logits / c)`; `None` without one.

    Raises:
        ValueError: If the model does anything else to its logits.
    """
    name = f"`{type(model).__name__}` (model type '{model.config.model_type}')"
    device = _device(model)
    # Nothing, little (where a cap does not tell), much (where it tells most), and something else for each token
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
            f"{name} does more to its logits than a scale and a soft cap, which the loss does not know; use another model."
        )
    return scale, softcap


@dataclass
class _Nothing(ModelOutput):
    """What comes out of a backbone that was not run: states of zeros, and `None` for whatever else is asked of it."""

    last_hidden_state: torch.Tensor | None = None

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@torch.no_grad()
def _logits_after(model: PreTrainedModel, logits: torch.Tensor) -> torch.Tensor | None:
    # The model's own logits when its head gives `logits`; `None` where the head is not called, or more than once
    calls = []
    tokens: Any = model.get_input_embeddings()
    head_device = _device(model)
    width = getattr(model.config.get_text_config(), "hidden_size", None) or tokens.embedding_dim
    states = torch.zeros(1, logits.shape[1], width, dtype=model.dtype, device=head_device)

    def head(*_: Any, **__: Any) -> torch.Tensor:
        calls.append(1)
        return logits.clone()

    def backbone(*_: Any, **__: Any) -> _Nothing:
        return _Nothing(states)

    # Some models call the decoder within their backbone by itself
    around = [m for m in model.modules() if m is not tokens and any(inner is tokens for inner in m.modules())][1:]
    apart = {id(p) for module in (*around[:1], head_module(model)) for p in module.parameters()}
    with ExitStack() as stack:
        # What stands between backbone and head, as in ModernBERT's decoder
        stack.enter_context(maybe_gather_lm_head_ctx(*(p for p in model.parameters() if id(p) not in apart)))
        for module in around:
            stack.enter_context(_replaced_forward(module, backbone))
        stack.enter_context(in_place_of_head(model, head))
        input_ids = torch.zeros(1, logits.shape[1], dtype=torch.long, device=head_device)
        output = model(input_ids=input_ids, use_cache=False).logits
    return output if len(calls) == 1 else None


@contextmanager
def _replaced_forward(module: nn.Module, function: Callable[..., Any]) -> Iterator[None]:
    before = module.__dict__.get("forward")  # accelerate's hooks replace it too
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
    # torchao's weights say that they are of the dtype that they were made from
    return not weight.is_floating_point() or type(weight.data) not in (torch.Tensor, DTensor)


def _whole(weight: torch.Tensor) -> torch.Tensor:
    # Gathered already where FSDP2 knows the head's module. Where not (tied weights that are another module's, a module inside a
    # wrapper of PEFT), each process has a gradient of its own rows, which FSDP2 averages elsewhere too
    if isinstance(weight, DTensor):
        return weight.full_tensor(grad_placements=[Partial("avg")] * weight.device_mesh.ndim)
    return weight
