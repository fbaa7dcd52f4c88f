"""Two processes share groups: peers, metrics, rollouts on disk and weights are those of all answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import tiny_config

from .scripted import pretrain


TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(make_model, tokenizer, tmp_path_factory):
    """A folder with a model that guesses letters."""
    folder = tmp_path_factory.mktemp("two-processes")
    model = make_model(tiny_config(hidden_size=32, initializer_range=0.05))
    pretrain(model, tokenizer, steps=20)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder


def run(folder, case):
    """Runs a training on two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=0", "--standalone"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]), "OMP_NUM_THREADS": "1"}
    if case.endswith("zero3"):
        environment |= {"ACCELERATE_TORCH_DEVICE": "cpu", "DS_ACCELERATOR": "cpu"}
    return subprocess.run(
        [*command, str(TESTS / "online" / "two_processes.py"), str(folder), case],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def train(folder, case):
    """What both processes wrote of a training."""
    done = run(folder, case)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((folder / f"{case}-{rank}.json").read_text()) for rank in (0, 1))
    assert first["same"] and second["same"]
    assert first["contexts"] == second["contexts"]  # both know all answers
    assert first["calls"] == second["calls"]  # and generate equally often, equally much
    return first


def read_step(folder, step):
    file = folder / f"step-{step:06d}.jsonl"
    return [] if not file.exists() else [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("case", ["ema", "trust-region"])
def test_groups_are_those_of_all_processes(folder, case):
    found = train(folder, case)
    rows = read_step(folder / case / "rollouts", 0)
    assert len(rows) == 8 and len({row["problem_id"] for row in rows}) == 1
    contexts = found["contexts"][:8]
    assert [row["messages"][1]["content"] for row in rows] == [completion for _, completion, _ in contexts]
    passed = [row["messages"][1]["content"] for row in rows if row["outcome"] == "passed"]
    for row, (_, completion, peers) in zip(rows, contexts, strict=True):
        others = list(passed)
        if row["outcome"] == "passed":
            others.remove(completion)
        assert sorted(peers) == sorted(others)
    log = found["logs"][0]
    assert log["execution/pass_rate"] == pytest.approx(len(passed) / 8)
    assert log["distillation/sample_fraction"] == pytest.approx(1 - len(passed) / 8)


def test_repairs_are_those_of_all_processes_and_fsdp2_trains_alike(folder):
    found = train(folder, "repairs")
    repaired = 0
    for step in range(4):
        repairs = [row["messages"][-1]["content"] for row in read_step(folder / "repairs" / "reflections", step)]
        repaired += len(repairs)
        passed = [
            row["messages"][1]["content"]
            for row in read_step(folder / "repairs" / "rollouts", step)
            if row["outcome"] == "passed"
        ]
        for _, completion, peers in found["contexts"][8 * step : 8 * step + 8]:
            others = [*passed, *repairs]
            if completion in passed:
                others.remove(completion)
            assert sorted(peers) == sorted(others)
    assert repaired > 0 and not found["sharded"]
    sharded = train(folder, "repairs-fsdp2")
    assert sharded["sharded"] and sharded["contexts"] == found["contexts"]
    one, other = (torch.load(folder / f"{case}-0.pt") for case in ("repairs", "repairs-fsdp2"))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", ["all-weights", "lora"])
def test_zero_3_trains_as_ddp_does(folder, case):
    """Generation, the policy's loss and the teacher's predictions gather the parameters that each process has a part of."""
    found, sharded = train(folder, case), train(folder, f"{case}-zero3")
    assert sharded["sharded"] and not found["sharded"]
    assert sharded["contexts"] == found["contexts"]
    for one, other in zip(found["logs"][:4], sharded["logs"][:4], strict=True):
        for name in (
            "loss",
            "grad_norm",
            "reward",
            "distillation/divergence",
            "distillation/sample_fraction",
            "entropy",
        ):
            assert one[name] == pytest.approx(other[name], rel=1e-4, abs=1e-6), name
        assert one["reward_std"] > 0 and one["grad_norm"] > 1e-3
    one, other = (torch.load(folder / f"{name}-0.pt") for name in (case, f"{case}-zero3"))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_zero_3_refuses_a_teacher_with_weights_of_its_own(folder):
    done = run(folder, "ema-zero3")
    assert done.returncode != 0 and "`teacher='ema'` keeps a second copy of the trained weights" in done.stderr


def test_dynamic_sampling_selects_the_same_groups_in_all_processes(folder):
    found = train(folder, "dynamic")
    logs = [entry for entry in found["logs"] if "dynamic_sampling/rounds" in entry]
    assert sum(entry["dynamic_sampling/rounds"] for entry in logs) == len(found["calls"]) - 4 > 0
    for step, entry in enumerate(logs):
        rows = read_step(folder / "dynamic" / "rollouts", step)
        assert len(rows) == 8 and len({row["problem_id"] for row in rows}) == 1
        passed = sum(row["outcome"] == "passed" for row in rows)
        assert entry["groups/with_signal"] == entry["dynamic_sampling/kept_groups"] == (0 < passed < 8)
        assert entry["reward"] == pytest.approx(passed / 8)
