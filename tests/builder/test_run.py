"""Many rollouts at a time: what is kept, what is counted, and what ends them all."""

import asyncio

import pytest

from reflection_trl.builder import RolloutSettings, RunError
from reflection_trl.builder.run import latest_records, make_rollouts, share_of
from reflection_trl.files.run_folder import RunFolder, SessionUsage
from reflection_trl.generation.types import BudgetExhaustedError, Completion, GenerationError, RequestRefusedError
from reflection_trl.sandbox import SandboxError

from .conftest import RunsHere
from .replies import Replies, make_problems


class FailsAfter(Replies):
    """Answers some requests, and raises the error at all others; at those of one problem only where it is named."""

    def __init__(self, calls, error, problem=""):
        super().__init__()
        self._left = calls
        self._error = error
        self._problem = problem

    async def __call__(self, prompt, sampling):
        if self.calls >= self._left and self._problem in prompt[0]["content"]:
            self.calls += 1
            await asyncio.sleep(0)
            raise self._error
        return await super().__call__(prompt, sampling)


def make(folder, model, execute=None, session=None, count=10, in_flight=4):
    tasks = share_of(make_problems(count), 1, 0, 1)
    session = session or SessionUsage()
    settings = RolloutSettings(rounds=3, answer_samples=1, solve_rate_samples=0)
    asyncio.run(make_rollouts(tasks, model, execute or RunsHere(), settings, folder, session, in_flight))
    return session


@pytest.fixture
def folder(tmp_path):
    with RunFolder(tmp_path / "run", {}) as folder:
        yield folder


def test_all_are_made_and_all_that_was_spent_is_counted(folder):
    model, execute = Replies(0.001), RunsHere()
    session = make(folder, model, execute)
    records = [*folder.records()]
    assert sorted(one["problem_id"] for one in records) == [f"t/f{number}" for number in range(10)]
    assert model.calls > 20 and session.prompt_tokens == 100 * model.calls
    assert session.completion_tokens == 20 * model.calls
    assert session.runs == len(execute.calls)
    assert session.prompt_tokens == sum(one["prompt_tokens"] for one in records)
    assert session.runs == sum(one["runs"] for one in records)


@pytest.mark.parametrize("in_flight", [1, 3, 50])
def test_as_many_are_in_flight_as_wanted(folder, in_flight):
    class Watched(Replies):
        now, most = 0, 0

        async def __call__(self, prompt, sampling):
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                return await super().__call__(prompt, sampling)
            finally:
                self.now -= 1

    model = Watched(0.001)
    make(folder, model, in_flight=in_flight)
    assert model.most == min(in_flight, 10)


@pytest.mark.parametrize(
    "error", [GenerationError("The server is gone."), BudgetExhaustedError("The budget is used up.")]
)
def test_a_model_that_cannot_be_asked_any_longer_ends_the_run_and_spoils_no_rollout(folder, error):
    model = FailsAfter(20, error)
    session = SessionUsage()
    with pytest.raises(type(error), match=str(error)):
        make(folder, model, session=session)
    records = [*folder.records()]
    assert 0 < len(records) < 10
    assert "generation_failed" not in {one["rejection"] for one in records}
    assert model.calls <= 24  # nobody asks on
    # What the rollouts in flight had cost is counted too
    assert session.prompt_tokens == 2000 > sum(one["prompt_tokens"] for one in records)


def test_one_prompt_that_is_refused_ends_one_rollout(folder):
    make(folder, FailsAfter(0, RequestRefusedError("The prompt is too long."), problem="function f3(x)"))
    rejected = {one["problem_id"]: one for one in folder.records() if one["rejection"] == "generation_failed"}
    assert [*rejected] == ["t/f3"] and rejected["t/f3"]["detail"] == "The prompt is too long."
    assert len([*folder.records()]) == 10


def test_a_rollout_without_an_answer_counts_until_it_is_made_again(folder):
    make(folder, FailsAfter(0, RequestRefusedError("No."), problem="function f3(x)"))
    make(folder, Replies())  # in any order
    make(folder, FailsAfter(0, RequestRefusedError("No."), problem="function f4(x)"))
    records = latest_records(folder)
    assert len(records) == 10
    assert "generation_failed" not in {one["rejection"] for one in records.values()}


def test_a_sandbox_that_fails_is_no_judgment(folder):
    class Broken(RunsHere):
        async def __call__(self, *arguments, **options):
            if len(self.calls) == 5:
                raise SandboxError("The sandbox is gone.")
            return await super().__call__(*arguments, **options)

    with pytest.raises(SandboxError, match="The sandbox is gone"):
        make(folder, Replies(), Broken())
    assert all("sandbox" not in one["detail"] for one in folder.records())


def test_a_folder_that_can_no_longer_be_written_ends_the_run(folder, monkeypatch):
    whole = folder.append

    def append(record):
        if len([*folder.records()]) == 3:
            raise RunError("make room")
        whole(record)

    monkeypatch.setattr(folder, "append", append)
    with pytest.raises(RunError, match="make room"):
        make(folder, Replies(0.001))
    assert len([*folder.records()]) == 3


def test_cancelled_rollouts_are_not_kept(folder):
    class Stops(Replies):
        async def __call__(self, prompt, sampling):
            if self.calls == 15:
                self.task.cancel()
            return await super().__call__(prompt, sampling)

    async def run():
        model = Stops(0.001)
        tasks = share_of(make_problems(10), 1, 0, 1)
        model.task = asyncio.create_task(
            make_rollouts(tasks, model, RunsHere(), RolloutSettings(), folder, SessionUsage(), in_flight=4)
        )
        with pytest.raises(asyncio.CancelledError):
            await model.task
        made = len([*folder.records()])
        await asyncio.sleep(0.05)
        assert len([*folder.records()]) == made < 10

    asyncio.run(run())


HOSTILE = {
    "nothing": Completion(""),
    "blank": Completion(" \n\t "),
    "none": Completion(None),
    "refused": Completion("", "refused"),
    "sorry": Completion("I'm sorry, I can't help with that."),
    "endless": Completion("```python\nx = 1\n" * 500, "length"),
    "one_megabyte": Completion("```python\n" + "x = 1\n" * 170_000 + "```"),
    "one_line": Completion("x" * 10_000_000),
    "fences": Completion("```" * 100_000),
    "surrogates": Completion("```python\nx = '\ud800'\nassert x == 1\n```"),
    "nul": Completion("```python\nx = '\0'\nassert x == 1\n```"),
    "brackets": Completion("```python\n" + "(" * 20_000 + "\n```"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_model_says_is_judged_and_kept(folder, name):
    class Says:
        async def __call__(self, prompt, sampling):
            return HOSTILE[name]

    make(folder, Says(), count=1)
    (record,) = folder.records()
    assert record["rejection"] not in (None, "generation_failed") and record["detail"]
    assert (folder.path / "rollouts" / "00000.jsonl").stat().st_size < 200_000


def test_processes_share_the_rollouts_whatever_is_done_already():
    problems = make_problems(7)
    shares = [share_of(problems, 2, process, 3) for process in range(3)]
    keys = [(problem.id, sample) for share in shares for problem, sample in share]
    assert len(keys) == len(set(keys)) == 14
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [sample for _, sample in share_of(problems, 2, 0, 1)] == [0] * 7 + [1] * 7
