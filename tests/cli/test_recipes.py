"""The recipes: every configuration parses, and the scripts do what their READMEs say, without the network."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from conftest import generation_row, reflection_row
from datasets import IterableDataset

from reflection_trl import PAPER_PRESET
from reflection_trl.cli import answer, online, plot_training, prepare_paper_data, train, train_data
from reflection_trl.sequences import normalize_row
from reflection_trl.training.curves import read_series


ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
CONFIGS = sorted(RECIPES.glob("*/distill.yaml"))
PAPER_MODELS = ("codellama-python-7b", "codellama-python-34b", "deepseek-coder-6.7b", "deepseek-coder-33b")
CONFIGURATIONS = ("ddp", "fsdp2", "zero1", "zero2", "zero3")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)


def write_rows(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tokenizer):
    """A folder with a tiny model, two datasets of different form, and a recipe."""
    import torch
    from conftest import tiny_config
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("recipes")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config(), dtype=torch.float32).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    write_rows(folder / "reflection.jsonl", [reflection_row(i) for i in range(8)])
    as_json = [{**row, "messages": json.dumps(row["messages"])} for row in map(generation_row, range(4))]
    write_rows(folder / "plain.jsonl", as_json)
    recipe = {
        "model_name_or_path": str(folder / "model"),
        "datasets": [{"path": str(folder / "reflection.jsonl")}, {"path": str(folder / "plain.jsonl")}],
        "test_split_size": 4,
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": 2,
        "max_steps": 4,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_steps": 2,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
    }
    (folder / "distill.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture(scope="module")
def trained(workplace):
    """The recipe run by two processes, with an option on the command line."""
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command += [str(RECIPES / "train.py"), "--config", "distill.yaml", "--per_device_train_batch_size", "1"]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=workplace, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


# Configurations


def test_there_is_a_recipe_for_each_promised_model():
    models = {file.parent.name for file in CONFIGS}
    assert models >= {*PAPER_MODELS, "smollm2-135m"}
    assert len([model for model in models if model.startswith("qwen2.5-coder-")]) == 6
    assert len([model for model in models if model.startswith("qwen3-")]) == 4


@pytest.mark.filterwarnings("error::FutureWarning")  # no option that a later release removes
@pytest.mark.parametrize("config", CONFIGS, ids=lambda file: file.parent.name)
def test_recipe_parses(config, monkeypatch):
    monkeypatch.chdir(ROOT)
    script_args, training_args, model_args, dataset_args, _ = train.parse(
        ["--config", str(config), "--use_cpu", "true"]
    )
    assert model_args.model_name_or_path
    assert training_args.output_dir == f"out/{config.parent.name}"
    assert bool(script_args.dataset_name) != bool(dataset_args.datasets)
    assert f"--config recipes/{config.parent.name}/distill.yaml" in (config.parent / "README.md").read_text()
    if "qwen3" in config.parent.name:
        assert training_args.chat_template_kwargs == {"enable_thinking": False}


@pytest.mark.parametrize("model", PAPER_MODELS)
def test_paper_recipe_has_the_published_settings(model):
    settings = yaml.safe_load((RECIPES / model / "distill.yaml").read_text())
    assert {key: settings[key] for key in PAPER_PRESET} == PAPER_PRESET
    assert settings["per_device_train_batch_size"] * settings["gradient_accumulation_steps"] * 16 == 512
    paths = [source["path"] for source in settings["datasets"]]
    assert [paths.count(f"SenseLLM/ReflectionSeq-{name}") for name in ("GPT", "DS")] == [2, 2]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_accelerate_config_loads(name):
    config = load_config_from_file(str(RECIPES / "accelerate" / f"{name}.yaml"))
    assert config.mixed_precision == "bf16"
    if name.startswith("zero"):
        assert config.deepspeed_config["zero_stage"] == int(name[-1])
    if name == "fsdp2":
        assert config.fsdp_config["fsdp_version"] == 2


def test_table_and_launch_lines_name_the_same_configuration():
    rows = re.findall(r"^\| \[(.+?)\]\(.*\| (\w+) \|$", (RECIPES / "README.md").read_text(), re.MULTILINE)
    named = {model: configuration for model, configuration in rows if configuration in CONFIGURATIONS}
    assert len(named) == len(CONFIGS) - 1  # one runs on the CPU
    for model, configuration in named.items():
        launched = set(re.findall(r"accelerate/(\w+)\.yaml", (RECIPES / model / "README.md").read_text()))
        assert launched == {configuration}, model
        sharded = yaml.safe_load((RECIPES / model / "distill.yaml").read_text())
        if configuration in ("fsdp2", "zero3"):  # docs/gpus.md says why
            tried_with_fsdp2 = not sharded.get("use_peft") and sharded.get("rendering") != "block-token"
            assert configuration == ("fsdp2" if tried_with_fsdp2 else "zero3"), model


def test_help_names_only_fields_that_exist():
    parser = train.train_parser()
    listed = {
        word
        for line in train.__doc__.splitlines()
        for word in line.split()
        if word.startswith("--") and word[2:3].islower()
    }
    assert listed - {
        "--config",
        "--config_file",
        "--accelerate_config",
        "--num_processes",
        "--mixed_precision",
    } <= set(parser._option_string_actions)


@pytest.mark.parametrize("script", sorted(RECIPES.glob("*.py")), ids=lambda script: script.stem)
def test_help_is_instant(script):
    """It imports no library that takes seconds."""
    code = (
        f"import runpy, sys; sys.argv = [{str(script)!r}, '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print([name for name in ('torch', 'transformers', 'trl', 'datasets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "    reflection-trl " in done.stdout and done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize(("command", "option"), [(train, "--mask_strategy"), (online, "--format_weight")])
def test_help_all_lists_every_option_of_the_command(command, option, capsys):
    assert command.main(["--help-all"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: reflection-trl {command.__name__.rpartition('.')[2]} ") and option in printed


# Training


def test_training_writes_model_state_card_and_plot(workplace, trained):
    out = workplace / "out"
    for name in ("model.safetensors", "tokenizer.json", "trainer_state.json", "README.md", "training_curves.png"):
        assert (out / name).stat().st_size > 0
    history = json.loads((out / "trainer_state.json").read_text())["log_history"]
    series = read_series(history)
    assert series["mask/rate"] == ([1, 2, 3, 4], pytest.approx([0.25, 0.5, 0.75, 1.0]))
    assert series["eval_loss"][0] == [2, 4]
    assert trained.stdout.count("Trained 4 steps") == 1  # once, whatever the number of processes
    assert f"reflection-trl answer {out}" in trained.stdout
    assert "is deprecated" not in trained.stderr


@pytest.fixture
def no_pictures(monkeypatch):
    """They take most of the time of a small training; `trained` has one."""
    monkeypatch.setattr("reflection_trl.training.publishing.plot_training", lambda history, path: path)


@pytest.mark.usefixtures("no_pictures")
def test_resuming_repeats_the_uninterrupted_run(workplace, tmp_path, capsys, caplog):
    # As `trained`, but in one process, where both rows of a step make one batch
    argv = ["--config", str(workplace / "distill.yaml"), "--output_dir", str(tmp_path / "out")]
    assert train.main(argv) == 0, capsys.readouterr().err
    state = tmp_path / "out" / "trainer_state.json"
    losses = read_series(json.loads(state.read_text())["log_history"])["loss"]
    again = [*argv, "--resume_from_checkpoint", str(tmp_path / "out" / "checkpoint-2")]
    assert train.main(again) == 0, capsys.readouterr().err
    resumed = read_series(json.loads(state.read_text())["log_history"])["loss"]
    assert resumed == (losses[0], pytest.approx(losses[1], abs=1e-5))
    # A torn checkpoint is passed over
    (tmp_path / "out" / "checkpoint-4" / "optimizer.pt").unlink()
    assert train.main([*argv, "--resume_from_checkpoint", "true"]) == 0
    assert f"not from {tmp_path / 'out' / 'checkpoint-4'}, which is incomplete" in caplog.text
    assert read_series(json.loads(state.read_text())["log_history"])["loss"] == resumed
    # Other masks would not repeat it
    assert train.main([*again, "--mask_order", "code", "text", "execution"]) == 1
    assert "`mask_order=" in capsys.readouterr().err


@pytest.mark.usefixtures("no_pictures")
def test_adapter_trains_and_answers(workplace, tmp_path, capsys, monkeypatch):
    argv = ["--config", str(workplace / "distill.yaml"), "--output_dir", str(tmp_path / "out"), "--max_steps", "1"]
    argv += ["--use_peft", "--lora_target_modules", "all-linear", "--eval_strategy", "no", "--save_strategy", "no"]
    assert train.main(argv) == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "adapter_model.safetensors").exists()
    models = [str(workplace / "model"), str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["answer.py", *models, "--prompt", "Write f.", "--max_new_tokens", "3"])
    assert answer.main() == 0
    printed = capsys.readouterr().out
    assert all(f"=== {model}" in printed for model in models)


@pytest.mark.usefixtures("no_pictures")
def test_merged_model_is_the_adapter_on_its_base(workplace, tmp_path, capsys):
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    argv = ["--config", str(workplace / "distill.yaml"), "--output_dir", str(tmp_path / "out"), "--max_steps", "2"]
    argv += ["--use_peft", "--lora_target_modules", "all-linear", "--eval_strategy", "no", "--save_strategy", "no"]
    argv += ["--learning_rate", "0.1", "--merge"]
    assert train.main(argv) == 0, capsys.readouterr().err
    merged = tmp_path / "out-merged"
    assert f"Merged: {merged}\n" in capsys.readouterr().out
    assert not (merged / "adapter_config.json").exists() and (tmp_path / "out" / "adapter_config.json").exists()
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        base, adapted, whole = (
            kind.from_pretrained(folder)(tokens).logits
            for kind, folder in (
                (AutoModelForCausalLM, workplace / "model"),
                (AutoPeftModelForCausalLM, tmp_path / "out"),
                (AutoModelForCausalLM, merged),
            )
        )
    assert (whole - base).abs().max() > 0.01
    torch.testing.assert_close(whole, adapted, atol=1e-4, rtol=1e-4)
    stop = AutoTokenizer.from_pretrained(merged).convert_tokens_to_ids("<|im_end|>")
    assert stop in np.atleast_1d(AutoModelForCausalLM.from_pretrained(merged).generation_config.eos_token_id)
    # What is there is not overwritten, and that is known before anything is trained
    assert train.main(argv) == 1
    assert f"`merge` writes into '{merged}', which exists; remove it" in capsys.readouterr().err


def test_generation_settings_that_a_merge_cannot_save_end_it_before_training(workplace, tmp_path, capsys):
    model = tmp_path / "model"
    shutil.copytree(workplace / "model", model)
    file = model / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"temperature": 0.6}))
    argv = ["--config", str(workplace / "distill.yaml"), "--output_dir", str(tmp_path / "out"), "--max_steps", "1"]
    argv += ["--model_name_or_path", str(model), "--use_peft", "--eval_strategy", "no", "--merge"]
    assert train.main(argv) == 1
    assert "cannot be saved with the trained model (`temperature`: `do_sample` is not set" in capsys.readouterr().err
    assert not (tmp_path / "out" / "adapter_config.json").exists()


def test_answer_without_a_model_is_one_sentence(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["answer.py", str(tmp_path / "none")])
    assert answer.main() == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_plot_of_a_state_file(workplace, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plot_training.py", str(workplace / "out"), "-o", str(tmp_path / "curves.png")])
    assert plot_training.main() == 0
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(sys, "argv", ["plot_training.py", str(tmp_path / "none.json")])
    assert plot_training.main() == 1
    assert "none.json does not exist; give a trainer_state.json" in capsys.readouterr().err


# Data


def load(argv):
    script_args, training_args, _, dataset_args, _ = train.parse(
        [*argv, "--output_dir", "out", "--use_cpu", "--bf16", "false"]
    )
    return train_data.load_data(script_args, dataset_args, training_args)


def test_mixture_by_shares(workplace, tmp_path):
    sources = [
        {"path": str(workplace / f"{name}.jsonl"), "fraction": f} for name, f in (("reflection", 0.5), ("plain", 0.5))
    ]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"datasets": sources}))
    rows, _ = load(["--config", "c.yaml"])
    assert rows["type"].count("reflection") == rows["type"].count("generation") == 4
    sources[0]["fraction"] = -0.5
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"datasets": sources}))
    with pytest.raises(ValueError, match="`fraction` must be set above 0 for every dataset of a mixture"):
        load(["--config", "c.yaml"])


@pytest.mark.parametrize("streaming", [False, True])
def test_mixture_of_forms_whose_types_are_set(streaming, tmp_path):
    untyped = [{"messages": reflection_row(i)["messages"]} for i in range(2)]
    turns = generation_row(5)["messages"]
    write_rows(tmp_path / "untyped.jsonl", untyped)
    write_rows(tmp_path / "mistyped.jsonl", [{**row, "type": "python"} for row in untyped])
    write_rows(tmp_path / "pairs.jsonl", [{"prompt": turns[:1], "completion": turns[1:], "source": "x"}])
    sharegpt = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    write_rows(tmp_path / "sharegpt.jsonl", [{"conversations": sharegpt}])
    sources = [
        {"path": "untyped.jsonl"},
        {"path": "untyped.jsonl", "type": "reflection"},
        {"path": "mistyped.jsonl", "type": "reflection"},
        {"path": "pairs.jsonl"},
        {"path": "sharegpt.jsonl"},
    ]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"datasets": sources, "streaming": streaming}))
    rows = [normalize_row(row) for row in load(["--config", "c.yaml"])[0]]
    assert [row["type"] for row in rows] == ["generation"] * 2 + ["reflection"] * 4 + ["generation"] * 2
    assert [row["messages"] for row in rows[:6]] == [row["messages"] for row in untyped] * 3
    assert rows[6]["messages"] == turns
    assert [turn["content"] for turn in rows[7]["messages"]] == ["q", "a"]
    # One dataset alone keeps its own columns
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"datasets": sources[2:3], "streaming": streaming}))
    assert [row["type"] for row in load(["--config", "c.yaml"])[0]] == ["reflection"] * 2


def test_parquet_and_streaming(workplace, tmp_path):
    from datasets import load_dataset

    rows = load_dataset("json", data_files=str(workplace / "reflection.jsonl"), split="train")
    rows.to_parquet(tmp_path / "rows.parquet")
    assert load(["--dataset_name", "rows.parquet"])[0].to_list() == rows.to_list()
    mixed, _ = load(["--datasets", "rows.parquet", str(workplace / "plain.jsonl"), "--streaming"])
    assert [row["type"] for row in mixed] == ["reflection"] * 8 + ["generation"] * 4
    for given in (["--dataset_name"], ["--datasets"]):
        for option in ("--streaming", "--dataset_streaming"):
            assert isinstance(load([*given, "rows.parquet", option])[0], IterableDataset)


def test_paper_data(tmp_path, capsys):
    write_rows(tmp_path / "raw.jsonl", [{"query": "a &lt; b?", "answer": "\tx\r\ny\n"}, {"query": "q", "answer": " "}])
    assert prepare_paper_data.main(["--dataset_name", "raw.jsonl", "--output", "data/rows.jsonl"]) == 0
    assert "1 rows, 1 empty" in capsys.readouterr().out
    (row,) = (json.loads(line) for line in (tmp_path / "data" / "rows.jsonl").read_text().splitlines())
    assert row["messages"] == [{"role": "user", "content": "a < b?"}, {"role": "assistant", "content": "x\ny"}]
    assert row["type"] == "generation"
    assert (
        prepare_paper_data.main(["--dataset_name", "raw.jsonl", "--query_column", "x", "--output", "other/x.jsonl"])
        == 1
    )
    assert not (tmp_path / "other").exists()


# Bad input: one sentence, exit code 1, nothing half-written

STREAM = {"streaming": True, "test_split_size": None, "eval_strategy": "no"}
BAD_INPUT = {
    "misspelt key": (
        {"learing_rate": 1e-4},
        [],
        "Unknown key in the YAML file: `learing_rate`; did you mean `learning_rate`?",
    ),
    "misspelt option": ({}, ["--lerning_rat", "1"], "Unknown option: `lerning_rat`; did you mean `learning_rate`?"),
    "no number": ({}, ["--learning_rate", "fast"], "invalid float value: 'fast'"),
    "missing model folder": ({}, ["--model_name_or_path", "./none"], "The model folder './none' does not exist"),
    "unknown model id": ({}, ["--model_name_or_path", "nobody/none"], "The model 'nobody/none' cannot be loaded"),
    "no model": ({"model_name_or_path": None}, [], "`model_name_or_path` is not set"),
    "missing data file": (
        {"datasets": [{"path": "none.jsonl"}]},
        [],
        "'none.jsonl' cannot be read: there is no such file",
    ),
    "unknown dataset id": ({"datasets": [{"path": "nobody/none"}]}, [], "'nobody/none' cannot be read: "),
    "broken data file": ({"datasets": [{"path": "broken.jsonl"}]}, [], "'broken.jsonl' cannot be read: line 1 of"),
    "dataset without path": ({"datasets": [{"pth": "x"}]}, [], "Each of `datasets` needs a `path`"),
    "misspelt key of a dataset": ({"datasets": [{"path": "x", "splt": "a"}]}, [], "`splt`; did you mean `split`?"),
    "unknown type": (
        {"datasets": [{"path": "x", "type": "chat"}]},
        [],
        "`type` of the dataset 'x' is 'chat'; it must be",
    ),
    "nothing to merge": ({"merge": True}, [], "`merge` is set, but no adapter is trained; set `use_peft` too"),
    "no dataset": ({"datasets": []}, [], "Set either `dataset_name`"),
    "two kinds of datasets": ({}, ["--dataset_name", "x.jsonl"], "Set either `dataset_name`"),
    "another split": (
        {},
        ["--dataset_train_split", "test"],
        "`dataset_train_split` belongs to `dataset_name`; give each",
    ),
    "another test split": (
        {},
        ["--dataset_test_split", "validation"],
        "`dataset_test_split` belongs to `dataset_name`; hold out rows of a mixture with `test_split_size`.",
    ),
    "another config": ({}, ["--dataset_config", "main"], "`dataset_config` belongs to `dataset_name`; give each"),
    "no columns": ({"datasets": [{"path": "columns.jsonl"}], "test_split_size": 1}, [], "has no column `messages`"),
    "no final answer": ({"datasets": [{"path": "answer.jsonl"}], "test_split_size": 1}, [], "Row 0 of the"),
    "too large a test split": ({"test_split_size": 99}, [], "`test_split_size` is 99, but there are 12 rows"),
    "a fraction of a row": ({"test_split_size": 2.7}, [], "`test_split_size` is 2.7; give a whole number of rows"),
    "a config of a file": (
        {"datasets": [{"path": "answer.jsonl", "name": "python"}]},
        [],
        "'answer.jsonl' is read as files, which have no configurations; leave out 'python'.",
    ),
    "an empty stream": ({"datasets": [{"path": "blank.jsonl"}], **STREAM}, [], "'blank.jsonl' has no rows."),
    "an empty stream of a type": (
        {"datasets": [{"path": "blank.jsonl", "type": "reflection"}], **STREAM},
        [],
        "'blank.jsonl' has no rows.",
    ),
    "a broken stream": (
        {"datasets": [{"path": "torn.jsonl"}], **STREAM},
        [],
        "'torn.jsonl' cannot be read: line 2 of torn.jsonl is not JSON",
    ),
    "unknown strategy": ({"mask_strategy": ["block"]}, [], "`mask_strategy` is 'block'; use one of"),
    "unknown order": ({"mask_order": ["code", "text"]}, [], "`mask_order` is ['code', 'text']"),
    "rate out of range": ({"mask_rate_end": 1.5}, [], "`mask_rate_end` is 1.5; it must lie in [0, 1]"),
    "rows too long": ({"max_length": 8}, [], "can be used, of"),
    "no checkpoint": ({}, ["--resume_from_checkpoint", "true"], "There is no complete checkpoint in"),
    "missing checkpoint": ({}, ["--resume_from_checkpoint", "out/checkpoint-9"], "does not exist"),
    "no template": ({"model_name_or_path": "untemplated"}, [], "chat template"),
    "bad LoRA target": ({"use_peft": True, "lora_target_modules": ["nothing"]}, [], "nothing"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_sentence(case, workplace, tmp_path, capsys):
    changes, argv, expected = BAD_INPUT[case]
    settings = yaml.safe_load((workplace / "distill.yaml").read_text()) | {"output_dir": "out"} | changes
    (tmp_path / "distill.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "broken.jsonl").write_text('{"messages": [\n oops')
    (tmp_path / "blank.jsonl").write_text("\n\n")
    (tmp_path / "torn.jsonl").write_text(json.dumps(reflection_row()) + '\n{"messages": [\n')
    write_rows(tmp_path / "columns.jsonl", [{"prompt": "a"}, {"prompt": "b"}])
    write_rows(tmp_path / "answer.jsonl", [{**reflection_row(), "messages": reflection_row()["messages"][:-1]}] * 2)
    if settings["model_name_or_path"] == "untemplated":
        (tmp_path / "untemplated").mkdir()
        for file in (workplace / "model").iterdir():
            if file.name != "chat_template.jinja":
                (tmp_path / "untemplated" / file.name).write_bytes(file.read_bytes())
    assert train.main(["--config", "distill.yaml", *argv]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert expected in line
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_is_not_there_names_those_that_are(capsys):
    assert train.main(["--config", "none.yaml"]) == 1
    error = capsys.readouterr().err
    assert "recipes are FOLDER/FILE, with FOLDER one of codellama-python-34b, " in error
    assert "smollm2-135m" in error and "accelerate" not in error
    assert train.main(["--config", "smollm2-135m/distil"]) == 1
    assert "did you mean smollm2-135m/distill.yaml?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "argv", "expected"),
    [
        (None, ["--config", "none.yaml"], "error: --config 'none.yaml': no such file in "),
        ("a: [", ["--config", "c.yaml"], "error: c.yaml is not a YAML file: "),
        ("- a", ["--config=c.yaml"], "error: c.yaml must contain fields and values"),
        ("a: b", ["--config"], "error: --config needs the name of a YAML file."),
    ],
)
def test_bad_config_file_is_one_sentence(text, argv, expected, tmp_path):
    # In a process of its own, for the exit code and all that is printed; quick, since it ends before torch is imported
    if text is not None:
        (tmp_path / "c.yaml").write_text(text)
    script = (
        f"import runpy, sys; sys.argv[0] = {str(RECIPES / 'train.py')!r}\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print([name for name in ('torch', 'transformers', 'trl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1
    assert done.stdout == "[]\n"


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv("REFLECTION_TRL_DEBUG", "1")
    with pytest.raises(ValueError, match="no such file"):
        train.main(["--config", "none.yaml"])
