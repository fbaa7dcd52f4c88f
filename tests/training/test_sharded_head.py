"""FSDP2 on two processes, with the head in a unit with others and in one of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]


@pytest.mark.heavy
def test_gradients_are_those_of_both_processes_wherever_the_head_is_sharded():
    """In a unit of its own, each process once trained its shard of the head on its own rows (relative error 1.01)."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    script = str(Path(__file__).parent / "sharded_head.py")
    result = subprocess.run([*command, script], env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    errors = json.loads(result.stdout.splitlines()[-1])
    assert len(errors) == 12
    assert {case: error for case, error in errors.items() if error > 1e-5} == {}
