"""Every snippet of `docs/hub.md`, in its order, on the Hub of the tests."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import build_dataset
import pytest
import train
import yaml
from huggingface_hub import ModelCard

from reflection_trl.evaluation import EvaluationRun, Outcome, Score
from reflection_trl.sandbox import Sandbox, SandboxUnavailableError

from .conftest import ROOT
from .scripted import open_writer, write_problems


SNIPPET = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BUILD = {
    "problems": ["problems.jsonl"],
    "model_name_or_path": "writer",
    "output_dir": "out/build",
    "decontaminate_against": ["none"],
    "near_duplicates": 2.0,
}
TRAIN = {
    "model_name_or_path": "./model",
    "dataset_name": "anna/rows",
    "output_dir": "out/coder",
    "max_steps": 1,
    "save_strategy": "no",
    "eval_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
    "bf16": False,
}


def run_shell(command, environment):
    program, *arguments = shlex.split(command)
    if program == "hf":
        hf = shutil.which("hf", path=str(Path(sys.executable).parent))
        subprocess.run([hf, *arguments], env=environment, check=True, timeout=120, capture_output=True)
    elif arguments[0] == "recipes/build_dataset.py":
        build_dataset.run(arguments[1:])
    else:
        assert arguments[0] == "recipes/train.py"
        assert train.main(arguments[1:]) == 0


def test_every_snippet_runs(client, environment, make_model, tokenizer, monkeypatch, tmp_path):
    try:
        with Sandbox(workers=1):
            pass
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reflection_trl.builder.build.open_generator", open_writer)
    write_problems("problems.jsonl")
    make_model().save_pretrained("model")
    tokenizer.save_pretrained("model")
    Path("recipes/smollm2-135m").mkdir(parents=True)
    for name, settings in (("build", BUILD), ("distill", TRAIN)):
        Path(f"recipes/smollm2-135m/{name}.yaml").write_text(yaml.safe_dump(settings))
    Path("out/evaluation").mkdir(parents=True)
    outcome = Outcome("HumanEval/0", 0, True, solution="pass")
    EvaluationRun("me/coder", [Score("humaneval", [outcome])]).save("out/evaluation/results.json")
    client.create("models", "team/coder")

    names = {}
    snippets = SNIPPET.findall((ROOT / "docs" / "hub.md").read_text(encoding="utf-8"))
    for language, code in snippets:
        code = code.replace("me/", "anna/").replace("max_new_tokens=512", "max_new_tokens=4")
        if language == "bash":
            run_shell(code, environment)
        else:
            exec(code, names)

    assert len(names["dataset"]) == 6
    assert len(names["hard"]) == 3
    assert client.repo("datasets", "anna/rows").private
    assert "README.md" in client.repo("models", "team/coder").commit("refs/pr/1").files
    assert [result.metric_value for result in ModelCard.load("anna/coder").data.eval_results] == [100.0]
    assert client.repo("datasets", "somebody-else/rows") is None
