"""
Publishes a dataset of reflection sequences: Parquet files for `load_dataset`, and a card with statistics of the rows.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub_errors import clean_token, redact
from .dataset_card import TEMPLATE, describe_rows, make_dataset_card
from .licenses import check_license, common_license
from .parquet import contents, push_parquet


if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from huggingface_hub import CommitInfo, DatasetCard, DatasetCardData


# The characters that `datasets` accepts
_SPLIT_NAME = re.compile(r"\w+(\.\w+)*")


def publish_dataset(
    dataset: "Dataset | DatasetDict",
    repo_id: str,
    *,
    statistics: Any = None,
    card_template: str | os.PathLike[str] | None = None,
    license: str | None = None,
    pretty_name: str | None = None,
    config_name: str = "default",
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    token: str | bool | None = None,
    commit_message: str = "Upload reflection sequences",
    max_shard_size: int | str = "500MB",
    staging_dir: str | os.PathLike[str] | None = None,
) -> "CommitInfo":
    """
    Publishes reflection sequences as a dataset on the Hub, with a card.

    The shards and the card are written to disk first and uploaded in one commit (large datasets: in a few). After a
    failure they stay on disk, and the same call finishes the upload without sending existing files again.

    An existing configuration is replaced completely. Other configurations of the repository keep their files and their
    parts of the card. Metadata that is not set here and text that others wrote into the card are kept.

    Args:
        dataset ([`~datasets.Dataset`] or [`~datasets.DatasetDict`]):
            Rows with `messages` and `type` (see [`reflection_trl.sequences`]). Other columns are published unchanged,
            except that `model` and `source` lose server addresses and folders of this machine.
            A single dataset becomes its split, or `train` if it has no name.
        repo_id (`str`):
            `"user/name"`, `"organization/name"`, or a name alone for a repository of the token's user. It is created if it
            does not exist.
        statistics ([`~reflection_trl.builder.statistics.BuildStatistics`] or `Mapping`, *optional*):
            Facts for the card that are not in the rows: models, problems, prompts, rollouts, contamination. Rows,
            rounds, kinds of feedback and lengths are counted from the rows.
        card_template (`str` or `os.PathLike`, *optional*):
            Jinja template of the card. The default is `reflection_trl/hub/templates/dataset_card.md`.
        license (`str`, *optional*):
            The Hub's identifier of the license, such as `"apache-2.0"`. By default the licenses of the problems, if
            `statistics` has all of them. Otherwise the card states that there is no license yet.
        pretty_name (`str`, *optional*):
            Title of the card. The name of the repository by default.
        config_name (`str`, *optional*, defaults to `"default"`):
            Name of the configuration.
        private (`bool`, *optional*):
            Whether a new repository is private. `None` uses the default of the namespace. `True` never publishes to a
            public repository.
        revision (`str`, *optional*):
            Branch to write to, created from `main` if it does not exist, or an open pull request as
            `"refs/pr/NUMBER"`.
        create_pr (`bool`, *optional*, defaults to `False`):
            Whether to open a pull request instead of writing to `main`.
        token (`str` or `bool`, *optional*):
            Token, or `False` for none. By default that of `HF_TOKEN` or `hf auth login`. It is never written to a
            file.
        commit_message (`str`, *optional*, defaults to `"Upload reflection sequences"`):
            First line of the commit.
        max_shard_size (`int` or `str`, *optional*, defaults to `"500MB"`):
            Maximum size of a shard, in bytes of Arrow data.
        staging_dir (`str` or `os.PathLike`, *optional*):
            Folder for the files until they are uploaded. They are in a subfolder that is deleted after the upload. By
            default a folder in the cache of `huggingface_hub`.

    Returns:
        [`~huggingface_hub.CommitInfo`]: The commit. As a string it is the commit's URL; `pr_url` is the pull request's.

    Raises:
        PublishError: If the Hub is offline, the token is wrong, missing or lacks write access, the repository does not
        exist, or the connection breaks. The one-line message gives the reason and the folder of the files.
        ValueError: If the dataset or an argument is invalid. Nothing is written or sent then.
    """
    token = clean_token(token)
    splits = without_places(as_splits(dataset))
    facts = describe_rows(splits)
    statistics = {} if statistics is None else statistics
    statistics = dict(statistics if isinstance(statistics, Mapping) else statistics.to_dict())
    for named in ("models", "problems"):
        if isinstance(statistics.get(named), list):
            statistics[named] = [without_folder(str(name)) for name in statistics[named]]
    template = Path(card_template) if card_template is not None else TEMPLATE
    if not template.is_file():
        raise ValueError(
            f"The card template {template} does not exist: give the path of a Jinja file, or leave it out."
        )
    if "{{ card_data }}" not in template.read_text(encoding="utf-8"):
        raise ValueError(
            f"The card template {template} must start with `{{{{ card_data }}}}` between two lines `---`."
        )
    if license is not None:
        check_license(license)
    metadata = {
        "license": license or common_license(statistics.get("licenses") or {}),
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": [
            "reasoning" if facts["solutions"] == facts["rows"] else "code",
            "reflection",
            "self-distillation",
            "reflection_trl",
        ],
        "pretty_name": pretty_name,
    }

    def make_card(card_data: "DatasetCardData") -> "DatasetCard":
        described = contents(card_data)
        return make_dataset_card(card_data, repo_id, config_name, facts, statistics, described, template, token)

    return push_parquet(
        {config_name: splits},
        repo_id,
        metadata,
        make_card,
        private=private,
        revision=revision,
        create_pr=create_pr,
        token=token,
        commit_message=commit_message,
        max_shard_size=max_shard_size,
        staging_dir=staging_dir,
    )


def without_places(splits: "DatasetDict") -> "DatasetDict":
    """
    Removes what only this machine knows from the names of models and of sources of problems: server addresses of models without a name,
    and folders of local files.
    """
    from datasets import DatasetDict, Value

    def hide(rows: "Dataset") -> "Dataset":
        columns = [column for column in ("model", "source") if rows.features.get(column) == Value("string")]
        names = [name for column in columns for name in rows.unique(column) if name]
        if all(public_name(name) == name for name in names):
            return rows
        return rows.map(_hide_places, fn_kwargs={"columns": columns})

    return DatasetDict({split: hide(rows) for split, rows in splits.items()})


def _hide_places(row: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    shown = {column: row[column] and public_name(row[column]) for column in columns}
    source, problem = row.get("source"), row.get("problem_id")
    # Of several sources with the same ids, an id begins with its source
    if source and isinstance(problem, str) and problem.startswith((f"{source}:", f"{source}#")):
        shown["problem_id"] = shown["source"] + problem[len(source) :]
    return shown


def public_name(name: str) -> str:
    """Returns the name of a model or of a source of problems without a server address or a folder of this machine."""
    return without_folder(redact(name))


def without_folder(name: str) -> str:
    """Returns the last part of a path in a folder of this machine, and any other name unchanged."""
    path = os.path.expanduser(name).rstrip("/")
    return os.path.basename(path) if os.path.isabs(path) and os.path.isdir(os.path.dirname(path)) else name


def as_splits(dataset: "Dataset | DatasetDict") -> "DatasetDict":
    """
    Returns the dataset as named splits, and checks that each has rows and the columns that training needs.

    Raises:
        ValueError: If it is not a dataset, a split has no rows or lacks a column, or splits have different columns.
    """
    from datasets import Dataset, DatasetDict

    if isinstance(dataset, Dataset):
        # The split of a partial dataset is an expression such as `train+test`
        name = str(dataset.split or "train")
        dataset = DatasetDict({name if _SPLIT_NAME.fullmatch(name) else "train": dataset})
    if not isinstance(dataset, DatasetDict):
        raise ValueError(
            f"publish_dataset takes a datasets.Dataset or DatasetDict, not {type(dataset).__name__}; convert it, for "
            f"example with `Dataset.from_generator`."
        )
    if not dataset:
        raise ValueError("The dataset has no split, so there is nothing to publish; give one with rows.")
    features = next(iter(dataset.values())).features
    for split, rows in dataset.items():
        if not _SPLIT_NAME.fullmatch(str(split)):
            raise ValueError(f"The split name {split!r} is invalid: use letters, digits, `_` and `.`, as in 'train'.")
        if rows.features != features:
            raise ValueError(
                f"Split {split!r} has other columns or types than split {next(iter(dataset))!r}; publish it as a "
                f"separate configuration (`config_name`)."
            )
        missing = {"messages", "type"} - set(rows.column_names)
        if missing:
            raise ValueError(
                f"Split {split!r} lacks the column(s) {', '.join(sorted(missing))}; rows of reflection sequences have "
                f"`messages` and `type`."
            )
        if len(rows) == 0:
            raise ValueError(f"Split {split!r} has no rows; remove it.")
    return dataset
