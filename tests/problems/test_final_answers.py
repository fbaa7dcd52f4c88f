r"""Problems with a final answer: which rows become them, what is asked, and how an answer is judged."""

import asyncio
import json
import math
from datetime import date
from decimal import Decimal

import pytest

from reflection_trl.builder import prepare_problems
from reflection_trl.feedback import FeedbackKind
from reflection_trl.languages import Executor
from reflection_trl.problems import Problem, load_problems, write_problems
from reflection_trl.problems.final_answer import judge_answer
from reflection_trl.problems.judge import judge
from reflection_trl.sandbox import SandboxUnavailableError


GSM8K = {
    "question": "A baker bakes 12 trays of 90 rolls. How many rolls are that?",
    "answer": "One tray has 90 rolls.\nThe baker has 12*90 = <<12*90=1080>>1,080 rolls.\n#### 1,080",
}
MATH = {
    "problem": "What is $1 - \\frac{2}{3}$?",
    "solution": "$1 - \\frac{2}{3} = \\boxed{\\frac{1}{3}}$.",
    "level": "Level 1",
    "type": "Prealgebra",
}


def load(row, **options):
    (problem,) = load_problems([row], **options)
    return problem


def refused(row, **options):
    with pytest.raises(ValueError) as error:
        list(load_problems([row], **options))
    return str(error.value)


async def no_execute(*_, **__):
    raise AssertionError("nothing is to be run")


def kind(problem, text, execute=no_execute):
    return asyncio.run(judge(problem, text, execute)).kind


def test_gsm8k_rows_are_known_by_their_hashes():
    problem = load(GSM8K)
    assert (problem.answer, problem.checker, problem.license) == ("1,080", "math", "MIT")
    assert problem.reference == "One tray has 90 rolls.\nThe baker has 12*90 = 1,080 rolls.\n#### 1,080"
    assert problem.request == (
        "A baker bakes 12 trays of 90 rolls. How many rolls are that?\n\n"
        "Reason step by step, and put the final answer in \\boxed{}."
    )
    assert problem.has_tests
    assert kind(problem, problem.reference) is FeedbackKind.NONE
    assert kind(problem, problem.reference.replace("#### 1,080", "#### 1,081")) is FeedbackKind.ASSERTION


def test_math_rows_are_known_by_their_box():
    problem = load(MATH)
    assert (problem.answer, problem.reference) == (r"\frac{1}{3}", MATH["solution"])
    assert kind(problem, problem.reference) is FeedbackKind.NONE
    assert load({**MATH, "answer": "1/3", "unique_id": "test/algebra/1.json"}).id == "test/algebra/1.json"
    assert load({"problem": "2 + 2?", "answer": 4}).answer == "4"


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Which is prime?", "choices": ["4", "6", "7", "8"], "answer": 2},
        {"question": "Which is prime?", "choices": ["4", "6", "7", "8"], "answer": "C"},
        {"question": "Which is prime?", "choices": {"text": ["4", "6", "7", "8"], "label": ["A", "B", "C", "D"]}, "answerKey": "C"},
        {"question": "Which is prime?", "choices": {"text": ["4", "6", "7", "8"], "label": ["1", "2", "3", "4"]}, "answerKey": "3"},
        {"question": "Which is prime?", "options": ["A)4", "B)6", "C)7", "D)8"], "correct": "C", "rationale": "..."},
        {"question": "Which is prime?", "options": ["4", "6", "7", "8"], "answer": "C", "answer_index": 2},
        {"instruction": "Which is prime?", "choices": ["4", "6", "7", "8"], "answer": "7"},
    ],
)  # fmt: skip
def test_multiple_choice_in_the_forms_in_which_it_is_published(row):
    problem = load(row)
    assert (problem.answer, problem.checker, problem.choices) == ("C", "choice", ("4", "6", "7", "8"))
    assert problem.request == (
        "Which is prime?\n\nA. 4\nB. 6\nC. 7\nD. 8\n\nReason step by step, and put the letter of the right choice in \\boxed{}."
    )
    assert kind(problem, r"\boxed{C}") is FeedbackKind.NONE
    assert kind(problem, r"\boxed{7}") is FeedbackKind.NONE
    assert kind(problem, r"\boxed{B}") is FeedbackKind.ASSERTION


def test_rows_with_an_answer_that_is_a_final_one():
    assert load({"instruction": "2 + 2?", "answer": "4"}).answer == "4"
    assert load({"prompt": "2 + 2?", "final_answer": 4.0}).answer == "4"
    assert load({"prompt": "Capital of France?", "answer": "Paris", "checker": "exact"}).answer == "Paris"
    assert load({"task": "2 + 2?", "a": "four"}, columns={"instruction": "task", "answer": "a"}).answer == "four"
    assert load({"prompt": "3 / 2?", "answer": Decimal("1.50")}).answer == "1.50"  # a column of Parquet
    assert load({"prompt": "2 ** 80?", "answer": 2**80}).answer == str(2**80)
    # What comes with instruction data is nobody's proof
    assert load({"instruction": "Explain recursion.", "answer": "It is when a function calls itself."}).answer is None
    assert load({"query": "Write f.", "answer": "4"}, mapping="code_feedback").answer is None


def test_an_instruction_that_says_how_to_answer_is_asked_as_it_is():
    problem = load({"instruction": r"2 + 2? Write \boxed{}.", "answer": 4})
    assert problem.request == problem.instruction


@pytest.mark.parametrize(
    ("row", "options", "sentence"),
    [
        ({"instruction": "f?", "answer": 4, "tests": "assert f() == 4"}, {}, "it has both tests and a final `answer`"),
        ({"instruction": "f?", "answer": 4, "examples": [["1", "2"]]}, {}, "it has both examples and a final `answer`"),
        ({**GSM8K, "answer": "It is 1080."}, {"mapping": "gsm8k"}, "`answer` has no line `#### ...`"),
        ({**MATH, "solution": "It is 1/3."}, {"mapping": "math"}, r"`solution` has no \boxed{...}"),
        ({**MATH, "solution": r"\boxed{1} or \boxed{2}"}, {}, r"different boxed answers ('1' and '2'); give the right one as `answer`"),
        ({**MATH, "answer": r"\frac{1}{3"}, {}, "its braces do not match"),
        ({"question": "?", "choices": ["a", "b"], "answer": "C"}, {}, "`answer` must name one of 2 choices"),
        ({"question": "?", "choices": [], "answer": "C"}, {"mapping": "multiple_choice"}, "it has no `choices` or `options`"),
        ({"instruction": "?", "answer": "(", "checker": "regex"}, {}, "is not a regular expression"),
        ({"instruction": "?", "answer": "5", "checker": "fuzzy"}, {}, "`checker` must be one of 'math', 'exact', 'regex', 'choice'"),
        ({"instruction": "?", "answer": "5", "checker": "def check(a, b) return"}, {}, "`checker`"),
        ({"instruction": "?", "answer": "x" * 2000, "checker": "math"}, {}, "at most 1,000 are compared"),
        ({"instruction": "?", "answer": [4], "checker": "math"}, {}, "`answer` must hold a final answer"),
        ({"instruction": "?", "answer": True}, {}, "`answer` must hold a final answer, as text or a number, got True"),
        ({"instruction": "?", "answer": math.nan}, {}, "`answer` must hold a finite number, got nan; write null if"),
        ({"instruction": "?", "answer": 2.0**53}, {}, "`answer` is read as 9007199254740992.0, which may be rounded"),
        ({"instruction": "?", "answer": date(2026, 1, 2)}, {}, "`answer` must hold a final answer, as text or a number"),
        ({**MATH, "test_cases": ["assert f()"]}, {}, "the column 'test_cases' looks like tests but is not read"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_one_sentence(row, options, sentence):
    message = refused(row, **options)
    assert sentence in message and message.startswith("Row 0 of ") and message.count("\n") == 0


def test_problems_are_written_and_read_again(tmp_path):
    problems = list(load_problems([GSM8K, {**GSM8K, "question": "Another one?"}]))
    problems += load_problems([{"id": "c", "question": "Which?", "choices": ["4", "7"], "answer": "7"}])
    write_problems(problems, tmp_path / "problems.jsonl")
    assert list(load_problems(tmp_path / "problems.jsonl")) == problems


def test_the_form_of_the_request_is_no_contamination(tmp_path):
    rows = [
        {"instruction": f"{word} have", "answer": 4}
        for word in ("How many apples does Ann", "How many pears does Bob", "What do we")
    ]
    path = tmp_path / "benchmark.jsonl"
    path.write_text(json.dumps({"prompt": "How many plums does Cy have"}) + "\n")
    kept, report = prepare_problems(
        load_problems(rows), decontaminate_against=[str(path)], near_duplicate_threshold=None
    )
    assert len(kept) == 3
    assert "3 with tests or a final answer" in report.summary() and report.languages == {}


CHECKER = """
def check(answer, expected):
    numbers = sorted(answer.split("+"))
    return sum(map(int, numbers)) == int(expected)
"""


@pytest.fixture(scope="module")
def sandboxed():
    """Judges an answer with a checker that is a function."""

    async def run(problem, text, tell=False):
        async with Executor(languages=["python"], workers=1) as execute:
            return await judge_answer(problem, text, execute, tell)

    def judged(*arguments):
        try:
            return asyncio.run(run(*arguments))
        except SandboxUnavailableError as error:
            pytest.skip(str(error))

    return judged


@pytest.mark.parametrize(
    ("answer", "expected_kind", "error"),
    [
        ("3+4", FeedbackKind.NONE, None),
        ("3+5", FeedbackKind.ASSERTION, "WrongAnswer"),
        ("three", FeedbackKind.VALUE, "CheckerFailed"),
        ("__import__('os')", FeedbackKind.VALUE, "CheckerFailed"),
    ],
)
def test_a_function_checks_in_the_sandbox(sandboxed, answer, expected_kind, error):
    problem = Problem("p", "Write 7 as a sum.", answer="7", checker=CHECKER)
    found = sandboxed(problem, rf"\boxed{{{answer}}}")
    assert (found.kind, found.error_type, found.actual, found.expected) == (expected_kind, error, answer, None)
    assert sandboxed(problem, rf"\boxed{{{answer}}}", True).expected == (None if error is None else "7")


def test_a_function_that_returns_no_verdict_passes_nothing(sandboxed):
    problem = Problem("p", "?", answer="7", checker="def check(answer, expected):\n    return 'yes'\n")
    found = sandboxed(problem, r"\boxed{7}")
    assert found.kind is FeedbackKind.TYPE and "True or False" in found.hint


def test_a_function_does_not_choose_among_answers(sandboxed):
    problem = Problem("p", "?", answer="7", checker=CHECKER)
    assert sandboxed(problem, r"\boxed{3+4} \boxed{1+1}").error_type == "ContradictoryAnswers"
    assert sandboxed(problem, "7").error_type == "NoAnswer"
