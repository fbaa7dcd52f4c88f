from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from reflection_trl.languages import LANGUAGES
from reflection_trl.sandbox import Sandbox, SandboxUnavailableError
from reflection_trl.sandbox import sandbox as sandbox_module

from .observers import Host


@pytest.fixture(autouse=True)
def nothing_has_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here mechanisms are broken on purpose, so that what has held before need not hold again."""
    monkeypatch.setattr(sandbox_module, "_held", set())


def open_sandbox(readonly: Sequence[str] = ()) -> Sandbox:
    try:
        opened = Sandbox(workers=2, mechanism="bubblewrap", readonly=readonly)
        opened.start()
    except SandboxUnavailableError as error:
        # It has started, and its verdict on a harmless program is wrong: a fault of the judge, not of the machine
        if "does not run a harmless program (The program exited with 0" in str(error):
            raise
        pytest.skip(str(error))
    return opened


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The first mechanism, shared: its jobs must not know of each other."""
    opened = open_sandbox()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def sandbox_with_toolchains() -> Iterator[Sandbox]:
    """The same with the directories of the languages' toolchains, which may lie in a home."""
    opened = open_sandbox(list(dict.fromkeys(path for language in LANGUAGES.values() for path in language.readonly)))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    # Not below pytest's own directory, which is closed to other users: only the sandbox may keep programs out of it.
    with tempfile.TemporaryDirectory(prefix="sandbox-host-") as directory:
        watched = Host(Path(directory))
        yield watched
        watched.close()
