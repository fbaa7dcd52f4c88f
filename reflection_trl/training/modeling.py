"""Loads a model for training, checks it, and prepares it in place."""

import tempfile

import torch
import transformers
from peft import PeftModel
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import logging
from trl.trainer.utils import create_model_from_path, get_config_model_id

from ..quoting import quote_error
from .accelerator import will_use_zero3
from .attention import runs_by_sequence
from .checks import check_loaded_model
from .config import ReflectionDistillConfig
from .forward import add_distillation_forward
from .self_check import padding_reason_by_trial


logger = logging.get_logger(__name__)


def load_model(
    model: str | PreTrainedModel | PeftModel,
    args: ReflectionDistillConfig,
    processing_class: PreTrainedTokenizerBase | None,
    quantization_config: "transformers.BitsAndBytesConfig | None",
) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """
    Loads model and tokenizer as TRL does. A loaded model or tokenizer is returned unchanged.

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model, folder or Hub id.
        args ([`ReflectionDistillConfig`]):
            Settings, with `model_init_kwargs`.
        processing_class ([`~transformers.PreTrainedTokenizerBase`] or `None`):
            Tokenizer; by default that of the model.
        quantization_config ([`~transformers.BitsAndBytesConfig`] or `None`):
            Quantization for a model given by name.

    Returns:
        `tuple`: Model and tokenizer.
    """
    if isinstance(model, str):
        assert not isinstance(args.model_init_kwargs, str)  # `TrainingArguments` has parsed it
        model_init_kwargs = dict(args.model_init_kwargs or {})
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
    Checks a model and prepares it in place for training on batches of this package.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Its tokenizer.
        args ([`ReflectionDistillConfig`]):
            Settings.
        stop_token (`str` or `None`):
            Special token that ends an answer. Generation stops at it too.
        aux_loss_enabled (`bool`):
            Whether a Mixture-of-Experts model uses its balancing loss.

    Returns:
        `bool`: Whether hidden tokens are dropped from a packed row. Otherwise they are masked in a padded batch.
    """
    check_loaded_model(model, tokenizer, args, aux_loss_enabled)
    if stop_token is not None:
        # The EOS token of a base model's tokenizer ends texts, while the template ends turns with another token
        add_eos_token_id(model, tokenizer.get_vocab()[stop_token])
    add_distillation_forward(model)
    is_packed = padding_reason_by_trial(model, args.max_length) is None
    if args.torch_compile and args.torch_compile_backend is not None:
        if will_use_zero3(args):
            gather_whole_layers(model)
        compile_layers(model, args.torch_compile_backend, args.torch_compile_mode)
        in_half = args.bf16 or args.fp16 or model.dtype != torch.float32
        if (
            is_packed
            and args.activation_checkpointing
            and runs_by_sequence(model, args.device.type == "cuda" and in_half)
        ):
            logger.warning(
                "`torch_compile` has no effect on the layers. With `activation_checkpointing`, torch compiles a layer as a whole or not at "
                "all, and on the CPU, in float32 or with attention dropout, attention runs outside of compiled code. Set "
                "`activation_checkpointing` to False, or train in bf16 on a GPU."
            )
    return is_packed


def add_eos_token_id(model: PreTrainedModel, token_id: int) -> None:
    """
    Adds a token to the EOS tokens of generation.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model. Its generation config is changed in place.
        token_id (`int`):
            Token id.
    """
    stops = model.generation_config.eos_token_id
    stops = [] if stops is None else [stops] if isinstance(stops, int) else list(stops)
    if token_id not in stops:
        model.generation_config.eos_token_id = [token_id, *stops]


def check_generation_config(model: PreTrainedModel) -> None:
    """
    Rejects generation settings that transformers refuses to save. It saves the settings of a published model, even if they contradict
    each other, only as long as nothing in them changes, and training sets the tokens for stopping and padding.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model.

    Raises:
        ValueError: If they cannot be saved.
    """
    if model.generation_config is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            model.generation_config.save_pretrained(folder)
        except ValueError as error:
            reason = quote_error(str(error).removeprefix("GenerationConfig is invalid:")).removeprefix("- ")
            raise ValueError(
                f"The generation settings of `{type(model).__name__}` cannot be saved with the trained model ({reason}); correct "
                f"`model.generation_config`, or generation_config.json in the folder of the model, before training."
            ) from None


def compile_layers(model: PreTrainedModel, backend: str, mode: str | None) -> None:
    """
    Compiles each layer of a model in place, for sequences of any length.

    Equal layers share one compilation, so this takes seconds instead of minutes for the whole model. Values that
    depend on the whole batch, such as its number of sequences, stay outside and trigger no recompilation.

    Floats become constants of the compiled code, in the whole process (`torch._dynamo.config.specialize_float`).

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model; changed in place.
        backend (`str`):
            Backend of `torch.compile`.
        mode (`str` or `None`):
            Its mode.
    """
    # With dynamic shapes, torch also takes floats for inputs. It finds out at the end of a trace that it needs their
    # values (the norm's epsilon, the loss's temperature), and traces again: in every run, since only code is cached
    torch._dynamo.config.specialize_float = True
    for layer in layers(model):
        layer.compile(dynamic=True, backend=backend, mode=mode)


def layers(model: PreTrainedModel) -> list[nn.Module]:
    """
    Returns the layers of a model that can be compiled and checkpointed one by one.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model.
    """
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def gather_whole_layers(model: PreTrainedModel) -> None:
    """
    Makes DeepSpeed ZeRO-3 gather the weights of a layer together, instead of those of each module in it.

    ZeRO-3 gathers weights in hooks, which torch cannot compile. A hook on each module would divide the compiled code of
    a layer into as many parts.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model; its layers are marked in place.
    """
    from deepspeed.utils import set_z3_leaf_modules

    set_z3_leaf_modules(model, list({type(layer) for layer in layers(model)}), raise_if_not_found=False)
