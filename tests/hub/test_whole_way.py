"""The whole way over the Hub: build, publish, load, train, push, load, evaluate, publish, and read it all back."""

import asyncio
import importlib
import json
from io import BytesIO
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, HfApi, ModelCard
from pyarrow.parquet import read_table
from transformers import AutoModelForCausalLM, AutoTokenizer

from reflection_trl.evaluation import EvaluationRun
from reflection_trl.feedback import FeedbackKind
from reflection_trl.languages import Executor
from reflection_trl.sandbox import SandboxUnavailableError

from .scripted import open_writer, write_problems


RECIPES = Path(__file__).parents[2] / "recipes"
TRAIN_AND_PUSH = """
import json

from conftest import make_tokenizer, tiny_config, trl_template
from datasets import load_dataset
from transformers import AutoModelForCausalLM

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer

rows = load_dataset("team/rows", split="train")
assert list(load_dataset("team/rows", split="train", streaming=True)) == rows.to_list()
tokenizer = make_tokenizer(
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    trl_template("qwen2_5"),
    eos_token="<|im_end|>",
    pad_token="<|endoftext|>",
)
trainer = ReflectionDistillTrainer(
    model=AutoModelForCausalLM.from_config(tiny_config()),
    args=ReflectionDistillConfig(
        output_dir="coder",
        hub_model_id="team/coder",
        hub_private_repo=True,
        max_steps=2,
        per_device_train_batch_size=2,
        save_strategy="no",
        bf16=False,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    ),
    train_dataset=rows,
    processing_class=tokenizer,
)
trainer.train()
commit = trainer.push_to_hub(dataset_name="team/rows")
weight = next(trainer.model.parameters()).flatten()[:8].tolist()
print(json.dumps({"rows": len(rows), "steps": trainer.state.global_step, "commit": commit.oid, "weight": weight}))
"""


def recipe(name):
    """The command that a script in `recipes/` runs."""
    return importlib.import_module(f"reflection_trl.cli.{name}")


async def judge(solution):
    """The answer under a test, in the sandbox."""
    async with Executor(languages={"python"}) as execute:
        run = await execute("python", solution, "assert times_2(4) == 8", entry_point="times_2")
    return run.feedback


@pytest.mark.slow
def test_build_publish_train_push_load_evaluate_publish_read(
    client, run_python, monkeypatch, tmp_path, small_benchmarks
):
    monkeypatch.chdir(tmp_path)
    try:
        assert asyncio.run(judge("def times_2(x):\n    return 2 * x")).kind == FeedbackKind.NONE
    except SandboxUnavailableError as error:
        pytest.skip(str(error))

    # Problems become rows, run in the sandbox, and go to the Hub
    problems = write_problems("problems.jsonl")
    monkeypatch.setattr("reflection_trl.builder.build.open_generator", open_writer)
    command = "--problems problems.jsonl --model_name_or_path writer --output_dir built --decontaminate_against none"
    command += " --near_duplicates 2 --push_to_hub team/rows --hub_private true"
    recipe("build_dataset").run(command.split())
    card = DatasetCard.load("team/rows")
    assert card.data.configs[0]["config_name"] == "default"
    assert card.data.license == "mit"
    for text in ("| 1 | 3 | 50.0 % |", "| 2 | 3 | 50.0 % |", "| assertion | 3 | 100.0 % |", "Models: writer."):
        assert text in card.text, text

    # Another machine loads them, trains, and pushes the model
    trained = json.loads(run_python(TRAIN_AND_PUSH, HF_HUB_OFFLINE="0").splitlines()[-1])
    assert (trained["rows"], trained["steps"]) == (6, 2)
    files = set(client.repo("models", "team/coder").commit("main").files)
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= files
    assert client.repo("models", "team/coder").private

    # A third one loads the model, which answers, and its answer is judged in the sandbox
    model, tokenizer = AutoModelForCausalLM.from_pretrained("team/coder"), AutoTokenizer.from_pretrained("team/coder")
    assert next(model.parameters()).flatten()[:8].tolist() == trained["weight"]
    request = [{"role": "user", "content": problems[0]["instruction"]}]
    prompt = tokenizer.apply_chat_template(request, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**prompt, max_new_tokens=8, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    solution = tokenizer.decode(answer)
    assert asyncio.run(judge(solution)).kind != FeedbackKind.NONE

    # It is evaluated, and the results go to the Hub
    command = "--model team/coder --backend transformers --benchmarks humaneval --max_tokens 8"
    command += " --output_dir evaluated --publish_to_hub team/coder --samples_repo team/coder-answers"
    recipe("evaluate").run(command.split())
    run = EvaluationRun.load("evaluated/results.json")
    assert run.revision == trained["commit"] and run.command == f"reflection-trl evaluate {command}"

    # Whoever comes after reads both forms, the answers, and the card of the training
    entries = HfApi().model_info("team/coder", expand=["evalResults"]).eval_results
    assert {(entry.dataset_id, entry.value) for entry in entries} == {
        ("openai/openai_humaneval", 0.0),
        ("evalplus/humanevalplus", 0.0),
    }
    assert all(trained["commit"] in entry.notes for entry in entries)
    card = ModelCard.load("team/coder")
    results = {(one.dataset_name, one.metric_type, one.metric_value) for one in card.data.eval_results}
    assert results == {("HumanEval", "pass@1", 0.0), ("HumanEval+", "pass@1", 0.0)}
    assert {one.source_url for one in card.data.eval_results} == {entry.source_url for entry in entries}
    assert card.data.datasets == "team/rows"
    assert card.text.index("## Training") < card.text.index("| HumanEval | pass@1 | 0.0 % |")
    parquet = client.read("datasets", "team/coder-answers", "humaneval/test-00000-of-00001.parquet")
    judged = [outcome.solution for outcome in run.score("humaneval").outcomes]
    assert read_table(BytesIO(parquet))["solution"].to_pylist() == judged and len(judged) == 8
