"""Draws the logged quantities of a run as a figure of four panels."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, GRAY = "#3465a4", "#d9730d", "#3d8a4e", "#6b6b6b"

Series = tuple[list[int], list[float]]


@dataclass(frozen=True)
class Curve:
    """
    Describes a line of a panel.

    Args:
        name (`str`):
            Logged quantity; a panel leaves out what was not logged.
        label (`str`):
            Its name in the legend.
        color (`str`, *optional*):
            Color; matplotlib's next one by default.
        smoothed (`bool`, *optional*, defaults to `True`):
            Whether to draw a moving average over a twentieth of the steps, with the values themselves in pale.
    """

    name: str
    label: str
    color: str | None = None
    smoothed: bool = True


@dataclass(frozen=True)
class Panel:
    """
    Describes one of the four plots of a figure.

    Args:
        title (`str`):
            Title.
        curves (`Sequence[Curve]`):
            Lines.
        ylabel (`str`, *optional*):
            Unit of the values.
        ylim (`tuple`, *optional*, defaults to `(None, None)`):
            Lowest and highest value of the axis; `None` leaves an end to the values.
    """

    title: str
    curves: Sequence[Curve]
    ylabel: str | None = None
    ylim: tuple[float | None, float | None] = (None, None)


def smooth(values: list[float], window: int) -> list[float]:
    """Returns the mean of each value and up to `window` values before it."""
    return [sum(part) / len(part) for part in (values[max(0, i - window) : i + 1] for i in range(len(values)))]


def draw_panels(series: Mapping[str, Series], panels: Sequence[Panel], file: str | os.PathLike[str]) -> Path:
    """
    Draws four panels into an image.

    Args:
        series (`Mapping[str, tuple]`):
            Steps and values of each logged quantity.
        panels (`Sequence[Panel]`):
            The four panels, row by row.
        file (`str` or `os.PathLike`):
            Image file to write.

    Returns:
        `Path`: The image.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, 2, sharex=True)
    for axes, panel in zip(grid.flat, panels, strict=True):
        for curve in panel.curves:
            if curve.name in series:
                _draw(axes, curve, *series[curve.name])
        axes.set(title=panel.title, ylabel=panel.ylabel, ylim=panel.ylim)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False, fontsize="small")
        else:
            axes.text(0.5, 0.5, "not logged in this run", transform=axes.transAxes, ha="center", color=GRAY)
    for axes in grid[1]:
        axes.set_xlabel("optimizer step")
    figure.savefig(file, dpi=140)
    return Path(file)


def _draw(axes: "Axes", curve: Curve, steps: list[int], values: list[float]) -> None:
    window = len(values) // 20 if curve.smoothed else 0
    if window:
        axes.plot(steps, values, color=curve.color, alpha=0.3, linewidth=0.8)
    marker = "o" if len(steps) < 12 else ""
    axes.plot(steps, smooth(values, window), color=curve.color, linewidth=1.6, marker=marker, label=curve.label)
