"""Plots the curves of online training and summarizes its figures: solve rate, signal, divergence, entropy."""

import os
import re
from pathlib import Path
from typing import Any

from ..training.curves import IN_QUARTERS, SummaryRow, read_series, summary_row
from ..training.panels import BLUE, GRAY, GREEN, ORANGE, Curve, Panel, draw_panels


_HELD_OUT = re.compile(r"eval_(?:(.+)_)?execution/pass_rate")  # with the name of the dataset, if there are several
# The main quantities of a run, with their titles
_SUMMARY = (
    ("execution/pass_rate", "solve rate of the rollouts"),
    ("reward", "reward"),
    ("groups/with_signal", "groups with a signal"),
    ("distillation/divergence", "divergence from the teacher"),
    ("entropy", "entropy, nats per token"),
    ("completions/mean_length", "tokens per answer"),
    ("completions/clipped_ratio", "truncated answers"),
)
_PANELS = (
    Panel(
        "Solve rate",
        (
            Curve("execution/pass_rate", "rollouts", BLUE),
            Curve("eval_execution/pass_rate", "held-out problems", ORANGE),
            Curve("groups/with_signal", "groups with a signal", GRAY),
        ),
        ylim=(0, 1.02),
    ),
    Panel(
        "Divergence from the teacher",
        (Curve("distillation/divergence", "distilled answers", GREEN),),
        "nats per token",
        (0, None),
    ),
    Panel("Entropy", (Curve("entropy", "rollouts", BLUE),), "nats per token", (0, None)),
    Panel("Answers", (Curve("completions/mean_length", "mean length", BLUE),), "tokens", (0, None)),
)


def summarize_online(log_history: list[dict[str, Any]]) -> list[SummaryRow]:
    """
    Returns the main figures of online training, at its start and end.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.
    """
    series, summary = read_series(log_history), []
    for metric, rates in series.items():
        if (found := _HELD_OUT.fullmatch(metric)) is not None:
            label = f"solve rate of held-out problems{f' ({found[1]})' if found[1] else ''}"
            summary.append(summary_row(label, rates, f"steps {rates[0][0]} and {rates[0][-1]}", averaged=False))
    summary += [summary_row(label, series[name], IN_QUARTERS) for name, label in _SUMMARY if name in series]
    return summary


def plot_online(log_history: list[dict[str, Any]], file: str | os.PathLike[str]) -> Path:
    """
    Plots the curves of online training.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.
        file (`str` or `os.PathLike`):
            Image file to write.

    Returns:
        `Path`: The image.
    """
    return draw_panels(read_series(log_history), _PANELS, file)
