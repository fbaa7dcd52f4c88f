"""Shows a row token by token: what teacher and student see, and what they are trained on.

`reflection-trl show DATASET` prints a row in the terminal. `--html PAGE.html` writes rows as one self-contained page
with a slider for the mask rate. Parts, blocks and masks are computed by the functions of the training
([`~reflection_trl.rendering`], [`~reflection_trl.training.masking`]), so the viewer shows exactly what is trained.

The encoding in the terminal and on the page:

- hue: the type of a block (execution, text, code); parts outside the reflection sequence have none
- filled or hollow: the student sees it, or only the teacher does (struck through and dimmed)
- underline: trained on; bold and underlined: also trained on by the student, and distilled

Heavy modules are imported where they are needed, so that `--help` is instant.
"""

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files.model_folder import check_exists
from ...files.rows import RowsError, read_rows
from ...quoting import quote_error
from ...sequences import BLOCK_TYPES
from ..command_line import CommandLine, write_page
from ..page import printable
from .html import render_html
from .terminal import Terminal
from .view import CharacterTokenizer, Masks, View, make_view


if TYPE_CHECKING:
    from ...rendering import BlockTokenRenderer, ChatTemplateRenderer


# Copies of constants of `masking` and `config`, whose imports would make `--help` slow; a test compares them
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

DESCRIPTION = """\
Show how reflection self-distillation uses a row: which tokens the teacher is trained on, which the student is trained
on, and which of them the student does not see at a given mask rate.

A reflection row has five parts. The student always sees the prefix (BOS, system prompt), the re-answer request and the
answer. It never sees the reflection instruction. It sees less of the blocks between them as the mask rate grows from 0
to 1 during training. Settings have the names and defaults of `ReflectionDistillConfig`, without `mask_`.
"""

EPILOG = """\
examples:
  # Parts and blocks of the first row, by characters: no tokenizer needed
  reflection-trl show data.jsonl

  # Row 12 as the tokens of your model, late in training
  reflection-trl show data.jsonl --tokenizer HuggingFaceTB/SmolLM2-135M-Instruct --row 12 --rate 0.7

  # The published settings: seven special tokens, text hidden first, BOS hidden too
  reflection-trl show SenseLLM/ReflectionSeq-GPT --tokenizer MODEL --rendering block-token --hide_prefix \\
      --order text code execution

  # What one optimizer step of a run with random masks hides
  reflection-trl show data.jsonl --tokenizer MODEL --strategy random-block --seed 42 --step 130 --rate 0.4

  # A page with rows 20 to 29 and a slider for the mask rate
  reflection-trl show data.jsonl --tokenizer MODEL --rows 20-29 --html rows.html

Color needs a terminal. With NO_COLOR set, or in a file or pipe, each line starts with its part and two marks instead (x:
hidden, T: trained on, TS: by the student too), so that `grep` and `diff` work. The exit status is 1 on an error.
"""


def load_renderer(args: argparse.Namespace) -> tuple["ChatTemplateRenderer | BlockTokenRenderer", str]:
    """
    Creates the renderer for the arguments.

    Args:
        args (`argparse.Namespace`):
            Parsed arguments.

    Returns:
        `tuple`: The renderer, and its description.

    Raises:
        RowsError: If the tokenizer cannot be loaded, or has no chat template or no offsets.
    """
    from ...rendering import BLOCK_TOKENS, BlockTokenRenderer, ChatTemplateRenderer

    if args.tokenizer is None:
        if args.rendering == "block-token":
            raise RowsError("`--rendering block-token` needs a tokenizer; name one with `--tokenizer`.")
        role = "tool" if args.execution_role == "auto" else args.execution_role
        characters: Any = CharacterTokenizer()
        return ChatTemplateRenderer(characters, role, args.hide_prefix), "by characters, no chat template"

    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # the header shows the renderer's warnings
    try:
        check_exists("folder", args.tokenizer)
        tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    except (OSError, ValueError) as error:
        raise RowsError(f"The tokenizer '{args.tokenizer}' cannot be loaded: {quote_error(error)}.") from None
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
        raise RowsError(str(error)) from None
    return renderer, f"chat template of {name}, execution in {renderer.execution_role} turns"


def _read_template(path: str) -> str | None:
    from transformers import AutoTokenizer

    try:
        if Path(path).is_file():
            return Path(path).read_text(encoding="utf-8")
        return AutoTokenizer.from_pretrained(path).chat_template
    except (OSError, ValueError) as error:
        raise RowsError(f"The chat template '{path}' cannot be loaded: {quote_error(error)}.") from None


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
    # First row, if given, and number of rows
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


def build_parser() -> CommandLine:
    """Returns the parser of the command."""
    parser = CommandLine("show", description=DESCRIPTION, epilog=EPILOG)
    data = parser.add_argument_group("data")
    data.add_argument("dataset", help="Dataset id, directory, or a .json, .jsonl or .parquet file.")
    data.add_argument("--split", default="train", help="Split of a dataset id or directory (default: train).")
    data.add_argument("--dataset_config", metavar="NAME", help="Configuration of a dataset that has several.")
    data.add_argument("--row", type=_count, metavar="N", help="Row to show, from 0 (default: 0).")
    data.add_argument(
        "--rows",
        type=_row_range,
        metavar="N|A-B",
        help=f"Several rows: N rows starting at `--row`, or A to B (default: 1; with `--html` {DEFAULT_PAGE_ROWS}).",
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
        help="Role of execution output: auto is tool if the template renders tool turns, user otherwise (default: auto).",
    )
    tokens.add_argument("--chat_template_path", metavar="PATH", help="Another template: a Jinja file, or a model.")
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
        help=f"One of {', '.join(STRATEGIES)} (default: block-type); with several, the row samples one, as in training.",
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
    masks.add_argument("--step", type=_count, default=0, metavar="N", help="Completed optimizer steps (default: 0).")
    masks.add_argument(
        "--train_on_failed_attempts",
        choices=("true", "false"),
        default="true",
        help="Whether the loss covers failed attempts, which are all but a row's last one (default: true).",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--html", metavar="OUT.html", help="Write a self-contained page instead of printing.")
    output.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="When to use color; always for `| less -R` (default: auto).",
    )
    return parser


def _wants_color(choice: str) -> bool:
    if choice != "auto":
        return choice == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _make_views(args: argparse.Namespace, masks: Masks) -> tuple[list[View], str]:
    first, number = args.rows or (None, DEFAULT_PAGE_ROWS if args.html else 1)
    if first is not None and args.row is not None:
        raise RowsError("Give either `--row`, or a range `--rows A-B`, not both.")
    first = args.row or 0 if first is None else first
    by_token = [strategy for strategy in masks.strategies if strategy.endswith("token")]
    if by_token and args.tokenizer is None:
        raise RowsError(f"`--strategy {by_token[0]}` hides single tokens, so it needs a tokenizer; add `--tokenizer`.")
    rows = read_rows(args.dataset, args.split, first, number, args.dataset_config)
    renderer, how = load_renderer(args)
    views = [make_view(row, first + index, renderer, masks) for index, row in enumerate(rows)]
    if views[0].problem and all(view.problem for view in views):
        raise RowsError(f"Row {first} of '{args.dataset}' cannot be shown: {views[0].problem.rstrip('.')}.")
    return views, how


def _write(views: list[View], masks: Masks, how: str, args: argparse.Namespace) -> None:
    if args.html:
        page = render_html(views, masks, how, Path(args.dataset).name if Path(args.dataset).exists() else args.dataset)
        write_page(Path(args.html), page, len(views))
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
    Runs the command line.

    Args:
        argv (`list[str]`, *optional*):
            Arguments; by default those of the process.

    Returns:
        `int`: Exit code: 0, or 1 after invalid input.
    """
    parser = build_parser()
    args = parser.read(argv)
    if len(set(args.order)) < 3:
        parser.error(
            f"argument --order: {' '.join(args.order)} names a type twice; name execution, text and code once each."
        )
    on_failed = args.train_on_failed_attempts == "true"
    masks = Masks(args.strategy, tuple(args.order), args.seed, args.step, args.rate, on_failed)

    def show() -> None:
        views, how = _make_views(args, masks)
        _write(views, masks, how, args)

    return parser.run(show)
