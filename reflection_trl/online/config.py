"""Defines the settings of online reflection self-distillation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import GenerationConfig
from trl import GRPOConfig

from ..quoting import list_names
from ..training.config import check_bf16, check_choice, check_steps


TEACHERS = ("ema", "base", "trust-region", "live")
# The values of each field of text. TRL has no such list: it finds another value after the first batch is generated. A
# test compares these with TRL's documentation
CHOICES: dict[str, tuple[str, ...]] = {
    "teacher": TEACHERS,
    "loss_type": ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "importance_sampling_level": ("token", "sequence"),
    "scale_rewards": ("group", "batch", "none"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "vllm_mode": ("server", "colocate"),
    "vllm_model_impl": ("transformers", "vllm"),
    "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
}
# Fields that would fail after the first batch is generated, or train something else without a message
_FRACTIONS = (
    "distillation_weight",
    "distillation_beta",
    "teacher_update_rate",
    "trust_region_weight",
    "min_p",
    "top_entropy_quantile",
    "ref_model_mixup_alpha",
)
_POSITIVE = (
    "distillation_temperature",
    "temperature",
    "repetition_penalty",
    "delta",
    "sapo_temperature_neg",
    "sapo_temperature_pos",
)
_NOT_NEGATIVE = ("beta", "epsilon", "epsilon_high", "top_k", "off_policy_mask_threshold")
_COUNTS = (
    "max_feedback_length",
    "max_completion_length",
    "num_generations_eval",
    "num_iterations",
    "steps_per_generation",
    "generation_batch_size",
    "pad_to_multiple_of",
    "ref_model_sync_steps",
)
# Fields of `TrainingArguments`: the values that they may have, the default first, and why others have no effect
_WITHOUT_EFFECT: dict[str, tuple[tuple[Any, ...], str]] = {
    "label_smoothing_factor": ((0.0,), "no loss term has labels to smooth"),
    "label_names": ((None,), "there are no labels"),
    "train_sampling_strategy": (("random",), "`shuffle_dataset` determines the order of the prompts"),
    "data_seed": ((None,), "the order of the prompts depends on `seed`"),
    "average_tokens_across_devices": ((True,), "`loss_type` determines over which tokens the loss is a mean"),
    "include_num_input_tokens_seen": (("no", False), "`num_tokens` is always logged"),
}
_ON_THE_HUB = "its code is on the Hub, which TRL does not allow the generation to run"
# Settings of transformers' generation with which a batch does not have the expected answers: the values that they may
# have, and why not others
_UNSUPPORTED_GENERATION: dict[str, tuple[tuple[Any, ...], str]] = {
    "num_return_sequences": ((None, 1), "`num_generations` determines the number of answers to a prompt"),
    "stop_strings": ((None,), "TRL passes no tokenizer to the generation, which finding them needs"),
    "token_healing": ((None, False), "TRL passes no tokenizer to the generation, which it needs"),
    "prompt_lookup_num_tokens": ((None,), "transformers then generates only one answer at a time"),
    "assistant_early_exit": ((None,), "transformers then generates only one answer at a time"),
    "return_dict_in_generate": ((None, False), "TRL reads token ids, not a dictionary"),
    "dola_layers": ((None,), _ON_THE_HUB),
    "force_words_ids": ((None,), _ON_THE_HUB),
    "constraints": ((None,), _ON_THE_HUB),
    "num_beam_groups": ((None, 1), _ON_THE_HUB),
}
# The same of `generation_kwargs`, which TRL lets override its own settings. vLLM has other names
_LENGTH = "`max_completion_length` is the length that everything else counts with"
_END = "TRL looks for the tokenizer's tokens of the end and of padding"
_UNSUPPORTED_OVERRIDES: dict[str, tuple[tuple[Any, ...], str]] = {
    "temperature": ((None,), "the loss has the probabilities of the trainer's `temperature`"),
    "do_sample": ((None, True), "answers to a prompt that are not sampled are equal, so nothing is learned from them"),
    "eos_token_id": ((None,), _END),
    "pad_token_id": ((None,), _END),
    "max_new_tokens": ((None,), _LENGTH),
    "max_length": ((None,), _LENGTH),
    "max_tokens": ((None,), _LENGTH),
}


@dataclass
class OnlineReflectionDistillConfig(GRPOConfig):
    r"""
    Configuration of the [`OnlineReflectionDistillTrainer`].

    This class contains only the parameters that are specific to online reflection self-distillation. For the others,
    see [`~trl.GRPOConfig`] and [`~transformers.TrainingArguments`]. "SDPO" is [Reinforcement Learning via
    Self-Distillation](https://huggingface.co/papers/2601.20802).

    Parameters:
        > Parameters that control the loss

        distillation_weight (`float`, *optional*, defaults to `0.1`):
            Weight `w` of the divergence from the teacher, in [0, 1]: the loss is `(1 - w) * policy + w * divergence`.
            0 is GRPO, 1 is distillation alone. 0.1 is SDPO's best value for small models.
        distillation_beta (`float`, *optional*, defaults to `1.0`):
            Divergence: 0 is KL(teacher || student), 1 is KL(student || teacher), as in SDPO, values between are the
            generalized Jensen-Shannon divergence. This is not `beta`, GRPO's weight of the divergence from the
            reference model.
        distillation_temperature (`float`, *optional*, defaults to `1.0`):
            Temperature of both distributions in the divergence, which is not rescaled.

        > Parameters that control the teacher

        teacher (`str`, *optional*, defaults to `"ema"`):
            Model whose predictions are distilled: `ema`, a moving average of the model in training, `base`, the model
            before training (the adapter disabled, or a frozen copy of the trained weights), `trust-region`, a mixture
            of the logits of the live and the initial model, which is SDPO's best, or `live`, the model in training,
            with which SDPO diverges.
        teacher_update_rate (`float`, *optional*, defaults to `0.01`):
            Share of the live weights that is added to the `ema` teacher after each step. 0.01 is SDPO's value for code;
            its default is 0.05.
        trust_region_weight (`float`, *optional*, defaults to `0.5`):
            Weight of the initial model's logits in the `trust-region` teacher, in [0, 1]. The rest is the weight of
            the live model. The default of SDPO's code is 0.95.

        > Parameters that control what the teacher knows

        show_feedback (`bool`, *optional*, defaults to `True`):
            Whether the teacher reads the test output of the student's answer.
        show_peer (`bool`, *optional*, defaults to `True`):
            Whether the teacher reads a passing answer of the same group, if there is one.
        show_attempt (`bool`, *optional*, defaults to `False`):
            Whether the teacher reads the failed answer. SDPO's teacher copies it if it does.
        max_feedback_length (`int`, *optional*, defaults to `2000`):
            Maximum number of characters of the feedback that the teacher reads. Default of SDPO.
        teach_passed (`bool`, *optional*, defaults to `False`):
            Whether to distill on passing answers too, with a teacher that reads another passing answer, as SDPO does.

        > Parameters that control dynamic sampling

        dynamic_sampling_rounds (`int`, *optional*, defaults to `0`):
            Maximum number of further rounds of generation for a batch. In each round, the groups without a training
            signal are replaced with groups of other prompts, as in [DAPO](https://huggingface.co/papers/2503.14476).
            Groups that are still without a signal after the last round stay in the batch. 0 turns it off.

        > Parameters that control second turns

        repair_failed (`bool`, *optional*, defaults to `False`):
            Whether the model repairs each of its failed answers with the feedback, in a second round of generation.
            The teacher can read a passing repair as a peer, even if no answer of the group passes, and it is written
            to `output_dir/reflections` as a reflection row for [`ReflectionDistillTrainer`]. It has no reward and no
            gradient.

        > Parameters that control the rollouts on disk

        save_rollouts (`bool`, *optional*, defaults to `True`):
            Whether to write each rollout to `output_dir/rollouts`, with its feedback, reward and advantage.

    Raises:
        ValueError: If a value is out of range, settings contradict each other, or bf16 is on where no GPU supports it.

    > [!NOTE]
    > These parameters have default values different from [`~trl.GRPOConfig`]:
    > - `logging_steps`: Defaults to `1` instead of `10`, since each step is a new batch of rollouts.
    """

    logging_steps: float = field(
        default=1, metadata={"help": "Log every N steps. Each step is a new batch of rollouts."}
    )

    # Parameters that control the loss
    distillation_weight: float = field(
        default=0.1,
        metadata={
            "help": "Weight `w` of the divergence from the teacher, in [0, 1]: the loss is `(1 - w) * policy + w * divergence`. "
            "0 is GRPO, 1 is distillation alone. 0.1 is SDPO's best value for small models."
        },
    )
    distillation_beta: float = field(
        default=1.0,
        metadata={
            "help": "Divergence: 0 is KL(teacher || student), 1 is KL(student || teacher), as in SDPO, values between are the "
            "generalized Jensen-Shannon divergence. This is not `beta`, GRPO's weight of the divergence from the reference model."
        },
    )
    distillation_temperature: float = field(
        default=1.0, metadata={"help": "Temperature of both distributions in the divergence, which is not rescaled."}
    )

    # Parameters that control the teacher
    teacher: str = field(
        default="ema",
        metadata={
            "help": "Model whose predictions are distilled: 'ema', a moving average of the model in training, 'base', the model "
            "before training, 'trust-region', a mixture of the logits of the live and the initial model, which is SDPO's best, or "
            "'live', the model in training, with which SDPO diverges.",
            "choices": TEACHERS,
        },
    )
    teacher_update_rate: float = field(
        default=0.01,
        metadata={
            "help": "Share of the live weights that is added to the 'ema' teacher after each step. 0.01 is SDPO's value for code; its "
            "default is 0.05."
        },
    )
    trust_region_weight: float = field(
        default=0.5,
        metadata={
            "help": "Weight of the initial model's logits in the 'trust-region' teacher, in [0, 1]. The rest is that of the live model. "
            "The default of SDPO's code is 0.95."
        },
    )

    # Parameters that control what the teacher knows
    show_feedback: bool = field(
        default=True, metadata={"help": "Whether the teacher reads the test output of the student's answer."}
    )
    show_peer: bool = field(
        default=True,
        metadata={"help": "Whether the teacher reads a passing answer of the same group, if there is one."},
    )
    show_attempt: bool = field(
        default=False,
        metadata={"help": "Whether the teacher reads the failed answer. SDPO's teacher copies it if it does."},
    )
    max_feedback_length: int = field(
        default=2000,
        metadata={"help": "Maximum number of characters of the feedback that the teacher reads. Default of SDPO."},
    )
    teach_passed: bool = field(
        default=False,
        metadata={
            "help": "Whether to distill on passing answers too, with a teacher that reads another passing answer, as SDPO does."
        },
    )

    # Parameters that control dynamic sampling
    dynamic_sampling_rounds: int = field(
        default=0,
        metadata={
            "help": "Maximum number of further rounds of generation for a batch, in which groups without a training signal are "
            "replaced with groups of other prompts (DAPO's dynamic sampling). 0 turns it off."
        },
    )

    # Parameters that control second turns
    repair_failed: bool = field(
        default=False,
        metadata={
            "help": "Whether the model repairs each of its failed answers with the feedback, in a second round of generation. The "
            "teacher can read a passing repair as a peer, and it is written to `output_dir/reflections` as a reflection row."
        },
    )

    # Parameters that control the rollouts on disk
    save_rollouts: bool = field(
        default=True,
        metadata={
            "help": "Whether to write each rollout to `output_dir/rollouts`, with its feedback, reward and advantage."
        },
    )

    def __post_init__(self) -> None:
        self.scale_rewards = {True: "group", False: "none"}.get(self.scale_rewards, self.scale_rewards)  # type: ignore[call-overload]
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        self._check_ranges()
        check_steps(self)
        for name, (values, reason) in _WITHOUT_EFFECT.items():
            if getattr(self, name) not in values:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}, but {reason}; leave it at {values[0]!r}.")
        if self.dynamic_sampling_rounds < 0:
            raise ValueError(
                f"`dynamic_sampling_rounds` is {self.dynamic_sampling_rounds}; it must be 0 (off) or a number of rounds."
            )
        if self.num_generations is None or self.num_generations < 2:
            raise ValueError(
                f"`num_generations` is {self.num_generations}, but rewards are compared within a group of answers to one prompt; "
                f"sample at least 2."
            )
        if self.max_completion_length is None and (self.loss_type == "dr_grpo" or not self.use_vllm):
            raise ValueError(
                "`max_completion_length` is None, with which transformers samples 20 tokens, and which `loss_type='dr_grpo'` does not "
                "support; set a number of tokens."
            )
        if self.distillation_weight > 0 and not (self.show_feedback or self.show_peer or self.show_attempt):
            raise ValueError(
                "With `show_feedback`, `show_peer` and `show_attempt` off, the teacher knows no more than the student; turn one on, or "
                "set `distillation_weight` to 0."
            )
        if self.remove_unused_columns:
            raise ValueError(
                "`remove_unused_columns` is on, which would remove the tests that the reward needs; leave it at False."
            )
        check_bf16(self)
        given = self.generation_batch_size
        try:
            super().__post_init__()
        except ValueError as error:
            raise self._partial_groups_error(given) or error from None
        self._check_inherited()

    def _partial_groups_error(self, given: int | None) -> ValueError | None:
        # TRL's message names only `generation_batch_size`, which it computes from the settings that users give
        batch, group = self.generation_batch_size, self.num_generations
        if not batch or not group or batch % group == 0:
            return None
        product = f"{self.per_device_train_batch_size} * {self.world_size} * {self.steps_per_generation}"
        factors = f"`per_device_train_batch_size` * processes * `steps_per_generation` ({product})"
        return ValueError(
            f"{'`generation_batch_size`' if given else factors} is {batch}, but a generation batch contains whole groups of "
            f"`num_generations` answers to one prompt; set it to a multiple of {group}."
        )

    def _check_ranges(self) -> None:
        for name in _FRACTIONS:
            if (value := getattr(self, name)) is not None and not _between(value, 0, 1):
                raise ValueError(f"`{name}` is {value!r}; it must lie in [0, 1].")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not (value and _between(value, 0, math.inf)):
                raise ValueError(f"`{name}` is {value!r}; it must be above 0.")
        for name in _NOT_NEGATIVE:
            if (value := getattr(self, name)) is not None and not _between(value, 0, math.inf):
                raise ValueError(f"`{name}` is {value!r}; it must not be negative.")
        for name in _COUNTS:
            if isinstance(value := getattr(self, name), int) and value < 1:
                raise ValueError(f"`{name}` is {value}; it must be at least 1.")
        if not (self.top_p and _between(self.top_p, 0, 1)):
            raise ValueError(f"`top_p` is {self.top_p!r}; it must lie in (0, 1].")

    def _check_inherited(self) -> None:
        accelerator_config: Any = self.accelerator_config  # parsed at this point
        if accelerator_config.dispatch_batches:
            raise ValueError(
                "`dispatch_batches` of `accelerator_config` concatenates tensors, which a batch of problems does not contain; leave it out."
            )
        if accelerator_config.split_batches:
            raise ValueError(
                "`split_batches` of `accelerator_config` divides each batch among the processes, but prompts are ordered for whole batches, so "
                "some would never be trained; leave it out."
            )
        if not isinstance(self.generation_kwargs, dict):
            return
        check_generation(self.generation_kwargs, "`generation_kwargs` has", _UNSUPPORTED_OVERRIDES)
        if self.use_vllm:
            return
        known = GenerationConfig()
        unknown = [name for name in self.generation_kwargs if not hasattr(known, name)]
        if unknown:
            raise ValueError(
                f"`generation_kwargs` has {list_names(unknown)}, which transformers would ignore; use names of its `GenerationConfig`."
            )
        check_generation(self.generation_kwargs, "`generation_kwargs` has")


def check_generation(
    settings: dict[str, Any],
    said_by: str,
    unsupported: Mapping[str, tuple[tuple[Any, ...], str]] = _UNSUPPORTED_GENERATION,
) -> None:
    """
    Rejects settings of the generation with which a batch does not have the expected answers.

    Args:
        settings (`dict[str, Any]`):
            Fields of [`~transformers.GenerationConfig`].
        said_by (`str`):
            Start of the message, such as "`generation_kwargs` has".
        unsupported (`Mapping`, *optional*):
            Values that settings may have, and why not others; by default those of the model's `generation_config`.

    Raises:
        ValueError: If there is one.
    """
    for name, (values, reason) in unsupported.items():
        if (value := settings.get(name)) not in values:
            raise ValueError(f"{said_by} `{name}={value!r}`, but {reason}; leave it out.")


def _between(value: Any, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and low <= value <= high
