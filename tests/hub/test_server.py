"""The Hub of these tests as unmodified clients see it: what they rely on must be there, and faults must bite."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict, get_dataset_config_names, load_dataset
from huggingface_hub import CommitOperationDelete, HfApi, ModelCard
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from .conftest import BEN_TOKEN, READ_TOKEN, TOKEN, cards_are_checked_here


@pytest.fixture
def api(client):
    return HfApi()


def test_repositories_files_branches_and_tags(api, client, tmp_path):
    assert api.whoami()["name"] == "anna"
    url = api.create_repo("rows", repo_type="dataset", private=True)
    assert url.repo_id == "anna/rows"
    assert api.dataset_info("anna/rows").private
    weights = bytes(range(256)) * 1000
    (tmp_path / "up" / "data").mkdir(parents=True)
    (tmp_path / "up" / "data" / "a.parquet").write_bytes(weights)
    (tmp_path / "up" / "notes.txt").write_text("plain")
    first = api.upload_folder(repo_id="anna/rows", repo_type="dataset", folder_path=tmp_path / "up")
    files = {entry.path: entry for entry in api.list_repo_tree("anna/rows", repo_type="dataset", recursive=True)}
    assert set(files) == {".gitattributes", "data", "data/a.parquet", "notes.txt"}
    assert files["data/a.parquet"].lfs.size == len(weights)
    assert files["notes.txt"].lfs is None

    api.create_branch("anna/rows", branch="next", repo_type="dataset")
    api.create_tag("anna/rows", tag="v1", repo_type="dataset")
    api.create_commit(
        "anna/rows", [CommitOperationDelete("data/")], commit_message="less", repo_type="dataset", revision="next"
    )
    assert api.list_repo_files("anna/rows", repo_type="dataset", revision="next") == [".gitattributes", "notes.txt"]
    refs = api.list_repo_refs("anna/rows", repo_type="dataset")
    assert [branch.name for branch in refs.branches] == ["main", "next"]
    assert refs.tags[0].target_commit == first.oid
    titles = [commit.title for commit in api.list_repo_commits("anna/rows", repo_type="dataset", revision="next")]
    assert titles == ["less", "Upload folder using huggingface_hub", "initial commit"]
    folder = api.snapshot_download("anna/rows", repo_type="dataset", revision="v1")
    assert (Path(folder) / "data" / "a.parquet").read_bytes() == weights
    api.delete_repo("anna/rows", repo_type="dataset")
    assert client.repo("datasets", "anna/rows") is None


def test_the_store_of_large_files_never_sees_a_token(api, client):
    api.create_repo("m")
    api.upload_file(path_or_fileobj=b"0" * 100, path_in_repo="a.bin", repo_id="anna/m")
    assert Path(api.hf_hub_download("anna/m", "a.bin")).read_bytes() == b"0" * 100
    stored = [
        (method, token) for method, path, token in client.requests if path.startswith("/lfs/") and "verify" not in path
    ]
    assert stored == [("PUT", None), ("GET", None)]


def test_pull_request_is_apart_until_it_is_merged(api, client):
    client.create("models", "team/m", files={"a.txt": b"1"})
    commit = HfApi(token=BEN_TOKEN).upload_file(
        path_or_fileobj=b"2", path_in_repo="a.txt", repo_id="team/m", create_pr=True
    )
    assert commit.pr_revision == "refs/pr/1"
    assert client.read("models", "team/m", "a.txt") == b"1"
    assert Path(api.hf_hub_download("team/m", "a.txt", revision="refs/pr/1")).read_bytes() == b"2"
    api.merge_pull_request("team/m", discussion_num=1)
    assert client.read("models", "team/m", "a.txt") == b"2"


def test_who_may_do_what(client):
    client.create("models", "anna/secret", private=True, files={"a.txt": b"1"})
    client.create("models", "anna/open")
    for token in (BEN_TOKEN, False):
        with pytest.raises(RepositoryNotFoundError):
            HfApi(token=token).model_info("anna/secret")
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi(token=BEN_TOKEN).upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id="anna/open")
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi(token=READ_TOKEN).upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id="anna/open")
    assert HfApi(token=READ_TOKEN).model_info("anna/secret").private
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(token="hf_wrong").model_info("anna/open")
    assert HfApi(token=False).model_info("anna/open").id == "anna/open"


def test_what_is_not_there_has_its_own_error(api, client):
    client.create("models", "anna/m")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("anna/m", revision="v9")
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("anna/m", "absent.txt")
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree("anna/m", "absent"))


def test_a_commit_onto_an_old_parent_is_refused(api, client):
    old = client.create("models", "anna/m").commit("main").oid
    api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id="anna/m")
    with pytest.raises(HfHubHTTPError, match="412"):
        api.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id="anna/m", parent_commit=old)


@cards_are_checked_here
def test_a_card_with_wrong_metadata_is_refused(api, client):
    client.create("models", "anna/m")
    for content in ("---\ntags: [a\n---\n", "---\nmodel-index:\n- results: []\n---\n"):
        with pytest.raises(ValueError):
            api.upload_file(path_or_fileobj=content.encode(), path_in_repo="README.md", repo_id="anna/m")
    with pytest.raises(ValueError):
        ModelCard("---\nconfigs: a\n---\n").validate()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 403}, "403"),
        ({"status": 401, "message": "Invalid credentials in Authorization header"}, "401"),
        ({"status": 429}, "429"),
        ({"status": 500}, "500"),
        ({"cut": "before"}, "disconnected|closed|reset"),
        ({"cut": "within"}, "disconnected|closed|reset"),
        ({"cut": "after"}, "disconnected|closed|reset"),
    ],
)
def test_faults(api, client, fault, error):
    from huggingface_hub.errors import HTTPError

    before = len(client.create("models", "anna/m").commit("main").files)
    client.fail("POST", "/commit/", **fault)
    with pytest.raises(HTTPError, match=f"(?i){error}"):
        api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id="anna/m")
    done = len(client.repo("models", "anna/m").commit("main").files) - before
    assert done == (fault.get("cut") == "after")
    api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id="anna/m")
    assert client.read("models", "anna/m", "a.txt") == b"1"
    with pytest.raises(BadRequestError):
        client.fail("POST", "/commit/", status=400)
        api.upload_file(path_or_fileobj=b"3", path_in_repo="a.txt", repo_id="anna/m")


def test_an_interrupted_download_resumes_where_it_was(api, client):
    content = bytes(range(256)) * 4000
    client.create("models", "anna/m", files={"a.bin": content})
    client.fail("GET", "^/lfs/", cut="within")
    assert Path(api.hf_hub_download("anna/m", "a.bin")).read_bytes() == content
    assert sum(method == "GET" and path.startswith("/lfs/") for method, path, _ in client.requests) == 2


def test_the_hf_command(hub, environment, tmp_path):
    program = shutil.which("hf", path=str(Path(sys.executable).parent)) or shutil.which("hf")
    if program is None:
        pytest.skip("the hf command is not installed")

    def hf(*arguments):
        return subprocess.run(
            [program, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    (tmp_path / "rows.parquet").write_bytes(b"PAR1" * 10)
    assert "anna" in hf("auth", "whoami")
    hf("upload", "team/rows", "rows.parquet", "--repo-type", "dataset", "--private")
    assert hub.repo("datasets", "team/rows").private
    hf("download", "team/rows", "rows.parquet", "--repo-type", "dataset", "--local-dir", "down")
    assert (tmp_path / "down" / "rows.parquet").read_bytes() == b"PAR1" * 10


def test_datasets_push_and_load(client):
    """The library's own upload, with configurations, splits and shards."""
    rows = DatasetDict(train=Dataset.from_dict({"n": range(10)}), test=Dataset.from_dict({"n": range(3)}))
    rows.push_to_hub("team/numbers", config_name="small", num_shards={"train": 3, "test": 1}, private=True)
    rows["test"].push_to_hub("team/numbers", config_name="tiny", split="train")
    assert get_dataset_config_names("team/numbers") == ["small", "tiny"]
    assert load_dataset("team/numbers", "small", split="train")["n"] == list(range(10))
    stream = load_dataset("team/numbers", "tiny", split="train", streaming=True)
    assert [row["n"] for row in stream] == [0, 1, 2]
    shards = [path for path in client.repo("datasets", "team/numbers").commit("main").files if "small/train" in path]
    assert len(shards) == 3
    assert {token for _, path, token in client.requests if path.startswith("/api/")} == {f"Bearer {TOKEN}"}
