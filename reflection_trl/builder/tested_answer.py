"""Reads an answer whose tests are in a code block of their own, as the reflection prompt asks for."""

import dataclasses

from ..answers import Answer, read_answer
from ..answers.choosing import defines
from ..answers.cleaning import one_turn
from ..fences import Fence, find_fences
from ..languages import get_language
from .asserts import join_tests, split_asserts


def read_tested_answer(text: str, language: str = "python", entry_point: str | None = None) -> Answer:
    """
    Splits an answer into prose and program, with the tests of a code block of their own at the end of the program.

    [`~reflection_trl.answers.read_answer`] does so for Python. In other languages it returns one block, because the answers that it
    reads are followed by other tests, whose `main` would be a second one.

    Args:
        text (`str`):
            Completion.
        language (`str`, *optional*, defaults to `"python"`):
            Language of the program.
        entry_point (`str`, *optional*):
            Name of the requested function or class.

    Returns:
        [`~reflection_trl.answers.Answer`]
    """
    text = one_turn(text)
    tests = _tests_apart(text, language) if language != "python" else []
    if not tests:
        return read_answer(text, language, entry_point)
    solution = text
    for fence in reversed(tests):
        solution = solution[: fence.start] + solution[fence.end :]
    answer = read_answer(solution, language, entry_point)
    return dataclasses.replace(
        answer,
        # Of several versions, the last one is the answer
        code=join_tests(answer.code, tests[-1].code, language),
        tail="",
        closed=answer.closed and tests[-1].closed,
    )


def _tests_apart(text: str, language: str) -> list[Fence]:
    """Returns the code blocks with tests that define nothing of what the blocks without tests do."""
    names = {*get_language(language).fences, ""}
    fences = [fence for fence in find_fences(text) if fence.language in names]
    parts = [split_asserts(fence.code, language) for fence in fences]
    defined = set[str]().union(
        *(defines(fence.code, language) for fence, part in zip(fences, parts, strict=True) if not part.asserts)
    )
    return [
        fence
        for fence, part in zip(fences, parts, strict=True)
        if defined and part.tests and not defines(part.solution, language) & defined
    ]
