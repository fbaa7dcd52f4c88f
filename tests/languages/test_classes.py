"""Tests that make objects of the answer's classes, pass functions and arrays, or use templates, and stay in their own process."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from reflection_trl.feedback import FeedbackKind
from reflection_trl.languages import LANGUAGES
from reflection_trl.languages.execution import Run
from reflection_trl.languages.java import JAVATUPLES
from reflection_trl.sandbox import CommandProgram

from .class_cases import CPP, CSHARP, RUST


@pytest.mark.parametrize(("language", "source", "tests", "entry_point"), [*CPP, *CSHARP, *RUST])
def test_right_answers_pass(
    execute: Callable[..., Run], language: str, source: str, tests: str, entry_point: str | None
):
    feedback = execute(language, source, tests, entry_point=entry_point).feedback
    assert feedback.passed, feedback.text


@pytest.mark.parametrize(("language", "source", "tests", "entry_point"), [*CPP, *CSHARP, *RUST])
def test_no_answer_chooses_the_process_of_its_tests(language: str, source: str, tests: str, entry_point: str | None):
    program = LANGUAGES[language].program(source, tests, entry_point=entry_point)
    assert isinstance(program, CommandProgram) and program.partner is not None and program.end_mark
    # Of the answer, only names, types and constants reach the side of the tests
    body = max(source.splitlines(), key=len)
    assert not any(body in str(text) for text in program.files.values())


@pytest.mark.parametrize(
    ("language", "tests", "answer"),
    [
        ("cpp", "#include <cassert>\nstatic int checked = (assert(f(1) == 2), 0);", "int f(int x) { return 0; }\nint main() { return 0; }"),
        ("rust", "#[test]\nfn checks() { assert_eq!(f(1), 2); }", "fn f(x: i32) -> i32 { 0 }\nfn main() {}"),
        ("csharp", "class Tests { static void Check() { } }", "class Problem { public static int F(int x) { return 0; } public static void Main() { } }"),
    ],
)  # fmt: skip
def test_tests_without_an_end_pass_nobody(execute: Callable[..., Run], language: str, tests: str, answer: str):
    assert not execute(language, answer, tests, entry_point="f").feedback.passed


def test_names_of_the_library_are_not_taken_from_an_answer(execute: Callable[..., Run]):
    tests = "#include <algorithm>\n#include <cassert>\nusing namespace std;\nint main() {\n    assert(max(f(1.0), 1.0) == 2.0);\n}\n"
    answer = "double f(double x) { return 0; }\ndouble max(double a, double b) { return 2; }"
    assert not execute("cpp", answer, tests, entry_point="f").feedback.passed
    # Without an entry point nobody can say whose function the tests mean
    feedback = execute("cpp", answer, tests).feedback
    assert not feedback.passed and "name it as the entry point" in feedback.text


@pytest.mark.skipif(not os.path.exists(JAVATUPLES), reason="libjavatuples-java is not installed")
def test_classes_of_a_java_library_are_data_and_not_the_answers(execute: Callable[..., Run]):
    head = "import java.util.*;\nimport org.javatuples.*;\nclass Problem {\n"
    answer = "    public static Pair<Long, Optional<Long>> f(Pair<Long, Long> x) { return Pair.with(x.getValue0(), Optional.of(2l)); }\n"
    tests = (
        "    public static void main(String[] args) {\n"
        "        assert(f(Pair.with(1l, 3l)).equals(Pair.with(1l, Optional.of(2l))));\n    }\n}\n"
    )
    feedback = execute("java", head + answer, tests, entry_point="f").feedback
    assert feedback.passed, feedback.text
    wrong = execute("java", head + answer.replace("2l", "3l"), tests, entry_point="f").feedback
    assert wrong.kind is FeedbackKind.ASSERTION


def test_a_class_with_a_name_of_the_library_is_taken_as_the_entry_point(execute: Callable[..., Run]):
    tests = (
        "import java.util.*;\nclass Main {\n    public static void main(String[] args) {\n        Stack s = new Stack();\n"
        "        s.push(2);\n        assert s.doubled() == 4;\n    }\n}\n"
    )
    answer = "class Stack { int x; void push(int x) { this.x = x; } int doubled() { return 2 * x; } }"
    assert execute("java", answer, tests, entry_point="Stack").feedback.passed
    assert not execute("java", answer.replace("2 * x", "x"), tests, entry_point="Stack").feedback.passed
    # `java.util.Stack`, or the answer's? Nobody can say
    assert "name it as the entry point" in execute("java", answer, tests).feedback.text
