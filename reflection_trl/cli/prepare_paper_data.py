"""Write the plain instruction rows of the paper's mixture as JSON Lines.

    reflection-trl paper-data --output data/codefeedback.jsonl
    reflection-trl paper-data --dataset_name my/rows.jsonl --query_column question --answer_column answer

    --dataset_name          Hub id or file [m-a-p/CodeFeedback-Filtered-Instruction]
    --split                 [train]
    --query_column --answer_column      columns of the requests and of the answers [query, answer]
    --output                file to write [data/codefeedback.jsonl]

Works with any dataset that has a column of requests and one of answers. Texts are cleaned as in the published preparation: HTML
entities are resolved; answers get Unix line ends, four spaces for a tab and no surrounding whitespace. Empty rows are skipped and
counted. The file appears only when it is complete. Invalid input prints a one-line error and exits with status 1; set
REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import html
import json
from pathlib import Path
from typing import Any

from ..scratch import ScratchFolder
from .command_line import Parser, run_command


def to_row(query: str | None, answer: str | None) -> dict[str, Any] | None:
    """Returns a plain row; `None` if the request or the answer is empty."""
    query = html.unescape(query or "")
    answer = html.unescape(answer or "").replace("\r\n", "\n").replace("\t", "    ").strip()
    if not query.strip() or not answer:
        return None
    messages = [{"role": "user", "content": query}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "type": "generation"}


def run(argv: list[str]) -> None:
    from datasets import Value

    from ..files.rows import load_rows

    parser = Parser()
    parser.add_argument("--dataset_name", default="m-a-p/CodeFeedback-Filtered-Instruction")
    parser.add_argument("--split", default="train")
    parser.add_argument("--query_column", default="query")
    parser.add_argument("--answer_column", default="answer")
    parser.add_argument("--output", type=Path, default=Path("data/codefeedback.jsonl"))
    args = parser.parse(argv)
    dataset = load_rows(args.dataset_name, split=args.split)
    for option in ("query_column", "answer_column"):
        column = getattr(args, option)
        if column not in dataset.column_names:
            raise ValueError(
                f"{args.dataset_name} has no column `{column}`, only {', '.join(dataset.column_names)}; pass another name with --{option}."
            )
        feature = dataset.features[column]
        if not isinstance(feature, Value) or feature.dtype not in ("string", "large_string"):
            raise ValueError(
                f"Column `{column}` of {args.dataset_name} contains no text; pass another name with --{option}."
            )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with ScratchFolder(args.output.parent, ".prepare-") as temporary:
        file = Path(temporary) / args.output.name
        with file.open("w", encoding="utf-8") as lines:
            for example in dataset:
                row = to_row(example[args.query_column], example[args.answer_column])
                if row is not None:
                    lines.write(json.dumps(row, ensure_ascii=False) + "\n")
                    written += 1
        file.replace(args.output)
    empty = len(dataset) - written
    print(f"{args.output}: {written} rows" + (f", {empty} empty ones skipped" if empty else ""))


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
