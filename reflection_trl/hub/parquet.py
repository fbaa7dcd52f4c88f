"""Writes Parquet shards and a card to a folder, and uploads them to a dataset repository."""

import bisect
import glob
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub_errors import PublishError, explain_failures, waits_in
from ..markdown import merge_sections


if TYPE_CHECKING:
    from datasets import DatasetDict
    from huggingface_hub import CommitInfo, DatasetCard, HfApi, RepoCard


# Configuration names that `datasets` accepts, without characters that a glob or a shell would interpret
_CONFIG_NAME = re.compile(r"\w[\w.+-]*")
# Metadata to which existing values on the Hub are added
_LISTS = ("tags", "task_categories", "language")


def push_parquet(
    configs: Mapping[str, "DatasetDict"],
    repo_id: str,
    metadata: dict[str, Any],
    make_card: Callable[[Any], "DatasetCard"],
    *,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    token: str | bool | None = None,
    commit_message: str = "Upload dataset",
    max_shard_size: int | str = "500MB",
    staging_dir: str | os.PathLike[str] | None = None,
) -> "CommitInfo":
    """
    Uploads configurations of a dataset as Parquet shards, with a card whose metadata `load_dataset` reads.

    An existing configuration is replaced completely. The other configurations keep their files, metadata and sections
    of the card.

    Args:
        configs (`Mapping[str, datasets.DatasetDict]`):
            The splits of each configuration.
        repo_id (`str`):
            The dataset repository.
        metadata (`dict`):
            Metadata of the card except `configs`, `dataset_info` and `size_categories`. `None` keeps the value on the
            Hub.
        make_card (`Callable[[DatasetCardData], DatasetCard]`):
            Creates the card from the complete metadata. Its sections (see [`reflection_trl.markdown`]) are updated in
            the card on the Hub. A card without sections replaces that card.
        private, revision, create_pr, token, commit_message, max_shard_size, staging_dir:
            See [`publish_dataset`].

    Returns:
        [`~huggingface_hub.CommitInfo`]: The commit; its string is its URL.

    Raises:
        PublishError: If publishing failed. The message gives the reason and the folder of the files.
        ValueError: If an argument is invalid. Nothing is sent or written then.
    """
    from huggingface_hub import DatasetCardData, HfApi, constants
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)
    check_target(revision, create_pr)
    check_config_names(configs)
    waiting = Path(staging_dir or Path(constants.HF_HOME) / "reflection_trl" / "uploads")
    folder = waiting / "--".join(["datasets", *repo_id.split("/"), *configs])
    card_data = DatasetCardData(**metadata)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        for name, splits in configs.items():
            stage_config(splits, name, folder, card_data, max_shard_size)
        write_card(card_data, None, make_card, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise

    action = f"publish the dataset {repo_id}"
    with explain_failures(action, token, waits_in(folder)):
        api = HfApi(token=token, library_name="reflection_trl")
        repo_id = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True).repo_id
        if private and not api.dataset_info(repo_id).private:
            raise PublishError(
                f"could not {action}: the repository is public, but `private=True`; make it private in its settings on "
                f"the Hub, choose another name, or pass `private=False`; the files are kept in {folder}."
            )
        if revision is not None and not revision.startswith("refs/"):
            api.create_branch(repo_id, branch=revision, repo_type="dataset", exist_ok=True)
        head = api.dataset_info(repo_id, revision=None if create_pr else revision).sha
        known = read_card(api, repo_id, "dataset", head)
        others = {} if known is None else other_configs(known, configs)
        check_other_configs(others, folder, action)
        write_card(card_data, known, make_card, folder)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
            parent_commit=head,
            delete_patterns=replaced_files(
                api.list_repo_files(repo_id, repo_type="dataset", revision=head), configs, others
            ),
        )
    shutil.rmtree(folder, ignore_errors=True)
    return commit


def check_config_names(names: Iterable[str]) -> None:
    """
    Rejects names that cannot be folders, or that would share the folder of the default configuration.

    Raises:
        ValueError: If a name is invalid.
    """
    for name in names:
        if not _CONFIG_NAME.fullmatch(name) or name == "data":
            raise ValueError(
                f"The configuration name {name!r} is invalid: use letters, digits, `_`, `-`, `+` and `.`, and not 'data'."
            )


def check_other_configs(others: Mapping[str, list[str]], folder: Path, action: str) -> None:
    """
    Rejects an upload that would replace files of the repository's other configurations.

    Raises:
        PublishError: If a staged file would replace one of another configuration.
    """
    staged = [path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")]
    for name, patterns in others.items():
        if any(fnmatch(path, pattern) for path in staged for pattern in patterns):
            raise PublishError(
                f"could not {action}: its configuration {name!r} names files that these would replace ({', '.join(patterns)}); "
                f"choose another `config_name`; the files are kept in {folder}."
            )


def replaced_files(paths: Iterable[str], configs: Iterable[str], others: Mapping[str, list[str]]) -> list[str]:
    """
    Returns the files of a repository that an upload deletes: the shards of the configurations that it replaces.

    Args:
        paths (`Iterable[str]`):
            All files of the repository.
        configs (`Iterable[str]`):
            Names of the configurations that are uploaded.
        others (`Mapping[str, list[str]]`):
            Patterns of the files of the configurations that stay, as [`other_configs`] returns them.

    Returns:
        `list[str]`: Patterns that match these files literally.
    """
    folders = [data_folder(name) for name in configs]
    kept = [pattern for patterns in others.values() for pattern in patterns]
    return [
        glob.escape(path)
        for path in paths
        if any(fnmatch(path, f"{folder}/*.parquet") for folder in folders)
        and not any(fnmatch(path, pattern) for pattern in kept)
    ]


def write_card(
    card_data: Any, known: "RepoCard | None", make_card: Callable[[Any], "DatasetCard"], folder: Path
) -> None:
    """Writes the card, merged with the one on the Hub."""
    if known is not None:
        merge_metadata(card_data, known)
    card_data.size_categories = [size_category(sum(rows for _, _, rows in contents(card_data)))]
    card = make_card(card_data)
    if known is not None:
        card.text = merge_sections(known.text, card.text)
    card.save(folder / "README.md")


def contents(card_data: Any) -> list[tuple[str, str, int]]:
    """Returns configuration, split and number of rows of everything in a card's metadata."""
    from datasets.info import DatasetInfosDict

    infos = DatasetInfosDict.from_dataset_card_data(card_data)
    return [
        (name, str(split), size.num_examples)
        for name, info in infos.items()
        for split, size in (info.splits or {}).items()
    ]


def size_category(rows: int) -> str:
    """Returns the Hub's size category for a number of rows, such as `"1K<n<10K"`."""
    bounds = [10**exponent for exponent in range(3, 13)]
    names = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    number = bisect.bisect_right(bounds, rows)
    if number == 0:
        return f"n<{names[0]}"
    return f"n>{names[-1]}" if number == len(names) else f"{names[number - 1]}<n<{names[number]}"


def check_target(revision: str | None, create_pr: bool) -> None:
    """
    Rejects a pull request against a branch: the Hub opens pull requests against `main` only.

    Raises:
        ValueError: If both are set.
    """
    if create_pr and revision not in (None, "main"):
        raise ValueError(
            f"`create_pr=True` and `revision={revision!r}` exclude each other: a pull request is made against `main`. To add "
            f"to one that is open, give `revision='refs/pr/NUMBER'` alone."
        )


def data_folder(config_name: str) -> str:
    """Returns the folder of a configuration's shards, with the name that `datasets` uses."""
    return "data" if config_name == "default" else config_name


def stage_config(
    splits: "DatasetDict", config_name: str, folder: Path, card_data: Any, max_shard_size: int | str
) -> None:
    """Writes the shards of one configuration, and adds it to the card's metadata."""
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from datasets.utils.py_utils import convert_file_size_to_int

    limit, path = convert_file_size_to_int(max_shard_size), data_folder(config_name)
    (folder / path).mkdir(parents=True)
    infos, download_size = SplitDict(), 0
    for split, rows in splits.items():
        # `data` is the complete table, of which `rows` may be a selection
        size = rows.data.nbytes * len(rows) // max(1, len(rows.data))
        shards = min(len(rows), size // limit + 1)
        written = 0
        for index in range(shards):
            file = folder / path / f"{split}-{index:05d}-of-{shards:05d}.parquet"
            written += rows.shard(shards, index, contiguous=True).to_parquet(file)
            download_size += file.stat().st_size
        infos[str(split)] = SplitInfo(name=str(split), num_bytes=written, num_examples=len(rows))
    info = DatasetInfo(features=next(iter(splits.values())).features, splits=infos)
    info.download_size, info.dataset_size = download_size, sum(split.num_bytes for split in infos.values())
    DatasetInfosDict({config_name: info}).to_dataset_card_data(card_data)
    files = [{"split": str(split), "path": f"{path}/{split}-*"} for split in splits]
    MetadataConfigs({config_name: {"data_files": files}}).to_dataset_card_data(card_data)


def read_card(api: "HfApi", repo_id: str, repo_type: str, revision: str | None) -> "RepoCard | None":
    """
    Returns the card at a commit with its metadata unchanged, or `None` if there is none.

    Raises:
        ValueError: If its metadata is not YAML.
    """
    from huggingface_hub import RepoCard
    from huggingface_hub.errors import RemoteEntryNotFoundError
    from yaml import YAMLError

    try:
        return RepoCard.load(api.hf_hub_download(repo_id, "README.md", repo_type=repo_type, revision=revision))
    except RemoteEntryNotFoundError:
        return None
    except YAMLError:
        raise ValueError(f"the metadata in the README.md of {repo_id} is not YAML; fix it on the Hub first") from None


def other_configs(card: "RepoCard", configs: Collection[str]) -> dict[str, list[str]]:
    """
    Returns the files of a repository's other configurations, as patterns by name. A configuration that includes the
    files of one of `configs`, such as one for all rows, is omitted, because it must include the new files.
    """
    patterns: dict[str, list[str]] = {}
    for config in card.data.get("configs") or []:
        files = config.get("data_files") if isinstance(config, dict) else None
        if isinstance(files, dict):
            files = [{"path": path} for path in files.values()]
        entries = [files] if isinstance(files, str) else files or []
        paths = [(entry.get("path") or []) if isinstance(entry, dict) else entry for entry in entries]
        patterns[str(config.get("config_name"))] = [
            path for one in paths for path in ([one] if isinstance(one, str) else one)
        ]
    own = {path for name in configs for path in patterns.get(name, [])}
    return {
        name: paths
        for name, paths in patterns.items()
        if name not in configs and not any(fnmatch(path, pattern) for path in own for pattern in paths)
    }


def merge_metadata(card_data: Any, card: "RepoCard") -> None:
    """Copies metadata of the card on the Hub: other configurations, and values that are not set here."""
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    known = DatasetCardData(**card.data.to_dict())
    for kind in (MetadataConfigs, DatasetInfosDict):
        own = kind.from_dataset_card_data(card_data)
        others = {name: value for name, value in kind.from_dataset_card_data(known).items() if name not in own}
        kind(others).to_dataset_card_data(card_data)
    for key, value in known.to_dict().items():
        if card_data.get(key) is None:
            card_data[key] = value
        elif key in _LISTS and isinstance(value, list):
            card_data[key] = list(dict.fromkeys([*value, *card_data[key]]))
