"""Reads the tasks of benchmarks that are datasets from a file or the Hub, and checks their columns."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...files.rows import Row, open_rows
from ...quoting import list_names
from ..tasks import Task


Columns = Mapping[str, type | tuple[type, ...]]


def read_rows(
    title: str,
    key: str,
    columns: Columns,
    source: str | os.PathLike[str] | None,
    hub_id: str,
    *,
    split: str = "test",
    download: Callable[[], str] | None = None,
) -> Iterator[tuple[str, Row]]:
    """
    Reads the rows of a benchmark.

    Args:
        title (`str`):
            Title of the benchmark, for errors.
        key (`str`):
            Its name on the command line, for the fix in an error.
        columns (`Mapping[str, type]`):
            The columns that every row must have, and the types of their values.
        source (`str` or `None`):
            A file, a pattern, a folder of JSON Lines or Parquet files, or a dataset id on the Hub; by default
            `hub_id`.
        hub_id (`str`):
            Dataset of the benchmark on the Hub.
        split (`str`, *optional*, defaults to `"test"`):
            Split of the dataset.
        download (`Callable`, *optional*):
            Returns the pattern of the benchmark's files, for a dataset that `datasets` cannot load.

    Returns:
        `Iterator[tuple[str, dict]]`: Name of the row for errors, and the row.

    Raises:
        ValueError: If the source cannot be read, has no rows, or has rows in another form.
    """
    place = os.fspath(source) if source is not None else hub_id
    folder = Path(place).expanduser()
    suffix = next((suffix for suffix in ("jsonl", "parquet") if any(folder.glob(f"*.{suffix}"))), None)
    try:
        if source is None and download is not None:
            place = download()
        elif suffix is not None:
            place = str(folder / f"*.{suffix}")
        name, rows = open_rows(place, split=split)
        first = next(rows, None)
    except ValueError as error:
        if source is not None:
            raise
        raise ValueError(
            f"{title} is neither on this machine nor available from the Hub ({str(error).rstrip('.')}): with no network, get its "
            f"files elsewhere and name them, as in --benchmark_files {key}=FILE."
        ) from error
    if first is None:
        raise ValueError(f"{name!r} has no rows: give the file of {title}.")
    for number, row in enumerate(itertools.chain([first], rows)):
        where = f"Row {number} of {name!r}"
        _check(title, columns, row, where)
        yield where, row


def unique_tasks(tasks: Iterable[tuple[str, Task]]) -> list[Task]:
    """
    Returns tasks whose ids differ.

    Args:
        tasks (`Iterable[tuple[str, Task]]`):
            Name of the row for errors, and the task.

    Raises:
        ValueError: If two tasks have the same id, or one has none.
    """
    found: dict[str, Task] = {}
    for where, task in tasks:
        if not task.id.strip():
            raise ValueError(f"{where}: the task has no id.")
        if task.id in found:
            raise ValueError(f"{where}: the task {task.id!r} appears twice; give one version of the file.")
        found[task.id] = task
    return list(found.values())


def download_file(hub_id: str, path: str) -> str:
    """
    Returns a file of a dataset on the Hub, from its cache or downloaded.

    Args:
        hub_id (`str`):
            The dataset.
        path (`str`):
            Path of the file in the dataset.

    Raises:
        ValueError: If it is in neither.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return os.fspath(hf_hub_download(hub_id, path, repo_type="dataset"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check(title: str, columns: Columns, row: Any, where: str) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"{where} is not a task of {title}: it is not an object with columns.")
    for column, types in columns.items():
        if column not in row:
            raise ValueError(
                f"{where} is not a task of {title} in a known version: it has no `{column}`, only {list_names(row)}."
            )
        if not isinstance(row[column], types):
            expected = " or ".join(one.__name__ for one in (types if isinstance(types, tuple) else (types,)))
            raise ValueError(
                f"{where} is not a task of {title} in a known version: `{column}` must be {expected}, got "
                f"{type(row[column]).__name__}."
            )
