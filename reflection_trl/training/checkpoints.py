"""What a checkpoint of this trainer holds beside that of any other, and the checks before one is resumed."""

import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import logging


logger = logging.get_logger(__name__)

MASKING_FILE = "reflection_masking.json"


def check_masking_settings(checkpoint: Path, settings: dict[str, Any]) -> None:
    """
    Refuses to resume a training whose masks would differ.

    Args:
        checkpoint (`Path`):
            Folder of the checkpoint.
        settings (`dict[str, Any]`):
            Settings of this run that decide what is hidden when.

    Raises:
        ValueError: If the checkpoint was written with other settings, or by another trainer.
    """
    file = checkpoint / MASKING_FILE
    if not file.exists():
        raise ValueError(f"{checkpoint} has no {MASKING_FILE}; it is not a checkpoint of this trainer.")
    saved = json.loads(file.read_text())
    for name, value in settings.items():
        if saved.get(name) != value:
            raise ValueError(
                f"{checkpoint} was written with `{name}={saved.get(name)!r}`, but this run has {value!r}, which would hide "
                f"other tokens at the same step; resume with the same settings, or start anew in another `output_dir`."
            )


class WarnOfOtherSteps(TrainerCallback):
    """
    Compares the length of a resumed training with that of its checkpoint: it is known when the training begins.

    Args:
        checkpoint (`Path`):
            Folder of the checkpoint.
    """

    def __init__(self, checkpoint: Path):
        self.checkpoint = checkpoint
        file = checkpoint / TRAINER_STATE_NAME
        self.max_steps = TrainerState.load_from_json(str(file)).max_steps if file.exists() else None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.max_steps not in (None, state.max_steps) and state.is_world_process_zero:
            logger.warning(
                f"{self.checkpoint} was written by a training of {self.max_steps} steps, but this one has {state.max_steps}, by which "
                f"its schedules of the mask rate and the learning rate go from here on; set `max_steps` or `num_train_epochs` as "
                f"before to go on with the rates of that training."
            )
