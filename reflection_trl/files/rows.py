"""
Reads rows from files, folders, datasets of the Hub and memory, for the whole package.

[`open_rows`] yields rows as Python objects, [`read_rows`] returns a window of them, and [`load_rows`] returns a dataset of the
`datasets` library. JSON is read here where rows are Python objects: `datasets` gives each column one type, which breaks rows whose
values differ in type (a test case that expects a number here and a list there). Everything else is read by `datasets`.
"""

import bz2
import contextlib
import csv
import glob
import gzip
import itertools
import json
import lzma
import os
import re
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..quoting import list_names, quote, quote_error
from ..row_forms import ROWS_NEED, find_form
from .model_folder import is_path


if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

Row = dict[str, Any]

FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}
COMPRESSIONS: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
HUB_FIX = "Check the name and the connection; what is gated or private needs `hf auth login`."
OFFLINE_FIX = "HF_HUB_OFFLINE is set, so only the cache is read: unset it, or download the files before."
# By default, texts such as `None` and `NA` in CSV files would be missing values
_TEXTS_ARE_TEXTS = {"keep_default_na": False, "na_values": [""]}
# Errors of `datasets` for empty Parquet, for CSV without a header, and with only one. For empty JSON it raises StopIteration
_NO_ROWS = ("BatchSize must be greater than 0", "No columns to parse from file", "corresponds to no data")
_LONGEST_REASON = 500


class RowsError(ValueError):
    """Raised when rows cannot be read or shown; the message says why and what to do."""


def open_rows(
    source: Any,
    *,
    split: str = "train",
    name: str | None = None,
    streaming: bool = False,
    revision: str | None = None,
) -> tuple[str, Iterator[Any]]:
    """
    Opens a source of rows, which are read one at a time.

    Args:
        source (`str`, `PathLike`, `Dataset`, `IterableDataset`, `DatasetDict` or an iterable of rows):
            A dataset on the Hub; JSON, JSON Lines, Parquet or CSV files, compressed or not (a file, or a pattern such as
            `"data/*.jsonl"`); a folder that `datasets` can read; or rows in memory.
        split (`str`, *optional*, defaults to `"train"`):
            Split of a dataset that has several. Files have none.
        name (`str`, *optional*):
            Configuration of a dataset on the Hub or in a folder.
        streaming (`bool`, *optional*, defaults to `False`):
            Whether rows are read while the dataset is downloaded.
        revision (`str`, *optional*):
            Revision of a dataset on the Hub.

    Returns:
        `tuple[str, Iterator]`: Name of the source in messages, and its rows.

    Raises:
        RowsError: If there is no such source, or (from the iterator) it cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        title = os.fspath(source)
        with one_sentence(title):
            rows = iter(_open(title, split, name, streaming, revision))
        return title, _read(rows, title)
    if not isinstance(source, Iterable):
        raise RowsError(
            f"Rows are read from a path, a Hub id, a dataset or an iterable, not from {quote(source, 60)}."
        )
    return "the given rows", iter(_pick_split(source, split))


def read_rows(
    source: str, split: str = "train", first: int = 0, number: int | None = None, config: str | None = None
) -> list[Row]:
    """
    Returns a window of the rows of a dataset, without loading more than needed.

    Args:
        source (`str`):
            Source as in [`open_rows`], except rows in memory.
        split (`str`, *optional*, defaults to `"train"`):
            Split of a dataset that has several.
        first (`int`, *optional*, defaults to `0`):
            First row.
        number (`int`, *optional*):
            Number of rows; fewer are returned at the end of the dataset. All by default.
        config (`str`, *optional*):
            Configuration of a dataset that has several.

    Returns:
        `list[dict]`: At least one row. The first one has the columns of a form of [`~reflection_trl.row_forms`].

    Raises:
        RowsError: If there is no such file, dataset, split or row, or the columns are missing.
    """
    check_split(source, split, config)
    with one_sentence(source):
        opened = _open(source, split, config, streaming=True, revision=None)
        rows = list(itertools.islice(_from_row(opened, first), number))
    if not rows:
        total = _count(opened, source)
        size = "no rows" if total == 0 else f"{total} rows, 0 to {total - 1}" if total else "fewer rows"
        raise RowsError(f"Row {first} is out of range: {source!r} has {size}.")
    if not all(isinstance(row, dict) for row in rows):
        raise RowsError(
            f"{source!r} contains values that are not objects; write each row as an object with `messages` and `type`."
        )
    if find_form(rows[0]) is None:
        raise RowsError(f"{source!r} has no column `messages`, only {list_names(rows[0]) or 'none'}; {ROWS_NEED}.")
    return rows


def load_rows(
    source: str,
    *,
    split: str = "train",
    name: str | None = None,
    data_dir: str | None = None,
    data_files: Any = None,
    streaming: bool = False,
) -> "Dataset | IterableDataset":
    """
    Loads rows as a dataset of the `datasets` library, in which each column has one type.

    Args:
        source (`str`):
            Source as in [`open_rows`], except rows in memory.
        split (`str`, *optional*, defaults to `"train"`):
            Split, or a part of one such as `"train[:10%]"`.
        name, data_dir, data_files (*optional*):
            See [`~datasets.load_dataset`].
        streaming (`bool`, *optional*, defaults to `False`):
            Whether to return an [`~datasets.IterableDataset`], which reads rows as they are asked for.

    Raises:
        RowsError: If there is no such source, or it cannot be read.
    """
    _check_name(source)
    files = [] if data_files is not None else find_files(source)
    with one_sentence(source, files):
        if files:
            return _load_files(files, split, streaming)
        if data_files is None and Path(source).is_dir() and _is_saved(source):
            rows = _pick_split(_load_saved(source), split)
            return rows.to_iterable_dataset() if streaming else rows
        return _load_other(source, split, streaming, name=name, data_dir=data_dir, data_files=data_files)


@contextlib.contextmanager
def name_bad_line(sources: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """
    Converts an error of a stream, which may be read long after it was opened, to one sentence that names the file and the line.

    Args:
        sources (`Sequence[Mapping]`):
            For each stream its `source`, and `name`, `data_dir` and `data_files` as for [`load_rows`]. Without any, errors pass.

    Raises:
        RowsError: If a row could not be read.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, _datasets_error(), OverflowError, ValueError) as error:
        known = isinstance(error, pa.ArrowException | _datasets_error()) or _is_of_reader(error)
        if not sources or not known:
            raise
        for where in sources:
            reason = _bad_line(_local_files(**where))
            if reason:
                raise RowsError(f"{where['source']!r} cannot be read: {reason}.") from error
        names = ", ".join(repr(where["source"]) for where in sources)
        raise RowsError(f"A row of {names} cannot be read: {quote_error(error, _LONGEST_REASON)}.") from error


def _is_of_reader(error: Exception) -> bool:
    """Returns whether an error of another library was raised while `datasets` read a file."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith("datasets.packaged_modules") for frame, _ in frames)


def check_source(source: str) -> None:
    """
    Rejects the name of a file or folder that does not exist, or is of no format that is read. Names that may be Hub ids pass.

    Args:
        source (`str`):
            Source as in [`load_rows`].
    """
    _check_name(source)
    with one_sentence(source):
        files = find_files(source)
        if files:
            _format(files)
        elif Path(source).is_dir():
            _check_folder(source)
        else:
            _check_exists(source)


def check_split(source: Any, split: str, name: str | None = None, revision: str | None = None) -> None:
    """
    Rejects a split, a configuration or a revision of files, which have none.

    Args:
        source (`Any`):
            Source as in [`open_rows`].
        split (`str`):
            Split that a user asks for.
        name (`str`, *optional*):
            Configuration that a user asks for.
        revision (`str`, *optional*):
            Revision that a user asks for.

    Raises:
        RowsError: If `source` is read as files.
    """
    unread = name or (split if split != "train" else None) or revision
    if unread and isinstance(source, str | os.PathLike) and find_files(os.fspath(source)):
        what = "configurations" if name else "revisions" if unread is revision else "splits"
        raise RowsError(f"'{os.fspath(source)}' is read as files, which have no {what}; leave out {unread!r}.")


def find_files(source: str) -> list[str]:
    """Returns the files that a path or a pattern names; none for a folder or a Hub id."""
    path = os.path.expanduser(source)
    if os.path.isfile(path):
        return [path]
    return sorted(filter(os.path.isfile, glob.glob(path, recursive=True))) if glob.has_magic(path) else []


def read_json(file: str) -> Iterator[tuple[int, Any]]:
    """
    Yields the rows of a file of JSON Lines, of one JSON list, or of one JSON object on several lines, each with its line number.

    Args:
        file (`str`):
            The file, which may be compressed, according to its name.

    Raises:
        ValueError: If a line is not JSON, or not UTF-8.
    """
    with _utf8(file), _open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if number == 1 and (line.lstrip().startswith("[") or line.strip() == "{"):
                line += lines.read()  # one list, or one object on several lines
            try:
                content = json.loads(line.rstrip())
            except json.JSONDecodeError as error:
                where = f"line {number + error.lineno - 1} of {file}"
                raise ValueError(
                    f"{where} is not JSON ({error.msg}, column {error.colno}); fix or remove it"
                ) from error
            except (ValueError, RecursionError) as error:
                reason = quote_error(error) if isinstance(error, ValueError) else "nested too deeply"
                raise ValueError(f"line {number} of {file} is not JSON ({reason}); fix or remove it") from error
            yield from ((number, row) for row in (content if isinstance(content, list) else [content]))


@contextlib.contextmanager
def one_sentence(source: str, json_files: Sequence[str] = ()) -> Iterator[None]:
    """
    Converts errors of the disk, the Hub and parsers to one sentence that names the source.

    Args:
        source (`str`):
            Path or Hub id, as the user wrote it.
        json_files (`Sequence[str]`, *optional*, defaults to `()`):
            Files that `datasets` reads. Its line numbers count from the start of a chunk, so an invalid line is searched
            for again.

    Raises:
        RowsError: In place of the other errors.
    """
    try:
        yield
    except RowsError:
        raise
    except EOFError as error:
        raise RowsError(f"{source!r} is a truncated compressed file: download or compress it again.") from error
    except (zlib.error, lzma.LZMAError) as error:
        raise RowsError(
            f"{source!r} is a damaged compressed file ({quote_error(error)}): download or compress it again."
        ) from error
    except (_datasets_error(), OSError, StopIteration, ValueError) as error:
        cause = error.__cause__ if isinstance(error, _datasets_error()) and error.__cause__ else error
        reason = quote_error(cause, _LONGEST_REASON)
        if isinstance(cause, StopIteration) or any(text in reason for text in _NO_ROWS):
            raise RowsError(f"{source!r} has no rows.") from error
        if configurations := re.search(r"available configs: \[(.+)\]", str(cause)):
            raise RowsError(
                f"{source!r} has several configurations ({configurations[1]}); choose one with `dataset_config`, or with `name` in "
                "a YAML list of sources."
            ) from error
        if isinstance(cause, UnicodeError) or "utf-8" in reason.lower() or "utf8" in reason.lower():
            raise RowsError(f"{source!r} is not UTF-8 ({reason}); convert it to UTF-8 first.") from error
        if "JSON parse error" in reason and Path(source).is_dir():
            json_files = find_files(os.path.join(glob.escape(source), "**", "*.jsonl*"))
        reason = _bad_line(json_files) or reason
        on_hub = not (isinstance(cause, ValueError) or is_path(source) or Path(source).exists() or json_files)
        raise RowsError(f"{source!r} cannot be read: {reason}.{f' {hub_fix()}' if on_hub else ''}") from error


def hub_fix() -> str:
    """Returns what to do if something cannot be read from the Hub."""
    from huggingface_hub import is_offline_mode

    return OFFLINE_FIX if is_offline_mode() else HUB_FIX


def _datasets_error() -> type[Exception]:
    # Imported when there is an error: `datasets` takes a second, and local JSON does not need it
    from datasets.exceptions import DatasetsError

    return DatasetsError


def _read(rows: Iterator[Row], source: str) -> Iterator[Row]:
    end = object()  # a row may be `None`
    while True:
        with one_sentence(source):
            row: Any = next(rows, end)
        if row is end:
            return
        yield row


def _open(source: str, split: str, name: str | None, streaming: bool, revision: str | None) -> Any:
    _check_name(source)
    files = find_files(source)
    if files:
        return _JsonRows(files) if _format(files) == "json" else _load_files(files, "train", streaming)
    if Path(source).is_dir() and _is_saved(source):
        return _pick_split(_load_saved(source), split)
    return _load_other(source, split, streaming, name=name, revision=None if Path(source).is_dir() else revision)


class _JsonRows:
    def __init__(self, files: Sequence[str]):
        self.files = files

    def __iter__(self) -> Iterator[Any]:
        return (row for file in self.files for _, row in read_json(file))


def _load_files(files: Sequence[str], split: str, streaming: bool) -> "Dataset | IterableDataset":
    from datasets import load_dataset

    _check_text(files)
    options: dict[str, Any] = {}
    if _format(files) == "csv":
        options = {**_TEXTS_ARE_TEXTS, "sep": "\t" if _suffix(files[0]) == ".tsv" else ","}
    return load_dataset(_format(files), data_files=list(files), split=split, streaming=streaming, **options)


def _load_other(source: str, split: str, streaming: bool, **where: Any) -> "Dataset | IterableDataset":
    """Loads a folder, files of a format, or a dataset of the Hub."""
    from datasets import load_dataset

    options: dict[str, Any] = {}
    files = _local_files(source, **where)
    if files:
        _check_text(files)
        options = _csv_options(source, where)
    elif where.get("data_files") is None and not Path(source).is_dir():
        _check_exists(source)
    with one_sentence(source, files):
        dataset = load_dataset(source, split=split, streaming=streaming, **where, **options)
        if not files and dataset.info.builder_name == "csv" and (options := _csv_options(source, where)):
            dataset = load_dataset(source, split=split, streaming=streaming, **where, **options)
    return dataset


def _csv_options(source: str, where: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a CSV dataset whose own settings do not say which values are missing; none for other formats."""
    from datasets import load_dataset_builder

    builder = load_dataset_builder(source, **where)
    default = builder.name == "csv" and builder.config.na_values is None and builder.config.keep_default_na
    return _TEXTS_ARE_TEXTS if default else {}


def _format(files: Sequence[str]) -> str:
    suffixes = sorted({_suffix(file) for file in files})
    formats = {FORMATS.get(suffix) for suffix in suffixes}
    found = formats.pop()
    if found is None or formats or (len(suffixes) > 1 and found == "csv"):
        raise ValueError(
            f"rows are read from {', '.join(FORMATS)} files, one kind at a time, and these end in "
            f"{', '.join(suffix or 'nothing' for suffix in suffixes)}"
        )
    return found


def _suffix(file: str) -> str:
    path = Path(file)
    return (path.with_suffix("") if path.suffix in COMPRESSIONS else path).suffix


def _open_text(file: str) -> IO[Any]:
    open_text = COMPRESSIONS.get(Path(file).suffix, open)
    return open_text(file, "rt", encoding="utf-8-sig")


def _local_files(source: str, **where: Any) -> list[str]:
    """Returns the files on this machine that `datasets` reads, if any."""
    from datasets import load_dataset_builder

    if where.get("data_files") is None:
        if not Path(source).is_dir():
            return find_files(source)
        _check_folder(source)
    builder = load_dataset_builder(source, **where)
    return [
        str(file) for files in (builder.config.data_files or {}).values() for file in files if os.path.isfile(file)
    ]


def _check_text(files: Sequence[str]) -> None:
    """
    Rejects text that is not UTF-8, a line of JSON that is `null`, and rows of CSV that are longer than the header.

    Arrow reports bytes only when the value is read, which in a training is after the model was loaded, and names neither file nor
    line. It crashes if the first line is `null`. pandas takes the first values of longer rows for an index, which shifts the columns.
    """
    for file in files:
        kind = FORMATS.get(_suffix(file))
        if kind in ("json", "csv") and (bad := _find_bad_text(file, allow_null=kind == "csv")) is not None:
            raise bad
        if kind == "csv":
            _check_first_row(file)


def _check_first_row(file: str) -> None:
    separator = "\t" if _suffix(file) == ".tsv" else ","
    with _open_text(file) as lines, contextlib.suppress(csv.Error):  # which pandas explains
        rows = [*itertools.islice(csv.reader(lines, delimiter=separator), 2)]
        if len(rows) == 2 and len(rows[1]) > len(rows[0]):
            raise RowsError(
                f"{file!r} has {len(rows[0])} columns, but its first row has {len(rows[1])} values; quote values that contain the separator "
                f"{separator!r}."
            )


@contextlib.contextmanager
def _utf8(file: str) -> Iterator[None]:
    # A decoder counts bytes from the start of its buffer, so that the line is looked for
    try:
        yield
    except UnicodeDecodeError as error:
        raise _find_bad_text(file) or error from error


def _find_bad_text(file: str, allow_null: bool = True) -> RowsError | None:
    with COMPRESSIONS.get(Path(file).suffix, open)(file, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return RowsError(
                    f"{file!r} is not UTF-8 (line {number}, byte {error.start + 1}: {error.reason} 0x{line[error.start]:02x}); convert it to "
                    f"UTF-8 first."
                )
            if not allow_null and line.strip() == b"null":
                return RowsError(f"line {number} of {file} is null, not an object; remove it.")
    return None


def _check_name(source: str) -> None:
    if not source.strip("/ "):
        raise RowsError(f"{source!r} is not a dataset: give a file, a folder or a Hub id.")


def _is_saved(folder: str) -> bool:
    return any((Path(folder) / file).is_file() for file in ("state.json", "dataset_dict.json"))


def _load_saved(folder: str) -> Any:
    from datasets import load_from_disk

    return load_from_disk(folder)


def _check_exists(source: str) -> None:
    if _suffix(source) in FORMATS or glob.has_magic(source) or is_path(source):
        where = "" if Path(source).is_absolute() else f"; paths start from {os.getcwd()}"
        if "," in source and all(Path(part.strip()).exists() for part in source.split(",")):
            where = "; several are given with spaces between, or as a list"
        raise ValueError(f"there is no such file or folder{where}")


def _check_folder(folder: str) -> None:
    """Rejects the folder of a model, whose plot `datasets` would read as a dataset of images."""
    if weights := next(Path(folder).glob("*model*.safetensors"), None):
        raise ValueError(f"the folder contains a model ({weights.name}); give a file or the folder of a dataset")


def _pick_split(dataset: Any, split: str) -> Any:
    if not hasattr(dataset, "keys"):
        return dataset
    if split not in dataset:
        raise ValueError(f"there is no split {split!r}, only {list_names(map(repr, dataset))}")
    return dataset[split]


def _from_row(rows: Any, first: int) -> Iterator[Any]:
    if hasattr(rows, "__len__"):
        return (rows[index] for index in range(first, len(rows)))
    return iter(rows.skip(first)) if hasattr(rows, "skip") else itertools.islice(rows, first, None)


def _count(rows: Any, source: str) -> int | None:
    # The Hub's datasets may be too large to be counted
    if hasattr(rows, "__len__"):
        return len(rows)
    if find_files(source):
        return sum(1 for _ in rows)
    splits = rows.info.splits or {}
    return splits[str(rows.split)].num_examples if str(rows.split) in splits else None


def _bad_line(files: Sequence[str]) -> str | None:
    try:
        for _ in _JsonRows([file for file in files if FORMATS.get(_suffix(file)) == "json"]):
            pass
    except ValueError as error:
        return str(error)
    except (EOFError, OSError, lzma.LZMAError, zlib.error):  # as the first error says
        return None
    return None
