"""Collates prepared rows into the rows of one batch. Masks are sampled later, in the trainer.

The collator deliberately does not use the mask rate. It may run in a worker process, several batches ahead of the
optimizer, where the rate would be outdated. It passes on the inputs of the mask (part and block of each token, index
of the row). The trainer samples masks and packs the batch when the optimizer step is known. The rate is therefore the
same with any number of workers, any prefetching, and after a resume.
"""

import dataclasses
from typing import Any

import numpy as np
from transformers import DataCollator

from .masking import failed_tokens
from .packing import Row


class DataCollatorForReflectionDistillation:
    """
    Collates rows prepared by [`ReflectionDistillTrainer`] into `{"rows": [Row, ...]}`.

    An example is a row, with the columns of [`~reflection_trl.rendering.tokenize`] and `row_id`, or a pack of rows
    (`token_budget`), whose columns are lists of those. Arrays stay on the host, where masks are sampled without
    synchronization with the device.

    Args:
        train_on_failed_attempts (`bool`, *optional*, defaults to `True`):
            Whether the loss mask of rows includes failed attempts; see [`ReflectionDistillConfig`].

    Example:

    ```python
    >>> from reflection_trl import DataCollatorForReflectionDistillation

    >>> collator = DataCollatorForReflectionDistillation()
    >>> row = {"input_ids": [5, 6, 7, 8], "loss_mask": [0, 1, 0, 1], "block_ids": [0, 1, -1, -1]}
    >>> batch = collator([{**row, "block_types": [2], "answer_start": 3, "row_id": 0}])
    >>> len(batch["rows"])
    1
    ```
    """

    def __init__(self, train_on_failed_attempts: bool = True):
        self.train_on_failed_attempts = train_on_failed_attempts

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, list[Row]]:
        """
        Collates examples.

        Args:
            features (`list[dict]`):
                Prepared rows or packs of rows.

        Returns:
            `dict` with `rows` (`list[Row]`).
        """
        rows: list[Row] = []
        for example in features:
            if np.ndim(example["row_id"]) == 0:
                rows.append(_row(example))
            else:
                columns = list(example)
                rows += [
                    _row(dict(zip(columns, values, strict=True)))
                    for values in zip(*(example[column] for column in columns), strict=True)
                ]
        if not self.train_on_failed_attempts:
            rows = [_without_failed_attempts(row) for row in rows]
        return {"rows": rows}


def _without_failed_attempts(row: Row) -> Row:
    return dataclasses.replace(row, loss_mask=row.loss_mask & ~failed_tokens(row.block_ids, row.block_types))


def _row(example: dict[str, Any]) -> Row:
    return Row(
        input_ids=np.asarray(example["input_ids"], dtype=np.int64),
        loss_mask=np.asarray(example["loss_mask"], dtype=bool),
        block_ids=np.asarray(example["block_ids"], dtype=np.int64),
        block_types=np.asarray(example["block_types"], dtype=np.int64),
        answer_start=int(example["answer_start"]),
        row_id=int(example["row_id"]),
        stream_index=example.get("stream_index"),
    )


def make_collator(data_collator: DataCollator | None, train_on_failed_attempts: bool) -> DataCollator:
    """
    Returns the collator of a trainer.

    Args:
        data_collator ([`~transformers.DataCollator`] or `None`):
            Collator of the user.
        train_on_failed_attempts (`bool`):
            Setting of the trainer, which only the default collator applies.

    Raises:
        ValueError: If the user's collator does not apply the setting.
    """
    if data_collator is None:
        return DataCollatorForReflectionDistillation(train_on_failed_attempts)
    if not train_on_failed_attempts and getattr(data_collator, "train_on_failed_attempts", True):
        raise ValueError(
            f"`train_on_failed_attempts` is False, which `{type(data_collator).__name__}` does not support; remove "
            f"`data_collator`, or pass `DataCollatorForReflectionDistillation(train_on_failed_attempts=False)`."
        )
    return data_collator
