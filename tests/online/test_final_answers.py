r"""Rewards of final answers: nothing is run, and a setting says whether the feedback shows the expected answer."""

import pytest

from reflection_trl import execution_reward, load_problems_for_rl, repair_environment
from reflection_trl.checking import CheckerUnavailableError, process
from reflection_trl.languages.execution import refuse_to_run
from reflection_trl.online.repairs import Repair, reflection_row, repair_prompt
from reflection_trl.online.teacher_context import Rollout, TeacherContext


ROWS = [
    {"question": "Ann has 3 baskets of 12 pears. How many pears are that?", "answer": "3*12 = 36.\n#### 36"},
    {"question": "A bus carries 1,100 people a day. How many in two days?", "answer": "2*1100 = 2200.\n#### 2,200"},
]
ASKED = "\n\nReason step by step, and put the final answer in \\boxed{}."


def outcomes(reward, completions, rows=None):
    dataset = load_problems_for_rl(rows or ROWS)
    columns = {name: list(dataset[name]) for name in dataset.column_names if name != "prompt"}
    metrics = {}
    rewards = reward(list(dataset["prompt"]), completions, log_metric=metrics.__setitem__, **columns)
    return rewards, metrics


def test_rows_hold_the_request_and_the_answer_in_columns_of_their_own():
    dataset = load_problems_for_rl(ROWS)
    assert dataset.column_names == ["prompt", "problem_id", "language", "answer", "checker"]
    assert dataset[0]["prompt"] == [{"role": "user", "content": ROWS[0]["question"] + ASKED}]
    assert dataset[0]["answer"] == "36"
    code = load_problems_for_rl([{"instruction": "Write f.", "tests": "assert f()"}])
    assert not {"answer", "checker", "choices"} & {*code.column_names}


def test_right_answers_have_the_reward_and_nothing_is_run():
    reward = execution_reward(execute=refuse_to_run, format_weight=0.5)
    rewards, metrics = outcomes(reward, [r"\boxed{36}", "#### 2200"])
    assert rewards == [1.5, 1.0]
    rewards, metrics = outcomes(reward, [r"\boxed{37}", "It is 2200."])
    assert rewards == [0.5, 0.0]
    assert metrics["execution/failed/assertion"] == metrics["execution/failed/no_answer"] == 0.5
    assert [(one.kind, one.code, one.is_solution) for one in reward.outcomes] == [
        ("assertion", "37", True),
        ("no_answer", "", True),
    ]


def test_programs_run_in_a_batch_that_has_final_answers_too():
    test = "assert f() == 1"
    right, wrong = "```python\ndef f():\n    return 1\n```", "```python\ndef f():\n    return 2\n```"
    reward = execution_reward(workers=1)
    columns = {"answer": ["36", None, None], "tests": ["", test, test]}
    assert reward(["?"] * 3, [r"\boxed{36}", right, wrong], **columns) == [1.0, 1.0, 0.0]
    reward.judge.close()


def test_reasoning_in_tags_holds_no_answer():
    reward = execution_reward(execute=refuse_to_run)
    rewards, _ = outcomes(
        reward, [r"<think>\boxed{36}</think> I do not know.", r"<think>\boxed{1}</think>\boxed{2200}"]
    )
    assert rewards == [0.0, 1.0]


def test_the_expected_answer_is_shown_where_a_setting_says_so():
    hidden, reported = (
        execution_reward(execute=refuse_to_run),
        execution_reward(execute=refuse_to_run, tell_answer=True),
    )
    for reward in (hidden, reported):
        outcomes(reward, [r"\boxed{37}", r"\boxed{2200}"])
    assert (
        hidden.outcomes[0].text == "The final answer `37` is wrong." and hidden.outcomes[0].feedback.expected is None
    )
    assert reported.outcomes[0].text == "The final answer `37` is wrong. Expected: `36`."


def test_choices_reach_the_checker():
    rows = [{"question": "Which is prime?", "choices": ["4", "7"], "answer": "B"}] * 1
    rewards, _ = outcomes(execution_reward(execute=refuse_to_run), [r"\boxed{7}"], rows)
    assert rewards == [1.0]


def test_rows_of_others_with_an_answer_are_read_as_their_form_says():
    reward = execution_reward(execute=refuse_to_run)
    assert reward(["?"], [r"\boxed{72}"], answer=["48+24 = <<48+24=72>>72.\n#### 72"]) == [1.0]
    assert reward(["?"], [r"\boxed{72}"], answer=[72]) == [1.0]


def test_an_answer_beside_tests_is_not_judged_by():
    async def execute(*_, **__):
        raise RuntimeError("run")

    with pytest.raises(RuntimeError, match="run"):
        execution_reward(execute=execute)(["?"], ["```python\nf = 1\n```"], tests=["assert f"], answer=["prose"])


def test_without_math_verify_loading_fails_at_once(monkeypatch):
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CheckerUnavailableError, match="pip install math-verify"):
        load_problems_for_rl(ROWS)


def test_tools_that_run_programs_are_refused():
    environment = repair_environment(execute=refuse_to_run)()
    with pytest.raises(ValueError, match="`repair_environment` runs programs"):
        environment.reset(answer="36")


def failed_rollout():
    reward = execution_reward(execute=refuse_to_run)
    outcomes(reward, [r"12 + 3 = \boxed{15}", r"\boxed{2200}"])
    prompt = load_problems_for_rl(ROWS)[0]["prompt"]
    return Rollout(prompt, r"12 + 3 = \boxed{15}", reward.outcomes[0], "pears"), reward.outcomes[1]


def test_the_teacher_reads_of_solutions_and_not_of_programs():
    rollout, _ = failed_rollout()
    prompt = TeacherContext().build(rollout, [r"3 * 12 = \boxed{36}"])
    text = prompt[-1]["content"]
    assert "Here is a solution that is right:" in text and "the verdict was:" in text and "run" not in text
    assert "The final answer `15` is wrong." in text


def test_a_repair_is_asked_for_as_a_solution_and_its_row_holds_the_solution_alone():
    rollout, right = failed_rollout()
    asked = repair_prompt(rollout, 1000)[-1]["content"]
    assert "The solution was checked:" in asked and "program" not in asked
    solution = r"3 baskets of 12 pears are \boxed{36} pears."
    row = reflection_row(rollout, Repair(f"The numbers were added.\n---\n{solution}", right, ""), 1)
    assert row["messages"][-1]["content"] == solution and row["language"] is None
    assert reflection_row(rollout, Repair(f"The numbers were added. {solution}", right, ""), 1) is None
