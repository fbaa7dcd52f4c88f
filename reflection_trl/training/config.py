"""Defines the settings of reflection self-distillation, with the source of every default."""

import copy
import functools
import json
import math
import os
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments
from transformers.utils import is_torch_bf16_gpu_available, is_torch_xla_available
from trl import SFTConfig

from ..quoting import list_names
from ..sequences import BLOCK_TYPES
from .masking import MASK_SCHEDULES, MASK_STRATEGIES


RENDERINGS = ("chat", "block-token")
EXECUTION_ROLES = ("auto", "tool", "user")
LOSS_NORMALIZATIONS = ("per-term", "joint")
_LOSS_WEIGHTS = ("sequence_loss_weight", "student_loss_weight", "distillation_weight")
# Fields that the command line takes as JSON
_DICT_FIELDS = [*SFTConfig._VALID_DICT_FIELDS, "chat_template_kwargs"]
TEACHERS = ("live", "ema", "base")
# Fields of `SFTConfig`: the values that it may have, the default first, and why others have no effect
_WITHOUT_EFFECT: dict[str, tuple[tuple[Any, ...], str]] = {
    "truncation_mode": (("keep_start",), "rows that are too long are dropped, never truncated"),
    "pad_to_multiple_of": (
        ("auto", None, "None", "none", "null"),
        "batches are padded to their longest row, or not at all",
    ),
    "dataset_text_field": (("text",), "rows are conversations, not texts"),
    "packing_strategy": (("bfd",), "rows are packed by `token_budget`"),
    "include_for_metrics": (([],), "an evaluation computes no metrics from inputs or losses"),
    "average_tokens_across_devices": ((True,), "the loss is always a mean over the tokens of all processes"),
}

# The settings of the published code, as it intends them: see `docs/method.md` for the remaining differences. Use them
# as `ReflectionDistillConfig(**PAPER_PRESET, output_dir=...)`
PAPER_PRESET: dict[str, Any] = {
    "rendering": "block-token",
    "hide_prefix": True,
    "mask_strategy": ["block-type"],
    "mask_order": ["text", "code", "execution"],
    "mask_schedule": "linear",
    "mask_rate_start": 0.0,
    "mask_rate_end": 1.0,
    "loss_normalization": "joint",
    "max_length": 4096,
    "learning_rate": 5e-5,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,  # below 1: a share of all steps
    "num_train_epochs": 2,
    "seed": 3407,
}


def _takes_run_facts(config: type["ReflectionDistillConfig"]) -> type["ReflectionDistillConfig"]:
    # Makes `__init__` accept the output of `to_dict`. A field would become a command-line option, and an `InitVar` an
    # argument of the `__post_init__` of subclasses
    init = config.__init__

    @functools.wraps(init)
    def __init__(
        self: "ReflectionDistillConfig", *args: Any, run_facts: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        init(self, *args, **kwargs)
        self.run_facts = run_facts or {}

    config.__init__ = __init__  # type: ignore[method-assign]
    return config


@_takes_run_facts
@dataclass
class ReflectionDistillConfig(SFTConfig):
    r"""
    Configuration of the [`ReflectionDistillTrainer`].

    This class contains only the parameters that are specific to reflection self-distillation. For the others, see
    [`~trl.SFTConfig`] and [`~transformers.TrainingArguments`]. "Paper" is ReflectionCoder
    (https://huggingface.co/papers/2405.17057), "published code" is its training code.

    Parameters:
        > Parameters that control the data

        max_length (`int` or `None`, *optional*, defaults to `4096`):
            Maximum length of a row in tokens. Longer rows are dropped, counted and reported, never truncated. Default
            of the published code.
        rendering (`str`, *optional*, defaults to `"chat"`):
            Text format of rows: `"chat"`, the model's chat template, as at inference, or `"block-token"`, the
            published format with seven special tokens.
        execution_role (`str`, *optional*, defaults to `"auto"`):
            Role of execution output in the chat template: `"tool"`, `"user"`, or `"auto"`, which is `"tool"` if the
            template renders tool turns as separate turns, and `"user"` otherwise.
        chat_template_kwargs (`dict[str, Any]`, *optional*):
            Variables for the chat template, such as `{"enable_thinking": false}`.
        token_budget (`int`, *optional*):
            If set, rows are grouped, with best fit decreasing, into packs of at most this many tokens of teacher and
            student together. A pack counts as one example of `per_device_train_batch_size`. By default the rows of a
            batch are packed in their order.

        > Parameters that control the masks

        mask_strategy (`list[str]`, *optional*, defaults to `["block-type"]`):
            Tokens that are hidden from the student: `block-type`, `random-block`, `sequential-block`, `random-token`,
            `sequential-token`, `all` or `none`. With several strategies, each row samples one at each step. The
            default is the paper's best. It hides all blocks of a type at once, at the first step and at the mask rates
            0.33 and 0.67. The `random-*` and `sequential-*` strategies hide a growing share.
        mask_order (`list[str]`, *optional*, defaults to `["execution", "text", "code"]`):
            Order in which `block-type` hides the types. The default is the paper's best. The published training
            command uses text, code, execution.
        mask_schedule (`str`, *optional*, defaults to `"linear"`):
            Schedule of the mask rate from start to end: `linear` (published code), `cosine`, `constant` (at the end
            rate) or `step`.
        mask_rate_start (`float`, *optional*, defaults to `0.0`):
            Mask rate at the start of training, in [0, 1]. Default of the published code.
        mask_rate_end (`float`, *optional*, defaults to `1.0`):
            Mask rate of the last step, in [0, 1]. Default of the published code.
        mask_levels (`int`, *optional*, defaults to `4`):
            Number of levels of the `step` schedule.
        hide_prefix (`bool`, *optional*, defaults to `False`):
            Whether BOS and system prompt are hidden from the student, as in the published code. By default the student
            sees them, as at inference.

        > Parameters that control the loss

        sequence_loss_weight (`float`, *optional*, defaults to `1.0`):
            Weight of the cross-entropy on the assistant's text in the teacher's samples and in plain rows. Default of
            the paper.
        student_loss_weight (`float`, *optional*, defaults to `1.0`):
            Weight of the student's cross-entropy on the final answer. Default of the paper.
        distillation_weight (`float`, *optional*, defaults to `1.0`):
            Weight of the divergence of teacher and student on the final answer. Default of the paper.
        train_on_failed_attempts (`bool`, *optional*, defaults to `True`):
            Whether the cross-entropy on whole sequences includes failed attempts, which are all attempts of a row but
            the last. A turn that starts with code, such as tests, belongs to the attempt before it. If `False`, failed attempts
            are context only, and the model is trained on analyses, the last attempt and the answer. Paper: `True`.
        loss_normalization (`str`, *optional*, defaults to `"per-term"`):
            `"per-term"`: each term is the mean over its own tokens. `"joint"`: both cross-entropies share one mean over the
            tokens of both, as in the published code. Means are taken over the whole accumulation window and all processes.
        beta (`float`, *optional*, defaults to `0.0`):
            Divergence: 0 is KL(teacher || student) (paper), 1 is KL(student || teacher), values between are the
            generalized Jensen-Shannon divergence, as in TRL's `DistillationTrainer`.
        temperature (`float`, *optional*, defaults to `1.0`):
            Temperature of both distributions in the divergence, which is not rescaled, as in TRL. The paper uses none.
        teacher (`str`, *optional*, defaults to `"live"`):
            Model whose predictions are distilled: `live`, the model in training (paper), `ema`, its moving average, or
            `base`, the model before training (the adapter disabled, or a frozen copy of the trained weights).
        teacher_update_rate (`float`, *optional*, defaults to `0.05`):
            Share of the live weights that is added to the `ema` teacher after each step, as in TRL's `SDFTTrainer`.

    Raises:
        ValueError: If a value is out of range, settings contradict each other, or bf16 is on where no GPU supports it.

    > [!NOTE]
    > These parameters have default values different from [`~trl.SFTConfig`]:
    > - `max_length`: Defaults to `4096` instead of `1024`.
    > - `logging_nan_inf_filter`: Defaults to `False` instead of `True`. A loss that is not a number is logged as such, and no
    >   micro-batch waits for the GPU to look at its loss.
    """

    _VALID_DICT_FIELDS = _DICT_FIELDS

    # Rows, their fingerprint and the packages' versions, from the trainer
    run_facts: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    # Parameters whose default values are overridden from SFTConfig
    max_length: int | None = field(
        default=4096,
        metadata={
            "help": "Maximum length of a row in tokens. Longer rows are dropped, counted and reported, never truncated. "
            "Default of the published code."
        },
    )
    logging_nan_inf_filter: bool = field(
        default=False,
        metadata={
            "help": "Whether the logged loss leaves out micro-batches whose loss is NaN or infinite. Each micro-batch then waits for the GPU."
        },
    )

    # Parameters that control the data
    rendering: str = field(
        default="chat",
        metadata={
            "help": "Text format of rows: 'chat', the model's chat template, as at inference, or 'block-token', the "
            "published format with seven special tokens.",
            "choices": RENDERINGS,
        },
    )
    execution_role: str = field(
        default="auto",
        metadata={
            "help": "Role of execution output in the chat template: 'tool', 'user', or 'auto', which is 'tool' if the "
            "template renders tool turns as separate turns, and 'user' otherwise.",
            "choices": EXECUTION_ROLES,
        },
    )
    chat_template_kwargs: dict[str, Any] | str | None = field(
        default=None,
        metadata={"help": "Variables for the chat template, such as '{\"enable_thinking\": false}'."},
    )
    token_budget: int | None = field(
        default=None,
        metadata={
            "help": "If set, rows are grouped, with best fit decreasing, into packs of at most this many tokens of teacher "
            "and student together. A pack counts as one example of `per_device_train_batch_size`. By default the rows of a "
            "batch are packed in their order."
        },
    )

    # Parameters that control the masks
    mask_strategy: list[str] = field(
        default_factory=lambda: ["block-type"],
        metadata={
            "help": "Tokens that are hidden from the student. With several strategies, each row samples one at each step. "
            "The default is the paper's best. It hides all blocks of a type at once, at the first step and at the mask "
            "rates 0.33 and 0.67. The random-* and sequential-* strategies hide a growing share.",
            "choices": MASK_STRATEGIES,
        },
    )
    mask_order: list[str] = field(
        default_factory=lambda: ["execution", "text", "code"],
        metadata={
            "help": "Order in which `block-type` hides the types. The default is the paper's best. The published training "
            "command uses text, code, execution.",
            "choices": BLOCK_TYPES,
        },
    )
    mask_schedule: str = field(
        default="linear",
        metadata={
            "help": "Schedule of the mask rate from start to end: 'linear' (published code), 'cosine', 'constant' (at the "
            "end rate) or 'step'.",
            "choices": MASK_SCHEDULES,
        },
    )
    mask_rate_start: float = field(
        default=0.0, metadata={"help": "Mask rate at the start of training, in [0, 1]. Default of the published code."}
    )
    mask_rate_end: float = field(
        default=1.0, metadata={"help": "Mask rate of the last step, in [0, 1]. Default of the published code."}
    )
    mask_levels: int = field(default=4, metadata={"help": "Number of levels of the 'step' schedule."})
    hide_prefix: bool = field(
        default=False,
        metadata={
            "help": "Whether BOS and system prompt are hidden from the student, as in the published code. By default the "
            "student sees them, as at inference."
        },
    )

    # Parameters that control the loss
    sequence_loss_weight: float = field(
        default=1.0,
        metadata={
            "help": "Weight of the cross-entropy on the assistant's text in the teacher's samples and in plain rows. "
            "Default of the paper."
        },
    )
    student_loss_weight: float = field(
        default=1.0,
        metadata={"help": "Weight of the student's cross-entropy on the final answer. Default of the paper."},
    )
    distillation_weight: float = field(
        default=1.0,
        metadata={
            "help": "Weight of the divergence of teacher and student on the final answer. Default of the paper."
        },
    )
    train_on_failed_attempts: bool = field(
        default=True,
        metadata={
            "help": "Whether the cross-entropy on whole sequences includes failed attempts, which are all attempts of a row "
            "but the last. If False, they are context only, and the model is trained on analyses, the last attempt and the "
            "answer. Paper: True."
        },
    )
    loss_normalization: str = field(
        default="per-term",
        metadata={
            "help": "'per-term': each term is the mean over its own tokens. 'joint': both cross-entropies share one mean "
            "over the tokens of both, as in the published code.",
            "choices": LOSS_NORMALIZATIONS,
        },
    )
    beta: float = field(
        default=0.0,
        metadata={
            "help": "Divergence: 0 is KL(teacher || student) (paper), 1 is KL(student || teacher), values between are the "
            "generalized Jensen-Shannon divergence, as in TRL's `DistillationTrainer`."
        },
    )
    temperature: float = field(
        default=1.0,
        metadata={
            "help": "Temperature of both distributions in the divergence, which is not rescaled, as in TRL. The paper uses none."
        },
    )
    teacher: str = field(
        default="live",
        metadata={
            "help": "Model whose predictions are distilled: 'live', the model in training (paper), 'ema', its moving "
            "average, or 'base', the model before training (the adapter disabled, or a frozen copy of the trained "
            "weights).",
            "choices": TEACHERS,
        },
    )
    teacher_update_rate: float = field(
        default=0.05,
        metadata={
            "help": "Share of the live weights that is added to the 'ema' teacher after each step, as in TRL's `SDFTTrainer`."
        },
    )

    def __post_init__(self) -> None:
        # A tuple would differ from the list in a checkpoint
        self.mask_strategy = [self.mask_strategy] if isinstance(self.mask_strategy, str) else list(self.mask_strategy)
        self.mask_order = [self.mask_order] if isinstance(self.mask_order, str) else list(self.mask_order)
        self._check_choices()
        self._check_ranges()
        self._check_inherited()
        self._check_lengths()
        check_steps(self)
        if isinstance(self.chat_template_kwargs, str):
            try:
                self.chat_template_kwargs = json.loads(self.chat_template_kwargs)
            except ValueError:
                raise ValueError(
                    f"`chat_template_kwargs` is {self.chat_template_kwargs!r}, which is not JSON; give an object such as "
                    f"'{{\"enable_thinking\": false}}'."
                ) from None
        if os.environ.get("ACCELERATE_MIXED_PRECISION") == "fp8":
            if self.bf16:
                raise ValueError(
                    "`bf16` is on, which overrides the fp8 of `accelerate launch`: set `bf16=False` (`--bf16 false`) "
                    "to train in fp8."
                )
            self.bf16 = False  # not `None`, which TRL would replace with `True`
        check_bf16(self)
        super().__post_init__()
        if isinstance(self.dataset_kwargs, dict) and self.dataset_kwargs.get("skip_prepare_dataset"):
            raise ValueError(
                "`dataset_kwargs` has `skip_prepare_dataset`, but the trainer needs prepared rows, and detects and accepts them "
                "without this setting; remove it."
            )

    def _check_choices(self) -> None:
        check_choice("rendering", self.rendering, RENDERINGS)
        check_choice("execution_role", self.execution_role, EXECUTION_ROLES)
        check_choice("mask_schedule", self.mask_schedule, MASK_SCHEDULES)
        check_choice("loss_normalization", self.loss_normalization, LOSS_NORMALIZATIONS)
        check_choice("teacher", self.teacher, TEACHERS)
        if not self.mask_strategy:
            raise ValueError(f"`mask_strategy` is empty; name at least one of {', '.join(MASK_STRATEGIES)}.")
        for strategy in self.mask_strategy:
            check_choice("mask_strategy", strategy, MASK_STRATEGIES)
        if sorted(self.mask_order) != sorted(BLOCK_TYPES):
            raise ValueError(
                f"`mask_order` is {self.mask_order}; it must name each of execution, text and code once, in any order."
            )

    def _check_ranges(self) -> None:
        for name in ("mask_rate_start", "mask_rate_end", "beta", "teacher_update_rate"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
                raise ValueError(f"`{name}` is {value!r}; it must lie in [0, 1].")
        if self.mask_rate_start > self.mask_rate_end:
            raise ValueError(
                f"`mask_rate_start` ({self.mask_rate_start}) is above `mask_rate_end` ({self.mask_rate_end}), but the mask rate must "
                f"not fall; set the start at or below the end."
            )
        weights = {name: getattr(self, name) for name in _LOSS_WEIGHTS}
        for name, weight in weights.items():
            if not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
                raise ValueError(f"`{name}` is {weight!r}; it must be a number that is not negative.")
        if not any(weights.values()):
            raise ValueError(
                f"{list_names(f'`{name}`' for name in weights)} are all 0, so nothing is trained; set one of them above 0."
            )
        if not isinstance(self.temperature, (int, float)) or not 0 < self.temperature < math.inf:
            raise ValueError(f"`temperature` is {self.temperature!r}; it must be above 0.")
        if self.mask_levels < 2:
            raise ValueError(f"`mask_levels` is {self.mask_levels}; the 'step' schedule needs at least 2.")

    def _check_inherited(self) -> None:
        # Settings of `SFTConfig` that would have no effect here, or a different one
        if self.packing or self.padding_free or self.eval_packing:
            raise ValueError(
                "`packing`, `eval_packing` and `padding_free` are TRL's packing of plain rows; rows are always packed here "
                "without padding: leave them off, and set `token_budget` to fill packs to a number of tokens."
            )
        if self.loss_type != "nll":
            raise ValueError(
                f"`loss_type` is {self.loss_type!r}, a loss of TRL's `SFTTrainer`; this trainer has its own: leave it at 'nll'."
            )
        if self.completion_only_loss is not None:
            raise ValueError(
                f"`completion_only_loss` is {self.completion_only_loss}, but this trainer trains on the assistant's text, in `prompt` and in "
                f"`completion`; leave it at None."
            )
        if self.activation_offloading and self.use_cpu:
            raise ValueError(
                "`activation_offloading` moves activations from a GPU to the CPU, but `use_cpu` is True; set it to False."
            )
        if self.rendering == "block-token" and self.chat_template_path is not None:
            raise ValueError(
                f"`chat_template_path` is {self.chat_template_path!r}, but `rendering='block-token'` uses the block-token template, which "
                f"the trained model needs; set only one of the two."
            )
        for name, (values, reason) in _WITHOUT_EFFECT.items():
            if getattr(self, name) not in values:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}, but {reason}; leave it at {values[0]!r}.")
        if self.label_smoothing_factor:
            raise ValueError("`label_smoothing_factor` is not supported by this trainer; leave it at 0.")

    def _check_lengths(self) -> None:
        for name in ("max_length", "token_budget"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ValueError(f"`{name}` is {number}; it must be at least 1.")

    def to_dict(self) -> dict[str, Any]:
        # Trackers record this dictionary beside the model's config, so it includes the facts about the training data.
        # Token settings, which transformers hides by name, are not secrets, and settings that are rebuilt from the
        # dictionary need them
        facts = {"run_facts": self.run_facts} if self.run_facts else {}
        return super().to_dict() | {"eos_token": self.eos_token, "pad_token": self.pad_token} | facts

    def __getstate__(self) -> dict[str, Any]:
        # `training_args.bin` is this object pickled, and is pushed to the Hub with the model
        return self.__dict__ | {"hub_token": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> "ReflectionDistillConfig":
        # A copy in memory may still publish
        copied = memo[id(self)] = copy.copy(self)
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    @property
    def masking_settings(self) -> dict[str, Any]:
        """
        Returns the settings that a resumed run must share: those that determine the masks, and the teacher.

        Returns:
            `dict`: Names and values.
        """
        names = (
            "rendering",
            "execution_role",
            "hide_prefix",
            "mask_strategy",
            "mask_order",
            "mask_schedule",
            "mask_rate_start",
            "mask_rate_end",
            "mask_levels",
            "teacher",
            "seed",
        )
        return {name: getattr(self, name) for name in names}


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """
    Checks that a setting has one of its values.

    Args:
        name (`str`):
            Name of the setting.
        value (`str`):
            Its value.
        choices (`tuple[str, ...]`):
            Values that it may have.

    Raises:
        ValueError: If it has another one.
    """
    if value not in choices:
        raise ValueError(f"`{name}` is {value!r}; use one of {', '.join(choices)}.")


def check_steps(args: TrainingArguments) -> None:
    """
    Checks that there are steps to train, and examples in each of them.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings of a trainer.

    Raises:
        ValueError: If the batch, the number of steps or the learning rate cannot be used.
    """
    for name in ("per_device_train_batch_size", "gradient_accumulation_steps"):
        if (number := getattr(args, name)) < 1:
            raise ValueError(f"`{name}` is {number}; it must be at least 1.")
    if args.learning_rate is not None and args.learning_rate < 0:
        raise ValueError(f"`learning_rate` is {args.learning_rate}; it must not be negative.")
    if args.max_steps == 0 or (args.max_steps < 0 and args.num_train_epochs <= 0):
        raise ValueError(
            f"`max_steps` is {args.max_steps} and `num_train_epochs` is {args.num_train_epochs}, so there is nothing to train; set one "
            f"of them above 0 (`max_steps=-1` uses the epochs)."
        )


def check_bf16(args: TrainingArguments) -> None:
    """
    Checks, before transformers does, that the GPU supports bfloat16 if it is requested or is TRL's default.

    Args:
        args ([`~transformers.TrainingArguments`]):
            Settings, before their `__post_init__`.

    Raises:
        ValueError: If no GPU supports it.
    """
    in_bf16 = not args.fp16 if args.bf16 is None else args.bf16
    if in_bf16 and not (args.use_cpu or is_torch_bf16_gpu_available() or is_torch_xla_available()):
        raise ValueError(
            "This machine has no GPU that supports bfloat16, which is the default: to train on the CPU, set "
            "`use_cpu=True, bf16=False` (`--use_cpu true --bf16 false`); on an older GPU, `bf16=False`."
        )
