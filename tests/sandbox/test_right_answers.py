"""Right answers pass, whatever they return, and whatever the tests pass to them."""

from __future__ import annotations

import pytest

from reflection_trl.sandbox import PythonProgram, Sandbox

from . import right_answers, right_objects


RIGHT = right_answers.RIGHT | right_objects.RIGHT


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass(sandbox: Sandbox, name: str):
    answer, tests, entry_point = RIGHT[name]
    verdict = sandbox.run(PythonProgram(answer, tests, entry_point=entry_point))
    assert verdict.passed, verdict
