"""Answers that are wrong and written to pass fail, and the honest answers beside them pass."""

from __future__ import annotations

import dataclasses

import pytest

from reflection_trl.languages import LANGUAGES
from reflection_trl.sandbox import Sandbox

from .lying_answers import (
    Lie,
    Right,
    bash,
    cpp,
    java,
    javascript,
    languages,
    python,
    python_classes,
    python_flow,
    python_objects,
    rust,
    scripts,
    typescript,
)


TABLE: dict[str, list[Lie]] = {
    "python": [*python.LYING, *python_objects.LYING, *python_classes.LYING, *python_flow.LYING],
    "cpp": cpp.LYING,
    "java": java.LYING,
    "javascript": [*scripts.JAVASCRIPT, *javascript.LYING],
    "typescript": typescript.LYING,
    "php": scripts.PHP,
    "bash": [*scripts.BASH, *bash.LYING],
    "rust": rust.RUST,
    "csharp": rust.CSHARP,
}
for _language, _lies in languages.LYING.items():
    TABLE[_language] = [*TABLE[_language], *_lies]
_SLOW = ("cpp", "java", "rust", "csharp", "typescript")  # a compiler or two for each program: beyond the first few
_SCRIPTS = ("javascript", "php", "bash")


def cases(lies: dict[str, list[Lie]] | dict[str, list[Right]]) -> list[pytest.param]:
    return [
        pytest.param(
            language,
            lie,
            id=f"{language}: {lie.name}",
            marks=[pytest.mark.slow] if language in _SLOW and number > 2 else [],
        )
        for language, reported in lies.items()
        for number, lie in enumerate(reported)
    ]


# Each honest answer once
HONEST = {
    language: list({(lie.honest, lie.tests, lie.entry_point): lie for lie in lies}.values())
    for language, lies in TABLE.items()
}


def run(sandbox: Sandbox, language: str, source: str, lie: Lie | Right) -> bool:
    spoken = LANGUAGES[language]
    if missing := spoken.missing():
        pytest.skip(missing)
    # Scripts start at once, so those that hang may end soon. Python's limit is short, and compilers need theirs
    limits = dataclasses.replace(spoken.limits, timeout=5.0) if language in _SCRIPTS else None
    verdict = sandbox.run(spoken.program(source, lie.tests, entry_point=lie.entry_point, limits=limits))
    return spoken.diagnose(verdict, source, lie.tests).passed


@pytest.mark.parametrize(("language", "lie"), cases(TABLE))
def test_lying_answers_fail(sandbox_with_toolchains: Sandbox, language: str, lie: Lie):
    assert not run(sandbox_with_toolchains, language, lie.lying, lie)


@pytest.mark.parametrize(("language", "lie"), cases(HONEST))
def test_honest_answers_pass(sandbox_with_toolchains: Sandbox, language: str, lie: Lie):
    assert run(sandbox_with_toolchains, language, lie.honest, lie)


@pytest.mark.parametrize(("language", "right"), cases(languages.RIGHT))
def test_right_answers_pass(sandbox_with_toolchains: Sandbox, language: str, right: Right):
    assert run(sandbox_with_toolchains, language, right.answer, right)
