"""Starts a command as several processes, through accelerate's own launcher."""

import sys
from pathlib import Path

from ..files.packaged import packaged


# Options of `accelerate launch` that are accepted among a command's own, each with one value
LAUNCH_OPTIONS = (
    "--accelerate_config",
    "--num_processes",
    "--num_machines",
    "--machine_rank",
    "--main_process_ip",
    "--main_process_port",
    "--gpu_ids",
)


def split_launch_options(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """
    Separates the launcher's options from a command line.

    Args:
        argv (`list[str]`):
            Arguments of a command, its launch options among them as `--num_processes 8` or `--num_processes=8`.

    Returns:
        `tuple[dict[str, str], list[str]]`: Launch options and their values; all other arguments, in order.
    """
    options: dict[str, str] = {}
    rest: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        name, equals, value = argument.partition("=")
        name = name.replace("-", "_").replace("__", "--", 1) if name.startswith("--") else name
        if name not in LAUNCH_OPTIONS:
            rest.append(argument)
            continue
        options[name] = value if equals else next(arguments, "")
    return options, rest


def accelerate_config(name: str) -> Path:
    """
    Returns the file of an accelerate configuration.

    Args:
        name (`str`):
            A YAML file, or the name of a configuration that comes with the package: ddp, fsdp2, zero1, zero2, zero3.
    """
    if Path(name).is_file():
        return Path(name)
    path = packaged(f"recipes/accelerate/{name.removeprefix('recipes/accelerate/').removesuffix('.yaml')}.yaml")
    if path is None:
        folder = packaged("recipes/accelerate")
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) if folder else "none"
        raise ValueError(f"--accelerate_config {name!r}: give a YAML file or one of {known}.")
    return path


def launch(command: str, options: dict[str, str], argv: list[str]) -> int:
    """
    Runs a command in the processes that accelerate starts.

    Args:
        command (`str`):
            Name of the command.
        options (`dict[str, str]`):
            Launch options, as [`split_launch_options`] returns them.
        argv (`list[str]`):
            The command's own arguments.

    Returns:
        `int`: Exit status.
    """
    launcher = []
    try:
        for name, value in options.items():
            if not value:
                raise ValueError(f"{name} needs a value.")
            if name == "--accelerate_config":
                launcher += ["--config_file", str(accelerate_config(value))]
            else:
                launcher += [name, value]
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    from accelerate.commands.launch import launch_command, launch_command_parser

    arguments = launch_command_parser().parse_args([*launcher, "-m", "reflection_trl", command, *argv])
    try:
        launch_command(arguments)
    except SystemExit as end:  # the processes have printed the cause
        return end.code if isinstance(end.code, int) else 1
    return 0
