"""An output that takes too long to pack ends its process, and the limit grows with the time that the answer has spent."""

import os
import resource
import signal

import pytest

from reflection_trl.sandbox.guest import answer


@pytest.mark.parametrize(("spent", "limit"), [(0.01, 2), (2.38, 25)])
def test_the_limit_holds_within_the_block_only(monkeypatch, spent, limit):
    monkeypatch.setattr(answer, "process_time", lambda: spent)
    before = resource.getrlimit(resource.RLIMIT_CPU)
    # In a process of its own, since this one may have computed for longer
    if (child := os.fork()) == 0:
        with answer._limited_packing():
            within = resource.getrlimit(resource.RLIMIT_CPU)
        os._exit((within, resource.getrlimit(resource.RLIMIT_CPU)) != ((limit, before[1]), before))
    assert os.waitpid(child, 0)[1] == 0


def test_a_process_that_packs_longer_ends_whatever_it_runs(monkeypatch):
    monkeypatch.setattr(answer, "_PACKING_SECONDS", 1)
    monkeypatch.setattr(answer, "_PACKING_FACTOR", 0)
    if (child := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with answer._limited_packing():
            while True:
                pass
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGXCPU
