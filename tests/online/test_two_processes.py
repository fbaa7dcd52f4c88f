"""Two processes share groups: peers, metrics, rollouts on disk and weights are those of all answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import tiny_config

from .scripted import pretrain


TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("teacher", ["ema", "trust-region"])
def test_groups_are_those_of_all_processes(make_model, tokenizer, tmp_path, teacher):
    model = make_model(tiny_config(hidden_size=32, initializer_range=0.05))
    pretrain(model, tokenizer, steps=20)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=0", "--standalone"]
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    done = subprocess.run(
        [*command, str(TESTS / "online" / "two_processes.py"), str(tmp_path), teacher],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{teacher}-{rank}.json").read_text()) for rank in (0, 1))
    assert first["same"] and second["same"]
    assert first["contexts"] == second["contexts"]  # both know all answers
    rows = [
        json.loads(line) for line in (tmp_path / teacher / "rollouts" / "step-000000.jsonl").read_text().splitlines()
    ]
    assert len(rows) == 8 and len({row["problem_id"] for row in rows}) == 1
    contexts = first["contexts"][:8]
    assert [row["messages"][1]["content"] for row in rows] == [completion for _, completion, _ in contexts]
    passed = [row["messages"][1]["content"] for row in rows if row["outcome"] == "passed"]
    for row, (_, completion, peers) in zip(rows, contexts, strict=True):
        others = list(passed)
        if row["outcome"] == "passed":
            others.remove(completion)
        assert sorted(peers) == sorted(others)
    log = first["logs"][0]
    assert log["execution/pass_rate"] == pytest.approx(len(passed) / 8)
    assert log["distillation/taught"] == pytest.approx(1 - len(passed) / 8)
