"""The one reader of rows: its three ways in give the same rows, and name what is wrong in the same words."""

import bz2
import gzip
import json
import lzma
import re
import subprocess
import sys

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict, IterableDataset

from reflection_trl.files.rows import (
    RowsError,
    check_source,
    load_rows,
    name_bad_line,
    open_rows,
    read_json,
    read_rows,
)


ROWS = [{"messages": f"m{index}", "type": "generation"} for index in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CSV = "messages,type\n" + "".join(f"{row['messages']},{row['type']}\n" for row in ROWS)
FILES = {
    "x.jsonl": LINES,
    "x.json": json.dumps(ROWS, indent=1).encode(),
    "x.csv": CSV.encode(),
    "x.tsv": CSV.replace(",", "\t").encode(),
    "x.jsonl.gz": gzip.compress(LINES),
    "x.jsonl.bz2": bz2.compress(LINES),
    "x.json.xz": lzma.compress(json.dumps(ROWS).encode()),
    "x.csv.gz": gzip.compress(CSV.encode()),
}


@pytest.fixture(params=[*FILES, "x.parquet", "*.jsonl", "folder", "saved", "saved splits"])
def source(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = Dataset.from_list(ROWS)
    match request.param:
        case "x.parquet":
            dataset.to_parquet("x.parquet")
        case "*.jsonl":
            (tmp_path / "a.jsonl").write_bytes(b"".join(LINES.splitlines(True)[:2]))
            (tmp_path / "b.jsonl").write_bytes(b"".join(LINES.splitlines(True)[2:]))
        case "folder":
            (tmp_path / "folder").mkdir()
            (tmp_path / "folder" / "train.jsonl").write_bytes(LINES)
        case "saved":
            dataset.save_to_disk("saved")
        case "saved splits":
            DatasetDict(train=dataset, test=dataset.select([0])).save_to_disk("saved splits")
        case file:
            (tmp_path / file).write_bytes(FILES[file])
    return request.param


@pytest.mark.parametrize(("name", "separator"), [("x.csv", ","), ("x.tsv", "\t")])
def test_only_empty_cells_of_csv_are_missing_values(tmp_path, name, separator):
    (tmp_path / name).write_text(
        f"id{separator}answer\n"
        + "".join(f"{i}{separator}{text}\n" for i, text in enumerate(["NA", "None", "null", "", "nan"]))
    )
    rows = list(open_rows(tmp_path / name)[1])
    assert [row["answer"] for row in rows] == ["NA", "None", "null", None, "nan"]
    for source, data_files in ((str(tmp_path / name), None), (str(tmp_path), None), ("csv", str(tmp_path / name))):
        if data_files and separator != ",":
            continue  # whose separator the caller would set
        assert load_rows(source, data_files=data_files).to_list() == rows
        assert list(load_rows(source, data_files=data_files, streaming=True)) == rows
    assert list(open_rows(tmp_path)[1]) == rows


def test_a_csv_folder_that_says_what_is_missing_is_read_as_it_says(tmp_path):
    (tmp_path / "train.csv").write_text("id,answer\n0,NA\n1,-\n2,\n")
    (tmp_path / "README.md").write_text(
        '---\nconfigs:\n- config_name: default\n  data_files: train.csv\n  na_values: ["-"]\n---\n'
    )
    assert [row["answer"] for row in load_rows(str(tmp_path))] == [None, None, None]


def test_a_line_behind_the_first_chunk_of_a_stream_is_named(tmp_path):
    """`datasets` reads chunks of 10 MB, and numbers lines from the start of each."""
    line = json.dumps({"messages": "m" * 100_000, "type": "generation"}) + "\n"
    (tmp_path / "a.jsonl").write_text(line * 3)
    bad = tmp_path / "b.jsonl"
    bad.write_text(line * 150 + '{"messages": oops}\n')
    message = re.escape(
        f"cannot be read: line 151 of {bad} is not JSON (Expecting value, column 14); fix or remove it."
    )
    for where in ({"source": str(bad)}, {"source": str(tmp_path)}, {"source": "json", "data_files": str(bad)}):
        with pytest.raises(RowsError, match=f"^'{where['source']}' {message}$"), name_bad_line([where]):
            for _ in load_rows(**where, streaming=True):
                pass
    for read in (load_rows, lambda source: [*open_rows(source, streaming=True)[1]]):
        with pytest.raises(RowsError, match=f"^'{tmp_path}' {message}$"):
            read(str(tmp_path))


def test_a_row_that_no_line_explains_names_the_sources(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    sources = [{"source": str(tmp_path / "a.jsonl")}, {"source": "me/rows"}]
    with (
        pytest.raises(
            RowsError, match=rf"^A row of '{tmp_path}/a.jsonl', 'me/rows' cannot be read: of another type\.$"
        ),
        name_bad_line(sources),
    ):
        raise pa.ArrowInvalid("of another type")
    with pytest.raises(pa.ArrowInvalid), name_bad_line([]):
        raise pa.ArrowInvalid("of another type")


def test_every_form_is_read_alike(source):
    check_source(source)
    assert list(open_rows(source)[1]) == ROWS
    assert list(open_rows(source, streaming=True)[1]) == ROWS
    assert read_rows(source) == ROWS
    assert read_rows(source, first=1, number=2) == ROWS[1:3]
    loaded = load_rows(source)
    assert isinstance(loaded, Dataset) and loaded.to_list() == ROWS
    stream = load_rows(source, streaming=True)
    assert isinstance(stream, IterableDataset) and list(stream) == ROWS
    with pytest.raises(RowsError, match=r"^Row 5 is out of range: '.*' has (5 rows, 0 to 4|fewer rows)\.$"):
        read_rows(source, first=5)


def test_what_is_no_row_is_named(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"messages": []}\n7\n')
    with pytest.raises(RowsError, match="contains values that are not objects; write each row as an object with"):
        read_rows(str(file))
    file.write_text('{"text": "a", "label": 1}\n')
    with pytest.raises(RowsError, match="has no column `messages`, only text, label; rows need"):
        read_rows(str(file))
    file.write_text("{}\n")
    with pytest.raises(RowsError, match="has no column `messages`, only none; rows need"):
        read_rows(str(file))
    with pytest.raises(RowsError, match="Rows are read from a path, a Hub id, a dataset or an iterable, not from 7"):
        open_rows(7)
    assert list(open_rows([{"text": "a"}])[1]) == [{"text": "a"}]


def test_splits(tmp_path):
    dataset = Dataset.from_list(ROWS)
    DatasetDict(train=dataset, test=dataset.select([0])).save_to_disk(tmp_path)
    for read in (
        lambda split: list(open_rows(tmp_path, split=split)[1]),
        lambda split: read_rows(str(tmp_path), split),
    ):
        assert read("test") == ROWS[:1]
        with pytest.raises(RowsError, match="there is no split 'dev', only 'train', 'test'"):
            read("dev")
    assert load_rows(str(tmp_path), split="test").to_list() == ROWS[:1]
    with pytest.raises(RowsError, match="there is no split 'dev'"):
        load_rows(str(tmp_path), split="dev")


def test_a_split_or_a_configuration_of_a_file_is_not_ignored(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_bytes(LINES)
    assert read_rows(str(file)) == ROWS
    with pytest.raises(RowsError, match=r"x\.jsonl' is read as files, which have no splits; leave out 'test'\.$"):
        read_rows(str(file), "test")
    with pytest.raises(RowsError, match=r"which have no configurations; leave out 'hard'\.$"):
        read_rows(str(file), config="hard")


def test_the_folder_of_a_model_is_no_dataset(tmp_path):
    (tmp_path / "adapter_model.safetensors").touch()
    (tmp_path / "training_curves.png").touch()  # `datasets` would read it as rows with a picture
    for read in (lambda folder: list(open_rows(folder)[1]), read_rows, load_rows, check_source):
        with pytest.raises(RowsError, match=r"the folder contains a model \(adapter_model.safetensors\); give a file"):
            read(str(tmp_path))


def test_part_of_a_file(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(LINES)
    assert load_rows(str(tmp_path / "x.jsonl"), split="train[1:3]").to_list() == ROWS[1:3]


def test_rows_whose_values_differ_in_type(tmp_path):
    rows = [{"messages": 1, "type": "a"}, {"messages": [1, "x"], "type": "b"}, {"messages": {"y": None}, "type": "c"}]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    assert read_rows(str(tmp_path / "x.json")) == list(open_rows(tmp_path / "x.json")[1]) == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.jsonl",
            b'{"a": 1}\n{"a": \n',
            "line 2 of .*x.jsonl is not JSON .Expecting value, column 6.; fix or remove it",
        ),
        (
            "x.json",
            b'[{"a": 1},\n{"a": }]',
            "line 2 of .*x.json is not JSON .Expecting value, column 7.; fix or remove",
        ),
        (
            "x.jsonl",
            b'{"a": 1}\n' * 3 + b'{"a": "caf\xe9"}\n',
            r"is not UTF-8 \(line 4, byte 11: invalid continuation byte 0xe9\); convert it to UTF-8 first",
        ),
        ("x.csv", b"a,b\n1,caf\xe9\n", r"is not UTF-8 \(line 2, byte 6: "),
        ("x.jsonl.gz", gzip.compress(b'\xff{"a": 1}\n'), r"is not UTF-8 \(line 1, byte 1: "),
        ("x.jsonl.gz", gzip.compress(LINES)[:40], "is a truncated compressed file: download"),
        ("x.jsonl.xz", lzma.compress(LINES)[:-9], "is a truncated compressed file: download"),
        ("x.parquet", b"abc", "cannot be read: Parquet file size is 3 bytes"),
        ("x.jsonl", b"", "has no rows"),
        ("x.txt", b"abc", "rows are read from .json, .jsonl, .parquet, .csv, .tsv files, one kind at a time"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, name, content, message):
    file = str(tmp_path / name)
    (tmp_path / name).write_bytes(content)
    reads = [read_rows, load_rows]
    if "UTF-8" in message:  # a stream reads the rest when it is asked for
        reads.append(lambda source: load_rows(source, streaming=True))
    if content:  # that it has none is for the caller to say
        reads.append(lambda source: list(open_rows(source)[1]))
    for read in reads:
        with pytest.raises(RowsError, match=message) as raised:
            read(file)
        assert "\n" not in str(raised.value) and repr(file) in str(raised.value)


def test_a_dataset_of_several_configurations_names_them(tmp_path):
    for name in ("easy", "hard"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_bytes(LINES)
    configs = [f"- config_name: {name}\n  data_files: {name}/*.jsonl" for name in ("easy", "hard")]
    (tmp_path / "README.md").write_text("---\nconfigs:\n" + "\n".join(configs) + "\n---\n")
    for read in (read_rows, load_rows, lambda source: list(open_rows(source)[1])):
        with pytest.raises(
            RowsError, match=r"has several configurations \('easy', 'hard'\); choose one with `dataset_c"
        ):
            read(str(tmp_path))
    assert read_rows(str(tmp_path), config="hard") == ROWS


@pytest.mark.parametrize("streaming", [False, True])
def test_a_folder_and_data_files_that_are_not_utf8_are_rejected_before_training(tmp_path, streaming):
    (tmp_path / "train.jsonl").write_bytes(LINES)
    assert load_rows(str(tmp_path), streaming=streaming).column_names
    bad = tmp_path / "test.jsonl"
    bad.write_bytes(b'{"a": 1}\n{"a": "caf\xe9"}\n')
    for source, data_files in ((str(tmp_path), None), ("json", str(bad))):
        with pytest.raises(RowsError, match=rf"^'{bad}' is not UTF-8 \(line 2, byte 11: "):
            load_rows(source, data_files=data_files, streaming=streaming)


@pytest.mark.parametrize("source", ["none.jsonl", "none.csv.gz", "./none", "a/b/c", "none/*.parquet", "/none/at-all"])
def test_what_can_only_be_a_path_is_not_asked_for_on_the_hub(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for read in (check_source, open_rows, read_rows, load_rows):
        with pytest.raises(RowsError, match=r"' cannot be read: there is no such file or folder") as raised:
            read(source)
        assert ("paths start from" in str(raised.value)) != source.startswith("/")


def test_a_name_of_the_hub_that_is_not_available():
    check_source("nobody/none")
    for read in (open_rows, read_rows, load_rows):
        with pytest.raises(RowsError, match=r"^'nobody/none' cannot be read: .*\. HF_HUB_OFFLINE is set"):
            read("nobody/none")


def test_files_of_two_kinds_are_not_mixed(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "b.tsv").write_text(CSV.replace(",", "\t"))
    for read in (check_source, open_rows, read_rows, load_rows):
        with pytest.raises(RowsError, match=r"one kind at a time, and these end in \.csv, \.tsv"):
            read(f"{tmp_path}/*")


def test_lines_are_numbered_as_editors_number_them(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    assert list(read_json(str(tmp_path / "x.jsonl"))) == [(1, {"a": 1}), (3, {"a": 2})]


def test_an_object_on_several_lines_is_one_row(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(ROWS[0], indent=2))
    assert list(read_json(str(tmp_path / "x.json"))) == [(1, ROWS[0])]
    (tmp_path / "x.json").write_text('{\n  "a": 1,\n  "b": oops\n}\n')
    with pytest.raises(
        ValueError, match=r"^line 3 of .*x\.json is not JSON \(Expecting value, column 8\); fix or remove it$"
    ):
        list(read_json(str(tmp_path / "x.json")))


def test_null_among_the_rows_ends_nothing(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\nnull\n{"a": 2}\n')
    assert list(open_rows(tmp_path / "x.jsonl")[1]) == [{"a": 1}, None, {"a": 2}]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("before", [0, 2])
def test_null_is_named_before_arrow_crashes(tmp_path, before, streaming):
    file = tmp_path / "x.jsonl"
    file.write_text('{"a": 1}\n' * before + "null\n" + '{"a": 1}\n')
    for source in (str(file), str(tmp_path)):
        with pytest.raises(RowsError, match=rf"^line {before + 1} of {file} is null, not an object; remove it\.$"):
            load_rows(source, streaming=streaming)


@pytest.mark.parametrize(("name", "separator"), [("x.csv", ","), ("x.tsv", "\t"), ("x.csv.gz", ",")])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_row_of_csv_that_is_longer_than_the_header_does_not_shift_its_columns(tmp_path, name, separator, streaming):
    text = "instruction,tests\nAdd a, b,assert f(1)\n".replace(",", separator).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    for read in (load_rows, lambda source, streaming: list(open_rows(source, streaming=streaming)[1])):
        with pytest.raises(
            RowsError, match=rf"{name}' has 2 columns, but its first row has 3 values; quote values that"
        ):
            read(str(tmp_path / name), streaming=streaming)


def test_files_without_rows_are_named(tmp_path):
    (tmp_path / "nothing.csv").write_text("")
    (tmp_path / "header.csv").write_text("messages,type\n")
    Dataset.from_dict({"messages": []}).to_parquet(tmp_path / "empty.parquet")
    for name in ("nothing.csv", "header.csv", "empty.parquet"):
        with pytest.raises(RowsError, match=f"^'{tmp_path}/{name}' has no rows\\.$"):
            load_rows(str(tmp_path / name))


@pytest.mark.parametrize("source", ["", " ", "/"])
def test_no_name_is_no_dataset(source):
    for read in (check_source, open_rows, read_rows, load_rows):
        with pytest.raises(RowsError, match=f"^'{source}' is not a dataset: give a file, a folder or a Hub id"):
            read(source)


def test_errors_of_the_readers_of_a_stream_are_named(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n" + '"unclosed,3\n')
    where = {"source": str(file)}
    with (
        pytest.raises(RowsError, match=rf"^A row of '{file}' cannot be read: .*EOF inside string"),
        name_bad_line([where]),
    ):
        list(load_rows(**where, streaming=True))
    with pytest.raises(ValueError, match=r"^of the training$"), name_bad_line([where]):
        raise ValueError("of the training")


def test_local_json_is_read_without_datasets(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(LINES)
    code = "import sys; from reflection_trl.files.rows import read_rows; print(len(read_rows(sys.argv[1])), 'datasets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.jsonl")], capture_output=True, text=True)
    assert done.stdout == "5 False\n", done.stderr
