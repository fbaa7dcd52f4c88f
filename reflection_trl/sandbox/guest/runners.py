"""`unittest` and `doctest` within the checks: what they find wrong fails the checks, whether anybody asks them or not."""

from __future__ import annotations

import sys
import types
from typing import Any


def install(source: str, namespace: dict[str, Any]) -> Runs:
    """
    Prepares the modules for checks that run in `namespace`, where they are mentioned.

    Args:
        source (`str`): the checks.
        namespace (`dict`): their globals.
    """
    runs = Runs(namespace)
    if "unittest" in source:
        import unittest

        original = unittest.TextTestRunner.run

        def run(self: Any, test: Any) -> Any:
            self.resultclass = runs.recorder(self.resultclass)
            return original(self, test)

        replaced: Any = unittest
        replaced.TextTestRunner.run = run
        replaced.main = runs.run_unittest
    if "doctest" in source:
        import doctest

        doctest.testmod = runs.run_doctest
    return runs


class Runs:
    """
    Runs of test runners within the checks.

    Args:
        namespace (`dict`): globals of the checks.
    """

    def __init__(self, namespace: dict[str, Any]):
        self.namespace = namespace
        self.failure: BaseException | None = None

    def finish(self) -> None:
        """Raises the first failure."""
        if self.failure is not None:
            raise self.failure

    def recorder(self, base: Any) -> type:
        """A class of test results that also keeps the first failure here."""
        runs = self

        class Result(base):
            def addError(self, test: Any, err: Any) -> None:
                runs.failure = runs.failure or err[1]
                super().addError(test, err)

            def addFailure(self, test: Any, err: Any) -> None:
                runs.failure = runs.failure or err[1]
                super().addFailure(test, err)

            def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
                if err is not None:
                    runs.failure = runs.failure or err[1]
                super().addSubTest(test, subtest, err)

            def addUnexpectedSuccess(self, test: Any) -> None:
                runs.failure = runs.failure or AssertionError(f"{test} succeeded and should not have")
                super().addUnexpectedSuccess(test)

        return Result

    def run_unittest(self, *_: Any, verbosity: int = 1, **__: Any) -> Any:
        """`unittest.main`, which runs all test cases of the checks, raises the first failure and goes on where there is none."""
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
        """`doctest.testmod`, of the docstrings of the checks."""
        import doctest

        runner = doctest.DocTestRunner(verbose=verbose)
        for name, value in list(self.namespace.items()):
            if isinstance(value, (type, types.FunctionType)) and value.__module__ == "__main__":
                for test in doctest.DocTestFinder().find(value, name, module=False, globs={}):
                    test.globs = self.namespace
                    runner.run(test, clear_globs=False)
        results = runner.summarize()
        if results.failed:
            self.failure = self.failure or AssertionError(f"{results.failed} of {results.attempted} doctests failed")
        return results
