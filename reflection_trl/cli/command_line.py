"""Parses options from a YAML file and the command line, with one-line errors, for all commands."""

import argparse
import difflib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..files.packaged import find_recipe, recipe_names, resolve_arguments, resolve_packaged
from ..quoting import quote_error
from .output import fit_to_terminal, standard_output


if TYPE_CHECKING:
    from trl import TrlParser

    from ..generation import GenerationArguments

USER_ERRORS = (ImportError, OSError, RuntimeError, TypeError, ValueError)
# As a shell reports a program that SIGPIPE ended, and so as of other programs before `| head`
CLOSED_PIPE = 128 + 13
# Explanations that argparse's errors lack
FIXES = {
    "invalid int value": "; give a whole number.",
    "invalid float value": "; give a number, such as 0.5 or 1e-5.",
    "expected (one|at least one) argument": "; write its value behind it.",
    "invalid choice: '[^']*,": "; several are given with spaces between, not commas.",
    "are required": "; see `--help`.",
}
# Names of options in other commands and tools that resemble the wrong one here
SYNONYMS = {
    "model": "model_name_or_path",
    "lr": "learning_rate",
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "lora_rank": "lora_r",
    "n_samples": "samples_per_task",
    "tasks": "benchmarks",
}


def make_parser(fields: type | tuple[type, ...], prog: str) -> "TrlParser":
    """Returns a parser of a dataclass, or of several, that raises instead of printing its usage."""
    import yaml
    from transformers.hf_argparser import DataClassType
    from trl import TrlParser

    class OptionsParser(TrlParser):
        def parse_args_and_config(self, args: Any = None, *rest: Any, **kwargs: Any) -> Any:
            """Reads `--config` with [`read_config_file`], which also finds the packaged recipes."""
            args = resolve_arguments(sys.argv[1:] if args is None else args)
            if "--config" not in args:
                return super().parse_args_and_config(args, *rest, **kwargs)
            with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
                yaml.safe_dump(as_arguments(read_config_file(args), self._actions), file, sort_keys=False)
                file.flush()
                args[args.index("--config") + 1] = file.name
                return super().parse_args_and_config(args, *rest, **kwargs)

        def error(self, message: str) -> NoReturn:
            fail(message)

    classes = fields if isinstance(fields, tuple) else (fields,)
    return OptionsParser([DataClassType(one) for one in classes], prog=prog, allow_abbrev=False)


class Parser(argparse.ArgumentParser):
    """Parses a few arguments, and raises an error instead of printing its usage."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        fail(message)

    def parse(self, argv: list[str]) -> argparse.Namespace:
        check_options(self, argv)
        return self.parse_args(argv)


def fail(message: str) -> NoReturn:
    # `argument --mask_order/--mask-order: ...`: each option has both spellings
    message = re.sub(r"^argument (--\w+)(/--[\w-]+)*", r"\1", message)
    fix = next((fix for what, fix in FIXES.items() if re.search(what, message)), "")
    raise ValueError(message + fix)


def check_model_name(name: str) -> None:
    """Rejects a folder that contains no model; for the first recipes' model, the error shows how to create it."""
    from ..files.model_folder import check_model_folder

    try:
        check_model_folder(name)
    except ValueError as error:
        if Path(name).name == "smollm2-135m-instruct":
            raise ValueError(f"{error} Create it with `reflection-trl embedded-model {name}`.") from error
        raise


def check_model(arguments: "GenerationArguments", output_dir: str) -> None:
    """
    Rejects a missing model folder before problems or benchmarks are read. In the folder of an earlier run all answers may
    exist, which needs no model.
    """
    if arguments.base_url is None and arguments.backend != "endpoint" and not Path(output_dir).exists():
        check_model_name(arguments.model)


def read_config_file(argv: list[str]) -> dict[str, Any]:
    """Returns the fields in the YAML file, or the packaged recipe, that `--config` names."""
    import yaml

    if "--config" not in argv:
        return {}
    if argv[-1] == "--config":
        raise ValueError("--config needs the name of a YAML file.")
    file = argv[argv.index("--config") + 1]
    path = find_recipe(file)
    if path is None:
        near = difflib.get_close_matches(file.removeprefix("recipes/"), recipe_names(), n=1)
        folders = dict.fromkeys(name.partition("/")[0] for name in recipe_names())
        folders.pop("accelerate", None)  # for `--accelerate_config`
        fix = (
            f"did you mean {near[0]}?"
            if near
            else f"recipes are FOLDER/FILE, with FOLDER one of {', '.join(folders)}."
        )
        raise ValueError(f"--config {file!r}: no such file in {os.getcwd()}, and no such recipe; {fix}")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark, error.problem or error.context or str(error)
        tab = "; indent with spaces, not tabs" if "\\t" in problem else ""
        where = f" (line {mark.line + 1}, column {mark.column + 1}){tab}" if mark else tab
        raise ValueError(f"{file} is not a YAML file: {problem}{where}.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} is not a YAML file: {quote_error(error)}.") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} must contain fields and values, such as `learning_rate: 1.0e-5`.")
    fields: dict[str, Any] = resolve_packaged(config)
    return fields


def as_arguments(config: dict[str, Any], actions: Iterable[argparse.Action]) -> dict[str, Any]:
    """
    Returns the values of a YAML file as the command line would give them: numbers as text, which the parser converts and checks, and
    one value of an option that takes several as a list.

    Args:
        config (`dict[str, Any]`):
            Fields of the file.
        actions (`Iterable[argparse.Action]`):
            Options of the parser.
    """
    options = {action.dest: action for action in actions}

    def as_argument(name: str, value: Any) -> Any:
        option = options.get(name)
        if option is None or isinstance(value, list):
            return value
        if option.nargs == "+":
            return [value] if value is not None else value if option.default is None else []
        is_number = isinstance(value, (int, float)) and option.type in (int, float, str)
        return str(value) if is_number else value

    return {name: as_argument(name, value) for name, value in config.items()}


def check_name(what: str, name: str, known: Collection[str]) -> None:
    """Raises an error that suggests the closest name if a name is unknown."""
    if name not in known:
        synonym = SYNONYMS.get(name.replace("-", "_"))
        near = (
            [synonym]
            if synonym in known
            else [other for other in known if other.startswith(name)] or difflib.get_close_matches(name, known, n=1)
        )
        raise ValueError(f"Unknown {what}: `{name}`; " + (f"did you mean `{near[0]}`?" if near else "see `--help`."))


def read_benchmarks(names: Sequence[str]) -> list[str]:
    """Returns the benchmarks of `--decontaminate_against`, of which `none` names no benchmark."""
    if "none" in names and len(names) > 1:
        others = " ".join(name for name in names if name != "none")
        raise ValueError(
            f"`--decontaminate_against` names `none`, which leaves the comparison out, and also {others}: give one or the other."
        )
    return [name for name in names if name != "none"]


def split_config(argv: list[str]) -> list[str]:
    """Splits `--config=FILE` into two arguments, as TRL's parser requires."""
    return [part for arg in argv for part in (arg.split("=", 1) if arg.startswith("--config=") else [arg])]


def check_options(parser: argparse.ArgumentParser, argv: list[str]) -> None:
    """Raises an error that suggests the closest name if the YAML file or the command line has an unknown one."""
    for key in read_config_file(argv):
        check_name("key in the YAML file", key, [*(action.dest for action in parser._actions), "env"])
    known = [option.removeprefix("--") for option in parser._option_string_actions if option.startswith("--")]
    for arg in argv:
        name = arg.lstrip("-").split("=")[0]
        if arg.startswith("--"):
            check_name("option", name, [*known, "config"])
        elif arg.startswith("-") and name in known:
            raise ValueError(f"Unknown option: `-{name}`; did you mean `--{name}`?")


def parse_options(parser: "TrlParser", argv: list[str]) -> list[Any]:
    """
    Returns the parser's dataclasses, filled from the YAML file and the command line. Every name is checked before any
    value.
    """
    argv = split_config(argv)
    check_options(parser, argv)
    *filled, rest = parser.parse_args_and_config(argv, return_remaining_strings=True)
    if rest:
        raise ValueError(f"{rest[0]!r} does not belong to any option: see `--help`.")
    return filled


def keep_compiled_code() -> None:
    """
    Sets torch's compilation cache to a folder beside the cached models, unless `TORCHINDUCTOR_CACHE_DIR` is set. Must
    be called before torch is imported.

    The keys of the cache are the code, torch's version and the device. Its default is the temporary folder, which a
    container loses.
    """
    from huggingface_hub.constants import HF_HOME

    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(HF_HOME, "torchinductor"))


def log_to_terminal(process: int = 0) -> None:
    """
    Shows what this package reports and the warnings of other libraries, in the first process; in the others, errors.

    Args:
        process (`int`, *optional*, defaults to `0`):
            Rank of this process.
    """
    logging.basicConfig(level=logging.ERROR if process else logging.WARNING, format="%(message)s")
    logging.getLogger("reflection_trl").setLevel(logging.ERROR if process else logging.INFO)


def check_token(option: str) -> None:
    """
    Raises an error before the work, not after it, if this machine has no Hub token, or the Hub rejects it.

    An unreachable Hub raises no error: it may be reachable when the work is done, and uploads are kept until then.
    """
    from huggingface_hub import get_token, whoami
    from huggingface_hub.errors import HfHubHTTPError

    if not get_token():
        raise ValueError(f"`{option}` needs a Hub token; run `hf auth login`, or set HF_TOKEN.")
    try:
        whoami()
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code == 401:
            raise ValueError(
                f"`{option}`: the Hub rejects this machine's token; run `hf auth login` again, or set HF_TOKEN."
            ) from None
    except Exception:  # offline, or no connection: each HTTP client has its own errors
        pass


def run_command(
    run: Callable[[list[str]], None],
    doc: str,
    argv: list[str] | None = None,
    user_errors: tuple[type[Exception], ...] = USER_ERRORS,
) -> int:
    """
    Runs a recipe. Invalid input prints a one-line error and exits with status 1; REFLECTION_TRL_DEBUG=1 shows the
    traceback. Errors of other types than `user_errors` always show it.
    """
    argv = sys.argv[1:] if argv is None else argv
    if "-h" in argv or "--help" in argv:
        with standard_output():
            print(fit_to_terminal(doc.strip()))
        return 0
    rank = int(os.environ.get("RANK", 0))
    try:
        with standard_output(CLOSED_PIPE):
            run(argv)
    except KeyboardInterrupt as interrupt:
        if not rank:
            kept = str(interrupt) or "Results are kept: run the same command to resume."
            print(f"\nInterrupted. {kept}", file=sys.stderr)
        return 130
    except user_errors as error:
        if os.environ.get("REFLECTION_TRL_DEBUG") == "1":
            raise
        message = str(error)
        if isinstance(error, OSError) and error.filename:
            message = f"{error.strerror}: {error.filename}"
        print(f"error{f' (process {rank})' if rank else ''}: {' '.join(message.split())}", file=sys.stderr)
        return 1
    return 0
