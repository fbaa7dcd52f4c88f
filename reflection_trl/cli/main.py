"""Implements the command `reflection-trl`, with one subcommand for each step from problems to published results."""

import difflib
import importlib
import os
import sys

from .. import __version__
from .commands import COMMANDS, usage
from .output import fit_to_terminal, standard_output


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
    with standard_output():
        return run(sys.argv[1:] if argv is None else argv)


def run(argv: list[str]) -> int:
    """Runs the subcommand that the first argument names, or prints help or versions; returns the exit status."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(fit_to_terminal(usage()), end="")
        return 0
    if argv[0] == "--version":
        print(version())
        return 0
    name, *arguments = argv
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(COMMANDS)}."
        print(f"error: Unknown command: `{name}`; {hint}", file=sys.stderr)
        return 1
    command = COMMANDS[name]
    try:
        if command.launches:
            from .launch import launch, split_launch_options

            launch_options, arguments = split_launch_options(arguments)
            if launch_options and not {"-h", "--help"} & set(arguments):  # prints one help, not one per process
                return launch(name, launch_options, arguments)
        code: int = importlib.import_module(f"..{command.module}", __package__).main(arguments)
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    return code
