"""Mixes datasets of reflection and plain rows in any supported form."""

import json
from collections.abc import Sequence
from typing import Any

from datasets import Dataset, Features, IterableDataset, Value, concatenate_datasets

from ..files.rows import find_files, one_sentence
from ..row_forms import read_row
from ..sequences import normalize_row
from .dataset import check_columns


def mix(
    parts: Sequence[Dataset | IterableDataset], names: Sequence[str], fractions: Sequence[float | None]
) -> Dataset | IterableDataset:
    """
    Concatenates datasets, as TRL does, in all supported forms of `messages`.

    Args:
        parts (`Sequence[Dataset | IterableDataset]`):
            The datasets.
        names (`Sequence[str]`):
            Name of each dataset in messages.
        fractions (`Sequence[float]`):
            Share of each in the mixture, or `None` for all to take all of their rows.

    Raises:
        ValueError: If a dataset has no rows of a form that is read, or only some have a fraction.
    """
    for part, name in zip(parts, names, strict=True):
        check_rows(part, name)
    if len(parts) == 1:
        return parts[0]
    shares = [fraction for fraction in fractions if fraction is not None]
    if shares:
        if len(shares) < len(parts) or min(shares) <= 0 or not all(hasattr(part, "__len__") for part in parts):
            raise ValueError(
                "`fraction` must be set above 0 for every dataset of a mixture, and does not support streaming; set it for all of them, or remove it."
            )
        # The largest mixture of these shares that uses no row twice
        total = min(len(part) / fraction for part, fraction in zip(parts, shares, strict=True))
        parts = [part.select(range(round(f * total))) for part, f in zip(parts, shares, strict=True)]
    if all({"messages", "type"} <= set(columns_of(part)) for part in parts):
        parts = [part.select_columns(["messages", "type"]) for part in parts]
    if any(part.features is None or part.features != parts[0].features for part in parts):
        # Only equal columns can be joined: as JSON, all forms of rows are one type
        features = Features({"messages": Value("string"), "type": Value("string")})
        parts = [
            part.map(
                messages_as_json,
                with_indices=True,
                fn_kwargs={"name": name},
                remove_columns=columns_of(part),
                features=features,
            )
            for part, name in zip(parts, names, strict=True)
        ]
    return concatenate_datasets(parts)


def messages_as_json(row: dict[str, Any], index: int, name: str) -> dict[str, str]:
    read = read_row(row, f"Row {index} of the dataset {name!r}")
    return {"messages": json.dumps(read["messages"]), "type": read["type"]}


def columns_of(part: Dataset | IterableDataset) -> list[str]:
    return part.column_names or list(next(iter(part)))


def check_rows(part: Dataset | IterableDataset, name: str) -> None:
    """Checks the columns and the first row, which reveal most errors, before the model is loaded."""
    with one_sentence(name, find_files(name)):  # a stream is read here for the first time
        first = next(iter(part))
    check_columns(part.column_names or list(first), f"The dataset {name!r}")
    normalize_row(first, f"Row 0 of the dataset {name!r}")


def set_type(dataset: Dataset | IterableDataset, row_type: str) -> Dataset | IterableDataset:
    """Returns the dataset with all rows of one type, regardless of an existing column of that name."""
    if "type" in columns_of(dataset):
        dataset = dataset.remove_columns("type")
    return dataset.map(add_type, fn_kwargs={"row_type": row_type})


def add_type(row: dict[str, Any], row_type: str) -> dict[str, Any]:
    return {**row, "type": row_type}
