"""The report of an evaluation for people: one self-contained page, the same tables as Markdown, and pictures of them.

The run that is reported stands beside any number of baselines: pass@k with intervals, paired comparisons, what the failed
answers failed of, and a grid of all problems in which each cell leads to the code of both sides.
"""

import importlib.util
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..viewers.page import escape, fill_page, printable
from .benchmarks import find_benchmark
from .results import EvaluationRun, Outcome, Score
from .statistics import Comparison, Rate, compare, failure_kinds, rate, right_answers


logger = logging.getLogger(__name__)

_KS = (1, 10, 100)

# What the page shows of one task and run: all that differs is in the counts
_MOST_ANSWERS = 6
_LONGEST = 20_000
_LONGEST_LABEL = 30  # characters of a name in a chart

# Kinds of failure with their colors, from "it does not run" over "it is wrong" to "it never got there"
_COLORS = {
    "syntax": "#d1495b",
    "name": "#ee8959",
    "import": "#f2c14e",
    "type": "#8d6cab",
    "value": "#5b8fd9",
    "runtime": "#3a6ea5",
    "assertion": "#2a9d8f",
    "wrong_answer": "#2a9d8f",
    "timeout": "#8a6b4f",
    "memory": "#b08968",
    "output_limit": "#c9ada7",
    "refused": "#6d7784",
    "truncated": "#98a2ae",
    "empty": "#c3cad2",
}
_OTHER_COLOR = "#555b6e"


@dataclass(frozen=True)
class _Table:
    """
    Head and body of a table, in plain text. The second line of a cell is of less weight.

    Args:
        head (`Sequence[str]`):
            The first row.
        body (`Sequence[Sequence[str]]`):
            The others.
        kind (`str`, *optional*, defaults to `"numbers"`):
            `"numbers"`, `"rates"` (with their intervals below them) or `"words"`.
    """

    head: Sequence[str]
    body: Sequence[Sequence[str]]
    kind: str = "numbers"

    def html(self) -> str:
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in self.head)
        body = "".join(f"<tr>{''.join(map(_cell_html, row))}</tr>" for row in self.body)
        return f'<div class="card"><table class="{self.kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'

    def markdown(self) -> str:
        rule = "---" if self.kind == "words" else "--:"
        head, *body = ([_markdown_cell(cell) for cell in row] for row in (self.head, *self.body))
        lines = [head, ["---", *[rule] * (len(head) - 1)], *body]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_report(
    runs: Sequence[EvaluationRun], directory: str | os.PathLike[str], *, title: str | None = None
) -> Path:
    """
    Write what an evaluation found, for people: `report.html`, `report.md`, and where matplotlib is installed
    `pass_rates.png` and `failures.png`.

    Args:
        runs (`Sequence[EvaluationRun]`):
            The run to report, then those to compare it with.
        directory (`str` or `os.PathLike`):
            Folder for the files; made where it is missing. Files of these names in it are replaced.
        title (`str`, *optional*):
            Heading; by default the names of the models.

    Returns:
        `Path`: The page.

    Raises:
        ValueError: If there is no run.
    """
    if not runs:
        raise ValueError("There is nothing to report: give at least one evaluation run.")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = _names(runs)
    title = (
        title
        or f"Evaluation of {' and '.join([names[0], *([f'{len(names) - 1} others'] if len(names) > 2 else names[1:])])}"
    )
    content = _Content(runs, names)
    pictures = _draw_pictures(content, directory)
    _write(directory / "report.md", _markdown_report(content, title, pictures))
    _write(directory / "report.html", _html_report(content, title))
    return directory / "report.html"


_SUSPICIOUS = (
    "Answers that touch what honest ones do not, whether they passed or not: read them before you believe the figures."
)


class _Content:
    """What page, Markdown and pictures tell alike."""

    def __init__(self, runs: Sequence[EvaluationRun], names: Sequence[str]):
        self.runs = runs
        self.names = names
        self.labels = _labels(names)
        scores = [score for run in runs for score in run.scores if score.outcomes]
        self.benchmarks = list(dict.fromkeys(score.benchmark for score in scores))
        self.rates = {
            (benchmark, run, k): rate(score, k)
            for benchmark in self.benchmarks
            for run, score in self.scores(benchmark)
            for k in _KS
            if k <= min(answers for answers, _ in right_answers(score).values())
        }
        self.comparisons = {
            (baseline, benchmark): compare(ours, theirs)
            for baseline in range(1, len(runs))
            for benchmark in self.benchmarks
            if (ours := self.score(0, benchmark)) and (theirs := self.score(baseline, benchmark))
            if right_answers(ours).keys() & right_answers(theirs).keys()
        }
        self.failures = {
            (benchmark, run): (failure_kinds(score), len(score.outcomes))
            for benchmark in self.benchmarks
            for run, score in self.scores(benchmark)
        }
        found = {kind for kinds, _ in self.failures.values() for kind in kinds}
        self.kinds = [kind for kind in _COLORS if kind in found] + sorted(found - _COLORS.keys())
        named = list(zip(names, runs, strict=True))
        self.skipped = [(name, benchmark, why) for name, run in named for benchmark, why in run.skipped.items()]
        self.suspicious = [
            (
                name,
                score.benchmark,
                outcome.task_id,
                "passed" if outcome.passed else "failed",
                ", ".join(outcome.suspicious),
            )
            for name, run in named
            for score in run.scores
            for outcome in score.outcomes
            if outcome.suspicious
        ]
        self.contamination = [
            (name, _plain(run.settings["contamination"])) for name, run in named if run.settings.get("contamination")
        ]

    def score(self, run: int, benchmark: str) -> Score | None:
        score = self.runs[run].score(benchmark)
        return score if score and score.outcomes else None

    def scores(self, benchmark: str) -> list[tuple[int, Score]]:
        """The runs that were scored on a benchmark."""
        return [(run, score) for run in range(len(self.runs)) if (score := self.score(run, benchmark))]

    def baselines(self) -> list[int]:
        """The runs that there is something to compare with."""
        return sorted({baseline for baseline, _ in self.comparisons})

    def pass_table(self) -> _Table:
        places = dict.fromkeys((benchmark, k) for benchmark, _, k in self.rates)
        columns = sorted(places, key=lambda column: (self.benchmarks.index(column[0]), column[1]))
        head = ["model", *(f"{benchmark} pass@{k}" for benchmark, k in columns)]
        body = [
            [name, *(_rate_cell(self.rates.get((benchmark, run, k))) for benchmark, k in columns)]
            for run, name in enumerate(self.names)
        ]
        return _Table(head, body, "rates")

    def comparison_table(self, baseline: int) -> _Table:
        found = [
            (benchmark, self.comparisons[baseline, benchmark])
            for benchmark in self.benchmarks
            if (baseline, benchmark) in self.comparisons
        ]
        head = ["benchmark", "problems", "won", "lost", "difference in pass@1", "95 % interval", "p", "verdict"]
        return _Table(head, [_comparison_row(benchmark, one) for benchmark, one in found])

    def failure_table(self, benchmark: str) -> _Table:
        runs = [run for run, _ in self.scores(benchmark)]
        kinds = [kind for kind in self.kinds if any(kind in self.failures[benchmark, run][0] for run in runs)]
        totals = [self.failures[benchmark, run][1] for run in runs]
        counts = {kind: [self.failures[benchmark, run][0].get(kind, 0) for run in runs] for kind in kinds}
        counts["all failures"] = [sum(self.failures[benchmark, run][0].values()) for run in runs]
        body = [[_words(kind), *map(_share, row, totals)] for kind, row in counts.items()]
        return _Table(["failed with", *(self.labels[run] for run in runs)], body)

    def suspicious_table(self) -> _Table:
        return _Table(["model", "benchmark", "task", "verdict", "what the answer touches"], self.suspicious, "words")

    def skipped_table(self) -> _Table:
        return _Table(["model", "benchmark", "why"], self.skipped, "words")

    def facts(self, run: int) -> dict[str, str]:
        """How a run was made."""
        one = self.runs[run]
        facts = {"date": one.date, "model revision": one.revision or "", "command": one.command}
        facts |= {_words(name): _plain(value) for name, value in one.settings.items() if name != "contamination"}
        return {name: value for name, value in facts.items() if value}


# What both the page and Markdown say

_INTERVALS = (
    "Share of problems solved, in %, with its 95 % interval: it tells how far the figure might move on another set of "
    "such problems."
)
_COMPARED = (
    "Problem by problem, on those that both answered. Won are problems that {name} solves and the other does not (with "
    "several answers each: solves more often). The interval of the difference comes from the bootstrap over problems, p "
    "from McNemar's exact test (with several answers: from a permutation test)."
)
_FAILED = "Failed answers by what was wrong with them, with their share of all answers of the run."
_NO_RESULT = "No benchmark was run."
_NO_MATPLOTLIB = (
    "There are no pictures, since matplotlib is not installed: `pip install matplotlib`, and write the report again."
)


def _markdown_report(content: _Content, title: str, pictures: dict[str, str]) -> str:
    def picture(name: str) -> list[str]:
        return [f"![{pictures[name]}]({name})"] if name in pictures else []

    table = content.pass_table().markdown() if content.benchmarks else _NO_RESULT
    parts = [f"# {_markdown(title)}", "## Results", _INTERVALS, table, *picture("pass_rates.png")]
    for baseline in content.baselines():
        name, explained = content.names[baseline], _COMPARED.format(name=_markdown(content.names[0]))
        parts += [f"## Against {_markdown(name)}", explained, content.comparison_table(baseline).markdown()]
    if content.kinds:
        parts += ["## Why answers fail", _FAILED, *picture("failures.png")]
        for benchmark in content.benchmarks:
            parts += [f"### {_markdown(benchmark)}", content.failure_table(benchmark).markdown()]
    if content.suspicious:
        parts += ["## Suspicious answers", _SUSPICIOUS, content.suspicious_table().markdown()]
    if content.skipped:
        parts += ["## Not run", content.skipped_table().markdown()]
    if content.contamination:
        parts += [
            "## Contamination",
            *(f"{_markdown(name)}: {_markdown(text)}" for name, text in content.contamination),
        ]
    parts.append("## How it was made")
    for run, name in enumerate(content.names):
        facts = [f"- {_markdown(fact)}: {_markdown(value)}" for fact, value in content.facts(run).items()]
        parts += [f"### {_markdown(name)}", "\n".join(facts) or "Nothing is recorded."]
    parts.append(
        "The answers to each problem stand in `report.html`." if pictures or not content.benchmarks else _NO_MATPLOTLIB
    )
    return "\n\n".join(parts) + "\n"


def _html_report(content: _Content, title: str) -> str:
    sections: list[tuple[str, str, str]] = []  # id, heading, body
    results = content.pass_table().html() + _pass_chart(content) if content.benchmarks else _paragraph(_NO_RESULT)
    sections.append(("results", "Results", _paragraph(_INTERVALS) + results))
    compared = "".join(
        f"<h3>Against {escape(content.names[baseline])}</h3>{content.comparison_table(baseline).html()}"
        for baseline in content.baselines()
    )
    if compared:
        sections.append(("compared", "Compared", _paragraph(_COMPARED.format(name=content.names[0])) + compared))
    if content.kinds:
        tables = "".join(
            f"<div><h3>{escape(benchmark)}</h3>{content.failure_table(benchmark).html()}</div>"
            for benchmark in content.benchmarks
        )
        body = f'{_paragraph(_FAILED)}{_failure_chart(content)}<div class="tables">{tables}</div>'
        sections.append(("failures", "Why answers fail", body))
    notes: list[tuple[str, str, str]] = []
    if content.suspicious:
        body = _paragraph(_SUSPICIOUS) + content.suspicious_table().html()
        notes.append(("suspicious", "Suspicious answers", body))
    if content.skipped:
        notes.append(("skipped", "Not run", content.skipped_table().html()))
    if content.contamination:
        notes.append(("contamination", "Contamination", _definitions(dict(content.contamination))))
    made = "".join(
        f"<h3>{escape(name)}</h3>{_definitions(content.facts(run))}" for run, name in enumerate(content.names)
    )
    notes.append(("made", "How it was made", made))
    problems = [("problems", "Every problem", "")] if content.benchmarks else []
    links = "".join(f'<a href="#{anchor}">{heading}</a>' for anchor, heading, _ in [*sections, *problems, *notes])
    first = content.runs[0]
    return fill_page(
        "report.html",
        _grid_data(content),
        title=title,
        subtitle=" · ".join(filter(None, [first.date[:10], first.revision and f"revision {first.revision[:12]}"])),
        grid_help=_grid_help(content),
        nav=Markup(links),
        sections=Markup("".join(map(_section, sections))),
        notes=Markup("".join(map(_section, notes))),
    )


def _grid_help(content: _Content) -> str:
    several = any(
        answers > 1
        for benchmark in content.benchmarks
        for _, score in content.scores(benchmark)
        for answers, _ in right_answers(score).values()
    )
    shades = " The stronger a cell's color, the larger the share of answers that it speaks of." if several else ""
    sides = "the answers of both sides" if len(content.runs) > 1 else "the answer"
    return f"Each cell is a problem: choose one to see {sides} and what failed. Arrow keys move from cell to cell.{shades}"


# Pieces of the page


def _section(section: tuple[str, str, str]) -> str:
    anchor, heading, body = section
    return f'<section id="{anchor}"><h2>{heading}</h2>{body}</section>'


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _definitions(facts: dict[str, str]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd{' class=code' * (name == 'command')}>{escape(value)}</dd>"
        for name, value in facts.items()
    )
    return f'<dl class="settings card">{rows}</dl>' if facts else '<p class="empty">Nothing is recorded.</p>'


def _pass_chart(content: _Content) -> str:
    """pass@1 with intervals, as SVG: a line for each run, in a group for each benchmark."""
    left, right, line, y, parts = 320, 60, 22, 8, []
    width = 1080 - left - right
    for benchmark in content.benchmarks:
        parts.append(f'<text class="heading" x="0" y="{y + 14}">{escape(benchmark)}</text>')
        for run, _ in content.scores(benchmark):
            one, middle = content.rates[benchmark, run, 1], y + 10
            at = {
                name: round(left + width * value, 1)
                for name, value in (("value", one.value), ("low", one.low), ("high", one.high))
            }
            parts.append(
                f'<g class="{"reported" if run == 0 else "baseline"}"><title>{escape(f"{content.names[run]}: {_rate_line(one)}")}</title>'
                f'<text class="soft" x="{left - 14}" y="{middle + 4}" text-anchor="end">{escape(content.labels[run])}</text>'
                f'<line class="axis" x1="{left}" x2="{left + width}" y1="{middle}" y2="{middle}"/>'
                f'<line class="whisker" x1="{at["low"]}" x2="{at["high"]}" y1="{middle}" y2="{middle}"/>'
                f'<circle class="dot" cx="{at["value"]}" cy="{middle}" r="5"/>'
                f'<text x="{left + width + 14}" y="{middle + 4}">{100 * one.value:.1f}</text></g>'
            )
            y += line
        y += 10
    for tick in range(0, 101, 20):
        x = left + width * tick / 100
        parts.append(
            f'<line class="axis" x1="{x}" x2="{x}" y1="4" y2="{y}"/><text class="soft" x="{x}" y="{y + 16}" text-anchor="middle">{tick} %</text>'
        )
    return _svg(1080, y + 22, "pass@1 with 95 % intervals", parts)


def _failure_chart(content: _Content) -> str:
    """Shares of failed answers by kind, as SVG: a bar for each run, in a group for each benchmark."""
    left, right, line, y, parts = 320, 60, 24, 4, []
    width = 1080 - left - right
    largest = max(sum(kinds.values()) / total for kinds, total in content.failures.values())
    for benchmark in content.benchmarks:
        parts.append(f'<text class="heading" x="0" y="{y + 14}">{escape(benchmark)}</text>')
        for run, _ in content.scores(benchmark):
            counts, total = content.failures[benchmark, run]
            x = float(left)
            parts.append(
                f'<text class="soft" x="{left - 14}" y="{y + 14}" text-anchor="end">{escape(content.labels[run])}</text>'
            )
            for kind in (kind for kind in content.kinds if kind in counts):
                wide = width * counts[kind] / total / largest
                words = f"{content.names[run]}, {benchmark}: {_words(kind)} {_share(counts[kind], total)}"
                parts.append(
                    f'<rect class="segment" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="18" fill="{_COLORS.get(kind, _OTHER_COLOR)}">'
                    f"<title>{escape(' '.join(words.split()))}</title></rect>"
                )
                x += wide
            parts.append(f'<text x="{x + 8:.1f}" y="{y + 14}">{100 * sum(counts.values()) / total:.1f} %</text>')
            y += line
        y += 10
    keys = "".join(
        f'<li><i style="background:{_COLORS.get(kind, _OTHER_COLOR)}"></i>{escape(_words(kind))}</li>'
        for kind in content.kinds
    )
    return _svg(1080, y, "Failed answers by kind", parts, f'<ul class="legend">{keys}</ul>')


def _svg(width: int, height: float, label: str, parts: Iterable[str], before: str = "") -> str:
    return f'<div class="card">{before}<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{label}">{"".join(parts)}</svg></div>'


def _grid_data(content: _Content) -> dict[str, Any]:
    """What the page's script reads. Texts, most of which come up more than once, are kept apart and referred to by number."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n[{len(text) - _LONGEST:,} characters left out]"
        return texts.setdefault(text, len(texts))

    def side(outcomes: list[Outcome]) -> list[Any] | None:
        if not outcomes:
            return None
        failed = Counter(one.kind for one in outcomes if not one.passed)
        # Of many answers some right and some wrong ones
        right, wrong = ([one for one in outcomes if one.passed is passed] for passed in (True, False))
        half = _MOST_ANSWERS // 2
        kept = [*right[: max(half, _MOST_ANSWERS - len(wrong))], *wrong[: max(half, _MOST_ANSWERS - len(right))]]
        kept.sort(key=lambda one: one.sample)
        answers = [[one.sample, one.passed, one.kind, number(one.detail), number(one.solution)] for one in kept]
        return [len(outcomes), len(right), [kind for kind, _ in failed.most_common()], answers]

    benchmarks = []
    for benchmark in content.benchmarks:
        by_run: list[dict[str, list[Outcome]]] = []
        for run in range(len(content.runs)):
            by_task: dict[str, list[Outcome]] = {}
            score = content.score(run, benchmark)
            for outcome in score.outcomes if score else ():
                by_task.setdefault(outcome.task_id, []).append(outcome)
            by_run.append(by_task)
        ids = dict.fromkeys(task for by_task in by_run for task in by_task)
        tasks = [{"id": task, "runs": [side(by_task.get(task, [])) for by_task in by_run]} for task in ids]
        known = find_benchmark(benchmark)
        language = known.language if known else "python"
        benchmarks.append({"name": benchmark, "language": language, "tasks": tasks})
    return {"runs": content.names, "benchmarks": benchmarks, "texts": list(texts)}


# Pictures


def _draw_pictures(content: _Content, directory: Path) -> dict[str, str]:
    """Draws the charts as PNG where there is matplotlib, and returns what each file shows."""
    if not content.benchmarks:
        return {}
    if importlib.util.find_spec("matplotlib") is None:
        logger.warning(_NO_MATPLOTLIB)
        return {}
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [(benchmark, run) for benchmark in content.benchmarks for run, _ in content.scores(benchmark)]
    labels = [f"{_end(benchmark)}  ·  {content.labels[run]}" for benchmark, run in lines]

    def figure(xlabel: str) -> tuple[Any, Any]:
        drawn = Figure(figsize=(10, 1.3 + 0.34 * len(lines)), layout="constrained")
        FigureCanvasAgg(drawn)
        axes = drawn.subplots()
        axes.set_yticks(range(len(lines)), map(_drawable, labels))
        axes.invert_yaxis()
        axes.set_xlabel(xlabel)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.3)
        return drawn, axes

    pictures = {"pass_rates.png": "pass@1 with 95 % intervals"}
    drawn, axes = figure("pass@1, %")
    for place, (benchmark, run) in enumerate(lines):
        one, color = content.rates[benchmark, run, 1], "#2f7fd6" if run == 0 else "#8c96a3"
        axes.plot([100 * one.low, 100 * one.high], [place, place], color=color, linewidth=2.5)
        axes.plot(100 * one.value, place, "o", color=color, markersize=8)
        axes.annotate(
            f"{100 * one.value:.1f}",
            (100 * one.value, place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_ylim(len(lines) - 0.5, -0.8)
    drawn.savefig(directory / "pass_rates.png", dpi=150)
    if content.kinds:
        pictures["failures.png"] = "Failed answers by kind"
        drawn, axes = figure("share of all answers, %")
        before = [0.0] * len(lines)
        for kind in content.kinds:
            wide = [100 * content.failures[line][0].get(kind, 0) / content.failures[line][1] for line in lines]
            axes.barh(
                range(len(lines)),
                wide,
                0.68,
                before,
                color=_COLORS.get(kind, _OTHER_COLOR),
                label=_drawable(_words(kind)),
            )
            before = [one + more for one, more in zip(before, wide, strict=True)]
        drawn.legend(loc="outside right upper", frameon=False)
        drawn.savefig(directory / "failures.png", dpi=150)
    return pictures


def _drawable(text: str) -> str:
    """Text that matplotlib can draw, and that is no formula."""
    return printable(text).replace("$", r"\$")


# Words and cells


def _names(runs: Sequence[EvaluationRun]) -> list[str]:
    """Names of the models, told apart where two are alike."""
    names: list[str] = []
    for run in runs:
        same = sum(other.model == run.model for other in runs[: len(names)])
        names.append(f"{run.model} ({same + 1})" if same else run.model)
    return names


def _labels(names: Sequence[str]) -> list[str]:
    """Names for charts: without their owners where that leaves them apart, and without their beginnings where they are long."""
    bare = [name.rpartition("/")[2] or name for name in names]
    short = bare if len(set(bare)) == len(bare) else names
    return [_end(name) for name in short]


def _end(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else f"…{name[1 - _LONGEST_LABEL :]}"


def _rate_cell(one: Rate | None) -> str:
    return f"{100 * one.value:.1f}\n{100 * one.low:.1f} to {100 * one.high:.1f}" if one else "-"


def _rate_line(one: Rate) -> str:
    return f"{100 * one.value:.1f} ({100 * one.low:.1f} to {100 * one.high:.1f})"


def _comparison_row(benchmark: str, one: Comparison) -> list[str]:
    interval = f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
    p = f"{one.p_value:.3f}" if one.p_value >= 0.001 else "< 0.001"
    verdict = "no clear difference" if one.p_value >= 0.05 else "better" if one.difference > 0 else "worse"
    return [
        benchmark,
        f"{one.tasks:,}",
        f"{one.won:,}",
        f"{one.lost:,}",
        f"{100 * one.difference:+.1f}",
        interval,
        p,
        verdict,
    ]


def _share(count: int, total: int) -> str:
    return f"{count:,}\n{100 * count / total:.1f} %"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plain(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return str(value)


def _cell_html(cell: str) -> str:
    first, _, second = cell.partition("\n")
    return f"<td>{escape(first)}{f'<small>{escape(second)}</small>' if second else ''}</td>"


def _markdown_cell(cell: str) -> str:
    first, _, second = cell.partition("\n")
    return _markdown(f"{first} ({second})" if second else first)


def _markdown(text: str) -> str:
    """Text in which nothing acts as Markdown or HTML, on one line."""
    text = " ".join(printable(text).split())
    return re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
