"""Saves and resumes checkpoints: marks complete ones, selects the one to resume, and explains failed writes."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import IterableDataset
from peft import PeftModel
from peft.utils import CONFIG_NAME as ADAPTER_CONFIG
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, TrainOutput
from transformers.utils import CONFIG_NAME, logging

from ..quoting import quote
from .adapters import adapter_shape, comparable
from .modeling import check_generation_config
from .streams import find_position
from .teachers import TeacherWeights


logger = logging.get_logger(__name__)

# Written after all files of all processes: their sizes, and the settings that a resumed run must share
CHECKPOINT_FILE = "reflection_checkpoint.json"
# An interrupted save is renamed to this when a training is resumed
_INCOMPLETE = "incomplete-"
# A card or a tokenizer may be edited later, but not weights and states
_TEXT_FILES = {".json", ".jinja", ".md", ".model", ".png", ".txt"}


class CheckpointError(OSError):
    """
    Raised when a checkpoint or model could not be written. The message gives the reason, the fix, and what can be
    resumed.
    """


def mark_complete(checkpoint: Path, settings: dict[str, Any]) -> None:
    """
    Marks a checkpoint as complete, except for the trainer's state, which is written last.

    Args:
        checkpoint (`Path`):
            Folder with the files of all processes.
        settings (`dict[str, Any]`):
            Settings that a resumed run must share.
    """
    files = [path for path in sorted(checkpoint.rglob("*")) if path.is_file() and _is_needed(path)]
    sizes = {path.relative_to(checkpoint).as_posix(): path.stat().st_size for path in files}
    partial = checkpoint / f"{CHECKPOINT_FILE}.partial"
    partial.write_text(json.dumps({"settings": settings, "files": sizes}, indent=2))
    os.replace(partial, checkpoint / CHECKPOINT_FILE)


def _is_needed(path: Path) -> bool:
    return path.suffix not in _TEXT_FILES or path.name.endswith(".index.json")


def why_incomplete(checkpoint: Path) -> str | None:
    """
    Returns the reason why a checkpoint is incomplete.

    Args:
        checkpoint (`Path`):
            Folder.

    Returns:
        `str`, *optional*: The reason; `None` if the checkpoint is complete.
    """
    try:
        files = json.loads((checkpoint / CHECKPOINT_FILE).read_text())["files"]
    except FileNotFoundError:
        return (
            f"it has no {CHECKPOINT_FILE}: its save was interrupted or left out the optimizer (`save_only_model`), or it is not "
            f"a checkpoint of this trainer"
        )
    except (KeyError, TypeError, ValueError):
        return f"its {CHECKPOINT_FILE} is damaged"
    for name, size in files.items():
        path = checkpoint / name
        if not path.is_file():
            return f"its {name} is missing"
        if path.stat().st_size != size:
            return f"its {name} has {path.stat().st_size} bytes of {size}"
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text())
    except FileNotFoundError:
        return f"its {TRAINER_STATE_NAME} is missing"
    except ValueError:
        return f"its {TRAINER_STATE_NAME} is truncated"
    return None


def find_last_checkpoint(
    output_dir: str | os.PathLike[str], all_processes: bool = False
) -> tuple[Path | None, dict[Path, str]]:
    """
    Finds the newest complete checkpoint of a training.

    Args:
        output_dir (`str` or `PathLike`):
            Folder of the training.
        all_processes (`bool`, *optional*, defaults to `False`):
            Whether the checkpoint must be complete for all processes of this training; all of them must call this
            function.

    Returns:
        `tuple[Path | None, dict[Path, str]]`: The checkpoint, if any; newer incomplete ones with the reason.
    """
    lacks = {checkpoint: why_incomplete(checkpoint) for checkpoint in _checkpoints(output_dir)}
    complete = [checkpoint.name for checkpoint, reason in lacks.items() if reason is None]
    if all_processes:
        of_all = gather_object([complete])
        complete = [name for name in complete if all(name in names for names in of_all)]
    last = Path(output_dir) / complete[0] if complete else None
    newer = {
        checkpoint: reason for checkpoint, reason in lacks.items() if last is None or _step(checkpoint) > _step(last)
    }
    return last, {checkpoint: reason for checkpoint, reason in newer.items() if reason is not None}


def no_checkpoint_error(output_dir: str | os.PathLike[str], incomplete: dict[Path, str]) -> ValueError:
    """
    Returns the error for a folder without a complete checkpoint.

    Args:
        output_dir (`str` or `PathLike`):
            Folder of the training.
        incomplete (`dict[Path, str]`):
            Its incomplete checkpoints with the reason.
    """
    lacks = "".join(f" ({folder} is incomplete: {reason})" for folder, reason in incomplete.items())
    return ValueError(
        f"There is no complete checkpoint in {str(output_dir)!r} to resume from{lacks}; start without this option."
    )


def checkpoint_to_resume(
    resume_from_checkpoint: str | bool | None, output_dir: str | os.PathLike[str], writes: bool
) -> Path | None:
    """
    Returns the checkpoint to resume from. All processes must call this function.

    Args:
        resume_from_checkpoint (`str`, `bool` or `None`):
            Folder of a checkpoint, or `True` for the newest that is complete for all processes. Newer incomplete ones
            are reported and renamed, so that `save_total_limit` does not count them.
        output_dir (`str` or `PathLike`):
            Folder of the training.
        writes (`bool`):
            Whether this process writes checkpoints.

    Returns:
        `Path`, *optional*: The checkpoint; `None` for a training that starts from the beginning.

    Raises:
        ValueError: If no checkpoint is complete.
    """
    if not resume_from_checkpoint:
        return None
    if resume_from_checkpoint is not True:
        return Path(resume_from_checkpoint)
    checkpoint, incomplete = find_last_checkpoint(output_dir, all_processes=True)
    if checkpoint is None:
        raise no_checkpoint_error(output_dir, incomplete)
    for folder, reason in incomplete.items() if writes else ():
        logger.warning(f"Resuming from {checkpoint}, not from {folder}, which is incomplete: {reason}.")
        aside = folder.with_name(_INCOMPLETE + folder.name)
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    return checkpoint


def _checkpoints(output_dir: str | os.PathLike[str]) -> list[Path]:
    # The newest first
    folders = [path for path in Path(output_dir).glob(f"{PREFIX_CHECKPOINT_DIR}-*") if path.is_dir()]
    return sorted((path for path in folders if path.name.rpartition("-")[2].isdigit()), key=_step, reverse=True)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def check_checkpoint(checkpoint: Path, settings: dict[str, Any]) -> None:
    """
    Rejects a checkpoint that is incomplete, or whose steps this run would not reproduce.

    Args:
        checkpoint (`Path`):
            Folder of the checkpoint.
        settings (`dict[str, Any]`):
            Settings of this run that a resumed run must share.

    Raises:
        ValueError: If a file is missing or truncated, or the checkpoint was written with other settings.
    """
    reason = why_incomplete(checkpoint)
    if reason is not None:
        other, _ = find_last_checkpoint(checkpoint.parent)
        remedy = f"resume from {other}" if other is not None else "start again, without `resume_from_checkpoint`"
        raise ValueError(f"{checkpoint} cannot be resumed, because {reason}; {remedy}.")
    saved = json.loads((checkpoint / CHECKPOINT_FILE).read_text())["settings"]
    for name, value in json.loads(json.dumps(settings)).items():
        if saved.get(name) != value:
            raise ValueError(
                f"{checkpoint} was written with `{name}={saved.get(name)!r}`, but this run has {value!r}, so its steps "
                f"would differ; resume with the same settings, or start again in another `output_dir`."
            )


def check_same_model(checkpoint: Path, model: nn.Module, warns: bool = True) -> None:
    """
    Rejects a checkpoint of another model: one of another shape, another adapter, or an adapter in place of all weights.
    Warns if an adapter was trained on a model from another place, because it fits only that model.

    Args:
        checkpoint (`Path`):
            Folder of the checkpoint.
        model ([`~torch.nn.Module`]):
            Model of this run.
        warns (`bool`, *optional*, defaults to `True`):
            Whether this process warns.

    Raises:
        ValueError: If the weights of the checkpoint do not fit.
    """
    # PEFT saves an adapter that has a name in a folder of this name
    folder = model.active_adapter if isinstance(model, PeftModel) and model.active_adapter != "default" else ""
    adapter_config = checkpoint / folder / ADAPTER_CONFIG
    adapter = adapter_config.is_file()
    if adapter != isinstance(model, PeftModel):
        had, has = ("an adapter", "all weights") if adapter else ("all weights", "an adapter")
        raise ValueError(
            f"{checkpoint} contains {had}, but this training is of {has}; set `use_peft` as before to resume it, or start again in another "
            f"`output_dir`."
        )
    if isinstance(model, PeftModel):
        settings = json.loads(adapter_config.read_text())
        _check_same_adapter(checkpoint, settings, adapter_shape(model.active_peft_config))
        saved = settings.get("base_model_name_or_path")
        now = model.active_peft_config.base_model_name_or_path
        if warns and saved and now and saved != now:
            logger.warning(
                f"The adapter in {checkpoint} was trained on {saved!r}, but this training loads {now!r}. If that is another "
                f"model, its weights do not fit the adapter: resume with {saved!r}, or start again in another `output_dir`."
            )
        return
    if not (checkpoint / CONFIG_NAME).is_file():
        return
    saved = json.loads((checkpoint / CONFIG_NAME).read_text())
    for name in ("model_type", "hidden_size", "num_hidden_layers", "vocab_size"):
        value = getattr(model.config, name, None)
        if value is not None and saved.get(name, value) != value:
            raise ValueError(
                f"{checkpoint} is of a model with `{name}={saved[name]!r}`, but this one has {value!r}; resume with the same model, or start "
                f"again in another `output_dir`."
            )


def _check_same_adapter(checkpoint: Path, saved: dict[str, Any], settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        had = comparable(saved.get(name, value))
        if had != value:
            raise ValueError(
                f"{checkpoint} contains an adapter with `{name}={quote(had)}`, but this training has {quote(value)}; resume with the same "
                f"adapter, or start again in another `output_dir`."
            )


@contextlib.contextmanager
def complete_or_removed(checkpoint: Path, writes: bool) -> Iterator[None]:
    """
    Removes the partial files of a failed save.

    Args:
        checkpoint (`Path`):
            Folder that is written in the context.
        writes (`bool`):
            Whether this process writes the checkpoint's common files.
    """
    if writes:
        # The mark of an earlier save of the same step must not cover a mixture of old and new files
        (checkpoint / CHECKPOINT_FILE).unlink(missing_ok=True)
    try:
        with explain_full_disk(checkpoint):
            yield
    except BaseException:
        if writes and why_incomplete(checkpoint) is not None:
            shutil.rmtree(checkpoint, ignore_errors=True)
        raise


@contextlib.contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """
    Converts the errors of a full disk to a one-line message.

    Args:
        folder (`Path`):
            Folder that is written in the context.

    Raises:
        [`CheckpointError`]: If the disk is full.
    """
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        reason = _disk_failure(error)
        if reason is None:
            raise
        last, _ = find_last_checkpoint(folder.parent)
        resume = f", then resume from {last}" if last is not None else ""
        raise CheckpointError(
            f"{folder} could not be written: {reason}; free disk space, lower `save_total_limit` or set another "
            f"`output_dir`{resume}."
        ) from error


def _disk_failure(error: BaseException | None) -> str | None:
    while error is not None:
        text = str(error)
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if (
            full or "No space left on device" in text or "quota exceeded" in text
        ):  # safetensors quotes the system error
            return "no space is left on the disk"
        if "PytorchStreamWriter failed writing" in text:  # torch omits the reason
            return "the write failed, probably because the disk is full"
        error = error.__cause__ or error.__context__
    return None


class WarnOfOtherSteps(TrainerCallback):
    """
    Warns if a resumed training has another number of steps than its checkpoint, or none left. The number is known when
    training begins.

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
                f"{self.checkpoint} was written by a training of {self.max_steps} steps, but this one has {state.max_steps}, "
                f"which changes the schedules, such as that of the learning rate; set `max_steps` or `num_train_epochs` as "
                f"before to resume with those of that training."
            )
        if state.global_step >= state.max_steps and state.is_world_process_zero:
            logger.warning(
                f"{self.checkpoint} has all {state.max_steps} steps of this training, so nothing is left to train; raise `max_steps` or "
                f"`num_train_epochs` to train on."
            )


class CheckpointMixin(Trainer):
    """Saves only complete checkpoints and resumes only from them, including the weights of a separate teacher."""

    _teacher_weights: TeacherWeights | None = None

    @property
    def _resumed_settings(self) -> dict[str, Any]:
        """Returns the settings that a resumed run must share."""
        raise NotImplementedError

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> TrainOutput:
        checkpoint = checkpoint_to_resume(resume_from_checkpoint, self.args.output_dir or ".", self.args.should_save)
        if checkpoint is None:
            self._warn_of_checkpoints()
            return super().train(None, trial, ignore_keys_for_eval)
        check_checkpoint(checkpoint, self._resumed_settings)
        assert self.model is not None  # the trainers have required one
        check_same_model(checkpoint, self.model, warns=self.is_world_process_zero())
        if self._teacher_weights is not None:
            self._teacher_weights.load(checkpoint)
        notice = WarnOfOtherSteps(checkpoint)
        self.add_callback(notice)
        try:
            return super().train(str(checkpoint), trial, ignore_keys_for_eval)
        finally:
            self.remove_callback(notice)

    def _init_training_state(
        self,
        max_steps: int,
        num_update_steps_per_epoch: int,
        num_train_epochs: int,
        resume_from_checkpoint: str | None,
        trial: Any,
    ) -> tuple[int, int]:
        # The Trainer has set the model's tokens for stopping and padding. An adapter is saved without generation settings
        if isinstance(self.model, PreTrainedModel):
            check_generation_config(self.model)
        position = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
        )
        is_stream = isinstance(self.train_dataset, IterableDataset)
        if not is_stream or resume_from_checkpoint is None or self.args.ignore_data_skip:
            return position
        return find_position(resume_from_checkpoint, self.args.gradient_accumulation_steps)

    def _warn_of_checkpoints(self) -> None:
        last, _ = find_last_checkpoint(self.args.output_dir or ".")
        if last is not None and self.args.should_save:
            logger.warning(
                f"Starting from the beginning, although {last} of an earlier training exists: checkpoints of the same steps are "
                f"overwritten. Pass `resume_from_checkpoint=True` to continue that training, or set another `output_dir`."
            )

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, torch.Tensor | int | None]:
        # The Trainer looks at `max_steps` after a step, so a finished training would make one more when it is resumed
        if self.state.global_step >= self.state.max_steps:
            return [], None
        return super().get_batch_samples(epoch_iterator, num_batches, device)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = Path(self._get_output_dir(trial=trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        with complete_or_removed(folder, writes=self.args.should_save):
            super()._save_checkpoint(model, trial)

    def _save_rng_state(self, output_dir: str) -> None:
        # The last files that every process writes, before the trainer's state, the push and the removal of old
        # checkpoints
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            if self._teacher_weights is not None:
                self._teacher_weights.save(Path(output_dir))
            mark_complete(Path(output_dir), self._resumed_settings)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """
        Saves the model for `from_pretrained`. Under FSDP and DeepSpeed ZeRO-3 all processes must call it.

        Args:
            output_dir (`str`, *optional*):
                Folder; by default `args.output_dir`.

        Raises:
            [`CheckpointError`]: If the disk is full.
        """
        with explain_full_disk(Path(output_dir or self.args.output_dir or ".")):
            super().save_model(output_dir, _internal_call)
        if self.is_fsdp_enabled:
            # A process that writes nothing is done once it has sent its shards. If it ended now, the process that
            # gathers them would wait forever
            self.accelerator.wait_for_everyone()
