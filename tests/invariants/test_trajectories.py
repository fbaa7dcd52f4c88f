"""Configurations that must give the same training: the rate is exact, and so are masks, means and resumption."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import rows_of_both_types
from datasets import Dataset
from transformers import AutoModelForCausalLM

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.training.masking import mask_rate


KEYS = (
    "loss",
    "mask/rate",
    "mask/hidden_share",
    "loss/sequence",
    "loss/student",
    "loss/teacher",
    "loss/distillation",
    "student/teacher_agreement",
    "student/entropy",
    "student/mean_token_accuracy",
    "mask/tokens_saved",
    "num_tokens",
)
STEPS = 6


def train(make_model, tokenizer, rows, output_dir, resume=None, **settings):
    """Train a tiny model; returns the log of each step and the final weights."""
    defaults = {
        "output_dir": str(output_dir),
        "max_steps": STEPS,
        "logging_steps": 1,
        "save_strategy": "no",
        "learning_rate": 0.05,
        "data_seed": 7,
        "optim": "sgd",  # no division by a running norm, which would blow rounding errors up
        "lr_scheduler_type": "constant",
        "mask_strategy": ["random-block", "random-token", "block-type"],
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "activation_checkpointing": False,
        "per_device_train_batch_size": 8,
        "disable_tqdm": True,
    }
    trainer = ReflectionDistillTrainer(
        model=make_model(),
        args=ReflectionDistillConfig(**(defaults | settings)),
        train_dataset=Dataset.from_list(rows * 3),
        processing_class=tokenizer,
    )
    trainer.train(resume_from_checkpoint=resume)
    logs = [{k: entry[k] for k in KEYS} for entry in trainer.state.log_history if "mask/rate" in entry]
    return logs, {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


def assert_same_training(first, second, tolerance=2e-5):
    logs, weights = first
    other_logs, other_weights = second
    assert len(logs) == len(other_logs)
    for entry, other in zip(logs, other_logs, strict=True):
        for key in KEYS:
            assert entry[key] == pytest.approx(other[key], rel=tolerance), key
    for name, weight in weights.items():
        torch.testing.assert_close(weight, other_weights[name], rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """They take most of the time of a small training, and have a test of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reflection_trl.training.publishing.plot_training", lambda history, path: path)
        yield


@pytest.fixture(scope="module")
def usual(make_model, tokenizer, tmp_path_factory):
    return train(make_model, tokenizer, rows_of_both_types(), tmp_path_factory.mktemp("usual"))


def test_rate_is_exact_at_every_step(usual):
    assert [entry["mask/rate"] for entry in usual[0]] == pytest.approx([mask_rate(s, STEPS) for s in range(STEPS)])
    assert usual[0][-1]["mask/rate"] == 1.0


@pytest.mark.parametrize(
    "settings",
    [
        {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "dataloader_num_workers": 1},
        {"dataloader_num_workers": 4, "dataloader_prefetch_factor": 3},
        {"activation_checkpointing": True},
    ],
    ids=["accumulate-8x1", "accumulate-2x4-worker", "4-workers-prefetch-3", "gradient-checkpointing"],
)
def test_same_training(usual, make_model, tokenizer, mixed_rows, tmp_path, settings):
    assert_same_training(usual, train(make_model, tokenizer, mixed_rows, tmp_path / "other", **settings))


@pytest.mark.parametrize("teacher", ["live", "ema"])
def test_resumed_equals_uninterrupted(make_model, tokenizer, mixed_rows, tmp_path, teacher):
    settings = {
        "teacher": teacher,
        "save_strategy": "steps",
        "save_steps": 2,
        "optim": "adamw_torch",
        "learning_rate": 1e-3,
    }
    logs, weights = train(make_model, tokenizer, mixed_rows, tmp_path / "run", **settings)
    resumed = train(
        make_model, tokenizer, mixed_rows, tmp_path / "run", resume=str(tmp_path / "run" / "checkpoint-4"), **settings
    )
    assert_same_training((logs, weights), resumed, tolerance=1e-6)


def test_resuming_with_other_masks_is_refused(make_model, tokenizer, mixed_rows, tmp_path):
    train(make_model, tokenizer, mixed_rows, tmp_path / "run", save_strategy="steps", save_steps=STEPS)
    with pytest.raises(ValueError, match=r"checkpoint-6 was written with `mask_order=.*resume with the same settings"):
        train(
            make_model,
            tokenizer,
            mixed_rows,
            tmp_path / "run",
            resume=True,
            mask_order=["text", "code", "execution"],
        )


def run_two_processes(folder, tokenizer, rows, make_model, *fate):
    """Runs `two_processes.py`; its folder has the model and the rows the first time."""
    if not (folder / "model").exists():
        make_model().save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
        Dataset.from_list(rows * 3).to_json(folder / "rows.jsonl")
    script = Path(__file__).parent / "two_processes.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run([*command, str(folder), *fate], env=environment, capture_output=True, text=True, timeout=300)


def read_two_processes(folder):
    logs = json.loads((folder / "logs.json").read_text())
    training = [{k: entry[k] for k in KEYS} for entry in logs if "mask/rate" in entry]
    weights = dict(AutoModelForCausalLM.from_pretrained(folder / "trained").named_parameters())
    return logs, (training, weights)


@pytest.mark.heavy
def test_two_processes_equal_one(usual, tmp_path, tokenizer, mixed_rows, make_model):
    result = run_two_processes(tmp_path, tokenizer, mixed_rows, make_model)
    assert result.returncode == 0, result.stderr[-3000:]
    logs, training = read_two_processes(tmp_path)
    assert_same_training(usual, training)
    # Evaluated over 25 rows in batches of 4 on 2 processes, which duplicates some: each row counts once
    evaluated = [entry for entry in logs if "eval_loss" in entry][-1]
    alone = json.loads((tmp_path / "alone.json").read_text())
    assert evaluated["eval_loss"] == pytest.approx(alone["eval_loss"], rel=1e-5)
    streams = json.loads((tmp_path / "streams.json").read_text())
    assert streams["found"] == [pytest.approx(streams["expected"], rel=1e-5)] * 2


@pytest.mark.slow
def test_a_run_resumes_after_one_of_its_processes_was_killed(usual, tmp_path, tokenizer, mixed_rows, make_model):
    killed = run_two_processes(tmp_path, tokenizer, mixed_rows, make_model, "kill")
    assert killed.returncode and "SIGKILL" in killed.stderr
    assert sorted(path.name for path in (tmp_path / "ddp").glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]
    resumed = run_two_processes(tmp_path, tokenizer, mixed_rows, make_model, "resume")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert_same_training(usual, read_two_processes(tmp_path)[1])
