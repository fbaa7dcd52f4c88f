"""The viewer: what teacher and student see of a row, and what they are trained on, token by token.

`reflection-trl show DATASET` prints a row in the terminal, `--html PAGE.html` writes rows as one self-contained
page with a slider for the mask rate. Parts, blocks and masks are computed by the very functions that training uses
([`~reflection_trl.rendering`], [`~reflection_trl.training.masking`]), so what is shown is what is trained.

The encoding, in the terminal as on the page:

- hue: the type of a block (execution, text, code); what stands outside the reflection sequence has none
- filled or hollow: the student sees it, or only the teacher does (struck and dimmed)
- underline: trained on; bold and underlined: by the student too, and distilled

Heavy modules are imported where they are needed, so that `--help` is instant.
"""

import argparse
import html
import json
import os
import re
import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..files.model_folder import check_exists
from ..sequences import BLOCK_TYPES, normalize_row
from .page import Markup, fill_page, printable


if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

    from ..rendering import BlockTokenRenderer, ChatTemplateRenderer, Rendering


# Those of `masking` and `config`, whose imports would make `--help` slow; a test compares them
STRATEGIES = (
    "block-type",
    "random-block",
    "sequential-block",
    "random-token",
    "sequential-token",
    "all",
    "none",
)
RENDERINGS = ("chat", "block-token")
EXECUTION_ROLES = ("auto", "tool", "user")

DEFAULT_PAGE_ROWS = 10
END_MARK = "∎"

DESCRIPTION = """\
Show what reflection self-distillation makes of a row: which tokens the teacher is trained on, which the student is
trained on, and which of them the student does not see at a given mask rate.

A reflection row has five parts. The student always sees the prefix (BOS, system prompt), the re-answer request and the
answer, never the reflection instruction, and less and less of the blocks between them as the mask rate grows from 0 to 1
over training. Settings have the names and defaults of `ReflectionDistillConfig`, without `mask_`.
"""

EPILOG = """\
examples:
  # Parts and blocks of the first row, by characters: no tokenizer needed
  reflection-trl show data.jsonl

  # Row 12 as the tokens of your model, late in training
  reflection-trl show data.jsonl --tokenizer HuggingFaceTB/SmolLM2-135M-Instruct --row 12 --rate 0.7

  # The published set-up: seven special tokens, text hidden first, BOS hidden too
  reflection-trl show SenseLLM/ReflectionSeq-GPT --tokenizer MODEL --rendering block-token --hide_prefix \\
      --order text code execution

  # What one optimizer step of a run with random masks hides
  reflection-trl show data.jsonl --tokenizer MODEL --strategy random-block --seed 42 --step 130 --rate 0.4

  # A page with rows 20 to 29 and a slider for the mask rate, to look at or to send to a colleague
  reflection-trl show data.jsonl --tokenizer MODEL --rows 20-29 --html rows.html

Colour needs a terminal; with NO_COLOR set, or in a file or pipe, each line starts with its part and two marks instead
(x: hidden, T: trained on, TS: by the student too), so that `grep` and `diff` work. The exit status is 1 on an error.
"""


class ShowError(Exception):
    """Something the user can mend; the message is one sentence."""


# Rows as views


@dataclass
class Section:
    """
    A part or block of a row: `pieces[start:end]` of its view.

    Args:
        label (`str`):
            `"prefix"`, `"instruction"`, `"re-answer"`, `"answer"`, `"prompt"` (of generation rows), or a block type.
        number (`int`):
            Number of the block, from 1; 0 for parts that are not blocks.
        start (`int`):
            Its first piece.
        end (`int`):
            The piece after its last one.
    """

    label: str
    number: int
    start: int
    end: int

    @property
    def title(self) -> str:
        """What to call it, such as `2 code`."""
        return f"{self.number} {self.label}" if self.number else self.label


@dataclass
class Piece:
    """
    What is shown as one: a token, or without a tokenizer a run of characters that share everything below.

    Args:
        text (`str`):
            Its text; empty for a token that continues a character begun by the one before.
        size (`int`):
            Tokens or characters in it.
        trained (`int`):
            0: not trained on; 1: by the teacher (or in a generation row); 2: by teacher and student, and distilled.
        hidden_from (`int`):
            Index of the change of [`View`] that hides it; -1 if the student always sees it.
        token_id (`int`, *optional*):
            Token id.
    """

    text: str
    size: int
    trained: int
    hidden_from: int
    token_id: int | None = None


@dataclass
class View:
    """
    One row, ready to be shown.

    Args:
        row_id (`int`):
            Number of the row in its dataset.
        row_type (`str`):
            `"reflection"` or `"generation"`.
        unit (`str`):
            What is counted: `"token"` or `"character"`.
        pieces (`list[Piece]`):
            The row.
        sections (`list[Section]`):
            Its parts and blocks, in order.
        changes (`list[tuple[float, str]]`):
            The rates, of all that are looked at, at which more is hidden than before, each with words for it. The first is
            rate 0.
        labels (`dict[str, str]`):
            Further short columns of the row.
        problem (`str`, *optional*):
            Why the row cannot be shown; the lists are empty then.
    """

    row_id: int
    row_type: str
    unit: str
    pieces: list[Piece]
    sections: list[Section]
    changes: list[tuple[float, str]]
    labels: dict[str, str]
    problem: str | None = None

    def level(self, rate: float) -> int:
        """
        The last change at or below a rate; what is `hidden_from` it or an earlier one is hidden.

        Args:
            rate (`float`):
                One of the rates that the view was made for.

        Returns:
            `int`: Index into `changes`.
        """
        return sum(change <= rate for change, _ in self.changes) - 1

    def size(self, trained: int = 0, hidden_at: int | None = None, section: Section | None = None) -> int:
        """
        Count tokens or characters.

        Args:
            trained (`int`, *optional*, defaults to 0):
                Count those with at least this value of `trained`.
            hidden_at (`int`, *optional*):
                Count those that are hidden at this level only.
            section ([`Section`], *optional*):
                Count in this section only.

        Returns:
            `int`: Their number.
        """
        pieces = self.pieces if section is None else self.pieces[section.start : section.end]
        return sum(
            piece.size
            for piece in pieces
            if piece.trained >= trained and (hidden_at is None or 0 <= piece.hidden_from <= hidden_at)
        )

    def count(self, number: int) -> str:
        """A number with its unit, such as `3 tokens`."""
        return f"{number:,} {self.unit}{'' if number == 1 else 's'}"


@dataclass
class Masks:
    """
    The settings that decide what is hidden; see [`~reflection_trl.training.masking.hidden_tokens`].

    Args:
        strategies (`list[str]`):
            Strategies; of several, each row draws one, as in training.
        order (`tuple[str, ...]`):
            Order of `block-type`.
        seed (`int`):
            Seed of the training.
        step (`int`):
            Optimizer steps finished.
        rate (`float`):
            The mask rate to show.
    """

    strategies: list[str]
    order: tuple[str, ...]
    seed: int
    step: int
    rate: float

    @property
    def grid(self) -> list[float]:
        """The rates of the slider: hundredths, and the rate to show."""
        return sorted({*(hundredth / 100 for hundredth in range(101)), self.rate})

    @property
    def description(self) -> str:
        """The settings in a few words."""
        words = [f"{s} ({', '.join(self.order)})" if s == "block-type" else s for s in self.strategies]
        drawn = len(words) > 1 or words[0].startswith("random")
        return " or ".join(words) + f", seed {self.seed}, step {self.step}" * drawn

    def hidden(self, columns: dict[str, Any], row_id: int, rate: float) -> "np.ndarray":
        """
        What a training step hides: the draw of [`~reflection_trl.ReflectionDistillTrainer`].

        Args:
            columns (`dict`):
                Result of [`~reflection_trl.rendering.tokenize`].
            row_id (`int`):
                Number of the row in its dataset.
            rate (`float`):
                Mask rate.

        Returns:
            `np.ndarray` of bool: True where a token is hidden.
        """
        import numpy as np

        from ..training.masking import hidden_tokens, row_generator

        rng = row_generator(self.seed, self.step, row_id)
        strategy = self.strategies[rng.integers(len(self.strategies))]
        block_types = np.asarray(columns["block_types"], dtype=np.int64)
        return hidden_tokens(np.asarray(columns["block_ids"]), block_types, rate, strategy, self.order, rng)


class CharacterTokenizer:
    """
    Stands in where no tokenizer is given: a token is a character, and a turn its role, its content and an end mark.

    It has what [`~reflection_trl.rendering.ChatTemplateRenderer`] asks of a tokenizer, so parts and blocks come from the
    same code with a tokenizer and without.
    """

    is_fast = True
    name_or_path = "characters"
    chat_template = "role, content"

    def __call__(self, text: str, **kwargs: Any) -> dict[str, list]:
        return {
            "input_ids": [ord(character) for character in text],
            "offset_mapping": [(index, index + 1) for index in range(len(text))],
        }

    def apply_chat_template(
        self, turns: list[dict[str, str]], tokenize: bool = False, add_generation_prompt: bool = False, **kwargs: Any
    ) -> str:
        """Write turns as text."""
        text = "".join(f"{turn['role']}:\n{turn['content']}{END_MARK}\n" for turn in turns)
        return text + "assistant:\n" * add_generation_prompt

    def get_added_vocab(self) -> dict[str, int]:
        """The end mark, in the place of an end token."""
        return {END_MARK: ord(END_MARK)}

    def decode(self, ids: list[int]) -> str:
        """Characters as text."""
        return "".join(map(chr, ids))


def make_view(
    row: dict[str, Any], row_id: int, renderer: "ChatTemplateRenderer | BlockTokenRenderer", masks: Masks
) -> View:
    """
    Work out what is to be shown of a row.

    Args:
        row (`dict`):
            Row with `messages` and `type`, in either form.
        row_id (`int`):
            Number of the row in its dataset.
        renderer ([`~reflection_trl.rendering.ChatTemplateRenderer`] or [`~reflection_trl.rendering.BlockTokenRenderer`]):
            How rows become tokens.
        masks ([`Masks`]):
            What is hidden.

    Returns:
        [`View`]: The view; its `problem` says so if training would refuse or drop the row.
    """
    by_characters = isinstance(renderer.tokenizer, CharacterTokenizer)
    unit = "character" if by_characters else "token"
    labels = {
        name: value
        for name, value in row.items()
        if name not in ("messages", "type") and isinstance(value, str) and 0 < len(value) <= 40 and "\n" not in value
    }
    try:
        row = normalize_row(row, f"row {row_id}")
        rendering = renderer.render(row)
        columns = renderer.tokenize(row)
    except ValueError as error:  # `UnrenderableRow` is one
        reason = str(error).removeprefix(f"row {row_id}: ")
        return View(row_id, str(row.get("type")), unit, [], [], [], labels, problem=reason)
    changes, hidden_from = _changes(columns, row_id, masks)
    tokens = _tokens(rendering, renderer.tokenizer, columns, hidden_from, by_characters)
    pieces, sections = _group(tokens, columns, merge=by_characters)
    return View(row_id, row["type"], unit, pieces, sections, changes, labels)


def _changes(columns: dict[str, Any], row_id: int, masks: Masks) -> tuple[list[tuple[float, str]], list[int]]:
    # A hidden set only grows with the rate, so one number for each token tells it for all rates
    import numpy as np

    hidden_from = np.full(len(columns["input_ids"]), -1)
    changes: list[tuple[float, str]] = [(0.0, "at any rate")]
    if columns["block_types"]:
        hidden_from[masks.hidden(columns, row_id, 0.0)] = 0
        for previous, rate in zip(masks.grid, masks.grid[1:], strict=False):
            new = masks.hidden(columns, row_id, rate) & (hidden_from < 0)
            if new.any():
                at_once = (masks.hidden(columns, row_id, previous + 1e-9) & new).any()
                hidden_from[new] = len(changes)
                changes.append((rate, f"above rate {previous:g}" if at_once else f"from rate {rate:g}"))
    return changes, hidden_from.tolist()


def _tokens(
    rendering: "Rendering",
    tokenizer: "PreTrainedTokenizerBase",
    columns: dict[str, Any],
    hidden_from: list[int],
    by_characters: bool,
) -> list[Piece]:
    from ..rendering import encode

    _, _, ends = encode(rendering, tokenizer)
    tokens, shown = [], 0
    for index, (token_id, end) in enumerate(zip(columns["input_ids"], ends.tolist(), strict=True)):
        # Nothing stands before the first token to predict it
        trained = columns["loss_mask"][index] if index else 0
        if trained and columns["block_types"] and index >= columns["answer_start"]:
            trained = 2
        # From the last token's end, so that no character is lost or shown twice whatever the offsets are
        text, shown = rendering.text[shown:end], max(shown, end)
        tokens.append(Piece(text, 1, trained, hidden_from[index], None if by_characters else token_id))
    return tokens


def _group(tokens: list[Piece], columns: dict[str, Any], merge: bool) -> tuple[list[Piece], list[Section]]:
    # Neighbours of one block form a section; by characters, alike neighbours are one piece
    pieces: list[Piece] = []
    sections: list[Section] = []
    reflection = bool(columns["block_types"])
    for index, (token, block) in enumerate(zip(tokens, columns["block_ids"], strict=True)):
        if block > 0:
            label = BLOCK_TYPES[columns["block_types"][block - 1]]
        elif block == 0:
            label = "instruction"
        elif index >= columns["answer_start"]:
            label = "answer"
        elif not reflection:
            label = "prompt"
        else:
            label = "re-answer" if any(section.label != "prefix" for section in sections) else "prefix"
        section = (label, max(block, 0))
        opens = not sections or (sections[-1].label, sections[-1].number) != section
        if opens:
            sections.append(Section(*section, len(pieces), len(pieces)))
        last = pieces[-1] if pieces else None
        if merge and last and not opens and (last.trained, last.hidden_from) == (token.trained, token.hidden_from):
            last.text += token.text
            last.size += 1
        else:
            pieces.append(token)
        sections[-1].end = len(pieces)
    return pieces, sections


# Reading


def read_rows(source: str, split: str, first: int, number: int, config: str | None = None) -> list[dict[str, Any]]:
    """
    Read rows of a dataset without loading more than needed.

    Args:
        source (`str`):
            Dataset id, directory, or a `.json`, `.jsonl` or `.parquet` file.
        split (`str`):
            Split of a dataset id or directory.
        first (`int`):
            First row.
        number (`int`):
            How many rows; fewer come where the dataset ends.
        config (`str`, *optional*):
            Configuration of a dataset id or directory.

    Returns:
        `list[dict]`: At least one row.

    Raises:
        ShowError: If there is no such file, dataset, split or row, or the columns are missing.
    """
    if not source.strip("/ "):
        raise ShowError(f"{source!r} is no dataset: give a file, a directory or a dataset id.")
    path = Path(source)
    if path.suffix in (".json", ".jsonl", ".parquet") and not path.is_file():
        raise ShowError(f"There is no file '{source}'.")
    if path.is_file():
        rows, total = _read_file(path, first, number)
    else:
        rows, total = _read_dataset(source, split, first, number, config)
    if not rows:
        size = "no rows" if total == 0 else f"{total} rows, 0 to {total - 1}" if total else "fewer rows"
        raise ShowError(f"Row {first} is out of range: '{source}' has {size}.")
    missing = [column for column in ("messages", "type") if column not in rows[0]]
    if missing:
        raise ShowError(
            f"'{source}' has no column {' and no column '.join(f'`{c}`' for c in missing)}, only {', '.join(rows[0]) or 'none'}; "
            f"rows need `messages` and `type` ('reflection', or 'generation' for plain instruction rows)."
        )
    return rows


def _read_file(path: Path, first: int, number: int) -> tuple[list[dict[str, Any]], int | None]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(path)
            return table.slice(first, number).to_pylist(), len(table)
        if path.suffix == ".json":
            content = path.read_text(encoding="utf-8")
            if content.lstrip().startswith("["):
                rows = json.loads(content)
                return _objects(rows[first : first + number], path), len(rows)
        elif path.suffix != ".jsonl":
            raise ShowError(f"'{path}' is not a .json, .jsonl or .parquet file.")
        with path.open(encoding="utf-8") as file:
            lines = (line for line in file if line.strip())
            before = sum(1 for _ in islice(lines, first))
            wanted = list(islice(lines, number))
        return _objects(map(json.loads, wanted), path), None if wanted else before
    except (ValueError, OSError) as error:  # pyarrow's errors are of these types too
        raise ShowError(f"'{path}' cannot be read as {path.suffix[1:]} ({_first_line(error)}).") from None


def _objects(rows: Iterable[Any], path: Path) -> list[dict[str, Any]]:
    rows = list(rows)
    if not all(isinstance(row, dict) for row in rows):
        raise ShowError(f"'{path}' holds something else than objects; a row is an object with `messages` and `type`.")
    return rows


def _read_dataset(
    source: str, split: str, first: int, number: int, config: str | None
) -> tuple[list[dict[str, Any]], int | None]:
    import datasets

    datasets.disable_progress_bars()
    try:
        if any((Path(source) / name).is_file() for name in ("state.json", "dataset_dict.json")):
            dataset = datasets.load_from_disk(source)
            if isinstance(dataset, datasets.DatasetDict):
                if split not in dataset:
                    raise ShowError(f"'{source}' has no split '{split}', only {', '.join(dataset)}.")
                dataset = dataset[split]
            end = min(first + number, len(dataset))
            return [dataset[index] for index in range(first, end)], len(dataset)
        dataset = datasets.load_dataset(source, config, split=split, streaming=True)
        rows = list(dataset.skip(first).take(number))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ShowError(f"The dataset '{source}' (split '{split}') cannot be loaded: {_first_line(error)}.") from None
    splits = dataset.info.splits or {}
    return rows, splits[split].num_examples if split in splits else None


def load_renderer(args: argparse.Namespace) -> tuple["ChatTemplateRenderer | BlockTokenRenderer", str]:
    """
    The renderer that the arguments ask for.

    Args:
        args (`argparse.Namespace`):
            Parsed arguments.

    Returns:
        `tuple`: The renderer, and words for it.

    Raises:
        ShowError: If the tokenizer cannot be loaded, or has no chat template or no offsets.
    """
    from transformers import AutoTokenizer
    from transformers.utils import logging

    from ..rendering import BLOCK_TOKENS, BlockTokenRenderer, ChatTemplateRenderer

    if args.tokenizer is None:
        if args.rendering == "block-token":
            raise ShowError("`--rendering block-token` needs a tokenizer; name one with `--tokenizer`.")
        role = "tool" if args.execution_role == "auto" else args.execution_role
        characters: Any = CharacterTokenizer()
        return ChatTemplateRenderer(characters, role, args.hide_prefix), "by characters, no chat template"
    logging.set_verbosity_error()  # what the renderer warns of stands in the header
    try:
        check_exists("folder", args.tokenizer)
        tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    except (OSError, ValueError) as error:
        raise ShowError(f"The tokenizer '{args.tokenizer}' cannot be loaded: {_first_line(error)}.") from None
    name = Path(args.tokenizer).name if Path(args.tokenizer).is_dir() else args.tokenizer
    try:
        if args.rendering == "block-token":
            new = [token for token in BLOCK_TOKENS.values() if token not in tokenizer.get_vocab()]
            # As `add_block_tokens` does before training
            tokenizer.add_special_tokens({"additional_special_tokens": new}, replace_extra_special_tokens=False)
            return BlockTokenRenderer(tokenizer, args.hide_prefix), f"block tokens, {name}"
        if args.chat_template_path is not None:
            tokenizer.chat_template = _read_template(args.chat_template_path)
        renderer = ChatTemplateRenderer(tokenizer, args.execution_role, args.hide_prefix, args.chat_template_kwargs)
    except ValueError as error:
        raise ShowError(str(error)) from None
    return renderer, f"chat template of {name}, execution in {renderer.execution_role} turns"


def _read_template(path: str) -> str | None:
    from transformers import AutoTokenizer

    try:
        if Path(path).is_file():
            return Path(path).read_text(encoding="utf-8")
        return AutoTokenizer.from_pretrained(path).chat_template
    except (OSError, ValueError) as error:
        raise ShowError(f"The chat template '{path}' cannot be loaded: {_first_line(error)}.") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")


# The terminal

_ATOM = re.compile(r"\n|[^\S\n]+|\S+")

# Of the 256 colours: two shades of each block type, in turn, so that tokens stand apart. Blue, orange and green-blue stay
# distinct under every common colour blindness, and white on them is readable on dark and light terminals alike
_FILL = {"execution": (130, 94), "text": (25, 26), "code": (29, 30)}
_HUE = {"execution": 172, "text": 68, "code": 36}
_GREY = 244
_LETTERS = {"prefix": "p", "prompt": "p", "instruction": "i", "re-answer": "r", "answer": "a"}


def cell_width(text: str) -> int:
    """
    Terminal cells that a text takes.

    Args:
        text (`str`):
            Text without newlines.

    Returns:
        `int`: 2 for each wide character, 0 for each combining one, else 1.
    """
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(c) or c in "\u200b\u200d\ufe0e\ufe0f"
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


class Terminal:
    """
    Writes views as lines of text.

    Args:
        width (`int`):
            Columns of the terminal.
        color (`bool`):
            Whether to use colour; otherwise each line starts with textual marks.
        unicode (`bool`, *optional*, defaults to `True`):
            Whether box characters may be used.
    """

    def __init__(self, width: int, color: bool, unicode: bool = True):
        self.width = max(width, 40)
        self.color = color
        self.unicode = unicode and color
        self.rule, self.dot = ("─", " · ") if self.unicode else ("-", ", ")

    def show(self, view: View, masks: Masks, how: str) -> str:
        """
        Everything about one row.

        Args:
            view ([`View`]):
                Row.
            masks ([`Masks`]):
                What is hidden.
            how (`str`):
                Words for the rendering.

        Returns:
            `str`: Lines, each at most as wide as the terminal.
        """
        lines = [*self.header(view, masks, how), "", *self.legend(view), "", *self.overview(view, masks.rate)]
        for section in view.sections:
            lines += ["", *self.section(view, section, masks.rate)]
        return "\n".join(lines) + "\n"

    def header(self, view: View, masks: Masks, how: str) -> list[str]:
        """Row, type, size, blocks, rate, what is hidden and what is trained on."""
        level = view.level(masks.rate)
        labels = [f"{name} {printable(value)}" for name, value in view.labels.items()]
        title = self.dot.join([f"Row {view.row_id}", view.row_type, view.count(view.size()), *labels])
        lines = [*self._fields("", title, "1"), *self._fields("rendering", how)]
        trained = view.size(trained=1)
        if view.row_type == "generation":
            return [*lines, *self._fields("trained", f"{view.count(trained)}; a plain row has no student")]
        types = Counter(section.label for section in view.sections if section.number)
        blocks = f"{sum(types.values())}: " + ", ".join(f"{types[t]} {t}" for t in BLOCK_TYPES if types[t])
        hidden = view.size(hidden_at=level)
        share = f"{hidden / view.size():.0%}"
        seen = view.size() - hidden
        return [
            *lines,
            *self._fields("blocks", blocks),
            *self._fields("mask", f"rate {masks.rate:g}{self.dot}{masks.description}"),
            *self._fields("hidden", f"{view.count(hidden)} ({share}); the student sees {view.count(seen)}"),
            *self._fields(
                "trained", f"teacher {view.count(trained)}{self.dot}student {view.count(view.size(trained=2))}"
            ),
        ]

    def legend(self, view: View) -> list[str]:
        """What colours and marks mean."""
        plain = view.row_type == "generation"
        if not self.color:
            marks = "T: trained on"
            if not plain:
                marks = (
                    "x: hidden, only the teacher sees it; no x: the student sees it; T: trained on (teacher); "
                    "TS: trained on (teacher and student), distilled"
                )
            return self._fields("marks", marks)
        if plain:
            return self._flow([("trained on", ("4",)), ("seen, not trained on", ())])
        return self._flow(
            [
                *((f" {block_type} ", ("38;5;231", f"48;5;{_FILL[block_type][0]}")) for block_type in BLOCK_TYPES),
                ("hidden: only the teacher sees it", ("9", f"38;5;{_GREY}")),
                ("always visible", ()),
                ("trained on (teacher)", ("4",)),
                ("trained on (teacher and student), distilled", ("1", "4")),
            ]
        )

    def overview(self, view: View, rate: float) -> list[str]:
        """What teacher and student see, as a bar for each."""
        if view.row_type == "generation":
            return []
        level, room = view.level(rate), min(self.width, 110) - 10
        cells, total, at, index, done = [], view.size(), 0, 0, 0
        for cell in range(room):
            middle = (cell + 0.5) * total / room
            while done + view.pieces[index].size <= middle:
                done += view.pieces[index].size
                index += 1
            while index >= view.sections[at].end:
                at += 1
            cells.append((view.sections[at].label, 0 <= view.pieces[index].hidden_from <= level))
        bars = [
            [self._cell(label, hidden and who == "student") for label, hidden in cells]
            for who in ("teacher", "student")
        ]
        return [self._name("teacher") + "".join(bars[0]), self._name("student") + "".join(bars[1])]

    def section(self, view: View, section: Section, rate: float) -> list[str]:
        """One part or block: a title, and its tokens wrapped to the width."""
        level = view.level(rate)
        pieces = view.pieces[section.start : section.end]
        title = self.dot.join([section.title, *section_facts(view, section, level)])
        hidden = all(0 <= piece.hidden_from <= level for piece in pieces)
        rule = f"{self.rule * 2} {title} "
        rule += self.rule * max(min(self.width, 110) - cell_width(rule), 0)
        hue = f"38;5;{_HUE.get(section.label, _GREY)}"
        lines = [self._paint(line, "1", hue) for line in self._wrapped(rule, self.width)]
        bar = ("┆ " if hidden else "┃ ") if self.unicode else ("| ")
        if not self.color:
            return lines + self._marked_lines(section, pieces, level)
        return lines + [self._paint(bar, hue) + line for line in self._colored_lines(section, pieces, level)]

    def _colored_lines(self, section: Section, pieces: list[Piece], level: int) -> list[str]:
        by_tokens = pieces[0].token_id is not None
        newline = "↵" if self.unicode else "\\n"
        writer = _Writer(self.width - 3)
        for index, piece in enumerate(pieces):
            codes = self._codes(section, piece, level, index % 2 if by_tokens else 0)
            for atom in _ATOM.findall(printable(piece.text)) or ["▫" if self.unicode else "_"]:
                if atom != "\n":
                    writer.write(atom, codes)
                    continue
                if by_tokens:
                    writer.write(newline, codes)
                writer.end_line()
        return ["".join(self._paint(text, *codes) for text, codes in line) for line in writer.lines()]

    def _marked_lines(self, section: Section, pieces: list[Piece], level: int) -> list[str]:
        # A new line at each change of the marks, so that those in front hold for the whole line
        lines: list[str] = []
        writer, marks = _Writer(self.width - 19), ""

        def flush() -> None:
            lines.extend(f"{marks}| {''.join(text for text, _ in line)}".rstrip() for line in writer.lines())

        for piece in pieces:
            hidden = "x" if 0 <= piece.hidden_from <= level else ""
            new = f"{section.label:<11} {hidden:<1} {('', 'T', 'TS')[piece.trained]:<2} "
            if new != marks:
                flush()
                marks, writer = new, _Writer(self.width - 19)
            for atom in _ATOM.findall(printable(piece.text)):
                if atom == "\n":
                    writer.end_line()
                else:
                    writer.write(atom, ())
        flush()
        return lines

    def _codes(self, section: Section, piece: Piece, level: int, shade: int) -> tuple[str, ...]:
        codes = ((), ("4",), ("1", "4"))[piece.trained]
        if 0 <= piece.hidden_from <= level:
            return (*codes, "9", f"38;5;{_GREY}")
        if section.label in _FILL:
            return (*codes, "38;5;231", f"48;5;{_FILL[section.label][shade]}")
        return codes

    def _cell(self, label: str, hidden: bool) -> str:
        if not self.color:
            return "." if hidden else _LETTERS.get(label, label[0])
        if hidden:
            return self._paint("·" if self.unicode else ".", f"38;5;{_GREY}")
        fill = _FILL[label][0] if label in _FILL else {"answer": 252, "instruction": 240}.get(label, 246)
        return self._paint(" ", f"48;5;{fill}")

    def _paint(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.color and codes else text

    def _name(self, name: str) -> str:
        return f"{name:<10}" if not self.color else self._paint(f"{name:<10}", f"38;5;{_GREY}")

    def _fields(self, name: str, text: str, *codes: str) -> list[str]:
        # A name in front and its text in a column of its own
        indent = 10 * bool(name)
        lines = [line.strip() for line in self._wrapped(text, self.width - indent)]
        lead = [self._name(name) if name else "", *[" " * indent] * len(lines)]
        return [front + self._paint(line, *codes) for front, line in zip(lead, lines, strict=False)]

    def _flow(self, samples: list[tuple[str, tuple[str, ...]]]) -> list[str]:
        # Samples side by side, each in its look, kept whole where they fit
        lines: list[str] = []
        used = self.width
        for text, codes in samples:
            wrapped = self._wrapped(text, self.width)
            if used + 2 + cell_width(text) <= self.width:
                lines[-1] += "  " + self._paint(text, *codes)
                used += 2 + cell_width(text)
            else:
                lines += [self._paint(line, *codes) for line in wrapped]
                used = cell_width(wrapped[-1])
        return lines

    @staticmethod
    def _wrapped(text: str, width: int) -> list[str]:
        writer = _Writer(width)
        for atom in _ATOM.findall(text):
            writer.write(atom, ())
        return ["".join(word for word, _ in line) for line in writer.lines()]


class _Writer:
    # Lays text out in lines of a width, each a list of (text, codes)

    def __init__(self, width: int):
        self.width = width
        self._lines: list[list[tuple[str, tuple[str, ...]]]] = [[]]
        self._used = 0

    def write(self, text: str, codes: tuple[str, ...]) -> None:
        if self._used and self._used + cell_width(text) > self.width:
            self.end_line()
        while cell_width(text) > self.width:
            cut = self.width
            while cell_width(text[:cut]) > self.width:
                cut -= 1
            self._lines[-1].append((text[:cut], codes))
            self.end_line()
            text = text[cut:]
        self._lines[-1].append((text, codes))
        self._used += cell_width(text)

    def end_line(self) -> None:
        self._lines.append([])
        self._used = 0

    def lines(self) -> list[list[tuple[str, tuple[str, ...]]]]:
        # Without the empty line after a last newline
        return self._lines if self._lines[-1] else self._lines[:-1]


def section_facts(view: View, section: Section, level: int) -> list[str]:
    """
    What is worth knowing of a part or block.

    Args:
        view ([`View`]):
            Row.
        section ([`Section`]):
            One of its sections.
        level (`int`):
            Level of the mask rate.

    Returns:
        `list[str]`: Its size, how much of it is trained on, and when the student sees it.
    """
    facts = [view.count(view.size(section=section))]
    trained = view.size(trained=1, section=section)
    if trained:
        facts.append(f"{trained:,} trained on")
    if view.row_type == "reflection":
        facts.append(visibility(view, section, level))
    return facts


def visibility(view: View, section: Section, level: int) -> str:
    """
    When the student sees a part or block, in words.

    Args:
        view ([`View`]):
            Row.
        section ([`Section`]):
            One of its sections.
        level (`int`):
            Level of the mask rate.

    Returns:
        `str`: Such as `"hidden above rate 0"` or `"seen; hidden from rate 0.67"`.
    """
    froms = {piece.hidden_from for piece in view.pieces[section.start : section.end]}
    if froms == {-1}:
        return "seen at any rate" if section.number else "always visible"
    hidden = view.size(hidden_at=level, section=section)
    if len(froms) > 1:
        return f"{hidden} hidden" if hidden else "seen"
    words = f"hidden {view.changes[froms.pop()][1]}"
    return words if hidden else f"seen; {words}"


# The page


def render_html(views: list[View], masks: Masks, how: str, source: str) -> str:
    """
    Rows as one self-contained page.

    Every token carries the change of the mask at which it gets hidden, and the page holds the rates of these changes, so
    that the slider needs nothing but the page.

    Args:
        views (`list[View]`):
            Rows.
        masks ([`Masks`]):
            What is hidden.
        how (`str`):
            Words for the rendering.
        source (`str`):
            What the page calls the dataset.

    Returns:
        `str`: HTML.
    """
    data = {
        "grid": masks.grid,
        "rate": masks.rate,
        "rows": [_row_data(view) for view in views],
    }
    rows = Markup("\n".join(_row_html(view, masks.rate, index) for index, view in enumerate(views)))
    return fill_page("show.html", data, title=source, how=how, masks=masks.description, rows=rows)


def _row_data(view: View) -> dict[str, Any]:
    return {
        "id": view.row_id,
        "type": view.row_type,
        "unit": view.unit,
        "labels": {name: printable(value) for name, value in view.labels.items()},
        "problem": view.problem and printable(view.problem),
        "changes": view.changes,
        "hidden_from": [piece.hidden_from for piece in view.pieces],
        "trained": [piece.trained for piece in view.pieces],
        "sizes": [piece.size for piece in view.pieces] if view.unit == "character" else None,
        "ids": [piece.token_id for piece in view.pieces] if view.unit == "token" else None,
        "sections": [[section.label, section.number, section.start, section.end] for section in view.sections],
    }


def _row_html(view: View, rate: float, index: int) -> str:
    hidden = " hidden" if index else ""
    if view.problem:
        body = f'<p class="problem">Training does not use this row: {html.escape(printable(view.problem))}</p>'
    else:
        body = "\n".join(_section_html(view, section, view.level(rate)) for section in view.sections)
    return f'<article class="row {view.unit}s" id="row-{view.row_id}"{hidden}>\n{body}\n</article>'


def _section_html(view: View, section: Section, level: int) -> str:
    pieces = view.pieces[section.start : section.end]
    spans = "".join(_piece_html(piece, level) for piece in pieces)
    hidden = all(0 <= piece.hidden_from <= level for piece in pieces)
    number = f"<b>{section.number}</b>" if section.number else ""
    size, *facts = section_facts(view, section, level)
    trained = f"<span>{facts.pop(0)}</span>" if len(facts) > 1 or (facts and view.row_type == "generation") else ""
    seen = f'<span class="seen">{"".join(facts)}</span>'
    return (
        f'<section class="part {section.label}{" gone" * hidden}"><h2>{number}<em>{section.label}</em>'
        f"<span>{size}</span>{trained}{seen}</h2><pre>{spans}</pre></section>"
    )


def _piece_html(piece: Piece, level: int) -> str:
    names = [("", "w", "w s")[piece.trained], "h" if 0 <= piece.hidden_from <= level else ""]
    text = html.escape(printable(piece.text), quote=False) or "<i>▫</i>"
    if piece.token_id is not None:
        text = text.replace("\n", "<i>↵</i>\n")
    return f'<span class="{" ".join(filter(None, ["t", *names]))}">{text}</span>'


# The command line


class CommandLine(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{self.prog}: error: {message}\n")


def _rate(value: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise argparse.ArgumentTypeError(f"{value!r} is not a mask rate; give a number from 0 to 1.")
    return rate


def _count(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"{value!r} is not a number; give 0, 1, 2, ...")
    return int(value)


def _row_range(value: str) -> tuple[int | None, int]:
    # First row, if given, and how many
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", value)
    first, last = (match[1], match[2]) if match else (None, None)
    if first is not None and last is None and int(first) > 0:
        return None, int(first)
    if first is not None and last is not None and int(first) <= int(last):
        return int(first), int(last) - int(first) + 1
    raise argparse.ArgumentTypeError(f"{value!r} is not a number of rows, such as 8, or a range, such as 20-29.")


def _json_object(value: str) -> dict[str, Any]:
    try:
        kwargs = json.loads(value)
    except json.JSONDecodeError:
        kwargs = None
    if not isinstance(kwargs, dict):
        raise argparse.ArgumentTypeError(f"{value!r} is not a JSON object such as '{{\"enable_thinking\": false}}'.")
    return kwargs


def build_parser() -> argparse.ArgumentParser:
    """
    The command line.

    Returns:
        `argparse.ArgumentParser`: Its parser.
    """
    parser = CommandLine(
        prog="reflection-trl show",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = parser.add_argument_group("data")
    data.add_argument("dataset", help="Dataset id, directory, or a .json, .jsonl or .parquet file.")
    data.add_argument("--split", default="train", help="Split of a dataset id or directory (default: train).")
    data.add_argument("--row", type=_count, default=0, metavar="N", help="Row to show, from 0 (default: 0).")
    data.add_argument(
        "--rows",
        type=_row_range,
        metavar="N|A-B",
        help=f"Several rows: N from `--row` on, or A to B (default: 1; with `--html` {DEFAULT_PAGE_ROWS}).",
    )
    tokens = parser.add_argument_group("tokens")
    tokens.add_argument(
        "--tokenizer", metavar="ID_OR_PATH", help="Tokenizer to show real tokens; without one, characters are shown."
    )
    tokens.add_argument(
        "--rendering",
        choices=RENDERINGS,
        default="chat",
        help="The model's chat template, or the published format with seven special tokens (default: chat).",
    )
    tokens.add_argument(
        "--execution_role",
        choices=EXECUTION_ROLES,
        default="auto",
        help="Role of execution output: auto is tool where the template renders tool turns, user otherwise (default: auto).",
    )
    tokens.add_argument(
        "--chat_template_path", metavar="PATH", help="Another chat template: a Jinja file, or a model."
    )
    tokens.add_argument(
        "--chat_template_kwargs", type=_json_object, metavar="JSON", help="Variables for the template."
    )
    tokens.add_argument("--hide_prefix", action="store_true", help="Hide BOS and system prompt from the student too.")
    masks = parser.add_argument_group("masks")
    masks.add_argument("--rate", type=_rate, default=0.5, metavar="R", help="Mask rate, from 0 to 1 (default: 0.5).")
    masks.add_argument(
        "--strategy",
        nargs="+",
        choices=STRATEGIES,
        default=["block-type"],
        metavar="NAME",
        help=f"One of {', '.join(STRATEGIES)} (default: block-type); of several, the row draws one, as in training.",
    )
    masks.add_argument(
        "--order",
        nargs=3,
        choices=BLOCK_TYPES,
        default=list(BLOCK_TYPES),
        metavar="TYPE",
        help="Order in which block-type hides the types (default: execution text code).",
    )
    masks.add_argument("--seed", type=_count, default=0, metavar="N", help="Seed of random masks (default: 0).")
    masks.add_argument("--step", type=_count, default=0, metavar="N", help="Optimizer steps done before (default: 0).")
    output = parser.add_argument_group("output")
    output.add_argument("--html", metavar="OUT.html", help="Write a self-contained page instead of printing.")
    output.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="Colour, as for `| less -R` (default: auto).",
    )
    return parser


def _wants_color(choice: str) -> bool:
    if choice != "auto":
        return choice == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _make_views(args: argparse.Namespace, masks: Masks) -> tuple[list[View], str]:
    first, number = args.rows or (None, DEFAULT_PAGE_ROWS if args.html else 1)
    first = args.row if first is None else first
    by_token = [strategy for strategy in masks.strategies if strategy.endswith("token")]
    if by_token and args.tokenizer is None:
        raise ShowError(f"`--strategy {by_token[0]}` hides single tokens, so it needs a tokenizer; add `--tokenizer`.")
    rows = read_rows(args.dataset, args.split, first, number)
    renderer, how = load_renderer(args)
    views = [make_view(row, first + index, renderer, masks) for index, row in enumerate(rows)]
    if views[0].problem and all(view.problem for view in views):
        raise ShowError(f"Row {first} of '{args.dataset}' cannot be shown: {views[0].problem.rstrip('.')}.")
    return views, how


def _write(views: list[View], masks: Masks, how: str, args: argparse.Namespace) -> None:
    if args.html:
        page = render_html(views, masks, how, Path(args.dataset).name if Path(args.dataset).exists() else args.dataset)
        try:
            Path(args.html).write_text(page, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise ShowError(f"'{args.html}' cannot be written ({error.strerror}).") from None
        print(f"Wrote {args.html}: {len(views)} row{'s' * (len(views) > 1)}, {len(page) / 1e6:.1f} MB")
        return
    encoding = (sys.stdout.encoding or "ascii").lower()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    width = shutil.get_terminal_size().columns
    terminal = Terminal(width, _wants_color(args.color), unicode=encoding.startswith("utf"))
    for index, view in enumerate(views):
        if view.problem:
            print("\n" * bool(index) + f"Row {view.row_id} cannot be shown: {printable(view.problem)}")
        else:
            print("\n" * bool(index) + terminal.show(view, masks, how), end="")


def main(argv: list[str] | None = None) -> int:
    """
    Run the command line.

    Args:
        argv (`list[str]`, *optional*):
            Arguments; those of the process by default.

    Returns:
        `int`: Exit code: 0, or 1 after invalid input.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    if len(set(args.order)) < 3:
        parser.error(
            f"argument --order: {' '.join(args.order)} names a type twice; name execution, text and code once each."
        )
    masks = Masks(args.strategy, tuple(args.order), args.seed, args.step, args.rate)
    try:
        views, how = _make_views(args, masks)
        _write(views, masks, how, args)
    except ShowError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
