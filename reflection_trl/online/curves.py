"""Plots the curves of online training and summarizes its figures: solve rate, signal, divergence, entropy."""

import os
from pathlib import Path
from typing import Any

from ..training.curves import BLUE, GRAY, GREEN, ORANGE, read_series, smooth


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
_PANELS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Solve rate",
        (
            ("execution/pass_rate", "rollouts", BLUE),
            ("eval_execution/pass_rate", "held-out problems", ORANGE),
            ("groups/with_signal", "groups with a signal", GRAY),
        ),
    ),
    ("Divergence from the teacher, nats per token", (("distillation/divergence", "taught answers", GREEN),)),
    ("Entropy, nats per token", (("entropy", "rollouts", BLUE),)),
    ("Tokens per answer", (("completions/mean_length", "mean", BLUE),)),
)


def summarize_online(log_history: list[dict[str, Any]]) -> list[tuple[str, float, float, str]]:
    """
    Returns the main figures of online training, at its start and end.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.

    Returns:
        `list[tuple[str, float, float, str]]`: Quantity, its value at the start and at the end, and a note for the reader.
    """
    series, summary = read_series(log_history), []
    if "eval_execution/pass_rate" in series:
        steps, values = series["eval_execution/pass_rate"]
        note = f"steps {steps[0]} and {steps[-1]}"
        summary.append(("solve rate of held-out problems", values[0], values[-1], note))
    for name, label in _SUMMARY:
        if name in series:
            values = series[name][1]
            quarter = max(1, len(values) // 4)
            first, last = sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter
            summary.append((label, first, last, "first and last quarter of the steps"))
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series = read_series(log_history)
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, lines) in zip(figure.subplots(2, 2, sharex=True).flat, _PANELS, strict=True):
        for name, label, color in lines:
            if name not in series:
                continue
            steps, values = series[name]
            window = len(values) // 20
            if window:
                axes.plot(steps, values, color=color, alpha=0.3, linewidth=0.8)
            marker = "o" if len(steps) < 12 else ""
            axes.plot(steps, smooth(values, window), color=color, linewidth=1.6, marker=marker, label=label)
        axes.set(title=title, ylim=(0, 1.02) if title == "Solve rate" else (0, None), xlabel="optimizer step")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False, fontsize="small")
        else:
            axes.text(0.5, 0.5, "not logged in this run", transform=axes.transAxes, ha="center", color=GRAY)
    figure.savefig(file, dpi=140)
    return Path(file)
