"""Fine-tune a code model with reflection self-distillation.

    reflection-trl train --config smollm2-135m/distill
    reflection-trl train --config qwen2.5-coder-1.5b/distill --accelerate_config ddp --num_processes 8
    accelerate launch --config_file recipes/accelerate/zero2.yaml recipes/train.py --config FILE [--FIELD VALUE ...]

The YAML file sets fields; the command line overrides them. Those that people change most:

    --model_name_or_path  model folder or Hub id
    --dataset_name        JSON, JSON Lines or Parquet file, or Hub id; rows hold `messages` and `type`
    --datasets            several of these, mixed; in YAML with `path`, `split`, `fraction` and so on
    --test_split_size     rows, or share of them, held out for evaluation where the data has no test split
    --output_dir          where checkpoints, the model and the plot go
    --learning_rate --num_train_epochs --max_steps --max_length --seed
    --per_device_train_batch_size --gradient_accumulation_steps --token_budget
    --mask_strategy --mask_order --mask_schedule --mask_rate_start --mask_rate_end
    --sequence_loss_weight --student_loss_weight --distillation_weight --beta --temperature --teacher
    --use_peft --lora_r --lora_alpha --lora_target_modules --load_in_4bit
    --eval_strategy --eval_steps --eval_on_start --save_steps --report_to
    --resume_from_checkpoint   `true` for the newest complete checkpoint of output_dir, or a checkpoint's folder
    --push_to_hub --hub_model_id

`--help-all` lists every field with its default. Wrong input ends with one sentence and exit code 1; set
REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import glob
import itertools
import json
import os
import shutil
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command_line import (
    HUB_MEND,
    check_model_name,
    check_name,
    check_options,
    check_token,
    make_parser,
    parse_options,
    read_config_file,
    run_command,
    split_config,
)


if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset
    from transformers import Trainer, TrainingArguments
    from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments, TrlParser
    from trl.scripts.utils import DatasetConfig

    from .. import ReflectionDistillConfig, ReflectionDistillTrainer

# No RuntimeError: what goes wrong inside training shows where
USER_ERRORS = (ImportError, OSError, TypeError, ValueError)
FILE_FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def train_parser() -> "TrlParser":
    from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments

    from .. import ReflectionDistillConfig

    return make_parser((ScriptArguments, ReflectionDistillConfig, ModelConfig, DatasetMixtureConfig), "train.py")


def parse(
    argv: list[str],
) -> "tuple[ScriptArguments, ReflectionDistillConfig, ModelConfig, DatasetMixtureConfig]":
    script_args, training_args, model_args, dataset_args = parse_options(train_parser(), argv)
    return script_args, training_args, model_args, dataset_args


def check_names(argv: list[str]) -> None:
    """Checks, before any value and without the Hub, that there are a model and data: what is missing most often."""
    argv = split_config(argv)
    read_config_file(argv)  # before the imports, which take seconds

    from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments
    from trl.scripts.utils import DatasetConfig

    check_options(train_parser(), argv)
    for source in read_config_file(argv).get("datasets") or []:
        if not isinstance(source, dict) or "path" not in source:
            raise ValueError(f"each of `datasets` needs a `path`, but one is {source!r}.")
        for key in source:
            check_name("key of a dataset in the YAML file", key, DatasetConfig.__dataclass_fields__)
    parser = make_parser((ScriptArguments, ModelConfig, DatasetMixtureConfig), "train.py")
    script_args, model_args, dataset_args, _ = parser.parse_args_and_config(argv, return_remaining_strings=True)
    if model_args.model_name_or_path is None:
        raise ValueError(
            "`model_name_or_path` is not set; give a model folder or a Hub id, or a recipe with `--config`, such as "
            "recipes/smollm2-135m/distill.yaml."
        )
    check_model_name(model_args.model_name_or_path)
    if bool(dataset_args.datasets) == bool(script_args.dataset_name):
        raise ValueError("set either `dataset_name`, for one dataset, or `datasets`, for a mixture of several.")
    for source in dataset_args.datasets:
        if source.data_files is None:
            check_dataset(source.path)
    if script_args.dataset_name:
        check_dataset(script_args.dataset_name)


def check_dataset(name: str) -> None:
    from ..files.model_folder import check_exists

    if Path(name).suffix in FILE_FORMATS:
        if not glob.glob(name):
            raise ValueError(f"the dataset file {name!r} does not exist; paths start from {os.getcwd()}.")
    elif Path(name).is_file():
        raise ValueError(f"the dataset {name!r} is none of {', '.join(FILE_FORMATS)}, by which files are known.")
    else:
        check_exists("dataset", name)


def output_dir_of(training_args: "TrainingArguments") -> str:
    return training_args.output_dir  # type: ignore[return-value] # `TrainingArguments` sees to it


def check_setup(training_args: "ReflectionDistillConfig") -> None:
    """Checks what would else be told after the model has been loaded."""
    from ..files.model_folder import check_exists
    from ..training.checks import check_trackers

    output_dir = Path(output_dir_of(training_args))
    place = next(folder for folder in (output_dir, *output_dir.parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = "is no folder" if not place.is_dir() else "cannot be written"
        raise ValueError(f"`output_dir` is {str(output_dir)!r}, but {str(place)!r} {reason}; set another.")
    check_trackers(training_args.report_to)
    if training_args.push_to_hub and not training_args.hub_token:
        check_token("push_to_hub")
    template = training_args.chat_template_path
    if template is not None:
        if Path(template).suffix in (".jinja", ".j2") and not Path(template).is_file():
            raise ValueError(f"the chat template {template!r} does not exist; paths start from {os.getcwd()}.")
        check_exists("chat template", template)


def check_model(model_args: "ModelConfig", training_args: "ReflectionDistillConfig") -> None:
    """Checks that the model can be had, and talks, before its weights are loaded."""
    from transformers import AutoConfig, AutoTokenizer

    from ..rendering import ChatTemplateRenderer

    name = model_args.model_name_or_path
    assert name is not None  # see `check_names`
    options = {"revision": model_args.model_revision, "trust_remote_code": training_args.trust_remote_code}
    try:
        AutoConfig.from_pretrained(name, **options)
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        mend = "" if Path(name).is_dir() else f" {HUB_MEND}"
        raise ValueError(f"the model {name!r} cannot be loaded: {str(error).splitlines()[0]}{mend}") from error
    if not (tokenizer.chat_template or training_args.chat_template_path or training_args.rendering == "block-token"):
        ChatTemplateRenderer(tokenizer)  # which says what to do


def load_part(source: "DatasetConfig", split: str, streaming: bool) -> "Dataset | IterableDataset":
    """One dataset: a JSON or Parquet file, several of them (`data/*.jsonl`), a folder, or a Hub id."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    path, data_files = source.path, source.data_files
    file_format = FILE_FORMATS.get(Path(path).suffix)
    if data_files is None:
        check_dataset(path)
    if file_format is not None:
        path, data_files = file_format, path
    try:
        dataset = load_dataset(
            path, name=source.name, data_dir=source.data_dir, data_files=data_files, split=split, streaming=streaming
        )
        return dataset if source.columns is None else dataset.select_columns(source.columns)
    except StopIteration as error:  # what `datasets` makes of an empty file
        raise ValueError(f"the dataset {source.path!r} has no rows.") from error
    except (DatasetsError, OSError, ValueError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        if Path(source.path).suffix == ".jsonl":
            reason = find_bad_line(source.path) or reason
        on_hub = file_format is None and not Path(path).exists() and not isinstance(error, ValueError)
        raise ValueError(
            f"the dataset {source.path!r} cannot be loaded: {reason}{f'. {HUB_MEND}' if on_hub else ''}"
        ) from error


def find_bad_line(pattern: str) -> str | None:
    """Where a JSON Lines file is none: `datasets` counts from the start of a chunk."""
    for file in sorted(glob.glob(pattern)):
        with open(file, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    json.loads(line if line.strip() else "null")
                except json.JSONDecodeError as error:
                    return (
                        f"line {number} of {file} is not JSON ({error.msg}, column {error.colno}); mend or remove it."
                    )
    return None


def columns_of(part: "Dataset | IterableDataset") -> list[str]:
    return part.column_names or list(next(iter(part)))


def check_rows(part: "Dataset | IterableDataset", name: str) -> None:
    """Checks columns and first row, which tell most of what can be wrong, before the model is loaded."""
    from ..sequences import normalize_row
    from ..training.dataset import check_columns

    check_columns(columns_of(part), f"The dataset {name!r}")
    for row in itertools.islice(part, 1):
        normalize_row(row, f"Row 0 of the dataset {name!r}")


def mix(
    parts: "Sequence[Dataset | IterableDataset]", sources: "Sequence[DatasetConfig]"
) -> "Dataset | IterableDataset":
    """Put datasets one after the other, as TRL does, but whatever the form of their `messages`."""
    from datasets import Features, Value, concatenate_datasets

    for part, source in zip(parts, sources, strict=True):
        check_rows(part, source.path)
    if len(parts) == 1:
        return parts[0]
    fractions = [source.fraction for source in sources if source.fraction is not None]
    if fractions:
        if len(fractions) < len(sources) or not all(fractions) or not all(hasattr(part, "__len__") for part in parts):
            raise ValueError("`fraction` must be set, above 0, for every dataset of a mixture, none of which streams.")
        # The largest mixture of these shares that uses no row twice
        total = min(len(part) / fraction for part, fraction in zip(parts, fractions, strict=True))
        parts = [part.select(range(round(f * total))) for part, f in zip(parts, fractions, strict=True)]
    if all({"messages", "type"} <= set(columns_of(part)) for part in parts):
        parts = [part.select_columns(["messages", "type"]) for part in parts]
    if any(part.features is None or part.features != parts[0].features for part in parts):
        # Only equal columns can be joined: as JSON, all forms of rows are one type
        features = Features({"messages": Value("string"), "type": Value("string")})
        parts = [
            part.map(
                messages_as_json,
                with_indices=True,
                fn_kwargs={"path": source.path},
                remove_columns=columns_of(part),
                features=features,
            )
            for part, source in zip(parts, sources, strict=True)
        ]
    return concatenate_datasets(parts)


def messages_as_json(row: dict[str, Any], index: int, path: str) -> dict[str, str]:
    from ..row_forms import read_row

    read = read_row(row, f"Row {index} of the dataset {path!r}")
    return {"messages": json.dumps(read["messages"]), "type": read["type"]}


def data_sources(script_args: "ScriptArguments", dataset_args: "DatasetMixtureConfig") -> "list[DatasetConfig]":
    """The datasets of the mixture, or the one dataset."""
    from trl.scripts.utils import DatasetConfig

    if dataset_args.datasets:
        return dataset_args.datasets
    name = script_args.dataset_name
    assert name is not None  # see `check_names`
    return [DatasetConfig(name, name=script_args.dataset_config, split=script_args.dataset_train_split)]


def load_data(
    script_args: "ScriptArguments", dataset_args: "DatasetMixtureConfig", training_args: "ReflectionDistillConfig"
) -> "tuple[Dataset | IterableDataset, Dataset | IterableDataset | None]":
    """The rows to train on and, if there is evaluation, the rows to evaluate on."""
    from trl.trainer.utils import global_then_local_main_first

    sources = data_sources(script_args, dataset_args)
    streaming = dataset_args.streaming if dataset_args.datasets else script_args.dataset_streaming
    evaluates = training_args.eval_strategy != "no" or training_args.eval_on_start
    size = dataset_args.test_split_size
    if evaluates and size is None and dataset_args.datasets:
        raise ValueError("evaluation of a mixture needs `test_split_size`, or set `eval_strategy` to 'no'.")
    if size is not None and streaming:
        raise ValueError("`test_split_size` does not work with streaming; set it to None.")

    with global_then_local_main_first():
        train = mix([load_part(source, source.split, streaming) for source in sources], sources)
        if size is not None:
            size = int(size) if size >= 1 else size
            try:
                splits = train.train_test_split(test_size=size, seed=training_args.seed)
            except ValueError as error:
                raise ValueError(
                    f"`test_split_size` is {size}, but there are {len(train)} rows; give fewer, or a share between 0 and 1."
                ) from error
            return splits["train"], splits["test"] if evaluates else None
        if not evaluates:
            return train, None
        try:
            test = load_part(sources[0], script_args.dataset_test_split, streaming)
        except ValueError as error:
            raise ValueError(
                f"{str(error).rstrip('.')}; to evaluate, set `test_split_size`, which holds rows out, or "
                f"`dataset_test_split`; or set `eval_strategy` to 'no'."
            ) from error
        check_rows(test, sources[0].path)
        return train, test


def find_checkpoint(training_args: "TrainingArguments") -> str | bool | None:
    """The checkpoint's folder, or `True` for the newest complete one, which the processes agree on."""
    from reflection_trl.training.checkpoints import find_last_checkpoint, nothing_to_resume

    checkpoint = training_args.resume_from_checkpoint
    if checkpoint is None or str(checkpoint).lower() == "false":
        return None
    if str(checkpoint).lower() != "true":
        if not Path(checkpoint).is_dir():
            raise ValueError(
                f"the checkpoint {str(checkpoint)!r} does not exist; give a folder such as {training_args.output_dir}/checkpoint-10, "
                f"or `true` for the last one."
            )
        return str(checkpoint)
    output_dir = output_dir_of(training_args)
    last, incomplete = find_last_checkpoint(output_dir)
    if last is None:
        raise nothing_to_resume(output_dir, incomplete)
    return True


def make_trainer(
    script_args: "ScriptArguments",
    training_args: "ReflectionDistillConfig",
    model_args: "ModelConfig",
    dataset_args: "DatasetMixtureConfig",
) -> "ReflectionDistillTrainer":
    from safetensors import SafetensorError
    from trl import get_peft_config, get_quantization_config

    from .. import ReflectionDistillTrainer

    training_args.model_init_kwargs = {
        "revision": model_args.model_revision,
        "attn_implementation": model_args.attn_implementation,
        "dtype": model_args.dtype,
        **(training_args.model_init_kwargs or {}),  # type: ignore[dict-item] # no string any longer
    }
    train_dataset, eval_dataset = load_data(script_args, dataset_args, training_args)
    name = model_args.model_name_or_path
    assert name is not None  # see `check_names`
    try:
        trainer = ReflectionDistillTrainer(
            model=name,
            args=training_args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            quantization_config=get_quantization_config(model_args),
            peft_config=get_peft_config(model_args),
        )
    except SafetensorError as error:
        raise ValueError(
            f"the weights of {name!r} are damaged or a pointer of git-lfs ({error}); download them again, such as with "
            f"`hf download`."
        ) from error
    except ValueError as error:
        if model_args.use_peft and "target" in str(error).lower():  # as PEFT says it, without the option's name
            raise ValueError(
                f"`lora_target_modules` is {model_args.lora_target_modules!r}: {error} `all-linear` takes every linear layer."
            ) from error
        raise
    trainer.dataset_name = hub_names(script_args, dataset_args)  # for the model cards
    return trainer


def hub_names(script_args: "ScriptArguments", dataset_args: "DatasetMixtureConfig") -> list[str]:
    """The datasets that a model card can link to: those from the Hub, each once."""
    names = dict.fromkeys(source.path for source in data_sources(script_args, dataset_args))
    return [name for name in names if not Path(name).exists() and Path(name).suffix not in FILE_FORMATS]


def finish(trainer: "ReflectionDistillTrainer", seconds: float) -> None:
    """Say what came of it, save model, card, curves and state, and push them."""
    from huggingface_hub.constants import ENDPOINT

    from ..training.curves import CURVES_FILE, summarize

    output_dir = output_dir_of(trainer.args)
    trainer.save_state()
    if trainer.is_world_process_zero():
        print(f"\nTrained {trainer.state.global_step} steps in {seconds // 60:.0f} min {seconds % 60:02.0f} s.")
        args = trainer.args
        for label, first, last, note in summarize(
            trainer.state.log_history, args.mask_strategy, args.distillation_weight
        ):
            print(f"  {label:<30} {first:.3f} -> {last:.3f}   ({note})")
    if trainer.args.push_to_hub:
        trainer.push_to_hub(dataset_name=trainer.dataset_name)  # saves all of it first
    else:
        trainer.save_model(output_dir)
        trainer.create_model_card()
    if not trainer.is_world_process_zero():
        return
    print(f"Model:  {output_dir}")
    if (Path(output_dir) / CURVES_FILE).exists():
        print(f"Curves: {Path(output_dir) / CURVES_FILE}")
    else:
        print(f"Curves: install matplotlib and run `reflection-trl plot {output_dir}`")
    if trainer.args.push_to_hub:
        print(f"Hub:    {ENDPOINT}/{trainer.hub_model_id}")
    print(f'Try it: reflection-trl answer {output_dir} --prompt "Write a Python function that ..."')


def run(argv: list[str]) -> None:
    if "--help-all" in argv:
        train_parser().print_help()
        return
    check_names(argv)
    # TRL sets it by default, under the name that transformers calls old: whatever a recipe says, the notice would come
    warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing` is deprecated", FutureWarning)
    script_args, training_args, model_args, dataset_args = parse(argv)
    output_dir = Path(output_dir_of(training_args))
    is_new = not output_dir.exists()
    try:
        checkpoint = find_checkpoint(training_args)
        check_setup(training_args)
        check_model(model_args, training_args)
        trainer = make_trainer(script_args, training_args, model_args, dataset_args)
        start = time.monotonic()
        run_training(trainer, checkpoint)
    except BaseException as error:
        # Nothing was trained if nothing was written
        if is_new and not any(path.is_file() for path in output_dir.rglob("*")):
            shutil.rmtree(output_dir, ignore_errors=True)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(what_is_kept(output_dir)) from None
        raise
    finish(trainer, time.monotonic() - start)
    end(trainer)


def run_training(trainer: "Trainer", checkpoint: str | bool | None) -> None:
    import torch

    from reflection_trl.training.checkpoints import CheckpointError

    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except torch.OutOfMemoryError as error:
        raise ValueError(
            f"out of GPU memory at step {trainer.state.global_step + 1}; set `gradient_checkpointing: true`, lower "
            f"`per_device_train_batch_size` and raise `gradient_accumulation_steps`, lower `max_length`, or set `use_peft: true`."
        ) from error
    except CheckpointError:
        raise
    except USER_ERRORS as error:
        if trainer.state.global_step:  # no longer about the input: show where
            raise RuntimeError(f"training failed after step {trainer.state.global_step}") from error
        raise


def what_is_kept(output_dir: Path) -> str:
    from reflection_trl.training.checkpoints import find_last_checkpoint

    checkpoint, _ = find_last_checkpoint(output_dir)
    if checkpoint is None:
        return "There was no checkpoint yet (see `save_steps`), so nothing is kept."
    return f"The same command with `--resume_from_checkpoint true` goes on from {checkpoint}."


def end(trainer: "Trainer") -> None:
    import transformers
    from packaging.version import Version

    if Version(transformers.__version__) >= Version("5.18.0"):
        trainer.end()


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv, USER_ERRORS)
