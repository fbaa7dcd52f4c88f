"""Writes a dataset of reflection sequences as one HTML page for reading.

`reflection-trl browse DATASET` writes a self-contained page. It shows every row with its blocks colored by type and
the feedback of each run beside its code, failures first, with filters, full-text search and a link to each row.
[`reflection_trl.viewers.tokens`] shows the tokens of a row as training sees them.

Heavy modules are imported where they are needed, so that `--help` is instant.
"""

import argparse
import contextlib
import json
import random
import re
import sys
import webbrowser
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..fences import read_fence
from ..files.rows import RowsError, read_rows
from ..row_forms import read_row
from ..sequences import normalize_row, split_blocks
from .command_line import CommandLine, write_page
from .page import fill_page


DEFAULT_LIMIT = 5000

# The row files of a run folder, in the order of display
STATUSES = ("accepted", "set_aside", "rejected")

# Type of a rollout of online training: a request, an answer and its test output
ROLLOUT = "rollout"

# Filters of the page, with their titles
FACETS = {
    "status": "status",
    "rejection": "rejected for",
    "outcome": "outcome",
    "failure": "failed runs, by kind",
    "rounds": "programs run",
    "solve_rate": "solved without a sequence",
    "language": "language",
    "source": "source",
    "model": "model",
    "type": "type",
}

# Columns with a separate place on the page, and columns beside the title of a row
_PLACED = {"messages", "type", "feedback", "tests", "rejection", "detail", "wrong_asserts", "rounds", "repaired"}
_FACTS = (
    *("problem_id", "sample", "language", "entry_point", "source", "license", "model"),
    *("solve_rate", "teacher_solve_rate"),
)

_LONGEST_TITLE = 90
_LONGEST_FACT = 4000
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_ERROR = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Interrupt|Exit)|StopIteration)\b", re.MULTILINE)
# Tracebacks of plain Python and of Jupyter. Without one, an error in the output was printed by the program
_TRACEBACK = re.compile(r'Traceback \(most recent call last\)|^ *File "[^"\n]*", line \d|^ *Cell In ?\[', re.MULTILINE)
_LINE = re.compile(r'^ *(?:File "(?:main|program|solution)\.py"|Cell In ?\[\d+\]), line (\d{1,6})', re.MULTILINE)

DESCRIPTION = """\
Write a page for reading a dataset of reflection sequences: blocks colored by type, the feedback of every run beside its
code, failures first, filters by failure type, rounds, outcome, language and source, full-text search, a link to each
row. The page is one file that needs no network; open it, or send it to a colleague.

DATASET is a .jsonl, .json or .parquet file, a dataset id, a folder with a saved dataset, or the output folder of
`reflection-trl build`, for which rejected rollouts are shown with the reason, or of `reflection-trl online`, whose
rollouts are shown with their test output. Rows may have any form that training
reads: `messages`, `prompt` and `completion`, or `conversations`.
"""

EPILOG = f"""\
examples:
  # The rows of a file
  reflection-trl browse data.jsonl --output page.html --open

  # What a build accepted, set aside and rejected
  reflection-trl browse out/build

  # What a model wrote during online training
  reflection-trl browse out/online

  # 500 random rows of a published dataset
  reflection-trl browse SenseLLM/ReflectionSeq-GPT --sample 500 --seed 1

By default the first {DEFAULT_LIMIT:,} rows are shown. The exit status is 1 on an error.
"""


# Rows as data of the page


def page_row(row: dict[str, Any], key: str, status: str | None = None) -> dict[str, Any]:
    """
    Converts a row to the data that the page shows.

    Args:
        row (`dict`):
            Row in any form of [`~reflection_trl.row_forms`]. Other columns are shown unchanged.
        key (`str`):
            Key of the row in links.
        status (`str`, *optional*):
            One of [`STATUSES`], for rows of a run folder.

    Returns:
        `dict`: `key`, `title`, `blocks`, `facets` (values by name of the facet), `facts`, `failed` (number of failed
        runs), `passed` (whether the last run passed), and optionally `problem` (why training rejects the row),
        `rejection`, `detail`, `tests`, `wrong_asserts`, `more` (other columns).
    """
    problem = None
    try:
        row = normalize_row(row, "row")
    except ValueError as error:
        problem = str(error).removeprefix("row: ")
        row = _unchecked(row)
    blocks = list(_blocks(row))
    runs = [block for block in blocks if block["label"] == "execution"]
    for block, feedback in zip(runs, _feedback(row, runs), strict=True):
        block["feedback"] = feedback
    failures = [block["feedback"]["kind"] for block in runs if block["feedback"]["kind"] != "none"]
    passed = bool(runs) and runs[-1]["feedback"]["kind"] == "none"
    facets: dict[str, list[Any]] = {
        "status": [status],
        "rejection": [row.get("rejection")],
        "outcome": [_outcome(row, bool(runs), bool(failures), passed)],
        "failure": sorted(set(failures)),
        "rounds": [str(row.get("rounds") or len(runs))],
        "solve_rate": [_share(row.get("solve_rate"))],
        "language": [row.get("language") or _language(blocks)],
        "source": [row.get("source")],
        "model": [row.get("model")],
        "type": [row.get("type")],
    }
    result = {
        "key": key,
        "title": _title(row, blocks),
        "blocks": blocks,
        "facets": {name: [_text(value) for value in values if value] for name, values in facets.items()},
        "facts": {name: _text(row[name]) for name in _FACTS if row.get(name) not in (None, "")},
        "failed": len(failures),
        "passed": passed,
    }
    more = {name: _text(value) for name, value in row.items() if name not in _PLACED and name not in _FACTS}
    extras = {
        # A rejected rollout, or one of online training, may not be trainable
        "problem": None if row.get("rejection") or row.get("type") == ROLLOUT else problem,
        "rejection": row.get("rejection"),
        "detail": row.get("detail"),
        "tests": row.get("tests"),
        "wrong_asserts": [_text(one) for one in _list(row.get("wrong_asserts"))],
        "more": {name: value for name, value in more.items() if value not in ("", "None", "[]", "{}")},
    }
    return result | {
        name: value if isinstance(value, (dict, list)) else _text(value) for name, value in extras.items() if value
    }


def _blocks(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """
    Yields the blocks of a row's messages: `label`, `kind` (text, code or execution), `text`, and `language` of code.
    """
    users, reflection = 0, row.get("type") not in ("generation", ROLLOUT)
    for message in row["messages"]:
        role = message["role"]
        users += role == "user"
        # The second user turn is the one-off request, followed by the answer
        answering = users > 1 or not reflection
        for block in split_blocks(message):
            segment = message["content"][block.start : block.end]
            if not segment.strip() and block.type == "text" and role == "assistant":
                continue
            label = {
                "user": "request" if answering else "instruction",
                "assistant": "answer" if answering else {"text": "analysis"}.get(block.type, block.type),
                "tool": "execution",
            }.get(role, role)
            shown: dict[str, Any] = {"label": label, "kind": block.type, "text": segment}
            if block.type == "code":
                fence = read_fence(segment)
                shown |= {"text": fence.code if fence else segment, "language": fence.language if fence else ""}
            yield shown


def _share(rate: Any) -> str | None:
    """Returns a solve rate as a filter value."""
    return f"{rate:.0%}" if isinstance(rate, (int, float)) else None


def _unchecked(row: dict[str, Any]) -> dict[str, Any]:
    """Returns an invalid row with the readable parts of its messages, in any form."""
    with contextlib.suppress(ValueError):
        row = read_row(row)
    return row | {"messages": _readable(row.get("messages"))}


def _readable(messages: Any) -> list[dict[str, str]]:
    """Returns the readable parts of invalid messages."""
    if not isinstance(messages, list):
        messages = [{"role": "not a list of turns", "content": messages}]
    turns = [turn if isinstance(turn, dict) else {"role": "not a turn", "content": turn} for turn in messages]
    return [
        {"role": str(turn.get("role")), "content": content if isinstance(content, str) else _text(content)}
        for turn in turns
        for content in [turn.get("content")]
    ]


def _feedback(row: dict[str, Any], runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns a record for each run, from the column `feedback`, or else from its output."""
    records = [one for one in _list(row.get("feedback")) if isinstance(one, dict)]
    if len(records) < len(runs) or not all(isinstance(one.get("kind"), str) for one in records):
        return [_guess(block["text"]) for block in runs]
    return [
        {
            name: value if isinstance(value, int) else _text(value)
            for name, value in one.items()
            if value is not None and name != "text"
        }
        for one in records[: len(runs)]
    ]


def _guess(output: str) -> dict[str, Any]:
    from ..languages.python import kind_of

    # The last traceback counts: an error may be raised while another is handled, and the program may have printed
    # others before
    errors = _ERROR.findall(output)
    if not errors or not _TRACEBACK.search(output):
        return {"kind": "none", "guessed": True}
    lines = _LINE.findall(output)
    place = {"line": int(lines[-1])} if lines else {}
    return {"kind": kind_of(errors[-1]).value, "error_type": errors[-1], **place, "guessed": True}


def _outcome(row: dict[str, Any], ran: bool, failed: bool, passed: bool) -> str:
    if row.get("type") == ROLLOUT and ran:
        return "passed" if passed else "failed"
    if not ran:
        return "plain row" if row.get("type") == "generation" else "nothing run"
    if not failed:
        return "first try"
    return "repaired" if passed else "never passed"


def _language(blocks: Iterable[dict[str, Any]]) -> str:
    """Returns the language of the last fence."""
    return next((block["language"] for block in reversed(list(blocks)) if block.get("language")), "")


def _title(row: dict[str, Any], blocks: Sequence[dict[str, Any]]) -> str:
    """Returns the request; of a rejected row, which need not have one, its problem and the reason."""
    requests = [block["text"] for block in blocks if block["label"] in ("request", "instruction")]
    text = " ".join((requests[-1] if requests else _text(row.get("problem_id")))[: 4 * _LONGEST_TITLE].split())
    reason = ""
    if row.get("rejection"):
        # The instruction of a sequence begins with the same words in every row
        sample = f" (sample {row['sample']})" if row.get("sample") not in (None, "") else ""
        text = " ".join(_text(row["problem_id"]).split()) + sample if row.get("problem_id") else text
        reason = f" · {_text(row['rejection']).replace('_', ' ')}"[: _LONGEST_TITLE // 2]
    most = _LONGEST_TITLE - len(reason)
    return (text if len(text) <= most else text[: most - 1] + "…") + reason


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """Returns a column value as text of bounded length."""
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)
    return value if len(value) <= _LONGEST_FACT else f"{value[:_LONGEST_FACT]} … ({len(value):,} characters)"


# Reading


def read_dataset(
    source: str, split: str = "train", config: str | None = None, limit: int | None = None
) -> list[tuple[str, str | None, dict[str, Any]]]:
    """
    Reads the rows of a dataset or of a run folder, or the rollouts of online training.

    Args:
        source (`str`):
            A file, a dataset id, or the folder of a dataset, of a run or of online training.
        split (`str`, *optional*, defaults to `"train"`):
            Split of a dataset.
        config (`str`, *optional*):
            Configuration of a dataset.
        limit (`int`, *optional*):
            Maximum number of rows; for a run folder, of each status.

    Returns:
        `list[tuple]`: Key, status (for rows of a run) and the row.

    Raises:
        [`~reflection_trl.files.rows.RowsError`]: If there is nothing to read, or it cannot be read.
    """
    most = sys.maxsize if limit is None else limit
    folder = Path(source)
    steps = sorted((folder / "rollouts").glob("step-*.jsonl"))
    if steps and not (folder / "run.json").is_file():
        rows: list[dict[str, Any]] = []
        for file in steps:
            if len(rows) < most:
                rows += read_rows(str(file), split, 0, most - len(rows))
        return [(str(index), None, row) for index, row in enumerate(rows)]
    if not (folder / "run.json").is_file():
        return [(str(index), None, row) for index, row in enumerate(read_rows(source, split, 0, limit, config))]
    found: list[tuple[str, str | None, dict[str, Any]]] = []
    for status in STATUSES:
        count = 0
        for shard in sorted((folder / "rows").glob(f"{status}-*.jsonl")):
            if count < most:
                rows = read_rows(str(shard), split, 0, most - count)
                found += [(f"{status}-{count + index}", status, row) for index, row in enumerate(rows)]
                count += len(rows)
    if not found:
        raise RowsError(f"The run in '{source}' has no rows yet: finish its build, or run it with `--outcome_only`.")
    return found


def render_page(rows: Sequence[dict[str, Any]], title: str, note: str = "") -> str:
    """
    Renders rows as one self-contained page.

    Args:
        rows (`Sequence[dict]`):
            Results of [`page_row`].
        title (`str`):
            Name of the dataset on the page.
        note (`str`, *optional*, defaults to `""`):
            Describes which rows are shown.

    Returns:
        `str`: HTML.
    """
    return fill_page("browse.html", {"facets": FACETS, "rows": rows}, title=title, note=note)


# The command line


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of rows; give 1, 2, 3, ...")
    return int(value)


def build_parser() -> CommandLine:
    """
    Builds the argument parser.

    Returns:
        [`~reflection_trl.viewers.command_line.CommandLine`]: The parser.
    """
    parser = CommandLine("browse", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("dataset", help="File, dataset id, or folder of a dataset, of a build or of online training.")
    parser.add_argument("--split", default="train", help="Split of a dataset (default: train).")
    parser.add_argument("--dataset_config", metavar="NAME", help="Configuration of a dataset that has several.")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument(
        "--limit", type=_positive, metavar="N", help="Show the first N rows (for a build: of each status)."
    )
    rows.add_argument("--sample", type=_positive, metavar="N", help="Show N random rows.")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="Seed of `--sample` (default: 0).")
    parser.add_argument("--output", metavar="PAGE.html", help="Page to write (default: NAME-OF-DATASET.html).")
    parser.add_argument("--open", action="store_true", help="Open the page in the browser.")
    return parser


def _choose(args: argparse.Namespace) -> tuple[list[tuple[str, str | None, dict[str, Any]]], str]:
    """Selects the rows to show, and describes the selection."""
    if args.sample is not None:
        rows = read_dataset(args.dataset, args.split, args.dataset_config)
        chosen = sorted(random.Random(args.seed).sample(range(len(rows)), min(args.sample, len(rows))))
        note = (
            f"{len(chosen):,} of {len(rows):,} rows, sampled at random with seed {args.seed}"
            if len(chosen) < len(rows)
            else ""
        )
        return [rows[index] for index in chosen], note
    limit = args.limit or DEFAULT_LIMIT
    # One row more than is shown determines whether there are more
    rows = read_dataset(args.dataset, args.split, args.dataset_config, limit + 1)
    kept = [row for row in rows if int(row[0].rpartition("-")[2]) < limit]
    return kept, f"the first {limit:,} rows" + " of each status" * (kept[0][1] is not None) if len(kept) < len(
        rows
    ) else ""


def main(argv: list[str] | None = None) -> int:
    """
    Runs the command line.

    Args:
        argv (`list[str]`, *optional*):
            Arguments; by default those of the process.

    Returns:
        `int`: Exit code: 0, or 1 after invalid input.
    """
    parser = build_parser()
    args = parser.read(argv)
    source = Path(args.dataset)
    name = source.resolve().name if source.exists() else args.dataset
    stem = source.stem if source.is_file() else name
    output = Path(args.output or f"{_NOT_IN_NAMES.sub('-', stem).strip('-.') or 'rows'}.html")

    def show() -> None:
        rows, note = _choose(args)
        page = render_page([page_row(row, key, status) for key, status, row in rows], name, note)
        write_page(output, page, len(rows), note)
        if args.open:
            webbrowser.open(output.resolve().as_uri())

    return parser.run(show)
