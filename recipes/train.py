"""Fine-tune a code model with reflection self-distillation.

    python recipes/train.py --config recipes/smollm2-135m/distill.yaml
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
    --resume_from_checkpoint   `true` for the last checkpoint of output_dir, or a checkpoint's folder
    --push_to_hub --hub_model_id

`--help-all` lists every field with its default. Wrong input ends with one sentence and exit code 1; set
REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import glob
import json
import os
import shutil
import sys
import time
from pathlib import Path

from command_line import check_name, make_parser, parse_options, read_config_file


USER_ERRORS = (ImportError, OSError, TypeError, ValueError)
FILE_FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def train_parser():
    from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments

    from reflection_trl import ReflectionDistillConfig

    return make_parser((ScriptArguments, ReflectionDistillConfig, ModelConfig, DatasetMixtureConfig), "train.py")


def parse(argv):
    from trl.scripts.utils import DatasetConfig

    argv = [part for arg in argv for part in (arg.split("=", 1) if arg.startswith("--config=") else [arg])]
    config = read_config_file(argv)
    for source in config.get("datasets") or []:
        if not isinstance(source, dict) or "path" not in source:
            raise ValueError(f"each of `datasets` needs a `path`, but one is {source!r}.")
        for key in source:
            check_name("key of a dataset in the YAML file", key, DatasetConfig.__dataclass_fields__)
    parser = train_parser()
    if "--help-all" in argv:
        parser.print_help()
        sys.exit(0)
    return parse_options(parser, argv)


def check_local(what, name):
    """Say at once that a local path is missing, before anything asks the Hub for it."""
    path = Path(name)
    looks_local = path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
    if not path.exists() and (looks_local or (name.count("/") == 1 and path.parent.is_dir())):
        raise ValueError(f"the {what} {name!r} does not exist.")


def check_model(model_args, training_args):
    from transformers import AutoConfig

    name = model_args.model_name_or_path
    if name is None:
        raise ValueError("`model_name_or_path` is not set; give a model folder or a Hub id.")
    check_local("model folder", name)
    try:
        AutoConfig.from_pretrained(
            name, revision=model_args.model_revision, trust_remote_code=training_args.trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"the model {name!r} cannot be loaded: {str(error).splitlines()[0]}") from error


def load_part(source, split, streaming):
    """One dataset: a JSON or Parquet file, several of them (`data/*.jsonl`), a folder, or a Hub id."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    path, data_files = source.path, source.data_files
    file_format = FILE_FORMATS.get(Path(path).suffix)
    if file_format is not None:
        if not glob.glob(path):
            raise ValueError(f"the dataset file {path!r} does not exist.")
        path, data_files = file_format, path
    elif data_files is None:
        check_local("dataset", path)
    try:
        dataset = load_dataset(
            path, name=source.name, data_dir=source.data_dir, data_files=data_files, split=split, streaming=streaming
        )
        return dataset if source.columns is None else dataset.select_columns(source.columns)
    except (DatasetsError, OSError, ValueError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ValueError(f"the dataset {source.path!r} cannot be loaded: {reason}") from error


def columns_of(part):
    return part.column_names or list(next(iter(part)))


def mix(parts, sources):
    """Put datasets one after the other, as TRL does, but whatever the form of their `messages`."""
    from datasets import Features, Value, concatenate_datasets

    if len(parts) == 1:
        return parts[0]
    for part, source in zip(parts, sources, strict=True):
        missing = [column for column in ("messages", "type") if column not in columns_of(part)]
        if missing:
            raise ValueError(
                f"the dataset {source.path!r} has no column `{missing[0]}`, only {', '.join(columns_of(part))}; rows need "
                f"`messages` and `type` ('reflection', or 'generation' for plain instruction rows)."
            )
    fractions = [source.fraction for source in sources]
    if any(fraction is not None for fraction in fractions):
        if not all(fractions) or not all(hasattr(part, "__len__") for part in parts):
            raise ValueError("`fraction` must be set, above 0, for every dataset of a mixture, none of which streams.")
        # The largest mixture of these shares that uses no row twice
        total = min(len(part) / fraction for part, fraction in zip(parts, fractions, strict=True))
        parts = [part.select(range(round(f * total))) for part, f in zip(parts, fractions, strict=True)]
    parts = [part.remove_columns([c for c in columns_of(part) if c not in ("messages", "type")]) for part in parts]
    if any(part.features is None or part.features != parts[0].features for part in parts):
        # Only equal columns can be joined: as JSON, all forms of `messages` are one type
        features = Features({"messages": Value("string"), "type": Value("string")})
        parts = [part.map(messages_as_json, features=features) for part in parts]
    return concatenate_datasets(parts)


def messages_as_json(row):
    messages = row["messages"]
    return {"messages": messages if isinstance(messages, str) else json.dumps(messages), "type": row["type"]}


def load_data(script_args, dataset_args, training_args):
    """The rows to train on and, if there is evaluation, the rows to evaluate on."""
    from trl.scripts.utils import DatasetConfig

    if bool(dataset_args.datasets) == bool(script_args.dataset_name):
        raise ValueError("set either `dataset_name`, for one dataset, or `datasets`, for a mixture of several.")
    if dataset_args.datasets:
        sources, streaming = dataset_args.datasets, dataset_args.streaming
    else:
        sources = [
            DatasetConfig(
                script_args.dataset_name, name=script_args.dataset_config, split=script_args.dataset_train_split
            )
        ]
        streaming = script_args.dataset_streaming
    evaluates = training_args.eval_strategy != "no" or training_args.eval_on_start
    size = dataset_args.test_split_size
    if evaluates and size is None and dataset_args.datasets:
        raise ValueError("evaluation of a mixture needs `test_split_size`, or set `eval_strategy` to 'no'.")
    if size is not None and streaming:
        raise ValueError("`test_split_size` does not work with streaming; set it to None.")

    with training_args.main_process_first(desc="loading the data"):
        train = mix([load_part(source, source.split, streaming) for source in sources], sources)
        if size is not None:
            size = int(size) if size >= 1 else size
            try:
                splits = train.train_test_split(test_size=size, seed=training_args.seed)
            except ValueError as error:
                raise ValueError(f"`test_split_size` is {size}, but there are {len(train)} rows: {error}") from error
            return splits["train"], splits["test"] if evaluates else None
        return train, load_part(sources[0], script_args.dataset_test_split, streaming) if evaluates else None


def find_checkpoint(training_args):
    from transformers.trainer_utils import get_last_checkpoint

    checkpoint = training_args.resume_from_checkpoint
    if checkpoint is None or str(checkpoint).lower() == "false":
        return None
    if str(checkpoint).lower() != "true":
        if not Path(checkpoint).is_dir():
            raise ValueError(f"the checkpoint {str(checkpoint)!r} does not exist.")
        return str(checkpoint)
    output_dir = training_args.output_dir
    checkpoint = get_last_checkpoint(output_dir) if Path(output_dir).is_dir() else None
    if checkpoint is None:
        raise ValueError(f"there is no checkpoint in {output_dir!r} to resume from; start without this option.")
    return checkpoint


def make_trainer(script_args, training_args, model_args, dataset_args):
    from trl import get_peft_config, get_quantization_config

    from reflection_trl import ReflectionDistillTrainer

    training_args.model_init_kwargs = {
        "revision": model_args.model_revision,
        "attn_implementation": model_args.attn_implementation,
        "dtype": model_args.dtype,
        **(training_args.model_init_kwargs or {}),
    }
    train_dataset, eval_dataset = load_data(script_args, dataset_args, training_args)
    trainer = ReflectionDistillTrainer(
        model=model_args.model_name_or_path,
        args=training_args,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        quantization_config=get_quantization_config(model_args),
        peft_config=get_peft_config(model_args),
    )
    trainer.dataset_name = hub_names(script_args, dataset_args)  # for the model cards
    return trainer


def hub_names(script_args, dataset_args):
    """The datasets that a model card can link to: those from the Hub, each once."""
    names = [source.path for source in dataset_args.datasets] or [script_args.dataset_name]
    names = dict.fromkeys(names)
    return [name for name in names if not Path(name).exists() and Path(name).suffix not in FILE_FORMATS]


def finish(trainer, seconds):
    """Say what came of it, save model, card, curves and state, and push them."""
    from huggingface_hub.constants import ENDPOINT

    from reflection_trl.training_curves import CURVES_FILE, summarize

    output_dir = trainer.args.output_dir
    trainer.save_state()
    if trainer.is_world_process_zero():
        print(f"\nTrained {trainer.state.global_step} steps in {seconds // 60:.0f} min {seconds % 60:02.0f} s.")
        for label, first, last, note in summarize(trainer.state.log_history):
            print(f"  {label:<28} {first:.3f} -> {last:.3f}   ({note})")
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
        print(f"Curves: install matplotlib and run `python recipes/plot_training.py {output_dir}`")
    if trainer.args.push_to_hub:
        print(f"Hub:    {ENDPOINT}/{trainer.hub_model_id}")
    print(f'Try it: python recipes/answer.py {output_dir} --prompt "Write a Python function that ..."')


def run(argv):
    script_args, training_args, model_args, dataset_args = parse(argv)
    output_dir = Path(training_args.output_dir)
    is_new = not output_dir.exists()
    try:
        checkpoint = find_checkpoint(training_args)
        check_model(model_args, training_args)
        trainer = make_trainer(script_args, training_args, model_args, dataset_args)
        start = time.monotonic()
        try:
            trainer.train(resume_from_checkpoint=checkpoint)
        except USER_ERRORS as error:
            if trainer.state.global_step:  # no longer about the input: show where
                raise RuntimeError(f"training failed after step {trainer.state.global_step}") from error
            raise
    except BaseException:
        # Nothing was trained if nothing was written
        if is_new and not any(path.is_file() for path in output_dir.rglob("*")):
            shutil.rmtree(output_dir, ignore_errors=True)
        raise
    finish(trainer, time.monotonic() - start)
    end(trainer)


def end(trainer):
    import transformers
    from packaging.version import Version

    if Version(transformers.__version__) >= Version("5.18.0"):
        trainer.end()


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if "-h" in argv or "--help" in argv:
        print(__doc__.strip())
        return 0
    try:
        run(argv)
    except USER_ERRORS as error:
        if os.environ.get("REFLECTION_TRL_DEBUG") == "1":
            raise
        message = (
            f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else str(error)
        )
        rank = int(os.environ.get("RANK", 0))
        where = f" (process {rank})" if rank else ""
        print(f"error{where}: {' '.join(message.split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
