"""The reflection loop, on scripted models: every way that it can go."""

import asyncio
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.answers import read_answer
from reflection_trl.builder import ReflectionSequence, RolloutSettings
from reflection_trl.builder.asserts import split_asserts
from reflection_trl.builder.features import to_record
from reflection_trl.builder.rollout import rollout
from reflection_trl.builder.sampling import step_seed
from reflection_trl.feedback import FeedbackKind
from reflection_trl.generation.types import (
    BudgetExhaustedError,
    Completion,
    GenerationError,
    RequestRefusedError,
    Sampling,
)
from reflection_trl.problems import Example, Problem
from reflection_trl.sandbox import SandboxError, SandboxUnavailableError
from reflection_trl.sequences import split_blocks, validate_row

from .conftest import RunsHere, ScriptedModel


PROBLEM = Problem(
    id="t/double",
    instruction="Write a function double(x) that returns twice x.",
    tests="assert double(4) == 8\nassert double(-1) == -2",
    entry_point="double",
)
UNTESTED = dataclasses.replace(PROBLEM, tests="")
GUIDED = dataclasses.replace(PROBLEM, tests="", reference="def double(x):\n    return 2 * x  # the secret")


def program(body, *asserts):
    return f"def double(x):\n    return {body}\n" + "".join(f"\nassert {one}" for one in asserts)


def fenced(code, lead="", tail=""):
    return "\n\n".join(part for part in (lead, f"```python\n{code}\n```", tail) if part)


RIGHT = fenced(program("2 * x", "double(3) == 6"), "Doubling is a multiplication.")
BROKEN = fenced(program("x ** 2", "double(3) == 6"), "Squares do.")
FIXED = fenced(
    program("2 * x", "double(3) == 6"), "The assert fails: a square is no double, so the body has to be 2 * x."
)
ANSWER = fenced(program("2 * x").rstrip(), "Multiply by two.")
DONE = "A product does it."


# The answer from the program, in a conversation of its own: one line of the script
PLAIN = {"max_resamples": 0, "answer_context": "program", "solve_rate_samples": 0}


def written(attempt):
    """A round as the model wrote it, in one code block."""
    code = split_asserts(attempt.code)
    assert attempt.text.endswith(fenced(code.solution.strip("\n")))
    return attempt.text.replace(fenced(code.solution.strip("\n")), fenced(attempt.code))


def roll(problem, lines, execute=None, sample=0, **options):
    model = ScriptedModel(lines)
    made = asyncio.run(rollout(problem, model, execute or RunsHere(), RolloutSettings(**{**PLAIN, **options}), sample))
    assert len(model.prompts) == len(lines), "the rollout ended before the script"
    return made, model


def check(made: ReflectionSequence):
    row = {"messages": made.messages(), "type": "reflection"}
    validate_row(row)
    for attempt in made.attempts:
        types = [block.type for block in split_blocks({"role": "assistant", "content": attempt.text})]
        assert types in (["text", "code"], ["code"], ["text", "code", "text"])
    return row["messages"]


def test_a_program_that_passes_at_once_makes_a_short_sequence():
    made, _ = roll(PROBLEM, [RIGHT, ANSWER, DONE])
    assert made.accepted and not made.repaired and made.rounds == 1
    assert [turn["role"] for turn in check(made)] == [
        *("user", "assistant", "tool", "assistant", "tool", "assistant"),
        *("user", "assistant"),
    ]
    assert written(made.attempts[0]) == RIGHT
    assert made.attempts[0].feedback.text == "(no output)"
    assert (made.conclusion, made.request, made.answer) == (DONE, PROBLEM.instruction, ANSWER)
    assert made.answer_code == "def double(x):\n    return 2 * x"
    assert (made.prompt_tokens, made.completion_tokens) == (30, 9)
    # The solution, with its asserts, with the problem's tests, the answer against these and against the asserts
    assert made.runs == 5


def test_thinking_is_no_part_of_a_row():
    lines = [RIGHT, ANSWER, DONE]
    made, _ = roll(PROBLEM, [f"<think>\nHm.\n\n{fenced(chr(120))}\n</think>\n\n{line}" for line in lines])
    assert made.accepted, made.detail
    assert not any("Hm." in turn["content"] or "think>" in turn["content"] for turn in made.messages())


def test_a_program_that_fails_is_repaired():
    made, model = roll(PROBLEM, [BROKEN, FIXED, ANSWER, DONE])
    assert made.accepted and made.repaired and made.rounds == 2
    messages = check(made)
    assert [turn["role"] for turn in messages] == [
        *("user", "assistant", "tool", "assistant", "tool", "assistant", "tool", "assistant", "tool", "assistant"),
        *("user", "assistant"),
    ]
    assert messages[1]["content"] == fenced("def double(x):\n    return x ** 2", "Squares do.")
    assert messages[2]["content"] == "(no output)"
    assert messages[3]["content"] == fenced("assert double(3) == 6")
    assert messages[4]["content"] == "AssertionError\nassert double(3) == 6"
    assert made.attempts[0].feedback.kind is FeedbackKind.ASSERTION
    # What the model is sent holds the output, and all that was said before
    assert [turn["role"] for turn in model.prompts[1]] == ["user", "assistant", "user"]
    assert "AssertionError\nassert double(3) == 6" in model.prompts[1][-1]["content"]
    # The answer is drawn by itself: from the program, without its asserts, and with nothing of the conversation
    assert [turn["role"] for turn in model.prompts[2]] == ["user"]
    assert "return 2 * x" in model.prompts[2][0]["content"]
    assert "assert double" not in model.prompts[2][0]["content"] and "x ** 2" not in model.prompts[2][0]["content"]


def test_a_failing_test_of_the_problem_is_shown_when_the_asserts_hold():
    weak = fenced(program("x + 2", "double(2) == 4"))
    made, model = roll(PROBLEM, [weak, FIXED, ANSWER, DONE])
    assert made.accepted and made.rounds == 2
    assert made.attempts[0].feedback.text.endswith("Further tests:\nAssertionError\nassert double(4) == 8")
    assert "assert double(-1) == -2" not in model.sent()


def test_failing_tests_end_the_rollout_where_they_may_not_be_shown():
    made, model = roll(PROBLEM, [fenced(program("x + 2", "double(2) == 4"))], tell_tests=False)
    assert made.rejection == "tests_failed"
    assert "double(4)" not in model.sent()


def test_rounds_are_limited():
    lines = [
        fenced(program(f"x + {n}", "double(3) == 6"), "The sum is wrong, another one may do it.") for n in (0, 1, 2)
    ]
    made, _ = roll(PROBLEM, lines, rounds=3)
    assert made.rejection == "rounds_exhausted" and made.rounds == 3
    assert made.detail == "No program passed in 3 rounds; the last one: AssertionError"


def test_a_repeated_program_ends_the_rollout():
    again = fenced(program("x ** 2", "double(3) == 6"), "This is surely right, look at it once more.")
    made, _ = roll(PROBLEM, [BROKEN, again])
    assert made.rejection == "no_progress"


def test_a_program_repeated_with_another_wrong_assert_is_a_repeated_program():
    again = fenced(
        program("x ** 2", "double(3) == 6", "double(5) == 11"), "Another assert may show more of what is wrong."
    )
    made, _ = roll(GUIDED, [BROKEN, again])
    assert made.rejection == "no_progress" and made.rounds == 1
    assert made.detail == "Round 2 repeats a program that failed, except for wrong asserts."
    made, _ = roll(GUIDED, [BROKEN, *by_prompt(again, FIXED), ANSWER, DONE], repair_candidates=2)
    assert made.accepted and [written(attempt) for attempt in made.attempts] == [BROKEN, FIXED]


@pytest.mark.parametrize("lead", ["", "Here is the corrected program:", "Sure! Here is the code:"])
def test_a_repair_without_analysis_is_asked_for_one(lead):
    silent = fenced(program("2 * x", "double(3) == 6"), lead)
    analysis = "The assert fails since a square is no double, so the body becomes a product."
    made, model = roll(PROBLEM, [BROKEN, silent, analysis + "\n```python\nx\n```", ANSWER, DONE])
    assert made.accepted
    assert written(made.attempts[1]) == fenced(made.attempts[1].code, analysis)
    assert [turn["role"] for turn in model.prompts[2]] == ["user", "assistant", "user", "assistant", "user"]
    assert "AssertionError\nassert double(3) == 6" in model.prompts[2][-1]["content"]
    check(made)
    made, _ = roll(PROBLEM, [BROKEN, silent, Completion("The assert fails since", "length")])
    assert made.rejection == "analysis_missing"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", ""),
        ("A product.\n```python\nx\n```\nDone.", "A product."),
        ("I'm sorry, I cannot help with that.", ""),
        (Completion("It doubles. The product is", "length"), "It doubles."),
        (Completion("", "refused"), ""),
    ],
)
def test_the_conclusion_is_prose_in_whole_sentences(said, kept):
    made, _ = roll(PROBLEM, [RIGHT, ANSWER, said])
    assert made.accepted and made.conclusion == kept
    check(made)


def test_prose_behind_a_program_is_cut_since_it_was_written_before_the_run():
    made, model = roll(PROBLEM, [RIGHT + "\n\nOutput: all asserts pass!", ANSWER, DONE])
    assert written(made.attempts[0]) == RIGHT
    assert "all asserts pass!" not in model.sent()


@pytest.mark.parametrize(
    ("line", "rejection"),
    [
        ("", "empty_answer"),
        (" \n", "empty_answer"),
        ("I'm sorry, but I can't help with that.", "refused"),
        (Completion("", "refused"), "refused"),
        ("```javascript\nconst double = x => 2 * x\n```", "wrong_language"),
        (Completion("```python\ndef double(x):\n    return 2 *", "length"), "truncated"),
        (Completion("Let me think. " * 50, "length"), "truncated"),
        (Completion("", "length"), "truncated"),
        ("x" * 40_000, "too_long"),
    ],
)
@pytest.mark.parametrize("stage", ["first", "repair", "answer"])
def test_answers_that_hold_no_program(line, rejection, stage):
    lines = {"first": [], "repair": [BROKEN], "answer": [RIGHT]}[stage]
    made, _ = roll(PROBLEM, [*lines, line])
    assert made.rejection == rejection
    assert made.detail.endswith(".") and made.detail.count("\n") == 0
    assert made.rounds == len(lines)


@pytest.mark.parametrize("lines", [[], [BROKEN]])
def test_a_program_is_needed_in_stage_one(lines):
    made, _ = roll(PROBLEM, [*lines, "Use multiplication."])
    assert made.rejection == "no_code" and made.rounds == len(lines)


def test_an_answer_in_prose_alone_explains_the_program_that_passed():
    made, _ = roll(PROBLEM, [RIGHT, "Multiply by two.", DONE])
    assert made.accepted, made.detail
    assert made.answer == fenced("def double(x):\n    return 2 * x", tail="Multiply by two.")
    assert made.answer_code == "def double(x):\n    return 2 * x"


def test_what_cannot_be_used_is_kept_with_the_rejected_rollout():
    made, _ = roll(PROBLEM, [BROKEN, "Squares should do."])
    assert made.rejection == "no_code" and made.unusable == "Squares should do."
    turns = to_record(made)["messages"]
    ran = ["user", "assistant", "tool", "assistant", "tool"]
    assert [turn["role"] for turn in turns] == [*ran, "assistant"]
    assert turns[-1]["content"] == "Squares should do."
    made, _ = roll(PROBLEM, [RIGHT, "```javascript\nconst double = x => 2 * x\n```"])
    assert [turn["role"] for turn in to_record(made)["messages"]] == [*ran, "user", "assistant"]


def test_an_answer_that_recites_its_prompt_is_refused():
    recited = fenced(
        program("2 * x").rstrip(), "It works. Write it out as your own, for a reader who has seen nothing but this."
    )
    made, _ = roll(PROBLEM, [RIGHT, recited])
    assert made.rejection == "echoes_prompt" and "write it out as your own for a" in made.detail
    made, _ = roll(
        PROBLEM,
        [fenced(program("2 * x", "double(3) == 6"), "Test it in a code block of its own, which does not repeat it:")],
    )
    assert made.rejection == "echoes_prompt"


def test_the_words_of_the_problem_are_no_recital():
    lead = f"You want this: {PROBLEM.instruction}"
    made, _ = roll(PROBLEM, [fenced(program("2 * x", "double(3) == 6"), lead), f"{lead}\n\n{ANSWER}", DONE])
    assert made.accepted, made.detail


# Draws beyond the first


def test_what_cannot_be_used_is_resampled_a_little_hotter():
    lines = ["Let me think.", BROKEN, BROKEN, "", FIXED, fenced("import solution"), ANSWER, DONE]
    made, model = roll(PROBLEM, lines, max_resamples=2)
    assert made.accepted and made.rounds == 2, made.detail
    assert made.completion_tokens == 3 * len(lines)
    temperatures = [round(sampling.temperature, 3) for sampling in model.samplings]
    assert temperatures == [0.8, 1.0, 0.6, 0.8, 1.0, 0.2, 0.4, 0.6]
    assert len({sampling.seed for sampling in model.samplings}) == len(lines)
    assert "Let me think." not in model.sent()


def test_redraws_come_to_an_end():
    made, _ = roll(PROBLEM, [BROKEN, BROKEN, BROKEN, BROKEN], max_resamples=2)
    assert made.rejection == "no_progress" and made.rounds == 1
    made, _ = roll(PROBLEM, ["I'm sorry, but I can't help with that."], max_resamples=2)
    assert made.rejection == "refused"


def by_prompt(*answers):
    """Lines for draws that are made at the same time, of which each takes the next."""
    rest = list(answers)
    return [lambda prompt: rest.pop(0)] * len(answers)


def test_of_several_repairs_one_that_passes_is_taken():
    worse = fenced(
        program("x", "double(3) == 6", "double(5) == 11"), "The square is wrong, so leave x as it is, I think."
    )
    lines = [BROKEN, *by_prompt(worse, "Hm.", FIXED), ANSWER, DONE]
    made, model = roll(PROBLEM, lines, repair_candidates=3)
    assert made.accepted and made.rounds == 2, made.detail
    assert written(made.attempts[1]) == FIXED
    assert not made.wrong_asserts  # the other candidate's are forgotten with it
    assert len({sampling.seed for sampling in model.samplings}) == len(lines)


def test_a_repair_that_tests_itself_is_taken_before_one_that_does_not():
    untested = fenced(program("x + x"), "The square is wrong, so add x to itself, I think.")
    made, _ = roll(PROBLEM, [BROKEN, *by_prompt(untested, FIXED), ANSWER, DONE], repair_candidates=2)
    assert made.accepted and written(made.attempts[1]) == FIXED, made.detail
    made, _ = roll(PROBLEM, [BROKEN, *by_prompt(untested, "Hm.")], repair_candidates=2)
    assert made.rejection == "asserts_missing"


def test_of_several_repairs_that_fail_the_first_is_gone_on_from():
    one = fenced(program("x", "double(3) == 6"), "The square is wrong, so leave x as it is, I think.")
    other = fenced(program("x + 1", "double(3) == 6"), "The square is wrong, so add one to it, I think.")
    lines = [BROKEN, *by_prompt(one, other), *by_prompt(other, FIXED), ANSWER, DONE]
    made, _ = roll(PROBLEM, lines, repair_candidates=2)
    assert made.accepted and [written(attempt) for attempt in made.attempts] == [BROKEN, one, FIXED], made.detail
    lines = [BROKEN, *by_prompt(one, other, one), *by_prompt(FIXED, FIXED, FIXED), ANSWER, DONE]
    made, _ = roll(PROBLEM, lines, repair_candidates=3)
    assert [written(attempt) for attempt in made.attempts] == [BROKEN, one, FIXED], (
        "written again, it is still the first"
    )
    made, _ = roll(PROBLEM, [BROKEN, *by_prompt(BROKEN, "")], repair_candidates=2)
    assert made.rejection == "no_progress" and made.rounds == 1


def test_an_answer_cut_off_behind_its_program_is_whole():
    made, _ = roll(
        PROBLEM,
        [Completion(RIGHT + "\n\nThis is because", "length"), Completion(ANSWER + "\n\nIt is", "length"), DONE],
    )
    assert made.accepted
    assert made.answer == ANSWER


def test_a_program_without_asserts_is_rejected():
    for code in (program("2 * x"), program("2 * x", "True", "double(2) == double(2)")):
        made, _ = roll(PROBLEM, [fenced(code)])
        assert made.rejection == "asserts_missing"


def test_words_of_another_script_are_sampled_again():
    garbage = (
        RIGHT
        + "\n\nIt adds. "
        + "\u0440\u0435\u0434\u0430\u043a\u0442\u043e\u0440 \u4e00\u4e0b\u5b50 \u0430\u0431\u0432\u0433\u0434"
    )
    made, _ = roll(PROBLEM, [garbage, RIGHT, DONE, ANSWER], max_resamples=1)
    assert made.accepted and "\u4e00" not in str(made.messages()), made.detail
    made, _ = roll(PROBLEM, [garbage])
    assert (made.rejection, made.detail) == (
        "foreign_script",
        "The model wrote Cyrillic letters in round 1, which its prompts do not.",
    )
    russian = dataclasses.replace(PROBLEM, instruction="\u0423\u0434\u0432\u043e\u0439 x.")
    assert roll(
        russian,
        [
            RIGHT,
            DONE,
            ANSWER + "\n\n\u0443\u0434\u0432\u0430\u0438\u0432\u0430\u0435\u0442 \u0447\u0438\u0441\u043b\u043e",
        ],
    )[0].accepted


# The final answer


@pytest.mark.parametrize(
    ("answer", "rejection"),
    [
        (fenced(program("x + 4").rstrip()), "tests_failed"),
        (fenced(program("2 * x").rstrip(), "Here is the corrected version."), "leans_on_reflection"),
        (fenced("from solution import double"), "leans_on_reflection"),
        (
            fenced("def double(x):\n    # fixed code: the previous attempt squared\n    return 2 * x"),
            "leans_on_reflection",
        ),
        (fenced("def double(x):\n    return twice(x)"), "leans_on_reflection"),
        (fenced("def double(x):\n    return 2 * x if x < 9 else thrice(x)"), "undefined_names"),
    ],
)
def test_answers_that_are_rejected(answer, rejection):
    helped = "def twice(x):\n    return 2 * x\n\ndef double(x):\n    return twice(x)\n\nassert double(3) == 6"
    made, _ = roll(PROBLEM, [fenced(helped), answer])
    assert made.rejection == rejection
    assert made.answer == answer


def test_an_answer_to_the_request_alone_is_taken_as_it_was_sampled():
    own = "Sure.\n\n" + fenced("def double(x):\n    # twice as much\n    return x + x") + "\n\nIt adds.\n"
    wrong, none = fenced(program("x + 4").rstrip()), "I do not know."
    made, model = roll(
        PROBLEM, [RIGHT, *by_prompt(wrong, none, own), DONE], answer_context="request", answer_samples=3
    )
    assert made.accepted and made.unaided and made.answer == own
    assert all(prompt == [{"role": "user", "content": made.request}] for prompt in model.prompts[1:4])
    assert {sampling.temperature for sampling in model.samplings[1:4]} == {0.2}
    assert len({sampling.seed for sampling in model.samplings}) == 5
    assert to_record(made)["unaided"] and not made.taught and to_record(made)["suspicious"] == []
    looking = dataclasses.replace(made.attempts[0], code="import gc\n" + made.attempts[0].code)
    assert to_record(dataclasses.replace(made, attempts=(looking,)))["suspicious"] == ["walks the heap"]
    made, _ = roll(PROBLEM, [RIGHT, *by_prompt(wrong, none)], answer_context="request", answer_samples=2)
    assert made.rejection == "tests_failed" and not made.unaided


# The final answer in the sequence's own conversation


def in_sequence(lines, problem=PROBLEM, **options):
    return roll(problem, lines, answer_context="sequence", **options)


def test_the_answer_is_sampled_in_the_conversation_of_the_row_and_kept_as_it_was_sampled():
    own = "\n" + fenced('def double(x):\n    """Twice x."""\n    return x + x', "Sure.", "It adds x to itself.") + "\n"
    made, model = in_sequence([BROKEN, FIXED, DONE, own], answer_samples=1)
    assert made.accepted and made.repaired and not made.unaided, made.detail
    assert model.prompts[-1] == made.messages()[:-1]  # token for token what a teacher is given
    assert made.messages()[-1]["content"] == made.answer == own
    assert [turn["role"] for turn in model.prompts[-1]].count("tool") == 4
    assert "assert" not in made.answer_code and made.taught == (True,)
    check(made)


def test_of_several_answers_the_first_good_one_is_taken_and_how_many_pass_is_kept():
    wrong = fenced(program("x + 4").rstrip())
    tested = fenced(program("2 * x", "double(3) == 6"))
    cut = Completion(ANSWER + "\n\nThis is because", "length")
    other = fenced("def double(x):\n    return x + x")
    draws = [wrong, tested, cut, ANSWER, other]
    made, model = in_sequence([RIGHT, DONE, *by_prompt(*draws)], answer_samples=5)
    assert made.accepted and made.answer == ANSWER, made.detail
    assert made.taught == (False, True, True, True, True)  # what stands around the code is another matter
    assert len({sampling.seed for sampling in model.samplings}) == 7
    assert len({sampling.temperature for sampling in model.samplings[2:]}) == 1
    taken = {
        in_sequence([RIGHT, DONE, *by_prompt(*draws)], answer_samples=5, answer_choice="random", seed=seed)[0].answer
        for seed in range(8)
    }
    assert taken == {ANSWER, other}


@pytest.mark.parametrize(
    ("answer", "rejection"),
    [
        (fenced(program("2 * x", "double(3) == 6")), "tests_in_answer"),
        (fenced(program("2 * x").rstrip()) + "\n\nTests:\n\n" + fenced("assert double(3) == 6"), "tests_in_answer"),
        (fenced(program("2 * x").rstrip(), "Here is the corrected version."), "leans_on_reflection"),
        (
            fenced(program("2 * x").rstrip(), "Here's the complete solution in one Python code block, without tests:"),
            "echoes_prompt",
        ),
        (Completion(ANSWER + "\n\nThis is", "length"), "truncated"),
        (fenced("def double(x):\n    return 7 if x == 3 else 2 * x"), "own_asserts_failed"),
        (fenced("def double(x):\n    return 2 * x if x < 9 else thrice(x)"), "undefined_names"),
        (fenced(program("x + 4").rstrip()), "tests_failed"),
        ("Multiply by two.", "no_code"),
        ("", "empty_answer"),
        (Completion("", "refused"), "refused"),
    ],
)
def test_answers_after_a_sequence_that_are_rejected(answer, rejection):
    made, _ = in_sequence([RIGHT, DONE, answer], answer_samples=1)
    assert made.rejection == rejection and made.detail


def test_an_answer_after_a_sequence_needs_no_tests_of_the_problems():
    made, _ = in_sequence([RIGHT, DONE, ANSWER], problem=UNTESTED, answer_samples=1)
    assert made.accepted and made.taught == () and made.solved == (), made.detail
    made, _ = in_sequence(
        [RIGHT, DONE, fenced("def triple(x):\n    return 3 * x")], problem=UNTESTED, answer_samples=1
    )
    assert made.rejection == "own_asserts_failed"


def test_where_tool_turns_are_refused_the_output_goes_into_user_turns():
    lines = [RIGHT, DONE, RequestRefusedError("The template knows no tool."), ANSWER]
    made, model = in_sequence(lines, answer_samples=1)
    assert made.accepted and made.answer == ANSWER, made.detail
    assert "tool" in {turn["role"] for turn in model.prompts[2]}
    assert [turn["role"] for turn in model.prompts[3]].count("user") == 4  # instruction, two outputs, request
    assert {turn["role"] for turn in model.prompts[3]} == {"user", "assistant"}
    refused = RequestRefusedError("Roles must alternate.")
    made, model = in_sequence([RIGHT, "", refused, refused, ANSWER], answer_samples=1)
    assert made.accepted, made.detail
    roles = [turn["role"] for turn in model.prompts[4]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    made, _ = in_sequence([RIGHT, DONE, refused, refused, refused], answer_samples=1)
    assert made.rejection == "generation_failed" and made.detail == "Roles must alternate."


def test_how_hard_a_problem_is_is_asked_once():
    wrong = fenced(program("x + 4").rstrip())
    lines = [*by_prompt(wrong, ANSWER, "I do not know."), RIGHT, ANSWER, DONE]
    made, model = roll(PROBLEM, lines, solve_rate_samples=3)
    assert made.accepted and made.solved == (False, True, False)
    assert all(prompt == [{"role": "user", "content": PROBLEM.instruction}] for prompt in model.prompts[:3])
    made, _ = roll(PROBLEM, [RIGHT, ANSWER, DONE], sample=1, solve_rate_samples=3)
    assert made.accepted and made.solved == ()
    made, _ = roll(UNTESTED, [RIGHT, ANSWER, DONE], solve_rate_samples=3)  # nothing could judge them
    assert made.accepted and made.solved == ()


def test_a_solution_that_fails_by_itself_is_shown_without_its_tests():
    broken = fenced("def double(x):\n    return 2 * x\n\nprint(doubel(2))\n\nassert double(3) == 6")
    made, _ = roll(PROBLEM, [broken, FIXED, ANSWER, DONE])
    assert made.accepted and made.attempts[0].tests == "" and made.attempts[0].feedback.kind is FeedbackKind.NAME
    assert made.attempts[0].text == fenced("def double(x):\n    return 2 * x\n\nprint(doubel(2))")
    assert [turn["role"] for turn in check(made)].count("tool") == 3
    assert len(to_record(made)["feedback"]) == 3 and to_record(made)["outcomes"] == ["name", "none"]


def test_tests_that_cannot_be_separated_from_the_solution_are_refused():
    tangled = fenced(
        "def double(x):\n    return 2 * x\n\nd = {}\nd[3] = double(3)\nassert d[3] == 6\nfor k in d:\n    print(k)"
    )
    made, _ = roll(PROBLEM, [tangled])
    assert made.rejection == "tests_not_apart"
    assert made.detail == "The tests of round 1 cannot be separated from its solution."


def test_a_sequence_may_start_from_an_answer_to_the_request_alone():
    own = fenced("def double(x):\n    # twice as much\n    return x + x", "Sure.", "It adds.")
    made, model = roll(PROBLEM, [own, "\nassert double(3) == 6\n```", DONE], answer_first=True)
    assert made.accepted and made.unaided and made.answer == own and made.rounds == 1
    assert model.prompts[0] == [{"role": "user", "content": made.request}]
    assert model.prompts[1] == [
        {"role": "user", "content": made.instruction},
        {
            "role": "assistant",
            "content": "```python\ndef double(x):\n    # twice as much\n    return x + x\n```\n\nTests:\n\n```python\n# Tests",
        },
    ]
    assert made.attempts[0].text == own  # with the prose around it
    assert made.attempts[0].tests == fenced("assert double(3) == 6")
    assert len({sampling.seed for sampling in model.samplings}) == 3
    check(made)


def test_an_answer_to_the_request_alone_that_fails_is_repaired():
    wrong = fenced("def double(x):\n    # twice\n    return x ** 2")
    asserts = "\nassert double(3) == 6\n```\nThat is all."
    execute = RunsHere()
    made, model = roll(PROBLEM, [wrong, asserts, FIXED, ANSWER, DONE], execute, answer_first=True)
    assert made.accepted and made.repaired and not made.unaided and made.answer == ANSWER
    ran = [source for source, *_ in execute.calls]
    # Alone, with its asserts, and with the tests instead of them: as the answer it is out
    assert sum("x ** 2" in source for source in ran) == 3
    assert made.attempts[0].code == "def double(x):\n    # twice\n    return x ** 2\n\nassert double(3) == 6"
    assert [turn["role"] for turn in model.prompts[2]] == ["user", "assistant", "user"]
    check(made)


def test_an_answer_to_the_request_alone_needs_asserts_that_were_asked_for():
    made, model = roll(PROBLEM, [RIGHT, "\n```"], answer_first=True)
    assert made.rejection == "asserts_missing"
    assert "assert" not in model.prompts[1][1]["content"]  # those of the answer do not count


@pytest.mark.parametrize("useless", ["\n```", "\nassert double(3) == 7\n```"])
def test_asserts_of_an_answer_to_the_request_alone_are_sampled_again(useless):
    problem = dataclasses.replace(PROBLEM, reference=program("2 * x"))
    asserts = "\nassert double(3) == 6\n```"
    made, model = roll(problem, [ANSWER, useless, asserts, DONE], answer_first=True, max_resamples=1)
    assert made.accepted and made.unaided and made.answer == ANSWER and made.rounds == 1, made.detail
    assert made.attempts[0].tests == fenced("assert double(3) == 6")
    assert model.prompts[2] == model.prompts[1] and model.samplings[2].seed != model.samplings[1].seed
    assert made.wrong_asserts == (("assert double(3) == 7",) if "7" in useless else ())
    made, _ = roll(problem, [ANSWER, useless, useless], answer_first=True, max_resamples=1)
    assert made.rejection == "asserts_missing" and made.rounds == 1


def test_a_repair_without_asserts_is_not_replaced_by_the_first_answer():
    wrong = fenced("def double(x):\n    return x ** 2")
    repair = fenced(program("2 * x"), "The square is wrong, so I multiply x by two instead of that.")
    lines = [wrong, "\nassert double(3) == 6\n```", repair]  # the script would end before other asserts are sampled
    made, _ = roll(PROBLEM, lines, answer_first=True, max_resamples=1)
    assert made.rejection == "asserts_missing" and made.rounds == 2
    assert "x ** 2" not in made.attempts[1].code


def test_whole_programs_need_no_asserts_to_start_from_an_answer():
    problem = Problem("t/echo", "Print what you read.", examples=(Example("7", "7"),))
    answer = fenced("print(input())")
    made, _ = roll(problem, [answer, DONE], answer_first=True)
    assert made.accepted and made.unaided and made.answer == answer


def test_the_answer_must_pass_the_sequences_own_asserts():
    passes_tests = fenced("def double(x):\n    return 7 if x == 3 else 2 * x")
    made, _ = roll(PROBLEM, [RIGHT, passes_tests])
    assert made.rejection == "own_asserts_failed"
    assert made.detail == "The answer fails `assert double(3) == 6`, which its own program passes."


def test_without_tests_the_answer_must_at_least_run_its_asserts():
    made, _ = roll(UNTESTED, [RIGHT, fenced("def triple(x):\n    return 3 * x")])
    assert made.rejection == "own_asserts_failed"
    made, _ = roll(UNTESTED, [RIGHT, ANSWER, DONE])
    assert made.accepted


def test_asserts_and_examples_are_taken_out_of_the_answer():
    chatty = fenced(
        program("2 * x") + "\n# Tests\nassert double(3) == 6\nprint('All tests passed')", "Multiply by two."
    )
    made, _ = roll(PROBLEM, [RIGHT, chatty, DONE])
    assert made.accepted
    assert made.answer == ANSWER


# Wrong asserts

OFF = "double(3) == 7"


def test_the_reference_finds_wrong_asserts_before_they_are_run():
    made, model = roll(GUIDED, [fenced(program("2 * x", "double(3) == 6", OFF, "double(1) == 2")), ANSWER, DONE])
    assert made.accepted and made.rounds == 1 and not made.repaired
    assert made.wrong_asserts == ("assert double(3) == 7",)
    assert made.attempts[0].code == program("2 * x", "double(3) == 6", "double(1) == 2")
    assert all(OFF not in turn["content"] for turn in check(made))
    assert OFF not in model.sent()
    assert "the secret" not in model.sent()


def test_output_names_the_lines_that_are_shown_after_the_first_assert_was_removed():
    wrong = "def double(x):\n    return 3 * x\n\n# By seven\nassert double(3) == 7\n\n# By six\nassert double(3) == 6"
    made, _ = roll(
        GUIDED,
        [
            fenced(wrong),
            fenced(program("2 * x", "double(3) == 6"), "It triples the number instead of doubling it."),
            ANSWER,
            DONE,
        ],
    )
    assert made.wrong_asserts == ("assert double(3) == 7",)
    shown, run = made.attempts[0], made.attempts[0].runs[-1]
    solution, tests = (read_answer(text, "python").code for text in (shown.text, shown.tests))
    assert f"{solution}\n\n{tests}" == shown.code
    assert shown.code.split("\n")[run.line - 1] == "assert double(3) == 6"


def test_passing_tests_find_wrong_asserts_where_there_is_no_reference():
    made, model = roll(PROBLEM, [fenced(program("2 * x", OFF, "double(1) == 2")), ANSWER, DONE])
    assert made.accepted and not made.repaired
    assert made.wrong_asserts == ("assert double(3) == 7",)
    assert OFF not in model.sent()


def test_a_program_that_takes_too_long_is_run_once_for_a_round():
    runs = []

    async def execute(language, source, tests="", **options):
        runs.append(source)
        run = await RunsHere()(language, source, tests, **options)
        if "while" not in source:
            return run
        return dataclasses.replace(run, feedback=dataclasses.replace(run.feedback, kind=FeedbackKind.TIMEOUT))

    endless = fenced("def double(x):\n    while x != 3:\n        raise TimeoutError\n\nassert double(4) == 8")
    made, _ = roll(PROBLEM, [endless, FIXED, ANSWER, DONE], execute)
    assert made.accepted and made.attempts[0].feedback.kind is FeedbackKind.TIMEOUT
    assert sum("while" in source for source in runs) == 1


def test_a_sequence_that_has_shown_a_wrong_assert_is_rejected():
    repair = fenced(
        program("2 * x", "double(1) == 2"), "The expected value was wrong, and so was the body of the function."
    )
    made, _ = roll(PROBLEM, [fenced(program("x ** 2", OFF)), repair])
    assert made.rejection == "wrong_assert"
    assert made.wrong_asserts == ("assert double(3) == 7",)


def test_a_wrong_assert_that_was_never_reported_is_marked():
    weak = fenced(program("x + 4", OFF))  # holds: the problem's tests fail
    made, _ = roll(PROBLEM, [weak, FIXED, ANSWER, DONE])
    assert made.accepted
    assert made.wrong_asserts == ("assert double(3) == 7",)


def test_an_assert_that_was_changed_instead_of_the_program_is_rejected_without_a_judge():
    bent = fenced(
        program("x ** 2", "double(3) == 9"), "The assert expects a wrong value: nine is right, so I change it."
    )
    made, _ = roll(UNTESTED, [BROKEN, bent])
    assert made.rejection == "assert_withdrawn"


def test_the_majority_finds_wrong_asserts():
    votes = [ANSWER, fenced("def double(x):\n    return x + x"), "no idea"]
    made, _ = roll(UNTESTED, [fenced(program("2 * x", OFF, "double(1) == 2")), *votes, ANSWER, DONE], voters=3)
    assert made.accepted
    assert made.wrong_asserts == ("assert double(3) == 7",)
    assert made.answer_code and all(OFF not in turn["content"] for turn in check(made))


def test_a_sequence_left_without_asserts_is_rejected():
    made, _ = roll(GUIDED, [fenced(program("2 * x", OFF))])
    assert made.rejection == "asserts_missing"
    assert made.wrong_asserts == ("assert double(3) == 7",)


def test_a_wrong_assert_that_cannot_be_cut_out_rejects_the_sequence():
    made, _ = roll(GUIDED, [fenced(program("2 * x", f"{OFF}; assert double(1) == 2"))])
    assert made.rejection == "wrong_assert"


# Whole programs

ECHO = Problem(
    id="t/sum",
    instruction="Read numbers, one a line, until the input ends with 0. Print their sum.",
    examples=(Example("1\n2\n0\n", "3\n"), Example("5\n0\n", "5")),
)
SUM = "total = 0\nwhile (n := int(input())):\n    total += n\nprint(total)"


def test_whole_programs_are_judged_by_what_they_print():
    wrong = "total = 0\nwhile (n := int(input())):\n    total = n\nprint(total)"
    repair = fenced(SUM, "The program prints the last number, it has to add them all up.")
    made, _ = roll(ECHO, [fenced(wrong), repair, fenced(SUM), DONE])
    assert made.accepted and made.repaired
    assert made.attempts[0].feedback.text == (
        "Input:\n1\n2\n0\n\nExpected output:\n3\n\nOutput of the program:\n2\n\n"
        "Line 1 of the output: expected `3`, got `2`."
    )
    assert (made.attempts[0].feedback.actual, made.attempts[0].feedback.expected) == ("2", "3")
    assert "assert" not in made.instruction
    check(made)


# Failures from outside


def test_a_failed_generation_rejects_this_rollout_alone():
    made, _ = roll(PROBLEM, [BROKEN, GenerationError("The request is too long.")])
    assert (made.rejection, made.detail) == ("generation_failed", "The request is too long.")
    assert made.rounds == 1


def test_a_spent_budget_is_no_judgment():
    with pytest.raises(BudgetExhaustedError):
        roll(PROBLEM, [BROKEN, BudgetExhaustedError("Spent.")])


def test_a_broken_sandbox_is_no_judgment():
    async def broken(*args, **kwargs):
        raise SandboxError("No memory left.")

    with pytest.raises(SandboxError, match="No memory left"):
        roll(PROBLEM, [RIGHT], execute=broken)


def test_a_conversation_that_is_too_long_is_rejected():
    long = "The multiplication of a number by two gives its double. " * 12
    made, _ = roll(PROBLEM, [fenced(program("2 * x", "double(3) == 6"), long), ANSWER, long], max_chars=1500)
    assert made.rejection == "too_long"


def test_half_of_a_surrogate_pair_is_replaced():
    made, _ = roll(PROBLEM, [RIGHT, ANSWER.replace("Multiply", "Multiply \ud800"), DONE])
    assert made.answer.startswith("Multiply ? by two.")


# Seeds and settings


def test_every_sample_has_a_seed_of_its_own_and_always_the_same():
    lines = [BROKEN, FIXED, ANSWER, DONE]
    seeds = [
        [s.seed for s in roll(PROBLEM, lines, sample=n, seed=k)[1].samplings] for n, k in ((0, 1), (1, 1), (0, 2))
    ]
    assert len({seed for run in seeds for seed in run}) == 12
    assert [s.seed for s in roll(PROBLEM, lines, seed=1)[1].samplings] == seeds[0]


def test_seeds_do_not_change_between_versions():
    assert step_seed(0, "mbpp/602", 0, 0) == 4094615748
    assert step_seed(7, "mbpp/602", 1, "answer") == 2675414643


def test_each_stage_has_its_sampling():
    stages = {name: Sampling(max_tokens=n) for n, name in enumerate(("first", "repair", "answer", "prose"), 100)}
    _, model = roll(PROBLEM, [BROKEN, FIXED, ANSWER, DONE], **stages)
    assert [sampling.max_tokens for sampling in model.samplings] == [100, 101, 102, 103]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "`rounds` must be at least 1, got 0."),
        ({"voters": 1}, "`voters` must be 0 or at least 2, got 1"),
        ({"templates": "/nowhere"}, "Template directory /nowhere does not exist"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        RolloutSettings(**options)


@given(
    lines=st.lists(
        st.one_of(
            st.sampled_from([RIGHT, BROKEN, FIXED, ANSWER, DONE, fenced(program("x", OFF)), "```", ""]),
            st.text(max_size=40),
            st.tuples(st.text(max_size=30), st.text(max_size=60)).map(lambda parts: fenced(parts[1], parts[0])),
        ),
        min_size=8,
        max_size=8,
    ),
    problem=st.sampled_from([PROBLEM, UNTESTED, GUIDED]),
)
def test_whatever_the_model_says_an_accepted_sequence_can_be_trained_on(lines, problem):
    async def execute(language, source, tests="", **options):
        # Arbitrary text is not run here: it has not defined anything that the asserts call
        return await RunsHere()(language, source if "def double" in source else "", tests, **options)

    settings = RolloutSettings(rounds=3, max_resamples=0, solve_rate_samples=1, answer_samples=2)
    made = asyncio.run(rollout(problem, ScriptedModel(lines), execute, settings))
    if made.accepted:
        check(made)
        assert made.attempts[-1].feedback.passed and all(not one.feedback.passed for one in made.attempts[:-1])
    else:
        assert made.detail


# In the real sandbox


def test_rollouts_in_the_sandbox():
    from reflection_trl.languages import Executor

    async def both():
        once = RolloutSettings(max_resamples=0, answer_samples=1, solve_rate_samples=1)
        leaves = fenced("import os\n\nos._exit(0)")
        async with Executor() as execute:
            repaired, hostile = await asyncio.gather(
                rollout(PROBLEM, ScriptedModel([ANSWER, BROKEN, FIXED, DONE, ANSWER]), execute, once),
                rollout(PROBLEM, ScriptedModel([leaves, RIGHT, DONE, leaves]), execute, once),
            )
            whole = await rollout(ECHO, ScriptedModel([fenced(SUM), fenced(SUM), DONE, fenced(SUM)]), execute, once)
            return repaired, hostile, whole

    try:
        repaired, hostile, whole = asyncio.run(both())
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    assert repaired.accepted and repaired.repaired, repaired.detail
    failed = repaired.attempts[0].feedback
    assert (failed.kind, failed.actual, failed.expected) == (FeedbackKind.ASSERTION, "9", "6")
    check(repaired)
    assert repaired.solved == (True,) and repaired.taught == (True,)
    assert hostile.rejection == "tests_failed" and hostile.solved == (False,) and hostile.taught == (False,)
    assert whole.accepted, whole.detail


def test_the_problems_tests_replace_the_programs_own_main():
    from reflection_trl.languages import Executor, get_language

    if missing := get_language("cpp").missing():
        pytest.skip(missing)
    tests = "#include <cassert>\nint main() { assert(twice(4) == 8); }"
    problem = Problem("t/twice", "Write int twice(int x).", language="cpp", tests=tests)
    solution = "int twice(int x) { return 2 * x; }"
    own = "#include <cassert>\nint main() { assert(twice(3) == 6); }"
    model = ScriptedModel([f"```cpp\n{solution}\n{own}\n```", f"A product.\n\n```cpp\n{solution}\n```", DONE])

    async def run():
        async with Executor(languages=["cpp"]) as execute:
            return await rollout(problem, model, execute, RolloutSettings(**PLAIN))

    try:
        made = asyncio.run(run())
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    assert made.accepted and made.rounds == 1, made.detail
    assert made.answer_code == solution
