"""Plots a run: rounds of its rows, failure types, and reasons of rejection."""

import os

from .statistics import BuildStatistics


_FEWEST_BARS, _MOST_BARS = 4, 12  # limits of the bars in a panel


def plot_build(statistics: BuildStatistics, path: str | os.PathLike[str]) -> bool:
    """
    Plots the statistics of a run.

    Args:
        statistics ([`BuildStatistics`]):
            Statistics of the run.
        path (`str` or `Path`):
            PNG file to write.

    Returns:
        `bool`: Whether matplotlib is installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        return False
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    parts = [
        ("rows, by programs run", {str(rounds): count for rounds, count in statistics.rounds.items()}),
        ("failed attempts, by kind", statistics.failures),
        ("rejected rollouts, by reason", statistics.rejections),
    ]
    for axes, (title, counts) in zip(figure.subplots(1, 3), parts, strict=True):
        axes.set_title(f"{title} ({sum(counts.values()):,})")
        if not counts:
            axes.axis("off")
            axes.text(0.5, 0.5, "none", ha="center", va="center", color="gray", transform=axes.transAxes)
            continue
        names = list(counts)[:_MOST_BARS]
        bars = axes.barh([name.replace("_", " ") for name in names], [counts[name] for name in names], color="#4c72b0")
        axes.bar_label(bars, padding=3, fmt="{:,.0f}")
        axes.set_ylim(max(len(names), _FEWEST_BARS) - 0.5, -0.5)  # the first on top
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.margins(x=0.15)
    figure.savefig(path, dpi=150)
    return True
