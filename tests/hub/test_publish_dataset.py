"""Datasets on the Hub: what a bare `load_dataset` reads, what the card says, and what stays."""

import json
import re

import pytest
import yaml
from conftest import generation_row, reflection_row
from datasets import Dataset, DatasetDict, IterableDataset, Value, concatenate_datasets, load_dataset
from huggingface_hub import DatasetCard, DatasetCardData, HfApi
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pyarrow.parquet import read_table

from reflection_trl.builder.features import sequence_features
from reflection_trl.builder.statistics import BuildStatistics
from reflection_trl.hub import PublishError, publish_dataset
from reflection_trl.hub.dataset_card import _COLUMNS, describe_rows
from reflection_trl.hub.parquet import contents, size_category, stage_config

from .conftest import BEN_TOKEN, TOKEN, cards_are_checked_here


def feedback(*kinds):
    return [{"kind": kind, "text": f"{kind}!"} for kind in kinds]


@pytest.fixture
def rows():
    """Five rows: a success at once, two repairs, one of them at the third run, and two plain instructions."""
    return Dataset.from_list(
        [
            reflection_row(0, rounds=1) | {"feedback": feedback("none"), "language": "python"},
            reflection_row(1, rounds=2) | {"feedback": feedback("assertion", "none"), "language": "python"},
            reflection_row(2, rounds=3) | {"feedback": feedback("name", "assertion", "none"), "language": "rust"},
            generation_row(3) | {"feedback": [], "language": "python"},
            generation_row(4) | {"feedback": [], "language": "python"},
        ]
    )


STATISTICS = {
    "models": ["Qwen/Qwen2.5-Coder-1.5B-Instruct"],
    "problems": ["mbpp (ids from 511)", "puzzles"],
    "rollouts": 40,
    "accepted": 5,
    "rejections": {"tests_failed": 30, "refused": 5},
    "pass_rates": {"first run": 0.25},
    "sampling": {"attempts": "temperature 0.8, top-p 0.95", "stop": "a|b\nc"},
    "prompts": {"reflection": "Solve it.\n```\n{problem}\n```"},
    "licenses": {"CC-BY-4.0": 3, "MIT": 2},
    "contamination": "problems       44\n- contaminated  4  against humaneval, 10-grams",
}


def card_of(hub, repo_id="anna/rows", revision="main"):
    return DatasetCard(hub.read("datasets", repo_id, "README.md", revision).decode())


def test_a_fresh_process_loads_it_bare_and_streaming(client, rows, run_python):
    splits = DatasetDict(train=rows, test=rows.select([4, 0]))
    commit = publish_dataset(splits, "rows", license="apache-2.0", private=True, max_shard_size=700)
    assert commit.oid == client.repo("datasets", "anna/rows").commit("main").oid
    assert str(commit).endswith(f"/datasets/anna/rows/commit/{commit.oid}")
    files = client.repo("datasets", "anna/rows").commit("main").files
    assert len([path for path in files if path.startswith("data/train-")]) > 1
    printed = run_python(
        """
import json
from datasets import load_dataset
whole, stream = load_dataset("anna/rows"), load_dataset("anna/rows", streaming=True)
assert list(whole) == list(stream) == ["train", "test"]
for split in whole:
    assert whole[split].to_list() == list(stream[split])
    assert stream[split].features == whole[split].features
print(json.dumps({split: whole[split].to_list() for split in whole}))
"""
    )
    loaded = json.loads(printed.splitlines()[-1])
    assert loaded == {"train": rows.to_list(), "test": rows.select([4, 0]).to_list()}


@settings(max_examples=15)  # each writes files
@given(st.lists(st.text(max_size=60), min_size=1, max_size=12), st.integers(1, 400), st.data())
def test_shards_hold_every_row_once_and_in_order(tmp_path_factory, texts, limit, data):
    rows = Dataset.from_dict({"text": texts, "number": range(len(texts))})
    splits = DatasetDict(
        train=rows, test=rows.select(data.draw(st.lists(st.sampled_from(range(len(texts))), max_size=6)))
    )
    folder, card_data = tmp_path_factory.mktemp("staged"), DatasetCardData()
    stage_config(splits, "default", folder, card_data, limit)
    for split, expected in splits.items():
        files = sorted((folder / "data").glob(f"{split}-*.parquet"))
        assert [row for file in files for row in read_table(file).to_pylist()] == expected.to_list()
        assert all(file.name.endswith(f"-of-{len(files):05d}.parquet") for file in files)
    assert contents(card_data) == [("default", split, len(expected)) for split, expected in splits.items()]


def test_facts_are_counted_from_the_rows(rows):
    facts = describe_rows({"train": rows, "test": rows.select([2, 3])})
    assert facts["rows"] == 7
    assert facts["splits"] == [("train", 5, 3, 2), ("test", 2, 1, 1)]
    assert facts["rounds"] == {1: 1, 2: 1, 3: 2}
    assert facts["repaired"] == 3
    assert facts["feedback_kinds"] == {"assertion": 3, "name": 2}
    assert facts["languages"] == {"python": 5, "rust": 2}
    lengths = sorted(sum(len(m["content"]) for m in rows[i]["messages"]) for i in (0, 1, 2, 3, 4, 2, 3))
    assert facts["lengths"]["maximum"] == lengths[-1]
    assert facts["lengths"]["median"] == lengths[3]
    assert facts["example"] == rows[1]["messages"]  # the first one with a repair


@cards_are_checked_here
def test_card(client, rows):
    publish_dataset(rows, "anna/rows", statistics=STATISTICS, license="mit", pretty_name="Rows of ours")
    card = card_of(client)
    card.validate(repo_type="dataset")
    assert card.data.license == "mit"
    assert card.data.size_categories == ["n<1K"]
    assert card.data.configs == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}
    ]
    assert card.data.dataset_info["splits"][0]["num_examples"] == 5
    for text in (
        "# Rows of ours",
        'load_dataset("anna/rows")',
        "| `default` | train | 5 |",
        "| `messages` | `list of {role: string, content: string}` | the conversation",
        "| train | 5 | 3 | 2 |",
        "| 2 | 1 | 33.3 % | ███████ |",
        "66.7 % of the sequences contain at least one failed run",
        "| assertion | 2 | 66.7 % |",
        "| rust | 1 |",
        "Of 40 rollouts, 5 were accepted (12.5 %)",
        "| tests failed | 30 |",
        "| stop | a\\|b c |",
        "| first run | 25.0 % | █████ |",
        "```text\n" + STATISTICS["contamination"] + "\n```",
        "| CC-BY-4.0 | 3 |",
        "````text\nSolve it.\n```\n{problem}\n```\n````",
        "- mbpp (ids from 511)\n- puzzles\n",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
        "```text\nAssertionError: got 1\n```",
        "@inproceedings{ren2025reflectioncoder",
    ):
        assert text in card.text, text
    assert "{{" not in card.text.replace("{{ReflectionCoder", "")


def test_the_example_is_one_that_a_reader_takes_in(rows):
    long = reflection_row(0, rounds=2)
    long["messages"][0] = {"role": "user", "content": "x" * 10_000}
    once = reflection_row(1, rounds=1)
    assert describe_rows({"train": Dataset.from_list([long])})["example"] is None
    assert describe_rows({"train": Dataset.from_list([long, once])})["example"] == once["messages"]


def test_a_card_without_statistics_claims_nothing(client, rows):
    publish_dataset(rows.remove_columns(["feedback", "language"]), "anna/rows")
    card = card_of(client)
    assert card.data.license is None
    assert "No license is stated" in card.text
    assert "No comparison of these rows with benchmarks is recorded" in card.text
    for heading in ("Dataset creation", "failure type", "programming language", "rollouts", "failed run"):
        assert heading not in card.text


def test_statistics_may_be_an_object(client, rows):
    class Statistics:
        def to_dict(self):
            return {"models": ["me/mine"], "licenses": {"Apache-2.0": 5}}

    publish_dataset(rows, "anna/rows", statistics=Statistics())
    assert "Models: me/mine." in card_of(client).text
    assert card_of(client).data.license == "apache-2.0"


@pytest.mark.parametrize(
    ("licenses", "stated"),
    [
        ({"MIT": 1, "CC-BY-4.0": 2}, ["cc-by-4.0", "mit"]),
        ({"MIT": 1, "unknown": 2}, None),
        ({"MIT": 1, "my own": 2}, None),
        ({}, None),
    ],
)
def test_a_license_is_stated_where_all_are_known(client, rows, licenses, stated):
    publish_dataset(rows, "anna/rows", statistics={"licenses": licenses})
    assert card_of(client).data.license == stated


def test_statistics_of_a_real_build_fill_every_table(client, rows):
    statistics = BuildStatistics(
        models=["me/teacher"],
        problems=["mbpp: 44 problems"],
        sampling={"first": "temperature 0.8"},
        prompts={"reflection": "Solve {{ instruction }}"},
        rollouts=40,
        accepted=6,
        rows=5,
        set_aside=1,
        repaired=2,
        rejections={"tests_failed": 34},
        rounds={1: 3, 2: 2},
        failures={"name": 7},
        wrong_asserts=3,
        pass_rates={"first programs": 0.5, "none": 0.0},
        licenses={"MIT": 5},
        contamination="problems 44",
        prompt_tokens=10,
        completion_tokens=5,
        runs=90,
        seconds=2.0,
        sessions=1,
        untested="None of the 44 problems has tests.",
        difficulty={"0%": 1, "up to 50%": 3},
    )
    publish_dataset(rows, "anna/rows", statistics=statistics)
    text = card_of(client).text
    for words in (
        "of which 5 were kept and 1 set aside as surplus",
        "3 wrong asserts",
        "(90 runs)",
        "| first | temperature 0.8 |",
        "| none | 0.0 % |  |",
        "| up to 50% | 3 | 75.0 % |",
        "to the attempts. None of the 44 problems has tests. 3 wrong asserts",
    ):
        assert words in text, words


def solved_row(number):
    return {
        "messages": [
            {"role": "user", "content": "What is 6 times 6? Solve it and correct it."},
            {"role": "assistant", "content": r"\boxed{35}"},
            {"role": "tool", "content": "The final answer `35` is wrong."},
            {"role": "assistant", "content": r"\boxed{36}"},
            {"role": "tool", "content": "The final answer `36` is right."},
            {"role": "assistant", "content": "It is right now."},
            {"role": "user", "content": f"What is 6 times 6? ({number})"},
            {"role": "assistant", "content": r"\boxed{36}"},
        ],
        "type": "reflection",
        "feedback": feedback("assertion", "none"),
        "language": None,
        "answer": "36",
        "rounds": 2,
    }


def test_a_card_of_final_answers_speaks_of_solutions(client):
    solved = Dataset.from_list([solved_row(0), solved_row(1)]).cast_column("language", Value("string"))
    statistics = STATISTICS | {
        "pass_rates": {"first programs": 0.25},
        "prompts": {},
        "contamination": "none",
        "models": ["me/mine"],
    }
    publish_dataset(solved, "anna/rows", statistics=statistics)
    card = card_of(client)
    text = card.text
    for words in (
        "of language models. In a reflection sequence, a model solves a problem",
        "an analysis with a solution (`assistant`) and the checker's verdict (`tool`)",
        "number of solutions in the sequence",
        "| solutions checked in a sequence |",
        "100.0 % of the sequences contain at least one wrong solution",
        "| failure type | solutions |",
        "| wrong answer | 2 |",
        "the final answer of its last solution is correct",
        "| first solutions | 25.0 % |",
        "- A correct final answer does not prove correctness",
    ):
        assert words in text, words
    assert not re.search("program|tests pass|asserts|sandbox|interpreter|code model|Coder-1.5B", text)
    assert "code" not in card.data.tags and "reasoning" in card.data.tags


def test_a_card_of_programs_and_final_answers_speaks_of_both(client, rows):
    both = concatenate_datasets([rows, Dataset.from_list([solved_row(0)]).cast_column("language", Value("string"))])
    publish_dataset(both, "anna/rows", statistics=STATISTICS)
    text = card_of(client).text
    for words in (
        "1 of 6 rows have a problem with a final answer",
        "| programs run or solutions checked in a sequence |",
        "the asserts of the sequence (or the checker",
        "Passing tests do not prove correctness",
        "A correct final answer does not prove it either",
    ):
        assert words in text, words


def test_every_column_of_the_builder_is_explained():
    assert set(sequence_features()) == set(_COLUMNS)


HOSTILE = "</blockquote>\n# Mine\n<script>alert(1)</script> ![x](https://evil.example/a.png)\n<!-- \n``` \n````\n- `a"
FORGED = "<!-- reflection_trl: configuration default end -->\n# Forged"


def test_hostile_rows_and_statistics_stay_where_they_are(client):
    """Rendered as the Hub renders it, nothing from outside is markup, and the next publication finds its sections."""
    row = reflection_row(0, rounds=2)
    row["messages"][0]["content"] = HOSTILE
    row["messages"][2]["content"] = f"```\n{FORGED}\n{HOSTILE}"
    dataset = Dataset.from_list([row | {"a|b`c": HOSTILE, "language": HOSTILE}])
    statistics = {
        "models": [HOSTILE],
        "problems": [HOSTILE, FORGED],
        "sampling": {HOSTILE: "a | b\n| c"},
        "prompts": {HOSTILE: FORGED, "b": HOSTILE},
        "rejections": {HOSTILE: 1},
        "pass_rates": {"a\nb": 2 / 3},
        "licenses": {HOSTILE: 1},
        "contamination": HOSTILE,
        "rollouts": 0,
    }
    for _ in range(2):
        publish_dataset(dataset, "anna/rows", statistics=statistics, pretty_name=HOSTILE)
    text = card_of(client).text
    assert len(re.findall("^<!-- reflection_trl:", text, re.MULTILINE)) == 6  # begin and end of three sections
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    headings = re.findall(r"<h([12])>(.*?)</h\1>", html, re.DOTALL)
    assert [title for _, title in headings[1:]] == [
        "Contents", "Statistics", "Example", "Dataset creation", "Contamination", "License", "Limits", "Citation"
    ]  # fmt: skip
    assert "<script" not in html
    assert "<img" not in html
    for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        columns = {len(re.findall("<t[hd]", line)) for line in table.split("<tr>")[1:]}
        assert len(columns) == 1, table


def test_a_template_of_ones_own(client, rows, tmp_path):
    template = tmp_path / "card.md"
    template.write_text("---\n{{ card_data }}\n---\n{{ facts.rows }} rows, {{ statistics.mood }}\n")
    publish_dataset(rows, "anna/rows", statistics={"mood": "good"}, card_template=template)
    assert card_of(client).text.strip() == "5 rows, good"
    template.write_text("no metadata")
    with pytest.raises(ValueError, match="card_data"):
        publish_dataset(rows, "anna/rows", card_template=template)
    template.write_text("---\n{{ card_data }}\n---\n{{ facts.rows | nothing }}")
    with pytest.raises(ValueError, match="cannot be filled in"):
        publish_dataset(rows, "anna/rows", card_template=template)
    with pytest.raises(ValueError, match=r"absent\.md does not exist"):
        publish_dataset(rows, "anna/rows", card_template=tmp_path / "absent.md")


def test_other_configurations_and_metadata_stay(client, rows):
    publish_dataset(rows, "anna/rows", license="mit", max_shard_size=700)
    api = HfApi()
    card = card_of(client)
    card.data["annotations_creators"] = ["machine-generated"]
    card.text = card.text.replace("## Limits", "## Words of mine\n\nBy hand.\n\n## Limits")
    api.upload_file(
        path_or_fileobj=str(card).encode(), path_in_repo="README.md", repo_id="anna/rows", repo_type="dataset"
    )
    publish_dataset(rows.select([1]), "anna/rows", config_name="hard")
    publish_dataset(rows.select([0, 1]), "anna/rows")  # fewer shards than before
    card = card_of(client)
    data = card.data
    assert data.license == "mit"
    assert "## Words of mine\n\nBy hand.\n" in card.text
    assert "| `default` | train | 2 |\n| `hard` | train | 1 |\n" in card.text
    first, second = card.text.index("## Statistics"), card.text.index("## Configuration `hard`")
    assert first < second < card.text.index("## License")
    assert "| train | 2 | 2 | 0 |" in card.text[first:second]
    assert "| train | 1 | 1 | 0 |" in card.text[second:]
    assert data.annotations_creators == ["machine-generated"]
    assert [config["config_name"] for config in data.configs] == ["default", "hard"]
    assert [info["config_name"] for info in data.dataset_info] == ["default", "hard"]
    assert len(load_dataset("anna/rows", split="train")) == 2
    assert len(load_dataset("anna/rows", "hard", split="train")) == 1


def write_configs(rows, *configs):
    """A repository as others lay it out: all files in `data/`."""
    api, card = (
        HfApi(),
        DatasetCard(f"---\n{yaml.safe_dump({'configs': list(configs), 'tags': ['mine']})}---\n\n# Rows\n"),
    )
    api.create_repo("anna/rows", repo_type="dataset")
    rows.to_parquet("shard.parquet")
    for path in {config["data_files"] for config in configs}:
        api.upload_file(
            path_or_fileobj="shard.parquet",
            path_in_repo=path.replace("*", "0"),
            repo_id="anna/rows",
            repo_type="dataset",
        )
    api.upload_file(
        path_or_fileobj=str(card).encode(), path_in_repo="README.md", repo_id="anna/rows", repo_type="dataset"
    )


def test_files_of_a_configuration_in_the_same_folder_stay(client, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_configs(rows, {"config_name": "easy", "data_files": "data/easy-*.parquet"})
    for count in (3, 2):
        publish_dataset(rows.select(range(count)), "anna/rows", max_shard_size=700)
        assert len(load_dataset("anna/rows", "default", split="train")) == count
        assert len(load_dataset("anna/rows", "easy", split="train")) == 5
    assert card_of(client).data.tags == ["mine", "code", "reflection", "self-distillation", "reflection_trl"]


def test_a_configuration_of_all_files_does_not_keep_old_ones(client, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish_dataset(rows, "anna/rows", max_shard_size=700)
    card = card_of(client)
    card.data.configs.append({"config_name": "all", "data_files": "data/*"})
    HfApi().upload_file(
        path_or_fileobj=str(card).encode(), path_in_repo="README.md", repo_id="anna/rows", repo_type="dataset"
    )
    publish_dataset(rows.select([0]), "anna/rows")
    assert len(load_dataset("anna/rows", "all", split="train")) == 1


def test_files_of_another_configuration_are_not_replaced(client, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_configs(rows, {"config_name": "theirs", "data_files": "data/train-*"})
    with pytest.raises(PublishError, match=r"its configuration 'theirs' names files .*choose another `config_name`"):
        publish_dataset(rows, "anna/rows")


def test_private_organization_branch_and_pull_request(client, rows):
    publish_dataset(rows, "team/rows", private=True)
    assert client.repo("datasets", "team/rows").private
    publish_dataset(rows.select([0]), "team/rows", revision="small")
    assert card_of(client, "team/rows", "small").data.dataset_info["splits"][0]["num_examples"] == 1
    assert card_of(client, "team/rows").data.dataset_info["splits"][0]["num_examples"] == 5

    client.create("datasets", "anna/open")
    commit = publish_dataset(rows, "anna/open", create_pr=True, token=BEN_TOKEN)
    assert commit.pr_revision == "refs/pr/1"
    assert "README.md" not in client.repo("datasets", "anna/open").commit("main").files
    publish_dataset(rows.select([0]), "anna/open", revision="refs/pr/1", token=TOKEN)
    assert card_of(client, "anna/open", "refs/pr/1").data.dataset_info["splits"][0]["num_examples"] == 1


def test_rows_that_were_to_be_private_never_become_public(client, rows):
    client.create("datasets", "anna/open")
    with pytest.raises(PublishError, match="is public, but `private=True`"):
        publish_dataset(rows, "anna/open", private=True)
    assert list(client.repo("datasets", "anna/open").commit("main").files) == [".gitattributes"]


@pytest.mark.parametrize(
    ("dataset", "arguments", "sentence"),
    [
        (Dataset.from_dict({"text": ["a"]}), {}, "lacks the column"),
        (Dataset.from_dict({"messages": [], "type": []}), {}, "Split 'train' has no rows"),
        (DatasetDict(), {}, "no split"),
        (IterableDataset.from_generator(lambda: iter([generation_row()])), {}, "not IterableDataset"),
        (Dataset.from_list([generation_row()]), {"config_name": "a/b"}, "configuration name 'a/b'"),
        (Dataset.from_list([generation_row()]), {"config_name": "data"}, "configuration name 'data'"),
        (Dataset.from_list([generation_row()]), {"license": "Apache 2"}, "did you mean 'apache-2.0'"),
        (Dataset.from_dict({"messages": [[]], "type": ["x"]}), {}, "row 0 of split 'train'"),
        (DatasetDict({"my-split": Dataset.from_list([generation_row()])}), {}, "split name 'my-split'"),
        (
            DatasetDict(
                a=Dataset.from_list([generation_row()]), b=Dataset.from_list([generation_row() | {"more": 1}])
            ),
            {},
            "Split 'b' has other columns or types than split 'a'",
        ),
        (Dataset.from_list([generation_row()]), {"create_pr": True, "revision": "next"}, "exclude each other"),
        (Dataset.from_list([generation_row()]), {"repo_id": "a/b/c"}, "Repo id"),
    ],
)
def test_wrong_arguments_send_and_leave_nothing(client, tmp_path, dataset, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        publish_dataset(dataset, **({"repo_id": "anna/rows", "staging_dir": tmp_path / "waiting"} | arguments))
    assert client.requests == []
    assert not (tmp_path / "waiting").exists()


def test_size_categories():
    names = [size_category(rows) for rows in (1, 999, 1000, 9_999, 10_000, 5_000_000, 2 * 10**9, 10**12)]
    assert names == ["n<1K", "n<1K", "1K<n<10K", "1K<n<10K", "10K<n<100K", "1M<n<10M", "1B<n<10B", "n>1T"]


def test_published_metadata_is_plain_yaml(client, rows):
    publish_dataset(rows, "anna/rows")
    head = client.read("datasets", "anna/rows", "README.md").decode().split("---\n")[1]
    assert yaml.safe_load(head)["configs"][0]["config_name"] == "default"
