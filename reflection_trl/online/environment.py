"""
Implements multi-turn repair: a tool with which a model runs its program during a rollout, reads the test output, and
corrects it.
"""

from collections.abc import Callable
from typing import Any

from ..languages import get_language
from ..languages.execution import Execute
from ..sandbox import Limits
from ..sequences import fence_code
from .dataset import columns_to_problems
from .judging import AnswerJudge


def repair_environment(
    *, workers: int | None = None, limits: Limits | None = None, execute: Execute | None = None
) -> "Callable[[], RepairEnvironment]":
    """
    Returns an `environment_factory` for `GRPOTrainer` that lets a model run and repair its program during a rollout.

    The model can call the tool `run_tests` up to `max_tool_calling_iterations` times, and then answers with its final
    program, which [`execution_reward`] scores. The model's chat template must support tools, as Qwen's do.
    `environment_factory` is experimental in TRL.

    ```python
    from trl import GRPOConfig, GRPOTrainer
    from reflection_trl import execution_reward, load_problems_for_rl, repair_environment

    trainer = GRPOTrainer(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
        reward_funcs=execution_reward(),
        environment_factory=repair_environment(),
        args=GRPOConfig(output_dir="out", max_tool_calling_iterations=3),
        train_dataset=load_problems_for_rl("my/problems.jsonl"),
    )
    ```

    Args:
        workers (`int`, *optional*):
            Number of programs that run at a time.
        limits ([`~reflection_trl.sandbox.Limits`], *optional*):
            Resource limits of each program.
        execute ([`~reflection_trl.languages.execution.Execute`], *optional*):
            Runs programs in place of a new sandbox.

    Raises:
        [`~reflection_trl.sandbox.SandboxUnavailableError`]: If no isolation mechanism works on this machine.
    """
    judge = AnswerJudge(workers=workers, limits=limits, execute=execute)
    judge.open()
    return lambda: RepairEnvironment(judge)


class RepairEnvironment:
    """
    Represents the problem of one rollout to the model: see [`repair_environment`].

    TRL offers all public methods except `reset` to the model as tools, with their docstrings.
    """

    def __init__(self, judge: AnswerJudge):
        self._judge = judge

    def reset(self, **row: Any) -> None:
        """
        Starts a rollout.

        Args:
            **row (`Any`):
                Columns of the problem.

        Raises:
            ValueError: If the problem has a final answer in place of tests, or its tests cannot be read.
        """
        (self._problem,) = columns_to_problems({name: [value] for name, value in row.items()}, 1)
        if self._problem.answer is not None:
            raise ValueError(
                "`repair_environment` runs programs, but the dataset has problems with a final answer: leave `environment_factory` out."
            )

    def run_tests(self, code: str) -> str:
        """
        Run a complete program against the problem's tests and read their output. Use it before you answer with the final program.

        Args:
            code: The complete program, without Markdown.

        Returns:
            The output of the tests.
        """
        fence = get_language(self._problem.language).fences[0]
        (outcome,) = self._judge.judge([self._problem], [fence_code(code, fence)])
        if not outcome.is_judged:
            return "The program could not be run."
        return "All tests pass." if outcome.passed else outcome.text
