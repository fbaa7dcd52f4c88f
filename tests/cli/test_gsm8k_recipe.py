"""The recipe for GSM8K runs as it stands, with scripted and tiny models on the CPU: build, train, evaluate."""

import asyncio
import json
from pathlib import Path

import pytest

from reflection_trl import ReflectionDistillTrainer, evaluate_model
from reflection_trl.builder.build import read_rows, run_build
from reflection_trl.cli import build_dataset, evaluate, train
from reflection_trl.evaluation.run import EvaluationSettings
from reflection_trl.evaluation.table import results_table
from reflection_trl.generation.types import Completion


RECIPE = Path(__file__).parents[2] / "recipes" / "qwen2.5-1.5b-gsm8k"
# In GSM8K's form
ROWS = [
    {"question": f"{name} has 3 baskets of {number} pears. How many pears are that?", "answer": f"3*{number}.\n#### {3 * number}"}
    for name, number in (("Ann", 12), ("Bo", 400), ("Cy", 7), ("Di", 9))
]  # fmt: skip


class Pupil:
    """Adds at first, and multiplies when it has seen that this is wrong."""

    model = "pupil"

    async def __call__(self, prompt, sampling):
        text = prompt[-1]["content"]
        number = next(int(row["answer"].split("####")[1]) for row in ROWS if row["question"] in prompt[0]["content"])
        right = rf"Three baskets hold \boxed{{{number}}} pears."
        if "` is right." in text:
            return Completion("Multiplying was needed.", "stop", 10, 5)
        if "` is wrong." in text:
            return Completion(f"The numbers were added, which is wrong. {right}", "stop", 10, 5)
        return Completion(rf"It is \boxed{{{number + 1}}}." if len(prompt) == 1 else right, "stop", 10, 5)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gsm8k.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


def test_build_and_train(file, tmp_path, make_model, tokenizer, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [
        "--problems",
        file,
        "--decontaminate_against",
        "none",
        "--near_duplicates",
        "2",
        "--held_out_share",
        "0",
    ]
    arguments, generation = build_dataset.parse(["--config", str(RECIPE / "build.yaml"), *options])
    build = build_dataset.read_build(arguments, generation)
    statistics = asyncio.run(run_build(build, arguments.output_dir, generate=Pupil(), bar=False))
    assert statistics.rows == 16 and statistics.repaired == 16
    rows = read_rows(arguments.output_dir)
    small = ["--use_cpu", "true", "--bf16", "false", "--max_steps", "1", "--warmup_steps", "0"]
    _, training_args, *_ = train.parse(["--config", str(RECIPE / "distill.yaml"), *small])
    training_args.eval_strategy, training_args.eval_on_start, training_args.report_to = "no", False, []
    training_args.activation_checkpointing = False
    trainer = ReflectionDistillTrainer(
        model=make_model(), args=training_args, train_dataset=rows, processing_class=tokenizer
    )
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    assert any(not value.detach().equal(before[name]) for name, value in trainer.model.named_parameters())


def test_evaluate(file, tmp_path):
    arguments = evaluate.parse(["--config", str(RECIPE / "evaluate.yaml")])
    settings = EvaluationSettings(benchmark_files={"gsm8k": file})
    run = evaluate_model(
        arguments, arguments.benchmarks, tmp_path / "out", settings, generate=Pupil(), progress=False, name="pupil"
    )
    assert results_table(run).splitlines()[1].split()[:3] == ["gsm8k", "4", "0.0"]
