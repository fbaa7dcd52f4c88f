"""Converts reflection rows to rows for plain supervised fine-tuning (SFT) on the final answers, the baseline."""

from typing import Any, TypeVar

from datasets import Dataset, DatasetDict, Features, IterableDataset, IterableDatasetDict, List, Value

from .sequences import normalize_row


AnyDataset = TypeVar("AnyDataset", Dataset, IterableDataset, DatasetDict, IterableDatasetDict)

_TURNS = List({"role": Value("string"), "content": Value("string")})
_FEATURES = Features({"prompt": _TURNS, "completion": _TURNS})


def final_answers(dataset: AnyDataset) -> AnyDataset:
    """
    Converts rows to prompt and completion: the request and its final answer, without the reflection sequence between
    them.

    Rejection sampling would train on the same data: answers that passed, without the attempts before them. TRL's
    `SFTTrainer` accepts these rows and trains on the completions.

    Example:

    ```python
    from datasets import load_dataset
    from reflection_trl import final_answers

    rows = load_dataset("SenseLLM/ReflectionSeq-GPT", split="train")
    final_answers(rows).to_parquet("answers/train.parquet")
    ```

    Args:
        dataset ([`~datasets.Dataset`], [`~datasets.IterableDataset`] or a dictionary of them):
            Rows in any form that [`~reflection_trl.sequences.normalize_row`] reads.

    Returns:
        The dataset with the columns `prompt` and `completion`, each a list of turns. The prompt of a reflection row is
        its last request, after the system turn if there is one. The prompt of a generation row is all turns but the
        last.

    Raises:
        TypeError: If `dataset` is no dataset.
        ValueError: If the structure of a row is wrong. For a stream, the error is raised when that row is read.
    """
    if isinstance(dataset, (DatasetDict, IterableDatasetDict)):
        return type(dataset)({split: final_answers(rows) for split, rows in dataset.items()})
    if not isinstance(dataset, (Dataset, IterableDataset)):
        raise TypeError(
            f"`dataset` must be a `Dataset` or `IterableDataset`, got `{type(dataset).__name__}`; create one with `Dataset.from_list(rows)`, "
            "or with `load_dataset` from a file."
        )
    columns = dataset.column_names or list(next(iter(dataset), {}))
    progress: dict[str, Any] = {"desc": "Taking the final answers"} if isinstance(dataset, Dataset) else {}
    return dataset.map(_final_answer, with_indices=True, remove_columns=columns, features=_FEATURES, **progress)


def _final_answer(row: dict[str, Any], index: int) -> dict[str, Any]:
    row = normalize_row(row, f"Row {index} of the dataset")
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"]]
    if row["type"] == "reflection":
        system = turns[:1] if turns[0]["role"] == "system" else []
        turns = [*system, *turns[-2:]]
    return {"prompt": turns[:-1], "completion": turns[-1:]}
