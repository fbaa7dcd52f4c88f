"""Streams whose shards differ: on several processes every epoch ends, and no step is made of half a window."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import generation_row, reflection_row
from datasets import Dataset, IterableDataset

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.rendering import ChatTemplateRenderer
from reflection_trl.training.dataset import check_first_reflections, prepare_dataset
from reflection_trl.training.streams import EvenBatches, StreamSteps


class Processes:
    """The exchange of several processes, of which this one sees the answers of the others."""

    is_main_process = True

    def __init__(self, *others):
        self.others = list(others)

    def gather(self, value):
        return [value, self.others.pop(0)] if self.others else [value]

    def broadcast(self, value, source):
        return "sent"


def test_a_step_takes_a_whole_window_or_none():
    steps = StreamSteps(Processes(2, 2, 1))
    batches = iter("abcdef")
    assert steps.take(batches, 2, is_first=True) == ["a", "b"]
    assert steps.take(batches, 2, is_first=False) == ["c", "d"]
    # The other has one left: the epoch ends here too, and is not asked for again
    assert steps.take(batches, 2, is_first=False) == []
    assert steps.take(batches, 2, is_first=False) == []
    assert steps.take(iter("gh"), 2, is_first=False) == ["g", "h"]


def test_a_first_step_that_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match=r"no usable row for process 1 of 2, but has some for others.*as many shards"):
        StreamSteps(Processes(0)).take(iter("ab"), 2, is_first=True)
    with pytest.raises(
        ValueError, match=r"has 1 batches for a process, but a step takes `gradient_accumulation_steps`=2"
    ):
        StreamSteps(Processes()).take(iter("a"), 2, is_first=True)
    assert (
        StreamSteps(Processes(0)).take(iter(""), 2, is_first=True) == []
    )  # no row at all is explained by the trainer


def test_a_process_that_has_run_out_repeats_a_batch():
    # (has a batch, has had any), of the other process
    batches = EvenBatches("ab", Processes((True, True), (True, True), (True, True), (False, True)))
    assert [(batch, batches.is_repeated) for batch in batches] == [("a", False), ("b", False), ("b", True)]
    batches = EvenBatches("", Processes((True, True), (True, True), (False, True)))
    assert [(batch, batches.is_repeated) for batch in batches] == [("sent", True), ("sent", True)]


def test_the_gradients_of_a_step_are_those_of_its_own_window(make_model, tokenizer, tmp_path):
    """Three batches and two a step: what the third leaves behind would be added to the first step of the next epoch."""

    def rows():
        yield from (generation_row(2), generation_row(3), reflection_row(4))

    settings = {"gradient_accumulation_steps": 2, "save_strategy": "no", "optim": "sgd", "learning_rate": 0.0}
    args = ReflectionDistillConfig(
        output_dir=str(tmp_path), max_steps=3, per_device_train_batch_size=1, bf16=False, use_cpu=True, report_to="none",
        activation_checkpointing=False, disable_tqdm=True, logging_steps=1, max_grad_norm=1e9, **settings,
    )  # fmt: skip
    trainer = ReflectionDistillTrainer(
        make_model(), args, train_dataset=IterableDataset.from_generator(rows), processing_class=tokenizer
    )
    trainer.train()
    norms = [entry["grad_norm"] for entry in trainer.state.log_history if "grad_norm" in entry]
    assert len(norms) == 3
    assert norms == pytest.approx([norms[0]] * 3)


def test_a_stream_that_does_not_begin_with_reflection_rows_is_reported(make_model, tokenizer, tmp_path, caplog):
    plain, renderer = [generation_row(number) for number in range(101)], ChatTemplateRenderer(tokenizer)

    def is_reported(rows, prepared=False):
        caplog.clear()
        stream = Dataset.from_list(rows).to_iterable_dataset()
        check_first_reflections(prepare_dataset(stream, renderer, None) if prepared else stream)
        return f"None of the first {min(len(rows), 100)} rows of the train stream is a reflection row" in caplog.text

    for prepared in (False, True):
        assert is_reported(plain[:3], prepared)
        assert not is_reported([plain[0], reflection_row()], prepared)
    assert is_reported([*plain, reflection_row()])
    assert not is_reported([*plain[:99], reflection_row()])

    caplog.clear()
    args = ReflectionDistillConfig(str(tmp_path), max_steps=1, bf16=False, use_cpu=True, report_to="none")
    stream = Dataset.from_list(plain).to_iterable_dataset()
    ReflectionDistillTrainer(make_model(), args, train_dataset=stream, processing_class=tokenizer)
    assert "None of the first 100 rows of the train stream is a reflection row" in caplog.text


@pytest.fixture
def train_on_stream(make_model, tokenizer, tmp_path, monkeypatch):
    """Trains on a shuffled stream of five rows, which is one epoch, and saves every step."""

    def rows():
        yield from (reflection_row(0), generation_row(1), reflection_row(2), generation_row(3), reflection_row(4))

    monkeypatch.setattr("reflection_trl.training.publishing.plot_training", lambda history, path: path)

    def train(resume=None, **settings):
        common = {
            "max_steps": 12,
            "save_strategy": "steps",
            "save_steps": 1,
            "logging_steps": 1,
            "learning_rate": 0.01,
        }
        args = ReflectionDistillConfig(
            output_dir=str(tmp_path), per_device_train_batch_size=1, bf16=False, use_cpu=True, report_to="none",
            activation_checkpointing=False, disable_tqdm=True, **common | settings,
        )  # fmt: skip
        stream = IterableDataset.from_generator(rows).shuffle(seed=1, buffer_size=3)
        trainer = ReflectionDistillTrainer(make_model(), args, train_dataset=stream, processing_class=tokenizer)
        trainer.train(resume_from_checkpoint=None if resume is None else str(tmp_path / f"checkpoint-{resume}"))
        return trainer

    return train


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_a_stream_resumes_in_any_epoch(train_on_stream):
    """At the end of the second of five steps an epoch, within it, and within the first."""
    whole = train_on_stream()
    assert len(losses(whole)) == 12
    for step in (10, 7, 3):
        resumed = train_on_stream(resume=step)
        assert losses(resumed) == losses(whole), step
        epochs = [[entry["epoch"] for entry in one.state.log_history if "loss" in entry] for one in (whole, resumed)]
        assert epochs[0] == epochs[1]
        for (name, weight), other in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
            assert torch.equal(weight, other), (step, name)


def test_a_stream_resumes_within_accumulated_steps(train_on_stream):
    """Two batches a step: two steps an epoch, and the fifth row is left over."""
    settings = {"gradient_accumulation_steps": 2, "max_steps": 6}
    whole, resumed = train_on_stream(**settings), train_on_stream(resume=3, **settings)
    assert losses(resumed) == losses(whole)


@pytest.mark.parametrize("step", [5, 7])
def test_a_stream_resumes_for_more_steps(train_on_stream, step):
    """Planned until the end of an epoch, or within the next. The epoch in a checkpoint is a share of the steps that were planned then."""
    settings = {"lr_scheduler_type": "constant", "mask_rate_start": 0.5, "mask_rate_end": 0.5}
    whole = train_on_stream(max_steps=12, **settings)
    train_on_stream(max_steps=step, **settings)
    resumed = train_on_stream(resume=step, max_steps=12, **settings)
    assert losses(resumed)[step:] == losses(whole)[step:]


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.heavy
def test_uneven_shards_on_two_processes(make_model, tokenizer, tmp_path, accumulation):
    """They hung at the end of the first epoch, where one process had run out of rows."""
    make_model().save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    script = str(Path(__file__).parent / "uneven_stream.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parents[2]), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        ),
        "OMP_NUM_THREADS": "1",
    }
    command += [str(tmp_path), str(accumulation)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    assert outcome["steps"] == [4, 4]
    # Rows 0 and 1 of the first shard and rows 10 to 14 of the second, each once, by a process alone
    assert outcome["eval_loss"] == pytest.approx(outcome["eval_loss_alone"], rel=1e-5)
    assert "An epoch of the stream has ended with batches left over" in result.stderr
