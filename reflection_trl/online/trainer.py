"""Implements the online trainer: TRL's `GRPOTrainer`, with a teacher that reads the test output of each answer."""

import math
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import gather_object
from datasets import Dataset, IterableDataset
from peft import PeftConfig, PeftModel
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from transformers.utils import logging
from trl.trainer.utils import RepeatSampler

from ..rendering.chat_template import warn_of_unread_variables
from ..training.accelerator import adjust_accelerator, shards_parameters, will_shard_parameters
from ..training.checkpoints import CheckpointMixin
from ..training.checks import (
    check_adapter,
    check_args,
    check_model,
    check_trained_parameters,
    warn_of_lost_steps,
)
from ..training.curves import CURVES_FILE
from ..training.forward import LossInputs, TeacherPredictions, add_distillation_forward
from ..training.modeling import compile_layers
from ..training.publishing import HubMixin
from ..training.teachers import (
    TeacherWeights,
    UpdateTeacher,
    check_teacher_before_loading,
    dropout_disabled,
    make_teacher_weights,
    teacher_in_place,
)
from .checks import (
    all_datasets,
    check_before_loading,
    check_prompt_lengths,
    check_reference,
    context_length,
    find_execution_reward,
    runs_programs,
)
from .config import OnlineReflectionDistillConfig, check_generation
from .curves import plot_online
from .dynamic_sampling import DynamicSamplingMixin, rewards_differ
from .messages import completion_text
from .modeling import add_divergence_forward, mixed_prediction, precision_kept
from .repairs import FOLDER as REFLECTIONS
from .repairs import Repair, reflection_row, sample_repairs
from .rewards import execution_reward
from .rollouts import FOLDER as ROLLOUTS
from .rollouts import clear_steps, write_rollouts, write_step
from .teacher_context import Rollout, TeacherContext, passing_peers


logger = logging.get_logger(__name__)

COMPLETIONS = "completions"  # TRL's folder for `log_completions`
TAGS = ["trl", "online-reflection-distill", "reflection-trl"]
PAPER = {
    "title": "Reinforcement Learning via Self-Distillation",
    "id": "2601.20802",
    # docstyle-ignore
    "citation": """\
@article{hubotter2026sdpo,
title  = {{Reinforcement Learning via Self-Distillation}},
author = {Jonas H\\"ubotter and others},
year   = 2026,
eprint = {arXiv:2601.20802},
}""",
}


class EpochSampler(RepeatSampler):
    """
    Extends TRL's sampler with a different order in each epoch, so that a resumed training has the order of an
    uninterrupted one.
    """

    def set_epoch(self, epoch: int) -> None:
        """
        Sets the epoch of the next pass.

        Args:
            epoch (`int`):
                Index of the epoch, from 0.
        """
        if self.shuffle:
            self.generator.manual_seed((self.seed or 0) + epoch)


class OnlineReflectionDistillTrainer(CheckpointMixin, HubMixin, DynamicSamplingMixin):
    """
    Trainer for online reflection self-distillation: GRPO with a teacher that reads the test output of each answer.

    For each prompt, a group of answers is sampled and run in the sandbox. The reward of each answer is the result of
    its execution, as in [GRPO](https://huggingface.co/papers/2402.03300). For each failed answer, the same weights act
    as a teacher, which reads the prompt with the feedback on this answer and a passing answer of the group. The
    divergence of student and teacher is computed on the tokens of the student's answer, as in
    [SDPO](https://huggingface.co/papers/2601.20802). For a batch with T completion tokens, of which D are in distilled
    answers:

        loss = (1 - w) * policy loss + w / T * sum_D divergence(teacher, student)

    Generation, also with vLLM, the policy loss and its metrics are TRL's.

    Raises:
        ValueError: If the model, the settings or the problems cannot be used. The message names the fix.
        [`~reflection_trl.sandbox.SandboxUnavailableError`]: If the reward runs programs and no isolation mechanism works on this machine.

    Example:

    ```python
    from reflection_trl import OnlineReflectionDistillConfig, OnlineReflectionDistillTrainer, load_problems_for_rl

    trainer = OnlineReflectionDistillTrainer(
        model="Qwen/Qwen2.5-Coder-1.5B-Instruct",
        args=OnlineReflectionDistillConfig(output_dir="out"),
        train_dataset=load_problems_for_rl("my/problems.jsonl"),
    )
    trainer.train()
    ```

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Model id, local path, or an instantiated causal language model.
        reward_funcs (`RewardFunc` or `list[RewardFunc]`, *optional*):
            [`execution_reward`] with your settings, alone or with other reward functions. Defaults to
            `execution_reward()`.
        args ([`OnlineReflectionDistillConfig`], *optional*):
            Configuration. If `None`, the defaults with `output_dir="<model>-OnlineReflectionDistill"`.
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`], *optional*):
            Rows of [`load_problems_for_rl`].
        eval_dataset ([`~datasets.Dataset`], [`~datasets.IterableDataset`] or `dict` of them, *optional*):
            Rows to evaluate on: `eval_execution/pass_rate` is their solve rate.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*):
            Tokenizer. If `None`, it is loaded with the model's name.
        reward_processing_classes (`PreTrainedTokenizerBase` or `list`, *optional*):
            Tokenizers of reward models among `reward_funcs`.
        callbacks (`list[TrainerCallback]`, *optional*):
            Additional callbacks.
        optimizers (`tuple`, *optional*, defaults to `(None, None)`):
            Optimizer and scheduler.
        quantization_config ([`~transformers.BitsAndBytesConfig`], *optional*):
            Quantization of a model given by name; with `peft_config` for QLoRA.
        peft_config ([`~peft.PeftConfig`], *optional*):
            Adapter to train instead of all weights.
    """

    num_generations_eval: int

    _tag_names = TAGS
    _name = "Online ReflectionDistill"
    _paper = PAPER

    def __init__(
        self,
        model: str | PreTrainedModel | PeftModel,
        reward_funcs: Any = None,
        args: OnlineReflectionDistillConfig | None = None,
        train_dataset: Dataset | IterableDataset | None = None,
        eval_dataset: Dataset | IterableDataset | dict[str, Dataset | IterableDataset] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        reward_processing_classes: PreTrainedTokenizerBase | list[PreTrainedTokenizerBase] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[torch.optim.Optimizer | None, torch.optim.lr_scheduler.LambdaLR | None] = (None, None),
        quantization_config: Any = None,
        peft_config: PeftConfig | None = None,
    ):
        args = check_args(args, OnlineReflectionDistillConfig, model)
        check_model(model, peft_config)
        check_before_loading(args, train_dataset, eval_dataset)
        check_reference(args.beta, model, peft_config)
        if args.distillation_weight > 0:
            check_teacher_before_loading(args.teacher, model, peft_config, will_shard_parameters(args))
        reward_funcs = execution_reward() if reward_funcs is None else reward_funcs
        reward_funcs = list(reward_funcs) if isinstance(reward_funcs, (list, tuple)) else [reward_funcs]
        self._execution = find_execution_reward(reward_funcs, args.max_completion_length)
        if runs_programs(train_dataset, eval_dataset):
            self._execution.judge.open()
        super().__init__(
            model=model,
            reward_funcs=reward_funcs,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            reward_processing_classes=reward_processing_classes,
            callbacks=callbacks,
            optimizers=optimizers,
            quantization_config=quantization_config,
            peft_config=peft_config,
        )
        processor: Any = self.processing_class
        if isinstance(template := self.chat_template or processor.chat_template, str):
            variables: Any = self.chat_template_kwargs  # parsed at this point
            warn_of_unread_variables(template, variables)
        causal_lm: Any = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        check_trained_parameters(self.model)
        if not (args.use_vllm or args.use_transformers_continuous_batching):  # they read no settings of the model
            check_generation(
                causal_lm.generation_config.to_dict(), f"`generation_config` of `{type(causal_lm).__name__}` has"
            )
        if isinstance(self.model, PeftModel):
            check_adapter(self.model, self.accelerator.is_fsdp2)
        if not (self.is_deepspeed_enabled or self.is_fsdp_enabled):  # they keep the trained weights in float32
            warn_of_lost_steps(self.model, args.learning_rate)
        self._max_positions = context_length(causal_lm, args)
        for dataset in all_datasets(train_dataset, eval_dataset):
            check_prompt_lengths(self, dataset, self._max_positions)
        add_distillation_forward(causal_lm)  # provides the hidden states of the teacher
        add_divergence_forward(causal_lm)
        if args.torch_compile and args.torch_compile_backend is not None:
            compile_layers(causal_lm, args.torch_compile_backend, args.torch_compile_mode)
        self._teacher_weights = self._make_teacher(continues_adapter=isinstance(model, PeftModel))
        if self._teacher_weights is not None:
            self.add_callback(UpdateTeacher(self._teacher_weights))
        self._context = TeacherContext(
            args.show_peer, args.show_feedback, args.show_attempt, args.max_feedback_length, args.teach_passed
        )
        self._rollouts: list[Rollout] = []
        self._rewards = torch.zeros(0, 0)  # of all processes: a row per answer, a column per function
        self._saved_step: int | None = None
        self._eval_sizes: list[int] = []  # answers of each batch of an evaluation
        self._eval_prefix = "eval"  # "eval_" and the name of the dataset, if there are several

    def _make_teacher(self, continues_adapter: bool) -> TeacherWeights | None:
        args = self.args
        if args.distillation_weight == 0:
            return None
        kind = "base" if args.teacher == "trust-region" else args.teacher
        sharded = shards_parameters(self.accelerator)
        return make_teacher_weights(
            self.model, kind, args.teacher_update_rate, sharded, continues_adapter=continues_adapter
        )

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        adjust_accelerator(self.accelerator, self.args)

    def _init_training_state(self, *args: Any) -> tuple[int, int]:
        # A training that was interrupted within a generation batch leaves its answers to the next one
        self._step, self._buffered_inputs, self._saved_step = 0, None, None
        return super()._init_training_state(*args)

    # Rollouts

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            if self.use_transformers_continuous_batching:
                stack.enter_context(precision_kept(self.model))
            if self.args.torch_compile and not self.use_vllm:
                # The cache of each layer has its own index, for which the layer would be compiled again
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            return super()._generate_single_turn(*args, **kwargs)

    def _get_train_sampler(self, dataset: Dataset | None = None) -> "EpochSampler":
        of = cast(RepeatSampler, super()._get_train_sampler(dataset))
        return EpochSampler(of.data_source, of.mini_repeat_count, of.batch_size, of.repeat_count, of.shuffle, of.seed)

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Any], completion_ids_list: list[Any]
    ) -> torch.Tensor:
        rewards_per_func = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        # TRL leaves an answer out of its group if no function has a reward for it. An answer that the sandbox could not
        # run would have the rewards of other functions alone, as if it had failed
        is_lost = rewards_per_func[:, self.reward_funcs.index(self._execution)].isnan()
        rewards_per_func[is_lost] = torch.nan
        self._rollouts = [
            Rollout(row["prompt"], completion_text(completion), outcome, str(row.get("problem_id", "")))
            for row, completion, outcome in zip(inputs, completions, self._execution.outcomes, strict=True)
        ]
        self._rewards = rewards_per_func.cpu()
        return rewards_per_func

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        with self._with_signal(inputs) as inputs:
            output = super()._generate_and_score_completions(inputs)
        mode = "train" if self.model.training else "eval"
        num_generations = self.num_generations if mode == "train" else self.num_generations_eval
        repairs: list[Repair | None] = [None] * len(inputs)
        if mode == "train" and self.args.repair_failed:
            repairs = sample_repairs(
                self, self._execution.judge, inputs, self._rollouts, self.args.max_feedback_length, self._max_positions
            )
        # From all processes, since a group may be spread over several
        rollouts, repairs = gather_object(self._rollouts), gather_object(repairs)
        if mode == "eval":
            self._eval_sizes.append(len(rollouts))
        corrected = [
            repair.answer or None if repair is not None and repair.outcome.passed else None for repair in repairs
        ]
        peers = passing_peers(rollouts, num_generations, corrected)
        contexts = [self._context.build(rollout, passed) for rollout, passed in zip(rollouts, peers, strict=True)]
        if not (mode == "train" and self.args.distillation_weight > 0):
            contexts = [None] * len(rollouts)
        first = self.accelerator.process_index * len(inputs)
        mine = contexts[first : first + len(inputs)]
        lengths = output["completion_mask"].sum(1).tolist()
        prompt_ids = self._tokenize_contexts(mine, lengths)
        is_distilled = gather_object([bool(ids) for ids in prompt_ids])
        is_masked = gather_object([length == 0 for length in lengths])
        self._log_groups(mode, rollouts, repairs, is_distilled, is_masked, num_generations)
        if mode == "train":
            output["teacher_prompt_ids"] = prompt_ids
            self._save_rollouts(rollouts, repairs, self.accelerator.gather(output["advantages"]).tolist())
        return output

    def _tokenize_contexts(self, contexts: list[Any], completion_lengths: list[int]) -> list[list[int]]:
        # Empty for answers without distillation
        ids: list[list[int]] = [[] for _ in contexts]
        # A truncated completion may be masked completely
        known = [
            number for number, context in enumerate(contexts) if context is not None and completion_lengths[number]
        ]
        if known:
            for number, tokens in zip(known, self._tokenize_prompts([contexts[i] for i in known])[0], strict=True):
                if len(tokens) + completion_lengths[number] <= self._max_positions:
                    ids[number] = tokens
                else:
                    logger.warning_once(
                        f"The teacher's prompt and the answer have {len(tokens) + completion_lengths[number]} tokens, more than the context "
                        f"of {self._max_positions}; such answers are not distilled. Lower `max_feedback_length` or `max_completion_length`."
                    )
        return ids

    def _log_groups(
        self,
        mode: str,
        rollouts: list[Rollout],
        repairs: list[Repair | None],
        is_distilled: list[bool],
        is_masked: list[bool],
        num_generations: int,
    ) -> None:
        groups = [range(i, i + num_generations) for i in range(0, len(rollouts), num_generations)]
        passed = [sum(rollouts[i].outcome.passed for i in group) for group in groups]
        weights = self.reward_weights.cpu()
        signal = [
            any(is_distilled[i] for i in group)
            or (
                self.args.distillation_weight < 1
                and not all(is_masked[i] for i in group)
                and rewards_differ(self._rewards[list(group)], weights, self.multi_objective_aggregation)
            )
            for group in groups
        ]
        metrics = self._metrics[mode]
        metrics["groups/all_failed"].append(sum(number == 0 for number in passed) / len(groups))
        metrics["groups/all_passed"].append(sum(number == num_generations for number in passed) / len(groups))
        metrics["groups/with_signal"].append(sum(signal) / len(groups))
        if mode == "train":
            metrics["distillation/sample_fraction"].append(sum(is_distilled) / len(is_distilled))
        tried = [repair.outcome.passed for repair in repairs if repair is not None and repair.outcome.is_judged]
        if mode == "train" and self.args.repair_failed:
            metrics["repairs/tried"].append(len(tried) / len(rollouts))
            # TRL ignores NaN when it averages
            metrics["repairs/passed"].append(sum(tried) / len(tried) if tried else float("nan"))

    def _save_rollouts(self, rollouts: list[Rollout], repairs: list[Repair | None], advantages: list[float]) -> None:
        step, folder = self.state.global_step, Path(self.args.output_dir or ".")
        if self.accelerator.is_main_process and (self._saved_step is None or step < self._saved_step):
            self._prepare_folders(step)
        # A step that runs again after a crash replaces its file
        more = self._saved_step == step
        if self.accelerator.is_main_process and self.args.save_rollouts:
            rewards = (self._rewards * self.reward_weights.cpu()).nansum(dim=1).tolist()
            write_rollouts(folder / ROLLOUTS, step, rollouts, rewards, advantages, self.num_generations, more)
        if self.accelerator.is_main_process and self.args.repair_failed:
            rows = [
                reflection_row(rollout, repair, step)
                for rollout, repair in zip(rollouts, repairs, strict=True)
                if repair is not None and repair.outcome.passed
            ]
            write_step(folder / REFLECTIONS, step, [row for row in rows if row is not None], more)
        self._saved_step = step

    def _prepare_folders(self, first: int) -> None:
        for name in (ROLLOUTS, REFLECTIONS):
            earlier = clear_steps(Path(self.args.output_dir or ".") / name, first)
            if earlier is not None:
                logger.warning(f"The {name} of an earlier training in this `output_dir` were moved to {earlier}.")
        # The problems may be private, so the folders are not uploaded with the model
        ignored = Path(self.args.output_dir or ".") / ".gitignore"
        if not ignored.exists():
            ignored.parent.mkdir(parents=True, exist_ok=True)
            ignored.write_text(f"{ROLLOUTS}/\n{REFLECTIONS}/\n{COMPLETIONS}/\n")

    # The loss

    def _compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        weight = self.args.distillation_weight
        if not self.model.training or weight == 0:
            return super()._compute_loss(model, inputs)
        distillation = self._distillation_inputs(model, inputs)
        outputs: list[Any] = []

        def forward(**kwargs: Any) -> Any:
            # The forward pass of the policy loss also computes the divergence
            outputs.append(model(**kwargs, distillation=distillation))
            return outputs[-1]

        policy_loss = super()._compute_loss(model if distillation is None else forward, inputs)
        if distillation is None:
            self._log_divergence(None, None)
            return (1 - weight) * policy_loss
        (output,) = outputs
        self._log_divergence(distillation, output)
        return (1 - weight) * policy_loss + weight * output.divergence_loss

    def _distillation_inputs(self, model: nn.Module, inputs: dict[str, Any]) -> LossInputs | None:
        """Returns the teacher's predictions for the distilled tokens of this batch; `None` if there are none."""
        prompts: list[list[int]] = inputs["teacher_prompt_ids"]
        rows = [number for number, ids in enumerate(prompts) if ids]
        # DDP and FSDP communicate in every forward pass, so a process without distilled tokens runs one for the others
        if not rows and self.accelerator.num_processes == 1:
            return None
        completion_ids, device = inputs["completion_ids"], inputs["completion_ids"].device
        mask = inputs["completion_mask"] * inputs["tool_mask"] if "tool_mask" in inputs else inputs["completion_mask"]
        is_distilled = torch.tensor([bool(ids) for ids in prompts], device=device)
        row, column = (mask.bool() & is_distilled[:, None]).nonzero(as_tuple=True)
        num_prompt, num_tokens = inputs["prompt_ids"].size(1), inputs["prompt_ids"].size(1) + completion_ids.size(1)
        targets = completion_ids[row, column]

        rows, answers = rows or [0], inputs["completion_mask"].sum(1).tolist()
        sequences = [
            torch.cat([torch.tensor(prompts[i] or [0], device=device), completion_ids[i, : answers[i]]]) for i in rows
        ]
        input_ids = pad_sequence(sequences, batch_first=True, padding_value=self._tokenizer.pad_token_id)
        lengths = torch.tensor([len(sequence) for sequence in sequences], device=device)
        attention_mask = (torch.arange(input_ids.size(1), device=device) < lengths[:, None]).long()
        place, start = torch.zeros(2, len(prompts), dtype=torch.long, device=device)
        place[rows] = torch.arange(len(rows), device=device)
        start[rows] = torch.tensor([len(prompts[i]) for i in rows], device=device)
        index = place[row] * input_ids.size(1) + start[row] - 1 + column

        teacher = self._teacher_predictions(model, input_ids, attention_mask, index)
        # All completion tokens of the accumulation window count, as in the policy loss "dapo"
        window = self.current_gradient_accumulation_steps / (self.args.steps_per_generation or 1)
        tokens = inputs["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes * window
        everything = torch.arange(len(targets), device=device)
        return LossInputs(
            loss_index=row * num_tokens + num_prompt - 1 + column,
            targets=targets,
            nll_weight=torch.zeros(len(targets), device=device),
            student_index=everything,
            teacher_index=everything[:0],  # the teacher's predictions are not in this batch
            divergence_weight=1 / tokens,
            beta=self.args.distillation_beta,
            temperature=self.args.distillation_temperature,
            teacher_hidden=teacher.hidden,
            teacher_head=teacher.head,
            compile_backend=self.args.torch_compile_backend,
            full_precision=self.args.cast_lm_head_to_fp32,
        )

    @torch.no_grad()
    def _teacher_predictions(
        self, model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor, index: torch.Tensor
    ) -> TeacherPredictions:
        def predict(teacher: AbstractContextManager[None]) -> TeacherPredictions:
            with teacher:
                outputs = model(input_ids=input_ids, attention_mask=attention_mask, teacher_index=index)
            return TeacherPredictions(**outputs)

        with self.accelerator.autocast():
            live = predict(dropout_disabled(self.model)) if self.args.teacher in ("live", "trust-region") else None
            if live is not None and self.args.teacher == "live":
                return live
            other = predict(teacher_in_place(self.model, self._teacher_weights))
            if self._teacher_weights is None:
                # Without its adapter: if parameters are sharded, the head is complete only inside the live forward
                # pass
                other = TeacherPredictions(other.hidden, "base")
            return other if live is None else mixed_prediction(live, other, self.args.trust_region_weight)

    def _log_divergence(self, distillation: LossInputs | None, output: Any) -> None:
        device = self.accelerator.device
        sums = torch.zeros(4, device=device)
        if distillation is not None:
            gap = output.student_nll - output.teacher_nll
            sums = torch.stack(
                [
                    torch.full_like(sums[0], len(distillation.targets)),
                    output.divergence.sum(),
                    output.agree.sum(),
                    gap.sum(),
                ]
            ).to(device)
        number, divergence, agree, gap_sum = self.accelerator.reduce(sums, reduction="sum").tolist()
        for name, value in (("divergence", divergence), ("agreement", agree), ("log_prob_gap", gap_sum)):
            # TRL ignores NaN when it averages
            self._metrics["train"][f"distillation/{name}"].append(value / number if number else float("nan"))

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        self._eval_prefix = metric_key_prefix
        return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if not self.model.training:
            self._weight_eval_batches()
            self._name_eval_metrics()
        super().log(logs, start_time)

    def _name_eval_metrics(self) -> None:
        # TRL gives the metrics of all evaluation datasets the same names
        if self._eval_prefix.startswith("eval_"):
            metrics, name = self._metrics["eval"], self._eval_prefix.removeprefix("eval_")
            for metric in list(metrics):
                metrics[f"{name}_{metric}"] = metrics.pop(metric)

    def _weight_eval_batches(self) -> None:
        # TRL averages over batches, so the answers of a last batch that is not full would count more than others
        sizes, self._eval_sizes = self._eval_sizes, []
        for values in self._metrics["eval"].values():
            if len(values) == len(sizes):
                known = [(value, size) for value, size in zip(values, sizes, strict=True) if not math.isnan(value)]
                total = sum(size for _, size in known)
                values[:] = [sum(value * size for value, size in known) / total if total else math.nan]

    # Checkpoints

    def draw_curves(self) -> Path | None:
        """Plots the curves of this training to `output_dir`. Returns `None` without matplotlib, which is optional."""
        try:
            return plot_online(self.state.log_history, Path(self.args.output_dir or ".") / CURVES_FILE)
        except ImportError:
            return None

    @property
    def _resumed_settings(self) -> dict[str, Any]:
        return {name: getattr(self.args, name) for name in ("seed", "num_generations", "teacher")}
