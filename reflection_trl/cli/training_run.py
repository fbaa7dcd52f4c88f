"""Shares code of the commands that train: model settings, the run, and its state after an interruption."""

import contextlib
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.rows import RowsError, hub_fix, name_bad_line
from ..quoting import quote_error
from .command_line import check_token


if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments
    from trl import GRPOConfig, ModelConfig, SFTConfig

logger = logging.getLogger(__name__)

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


def model_name(model_args: "ModelConfig") -> str:
    """Returns the model's folder or Hub id, which the commands have required."""
    assert model_args.model_name_or_path is not None
    return model_args.model_name_or_path


def check_setup(training_args: "TrainingArguments", model_args: "ModelConfig") -> None:
    """Checks arguments that would otherwise fail after the model has been loaded, or have no effect."""
    from ..training.checks import check_trackers, warn_of_settings_without_effect

    output_dir = Path(output_dir_of(training_args))
    place = next(folder for folder in (output_dir, *output_dir.parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = "is no folder" if not place.is_dir() else "cannot be written"
        raise ValueError(f"`output_dir` is {str(output_dir)!r}, but {str(place)!r} {reason}; set another.")
    check_trackers(training_args.report_to)
    name, revision = model_name(model_args), model_args.model_revision
    if revision != type(model_args).__dataclass_fields__["model_revision"].default and Path(name).is_dir():
        raise ValueError(
            f"`model_revision` is {revision!r}, but {name!r} is a folder, which has no revisions; leave it out."
        )
    if training_args.push_to_hub and not training_args.hub_token:
        check_token("push_to_hub")
    needed = {
        "`use_peft`": (model_args.use_peft, ("lora_", "use_rslora", "use_dora")),
        "`load_in_4bit`": (model_args.load_in_4bit, ("bnb_4bit_", "use_bnb_nested_quant")),
    }
    warn_of_settings_without_effect(model_args, needed)
    # In Python, `push_to_hub()` can be called later
    warn_of_settings_without_effect(training_args, {"`push_to_hub`": (training_args.push_to_hub, ("hub_",))})


def load_tokenizer(model_args: "ModelConfig", trust_remote_code: bool) -> "PreTrainedTokenizerBase":
    """Returns the model's tokenizer, and checks that its configuration can be loaded, before its weights are."""
    from transformers import AutoConfig, AutoTokenizer

    from ..training.checks import check_model

    name = model_name(model_args)
    check_model(name)
    options = {"revision": model_args.model_revision, "trust_remote_code": trust_remote_code}
    try:
        AutoConfig.from_pretrained(name, **options)
        return AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        fix = "" if Path(name).is_dir() else f" {hub_fix()}"
        raise ValueError(f"The model {name!r} cannot be loaded: {quote_error(error)}.{fix}") from error


@contextlib.contextmanager
def explain_model_errors(model_args: "ModelConfig") -> Iterator[None]:
    """Adds the name of the model or option, and a fix, to errors of other libraries when a trainer is created."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise ValueError(
            f"The weights of {model_name(model_args)!r} are damaged, or a git-lfs pointer ({quote_error(error)}); download them again, such "
            f"as with `hf download`."
        ) from error
    except ValueError as error:
        if model_args.use_peft and "target" in str(error).lower():  # PEFT's message lacks the option's name
            raise ValueError(
                f"`lora_target_modules` is {model_args.lora_target_modules!r}: {quote_error(error)}. `all-linear` takes every linear layer."
            ) from error
        raise


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
    from ..training.checkpoints import find_last_checkpoint, no_checkpoint_error

    checkpoint = training_args.resume_from_checkpoint
    if checkpoint is None or str(checkpoint).lower() == "false":
        check_unused(output_dir_of(training_args))
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


def check_unused(output_dir: str) -> None:
    """
    Rejects a folder with a checkpoint of an earlier training. A new training would overwrite its checkpoints one by one, and until then
    `true` would resume the earlier one. If the folder only contains a trained model, a warning says that it will be replaced.
    """
    from transformers.trainer import TRAINER_STATE_NAME

    from ..training.checkpoints import find_last_checkpoint

    last, _ = find_last_checkpoint(output_dir)
    if last is not None:
        raise ValueError(
            f"`output_dir` {output_dir!r} contains {last.name} of an earlier training, which a new one would overwrite; continue that "
            f"training with `--resume_from_checkpoint true`, or set another `--output_dir` for a new one."
        )
    if (Path(output_dir) / TRAINER_STATE_NAME).exists():
        logger.warning(
            f"`output_dir` {output_dir!r} contains the model of an earlier training, which this one replaces when it ends; set another "
            f"`--output_dir` to keep both."
        )


def run_training(
    trainer: "Trainer",
    checkpoint: str | bool | None,
    memory: str,
    sources: Sequence[Mapping[str, Any]] = (),
) -> None:
    """
    Trains, and explains errors that a user can fix.

    Args:
        trainer ([`~transformers.Trainer`]):
            The trainer.
        checkpoint (`str`, `bool` or `None`):
            Checkpoint to resume from, as from [`find_checkpoint`].
        memory (`str`):
            Settings that lower the memory of a micro-batch, for the message if the GPU runs out of it.
        sources (`Sequence[Mapping]`, *optional*, defaults to `()`):
            Datasets that are streamed, as for [`~reflection_trl.files.rows.name_bad_line`].
    """
    import torch

    from ..training.checkpoints import CheckpointError

    try:
        with name_bad_line(sources):
            trainer.train(resume_from_checkpoint=checkpoint)
    except torch.OutOfMemoryError as error:
        raise ValueError(
            f"Out of GPU memory at step {trainer.state.global_step + 1}; set `activation_checkpointing: true`, lower "
            f"`per_device_train_batch_size` and raise `gradient_accumulation_steps`, lower {memory}, or set `use_peft: true`."
        ) from error
    except (CheckpointError, RowsError):
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
