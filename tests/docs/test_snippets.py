"""Every snippet of the README and of `docs/` runs: Python page by page on small stand-ins, commands through their real parsers."""

import argparse
import contextlib
import importlib
import importlib.util
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from reflection_trl.cli.commands import COMMANDS
from reflection_trl.cli.launch import accelerate_config, split_launch_options
from reflection_trl.cli.main import main
from reflection_trl.sandbox import Sandbox, SandboxUnavailableError

from .conftest import BUILD, ROOT, write_stand_in


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECIPE_PAGES = [*sorted((ROOT / "recipes").rglob("README.md")), ROOT / "dataset_cards" / "reflection-sample.md"]
OUTPUT = ("", "text")  # what a command printed, a folder's content: not to be run
COMMAND = re.compile(r"^\$? ?(accelerate|export|hf|make|pip|python|reflection-trl)\b", re.MULTILINE)
# Pages that run programs which a model wrote
SANDBOXED = ("README", "building", "distributed", "evaluation", "gap", "hub", "languages", "online")
# Packages that pages install by name: none is an extra of ours
PACKAGES = ("deepspeed", "flash-attn", "ray", "tensorboard", "torchao", "trackio", "vllm", "wandb")
# Servers of others: what a page starts, the same page asks
SERVERS = {"vllm": ("serve",), "llama-server": (), "python": ("-m", "sglang.launch_server")}


@dataclass(frozen=True)
class Snippet:
    page: Path
    line: int  # of the page, where the code begins
    language: str
    code: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(page):
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    return [
        Snippet(page, t.map[0] + 2, t.info.strip(), t.content) for t in tokens if t.type in ("fence", "code_block")
    ]


def commands(code):
    """The words of each command; comments are left out, lines that a backslash ends are joined."""
    lines = code.replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page)], ids=lambda page: page.stem)
def test_every_snippet_runs(page, workplace, model_server, environment, client, monkeypatch):
    if page.stem in SANDBOXED:
        try:
            with Sandbox(workers=1):
                pass
        except SandboxUnavailableError as error:
            pytest.skip(str(error))
    if page.stem == "hub":  # goes on with the rows of this one
        write_stand_in("recipes/qwen2.5-coder-1.5b/build.yaml", BUILD)
    names: dict[str, Any] = {"__name__": "__main__"}
    for snippet in snippets(page):
        if snippet.language == "python":
            code = "\n" * (snippet.line - 1) + snippet.code.replace("http://localhost:8000/v1", model_server.url)
            exec(compile(code, str(page), "exec"), names)
        elif snippet.language == "bash":
            for words in commands(snippet.code):
                run_command(words, snippet, environment, monkeypatch)
        elif snippet.language == "yaml":
            load_yaml(snippet)
        else:
            assert snippet.language in OUTPUT, f"{snippet}: nobody runs {snippet.language!r}"
            assert not COMMAND.search(snippet.code), f"{snippet}: a command, but not marked as bash"
    if page.stem in OUTCOMES:
        OUTCOMES[page.stem](names, client)


@pytest.mark.parametrize("page", RECIPE_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_beside_the_recipes_parse(page, monkeypatch):
    monkeypatch.setattr("reflection_trl.training.config.is_torch_bf16_gpu_available", lambda: True)
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: True)
    for snippet in snippets(page):
        code = snippet.code.replace("$RANK", "0") if snippet.language == "bash" else ""
        for words in commands(re.sub(r"^ *CUDA_VISIBLE_DEVICES=\$gpu (.*) &$", r"\1", code, flags=re.MULTILINE)):
            match words:
                case ["python", script, *arguments] if script.startswith("recipes/"):
                    parse(recipe(script), arguments)
                case ["reflection-trl", name, *arguments]:
                    parse_command(name, arguments)
                case ["accelerate", "launch", *arguments]:
                    launch(arguments)
                case _:
                    assert words[0] in ("pip", "for", "done;") or words[1] == "-m", (
                        f"{snippet}: nobody reads `{shlex.join(words)}`"
                    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_results_lie_where_the_page_has_put_them(page):
    lines = [words for snippet in snippets(page) if snippet.language == "bash" for words in commands(snippet.code)]
    folders = {folder for words in lines for option, folder in itertools.pairwise(words) if option == "--output_dir"}
    folders.add(recipe("recipes/evaluate.py").parse(["--model", "me/coder"]).output_dir)
    read = re.findall(r"([\w/]+)/results\.json", "".join(snippet.code for snippet in snippets(page)))
    assert set(read) <= folders, page.name


def check_hub(names, client):
    assert len(names["dataset"]) == 6
    assert len(names["hard"]) == 3
    assert client.repo("datasets", "me/rows").private
    assert "README.md" in client.repo("models", "team/coder").commit("refs/pr/1").files
    assert [result.metric_value for result in ModelCard.load("me/coder").data.eval_results] == [100.0]
    assert client.repo("datasets", "somebody-else/rows") is None


def check_walkthrough(names, client):
    """`docs/metrics.md` explains what a run logs, all of it."""
    explained = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = explained[: explained.index("## Example run")]
    logged = {name for entry in names["trainer"].state.log_history for name in entry} - TIMES
    assert logged == set(re.findall(r"`([\w/]+)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))) | {
        "step"
    }


OUTCOMES = {"hub": check_hub, "walkthrough": check_walkthrough}
# Of transformers, and of no interest here
TIMES = {
    *("train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss"),
    *("eval_runtime", "eval_samples_per_second", "eval_steps_per_second"),
}


def run_command(words, snippet, environment, monkeypatch):
    match words:
        case [assignment, *rest] if re.fullmatch(r"\w+=.*", assignment):
            run_command(rest, snippet, environment, monkeypatch)
        case ["export", *assignments]:
            assert all(re.fullmatch(r"\w+=.*", one) for one in assignments)
        case ["source", activate]:
            assert (
                activate
                == re.search(r"^VENV \?= (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1] + "/bin/activate"
            )
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"{snippet}: {target}"
        case ["pip", "install", "-e", what]:
            extras = re.fullmatch(r"\.(?:\[(.*)\])?", what)[1]
            assert set(filter(None, (extras or "").split(","))) <= {*PROJECT["optional-dependencies"]}, str(snippet)
        case ["pip", "install", *packages]:
            assert set(packages) <= {*PACKAGES}, f"{snippet}: {packages}"
        case ["hf", *arguments]:
            hf = shutil.which("hf", path=str(Path(sys.executable).parent))
            subprocess.run([hf, *arguments], env=environment, check=True, timeout=120, capture_output=True)
        case ["reflection-trl", "show" | "browse" as name, *arguments]:
            monkeypatch.setattr("webbrowser.open", lambda url: True)
            assert main([name, *arguments]) == 0, str(snippet)
        case ["reflection-trl", name, *arguments]:
            parse_command(name, arguments)
            config = arguments[arguments.index("--config") + 1] if "--config" in arguments else ""
            if Path(config).is_file():  # a recipe for the CPU, which has a stand-in here
                assert main([name, *arguments]) == 0, str(snippet)
        case ["python", script, *arguments] if script.startswith("recipes/"):
            parse(recipe(script), arguments)
        case ["python", script, *arguments] if re.fullmatch(r"tests/\w+/\w+\.py", script):
            source = (ROOT / script).read_text(encoding="utf-8")
            options = [word for word in arguments if word.startswith("--")]
            assert all(f'add_argument("{option}"' in source for option in options), str(snippet)
        case ["accelerate", "launch", *arguments]:
            launch(arguments)
        case [program, *arguments] if program in SERVERS and arguments[: len(SERVERS[program])] == [*SERVERS[program]]:
            port = arguments[arguments.index("--port") + 1]
            assert f":{port}/v1" in snippet.page.read_text(encoding="utf-8"), f"{snippet}: nobody asks port {port}"
        case _:
            pytest.fail(f"{snippet}: nobody runs `{shlex.join(words)}`")


class Parsed(Exception):
    """The recipe has parsed its command line; what it would do then is not tried."""


def recipe(script):
    """Returns the module of the command that a script in `recipes/` runs."""
    assert (ROOT / script).is_file()
    module = f"cli.{Path(script).stem}"
    (found,) = [command.module for command in COMMANDS.values() if f"{command.module}.".startswith(f"{module}.")]
    return importlib.import_module(f"reflection_trl.{found}")


def parse(module, arguments):
    """Parses the arguments as the command does, with the configuration files of the checkout."""
    with contextlib.chdir(ROOT), pytest.MonkeyPatch.context() as patch:
        if hasattr(module, "parse"):
            module.parse(arguments)
            return
        from transformers import HfArgumentParser

        ends = [(module, "parse_options")] if hasattr(module, "parse_options") else []
        for owner, name in ends or [
            (argparse.ArgumentParser, "parse_args"),
            (HfArgumentParser, "parse_args_into_dataclasses"),
        ]:
            patch.setattr(owner, name, ends_here(getattr(owner, name)))
        patch.setattr(sys, "argv", ["reflection-trl", *arguments])
        with pytest.raises(Parsed):
            module.main() if hasattr(module, "main") else module.run(arguments)


def parse_command(name, arguments):
    """Parses the options of `reflection-trl NAME`, of the launcher too."""
    command = COMMANDS[name]
    if command.launches:
        options, arguments = split_launch_options(arguments)
        if "--accelerate_config" in options:
            assert accelerate_config(options["--accelerate_config"]).is_file()
    module = importlib.import_module(f"reflection_trl.{command.module}")
    if command.module.startswith("viewers."):
        module.build_parser().parse_args(arguments)
    elif name not in ("quickstart", "env") and not {"-h", "--help"} & set(arguments):
        parse(module, arguments)


def ends_here(parse):
    def parse_and_end(*args, **kwargs):
        parse(*args, **kwargs)
        raise Parsed

    return parse_and_end


def launch(arguments):
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    options = launch_command_parser().parse_args(arguments)
    if options.config_file:
        assert load_config_from_file(str(ROOT / options.config_file)).num_processes >= 1
    parse(recipe(options.training_script), options.training_script_args)


def load_yaml(snippet):
    """Loads the fields into the dataclasses of the recipe that has them."""
    fields = yaml.safe_load(snippet.code)
    name, needed = ("build_dataset", "model_name_or_path") if "problems" in fields else ("train", "output_dir")
    Path("snippet.yaml").write_text(snippet.code)
    parse(recipe(f"recipes/{name}.py"), ["--config", str(Path("snippet.yaml").absolute()), f"--{needed}", "x"])
