"""
Implements a `datasets` builder for reflection sequences on disk: rows of a finished run, or files in the published
form.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from ..files.rows import RowsError, one_sentence, read_json
from ..files.run_folder import RunError
from ..sequences import normalize_row
from .features import sequence_features


_OUTCOME = "statistics.json"  # the file of a run that is written after its rows


@dataclass
class ReflectionSequencesConfig(datasets.BuilderConfig):
    """
    Selects the data to read.

    Args:
        data_dir (`str`, *optional*):
            Folder of a finished run. The configuration `"default"` contains its rows, `"rejected"` the rejected
            rollouts with their reason, and `"set_aside"` the rows that `min_repaired_share` excluded.
        data_files (*optional*):
            JSON or JSON Lines files, compressed or not, of rows with `messages` and `type`, or in the form published with ReflectionCoder; a path, a list, or
            a dictionary by split.
    """

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Any = None) -> str:
        if self.data_dir is not None:  # a run with new rollouts is another dataset
            outcome = Path(self.data_dir).resolve() / _OUTCOME
            written = outcome.stat().st_mtime_ns if outcome.exists() else 0
            config_kwargs = {**config_kwargs, "data_dir": f"{outcome.parent}, {written}"}
        return super().create_config_id(config_kwargs, custom_features)


class ReflectionSequences(datasets.GeneratorBasedBuilder):
    """
    Builds a dataset of reflection sequences with the caching, sharding and streaming of `datasets`.

    Example:

    ```python
    >>> from reflection_trl.builder import ReflectionSequences

    >>> builder = ReflectionSequences(data_dir="out/build")
    >>> builder.download_and_prepare(num_proc=4)
    >>> rows = builder.as_dataset(split="train")
    ```
    """

    BUILDER_CONFIG_CLASS = ReflectionSequencesConfig
    BUILDER_CONFIGS = [  # noqa: RUF012 (required by the library)
        ReflectionSequencesConfig(name="default", description="Accepted sequences."),
        ReflectionSequencesConfig(name="rejected", description="Rejected rollouts, with the reason."),
        ReflectionSequencesConfig(name="set_aside", description="Accepted sequences beyond those that a run wanted."),
    ]
    DEFAULT_CONFIG_NAME = "default"

    def _info(self) -> datasets.DatasetInfo:
        if self.config.data_files is None:
            features = sequence_features(rejected=self.config.name == "rejected")
        else:
            block = {"type": datasets.Value("string"), "length": datasets.Value("int64")}
            message = {
                "role": datasets.Value("string"),
                "content": datasets.Value("string"),
                "blocks": datasets.List(block),
            }
            features = datasets.Features({"messages": datasets.List(message), "type": datasets.Value("string")})
        return datasets.DatasetInfo(description=self.config.description or "", features=features)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        if self.config.data_files is not None:
            files = dl_manager.download(self.config.data_files)
            return [
                datasets.SplitGenerator(name=split, gen_kwargs={"files": list(names)})
                for split, names in files.items()
            ]
        if self.config.data_dir is None:
            raise ValueError("No data specified: pass `data_dir`, the folder of a finished run, or `data_files`.")
        rows = Path(self.config.data_dir) / "rows"
        kind = {"default": "accepted"}.get(self.config.name, self.config.name)
        if not (Path(self.config.data_dir) / _OUTCOME).exists():
            raise RunError(f"{self.config.data_dir} contains no finished run: finish its build first.")
        files = sorted(map(str, rows.glob(f"{kind}-*.jsonl")))
        if not files:
            raise RunError(f"The run in {self.config.data_dir} has no rows of the configuration {kind!r}.")
        return [datasets.SplitGenerator(name=datasets.Split.TRAIN, gen_kwargs={"files": files})]

    def _generate_examples(self, files: list[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
        for number, file in enumerate(files):
            with one_sentence(file):
                for index, (line, row) in enumerate(read_json(file)):
                    where = f"line {line} of {file}"
                    if not isinstance(row, dict):
                        raise RowsError(f"{where} is not an object: give JSON files in which each row is an object.")
                    yield (number, index), row if self.config.data_files is None else _plain_row(row, where)


def _plain_row(row: dict[str, Any], where: str) -> dict[str, Any]:
    """Converts a row of either form, with the same fields in every message."""
    row = normalize_row(row, where)
    messages = [{**message, "blocks": message.get("blocks") or []} for message in row["messages"]]
    return {"messages": messages, "type": row["type"]}
