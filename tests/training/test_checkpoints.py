"""Checkpoints: complete or not resumed, whatever killed the save, and a resumed training equals an uninterrupted one."""

import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import tiny_config
from peft import LoraConfig, get_peft_model
from reference import make_trainer
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, TrainerState

from reflection_trl.training import checkpoints
from reflection_trl.training.checkpoints import CHECKPOINT_FILE, CheckpointError, find_last_checkpoint, why_incomplete


pytestmark = pytest.mark.heavy

SAVES = {"save_strategy": "steps", "save_steps": 1, "logging_steps": 1, "max_steps": 4, "learning_rate": 0.01}


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """They take most of the time of a small training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reflection_trl.training.publishing.plot_training", lambda history, path: path)
        yield


@pytest.fixture
def train(make_model, tokenizer, mixed_rows, tmp_path):
    def run(resume=None, **settings):
        rows = settings.pop("per_device_train_batch_size", 4)
        trainer = make_trainer(
            make_model(), tokenizer, mixed_rows, tmp_path, **SAVES | settings, per_device_train_batch_size=rows
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def assert_same(first, second):
    assert losses(first) == losses(second)
    for (name, weight), other in zip(first.model.named_parameters(), second.model.parameters(), strict=True):
        assert torch.equal(weight, other), name


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def remove(file):
    return lambda checkpoint: (checkpoint / file).unlink()


def cut(file):
    return lambda checkpoint: os.truncate(checkpoint / file, (checkpoint / file).stat().st_size // 2)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove("trainer_state.json"), "its trainer_state.json is missing"),
        (cut("trainer_state.json"), "its trainer_state.json is truncated"),
        (remove("optimizer.pt"), "its optimizer.pt is missing"),
        (remove("scheduler.pt"), "its scheduler.pt is missing"),
        (remove("rng_state.pth"), "its rng_state.pth is missing"),
        (cut("model.safetensors"), r"its model.safetensors has \d+ bytes of \d+"),
        (remove(CHECKPOINT_FILE), "it has no reflection_checkpoint.json: its save was interrupted or left out"),
        (cut(CHECKPOINT_FILE), "its reflection_checkpoint.json is damaged"),
    ],
)
def test_an_incomplete_checkpoint_is_skipped_and_named(train, tmp_path, caplog, damage, reason):
    whole = train()
    damage(tmp_path / "checkpoint-4")
    with pytest.raises(
        ValueError, match=rf"checkpoint-4 cannot be resumed, because {reason}.*resume from .*checkpoint-3"
    ):
        train(resume=str(tmp_path / "checkpoint-4"))
    with caplog.at_level(logging.WARNING):
        resumed = train(resume=True)
    (message,) = [record.getMessage() for record in caplog.records if "Resuming from" in record.getMessage()]
    assert message.startswith(
        f"Resuming from {tmp_path}/checkpoint-3, not from {tmp_path}/checkpoint-4, which is incomplete"
    )
    assert_same(whole, resumed)
    assert why_incomplete(tmp_path / "checkpoint-4") is None and (tmp_path / "incomplete-checkpoint-4").is_dir()


def test_without_a_complete_checkpoint_nothing_is_resumed(train, tmp_path):
    train(max_steps=1)
    (tmp_path / "checkpoint-1" / "optimizer.pt").unlink()
    with pytest.raises(
        ValueError, match=r"no complete checkpoint in .* \(.*checkpoint-1 is incomplete: its optimizer.pt"
    ):
        train(resume=True)
    assert names(tmp_path) == ["checkpoint-1"], "what cannot be resumed is left alone"


def test_checkpoint_of_another_model_is_rejected(train, make_model, tokenizer, mixed_rows, tmp_path):
    train(max_steps=1)
    wider = make_model(tiny_config(vocab_size=1024))
    with pytest.raises(
        ValueError,
        match=r"checkpoint-1 is of a model with `vocab_size=\d+`, but this one has 1024; resume with the same",
    ):
        make_trainer(wider, tokenizer, mixed_rows, tmp_path, **SAVES).train(resume_from_checkpoint=True)
    lora = LoraConfig(target_modules="all-linear", r=2)
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, peft_config=lora, **SAVES)
    with pytest.raises(
        ValueError, match=r"checkpoint-1 contains all weights, but this training is of an adapter; set `use_peft`"
    ):
        trainer.train(resume_from_checkpoint=True)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"r": 4}, "an adapter with `r=2`, but this training has 4"),
        ({"lora_alpha": 64}, "an adapter with `lora_alpha=8`, but this training has 64"),
        ({"use_dora": True}, "an adapter with `use_dora=False`, but this training has True"),
        (
            {"target_modules": ["q_proj"]},
            r"an adapter with `target_modules=\['q_proj', 'v_proj'\]`, but this training has \['q_proj'\]",
        ),
    ],
)
def test_a_checkpoint_of_another_adapter_is_rejected(make_model, tokenizer, mixed_rows, tmp_path, other, says):
    def make(**settings):
        lora = LoraConfig(**{"r": 2, "target_modules": ["v_proj", "q_proj"]} | settings)
        return make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, peft_config=lora, **SAVES)

    make().train()
    assert make(lora_dropout=0.5).train(resume_from_checkpoint=True).global_step == 4
    with pytest.raises(ValueError, match=f"checkpoint-4 contains {says}; resume with the same adapter"):
        make(**other).train(resume_from_checkpoint=True)


def test_an_adapter_with_a_name_is_resumed(make_model, tokenizer, mixed_rows, tmp_path):
    def make(folder):
        torch.manual_seed(0)
        model = get_peft_model(make_model(), LoraConfig(r=2, target_modules=["q_proj"]), adapter_name="mine")
        return make_trainer(model, tokenizer, mixed_rows, tmp_path / folder, **SAVES)

    whole, resumed = make("run"), make("run")
    whole.train()
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-2"))
    assert_same(whole, resumed)


def test_generation_settings_that_cannot_be_saved_are_rejected_before_the_first_step(
    make_model, tokenizer, mixed_rows, tmp_path
):
    make_model().save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "generation_config.json"
    published = json.loads(file.read_text())

    def train_with(**settings):
        file.write_text(json.dumps(published | settings))
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
        trainer = make_trainer(model, tokenizer, mixed_rows, tmp_path / "out", max_steps=1)
        trainer.train()
        trainer.save_model(str(tmp_path / "saved"))
        return trainer

    with pytest.raises(
        ValueError,
        match=r"generation settings of `Qwen2ForCausalLM` cannot be saved .* \(`temperature`: `do_sample` is not set to `True`.*generation_config.json",
    ):
        train_with(temperature=0.6)
    # transformers saves settings that nothing changes
    tokens = {"eos_token_id": [tokenizer.eos_token_id], "pad_token_id": tokenizer.pad_token_id}
    assert train_with(temperature=0.6, **tokens).state.global_step == 1
    train_with(temperature=0.6, do_sample=True)
    assert json.loads((tmp_path / "saved" / "generation_config.json").read_text())["temperature"] == 0.6


def test_an_adapter_of_a_model_from_another_place_is_reported(make_model, tokenizer, mixed_rows, tmp_path, caplog):
    def messages(name, resume):
        model = make_model()
        model.name_or_path = model.config._name_or_path = name
        lora = LoraConfig(target_modules="all-linear", r=2)
        trainer = make_trainer(model, tokenizer, mixed_rows, tmp_path, peft_config=lora, **SAVES | {"max_steps": 1})
        caplog.clear()
        trainer.train(resume_from_checkpoint=resume)
        return [record.getMessage() for record in caplog.records if "was trained on" in record.getMessage()]

    assert messages("models/a", None) == messages("models/a", True) == []
    (message,) = messages("models/b", True)
    assert message.startswith(
        f"The adapter in {tmp_path}/checkpoint-1 was trained on 'models/a', but this training loads 'models/b'."
    )
    assert "resume with 'models/a'" in message


def test_checkpoints_of_an_earlier_training_are_named_before_they_are_overwritten(train, tmp_path, caplog):
    train(max_steps=2)
    with caplog.at_level(logging.WARNING):
        train(max_steps=1)
    (message,) = [record.getMessage() for record in caplog.records if "from the beginning" in record.getMessage()]
    assert message.startswith(f"Starting from the beginning, although {tmp_path}/checkpoint-2 of an earlier training")
    assert "`resume_from_checkpoint=True`" in message


def test_what_people_edit_is_no_part_of_a_checkpoint(train, tmp_path):
    whole = train()
    (tmp_path / "checkpoint-3" / "tokenizer_config.json").unlink()
    (tmp_path / "checkpoint-3" / "README.md").write_text("Mine.")
    shutil.rmtree(tmp_path / "checkpoint-4")
    assert_same(whole, train(resume=True))


def test_weights_alone_are_not_resumed(train, tmp_path):
    train(max_steps=1, save_only_model=True)
    with pytest.raises(ValueError, match=r"left out the optimizer \(`save_only_model`\)"):
        train(resume=str(tmp_path / "checkpoint-1"))


# What writes a part of a checkpoint, in this order
WRITERS = ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", CHECKPOINT_FILE, "trainer_state.json"]


def fail_at(monkeypatch, file, error, step=3):
    """Writing `file` of the checkpoint of `step` raises `error`, with half of it on the disk."""

    def failing(function, path_of):
        def write(*args, **kwargs):
            path = Path(path_of(*args))
            if path.name == file and path.parent.name == f"checkpoint-{step}":
                path.write_bytes(b"half")
                raise error
            return function(*args, **kwargs)

        return write

    import transformers.modeling_utils

    for owner, name, path_of in (
        (transformers.modeling_utils, "safe_save_file", lambda tensors, path, *_: path),
        (torch, "save", lambda value, path, *_: path),
        (os, "replace", lambda source, path: path),
        (TrainerState, "save_to_json", lambda state, path: path),
    ):
        monkeypatch.setattr(owner, name, failing(getattr(owner, name), path_of))


@pytest.mark.parametrize(
    ("file", "limit"), [("model.safetensors", 1), ("optimizer.pt", None), ("trainer_state.json", 1)]
)
def test_a_full_disk_is_one_sentence_and_leaves_no_half_checkpoint(train, tmp_path, monkeypatch, file, limit):
    with monkeypatch.context() as patch:
        fail_at(patch, file, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        with pytest.raises(CheckpointError) as caught:
            train(save_total_limit=limit)
    folder = tmp_path / "checkpoint-3"
    assert str(caught.value).startswith(
        f"{folder} could not be written: no space is left on the disk; free disk space"
    )
    assert f"resume from {tmp_path}/checkpoint-2" in str(caught.value)
    assert not folder.exists() and (tmp_path / "checkpoint-2").is_dir()
    resumed = train(resume=True, save_total_limit=limit)
    shutil.rmtree(tmp_path)
    assert_same(train(), resumed)


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError(
            "[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/1: file write failed"
        ),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
    ],
)
def test_every_writer_s_error_of_a_full_disk_is_known(train, tmp_path, monkeypatch, error):
    fail_at(monkeypatch, "optimizer.pt", error, step=1)
    with pytest.raises(
        CheckpointError, match=r"checkpoint-1 could not be written: (no space is left|the write failed)"
    ):
        train()


def test_other_errors_stay_what_they_are(train, tmp_path, monkeypatch):
    fail_at(monkeypatch, "optimizer.pt", RuntimeError("NCCL error"), step=1)
    with pytest.raises(RuntimeError, match="NCCL error"):
        train()
    assert names(tmp_path) == []


def test_a_model_that_does_not_fit_on_the_disk(train, monkeypatch):
    trainer = train(save_strategy="no", max_steps=1)
    import transformers.modeling_utils

    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(transformers.modeling_utils, "safe_save_file", full)
    with pytest.raises(CheckpointError, match="could not be written: no space is left on the disk"):
        trainer.save_model()


@pytest.mark.parametrize("file", WRITERS)
def test_a_kill_while_a_file_is_written(train, tmp_path, monkeypatch, file):
    """As `SIGKILL` leaves it: nothing that runs at the end of a process runs."""
    whole = train()
    for folder in names(tmp_path):
        shutil.rmtree(tmp_path / folder)

    class Kill(BaseException):
        pass

    with monkeypatch.context() as patch:
        fail_at(patch, file, Kill())
        patch.setattr(checkpoints, "why_incomplete", lambda _: None)  # so nothing is removed
        with pytest.raises(Kill):
            train(save_total_limit=1)
    assert names(tmp_path) == ["checkpoint-2", "checkpoint-3"], "the old one goes when the new one is complete"
    assert find_last_checkpoint(tmp_path)[0] == tmp_path / "checkpoint-2"
    assert_same(whole, train(resume=True, save_total_limit=1))
    assert names(tmp_path) == ["checkpoint-4", "incomplete-checkpoint-3"]


def test_a_save_over_an_old_checkpoint_of_the_same_step(train, tmp_path, monkeypatch):
    """Old files must not vouch for new ones: sizes are equal."""
    train()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "why_incomplete", lambda _: None)  # so nothing is removed
        fail_at(patch, "scheduler.pt", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(resume=str(tmp_path / "checkpoint-2"))
    assert "has no reflection_checkpoint.json" in why_incomplete(tmp_path / "checkpoint-3")


def test_an_adapter_is_resumed_too(make_model, tokenizer, mixed_rows, tmp_path):
    def train(resume=None):
        trainer = make_trainer(
            make_model(),
            tokenizer,
            mixed_rows,
            tmp_path,
            **SAVES,
            peft_config=LoraConfig(target_modules=["q_proj"], r=4),
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = train()
    files = json.loads((tmp_path / "checkpoint-4" / CHECKPOINT_FILE).read_text())["files"]
    assert {"adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"} <= set(files)
    (tmp_path / "checkpoint-4" / "adapter_model.safetensors").unlink()
    assert_same(whole, train(resume=True))


def test_a_finished_training_makes_no_further_step(train, tmp_path, caplog):
    settings = {"max_steps": 3, "lr_scheduler_type": "constant"}  # an epoch has two steps
    whole = train(**settings)
    with caplog.at_level(logging.WARNING):
        resumed = train(resume=True, **settings)
    assert resumed.state.global_step == 3 and names(tmp_path) == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]
    assert_same(whole, resumed)
    assert (
        "checkpoint-3 has all 3 steps of this training, so nothing is left to train; raise `max_steps`" in caplog.text
    )


def test_tuples_and_lists_are_the_same_settings(train, tmp_path):
    train(mask_strategy=("block-type",), mask_order=("text", "code", "execution"))
    resumed = train(
        resume=str(tmp_path / "checkpoint-2"), mask_strategy=("block-type",), mask_order=["text", "code", "execution"]
    )
    assert resumed.state.global_step == 4


@pytest.mark.slow
def test_a_process_that_is_killed_in_a_save(train, make_model, tokenizer, mixed_rows, tmp_path):
    """A real `SIGKILL` between the weights and the optimizer, in a process of its own."""
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parents[1])]!r}
import torch
from conftest import make_tokenizer, rows_of_both_types, tiny_config, trl_template
from reference import make_trainer
from transformers import AutoModelForCausalLM
save = torch.save
def kill(value, path, *args, **kwargs):
    if str(path).endswith("checkpoint-3/optimizer.pt"):
        os.kill(os.getpid(), signal.SIGKILL)
    return save(value, path, *args, **kwargs)
torch.save = kill
torch.manual_seed(0)
model = AutoModelForCausalLM.from_config(tiny_config(), dtype=torch.float32)
tokenizer = make_tokenizer(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], trl_template("qwen2_5"), eos_token="<|im_end|>", pad_token="<|endoftext|>")
make_trainer(model, tokenizer, rows_of_both_types(), {str(tmp_path)!r}, **{SAVES!r}, per_device_train_batch_size=4).train()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]
    resumed = train(resume=True)
    shutil.rmtree(tmp_path)
    assert_same(train(), resumed)
