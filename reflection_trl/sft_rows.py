"""The final answers of reflection rows, as the rows of plain supervised fine-tuning: the baseline, with the tools that everybody has."""

from typing import Any, TypeVar

from datasets import Dataset, DatasetDict, Features, IterableDataset, IterableDatasetDict, List, Value

from .sequences import normalize_row


AnyDataset = TypeVar("AnyDataset", Dataset, IterableDataset, DatasetDict, IterableDatasetDict)

_TURNS = List({"role": Value("string"), "content": Value("string")})
_FEATURES = Features({"prompt": _TURNS, "completion": _TURNS})


def final_answers(dataset: AnyDataset) -> AnyDataset:
    """
    Convert rows to prompt and completion: the request alone and the final answer to it, without the reflection sequence between.

    That is what rejection sampling would train on: answers that passed, without the attempts before them. TRL's `SFTTrainer` takes the
    rows as they are and trains on the completions.

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
        The dataset with the columns `prompt` and `completion`, each a list of turns. The prompt of a reflection row is its last request, after
        the system turn if there is one; that of a generation row is all but its last turn.

    Raises:
        ValueError: If a row's structure is wrong; of a stream, when that row is read.
    """
    if isinstance(dataset, (DatasetDict, IterableDatasetDict)):
        return type(dataset)({split: final_answers(rows) for split, rows in dataset.items()})
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
