"""A forward pass that takes the distillation loss inside the model, and what else is changed of a model before training."""

import functools
import types
from dataclasses import dataclass, fields
from typing import Any

import torch
import transformers
from peft import PeftModel
from torch.distributed.tensor import DTensor
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.modeling_layers import GradientCheckpointingLayer
from trl.trainer.utils import create_model_from_path, get_config_model_id, maybe_gather_lm_head_ctx

from .attention import prepare_attention
from .checks import can_be_packed, check_loaded_model
from .config import ReflectionDistillConfig
from .inputs import to_device
from .losses import Head, distillation_loss, model_head
from .packing import Batch


@dataclass
class LossInputs:
    """
    Arguments of [`~reflection_trl.losses.distillation_loss`] beside hidden states and head, for the model's forward pass.

    Args:
        loss_index (`torch.Tensor` of shape `(N,)`):
            Index, in the flattened batch, of the hidden state that predicts each target.
        targets (`torch.Tensor` of shape `(N,)`):
            Token ids.
        nll_weight (`torch.Tensor` of shape `(N,)`):
            Weight of each target's negative log-likelihood.
        student_index (`torch.Tensor` of shape `(A,)`):
            Which predictions are the student's.
        teacher_index (`torch.Tensor` of shape `(A,)`):
            Which prediction is the teacher's for the same token.
        divergence_weight (`float` or `torch.Tensor`, *optional*, defaults to `1.0`):
            Weight of each divergence.
        beta (`float`, *optional*, defaults to `0.0`):
            0 for forward KL, 1 for reverse KL, between for generalised JSD.
        temperature (`float`, *optional*, defaults to `1.0`):
            Temperature of both distributions of the divergence.
        teacher_hidden (`torch.Tensor` of shape `(A, H)`, *optional*):
            The teacher's hidden states, where the teacher is not the live model.
        teacher_head ([`~reflection_trl.losses.Head`], *optional*):
            The head that goes with them; the live model's by default.
        compile_backend (`str`, *optional*):
            Backend of `torch.compile` for what happens to a chunk of logits.
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
    teacher_head: Head | None = None
    compile_backend: str | None = None


def make_loss_inputs(
    batch: Batch, num_items_in_batch: torch.Tensor, args: ReflectionDistillConfig, device: torch.device
) -> LossInputs:
    """
    Weights the predictions of a batch.

    Args:
        batch ([`~reflection_trl.packing.Batch`]):
            The batch.
        num_items_in_batch (`torch.Tensor` of shape `(2,)`):
            Loss tokens of full sequences and of students in the whole optimizer step.
        args ([`ReflectionDistillConfig`]):
            Weights and normalization of the terms.
        device (`torch.device`):
            Where the model is.

    Returns:
        [`LossInputs`]: For a live teacher; the fields of another one are to be set.
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


@dataclass
class TeacherPredictions:
    """
    Hidden states of a teacher that is not the live model, with the head that reads them; without gradient.

    Args:
        hidden (`torch.Tensor` of shape `(A, H)`):
            Hidden states that predict the answers' tokens.
        head ([`~reflection_trl.losses.Head`], *optional*):
            The teacher's head; `None` where it is the live model's.
    """

    hidden: torch.Tensor
    head: Head | None


def load_model(
    model: str | PreTrainedModel | PeftModel,
    args: ReflectionDistillConfig,
    processing_class: PreTrainedTokenizerBase | None,
    quantization_config: "transformers.BitsAndBytesConfig | None",
) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """
    Loads model and tokenizer as TRL does; what is loaded already is taken as it is.

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model, folder or Hub id.
        args ([`ReflectionDistillConfig`]):
            Settings, with `model_init_kwargs`.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*):
            Tokenizer; the model's own by default.
        quantization_config ([`~transformers.BitsAndBytesConfig`], *optional*):
            Quantization of a model given by name.

    Returns:
        `tuple`: Model and tokenizer.
    """
    if isinstance(model, str):
        model_init_kwargs = dict(args.model_init_kwargs or {})  # type: ignore[arg-type] # no string any longer
        if quantization_config is not None:
            model_init_kwargs["quantization_config"] = quantization_config
        if args.distributed_state.distributed_type in ["MULTI_GPU", "DEEPSPEED"]:
            model_init_kwargs["device_map"] = None
        model_init_kwargs.setdefault("trust_remote_code", args.trust_remote_code)
        revision = model_init_kwargs.get("revision")
        model = create_model_from_path(model, **model_init_kwargs)
    else:
        revision = None
    if processing_class is None:
        processing_class = AutoTokenizer.from_pretrained(
            get_config_model_id(model.config), revision=revision, trust_remote_code=args.trust_remote_code
        )
    return model, processing_class


def prepare_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    args: ReflectionDistillConfig,
    stop_token: str | None,
    aux_loss_enabled: bool,
) -> bool:
    """
    Checks a model and changes it in place, so that it can be trained on batches of this package.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Its tokenizer.
        args ([`ReflectionDistillConfig`]):
            Settings.
        stop_token (`str`, *optional*):
            Special token that ends an answer; generation stops at it too.
        aux_loss_enabled (`bool`):
            Whether a Mixture-of-Experts model takes its balancing loss.

    Returns:
        `bool`: Whether hidden tokens are dropped from a packed row; otherwise they are masked in a padded batch.
    """
    check_loaded_model(model, tokenizer, args, aux_loss_enabled)
    if stop_token is not None:
        # The tokenizer of a base model has the end of texts as its EOS token, where the template ends turns with another
        add_eos_token_id(model, tokenizer.get_vocab()[stop_token])
    is_packed = can_be_packed(model, args.max_length)
    if is_packed:
        prepare_attention(model)
    add_distillation_forward(model)
    if args.torch_compile and args.torch_compile_backend is not None:
        compile_layers(model, args.torch_compile_backend, args.torch_compile_mode)
    return is_packed


def add_distillation_forward(model: PreTrainedModel) -> None:
    """
    Give a causal language model a forward pass that takes the distillation loss without ever holding its logits.

    There are two entry points beside the original forward pass, which serves all other calls:

    - `model(..., loss_inputs=LossInputs(...))` runs the backbone and [`~reflection_trl.losses.distillation_loss`], and returns
      the fields of [`~reflection_trl.losses.DistillationLossOutput`].
    - `model(..., teacher_index=...)` returns the fields of [`TeacherPredictions`] at these places of the flattened batch.

    Both return a `dict`, whose tensors the hooks of DDP, FSDP and DeepSpeed find. The loss is taken inside the model's forward
    pass, so that these hooks see all parameters where they expect them. Same technique as TRL's `add_fused_lm_head`.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it; changed in place.
    """
    original_forward = model.forward

    @functools.wraps(type(model).forward)  # `generate` validates its arguments against the original signature
    def forward(
        self: PreTrainedModel,
        *args: Any,
        loss_inputs: LossInputs | None = None,
        teacher_index: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        index = teacher_index if loss_inputs is None else loss_inputs.loss_index
        if index is None:
            return original_forward(*args, **kwargs)
        kwargs = {key: value for key, value in kwargs.items() if key not in ("labels", "use_cache")}
        states = self.base_model(*args, use_cache=False, **kwargs).last_hidden_state
        head = model_head(self)
        # With the model split across devices (`device_map`), the backbone can end on another device than the head
        hidden = states.flatten(0, 1)[index.to(states.device)].to(head.weight.device)
        if isinstance(head.weight, DTensor):
            head.weight = head.weight.full_tensor()
        if isinstance(head.bias, DTensor):
            head.bias = head.bias.full_tensor()
        if loss_inputs is None:
            return vars(TeacherPredictions(hidden, _detached(head)))
        with maybe_gather_lm_head_ctx(head.weight, head.bias):  # type: ignore[arg-type] # annotated for parameters only
            return vars(distillation_loss(hidden, head, **_loss_arguments(loss_inputs, hidden.device)))

    model.forward = types.MethodType(forward, model)


def _loss_arguments(loss_inputs: LossInputs, device: torch.device) -> dict[str, Any]:
    arguments = {field.name: getattr(loss_inputs, field.name) for field in fields(loss_inputs)}
    del arguments["loss_index"]
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in arguments.items()}


def _detached(head: Head) -> Head | None:
    if is_deepspeed_zero3_enabled():  # the head is whole inside the live forward pass only
        return None
    return Head(head.weight.detach(), None if head.bias is None else head.bias.detach(), head.scale, head.softcap)


def add_eos_token_id(model: PreTrainedModel, token_id: int) -> None:
    """
    Adds a token to those that end a generation.

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
    Compiles each layer of a model in place, for sequences of any length.

    Equal layers share one compilation, so that this takes seconds where compiling the whole model takes minutes. What depends on
    the whole batch, its number of sequences above all, stays outside and triggers no recompilation.

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
