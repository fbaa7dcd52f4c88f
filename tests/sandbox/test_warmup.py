"""What runs before the first job leaves nothing behind, and reaches the code that a job runs."""

import linecache
import signal
import sys
import warnings
from typing import Any

import pytest

from reflection_trl.sandbox.guest import checks, errors, warmup


def test_nothing_is_left_of_it():
    modules = {name: module for name, module in sys.modules.items() if name in ("__main__", "__mp_main__")}
    linecache.clearcache()  # of what other tests read in this process
    before = signal.getsignal(signal.SIGALRM), sys.stderr, [*warnings.filters], {*linecache.cache}
    warmup.warm_up()
    assert before == (signal.getsignal(signal.SIGALRM), sys.stderr, [*warnings.filters], {*linecache.cache})
    assert all(sys.modules[name] is module for name, module in modules.items())
    assert not errors._kept


def test_it_passes_and_fails_checks(monkeypatch: pytest.MonkeyPatch):
    records: list[Any] = []

    def run_checks(*arguments: Any) -> None:
        records.append(checks.run_checks(*arguments))

    monkeypatch.setattr(warmup, "run_checks", run_checks)
    warmup.warm_up()
    assert records[0] is None and records[1]["assertion"] == "assert f([1]) == {2: 'b'}"
    assert (records[1]["actual"], records[1]["expected"]) == ("[1]", "{2: 'b'}")
