"""Answers that are wrong and written to pass fail, and the honest answers beside them pass."""

from __future__ import annotations

import pytest

from reflection_trl.languages import LANGUAGES
from reflection_trl.sandbox import Sandbox

from .lying_answers import Lie, python


TABLE: dict[str, list[Lie]] = {"python": python.LYING}
CASES = [pytest.param(language, lie, id=f"{language}: {lie.name}") for language, lies in TABLE.items() for lie in lies]


def run(sandbox: Sandbox, language: str, source: str, lie: Lie) -> bool:
    spoken = LANGUAGES[language]
    verdict = sandbox.run(spoken.program(source, lie.tests, entry_point=lie.entry_point))
    return spoken.diagnose(verdict, source, lie.tests).passed


@pytest.mark.parametrize(("language", "lie"), CASES)
def test_lying_answers_fail(sandbox: Sandbox, language: str, lie: Lie):
    assert not run(sandbox, language, lie.lying, lie)


@pytest.mark.parametrize(("language", "lie"), CASES)
def test_honest_answers_pass(sandbox: Sandbox, language: str, lie: Lie):
    assert run(sandbox, language, lie.honest, lie)
