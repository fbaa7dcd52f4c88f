"""Where snippets run: a folder with small stand-ins for what pages name, and a Hub that serves stand-ins under the real ids."""

import asyncio
import json
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from conftest import generation_row, reflection_row
from datasets import Dataset
from generation.server import Server, completion
from hub.conftest import TOKEN, client, environment  # noqa: F401 (fixtures)
from hub.scripted import Writer, open_writer, write_problems
from hub.server import HubServer, User

from reflection_trl import to_typed_blocks
from reflection_trl.evaluation import EvaluationRun, Outcome, Score
from reflection_trl.languages import LANGUAGES


ROOT = Path(__file__).parents[2]

# What a CPU recipe is run with, beside its own settings
BUILD = {
    "problems": ["my/problems.jsonl"],
    "decontaminate_against": ["none"],
    "near_duplicates": 2.0,
    "held_out_share": 0.0,
    "samples_per_problem": 1,
    "min_repaired_share": 0.0,
}
TRAIN = {
    "max_steps": 2,
    "eval_strategy": "no",
    "eval_on_start": False,
    "test_split_size": None,
    "disable_tqdm": True,
    "lora_target_modules": "all-linear",
}
ONLINE = {
    "problems": ["my/problems.jsonl"],
    "eval_problems": ["my/problems.jsonl"],
    "per_device_train_batch_size": 2,
    "num_generations": 2,
    "max_completion_length": 4,
    "max_steps": 1,
    "disable_tqdm": True,
    "lora_target_modules": "all-linear",
}
LOG = [
    {"step": step, "mask/rate": step / 4, "loss/sequence": 2.0, "loss/student": 2.0, "loss/distillation": 0.1}
    for step in range(1, 5)
]
# Its rollouts are rejected
UNSOLVABLE = {
    "instruction": "Write a function `halve(x)` that returns half of its argument.",
    "tests": "assert halve(4) == 3",
    "entry_point": "halve",
    "reference": "def halve(x):\n    return x / 2",
}
ROWS = [reflection_row(number, rounds=1 + number % 3) for number in range(16)]


def as_lines(rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def write_stand_in(name, settings):
    """A recipe that is then run, not only parsed."""
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(yaml.safe_load((ROOT / file).read_text()) | settings))


@pytest.fixture
def hub():
    server = HubServer({TOKEN: User("me", organizations=("team",))})
    yield server
    server.close()


@pytest.fixture(scope="module")
def tiny_model(tokenizer, tmp_path_factory):
    import torch
    from conftest import tiny_config
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config(), dtype=torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def model_server():
    """The scripted model behind an address, in a thread of its own."""

    def reply(number, body):
        said = body["messages"]
        return completion(Writer().say(said) if "times_" in said[0]["content"] else "An answer.")

    server, loop = Server(reply), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.fixture
def workplace(client, tiny_model, small_benchmarks, monkeypatch, tmp_path):  # noqa: F811
    """A folder like a checkout, with small rows, problems and models; models that write are scripted."""
    monkeypatch.chdir(tmp_path)
    files = {path.name: path.read_bytes() for path in tiny_model.iterdir()}
    for name in ("Qwen/Qwen2.5-Coder-0.5B-Instruct", "Qwen/Qwen2.5-Coder-1.5B-Instruct", "team/coder"):
        client.create("models", name, files=files)
    published = [to_typed_blocks(row) for row in ROWS]
    for name in ("SenseLLM/ReflectionSeq-GPT", "SenseLLM/ReflectionSeq-DS"):
        client.create("datasets", name, files={"train.jsonl": as_lines(published).encode()})
    shutil.copytree(tiny_model, "models/smollm2-135m-instruct")
    Path("metrics").symlink_to(ROOT / "metrics")
    Path("recipes/data").mkdir(parents=True)
    Dataset.from_list(ROWS).to_parquet("recipes/data/reflection-sample.parquet")
    for folder in ("my", "data", "out/evaluate/coder", "out/smollm2-135m"):
        Path(folder).mkdir(parents=True)
    write_problems("my/problems.jsonl")
    with open("my/problems.jsonl", "a") as file:
        file.write(as_lines([UNSOLVABLE]))
    Path("out/smollm2-135m/trainer_state.json").write_text(json.dumps({"log_history": LOG}))
    Path("data/my-reflections.jsonl").write_text(as_lines(ROWS))
    Path("data/my-instructions.jsonl").write_text(as_lines(map(generation_row, range(4))))
    for name, settings in (("build", BUILD), ("distill", TRAIN), ("online", ONLINE)):
        write_stand_in(f"recipes/smollm2-135m/{name}.yaml", settings)
    evaluation = EvaluationRun("me/coder", [Score("humaneval", [Outcome("HumanEval/0", 0, True, solution="pass")])])
    for folder in ("out/evaluate", "out/evaluate/coder"):
        evaluation.save(f"{folder}/results.json")
    monkeypatch.setattr("reflection_trl.builder.build.open_generator", open_writer)
    # Readers train on a GPU, whose default is bfloat16; on a CPU they are told to say `use_cpu`
    for module in ("transformers.training_args", "reflection_trl.training.config"):
        monkeypatch.setattr(f"{module}.is_torch_bf16_gpu_available", lambda: True)
    known = dict(LANGUAGES)
    yield tmp_path
    LANGUAGES.clear()  # a page adds one
    LANGUAGES.update(known)
