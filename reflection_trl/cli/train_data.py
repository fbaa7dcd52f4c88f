"""The rows of a training: files, folders and Hub ids, mixed, and split for evaluation."""

import glob
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, IterableDataset, Value, concatenate_datasets, load_dataset
from datasets.exceptions import DatasetsError
from trl import DatasetMixtureConfig, ScriptArguments
from trl.scripts.utils import DatasetConfig
from trl.trainer.utils import global_then_local_main_first

from ..files.model_folder import check_exists
from ..quoting import quote
from ..row_forms import read_row
from ..sequences import ROW_TYPES, normalize_row
from ..training.config import ReflectionDistillConfig
from ..training.dataset import check_columns
from .command_line import HUB_FIX, check_name


FILE_FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}


@dataclass
class RowsConfig(DatasetConfig):
    """
    A dataset of the mixture.

    Args:
        type (`str`, *optional*):
            Type of all its rows, `"reflection"` or `"generation"`, whatever a column of that name holds.
    """

    type: str | None = None

    def __post_init__(self) -> None:
        if self.type not in (None, *ROW_TYPES):
            raise ValueError(
                f"`type` of the dataset {self.path!r} is {quote(self.type)}; it must be 'reflection' or 'generation'."
            )


@dataclass
class MixtureArguments(DatasetMixtureConfig):
    """TRL's mixture, of datasets whose type can be set."""

    datasets: list[RowsConfig] = field(  # type: ignore[assignment] # a narrower type of the same list
        default_factory=list,
        metadata={
            "help": "Datasets of the mixture; in YAML with `path`, and `split`, `columns`, `fraction` or `type`."
        },
    )

    def __post_init__(self) -> None:
        self.datasets = [RowsConfig(**one) if isinstance(one, dict) else one for one in self.datasets]


def check_sources(sources: Any) -> None:
    """
    Refuses what the YAML file lists as `datasets` but is none.

    Args:
        sources (`Any`):
            Value of `datasets` in the file.
    """
    for source in sources or []:
        if not isinstance(source, dict) or "path" not in source:
            raise ValueError(f"each of `datasets` needs a `path`, but one is {quote(source)}.")
        for key in source:
            check_name("key of a dataset in the YAML file", key, RowsConfig.__dataclass_fields__)


def check_dataset(name: str) -> None:
    """Refuses the name of a file or folder that does not exist, or is of no format that is read."""
    if Path(name).suffix in FILE_FORMATS:
        if not glob.glob(name):
            raise ValueError(f"the dataset file {name!r} does not exist; paths start from {os.getcwd()}.")
    elif Path(name).is_file():
        raise ValueError(f"the dataset {name!r} is none of {', '.join(FILE_FORMATS)}, by which files are known.")
    else:
        check_exists("dataset", name)


def load_part(source: RowsConfig, split: str, streaming: bool) -> Dataset | IterableDataset:
    """One dataset: a JSON or Parquet file, several of them (`data/*.jsonl`), a folder, or a Hub id."""
    path, data_files = source.path, source.data_files
    file_format = FILE_FORMATS.get(Path(path).suffix)
    if data_files is None:
        check_dataset(path)
    if file_format is not None:
        path, data_files = file_format, path
    try:
        dataset = load_dataset(
            path, name=source.name, data_dir=source.data_dir, data_files=data_files, split=split, streaming=streaming
        )
        dataset = dataset if source.columns is None else dataset.select_columns(source.columns)
        return dataset if source.type is None else set_type(dataset, source.type)
    except StopIteration as error:  # what `datasets` makes of an empty file
        raise ValueError(f"the dataset {source.path!r} has no rows.") from error
    except (DatasetsError, OSError, ValueError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        if Path(source.path).suffix == ".jsonl":
            reason = find_bad_line(source.path) or reason
        on_hub = file_format is None and not Path(path).exists() and not isinstance(error, ValueError)
        raise ValueError(
            f"the dataset {source.path!r} cannot be loaded: {reason}{f'. {HUB_FIX}' if on_hub else ''}"
        ) from error


def set_type(dataset: Dataset | IterableDataset, row_type: str) -> Dataset | IterableDataset:
    """The dataset with all rows of one type, whatever a column of that name holds."""
    if "type" in columns_of(dataset):
        dataset = dataset.remove_columns("type")
    return dataset.map(add_type, fn_kwargs={"row_type": row_type})


def add_type(row: dict[str, Any], row_type: str) -> dict[str, Any]:
    return {**row, "type": row_type}


def find_bad_line(pattern: str) -> str | None:
    """Where a JSON Lines file is none: `datasets` counts from the start of a chunk."""
    for file in sorted(glob.glob(pattern)):
        with open(file, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    json.loads(line if line.strip() else "null")
                except json.JSONDecodeError as error:
                    return (
                        f"line {number} of {file} is not JSON ({error.msg}, column {error.colno}); fix or remove it."
                    )
    return None


def columns_of(part: Dataset | IterableDataset) -> list[str]:
    return part.column_names or list(next(iter(part)))


def check_rows(part: Dataset | IterableDataset, name: str) -> None:
    """Checks columns and first row, which tell most of what can be wrong, before the model is loaded."""
    check_columns(columns_of(part), f"The dataset {name!r}")
    for row in itertools.islice(part, 1):
        normalize_row(row, f"Row 0 of the dataset {name!r}")


def mix(parts: Sequence[Dataset | IterableDataset], sources: Sequence[RowsConfig]) -> Dataset | IterableDataset:
    """Put datasets one after the other, as TRL does, but whatever the form of their `messages`."""
    for part, source in zip(parts, sources, strict=True):
        check_rows(part, source.path)
    if len(parts) == 1:
        return parts[0]
    fractions = [source.fraction for source in sources if source.fraction is not None]
    if fractions:
        if len(fractions) < len(sources) or not all(fractions) or not all(hasattr(part, "__len__") for part in parts):
            raise ValueError("`fraction` must be set, above 0, for every dataset of a mixture, none of which streams.")
        # The largest mixture of these shares that uses no row twice
        total = min(len(part) / fraction for part, fraction in zip(parts, fractions, strict=True))
        parts = [part.select(range(round(f * total))) for part, f in zip(parts, fractions, strict=True)]
    if all({"messages", "type"} <= set(columns_of(part)) for part in parts):
        parts = [part.select_columns(["messages", "type"]) for part in parts]
    if any(part.features is None or part.features != parts[0].features for part in parts):
        # Only equal columns can be joined: as JSON, all forms of rows are one type
        features = Features({"messages": Value("string"), "type": Value("string")})
        parts = [
            part.map(
                messages_as_json,
                with_indices=True,
                fn_kwargs={"path": source.path},
                remove_columns=columns_of(part),
                features=features,
            )
            for part, source in zip(parts, sources, strict=True)
        ]
    return concatenate_datasets(parts)


def messages_as_json(row: dict[str, Any], index: int, path: str) -> dict[str, str]:
    read = read_row(row, f"Row {index} of the dataset {path!r}")
    return {"messages": json.dumps(read["messages"]), "type": read["type"]}


def data_sources(script_args: ScriptArguments, dataset_args: MixtureArguments) -> list[RowsConfig]:
    """The datasets of the mixture, or the one dataset."""
    if dataset_args.datasets:
        return dataset_args.datasets
    name = script_args.dataset_name
    assert name is not None  # see `check_names`
    return [RowsConfig(name, name=script_args.dataset_config, split=script_args.dataset_train_split)]


def load_data(
    script_args: ScriptArguments, dataset_args: MixtureArguments, training_args: ReflectionDistillConfig
) -> tuple[Dataset | IterableDataset, Dataset | IterableDataset | None]:
    """The rows to train on and, if there is evaluation, the rows to evaluate on."""
    sources = data_sources(script_args, dataset_args)
    streaming = dataset_args.streaming if dataset_args.datasets else script_args.dataset_streaming
    evaluates = training_args.eval_strategy != "no" or training_args.eval_on_start
    size = dataset_args.test_split_size
    if evaluates and size is None and dataset_args.datasets:
        raise ValueError("evaluation of a mixture needs `test_split_size`, or set `eval_strategy` to 'no'.")
    if size is not None and streaming:
        raise ValueError("`test_split_size` does not work with streaming; set it to None.")

    with global_then_local_main_first():
        train = mix([load_part(source, source.split, streaming) for source in sources], sources)
        if size is not None:
            size = int(size) if size >= 1 else size
            try:
                splits = train.train_test_split(test_size=size, seed=training_args.seed)
            except ValueError as error:
                raise ValueError(
                    f"`test_split_size` is {size}, but there are {len(train)} rows; give fewer, or a share between 0 and 1."
                ) from error
            return splits["train"], splits["test"] if evaluates else None
        if not evaluates:
            return train, None
        try:
            test = load_part(sources[0], script_args.dataset_test_split, streaming)
        except ValueError as error:
            raise ValueError(
                f"{str(error).rstrip('.')}; to evaluate, set `test_split_size`, which holds rows out, or "
                f"`dataset_test_split`; or set `eval_strategy` to 'no'."
            ) from error
        check_rows(test, sources[0].path)
        return train, test
