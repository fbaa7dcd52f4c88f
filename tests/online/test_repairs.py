"""Second turns: failed answers are repaired, and repairs that pass are peers for the teacher and rows to train on."""

import copy
import json

import pytest
from datasets import load_dataset

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.online.judging import SANDBOX_FAILED, Outcome
from reflection_trl.online.repairs import Repair, reflection_row, repair_prompt
from reflection_trl.online.rollouts import write_step
from reflection_trl.online.teacher_context import Rollout, passing_peers
from reflection_trl.sequences import normalize_row

from .scripted import PROBLEMS, ScriptedJudge, make_trainer, outcome, scripted_reward


PASSED = Outcome("none", 1.0, "", "def f():\n    return 1", True, Feedback(FeedbackKind.NONE, ""))
FAILED = Outcome("assertion", 0.0, "Expected: 1\nGot: 2", "def f(): return 2", True)
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Write f."}]
REPAIR = Repair("It must be 1.\n```python\ndef f():\n    return 1\n```\nNow corrected.", PASSED, "python")


def test_the_model_reads_its_attempt_and_the_feedback():
    prompt = repair_prompt(Rollout(MESSAGES, "<think>two?</think>my answer", FAILED), 2000)
    assert prompt[:2] == MESSAGES and prompt[2] == {"role": "assistant", "content": "my answer"}
    assert prompt[3]["role"] == "user" and "```text\nExpected: 1\nGot: 2\n```" in prompt[3]["content"]
    text = repair_prompt(Rollout("Write f.", "my answer", FAILED), 6)
    assert text.startswith("Write f.\n\nHere is an attempt that fails:\n\nmy answer\n\n")
    assert "[...]\nGot: 2" in text and "Expected" not in text


@pytest.mark.parametrize(
    ("completion", "found"), [("x", PASSED), ("x", Outcome(SANDBOX_FAILED)), (" ", FAILED), ("x", Outcome("timeout"))]
)
def test_nothing_is_repaired_without_a_failure_that_says_something(completion, found):
    assert repair_prompt(Rollout("Write f.", completion, found), 2000) is None


@pytest.mark.parametrize("prompt", [MESSAGES, MESSAGES[1:], "Write f."])
def test_a_repair_becomes_a_row_that_is_trained_on(prompt):
    row = reflection_row(Rollout(prompt, "```python\ndef f(): return 2\n```", FAILED, "one"), REPAIR, step=3)
    assert normalize_row(row)["messages"] == row["messages"]
    *_, attempt, feedback, repair, request, answer = row["messages"]
    assert [message["role"] for message in (attempt, feedback, repair)] == ["assistant", "tool", "assistant"]
    assert feedback["content"] == "Expected: 1\nGot: 2" and request["content"] == "Write f."
    # The answer stands on its own: nothing in it says that another came before
    assert answer["content"] == "```python\ndef f():\n    return 1\n```"
    assert (row["problem_id"], row["step"], row["type"]) == ("one", 3, "reflection")


def test_a_conversation_of_several_turns_is_no_row():
    turns = [*MESSAGES, {"role": "assistant", "content": "Which?"}, {"role": "user", "content": "This one."}]
    assert reflection_row(Rollout(turns, "x", FAILED), REPAIR, 0) is None


def test_repairs_are_peers_after_the_answers_that_pass():
    rollouts = [Rollout("p", text, found) for text, found in (("a", FAILED), ("b", PASSED), ("c", FAILED))]
    assert passing_peers(rollouts, 3, ["A", None, "C"]) == [["b", "A", "C"], ["A", "C"], ["b", "C", "A"]]


class Second(ScriptedJudge):
    """Fails all first turns, and passes every other second turn."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def judge(self, problems, texts):
        self.asked.append(len(texts))
        if len(self.asked) % 2:
            return [outcome("?", text) for text in texts]
        return [outcome("?", "?" if number % 2 else "!") for number in range(len(texts))]


@pytest.fixture
def second():
    reward = scripted_reward()
    reward.judge = Second()
    return reward


def test_repairs_are_sampled_judged_shown_and_written(guesser, tokenizer, tmp_path, second):
    trainer = make_trainer(guesser, tokenizer, tmp_path, second, max_steps=2, repair_failed=True)
    asked, contexts = [], []
    generate, build = trainer._generate_single_turn, trainer._context.build
    trainer._generate_single_turn = lambda ids, *rest, **kwargs: (asked.append(ids), generate(ids, *rest, **kwargs))[1]
    object.__setattr__(trainer._context, "build", lambda *args: (contexts.append(args), build(*args))[1])
    trainer.train()
    prompts = tokenizer.batch_decode(asked[1])
    rollouts = [json.loads(line) for line in (tmp_path / "rollouts" / "step-000000.jsonl").read_text().splitlines()]
    # An empty answer is nothing to repair
    failed = [row for row in rollouts if row["messages"][1]["content"].strip()]
    assert second.judge.asked[:2] == [16, len(failed)] and len(failed) > 8
    for prompt, row in zip(prompts, failed, strict=True):
        question, attempt, feedback = (message["content"] for message in row["messages"])
        assert question in prompt and attempt.strip() in prompt and feedback in prompt
    # Each answer has the repairs of its group as peers, although no answer passes
    repaired = failed[1::2]
    for (_, peers), row in zip(contexts[:16], rollouts, strict=True):
        assert len(peers) == sum(other["group"] == row["group"] for other in repaired) > 0
    log = trainer.state.log_history[0]
    assert log["execution/pass_rate"] == 0.0 and log["repairs/tried"] == len(failed) / 16
    assert log["repairs/passed"] == pytest.approx(len(repaired) / len(failed))
    assert (log["groups/all_failed"], log["distillation/sample_fraction"]) == (1.0, 1.0)
    files = sorted((tmp_path / "reflections").iterdir())
    assert [file.name for file in files] == ["step-000000.jsonl", "step-000001.jsonl"]
    rows = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert [row["problem_id"] for row in rows] == [row["problem_id"] for row in repaired]
    assert [normalize_row(row)["messages"] for row in rows] == [row["messages"] for row in rows]


def test_the_rows_are_trained_on(guesser, tokenizer, tmp_path, second):
    make_trainer(guesser, tokenizer, tmp_path / "online", second, max_steps=2, repair_failed=True).train()
    trainer = ReflectionDistillTrainer(
        copy.deepcopy(guesser),
        args=ReflectionDistillConfig(
            str(tmp_path),
            max_steps=1,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=load_dataset("json", data_files=f"{tmp_path}/online/reflections/*.jsonl", split="train"),
        processing_class=tokenizer,
    )
    trainer.train()
    assert trainer.state.log_history[0]["loss/student"] > 0


def test_evaluation_repairs_nothing_and_no_setting_no_second_turn(guesser, tokenizer, tmp_path, second):
    trainer = make_trainer(guesser, tokenizer, tmp_path, second, max_steps=1)
    trainer.train()
    assert second.judge.asked == [16] and not (tmp_path / "reflections").exists()
    assert "repairs/tried" not in trainer.state.log_history[0]


def test_a_prompt_without_room_is_not_repaired(guesser, tokenizer, tmp_path, second):
    trainer = make_trainer(guesser, tokenizer, tmp_path, second, max_steps=1, repair_failed=True)
    trainer._max_positions = 20
    trainer.train()
    assert second.judge.asked == [16]
    log = trainer.state.log_history[0]
    assert (log["repairs/tried"], log["repairs/passed"]) == (0.0, None)


def test_the_problems_of_the_repairs_are_those_of_their_answers(guesser, tokenizer, tmp_path):
    reward = scripted_reward()
    seen = []
    judge = reward.judge.judge
    reward.judge.judge = lambda problems, texts: (seen.append([p.tests for p in problems]), judge(problems, texts))[1]
    trainer = make_trainer(guesser, tokenizer, tmp_path, reward, max_steps=1, repair_failed=True)
    trainer.train()
    rollouts = [json.loads(line) for line in (tmp_path / "rollouts" / "step-000000.jsonl").read_text().splitlines()]
    failed = [
        row["problem_id"].split()[0]
        for row in rollouts
        if row["outcome"] != "passed" and row["messages"][1]["content"].strip()
    ]
    assert seen[1] == [{p.id: p.tests for p in PROBLEMS}[name] for name in failed]


def test_a_step_without_rows_has_no_file_and_one_that_is_run_again_loses_its_old(tmp_path):
    assert not write_step(tmp_path, 4, []).exists()
    file = write_step(tmp_path, 4, [{"a": 1}])
    assert write_step(tmp_path, 4, [], more=True).read_text() == '{"a": 1}\n'
    assert not write_step(tmp_path, 4, []).exists() and not file.exists()
