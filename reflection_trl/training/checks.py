"""Checks the arguments of a trainer, before and after the model is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from datasets import DatasetDict, IterableDatasetDict
from peft import PeftConfig, PeftModel, PeftType, TaskType
from peft.utils import CONFIG_NAME as ADAPTER_CONFIG
from peft.utils.other import TrainableTokensWrapper
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments
from transformers.integrations import get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer_utils import IntervalStrategy
from transformers.utils import CONFIG_NAME, logging
from trl import ModelConfig
from trl.trainer.utils import get_config_model_id

from ..files.model_folder import check_model_folder
from ..quoting import list_names
from .config import ReflectionDistillConfig
from .dataset import check_is_dataset, check_not_empty
from .model_parts import input_embeddings


logger = logging.get_logger(__name__)
_Config = TypeVar("_Config", bound=TrainingArguments)
# What settings need to have an effect: whether it is given, and how their names start
Requirements = Mapping[str, tuple[bool, tuple[str, ...]]]


def check_datasets(train_dataset: Any, eval_dataset: Any, args: TrainingArguments) -> None:
    """
    Rejects datasets that the trainer does not support.

    Args:
        train_dataset (`Any`):
            Rows to train on.
        eval_dataset (`Any`):
            Rows to evaluate on, a `dict` of such, or `None`.
        args ([`~transformers.TrainingArguments`]):
            Settings of the trainer, which say when to evaluate.

    Raises:
        TypeError: If one is a dictionary of splits, or not a dataset.
        ValueError: If the training or the requested evaluation has no dataset, or one has no rows.
    """
    if train_dataset is None:
        raise ValueError("`train_dataset` is required.")
    several = isinstance(eval_dataset, dict) and not isinstance(eval_dataset, (DatasetDict, IterableDatasetDict))
    evaluated = eval_dataset if several else {"eval": eval_dataset}
    for name, dataset in (("train", train_dataset), *evaluated.items()):
        if dataset is not None:
            check_is_dataset(dataset, name)
            check_not_empty(dataset, name)
    check_evaluation(args, eval_dataset)
    if isinstance(eval_dataset, dict):
        check_best_metric(args, list(eval_dataset))


def best_metric(args: TrainingArguments) -> str | None:
    """
    Returns the metric that selects a checkpoint or a learning rate; `None` if nothing is selected.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings of the trainer.
    """
    selects = (
        args.load_best_model_at_end or args.save_strategy == "best" or args.lr_scheduler_type == "reduce_lr_on_plateau"
    )
    return f"eval_{(args.metric_for_best_model or 'loss').removeprefix('eval_')}" if selects else None


def check_best_metric(args: TrainingArguments, names: Sequence[str]) -> None:
    """
    Rejects a metric that selects a checkpoint and that none of several datasets has. Transformers would raise an error
    after the first evaluation.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings of the trainer.
        names (`Sequence[str]`):
            Names of the datasets to evaluate on.

    Raises:
        ValueError: If no dataset has it.
    """
    metric = best_metric(args)
    if metric is not None and not metric.startswith(tuple(f"eval_{name}_" for name in names)):
        raise ValueError(
            f"`metric_for_best_model` is {args.metric_for_best_model or 'loss'!r}, but each of several evaluation datasets has metrics of its own; name one, such as "
            f"'eval_{names[0]}_loss'."
        )


def check_evaluation(args: TrainingArguments, eval_dataset: Any) -> None:
    """
    Rejects an evaluation without rows. Transformers would raise an error after the model is loaded.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings of the trainer.
        eval_dataset (`Any`):
            Rows to evaluate on, or `None`.

    Raises:
        ValueError: If settings ask for an evaluation, and there are no rows.
    """
    if eval_dataset is not None and eval_dataset != {}:
        return
    if args.eval_strategy != "no":
        raise ValueError(
            f"`eval_strategy` is '{IntervalStrategy(args.eval_strategy).value}', but there is no `eval_dataset`; pass one, or set "
            f"it to 'no'."
        )
    if args.eval_on_start:
        raise ValueError("`eval_on_start` is set, but there is no `eval_dataset`; pass one, or set it to False.")


def check_trackers(report_to: str | Sequence[str] | None) -> None:
    """
    Rejects trackers that are not installed. Transformers would raise a traceback after the model is loaded.

    Args:
        report_to (`str`, `Sequence[str]` or `None`):
            Setting `report_to`.

    Raises:
        ValueError: If a tracker is not installed.
    """
    for tracker in [report_to] if isinstance(report_to, str) else report_to or []:
        installed = get_available_reporting_integrations()
        if tracker in INTEGRATION_TO_CALLBACK and tracker not in (*installed, "flyte"):  # flyte is never listed
            package = tracker.replace("_", "-")
            raise ValueError(
                f"`report_to` names {tracker!r}, which is not installed; run `pip install {package}`, or set it to 'none'."
            )


def check_args(args: _Config | None, config_class: type[_Config], model: str | PreTrainedModel | PeftModel) -> _Config:
    """
    Returns the settings of a trainer, or the defaults with an output folder named after the model.

    Args:
        args (`SFTConfig`, `GRPOConfig` or `None`):
            Settings that the user gave.
        config_class (`type`):
            Their class, such as [`ReflectionDistillConfig`].
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model of the trainer.

    Raises:
        TypeError: If the settings are of another class.
    """
    if args is None:
        model_name = model if isinstance(model, str) else get_config_model_id(model.config)
        return config_class(f"{model_name.split('/')[-1]}-{config_class.__name__.removesuffix('Config')}")
    if not isinstance(args, config_class):
        article = "an" if config_class.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"`args` must be {article} `{config_class.__name__}`, got `{type(args).__name__}`.")
    return args


def check_before_loading(
    args: ReflectionDistillConfig,
    model: str | PreTrainedModel | PeftModel,
    train_dataset: Any,
    eval_dataset: Any,
    peft_config: PeftConfig | None,
) -> None:
    """
    Checks the arguments of a trainer before its model is loaded.

    Args:
        args ([`ReflectionDistillConfig`]):
            Settings. They are changed in place where accelerate's default would not work here.
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model of the trainer.
        train_dataset (`Any`):
            Rows to train on.
        eval_dataset (`Any`):
            Rows to evaluate on, a `dict` of such, or `None`.
        peft_config ([`~peft.PeftConfig`] or `None`):
            Adapter to train.

    Raises:
        TypeError: If a dataset is not one.
        ValueError: If a dataset is missing or empty, a tracker is not installed, or the model cannot be trained.
    """
    check_datasets(train_dataset, eval_dataset, args)
    check_trackers(args.report_to)
    warn_of_settings_without_effect(args, requirements(args))
    check_model(model, peft_config)
    disable_dispatching(args)


def warn_of_settings_without_effect(args: TrainingArguments | ModelConfig, needed: Requirements) -> None:
    """
    Warns of settings that were changed from their default, but that only another setting makes effective.

    Args:
        args ([`~transformers.TrainingArguments`] or [`~trl.ModelConfig`]):
            Settings of a trainer, or of the model that a command loads.
        needed (`Mapping[str, tuple[bool, tuple[str, ...]]]`):
            What settings need to have an effect: whether it is given, and how their names start.
    """
    for condition, names in settings_without_effect(args, needed).items():
        logger.warning(
            f"{list_names(f'`{name}`' for name in names)} {'has' if len(names) == 1 else 'have'} no effect on the training without "
            f"{condition}."
        )


def settings_without_effect(args: TrainingArguments | ModelConfig, needed: Requirements) -> dict[str, list[str]]:
    """
    Finds settings that were changed from their default, but that only another setting makes effective.

    Args:
        args ([`~transformers.TrainingArguments`] or [`~trl.ModelConfig`]):
            Settings of a trainer, or of the model that a command loads.
        needed (`Mapping[str, tuple[bool, tuple[str, ...]]]`):
            What settings need to have an effect: whether it is given, and how their names start.

    Returns:
        `dict`: The settings without effect, by what they need.
    """
    changed = [field.name for field in fields(args) if getattr(args, field.name) != _default(field)]
    found = {
        condition: [name for name in changed if name.startswith(names)]
        for condition, (is_given, names) in needed.items()
        if not is_given
    }
    return {condition: names for condition, names in found.items() if names}


def _default(field: Field) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def requirements(args: ReflectionDistillConfig) -> Requirements:
    """
    Returns what settings of offline training need to have an effect.

    Args:
        args ([`ReflectionDistillConfig`]):
            Settings.
    """
    has_student = args.student_loss_weight > 0 or args.distillation_weight > 0
    counts_sequences = args.sequence_loss_weight > 0 or args.loss_normalization == "joint"
    return {
        **evaluation_requirements(args),
        "`rendering='chat'`": (args.rendering == "chat", ("execution_role", "chat_template_kwargs")),
        "`student_loss_weight` or `distillation_weight` above 0": (has_student, ("mask_",)),
        "'block-type' in `mask_strategy`": ("block-type" in args.mask_strategy, ("mask_order",)),
        "a `mask_strategy` other than 'all' and 'none'": (
            not set(args.mask_strategy) <= {"all", "none"},
            ("mask_schedule", "mask_rate_", "mask_levels"),
        ),
        "`mask_schedule='step'`": (args.mask_schedule == "step", ("mask_levels",)),
        "a `mask_schedule` other than 'constant'": (args.mask_schedule != "constant", ("mask_rate_start",)),
        "`sequence_loss_weight` above 0": (counts_sequences, ("train_on_failed_attempts",)),
        "`distillation_weight` above 0": (args.distillation_weight > 0, ("beta", "temperature", "teacher")),
        "`teacher='ema'`": (args.teacher == "ema", ("teacher_update_rate",)),
    }


def evaluation_requirements(args: TrainingArguments) -> Requirements:
    """
    Returns what settings of an evaluation during training need to have an effect.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings of a trainer.
    """
    names = ("eval_steps", "eval_delay", "load_best_model_at_end")
    return {"an `eval_strategy` other than 'no'": (args.eval_strategy != "no", names)}


def check_model(model: str | PreTrainedModel | PeftModel, peft_config: PeftConfig | None = None) -> None:
    """
    Rejects models that are not causal language models, and adapters for other models, before anything is loaded.

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model, folder or Hub id.
        peft_config ([`~peft.PeftConfig`], *optional*):
            Adapter to train.

    Raises:
        ValueError: If a folder contains no model, or only an adapter, or a model has no language modeling head, or an adapter is
        for another task.
    """
    config: Any = model.active_peft_config if isinstance(model, PeftModel) else peft_config
    if getattr(config, "task_type", None) not in (None, TaskType.CAUSAL_LM):
        raise ValueError(
            f"`task_type` of the adapter is '{TaskType(config.task_type).value}', so it could not be loaded with a causal language model after "
            f"the training; set it to 'CAUSAL_LM'."
        )
    if isinstance(model, str):
        check_model_folder(model)
        if Path(model, ADAPTER_CONFIG).is_file() and not Path(model, CONFIG_NAME).is_file():
            raise ValueError(
                f"{model!r} contains an adapter, not a model; pass its base model to train a new adapter. To train this one further, pass "
                f"`PeftModel.from_pretrained(model, {model!r}, is_trainable=True)` to the trainer, or merge it into its base model first."
            )
    elif model.get_output_embeddings() is None:
        raise ValueError(
            f"`{type(model).__name__}` has no language modeling head, so it cannot generate; load the model with "
            f"`AutoModelForCausalLM`."
        )


def check_loaded_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, args: ReflectionDistillConfig, aux_loss_enabled: bool
) -> None:
    """
    Rejects a model that does not match the settings or its tokenizer.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model, without PEFT around it.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Its tokenizer.
        args ([`ReflectionDistillConfig`]):
            Settings.
        aux_loss_enabled (`bool`):
            Whether a Mixture-of-Experts model uses its balancing loss.

    Raises:
        ValueError: If the vocabulary or the number of positions is too small, rows of one batch would change each
        other's rotary frequencies, or the model adds its own loss.
    """
    embeddings = input_embeddings(model)
    if 0 < embeddings.weight.shape[0] < len(tokenizer):
        raise ValueError(
            f"The tokenizer has {len(tokenizer)} tokens but the model has embeddings for {embeddings.weight.shape[0]}; pass the "
            f"tokenizer that belongs to the model, or call `model.resize_token_embeddings(len(tokenizer))`."
        )
    positions = num_position_embeddings(model)
    if positions is not None and (args.max_length is None or args.max_length > positions):
        raise ValueError(
            f"`max_length` is {args.max_length}, but `{type(model).__name__}` has embeddings for only {positions} positions; "
            f"set `max_length` to at most {positions}; longer rows are dropped."
        )
    limit = _length_of_short_frequencies(model)
    if limit is not None and (args.max_length is None or args.max_length > limit):
        raise ValueError(
            f"`max_length` is {args.max_length}, but `{type(model).__name__}` changes the rotary frequencies of a whole batch if one row is "
            f"longer than {limit} tokens, so short rows would be trained with frequencies that inference never uses for them; set `max_length` to at most {limit}."
        )
    if aux_loss_enabled:
        raise ValueError(
            "This Mixture-of-Experts model balances its experts over all tokens, including hidden ones, which packed "
            "batches do not contain; set `router_aux_loss_coef=0.0`."
        )


def check_trained_parameters(model: PreTrainedModel | PeftModel) -> None:
    """
    Rejects a model without parameters to train. Otherwise the first backward pass would fail.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model to train.

    Raises:
        ValueError: If no parameter requires a gradient.
    """
    if any(parameter.requires_grad for parameter in model.parameters()):
        return
    if isinstance(model, PeftModel):
        raise ValueError(
            "The adapter has no parameters to train, because it was loaded for inference; load it with "
            "`PeftModel.from_pretrained(model, adapter, is_trainable=True)`, and leave `inference_mode` of its configuration at False."
        )
    raise ValueError(
        f"`{type(model).__name__}` has no parameters to train; set `requires_grad` of those that are to be trained, or pass `peft_config`."
    )


def check_adapter(model: PeftModel, is_fsdp2: bool) -> None:
    """
    Rejects adapters that do not work with packed batches or in this training loop, or that FSDP2 cannot shard.

    Args:
        model ([`~peft.PeftModel`]):
            PEFT model.
        is_fsdp2 (`bool`):
            Whether FSDP2 will shard it.

    Raises:
        ValueError: If the adapter adds virtual tokens before each row, works only after certain tokens of a row, or allocates
        its ranks in the training loop, or if it trains single tokens of tied embeddings under FSDP2.
    """
    head = model.get_output_embeddings()
    if is_fsdp2 and isinstance(head, TrainableTokensWrapper) and head.token_adapter.tied_adapter is not None:
        raise ValueError(
            f"FSDP2 cannot shard the embeddings of `{type(model.get_base_model()).__name__}`, because the adapter trains single tokens of "
            f"them and the head shares them; use DDP or DeepSpeed, or untie them before (`tie_word_embeddings=False`)."
        )
    config = model.active_peft_config
    if config.is_prompt_learning:
        raise ValueError(
            f"{config.peft_type.value} adds virtual tokens before each row, which packed batches do not support; use LoRA or "
            f"another adapter that changes layers."
        )
    if getattr(config, "alora_invocation_tokens", None):
        raise ValueError(
            "`alora_invocation_tokens` activates the adapter after the last such tokens of a row, but packed batches join several samples "
            "in one row; leave it unset, which trains LoRA in its usual form."
        )
    if config.peft_type == PeftType.ADALORA:
        raise ValueError(
            "ADALORA allocates its ranks by a call of `update_and_allocate` in each step, which this trainer does not make; use LoRA."
        )


def warn_of_lost_steps(model: PreTrainedModel | PeftModel, learning_rate: float) -> None:
    """
    Warns if the steps of the optimizer are too small for weights in half precision, so that most would not change.

    An Adam step changes a weight by about the learning rate. A step below half the distance to the next representable
    value is rounded to zero.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model to train, without master weights in float32 elsewhere.
        learning_rate (`float`):
            Peak learning rate.
    """
    trained = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
    halves = [p for p in trained if p.dtype in (torch.bfloat16, torch.float16)]
    if not halves or isinstance(model, PeftModel):  # an adapter starts at zero, where steps of any size count
        return
    size = sum(p.detach().float().abs().mean().item() for p in halves) / len(halves)
    dtype = halves[0].dtype
    if learning_rate < size * torch.finfo(dtype).eps / 4:
        logger.warning(
            f"The trained weights are in {str(dtype).removeprefix('torch.')}, in which steps of `learning_rate` {learning_rate:g} are rounded "
            f"to zero for most of them; load the model in float32 (`dtype`), which `bf16` computes with in half precision."
        )


def set_pad_token(tokenizer: PreTrainedTokenizerBase, pad_token: str) -> None:
    """
    Sets the padding token. TRL sets it only for its own collator.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Tokenizer; changed in place.
        pad_token (`str`):
            One of its tokens.

    Raises:
        ValueError: If the tokenizer does not have it.
    """
    if pad_token not in tokenizer.get_vocab():
        raise ValueError(
            f"`pad_token` is {pad_token!r}, which the tokenizer of '{tokenizer.name_or_path}' does not have; name one of its "
            f"tokens, or leave it at None."
        )
    tokenizer.pad_token = pad_token


def disable_dispatching(args: ReflectionDistillConfig) -> None:
    """
    Makes every process read its own batches, because batches of rows cannot be dispatched.

    Args:
        args ([`ReflectionDistillConfig`]):
            Settings; changed in place.
    """
    accelerator_config: Any = args.accelerator_config  # parsed at this point
    if accelerator_config.dispatch_batches:
        logger.warning(
            "`dispatch_batches` is set to False, because it concatenates tensors, which a batch of rows does not contain."
        )
    # With `None`, accelerate would dispatch the batches of streams, also those of `eval_dataset`
    accelerator_config.dispatch_batches = False


def _length_of_short_frequencies(model: PreTrainedModel) -> int | None:
    # LongRoPE (Phi-3) and dynamic NTK scaling choose frequencies by the largest position of a batch
    config = model.config.get_text_config()
    parameters = getattr(config, "rope_parameters", None) or {}
    limits = []
    for rope in parameters.values() if all(isinstance(value, dict) for value in parameters.values()) else [parameters]:
        kind = rope.get("rope_type", "default")
        if kind == "longrope":
            limits.append(rope.get("original_max_position_embeddings") or config.original_max_position_embeddings)
        elif "dynamic" in kind:
            limits.append(config.max_position_embeddings)
    return min(limits, default=None)


def num_position_embeddings(model: PreTrainedModel) -> int | None:
    """
    Returns the number of position embeddings of a model.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model.

    Returns:
        `int`, *optional*: The number; `None` if positions are computed, as with rotary embeddings.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is None:
        return None
    tokens = model.get_input_embeddings()
    others = (module for module in model.modules() if isinstance(module, nn.Embedding) and module is not tokens)
    # Some models have one or two more, for padding (OPT)
    return positions if any(positions <= module.num_embeddings <= positions + 2 for module in others) else None
