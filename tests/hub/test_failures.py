"""What goes wrong on the way to the Hub: one sentence, everything kept, the same call finishes, and never a token."""

import logging
import re
import traceback
from pathlib import Path

import pytest
from conftest import generation_row, reflection_row
from datasets import Dataset, load_dataset
from huggingface_hub import constants
from pyarrow.parquet import read_metadata

from reflection_trl.evaluation import EvaluationRun, Outcome, Score
from reflection_trl.hub import PublishError, publish_dataset, publish_evaluation
from reflection_trl.hub_errors import redact, without_secrets

from .conftest import BEN_TOKEN, READ_TOKEN, TOKEN


ROWS = Dataset.from_list([reflection_row(0), generation_row(1)])
RUN = EvaluationRun("anna/m", [Score("humaneval", [Outcome("HumanEval/0", 0, True)])], date="2026-01-01T00:00:00Z")


def refused(call, *arguments, **options):
    """The sentence of a call that fails; it is one line, ends with a full stop, and holds no token."""
    with pytest.raises(PublishError) as caught:
        call(*arguments, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    for secret in (TOKEN, READ_TOKEN, BEN_TOKEN, "hf_wrong"):
        assert secret not in shown
    return sentence


def kept_files(sentence):
    folder = Path(re.search(r"the files are kept in (\S+?)[,.]", sentence)[1])
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}, folder


ANSWERS = [
    ({"method": "POST", "path": "repos/create", "status": 401, "message": "Invalid credentials in Authorization header"},
     "does not accept the token; run `hf auth login` or set HF_TOKEN"),
    ({"method": "POST", "path": "/commit/", "status": 403, "message": "You may not"},
     "the token has no right to do that (You may not)"),
    ({"method": "POST", "path": "/commit/", "status": 429}, "too many requests (429)"),
    ({"method": "POST", "path": "/commit/", "status": 500}, "an internal error (500)"),
    ({"method": "POST", "path": "/commit/", "status": 412}, "the repository has changed in the meantime"),
    ({"method": "POST", "path": "/commit/", "status": 413, "message": "too large"}, "status 413 (too large)"),
    ({"method": "POST", "path": "/commit/", "cut": "before"}, "the connection to"),
    ({"method": "POST", "path": "/commit/", "cut": "within"}, "the connection to"),
    ({"method": "POST", "path": "/commit/", "cut": "after"}, "the connection to"),
    ({"method": "PUT", "path": "^/lfs/", "cut": "within", "times": 9}, "the connection to"),
    ({"method": "PUT", "path": "^/lfs/", "status": 500, "times": 9}, "an internal error (500)"),
    ({"method": "POST", "path": "/preupload/", "status": 429, "times": 9}, "too many requests (429)"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "reason"), ANSWERS)
def test_a_dataset_waits_on_disk_and_the_same_call_finishes(client, fault, reason):
    client.fail(**fault)
    sentence = refused(publish_dataset, ROWS, "anna/rows", license="mit")
    assert sentence.startswith("could not publish the dataset anna/rows: ")
    assert reason in sentence
    assert "the same command finishes the upload" in sentence
    kept, folder = kept_files(sentence)
    assert kept == {"README.md", "data/train-00000-of-00001.parquet"}
    assert read_metadata(folder / "data" / "train-00000-of-00001.parquet").num_rows == 2

    client.faults.clear()
    publish_dataset(ROWS, "anna/rows", license="mit")
    commit = client.repo("datasets", "anna/rows").commit("main")
    assert set(commit.files) == {".gitattributes", *kept}
    assert commit.parent.title == "initial commit"  # one commit, even where the Hub's answer was lost
    assert not folder.exists()


def test_what_the_hub_has_is_not_sent_again(client):
    client.fail("POST", "/commit/", status=500)
    refused(publish_dataset, ROWS, "anna/rows")
    publish_dataset(ROWS, "anna/rows")
    assert sum(method == "PUT" for method, _, _ in client.requests) == 1


def test_a_short_fault_is_not_noticed(client):
    client.fail("PUT", "^/lfs/", cut="within")
    client.fail("POST", "/preupload/", status=429, headers={"Retry-After": "1"})
    client.fail("POST", "/objects/batch", status=503)
    publish_dataset(ROWS, "anna/rows")
    assert "README.md" in client.repo("datasets", "anna/rows").commit("main").files


def test_through_xet(client, monkeypatch, caplog):
    """The client's other way up, taken wherever hf_xet is installed; its errors are not those of HTTP."""
    pytest.importorskip("hf_xet")
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    client.fail("GET", "/xet-write-token/", status=403, times=99)
    _, folder = kept_files(refused(publish_dataset, ROWS, "anna/rows"))
    assert TOKEN not in caplog.text
    assert (folder / "README.md").is_file()
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    publish_dataset(ROWS, "anna/rows")
    assert not folder.exists()


def test_offline(client, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    client.create("models", "anna/m")
    sentence = refused(publish_dataset, ROWS, "anna/rows", staging_dir=tmp_path / "waiting")
    assert "offline mode is on; unset HF_HUB_OFFLINE" in sentence
    kept, folder = kept_files(sentence)
    assert "README.md" in kept
    assert folder.parent == tmp_path / "waiting"
    assert "offline mode is on" in refused(publish_evaluation, RUN, "anna/m")
    assert client.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    publish_dataset(ROWS, "anna/rows", staging_dir=tmp_path / "waiting")
    assert not folder.exists()


def test_nobody_listens(client, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    sentence = refused(publish_dataset, ROWS, "anna/rows")
    assert "the connection to http://127.0.0.1:1 failed" in sentence


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("hf_wrong", "does not accept the token"),
        (READ_TOKEN, "the token has no right to do that"),
        (BEN_TOKEN, "the token has no right to do that"),
        (False, "there is none; run `hf auth login` or set HF_TOKEN"),
        ("hf_wrong\n", "does not accept the token"),
    ],
)
def test_tokens_that_will_not_do(client, caplog, capfd, token, reason):
    caplog.set_level(logging.DEBUG)
    client.create("datasets", "anna/rows")
    client.create("models", "anna/m")
    assert reason in refused(publish_dataset, ROWS, "anna/rows", token=token)
    assert reason in refused(publish_evaluation, RUN, "anna/m", token=token)
    said = caplog.text + "".join(capfd.readouterr())
    for secret in (TOKEN, READ_TOKEN, BEN_TOKEN, "hf_wrong"):
        assert secret not in said
    publish_dataset(ROWS, "anna/rows")
    publish_evaluation(RUN, "anna/m")


@pytest.mark.parametrize("token", ["", " ", "hf wrong", "hf_wr\nong", "hf_wröng"])
def test_what_cannot_be_a_token_is_never_sent(client, token):
    for call, what in ((publish_dataset, ROWS), (publish_evaluation, RUN)):
        with pytest.raises(ValueError, match="`token` is empty or contains characters") as caught:
            call(what, "anna/m", token=token)
        assert "wr" not in str(caught.value)
    assert client.requests == []


def test_no_token_at_all(client, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert "the Hub asks for a token, and there is none" in refused(publish_dataset, ROWS, "anna/rows")


def test_the_token_of_a_log_in_is_used(client, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    token_file = Path(constants.HF_TOKEN_PATH)
    token_file.parent.mkdir(parents=True, exist_ok=True)
    token_file.write_text(f"{TOKEN}\n")
    publish_dataset(ROWS, "anna/rows")
    assert {token for _, path, token in client.requests if "/api/" in path} == {f"Bearer {TOKEN}"}


def test_repositories_and_revisions_that_do_not_exist(client):
    assert "no such repository" in refused(publish_evaluation, RUN, "anna/absent")
    client.create("models", "anna/m")
    assert "no such revision" in refused(publish_evaluation, RUN, "anna/m", revision="v9")
    assert client.repo("models", "anna/m").commit("main").title == "initial commit"
    assert "no such revision" in refused(publish_dataset, ROWS, "anna/rows", revision="refs/pr/9")
    assert client.repo("datasets", "anna/rows").commit("main").title == "initial commit"


def test_results_wait_on_disk_and_the_same_call_finishes(client):
    client.create("models", "anna/m")
    client.fail("POST", "/commit/", cut="after")
    sentence = refused(publish_evaluation, RUN, "anna/m")
    kept, folder = kept_files(sentence)
    assert kept == {"results.json"}
    assert EvaluationRun.load(folder / "results.json") == RUN
    publish_evaluation(RUN, "anna/m")
    assert not folder.exists()
    history = client.repo("models", "anna/m").commit("main")
    assert [history.title, history.parent.title] == ["Add evaluation results", "initial commit"]


def test_a_full_disk_leaves_nothing_half_written(client, monkeypatch, tmp_path):
    def full(self, path, *arguments, **options):
        Path(path).write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Dataset, "to_parquet", full)
    with pytest.raises(OSError, match="No space left"):
        publish_dataset(ROWS, "anna/rows", staging_dir=tmp_path / "waiting")
    assert list((tmp_path / "waiting").iterdir()) == []
    assert client.requests == []


def test_a_token_in_statistics_settings_or_command_is_not_published(client):
    client.create("models", "anna/m")
    other = "hf_" + "Q" * 34
    statistics = {"sampling": {"server": f"https://me:{TOKEN}@example.org"}, "prompts": {"a": f"{TOKEN} and {other}"}}
    publish_dataset(ROWS, "anna/rows", statistics=statistics)
    run = EvaluationRun(
        "anna/m",
        RUN.scores,
        settings={"api_key": "sk-very-secret", "hub_token": TOKEN, "max_tokens": 512, "base_url": "http://a:b@c/v1"},
        command=f"HF_TOKEN={other} evaluate.py --token {TOKEN} --api-key='sk-very-secret' --base_url http://inner/v1 --max-tokens 512",
    )
    publish_evaluation(run, "anna/m", samples_repo="anna/m-answers")
    for repo in client.repos.values():
        for ref in repo.refs:
            for file in repo.commit(ref).files.values():
                for secret in (TOKEN, other, "sk-very-secret", "a:b@", "http://inner", "@c/v1"):
                    assert secret.encode() not in file.content
    assert "--max-tokens 512" in client.read("models", "anna/m", "README.md").decode()
    assert "| max_tokens | `512` |" in client.read("datasets", "anna/m-answers", "README.md").decode()


def test_the_address_of_a_server_is_not_published_with_rows(client):
    name = "the model of http://inner:8000/v1"
    rows = ROWS.map(lambda row, index: {"model": [name, "coder"][index % 2]}, with_indices=True)
    publish_dataset(rows, "anna/rows", statistics={"models": [name, "coder"]})
    files = client.repo("datasets", "anna/rows").commit("main").files
    assert not any(b"inner:8000" in file.content for file in files.values())
    assert "Models: the model of <hidden>, coder." in files["README.md"].content.decode()
    assert set(load_dataset("anna/rows", split="train")["model"]) == {"the model of <hidden>", "coder"}


def test_folders_of_this_machine_are_not_published_with_rows(client, tmp_path):
    file, model = f"{tmp_path}/acme/problems.jsonl", f"{tmp_path}/acme/coder"
    (tmp_path / "acme").mkdir()
    columns = [
        {"source": file, "model": model, "problem_id": f"{file}:problems.jsonl/0"},
        {"source": "/r/learnpython", "model": "me/coder", "problem_id": "/r/learnpython:1"},
    ]
    rows = ROWS.map(lambda row, index: columns[index % 2], with_indices=True)
    publish_dataset(rows, "anna/rows", statistics={"models": [model], "problems": [f"{file} (2 problems)"]})
    files = client.repo("datasets", "anna/rows").commit("main").files
    assert not any(str(tmp_path).encode() in content.content for content in files.values())
    card = files["README.md"].content.decode()
    assert "Models: coder." in card and "- problems.jsonl (2 problems)" in card
    published = load_dataset("anna/rows", split="train")
    assert published.features == rows.features
    assert (
        published[0] | {"source": "problems.jsonl", "model": "coder", "problem_id": "problems.jsonl:problems.jsonl/0"}
        == published[0]
    )
    assert published[1] == rows[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("evaluate.py --token abc --model m", "evaluate.py --token <hidden> --model m"),
        ("--hub_token=abc --hf-token abc", "--hub_token=<hidden> --hf-token <hidden>"),
        ('--openai_api_key "a b" -x', "--openai_api_key <hidden> -x"),
        ("OPENAI_API_KEY=abc python x", "OPENAI_API_KEY=<hidden> python x"),
        ("evaluate.py --base_url http://10.0.0.7:8000/v1 --model m", "evaluate.py --base_url <hidden> --model m"),
        (
            "OPENAI_BASE_URL=http://inner/v1 python x --base-url=http://inner",
            "OPENAI_BASE_URL=<hidden> python x --base-url=<hidden>",
        ),
        ("https://user:pass@host/v1", "https://<hidden>@host/v1"),
        (f"see hf_{'a' * 34}.", "see <hidden>."),
        ("--max-tokens 512 --token_budget 64 --tokenizer t --eos_token '</s>'", None),
        ("hf_hub_download(...) at host:8000/v1 for me@host", None),
    ],
)
def test_redact(text, shown):
    assert redact(text) == (text if shown is None else shown)


def test_settings_without_secrets():
    settings = {
        "api_key": 1,
        "hub_token": 2,
        "HF_TOKEN": 3,
        "password": 4,
        "base_url": 9,
        "max_tokens": 5,
        "eos_token": 6,
    }
    settings["server"] = {"token": 7, "port": 8}
    assert without_secrets(settings) == {"max_tokens": 5, "eos_token": 6, "server": {"port": 8}}
