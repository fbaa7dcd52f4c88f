"""Fine-tune a code model with reflection self-distillation.

    reflection-trl train --config smollm2-135m/distill
    reflection-trl train --config qwen2.5-coder-1.5b/distill --accelerate_config ddp --num_processes 8
    accelerate launch --config_file recipes/accelerate/zero2.yaml recipes/train.py --config FILE [--FIELD VALUE ...]

The YAML file sets fields; the command line overrides them. Common options:

    --model_name_or_path  model folder or Hub id
    --dataset_name        JSON, JSON Lines or Parquet file, or Hub id; rows have `messages`, or
                          `prompt` and `completion`; reflection rows have `type: reflection`
    --datasets            mixture of several datasets; in YAML with `path`, `split`, `fraction`, `type` and so on
    --test_split_size     number or share of rows to hold out for evaluation if the data has no test split
    --output_dir          folder of the checkpoints, the model and the plot
    --learning_rate --num_train_epochs --max_steps --max_length --seed
    --per_device_train_batch_size --gradient_accumulation_steps --token_budget
    --mask_strategy --mask_order --mask_schedule --mask_rate_start --mask_rate_end
    --sequence_loss_weight --student_loss_weight --distillation_weight --beta --temperature --teacher
    --use_peft --lora_r --lora_alpha --lora_target_modules --load_in_4bit
    --merge               after LoRA: also write the merged model, which does not need `peft`, to OUTPUT_DIR-merged
    --eval_strategy --eval_steps --eval_on_start --save_steps --report_to
    --resume_from_checkpoint   `true` for the newest complete checkpoint in output_dir, or the folder of a checkpoint
    --push_to_hub --hub_model_id

`--help-all` lists every field with its default. Invalid input prints a one-line error and exits with status 1; set
REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import json
import os
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .command_line import (
    check_model_name,
    check_options,
    keep_compiled_code,
    make_parser,
    parse_options,
    read_config_file,
    run_command,
    split_config,
)
from .training_run import (
    USER_ERRORS,
    check_setup,
    explain_model_errors,
    find_checkpoint,
    hide_renamed_option,
    load_tokenizer,
    model_name,
    output_dir_of,
    output_folder,
    run_training,
    set_model_options,
)


if TYPE_CHECKING:
    from trl import ModelConfig, ScriptArguments, TrlParser

    from .. import ReflectionDistillConfig, ReflectionDistillTrainer
    from .train_data import MixtureArguments


NO_MODEL = (
    "`model_name_or_path` is not set; give a model folder or a Hub id, or a recipe with `--config`, such as "
    "recipes/smollm2-135m/distill.yaml."
)


@dataclass
class MergeArguments:
    """Arguments for the files that are written in addition to the adapter."""

    merge: bool = field(
        default=False,
        metadata={"help": "After LoRA, also write the merged model, which needs no `peft`, into `output_dir`-merged."},
    )


def train_parser() -> "TrlParser":
    from trl import ModelConfig, ScriptArguments

    from .. import ReflectionDistillConfig
    from .train_data import MixtureArguments

    return make_parser(
        (ScriptArguments, ReflectionDistillConfig, ModelConfig, MixtureArguments, MergeArguments),
        "reflection-trl train",
    )


def parse(
    argv: list[str],
) -> "tuple[ScriptArguments, ReflectionDistillConfig, ModelConfig, MixtureArguments, MergeArguments]":
    script_args, training_args, model_args, dataset_args, merge_args = parse_options(train_parser(), argv)
    return script_args, training_args, model_args, dataset_args, merge_args


def check_names(argv: list[str]) -> None:
    """Checks that a model and data are given, the most frequent omission, before any value and without the Hub."""
    argv = split_config(argv)
    # Checked before the imports, which take seconds
    read_config_file(argv)
    if not argv:
        raise ValueError(NO_MODEL)

    from trl import ModelConfig, ScriptArguments

    from ..files.rows import check_source
    from .train_data import MixtureArguments, check_sources

    check_options(train_parser(), argv)
    check_sources(read_config_file(argv).get("datasets"))
    parser = make_parser((ScriptArguments, ModelConfig, MixtureArguments), "reflection-trl train")
    script_args, model_args, dataset_args, _ = parser.parse_args_and_config(argv, return_remaining_strings=True)
    if model_args.model_name_or_path is None:
        raise ValueError(NO_MODEL)
    check_model_name(model_args.model_name_or_path)
    if bool(dataset_args.datasets) == bool(script_args.dataset_name):
        raise ValueError("Set either `dataset_name`, for one dataset, or `datasets`, for a mixture of several.")
    if dataset_args.datasets:
        for name, fix in (
            ("dataset_config", "give each of `datasets` its `name` in the YAML file"),
            ("dataset_train_split", "give each of `datasets` its `split` in the YAML file"),
            ("dataset_test_split", "hold out rows of a mixture with `test_split_size`"),
        ):
            if getattr(script_args, name) != ScriptArguments.__dataclass_fields__[name].default:
                raise ValueError(f"`{name}` belongs to `dataset_name`; {fix}.")
    for source in dataset_args.datasets:
        if source.data_files is None:
            check_source(source.path)
    if script_args.dataset_name:
        check_source(script_args.dataset_name)


def check_template(model_args: "ModelConfig", training_args: "ReflectionDistillConfig") -> None:
    """Checks that the model exists and that there is a chat template before its weights are loaded."""
    from ..files.model_folder import check_exists
    from ..rendering import ChatTemplateRenderer

    template = training_args.chat_template_path
    if template is not None:
        if Path(template).suffix in (".jinja", ".j2") and not Path(template).is_file():
            raise ValueError(f"The chat template {template!r} does not exist; paths start from {os.getcwd()}.")
        check_exists("chat template", template)
    tokenizer = load_tokenizer(model_args, training_args.trust_remote_code)
    if not (tokenizer.chat_template or template or training_args.rendering == "block-token"):
        ChatTemplateRenderer(tokenizer)  # whose message contains the fix


def make_trainer(
    script_args: "ScriptArguments",
    training_args: "ReflectionDistillConfig",
    model_args: "ModelConfig",
    dataset_args: "MixtureArguments",
) -> "ReflectionDistillTrainer":
    from trl import get_peft_config, get_quantization_config

    from .. import ReflectionDistillTrainer
    from .train_data import data_sources, load_data

    set_model_options(training_args, model_args)
    train_dataset, eval_dataset = load_data(script_args, dataset_args, training_args)
    with explain_model_errors(model_args):
        trainer = ReflectionDistillTrainer(
            model=model_name(model_args),
            args=training_args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            quantization_config=get_quantization_config(model_args),
            peft_config=get_peft_config(model_args),
        )
    # For the model cards, without duplicates
    trainer.dataset_name = list(dict.fromkeys(source.path for source in data_sources(script_args, dataset_args)))
    return trainer


def check_merge(merge_args: MergeArguments, model_args: "ModelConfig", output_dir: str) -> None:
    """Rejects `--merge` before training if there is no adapter to merge, or the target folder exists."""
    if not merge_args.merge:
        return
    if not model_args.use_peft:
        raise ValueError("`merge` is set, but no adapter is trained; set `use_peft` too, or remove `merge`.")
    folder = Path(merged_dir(output_dir))
    if folder.exists():
        raise ValueError(f"`merge` writes into {str(folder)!r}, which exists; remove it, or set another `output_dir`.")


def check_merged(trainer: "ReflectionDistillTrainer") -> None:
    """Checks before training that the merged model can be saved."""
    from peft import PeftModel

    from ..training.model_parts import base_model
    from ..training.modeling import check_generation_config

    assert isinstance(trainer.model, PeftModel)  # see `check_merge`
    check_generation_config(base_model(trainer.model))


def merged_dir(output_dir: str) -> str:
    # A sibling of the folder, since everything in the folder is uploaded
    return f"{output_dir.rstrip('/')}-merged"


def merge(trainer: "ReflectionDistillTrainer") -> None:
    """Writes the merged model in the first process; the others wait."""
    from peft import PeftModel

    from ..training.adapters import merge_adapter
    from ..training.model_parts import base_model

    output_dir = output_dir_of(trainer.args)
    model = trainer.model
    assert isinstance(model, PeftModel)  # see `check_merge`
    if trainer.is_world_process_zero():
        merge_adapter(
            output_dir,
            merged_dir(output_dir),
            base_model(model).generation_config,
            trainer.args.trust_remote_code,
        )
    trainer.accelerator.wait_for_everyone()


def finish(trainer: "ReflectionDistillTrainer", seconds: float, merges: bool = False) -> None:
    """Saves model, card, curves and state, prints a summary, and pushes them; with `merges` the merged model too."""
    from huggingface_hub.constants import ENDPOINT

    from ..training.curves import CURVES_FILE, summarize

    output_dir = output_dir_of(trainer.args)
    trainer.save_state()
    if not trainer.args.push_to_hub:
        trainer.save_model(output_dir)
        trainer.create_model_card()
    if trainer.is_world_process_zero():
        print(f"\nTrained {trainer.state.global_step} steps in {seconds // 60:.0f} min {seconds % 60:02.0f} s.")
        args = trainer.args
        for row in summarize(trainer.state.log_history, args.mask_strategy, args.distillation_weight):
            print(f"  {row}")
    if trainer.args.push_to_hub:
        trainer.push_to_hub(dataset_name=trainer.dataset_name)  # saves everything first
    if merges:
        merge(trainer)
    if not trainer.is_world_process_zero():
        return
    print(f"Model:  {output_dir}")
    if merges:
        print(f"Merged: {merged_dir(output_dir)}")
    if (Path(output_dir) / CURVES_FILE).exists():
        print(f"Curves: {Path(output_dir) / CURVES_FILE}")
    else:
        print(f"Curves: run `pip install matplotlib`, then `reflection-trl plot {output_dir}`")
    if trainer.args.push_to_hub:
        print(f"Hub:    {ENDPOINT}/{trainer.hub_model_id}")
    variables = trainer.args.chat_template_kwargs
    template = f" --chat_template_kwargs {shlex.quote(json.dumps(variables))}" if variables else ""
    print(f'Try it: reflection-trl answer {output_dir}{template} --prompt "Write a Python function that ..."')


def run(argv: list[str]) -> None:
    if "--help-all" in argv:
        print(train_parser().format_help(), end="")
        return
    keep_compiled_code()
    check_names(argv)
    hide_renamed_option()

    from ..files.rows import name_bad_line
    from .train_data import streamed_sources

    script_args, training_args, model_args, dataset_args, merge_args = parse(argv)
    output_dir = Path(output_dir_of(training_args))
    with output_folder(output_dir):
        checkpoint = find_checkpoint(training_args)
        check_setup(training_args, model_args)
        check_merge(merge_args, model_args, str(output_dir))
        check_template(model_args, training_args)
        sources = streamed_sources(script_args, dataset_args)
        with name_bad_line(sources):
            trainer = make_trainer(script_args, training_args, model_args, dataset_args)
        if merge_args.merge:
            check_merged(trainer)
        start = time.monotonic()
        run_training(trainer, checkpoint, "`max_length`", sources)
    finish(trainer, time.monotonic() - start, merge_args.merge)
    trainer.end()


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv, USER_ERRORS)
