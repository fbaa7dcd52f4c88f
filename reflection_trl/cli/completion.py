"""Completes commands, options and names of recipes in the shell, with argcomplete.

To enable it, add `eval "$(register-python-argcomplete reflection-trl)"` to the start-up file of the shell.
"""

import argparse
import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

from ..files.packaged import packaged, recipe_names
from .commands import COMMANDS
from .launch import LAUNCH_OPTIONS


def options_of(module: str) -> list[str]:
    """Returns the options that a command's help names or its parser adds, read from its file without importing it."""
    spec = importlib.util.find_spec(f"reflection_trl.{module}")
    if spec is None or spec.origin is None:
        return []
    source = Path(spec.origin).read_text(encoding="utf-8")
    text = re.sub(r"accelerate launch .*", "", ast.get_docstring(ast.parse(source)) or "")  # of another command
    named = re.findall(r"--[a-z]\w+", text)
    return sorted({*named, *re.findall(r"add_argument\(\s*\"(--\w+)", source)})


def completing_parser() -> argparse.ArgumentParser:
    """Returns a parser that knows the names of all commands and options, but not their types."""
    parser = argparse.ArgumentParser(prog="reflection-trl", add_help=False)
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, add_help=False)
        options = set(options_of(command.module)) | (set(LAUNCH_OPTIONS) if command.launches else set())
        for option in sorted(options | {"--help"}):
            action: Any = added.add_argument(option)
            if option == "--config":
                action.completer = lambda **_: [recipe.removesuffix(".yaml") for recipe in recipe_names()]
            elif option == "--accelerate_config":
                folder = packaged("recipes/accelerate")
                names = sorted(file.stem for file in folder.glob("*.yaml")) if folder else []
                action.completer = lambda names=names, **_: names
        added.add_argument("files", nargs="*")
    return parser


def complete() -> None:
    """Answers the shell's request for completions and ends the process."""
    import argcomplete

    argcomplete.autocomplete(completing_parser())
