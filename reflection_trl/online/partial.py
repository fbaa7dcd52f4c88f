"""Counts the tests of a problem that an answer passes."""

import ast
import re
import secrets

from ..feedback import Feedback, FeedbackKind
from ..languages.execution import Execute
from ..problems import Problem
from ..python_code import parse_python


# Failures that the other tests would repeat; a timeout would take another ten seconds each
_HOPELESS = (FeedbackKind.SYNTAX, FeedbackKind.TIMEOUT, FeedbackKind.MEMORY, FeedbackKind.OUTPUT_LIMIT)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


async def count_passed_tests(problem: Problem, code: str, feedback: Feedback, execute: Execute) -> tuple[int, int]:
    """
    Counts the tests in a problem's `tests` that an answer passes.

    Each `assert` of Python tests counts, at the top level or in the body of a function such as `check`. A statement
    with several asserts, such as a loop, counts as one. If the answer failed, all tests run once more, each
    separately. Tests without asserts, and tests in other languages, count as one.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            A problem with `tests`.
        code (`str`):
            The answer's code.
        feedback ([`~reflection_trl.feedback.Feedback`]):
            Outcome of the run with the unchanged tests.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs.

    Returns:
        `tuple[int, int]`: Number of passed tests, and of all tests. If they cannot all run, because one takes too long
        or ends the program, the tests before the first failure count as passed; none if the first failure was a syntax
        error or a limit.
    """
    # Only the process of the checks knows the token: the source of the checks is never in the program's process, but the names are
    counter, token = f"counter_{secrets.token_hex(8)}", f"passed_{secrets.token_hex(8)}"
    counting = counting_tests(problem.tests, counter, token) if problem.language == "python" else None
    if counting is None:
        return int(feedback.passed), 1
    source, ends = counting
    if feedback.passed:
        return len(ends), len(ends)
    if feedback.kind in _HOPELESS:
        return 0, len(ends)
    run = await execute(problem.language, code, source, entry_point=problem.entry_point)
    counted = re.fullmatch(rf"{token} (\d+) (\d+)", run.feedback.message or "")
    if counted is not None and int(counted[2]) > 0:
        # Asserts that were never reached have not passed: a function body stops at an error outside its asserts
        return int(counted[1]), max(int(counted[2]), len(ends))
    if feedback.file == "tests" and feedback.line is not None:
        return sum(end < feedback.line for end in ends), len(ends)
    return 0, len(ends)


def counting_tests(tests: str, counter: str, token: str) -> tuple[str, list[int]] | None:
    """
    Rewrites Python tests so that all of them run, and the last line raises `AssertionError("<token> <passed> <run>")`.

    Args:
        tests (`str`):
            Python code.
        counter (`str`):
            Identifier that occurs nowhere else.
        token (`str`):
            Text that occurs nowhere else.

    Returns:
        `tuple[str, list[int]]`, *optional*: The code, and the last line of each test in `tests`; `None` if there is no
        test, or if the tests cannot be rewritten.
    """
    module = parse_python(tests)
    if module is None:
        return None
    ends: list[int] = []
    functions = {id(node.func) for node in ast.walk(module) if isinstance(node, ast.Call)}
    # A program could call these as often as it likes, and each call would count
    passed_on = {node.id for node in ast.walk(module) if isinstance(node, ast.Name) and id(node) not in functions}
    module.body = _guard_all(module.body, counter, ends, passed_on)
    if not ends:
        return None
    first = ast.parse(f"{counter} = [0, 0]").body
    last = ast.parse(f"raise AssertionError('{token} %d %d' % tuple({counter}))").body
    # `from __future__ import ...` must stay first
    start = sum(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in module.body[:1])
    module.body = [*module.body[:start], *first, *module.body[start:], *last]
    try:
        return ast.unparse(ast.fix_missing_locations(module)), ends
    except RecursionError:  # an expression that is nested too deeply
        return None


def _guard_all(statements: list[ast.stmt], counter: str, ends: list[int], passed_on: set[str]) -> list[ast.stmt]:
    guarded: list[ast.stmt] = []
    for statement in statements:
        if isinstance(statement, _FUNCTIONS):
            if statement.name not in passed_on:
                statement.body = _guard_all(statement.body, counter, ends, passed_on)
        elif not isinstance(statement, ast.ClassDef) and _tests_something(statement):
            ends.append(statement.end_lineno or statement.lineno)
            guarded += _guard(statement, counter)
            continue
        guarded.append(statement)
    return guarded


def _tests_something(statement: ast.stmt) -> bool:
    return any(
        isinstance(node, ast.Assert) or (isinstance(node, ast.Raise) and _names_assertion_error(node))
        for node in ast.walk(statement)
    )


def _names_assertion_error(node: ast.Raise) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "AssertionError" for one in ast.walk(node))


def _guard(statement: ast.stmt, counter: str) -> list[ast.stmt]:
    wrapped = ast.parse(f"{counter}[1] += 1\ntry:\n    {counter}[0] += 1\nexcept Exception:\n    pass").body
    attempt = wrapped[1]
    assert isinstance(attempt, ast.Try)
    attempt.body.insert(0, statement)
    return wrapped
