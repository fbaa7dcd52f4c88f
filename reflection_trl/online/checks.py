"""Checks the settings and data of online training before anything is generated."""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset, IterableDataset
from peft import PeftConfig, PeftModel
from transformers import PreTrainedModel
from transformers.utils import logging
from trl import GRPOTrainer
from trl.import_utils import is_vllm_available

from ..problems.problem import is_checker_source
from ..training.checks import (
    Requirements,
    best_metric,
    check_best_metric,
    check_evaluation,
    check_trackers,
    evaluation_requirements,
    warn_of_settings_without_effect,
)
from ..training.dataset import check_not_empty
from ..training.teachers import disabled_adapter_is_base
from .config import OnlineReflectionDistillConfig
from .dataset import COLUMNS, row_to_problem
from .judging import check_installed
from .messages import is_prompt, is_text
from .rewards import ExecutionReward


logger = logging.get_logger(__name__)

_JUDGED_BY = ("tests", "examples", "answer")
_IMAGES = ("image", "images")  # columns that TRL reads
_NAMED = 3  # prompts or rows to list in a message


def check_before_loading(args: OnlineReflectionDistillConfig, train_dataset: Any, eval_dataset: Any) -> None:
    """
    Checks settings and datasets before a model is loaded.

    Args:
        args ([`OnlineReflectionDistillConfig`]):
            Settings.
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Rows to train on.
        eval_dataset ([`~datasets.Dataset`], `dict` of them or `None`):
            Rows to evaluate on.

    Raises:
        ImportError: If vLLM is requested and not installed.
        TypeError: If a dataset has the wrong type.
        ValueError: If a tracker is not installed, a dataset is missing or empty, or lacks a column, a prompt or what
            judges the answers to it, or has images, or a batch of the evaluation does not contain whole groups, or
            a checkpoint is selected by a metric that does not exist or does not measure answers.
    """
    check_trackers(args.report_to)
    check_evaluation(args, eval_dataset)
    warn_of_settings_without_effect(args, requirements(args))
    if args.use_vllm and not is_vllm_available():
        raise ImportError(
            "`use_vllm` is set, but vLLM is not installed: run `pip install vllm`, or set `use_vllm=False` to generate with "
            "transformers."
        )
    if train_dataset is None:
        raise ValueError("`train_dataset` is required; `load_problems_for_rl` makes one from problems.")
    evaluated = eval_dataset if isinstance(eval_dataset, dict) else {"eval_dataset": eval_dataset}
    for name, dataset in {"train_dataset": train_dataset, **evaluated}.items():
        if dataset is not None:
            _check_columns(name, dataset)
            if isinstance(dataset, Dataset):
                _check_rows(name, dataset)
    # TRL looks at this only if `eval_strategy` is set, and would fail after the first answers of the evaluation
    num_generations = args.num_generations_eval or args.num_generations or 1
    if eval_dataset is not None and args.per_device_eval_batch_size * args.world_size % num_generations:
        raise ValueError(
            f"`per_device_eval_batch_size` {args.per_device_eval_batch_size} on {args.world_size} processes does not contain whole groups of "
            f"{num_generations} answers to one prompt; set it to a multiple of {num_generations}, or set `num_generations_eval` to a divisor."
        )
    if (best_metric(args) or "").endswith("loss"):
        raise ValueError(
            f"`metric_for_best_model` is {args.metric_for_best_model!r}, but the loss of an evaluation does not measure answers: their advantages "
            f"have the mean 0; name another metric, such as 'eval_execution/pass_rate'."
        )
    if isinstance(eval_dataset, dict):
        check_best_metric(args, list(eval_dataset))
    _warn_of_repeated_prompts(args, evaluated)
    _warn_of_trained_prompts(train_dataset, evaluated)
    if args.dynamic_sampling_rounds and not isinstance(train_dataset, Dataset):
        raise ValueError(
            f"`dynamic_sampling_rounds` is {args.dynamic_sampling_rounds}, but `train_dataset` is a stream, from which prompts cannot be "
            f"chosen at random; load it as a `Dataset`, or set it to 0."
        )
    prompts = (args.generation_batch_size or 0) // (args.num_generations or 1)
    if isinstance(train_dataset, Dataset) and len(train_dataset) < prompts:
        raise ValueError(
            f"`train_dataset` has {len(train_dataset)} prompts, fewer than the {prompts} of one generation batch, so no step is "
            f"possible; lower `per_device_train_batch_size`, `gradient_accumulation_steps` or `steps_per_generation`, or raise `num_generations`."
        )


def check_reference(beta: float, model: str | PreTrainedModel | PeftModel, peft_config: PeftConfig | None) -> None:
    """
    Rejects a KL penalty against a reference model that TRL would take for the model without its adapter, but that is
    another one.

    Args:
        beta (`float`):
            Weight of the KL penalty.
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model of the trainer.
        peft_config ([`~peft.PeftConfig`] or `None`):
            Adapter to train.

    Raises:
        ValueError: If there is a penalty, and the adapter also changes the base model.
    """
    config: Any = model.active_peft_config if isinstance(model, PeftModel) else peft_config
    if beta > 0 and config is not None and not disabled_adapter_is_base(config):
        name = "init_lora_weights" if config.bias == "none" else "bias"
        raise ValueError(
            f"`beta` is {beta}, but with `{name}={getattr(config, name)!r}` the adapter also changes the base model, which is the "
            f"reference model; set `beta` to 0, or use LoRA without this setting."
        )


def requirements(args: OnlineReflectionDistillConfig) -> Requirements:
    """
    Returns what settings of online training need to have an effect.

    Args:
        args ([`OnlineReflectionDistillConfig`]):
            Settings.
    """
    distills = args.distillation_weight > 0
    return {
        **evaluation_requirements(args),
        "`distillation_weight` above 0": (
            distills,
            ("distillation_beta", "distillation_temperature", "teacher", "show_", "teach_passed"),
        ),
        "`distillation_weight` above 0, or `repair_failed`": (
            distills or args.repair_failed,
            ("max_feedback_length",),
        ),
        "`show_feedback` or `repair_failed`": (args.show_feedback or args.repair_failed, ("max_feedback_length",)),
        "`teacher='ema'`": (args.teacher == "ema", ("teacher_update_rate",)),
        "`teacher='trust-region'`": (args.teacher == "trust-region", ("trust_region_weight",)),
        "`use_vllm`": (args.use_vllm, ("vllm_",)),
        "`use_transformers_continuous_batching`": (
            args.use_transformers_continuous_batching,
            ("transformers_continuous_batching_config",),
        ),
        "`beta` above 0": (args.beta > 0, ("use_bias_correction_kl",)),
        "`sync_ref_model`": (args.sync_ref_model, ("ref_model_",)),
        "`use_adaptive_entropy`": (args.use_adaptive_entropy, ("entropy_coef_", "entropy_target")),
        "`log_completions`": (args.log_completions, ("log_unique_prompts", "num_completions_to_print")),
        "`loss_type='sapo'`": (args.loss_type == "sapo", ("sapo_",)),
        "`loss_type='vespo'`": (args.loss_type == "vespo", ("vespo_",)),
        "a `loss_type` other than 'sapo' and 'vespo'": (args.loss_type not in ("sapo", "vespo"), ("epsilon",)),
        "a `loss_type` other than 'cispo', 'sapo' and 'vespo'": (
            args.loss_type not in ("cispo", "sapo", "vespo"),
            ("delta",),
        ),
        "`multi_objective_aggregation='sum_then_normalize'`": (
            args.multi_objective_aggregation == "sum_then_normalize",
            ("scale_rewards",),
        ),
    }


def _warn_of_repeated_prompts(args: OnlineReflectionDistillConfig, evaluated: dict[str, Any]) -> None:
    size = args.per_device_eval_batch_size * args.world_size
    for name, dataset in evaluated.items():
        if args.world_size > 1 and isinstance(dataset, Dataset):
            answers = len(dataset) * (args.num_generations_eval or args.num_generations or 1)
            if answers % size:
                logger.warning(
                    f"The last batch of `{name}` has {answers % size} of {size} answers on {args.world_size} processes. It is filled with the "
                    f"first prompts, which count twice in the metrics; set `per_device_eval_batch_size` so that {answers} answers are full batches."
                )


def _warn_of_trained_prompts(train_dataset: Dataset | IterableDataset, evaluated: dict[str, Any]) -> None:
    if not isinstance(train_dataset, Dataset):
        return
    trained = set(map(repr, train_dataset["prompt"]))
    for name, dataset in evaluated.items():
        if isinstance(dataset, Dataset) and (both := sum(repr(prompt) in trained for prompt in dataset["prompt"])):
            logger.warning(
                f"{both} of {len(dataset)} prompts of `{name}` are also in `train_dataset`, so their solve rate is not that of held-out problems."
            )


def _check_columns(name: str, dataset: Any) -> None:
    if not isinstance(dataset, (Dataset, IterableDataset)):
        raise TypeError(
            f"`{name}` must be a `Dataset` or `IterableDataset`, got `{type(dataset).__name__}`; `load_problems_for_rl` makes one from "
            f"problems."
        )
    check_not_empty(dataset, name.removesuffix("_dataset"))
    columns = dataset.column_names
    if columns is None:  # the columns of a stream are known after its first row
        columns = list(next(iter(dataset)))
    if "prompt" not in columns or not set(_JUDGED_BY) & set(columns):
        raise ValueError(
            f"`{name}` needs a column `prompt`, and `tests`, `examples` or `answer` to judge answers by, but has {', '.join(columns) or 'none'}; "
            f"`load_problems_for_rl` makes them from problems."
        )
    images = [column for column in _IMAGES if column in columns]
    if images:
        raise ValueError(
            f"`{name}` has a column `{images[0]}`, but this trainer reads only text; remove the column, or train on images with TRL's "
            f"`GRPOTrainer`, which `execution_reward` works with too."
        )


def _check_rows(name: str, dataset: Dataset) -> None:
    rows = dataset.select_columns([column for column in dataset.column_names if column in COLUMNS])
    malformed, empty, untested, mixed, problems = [], [], [], [], []
    for number, row in enumerate(rows):
        if not is_prompt(row["prompt"]):
            malformed.append(row.get("problem_id", number))
            continue
        problem = row_to_problem(row, number)
        if not row["prompt"]:
            empty.append(row.get("problem_id", number))
        elif not is_text(row["prompt"]):
            mixed.append(row.get("problem_id", number))
        if not problem.has_tests:
            untested.append(row.get("problem_id", number))
        problems.append(problem)
    for found, lack in (
        (malformed, "a prompt of text or of messages with `role` and `content`"),
        (empty, "a prompt"),
        (untested, "`tests`, `examples` or `answer` to judge answers by"),
        (mixed, "a prompt of text alone"),
    ):
        if found:
            some = ", ".join(map(repr, found[:_NAMED]))
            raise ValueError(
                f"{len(found)} of {len(dataset)} rows of `{name}` are without {lack}: {some}{' and others' if len(found) > _NAMED else ''}; "
                f"leave these problems out, or complete them."
            )
    check_installed(problems)


def all_datasets(train_dataset: Any, eval_dataset: Any) -> list[Dataset | IterableDataset]:
    """
    Returns all datasets of a trainer.

    Args:
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Rows to train on.
        eval_dataset ([`~datasets.Dataset`], `dict` of them or `None`):
            Rows to evaluate on.
    """
    evaluated = eval_dataset.values() if isinstance(eval_dataset, dict) else [eval_dataset]
    return [dataset for dataset in (train_dataset, *evaluated) if dataset is not None]


def runs_programs(train_dataset: Any, eval_dataset: Any) -> bool:
    """
    Returns whether an answer is judged by running a program, as far as it is known before the rows of streams are read.

    Args:
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Rows to train on.
        eval_dataset ([`~datasets.Dataset`], `dict` of them or `None`):
            Rows to evaluate on.
    """
    return any(_has_programs(dataset) for dataset in all_datasets(train_dataset, eval_dataset))


def _has_programs(dataset: Dataset | IterableDataset) -> bool:
    columns = dataset.column_names
    if "answer" not in (columns or ["answer"]):
        return True
    if not isinstance(dataset, Dataset):
        return False
    rows = dataset.select_columns([name for name in columns if name in ("answer", "tests", "examples", "checker")])
    return any(row.get("tests") or row.get("examples") or is_checker_source(row.get("checker") or "") for row in rows)


def find_execution_reward(reward_funcs: Sequence[Any], max_completion_length: int | None) -> ExecutionReward:
    """
    Finds the reward function that stores the feedback of each answer.

    Args:
        reward_funcs (`Sequence`):
            Reward functions of the trainer.
        max_completion_length (`int` or `None`):
            Maximum completion length of the trainer.

    Raises:
        ValueError: If not exactly one is an [`execution_reward`], or it punishes the length for another maximum.
    """
    found = [reward for reward in reward_funcs if isinstance(reward, ExecutionReward)]
    if len(found) != 1:
        raise ValueError(
            f"`reward_funcs` must have one `execution_reward(...)`, whose feedback the teacher reads, but has {len(found)}; put it "
            f"beside your own reward functions, or use TRL's `GRPOTrainer` without a teacher."
        )
    (reward,) = found
    if reward.max_completion_length not in (None, max_completion_length):
        raise ValueError(
            f"`execution_reward` punishes long completions up to a `max_completion_length` of {reward.max_completion_length}, but the trainer's is "
            f"{max_completion_length}; pass the same to both."
        )
    return reward


def context_length(model: PreTrainedModel, args: OnlineReflectionDistillConfig) -> int:
    """
    Returns the maximum number of tokens of a prompt and its completion together.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model.
        args ([`OnlineReflectionDistillConfig`]):
            Settings.
    """
    length = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**31
    return min(length, args.vllm_max_model_length) if args.use_vllm and args.vllm_max_model_length else length


def check_prompt_lengths(trainer: GRPOTrainer, dataset: Any, max_positions: int) -> None:
    """
    Checks that every prompt leaves room for a completion.

    Args:
        trainer ([`~trl.GRPOTrainer`]):
            Trainer with the tokenizer and chat template.
        dataset ([`~datasets.Dataset`]):
            Rows to train or evaluate on. The rows of a stream are not checked.
        max_positions (`int`):
            Context length of the model.

    Raises:
        ValueError: If a prompt is too long.
    """
    if not isinstance(dataset, Dataset):
        return
    room = max_positions - (trainer.max_completion_length or 0)
    ids, _, _ = trainer._tokenize_prompts(list(dataset["prompt"]))
    too_long = [number for number, tokens in enumerate(ids) if len(tokens) > room]
    if too_long:
        names = dataset["problem_id"] if "problem_id" in dataset.column_names else range(len(dataset))
        some = ", ".join(f"{names[i]!r} ({len(ids[i])} tokens)" for i in too_long[:_NAMED])
        raise ValueError(
            f"{len(too_long)} of {len(dataset)} prompts leave no room for {trainer.max_completion_length} completion tokens in a context "
            f"of {max_positions}: {some}{' and others' if len(too_long) > _NAMED else ''}; lower `max_completion_length`, or leave these "
            f"problems out."
        )
