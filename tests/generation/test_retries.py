"""What progress bars say of requests that are repeated: how many, why, and until when."""

import asyncio
import io
import re
import time

import pytest
from tqdm import tqdm

from reflection_trl.builder.progress import Progress
from reflection_trl.files.run_folder import RunFolder, SessionUsage
from reflection_trl.generation import GenerationError, Sampling, endpoint, retries
from reflection_trl.generation.endpoint import EndpointGenerator
from reflection_trl.generation.retries import Retries, describe_retries, show_retries

from .server import serving, status


CHAT = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(endpoint, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(retries, "_SHOW_SECONDS", 0.01)


def clock(seconds):
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def test_the_first_that_is_given_up_is_named(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1e9)
    known = Retries()
    assert known.describe() == ""
    known.note("a", "says 503: loading", 60)
    assert known.describe() == f"retrying 1 request until {clock(1e9 + 60)} (says 503: loading)"
    known.note("b", "says 500: " + "x" * 100, 20)
    assert known.describe() == f"retrying 2 requests until {clock(1e9 + 20)} (says 500: {'x' * 47}...)"
    known.note("b", "says 500", 90)
    known.forget("a")
    known.forget("never noted")
    assert known.describe() == f"retrying 1 request until {clock(1e9 + 90)} (says 500)"


def test_generators_that_do_not_say_are_silent():
    assert describe_retries(lambda prompt, sampling: None) == ""


class Bar:
    """A bar that keeps what stood beside it."""

    def __init__(self):
        self.texts = []

    def set_postfix_str(self, text, refresh=True):
        self.texts.append(text)


def test_a_bar_that_stands_still_says_why():
    """The server loads its model for a while: five failures for each of three requests, then answers."""
    bar = Bar()

    async def main():
        async with (
            serving(lambda number, body: status(503, "loading the model") if number < 15 else None) as server,
            EndpointGenerator("model", base_url=server.url) as generate,
            show_retries(bar, generate),
        ):
            await asyncio.gather(*(generate(CHAT, Sampling()) for _ in range(3)))
            await asyncio.sleep(0.05)
            return describe_retries(generate)

    assert asyncio.run(main()) == ""
    pattern = r"retrying (\d) requests? until \d\d:\d\d:\d\d \(says 503: loading the model\)"
    shown = [re.fullmatch(pattern, text) for text in bar.texts if text]
    assert shown and all(shown) and max(int(match[1]) for match in shown) == 3
    assert bar.texts[-1] == ""


def test_nothing_is_left_of_a_request_that_was_given_up():
    async def main():
        async with (
            serving(lambda number, body: status(500, "out of memory")) as server,
            EndpointGenerator("model", base_url=server.url) as generate,
        ):
            with pytest.raises(GenerationError):
                await generate(CHAT, Sampling())
            return generate.usage.repeated.waiting

    assert asyncio.run(main()) == {}


def test_until_when_counts_the_attempts_themselves(monkeypatch):
    """Three attempts of 600 seconds: the first has failed, two are left. A pause that the server asks for counts as it is."""
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(endpoint, "LONGEST_PAUSE", 60.0)
    late = endpoint._FailedAttempt("has not answered", 3, seconds=600.0)
    assert late.seconds_left(number=1, left=2) == 1 + 2 + 2 * 600
    assert endpoint._FailedAttempt("says 503").seconds_left(number=3, left=7) == 4 + 8 + 16 + 32 + 60 + 60 + 60
    assert endpoint._FailedAttempt("says 429", pause=30.0).seconds_left(number=3, left=2) == 60


def test_tqdm_draws_it():
    out = io.StringIO()
    known = type("Generator", (), {"usage": type("Usage", (), {"repeated": Retries()})()})()
    known.usage.repeated.note(1, "says 503", 60)

    async def main():
        with tqdm(total=3, file=out, ncols=120, mininterval=0) as bar:
            async with show_retries(bar, known):
                await asyncio.sleep(0.05)

    asyncio.run(main())
    assert "retrying 1 request until" in out.getvalue()


def test_the_bar_of_a_build_begins_with_it(tmp_path):
    known = Retries()
    with (
        RunFolder(tmp_path / "build", {"kind": "test"}, 0) as folder,
        Progress(folder, [("a", 0)], SessionUsage(0), retries=known.describe) as progress,
    ):
        before = progress.describe()
        known.note(1, "says 503", 60)
        assert progress.describe().startswith("retrying 1 request until ") and progress.describe().endswith(
            before.partition(" tokens/s")[2]
        )
        assert not before.startswith("retrying")
