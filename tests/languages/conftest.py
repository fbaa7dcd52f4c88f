import asyncio
from collections.abc import Callable, Iterator

import pytest

from reflection_trl.languages import Executor, get_language
from reflection_trl.languages.execution import Run
from reflection_trl.sandbox import SandboxUnavailableError


@pytest.fixture(scope="session")
def execute() -> Iterator[Callable[..., Run]]:
    """`execute(language, source, tests)`: one run in a sandbox that all tests share; skips where a tool is missing."""
    with asyncio.Runner() as runner:
        executor = Executor()
        try:
            runner.run(executor.__aenter__())
        except SandboxUnavailableError as error:
            pytest.skip(str(error))

        def run(language: str, source: str, tests: str = "", **kwargs: str) -> Run:
            if (missing := get_language(language).missing()) is not None:
                pytest.skip(missing)
            return runner.run(executor(language, source, tests, **kwargs))

        yield run
        runner.run(executor.__aexit__())
