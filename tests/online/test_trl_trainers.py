"""TRL's own trainers with the reward of code, one step each."""

import dataclasses
import os

import pytest
import torch
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from reflection_trl import execution_reward, load_problems_for_rl

from .conftest import ADD, SAT, STDIN


os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

SAT_AGAIN = dataclasses.replace(SAT, id="sat2", instruction=f"{SAT.instruction} Again.")
SETTINGS = {
    "per_device_train_batch_size": 4,
    "num_generations": 2,
    "max_completion_length": 6,
    "max_steps": 1,
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "save_strategy": "no",
    "logging_steps": 1,
    "learning_rate": 1e-2,
}


def scripted(reward):
    """The reward with a model that writes right and wrong programs in turn: a tiny one writes neither."""
    texts = iter([f"```python\n{code}\n```" for code in ("def sol(): return 7", "def sol(): return 8")] * 100)

    class Scripted(type(reward)):
        def __call__(self, prompts, completions, **kwargs):
            if isinstance(completions[0], str):
                completions = [next(texts) for _ in completions]
            else:
                completions = [[{"role": "assistant", "content": next(texts)}] for _ in completions]
            return super().__call__(prompts, completions, **kwargs)

    reward.__class__ = Scripted
    return reward


def check(trainer, reward):
    before = trainer.model.model.layers[0].mlp.up_proj.weight.clone()
    trainer.train()
    log = next(entry for entry in trainer.state.log_history if "reward" in entry)
    assert log["reward"] == pytest.approx(reward)
    assert not torch.equal(trainer.model.model.layers[0].mlp.up_proj.weight, before)
    return log


@pytest.mark.parametrize("conversational", [True, False])
@pytest.mark.parametrize("run_async", [False, True])
def test_grpo(execute, make_model, tokenizer, tmp_path, conversational, run_async):
    reward = execution_reward("fraction", execute=execute, run_async=run_async)
    trainer = GRPOTrainer(
        make_model(),
        reward_funcs=reward if run_async else scripted(reward),
        args=GRPOConfig(str(tmp_path), log_completions=True, num_completions_to_print=0, **SETTINGS),
        train_dataset=load_problems_for_rl([SAT, SAT_AGAIN], conversational=conversational),
        processing_class=tokenizer,
    )
    if run_async:  # a tiny model writes no code
        trainer.train()
        assert trainer.state.log_history[0]["rewards/execution_reward/mean"] == 0.0
        return
    log = check(trainer, 0.75)
    assert log["execution/pass_rate"] == 0.5 and log["execution/failed/assertion"] == 0.5
    assert log["rewards/execution_reward/mean"] == pytest.approx(0.75)
    assert list((tmp_path / "completions").iterdir())


def test_rloo(execute, make_model, tokenizer, tmp_path):
    trainer = RLOOTrainer(
        make_model(),
        reward_funcs=[scripted(execution_reward(execute=execute))],
        args=RLOOConfig(str(tmp_path), beta=0.0, **SETTINGS),
        train_dataset=load_problems_for_rl([SAT, SAT_AGAIN]),
        processing_class=tokenizer,
    )
    assert check(trainer, 0.5)["execution/pass_rate"] == 0.5


def test_sdpo(execute, make_model, tokenizer, tmp_path):
    from trl.experimental.sdpo import SDPOConfig, SDPOTrainer

    trainer = SDPOTrainer(
        make_model(),
        reward_funcs=scripted(execution_reward(execute=execute)),
        args=SDPOConfig(str(tmp_path), teacher_model_kind="live", **SETTINGS),
        train_dataset=load_problems_for_rl([SAT, SAT_AGAIN]),
        processing_class=tokenizer,
    )
    before = trainer.model.model.layers[0].mlp.up_proj.weight.clone()
    trainer.train()
    assert not torch.equal(trainer.model.model.layers[0].mlp.up_proj.weight, before)
    assert any(0.5 in entry.values() for entry in trainer.state.log_history)


def test_columns_that_only_some_problems_have(execute, make_model, tokenizer, tmp_path):
    trainer = GRPOTrainer(
        make_model(),
        reward_funcs=execution_reward("fraction", execute=execute),
        args=GRPOConfig(str(tmp_path), **SETTINGS),
        train_dataset=load_problems_for_rl([ADD, STDIN]),
        processing_class=tokenizer,
    )
    trainer.train()
    assert trainer.state.log_history[0]["reward"] == 0.0
