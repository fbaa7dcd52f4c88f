"""A tiny model learns what the rewards and the feedback of a scripted world say, in a few steps."""

import copy
import json
import logging

import pytest
import torch

from reflection_trl import OnlineReflectionDistillConfig, OnlineReflectionDistillTrainer, load_problems_for_rl
from reflection_trl.online.judging import SANDBOX_FAILED, Outcome
from reflection_trl.online.rewards import ExecutionReward

from .scripted import AGAIN, PROBLEMS, SETTINGS, ScriptedJudge, make_trainer, outcome, scripted_reward, solve_rates


HELD_OUT = {"easy": PROBLEMS[0], "hard": PROBLEMS[1]}


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"distillation_weight": 0.0}, 30),
        ({"distillation_weight": 1.0, "teacher": "base", "show_peer": False}, 12),
        ({"distillation_weight": 1.0, "teacher": "ema", "distillation_beta": 0.0}, 12),
        ({"distillation_weight": 0.5, "teacher": "trust-region", "gradient_accumulation_steps": 2}, 12),
        ({"distillation_weight": 0.1, "teacher": "live", "steps_per_generation": 2}, 30),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_it_learns_to_say_the_letter_that_passes(guesser, tokenizer, tmp_path, settings, steps):
    trainer = make_trainer(guesser, tokenizer, tmp_path, max_steps=steps, **settings)
    trainer.train()
    rates = solve_rates(trainer.model, tokenizer)
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logs) == steps / settings.get("steps_per_generation", 1)
    assert min(rates) > 0.8, rates
    assert logs[-1]["execution/pass_rate"] > 0.7 > 0.5 > logs[0]["execution/pass_rate"]
    if settings["distillation_weight"]:
        # The teacher knows that a failed answer is wrong, and there is less and less to teach
        assert logs[0]["distillation/log_prob_gap"] < -1
        assert logs[0]["distillation/sample_fraction"] > 0.5 > logs[-1]["distillation/sample_fraction"]


def test_the_teacher_reads_the_feedback_of_each_answer(guesser, tokenizer, tmp_path):
    trainer = make_trainer(guesser, tokenizer, tmp_path, max_steps=1)
    seen = []
    tokenize = trainer._tokenize_prompts
    trainer._tokenize_prompts = lambda prompts: (seen.append(list(prompts)), tokenize(prompts))[1]
    trainer.train()
    asked, contexts = seen
    assert len(asked) == 16
    rollouts = [json.loads(line) for line in (tmp_path / "rollouts" / "step-000000.jsonl").read_text().splitlines()]
    failed = [row for row in rollouts if row["outcome"] != "passed"]
    assert len(contexts) == len(failed) > 0
    for context, row in zip(contexts, failed, strict=True):
        assert context.startswith(row["messages"][0]["content"]) and row["messages"][2]["content"] in context
        passed = [r for r in rollouts if r["group"] == row["group"] and r["outcome"] == "passed"]
        assert ("Here is a solution that passes all tests:" in context) == bool(passed)
        assert "Here is an attempt that fails" not in context


def test_each_rollout_is_on_disk_with_its_feedback_reward_and_advantage(guesser, tokenizer, tmp_path):
    trainer = make_trainer(guesser, tokenizer, tmp_path, max_steps=3)
    trainer.train()
    files = sorted((tmp_path / "rollouts").iterdir())
    assert [file.name for file in files] == [f"step-{step:06d}.jsonl" for step in range(3)]
    rows = [json.loads(line) for line in files[1].read_text().splitlines()]
    assert len(rows) == 16 and len({row["problem_id"] for row in rows}) == 2
    for row in rows:
        problem = next(problem for problem in [*PROBLEMS, *AGAIN] if problem.id == row["problem_id"])
        assert [message["role"] for message in row["messages"]] == ["user", "assistant", "tool"]
        said = outcome(problem.tests, row["messages"][1]["content"])
        assert (row["step"], row["reward"], row["score"]) == (1, said.score, said.score)
        assert row["messages"][2]["content"] == (said.text or "(all tests pass)")
    for group in (rows[:8], rows[8:]):
        rewards = torch.tensor([row["reward"] for row in group])
        expected = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        torch.testing.assert_close(torch.tensor([row["advantage"] for row in group]), expected)


def test_several_generations_in_one_step_are_in_one_file(guesser, tokenizer, tmp_path):
    trainer = make_trainer(
        guesser, tokenizer, tmp_path, max_steps=2, gradient_accumulation_steps=2, steps_per_generation=1
    )
    trainer.train()
    files = sorted((tmp_path / "rollouts").iterdir())
    assert [len(file.read_text().splitlines()) for file in files] == [32, 32]
    trainer = make_trainer(guesser, tokenizer, tmp_path / "none", max_steps=1, save_rollouts=False)
    trainer.train()
    assert not (tmp_path / "none" / "rollouts").exists()


class Fixed(ScriptedJudge):
    """All pass, or none does."""

    def __init__(self, passes):
        super().__init__()
        self.passes = passes

    def judge(self, problems, texts):
        return [outcome("x", "x" if self.passes else "y") for _ in texts]


def test_groups_without_a_signal_are_counted_and_teach_nothing(guesser, tokenizer, tmp_path):
    reward = scripted_reward()
    reward.judge = Fixed(passes=True)
    trainer = make_trainer(guesser, tokenizer, tmp_path, reward, max_steps=2)
    before = {name: p.clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    log = trainer.state.log_history[0]
    assert (log["groups/all_passed"], log["groups/all_failed"], log["groups/with_signal"]) == (1.0, 0.0, 0.0)
    assert log["distillation/sample_fraction"] == 0.0 and log["distillation/divergence"] is None
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, before[name]), name


class Losing(ScriptedJudge):
    """The sandbox runs every second answer only."""

    def judge(self, problems, texts):
        found = super().judge(problems, texts)
        return [Outcome(SANDBOX_FAILED) if number % 2 else said for number, said in enumerate(found)]


def test_an_answer_that_the_sandbox_could_not_run_has_no_reward_of_other_functions(guesser, tokenizer, tmp_path):
    """It is left out of its group, and the others are compared without it."""

    def place(completions, **_):
        return [float(number) for number in range(len(completions))]

    trainer = make_trainer(guesser, tokenizer, tmp_path, [place, ExecutionReward(Losing())], max_steps=1)
    trainer.train()
    rows = [json.loads(line) for line in (tmp_path / "rollouts" / "step-000000.jsonl").read_text().splitlines()]
    for group in (rows[:8], rows[8:]):
        ran, lost = group[::2], group[1::2]
        assert {(row["reward"], row["advantage"]) for row in lost} == {(None, 0.0)}
        rewards = torch.tensor([row["reward"] for row in ran])
        wanted = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        torch.testing.assert_close(torch.tensor([row["advantage"] for row in ran]), wanted)


def test_groups_that_fail_as_a_whole_teach_through_their_feedback(guesser, tokenizer, tmp_path):
    reward = scripted_reward()
    reward.judge = Fixed(passes=False)
    trainer = make_trainer(guesser, tokenizer, tmp_path, reward, max_steps=1)
    trainer.train()
    log = trainer.state.log_history[0]
    assert (log["groups/all_failed"], log["groups/with_signal"], log["distillation/sample_fraction"]) == (
        1.0,
        1.0,
        1.0,
    )
    assert log["grad_norm"] > 0
    reward.judge = Fixed(passes=False)
    trainer = make_trainer(guesser, tokenizer, tmp_path, reward, max_steps=1, distillation_weight=0.0)
    trainer.train()
    log = trainer.state.log_history[0]
    assert (log["groups/all_failed"], log["groups/with_signal"], log["grad_norm"]) == (1.0, 0.0, 0.0)


def test_a_resumed_training_is_the_uninterrupted_one(guesser, tokenizer, tmp_path):
    settings = {"distillation_weight": 0.5, "save_strategy": "steps", "save_steps": 3, "max_steps": 6}
    whole = make_trainer(guesser, tokenizer, tmp_path / "whole", **settings)
    whole.train()
    rollouts = {file.name: file.read_text() for file in (tmp_path / "whole" / "rollouts").iterdir()}
    resumed = make_trainer(guesser, tokenizer, tmp_path / "whole", **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    for (name, one), other in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other), name
    for name, value in whole._teacher_weights.values.items():
        assert torch.equal(value, resumed._teacher_weights.values[name]), name
    # Steps that are run again replace what they had written
    assert {file.name: file.read_text() for file in (tmp_path / "whole" / "rollouts").iterdir()} == rollouts


def test_a_stream_resumes_in_a_later_epoch(guesser, tokenizer, tmp_path):
    """Four problems of a shuffled stream are two steps, which are one epoch."""
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 3}
    whole, resumed = (make_trainer(guesser, tokenizer, tmp_path, is_stream=True, **settings) for _ in range(2))
    whole.train()
    last = tmp_path / "rollouts" / "step-000003.jsonl"
    rollouts = last.read_text()
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert last.read_text() == rollouts
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_steps_of_an_earlier_training_are_not_those_of_this_one(guesser, tokenizer, tmp_path, caplog):
    settings = {"save_strategy": "steps", "save_steps": 2}
    make_trainer(guesser, tokenizer, tmp_path, max_steps=4, **settings).train()
    steps = [f"step-{step:06d}.jsonl" for step in range(4)]
    assert sorted(file.name for file in (tmp_path / "rollouts").iterdir()) == steps
    # Resumed, the steps are made again
    make_trainer(guesser, tokenizer, tmp_path, max_steps=3, **settings).train(str(tmp_path / "checkpoint-2"))
    assert sorted(file.name for file in (tmp_path / "rollouts").iterdir()) == steps[:3]
    with caplog.at_level("WARNING"):
        make_trainer(guesser, tokenizer, tmp_path, max_steps=1).train()
    assert sorted(file.name for file in (tmp_path / "rollouts").glob("step-*")) == steps[:1]
    assert sorted(file.name for file in (tmp_path / "rollouts" / "earlier").iterdir()) == steps[:3]
    assert "The rollouts of an earlier training in this `output_dir` were moved to" in caplog.text


def test_a_second_training_samples_answers_of_its_own(guesser, tokenizer, tmp_path):
    """Also if the first one has ended within its batch of answers."""
    trainer = make_trainer(guesser, tokenizer, tmp_path, max_steps=1, steps_per_generation=2)
    file = tmp_path / "rollouts" / "step-000000.jsonl"
    trainer.train()
    first = file.read_text()
    trainer.train()
    assert len(file.read_text().splitlines()) == len(first.splitlines()) == 32 and file.read_text() != first
    assert (tmp_path / "rollouts" / "earlier" / file.name).read_text() == first


def test_an_ema_teacher_is_not_resumed_from_a_checkpoint_without_one(guesser, tokenizer, tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 1, "max_steps": 2}
    make_trainer(guesser, tokenizer, tmp_path, teacher="base", **settings).train()
    with pytest.raises(ValueError, match=r"checkpoint-2 was written with `teacher=.base.`"):
        make_trainer(guesser, tokenizer, tmp_path, teacher="ema", **settings).train(resume_from_checkpoint=True)


def test_a_teacher_is_not_resumed_from_a_training_without_one(guesser, tokenizer, tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 1, "max_steps": 2}
    make_trainer(guesser, tokenizer, tmp_path, distillation_weight=0.0, **settings).train()
    with pytest.raises(ValueError, match=r"written without a moving average .* or a `distillation_weight` of 0"):
        make_trainer(guesser, tokenizer, tmp_path, **settings).train(resume_from_checkpoint=True)


def test_evaluation_gives_the_solve_rate(guesser, tokenizer, tmp_path):
    trainer = OnlineReflectionDistillTrainer(
        copy.deepcopy(guesser),
        reward_funcs=scripted_reward(),
        args=OnlineReflectionDistillConfig(
            str(tmp_path), **SETTINGS, max_steps=1, per_device_eval_batch_size=16, num_generations_eval=8
        ),
        train_dataset=load_problems_for_rl(PROBLEMS, conversational=False),
        eval_dataset=load_problems_for_rl(PROBLEMS, conversational=False),
        processing_class=tokenizer,
    )
    metrics = trainer.evaluate()
    assert metrics["eval_execution/pass_rate"] == metrics["eval_reward"] < 0.5
    assert not any(name.startswith("eval_distillation") for name in metrics)


def test_each_of_several_evaluation_datasets_has_metrics_of_its_own(guesser, tokenizer, tmp_path):
    class Easy(ScriptedJudge):
        def judge(self, problems, texts):
            return [outcome("x", "x" if problem.id == "first" else "y") for problem in problems]

    trainer = make_trainer(
        guesser,
        tokenizer,
        tmp_path,
        ExecutionReward(Easy()),
        eval_dataset={
            name: load_problems_for_rl([problem], conversational=False) for name, problem in HELD_OUT.items()
        },
        max_steps=1,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="hard_execution/pass_rate",
    )
    trainer.train()
    rates = {name: value for log in trainer.state.log_history for name, value in log.items() if "pass_rate" in name}
    assert (rates["eval_easy_execution/pass_rate"], rates["eval_hard_execution/pass_rate"]) == (1.0, 0.0)
    assert "eval_execution/pass_rate" not in rates and trainer.state.best_metric == 0.0
    assert trainer.evaluate(trainer.eval_dataset["easy"])["eval_execution/pass_rate"] == 1.0


def test_each_answer_of_an_evaluation_counts_once(guesser, tokenizer, tmp_path):
    """Also those of a last batch that is not full."""
    answers = []

    class Noting(ScriptedJudge):
        def judge(self, problems, texts):
            found = super().judge(problems, texts)
            answers.append([outcome.passed for outcome in found])
            return found

    rows = load_problems_for_rl([*PROBLEMS, AGAIN[0]], conversational=False)
    trainer = make_trainer(
        guesser, tokenizer, tmp_path, ExecutionReward(Noting()), per_device_eval_batch_size=16, num_generations_eval=8
    )
    for _ in range(2):
        answers.clear()
        metrics = trainer.evaluate(rows)
        assert [len(batch) for batch in answers] == [16, 8]
        everything = [passed for batch in answers for passed in batch]
        rate = sum(everything) / len(everything)
        assert rate != sum(sum(batch) / len(batch) for batch in answers) / 2
        assert metrics["eval_execution/pass_rate"] == metrics["eval_reward"] == pytest.approx(rate)


def test_a_context_that_is_too_long_is_left_out(guesser, tokenizer, tmp_path, caplog):
    trainer = make_trainer(guesser, tokenizer, tmp_path, max_steps=1)
    trainer._max_positions = 40
    with caplog.at_level(logging.WARNING):
        trainer.train()
    log = trainer.state.log_history[0]
    assert log["distillation/sample_fraction"] == 0.0 and log["distillation/divergence"] is None
    assert "more than the context of 40" in caplog.text
