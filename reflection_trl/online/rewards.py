"""The reward of code: what happens when it is run against the tests of its problem."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from trl.rewards import get_soft_overlong_punishment

from ..feedback import FeedbackKind
from ..languages.execution import Execute
from ..sandbox import Limits
from .dataset import columns_to_problems
from .judging import NO_CODE, SANDBOX_FAILED, AnswerJudge, Credit, Outcome


logger = logging.getLogger(__name__)

# Kinds of failure with a metric of their own
_KINDS = (NO_CODE, FeedbackKind.SYNTAX.value, FeedbackKind.ASSERTION.value, FeedbackKind.TIMEOUT.value)
_WATCHED = 20  # calls after which a reward that never varied is reported
_MOST = 0.5  # share of answers from which a kind of failure is called the reason


def execution_reward(
    credit: Credit = "all",
    *,
    format_weight: float = 0.0,
    length_weight: float = 0.0,
    max_completion_length: int | None = None,
    soft_length: int | None = None,
    workers: int | None = None,
    limits: Limits | None = None,
    run_async: bool = False,
    execute: Execute | None = None,
) -> "ExecutionReward":
    """
    Returns a reward function that runs each completion's code against its problem's tests in the local sandbox.

    For `reward_funcs` of TRL's `GRPOTrainer`, `RLOOTrainer` and `SDPOTrainer`:

    ```python
    from trl import GRPOConfig, GRPOTrainer
    from reflection_trl import execution_reward, load_problems_for_rl

    trainer = GRPOTrainer(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
        reward_funcs=execution_reward(),
        args=GRPOConfig(output_dir="out"),
        train_dataset=load_problems_for_rl("my/problems.jsonl"),
    )
    ```

    The reward is 1 where all tests pass, else 0, or the fraction that passes:

        reward = execution + format_weight * format + length_weight * length

    A completion that the sandbox itself fails to run, three times over, has no reward (`None`), with which `GRPOTrainer` and
    `RLOOTrainer` leave it out of its group; `SDPOTrainer` takes it for 0.

    Each call logs through `log_metric`, where the trainer offers it: `execution/pass_rate`, `execution/score`, `execution/format`,
    `execution/suspicious` (answers that touch what honest ones do not, passed or not), `execution/length`, `execution/sandbox_failed`, and the share of answers that fail for each reason as `execution/failed/no_code`,
    `/syntax`, `/assertion`, `/timeout` and `/other`; and through `log_extra`, for the table of completions, `outcome` and `feedback`.

    Args:
        credit (`str`, *optional*, defaults to `"all"`):
            `"all"`: 1 where all tests pass, else 0. `"fraction"`: the fraction of tests that pass. Each assert of Python tests counts,
            and each example of a program that reads standard input; tests in other languages count as one. A failed answer is run
            once more for it.
        format_weight (`float`, *optional*, defaults to `0.0`):
            Weight of 1 for code in one closed fence of the problem's language, else 0.
        length_weight (`float`, *optional*, defaults to `0.0`):
            Weight of DAPO's soft overlong punishment (https://huggingface.co/papers/2503.14476): 0 up to `soft_length` tokens, from
            there down to -1 at `max_completion_length`.
        max_completion_length (`int`, *optional*):
            The trainer's; needed with `length_weight`.
        soft_length (`int`, *optional*):
            Tokens that cost nothing. Defaults to three quarters of `max_completion_length`.
        workers (`int`, *optional*):
            Programs that run at a time. Defaults to the processors, divided among the processes of a distributed run.
        limits ([`~reflection_trl.sandbox.Limits`], *optional*):
            What each program may use: `Limits(timeout=5)`. Defaults to what its language needs.
        run_async (`bool`, *optional*, defaults to `False`):
            Return an asynchronous reward function, which TRL runs together with other asynchronous ones.
        execute ([`~reflection_trl.languages.execution.Execute`], *optional*):
            Runs programs in place of a sandbox opened here.

    Raises:
        ValueError: If a setting is wrong.
        [`~reflection_trl.sandbox.SandboxUnavailableError`]: If no isolation holds on this machine; the message says how to fix it.
    """
    reward = AsyncExecutionReward if run_async else ExecutionReward
    return reward(
        AnswerJudge(credit, workers, limits, execute),
        format_weight=format_weight,
        length_weight=length_weight,
        max_completion_length=max_completion_length,
        soft_length=soft_length,
    )


class ExecutionReward:
    """
    The reward function of [`execution_reward`], which describes its settings.

    Attributes:
        outcomes (`list[Outcome]`):
            What the completions of the last call gave, in their order.
    """

    __name__ = "execution_reward"  # by which TRL logs it

    def __init__(
        self,
        judge: AnswerJudge,
        format_weight: float = 0.0,
        length_weight: float = 0.0,
        max_completion_length: int | None = None,
        soft_length: int | None = None,
    ):
        for name, weight in (("format_weight", format_weight), ("length_weight", length_weight)):
            if weight < 0:
                raise ValueError(f"`{name}` must not be negative, got {weight}.")
        self.judge = judge
        self.format_weight = format_weight
        self.length_weight = length_weight
        self.outcomes: list[Outcome] = []
        self._punish: Callable[..., list[float]] | None = None
        if length_weight:
            if max_completion_length is None:
                raise ValueError("`length_weight` needs `max_completion_length`, the one that the trainer has.")
            soft_length = max_completion_length * 3 // 4 if soft_length is None else soft_length
            if not 0 <= soft_length < max_completion_length:
                raise ValueError(
                    f"`soft_length` must be at least 0 and below `max_completion_length` ({max_completion_length}), got {soft_length}."
                )
            self._punish = get_soft_overlong_punishment(max_completion_length, max_completion_length - soft_length)
        self._watch = _ConstantReward()

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        problems = columns_to_problems(columns, len(completions))
        outcomes = self.judge.judge(problems, [completion_text(completion) for completion in completions])
        return self.score(prompts, outcomes, completion_ids, **columns)

    def score(
        self,
        prompts: Sequence[Any],
        outcomes: list[Outcome],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """
        Turns outcomes into rewards, and logs what they are made of.

        Args:
            prompts (`Sequence`):
                The prompt of each completion; equal ones are a group.
            outcomes (`list[Outcome]`):
                What running the completions gave.
            completion_ids (`Sequence[Sequence[int]]`, *optional*):
                Their tokens; needed for `length_weight`.
            log_metric (`Callable`, *optional*):
                Of the trainer.
            log_extra (`Callable`, *optional*):
                Of the trainer.

        Returns:
            `list[float | None]`: Rewards.
        """
        self.outcomes = outcomes
        lengths = [0.0] * len(outcomes)
        if self._punish is not None:
            if completion_ids is None:
                raise ValueError("`length_weight` needs `completion_ids`, which this trainer does not pass on.")
            lengths = self._punish(completion_ids=completion_ids)
        rewards = [
            outcome.score + self.format_weight * outcome.well_formed + self.length_weight * length
            if outcome.is_judged
            else None
            for outcome, length in zip(outcomes, lengths, strict=True)
        ]
        if log_metric is not None:
            for name, value in _metrics(outcomes, lengths if self._punish is not None else None).items():
                log_metric(f"execution/{name}", value)
        if log_extra is not None:
            log_extra("outcome", ["passed" if outcome.passed else outcome.kind for outcome in outcomes])
            log_extra("feedback", [outcome.text for outcome in outcomes])
        self._watch.add(prompts, rewards, outcomes)
        return rewards


class AsyncExecutionReward(ExecutionReward):
    """The same as a coroutine: TRL awaits it together with other asynchronous reward functions."""

    async def __call__(  # type: ignore[override] # TRL tells the two by it
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        problems = columns_to_problems(columns, len(completions))
        texts = [completion_text(completion) for completion in completions]
        return self.score(prompts, await self.judge.judge_async(problems, texts), completion_ids, **columns)


def completion_text(completion: Any) -> str:
    """
    Returns what a model wrote, of a plain completion or of the last assistant message of a conversation.

    Args:
        completion (`str` or `list[dict]`):
            As TRL hands it to reward functions.
    """
    if isinstance(completion, str):
        return completion
    content = next((m.get("content") for m in reversed(completion) if m.get("role") == "assistant"), None)
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def _metrics(outcomes: Sequence[Outcome], lengths: Sequence[float] | None) -> dict[str, float]:
    judged = [outcome for outcome in outcomes if outcome.is_judged]
    metrics = {SANDBOX_FAILED: 1 - len(judged) / len(outcomes)} if outcomes else {}
    if not judged:
        return metrics
    metrics["pass_rate"] = sum(outcome.passed for outcome in judged) / len(judged)
    metrics["score"] = sum(outcome.score for outcome in judged) / len(judged)
    metrics["suspicious"] = sum(bool(outcome.suspicious) for outcome in judged) / len(judged)
    metrics["format"] = sum(outcome.well_formed for outcome in judged) / len(judged)
    if lengths is not None:
        metrics["length"] = sum(lengths) / len(lengths)
    # All of them each time: a trainer takes the mean over the calls that log a metric
    failed = Counter(outcome.kind if outcome.kind in _KINDS else "other" for outcome in judged if not outcome.passed)
    return metrics | {f"failed/{kind}": failed[kind] / len(judged) for kind in (*_KINDS, "other")}


class _ConstantReward:
    """Reports once, with the reason, that the rewards of a group never varied: then the policy gradient is zero."""

    def __init__(self) -> None:
        self._outcomes: deque[list[Outcome]] = deque(maxlen=_WATCHED)
        self._silent = False

    def add(self, prompts: Sequence[Any], rewards: Sequence[float | None], outcomes: list[Outcome]) -> None:
        groups: dict[str, set[float]] = {}
        for prompt, reward in zip(prompts, rewards, strict=True):
            if reward is not None:
                groups.setdefault(repr(prompt), set()).add(reward)
        if self._silent or any(len(values) > 1 for values in groups.values()):
            self._silent = True
            return
        self._outcomes.append(outcomes)
        if len(self._outcomes) == _WATCHED:
            self._silent = True
            logger.warning(
                "In the first %d batches all completions of a prompt had the same reward, so nothing is learned from it: %s",
                _WATCHED,
                _reason([outcome for batch in self._outcomes for outcome in batch if outcome.is_judged]),
            )


def _reason(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "the sandbox could not run any of them."
    passed = sum(outcome.passed for outcome in outcomes) / len(outcomes)
    if passed > _MOST:
        return f"{passed:.0%} of the answers pass, so the problems are too easy; train on harder ones."
    no_code = sum(outcome.kind == NO_CODE for outcome in outcomes) / len(outcomes)
    if no_code > _MOST:
        return (
            f"{no_code:.0%} of the answers hold no code in the problem's language; ask for a fenced code block in the prompt or "
            f"`system_prompt`, raise `max_completion_length`, or set `format_weight`."
        )
    kind, number = Counter(outcome.kind for outcome in outcomes).most_common(1)[0]
    return (
        f"{passed:.0%} of the answers pass, so the problems are too hard for this model ({number / len(outcomes):.0%} fail by "
        f"{kind!r}); train on easier ones, set `credit='fraction'`, or raise `num_generations`."
    )
