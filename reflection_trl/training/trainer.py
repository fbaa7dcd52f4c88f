"""Implements the trainer: TRL's `SFTTrainer` with the data preparation, the masks and the loss of reflection
self-distillation.

A step goes from the collator's rows to the masks of this optimizer step, the sequences, one packed batch, and the loss
inside the model's forward pass. Each part is a separate module. This module connects them, in the order in which the
Trainer calls its hooks.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset, IterableDataset
from peft import PeftConfig, PeftModel
from torch import nn
from torch.utils.data import DataLoader
from transformers import DataCollator, PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin, TrainerCallback
from transformers.trainer_utils import EvalLoopOutput, PredictionOutput, TrainOutput
from trl import SFTConfig
from trl.trainer.utils import global_then_local_main_first

from ..rendering import BlockTokenRenderer, ChatTemplateRenderer
from .accelerator import adjust_accelerator, shards_parameters, skip_unused_parameters, will_shard_parameters
from .adapters import name_base_model
from .block_tokens import add_block_tokens
from .checkpoints import CheckpointMixin
from .checks import (
    check_adapter,
    check_args,
    check_before_loading,
    check_trained_parameters,
    set_pad_token,
    warn_of_lost_steps,
)
from .collator import make_collator
from .config import ReflectionDistillConfig
from .dataset import (
    STREAM_FEATURES,
    check_first_reflections,
    check_reflections,
    check_rows_are_left,
    make_renderer,
    pack_rows,
    prepare_dataset,
    row_costs,
)
from .forward import TeacherPredictions, make_answer_loss_inputs, make_loss_inputs
from .inputs import model_inputs, to_device
from .losses import DistillationLossOutput
from .masking import hidden_tokens, mask_rate, row_generator
from .metrics import EvaluationMetrics, TrainingMetrics, compare_teacher
from .model_card import run_facts
from .modeling import load_model, prepare_model
from .packing import Batch, Row, Sequence, full_sequence, one_off_sequence, pack, pad, student_sequence
from .publishing import PublishingTrainer
from .streams import EvenBatches, Exchange, StreamSteps
from .teachers import UpdateTeacher, check_teacher_before_loading, make_teacher_weights, teacher_in_place


class ReflectionDistillTrainer(CheckpointMixin, PublishingTrainer):
    """
    Trainer for reflection self-distillation with dynamic masking.

    The same weights act as teacher and student. The teacher sees the whole reflection sequence (problem, attempts,
    interpreter feedback and repairs) before the one-off request. The student sees less of it as training progresses,
    and in the end only the one-off request. It learns the final answer from the data and from the teacher's
    predictions. Introduced in [ReflectionCoder: Learning from Reflection Sequence for Enhanced One-off Code
    Generation](https://huggingface.co/papers/2405.17057).

    Raises:
        ValueError: If the model, its tokenizer, the settings or the rows cannot be used. The message names the fix.

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
            Will default to [`DataCollatorForReflectionDistillation`]. Another collator must also return `{"rows":
            [Row, ...]}`.
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`], *optional*):
            Rows with `messages` and `type`, as described in [`~reflection_trl.sequences`], or in the published
            SenseLLM form. You can mix reflection rows and plain instruction rows.
        eval_dataset ([`~datasets.Dataset`], [`~datasets.IterableDataset`] or `dict` of them, *optional*):
            Rows to evaluate on, of either type. `eval_loss` is the one-off loss: the loss of the answer after the
            one-off prompt, with everything else hidden.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*):
            Tokenizer. If `None`, it is loaded with the model's name.
        callbacks (`list[TrainerCallback]`, *optional*):
            Additional callbacks.
        optimizers (`tuple`, *optional*, defaults to `(None, None)`):
            Optimizer and scheduler.
        optimizer_cls_and_kwargs (`tuple`, *optional*):
            Optimizer class and keyword arguments.
        quantization_config ([`~transformers.BitsAndBytesConfig`], *optional*):
            Quantization of a model given by name; with `peft_config` for QLoRA.
        peft_config ([`~peft.PeftConfig`], *optional*):
            Adapter to train instead of all weights.
    """

    # The loss is normalized over the whole accumulation window
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
        args = check_args(args, ReflectionDistillConfig, model)
        check_before_loading(args, model, train_dataset, eval_dataset, peft_config)
        check_teacher_before_loading(args.teacher, model, peft_config, will_shard_parameters(args))
        self._renderer: BlockTokenRenderer | ChatTemplateRenderer | None = None
        self._stream = train_dataset if isinstance(train_dataset, IterableDataset) else None

        model_init_kwargs = args.model_init_kwargs
        if args.rendering == "block-token":
            # New tokens change the model's shape, so they are added before PEFT and before the dataset is tokenized
            model, processing_class = load_model(model, args, processing_class, quantization_config)
            add_block_tokens(model, processing_class, peft_config)
            # Already applied above. TRL warns if they are set for an instantiated model, and rejects a quantization
            quantization_config, args.model_init_kwargs = None, None
        try:
            super().__init__(
                model=model,
                args=args,
                data_collator=make_collator(data_collator, args.train_on_failed_attempts),
                train_dataset=train_dataset,
                eval_dataset=eval_dataset,
                processing_class=processing_class,
                callbacks=callbacks,
                optimizers=optimizers,
                optimizer_cls_and_kwargs=optimizer_cls_and_kwargs,
                quantization_config=quantization_config,
                peft_config=peft_config,
            )
        finally:
            args.model_init_kwargs = model_init_kwargs  # for the next trainer with these settings

        self._adapt_model(model_init_kwargs.get("revision") if isinstance(model_init_kwargs, dict) else None)
        self._add_teacher(continues_adapter=isinstance(model, PeftModel))
        self._training_metrics = TrainingMetrics()
        self._teacher_was_compared = False
        self._evaluation_metrics = EvaluationMetrics(self.accelerator)
        self._exchange = Exchange(self.accelerator)
        self._stream_steps = StreamSteps(self._exchange) if self._stream is not None else None
        self._even_batches: EvenBatches | None = None
        self._micro_batches = 1  # of the current accumulation window
        args.run_facts = run_facts(train_dataset, self.train_dataset)

    def _adapt_model(self, revision: str | None) -> None:
        # Attention over packed sequences, the loss inside the forward pass, and the tokens for stopping and padding
        causal_lm: Any = self.model
        check_trained_parameters(self.model)
        if not (self.is_deepspeed_enabled or self.is_fsdp_enabled):  # they keep the trained weights in float32
            warn_of_lost_steps(self.model, self.args.learning_rate)
        if isinstance(self.model, PeftModel):
            check_adapter(self.model, self.accelerator.is_fsdp2)
            name_base_model(self.model, revision)
            causal_lm = self.model.get_base_model()
        if self.args.pad_token is not None:
            set_pad_token(self._tokenizer, self.args.pad_token)
        stop_token = self._renderer.stop_token if isinstance(self._renderer, ChatTemplateRenderer) else None
        self._packed = prepare_model(causal_lm, self._tokenizer, self.args, stop_token, self.aux_loss_enabled)
        self._attn_implementation = causal_lm.config._attn_implementation

    def _add_teacher(self, continues_adapter: bool) -> None:
        self._teacher_weights = make_teacher_weights(
            self.model,
            self.args.teacher,
            self.args.teacher_update_rate,
            shards_parameters(self.accelerator),
            continues_adapter,
        )
        if self._teacher_weights is not None:
            self.add_callback(UpdateTeacher(self._teacher_weights))

    def create_accelerator_and_postprocess(self) -> None:
        skip_unused_parameters(self.args, self.model)
        super().create_accelerator_and_postprocess()
        adjust_accelerator(self.accelerator, self.args)

    # Data

    def _prepare_dataset(
        self,
        dataset: Dataset | IterableDataset,
        processing_class: PreTrainedTokenizerBase | ProcessorMixin,
        args: SFTConfig,
        packing: bool,
        formatting_func: Callable[[dict], str] | None,
        dataset_name: str,
    ) -> Dataset | IterableDataset:
        # True for the first dataset only; an evaluation dataset may be called "train" as well
        trains = self._renderer is None
        assert isinstance(args, ReflectionDistillConfig)
        if self._renderer is None:
            self._renderer = make_renderer(self._tokenizer, args)
        with global_then_local_main_first():
            prepared = prepare_dataset(dataset, self._renderer, args.max_length, dataset_name, args.dataset_num_proc)
            if trains:
                if isinstance(prepared, Dataset):
                    check_reflections(prepared, args.sequence_loss_weight)
                else:
                    check_first_reflections(dataset)
                if args.token_budget is not None:
                    prepared = pack_rows(prepared, args.token_budget)
        return prepared.shuffle(seed=args.seed) if args.shuffle_dataset else prepared

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = list(STREAM_FEATURES)  # type: ignore[assignment] # TRL starts with `None`

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> torch.utils.data.Sampler | None:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy in ("group_by_length", "batch_rebalance") and isinstance(
            dataset, Dataset
        ):
            # The number of tokens of a row or pack in a batch. The Trainer would count the rows of a pack, and count a
            # reflection row once
            dataset = Dataset.from_dict({self.args.length_column_name: row_costs(dataset)})
        return super()._get_train_sampler(dataset)

    # Training

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> TrainOutput:
        output = super().train(resume_from_checkpoint, trial, ignore_keys_for_eval)
        if not output.global_step and self._stream is not None and self._renderer is not None:
            check_rows_are_left(self._stream, self._renderer, self.args.max_length)
        return output

    def _init_training_state(self, *args: Any) -> tuple[int, int]:
        # Discards metrics that were never logged, from an earlier training or from a batch that was too large
        # (`auto_find_batch_size`)
        self._training_metrics.reset()
        return super()._init_training_state(*args)

    # The step

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, torch.Tensor | int | None]:
        if self._stream_steps is not None:
            taken = self._stream_steps.take(epoch_iterator, num_batches, is_first=self.state.global_step == 0)
            if not taken:
                return [], None
            epoch_iterator = iter(taken)
        return super().get_batch_samples(epoch_iterator, num_batches, device)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor:
        # The loss tokens of full sequences and of students, over the accumulation window and all processes. Both are
        # known before masks are sampled
        self._micro_batches = len(batch_samples)
        rows = [row for batch in batch_samples for row in batch["rows"]]
        counts = [sum(row.num_loss_tokens for row in rows), sum(row.num_answer for row in rows if row.is_reflection)]
        return self.accelerator.reduce(to_device(np.array(counts, dtype=np.float32), device), reduction="sum")

    def _sample_student(self, row: Row, rate: float) -> Sequence:
        rng = row_generator(self.args.seed, self.state.global_step, row.row_id)
        strategy = self.args.mask_strategy[rng.integers(len(self.args.mask_strategy))]
        return student_sequence(
            row, hidden_tokens(row.block_ids, row.block_types, rate, strategy, tuple(self.args.mask_order), rng)
        )

    @property
    def current_mask_rate(self) -> float:
        """Returns the mask rate of the current optimizer step."""
        args = self.args
        schedule = (args.mask_schedule, args.mask_rate_start, args.mask_rate_end, args.mask_levels)
        return mask_rate(self.state.global_step, self.state.max_steps, *schedule)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, DistillationLossOutput]:
        rows: list[Row] = inputs["rows"]
        if not self.model.training:
            return self._one_off_loss(model, rows)
        rate = self.current_mask_rate
        sequences = []
        for row in rows:
            sequences.append(full_sequence(row))
            if row.is_reflection and self._has_student:
                sequences.append(self._sample_student(row, rate))
        batch = self._batch(sequences)
        if num_items_in_batch is None:
            num_items_in_batch = self._get_num_items_in_batch([inputs], self.accelerator.device)
        assert isinstance(num_items_in_batch, torch.Tensor)  # of `_get_num_items_in_batch`
        loss_inputs = make_loss_inputs(batch, num_items_in_batch, self.args, self.accelerator.device)
        if self.args.teacher != "live" and self._has_student:
            reflections = [row for row in rows if row.is_reflection]
            # DDP and FSDP communicate in every forward pass, so a process without reflection rows runs one for the
            # others
            if reflections or self.accelerator.num_processes > 1:
                teacher = self._teacher_predictions(model, reflections or rows[:1])
                if reflections:
                    loss_inputs.teacher_hidden, loss_inputs.teacher_head = teacher.hidden, teacher.head
        outputs = DistillationLossOutput(**model(**self._model_inputs(batch), loss_inputs=loss_inputs))
        self._training_metrics.add(outputs, batch, rate, step_share=1 / self._micro_batches)
        # The loss is divided by the tokens of all processes, and gradients are averaged over processes
        loss = outputs.loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    @property
    def _has_student(self) -> bool:
        return self.args.student_loss_weight > 0 or self.args.distillation_weight > 0

    def _batch(self, sequences: list[Sequence]) -> Batch:
        return pack(sequences) if self._packed else pad(sequences, self._tokenizer.pad_token_id or 0)

    def _model_inputs(self, batch: Batch) -> dict[str, Any]:
        return model_inputs(batch, self._attn_implementation, self.accelerator.device, self.model.dtype)

    @torch.no_grad()
    def _teacher_predictions(self, model: nn.Module, rows: list[Row]) -> TeacherPredictions:
        # Full sequences, of which only the predictions of the answer tokens are needed
        batch = self._batch([dataclasses.replace(full_sequence(row), is_student=True) for row in rows])
        index = to_device(batch.loss_index, self.accelerator.device)
        with teacher_in_place(self.model, self._teacher_weights):
            predictions = TeacherPredictions(**model(**self._model_inputs(batch), teacher_index=index))
        return predictions if self._teacher_weights is not None else TeacherPredictions(predictions.hidden, "base")

    # Evaluation on the one-off prompt alone, as at inference

    def _one_off_loss(self, model: nn.Module, rows: list[Row]) -> torch.Tensor:
        batch = self._batch([one_off_sequence(row) for row in rows])
        loss_inputs = make_answer_loss_inputs(batch, self.accelerator.device)
        outputs = DistillationLossOutput(**model(**self._model_inputs(batch), loss_inputs=loss_inputs))
        if self._even_batches is None or not self._even_batches.is_repeated:
            self._evaluation_metrics.add(rows, batch, outputs)
        return outputs.loss

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[None, None, None]:
        # Returns no loss: the Trainer would gather it in every step, and wait forever for a process with a shorter
        # share of a stream
        with torch.no_grad(), self.compute_loss_context_manager():
            self.compute_loss(model, inputs)
        return None, None, None

    def evaluation_loop(
        self,
        dataloader: DataLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        # A stream is split by its shards. If it has fewer shards than processes, accelerate pads the batches
        filled_up = not isinstance(dataloader.dataset, IterableDataset)
        self._evaluation_metrics = EvaluationMetrics(self.accelerator, has_duplicates=filled_up)
        # Sharded parameters are communicated in each forward pass, so every process must take part
        self._even_batches = None if filled_up else EvenBatches(dataloader, self._exchange)
        dataloader = self._even_batches or dataloader  # type: ignore[assignment] # reads like one
        output = super().evaluation_loop(dataloader, description, True, ignore_keys, metric_key_prefix)
        means = self._evaluation_metrics.means()
        if not means:
            raise ValueError(
                f"No row of the stream to evaluate on can be used (max_length={self.args.max_length}); see the warning above for "
                f"the reasons."
            )
        metrics = {f"{metric_key_prefix}_{name}": mean for name, mean in means.items()}
        return output._replace(metrics=(output.metrics or {}) | metrics)

    def predict(
        self,
        test_dataset: Dataset | IterableDataset,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "test",
    ) -> PredictionOutput:
        """
        Evaluates on other rows without logging. It returns metrics and no predictions.

        Args:
            test_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
                Rows in the form of `eval_dataset`.
            ignore_keys (`list[str]`, *optional*):
                Unused.
            metric_key_prefix (`str`, *optional*, defaults to `"test"`):
                Prefix of the metric names.
        """
        if not self._skip_prepare_dataset:
            test_dataset = self._prepare_dataset(
                test_dataset, self._tokenizer, self.args, False, None, metric_key_prefix
            )
        return super().predict(test_dataset, ignore_keys, metric_key_prefix)

    # Logs and checkpoints

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        # After a final evaluation the model is in evaluation mode, while the last training metrics are not logged yet
        if logs.keys() & {"loss", "train_loss"} and not self._training_metrics.is_empty:
            metrics, new_tokens = self._training_metrics.read(self.accelerator)
            self.state.num_input_tokens_seen += new_tokens
            logs |= {"num_tokens": self.state.num_input_tokens_seen, **metrics}
            if not self._teacher_was_compared and self.args.distillation_weight and self.is_world_process_zero():
                self._teacher_was_compared = compare_teacher(metrics)
        super().log(logs, start_time)

    def _track_num_input_tokens(self, inputs: dict[str, Any]) -> None:
        # `include_num_input_tokens_seen`: the tokens of a batch are known after its masks, so they are counted in `log`
        return

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        tokens = sum(len(row.input_ids) * (2 if row.is_reflection else 1) for row in inputs["rows"])
        return 6 * tokens * self._num_layer_parameters

    @functools.cached_property
    def _num_layer_parameters(self) -> int:
        # Cached because counting takes milliseconds, and the Trainer asks after each micro-batch
        return self.model.num_parameters(exclude_embeddings=True)

    @property
    def _resumed_settings(self) -> dict[str, Any]:
        return self.args.masking_settings

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self.state.num_input_tokens_seen += self._training_metrics.count_tokens(self.accelerator)
        super()._save_checkpoint(model, trial)
