"""Runs an answer and the tests of its benchmark in one process, inside the sandbox. Nothing here is imported outside of it.

Checks in another process call the function that [`run_unittest`] or [`run_context`] returns. It raises the first
failure, or returns the names of the passed tests. Since the answer could change anything here, comparisons are tested
again after the tests.
"""

from __future__ import annotations

import builtins
import contextlib
import copy
import io
import os
import sys
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any


class _Sink(io.StringIO):
    """Discards standard output."""

    def write(self, text: str) -> int:
        return len(text)


class _Recorder(unittest.TestResult):
    """Records the names of passed tests, and the first failure."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []
        self.failure: BaseException | None = None

    def _fail(self, test: Any, raised: Any) -> None:
        if self.failure is None:
            name = test.id().rpartition(".")[2]
            error: BaseException = raised[1]
            self.failure = AssertionError(f"{name}: {error}") if isinstance(error, AssertionError) else error

    def addSuccess(self, test: Any) -> None:
        self.passed.append(test.id().rpartition(".")[2])

    def addSkip(self, test: Any, reason: str) -> None:
        self.addSuccess(test)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.addSuccess(test)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._fail(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._fail(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, err)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    for name, value in {
        "MPLBACKEND": "Agg",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TZ": "UTC",
    }.items():
        os.environ[name] = value
    with contextlib.redirect_stdout(_Sink()), contextlib.redirect_stderr(_Sink()):
        yield


def _report(failure: BaseException | None, passed: list[str]) -> Callable[[], list[str]]:
    """Reports the result to the checks: raises the failure, or returns the names of the passed tests."""

    def finish() -> list[str]:
        if failure is None:
            return sorted(set(passed))
        if isinstance(failure, Exception):
            raise failure
        raise RuntimeError(f"{type(failure).__name__}: {failure}")

    return finish


def run_unittest(answer: str, tests: str) -> Callable[[], list[str]]:
    """
    Runs `TestCases` of `tests` after the answer, in one module, as BigCodeBench does.

    Args:
        answer (`str`):
            The answer's code.
        tests (`str`):
            Code that defines the class `TestCases`.
    """
    recorder, module = _Recorder(), types.ModuleType("__test__")
    vars(module).update(
        __builtins__=builtins, __file__="__test__.py", __package__=None, sys=sys, os=os, environ=os.environ
    )
    try:
        with _quiet():
            exec(compile(f"{answer}\n{tests}", "__test__.py", "exec"), vars(module))
            sys.modules["__test__"] = module
            unittest.TestLoader().loadTestsFromTestCase(module.TestCases).run(recorder)
            if recorder.failure is None:
                _check_tools()
    except BaseException as error:
        recorder.failure = recorder.failure or error
    return _report(recorder.failure, recorder.passed)


def run_context(answer: str, context: str) -> Callable[[], list[str]]:
    """
    Runs the functions `test_execution` and `test_string` of DS-1000's `code_context` on the answer.

    Args:
        answer (`str`):
            Code that replaces `[insert]`.
        context (`str`):
            Code that defines the functions; the second may be missing.
    """
    failure: BaseException | None = None
    passed: list[str] = []
    namespace: dict[str, Any] = {"__name__": "__test__"}
    try:
        with _quiet():
            exec(compile(context, "context.py", "exec"), namespace)
            before = _accepts_anything(namespace)
            for name in ("test_execution", "test_string"):
                if name in namespace:
                    namespace[name](answer)
                    passed.append(name)
            _check_tools()
            if _accepts_anything(namespace) != before:
                raise AssertionError("The answer has changed what its tests compare with.")
    except BaseException as error:
        failure = error
    return _report(failure, passed)


def _accepts_anything(namespace: dict[str, Any]) -> bool:
    """Returns whether the comparison of a context accepts an object that is not a result."""
    try:
        _, expected = namespace["generate_test_case"](1)
        return bool(namespace["exec_test"](object(), copy.deepcopy(expected)))
    except Exception:
        return False


def _comparisons() -> tuple[list[Callable[[], Any]], list[Callable[[], bool]]]:
    """Returns calls of comparisons that tests use: some that must fail, and some that must hold."""
    case: Any = unittest.TestCase()
    must_fail: list[Callable[[], Any]] = [
        lambda: case.assertEqual(1, 2),
        lambda: case.assertNotEqual(1, 1),
        lambda: case.assertTrue(False),
        lambda: case.assertFalse(True),
        lambda: case.assertIs(1, None),
        lambda: case.assertIsNone(1),
        lambda: case.assertIsNotNone(None),
        lambda: case.assertIn(1, []),
        lambda: case.assertNotIn(1, [1]),
        lambda: case.assertIsInstance(1, str),
        lambda: case.assertAlmostEqual(1, 2),
        lambda: case.assertGreater(1, 2),
        lambda: case.assertGreaterEqual(1, 2),
        lambda: case.assertLess(2, 1),
        lambda: case.assertLessEqual(2, 1),
        lambda: case.assertListEqual([1], [2]),
        lambda: case.assertDictEqual({1: 1}, {}),
        lambda: case.assertCountEqual([1], [2]),
        lambda: case.assertRegex("a", "b"),
        lambda: case.assertRaises(ValueError, int),
    ]
    must_hold: list[Callable[[], bool]] = [
        lambda: len([1]) == 1,
        lambda: not isinstance(1, str),
        lambda: sorted([2, 1]) == [1, 2],
        lambda: abs(-1) == 1,
        lambda: not all([False]),
        lambda: not any([]),
    ]
    numpy, pandas, torch = (sys.modules.get(name) for name in ("numpy", "pandas", "torch"))
    if numpy is not None:
        must_fail += [
            lambda: numpy.testing.assert_array_equal([1], [2]),
            lambda: numpy.testing.assert_equal([1], [2]),
            lambda: numpy.testing.assert_allclose([1.0], [2.0]),
            lambda: numpy.testing.assert_almost_equal(1.0, 2.0),
            lambda: numpy.testing.assert_array_almost_equal([1.0], [2.0]),
        ]
        must_hold += [
            lambda: not numpy.allclose(1.0, 2.0),
            lambda: not numpy.isclose(1.0, 2.0),
            lambda: not numpy.array_equal([1], [2]),
            lambda: not (numpy.array([1]) == numpy.array([2])).all(),
        ]
    if pandas is not None:
        ones, twos = (pandas.DataFrame({"a": [number]}) for number in (1, 2))
        must_fail += [
            lambda: pandas.testing.assert_frame_equal(ones, twos),
            lambda: pandas.testing.assert_series_equal(ones["a"], twos["a"]),
            lambda: pandas.testing.assert_index_equal(pandas.Index([1]), pandas.Index([2])),
        ]
        must_hold += [
            lambda: not ones.equals(twos),
            lambda: not ones["a"].equals(twos["a"]),
            lambda: not (ones == twos).all().all(),
        ]
    if torch is not None:
        one, two = torch.tensor([1.0]), torch.tensor([2.0])
        must_fail.append(lambda: torch.testing.assert_close(one, two))
        must_hold += [lambda: not torch.allclose(one, two), lambda: not torch.equal(one, two)]
    return must_fail, must_hold


def _check_tools() -> None:
    """Raises an error if a comparison that tests use accepts different values."""
    must_fail, must_hold = _comparisons()
    for tried in must_fail:
        try:
            tried()
        except Exception:
            continue
        break
    else:
        if all(held() for held in must_hold):
            return
    raise AssertionError("The answer has changed what its tests compare with.")
