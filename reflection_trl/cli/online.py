"""Train a code model online: it answers problems, the sandbox runs its answers, and it learns from reward and feedback.

    reflection-trl online --config smollm2-135m/online
    reflection-trl online --config qwen2.5-coder-1.5b/online --accelerate_config ddp --problems my/problems.jsonl

The YAML file sets fields; the command line overrides them. Common options:

    --model_name_or_path    model folder or Hub id
    --problems              files, folders or Hub ids with problems that have tests; in YAML also with `path`, `columns` and so on
    --eval_problems         held-out problems, for the solve rate
    --system_prompt --limit --skip_invalid --decontaminate_against
    --credit                `all`: 1 if all tests pass; `fraction`: the fraction of tests that pass
    --format_weight --length_weight --program_timeout
    --distillation_weight   0 is GRPO, 1 is distillation alone
    --distillation_beta --teacher --teacher_update_rate --trust_region_weight
    --show_feedback --show_peer --show_attempt --teach_passed
    --dynamic_sampling_rounds  rounds of generation that replace groups without a training signal; 0 turns it off
    --repair_failed         sample a second turn for each failed answer; the teacher can read a repair that passes
    --num_generations --max_completion_length --temperature --use_vllm --vllm_mode
    --learning_rate --max_steps --per_device_train_batch_size --gradient_accumulation_steps --seed
    --use_peft --lora_r --lora_alpha --lora_target_modules
    --output_dir            folder of the rollouts, checkpoints, the model and the plot
    --resume_from_checkpoint   `true` for the newest complete checkpoint in output_dir, or the folder of a checkpoint

`--help-all` lists every field with its default. Invalid input prints a one-line error and exits with status 1; set
REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..files.rows import check_source
from ..sandbox import SandboxError
from .command_line import (
    check_model_name,
    keep_compiled_code,
    make_parser,
    parse_options,
    read_benchmarks,
    run_command,
)
from .problem_sources import read_problems, source_paths
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


logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from trl import ModelConfig, TrlParser

    from .. import OnlineReflectionDistillConfig, OnlineReflectionDistillTrainer


NO_MODEL = "No model specified: pass `--model_name_or_path`, or a recipe with `--config`, such as smollm2-135m/online."


@dataclass
class OnlineArguments:
    """
    Arguments for problems and rewards of online training.

    Args:
        problems (`list[str]`, *optional*, defaults to `[]`):
            Files, folders or Hub ids with problems; in YAML also with `path`, `columns`, `split` and so on, as in `build`.
        eval_problems (`list[str]`, *optional*, defaults to `[]`):
            Held-out problems.
        system_prompt (`str`, *optional*):
            System message of each prompt.
        limit (`int`, *optional*):
            Train on the first `limit` problems only.
        skip_invalid (`bool`, *optional*, defaults to `False`):
            Skip problems without tests and invalid rows, with a warning.
        decontaminate_against (`list[str]`, *optional*, defaults to `["humaneval", "mbpp"]`):
            Benchmarks whose tasks are removed from the problems; `none` to keep everything.
        credit (`str`, *optional*, defaults to `"all"`):
            `"all"` or `"fraction"`.
        format_weight (`float`, *optional*, defaults to `0.0`):
            Weight of code in one closed fence.
        length_weight (`float`, *optional*, defaults to `0.0`):
            Weight of the soft overlong punishment.
        program_timeout (`float`, *optional*):
            Time limit of a program, in seconds.
    """

    problems: list[str] = field(
        default_factory=list, metadata={"help": "Files, folders or Hub ids with problems that have tests."}
    )
    eval_problems: list[str] = field(
        default_factory=list, metadata={"help": "Held-out problems, for the solve rate of `eval_strategy`."}
    )
    system_prompt: str | None = field(default=None, metadata={"help": "System message of each prompt."})
    limit: int | None = field(default=None, metadata={"help": "Train on the first so many problems only."})
    skip_invalid: bool = field(
        default=False, metadata={"help": "Leave out problems without tests and invalid rows, with a warning."}
    )
    decontaminate_against: list[str] = field(
        default_factory=lambda: ["humaneval", "mbpp"],
        metadata={"help": "Benchmarks whose tasks are removed from the problems; 'none' to keep everything."},
    )
    credit: Literal["all", "fraction"] = field(
        default="all",
        metadata={
            "help": "Reward: 'all', 1 where all tests pass, or 'fraction', the fraction that passes.",
        },
    )
    format_weight: float = field(
        default=0.0, metadata={"help": "Weight of 1 for code in one closed fence of the problem's language."}
    )
    length_weight: float = field(
        default=0.0, metadata={"help": "Weight of DAPO's soft overlong punishment, from 0 down to -1."}
    )
    program_timeout: float | None = field(
        default=None, metadata={"help": "Seconds that a program may take; by default what its language needs."}
    )


def online_parser() -> "TrlParser":
    from trl import ModelConfig

    from .. import OnlineReflectionDistillConfig

    return make_parser((OnlineArguments, OnlineReflectionDistillConfig, ModelConfig), "reflection-trl online")


def parse(argv: list[str]) -> "tuple[OnlineArguments, OnlineReflectionDistillConfig, ModelConfig]":
    online_args, training_args, model_args = parse_options(online_parser(), argv)
    return online_args, training_args, model_args


def check(
    online_args: OnlineArguments, training_args: "OnlineReflectionDistillConfig", model_args: "ModelConfig"
) -> None:
    """Checks the arguments that are missing most often, before anything is loaded. The model may not exist yet."""
    if model_args.model_name_or_path is None:
        raise ValueError(NO_MODEL)
    if not online_args.problems:
        raise ValueError("No problems specified: pass `--problems` with files, folders or Hub ids.")
    evaluates = training_args.eval_strategy != "no" or training_args.eval_on_start
    if evaluates and not online_args.eval_problems:
        raise ValueError(
            "Evaluation needs `eval_problems`; pass some, or set `eval_strategy` to 'no' and `eval_on_start` to false."
        )
    if online_args.eval_problems and not evaluates:
        logger.warning("`eval_problems` are not used: set `eval_strategy` or `eval_on_start` to evaluate on them.")
    if online_args.program_timeout is not None and online_args.program_timeout <= 0:
        raise ValueError(f"`program_timeout` must be above 0, got {online_args.program_timeout}.")
    if online_args.limit is not None and online_args.limit < 1:
        raise ValueError(
            f"`limit` must be at least 1, got {online_args.limit}; leave it out to train on all problems."
        )
    for option, sources in (("problems", online_args.problems), ("eval_problems", online_args.eval_problems)):
        for path in source_paths(sources, option):
            check_source(path)


def read_arguments(argv: list[str]) -> "tuple[OnlineArguments, OnlineReflectionDistillConfig, ModelConfig]":
    """Parses and checks all arguments."""
    if not argv:  # checked before the imports, which take seconds
        raise ValueError(NO_MODEL)
    keep_compiled_code()
    hide_renamed_option()
    online_args, training_args, model_args = parse(argv)
    check(online_args, training_args, model_args)
    return online_args, training_args, model_args


def load_data(online_args: OnlineArguments) -> tuple[Any, Any]:
    """Returns the rows to train on, without benchmarks, and the rows to evaluate on."""
    from ..builder import prepare_problems
    from ..online import load_problems_for_rl

    limit, skip_invalid = online_args.limit, online_args.skip_invalid
    problems = read_problems(online_args.problems, limit=limit, skip_invalid=skip_invalid)[:limit]
    against = read_benchmarks(online_args.decontaminate_against)
    if against:
        problems, report = prepare_problems(problems, decontaminate_against=against, near_duplicate_threshold=None)
        print(report.summary())
    options: dict[str, Any] = {
        "system_prompt": online_args.system_prompt,
        "skip_invalid": skip_invalid,
    }
    train_dataset = load_problems_for_rl(problems, **options)
    if not online_args.eval_problems:
        return train_dataset, None
    held_out = read_problems(online_args.eval_problems, skip_invalid=skip_invalid)
    return train_dataset, load_problems_for_rl(held_out, **options)


def check_model(model_args: "ModelConfig", training_args: "OnlineReflectionDistillConfig") -> None:
    """Checks that the model exists and has a chat template before its weights are loaded."""
    name = model_name(model_args)
    check_model_name(name)
    if not load_tokenizer(model_args, training_args.trust_remote_code).chat_template:
        raise ValueError(
            f"The tokenizer of {name!r} has no chat template to write prompts with; use an instruct model."
        )


def make_trainer(
    online_args: OnlineArguments, training_args: "OnlineReflectionDistillConfig", model_args: "ModelConfig"
) -> "OnlineReflectionDistillTrainer":
    from trl import get_peft_config, get_quantization_config

    from .. import OnlineReflectionDistillTrainer, execution_reward
    from ..sandbox import Limits

    set_model_options(training_args, model_args)
    train_dataset, eval_dataset = load_data(online_args)
    timeout = online_args.program_timeout
    reward = execution_reward(
        online_args.credit,
        format_weight=online_args.format_weight,
        length_weight=online_args.length_weight,
        max_completion_length=training_args.max_completion_length if online_args.length_weight else None,
        limits=None if timeout is None else Limits(timeout=timeout),
    )
    with explain_model_errors(model_args):
        return OnlineReflectionDistillTrainer(
            model=model_name(model_args),
            reward_funcs=reward,
            args=training_args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            quantization_config=get_quantization_config(model_args),
            peft_config=get_peft_config(model_args),
        )


def finish(trainer: "OnlineReflectionDistillTrainer", seconds: float) -> None:
    """Prints a summary, and saves model, card, curves and state."""
    from ..online.curves import summarize_online

    output_dir = output_dir_of(trainer.args)
    trainer.save_state()
    trainer.save_model(output_dir)
    curves = trainer.draw_curves() if trainer.is_world_process_zero() else None
    trainer.create_model_card()
    if trainer.args.push_to_hub:
        trainer.push_to_hub()
    if not trainer.is_world_process_zero():
        return
    print(f"\nTrained {trainer.state.global_step} steps in {seconds // 60:.0f} min {seconds % 60:02.0f} s.")
    for row in summarize_online(trainer.state.log_history):
        print(f"  {row}")
    print(f"Model:    {output_dir}")
    print(f"Rollouts: reflection-trl browse {output_dir}")
    print(f"Curves:   {curves}" if curves else "Curves:   run `pip install matplotlib` to plot them")


def run(argv: list[str]) -> None:
    if "--help-all" in argv:
        print(online_parser().format_help(), end="")
        return
    online_args, training_args, model_args = read_arguments(argv)
    output_dir = Path(output_dir_of(training_args))
    with output_folder(output_dir):
        checkpoint = find_checkpoint(training_args)
        check_setup(training_args, model_args)
        check_model(model_args, training_args)
        trainer = make_trainer(online_args, training_args, model_args)
        start = time.monotonic()
        memory = (
            "`max_completion_length` or `vllm_gpu_memory_utilization`"
            if training_args.use_vllm
            else "`max_completion_length`"
        )
        run_training(trainer, checkpoint, memory)
    finish(trainer, time.monotonic() - start)
    trainer.end()


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv, (*USER_ERRORS, SandboxError))
