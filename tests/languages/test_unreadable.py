"""Answers whose declarations would take too long to parse, or too many calls, fail with a reason."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from reflection_trl.languages import LANGUAGES
from reflection_trl.languages.command import CommandLanguage
from reflection_trl.languages.execution import Run


LONG, DEEP = "x" * 100_000, "\nstruct A { " * 3000
PARSED = sorted(name for name, language in LANGUAGES.items() if isinstance(language, CommandLanguage))


@pytest.mark.parametrize("name", PARSED)
@pytest.mark.parametrize(("source", "reason"), [(LONG, "characters, and at most"), (DEEP, "brackets open")])
def test_answers_that_are_too_long_or_too_deep_are_not_parsed(name: str, source: str, reason: str):
    program = LANGUAGES[name].program(source, "f(3)", entry_point="f")
    assert program.partner is None
    assert reason in program.argv[-1]


def test_the_reason_is_the_feedback(execute: Callable[..., Run]):
    run = execute("bash", f"f() {{ echo 6; }} # {LONG}", "[[ $(f 3) == 6 ]]", entry_point="f")
    assert not run.feedback.passed
    assert "at most 65536 are compiled with tests" in run.feedback.text


def test_an_answer_of_many_lines_passes(execute: Callable[..., Run]):
    lines = "\n".join(f"g{number}() {{ :; }}" for number in range(1000))
    assert execute("bash", f"{lines}\nf() {{ echo 6; }}", "[[ $(f 3) == 6 ]]", entry_point="f").feedback.passed


# What a parser may read again from each place
REPEATED = [
    "#[a]",
    "#[derive(A)] ",
    "fn f<",
    "fn f()",
    "int f()",
    "struct A ",
    "class f<",
    "function f(",
    "$(",
    "f() {",
]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("repeated", REPEATED)
def test_an_answer_is_read_in_bounded_time(language, repeated):
    def give_up(number, frame):
        raise AssertionError("the answer takes 10 seconds of a core to read")

    source = repeated * (60_000 // len(repeated))
    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, 10)  # of a core, whatever else the machine does
    try:
        LANGUAGES[language].program(source, "f(1) == A::new()", entry_point="f")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
