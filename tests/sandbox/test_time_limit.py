"""A call that exceeds its time limit ends, by a clock that stops in the queue for a CPU."""

import signal
import time

import pytest

from reflection_trl.sandbox.guest import time_limit
from reflection_trl.sandbox.guest.time_limit import TimeLimit, TimeLimitError


@pytest.fixture(autouse=True)
def previous_handler():
    previous = signal.getsignal(signal.SIGALRM)
    yield
    signal.signal(signal.SIGALRM, previous)


def computes():
    while True:
        pass


@pytest.mark.parametrize(("call", "worked"), [(computes, True), (lambda: time.sleep(60), False)])
def test_a_call_that_takes_too_long_ends(call, worked):
    with pytest.raises(TimeLimitError, match=r"longer than 0\.1 seconds"), TimeLimit(0.1) as limit:
        call()
    assert (limit.exceeded, limit.worked) == (True, worked)


def test_a_call_in_time_returns_and_the_timer_stops():
    with TimeLimit(60.0) as limit:
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert not limit.exceeded


def test_time_in_the_queue_for_a_cpu_does_not_count(monkeypatch):
    began = time.monotonic()
    # Others run half of the time
    monkeypatch.setattr(time_limit, "queued_time", lambda: (time.monotonic() - began) / 2)
    with pytest.raises(TimeLimitError), TimeLimit(0.2):
        time.sleep(60)
    assert time.monotonic() - began > 0.39


def test_a_call_may_catch_the_error_as_in_evalplus():
    with TimeLimit(0.1) as limit:
        try:
            time.sleep(60)
        except Exception:
            answer = 42
    assert (answer, limit.exceeded) == (42, True)


def test_time_in_the_queue_is_that_of_the_process():
    before = time_limit.queued_time()
    assert 0 <= before <= time_limit.queued_time() < time.monotonic()


def test_a_kernel_without_statistics_counts_all_time(monkeypatch):
    def missing(*_):
        raise FileNotFoundError

    monkeypatch.setattr(time_limit, "_schedstat", missing)
    assert time_limit.queued_time() == 0.0
