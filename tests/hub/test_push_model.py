"""A trained model on the Hub: full or adapter, its card and curves, and what happens when the Hub does not answer."""

import re
import shlex
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import yaml
from conftest import reflection_row
from datasets import Dataset
from huggingface_hub import ModelCard, constants
from online.scripted import PROBLEMS, SETTINGS, scripted_reward
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from reflection_trl import (
    OnlineReflectionDistillConfig,
    OnlineReflectionDistillTrainer,
    ReflectionDistillConfig,
    ReflectionDistillTrainer,
    load_problems_for_rl,
)
from reflection_trl.cli import train as recipe
from reflection_trl.evaluation import EvaluationRun, Outcome, Score
from reflection_trl.hub import PublishError, publish_evaluation

from .conftest import TOKEN, cards_are_checked_here


@pytest.fixture
def make_trainer(make_model, tokenizer, tmp_path):
    def make(model=None, peft_config=None, **settings):
        settings = {
            "output_dir": str(tmp_path / "out"),
            "hub_model_id": "anna/coder",
            "max_steps": 2,
            "logging_steps": 1,
            "per_device_train_batch_size": 2,
            "save_strategy": "no",
            "bf16": False,
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
        } | settings
        return ReflectionDistillTrainer(
            model=model or make_model(),
            args=ReflectionDistillConfig(**settings),
            train_dataset=Dataset.from_list([reflection_row(number) for number in range(4)]),
            processing_class=tokenizer,
            peft_config=peft_config,
        )

    return make


def run_snippet(card):
    """Runs the card's first Python block as it stands, but for the length of the answer."""
    code = re.search(r"```python\n(.*?)```", card.text, re.DOTALL)[1]
    exec(code.replace("max_new_tokens=512", "max_new_tokens=4"), {})


@cards_are_checked_here
def test_model_tokenizer_card_and_curves(client, make_trainer, capsys):
    trainer = make_trainer(
        hub_model_id="team/coder", hub_private_repo=True, hub_token=TOKEN, hub_revision="v1", push_to_hub=True
    )
    trainer.train()
    commit = trainer.push_to_hub(dataset_name=["anna/rows", "team/rows"], tags="mine")
    repo = client.repo("models", "team/coder")
    assert repo.private
    assert list(repo.commit("main").files) == [".gitattributes"]
    assert repo.commit("v1").oid == commit.oid
    files = repo.commit("v1").files
    assert {
        "README.md",
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "training_curves.png",
    } <= set(files)
    assert not any(TOKEN.encode() in file.content for file in files.values())  # nor in the pickled arguments
    assert trainer.args.hub_token == TOKEN

    card = ModelCard(client.read("models", "team/coder", "README.md", "v1").decode())
    card.validate(repo_type="model")
    assert card.data.datasets == ["anna/rows", "team/rows"]
    assert "mine" in card.data.tags
    for text in (
        "# coder",
        "[team/rows](https://huggingface.co/datasets/team/rows)",
        "](training_curves.png)",
        "2 steps (1.00 epochs) over 4 rows",
        "| train loss, student's answer | ",
        "| `mask_schedule` | `linear` |",
        "| `mask_order` | `execution, text, code` |",
        "@inproceedings{ren2025reflectioncoder",
    ):
        assert text in card.text, text


@cards_are_checked_here
def test_what_the_card_shows_works(client, make_trainer, make_model, tokenizer, capsys):
    """Base model from the Hub, adapter to the Hub, and the results of its evaluation before the citations."""
    make_model().push_to_hub("anna/base")
    tokenizer.push_to_hub("anna/base")
    lora = LoraConfig(target_modules="all-linear", r=2)
    trainer = make_trainer(AutoModelForCausalLM.from_pretrained("anna/base"), lora)
    trainer.train()
    trainer.push_to_hub()
    files = client.repo("models", "anna/coder").commit("main").files
    assert "adapter_model.safetensors" in files
    assert "model.safetensors" not in files
    card = ModelCard.load("anna/coder")
    card.validate(repo_type="model")
    assert (card.data.base_model, card.data.base_model_relation) == ("anna/base", "adapter")
    assert card.data.library_name == "peft"
    assert "An adapter of [anna/base]" in card.text
    capsys.readouterr()
    run_snippet(card)
    assert capsys.readouterr().out

    run = EvaluationRun("anna/coder", [Score("humaneval", [Outcome("HumanEval/0", 0, True)])])
    publish_evaluation(run, "anna/coder")
    text = ModelCard.load("anna/coder").text
    assert text.index("## Training") < text.index("| HumanEval | pass@1 | 100.0 % |") < text.index("## Citations")


FAULTS = [
    ({"method": "POST", "path": "/commit/", "status": 500}, "an internal error (500)"),
    ({"method": "POST", "path": "/commit/", "cut": "within"}, "the connection to"),
    ({"method": "PUT", "path": "^/lfs/", "cut": "within", "times": 99}, "the connection to"),
    ({"method": "POST", "path": "/commit/", "status": 403, "message": "no"}, "the token has no right"),
    ({"method": "POST", "path": "repos/create", "status": 429, "times": 9}, "too many requests (429)"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_model_is_kept_and_pushed_later(client, make_trainer, tmp_path, fault, reason):
    trainer = make_trainer()
    client.fail(**fault)
    with pytest.raises(PublishError) as caught:
        trainer.push_to_hub()
    sentence = str(caught.value)
    assert sentence.startswith("could not publish the model anna/coder: ")
    assert reason in sentence
    assert "\n" not in sentence
    assert f"the model is kept in {tmp_path / 'out'}, and `hf upload anna/coder " in sentence
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert (tmp_path / "out" / "model.safetensors").exists()
    client.faults.clear()
    trainer.push_to_hub()
    assert "model.safetensors" in client.repo("models", "anna/coder").commit("main").files


def test_the_command_in_the_sentence_uploads_the_model(client, environment, make_trainer, tmp_path, monkeypatch):
    program = shutil.which("hf", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("the hf command is not installed")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "out" / "checkpoint-1" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "checkpoint-1" / "deep" / "model.safetensors").write_bytes(b"1")
    with pytest.raises(PublishError, match="offline mode is on") as caught:
        make_trainer(hub_private_repo=True).push_to_hub()
    command = shlex.split(re.search("`(hf upload .*?)`", str(caught.value))[1])
    done = subprocess.run([program, *command[1:]], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    repo = client.repo("models", "anna/coder")
    assert repo.private
    files = set(repo.commit("main").files)
    assert {"README.md", "model.safetensors", "tokenizer.json"} <= files
    assert not any(path.startswith("checkpoint-") for path in files)


def test_what_cannot_be_published_is_known_before_training(client, make_trainer, monkeypatch):
    for token, reason in (("hf_wrong", "does not accept the token"), (None, "there is none")):
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(PublishError, match=reason) as caught:
            make_trainer(push_to_hub=True, hub_token=token)
        assert "hf_wrong" not in str(caught.value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def recipe_arguments(make_model, tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_model().save_pretrained("model")
    tokenizer.save_pretrained("model")
    Dataset.from_list([reflection_row(number) for number in range(4)]).to_json("rows.jsonl")
    settings = {
        "model_name_or_path": "./model",
        "dataset_name": "rows.jsonl",
        "output_dir": "out",
        "max_steps": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
    }
    Path("distill.yaml").write_text(yaml.safe_dump(settings))
    return ["--config", "distill.yaml", "--push_to_hub", "--hub_model_id", "anna/coder"]


def test_recipe_keeps_the_model_when_the_hub_fails(client, recipe_arguments, capsys):
    client.fail("POST", "/commit/", status=500, times=9)
    assert recipe.main(recipe_arguments) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: could not publish the model anna/coder: ")
    assert "`hf upload anna/coder out ." in said
    assert Path("out", "model.safetensors").exists()
    client.faults.clear()
    assert recipe.main(recipe_arguments) == 0
    assert f"Hub:    {client.endpoint}/anna/coder" in capsys.readouterr().out
    assert (
        sum(path.endswith("/commit/main") for _, path, _ in client.requests) == 2
    )  # the one that failed, and one more
    files = client.repo("models", "anna/coder").commit("main").files
    assert {"README.md", "model.safetensors", "chat_template.jinja", "training_curves.png"} <= set(files)


def test_a_model_that_was_trained_online_is_pushed_without_its_rollouts(client, make_model, tokenizer, tmp_path):
    args = OnlineReflectionDistillConfig(
        str(tmp_path / "out"), hub_model_id="anna/solver", max_steps=1, log_completions=True, **SETTINGS
    )
    trainer = OnlineReflectionDistillTrainer(
        make_model(),
        scripted_reward(),
        args,
        train_dataset=load_problems_for_rl(PROBLEMS, conversational=False),
        processing_class=tokenizer,
    )
    trainer.train()
    client.fail("POST", "/commit/", status=500, times=9)
    with pytest.raises(
        PublishError, match=r"could not publish the model anna/solver: .*`hf upload anna/solver .*` uploads it"
    ):
        trainer.push_to_hub()
    client.faults.clear()
    trainer.push_to_hub()
    files = set(client.repo("models", "anna/solver").commit("main").files)
    assert {"README.md", "config.json", "model.safetensors"} <= files
    assert all(list((tmp_path / "out" / name).iterdir()) for name in ("rollouts", "completions"))
    assert not {file for file in files if file.startswith(("rollouts", "reflections", "completions"))}


def test_recipe_fails_before_training(client, recipe_arguments, monkeypatch, capsys):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert recipe.main(recipe_arguments) == 1
    assert "could not make the model repository anna/coder: offline mode is on" in capsys.readouterr().err
    assert not Path("out").exists()
