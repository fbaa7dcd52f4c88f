"""Replaces groups without a training signal before a batch is trained on: DAPO's dynamic sampling."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedModel
from trl import GRPOTrainer
from trl.trainer.utils import nanstd

from .config import OnlineReflectionDistillConfig
from .rewards import ExecutionReward
from .teacher_context import Rollout, TeacherContext, passing_peers


_ROUNDING = 1e-6  # largest difference of equal rewards


@dataclass(frozen=True)
class Sample:
    """
    Holds one completion with everything that TRL computes before its advantage.

    Args:
        row (`dict`):
            Dataset row of the prompt.
        prompt_ids (`list[int]`):
            Token ids of the prompt.
        completion_ids (`list[int]`):
            Token ids of the completion.
        completion (`str` or `list[dict]`):
            Completion in the form of the prompt.
        logprobs (`list[float]` or `None`):
            Log-probabilities of its tokens, if generation returned them (vLLM).
        rewards (`list[float]`):
            One per reward function. NaN if it returned none.
        rollout ([`Rollout`]):
            Completion with the result of running it.
        columns (`dict`):
            What the reward functions logged of it.
        is_masked (`bool`):
            Whether it is truncated and left out of the loss (`mask_truncated_completions`).
    """

    row: dict[str, Any]
    prompt_ids: list[int]
    completion_ids: list[int]
    completion: Any
    logprobs: list[float] | None
    rewards: list[float]
    rollout: Rollout
    columns: dict[str, Any]
    is_masked: bool


def rewards_differ(rewards: torch.Tensor, weights: torch.Tensor, aggregation: str) -> bool:
    """
    Returns whether a group has a policy gradient: two of its answers have different rewards.

    Args:
        rewards (`torch.Tensor` of shape `(answers, functions)`):
            Rewards of the answers to one prompt; NaN where a function returned none. An answer without any is left out.
        weights (`torch.Tensor` of shape `(functions,)`):
            Weight of each function.
        aggregation (`str`):
            TRL's `multi_objective_aggregation`: the rewards of each function are summed as they are, or normalized within
            the group first.
    """
    scored = rewards[~rewards.isnan().all(dim=1)]
    if len(scored) < 2:
        return False
    if aggregation == "normalize_then_sum":
        scored = (scored - scored.nanmean(dim=0)) / (nanstd(scored, dim=0) + 1e-4)
    totals = (scored * weights).nansum(dim=1)
    return bool(totals.max() - totals.min() > _ROUNDING)


class DynamicSamplingMixin(GRPOTrainer):
    """
    Adds dynamic sampling to TRL's [`~trl.GRPOTrainer`]: in up to `dynamic_sampling_rounds` further rounds of
    generation, groups without a training signal are replaced with groups of other prompts.

    TRL generates, scores and masks a batch in one method. Here, a batch is generated and scored first, as often as
    needed, and the completions that are selected then go through that method in place of new ones. Advantages,
    log-probabilities, masks and token counts are therefore TRL's, of the final batch. All processes see the same
    rewards and select the same groups, so they generate equally often.
    """

    args: OnlineReflectionDistillConfig
    model: PreTrainedModel | PeftModel
    num_generations: int

    _execution: ExecutionReward
    _context: TeacherContext
    _rollouts: list[Rollout]
    _selected: list[Sample] | None = None
    _position: tuple[int, int] = (-1, 0)  # the optimizer step, and the generation batch within it

    @contextmanager
    def _with_signal(self, inputs: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        """Yields the rows to train on. In the context, their completions are generated and scored already."""
        if not (self.model.training and self.args.dynamic_sampling_rounds):
            yield inputs
            return
        selected = self._select(inputs)
        first = self.accelerator.process_index * len(inputs)
        self._selected = selected[first : first + len(inputs)]
        try:
            yield [sample.row for sample in self._selected]
        finally:
            self._selected = None

    def _generate(self, prompts: list[Any]) -> Any:
        if self._selected is None:
            return super()._generate(prompts)
        samples = self._selected
        return (
            [sample.prompt_ids for sample in samples],
            [sample.completion_ids for sample in samples],
            None,
            [sample.completion for sample in samples],
            None if samples[0].logprobs is None else [sample.logprobs for sample in samples],
            {},
            None,
            [],
        )

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Any], completion_ids_list: list[Any]
    ) -> torch.Tensor:
        if self._selected is None:
            return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._execution.outcomes = [sample.rollout.outcome for sample in self._selected]
        for name in {name: None for sample in self._selected for name in sample.columns}:
            self._log_completion_extra(name, [sample.columns.get(name) for sample in self._selected])
        rewards = torch.tensor([sample.rewards for sample in self._selected], device=self.accelerator.device)
        return self.accelerator.gather(rewards)

    def _select(self, inputs: list[dict[str, Any]]) -> list[Sample]:
        """Returns the samples of all processes, after as many rounds as are needed and allowed."""
        groups = self._sample(inputs)
        # The metrics of completions and their execution are those of the first round, a sample of all prompts
        completions = {
            name: list(values) for name, values in self._metrics["train"].items() if name.startswith("completions/")
        }
        executions = {name: list(values) for name, values in self._pending_metrics.items()}
        missing = [number for number, group in enumerate(groups) if not self._has_signal(group)]
        sampled, tokens, rounds = len(groups), _count_tokens(groups), 0
        rows = self._other_rows([group[0].row for group in groups])
        while missing and rounds < self.args.dynamic_sampling_rounds:
            candidates = self._sample(self._share([next(rows) for _ in range(self._round_up(len(missing)))]))
            rounds, sampled, tokens = rounds + 1, sampled + len(candidates), tokens + _count_tokens(candidates)
            for group in filter(self._has_signal, candidates):
                if missing:
                    groups[missing.pop(0)] = group
        self._metrics["train"].update(completions)
        self._pending_metrics.update(executions)
        metrics = self._metrics["train"]
        metrics["dynamic_sampling/rounds"].append(rounds)
        metrics["dynamic_sampling/sampled_groups"].append(sampled)
        metrics["dynamic_sampling/kept_groups"].append(len(groups) - len(missing))
        metrics["dynamic_sampling/discarded_tokens"].append(tokens - _count_tokens(groups))
        return [sample for group in groups for sample in group]

    def _sample(self, inputs: list[dict[str, Any]]) -> list[list[Sample]]:
        """Generates and scores one completion per row, and returns the groups of all processes."""
        prompts = [row["prompt"] for row in inputs]
        prompt_ids, completion_ids, _, completions, logprobs, *_ = self._generate(prompts)
        rewards = self._calculate_rewards(inputs, prompts, completions, completion_ids).tolist()
        first = self.accelerator.process_index * len(inputs)
        columns = {name: list(values) for name, values in self._pending_extra_logs.items()}
        self._pending_extra_logs.clear()
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        samples = gather_object(
            [
                Sample(
                    row,
                    prompt_ids[number],
                    completion_ids[number],
                    completions[number],
                    None if logprobs is None else logprobs[number],
                    rewards[first + number],
                    self._rollouts[number],
                    {name: values[number] for name, values in columns.items()},
                    self.mask_truncated_completions and completion_ids[number][-1] not in ends,
                )
                for number, row in enumerate(inputs)
            ]
        )
        return [samples[i : i + self.num_generations] for i in range(0, len(samples), self.num_generations)]

    def _has_signal(self, group: list[Sample]) -> bool:
        weight = self.args.distillation_weight
        if all(sample.is_masked for sample in group):
            return False
        rollouts = [sample.rollout for sample in group]
        rewards = torch.tensor([sample.rewards for sample in group])
        if weight < 1 and rewards_differ(rewards, self.reward_weights.cpu(), self.multi_objective_aggregation):
            return True
        peers = passing_peers(rollouts, len(rollouts))
        return weight > 0 and any(
            self._context.build(sample.rollout, passed) is not None
            for sample, passed in zip(group, peers, strict=True)
            if not sample.is_masked
        )

    def _round_up(self, groups: int) -> int:
        """Returns the least number of groups, at least `groups`, whose completions all processes can share equally."""
        processes = self.accelerator.num_processes
        multiple = processes // math.gcd(processes, self.num_generations)
        return math.ceil(groups / multiple) * multiple

    def _share(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the rows of this process, each prompt repeated for its group, in the order of TRL's sampler."""
        repeated = [row for row in rows for _ in range(self.num_generations)]
        number = len(repeated) // self.accelerator.num_processes
        first = self.accelerator.process_index * number
        return repeated[first : first + number]

    def _other_rows(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """
        Yields rows of the dataset in a random order, without the prompts of this batch until all others were used.

        The order depends only on the seed and the position in training, so it is the same in all processes and after
        a resumption.
        """
        step, number = self._position
        self._position = step, number = self.state.global_step, number + 1 if step == self.state.global_step else 0
        dataset: Any = self.train_dataset
        assert isinstance(dataset, Dataset)  # see `check_before_loading`
        generator = np.random.default_rng([self.args.seed, step, number])
        used = {repr(row["prompt"]) for row in rows}
        while True:
            for index in generator.permutation(len(dataset)).tolist():
                row = dataset[index]
                if repr(row["prompt"]) not in used:
                    used.add(repr(row["prompt"]))
                    yield row
            used.clear()


def _count_tokens(groups: Sequence[Sequence[Sample]]) -> int:
    return sum(len(sample.completion_ids) for group in groups for sample in group)
