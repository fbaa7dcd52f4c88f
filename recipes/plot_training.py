"""Plot a training run: losses, divergence, mask rate, agreement and evaluation loss over the steps.

python recipes/plot_training.py OUTPUT_DIR_OR_TRAINER_STATE.json [-o curves.png]
"""

import argparse
import json
import sys
from pathlib import Path


BLUE, ORANGE, GREEN, GREY = "#3465a4", "#d9730d", "#3d8a4e", "#6b6b6b"


def read_series(log_history):
    """
    Order a trainer's log by quantity.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.

    Returns:
        `dict[str, tuple[list[int], list[float]]]`: Steps and values of each logged quantity.
    """
    series = {}
    for entry in log_history:
        for name, value in entry.items():
            if name not in ("step", "epoch") and isinstance(value, int | float):
                steps, values = series.setdefault(name, ([], []))
                steps.append(entry["step"])
                values.append(value)
    return series


def smooth(values, window):
    """Mean of each value with up to `window` values before it."""
    return [sum(part) / len(part) for part in (values[max(0, i - window) : i + 1] for i in range(len(values)))]


def plot_training(log_history, file):
    """
    Draw the curves of one run.

    Args:
        log_history (`list[dict]`):
            `trainer.state.log_history`, or the same key of `trainer_state.json`.
        file (`str` or `Path`):
            Image to write.

    Returns:
        `Path`: The image.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series = read_series(log_history)
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex=True).flat

    def draw(axes, name, label, color, smoothed=True):
        if name not in series:
            return
        steps, values = series[name]
        window = len(values) // 20 if smoothed else 0
        if window:
            axes.plot(steps, values, color=color, alpha=0.3, linewidth=0.8)
        line = smooth(values, window)
        axes.plot(steps, line, color=color, linewidth=1.6, marker="o" if len(steps) < 12 else "", label=label)

    losses, divergence, rates, evaluation = panels
    draw(losses, "sequence_loss", "whole sequences", BLUE)
    draw(losses, "student_loss", "student, final code", ORANGE)
    losses.set(title="Cross-entropy, training", ylabel="nats per token")
    draw(divergence, "divergence", "on the final code", GREEN)
    divergence.set(title="Divergence of student and teacher", ylabel="nats per token", ylim=(0, None))
    draw(rates, "mask_rate", "mask rate", GREY, smoothed=False)
    draw(rates, "teacher_student_agreement", "student's first choice is the teacher's", GREEN)
    draw(rates, "one_off_token_accuracy", "student's first choice is right", ORANGE)
    rates.set(title="Mask rate and agreement", ylim=(0, 1.02))
    for name in sorted(series):
        if name.startswith("eval") and name.endswith("_loss"):
            draw(evaluation, name, name, ORANGE if name == "eval_loss" else None, smoothed=False)
    evaluation.set(title="One-off loss on held-out rows", ylabel="nats per token")
    for axes in (losses, divergence, rates, evaluation):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False, fontsize="small")
        else:
            axes.text(0.5, 0.5, "not logged in this run", transform=axes.transAxes, ha="center", color=GREY)
    for axes in (rates, evaluation):
        axes.set_xlabel("optimizer step")
    figure.savefig(file, dpi=140)
    return Path(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path, help="trainer_state.json, or the folder that holds it")
    parser.add_argument("-o", "--output", type=Path, help="image; by default training_curves.png beside the state")
    args = parser.parse_args()
    state = args.state / "trainer_state.json" if args.state.is_dir() else args.state
    try:
        log_history = json.loads(state.read_text())["log_history"]
        print(plot_training(log_history, args.output or state.parent / "training_curves.png"))
    except OSError as error:
        print(f"error: {error.strerror}: {error.filename}", file=sys.stderr)
    except (json.JSONDecodeError, KeyError, TypeError):
        print(f"error: {state} is no trainer_state.json.", file=sys.stderr)
    except ImportError as error:
        print(f"error: {error}; install it with `pip install matplotlib`.", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
