"""Publishes evaluation results: in the model's repository, and optionally the answers in a dataset repository."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..evaluation import EvaluationRun, Outcome
from ..hub_errors import clean_token, explain_failures, redact, waits_in, without_secrets
from ..markdown import cell, code_cell, fenced, section
from . import results as forms
from .parquet import check_target, push_parquet, read_card


if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, DatasetCard, DatasetCardData, HfApi


# If another commit arrives between reading and writing, the files are read and merged again
_ATTEMPTS = 3
_SAMPLES_TEMPLATE = Path(__file__).parent / "templates" / "samples_card.md"


def publish_evaluation(
    run: EvaluationRun,
    repo_id: str,
    *,
    samples_repo: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    token: str | bool | None = None,
    commit_message: str = "Add evaluation results",
    staging_dir: str | os.PathLike[str] | None = None,
) -> "CommitInfo":
    """
    Publishes the results of an evaluation in the model's repository on the Hub.

    One commit writes both forms that the Hub reads, `.eval_results/*.yaml` (pass@1 of each benchmark) and `model-index` in
    the card's metadata (every pass@k), and a table in the card's text. All contain the date, the model's revision, the
    command and the versions, and link the answers. Existing content is kept, except earlier results of the same metric on
    the same dataset that this package wrote or that name no source: these are replaced, never duplicated.

    Args:
        run ([`~reflection_trl.evaluation.EvaluationRun`]):
            Results of the evaluation. Scores on your own problems are omitted, because the Hub has no benchmark for
            them. A run on only a part of a benchmark's problems raises an error.
        repo_id (`str`):
            The model's repository, which must exist.
        samples_repo (`str`, *optional*):
            Dataset repository for the scored answers, with one configuration per benchmark. It is created if it does
            not exist. By default the answers are not published.
        private (`bool`, *optional*):
            Whether `samples_repo` must be private. By default it must if the model is private.
        revision (`str`, *optional*):
            Branch to write to, or an open pull request as `"refs/pr/NUMBER"`.
        create_pr (`bool`, *optional*, defaults to `False`):
            Whether to open a pull request, for example for results of other people's models.
        token (`str` or `bool`, *optional*):
            Token, or `False` for none. By default that of `HF_TOKEN` or `hf auth login`. It is never written to a
            file. Tokens, keys and server addresses in the run's command are hidden.
        commit_message (`str`, *optional*, defaults to `"Add evaluation results"`):
            First line of the commit.
        staging_dir (`str` or `os.PathLike`, *optional*):
            Folder for the run until it is uploaded. By default a folder in the cache of `huggingface_hub`.

    Returns:
        [`~huggingface_hub.CommitInfo`]: The commit. As a string it is the commit's URL; `pr_url` is the pull request's.

    Raises:
        PublishError: If publishing failed. The one-line message gives the reason and the folder of the files.
        ValueError: If the run or an argument is invalid. Nothing is written or sent then.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)
    check_target(revision, create_pr)
    token = clean_token(token)
    if (limit := run.settings.get("limit")) is not None:
        raise ValueError(
            f"The run of {run.model} scored only the first problems of each benchmark (`limit` {limit}), so its pass@1 is not that of the "
            f"benchmark; evaluate all problems, and publish that run."
        )
    if partial := next((score.benchmark for score in run.scores if score.benchmark in run.skipped), None):
        raise ValueError(
            f"The run of {run.model} has not scored all problems of {partial} ({run.skipped[partial].rstrip('.')}), whose pass@1 is not that of "
            "the benchmark; evaluate all of them, and publish that."
        )
    run = dataclasses.replace(
        run,
        scores=[score for score in run.scores if forms.is_published(score.benchmark)],
        command=redact(run.command, token),
        settings=without_secrets(run.settings),
    )
    results = forms.results_of(run)

    waiting = Path(staging_dir or Path(constants.HF_HOME) / "reflection_trl" / "uploads")
    folder = waiting / "--".join(["evaluation", *repo_id.split("/")])
    folder.mkdir(parents=True, exist_ok=True)
    run.save(folder / "results.json")

    base, source_url = None if create_pr else revision, None
    with explain_failures(f"publish the evaluation of {repo_id}", token, waits_in(folder)):
        api = HfApi(token=token, library_name="reflection_trl")
        model = api.model_info(repo_id, revision=base)  # before any answer is uploaded
        if samples_repo is not None:
            private = model.private or None if private is None else private
            samples = _push_samples(run, repo_id, samples_repo, private, token, staging_dir)
            source_url = f"{samples.repo_url}/tree/{samples.oid}"
        for attempt in range(_ATTEMPTS):
            head = api.model_info(repo_id, revision=base).sha
            try:
                commit = api.create_commit(
                    repo_id,
                    _operations(api, repo_id, head, run, results, source_url),
                    commit_message=commit_message,
                    revision=revision,
                    create_pr=create_pr,
                    parent_commit=head,
                )
                break
            except HfHubHTTPError as error:
                if error.response.status_code != 412 or attempt == _ATTEMPTS - 1:
                    raise
    shutil.rmtree(folder, ignore_errors=True)
    return commit


def _operations(
    api: "HfApi",
    repo_id: str,
    head: str | None,
    run: EvaluationRun,
    results: list[forms.Result],
    source_url: str | None,
) -> list[Any]:
    """Returns the changed files, with their existing content."""
    from huggingface_hub import CommitOperationAdd, RepoCard
    from huggingface_hub.utils import yaml_dump

    version = f"{forms.SOURCE_NAME} {__version__}"
    known = _read_eval_results(api, repo_id, head)
    entries = forms.eval_result_entries(run, results, version, source_url)
    contents = {
        path: yaml_dump(merged, sort_keys=False) for path, merged in forms.merge_eval_results(known, entries).items()
    }

    name = repo_id.split("/")[-1]
    card = read_card(api, repo_id, "model", head) or RepoCard(f"---\n{{}}\n---\n\n# {name}\n")
    index = forms.merge_model_index(
        card.data.get("model-index"),
        card.data.get("model_name") or name,
        forms.model_index_results(run, results, version, source_url),
    )
    card.data["model-index"] = index
    card.text = forms.with_section(card.text, index)
    contents["README.md"] = str(card)
    return [CommitOperationAdd(path, content.encode()) for path, content in contents.items()]


def _read_eval_results(api: "HfApi", repo_id: str, head: str | None) -> dict[str, list[dict[str, Any]]]:
    """Returns the files of `.eval_results` at a commit. Files in another form are skipped, and so left unchanged."""
    import yaml
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        tree = [entry.path for entry in api.list_repo_tree(repo_id, ".eval_results", revision=head)]
    except RemoteEntryNotFoundError:
        return {}
    files = {}
    for path in tree:
        if not path.endswith((".yaml", ".yml")):
            continue
        try:
            entries = yaml.safe_load(Path(api.hf_hub_download(repo_id, path, revision=head)).read_text("utf-8"))
        except yaml.YAMLError:
            continue
        if isinstance(entries, list) and all(
            isinstance(entry, dict) and isinstance(entry.get("dataset"), dict) for entry in entries
        ):
            files[path] = entries
    return files


def _row(outcome: Outcome) -> dict[str, Any]:
    # Half of a surrogate pair, which an answer may contain, cannot be stored in Parquet
    return json.loads(json.dumps(dataclasses.asdict(outcome), ensure_ascii=False).encode("utf-8", "replace"))


def _push_samples(
    run: EvaluationRun,
    repo_id: str,
    samples_repo: str,
    private: bool | None,
    token: str | bool | None,
    staging_dir: str | os.PathLike[str] | None,
) -> "CommitInfo":
    from datasets import Dataset, DatasetDict, Features, List, Value
    from huggingface_hub import DatasetCard

    columns = {"task_id": "string", "sample": "int32", "passed": "bool"} | dict.fromkeys(
        ("kind", "detail", "solution", "answer"), "string"
    )
    features = Features(
        {name: Value(dtype) for name, dtype in columns.items()} | {"suspicious": List(Value("string"))}
    )
    configs = {
        forms.file_name(score.benchmark): DatasetDict(
            test=Dataset.from_list([_row(outcome) for outcome in score.outcomes], features=features)
        )
        for score in run.scores
        if score.outcomes
    }

    def make_card(card_data: "DatasetCardData") -> "DatasetCard":
        card = DatasetCard.from_template(
            card_data,
            template_path=str(_SAMPLES_TEMPLATE),
            model=repo_id,
            repo_id=samples_repo,
            run=run,
            configs=configs,
            cell=cell,
            code_cell=code_cell,
            fenced=fenced,
            section=section,
        )
        return DatasetCard(redact(str(card), token))

    return push_parquet(
        configs,
        samples_repo,
        {"tags": ["code", "evaluation", "reflection_trl"], "task_categories": ["text-generation"]},
        make_card,
        private=private,
        token=token,
        commit_message=f"Answers of {repo_id}",
        staging_dir=staging_dir,
    )
