"""Loads the rows of a training from files, folders and Hub ids, mixes them, and splits them for evaluation."""

from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset, IterableDataset
from transformers.utils import logging
from trl import DatasetMixtureConfig, ScriptArguments
from trl.scripts.utils import DatasetConfig
from trl.trainer.utils import global_then_local_main_first

from ..files.rows import check_split, find_files, load_rows, one_sentence
from ..quoting import quote
from ..sequences import ROW_TYPES
from ..training.config import ReflectionDistillConfig
from ..training.mixture import check_rows, mix, set_type
from .command_line import check_name


logger = logging.get_logger(__name__)


@dataclass
class RowsConfig(DatasetConfig):
    """
    Describes a dataset of the mixture.

    Args:
        type (`str`, *optional*):
            Type of all its rows, `"reflection"` or `"generation"`. Overrides a column of that name.
    """

    type: str | None = None

    def __post_init__(self) -> None:
        if self.type not in (None, *ROW_TYPES):
            raise ValueError(
                f"`type` of the dataset {self.path!r} is {quote(self.type)}; it must be 'reflection' or 'generation'."
            )


@dataclass
class MixtureArguments(DatasetMixtureConfig):
    """Extends TRL's dataset mixture with the type of each dataset."""

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
    Rejects entries of `datasets` in the YAML file that describe no dataset.

    Args:
        sources (`Any`):
            Value of `datasets` in the file.
    """
    for source in sources or []:
        if not isinstance(source, dict) or "path" not in source:
            raise ValueError(f"Each of `datasets` needs a `path`; give one to {quote(source)}.")
        for key in source:
            check_name("key of a dataset in the YAML file", key, RowsConfig.__dataclass_fields__)


def load_part(source: RowsConfig, split: str, streaming: bool) -> Dataset | IterableDataset:
    """Loads a dataset of the mixture, with the columns and the type that are set for it."""
    check_split(source.path, "train", source.name)
    dataset = load_rows(
        source.path,
        split=split,
        name=source.name,
        data_dir=source.data_dir,
        data_files=source.data_files,
        streaming=streaming,
    )
    with one_sentence(source.path, find_files(source.path)):
        dataset = dataset if source.columns is None else dataset.select_columns(source.columns)
        return dataset if source.type is None else set_type(dataset, source.type)


def data_sources(script_args: ScriptArguments, dataset_args: MixtureArguments) -> list[RowsConfig]:
    """Returns the datasets of the mixture, or the one dataset."""
    if dataset_args.datasets:
        return dataset_args.datasets
    name = script_args.dataset_name
    assert name is not None  # see `check_names`
    return [RowsConfig(name, name=script_args.dataset_config, split=script_args.dataset_train_split)]


def streamed_sources(script_args: ScriptArguments, dataset_args: MixtureArguments) -> list[dict[str, Any]]:
    """Returns where the rows of streams are, as for [`~reflection_trl.files.rows.name_bad_line`]; none without streaming."""
    if not (dataset_args.streaming or script_args.dataset_streaming):
        return []
    return [
        {"source": one.path, "name": one.name, "data_dir": one.data_dir, "data_files": one.data_files}
        for one in data_sources(script_args, dataset_args)
    ]


def load_data(
    script_args: ScriptArguments, dataset_args: MixtureArguments, training_args: ReflectionDistillConfig
) -> tuple[Dataset | IterableDataset, Dataset | IterableDataset | None]:
    """Returns the rows to train on and, if there is evaluation, the rows to evaluate on."""
    sources = data_sources(script_args, dataset_args)
    streaming = dataset_args.streaming or script_args.dataset_streaming
    evaluates = training_args.eval_strategy != "no" or training_args.eval_on_start
    size = dataset_args.test_split_size
    test_split = script_args.dataset_test_split
    names_split = test_split != ScriptArguments.__dataclass_fields__["dataset_test_split"].default
    if names_split and size is not None:
        raise ValueError(
            f"`test_split_size` holds rows out for the evaluation, and `dataset_test_split` is {test_split!r}; set only one of them."
        )
    if names_split and not evaluates:
        logger.warning(
            f"`dataset_test_split` is {test_split!r}, but `eval_strategy` is 'no', so it is not used; set `eval_strategy` to 'steps' or "
            f"'epoch', or leave `dataset_test_split` out."
        )
    if evaluates and size is None and dataset_args.datasets:
        raise ValueError(
            "Evaluation of a mixture needs held-out rows; set `test_split_size`, or set `eval_strategy` to 'no'."
        )
    if size is not None and streaming:
        raise ValueError("`test_split_size` does not work with streaming; set it to None.")
    if size is not None and size >= 1 and size != int(size):
        raise ValueError(f"`test_split_size` is {size}; give a whole number of rows, or a share between 0 and 1.")

    with global_then_local_main_first():
        train = mix(
            [load_part(source, source.split, streaming) for source in sources],
            [source.path for source in sources],
            [source.fraction for source in sources],
        )
        if size is not None:
            size = int(size) if size >= 1 else size
            try:
                splits = train.train_test_split(test_size=size, seed=training_args.seed)
            except ValueError as error:
                raise ValueError(
                    f"`test_split_size` is {size:g}, but there are {len(train)} rows; hold out at least one, but not all, or give a share "
                    f"between 0 and 1."
                ) from error
            if not evaluates:
                logger.warning(
                    f"`test_split_size` holds out {len(splits['test'])} of {len(train)} rows, but `eval_strategy` is 'no', so they are not "
                    f"used; set it to 'steps' or 'epoch', or leave `test_split_size` out to train on them."
                )
            return splits["train"], splits["test"] if evaluates else None
        if not evaluates:
            return train, None
        try:
            test = load_part(sources[0], test_split, streaming)
        except ValueError as error:
            raise ValueError(
                f"{str(error).rstrip('.')}; to evaluate, set `test_split_size`, which holds rows out, or "
                f"`dataset_test_split`; or set `eval_strategy` to 'no'."
            ) from error
        check_rows(test, sources[0].path)
        return train, test
