"""Problems that are given up: which ones, that nothing is spent on them, and that a run that goes on gives up the same."""

import asyncio
import json

import pytest

from reflection_trl.builder import RolloutSettings, build_reflection_dataset
from reflection_trl.builder.build import Build, run_build
from reflection_trl.builder.early_stopping import EarlyStopping
from reflection_trl.builder.run import share_of
from reflection_trl.generation.types import Completion, GenerationError

from .conftest import RunsHere
from .replies import Replies, make_problems


HOPELESS = ("f1(", "f4(")
SETTINGS = RolloutSettings(rounds=2, max_resamples=0)


class Stuck(Replies):
    """Never gets two of the problems right, and takes its time over the first rollouts of them."""

    def __init__(self, left=None):
        super().__init__(0.001)
        self.asked, self.left = [], left

    async def __call__(self, prompt, sampling):
        if self.left is not None and self.calls >= self.left:
            raise GenerationError("The server is gone.")
        self.asked.append(prompt[0]["content"])
        if not any(name in prompt[0]["content"] for name in HOPELESS):
            return await super().__call__(prompt, sampling)
        self.calls += 1
        await asyncio.sleep(0.02)
        return Completion("I would rather not.", "stop", 10, 10)


def build_of(**options):
    return Build(make_problems(6), "scripted", SETTINGS, **{"samples": 5, "give_up_after": 2} | options)


def run(build, folder, model, **options):
    return asyncio.run(
        run_build(build, folder, generate=model, execute=RunsHere(), bar=False, **{"in_flight": 40} | options)
    )


@pytest.fixture(autouse=True)
def no_plot(monkeypatch):
    monkeypatch.setattr("reflection_trl.builder.build.plot_build", lambda statistics, path: False)


def rejected(folder):
    return [json.loads(line) for line in (folder / "rows" / "rejected-00000.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("in_flight", [1, 3, 40])
def test_nothing_more_is_spent_on_them(tmp_path, in_flight):
    model = Stuck()
    statistics = run(build_of(), tmp_path, model, in_flight=in_flight)
    # Two rollouts each, of one request; the other three are spared
    assert sum(any(name in text for name in HOPELESS) for text in model.asked) == 2 * 2
    assert statistics.spared == 2 * 3 and statistics.rollouts == 6 * 5 - 2 * 3
    assert f"| {statistics.rollouts} (6 more skipped: their problems were given up)" in statistics.table()
    assert "given_up" not in statistics.rejections
    assert sum(row["problem_id"] in ("t/f1", "t/f4") for row in rejected(tmp_path)) == 2 * 2


def test_a_resumed_run_gives_up_the_same_and_asks_nothing_again(tmp_path):
    whole = run(build_of(), tmp_path / "whole", Stuck())
    with pytest.raises(GenerationError):
        run(build_of(), tmp_path / "parts", Stuck(left=25), in_flight=4)
    parts = run(build_of(), tmp_path / "parts", Stuck())
    for name in ("accepted", "rejected"):
        files = [tmp_path / folder / "rows" / f"{name}-00000.jsonl" for folder in ("whole", "parts")]
        assert files[0].read_text() == files[1].read_text()
    assert parts.spared == whole.spared
    again = Stuck()
    run(build_of(), tmp_path / "parts", again)
    assert again.calls == 0
    run(build_of(samples=7), tmp_path / "parts", again)
    assert again.calls and not any(name in text for text in again.asked for name in HOPELESS)


def test_nothing_is_given_up_unless_asked(tmp_path):
    statistics = run(build_of(give_up_after=None), tmp_path, Stuck())
    assert statistics.spared == 0 and statistics.rollouts == 30
    assert "skipped" not in statistics.table()


def test_processes_share_whole_problems(tmp_path):
    problems = make_problems(7)
    shares = [share_of(problems, 3, process, 3, whole_problems=True) for process in range(3)]
    owners = [{problem.id for problem, _ in share} for share in shares]
    assert sum(map(len, owners)) == 7 and sum(map(len, shares)) == 21
    assert [sample for _, sample in shares[1]] == [0, 0, 1, 1, 2, 2]
    build = build_of()
    for process in (1, 2, 0):  # the first waits for the others
        statistics = run(build, tmp_path, Stuck(), process=process, processes=3)
    assert statistics.spared == 6


def test_a_rollout_without_an_answer_is_no_judgment():
    async def gone(*rejections):
        early_stopping = EarlyStopping(2)
        for sample, rejection in enumerate(rejections):
            await early_stopping.add({"problem_id": "p", "sample": sample, "rejection": rejection})
        return await early_stopping.should_skip("p", 2)

    assert asyncio.run(gone("rounds_exhausted", "no_code"))
    assert not asyncio.run(gone("rounds_exhausted", "generation_failed"))
    assert not asyncio.run(gone(None, "no_code"))


def test_the_number_is_one_or_more():
    with pytest.raises(ValueError, match=r"`give_up_after` must be at least 1, got 0\."):
        build_of(give_up_after=0)


def test_from_python(tmp_path):
    model = Stuck()
    build_reflection_dataset(
        make_problems(6), generate=model, execute=RunsHere(), settings=SETTINGS, samples_per_problem=4,
        give_up_after=1, decontaminate_against=(), output_dir=tmp_path, progress=False,
    )  # fmt: skip
    assert sum(any(name in text for name in HOPELESS) for text in model.asked) == 2
