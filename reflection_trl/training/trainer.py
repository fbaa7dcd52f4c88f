"""The trainer: TRL's `SFTTrainer` with the data preparation, the masks and the loss of reflection self-distillation.

A step reads: the collator's rows -> masks of this optimizer step -> sequences -> one packed batch -> the loss inside the
model's forward pass. Each part is a module of its own; this one only connects them.
"""

import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
import transformers
from accelerate.utils import DynamoBackend, gather_object
from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict
from huggingface_hub import CommitInfo, HfApi
from peft import PeftConfig, PeftModel
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    AutoTokenizer,
    DataCollator,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import (
    EvalLoopOutput,
    IntervalStrategy,
    PredictionOutput,
    TrainOutput,
    get_last_checkpoint,
    has_length,
)
from transformers.utils import logging
from trl import SFTTrainer
from trl.trainer.utils import create_model_from_path, get_config_model_id

from ..files.model_folder import check_model_folder
from ..hub_errors import explain_failures
from ..rendering import BlockTokenRenderer, ChatTemplateRenderer
from .attention import attention_inputs, prepare_attention, why_not_packed
from .block_tokens import add_block_tokens
from .collator import DataCollatorForReflectionDistillation
from .config import ReflectionDistillConfig
from .curves import CURVES_FILE, plot_training, summarize
from .dataset import check_rows_are_left, pack_rows, prepare_dataset
from .losses import model_head
from .masking import hidden_tokens, mask_rate, row_generator
from .model_card import make_model_card, package_versions
from .modeling import (
    TeacherWeights,
    add_distillation_forward,
    compile_layers,
    is_base_without_adapter,
    learned_positions,
    stop_generation_at,
    without_adapter,
    without_noise,
)
from .packing import Batch, Row, Sequence, full_sequence, one_off_sequence, pack, pad, student_sequence


if TYPE_CHECKING:
    from typing_extensions import TypeIs

    def is_peft_model(model: object) -> TypeIs[PeftModel]: ...  # accelerate comes without types
else:
    from accelerate.utils import is_peft_model

logger = logging.get_logger(__name__)

MASKING_FILE = "reflection_masking.json"
TEACHER_FILE = "reflection_teacher.safetensors"

# Sums that the logged metrics are ratios of
_SUMS = (
    "steps",
    "mask_rate",
    "sequence_nll",
    "sequence_tokens",
    "student_nll",
    "teacher_nll",
    "student_tokens",
    "student_entropy",
    "student_correct",
    "divergence",
    "agree",
    "pairs",
    "seen",
    "saved",
)


class ReflectionDistillTrainer(SFTTrainer):
    """
    Trainer for reflection self-distillation with dynamic masking.

    The same weights play both parts: the teacher sees a whole reflection sequence, problem, attempts, interpreter feedback and
    repairs, before the one-off request; the student sees less and less of it, in the end the one-off request alone, and learns
    the final answer from the data and from the teacher's predictions. Introduced in [ReflectionCoder: Learning from Reflection
    Sequence for Enhanced One-off Code Generation](https://huggingface.co/papers/2405.17057).

    Example:

    ```python
    from datasets import load_dataset
    from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer

    trainer = ReflectionDistillTrainer(
        model="Qwen/Qwen2.5-Coder-0.5B-Instruct",
        args=ReflectionDistillConfig(output_dir="out"),
        train_dataset=load_dataset("SenseLLM/ReflectionSeq-GPT", split="train"),
    )
    trainer.train()
    ```

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model id, local path, or an instantiated causal language model.
        args ([`ReflectionDistillConfig`], *optional*):
            Configuration. If `None`, the defaults with `output_dir="<model>-ReflectionDistill"`.
        data_collator ([`~transformers.DataCollator`], *optional*):
            Will default to [`DataCollatorForReflectionDistillation`]. Another one must give `{"rows": [Row, ...]}` too.
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Rows with `messages` and `type`, as [`~reflection_trl.sequences`] describes, or in the published SenseLLM form;
            reflection rows and plain instruction rows mix freely.
        eval_dataset ([`~datasets.Dataset`], [`~datasets.IterableDataset`] or `dict` of them, *optional*):
            Rows to evaluate on, of either type. `eval_loss` is the one-off loss: that of the answer after the one-off prompt,
            with everything else hidden.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*):
            Tokenizer. If `None`, it is loaded from the model's name.
        callbacks (`list[TrainerCallback]`, *optional*):
            Further callbacks.
        optimizers (`tuple`, *optional*, defaults to `(None, None)`):
            Optimizer and scheduler.
        optimizer_cls_and_kwargs (`tuple`, *optional*):
            Optimizer class and keyword arguments.
        quantization_config ([`~transformers.BitsAndBytesConfig`], *optional*):
            Quantization of a model given by name; with `peft_config` for QLoRA.
        peft_config ([`~peft.PeftConfig`], *optional*):
            Adapter to train instead of all weights.
    """

    args: ReflectionDistillConfig
    model: PreTrainedModel | PeftModel

    # No class variables in TRL, whose code does not say so
    _tag_names: ClassVar[list[str]] = ["trl", "reflection-distill", "reflection-trl"]  # type: ignore[misc]
    _name = "ReflectionDistill"
    _paper: ClassVar[dict[str, str]] = {  # type: ignore[misc]
        "title": "ReflectionCoder: Learning from Reflection Sequence for Enhanced One-off Code Generation",
        "id": "2405.17057",
        # docstyle-ignore
        "citation": """\
@inproceedings{ren2025reflectioncoder,
    title     = {{ReflectionCoder: Learning from Reflection Sequence for Enhanced One-off Code Generation}},
    author    = {Houxing Ren and Mingjie Zhan and Zhongyuan Wu and Aojun Zhou and Junting Pan and Hongsheng Li},
    year      = 2025,
    booktitle = {Proceedings of the 63rd Annual Meeting of the Association for Computational Linguistics (ACL 2025)},
    eprint    = {arXiv:2405.17057},
}""",
    }

    # The loss is normalised over the whole accumulation window
    loss_is_scaled_for_ga = True  # type: ignore[assignment]

    def __init__(
        self,
        model: str | PreTrainedModel | PeftModel,
        args: ReflectionDistillConfig | None = None,
        data_collator: DataCollator | None = None,
        train_dataset: Dataset | IterableDataset | None = None,
        eval_dataset: Dataset | IterableDataset | dict[str, Dataset | IterableDataset] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[torch.optim.Optimizer | None, torch.optim.lr_scheduler.LambdaLR | None] = (None, None),
        optimizer_cls_and_kwargs: tuple[type[torch.optim.Optimizer], dict[str, Any]] | None = None,
        quantization_config: "transformers.BitsAndBytesConfig | None" = None,
        peft_config: PeftConfig | None = None,
    ):
        if args is None:
            model_name = model if isinstance(model, str) else get_config_model_id(model.config)
            args = ReflectionDistillConfig(f"{model_name.split('/')[-1]}-ReflectionDistill")
        elif not isinstance(args, ReflectionDistillConfig):
            raise TypeError(f"`args` must be a `ReflectionDistillConfig`, got `{type(args).__name__}`.")
        if train_dataset is None:
            raise ValueError("`train_dataset` is required.")
        for dataset in (train_dataset, eval_dataset):
            if isinstance(dataset, (DatasetDict, IterableDatasetDict)):
                raise TypeError(
                    f"`train_dataset` and `eval_dataset` must be one split, got splits {', '.join(dataset)}; choose one, "
                    f'such as `dataset["train"]`.'
                )
        evaluated = eval_dataset.values() if isinstance(eval_dataset, dict) else [eval_dataset]
        for dataset in (train_dataset, *evaluated):
            if dataset is not None and not isinstance(dataset, (Dataset, IterableDataset)):
                raise TypeError(
                    f"`train_dataset` and `eval_dataset` must be a `Dataset` or `IterableDataset`, got `{type(dataset).__name__}`; "
                    f"make one by `Dataset.from_list(rows)`, or by `load_dataset` from a file."
                )
        accelerator_config: Any = args.accelerator_config  # no dictionary or string any longer
        if accelerator_config.dispatch_batches:
            logger.warning("`dispatch_batches` is turned off: it joins tensors, which a batch of rows has none of.")
        # Left open, accelerate would dispatch the batches of a stream, those of `eval_dataset` too
        accelerator_config.dispatch_batches = False
        if args.eval_strategy != "no" and eval_dataset is None:
            raise ValueError(
                f"`eval_strategy` is '{IntervalStrategy(args.eval_strategy).value}', but there is no `eval_dataset`; pass one, or set it to 'no'."
            )
        if isinstance(model, str):
            check_model_folder(model)
        elif model.get_output_embeddings() is None:
            raise ValueError(
                f"`{type(model).__name__}` has no language modelling head, so it writes no code; load the model with "
                f"`AutoModelForCausalLM`."
            )
        model_init_kwargs = args.model_init_kwargs
        if args.rendering == "block-token":
            # New tokens change the model's shape, so they come before PEFT and before the dataset is tokenised
            model, processing_class = self._load(model, args, processing_class, quantization_config)
            if is_peft_model(model):
                if any(token not in processing_class.get_vocab() for token in ("<|user|>", "<|endofmessage|>")):
                    raise ValueError(
                        "`rendering='block-token'` adds tokens, which must happen before a model is wrapped with PEFT; pass the "
                        "base model and `peft_config`."
                    )
            else:
                add_block_tokens(model, processing_class, peft_config)
            quantization_config, args.model_init_kwargs = None, None  # of which TRL would say that they come too late
        self._renderer: BlockTokenRenderer | ChatTemplateRenderer | None = None
        self._stream = train_dataset if isinstance(train_dataset, IterableDataset) else None
        self.dataset_name: str | list[str] | None = None

        super().__init__(
            model=model,
            args=args,
            data_collator=data_collator or DataCollatorForReflectionDistillation(),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            callbacks=callbacks,
            optimizers=optimizers,
            optimizer_cls_and_kwargs=optimizer_cls_and_kwargs,
            quantization_config=quantization_config,
            peft_config=peft_config,
        )

        args.model_init_kwargs = model_init_kwargs  # for the next trainer with these settings

        if args.pad_token is not None:  # which TRL sets for its own collator only
            if args.pad_token not in self._tokenizer.get_vocab():
                raise ValueError(
                    f"`pad_token` is {args.pad_token!r}, which the tokenizer of '{self._tokenizer.name_or_path}' does not have; "
                    f"name one of its tokens, or leave it at None."
                )
            self._tokenizer.pad_token = args.pad_token
        causal_lm: PreTrainedModel = self.model.get_base_model() if is_peft_model(self.model) else self.model  # type: ignore[assignment] # a module to PEFT
        vocabulary = causal_lm.get_input_embeddings().weight.shape[0]  # type: ignore[index] # an `nn.Embedding`
        if 0 < vocabulary < len(self._tokenizer):
            raise ValueError(
                f"The tokenizer has {len(self._tokenizer)} tokens but the model has embeddings for {vocabulary}; pass the "
                f"tokenizer that belongs to the model, or call `model.resize_token_embeddings(len(tokenizer))`."
            )
        if isinstance(self._renderer, ChatTemplateRenderer) and self._renderer.stop_token is not None:
            # A base model's tokenizer has the end of texts as its own, where the template ends turns with another
            stop_generation_at(causal_lm, self._tokenizer.get_vocab()[self._renderer.stop_token])
        positions = learned_positions(causal_lm)
        if positions is not None and (args.max_length is None or args.max_length > positions):
            raise ValueError(
                f"`max_length` is {args.max_length}, but `{type(causal_lm).__name__}` has embeddings of {positions} positions and no "
                f"more; set `max_length` to at most {positions}, and longer rows are dropped."
            )
        if is_peft_model(self.model) and self.model.active_peft_config.is_prompt_learning:
            raise ValueError(
                f"{self.model.active_peft_config.peft_type.value} puts virtual tokens before each row, which a packed batch "
                f"has no place for; use LoRA or another adapter that changes layers."
            )
        if self.aux_loss_enabled:
            raise ValueError(
                "This Mixture-of-Experts model balances its experts over all tokens of a batch, hidden ones too, which the "
                "packed batch does not have; set `router_aux_loss_coef=0.0`."
            )
        model_head(causal_lm)  # refuses one that the loss does not know
        reason = why_not_packed(causal_lm, args.max_length)
        self._packed = reason is None
        if self._packed:
            prepare_attention(causal_lm)
        else:
            if causal_lm.config._attn_implementation not in ("sdpa", "eager"):
                raise ValueError(
                    f"Hidden tokens must be masked, not dropped, for this model, since {reason}; load it with "
                    f"`attn_implementation='sdpa'`, or lower `max_length`."
                )
            logger.warning(f"Hidden tokens are masked in a padded batch, not dropped, since {reason}.")
        add_distillation_forward(causal_lm)
        self._attn_implementation = causal_lm.config._attn_implementation
        if args.torch_compile and args.torch_compile_backend is not None:
            # Layer by layer, and the chunks of the loss; accelerate would compile the whole model for each shape of batch
            self.accelerator.state.dynamo_plugin.backend = DynamoBackend.NO
            compile_layers(causal_lm, args.torch_compile_backend, args.torch_compile_mode)

        self._teacher_weights = self._make_teacher()
        self._sums: torch.Tensor | None = None
        self._counted = 0
        self._micro_batches = 1  # of the accumulation window under way
        self._eval_rows: dict[int, tuple[float, ...]] = {}
        args.run_facts = {
            # `None` of a streaming dataset
            "data/fingerprint": getattr(train_dataset, "_fingerprint", None),
            "data/rows": self._count_rows(),
            **{f"versions/{package}": version for package, version in package_versions().items()},
        }

    def create_accelerator_and_postprocess(self) -> None:
        routes = hasattr(self.model.config.get_text_config(), "output_router_logits")
        if self.args.ddp_find_unused_parameters is None and not routes:
            # The loss reaches all parameters, but for experts that no token was routed to. To look for others costs DDP a walk
            # through the graph and an exchange in every step
            self.args.ddp_find_unused_parameters = False
        super().create_accelerator_and_postprocess()
        recipe = self.accelerator.ao_recipe_handler
        if recipe is not None and not self.accelerator.is_fsdp2:
            # Weights that FSDP2 gathers in float8 are new parameters. Elsewhere nobody tells the optimizer, and all linear
            # layers would stay as they are
            recipe.config = dataclasses.replace(recipe.config, enable_fsdp_float8_all_gather=False)
        if self.accelerator.is_fsdp2:
            plugin = self.accelerator.state.fsdp_plugin
            if plugin.mixed_precision_policy is not None:
                # The policy would round to bfloat16 what comes out of the forward pass, the loss and what is logged of it, and what goes
                # into it, the weights of the tokens and with them all gradients
                plugin.mixed_precision_policy = dataclasses.replace(
                    plugin.mixed_precision_policy, output_dtype=None, cast_forward_inputs=False
                )

    # Data

    @staticmethod
    def _load(
        model: str | PreTrainedModel | PeftModel,
        args: ReflectionDistillConfig,
        processing_class: PreTrainedTokenizerBase | None,
        quantization_config: "transformers.BitsAndBytesConfig | None",
    ) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
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

    def _prepare_dataset(
        self,
        dataset: Dataset | IterableDataset,
        processing_class: PreTrainedTokenizerBase | ProcessorMixin,
        args: ReflectionDistillConfig,  # type: ignore[override] # that of this trainer
        packing: bool,
        formatting_func: Callable[[dict], str] | None,
        dataset_name: str,
    ) -> Dataset | IterableDataset:
        trains = self._renderer is None  # of all datasets the first; one to evaluate on may be called "train" as well
        if self._renderer is None:
            if args.rendering == "block-token":
                self._renderer = BlockTokenRenderer(self._tokenizer, args.hide_prefix)
            else:
                self._renderer = ChatTemplateRenderer(
                    self._tokenizer,
                    args.execution_role,
                    args.hide_prefix,
                    args.chat_template_kwargs,  # type: ignore[arg-type] # no string any longer
                )
        with args.distributed_state.main_process_first():
            dataset = prepare_dataset(dataset, self._renderer, args.max_length, dataset_name, args.dataset_num_proc)
            if args.token_budget is not None and trains:
                if isinstance(dataset, IterableDataset):
                    raise ValueError(
                        "`token_budget` needs to see all rows, so it does not work on a streaming dataset; unset it."
                    )
                dataset = pack_rows(dataset, args.token_budget)
        if args.shuffle_dataset:
            dataset = dataset.shuffle(seed=args.seed)
        return dataset

    def _count_rows(self) -> int | None:
        if not has_length(self.train_dataset):
            return None
        row_ids = self.train_dataset["row_id"]  # type: ignore[index] # a `Dataset`, since it has a length
        return sum(len(pack) if isinstance(pack, list) else 1 for pack in row_ids)

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = ["input_ids", "trained", "block_ids", "block_types", "answer_start", "row_id"]  # type: ignore[assignment]

    # The step

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor:
        # Trained tokens of full sequences and of students, over the accumulation window and all processes: both are known
        # before any mask is drawn
        self._micro_batches = len(batch_samples)
        rows = [row for batch in batch_samples for row in batch["rows"]]
        counts = torch.tensor(
            [sum(row.num_trained for row in rows), sum(row.num_answer for row in rows if row.is_reflection)],
            dtype=torch.float32,
            device=device,
        )
        return self.accelerator.reduce(counts, reduction="sum")

    def _draw_student(self, row: Row, rate: float) -> Sequence:
        rng = row_generator(self.args.seed, self.state.global_step, row.row_id)
        strategy = self.args.mask_strategy[rng.integers(len(self.args.mask_strategy))]
        return student_sequence(
            row, hidden_tokens(row.block_ids, row.block_types, rate, strategy, tuple(self.args.mask_order), rng)
        )

    @property
    def current_mask_rate(self) -> float:
        """The mask rate of the optimizer step under way."""
        args = self.args
        if not self.state.max_steps:
            raise ValueError(
                "No training is under way, so there is no mask rate and no training loss; call `train()` first, or `evaluate()` for "
                "the one-off loss."
            )
        return mask_rate(
            self.state.global_step,
            self.state.max_steps,
            args.mask_schedule,
            args.mask_rate_start,
            args.mask_rate_end,
            args.mask_levels,
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,  # type: ignore[override] # of `_get_num_items_in_batch`
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, torch.Tensor]]:
        rows: list[Row] = inputs["rows"]
        if not self.model.training:
            return self._one_off_loss(model, rows)
        rate = self.current_mask_rate
        distills = self.args.student_loss_weight > 0 or self.args.distillation_weight > 0
        sequences = []
        for row in rows:
            sequences.append(full_sequence(row))
            if row.is_reflection and distills:
                sequences.append(self._draw_student(row, rate))
        batch = self._batch(sequences)
        if num_items_in_batch is None:
            num_items_in_batch = self._get_num_items_in_batch([inputs], self.accelerator.device)
        sequence_tokens, student_tokens = num_items_in_batch.clamp(min=1)

        of_student = np.zeros(len(batch.targets), dtype=bool)
        of_student[batch.student] = True
        is_student = self._to_device(of_student)
        if self.args.loss_normalization == "joint":
            sequence_mean = student_mean = 1 / num_items_in_batch.sum().clamp(min=1)
        else:
            sequence_mean, student_mean = 1 / sequence_tokens, 1 / student_tokens
        loss_inputs = {
            "targets": self._to_device(batch.targets),
            "nll_weight": torch.where(
                is_student,
                self.args.student_loss_weight * student_mean,
                self.args.sequence_loss_weight * sequence_mean,
            ),
            "student": self._to_device(batch.student),
            "teacher": self._to_device(batch.teacher),
            "divergence_weight": self.args.distillation_weight / student_tokens,
            "beta": self.args.beta,
            "temperature": self.args.temperature,
            "compile_backend": self.args.torch_compile_backend,
        }
        if self.args.teacher != "live" and distills:
            reflections = [row for row in rows if row.is_reflection]
            # DDP and FSDP exchange in every forward pass, so a process without reflection rows runs one for the others
            if reflections or self.accelerator.num_processes > 1:
                predictions = self._teacher_predictions(model, reflections or rows[:1])
                loss_inputs |= predictions if reflections else {}
        outputs = self._forward(model, batch, loss_inputs)
        self._add_metrics(outputs, batch, is_student, loss_inputs["teacher"], rate)
        # The loss is divided by the tokens of all processes, and gradients are averaged over processes
        loss = outputs["loss"] * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def _batch(self, sequences: list[Sequence]) -> Batch:
        return pack(sequences) if self._packed else pad(sequences, self._tokenizer.pad_token_id or 0)

    def _forward(self, model: nn.Module, batch: Batch, loss_inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
        inputs = {
            "input_ids": self._to_device(batch.input_ids),
            "position_ids": self._to_device(batch.position_ids),
            "loss_inputs": {"loss_index": self._to_device(batch.loss_index), **loss_inputs},
        }
        if batch.attention_mask is not None:
            inputs["attention_mask"] = self._to_device(batch.attention_mask)
        if batch.cu_seq_lens is not None:
            device_type = self.accelerator.device.type
            autocast = torch.is_autocast_enabled(device_type)
            dtype = torch.get_autocast_dtype(device_type) if autocast else self.model.dtype
            inputs |= attention_inputs(
                self._attn_implementation,
                self._to_device(batch.cu_seq_lens),
                np.diff(batch.cu_seq_lens).tolist(),
                dtype,
            )
        return model(**inputs)

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        device = self.accelerator.device
        return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

    # Teachers other than the live model

    def _make_teacher(self) -> TeacherWeights | None:
        args = self.args
        if args.teacher == "live":
            return None
        if args.teacher == "base" and is_peft_model(self.model) and is_base_without_adapter(self.model):
            return None
        zero3 = self.is_deepspeed_enabled and self.accelerator.state.deepspeed_plugin.zero_stage == 3
        if self.is_fsdp_enabled or zero3:
            raise ValueError(
                f"`teacher='{args.teacher}'` keeps a second copy of the trained weights, which sharded parameters (FSDP, "
                f"DeepSpeed ZeRO-3) do not allow; use `teacher='live'`, DDP or ZeRO-1/2, or LoRA in its usual form (no `bias`, "
                f"no `init_lora_weights` such as PiSSA) with `teacher='base'`."
            )
        weights = TeacherWeights(self.model, args.teacher_update_rate if args.teacher == "ema" else 0.0)
        if args.teacher == "ema":
            self.add_callback(_UpdateTeacher(weights))
        return weights

    @torch.no_grad()
    def _teacher_predictions(self, model: nn.Module, rows: list[Row]) -> dict[str, Any]:
        # Full sequences, of which only the answers' predictions are wanted
        batch = self._batch(
            [Sequence(row, (s := full_sequence(row)).tokens, s.positions, is_student=True) for row in rows]
        )
        if self._teacher_weights is not None:
            context = self._teacher_weights.in_place()
        else:
            context = without_adapter(self.accelerator.unwrap_model(self.model))
        with context, without_noise(self.model):
            outputs = self._forward(model, batch, {})
        return {"teacher_hidden": outputs["hidden"], "teacher_head": outputs["head"]}

    # Evaluation: what inference will meet

    def _one_off_loss(self, model: nn.Module, rows: list[Row]) -> torch.Tensor:
        # Batches of several processes are filled up with rows of the first, which can come twice in one
        rows = list({row.row_id: row for row in rows}.values())
        batch = self._batch([one_off_sequence(row) for row in rows])
        weight = torch.full((len(batch.targets),), 1 / max(len(batch.targets), 1), device=self.accelerator.device)
        nothing = torch.zeros(0, dtype=torch.long, device=self.accelerator.device)
        outputs = self._forward(
            model,
            batch,
            {"targets": self._to_device(batch.targets), "nll_weight": weight, "student": nothing, "teacher": nothing},
        )
        scores = torch.stack([outputs["nll"], outputs["entropy"], outputs["correct"].float()]).cpu().double().numpy()
        for row in rows:
            mine = batch.rows == row.row_id
            self._eval_rows[row.row_id] = (float(mine.sum()), *scores[:, mine].sum(1).tolist())
        return outputs["loss"]

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, None, None]:
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.compute_loss(model, inputs).detach(), None, None  # type: ignore[union-attr] # the loss alone

    def evaluation_loop(
        self,
        dataloader: DataLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        self._eval_rows = {}
        output = super().evaluation_loop(dataloader, description, True, ignore_keys, metric_key_prefix)
        # Each row once and each token alike, however rows were batched and however many processes shared them
        rows = dict(gather_object(list(self._eval_rows.items())))
        if not rows:
            raise ValueError(
                f"No row of the stream to evaluate on can be used (max_length={self.args.max_length}); a warning above says why "
                f"rows were dropped."
            )
        tokens, nll, entropy, correct = np.sum(list(rows.values()), axis=0)
        means = {"loss": nll / tokens, "entropy": entropy / tokens, "mean_token_accuracy": correct / tokens}
        metrics = {f"{metric_key_prefix}_{name}": float(mean) for name, mean in means.items()}
        return output._replace(metrics=(output.metrics or {}) | metrics)

    def predict(
        self,
        test_dataset: Dataset | IterableDataset,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "test",
    ) -> PredictionOutput:
        """
        Evaluate on further rows, without a log: metrics alone, no predictions.

        Args:
            test_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
                Rows as of `eval_dataset`.
            ignore_keys (`list[str]`, *optional*):
                Of no effect.
            metric_key_prefix (`str`, *optional*, defaults to `"test"`):
                What the names of metrics begin with.
        """
        if not self._skip_prepare_dataset:
            test_dataset = self._prepare_dataset(
                test_dataset, self._tokenizer, self.args, False, None, metric_key_prefix
            )
        return super().predict(test_dataset, ignore_keys, metric_key_prefix)

    # Metrics

    def _add_metrics(
        self,
        outputs: dict[str, torch.Tensor],
        batch: Batch,
        is_student: torch.Tensor,
        teacher: torch.Tensor,
        rate: float,
    ) -> None:
        # MPS has no float64
        dtype = torch.float32 if is_student.device.type == "mps" else torch.float64
        student, full = is_student.to(dtype), (~is_student).to(dtype)
        nll = outputs["nll"].to(dtype)
        num_students = len(batch.student)
        computed = batch.input_ids.size if batch.attention_mask is None else int(batch.attention_mask.sum())
        # Each step counts alike, also the last of an epoch, whose window has fewer micro-batches
        share = 1 / self._micro_batches
        known = {
            "steps": share,
            "mask_rate": rate * share,
            "sequence_tokens": len(batch.targets) - num_students,
            "student_tokens": num_students,
            "pairs": num_students,
            "seen": computed,
            "saved": batch.num_hidden,
        }
        measured = {
            "sequence_nll": nll @ full,
            "student_nll": nll @ student,
            "teacher_nll": nll[teacher].sum(),
            "student_entropy": outputs["entropy"].to(dtype) @ student,
            "student_correct": outputs["correct"].to(dtype) @ student,
            "divergence": outputs["divergence"].to(dtype).sum(),
            "agree": outputs["agree"].to(dtype).sum(),
        }
        fixed = self._to_device(np.array([known.get(name, 0.0) for name in _SUMS], dtype=np.float32)).to(dtype)
        zero = torch.zeros((), dtype=dtype, device=fixed.device)
        sums = fixed + torch.stack([measured.get(name, zero) for name in _SUMS])
        self._sums = sums if self._sums is None else self._sums + sums

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        # Sums are reduced here, where every process comes, whatever kinds of rows it held
        if self.model.training and self._sums is not None:
            logs.update(self._reduce_metrics())
        super().log(logs, start_time)

    def _reduce_metrics(self) -> dict[str, float]:
        sums = self.accelerator.reduce(self._sums, reduction="sum").tolist()
        total = dict(zip(_SUMS, sums, strict=True))
        self._count_tokens(total["seen"])
        self._sums, self._counted = None, 0
        metrics = {"num_tokens": self.state.num_input_tokens_seen, "mask/rate": total["mask_rate"] / total["steps"]}
        if total["sequence_tokens"]:
            metrics["loss/sequence"] = total["sequence_nll"] / total["sequence_tokens"]
        if total["student_tokens"]:
            metrics["loss/student"] = total["student_nll"] / total["student_tokens"]
            metrics["loss/teacher"] = total["teacher_nll"] / total["pairs"]
            metrics["loss/distillation"] = total["divergence"] / total["pairs"]
            metrics["student/teacher_agreement"] = total["agree"] / total["pairs"]
            metrics["student/entropy"] = total["student_entropy"] / total["student_tokens"]
            metrics["student/mean_token_accuracy"] = total["student_correct"] / total["student_tokens"]
        metrics["mask/tokens_saved"] = total["saved"] / (total["seen"] + total["saved"])
        return metrics

    def _count_tokens(self, seen: float) -> None:
        # Those since the last log, of which a checkpoint on the way has counted some
        self.state.num_input_tokens_seen += round(seen) - self._counted
        self._counted = round(seen)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        tokens = sum(len(row.input_ids) * (2 if row.is_reflection else 1) for row in inputs["rows"])
        return 6 * tokens * self.model.num_parameters(exclude_embeddings=True)

    # Checkpoints

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> TrainOutput:
        checkpoint = resume_from_checkpoint
        if checkpoint is True:
            checkpoint = get_last_checkpoint(self.args.output_dir)
        if checkpoint:
            self._check_masking_settings(Path(checkpoint))
            teacher_file = Path(checkpoint) / TEACHER_FILE
            if self.args.teacher == "ema" and self._teacher_weights is not None:
                if not teacher_file.exists():
                    raise ValueError(
                        f"{checkpoint} has no {TEACHER_FILE}: it was not written with `teacher='ema'`; resume with its teacher."
                    )
                self._teacher_weights.load_state_dict(load_file(teacher_file))
            notice = _WarnOfOtherSteps(Path(checkpoint))
            self.add_callback(notice)
        try:
            output = super().train(resume_from_checkpoint, trial=trial, ignore_keys_for_eval=ignore_keys_for_eval)
        finally:
            if checkpoint:
                self.remove_callback(notice)
        if not output.global_step and self._stream is not None and self._renderer is not None:
            check_rows_are_left(self._stream, self._renderer, self.args.max_length)
        return output

    def _inner_training_loop(self, *args: Any, **kwargs: Any) -> TrainOutput:
        # Steps that no log came to, of a training before or of a batch that was too large (`auto_find_batch_size`)
        self._sums, self._counted = None, 0
        return super()._inner_training_loop(*args, **kwargs)

    def _check_masking_settings(self, checkpoint: Path) -> None:
        file = checkpoint / MASKING_FILE
        if not file.exists():
            raise ValueError(f"{checkpoint} has no {MASKING_FILE}; it is not a checkpoint of this trainer.")
        saved, now = json.loads(file.read_text()), self._masking_settings()
        for name, value in now.items():
            if saved.get(name) != value:
                raise ValueError(
                    f"{checkpoint} was written with `{name}={saved.get(name)!r}`, but this run has {value!r}, which would hide "
                    f"other tokens at the same step; resume with the same settings, or start anew in another `output_dir`."
                )

    def _masking_settings(self) -> dict[str, Any]:
        return self.args.masking_settings | {"teacher": self.args.teacher}

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if self._sums is not None:
            self._count_tokens(self.accelerator.reduce(self._sums, reduction="sum")[_SUMS.index("seen")].item())
        # Before all else, since what is pushed and what is rotated away is so at the end of it
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / MASKING_FILE).write_text(json.dumps(self._masking_settings(), indent=2))
            if self.args.teacher == "ema" and self._teacher_weights is not None:
                save_file(self._teacher_weights.state_dict(), folder / TEACHER_FILE)
        super()._save_checkpoint(model, trial)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """
        Save the model, so that `from_pretrained` reads it. Under FSDP and DeepSpeed ZeRO-3 all processes must call it.

        Args:
            output_dir (`str`, *optional*): folder; `args.output_dir` by default.
        """
        super().save_model(output_dir, _internal_call)
        if self.is_fsdp_enabled:
            # A process that writes nothing is done when it has sent off its shards: were it to end now, the one that gathers them
            # would wait for ever
            self.accelerator.wait_for_everyone()

    # The Hub

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        # Before any training: what cannot be published is known at once
        with explain_failures(f"make the model repository {self._repo_name()}", token or self.args.hub_token):
            super().init_hf_repo(token=token, private=private)
            self._make_branch(self.args.hub_revision, token)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> CommitInfo:
        """
        Push model or adapter, tokenizer, card and curves to `hub_model_id`; see [`~transformers.Trainer.push_to_hub`].

        Raises:
            PublishError: If it did not work out; one sentence with the reason and the command that uploads the model later.
        """
        output_dir, revision = self._output_dir, revision or self.args.hub_revision
        upload = f"hf upload {self._repo_name()} {shlex.quote(output_dir)} . --exclude '_*' --exclude 'checkpoint-*'"
        if revision:
            upload += f" --revision {shlex.quote(revision)}"
        if self.args.hub_private_repo if private is None else private:
            upload += " --private"
        kept = f"the model is kept in {output_dir}, and `{upload}` uploads it"
        with explain_failures(f"publish the model {self._repo_name()}", token or self.args.hub_token, kept):
            if not self.args.push_to_hub:  # no repository was made at the start
                self.save_model(_internal_call=True)  # by all processes, and kept whatever the Hub says
                self.create_model_card(**kwargs)
                if self.hub_model_id is None:
                    super().init_hf_repo(token=token, private=private)
            self._make_branch(revision, token)
            return super().push_to_hub(commit_message, blocking, token, revision, private, **kwargs)

    @property
    def _output_dir(self) -> str:
        return self.args.output_dir  # type: ignore[return-value] # `TrainingArguments` sees to it

    def _repo_name(self) -> str:
        return self.hub_model_id or self.args.hub_model_id or Path(self._output_dir).absolute().name

    def _make_branch(self, revision: str | None, token: str | None) -> None:
        if revision and not revision.startswith("refs/") and self.is_world_process_zero():
            api = HfApi(token=token or self.args.hub_token)
            api.create_branch(self._repo_name(), branch=revision, exist_ok=True)

    def create_model_card(  # type: ignore[override] # TRL has these arguments
        self,
        model_name: str | None = None,
        dataset_name: str | list[str] | None = None,
        tags: str | list[str] | None = None,
    ) -> None:
        """
        Write the model card into `output_dir`.

        Args:
            model_name (`str`, *optional*):
                Title of the card; the name of `hub_model_id` or `output_dir` by default.
            dataset_name (`str` or `list[str]`, *optional*):
                Hub id of the dataset, or of each of a mixture; remembered for the cards of later checkpoints.
            tags (`str` or `list[str]`, *optional*):
                Tags beside those of the trainer.
        """
        self.dataset_name = dataset_name or self.dataset_name
        if not self.is_world_process_zero():
            return
        name_or_path = get_config_model_id(self.model.config)
        card = make_model_card(
            self.args,
            self.state,
            self._paper,
            model_name or (self.hub_model_id or Path(self._output_dir).name).split("/")[-1],
            base_model=name_or_path if name_or_path and not Path(name_or_path).is_dir() else None,
            hub_model_id=self.hub_model_id or self.args.hub_model_id,
            dataset_name=self.dataset_name,
            tags=[*self._tag_names, *([tags] if isinstance(tags, str) else tags or [])],
            peft=is_peft_model(self.model),
            curves=self._draw_curves(),
            num_rows=self.args.run_facts["data/rows"],
        )
        card.save(Path(self._output_dir) / "README.md")

    def _draw_curves(self) -> str | None:
        """Draws the curves beside the card; `None` where nothing was logged yet, or without matplotlib, which is optional."""
        if not summarize(self.state.log_history):
            return None
        try:
            return plot_training(self.state.log_history, Path(self._output_dir) / CURVES_FILE).name
        except ImportError:
            return None


class _UpdateTeacher(TrainerCallback):
    def __init__(self, weights: TeacherWeights):
        self.weights = weights

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.weights.update()


class _WarnOfOtherSteps(TrainerCallback):
    """Compares the length of a resumed training with that of its checkpoint: it is known when the training begins."""

    def __init__(self, checkpoint: Path):
        self.checkpoint = checkpoint
        file = checkpoint / TRAINER_STATE_NAME
        self.max_steps = TrainerState.load_from_json(str(file)).max_steps if file.exists() else None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.max_steps not in (None, state.max_steps) and state.is_world_process_zero:
            logger.warning(
                f"{self.checkpoint} was written by a training of {self.max_steps} steps, but this one has {state.max_steps}, by which "
                f"its schedules of the mask rate and the learning rate go from here on; set `max_steps` or `num_train_epochs` as "
                f"before to go on with the rates of that training."
            )
