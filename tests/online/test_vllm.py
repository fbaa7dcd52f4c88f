"""Generation with vLLM in the same process, on a stand-in with the signatures of vLLM 0.20 that runs on the CPU."""

import json
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from reflection_trl import OnlineReflectionDistillConfig, OnlineReflectionDistillTrainer, load_problems_for_rl
from reflection_trl.cli.online import main

from .scripted import AGAIN, PROBLEMS, SETTINGS, scripted_reward, solve_rates


@dataclass
class SamplingParams:
    n: int = 1
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int | None = 16
    logprobs: int | None = None


class LLM:
    """Samples with a model of its own, whose weights are those that were loaded last."""

    instances: ClassVar[list["LLM"]] = []

    def __init__(
        self, model: str, *, tensor_parallel_size: int, gpu_memory_utilization: float, max_model_len: int | None,
        max_num_seqs: int, enable_sleep_mode: bool, model_impl: str, distributed_executor_backend: str, seed: int,
        max_num_batched_tokens: int, logprobs_mode: str, quantization: Any, trust_remote_code: bool,
    ):  # fmt: skip
        assert distributed_executor_backend == "external_launcher" and logprobs_mode == "processed_logprobs"
        self.model = AutoModelForCausalLM.from_pretrained(model)
        self.max_model_len, self.max_num_seqs, self.memory = max_model_len, max_num_seqs, gpu_memory_utilization
        self.generator = torch.Generator().manual_seed(seed)
        self.awake = {"weights", "kv_cache"}
        self.prompts: list[int] = []
        runner = types.SimpleNamespace(model=self)
        worker = types.SimpleNamespace(model_runner=runner)
        self.llm_engine = types.SimpleNamespace(model_executor=types.SimpleNamespace(driver_worker=worker))
        LLM.instances.append(self)

    @torch.no_grad()
    def load_weights(self, weights):
        assert "weights" in self.awake
        for name, value in weights:
            self.model.get_parameter(name).copy_(value)

    def reset_prefix_cache(self):
        pass

    def sleep(self, level):
        self.awake.clear()
        for parameter in self.model.parameters():
            parameter.data.zero_()

    def wake_up(self, tags):
        self.awake.update(tags)

    @torch.no_grad()
    def generate(self, prompts, sampling_params, use_tqdm):
        assert self.awake == {"weights", "kv_cache"}
        self.prompts.append(len(prompts))
        found = []
        for prompt in prompts:
            ids, logprobs = list(prompt["prompt_token_ids"]), []
            assert len(ids) + sampling_params.max_tokens <= self.max_model_len
            start = len(ids)
            while len(ids) < start + sampling_params.max_tokens:
                logits = self.model(input_ids=torch.tensor([ids])).logits[0, -1] / sampling_params.temperature
                token = torch.multinomial(logits.softmax(-1), 1, generator=self.generator).item()
                score = logits.log_softmax(-1)[token].item()
                logprobs.append({token: types.SimpleNamespace(logprob=score, rank=1)})
                ids.append(token)
                if token == self.model.config.eos_token_id:
                    break
            output = types.SimpleNamespace(token_ids=ids[start:], logprobs=logprobs)
            found.append(types.SimpleNamespace(prompt_token_ids=ids[:start], outputs=[output]))
        return found


@pytest.fixture
def vllm(monkeypatch):
    module = "trl.generation.vllm_generation"
    for name, value in (("is_vllm_available", lambda: True), ("LLM", LLM), ("SamplingParams", SamplingParams)):
        monkeypatch.setattr(f"{module}.{name}", value, raising=False)
    monkeypatch.setattr("reflection_trl.online.checks.is_vllm_available", lambda: True)
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):  # TRL sets them for vLLM
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)
    monkeypatch.setattr(LLM, "instances", [])
    return LLM.instances


def make_trainer(guesser, tokenizer, folder, peft_config=None, **settings):
    guesser.save_pretrained(folder / "model")
    problems = load_problems_for_rl([*PROBLEMS, *AGAIN], conversational=False)
    return OnlineReflectionDistillTrainer(
        str(folder / "model"),
        reward_funcs=scripted_reward(),
        args=OnlineReflectionDistillConfig(
            str(folder),
            **SETTINGS | {"use_vllm": True, "vllm_mode": "colocate", "vllm_max_model_length": 256} | settings,
        ),
        train_dataset=problems,
        eval_dataset=problems,
        processing_class=tokenizer,
        peft_config=peft_config,
    )


LORA = LoraConfig(r=4, target_modules=["q_proj", "up_proj", "down_proj"], init_lora_weights=False)


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({"teacher": "ema"}, 4),
        ({"teacher": "base", "peft_config": LORA}, 4),
        ({"teacher": "trust-region", "vllm_enable_sleep_mode": True, "repair_failed": True}, 8),
        ({"teacher": "live", "repair_failed": True}, 8),
    ],
    ids=["ema", "lora", "asleep", "repairs"],
)
def test_each_answer_is_sampled_from_the_current_weights(guesser, tokenizer, tmp_path, vllm, settings, calls):
    trainer = make_trainer(guesser, tokenizer, tmp_path, max_steps=4, **settings)
    trainer.train()
    (engine,) = vllm
    logs = [log for log in trainer.state.log_history if "reward" in log]
    assert len(engine.prompts) == calls and engine.prompts[0] == engine.max_num_seqs == 16
    for log in logs:
        assert log["sampling/sampling_logp_difference/max"] < 1e-3
        assert log["sampling/importance_sampling_ratio/mean"] == pytest.approx(1, abs=1e-3)
    assert any(log["distillation/sample_fraction"] > 0 and log["grad_norm"] > 0 for log in logs)
    for step in range(4):
        rows = [json.loads(line) for line in (tmp_path / f"rollouts/step-00000{step}.jsonl").read_text().splitlines()]
        assert sum(row["reward"] for row in rows) / len(rows) == pytest.approx(logs[step]["reward"])


def test_it_learns_with_dynamic_sampling_and_is_evaluated(guesser, tokenizer, tmp_path, vllm):
    trainer = make_trainer(
        guesser, tokenizer, tmp_path, max_steps=30, distillation_weight=0.0, dynamic_sampling_rounds=2,
        per_device_eval_batch_size=16, num_generations_eval=8, eval_strategy="steps", eval_steps=30, eval_on_start=True,
    )  # fmt: skip
    trainer.train()
    assert min(solve_rates(trainer.model, tokenizer)) > 0.8
    before, after = (
        log["eval_execution/pass_rate"] for log in trainer.state.log_history if "eval_execution/pass_rate" in log
    )
    assert before < 0.5 and after > 0.7
    rounds = sum(log.get("dynamic_sampling/rounds", 0) for log in trainer.state.log_history)
    assert len(vllm[0].prompts) == 30 + 2 * 2 + rounds and rounds > 0


@pytest.mark.heavy
@pytest.mark.parametrize("size", ["0.5b", "1.5b", "7b"])
def test_the_settings_of_the_recipes_train_save_evaluate_and_resume(
    make_model, tokenizer, tmp_path, vllm, size, capsys
):
    """With everything that the recipe sets for a GPU but the sizes: bfloat16, checkpointing, vLLM, adapter, teacher."""
    make_model().save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    rows = [{"instruction": f"Write `f{i}`.", "tests": f"assert f{i}() == {i}"} for i in range(4)]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {
        "model_name_or_path": tmp_path / "model",
        "problems": tmp_path / "problems.jsonl",
        "eval_problems": tmp_path / "problems.jsonl",
        "output_dir": tmp_path / "out",
        "use_cpu": "true",
        "num_generations": 2,
        "num_generations_eval": 2,
        "max_completion_length": 6,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "per_device_eval_batch_size": 4,
        **dict.fromkeys(("max_steps", "eval_steps", "save_steps"), 1),
    }
    config = Path(__file__).parents[2] / "recipes" / f"qwen2.5-coder-{size}" / "online.yaml"
    argv = ["--config", str(config), *(str(x) for name, value in given.items() for x in (f"--{name}", value))]
    assert main(argv) == 0, capsys.readouterr().err
    assert main([*argv, "--max_steps", "2", "--resume_from_checkpoint", "true"]) == 0, capsys.readouterr().err
    assert "Trained 2 steps" in capsys.readouterr().out
    state = json.loads((tmp_path / "out" / "trainer_state.json").read_text())
    logs = [log for log in state["log_history"] if "reward" in log]
    assert [log["step"] for log in logs] == [1, 2]
    assert all(log["sampling/sampling_logp_difference/mean"] < 0.02 for log in logs)
    assert [log["step"] for log in state["log_history"] if "eval_execution/pass_rate" in log] == [1, 2]
