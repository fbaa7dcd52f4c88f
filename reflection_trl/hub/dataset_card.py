"""Writes the card of a published dataset: statistics that are counted from the rows, and how the rows were made."""

import math
import statistics as stats
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..hub_errors import redact
from ..markdown import bar, cell, code_cell, fenced, render_message, section
from ..quoting import quote_error
from ..sequences import normalize_row


TEMPLATE = Path(__file__).parent / "templates" / "dataset_card.md"

# The example on the card is the first row with a repair that is short enough to read at a glance
_EXAMPLE_CHARACTERS = 6000

# Descriptions of the builder's columns
_COLUMNS = {
    "messages": "the conversation: `role` (`user`, `assistant` or `tool`) and `content` of each turn",
    "type": "`reflection` or `generation`",
    "feedback": "the outcome of each run, one for each `tool` turn: kind and type of the error, message, place, failing assert, values",
    "problem_id": "the problem",
    "sample": "index of the rollout among those of the problem",
    "language": "programming language",
    "tests": "the problem's own tests, which the final answer passes",
    "examples": "inputs and expected outputs of a program that reads standard input",
    "entry_point": "name of the function or class that the tests call",
    "answer": "final answer of a problem that has one",
    "checker": "how the final answer is compared: a name, or the source of a function",
    "choices": "the choices of a multiple-choice problem",
    "source": "origin of the problem",
    "license": "the problem's license",
    "rounds": "number of programs in the sequence",
    "repaired": "whether at least one of them failed",
    "solve_rate": "share of the model's answers to the request alone that pass the problem's tests",
    "teacher_solve_rate": "share of its answers after this sequence that pass them",
    "wrong_asserts": "the model's asserts that were found wrong and removed",
    "model": "the model that wrote the sequence",
    "sampling": "the sampling settings, as JSON",
    "prompt_tokens": "tokens read by the model, over all turns",
    "completion_tokens": "tokens written by the model",
}

# Where they differ for problems with a final answer
_SOLUTION_COLUMNS = {
    "feedback": "the outcome of each check: kind, message, and the final answer that was read",
    "language": "empty: solutions are text",
    "tests": "empty: final answers are checked, and nothing is run",
    "examples": "empty",
    "entry_point": "empty",
    "rounds": "number of solutions in the sequence",
    "solve_rate": "share of the model's answers to the request alone that are right",
    "teacher_solve_rate": "share of its answers after this sequence that are right",
    "wrong_asserts": "empty",
}


def describe_rows(splits: Mapping[str, Any]) -> dict[str, Any]:
    """
    Computes the statistics of the rows for the card.

    Args:
        splits (`Mapping[str, datasets.Dataset]`):
            The splits. Rows have `messages` and `type`, and may have the builder's columns `feedback` and `language`.

    Returns:
        `dict`: `rows`; `splits` (name, rows, reflection rows, generation rows of each); `rounds` (programs run in a sequence ->
        sequences); `repaired` (sequences with at least one failed run, `None` where no column tells); `feedback_kinds` and
        `languages` (name -> count); `lengths` (mean, median, 95th percentile and maximum of a row's characters); `columns`
        (name -> type); `example` (the messages of one row); `solutions` (rows of problems with a final answer, which have no language).

    Raises:
        ValueError: If a row cannot be trained on.
    """
    rounds: Counter[int] = Counter()
    kinds: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    lengths, counts = [], []
    example, shows_repair, repaired, solutions = None, False, 0, 0
    columns = next(iter(splits.values())).features
    with_kinds = "kind" in (getattr(columns.get("feedback"), "feature", None) or {})
    wanted = [
        "messages",
        "type",
        *(["feedback"] if with_kinds else []),
        *(name for name in ("language", "rounds", "answer") if name in columns),
    ]
    for name, rows in splits.items():
        types: Counter[str] = Counter()
        for number, row in enumerate(rows.select_columns(wanted)):
            row = normalize_row(row, f"row {number} of split {name!r}")
            types[row["type"]] += 1
            length = sum(len(message["content"]) for message in row["messages"])
            lengths.append(length)
            textual = "language" in row and row["language"] is None
            solutions += textual and (row["type"] == "reflection" or row.get("answer") is not None)
            languages.update([row["language"]] if row.get("language") else [])
            if row["type"] != "reflection":
                continue
            # Solution and tests of a round may have run one after the other
            runs = row.get("rounds") or sum(message["role"] == "tool" for message in row["messages"])
            rounds[runs] += 1
            failures = [record["kind"] for record in row.get("feedback") or [] if record["kind"] != "none"]
            kinds.update(failures)
            repaired += bool(failures)
            if length <= _EXAMPLE_CHARACTERS and (example is None or (runs > 1 and not shows_repair)):
                example, shows_repair = row["messages"], runs > 1
        counts.append((str(name), len(rows), types["reflection"], types["generation"]))
    lengths.sort()
    return {
        "rows": len(lengths),
        "splits": counts,
        "rounds": dict(sorted(rounds.items())),
        "repaired": repaired if with_kinds else None,
        "feedback_kinds": dict(kinds.most_common()),
        "languages": dict(languages.most_common()),
        "lengths": {
            "mean": round(stats.fmean(lengths)),
            "median": round(stats.median(lengths)),
            "95th percentile": lengths[math.ceil(0.95 * len(lengths)) - 1],
            "maximum": lengths[-1],
        },
        "columns": {name: _type_name(feature) for name, feature in columns.items()},
        "example": example,
        "solutions": solutions,
    }


def make_dataset_card(
    card_data: Any,
    repo_id: str,
    config_name: str,
    facts: Mapping[str, Any],
    statistics: Mapping[str, Any],
    contents: Iterable[tuple[str, str, int]],
    template: Path = TEMPLATE,
    token: str | bool | None = None,
) -> Any:
    """
    Renders the card.

    Args:
        card_data ([`~huggingface_hub.DatasetCardData`]):
            The metadata.
        repo_id (`str`):
            Repository of the dataset.
        config_name (`str`):
            The configuration that the card describes.
        facts (`Mapping`):
            Output of [`describe_rows`].
        statistics (`Mapping`):
            How the rows were made: fields of [`~reflection_trl.builder.statistics.BuildStatistics`], all optional. The
            card omits missing ones. Your own templates may use other keys.
        contents (`Iterable[tuple[str, str, int]]`):
            Configuration, split and number of rows of everything in the repository.
        template (`pathlib.Path`, *optional*):
            Jinja template.
        token (`str` or `bool`, *optional*):
            The token in use, which must not appear in the card.

    Returns:
        [`~huggingface_hub.DatasetCard`]: The card.

    Raises:
        ValueError: If the template cannot be filled in.
    """
    from huggingface_hub import DatasetCard
    from jinja2 import TemplateError

    try:
        card = DatasetCard.from_template(
            card_data,
            template_path=str(template),
            title=cell(card_data.get("pretty_name") or repo_id.split("/")[-1]),
            repo_id=repo_id,
            config_name=config_name,
            facts=facts,
            statistics=statistics,
            contents=list(contents),
            column_notes=_COLUMNS | (_SOLUTION_COLUMNS if facts["solutions"] == facts["rows"] else {}),
            percent=_percent,
            render_message=render_message,
            bar=bar,
            cell=cell,
            code_cell=code_cell,
            fenced=fenced,
            section=section,
        )
    except (TemplateError, TypeError) as error:
        raise ValueError(
            f"The card template {template} cannot be filled in ({quote_error(error)}): correct it, or leave it out."
        ) from None
    return DatasetCard(redact(str(card), token))


def _percent(part: float, whole: float = 1) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _type_name(feature: Any) -> str:
    """Returns a column's type as a person would write it."""
    if isinstance(feature, Mapping):
        return "{" + ", ".join(f"{name}: {_type_name(inner)}" for name, inner in feature.items()) + "}"
    if isinstance(feature, list):
        return f"list of {_type_name(feature[0])}"
    inner = getattr(feature, "feature", None)
    return f"list of {_type_name(inner)}" if inner is not None else getattr(feature, "dtype", str(feature))
