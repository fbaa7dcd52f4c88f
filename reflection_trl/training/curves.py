"""Plots the curves of a training run and summarizes its figures: losses, divergence, mask rate, agreement."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .panels import BLUE, GRAY, GREEN, ORANGE, Curve, Panel, draw_panels


# The plot is saved beside the card, which displays it
CURVES_FILE = "training_curves.png"
# Strategies that do not depend on the mask rate
_STILL = {"all": "with every block hidden", "none": "with no block hidden"}
_PANELS = (
    Panel(
        "Cross-entropy, training",
        (
            Curve("loss/sequence", "whole sequences", BLUE),
            Curve("loss/student", "student, final answer", ORANGE),
            Curve("loss/teacher", "teacher, final answer", GREEN),
        ),
        "nats per token",
    ),
    Panel(
        "Divergence of student and teacher",
        (Curve("loss/distillation", "on the final answer", GREEN),),
        "nats per token",
        (0, None),
    ),
    Panel(
        "What is hidden, and agreement",
        (
            Curve("mask/rate", "mask rate", GRAY, smoothed=False),
            Curve("mask/hidden_share", "share of the sequence hidden", BLUE),
            Curve("student/teacher_agreement", "student's top-1 token is the teacher's", GREEN),
            Curve("student/mean_token_accuracy", "student's top-1 token is correct", ORANGE),
        ),
        ylim=(0, 1.02),
    ),
)


def read_series(log_history: list[dict[str, Any]]) -> dict[str, tuple[list[int], list[float]]]:
    """
    Groups a trainer's log by quantity.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.

    Returns:
        `dict[str, tuple[list[int], list[float]]]`: Steps and values of each logged quantity.
    """
    series: dict[str, tuple[list[int], list[float]]] = {}
    for entry in log_history:
        for name, value in entry.items():
            if name not in ("step", "epoch") and isinstance(value, int | float):
                steps, values = series.setdefault(name, ([], []))
                steps.append(entry["step"])
                values.append(value)
    return series


def summarize(
    log_history: list[dict[str, Any]], mask_strategy: Sequence[str] = (), distillation_weight: float = 1.0
) -> list[tuple[str, float, float, str]]:
    """
    Returns the main figures of a run, with notes on which should fall or rise.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.
        mask_strategy (`Sequence[str]`, *optional*):
            Setting of the run, for the notes; by default a strategy that hides more as the mask rate grows.
        distillation_weight (`float`, *optional*, defaults to `1.0`):
            Setting of the run, for the notes.

    Returns:
        `list[tuple[str, float, float, str]]`: Quantity, its value at the start and at the end, and a note for the reader.
    """
    series, summary = read_series(log_history), []
    if "eval_loss" in series:
        steps, values = series["eval_loss"]
        note = f"should fall; steps {steps[0]} and {steps[-1]}"
        summary.append(("eval loss (direct answer)", values[0], values[-1], note))
        if "eval_mean_token_accuracy" in series:
            values = series["eval_mean_token_accuracy"][1]
            summary.append(("eval top-1 token accuracy", values[0], values[-1], "should rise"))
    rates, shares = (series.get(name, ([], []))[1] for name in ("mask/rate", "mask/hidden_share"))
    hidden = _what_is_hidden(rates or [0.0], shares, mask_strategy)
    divergence = hidden if distillation_weight else "only measured: its weight is 0"
    for name, label, note in (
        ("loss/sequence", "train loss, whole sequences", "should fall; first and last quarter of the steps"),
        ("loss/student", "train loss, student's answer", hidden),
        ("loss/distillation", "train divergence from teacher", divergence),
    ):
        if name in series:
            first, last = quarters(series[name][1])
            summary.append((label, first, last, note))
    return summary


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """Returns the means of the first and the last quarter of the values."""
    quarter = max(1, len(values) // 4)
    return sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter


def _what_is_hidden(rates: Sequence[float], shares: Sequence[float], mask_strategy: Sequence[str]) -> str:
    if mask_strategy and set(mask_strategy) <= _STILL.keys():
        return " or ".join(_STILL[strategy] for strategy in dict.fromkeys(mask_strategy))
    if rates[0] == rates[-1]:
        return f"at mask rate {rates[-1]:.2f}"
    if not shares:  # a log without reflection rows
        return f"at mask rate {rates[0]:.2f} to {rates[-1]:.2f}"
    first, last = quarters(shares)
    return f"rises as more of the sequence is hidden: {first:.0%} to {last:.0%}"


def plot_training(log_history: list[dict[str, Any]], file: str | os.PathLike[str]) -> Path:
    """
    Plots the curves of one run.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.
        file (`str` or `os.PathLike`):
            Image file to write.

    Returns:
        `Path`: The image.
    """
    series = read_series(log_history)
    evaluations = [name for name in sorted(series) if name.startswith("eval") and name.endswith("_loss")]
    panels = (
        *_PANELS,
        Panel(
            "One-off loss on held-out rows",
            [Curve(name, name, ORANGE if name == "eval_loss" else None, smoothed=False) for name in evaluations],
            "nats per token",
        ),
    )
    return draw_panels(series, panels, file)
