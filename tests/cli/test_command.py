"""The command `reflection-trl`: its subcommands, the launcher, completion and help."""

import errno
import importlib
import os
import subprocess
import sys

import pytest

from reflection_trl.cli import launch, main
from reflection_trl.cli.command_line import keep_compiled_code
from reflection_trl.cli.commands import COMMANDS, GROUPS, usage
from reflection_trl.cli.output import fit_to_terminal, standard_output
from reflection_trl.evaluation.benchmarks import load_tasks, parse_benchmarks
from reflection_trl.files.packaged import find_recipe, packaged, recipe_names, resolve_arguments, resolve_packaged


def test_help_lists_every_command(capsys):
    assert main.main(["--help"]) == 0
    text = capsys.readouterr().out
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS)
    for command in COMMANDS.values():
        assert command.does in text


@pytest.mark.parametrize("command", ["train", "online", "benchmark"])
def test_compiled_code_is_kept_where_models_are(command, tmp_path):
    """torch, once imported, has chosen the temporary folder, which another container does not have."""
    code = f"""
from reflection_trl.cli.main import main

assert main([{command!r}, "--no_such_option", "1"]) == 1
from torch._inductor.runtime.cache_dir_utils import cache_dir

print(cache_dir())
"""
    environment = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    environment |= {"HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1:] == [str(tmp_path / "torchinductor")], done.stderr


def test_a_users_place_for_compiled_code_is_kept(monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/elsewhere")
    keep_compiled_code()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/elsewhere"


@pytest.mark.parametrize("command", ["train", "online"])
def test_a_command_without_arguments_answers_before_it_loads_anything(command):
    code = f"import sys; from reflection_trl.cli.main import main; print(main([{command!r}]), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1 False\n"
    assert "model" in done.stderr and "--config" in done.stderr


def test_every_help_has_two_examples_and_loads_nothing():
    """One process for all of them: what one loads, the next would not show, so the union is asserted."""
    code = """
import contextlib, io, sys
from reflection_trl.cli.commands import COMMANDS
from reflection_trl.cli.main import main

for name in COMMANDS:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        assert main([name, "--help"]) == 0, name
    examples = text.getvalue().count("reflection-trl " + name)
    assert examples >= 2, (name, examples, text.getvalue())
heavy = {"torch", "transformers", "trl", "datasets", "numpy", "pandas"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("argv", "status", "unbuffered"),
    [
        (["--help"], 0, ""),  # buffered, as in a shell
        (["--help"], 0, "1"),  # and not, as in many containers
        (["--version"], 0, ""),
        (["train", "--help"], 0, ""),
        (["train", "--help"], 0, "1"),
        (["show", "--help"], 0, ""),
        (["show", "--help"], 0, "1"),
        (["show", "recipes/data/reflection-sample.parquet", "--rows", "0-1"], 0, ""),
        (["plot", "--help"], 0, ""),
        (["env"], 141, "1"),  # ended by SIGPIPE, in a shell: a command that works must not end with 0 in the middle
    ],
)
def test_output_that_cannot_be_written_ends_the_command(argv, status, unbuffered):
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "reflection_trl", *argv]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert (done.returncode, done.stderr) == (1, "error: The output cannot be written: No space left on device.\n")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (status, "")


def test_full_disk_of_another_file_is_not_blamed_on_the_output(capsys):
    with pytest.raises(OSError, match="No space"), standard_output():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "The output cannot be written" not in capsys.readouterr().err


def test_unknown_command_is_one_sentence(capsys):
    assert main.main(["trian"]) == 1
    assert capsys.readouterr().err == "error: Unknown command: `trian`; did you mean `train`?\n"


def test_version_names_what_a_bug_report_needs(capsys):
    assert main.main(["--version"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("reflection-trl 0.") and line.count("\n") == 1
    assert all(f"{name} " in line for name in ("torch", "transformers", "trl", "datasets", "peft", "accelerate"))


def test_env_is_markdown_without_paths(capsys):
    assert main.main(["env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("- ") for line in lines)
    assert not any(os.path.expanduser("~") in line for line in lines)
    assert any(line.startswith("- Sandbox: ") for line in lines)


def test_launch_options_are_taken_out():
    options, rest = launch.split_launch_options(
        ["--config", "a.yaml", "--accelerate_config", "ddp", "--num-processes=2", "--seed", "1", "--main_process_port"]
    )
    assert options == {"--accelerate_config": "ddp", "--num_processes": "2", "--main_process_port": ""}
    assert rest == ["--config", "a.yaml", "--seed", "1"]


def test_accelerate_starts_the_command_as_a_module(monkeypatch):
    started = []
    monkeypatch.setattr("accelerate.commands.launch.launch_command", started.append)
    code = main.main(
        ["train", "--config", "smollm2-135m/distill", "--accelerate_config", "fsdp2", "--num_processes", "2"]
    )
    (arguments,) = started
    assert code == 0
    assert arguments.config_file == str(packaged("recipes/accelerate/fsdp2.yaml"))
    assert arguments.num_processes == 2 and arguments.module
    assert [arguments.training_script, *arguments.training_script_args] == [
        "reflection_trl", "train", "--config", "smollm2-135m/distill",
    ]  # fmt: skip


def test_help_of_several_processes_is_printed_once(monkeypatch, capsys):
    monkeypatch.setattr("accelerate.commands.launch.launch_command", pytest.fail)
    assert main.main(["train", "--accelerate_config", "ddp", "--help"]) == 0
    assert "reflection-trl train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            ["--accelerate_config", "dpp"],
            "error: --accelerate_config 'dpp': give a YAML file or one of ddp, fsdp2, zero1",
        ),
        (["--num_processes"], "error: --num_processes needs a value."),
    ],
)
def test_wrong_launch_options_are_one_sentence(argv, expected, capsys):
    assert main.main(["train", *argv]) == 1
    assert capsys.readouterr().err.startswith(expected)


def test_commands_that_are_one_process_pass_launch_options_on(capsys):
    assert main.main(["plot", "--accelerate_config", "ddp"]) == 1
    assert "Unknown option: `accelerate_config`" in capsys.readouterr().err


@pytest.mark.parametrize("width", [80, 100])
def test_help_fits_the_terminal(width):
    for text in (
        usage(),
        *(importlib.import_module(f"reflection_trl.{one.module}").__doc__ for one in COMMANDS.values()),
    ):
        fitted = fit_to_terminal(text, width)
        assert fitted.split() == text.split()
        assert max(map(len, fitted.splitlines())) <= width


def test_help_in_a_narrow_terminal_keeps_its_columns():
    text = """\
Trains a model,
which exists.

    trl --config of_a_recipe --seed 1

  model
    --a     what it is, in more than
            one line
    --b     yes
"""
    assert fit_to_terminal(text, 100) == text
    narrow = """\
Trains a model, which
exists.

    trl --config of_a_recipe
        --seed 1

  model
    --a     what it is, in
            more than one
            line
    --b     yes
"""
    assert fit_to_terminal(text, 28) == narrow


def test_interrupting_is_one_sentence(monkeypatch, capsys):
    def interrupted(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr("reflection_trl.viewers.browse.main", interrupted)
    assert main.main(["browse", "x"]) == 130
    assert capsys.readouterr().err == "\nInterrupted. Run the same command again to continue.\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("reflection-trl tra", {"train "}),
        ("reflection-trl train --mask_str", {"--mask_strategy "}),
        ("reflection-trl show --ra", {"--rate "}),
        ("reflection-trl train --conf", {"--config "}),  # not `--config_file`, an option of `accelerate launch`
        ("reflection-trl browse --ou", {"--output "}),  # not `--outcome_only`, which a message names
        ("reflection-trl train --accelerate_config z", {"zero1", "zero2", "zero3"}),
        ("reflection-trl train --config smollm2-135m/d", {"smollm2-135m/distill "}),
    ],
)
def test_completion(line, expected, tmp_path):
    answer = tmp_path / "completions"
    environment = os.environ | {
        "_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "COMP_LINE": line, "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_IFS": "\n",
    }  # fmt: skip
    subprocess.run([sys.executable, "-m", "reflection_trl"], env=environment, check=False, capture_output=True)
    assert set(answer.read_text().split("\n")) == expected


def test_recipes_are_found_by_name_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("smollm2-135m/distill", "smollm2-135m/distill.yaml", "recipes/smollm2-135m/distill.yaml")
    assert len({find_recipe(name) for name in names}) == 1
    assert "smollm2-135m/distill.yaml" in recipe_names()
    assert find_recipe("none/such") is None
    assert find_recipe("data/reflection-sample.parquet") is None  # no YAML
    (tmp_path / "smollm2-135m").mkdir()
    (tmp_path / "smollm2-135m" / "distill.yaml").write_text("a: 1")
    assert find_recipe("smollm2-135m/distill.yaml").resolve() == tmp_path / "smollm2-135m" / "distill.yaml"


def test_names_of_packaged_files_become_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sample = "recipes/data/reflection-sample.parquet"
    settings = {"dataset_name": sample, "datasets": [{"path": sample}], "steps": 3, "other": "recipes/none.jsonl"}
    resolved = resolve_packaged(settings)
    assert resolved["dataset_name"] == resolved["datasets"][0]["path"] == str(packaged(sample))
    assert resolved["steps"] == 3 and resolved["other"] == "recipes/none.jsonl"
    (tmp_path / "recipes" / "data").mkdir(parents=True)
    (tmp_path / sample).write_bytes(b"")
    assert resolve_packaged(settings) == settings  # the user's own file wins


def test_names_of_packaged_files_in_a_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sample = "recipes/data/reflection-sample.parquet"
    assert resolve_arguments(["--dataset_name", sample, f"--dataset_name={sample}", "--prompt=recipes/ or not"]) == [
        "--dataset_name",
        str(packaged(sample)),
        f"--dataset_name={packaged(sample)}",
        "--prompt=recipes/ or not",
    ]
    for name in ("ddp", "ddp.yaml", "recipes/accelerate/ddp.yaml"):
        assert launch.accelerate_config(name) == packaged("recipes/accelerate/ddp.yaml")


def test_problems_of_the_package_are_a_benchmark_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "problems:recipes/smollm2-135m/online-held-out.jsonl"
    (benchmark,) = parse_benchmarks([name])
    tasks = load_tasks(benchmark)
    assert len(tasks) == 8 and benchmark == name  # the name in results does not depend on the machine


@pytest.mark.parametrize("name", ["", "..", "recipes/../pyproject.toml", "pyproject.toml", "/etc/passwd"])
def test_nothing_else_is_packaged(name):
    assert packaged(name) is None
