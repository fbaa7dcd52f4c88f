r"""Reflection sequences of problems with a final answer, on scripted models."""

import asyncio
import json

import pytest

from reflection_trl.builder import RolloutSettings, prepare_problems
from reflection_trl.builder.answer_rollout import _find_program
from reflection_trl.builder.build import Build, read_rows, run_build
from reflection_trl.builder.prompts import Prompts
from reflection_trl.builder.rollout import rollout
from reflection_trl.checking import CheckerUnavailableError, process
from reflection_trl.feedback import FeedbackKind
from reflection_trl.generation.types import Completion
from reflection_trl.languages.execution import refuse_to_run
from reflection_trl.problems import Problem
from reflection_trl.sequences import validate_row

from .conftest import RunsHere, ScriptedModel


QUESTION = "Ann has 3 baskets of 12 pears and eats 4 pears. How many are left?"
PROBLEM = Problem("pears", QUESTION, answer="32", license="MIT", source="mine")
REQUEST = f"{QUESTION}\n\nReason step by step, and put the final answer in \\boxed{{}}."

WRONG = r"There are 3 + 12 = 15 pears, so 11 are left: \boxed{11}."
REPAIRED = r"The baskets were added, which is wrong: they must be multiplied. 3 * 12 = 36, and 36 - 4 = \boxed{32}."
RIGHT = r"3 baskets of 12 pears are 36 pears. After eating 4, \boxed{32} are left."
DONE = "Adding the baskets was the mistake; multiplying them repaired it."
IMAGINED = "I compute it.\n\n```python\nprint(3 * 12 - 4)\n```\n```output\n32\n```\nSo \\boxed{32} are left."
PLAIN = {"max_resamples": 0, "answer_samples": 1, "solve_rate_samples": 0}


def roll(lines, problem=PROBLEM, execute=refuse_to_run, **options):
    model = ScriptedModel(lines)
    made = asyncio.run(rollout(problem, model, execute, RolloutSettings(**{**PLAIN, **options})))
    assert len(model.prompts) == len(lines), "the rollout ended before the script"
    return made, model


def test_a_wrong_solution_is_repaired_and_the_request_answered():
    made, _ = roll([WRONG, REPAIRED, DONE, RIGHT])
    assert made.accepted and made.repaired and made.rounds == 2
    messages = made.messages()
    assert [turn["role"] for turn in messages] == [
        "user", "assistant", "tool", "assistant", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip
    assert [turn["content"] for turn in messages[1:]] == [
        WRONG, "The final answer `11` is wrong.", REPAIRED, "The final answer `32` is right.", DONE, REQUEST, RIGHT,
    ]  # fmt: skip
    validate_row({"messages": messages, "type": "reflection"})
    assert [attempt.feedback.kind for attempt in made.attempts] == [FeedbackKind.ASSERTION, FeedbackKind.NONE]
    assert made.answer_code == "32"
    assert REQUEST in messages[0]["content"] and "Python" not in messages[0]["content"]


def test_no_prompt_shows_the_expected_answer():
    _, model = roll([WRONG, REPAIRED, DONE, RIGHT])
    before_repair = model.prompts[:2]
    assert not any("32" in turn["content"] for prompt in before_repair for turn in prompt)
    _, model = roll([WRONG, REPAIRED, DONE, RIGHT], tell_answer=True)
    assert "The final answer `11` is wrong. Expected: `32`." in model.prompts[1][-1]["content"]


def test_prompts_speak_of_solutions():
    _, model = roll([WRONG, REPAIRED, DONE, RIGHT])
    for word in ("program", "code", "assert", "test"):
        assert word not in model.sent().lower()


def test_a_first_solution_that_is_right_is_no_repair():
    made, _ = roll([RIGHT, DONE, RIGHT])
    assert made.accepted and not made.repaired


@pytest.mark.parametrize(
    ("lines", "rejection"),
    [
        ([WRONG, REPAIRED.replace("32", "31")], "rounds_exhausted"),
        ([WRONG, REPAIRED.replace("32", "11.0")], "no_progress"),
        (["There are 32 pears left."], "no_answer"),
        ([r"\boxed{32} or \boxed{33}"], "no_answer"),
        ([Completion(RIGHT, "length", 1, 1)], "truncated"),
        ([""], "empty_answer"),
        (["I'm sorry, but I cannot help with that."], "refused"),
        ([RIGHT, DONE, WRONG], "wrong_answer"),
        ([RIGHT, DONE, "It is 32."], "no_answer"),
        ([RIGHT, DONE, r"In the corrected solution, 36 - 4 = \boxed{32}."], "leans_on_reflection"),
        ([RIGHT, DONE, r"As the verdict says, \boxed{32}."], "leans_on_reflection"),
        ([RIGHT, DONE, Completion(RIGHT, "length", 1, 1)], "truncated"),
        ([WRONG, r"\boxed{32}", "Yes."], "analysis_missing"),
        ([IMAGINED], "imagined_output"),
        ([RIGHT, DONE, IMAGINED], "imagined_output"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_says_why(lines, rejection):
    made, _ = roll(lines, rounds=2)
    assert made.rejection == rejection and made.detail


def test_a_repair_without_a_word_is_explained_when_asked():
    analysis = "The baskets were added where they have to be multiplied."
    made, model = roll([WRONG, r"3 * 12 - 4 = \boxed{32}", analysis, DONE, RIGHT])
    assert made.attempts[1].text == f"{analysis}\n\n3 * 12 - 4 = \\boxed{{32}}"
    assert "Say in two or three sentences" in model.prompts[2][-1]["content"]


def test_of_several_repairs_one_that_is_right_is_taken():
    still_wrong = REPAIRED.replace("32", "30")
    made, _ = roll([WRONG, still_wrong, REPAIRED, DONE, RIGHT], repair_candidates=2)
    assert made.attempts[1].text == REPAIRED


def test_an_answer_that_cannot_be_read_is_resampled():
    made, model = roll(["There are 32 left.", WRONG, REPAIRED, DONE, RIGHT], max_resamples=1)
    assert made.accepted
    assert model.samplings[1].temperature == pytest.approx(model.samplings[0].temperature + 0.2)


def test_the_final_answer_from_the_solution_or_the_request():
    made, model = roll([WRONG, REPAIRED, RIGHT, DONE], answer_context="program")
    assert made.answer == RIGHT and not made.unaided and "known to be right" in model.prompts[2][0]["content"]
    made, model = roll([WRONG, REPAIRED, RIGHT, DONE], answer_context="request")
    assert made.unaided and model.prompts[2] == [{"role": "user", "content": REQUEST}]


def test_the_first_solution_may_be_the_answer_to_the_request():
    _, model = roll([WRONG, REPAIRED, DONE, RIGHT], answer_first=True)
    assert model.prompts[0] == [{"role": "user", "content": REQUEST}]


def test_difficulty_and_the_teachers_rate_are_measured():
    made, _ = roll([WRONG, RIGHT, WRONG, REPAIRED, DONE, WRONG, RIGHT], solve_rate_samples=2, answer_samples=2)
    assert (made.solved, made.taught) == ((False, True), (False, True))
    assert made.answer == RIGHT


PROGRAM = "I compute it.\n\n```python\nprint(3 * 12 - 4)\n```"


def test_a_solution_may_compute_in_the_sandbox():
    execute = RunsHere()
    answer = r"So \boxed{32} are left."
    made, model = roll([f"{PROGRAM}\nThe output is 5.", answer, DONE, RIGHT], execute=execute, compute=True)
    assert made.accepted and made.runs == 1 and execute.calls == [("print(3 * 12 - 4)", "", "")]
    assert [turn["content"] for turn in made.messages()[1:5]] == [
        PROGRAM,
        "32",
        answer,
        "The final answer `32` is right.",
    ]
    assert model.prompts[1][-1]["content"].startswith("Output of the program:\n32\n\n")
    assert "short Python program" in made.instruction
    assert made.attempts[0].code == "print(3 * 12 - 4)"
    validate_row({"messages": made.messages(), "type": "reflection"})


def test_a_computation_that_fails_is_shown_and_not_judged():
    failing = "```python\nprint(pears)\n```"
    made, _ = roll([failing, PROGRAM, RIGHT, DONE, RIGHT], execute=RunsHere(), compute=True)
    assert made.accepted and not made.repaired
    assert made.messages()[2]["content"].startswith("NameError")


def test_computing_comes_to_an_end():
    made, _ = roll([PROGRAM] * 5, execute=RunsHere(), compute=True)
    assert made.rejection == "no_answer" and made.runs == 4


def test_imagined_output_is_sampled_again_and_cut_where_programs_run():
    made, _ = roll([IMAGINED, RIGHT, DONE, RIGHT], max_resamples=1)
    assert made.accepted and made.attempts[0].text == RIGHT
    made, _ = roll([IMAGINED, RIGHT, DONE, RIGHT], execute=RunsHere(), compute=True)
    assert made.accepted and made.messages()[1]["content"] == PROGRAM


def test_code_is_text_where_nothing_is_computed():
    made, _ = roll([f"{PROGRAM}\n\nThe answer is 32.", DONE, RIGHT])
    assert made.accepted and made.runs == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```python\n1\n```\nmore", ("```python\n1\n```", "1")),
        ("```\nprint(1)\n```", ("```\nprint(1)\n```", "print(1)")),
        ("```python\nprint(1\n```", None),
        ("```text\n3 apples\n```", None),
        ("```python\nprint(1)", None),
        ("no code", None),
    ],
)
def test_the_first_program_of_a_text(text, found):
    assert _find_program(text) == found


def test_choices_are_asked_and_judged():
    problem = Problem("p", "Which is prime?", answer="C", checker="choice", choices=("4", "6", "7"))
    lines = [r"\boxed{A}", r"That was wrong, since 4 = 2 * 2; only 7 is prime: \boxed{C}", DONE, r"\boxed{C}"]
    made, _ = roll(lines, problem=problem)
    assert made.accepted and "C. 7" in made.request


def test_templates_of_the_user_replace_those_of_solutions_alone(tmp_path):
    (tmp_path / "default.request.jinja").write_text("Code this: {{ instruction }}")
    assert roll([RIGHT, DONE, RIGHT], templates=tmp_path)[0].request == REQUEST
    (tmp_path / "solution.request.jinja").write_text("Solve this: {{ instruction }}")
    assert roll([RIGHT, DONE, RIGHT], templates=tmp_path)[0].request == f"Solve this: {REQUEST}"


def test_runs_of_programs_keep_their_fingerprint():
    """Templates for solutions, and settings that are off, are no reason to refuse the folder of a run of programs."""
    build = Build([Problem("p", "Write f.", tests="assert f()")], "m", RolloutSettings())
    assert not any(name.startswith("solution.") for name in build.prompts)
    assert not {"tell_answer", "compute"} & build.fingerprint().keys()
    solutions = Build([PROBLEM], "m", RolloutSettings(compute=True))
    assert solutions.prompts.keys() == {name for name in Prompts.load().sources if name.startswith("solution.")}
    assert solutions.fingerprint()["compute"] is True


@pytest.mark.parametrize("name", ["tell_answer", "compute"])
def test_settings_for_final_answers_are_refused_where_there_are_none(name):
    programs = Problem("p", "Write f.", tests="assert f()")
    with pytest.raises(
        ValueError, match=f"`{name}` applies to problems with a final `answer`, and none .* leave it out"
    ):
        Build([programs], "m", RolloutSettings(**{name: True}))
    Build([programs, PROBLEM], "m", RolloutSettings(**{name: True}))


class Pupil:
    """Solves problems of two numbers wrongly at first."""

    model = "pupil"

    async def __call__(self, prompt, sampling):
        text = prompt[-1]["content"]
        if "` is right." in text:
            return Completion("Multiplying was needed.", "stop", 10, 5)
        if "` is wrong." in text:
            return Completion(r"The numbers were added, which is wrong. 3 * 12 = 36, so \boxed{32}.", "stop", 10, 5)
        alone = len(prompt) == 1
        return Completion(WRONG if alone else RIGHT, "stop", 10, 5)


def test_a_build_makes_rows_without_a_sandbox(tmp_path):
    problems, report = prepare_problems([PROBLEM], decontaminate_against=[])
    build = Build(problems, "pupil", RolloutSettings(solve_rate_samples=2), samples=2, report=report)
    statistics = asyncio.run(run_build(build, tmp_path, generate=Pupil(), bar=False))
    assert statistics.accepted == 2 and statistics.failures == {"assertion": 2} and statistics.untested == ""
    rows = read_rows(tmp_path)
    row = rows[0]
    assert (row["answer"], row["checker"], row["choices"], row["language"]) == ("32", "math", [], None)
    assert (row["solve_rate"], row["teacher_solve_rate"], row["repaired"]) == (0.0, 1.0, True)
    assert [one["kind"] for one in row["feedback"]] == ["assertion", "none"]
    assert json.loads((tmp_path / "statistics.json").read_text())["prompts"].keys() == build.prompts.keys()


def test_a_build_without_math_verify_fails_at_once(monkeypatch):
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CheckerUnavailableError, match="pip install math-verify"):
        Build([PROBLEM], "m", RolloutSettings())
