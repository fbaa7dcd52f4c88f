"""Implements the reward for code: the result of running it against the tests of its problem."""

import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from trl.rewards import get_soft_overlong_punishment

from ..answers import foreign_script, without_thoughts
from ..feedback import FeedbackKind
from ..languages.execution import Execute
from ..sandbox import Limits
from .dataset import columns_to_problems
from .judging import NO_CODE, SANDBOX_FAILED, AnswerJudge, Credit, Outcome
from .messages import completion_text, prompt_text


logger = logging.getLogger(__name__)

LogMetric = Callable[[str, float], None]
LogExtra = Callable[[str, list[Any]], None]
# Failure types with a separate metric
_KINDS = (
    NO_CODE,
    FeedbackKind.NO_ANSWER.value,
    FeedbackKind.SYNTAX.value,
    FeedbackKind.ASSERTION.value,
    FeedbackKind.TIMEOUT.value,
)
_WATCHED = 20  # calls after which a constant reward is reported
_MOST = 0.5  # share of answers from which a failure type is named as the cause
# Share and number of answers in a script that the prompt does not use from which they are reported
_FOREIGN_SHARE, _FOREIGN_LEAST = 0.1, 3


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
    tell_answer: bool = False,
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

    The reward is 1 if all tests pass, else 0, or the fraction of tests that pass:

        reward = execution + format_weight * format + length_weight * length

    Of a problem with a final answer, such as one of mathematics, the completion's answer is compared with it, and nothing is run (see
    [`reflection_trl.checking`]): the reward is 1 if it is right.

    If the sandbox fails to run a completion three times, the completion has no reward (`None`): `GRPOTrainer` and
    `RLOOTrainer` leave it out of its group, and `SDPOTrainer` treats it as 0.

    Each call logs through `log_metric`, if the trainer provides it: `execution/pass_rate`, `execution/score`,
    `execution/format`, `execution/foreign_script` (share of answers whose prose or comments use a script that the
    prompt does not), `execution/suspicious` (share of answers, passed or not, that use names which legitimate
    programs do not), `execution/length`, `execution/sandbox_failed`, and the share of answers with each failure type
    as `execution/failed/no_code`, `/no_answer`, `/syntax`, `/assertion`, `/timeout` and `/other`. Through `log_extra` it logs
    `outcome`, `feedback` and `suspicious` for the table of completions.

    Args:
        credit (`str`, *optional*, defaults to `"all"`):
            `"all"`: 1 if all tests pass, else 0. `"fraction"`: the fraction of tests that pass. Each assert of Python
            tests counts, and each example of a program that reads standard input. Tests in other languages count as
            one. A failed answer runs once more for this.
        format_weight (`float`, *optional*, defaults to `0.0`):
            Weight of the format term, which is 1 for code in one closed fence of the problem's language, and for a boxed
            final answer, else 0. It is 0 if the prose or the comments use a script that the prompt does not.
        length_weight (`float`, *optional*, defaults to `0.0`):
            Weight of DAPO's soft overlong punishment (https://huggingface.co/papers/2503.14476): 0 up to `soft_length`
            tokens, then falling to -1 at `max_completion_length`.
        max_completion_length (`int`, *optional*):
            Maximum completion length of the trainer; required with `length_weight`.
        soft_length (`int`, *optional*):
            Number of tokens without a penalty. Defaults to three quarters of `max_completion_length`.
        workers (`int`, *optional*):
            Number of programs that run at a time. Defaults to the CPU cores, divided among the processes of a
            distributed run.
        limits ([`~reflection_trl.sandbox.Limits`], *optional*):
            Resource limits of each program, such as `Limits(timeout=5)`. Defaults to those of its language.
        run_async (`bool`, *optional*, defaults to `False`):
            Whether to return an asynchronous reward function, which TRL runs concurrently with other asynchronous
            ones.
        execute ([`~reflection_trl.languages.execution.Execute`], *optional*):
            Runs programs in place of a new sandbox.
        tell_answer (`bool`, *optional*, defaults to `False`):
            Whether the feedback on a wrong final answer contains the expected one.

    Raises:
        ValueError: If a setting is wrong.
        [`~reflection_trl.sandbox.SandboxUnavailableError`]: If no isolation mechanism works on this machine, when the reward
        function is first called with a problem that runs programs. [`OnlineReflectionDistillTrainer`] raises it before the
        model is loaded. The message gives the fix.
    """
    reward = AsyncExecutionReward if run_async else ExecutionReward
    return reward(
        AnswerJudge(credit, workers, limits, execute, tell_answer),
        format_weight=format_weight,
        length_weight=length_weight,
        max_completion_length=max_completion_length,
        soft_length=soft_length,
    )


class ExecutionReward:
    """
    Implements the reward function of [`execution_reward`], which describes its settings.

    Attributes:
        outcomes (`list[Outcome]`):
            Outcomes of the completions of the last call, in order.
        max_completion_length (`int` or `None`):
            Length at which the punishment of long completions ends; `None` without one.
    """

    __name__ = "execution_reward"  # the name in TRL's logs

    def __init__(
        self,
        judge: AnswerJudge,
        format_weight: float = 0.0,
        length_weight: float = 0.0,
        max_completion_length: int | None = None,
        soft_length: int | None = None,
    ):
        for name, weight in (("format_weight", format_weight), ("length_weight", length_weight)):
            if not 0 <= weight < math.inf:
                raise ValueError(f"`{name}` must not be negative, got {weight}.")
        self.judge = judge
        self.max_completion_length = max_completion_length if length_weight else None
        self.format_weight = format_weight
        self.length_weight = length_weight
        self.outcomes: list[Outcome] = []
        self._punish: Callable[..., list[float]] | None = None
        if length_weight:
            if max_completion_length is None:
                raise ValueError("`length_weight` needs `max_completion_length`: pass the value of the trainer.")
            soft_length = max_completion_length * 3 // 4 if soft_length is None else soft_length
            if not 0 <= soft_length < max_completion_length:
                raise ValueError(
                    f"`soft_length` must be at least 0 and below `max_completion_length` ({max_completion_length}), got {soft_length}."
                )
            self._punish = get_soft_overlong_punishment(max_completion_length, max_completion_length - soft_length)
        self._watch = _ConstantReward()
        self._scripts = _ForeignScripts()

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        log_extra: LogExtra | None = None,
        **columns: Any,
    ) -> list[float | None]:
        problems = columns_to_problems({**columns, "prompt": prompts}, len(completions))
        texts = [completion_text(completion) for completion in completions]
        outcomes = _with_scripts(self.judge.judge(problems, texts), prompts, texts)
        return self.score(prompts, outcomes, completion_ids, log_metric, log_extra)

    def score(
        self,
        prompts: Sequence[Any],
        outcomes: list[Outcome],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        log_extra: LogExtra | None = None,
    ) -> list[float | None]:
        """
        Converts outcomes to rewards, and logs their terms.

        Args:
            prompts (`Sequence`):
                Prompt of each completion. Equal prompts form a group.
            outcomes (`list[Outcome]`):
                Results of running the completions.
            completion_ids (`Sequence[Sequence[int]]`, *optional*):
                Token ids of the completions; required for `length_weight`.
            log_metric (`Callable`, *optional*):
                Logging function of the trainer.
            log_extra (`Callable`, *optional*):
                Logging function of the trainer.

        Returns:
            `list[float | None]`: Rewards.

        Raises:
            ValueError: If `length_weight` is set and `completion_ids` are missing.
        """
        self.outcomes = outcomes
        lengths = [0.0] * len(outcomes)
        if self._punish is not None:
            if completion_ids is None:
                raise ValueError("`length_weight` needs `completion_ids`, which this trainer does not pass on.")
            lengths = self._punish(completion_ids=completion_ids)
        rewards = [
            outcome.score + self.format_weight * _has_format(outcome) + self.length_weight * length
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
            log_extra("suspicious", [", ".join(outcome.suspicious) for outcome in outcomes])
        self._watch.add(prompts, rewards, outcomes)
        self._scripts.add(outcomes)
        return rewards


class AsyncExecutionReward(ExecutionReward):
    """The same reward function as a coroutine, which TRL awaits together with other asynchronous reward functions."""

    async def __call__(  # type: ignore[override] # TRL tells the two by it
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        log_extra: LogExtra | None = None,
        **columns: Any,
    ) -> list[float | None]:
        problems = columns_to_problems({**columns, "prompt": prompts}, len(completions))
        texts = [completion_text(completion) for completion in completions]
        outcomes = _with_scripts(await self.judge.judge_async(problems, texts), prompts, texts)
        return self.score(prompts, outcomes, completion_ids, log_metric, log_extra)


def _with_scripts(outcomes: Sequence[Outcome], prompts: Sequence[Any], texts: Sequence[str]) -> list[Outcome]:
    return [
        replace(outcome, foreign_script=foreign_script(without_thoughts(text), prompt_text(prompt)))
        for outcome, prompt, text in zip(outcomes, prompts, texts, strict=True)
    ]


def _has_format(outcome: Outcome) -> bool:
    return outcome.well_formed and outcome.foreign_script is None


def _metrics(outcomes: Sequence[Outcome], lengths: Sequence[float] | None) -> dict[str, float]:
    judged = [outcome for outcome in outcomes if outcome.is_judged]
    metrics = {SANDBOX_FAILED: 1 - len(judged) / len(outcomes)} if outcomes else {}
    if not judged:
        return metrics
    metrics["pass_rate"] = sum(outcome.passed for outcome in judged) / len(judged)
    metrics["score"] = sum(outcome.score for outcome in judged) / len(judged)
    metrics["suspicious"] = sum(bool(outcome.suspicious) for outcome in judged) / len(judged)
    metrics["format"] = sum(_has_format(outcome) for outcome in judged) / len(judged)
    metrics["foreign_script"] = sum(outcome.foreign_script is not None for outcome in judged) / len(judged)
    if lengths is not None:
        metrics["length"] = sum(lengths) / len(lengths)
    # All metrics each time, because a trainer averages over the calls that log a metric
    failed = Counter(outcome.kind if outcome.kind in _KINDS else "other" for outcome in judged if not outcome.passed)
    return metrics | {f"failed/{kind}": failed[kind] / len(judged) for kind in (*_KINDS, "other")}


class _ForeignScripts:
    """
    Warns once if many answers use a script that their prompts do not. Tests read only the code, so without a format term
    the model may drift to another language at no cost.
    """

    def __init__(self) -> None:
        self._silent = False

    def add(self, outcomes: Sequence[Outcome]) -> None:
        scripts = Counter(outcome.foreign_script for outcome in outcomes if outcome.foreign_script is not None)
        number = scripts.total()
        if self._silent or number < max(_FOREIGN_LEAST, _FOREIGN_SHARE * len(outcomes)):
            return
        self._silent = True
        logger.warning(
            "%d of %d answers have words in a script that their prompt does not use (%s), which the tests do not see: set or raise "
            "`format_weight`, or a KL penalty (`beta`), or lower the learning rate.",
            number,
            len(outcomes),
            scripts.most_common(1)[0][0],
        )


class _ConstantReward:
    """
    Warns once, with the cause, if the rewards of all groups are constant, since the policy gradient is then zero.
    """

    def __init__(self) -> None:
        self._outcomes: deque[list[Outcome]] = deque(maxlen=_WATCHED)
        self._silent = False

    def add(self, prompts: Sequence[Any], rewards: Sequence[float | None], outcomes: list[Outcome]) -> None:
        groups: dict[str, list[float]] = {}
        for prompt, reward in zip(prompts, rewards, strict=True):
            if reward is not None:
                groups.setdefault(repr(prompt), []).append(reward)
        if self._silent or any(len(set(values)) > 1 for values in groups.values()):
            self._silent = True
            return
        if groups and all(
            len(values) == 1 for values in groups.values()
        ):  # the others of each group are in other processes
            return
        self._outcomes.append(outcomes)
        if len(self._outcomes) == _WATCHED:
            self._silent = True
            logger.warning(
                "In the first %d batches all completions of a prompt had the same reward, so there is no training signal: %s",
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
            f"{no_code:.0%} of the answers have no code in the problem's language; ask for a fenced code block in the prompt or "
            f"`system_prompt`, raise `max_completion_length`, or set `format_weight`."
        )
    no_answer = sum(outcome.kind == FeedbackKind.NO_ANSWER for outcome in outcomes) / len(outcomes)
    if no_answer > _MOST:
        return (
            f"{no_answer:.0%} of the answers state no single final answer; ask for it in \\boxed{{}} in the prompt or `system_prompt`, raise "
            f"`max_completion_length`, or set `format_weight`."
        )
    kind, number = Counter(outcome.kind for outcome in outcomes).most_common(1)[0]
    return (
        f"{passed:.0%} of the answers pass, so the problems are too hard for this model ({number / len(outcomes):.0%} fail by "
        f"{kind!r}); train on easier ones, set `credit='fraction'`, or raise `num_generations`."
    )
