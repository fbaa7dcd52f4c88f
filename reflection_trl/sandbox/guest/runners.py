"""Makes failures of `unittest` and `doctest` fail the checks, even if the checks ignore their results."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any


def install(source: str, namespace: dict[str, Any]) -> Runs:
    """
    Patches the modules for checks that run in `namespace`, if the checks name them.

    Args:
        source (`str`):
            The checks.
        namespace (`dict`):
            Their globals.
    """
    runs = Runs(namespace)
    if "unittest" in source:
        import unittest

        for name in ("addError", "addFailure", "addSubTest", "addUnexpectedSuccess"):
            setattr(unittest.TestResult, name, runs.recording(getattr(unittest.TestResult, name)))
        replaced: Any = unittest
        replaced.main = replaced.TestProgram = runs.run_unittest
    if "doctest" in source:
        import doctest

        doctest.testmod = runs.run_doctest
        runner: Any = doctest.DocTestRunner
        runner.run = runs.counting(runner.run)
    return runs


class Runs:
    """
    Records the results of test runners in the checks.

    Args:
        namespace (`dict`):
            Globals of the checks.
    """

    def __init__(self, namespace: dict[str, Any]):
        self.namespace = namespace
        self.failure: BaseException | None = None

    def finish(self) -> None:
        """Raises the first failure."""
        if self.failure is not None:
            raise self.failure

    def recording(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a method of test results that also stores the first failure here."""

        def record(result: Any, test: Any, *args: Any) -> Any:
            error = args[-1] if args else AssertionError(f"{test} succeeded unexpectedly")
            if error is not None:  # a subtest that has passed
                self.failure = self.failure or (error[1] if isinstance(error, tuple) else error)
            return method(result, test, *args)

        return record

    def counting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps `DocTestRunner.run`, and also stores a failure."""

        def run(runner: Any, test: Any, *args: Any, **kwargs: Any) -> Any:
            # Examples also use names of the program, which a copy of the globals lacks
            self.namespace.update({key: value for key, value in test.globs.items() if key not in self.namespace})
            test.globs = self.namespace
            results = method(runner, test, *args, **kwargs | {"clear_globs": False})
            if results.failed:
                self.failure = self.failure or AssertionError(
                    f"{results.failed} of {results.attempted} doctests failed"
                )
            return results

        return run

    def run_unittest(self, *_: Any, verbosity: int = 1, **__: Any) -> Any:
        """Replaces `unittest.main`: runs all test cases of the checks, and raises the first failure."""
        import unittest

        cases = [
            value
            for name, value in list(self.namespace.items())
            if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == "__main__"
        ]
        suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, cases))
        result = unittest.TextTestRunner(stream=sys.stderr, verbosity=verbosity).run(suite)
        self.finish()
        if result.testsRun == 0:
            raise AssertionError("no tests were run")
        return types.SimpleNamespace(result=result)

    def run_doctest(self, *_: Any, verbose: bool | None = None, **__: Any) -> Any:
        """Replaces `doctest.testmod`, for the docstrings of the checks."""
        import doctest

        runner = doctest.DocTestRunner(verbose=verbose)
        for name, value in list(self.namespace.items()):
            if isinstance(value, (type, types.FunctionType)) and value.__module__ == "__main__":
                for test in doctest.DocTestFinder().find(value, name, module=False, globs={}):
                    runner.run(test)
        return runner.summarize()
