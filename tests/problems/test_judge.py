"""Problems' own tests and examples, run against answers."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages.execution import Run
from reflection_trl.problems import Example, Problem
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
        # A decimal number may be a little off; an integer, and a number in words, may not
        ("0.333333333", "0.3333333333333", True),
        ("3.0", "3", True),
        ("1e-9", "0", True),
        ("x = 12345678.5 ok", "x = 12345678.6 ok", True),
        ("0.5", "0.51", False),
        ("0.5", "nan", False),
        ("0.5", "inf", False),
        ("0.5", "1_0.5", False),
        ("0.5 0.5", "0.5", False),
        ("1000000", "1000000.1", False),
        ("1.0 a", "1.0 b", False),
        ("1000000000.5", "1000000000.4999999", True),
    ],
)
def test_outputs_are_compared_line_by_line(expected, stdout, same):
    assert compare_output(Example("", expected), stdout).passed is same


def test_a_wrong_output_is_told_with_its_first_wrong_line():
    feedback = compare_output(Example("7\n", "a\nb\nc\n"), "a\nx\nc\n")
    assert (feedback.kind, feedback.actual, feedback.expected) == (FeedbackKind.ASSERTION, "x", "b")
    assert feedback.message == "Line 2 of the output: expected `b`, got `x`."
    missing = compare_output(Example("", "a\nb"), "a")
    assert (missing.actual, missing.message) == (None, "Line 2 of the output: expected `b`, got nothing.")


@given(st.text(alphabet="ab \n\r\x0b\x85", max_size=20), st.text(alphabet="ab \n\r\x0b\x85", max_size=20))
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
