"""`recipes/build_dataset.py` as people use it: its YAML files, its one sentence, and a whole build over a server."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from datasets import load_dataset
from huggingface_hub.errors import HfHubHTTPError

from reflection_trl.cli import build_dataset, command_line
from reflection_trl.cli.problem_sources import read_problems
from reflection_trl.files.processes import place_among_processes
from reflection_trl.problems import MAPPINGS, load_problems

from .conftest import RunsHere
from .replies import ReplyServer, heed_interrupts, make_problems


ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
CONFIGS = sorted(RECIPES.glob("*/build.yaml"))


@pytest.fixture
def server():
    server = ReplyServer()
    yield server
    server.close()


@pytest.fixture
def place(tmp_path, server, monkeypatch):
    """A folder with problems and a recipe of ten rollouts on the server."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "id": one.id,
            "instruction": one.instruction,
            "tests": one.tests,
            "reference": one.reference,
            "license": "MIT",
        }
        for one in make_problems(10)
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "base_url": server.url,
        "model_name_or_path": "scripted",
        "problems": [{"path": "problems.jsonl", "language": "python"}],
        "decontaminate_against": ["none"],
        "rounds": 3,
        "output_dir": "out",
    }
    (tmp_path / "build.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


@pytest.fixture
def here(monkeypatch):
    """Programs run in this process, where the sandbox is not the point."""

    @contextlib.asynccontextmanager
    async def executor(languages):
        yield RunsHere()

    monkeypatch.setattr("reflection_trl.builder.build.Executor", executor)
    monkeypatch.setattr("reflection_trl.builder.build.plot_build", lambda statistics, path: False)


def main(*argv):
    """The recipe in this process."""
    return command_line.run_command(build_dataset.run, build_dataset.__doc__, list(map(str, argv)))


def rows_in(folder):
    return load_dataset(
        "parquet", data_files=str(folder / "train.parquet"), split="train", cache_dir=str(folder / "c")
    ).to_list()


def test_help_is_instant_and_names_every_option():
    script = f"import sys; sys.argv = ['x', '--help']; import runpy\ntry: runpy.run_path({str(RECIPES / 'build_dataset.py')!r}, run_name='__main__')\nexcept SystemExit as e: print(e.code, [m for m in ('torch', 'trl', 'datasets', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("0 []\n") and done.stderr == ""
    from reflection_trl.generation import GenerationArguments

    for name in (*build_dataset.BuildArguments.__dataclass_fields__, *GenerationArguments.__dataclass_fields__):
        assert f"--{name}" in done.stdout, name
    assert max(map(len, done.stdout.splitlines())) <= 125


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.parent.name)
def test_every_recipe_parses(file, monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments, generation = build_dataset.parse(["--config", str(file)])
    assert generation.model_name_or_path and arguments.output_dir.startswith("out/")
    for source in arguments.problems:
        source = source if isinstance(source, dict) else {"path": source}
        assert source.get("mapping") in (None, *MAPPINGS)
        if source["path"].endswith((".json", ".jsonl")) and source["path"].startswith("tests/"):
            assert (ROOT / source["path"]).exists()
    assert file.read_text().startswith("# ")  # what it does


def test_there_are_recipes():
    assert len(CONFIGS) >= 4


def test_a_build_over_a_server(place, server, capfd):
    assert main("--config", "build.yaml", "--price", 2) == 0
    out, err = capfd.readouterr()
    assert "= kept                  10" in out and "| rollouts | 10 " in " ".join(out.split()) and "| cost  " in out
    assert "10/10 |" in err and "Error" not in err and "Generating" not in err and "HTTP Request" not in err
    rows = rows_in(place / "out")
    assert len(rows) >= 5 and {row["model"] for row in rows} == {"scripted"}
    assert {row["license"] for row in rows} == {"MIT"}
    failed = [entry for row in rows for entry in row["feedback"] if entry["kind"] == "assertion"]
    assert failed and all(entry["source_line"].startswith("assert f") and entry["actual"] for entry in failed)
    # The same command writes the same rows and asks nothing
    requests = server.requests
    assert main("--config", "build.yaml") == 0
    assert server.requests == requests and rows_in(place / "out") == rows
    assert "|" not in capfd.readouterr().err
    assert main("--config", "build.yaml", "--samples_per_problem", 2, "--min_repaired_share", 0.5) == 0
    grown = rows_in(place / "out")
    assert sum(row["repaired"] for row in grown) / len(grown) >= 0.5
    assert {row["sample"] for row in grown} == {0, 1}


def test_no_row_repeats_a_task_of_a_benchmark(place, here, capsys):
    task = "The assert shows a wrong value, so the body has to be changed."  # the model says this in each rollout
    (place / "said.jsonl").write_text(json.dumps({"task_id": "said", "prompt": task}))
    assert main("--config", "build.yaml") == 0
    assert main("--config", "build.yaml", "--decontaminate_against", "said.jsonl") == 1
    assert "No rollout of out was accepted (10 of 10: contaminated)" in capsys.readouterr().err


def test_no_row_comes_from_problems_that_are_held_out(place, here, capsys):
    assert main("--config", "build.yaml", "--held_out_share", 0.4) == 0
    assert "held_out.jsonl (no row comes from these problems)" in capsys.readouterr().out
    aside = {problem.id for problem in load_problems(place / "out" / "held_out.jsonl")}
    left = {row["problem_id"] for row in rows_in(place / "out")}
    assert aside and left and not aside & left
    statistics = json.loads((place / "out" / "statistics.json").read_text())
    assert statistics["rollouts"] == 10 - len(aside)
    assert f"{len(aside)} problems were held out: no row comes from them." in statistics["contamination"]
    assert main("--config", "build.yaml", "--held_out_share", 1.5) == 1
    assert "must be from 0 on and below 1, got 1.5" in capsys.readouterr().err


def test_killed_and_gone_on_with(place, server):
    assert main("--config", "build.yaml", "--output_dir", "whole") == 0
    command = [sys.executable, str(RECIPES / "build_dataset.py"), "--config", "build.yaml", "--in_flight", "2"]
    wait = lambda request: (time.sleep(0.1), server.right_answer(request))[1]  # noqa: E731
    for goal, how, code in ((2, signal.SIGKILL, -9), (4, signal.SIGINT, 130)):
        server.answer = wait
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
        )
        while process.poll() is None and made(place) < goal:
            time.sleep(0.01)
        process.send_signal(how)
        err = process.communicate()[1]
        assert process.returncode == code and "Traceback" not in err
    assert err.endswith("\nInterrupted. Results are kept: run the same command to resume.\n")
    assert 4 <= made(place) < 10
    server.answer = server.right_answer
    assert main("--config", "build.yaml") == 0
    assert made(place) == 10 and rows_in(place / "out") == rows_in(place / "whole")


def made(place):
    return sum(file.read_bytes().count(b"\n") for file in place.glob("out/rollouts/*.jsonl"))


def test_budgets_end_with_a_sentence_and_go_on(place, server, capsys, here):
    assert main("--config", "build.yaml", "--max_requests", 12) == 1
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("error: The budget of 12 requests is used up: raise --max_requests")
    assert server.requests == 12
    assert main("--config", "build.yaml", "--max_total_tokens", 4000) == 1
    assert "--max_total_tokens" in capsys.readouterr().err
    assert main("--config", "build.yaml") == 0
    assert made(place) == 10


def test_an_endpoint_that_refuses(place, server, capsys, here):
    server.answer = lambda request: (401, {"error": "who are you?"})
    assert main("--config", "build.yaml") == 1
    assert "says 401: the API key is missing, wrong or lacks permission" in capsys.readouterr().err
    server.answer = lambda request: (400, {"error": "no seeds here"})
    assert main("--config", "build.yaml", "--solve_rate_samples", 0) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "No rollout of out was accepted (10 of 10: generation_failed)" in last
    assert "no seeds here" in (place / "out/rows/rejected-00000.jsonl").read_text()
    server.answer = server.right_answer
    assert main("--config", "build.yaml", "--solve_rate_samples", 0) == 0


def test_a_build_names_the_model_as_the_server_does_and_resumes_at_another_address(place, server, capsys, here):
    recipe = yaml.safe_load((place / "build.yaml").read_text())
    del recipe["model_name_or_path"]
    (place / "build.yaml").write_text(yaml.safe_dump(recipe))
    right, answered = server.answer, []

    def some_answers(request):  # and then a server that refuses the key
        answered.append(request)
        return right(request) if len(answered) < 40 else (401, {"error": "gone"})

    server.answer = some_answers
    assert main("--config", "build.yaml") == 1
    other = ReplyServer()
    try:
        assert main("--config", "build.yaml", "--base_url", other.url) == 0
        assert other.requests > 0
    finally:
        other.close()
    assert {row["model"] for row in rows_in(place / "out")} == {"served/coder"}
    assert "127.0.0.1" not in (place / "out" / "run.json").read_text()
    capsys.readouterr()
    assert (
        main("--config", "build.yaml", "--base_url", other.url, "--outcome_only", "true") == 0
    )  # of a server that is gone


def test_a_token_that_the_hub_refuses_is_an_error_before_anything_is_made(place, capsys, monkeypatch, here):
    def refuse():
        raise HfHubHTTPError(
            "Invalid user token.", response=SimpleNamespace(status_code=401, headers={}, request=None)
        )

    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_wrong")
    monkeypatch.setattr("huggingface_hub.whoami", refuse)
    assert main("--config", "build.yaml", "--push_to_hub", "me/rows") == 1
    assert "`push_to_hub`: the Hub rejects this machine's token" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_publishing_without_a_token_is_reported_before_anything_is_made(place, capsys, monkeypatch, here):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert main("--config", "build.yaml", "--push_to_hub", "me/rows") == 1
    assert "`push_to_hub` needs a Hub token; run `hf auth login`" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_publishing_without_a_way_keeps_the_rows(place, capsys, monkeypatch, here):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert main("--config", "build.yaml", "--push_to_hub", "me/rows") == 1
    out, err = capsys.readouterr()
    assert err.splitlines()[-1].startswith("error: ") and "offline" in err.splitlines()[-1]
    assert "Rows:  out/train.parquet" in out and len(rows_in(place / "out")) > 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--problemz x", "Unknown option: `problemz`; did you mean `problems`?"),
        ("--samples 3", "Unknown option: `samples`; did you mean `samples_per_problem`?"),
        ("--frobnicate 3", "Unknown option: `frobnicate`; see `--help`."),
        ("--config", "--config needs the name of a YAML file."),
        ("--config nope.yaml", "--config 'nope.yaml': no such file in"),
        ("--config problems.jsonl", "problems.jsonl is not a YAML file"),
        ("--config typo.yaml", "Unknown key in the YAML file: `output-dir`; did you mean `output_dir`?"),
        ("--config source.yaml", "Unknown key of a source of problems: `licenses`; did you mean `license`?"),
        ("--config pathless.yaml", "Each of `problems` needs a `path`: give one to {'mapping': 'mbpp'}, and"),
        (
            "--config paths.yaml",
            "Each of `problems` needs a `path`: give one to {'path': ['a.jsonl']}, and several as",
        ),
        ("--config half.yaml", "--rounds: invalid int value: '2.5'; give a whole number."),
        ("--base_url http://localhost:1/v1", "No problems specified: pass --problems"),
        ("--problems problems.jsonl", "No model specified: pass --model_name_or_path, or --base_url"),
        (
            "--problems problems.jsonl --decontaminate_against gone.jsonl --model_name_or_path ./gone",
            "error: The model folder './gone' does not exist",
        ),
        ("--problems problems.jsonl --model x", "Unknown option: `model`; did you mean `model_name_or_path`?"),
        ("--config build.yaml --rounds four", "--rounds: invalid int value: 'four'; give a whole number"),
        ("--config build.yaml --rounds 0", "`rounds` must be at least 1, got 0."),
        ("--config build.yaml --problems missing.jsonl", "'missing.jsonl' cannot be read: there is no such file"),
        ("--config build.yaml --held_out_share 0.9999", "--held_out_share 0.9999 holds out all 10 problems: give a"),
        ("--config build.yaml --templates nowhere", "Template directory nowhere does not exist"),
        ("--config build.yaml --output_dir problems.jsonl", "problems.jsonl is a file: give a folder for the run."),
        ("--config build.yaml --output_dir .", "contains 'build.yaml' but no run: give an empty or a new folder."),
        ("--config build.yaml --output_dir /proc/run", "The folder /proc/run cannot be written"),
        ("--config build.yaml --outcome_only", "out contains no run: run the same command"),
        ("--config build.yaml --backend vllm", "--backend vllm runs the model on this machine: remove --base_url."),
        ("--config build.yaml --decontaminate_against nowhere.jsonl", "'nowhere.jsonl' cannot be read"),
        (
            "--config build.yaml --decontaminate_against humaneval,mbpp",
            "Problems cannot be compared with humaneval,mbpp: 'humaneval,mbpp' is no benchmark; several are given with spaces",
        ),
        (
            "--config build.yaml --decontaminate_against none mbpp",
            "`none`, which leaves the comparison out, and also mbpp: give one or the other.",
        ),
        (
            "--config build.yaml --problems problems.jsonl,problems.jsonl",
            "there is no such file or folder; several are given with spaces between, or as a list.",
        ),
    ],
)
def test_wrong_input_is_one_sentence(place, capsys, argv, message):
    (place / "typo.yaml").write_text("output-dir: out\n")
    (place / "source.yaml").write_text("problems:\n- path: problems.jsonl\n  licenses: MIT\nbase_url: http://x/v1\n")
    (place / "pathless.yaml").write_text("problems:\n- mapping: mbpp\nbase_url: http://x/v1\n")
    (place / "paths.yaml").write_text("problems:\n- path: [a.jsonl]\nbase_url: http://x/v1\n")
    (place / "half.yaml").write_text("problems: problems.jsonl\nrounds: 2.5\nbase_url: http://x/v1\n")
    assert main(*argv.split()) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("error: ") and message in err
    assert not (place / "out").exists()


def test_sources_with_equal_ids_are_distinguished(place):
    for name, text in (("a", "Write a function that adds two numbers."), ("b", "Write a parser of Roman numerals.")):
        (place / f"{name}.jsonl").write_text(json.dumps({"id": "p/1", "instruction": text}) + "\n")
    problems = read_problems(["a.jsonl", {"path": "b.jsonl", "language": "java"}])
    assert [(one.id, one.language) for one in problems] == [("p/1", "python"), ("b.jsonl:p/1", "java")]
    thrice = read_problems(["a.jsonl", "a.jsonl", "a.jsonl"])
    assert [one.id for one in thrice] == ["p/1", "a.jsonl:p/1", "a.jsonl#3:p/1"]


def test_one_value_in_the_yaml_file_is_a_list_of_one(place):
    (place / "one.yaml").write_text("problems: problems.jsonl\ndecontaminate_against: none\nbase_url: http://x/v1\n")
    arguments, _ = build_dataset.parse(["--config", "one.yaml"])
    assert (arguments.problems, arguments.decontaminate_against) == (["problems.jsonl"], ["none"])
    (place / "one.yaml").write_text(
        "problems: {path: problems.jsonl}\ndecontaminate_against: null\nbase_url: http://x/v1\nmodel_revision: 2024\n"
    )
    arguments, generation = build_dataset.parse(["--config", "one.yaml"])
    assert (arguments.problems, arguments.decontaminate_against) == ([{"path": "problems.jsonl"}], [])
    assert generation.model_revision == "2024"


def test_rows_of_an_earlier_selection_do_not_stay(place, here, capsys):
    assert main("--config", "build.yaml") == 0
    assert (place / "out" / "train.parquet").exists()
    (place / "said.jsonl").write_text(
        json.dumps({"task_id": "said", "prompt": "The assert shows a wrong value, so the body has to be changed."})
    )
    assert main("--config", "build.yaml", "--decontaminate_against", "said.jsonl") == 1
    assert not (place / "out" / "train.parquet").exists()


def test_a_file_of_held_out_problems_is_named_only_if_it_is_there(place, here, capsys):
    assert main("--config", "build.yaml", "--held_out_share", 0.000001) == 0
    assert "held_out.jsonl" not in capsys.readouterr().out


def test_processes_take_a_gpu_each_and_forget_the_others(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    assert place_among_processes() == (0, 1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5,6"
    for name, value in (
        ("RANK", "9"),
        ("WORLD_SIZE", "16"),
        ("LOCAL_RANK", "1"),
        ("TORCHELASTIC_USE_AGENT_STORE", "True"),
    ):
        monkeypatch.setenv(name, value)
    assert place_among_processes() == (9, 16)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5" and "RANK" not in os.environ
    assert "TORCHELASTIC_USE_AGENT_STORE" not in os.environ  # with it vLLM's engine waits for ever
    # More processes than GPUs
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "3"), ("CUDA_VISIBLE_DEVICES", "6,7")):
        monkeypatch.setenv(name, value)
    assert place_among_processes() == (3, 4) and os.environ["CUDA_VISIBLE_DEVICES"] == "7"
