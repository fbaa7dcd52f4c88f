"""The `datasets` builder: every way in, every way out."""

import asyncio
import json
import os
import shutil

import pytest
from datasets import load_dataset
from datasets.exceptions import DatasetGenerationError

import reflection_trl
from reflection_trl.builder import ReflectionSequences, RolloutSettings, RunError
from reflection_trl.builder.build import Build, run_build
from reflection_trl.builder.features import sequence_features
from reflection_trl.files import run_folder
from reflection_trl.sequences import from_typed_blocks

from .conftest import RunsHere
from .replies import Replies, make_problems


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run with rows of every kind, in several shards."""
    folder = tmp_path_factory.mktemp("run") / "out"
    build = Build(make_problems(10), "scripted", RolloutSettings(rounds=2), samples=2, min_repaired_share=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "ROWS_PER_SHARD", 3)
        asyncio.run(run_build(build, folder, generate=Replies(), execute=RunsHere(), bar=False))
    return folder


def written(run, kind):
    return [json.loads(line) for file in sorted((run / "rows").glob(f"{kind}-*")) for line in file.open()]


@pytest.mark.parametrize(("name", "kind"), [(None, "accepted"), ("rejected", "rejected"), ("set_aside", "set_aside")])
def test_configurations_of_a_run(run, tmp_path, name, kind):
    builder = ReflectionSequences(config_name=name, data_dir=str(run), cache_dir=str(tmp_path))
    builder.download_and_prepare()
    dataset = builder.as_dataset(split="train")
    assert len(dataset) > 0 and dataset.to_list() == written(run, kind)
    assert dataset.features == sequence_features(rejected=kind == "rejected")
    assert builder.info.splits["train"].num_examples == len(dataset)


def test_several_processes_make_the_same(run, tmp_path):
    builder = ReflectionSequences(data_dir=str(run), cache_dir=str(tmp_path))
    assert len([*(run / "rows").glob("accepted-*")]) > 1
    builder.download_and_prepare(num_proc=2)
    assert builder.as_dataset(split="train").to_list() == written(run, "accepted")


def test_streaming(run, tmp_path):
    stream = ReflectionSequences(data_dir=str(run), cache_dir=str(tmp_path)).as_streaming_dataset(split="train")
    assert [*stream] == written(run, "accepted")
    assert stream.features == sequence_features()
    assert not [*tmp_path.rglob("*.arrow")]


def test_parquet_is_read_without_this_package(run, tmp_path):
    builder = ReflectionSequences(data_dir=str(run), cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare()
    builder.as_dataset(split="train").to_parquet(str(tmp_path / "rows.parquet"))
    loaded = load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), split="train", cache_dir=str(tmp_path / "other")
    )
    assert loaded.features == sequence_features()
    assert loaded.to_list() == written(run, "accepted")
    failed = [entry for row in loaded for entry in row["feedback"] if entry["kind"] != "none"]
    assert {entry["kind"] for entry in failed} == {"assertion"} and all(entry["line"] == 4 for entry in failed)


def test_the_cache_knows_runs_apart_and_notices_that_one_has_grown(run, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)

    def cached_in(folder):
        return ReflectionSequences(data_dir=str(folder), cache_dir=str(tmp_path / "cache")).cache_dir

    before = cached_in(copy)
    assert before != cached_in(run)
    monkeypatch.chdir(tmp_path)
    assert before == cached_in("copy")
    os.utime(copy / "statistics.json", ns=(1, 1))
    assert before != cached_in(copy)


def test_it_is_exported():
    assert reflection_trl.ReflectionSequences is ReflectionSequences
    assert set(ReflectionSequences.builder_configs) == {"default", "rejected", "set_aside"}


# Files

TYPED = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "content": "Solve: add."}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "content": "A sum, such as\n```\n1 + 1\n```"},
                {"type": "code", "content": "print(1 + 1)"},
                {"type": "execution", "content": "2"},
            ],
        },
        {"role": "user", "content": [{"type": "text", "content": "Add."}]},
        {"role": "assistant", "content": [{"type": "code", "content": "print(1 + 1)"}]},
    ],
    "type": "reflection",
}
PLAIN = {
    "messages": [{"role": "user", "content": "Hi ä"}, {"role": "assistant", "content": "Ho"}],
    "type": "generation",
    "more": 3,
}


def write(file, *rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def without_blocks(messages):
    return [{key: value for key, value in message.items() if key != "blocks" or value} for message in messages]


def test_files_of_the_published_form(tmp_path):
    as_string = {**TYPED, "messages": json.dumps(TYPED["messages"])}
    files = {
        "train": [write(tmp_path / "a.jsonl", TYPED, as_string), write(tmp_path / "b.jsonl", PLAIN)],
        "test": write(tmp_path / "c.jsonl", PLAIN),
    }
    builder = ReflectionSequences(data_files=files, cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare(num_proc=2)
    dataset = builder.as_dataset()
    assert {split: len(rows) for split, rows in dataset.items()} == {"train": 3, "test": 1}
    rows = [{**row, "messages": without_blocks(row["messages"])} for row in dataset["train"]]
    converted = from_typed_blocks(TYPED)
    assert rows == [converted, converted, {key: PLAIN[key] for key in ("messages", "type")}]
    assert any(message.get("blocks") for message in rows[0]["messages"])  # what a fence in prose needs
    stream = ReflectionSequences(data_files=files, cache_dir=str(tmp_path / "other")).as_streaming_dataset("test")
    assert [row["type"] for row in stream] == ["generation"]


def test_a_list_and_a_pattern_of_files(tmp_path):
    names = [write(tmp_path / f"{name}.jsonl", PLAIN) for name in "ab"]
    for files in (names, str(tmp_path / "*.jsonl")):
        builder = ReflectionSequences(data_files=files, cache_dir=str(tmp_path / "cache"))
        builder.download_and_prepare()
        assert len(builder.as_dataset(split="train")) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            json.dumps(PLAIN) + "\n\n{oops\n",
            r"line 3 of .*bad.jsonl is not JSON \(.+\); fix or remove it",
        ),
        ("[1, 2]\n", r"line 1 of .*bad.jsonl is not an object: give JSON files"),
        (json.dumps({**PLAIN, "type": "poem"}), r"line 1 of .*bad.jsonl: `type` is 'poem'"),
        (
            json.dumps({"type": "reflection"}),
            r"line 1 of .*bad.jsonl: `messages` and all its other forms are missing",
        ),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "bad.jsonl").write_text(content)
    builder = ReflectionSequences(data_files=str(tmp_path / "bad.jsonl"), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(DatasetGenerationError) as error:
        builder.download_and_prepare()
    with pytest.raises(ValueError, match=message):
        raise error.value.__cause__


def test_bad_folders(run, tmp_path):
    with pytest.raises(RunError, match="contains no finished run: finish its build first"):
        ReflectionSequences(data_dir=str(tmp_path), cache_dir=str(tmp_path)).download_and_prepare()
    with pytest.raises(ValueError, match="pass `data_dir`, the folder of a finished run, or `data_files`"):
        ReflectionSequences(cache_dir=str(tmp_path)).download_and_prepare()
