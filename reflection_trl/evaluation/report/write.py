"""Writes the files of a report."""

import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...markdown import cell
from ...viewers.page import fill_page, printable
from ..results import EvaluationRun
from .charts import failure_bars, rate_bars
from .content import Content, color_of, name_runs, words
from .grid import grid_data, grid_help
from .pictures import NO_MATPLOTLIB, draw_pictures


_TEMPLATES = Path(__file__).with_name("templates")


def write_report(runs: Sequence[EvaluationRun], directory: str | os.PathLike[str]) -> Path:
    """
    Writes the results of an evaluation for people: `report.html`, `report.md`, and where matplotlib is installed
    `pass_rates.png` and `failures.png`.

    Args:
        runs (`Sequence[EvaluationRun]`):
            The run to report, then those to compare it with.
        directory (`str` or `os.PathLike`):
            Folder for the files; made where it is missing. Files of these names in it are replaced.

    Returns:
        `Path`: The page.

    Raises:
        ValueError: If there is no run.
    """
    if not runs:
        raise ValueError("There is nothing to report: pass at least one evaluation run.")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = name_runs(runs)
    others = names[1:] if len(names) <= 2 else [f"{len(names) - 1} others"]
    content = Content(runs, names)
    title = f"Evaluation of {' and '.join([names[0], *others])}"
    pictures = draw_pictures(content, directory)
    _write(directory / "report.md", _markdown(content, title, pictures))
    _write(directory / "report.html", _page(content, title))
    return directory / "report.html"


def _page(report: Content, title: str) -> str:
    first = report.runs[0]
    return fill_page(
        "report.html",
        grid_data(report),
        templates=_TEMPLATES,
        subtitle=" · ".join(filter(None, [first.date[:10], first.revision and f"revision {first.revision[:12]}"])),
        sections=_sections(report),
        rate_bars=rate_bars(report) if report.benchmarks else [],
        failure_bars=failure_bars(report) if report.kinds else [],
        legend=[(words(kind), color_of(kind)) for kind in report.kinds],
        grid_help=grid_help(report),
        report=report,
        title=title,
    )


def _sections(report: Content) -> dict[str, str]:
    """Headings of the page's sections by their anchors; those that have nothing to show are left out."""
    sections = {
        "results": ("Results", True),
        "compared": ("Comparison", report.comparisons),
        "failures": ("Failure types", report.kinds),
        "problems": ("Problems", report.benchmarks),
        "suspicious": ("Suspicious answers", report.suspicious),
        "skipped": ("Skipped, or run in part", report.skipped),
        "contamination": ("Contamination", report.contamination),
        "made": ("Settings of the runs", True),
    }
    return {anchor: heading for anchor, (heading, shown) in sections.items() if shown}


def _markdown(report: Content, title: str, pictures: dict[str, str]) -> str:
    def picture(name: str) -> Markup:
        return Markup(f"![{pictures[name]}]({name})") if name in pictures else Markup("")

    no_pictures = Markup("" if pictures else NO_MATPLOTLIB)
    template = _markdown_environment().get_template("report.md")
    text = template.render(report=report, title=title, picture=picture, no_pictures=no_pictures)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@functools.cache
def _markdown_environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        # Every value becomes one line of text in which nothing acts as Markdown or HTML; macros and pictures are Markdown
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else Markup(cell(printable(str(value)))),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
