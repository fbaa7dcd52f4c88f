"""Reads rows of a dataset or file, and loads no more than requested."""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any


class RowsError(Exception):
    """Raised when rows cannot be read or shown; the message says why and what to do."""


def read_rows(source: str, split: str, first: int, number: int, config: str | None = None) -> list[dict[str, Any]]:
    """
    Reads rows of a dataset, and loads no more than needed.

    Args:
        source (`str`):
            Dataset id, directory, or a `.json`, `.jsonl` or `.parquet` file.
        split (`str`):
            Split of a dataset id or directory.
        first (`int`):
            First row.
        number (`int`):
            Number of rows; fewer are returned at the end of the dataset.
        config (`str`, *optional*):
            Configuration of a dataset id or directory.

    Returns:
        `list[dict]`: At least one row.

    Raises:
        RowsError: If there is no such file, dataset, split or row, or the columns are missing.
    """
    if not source.strip("/ "):
        raise RowsError(f"{source!r} is not a dataset: give a file, a directory or a dataset id.")
    path = Path(source)
    if path.suffix in (".json", ".jsonl", ".parquet") and not path.is_file():
        raise RowsError(f"There is no file '{source}'.")
    if path.is_file():
        rows, total = _read_file(path, first, number)
    else:
        rows, total = _read_dataset(source, split, first, number, config)
    if not rows:
        size = "no rows" if total == 0 else f"{total} rows, 0 to {total - 1}" if total else "fewer rows"
        raise RowsError(f"Row {first} is out of range: '{source}' has {size}.")
    missing = [column for column in ("messages", "type") if column not in rows[0]]
    if missing:
        raise RowsError(
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
            raise RowsError(f"'{path}' is not a .json, .jsonl or .parquet file.")
        with path.open(encoding="utf-8") as file:
            lines = (line for line in file if line.strip())
            before = sum(1 for _ in islice(lines, first))
            wanted = list(islice(lines, number))
        return _objects(map(json.loads, wanted), path), None if wanted else before
    except (ValueError, OSError) as error:  # includes pyarrow's errors
        raise RowsError(f"'{path}' cannot be read as {path.suffix[1:]} ({_first_line(error)}).") from None


def _objects(rows: Iterable[Any], path: Path) -> list[dict[str, Any]]:
    rows = list(rows)
    if not all(isinstance(row, dict) for row in rows):
        raise RowsError(
            f"'{path}' contains values that are not objects; a row is an object with `messages` and `type`."
        )
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
                    raise RowsError(f"'{source}' has no split '{split}', only {', '.join(dataset)}.")
                dataset = dataset[split]
            end = min(first + number, len(dataset))
            return [dataset[index] for index in range(first, end)], len(dataset)
        dataset = datasets.load_dataset(source, config, split=split, streaming=True)
        rows = list(dataset.skip(first).take(number))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise RowsError(f"The dataset '{source}' (split '{split}') cannot be loaded: {_first_line(error)}.") from None
    splits = dataset.info.splits or {}
    return rows, splits[split].num_examples if split in splits else None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
