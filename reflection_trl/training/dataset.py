"""From a dataset of rows to a dataset of tokens: normalized, rendered, tokenized, counted.

Rows whose structure is wrong raise; rows that are too long, or that the model's template cannot express, are dropped and
reported. Nothing is ever cut.
"""

import bisect
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, IterableDataset, List, Value
from torch.utils.data import get_worker_info
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from ..quoting import list_names
from ..rendering import BLOCK_TOKEN_CHAT_TEMPLATE, BlockTokenRenderer, ChatTemplateRenderer, UnrenderableRow
from ..row_forms import ROWS_NEED, find_form
from ..sequences import normalize_row
from .config import ReflectionDistillConfig


logger = logging.get_logger(__name__)

TOKEN_FEATURES = Features(
    {
        "input_ids": List(Value("int32")),
        "loss_mask": List(Value("int8")),
        "block_ids": List(Value("int16")),
        "block_types": List(Value("int8")),
        "answer_start": Value("int32"),
        "row_id": Value("int64"),
    }
)
# Rows of a stream are numbered by content, so equal ones are told apart by their place in it
STREAM_FEATURES = Features({**TOKEN_FEATURES, "stream_index": Value("int64")})


def make_renderer(
    tokenizer: PreTrainedTokenizerBase, args: ReflectionDistillConfig
) -> ChatTemplateRenderer | BlockTokenRenderer:
    """
    Returns what renders rows under the settings.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer.
        args ([`ReflectionDistillConfig`]):
            Settings.

    Raises:
        ValueError: If the tokenizer's chat template is that of another rendering.
    """
    if args.rendering == "block-token":
        return BlockTokenRenderer(tokenizer, args.hide_prefix)
    if tokenizer.chat_template == BLOCK_TOKEN_CHAT_TEMPLATE:
        raise ValueError(
            "`rendering='chat'`, but the tokenizer has the template of the block tokens, from an earlier training; load the "
            "model's own tokenizer, or set `rendering='block-token'`."
        )
    template_kwargs: Any = args.chat_template_kwargs  # no string any longer
    return ChatTemplateRenderer(tokenizer, args.execution_role, args.hide_prefix, template_kwargs)


def prepare_dataset(
    dataset: Dataset | IterableDataset,
    renderer: ChatTemplateRenderer | BlockTokenRenderer,
    max_length: int | None,
    name: str = "train",
    num_proc: int | None = None,
) -> Dataset | IterableDataset:
    """
    Tokenize a dataset of rows; a dataset that is prepared already is returned as it is.

    Args:
        dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Rows in any form that [`~reflection_trl.sequences.normalize_row`] reads.
        renderer ([`~reflection_trl.rendering.ChatTemplateRenderer`] or [`~reflection_trl.rendering.BlockTokenRenderer`]):
            How rows become tokens.
        max_length (`int`, *optional*):
            Longest row in tokens; `None` for no limit.
        name (`str`, *optional*, defaults to `"train"`):
            What messages call the dataset.
        num_proc (`int`, *optional*):
            Processes.

    Returns:
        The dataset with the columns of `TOKEN_FEATURES`.

    Raises:
        ValueError: If a column is missing, a row's structure is wrong, or no row is left.
    """
    dataset = _unformatted(dataset)
    check_not_empty(dataset, name)
    columns = dataset.column_names or list(next(iter(dataset)))
    if set(TOKEN_FEATURES) <= set(columns):
        return _numbered_apart(dataset, columns)
    check_columns(columns, f"The {name} dataset")
    if "type" not in columns:
        logger.warning(
            f"The {name} dataset has no column `type`: its rows are plain conversations ('generation'), of which nothing is distilled."
        )

    streams = isinstance(dataset, IterableDataset)
    tokenize_row = _row_tokenizer(renderer, max_length, name, streams)
    dropped = {"dropped": Value("string"), "detail": Value("string")}
    if streams:
        features = Features({**STREAM_FEATURES, **dropped})
        dataset = dataset.map(tokenize_row, with_indices=True, remove_columns=columns, features=features)
        return dataset.filter(_keep_and_warn).remove_columns(["dropped", "detail"])
    dataset = dataset.map(
        tokenize_row,
        with_indices=True,
        remove_columns=columns,
        features=Features({**TOKEN_FEATURES, **dropped}),
        num_proc=num_proc,
        desc=f"Tokenizing {name} dataset",
    )
    reasons = DropReasons()
    for index, (reason, detail) in enumerate(zip(dataset["dropped"], dataset["detail"], strict=True)):
        reasons.count(index, reason, detail)
    if reasons.total:
        if reasons.total == len(dataset):
            raise ValueError(_nothing_left(reasons, name))
        logger.warning(f"Dropped {reasons.total} of {len(dataset)} rows of the {name} dataset: {reasons}.")
        dataset = dataset.filter(lambda dropped: not dropped, input_columns="dropped", num_proc=num_proc)
    return dataset.remove_columns(["dropped", "detail"])


def check_not_empty(dataset: Dataset | IterableDataset, name: str) -> None:
    """
    Refuses a dataset without rows.

    Args:
        dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Dataset; of a stream the first row is read.
        name (`str`):
            What the message calls it, such as `"train"`.

    Raises:
        ValueError: If it has no row.
    """
    if next(iter(dataset), None) is None:
        raise ValueError(
            f"The {name} dataset is empty; check its file, its split and the filters that it went through."
        )


def check_columns(columns: Sequence[str], which: str) -> None:
    """
    Refuses a dataset that holds no rows in any form that is read.

    Args:
        columns (`Sequence[str]`):
            Columns of the dataset.
        which (`str`):
            How the message begins, such as `"The train dataset"`.

    Raises:
        ValueError: If no form of rows has these columns.
    """
    if find_form(columns) is None:
        raise ValueError(f"{which} has no column `messages`, only {list_names(columns) or 'none'}; {ROWS_NEED}.")


def check_rows_are_left(
    stream: IterableDataset,
    renderer: ChatTemplateRenderer | BlockTokenRenderer,
    max_length: int | None,
    name: str = "train",
) -> None:
    """
    Refuse a stream of which no row can be used. That shows only when all of it has been read, so it is asked when nothing came out.

    Args:
        stream ([`~datasets.IterableDataset`]):
            Rows as they were before [`prepare_dataset`].
        renderer ([`~reflection_trl.rendering.ChatTemplateRenderer`] or [`~reflection_trl.rendering.BlockTokenRenderer`]):
            How rows become tokens.
        max_length (`int`, *optional*):
            Longest row in tokens; `None` for no limit.
        name (`str`, *optional*, defaults to `"train"`):
            What messages call the dataset.

    Raises:
        ValueError: If every row is dropped.
    """
    tokenize_row = _row_tokenizer(renderer, max_length, name, streams=True)
    reasons = DropReasons()
    for index, row in enumerate(_unformatted(stream)):
        tokens = tokenize_row(row, index)
        if not tokens["dropped"]:
            return
        reasons.count(index, tokens["dropped"], tokens["detail"])
    if reasons.total:
        raise ValueError(_nothing_left(reasons, name))


def pack_rows(dataset: Dataset | IterableDataset, token_budget: int) -> Dataset:
    """
    Group prepared rows into packs of at most `token_budget` tokens, best fit decreasing.

    A reflection row counts twice, as teacher and as student without its reflection instruction, which is always hidden: the
    most that it can take at any mask rate.

    Args:
        dataset ([`~datasets.Dataset`]):
            Prepared rows.
        token_budget (`int`):
            Most tokens of a pack.

    Returns:
        [`~datasets.Dataset`]: Packs; each column is the list of its rows' values.

    Raises:
        ValueError: If a row alone exceeds the budget, or for a stream.
    """
    if isinstance(dataset, IterableDataset):
        raise ValueError("`token_budget` needs to see all rows, so it does not work on a streaming dataset; unset it.")
    costs = row_costs(dataset)
    if costs.max() > token_budget:
        raise ValueError(
            f"`token_budget` is {token_budget}, but the largest row takes {costs.max()} tokens as teacher and student; raise "
            f"`token_budget` to at least that, or lower `max_length`."
        )
    packs = best_fit_decreasing(costs.tolist(), token_budget)
    table = dataset.with_format("arrow").select([row for pack in packs for row in pack])[:]
    offsets = pa.array(np.concatenate([[0], np.cumsum([len(pack) for pack in packs])]), type=pa.int64())
    columns = {
        column: pa.LargeListArray.from_arrays(offsets, table[column].combine_chunks()) for column in table.column_names
    }
    return Dataset(pa.table(columns))


def row_costs(dataset: Dataset) -> np.ndarray:
    """
    Returns the most tokens that each row, or pack of rows, can take as teacher and student.

    A reflection row counts twice, the second time without its reflection instruction, which is always hidden from the student.

    Args:
        dataset ([`~datasets.Dataset`]):
            Prepared rows or packs.

    Returns:
        `np.ndarray` of shape `(len(dataset),)`: Number of tokens.
    """

    def cost(block_ids: np.ndarray, block_types: np.ndarray) -> int:
        return len(block_ids) + (int(np.count_nonzero(block_ids)) if len(block_types) else 0)

    dataset = dataset.with_format("numpy")
    columns = zip(dataset["block_ids"], dataset["block_types"], strict=True)
    if dataset.features["row_id"] == TOKEN_FEATURES["row_id"]:
        return np.array([cost(*row) for row in columns])
    return np.array([sum(map(cost, *pack)) for pack in columns])


def count_rows(dataset: Dataset) -> int:
    """
    Returns how many rows a prepared dataset has, each row of a pack counted.

    Args:
        dataset ([`~datasets.Dataset`]):
            Prepared rows or packs.
    """
    return sum(len(pack) if isinstance(pack, list) else 1 for pack in dataset["row_id"])


def best_fit_decreasing(costs: list[int], budget: int) -> list[list[int]]:
    """
    Put items into as few bins as best fit decreasing finds: the largest first, each into the fullest bin that takes it.

    Args:
        costs (`list[int]`):
            Cost of each item, at most `budget`.
        budget (`int`):
            Most that a bin takes.

    Returns:
        `list[list[int]]`: Item numbers of each bin.
    """
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (room left, bin), sorted
    for item in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        at = bisect.bisect_left(room, (costs[item], -1))
        if at == len(room):
            left, number = budget, len(bins)
            bins.append([])
        else:
            left, number = room.pop(at)
        bins[number].append(item)
        bisect.insort(room, (left - costs[item], number))
    return bins


def _row_tokenizer(
    renderer: ChatTemplateRenderer | BlockTokenRenderer, max_length: int | None, name: str, streams: bool
) -> Callable[[dict[str, Any], int], dict[str, Any]]:
    def tokenize_row(row: dict[str, Any], index: int) -> dict[str, Any]:
        row = normalize_row(row, f"Row {index} of the {name} dataset")
        dropped = detail = ""
        try:
            tokens = renderer.tokenize(row)
            if max_length is not None and len(tokens["input_ids"]) > max_length:
                dropped, detail = f"longer than max_length={max_length}", f"{len(tokens['input_ids'])} tokens"
        except UnrenderableRow as error:
            dropped, detail = error.reason, error.detail
        if dropped:
            tokens = {"input_ids": [], "loss_mask": [], "block_ids": [], "block_types": [], "answer_start": 0}
        tokens |= {"row_id": index, "dropped": dropped, "detail": detail}
        if streams:
            # Each worker of a stream counts from 0, so there the content numbers the row: masks must not depend on workers
            tokens |= {"row_id": _content_id(tokens["input_ids"]), **_stream_index({}, index)}
        return tokens

    return tokenize_row


class DropReasons:
    """Why rows were dropped: how many for each reason, and the first row of each as its example."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    @property
    def total(self) -> int:
        """Returns rows that were dropped."""
        return self._counts.total()

    def count(self, index: int, reason: str, detail: str = "") -> None:
        """Counts a row; one without a reason was not dropped."""
        if reason:
            self._counts[reason] += 1
            self._examples.setdefault(reason, f"row {index}: {detail}" if detail else f"row {index}")

    def __str__(self) -> str:
        counts = self._counts.most_common(5)
        return "; ".join(f"{count} {reason} ({self._examples[reason]})" for reason, count in counts)


def _nothing_left(reasons: DropReasons, name: str) -> str:
    return f"No row of the {name} dataset can be used, of {reasons.total}: {reasons}."


def _content_id(input_ids: list[int]) -> int:
    digest = hashlib.blake2b(np.array(input_ids, dtype=np.int32).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # of int64, without the sign


def _stream_index(row: dict[str, Any], index: int) -> dict[str, int]:
    worker = get_worker_info()
    return {"stream_index": index if worker is None else index * worker.num_workers + worker.id}


def _numbered_apart(dataset: Dataset | IterableDataset, columns: list[str]) -> Dataset | IterableDataset:
    # Datasets that were prepared apart and then joined number their rows alike, of which an evaluation would count one each. Packs
    # are never evaluated
    if isinstance(dataset, IterableDataset):
        return dataset if "stream_index" in columns else dataset.map(_stream_index, with_indices=True)
    if dataset.features["row_id"] != TOKEN_FEATURES["row_id"]:
        return dataset
    if len(np.unique(dataset.with_format("numpy")["row_id"])) == len(dataset):
        return dataset
    return dataset.remove_columns("row_id").add_column("row_id", np.arange(len(dataset)))


def _unformatted(dataset: Dataset | IterableDataset) -> Dataset | IterableDataset:
    # Rows as Python objects, whatever `with_format` made of them; a transform of the user's is applied
    formatted = dataset._formatting if isinstance(dataset, IterableDataset) else dataset.format["type"]
    custom = isinstance(dataset, Dataset) and formatted == "custom"
    return dataset if custom or formatted is None else dataset.with_format(None)


def _keep_and_warn(row: dict[str, Any]) -> bool:
    if row["dropped"]:
        # Once a reason, since it is the message that is remembered
        logger.warning_once(f"Streaming: dropping rows, because of: {row['dropped']}.")
    return not row["dropped"]
