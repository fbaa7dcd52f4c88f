"""Converts a dataset of rows to a dataset of tokens: normalizes, renders, tokenizes and counts the rows.

Rows with a wrong structure raise an error. Rows that are too long, or that the model's template cannot express, are
dropped and reported. Rows are never truncated.
"""

import bisect
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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

# Rows of a stream that are read before training
_FIRST_ROWS = 100
_SHORT_ROW = {
    "messages": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}],
    "type": "generation",
}
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
# Rows of a stream are numbered by content, so the position in the stream distinguishes equal rows
STREAM_FEATURES = Features({**TOKEN_FEATURES, "stream_index": Value("int64")})


def make_renderer(
    tokenizer: PreTrainedTokenizerBase, args: ReflectionDistillConfig
) -> ChatTemplateRenderer | BlockTokenRenderer:
    """
    Creates the renderer for the settings.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer.
        args ([`ReflectionDistillConfig`]):
            Settings.

    Raises:
        ValueError: If the tokenizer's chat template belongs to another rendering.
    """
    if args.rendering == "block-token":
        return BlockTokenRenderer(tokenizer, args.hide_prefix)
    if tokenizer.chat_template == BLOCK_TOKEN_CHAT_TEMPLATE:
        raise ValueError(
            "`rendering='chat'`, but the tokenizer has the template of the block tokens, from an earlier training run; load the "
            "model's own tokenizer, or set `rendering='block-token'`."
        )
    template_kwargs: Any = args.chat_template_kwargs  # parsed at this point
    return ChatTemplateRenderer(tokenizer, args.execution_role, args.hide_prefix, template_kwargs)


def prepare_dataset(
    dataset: Dataset | IterableDataset,
    renderer: ChatTemplateRenderer | BlockTokenRenderer,
    max_length: int | None,
    name: str = "train",
    num_proc: int | None = None,
) -> Dataset | IterableDataset:
    """
    Tokenizes a dataset of rows. A prepared dataset is returned unchanged.

    Args:
        dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Rows in any form that [`~reflection_trl.sequences.normalize_row`] reads.
        renderer ([`~reflection_trl.rendering.ChatTemplateRenderer`] or [`~reflection_trl.rendering.BlockTokenRenderer`]):
            Converts rows to text with spans.
        max_length (`int` or `None`):
            Maximum length of a row in tokens; `None` for no limit.
        name (`str`, *optional*, defaults to `"train"`):
            Name of the dataset in messages.
        num_proc (`int`, *optional*):
            Number of processes.

    Returns:
        The dataset with the columns of `TOKEN_FEATURES`.

    Raises:
        TypeError: If `dataset` is no dataset.
        ValueError: If a column is missing, a row's structure is wrong, no row is left, or a prepared dataset is for
        another model, or has a row that is longer than `max_length`. A row of a stream is checked when it is read.
    """
    check_is_dataset(dataset, name)
    dataset = _unformatted(dataset)
    check_not_empty(dataset, name)
    columns = dataset.column_names or list(next(iter(dataset)))
    if set(TOKEN_FEATURES) <= set(columns):
        _check_renderer(dataset, renderer, name)
        dataset = _with_checked_lengths(dataset, max_length, name)
        return _with_unique_row_ids(dataset, columns)
    check_columns(columns, f"The {name} dataset")
    if "type" not in columns:
        logger.warning(
            f"The {name} dataset has no column `type`: its rows are plain conversations ('generation'), which are not distilled."
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
            raise ValueError(_all_rows_dropped(reasons, name))
        logger.warning(f"Dropped {reasons.total} of {len(dataset)} rows of the {name} dataset: {reasons}.")
        dataset = dataset.filter(lambda dropped: not dropped, input_columns="dropped", num_proc=num_proc)
    return dataset.remove_columns(["dropped", "detail"])


def check_is_dataset(dataset: Any, name: str) -> None:
    """
    Rejects what is no dataset, or several splits of one.

    Args:
        dataset (`Any`):
            Rows to train or evaluate on.
        name (`str`):
            Name of the dataset in messages, such as `"train"`.

    Raises:
        TypeError: If it is not one dataset.
    """
    if isinstance(dataset, dict):
        first = next(iter(dataset), "train")
        raise TypeError(
            f'The {name} dataset must be one split, got splits {list_names(dataset) or "none"}; choose one, such as `dataset["{first}"]`.'
        )
    if not isinstance(dataset, (Dataset, IterableDataset)):
        raise TypeError(
            f"The {name} dataset must be a `Dataset` or `IterableDataset`, got `{type(dataset).__name__}`; create one with "
            f"`Dataset.from_list(rows)`, or with `load_dataset` from a file."
        )


def check_not_empty(dataset: Dataset | IterableDataset, name: str) -> None:
    """
    Rejects a dataset without rows.

    Args:
        dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Dataset. For a stream, the first row is read.
        name (`str`):
            Name of the dataset in messages, such as `"train"`.

    Raises:
        ValueError: If it has no rows.
    """
    if next(iter(dataset), None) is None:
        raise ValueError(f"The {name} dataset is empty; check its file, its split and its filters.")


def check_columns(columns: Sequence[str], which: str) -> None:
    """
    Rejects a dataset whose columns match no supported form of rows.

    Args:
        columns (`Sequence[str]`):
            Columns of the dataset.
        which (`str`):
            Beginning of the message, such as `"The train dataset"`.

    Raises:
        ValueError: If no form has these columns.
    """
    if find_form(columns) is None:
        raise ValueError(f"{which} has no column `messages`, only {list_names(columns) or 'none'}; {ROWS_NEED}.")


def check_rows_are_left(
    stream: IterableDataset,
    renderer: ChatTemplateRenderer | BlockTokenRenderer,
    max_length: int | None,
) -> None:
    """
    Rejects a training stream without any usable row. This requires reading the whole stream, so call it only after the stream
    gave no batch.

    Args:
        stream ([`~datasets.IterableDataset`]):
            Rows before [`prepare_dataset`].
        renderer ([`~reflection_trl.rendering.ChatTemplateRenderer`] or [`~reflection_trl.rendering.BlockTokenRenderer`]):
            Converts rows to text with spans.
        max_length (`int` or `None`):
            Maximum length of a row in tokens; `None` for no limit.

    Raises:
        ValueError: If every row is dropped.
    """
    tokenize_row = _row_tokenizer(renderer, max_length, "train", streams=True)
    reasons = DropReasons()
    for index, row in enumerate(_unformatted(stream)):
        tokens = tokenize_row(row, index)
        if not tokens["dropped"]:
            return
        reasons.count(index, tokens["dropped"], tokens["detail"])
    if reasons.total:
        raise ValueError(_all_rows_dropped(reasons, "train"))


def check_reflections(dataset: Dataset, sequence_loss_weight: float) -> None:
    """
    Warns if a prepared dataset has no reflection rows.

    Args:
        dataset ([`~datasets.Dataset`]):
            Prepared rows to train on.
        sequence_loss_weight (`float`):
            Weight of the only loss term that plain rows have.

    Raises:
        ValueError: If plain rows are not trained on either.
    """
    if _longest_list(dataset, "block_types"):
        return
    if not sequence_loss_weight:
        raise ValueError(
            "The train dataset has no reflection rows, and `sequence_loss_weight` is 0, so nothing is trained; add rows with `type: "
            "reflection`, or set it above 0."
        )
    logger.warning("The train dataset has no reflection rows, so nothing is distilled: this is plain fine-tuning.")


def check_first_reflections(stream: IterableDataset) -> None:
    """
    Warns if a stream does not begin with reflection rows. Only its first rows are read.

    Args:
        stream ([`~datasets.IterableDataset`]):
            Rows to train on, prepared or before [`prepare_dataset`].
    """
    first = list(itertools.islice(_unformatted(stream), _FIRST_ROWS))
    if not any(row.get("block_types") or row.get("type") == "reflection" for row in first):
        logger.warning(
            f"None of the first {len(first)} rows of the train stream is a reflection row, so nothing is distilled until one "
            f"follows. Later rows are not checked."
        )


def pack_rows(dataset: Dataset | IterableDataset, token_budget: int) -> Dataset:
    """
    Groups prepared rows into packs of at most `token_budget` tokens, best fit decreasing. Packs are returned unchanged.

    A reflection row counts twice, as teacher and as student without its reflection instruction, which is always
    hidden. This is the maximum at any mask rate.

    Args:
        dataset ([`~datasets.Dataset`]):
            Prepared rows.
        token_budget (`int`):
            Maximum number of tokens of a pack.

    Returns:
        [`~datasets.Dataset`]: Packs; each column is the list of its rows' values.

    Raises:
        ValueError: If a row alone exceeds the budget, or for a stream.
    """
    if isinstance(dataset, IterableDataset):
        raise ValueError("`token_budget` needs all rows at once, so it does not support streaming datasets; unset it.")
    costs = row_costs(dataset)
    largest = costs.max()
    if dataset.features["row_id"] != TOKEN_FEATURES["row_id"]:
        if largest > token_budget:
            raise ValueError(
                f"`token_budget` is {token_budget}, but a pack of the dataset has {largest} tokens as teacher and student; raise "
                f"`token_budget` to at least that, or prepare the rows again."
            )
        return dataset
    if largest > token_budget:
        raise ValueError(
            f"`token_budget` is {token_budget}, but the largest row has {largest} tokens as teacher and student; raise "
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
    Returns the maximum number of tokens of each row, or pack of rows, as teacher and student.

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
    Returns the number of rows of a prepared dataset, including each row of a pack.

    Args:
        dataset ([`~datasets.Dataset`]):
            Prepared rows or packs.
    """
    return sum(len(pack) if isinstance(pack, list) else 1 for pack in dataset["row_id"])


def best_fit_decreasing(costs: list[int], budget: int) -> list[list[int]]:
    """
    Assigns items to bins with best fit decreasing: the largest first, each into the fullest bin with enough room.

    Args:
        costs (`list[int]`):
            Cost of each item, at most `budget`.
        budget (`int`):
            Capacity of a bin.

    Returns:
        `list[list[int]]`: Indices of the items of each bin.
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
            # Each worker of a stream counts from 0, so the content numbers the row; masks must not depend on workers
            tokens |= {"row_id": _content_id(tokens["input_ids"]), **_stream_index({}, index)}
        return tokens

    return tokenize_row


class DropReasons:
    """Counts dropped rows by reason, with the first row of each reason as an example."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    @property
    def total(self) -> int:
        """Returns the number of dropped rows."""
        return self._counts.total()

    def count(self, index: int, reason: str, detail: str = "") -> None:
        """Counts a row. A row without a reason was not dropped."""
        if reason:
            self._counts[reason] += 1
            self._examples.setdefault(reason, f"row {index}: {detail}" if detail else f"row {index}")

    def __str__(self) -> str:
        counts = self._counts.most_common(5)
        return "; ".join(f"{count} {reason} ({self._examples[reason]})" for reason, count in counts)


def _all_rows_dropped(reasons: DropReasons, name: str) -> str:
    return f"No row of the {name} dataset can be used, of {reasons.total}: {reasons}."


def _content_id(input_ids: list[int]) -> int:
    digest = hashlib.blake2b(np.array(input_ids, dtype=np.int32).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # fits int64 without the sign


def _stream_index(row: dict[str, Any], index: int) -> dict[str, int]:
    worker = get_worker_info()
    return {"stream_index": index if worker is None else index * worker.num_workers + worker.id}


def _longest_list(dataset: Dataset, column: str) -> int:
    # The number of values of the longest list, in rows or in packs of rows
    chunks = dataset.with_format("arrow").select_columns(column)[:][column].chunks
    rows = [chunk if pa.types.is_integer(chunk.type.value_type) else chunk.flatten() for chunk in chunks]
    return max((pc.max(pc.list_value_length(lists)).as_py() or 0 for lists in rows), default=0)


def _check_renderer(
    dataset: Dataset | IterableDataset, renderer: ChatTemplateRenderer | BlockTokenRenderer, name: str
) -> None:
    # Token ids of another tokenizer, template or rendering would be trained on as they are. Their rows end with another token
    try:
        end = renderer.tokenize(_SHORT_ROW)["input_ids"][-1]
    except UnrenderableRow:
        return
    row = next(iter(dataset))
    ids = row["input_ids"][0] if isinstance(row["row_id"], list) else row["input_ids"]
    expected, found = (renderer.tokenizer.convert_ids_to_tokens(token) for token in (end, ids[-1]))
    if found != expected and expected in renderer.tokenizer.get_added_vocab():
        raise ValueError(
            f"The prepared {name} dataset was prepared for another model or `rendering`: its first row ends with the token {ids[-1]} "
            f"({found!r}), but rows of this one end with {end} ({expected!r}); prepare it again from its rows."
        )


def _with_checked_lengths(
    dataset: Dataset | IterableDataset, max_length: int | None, name: str
) -> Dataset | IterableDataset:
    # Rows that are too long were dropped when they were prepared, unless that was for another length
    if max_length is None:
        return dataset
    if isinstance(dataset, IterableDataset):
        return dataset.filter(_has_length, fn_kwargs={"max_length": max_length, "name": name})
    _check_length(_longest_list(dataset, "input_ids"), max_length, name)
    return dataset


def _has_length(row: dict[str, Any], max_length: int, name: str) -> bool:
    ids = row["input_ids"]
    _check_length(max(map(len, ids)) if isinstance(row["row_id"], list) else len(ids), max_length, name)
    return True


def _check_length(length: int, max_length: int, name: str) -> None:
    if length > max_length:
        raise ValueError(
            f"The prepared {name} dataset has a row of {length} tokens, but `max_length` is {max_length}; prepare it again from its rows, "
            f"or raise `max_length`."
        )


def _with_unique_row_ids(dataset: Dataset | IterableDataset, columns: list[str]) -> Dataset | IterableDataset:
    # Datasets that were prepared separately and then joined have duplicate row numbers, and an evaluation would count
    # each number once. Packs are never evaluated
    if isinstance(dataset, IterableDataset):
        return dataset if "stream_index" in columns else dataset.map(_stream_index, with_indices=True)
    if dataset.features["row_id"] != TOKEN_FEATURES["row_id"]:
        return dataset
    if len(np.unique(dataset.with_format("numpy")["row_id"])) == len(dataset):
        return dataset
    return dataset.remove_columns("row_id").add_column("row_id", np.arange(len(dataset)))


def _unformatted(dataset: Dataset | IterableDataset) -> Dataset | IterableDataset:
    # Rows as Python objects, regardless of `with_format`. The user's transform is applied
    formatted = dataset._formatting if isinstance(dataset, IterableDataset) else dataset.format["type"]
    custom = isinstance(dataset, Dataset) and formatted == "custom"
    return dataset if custom or formatted is None else dataset.with_format(None)


def _keep_and_warn(row: dict[str, Any]) -> bool:
    if row["dropped"]:
        # Once per reason, since warnings are deduplicated by message
        logger.warning_once(f"Streaming: dropping rows, because of: {row['dropped']}.")
    return not row["dropped"]
