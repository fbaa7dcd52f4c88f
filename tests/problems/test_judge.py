"""Problems' own tests and examples, run against answers."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages.execution import Run
from reflection_trl.problems import Example, Problem, load_problems
from reflection_trl.problems.judge import compare_output, judge


@pytest.mark.parametrize(
    ("expected", "stdout", "same"),
    [
        ("1\n2\n", "1\n2", True),
        ("1\n2", "1  \n2\t\n\n\n", True),
        ("1\r\n2", "1\n2\n", True),
        ("", "\n", True),
        ("1\n2", "1\n\n2", False),
        ("1", " 1", False),
        ("1", "", False),
        ("1", "1\n2", False),
        ("", "1", False),
        # Characters that `str.splitlines` takes for line ends are none
        ("a\x0cb", "a\nb", False),
        ("a\u2028b", "a\nb", False),
        ("a\x85b", "a\nb", False),
        ("a\x1cb\n", "a\nb\n", False),
        ("a\x0cb", "a\x0cb", True),
        ("1\r2", "1\n2", True),
        ("a\x0c\n", "a", True),
        ("a\xa0", "a", False),
        # Numbers are printed as expected, but for the rounding of long ones
        ("0.333333333", "0.3333333333333", True),
        ("x = 0.333333 ok", "x = 0.3333333333333333 ok", True),
        ("0.333333333", "0.33334", False),
        ("2.50", "2.5", False),
        ("3.0", "3", False),
        ("1e-9", "0", False),
        ("1.000000001e-9", "1e-9", False),
        ("0.333333", "nan", False),
        ("0.333333", "inf", False),
        ("10.5000000", "1_0.5", False),
        ("0.333333 0.333333", "0.333333", False),
        ("1000000", "1000000.1", False),
        ("1.000000 a", "1.0 b", False),
        ("1000000000.500000", "1000000000.4999999", True),
        ("2000000.000000", "2000001.000000", False),
        ("123456.123456", "123456.2", False),
        # Small ones too: zero is not close to all of them
        ("0.000000123456", "0", False),
        ("0.000000123456", "0.000000123", True),
        ("0.000001", "0.000000", False),
        ("0.000001", "0.0000013", True),
        ("0.000000", "0", True),
    ],
)
def test_outputs_are_compared_line_by_line(expected, stdout, same):
    assert compare_output(Example("", expected), stdout).passed is same


@pytest.mark.parametrize(
    ("expected", "stdout", "same"),
    [
        ("0.5", "0.5004", True),
        ("0.5", "0.502", False),
        ("2000.0", "2001", True),
        ("3", "3.0000", True),
        ("1e-9", "0", True),
        ("1000000", "1000001", False),  # two integers are equal or not
        ("yes 0.5", "no 0.5", False),
        ("0.5\n0.5", "0.5", False),
        ("0.5", "0.5 0.5", False),
        ("nan", "0.5", False),
        ("1e400", "1e401", False),
    ],
)
def test_a_problem_may_ask_for_a_tolerance(expected, stdout, same):
    assert compare_output(Example("", expected), stdout, tolerance=1e-3).passed is same


@pytest.mark.parametrize(
    ("statement", "tolerance"),
    [
        ("Your answer is correct if its relative or absolute error does not exceed $10^{-6}$.", 1e-6),
        ("with an absolute or relative\nerror of at most 10^{-3}", 1e-3),
        ("Answers within 10^-5 of the actual answer will be accepted.", 1e-5),
        ("The absolute error should not exceed 10 - 4.", 1e-4),
        ("the relative error must be below 10**-9", 1e-9),
        ("an absolute difference of less than 10\u22127", 1e-7),
        ("a relative error up to 1e-8 is fine", 1e-8),
        ("an absolute error of at most 0.001.", 1e-3),
        ("Print the absolute error.", None),
        ("There are at most 10 - 6 numbers; print 0.01 of each.", None),
        ("The absolute error. " + "x" * 200 + " 1e-6", None),
        ("relative error 10^-0", None),
    ],
)
def test_the_tolerance_that_a_statement_names(statement, tolerance):
    (problem,) = load_problems([{"prompt": statement, "examples": [["", "0.5"]]}])
    assert problem.tolerance == (tolerance and pytest.approx(tolerance, rel=1e-12))
    (untested,) = load_problems([{"prompt": statement}])
    assert untested.tolerance is None  # nothing is compared


def test_the_judge_heeds_the_tolerance_of_a_problem():
    class Prints:
        async def __call__(self, language, source, tests="", *, entry_point=None, stdin=""):
            return Run(Feedback(FeedbackKind.NONE, ""), "0.5004\n")

    problem = Problem("a", "Print a half.", examples=(Example("", "0.5"),))
    assert not asyncio.run(judge(problem, "", Prints())).passed
    assert asyncio.run(judge(replace(problem, tolerance=1e-3), "", Prints())).passed


def test_a_wrong_output_is_reported_with_its_first_wrong_line():
    feedback = compare_output(Example("7\n", "a\nb\nc\n"), "a\nx\nc\n")
    assert (feedback.kind, feedback.actual, feedback.expected) == (FeedbackKind.ASSERTION, "x", "b")
    assert feedback.message == "Line 2 of the output: expected `b`, got `x`."
    missing = compare_output(Example("", "a\nb"), "a")
    assert (missing.actual, missing.message) == (None, "Line 2 of the output: expected `b`, got nothing.")


@given(st.text(alphabet="ab \n\r\x0b\x85\u2028", max_size=20), st.text(alphabet="ab \n\r\x0b\x85\u2028", max_size=20))
def test_comparing_is_total_and_symmetric(one, other):
    feedback = compare_output(Example("", one), other)
    assert feedback.passed == compare_output(Example("", other), one).passed
    assert feedback.passed or feedback.actual != feedback.expected


def test_huge_outputs_are_shown_by_their_ends():
    feedback = compare_output(Example("i" * 10**6, "e" * 10**6), "a" * 10**6)
    assert len(feedback.text) < 8000 and "[999000 characters left out]" in feedback.text


class Machine:
    """Runs no program: `failing` fails under tests, all others print their input."""

    def __init__(self):
        self.calls = []

    async def __call__(self, language, source, tests="", *, entry_point=None, stdin=""):
        self.calls.append((tests, stdin))
        failed = tests and source == "failing"
        kind = FeedbackKind.ASSERTION if failed else FeedbackKind.NONE
        return Run(Feedback(kind, ""), "x" if source == "always x" else stdin)


def test_tests_and_examples_judge_together():
    problem = Problem("a", "Print.", tests="assert f() == 1", examples=(Example("x", "x"), Example("y", "y")))
    execute = Machine()
    assert asyncio.run(judge(problem, "echo", execute)).passed
    assert execute.calls == [("assert f() == 1", ""), ("", "x"), ("", "y")]
    assert not asyncio.run(judge(problem, "failing", execute)).passed
    assert len(execute.calls) == 4  # the first failure ends it
    assert asyncio.run(judge(problem, "always x", execute)).expected == "y"
    assert asyncio.run(judge(Problem("a", "Do."), "echo", execute)) is None
