"""
Writes rollouts to disk: one file per step, each line a completion with its feedback, in the form that the viewer
reads.
"""

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
    Converts a rollout to a row: request, completion and feedback as messages, with reward and advantage.

    Args:
        rollout ([`Rollout`]):
            The rollout.
        step (`int`):
            Optimizer step of the sample.
        group (`int`):
            Index of its prompt in the batch.
        reward (`float` or `None`):
            Its reward.
        advantage (`float` or `None`):
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
            Folder of the files of all steps. It is created if it does not exist.
        step (`int`):
            Optimizer step.
        rollouts (`Sequence[Rollout]`):
            Groups of `num_generations` rollouts of a prompt, one group after the other.
        rewards (`Sequence[float]`):
            Their rewards.
        advantages (`Sequence[float]`):
            Their advantages.
        num_generations (`int`):
            Number of rollouts of a group.
        more (`bool`, *optional*, defaults to `False`):
            Whether to append to the file of this step instead of replacing it.

    Returns:
        `Path`: The file.
    """
    rows = [
        rollout_row(rollout, step, number // num_generations, reward if rollout.outcome.is_judged else None, advantage)
        for number, (rollout, reward, advantage) in enumerate(zip(rollouts, rewards, advantages, strict=True))
    ]
    return write_step(folder, step, rows, more)


def clear_steps(folder: Path, first: int) -> Path | None:
    """
    Removes the files of a step and of later ones, which an earlier training in the same folder has left: they would
    pass for steps of this training.

    Args:
        folder (`Path`):
            Folder of the files of all steps.
        first (`int`):
            First optimizer step of this training. If it is above 0, the training is resumed and makes these steps again. Otherwise
            the files are of another training.

    Returns:
        `Path`, *optional*: The folder to which the files of another training were moved; `None` if there were none.
    """
    stale = [file for file in folder.glob("step-*.jsonl") if int(file.stem.rpartition("-")[2]) >= first]
    if first > 0 or not stale:
        for file in stale:
            file.unlink()
        return None
    earlier = folder / "earlier"
    earlier.mkdir(exist_ok=True)
    for file in stale:
        file.replace(earlier / file.name)
    return earlier


def write_step(folder: Path, step: int, rows: Sequence[dict[str, Any]], more: bool = False) -> Path:
    """
    Writes the rows of a step to a file atomically. A step without rows has no file.

    Args:
        folder (`Path`):
            Folder of the files of all steps. It is created if it does not exist.
        step (`int`):
            Optimizer step.
        rows (`Sequence[dict]`):
            One JSON object per line.
        more (`bool`, *optional*, defaults to `False`):
            Whether to append to the file of this step instead of replacing it.

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
    # A lone surrogate, which may be half a token, is not valid UTF-8
    partial.write_text(before + "".join(f"{line}\n" for line in lines), encoding="utf-8", errors="backslashreplace")
    partial.replace(file)
    return file
