"""Adjusts accelerate where its defaults would round, skip or recompile parts of this trainer."""

import dataclasses

from accelerate import Accelerator
from accelerate.utils import DistributedType, DynamoBackend, parse_flag_from_env
from peft import PeftModel
from transformers import PreTrainedModel, TrainingArguments


def adjust_accelerator(accelerator: Accelerator, args: TrainingArguments) -> None:
    """
    Keeps loss, token embeddings and parameters exact under float8 and FSDP2, and leaves compilation to the trainer.

    Args:
        accelerator ([`~accelerate.Accelerator`]):
            Accelerator of the trainer. Its plugins are changed in place.
        args ([`~transformers.TrainingArguments`]):
            Settings.

    Raises:
        ValueError: If accelerate is configured to split sequences or layers among processes.
    """
    parallelism = accelerator.parallelism_config
    for kind in ("cp", "sp", "tp"):
        if parallelism is not None and getattr(parallelism, f"{kind}_size", 1) > 1:
            raise ValueError(
                f"`{kind}_size` is {getattr(parallelism, f'{kind}_size')}, but sequences and layers cannot be split among processes here: "
                f"each process needs complete rows and the complete head. Set it to 1, and shard the weights with FSDP2 or DeepSpeed "
                f"ZeRO-3."
            )
    if args.torch_compile:
        # The trainer compiles layer by layer; accelerate would recompile the whole model for each batch shape
        accelerator.state.dynamo_plugin.backend = DynamoBackend.NO
    recipe = accelerator.ao_recipe_handler
    if recipe is not None and not accelerator.is_fsdp2:
        # Weights that FSDP2 gathers in float8 are new parameters. Without FSDP2 the optimizer would not know them, and
        # no linear layer would be trained
        recipe.config = dataclasses.replace(recipe.config, enable_fsdp_float8_all_gather=False)
    if accelerator.is_fsdp2:
        plugin = accelerator.state.fsdp_plugin
        if plugin.mixed_precision_policy is not None:
            # The policy would round to bfloat16 the outputs of the forward pass, which are the loss and the logged
            # metrics, and its inputs, which are the token weights that scale all gradients
            plugin.mixed_precision_policy = dataclasses.replace(
                plugin.mixed_precision_policy, output_dtype=None, cast_forward_inputs=False
            )


def shards_parameters(accelerator: Accelerator) -> bool:
    """
    Returns whether each process holds a part of each parameter only (FSDP and DeepSpeed ZeRO-3).

    Args:
        accelerator ([`~accelerate.Accelerator`]):
            Accelerator of the trainer.
    """
    state = accelerator.state
    if getattr(state, "fsdp_plugin", None) is not None:
        return True
    return accelerator.distributed_type == DistributedType.DEEPSPEED and state.deepspeed_plugin.zero_stage == 3


def will_shard_parameters(args: TrainingArguments) -> bool:
    """
    Returns whether settings or `accelerate launch` ask for FSDP or DeepSpeed ZeRO-3, before there is an accelerator.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings.
    """
    return args.fsdp_plugin_args is not None or parse_flag_from_env("ACCELERATE_USE_FSDP") or will_use_zero3(args)


def will_use_zero3(args: TrainingArguments) -> bool:
    """
    Returns whether settings or `accelerate launch` ask for DeepSpeed ZeRO-3, before there is an accelerator.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings.
    """
    return args.deepspeed_plugin is not None and args.deepspeed_plugin.zero_stage == 3


def skip_unused_parameters(args: TrainingArguments, model: PreTrainedModel | PeftModel) -> None:
    """
    Keeps DDP from a search for unused parameters, which costs a graph traversal and a communication in every step.

    The loss reaches all parameters, except experts without any routed token.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings. Changed in place where the user left the search open.
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model to train.
    """
    if args.ddp_find_unused_parameters is None and not hasattr(model.config.get_text_config(), "output_router_logits"):
        args.ddp_find_unused_parameters = False
