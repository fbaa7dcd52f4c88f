"""Answers that lean on what their reader has not seen."""

import pytest

from reflection_trl.builder.acceptance import (
    Rejected,
    check_standalone,
    is_refusal,
    leaning_phrase,
    local_imports,
    undefined_names,
)
from reflection_trl.problems import Problem


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


def test_the_detail_names_what_is_missing():
    problem = Problem("a", "Do it.")
    with pytest.raises(Rejected, match="uses `helper`, which only earlier programs define") as caught:
        check_standalone("It does.", "def f():\n    return helper()", ["def helper():\n    return 1"], problem)
    assert caught.value.reason == "leans_on_reflection"
