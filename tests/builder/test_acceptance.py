"""Answers that lean on what their reader has not seen, and outputs that differ."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.builder.acceptance import (
    Rejected,
    check_standalone,
    compare_output,
    is_refusal,
    judge,
    leaning_phrase,
    local_imports,
    undefined_names,
)
from reflection_trl.feedback import FeedbackKind
from reflection_trl.problems import Example, Problem


@pytest.mark.parametrize(
    "text",
    [
        "Here is the corrected version:",
        "This is the fixed\nfunction.",
        "Unlike the previous attempt, it sorts.",
        "It works as before.",
        "The bug was in the loop.",
        "Now all the asserts pass.",
        "I have fixed the index.",
        "As the failing test shows, zero matters.",
        "It no longer raises an error.",
        "Using the given code, one calls `f`.",
        "```python\ndef f():  # repaired version\n    return 1\n```",
        '```python\ndef f():\n    """The earlier code squared."""\n    return 1\n```',
    ],
)
def test_words_that_lean_on_the_reflection(text):
    assert leaning_phrase(text)


@pytest.mark.parametrize(
    "text",
    [
        "The function compares each number with the previous one and returns the first match.",
        "The code above runs in linear time.",
        "It raises a `ValueError`; the error is raised when the list is empty.",
        "```python\ndef f(updated_code):\n    raise AssertionError('corrected version')\n```",
        "It returns the updated list and the original string.",
        "A previous run of equal characters ends here.",
    ],
)
def test_words_that_do_not(text):
    assert leaning_phrase(text) is None


def test_words_of_the_request_are_its_own():
    assert leaning_phrase("It returns the corrected version.", "Return the Corrected\nVersion of a sentence.") is None


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f(x):\n    return helper(x) + x", ["helper"]),
        ("import math as m\nfrom os import path\n\ndef f(x):\n    return m.pi * path.sep", []),
        ("def f(xs):\n    return [x for x in xs if (n := x)], n, __name__, print", []),
        ("def f():\n    global total\n    total = 1\n\ndef g():\n    return total", []),
        ("class A:\n    size = 1\n    def get(self):\n        return size", ["size"]),
        ("class A:\n    def get(self):\n        return super().get(), __class__", []),
        ("from math import *\n\ndef f(x):\n    return sqrt(x)", []),
        ("def f(xs: List[int]):\n    return xs", ["List"]),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    print(error)", []),
        ("for i in range(3):\n    pass\nprint(i, lambda a, *b: a + b)", []),
        ("def f(:", []),
        ("x = \x00", []),
        ("def f(x):\n    return " + "-".join("x" * 20_000), []),
    ],
)
def test_names_that_nothing_defines(code, names):
    assert undefined_names(code) == names


def test_names_that_the_tests_bring_are_known():
    assert undefined_names("def f():\n    return Node(1)", ["Node"]) == []
    problem = Problem("a", "Use Node.", tests="class Node:\n    pass\nassert f()")
    check_standalone("It does.", "def f():\n    return Node()", [], problem)


def test_imports_of_earlier_code():
    code = "import os, solution\nfrom .helpers import a\nfrom main import f\nimport numpy, code\nfrom . import b"
    assert local_imports(code) == ["solution", ".", "main", "."]
    assert local_imports("def f(:") == []


@pytest.mark.parametrize(
    "text", ["I'm sorry, but no.", "I cannot help with this.", "As an AI, I run nothing.", "I\u2019m unable to"]
)
def test_refusals(text):
    assert is_refusal(text)


@pytest.mark.parametrize("text", ["The list cannot be empty.", "This can't be done in linear time.", ""])
def test_what_is_no_refusal(text):
    assert not is_refusal(text)


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


def test_tests_and_examples_judge_together(execute):
    problem = Problem("a", "Print.", tests="assert f() == 1", examples=(Example("x", "x"), Example("y", "y")))
    code = "def f():\n    return {}\nif __name__ == '__main__':\n    try:\n        print({})\n    except StopIteration:\n        pass"
    assert asyncio.run(judge(problem, code.format(1, "input()"), execute)).passed
    assert [stdin for _, _, stdin in execute.calls] == ["", "x", "y"]
    failed = asyncio.run(judge(problem, code.format(2, "input()"), execute))
    assert failed.error_type == "AssertionError" and len(execute.calls) == 4  # the first failure ends it
    failed = asyncio.run(judge(problem, code.format(1, "'x'"), execute))
    assert failed.expected == "y"
    assert asyncio.run(judge(Problem("a", "Do."), code, execute)) is None


def test_the_detail_names_what_is_missing():
    problem = Problem("a", "Do it.")
    with pytest.raises(Rejected, match="uses `helper`, which only earlier programs define") as caught:
        check_standalone("It does.", "def f():\n    return helper()", ["def helper():\n    return 1"], problem)
    assert caught.value.reason == "leans_on_reflection"
