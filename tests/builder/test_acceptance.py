"""Answers that lean on what their reader has not seen."""

import pytest

from reflection_trl.answers import foreign_script
from reflection_trl.builder.acceptance import (
    Rejected,
    check_standalone,
    echoed_words,
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


GARBAGE = "This prints 6. nocturn\u4e00\u4e0b\u5b50 \u0440\u0435\u0434\u0430\u043a\u0442\u043e\u0440\u0441\u043a\u0438\u0439 \u0e04\u0e48\u0e30 checkBox"
PANGRAM = "```python\nletters = '\u0430\u0431\u0432\u0433\u0434\u0435\u0451\u0436\u0437\u0438\u0439\u043a'\n```\nIt holds the letters of \u0430\u0431\u0432."


@pytest.mark.parametrize(
    ("message", "request_text", "script"),
    [
        (GARBAGE, "Write a function.", "Cyrillic"),
        ("\u8fd9\u4e2a\u51fd\u6570\u8fd4\u56de\u4e24\u500d\u7684\u6570\u503c\u3002", "Double it.", "CJK"),
        ("\u3053\u308c\u306f\u6570\u3092\u4e8c\u500d\u306b\u3059\u308b\u3002", "Double it.", "CJK"),
        (
            "\u3053\u308c\u306f\u6570\u3092\u4e8c\u500d\u306b\u3059\u308b\u3002",
            "\u6570\u3092\u4e8c\u500d\u306b\u3057\u3066\u3002",
            None,
        ),
        (
            "```python\n# \u0432\u043e\u0437\u0432\u0440\u0430\u0449\u0430\u0435\u0442 \u0441\u0443\u043c\u043c\u0443\nx = 1\n```",
            "Add.",
            "Cyrillic",
        ),
        (PANGRAM, "Is it a pangram?", None),
        (
            "The na\u00efve fa\u00e7ade \u03b1\u03b2\u03b3\u03b4\u03b5\u03b6\u03b7\u03b8\u03b9\u03ba\u03bb uses \u2211 and \u00d7.",
            "Add.",
            None,
        ),
    ],
)
def test_scripts_that_the_request_does_not_use(message, request_text, script):
    assert foreign_script(message, request_text) == script


def test_the_detail_names_what_is_missing():
    problem = Problem("a", "Do it.")
    with pytest.raises(Rejected, match="uses `helper`, which only earlier programs define") as caught:
        check_standalone("It does.", "def f():\n    return helper()", ["def helper():\n    return 1"], problem)
    assert caught.value.reason == "leans_on_reflection"


def test_eight_words_in_a_row_are_a_copy_of_the_prompt():
    prompt = "Write the whole corrected solution in one code block, without tests."
    copy = "the whole corrected solution in one code block"
    assert echoed_words(f"So here is {copy.upper()}:", prompt) == copy
    assert echoed_words("the whole corrected solution in one code file", prompt) is None


def test_a_refusal_stands_at_the_beginning():
    prose = "This is about parsers. "
    assert is_refusal(prose * 20 + "I cannot help with that.")
    assert not is_refusal(prose * 25 + "I cannot help with that.")
