"""The online trainer: TRL's `GRPOTrainer`, with a teacher that reads what the sandbox said of each of the student's answers."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate.utils import gather_object, is_peft_model
from datasets import Dataset, IterableDataset
from peft import PeftConfig, PeftModel
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_utils import TrainOutput, get_last_checkpoint
from trl import GRPOTrainer
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.utils import get_config_model_id

from ..losses import Head, distillation_loss, model_head
from ..model_folder import check_model_folder
from ..modeling import (
    TeacherWeights,
    add_distillation_forward,
    is_base_without_adapter,
    without_adapter,
    without_noise,
)
from .checks import check_before_loading, check_prompt_lengths, context_length, find_execution_reward
from .config import OnlineReflectionDistillConfig
from .modeling import Teaching, add_taught_forward, mixed_prediction
from .rewards import completion_text, execution_reward
from .rollouts import write_rollouts
from .teacher_context import Rollout, TeacherContext, passing_peers


TEACHER_FILE = "reflection_teacher.safetensors"


class OnlineReflectionDistillTrainer(GRPOTrainer):
    """
    Trainer for online reflection self-distillation: GRPO, and a teacher that has read what the tests said of each answer.

    For each prompt a group of answers is drawn and run in the sandbox. The reward of each is its execution, as in
    [GRPO](https://huggingface.co/papers/2402.03300). For each answer that fails, the same weights, as a teacher, read the prompt with
    the feedback of this very answer and an answer of the group that passes, and the divergence of student and teacher is taken on
    the tokens of the student's answer, as in [SDPO](https://huggingface.co/papers/2601.20802). Over a batch with T completion
    tokens, D of them in answers that are taught:

        loss = (1 - w) * policy loss + w / T * sum_D divergence(teacher, student)

    Generation, with vLLM too, the policy loss and its metrics are TRL's.

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
            [`execution_reward`] with settings of yours, alone or beside other reward functions. Defaults to `execution_reward()`.
        args ([`OnlineReflectionDistillConfig`], *optional*):
            Configuration. If `None`, the defaults with `output_dir="<model>-OnlineReflectionDistill"`.
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Rows of [`load_problems_for_rl`].
        eval_dataset ([`~datasets.Dataset`], [`~datasets.IterableDataset`] or `dict` of them, *optional*):
            Rows to evaluate on: `eval_execution/pass_rate` is their solve rate.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*):
            Tokenizer. If `None`, it is loaded from the model's name.
        reward_processing_classes (`PreTrainedTokenizerBase` or `list`, *optional*):
            Tokenizers of reward models among `reward_funcs`.
        callbacks (`list[TrainerCallback]`, *optional*):
            Further callbacks.
        optimizers (`tuple`, *optional*, defaults to `(None, None)`):
            Optimizer and scheduler.
        quantization_config ([`~transformers.BitsAndBytesConfig`], *optional*):
            Quantization of a model given by name; with `peft_config` for QLoRA.
        peft_config ([`~peft.PeftConfig`], *optional*):
            Adapter to train instead of all weights.
    """

    args: OnlineReflectionDistillConfig

    # No class variables in TRL, whose code does not say so
    _tag_names: ClassVar[list[str]] = ["trl", "online-reflection-distill", "reflection-trl"]  # type: ignore[misc]
    _name = "Online ReflectionDistill"
    _paper: ClassVar[dict[str, str]] = {  # type: ignore[misc]
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
        if args is None:
            model_name = model if isinstance(model, str) else get_config_model_id(model.config)
            args = OnlineReflectionDistillConfig(f"{model_name.split('/')[-1]}-OnlineReflectionDistill")
        elif not isinstance(args, OnlineReflectionDistillConfig):
            raise TypeError(f"`args` must be an `OnlineReflectionDistillConfig`, got `{type(args).__name__}`.")
        if isinstance(model, str):
            check_model_folder(model)
        check_before_loading(args, train_dataset, eval_dataset)
        reward_funcs = execution_reward() if reward_funcs is None else reward_funcs
        reward_funcs = list(reward_funcs) if isinstance(reward_funcs, (list, tuple)) else [reward_funcs]
        self._execution = find_execution_reward(reward_funcs)
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
        causal_lm: PreTrainedModel = self.model.get_base_model() if is_peft_model(self.model) else self.model
        if is_peft_model(self.model) and self.model.active_peft_config.is_prompt_learning:
            raise ValueError(
                f"{self.model.active_peft_config.peft_type.value} puts virtual tokens before each prompt, at which the teacher's and "
                f"the student's predictions cannot be aligned; use LoRA or another adapter that changes layers."
            )
        model_head(causal_lm)  # refuses one that the loss does not know
        self._max_positions = context_length(causal_lm, args)
        check_prompt_lengths(self, train_dataset, self._max_positions)
        add_distillation_forward(causal_lm)  # gives the teacher's hidden states
        add_taught_forward(causal_lm)
        self._teacher_weights = self._make_teacher()
        self._context = TeacherContext(
            args.show_peer, args.show_feedback, args.show_attempt, args.max_feedback_length, args.teach_passed
        )
        self._rollouts: list[Rollout] = []
        self._rewards = torch.zeros(0)
        self._saved_step: int | None = None

    # Rollouts

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Any], completion_ids_list: list[Any]
    ) -> torch.Tensor:
        rewards_per_func = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._rollouts = [
            Rollout(row["prompt"], completion_text(completion), outcome, str(row.get("problem_id", "")))
            for row, completion, outcome in zip(inputs, completions, self._execution.outcomes, strict=True)
        ]
        self._rewards = (rewards_per_func * self.reward_weights.to(rewards_per_func.device)).nansum(dim=1)
        return rewards_per_func

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        mode = "train" if self.model.training else "eval"
        num_generations = self.num_generations if mode == "train" else self.num_generations_eval
        # Of all processes: a group may be spread over several
        rollouts = gather_object(self._rollouts)
        peers = passing_peers(rollouts, num_generations)
        contexts = [self._context.build(rollout, passed) for rollout, passed in zip(rollouts, peers, strict=True)]
        if not (mode == "train" and self.args.distillation_weight > 0):
            contexts = [None] * len(rollouts)
        self._log_groups(mode, rollouts, contexts, num_generations)
        if mode == "train":
            if self.args.save_rollouts:
                self._save_rollouts(rollouts, self.accelerator.gather(output["advantages"]).tolist())
            first = self.accelerator.process_index * len(inputs)
            mine = contexts[first : first + len(inputs)]
            output["teacher_prompt_ids"] = self._tokenize_contexts(mine, output["completion_mask"].sum(1).tolist())
        return output

    def _tokenize_contexts(self, contexts: list[Any], completion_lengths: list[int]) -> list[list[int]]:
        # Empty where nothing is taught
        ids: list[list[int]] = [[] for _ in contexts]
        known = [number for number, context in enumerate(contexts) if context is not None]
        if known:
            for number, tokens in zip(known, self._tokenize_prompts([contexts[i] for i in known])[0], strict=True):
                if len(tokens) + completion_lengths[number] <= self._max_positions:
                    ids[number] = tokens
        return ids

    def _log_groups(self, mode: str, rollouts: list[Rollout], contexts: list[Any], num_generations: int) -> None:
        groups = [range(i, i + num_generations) for i in range(0, len(rollouts), num_generations)]
        passed = [sum(rollouts[i].outcome.passed for i in group) for group in groups]
        signal = [
            any(contexts[i] is not None for i in group) or len({self._rewards[i].item() for i in group}) > 1
            for group in groups
        ]
        metrics = self._metrics[mode]
        metrics["groups/all_failed"].append(sum(number == 0 for number in passed) / len(groups))
        metrics["groups/all_passed"].append(sum(number == num_generations for number in passed) / len(groups))
        metrics["groups/with_signal"].append(sum(signal) / len(groups))
        if mode == "train":
            metrics["distillation/taught"].append(sum(c is not None for c in contexts) / len(rollouts))

    def _save_rollouts(self, rollouts: list[Rollout], advantages: list[float]) -> None:
        step = self.state.global_step
        if self.accelerator.is_main_process:
            folder = Path(self.args.output_dir or ".") / "rollouts"
            # A step that is run again after a crash replaces what it had written
            more = self._saved_step == step
            write_rollouts(folder, step, rollouts, self._rewards.tolist(), advantages, self.num_generations, more)
        self._saved_step = step

    # The loss

    def _compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        weight = self.args.distillation_weight
        if not self.model.training or weight == 0:
            return super()._compute_loss(model, inputs)
        teaching = self._teach(model, inputs)
        outputs: list[Any] = []

        def taught(**kwargs: Any) -> Any:
            # The one forward pass of the policy's loss gives the divergence as well
            outputs.append(model(**kwargs, teaching=teaching))
            return outputs[-1]

        policy_loss = super()._compute_loss(model if teaching is None else taught, inputs)
        if teaching is None:
            self._log_divergence(None, None)
            return (1 - weight) * policy_loss
        (output,) = outputs
        self._log_divergence(teaching, output)
        return (1 - weight) * policy_loss + weight * output.divergence_loss

    def _teach(self, model: nn.Module, inputs: dict[str, Any]) -> Teaching | None:
        """The teacher's predictions for the tokens of this batch that are taught; `None` where there are none."""
        prompts: list[list[int]] = inputs["teacher_prompt_ids"]
        rows = [number for number, ids in enumerate(prompts) if ids]
        # DDP and FSDP exchange in every forward pass, so a process with nothing to teach runs one for the others
        if not rows and self.accelerator.num_processes == 1:
            return None
        completion_ids, device = inputs["completion_ids"], inputs["completion_ids"].device
        mask = inputs["completion_mask"] * inputs["tool_mask"] if "tool_mask" in inputs else inputs["completion_mask"]
        is_taught = torch.tensor([bool(ids) for ids in prompts], device=device)
        row, column = (mask.bool() & is_taught[:, None]).nonzero(as_tuple=True)
        num_prompt, num_tokens = inputs["prompt_ids"].size(1), inputs["prompt_ids"].size(1) + completion_ids.size(1)
        targets = completion_ids[row, column]

        rows = rows or [0]
        sequences = [
            torch.cat([torch.tensor(prompts[i] or [0], device=device), completion_ids[i][: int(mask[i].sum())]])
            for i in rows
        ]
        input_ids = pad_sequence(sequences, batch_first=True, padding_value=self._tokenizer.pad_token_id)
        lengths = torch.tensor([len(sequence) for sequence in sequences], device=device)
        attention_mask = (torch.arange(input_ids.size(1), device=device) < lengths[:, None]).long()
        place, start = torch.zeros(len(prompts), 2, dtype=torch.long, device=device).unbind(1)
        place[rows] = torch.arange(len(rows), device=device)
        start[rows] = torch.tensor([len(prompts[i]) for i in rows], device=device)
        index = place[row] * input_ids.size(1) + start[row] - 1 + column

        hidden, head = self._teacher_prediction(model, input_ids, attention_mask, index)
        # All completion tokens of the accumulation window count, as in the policy's loss of type "dapo"
        window = self.current_gradient_accumulation_steps / self.args.steps_per_generation
        tokens = inputs["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes * window
        return Teaching(
            row * num_tokens + num_prompt - 1 + column,
            targets,
            hidden,
            head,
            1 / tokens,
            self.args.distillation_beta,
            self.args.distillation_temperature,
        )

    @torch.no_grad()
    def _teacher_prediction(
        self, model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor, index: torch.Tensor
    ) -> tuple[torch.Tensor, Head | None]:
        def predict(weights: AbstractContextManager[None]) -> tuple[torch.Tensor, Head | None]:
            with weights:
                outputs = model(input_ids=input_ids, attention_mask=attention_mask, loss_inputs={"loss_index": index})
            return outputs["hidden"], outputs["head"]

        with (
            without_noise(self.model),
            disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs),
            self.accelerator.autocast(),
        ):
            if self.args.teacher == "live":
                return predict(nullcontext())
            other = (
                self._teacher_weights.in_place()
                if self._teacher_weights is not None
                else without_adapter(self.accelerator.unwrap_model(self.model))
            )
            if self.args.teacher != "trust-region":
                return predict(other)
            return mixed_prediction(predict(nullcontext()), predict(other), self.args.trust_region_weight)

    def _log_divergence(self, teaching: Teaching | None, output: Any) -> None:
        device = self.accelerator.device
        sums = torch.zeros(4, device=device)
        if teaching is not None:
            gap = output.taught_nll - self._teacher_nll(teaching)
            sums = torch.stack(
                [
                    torch.full_like(sums[0], len(teaching.targets)),
                    output.divergence.sum(),
                    output.agree.sum(),
                    gap.sum(),
                ]
            ).to(device)
        number, divergence, agree, gap_sum = self.accelerator.reduce(sums, reduction="sum").tolist()
        for name, value in (("divergence", divergence), ("agreement", agree), ("log_prob_gap", gap_sum)):
            # TRL leaves out what is no number when it takes the mean
            self._metrics["train"][f"distillation/{name}"].append(value / number if number else float("nan"))

    @torch.no_grad()
    def _teacher_nll(self, teaching: Teaching) -> torch.Tensor:
        if teaching.head is None:  # partitioned (DeepSpeed ZeRO-3)
            return torch.full_like(teaching.targets, float("nan"), dtype=torch.float32)
        nothing = teaching.targets[:0]
        weight = torch.zeros(len(teaching.targets), device=teaching.hidden.device)
        return distillation_loss(teaching.hidden, teaching.head, teaching.targets, weight, nothing, nothing).nll

    # Teachers other than the live model

    def _make_teacher(self) -> TeacherWeights | None:
        kind = self.args.teacher
        if kind == "live" or self.args.distillation_weight == 0:
            return None
        if kind != "ema" and is_peft_model(self.model) and is_base_without_adapter(self.model):
            return None
        zero3 = self.is_deepspeed_enabled and self.accelerator.state.deepspeed_plugin.zero_stage == 3
        if self.is_fsdp_enabled or zero3:
            raise ValueError(
                f"`teacher='{kind}'` keeps a second copy of the trained weights, which sharded parameters (FSDP, DeepSpeed ZeRO-3) do "
                f"not allow; use `teacher='live'`, DDP or ZeRO-1/2, or LoRA in its usual form (no `bias`, no `init_lora_weights` such "
                f"as PiSSA) with `teacher='base'` or 'trust-region'."
            )
        weights = TeacherWeights(self.model, self.args.teacher_update_rate if kind == "ema" else 0.0)
        if kind == "ema":
            self.add_callback(UpdateTeacher(weights))
        return weights

    # Checkpoints

    def train(
        self, resume_from_checkpoint: str | bool | None = None, trial: Any = None, ignore_keys_for_eval: Any = None
    ) -> TrainOutput:
        checkpoint = resume_from_checkpoint
        if checkpoint is True:
            checkpoint = get_last_checkpoint(self.args.output_dir)
        if checkpoint and self._teacher_weights is not None and self.args.teacher == "ema":
            file = Path(checkpoint) / TEACHER_FILE
            if not file.exists():
                raise ValueError(
                    f"{checkpoint} has no {TEACHER_FILE}: it was not written with `teacher='ema'`; resume with its teacher."
                )
            self._teacher_weights.load_state_dict(load_file(file))
        return super().train(resume_from_checkpoint, trial=trial, ignore_keys_for_eval=ignore_keys_for_eval)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        # Write first: `super()._save_checkpoint` pushes the folder and deletes old ones at its end
        if self.args.should_save and self._teacher_weights is not None and self.args.teacher == "ema":
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            save_file(self._teacher_weights.state_dict(), folder / TEACHER_FILE)
        super()._save_checkpoint(model, trial)


class UpdateTeacher(TrainerCallback):
    """Moves the teacher towards the model after each step."""

    def __init__(self, weights: TeacherWeights):
        self.weights = weights

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.weights.update()
