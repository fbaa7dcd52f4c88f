"""The benchmark recipe: its arms agree, and what it calls useful is what torch counts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2Config, Qwen2ForCausalLM

from reflection_trl.cli.benchmark import main
from reflection_trl.cli.benchmark.arguments import ARM_NAMES, SHAPE_NAMES, BenchmarkArguments
from reflection_trl.cli.benchmark.arms import ARMS
from reflection_trl.cli.benchmark.command import chosen_arms
from reflection_trl.cli.benchmark.flop import useful_flop
from reflection_trl.cli.benchmark.measure import Workload, run_arm
from reflection_trl.cli.benchmark.models import SHAPES, VOCABULARY
from reflection_trl.cli.benchmark.rows import synthetic_rows


RECIPES = Path(__file__).parents[2] / "recipes"


def run(*arguments):
    command = [sys.executable, str(RECIPES / "benchmark.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_every_name_is_an_arm_or_a_shape():
    assert tuple(ARMS) == ARM_NAMES
    assert tuple(SHAPES) == SHAPE_NAMES


def test_useful_flop_is_what_torch_counts():
    config = Qwen2Config(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=96,
        attn_implementation="eager",
    )
    model, length = Qwen2ForCausalLM(config), 24
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.arange(length)[None], use_cache=False).logits.sum().backward()
    alone = useful_flop([length], length, config, 6)
    # Torch counts the whole square of attention, of which the causal half is useful; and rotary angles, a small product
    square = 6 * config.num_hidden_layers * config.hidden_size * length**2
    angles = counter.get_flop_counts()["Global"].get(torch.ops.aten.bmm, 0) - 2 * square
    assert 0 <= angles <= 2 * length * config.hidden_size
    assert counter.get_total_flops() == alone + square + angles
    forward = useful_flop([length], length, config, 2)
    assert alone == 3 * forward


def test_arms_agree_and_are_written_down(tmp_path):
    done = run(
        "--arms", "ours", "published", "sft", "sdft", "--steps", 3, "--warmup_steps", 1, "--batch_size", 2,
        "--row_tokens", 120, "--output_dir", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "benchmark.json").read_text())
    arms = {arm["arm"]: arm for arm in record["arms"]}
    assert list(arms) == ["ours", "published", "sft", "sdft"]
    assert arms["ours"]["losses"] == pytest.approx(arms["published"]["losses"], rel=1e-5)
    assert all(len(arm["seconds"]) == 3 and min(arm["seconds"]) > 0 for arm in arms.values())
    assert len({tuple(arm["source_tokens"]) for arm in arms.values()}) == 1, "not the same rows"
    work = {name: sum(arm["useful_flop"]) for name, arm in arms.items()}
    assert work["ours"] == work["published"] > work["sft"]
    table = (tmp_path / "benchmark.md").read_text()
    assert "| 1.00x |" in table and table in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "--arms theirs",
            "--arms theirs: use some of ours ours-compiled ours-fp8 published sft sft-compiled sft-liger sdft, or all.",
        ),
        ("--profild_steps 3", "Unknown option: `profild_steps`; did you mean `profiled_steps`?"),
        ("--steps", "--steps: expected one argument; write its value behind it."),
        ("--steps many", "--steps: invalid int value: 'many'; give a whole number."),
        ("--steps 0", "--steps must be at least 1, got 0."),
        ("--warmup_steps -1", "--warmup_steps must be at least 0, got -1."),
        ("--micro_batch_size 0", "--micro_batch_size must be at least 1, got 0."),
        ("--shape 3b", "--shape 3b: use one of tiny, 0.5b, 1.5b, 7b, 32b."),
        ("--dtype fp16", "--dtype fp16: use one of auto, float32, bfloat16, float16."),
        ("--model_name_or_path /no/model", "The model folder '/no/model' does not exist."),
        (
            "--batch_size 8 --micro_batch_size 3",
            "--micro_batch_size 3 times 1 process(es) must divide --batch_size 8: change one of the two.",
        ),
        pytest.param(
            "--profiled_steps 4",
            "--profiled_steps 4 traces the kernels of a GPU, and this machine has none: set it to 0.",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
def test_wrong_arguments_end_in_one_sentence(arguments, expected, tmp_path, capsys):
    assert main([*arguments.split(), "--output_dir", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"error: {expected}\n"
    assert not (tmp_path / "none").exists()


def test_traced_steps_are_not_timed(tmp_path, monkeypatch):
    traces = []
    monkeypatch.setattr(
        "reflection_trl.cli.benchmark.measure.read_trace", lambda file, steps: traces.append((file, steps)) or "found"
    )
    arguments = BenchmarkArguments(
        output_dir=str(tmp_path),
        batch_size=1,
        row_tokens=60,
        steps=3,
        warmup_steps=1,
        profiled_steps=2,
        ddp_bucket_cap_mb=250,
    )
    rows = synthetic_rows(6, 60, VOCABULARY["tiny"], 0)
    result = run_arm(ARMS["ours"], Workload(arguments, rows, "cpu", torch.float32))
    assert len(result.seconds) == len(result.source_tokens) == len(result.useful_flop) == len(result.losses) == 3
    taken = [len(rows[step]["input_ids"]) for step in (1, 4, 5)]  # 0 is for warming up, 2 and 3 are traced
    assert result.source_tokens == taken
    assert result.gpu_time == ["found"]
    assert traces == [(tmp_path / "ours" / "trace-0.json", 2)] and traces[0][0].exists()


def test_all_arms_are_those_that_run_here(monkeypatch, capsys):
    monkeypatch.setattr("accelerate.utils.is_torchao_available", lambda: True)
    monkeypatch.setattr("transformers.utils.is_liger_kernel_available", lambda: True)
    everything = BenchmarkArguments(arms=["all"])
    assert chosen_arms(everything, "cuda") == list(ARM_NAMES) and capsys.readouterr().out == ""
    monkeypatch.setattr("accelerate.utils.is_torchao_available", lambda: False)
    assert set(ARM_NAMES) - set(chosen_arms(everything, "cpu")) == {"ours-fp8", "sft-liger"}
    assert capsys.readouterr().out == (
        "Skipping ours-fp8: it needs torchao: pip install torchao.\nSkipping sft-liger: it needs a GPU.\n"
    )
    assert chosen_arms(BenchmarkArguments(arms=["sft"]), "cpu") == ["sft"]
    assert set(ARMS) == set(ARM_NAMES)


def test_float8_needs_torchao(monkeypatch, capsys):
    monkeypatch.setattr("accelerate.utils.is_torchao_available", lambda: False)
    assert main(["--arms", "ours", "ours-fp8"]) == 1
    assert capsys.readouterr().err == "error: --arms ours-fp8 needs torchao: pip install torchao.\n"
