"""Plots the curves of a training run and summarizes its figures: losses, divergence, mask rate, agreement."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .panels import BLUE, GRAY, GREEN, ORANGE, Curve, Panel, Series, draw_panels


# The plot is saved beside the card, which displays it
CURVES_FILE = "training_curves.png"
IN_QUARTERS = "first and last quarter of the steps"
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


class SummaryRow(NamedTuple):
    """
    Holds a quantity of a run at its start and end.

    Args:
        quantity (`str`):
            Name.
        first (`float` or `None`):
            Value at the start; `None` if it was logged only once.
        last (`float`):
            Value at the end.
        note (`str`):
            Steps of the values, or what to expect of them.
    """

    quantity: str
    first: float | None
    last: float
    note: str

    def __str__(self) -> str:
        start = "" if self.first is None else f"{self.first:.3f} -> "
        return f"{self.quantity:<32} {start}{self.last:.3f}   ({self.note})"


def read_series(log_history: list[dict[str, Any]]) -> dict[str, Series]:
    """
    Groups a trainer's log by quantity.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.

    Returns:
        `dict[str, tuple[list[int], list[float]]]`: Steps and values of each logged quantity.
    """
    series: dict[str, Series] = {}
    for entry in log_history:
        for name, value in entry.items():
            if name not in ("step", "epoch") and isinstance(value, int | float):
                steps, values = series.setdefault(name, ([], []))
                steps.append(entry["step"])
                values.append(value)
    return series


def summarize(
    log_history: list[dict[str, Any]], mask_strategy: Sequence[str] = (), distillation_weight: float = 1.0
) -> list[SummaryRow]:
    """
    Returns the main figures of a run, with notes on which should fall or rise.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.
        mask_strategy (`Sequence[str]`, *optional*, defaults to `()`):
            Setting of the run, for the notes; by default a strategy that hides more as the mask rate grows.
        distillation_weight (`float`, *optional*, defaults to `1.0`):
            Setting of the run, for the notes.
    """
    series, summary = read_series(log_history), []
    if "eval_loss" in series:
        steps, _ = series["eval_loss"]
        note = f"should fall; steps {steps[0]} and {steps[-1]}"
        summary.append(summary_row("eval loss (direct answer)", series["eval_loss"], note, averaged=False))
        if "eval_mean_token_accuracy" in series:
            accuracy = series["eval_mean_token_accuracy"]
            summary.append(summary_row("eval top-1 token accuracy", accuracy, "should rise", averaged=False))
    rates, shares = (series.get(name, ([], []))[1] for name in ("mask/rate", "mask/hidden_share"))
    hidden = _what_is_hidden(rates or [0.0], shares, mask_strategy)
    divergence = hidden if distillation_weight else "only measured: its weight is 0"
    for name, label, note in (
        ("loss/sequence", "train loss, whole sequences", f"should fall; {IN_QUARTERS}"),
        ("loss/student", "train loss, student's answer", hidden),
        ("loss/distillation", "train divergence from teacher", divergence),
    ):
        if name in series:
            summary.append(summary_row(label, series[name], note))
    return summary


def summary_row(quantity: str, series: Series, note: str, averaged: bool = True) -> SummaryRow:
    """
    Returns a quantity at the start and end of a run.

    Args:
        quantity (`str`):
            Name in the summary.
        series (`tuple[list[int], list[float]]`):
            Steps and values, at least one.
        note (`str`):
            Note, unless there is only one value.
        averaged (`bool`, *optional*, defaults to `True`):
            Whether to take the means of the first and the last quarter of the values, not the first and the last value.
    """
    steps, values = series
    if len(values) == 1:
        return SummaryRow(quantity, None, values[0], f"logged only at step {steps[0]}")
    first, last = _quarters(values) if averaged else (values[0], values[-1])
    return SummaryRow(quantity, first, last, note)


def _quarters(values: Sequence[float]) -> tuple[float, float]:
    quarter = max(1, len(values) // 4)
    return sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter


def _what_is_hidden(rates: Sequence[float], shares: Sequence[float], mask_strategy: Sequence[str]) -> str:
    if mask_strategy and set(mask_strategy) <= _STILL.keys():
        return " or ".join(_STILL[strategy] for strategy in dict.fromkeys(mask_strategy))
    if rates[0] == rates[-1]:
        return f"at mask rate {rates[-1]:.2f}"
    if len(shares) < 2:  # hardly any reflection rows
        return f"at mask rate {rates[0]:.2f} to {rates[-1]:.2f}"
    first, last = _quarters(shares)
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
