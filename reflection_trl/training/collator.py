"""The data collator: prepared rows in, the rows of one batch out, masks still to be drawn.

The collator does not know the mask rate, on purpose: it may run in a worker process, batches ahead of the optimizer, where
any rate it could read would be stale. It hands on what the mask needs (parts and blocks of each token, the number of the
row), and the trainer draws masks and packs the batch where the optimizer step is known. So the rate is the same with any
number of workers, any prefetching, and after a resumption.
"""

from typing import Any

import numpy as np

from .packing import Row


class DataCollatorForReflectionDistillation:
    """
    Collates rows prepared by [`ReflectionDistillTrainer`] into `{"rows": [Row, ...]}`.

    An example is a row, with the columns that [`~reflection_trl.rendering.tokenize`] describes and `row_id`, or a pack of
    rows (`token_budget`), whose columns are lists of those. Arrays stay on the host, where masks are drawn without waiting
    for the device.

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

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, list[Row]]:
        """
        Collate examples.

        Args:
            features (`list[dict]`):
                Prepared rows or packs of rows.

        Returns:
            `dict` with `rows` (`list[Row]`).
        """
        rows = []
        for example in features:
            if isinstance(example["row_id"], int):
                rows.append(_row(example))
            else:
                columns = list(example)
                rows += [
                    _row(dict(zip(columns, values, strict=True)))
                    for values in zip(*(example[column] for column in columns), strict=True)
                ]
        return {"rows": rows}


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
