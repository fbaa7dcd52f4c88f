"""DeepSpeed ZeRO on two processes of the CPU trains as one process does: all weights, tied ones, adapters and a trained head."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import tiny_config

from reflection_trl import ReflectionDistillConfig
from reflection_trl.training.modeling import prepare_model


pytestmark = pytest.mark.heavy

SCRIPT = Path(__file__).parent / "zero.py"
KEYS = ("loss", "grad_norm", "loss/sequence", "loss/student", "loss/distillation", "num_tokens")


@pytest.fixture(scope="module")
def folder(make_model, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zero")
    make_model().save_pretrained(folder / "model")
    make_model(tiny_config(tie_word_embeddings=True)).save_pretrained(folder / "tied")
    tokenizer.save_pretrained(folder / "model")
    return folder


def train(folder, stage, case):
    command = [sys.executable]
    if stage:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    paths = [str(SCRIPT.parents[2]), str(SCRIPT.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    environment |= {"ACCELERATE_TORCH_DEVICE": "cpu", "DS_ACCELERATOR": "cpu"}
    arguments = [str(SCRIPT), str(folder), str(stage), case]
    result = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(next(line for line in result.stdout.splitlines() if line.startswith("[{")))


@pytest.mark.parametrize(
    ("stage", "case"),
    [
        pytest.param(2, "lora", id="2-lora"),
        pytest.param(3, "head", id="3-head"),
        *(pytest.param(2, case, id=f"2-{case}", marks=pytest.mark.slow) for case in ("all-weights", "tied", "head")),
        *(
            pytest.param(3, case, id=f"3-{case}", marks=pytest.mark.slow)
            for case in ("all-weights", "tied", "lora", "compiled")
        ),
    ],
)
def test_two_processes_train_as_one(folder, stage, case):
    """The teacher of `lora` and `head` is the base model, with its own head where the adapter trains another."""
    logs, alone = train(folder, stage, case), train(folder, 0, case)
    assert len(logs) == len(alone) == 3
    for entry, expected in zip(logs, alone, strict=True):
        for key in KEYS:
            assert entry[key] == pytest.approx(expected[key], rel=2e-5), key


@pytest.mark.parametrize(("stage", "compiles"), [(3, True), (3, False), (2, True)])
def test_only_zero_3_gathers_compiled_layers_whole(make_model, tokenizer, tmp_path, stage, compiles):
    from deepspeed.utils import z3_leaf_module

    options = {"torch_compile": True, "torch_compile_backend": "eager"} if compiles else {}
    args = ReflectionDistillConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none", **options)
    args.deepspeed_plugin = SimpleNamespace(zero_stage=stage)
    model = make_model()
    prepare_model(model, tokenizer, args, stop_token=None, aux_loss_enabled=False)
    assert {z3_leaf_module(layer) for layer in model.model.layers} == {compiles and stage == 3}
