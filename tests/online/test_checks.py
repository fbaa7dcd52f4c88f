"""What would make an online training fail or learn nothing: one sentence each, before the model is loaded or used."""

import re

import pytest
import torch
from datasets import Dataset, IterableDataset

from reflection_trl import (
    OnlineReflectionDistillConfig,
    OnlineReflectionDistillTrainer,
    execution_reward,
    load_problems_for_rl,
    repair_environment,
)
from reflection_trl.online.checks import runs_programs
from reflection_trl.problems import Problem, load_problems
from reflection_trl.sandbox import Sandbox, SandboxUnavailableError

from .conftest import ADD, SAT
from .scripted import scripted_reward


SETTINGS = {
    "per_device_train_batch_size": 4,
    "num_generations": 2,
    "max_completion_length": 8,
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
}


def make(model, folder, tokenizer=None, dataset=None, reward=None, eval_dataset=None, **settings):
    return OnlineReflectionDistillTrainer(
        model,
        eval_dataset=eval_dataset,
        reward_funcs=reward if reward is not None else scripted_reward(),
        args=OnlineReflectionDistillConfig(str(folder), **(SETTINGS | settings)),
        train_dataset=load_problems_for_rl([ADD, SAT]) if dataset is None else dataset,
        processing_class=tokenizer,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_generations": 1}, "`num_generations` is 1, but rewards are compared within a group"),
        ({"distillation_weight": 1.5}, "`distillation_weight` is 1.5; it must lie in [0, 1]"),
        ({"distillation_beta": -0.1}, "`distillation_beta` is -0.1; it must lie in [0, 1]"),
        ({"distillation_temperature": 0.0}, "`distillation_temperature` is 0.0; it must be above 0"),
        ({"distillation_temperature": float("nan")}, "`distillation_temperature` is nan; it must be above 0"),
        ({"teacher": "frozen"}, "`teacher` is 'frozen'; use one of ema, base, trust-region, live"),
        ({"max_feedback_length": 0}, "`max_feedback_length` is 0; it must be at least 1"),
        ({"show_feedback": False, "show_peer": False}, "the teacher knows no more than the student"),
        ({"dynamic_sampling_rounds": -1}, "`dynamic_sampling_rounds` is -1; it must be 0 (off) or a number of rounds"),
        ({"remove_unused_columns": True}, "`remove_unused_columns` is on, which would remove the tests"),
    ],
)
def test_settings(tmp_path, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        OnlineReflectionDistillConfig(str(tmp_path), **(SETTINGS | settings))


@pytest.mark.parametrize("teacher", ["ema", "base", "trust-region"])
def test_a_second_copy_of_sharded_weights_is_refused_before_they_are_loaded(tmp_path, monkeypatch, teacher):
    (tmp_path / "config.json").write_text("{}")  # is rejected when it is loaded
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ValueError, match=f"`teacher='{teacher}'` keeps a second copy of the trained weights"):
        make(str(tmp_path), tmp_path, teacher=teacher)
    with pytest.raises(ValueError, match="config"):
        make(str(tmp_path), tmp_path, teacher=teacher, distillation_weight=0.0)


def test_a_teacher_that_is_not_used_may_know_nothing(tmp_path):
    OnlineReflectionDistillConfig(
        str(tmp_path), **SETTINGS, distillation_weight=0.0, show_feedback=False, show_peer=False
    )


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        (
            Dataset.from_list([{"text": "x"}]),
            ValueError,
            "needs a column `prompt`, and `tests`, `examples` or `answer`",
        ),
        (Dataset.from_list([{"prompt": "x", "solution": "1"}]), ValueError, "but has prompt, solution"),
        ([{"prompt": "x"}], TypeError, "must be a `Dataset` or `IterableDataset`, got `list`"),
        (load_problems_for_rl([ADD]), ValueError, "has 1 prompts, fewer than the 2 of one generation batch"),
        (load_problems_for_rl([ADD, SAT]).select([]), ValueError, "The train dataset is empty"),
        (
            Dataset.from_list([{"prompt": "x", "tests": "c"}, {"prompt": "y", "tests": None}]),
            ValueError,
            "1 of 2 rows of `train_dataset` are without `tests`, `examples` or `answer` to judge answers by: 1; leave",
        ),
        (
            Dataset.from_list([{"prompt": [], "problem_id": f"p{i}", "tests": "c"} for i in range(4)]),
            ValueError,
            "4 of 4 rows of `train_dataset` are without a prompt: 'p0', 'p1', 'p2' and others; leave these problems out",
        ),
        (
            IterableDataset.from_generator(lambda: iter([{"prompt": "x"}])),
            ValueError,
            "`train_dataset` needs a column `prompt`, and `tests`, `examples` or `answer` to judge answers by, but has prompt",
        ),
    ],
)
def test_datasets(make_model, tokenizer, tmp_path, dataset, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make(make_model(), tmp_path, tokenizer, dataset)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eval_strategy": "steps"}, "`eval_strategy` is 'steps', but there is no `eval_dataset`"),
        ({"eval_on_start": True}, "`eval_on_start` is set, but there is no `eval_dataset`"),
        ({"report_to": "wandb"}, "`report_to` names 'wandb', which is not installed"),
    ],
)
def test_what_fails_later_is_found_before_the_model_is_loaded(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        make("no/model", tmp_path, **settings)


def test_held_out_problems_are_checked_too(tmp_path):
    rows = load_problems_for_rl([ADD, SAT])
    with pytest.raises(ValueError, match="The easy dataset is empty"):
        make("no/model", tmp_path, eval_dataset={"easy": rows.select([])})
    untested = rows.map(lambda row: {"tests": "" if row["problem_id"] == "sat" else row["tests"]})
    with pytest.raises(ValueError, match=r"1 of 2 rows of `eval_dataset` are without `tests`, .*: 'sat';"):
        make("no/model", tmp_path, eval_dataset=untested)


@pytest.mark.parametrize(("size", "settings"), [(5, {}), (8, {"num_generations_eval": 3})])
def test_batches_of_an_evaluation_hold_whole_groups(tmp_path, size, settings):
    with pytest.raises(
        ValueError, match=rf"`per_device_eval_batch_size` {size} on 1 processes does not contain whole"
    ):
        make(
            "no/model",
            tmp_path,
            eval_dataset=load_problems_for_rl([ADD]),
            per_device_eval_batch_size=size,
            eval_on_start=True,
            **settings,
        )


def test_answers_of_zero_are_answers(make_model, tokenizer, tmp_path):
    make(make_model(), tmp_path, tokenizer, Dataset.from_list([{"prompt": "x", "answer": 0}] * 2))


def test_dynamic_sampling_needs_a_dataset_of_known_length(make_model, tokenizer, tmp_path):
    stream = load_problems_for_rl([ADD, SAT]).to_iterable_dataset()
    with pytest.raises(ValueError, match="`dynamic_sampling_rounds` is 2, but `train_dataset` is a stream"):
        make(make_model(), tmp_path, tokenizer, stream, dynamic_sampling_rounds=2, max_steps=1)


def test_a_prompt_longer_than_the_context(make_model, tokenizer, tmp_path):
    with pytest.raises(
        ValueError, match=r"2 of 2 prompts leave no room for 2040 completion tokens in a context of 2048: 'add' \("
    ):
        make(make_model(), tmp_path, tokenizer, max_completion_length=2040)
    long = load_problems_for_rl([Problem("long", "word " * 2100, tests=ADD.tests, entry_point="add")])
    with pytest.raises(ValueError, match=r"1 of 1 prompts leave no room for 8 completion tokens .*: 'long' \("):
        make(make_model(), tmp_path, tokenizer, eval_dataset={"held_out": long})


def test_steps_that_are_rounded_to_zero(make_model, tokenizer, tmp_path, caplog):
    make(make_model().to(torch.bfloat16), tmp_path, tokenizer, learning_rate=2e-6)
    assert "The trained weights are in bfloat16, in which steps of `learning_rate` 2e-06 are rounded" in caplog.text


def test_rewards_without_feedback(make_model, tokenizer, tmp_path):
    for reward, number in (([lambda **_: []], 0), ([scripted_reward(), scripted_reward()], 2)):
        with pytest.raises(ValueError, match=rf"must have one `execution_reward\(\.\.\.\)`.* but has {number}"):
            make(make_model(), tmp_path, tokenizer, reward=reward)


def test_another_reward_may_stand_beside(make_model, tokenizer, tmp_path):
    def short(completions, **_):
        return [0.25] * len(completions)

    trainer = make(
        make_model(), tmp_path, tokenizer, reward=[short, scripted_reward()], max_steps=1, save_strategy="no"
    )
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["reward"] == 0.25 and log["rewards/short/mean"] == 0.25 and log["execution/pass_rate"] == 0.0


def test_settings_of_another_trainer(make_model, tmp_path):
    from trl import GRPOConfig

    with pytest.raises(TypeError, match="must be an `OnlineReflectionDistillConfig`, got `GRPOConfig`"):
        OnlineReflectionDistillTrainer(make_model(), args=GRPOConfig(str(tmp_path), **SETTINGS))


def test_vllm_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("reflection_trl.online.checks.is_vllm_available", lambda: False)
    with pytest.raises(ImportError, match="vLLM is not installed: run `pip install vllm`"):
        make("no/model", tmp_path, use_vllm=True)


def test_a_folder_without_a_model(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty"):
        make(str(tmp_path / "empty"), tmp_path)


PROGRAMS = [{"instruction": "Write f, which returns 1.", "tests": "assert f() == 1"}]
ANSWERS = [{"question": "What is 6 times 6?", "answer": "#### 36"}]
CHECKED = [{"instruction": "What?", "answer": "1", "checker": "def check(answer, expected):\n    return True"}]


@pytest.fixture
def no_sandbox(monkeypatch):
    def refuse(self):
        raise SandboxUnavailableError("No isolation mechanism works on this machine.")

    monkeypatch.setattr(Sandbox, "start", refuse)


def test_a_machine_on_which_no_sandbox_holds(no_sandbox):
    reward = execution_reward()
    with pytest.raises(SandboxUnavailableError, match="No isolation mechanism works"):
        reward(["?"], ["```python\nx = 1\n```"], tests=["assert x"])
    with pytest.raises(SandboxUnavailableError, match="No isolation mechanism works"):
        repair_environment()


@pytest.mark.parametrize(
    ("rows", "eval_rows"),
    [
        (PROGRAMS, {}),
        ([*load_problems(ANSWERS), ADD], {}),
        (CHECKED, {}),
        (ANSWERS, {"": PROGRAMS}),
        (ANSWERS, {"x": PROGRAMS}),
    ],
)
def test_training_on_programs_needs_a_sandbox_before_the_model_is_loaded(no_sandbox, tmp_path, rows, eval_rows):
    (tmp_path / "config.json").write_text("{}")  # is rejected when it is loaded
    evaluated = {name: load_problems_for_rl(given) for name, given in eval_rows.items()}
    with pytest.raises(SandboxUnavailableError, match="No isolation mechanism works"):
        OnlineReflectionDistillTrainer(
            str(tmp_path),
            args=OnlineReflectionDistillConfig(str(tmp_path), **(SETTINGS | {"per_device_train_batch_size": 2})),
            train_dataset=load_problems_for_rl(rows),
            eval_dataset=evaluated.get("", evaluated) or None,
        )


def test_final_answers_need_no_sandbox(no_sandbox):
    dataset = load_problems_for_rl(ANSWERS)
    assert not runs_programs(dataset, {"x": dataset}) and not runs_programs(dataset.to_iterable_dataset(), None)
    assert runs_programs(load_problems_for_rl(PROGRAMS).to_iterable_dataset(), None)
    reward = execution_reward()
    assert reward(["?"], [r"\boxed{36}"], answer=["#### 36"]) == [1.0]
    assert reward.judge._executor is None
