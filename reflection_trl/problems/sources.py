"""Rows from wherever they are: the Hub, local files, a data set in memory, any iterable.

Everything goes through `datasets` but local JSON: `datasets` gives each column one type, which breaks rows whose values differ in
type (a test case that expects a number here and a list there).
"""

import contextlib
import glob
import gzip
import itertools
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..quoting import list_names, quote


Row = dict[str, Any]

_LONGEST_REASON = 500
_FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}


def open_rows(
    source: Any,
    *,
    split: str = "train",
    name: str | None = None,
    streaming: bool = False,
    revision: str | None = None,
) -> tuple[str, Iterator[Any]]:
    """
    Open a source of rows.

    Args:
        source: see [`load_problems`].
        split (`str`, *optional*, defaults to `"train"`): for data sets with splits.
        name (`str`, *optional*): configuration of a data set on the Hub.
        streaming (`bool`, *optional*, defaults to `False`): do not download a Hub data set first.
        revision (`str`, *optional*): of a data set on the Hub.

    Returns:
        `tuple[str, Iterator]`: what messages call the source, and its rows.

    Raises:
        ValueError: If there is no such source, or (from the iterator) it cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        title = os.fspath(source)
        with _one_sentence(title):
            rows = _open_path(title, split, name, streaming, revision)
        return title, _read(rows, title)
    if not isinstance(source, Iterable):
        raise ValueError(f"Rows come from a path, a Hub id, a data set or an iterable, not from {quote(source, 60)}.")
    return "the given rows", iter(_pick_split(source, split))


@contextlib.contextmanager
def _one_sentence(title: str) -> Iterator[None]:
    """Whatever goes wrong between the disk or the Hub and here becomes one sentence that names the source."""
    from datasets.exceptions import DatasetsError

    try:
        yield
    except EOFError as error:
        raise ValueError(f"{title!r} is compressed and cut off: download or compress it again.") from error
    except zlib.error as error:
        raise ValueError(f"{title!r} is compressed and damaged ({error}): download or compress it again.") from error
    except (DatasetsError, OSError, StopIteration, ValueError) as error:
        cause = error.__cause__ if isinstance(error, DatasetsError) and error.__cause__ else error
        if isinstance(cause, StopIteration):  # what `datasets` makes of an empty file
            raise ValueError(f"{title!r} has no rows.") from error
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")[:_LONGEST_REASON]
        if isinstance(cause, UnicodeError) or "utf-8" in reason.lower() or "utf8" in reason.lower():
            raise ValueError(f"{title!r} is not UTF-8 ({reason}); convert it to UTF-8 first.") from error
        raise ValueError(f"{title!r} cannot be read: {reason}.") from error


def _read(rows: Iterator[Row], title: str) -> Iterator[Row]:
    while True:
        with _one_sentence(title):
            row = next(rows, None)
        if row is None:
            return
        yield row


def _open_path(path: str, split: str, name: str | None, streaming: bool, revision: str | None) -> Iterator[Row]:
    from datasets import load_dataset, load_from_disk

    files = _files(path)
    if files:
        return _open_files(files, streaming)
    if Path(path).is_dir():
        if any((Path(path) / file).exists() for file in ("state.json", "dataset_dict.json")):
            return iter(_pick_split(load_from_disk(path), split))
        return iter(load_dataset(path, name=name, split=split, streaming=streaming))
    is_file_name = _suffix(path) in _FORMATS or glob.has_magic(path)
    if is_file_name or Path(path).is_absolute() or path.startswith((".", "~")) or path.count("/") > 1:
        raise ValueError("there is no such file or folder")
    return iter(load_dataset(path, name=name, split=split, streaming=streaming, revision=revision))


def _pick_split(dataset: Any, split: str) -> Any:
    if not hasattr(dataset, "keys"):
        return dataset
    if split not in dataset:
        raise ValueError(f"there is no split {split!r}, only {list_names(map(repr, dataset))}")
    return dataset[split]


def _suffix(file: str) -> str:
    return Path(file.removesuffix(".gz")).suffix


def _files(path: str) -> list[str]:
    path = os.path.expanduser(path)
    if os.path.isfile(path):
        return [path]
    return sorted(filter(os.path.isfile, glob.glob(path, recursive=True))) if glob.has_magic(path) else []


def _open_files(files: list[str], streaming: bool) -> Iterator[Row]:
    from datasets import load_dataset

    suffixes = sorted({_suffix(file) for file in files})
    formats = {_FORMATS.get(suffix) for suffix in suffixes}
    if None in formats or len(formats) > 1:
        raise ValueError(
            f"rows are read from {', '.join(_FORMATS)} files, one kind at a time, and these end in "
            f"{', '.join(suffix or 'nothing' for suffix in suffixes)}"
        )
    if formats == {"json"}:
        return itertools.chain.from_iterable(map(_read_json, files))
    options = {"sep": "\t"} if suffixes == [".tsv"] else {}
    return iter(load_dataset(formats.pop(), data_files=files, split="train", streaming=streaming, **options))


def _read_json(file: str) -> Iterator[Row]:
    """Rows of a file that holds one object a line, or one list of objects."""
    open_text = gzip.open if file.endswith(".gz") else open
    with open_text(file, "rt", encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if number == 1 and line.lstrip().startswith("["):
                line += lines.read()
            try:
                content = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
                raise ValueError(f"line {number} of {file} is not JSON: {reason}") from error
            yield from content if isinstance(content, list) else [content]
