"""Rollouts on disk: one file a step, each line a completion with its feedback, as the viewer of datasets reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .teacher_context import Rollout


FOLDER = "rollouts"


def rollout_row(
    rollout: Rollout, step: int, group: int, reward: float | None, advantage: float | None
) -> dict[str, Any]:
    """
    Returns a rollout as a row: request, completion and feedback as messages, and what it counted for.

    Args:
        rollout ([`Rollout`]):
            The rollout.
        step (`int`):
            Optimizer step for which it was drawn.
        group (`int`):
            Number of its prompt in the batch.
        reward (`float`, *optional*):
            Its reward.
        advantage (`float`, *optional*):
            Its advantage.
    """
    outcome, prompt = rollout.outcome, rollout.prompt
    feedback = {"kind": outcome.kind} if outcome.feedback is None else outcome.feedback.to_dict()
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    messages.append({"role": "assistant", "content": rollout.completion})
    if outcome.is_judged:
        passed = "(all tests pass)" if outcome.passed and not outcome.text else outcome.text
        messages.append({"role": "tool", "content": passed})
    return {
        "messages": messages,
        "type": "rollout",
        "problem_id": rollout.problem_id,
        "step": step,
        "group": group,
        "outcome": "passed" if outcome.passed else outcome.kind,
        "score": outcome.score,
        "reward": reward,
        "advantage": advantage,
        "feedback": [feedback] if outcome.is_judged else [],
    }


def write_rollouts(
    folder: Path,
    step: int,
    rollouts: Sequence[Rollout],
    rewards: Sequence[float],
    advantages: Sequence[float],
    num_generations: int,
    more: bool = False,
) -> Path:
    """
    Writes the rollouts of a step.

    Args:
        folder (`Path`):
            Folder of all steps' files; made when it is not there.
        step (`int`):
            Optimizer step.
        rollouts (`Sequence[Rollout]`):
            Groups of `num_generations` rollouts of a prompt, one after the other.
        rewards (`Sequence[float]`):
            Their rewards.
        advantages (`Sequence[float]`):
            Their advantages.
        num_generations (`int`):
            Rollouts of a group.
        more (`bool`, *optional*, defaults to `False`):
            Whether to add to what this step has written already, instead of replacing it.

    Returns:
        `Path`: The file.
    """
    rows = [
        rollout_row(rollout, step, number // num_generations, reward if rollout.outcome.is_judged else None, advantage)
        for number, (rollout, reward, advantage) in enumerate(zip(rollouts, rewards, advantages, strict=True))
    ]
    return write_step(folder, step, rows, more)


def write_step(folder: Path, step: int, rows: Sequence[dict[str, Any]], more: bool = False) -> Path:
    """
    Writes the rows of a step to a file, whole or not at all. A step without rows has no file.

    Args:
        folder (`Path`):
            Folder of all steps' files; made when it is not there.
        step (`int`):
            Optimizer step.
        rows (`Sequence[dict]`):
            One object of JSON a line.
        more (`bool`, *optional*, defaults to `False`):
            Whether to add to what this step has written already, instead of replacing it.

    Returns:
        `Path`: The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"step-{step:06d}.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    before = file.read_text(encoding="utf-8") if more and file.exists() else ""
    if not (lines or before):
        file.unlink(missing_ok=True)
        return file
    partial = file.with_suffix(".partial")
    # A lone surrogate, of which half a token may be, is no UTF-8
    partial.write_text(before + "".join(f"{line}\n" for line in lines), encoding="utf-8", errors="backslashreplace")
    partial.replace(file)
    return file
