"""Plots the charts of a report as PNG files, if matplotlib is installed."""

import importlib.util
import logging
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...viewers.page import printable
from .charts import Group, failure_bars, rate_bars
from .content import Content, color_of, words


logger = logging.getLogger(__name__)

NO_MATPLOTLIB = (
    "There are no pictures, since matplotlib is not installed: `pip install matplotlib`, and write the report again."
)
_LABEL_WIDTH = 44  # characters
_LINE_HEIGHT = 0.18  # inches


def draw_pictures(content: Content, directory: Path) -> dict[str, str]:
    """
    Plots the charts, if matplotlib is installed.

    Args:
        content ([`Content`]):
            Of the report.
        directory (`Path`):
            Folder for `pass_rates.png` and `failures.png`.

    Returns:
        `dict[str, str]`: The files that were written, and what each shows.
    """
    if not content.benchmarks:
        return {}
    if importlib.util.find_spec("matplotlib") is None:
        logger.warning(NO_MATPLOTLIB)
        return {}
    rates = rate_bars(content)
    figure, axes, places = draw_figure(rates, "pass@1, %")
    for bar, place in zip(_bars(rates), places, strict=True):
        color = "#2f7fd6" if bar.reported else "#8c96a3"
        axes.plot([100 * bar.low, 100 * bar.high], [place, place], color=color, linewidth=2.5)
        axes.plot(100 * bar.value, place, "o", color=color, markersize=8)
        _write_beside(axes, f"{100 * bar.value:.1f}", place)
    axes.set_xlim(-2, 102)
    figure.savefig(directory / "pass_rates.png", dpi=150)
    pictures = {"pass_rates.png": "pass@1 with 95 % intervals"}
    if content.kinds:
        _draw_failures(content, directory / "failures.png")
        pictures["failures.png"] = "Failed answers by kind"
    return pictures


def _draw_failures(content: Content, path: Path) -> None:
    groups = failure_bars(content)
    figure, axes, places = draw_figure(groups, "share of all answers, %")
    for bar, place in zip(_bars(groups), places, strict=True):
        left = 0.0
        for segment in bar.segments:
            axes.barh(place, 100 * segment.share, 0.8 * _LINE_HEIGHT, left, color=segment.color)
            left += 100 * segment.share
        _write_beside(axes, f"{100 * bar.share:.1f}", place)
    axes.set_xlim(left=0)
    from matplotlib.patches import Patch

    patches = [Patch(color=color_of(kind), label=_drawable(words(kind))) for kind in content.kinds]
    figure.legend(handles=patches, loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def draw_figure(groups: Sequence[Group[Any]], xlabel: str) -> tuple[Any, Any, list[float]]:
    """
    Draws empty axes with a line for each benchmark and each bar, as high as its name needs.

    Args:
        groups (`Sequence[Group]`):
            The chart.
        xlabel (`str`):
            Label of the axis.

    Returns:
        `tuple`: The figure, its axes, and the height of each bar.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ticks, labels, places, height = [], [], [], 0.0
    for group in groups:
        for number, text in enumerate([group.benchmark, *(bar.label for bar in group.bars)]):
            wrapped = textwrap.fill(_drawable(text), _LABEL_WIDTH) or "-"
            lines = _LINE_HEIGHT * (wrapped.count("\n") + 1.6)
            ticks.append(height + lines / 2)
            labels.append(wrapped)
            if number:
                places.append(height + lines / 2)
            height += lines
        height += _LINE_HEIGHT / 2
    figure = Figure(figsize=(10, height + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_yticks(ticks, labels, fontsize=9)
    for tick, label in zip(ticks, axes.get_yticklabels(), strict=True):
        label.set_fontweight("normal" if tick in places else "bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(height, 0)
    axes.set_xlabel(xlabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    return figure, axes, places


def _bars(groups: Sequence[Group[Any]]) -> list[Any]:
    return [bar for group in groups for bar in group.bars]


def _write_beside(axes: Any, text: str, place: float) -> None:
    """Writes a figure to the right of the axes, where nothing else is drawn."""
    axes.annotate(
        text,
        (1, place),
        (6, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )


def _drawable(text: str) -> str:
    """Returns text that matplotlib can render and does not read as a formula."""
    return printable(text).replace("$", r"\$")
