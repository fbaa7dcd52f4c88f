"""Shares code of the commands that train: model settings, the run, and its state after an interruption."""

import contextlib
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from transformers import Trainer, TrainingArguments
    from trl import GRPOConfig, ModelConfig, SFTConfig

# Without RuntimeError, since errors in training need a traceback
USER_ERRORS = (ImportError, OSError, TypeError, ValueError)


def output_dir_of(training_args: "TrainingArguments") -> str:
    """Returns the output folder, for which `TrainingArguments` has a default."""
    assert training_args.output_dir is not None
    return training_args.output_dir


def set_model_options(training_args: "SFTConfig | GRPOConfig", model_args: "ModelConfig") -> None:
    """Adds the options of the model to the arguments with which the trainer loads it."""
    given = training_args.model_init_kwargs or {}
    assert not isinstance(given, str)  # `TrainingArguments` has parsed it
    training_args.model_init_kwargs = {
        "revision": model_args.model_revision,
        "attn_implementation": model_args.attn_implementation,
        "dtype": model_args.dtype,
        **given,
    }


def hide_renamed_option() -> None:
    """Hides transformers' notices about the old name of `activation_checkpointing`, which TRL still uses."""
    warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing(_\\w+)?` is deprecated", FutureWarning)


@contextlib.contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Removes a new folder if it is empty; after Ctrl-C prints which checkpoint is kept and how to resume."""
    is_new = not folder.exists()
    try:
        yield
    except BaseException as error:
        # Nothing was trained if nothing was written
        if is_new and not any(path.is_file() for path in folder.rglob("*")):
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(what_is_kept(folder)) from None
        raise


def find_checkpoint(training_args: "TrainingArguments") -> str | bool | None:
    """Returns the checkpoint's folder, or `True` for the newest complete one, which the processes agree on."""
    from reflection_trl.training.checkpoints import find_last_checkpoint, no_checkpoint_error

    checkpoint = training_args.resume_from_checkpoint
    if checkpoint is None or str(checkpoint).lower() == "false":
        return None
    if str(checkpoint).lower() != "true":
        if not Path(checkpoint).is_dir():
            raise ValueError(
                f"The checkpoint {str(checkpoint)!r} does not exist; give a folder such as {training_args.output_dir}/checkpoint-10, "
                f"or `true` for the newest complete one."
            )
        return str(checkpoint)
    output_dir = output_dir_of(training_args)
    last, incomplete = find_last_checkpoint(output_dir)
    if last is None:
        raise no_checkpoint_error(output_dir, incomplete)
    return True


def run_training(trainer: "Trainer", checkpoint: str | bool | None) -> None:
    import torch

    from ..training.checkpoints import CheckpointError

    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except torch.OutOfMemoryError as error:
        raise ValueError(
            f"Out of GPU memory at step {trainer.state.global_step + 1}; set `activation_checkpointing: true`, lower "
            f"`per_device_train_batch_size` and raise `gradient_accumulation_steps`, lower `max_length`, or set `use_peft: true`."
        ) from error
    except CheckpointError:
        raise
    except USER_ERRORS as error:
        if trainer.state.global_step:  # not caused by the input, so it needs a traceback
            raise RuntimeError(f"Training failed after step {trainer.state.global_step}") from error
        raise


def what_is_kept(output_dir: Path) -> str:
    from ..training.checkpoints import find_last_checkpoint

    checkpoint, _ = find_last_checkpoint(output_dir)
    if checkpoint is None:
        return "There was no checkpoint yet (see `save_steps`), so nothing is kept."
    return f"The same command with `--resume_from_checkpoint true` resumes from {checkpoint}."


def end(trainer: "Trainer") -> None:
    import transformers
    from packaging.version import Version

    if Version(transformers.__version__) >= Version("5.18.0"):
        trainer.end()
