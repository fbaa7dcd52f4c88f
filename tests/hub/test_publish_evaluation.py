"""Evaluation results on the Hub: both forms, merged with what is there, and readable by the Hub's own readers."""

import dataclasses

import pytest
import yaml
from datasets import get_dataset_config_names, load_dataset
from huggingface_hub import HfApi, ModelCard

from reflection_trl.evaluation import EvaluationRun, Outcome, Score
from reflection_trl.hub import publish_evaluation
from reflection_trl.hub.results import merge_eval_results, merge_model_index, results_of

from .conftest import BEN_TOKEN, needs_huggingface_hub


def score(benchmark, *answers):
    """A score from `"1"` and `"0"` for right and wrong: one string a task."""
    outcomes = [
        Outcome(f"{benchmark}/{task}", sample, mark == "1", "none" if mark == "1" else "name", solution="x = 1")
        for task, marks in enumerate(answers)
        for sample, mark in enumerate(marks)
    ]
    return Score(benchmark, outcomes)


RUN = EvaluationRun(
    "anna/m",
    [
        score("humaneval", "1", "0", "1", "1"),
        score("humaneval+", "1", "0", "0", "1"),
        score("multipl-e:java", "0", "1"),
    ],
    skipped={"multipl-e:swift": "swiftc is missing"},
    settings={"temperature": 0.0},
    date="2026-01-02T03:04:05+00:00",
    command="python recipes/evaluate.py --model anna/m",
    revision="0123456789abcdef0123456789abcdef01234567",
)
CARD = """---
license: apache-2.0
tags:
- mine
model-index:
- name: My Coder
  results:
  - task:
      type: text-generation
    dataset:
      type: openai/openai_humaneval
      name: HumanEval
    metrics:
    - type: pass@1
      value: 1.5
    - type: bleu
      value: 7.0
  - task:
      type: text-generation
    dataset:
      type: openai/openai_humaneval
      name: HumanEval
    metrics:
    - type: pass@1
      value: 80.0
      verified: false
    source:
      name: Somebody's leaderboard
      url: https://example.org
  - task:
      type: text-generation
    dataset:
      type: cais/hle
      name: HLE
    metrics:
    - type: accuracy
      value: 3.0
      note: kept as it is
- name: Another model
  results: []
---

# My Coder

Words of mine.
"""


def eval_results(client, repo_id="anna/m", revision="main"):
    return {
        path: yaml.safe_load(file.content)
        for path, file in client.repo("models", repo_id).commit(revision).files.items()
        if path.startswith(".eval_results/")
    }


def test_a_part_of_a_benchmark_is_not_published_as_its_result(client):
    client.create("models", "anna/m")
    with pytest.raises(ValueError, match=r"scored only the first problems of each benchmark \(`limit` 2\)"):
        publish_evaluation(dataclasses.replace(RUN, settings={"limit": 2}), "anna/m")
    assert ".eval_results/humaneval.yaml" not in client.repo("models", "anna/m").commit("main").files


def test_both_forms_are_read_back(client):
    client.create("models", "anna/m", files={"README.md": b"---\nlicense: mit\n---\n\n# M\n"})
    commit = publish_evaluation(RUN, "anna/m")
    assert client.repo("models", "anna/m").commit("main").oid == commit.oid
    assert client.repo("models", "anna/m").commit("main").parent.title == "initial commit"  # a single commit

    entries = HfApi().model_info("anna/m", expand=["evalResults"]).eval_results
    assert {(entry.dataset_id, entry.task_id): entry.value for entry in entries} == {
        ("openai/openai_humaneval", "openai_humaneval"): 75.0,
        ("evalplus/humanevalplus", "humanevalplus"): 50.0,
        ("nuprl/MultiPL-E", "humaneval-java"): 50.0,
    }
    assert {entry.date for entry in entries} == {RUN.date}
    for entry in entries:
        assert RUN.revision in entry.notes
        assert RUN.command in entry.notes
        assert "95 % confidence interval" in entry.notes

    card = ModelCard.load("anna/m")
    assert card.data.license == "mit"
    results = {result.dataset_name: result for result in card.data.eval_results}
    assert list(results) == ["HumanEval", "HumanEval+", "MultiPL-E HumanEval (java)"]
    assert results["HumanEval"].metric_value == 75.0
    assert results["HumanEval"].metric_type == "pass@1"
    assert results["HumanEval"].metric_args["command"] == RUN.command
    assert results["HumanEval"].metric_args["model_revision"] == RUN.revision
    assert results["HumanEval"].metric_args["date"] == RUN.date
    assert "| HumanEval | pass@1 | 75.0 % | 30.1 to 95.4 | 4 | 1 | `0123456789ab` | 2026-01-02 |" in card.text
    assert f"```bash\n{RUN.command}\n```" in card.text


def test_several_answers_a_task_give_unbiased_pass_at_k():
    marks = "1110000000" + "0" * 10
    run = EvaluationRun("m", [score("mbpp", marks, "1" * 20)])
    by_k = {result.k: result.value for result in results_of(run)}
    # 1 - C(17, 10) / C(20, 10) for the first task, 1 for the second
    assert by_k == {1: 57.5, 10: round(100 * (1 - 19448 / 184756 + 1) / 2, 2)}


def test_the_interval_is_wilsons():
    (result,) = results_of(EvaluationRun("m", [score("humaneval", *"1" * 123, *"0" * 41)]))
    assert (result.value, result.interval) == (75.0, (67.9, 81.0))
    (result,) = results_of(EvaluationRun("m", [score("humaneval", *"1" * 10)]))
    assert result.interval == (72.2, 100.0)


def test_publishing_again_changes_values_and_doubles_nothing(client):
    client.create("models", "anna/m")
    publish_evaluation(RUN, "anna/m")
    first = client.repo("models", "anna/m").commit("main")
    publish_evaluation(RUN, "anna/m")
    assert client.repo("models", "anna/m").commit("main") is first  # nothing new, no commit
    better = dataclasses.replace(
        RUN, scores=[score("humaneval", "1", "1", "1", "1")], date="2026-02-02T00:00:00+00:00"
    )
    publish_evaluation(better, "anna/m", samples_repo="anna/m-answers")
    publish_evaluation(better, "anna/m", samples_repo="anna/m-answers")
    files = eval_results(client)
    assert {path: [entry["value"] for entry in entries] for path, entries in files.items()} == {
        ".eval_results/humaneval.yaml": [100.0],
        ".eval_results/humaneval-plus.yaml": [50.0],
        ".eval_results/multipl-e-java.yaml": [50.0],
    }
    card = ModelCard.load("anna/m")
    assert [result.metric_value for result in card.data.eval_results] == [100.0, 50.0, 50.0]
    assert card.text.count("## Evaluation") == 1
    assert "2026-02-02" in card.text
    assert "2026-01-02" in card.text  # of the other benchmarks


def test_answers_with_half_of_a_surrogate_pair_are_published(client):
    client.create("models", "anna/m")
    answer = Outcome("mbpp/0", 0, False, "value", "got '\ud800'", solution="x = '\ud800 🙂'", answer="\udfff")
    publish_evaluation(
        dataclasses.replace(RUN, scores=[Score("mbpp", [answer])]), "anna/m", samples_repo="anna/m-answers"
    )
    (row,) = load_dataset("anna/m-answers", "mbpp", split="test")
    assert (row["detail"], row["solution"], row["answer"]) == ("got '?'", "x = '? 🙂'", "?")


@needs_huggingface_hub("2.0", "before 2.0 model_info fails on entries that it cannot read")
def test_what_others_have_entered_stays(client):
    others = [
        {"dataset": {"id": "cais/hle", "task_id": "hle"}, "value": 3.0, "note": "an unknown key"},
        {"dataset": {"id": "openai/openai_humaneval", "task_id": "openai_humaneval"}, "value": 1.5},
        {
            "dataset": {"id": "openai/openai_humaneval", "task_id": "openai_humaneval"},
            "value": 80.0,
            "source": {"name": "Somebody's leaderboard", "url": "https://example.org"},
        },
    ]
    broken = b"- [unclosed"
    files = {
        "README.md": CARD.encode(),
        ".eval_results/all.yaml": yaml.safe_dump(others).encode(),
        ".eval_results/broken.yaml": broken,
    }
    client.create("models", "anna/m", files=files)
    run = dataclasses.replace(RUN, scores=[score("humaneval", "1")])
    publish_evaluation(run, "anna/m")
    assert client.read("models", "anna/m", ".eval_results/broken.yaml") == broken
    merged = yaml.safe_load(client.read("models", "anna/m", ".eval_results/all.yaml"))
    assert [entry["value"] for entry in merged] == [3.0, 100.0, 80.0]
    assert merged[0] == others[0]
    assert merged[2] == others[2]

    card = client.read("models", "anna/m", "README.md").decode()
    data = yaml.safe_load(card.split("---\n")[1])
    index = data.pop("model-index")
    assert data == {"license": "apache-2.0", "tags": ["mine"]}
    assert "# My Coder\n\nWords of mine.\n" in card
    assert [model["name"] for model in index] == ["My Coder", "Another model"]
    values = [(m["type"], m["value"]) for result in index[0]["results"] for m in result["metrics"]]
    assert values == [("pass@1", 100.0), ("bleu", 7.0), ("pass@1", 80.0), ("accuracy", 3.0)]
    assert index[0]["results"][3] == yaml.safe_load(CARD.split("---\n")[1])["model-index"][0]["results"][2]


def test_merging_is_pure_and_keeps_one_of_two_doubles():
    entry = {"dataset": {"id": "d", "task_id": "t"}, "value": 2}
    files = {"a.yaml": [entry | {"value": 0}], "b.yaml": [entry | {"value": 1}, {"dataset": {"id": "e"}, "value": 9}]}
    merged = merge_eval_results(files, {"humaneval": entry})
    assert merged == {"a.yaml": [entry], "b.yaml": [{"dataset": {"id": "e"}, "value": 9}]}
    assert files["a.yaml"][0]["value"] == 0
    new = [{"task": {"type": "t"}, "dataset": {"type": "d", "name": "D"}, "metrics": [{"type": "pass@1", "value": 1}]}]
    assert merge_model_index(None, "m", new) == [{"name": "m", "results": new}]
    assert merge_model_index(merge_model_index(None, "m", new), "m", new) == [{"name": "m", "results": new}]


def test_answers_become_a_dataset_that_is_linked(client):
    client.create("models", "team/m", private=True)
    publish_evaluation(RUN, "team/m", samples_repo="team/m-answers")
    answers = client.repo("datasets", "team/m-answers")
    assert answers.private  # as the model is
    entries = HfApi().model_info("team/m", expand=["evalResults"]).eval_results
    link = f"{client.endpoint}/datasets/team/m-answers/tree/{answers.commit('main').oid}"
    assert {entry.source_url for entry in entries} == {link}
    assert {result.source_url for result in ModelCard.load("team/m").data.eval_results} == {link}
    card = client.read("datasets", "team/m-answers", "README.md").decode()
    assert "## humaneval\n\n3 of 4 answers passed" in card
    assert "swiftc is missing" in card
    assert get_dataset_config_names("team/m-answers") == ["humaneval", "humaneval-plus", "multipl-e-java"]
    row = load_dataset("team/m-answers", "humaneval-plus", split="test")[1]
    assert row == dataclasses.asdict(RUN.scores[1].outcomes[1])


def test_pull_request_and_branch(client):
    client.create("models", "anna/m", files={"README.md": CARD.encode()})
    commit = publish_evaluation(RUN, "anna/m", create_pr=True, token=BEN_TOKEN)
    assert commit.pr_revision == "refs/pr/1"
    assert eval_results(client) == {}
    assert len(eval_results(client, revision="refs/pr/1")) == 3
    HfApi().create_branch("anna/m", branch="next")
    publish_evaluation(RUN, "anna/m", revision="next")
    assert len(eval_results(client, revision="next")) == 3
    assert eval_results(client) == {}
    with pytest.raises(ValueError, match="exclude each other"):
        publish_evaluation(RUN, "anna/m", revision="next", create_pr=True)


def test_a_commit_in_between_is_merged_too(client, monkeypatch):
    client.create("models", "anna/m")
    create_commit, commits = HfApi.create_commit, []

    def late(self, *arguments, **options):
        if not commits:
            commits.append(1)
            self.upload_file(path_or_fileobj=CARD.encode(), path_in_repo="README.md", repo_id="anna/m")
        return create_commit(self, *arguments, **options)

    monkeypatch.setattr(HfApi, "create_commit", late)
    publish_evaluation(RUN, "anna/m")
    card = client.read("models", "anna/m", "README.md").decode()
    assert "Words of mine." in card
    assert "| HumanEval | pass@1 | 75.0 % |" in card


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ([], "has no results"),
        ([Score("humaneval", [])], "has no results"),
        ([score("human-eval", "1")], r"'human-eval', which is not a benchmark .*, gsm8k\.$"),
    ],
)
def test_a_run_that_cannot_be_published(client, scores, sentence):
    with pytest.raises(ValueError, match=sentence):
        publish_evaluation(EvaluationRun("m", scores), "anna/m")
    assert client.requests == []


def test_the_card_says_what_a_benchmark_measures_on_which_split(client):
    client.create("models", "anna/m", files={"README.md": b"# M\n"})
    publish_evaluation(EvaluationRun("m", [score("gsm8k", "1"), score("bigcodebench:instruct", "1")]), "anna/m")
    card = client.read("models", "anna/m", "README.md").decode()
    (entry,) = yaml.safe_load(card.split("---\n")[1])["model-index"]
    assert [(one["task"]["name"], one["dataset"]["type"], one["dataset"]["split"]) for one in entry["results"]] == [
        ("Mathematical reasoning", "openai/gsm8k", "test"),
        ("Code generation", "bigcode/bigcodebench", "v0.1.4"),
    ]


def test_a_card_that_is_broken_on_the_hub_is_named(client):
    client.create("models", "anna/m", files={"README.md": b"---\ntags: [a\n---\n"})
    with pytest.raises(OSError, match=r"metadata in the README\.md of anna/m is not YAML"):
        publish_evaluation(RUN, "anna/m")


def test_a_model_index_that_is_none_is_named(client):
    client.create("models", "anna/m", files={"README.md": b"---\nmodel-index: wrong\n---\n"})
    with pytest.raises(OSError, match="`model-index` in the card on the Hub is not a list of models"):
        publish_evaluation(RUN, "anna/m")
