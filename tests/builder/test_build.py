"""Whole builds: resumed or not, by one process or several, the dataset is the same."""

import asyncio
import contextlib
import dataclasses
import json
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import Dataset
from datasets.exceptions import DatasetGenerationError

import reflection_trl
from reflection_trl.builder import RolloutSettings, RunError, build_reflection_dataset
from reflection_trl.builder.build import Build, read_rows, run_build
from reflection_trl.files.run_folder import RunFolder
from reflection_trl.generation import GenerationArguments
from reflection_trl.generation.types import BudgetExhaustedError, Completion, GenerationError
from reflection_trl.problems import Problem
from reflection_trl.sequences import validate_row

from .conftest import RunsHere
from .replies import Replies, heed_interrupts, make_problems


TESTS = Path(__file__).parents[1]
SETTINGS = RolloutSettings(rounds=3)


def build_of(count=10, **options):
    return Build(make_problems(count), "scripted", SETTINGS, **options)


def run(build, folder, model=None, **options):
    options = {"generate": model or Replies(), "execute": RunsHere(), "bar": False, "in_flight": 4} | options
    return asyncio.run(run_build(build, folder, **options))


def rows_of(folder):
    """All that a run has come to, by kind."""
    kinds = ("accepted", "set_aside", "rejected")
    return {kind: [*map(json.loads, (line for file in sorted((folder / "rows").glob(f"{kind}-*")) for line in file.open()))] for kind in kinds}  # fmt: skip


def kept(folder):
    lines = [line for file in sorted((folder / "rollouts").glob("*.jsonl")) for line in file.read_text().splitlines()]
    keys = [(one["problem_id"], one["sample"]) for one in map(json.loads, lines)]
    assert len(keys) == len(set(keys)), "a rollout was made twice"
    return keys


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """They take most of the time of a small run, and have a test of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reflection_trl.builder.build.plot_build", lambda statistics, path: False)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The outcome of an uninterrupted run of two samples of ten problems."""
    folder = tmp_path_factory.mktemp("whole")
    run(build_of(samples=2), folder)
    return rows_of(folder)


# The function


def test_a_dataset_from_problems_and_a_model(tmp_path):
    options = {
        "generate": Replies(), "execute": RunsHere(), "settings": RolloutSettings(rounds=3, max_resamples=0),
        "samples_per_problem": 2, "decontaminate_against": (), "output_dir": tmp_path, "progress": False,
    }  # fmt: skip
    dataset = build_reflection_dataset(make_problems(10), **options)
    assert isinstance(dataset, Dataset) and 5 < len(dataset) < 20
    places = [(int(row["problem_id"][3:]), row["sample"]) for row in dataset]
    assert places == sorted(places)
    for row in dataset:
        validate_row(row)
        assert row["repaired"] == any(entry["kind"] != "none" for entry in row["feedback"])
        assert len(row["feedback"]) == sum(turn["role"] == "tool" for turn in row["messages"])
        assert row["rounds"] == len(row["feedback"]) / 2  # the solution alone, and with its tests
        measured = row["source"] == "times" and bool(row["tests"])
        assert (row["solve_rate"] is not None) == (row["teacher_solve_rate"] is not None) == measured
    # The same call again asks nothing
    again = Replies()
    assert build_reflection_dataset(make_problems(10), **options | {"generate": again}).to_list() == dataset.to_list()
    assert again.calls == 0


def test_without_a_folder_it_finds_its_run_again_and_keeps_others_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))

    def build(seed):
        model = Replies()
        options = {"execute": RunsHere(), "decontaminate_against": (), "progress": False, "seed": seed}
        return build_reflection_dataset(make_problems(4), generate=model, **options), model.calls

    first, calls = build(0)
    assert calls > 0
    again, calls = build(0)
    assert calls == 0 and again.to_list() == first.to_list()
    other, calls = build(1)
    assert calls > 0 and other.to_list() != first.to_list()


def test_rows_of_a_file_are_problems(tmp_path):
    file = tmp_path / "problems.jsonl"
    rows = [{"task": one.instruction, "check": one.tests} for one in make_problems(4)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=r"The columns of .*problems.jsonl' fit no ready-made mapping: task, check"):
        build_reflection_dataset(str(file), generate=Replies(), output_dir=tmp_path / "run", decontaminate_against=())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("tested", "sentence"),
    [
        (0, "None of the 4 problems has tests or examples: answers to them are checked only by asserts"),
        (3, "1 of 4 problems have neither tests nor examples: answers to them are checked only by asserts"),
        (4, ""),
    ],
)
def test_problems_without_tests_are_named_before_it_starts_and_in_its_statistics(tmp_path, caplog, tested, sentence):
    problems = [
        dataclasses.replace(one, tests="assert True" if number < tested else "", examples=())
        for number, one in enumerate(make_problems(4))
    ]
    model = Replies()

    async def notes_what_was_logged(prompt, sampling):
        assert sentence in caplog.text
        return await model(prompt, sampling)

    statistics = run(Build(problems, "scripted", SETTINGS), tmp_path, notes_what_was_logged)
    assert model.calls and statistics.untested.startswith(sentence) and bool(statistics.untested) == bool(sentence)
    assert len(caplog.records) == bool(sentence)
    caplog.clear()
    run(Build(problems, "scripted", SETTINGS), tmp_path, outcome_only=True)
    assert not caplog.records  # nothing starts


def test_it_works_where_an_event_loop_is_running(tmp_path):
    async def notebook():
        return build_reflection_dataset(
            make_problems(3),
            generate=Replies(),
            execute=RunsHere(),
            decontaminate_against=(),
            output_dir=tmp_path,
            progress=False,
        )

    assert len(asyncio.run(notebook())) > 0


def test_the_model_is_the_one_that_the_server_is_asked_for(tmp_path, monkeypatch):
    """`model` completes a `generation` that has only an address, and the rows name it."""
    opened = []

    @contextlib.asynccontextmanager
    async def open_replies(generation):
        opened.append(generation.model)
        yield Replies()

    monkeypatch.setattr("reflection_trl.builder.build.open_generator", open_replies)
    rows = build_reflection_dataset(
        make_problems(3),
        "one/m",
        generation=GenerationArguments(base_url="http://localhost:1/v1", model_revision="v2"),
        execute=RunsHere(),
        decontaminate_against=(),
        output_dir=tmp_path,
        progress=False,
    )
    assert opened == ["one/m"] and set(rows["model"]) == {"one/m@v2"}


def test_an_error_comes_out_of_a_running_event_loop(tmp_path):
    class Gone(Replies):
        async def __call__(self, prompt, sampling):
            raise GenerationError("The server is gone.")

    async def notebook():
        build_reflection_dataset(make_problems(3), generate=Gone(), execute=RunsHere(), decontaminate_against=(), output_dir=tmp_path, progress=False)  # fmt: skip

    with pytest.raises(GenerationError, match="The server is gone"):
        asyncio.run(notebook())


def test_rollouts_that_repeat_a_task_of_a_benchmark_are_rejected(tmp_path):
    """The problems have nothing of the task; the model writes its words for another problem."""
    task = "Of all auction lots return the two whose estimates lie nearest to one another, cheaper one first."
    benchmark = tmp_path / "benchmark.jsonl"
    benchmark.write_text(json.dumps({"task_id": "HumanEval/7", "prompt": task}) + "\n")

    class Recites(Replies):
        async def __call__(self, prompt, sampling):
            completion = await super().__call__(prompt, sampling)
            about = prompt[-1]["content"].startswith("Write a function f3(x)") and len(prompt) > 1
            return dataclasses.replace(completion, text=f"{completion.text}\n\n{task}") if about else completion

    def build(**options):
        return build_reflection_dataset(make_problems(5), execute=RunsHere(), settings=SETTINGS, **options, output_dir=tmp_path / "run", progress=False)  # fmt: skip

    found = build(generate=Recites(), decontaminate_against=())
    assert {"t/f3", "t/f4"} <= {*found["problem_id"]}
    again = Replies()
    rest = build(generate=again, decontaminate_against=[str(benchmark)])
    assert again.calls == 0 and rest.to_list() == [row for row in found.to_list() if row["problem_id"] != "t/f3"]
    rejected = [row for row in rows_of(tmp_path / "run")["rejected"] if row["problem_id"] == "t/f3"]
    assert [(row["rejection"], row["detail"]) for row in rejected] == [
        (
            "contaminated",
            "It shares 10 words in a row with HumanEval/7: 'of all auction lots return the two whose estimates lie'.",
        )
    ]
    statistics = json.loads((tmp_path / "run" / "statistics.json").read_text())
    assert statistics["rejections"]["contaminated"] == 1 and statistics["accepted"] == len(rest)
    assert build(generate=again, decontaminate_against=()).to_list() == found.to_list()  # the rollouts are as before


def test_it_is_exported_and_the_package_imports_nothing_for_it():
    assert reflection_trl.build_reflection_dataset is build_reflection_dataset
    assert reflection_trl.RolloutSettings is RolloutSettings
    script = (
        "import sys, reflection_trl; print([m for m in ('torch', 'datasets', 'trl', 'jinja2') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


# Going on


@pytest.mark.parametrize(
    ("calls", "error"),
    [
        (0, GenerationError("Gone.")),
        (1, BudgetExhaustedError("Used up.")),
        (13, KeyboardInterrupt()),
        (30, GenerationError("Gone.")),
        (60, KeyboardInterrupt()),
    ],
)
def test_an_interrupted_run_resumes_to_the_same_dataset(tmp_path, whole, calls, error):
    class Ends(Replies):
        async def __call__(self, prompt, sampling):
            if self.calls >= calls:
                raise error
            return await super().__call__(prompt, sampling)

    with pytest.raises(type(error)):
        run(build_of(samples=2), tmp_path, Ends())
    assert not (tmp_path / "statistics.json").exists()
    before = kept(tmp_path)
    run(build_of(samples=2), tmp_path)
    assert kept(tmp_path)[: len(before)] == before and len(kept(tmp_path)) == 20
    assert rows_of(tmp_path) == whole


def test_a_process_that_is_ended_again_and_again(tmp_path, whole):
    lot = random.Random(0)
    made = 0
    for goal, how in ((1, signal.SIGKILL), (5, signal.SIGINT), (9, signal.SIGKILL), (13, signal.SIGTERM)):
        command = [sys.executable, "-m", "builder.replies", str(tmp_path), "--samples", "2", "--seconds", "0.05"]
        process = subprocess.Popen(command, cwd=TESTS, stderr=subprocess.DEVNULL, preexec_fn=heed_interrupts)
        while process.poll() is None and made < goal:
            time.sleep(0.005)
            made = sum(file.read_bytes().count(b"\n") for file in tmp_path.glob("rollouts/*.jsonl"))
        time.sleep(0.02 * lot.random())
        process.send_signal(how)
        assert process.wait() != 0
    assert 13 <= len(kept(tmp_path)) < 20
    statistics = run(build_of(samples=2), tmp_path)
    assert len(kept(tmp_path)) == 20 and rows_of(tmp_path) == whole
    # Killed sessions are counted too, but for their last second
    assert statistics.sessions == 5 and statistics.seconds > 0.05


def test_a_full_disk_while_rollouts_are_made(tmp_path, whole):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, before[1]))
    try:
        with pytest.raises(RunError, match=r"cannot be written \(.+\): free disk space and rerun the same command"):
            run(build_of(samples=2), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 0 < len(kept(tmp_path)) < 20
    run(build_of(samples=2), tmp_path)
    assert len(kept(tmp_path)) == 20 and rows_of(tmp_path) == whole


def test_a_full_disk_while_the_outcome_is_written(tmp_path, whole):
    run(build_of(samples=2), tmp_path)
    size = max(file.stat().st_size for file in tmp_path.glob("rows/*"))
    (tmp_path / "statistics.json").unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit, what in ((size - 1, "results cannot be written to"), (size + 1, "dataset of .+ cannot be written")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(RunError, match=what):
                run(build_of(samples=2), tmp_path)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
                read_rows(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    run(build_of(samples=2), tmp_path)
    assert rows_of(tmp_path) == whole
    assert read_rows(tmp_path).to_list() == whole["accepted"]


def test_only_a_full_disk_is_called_so(tmp_path):
    run(build_of(samples=2), tmp_path)
    file = tmp_path / "rows" / "accepted-00000.jsonl"
    first, *rest = file.read_text().splitlines(keepends=True)
    file.write_text(json.dumps(json.loads(first) | {"rounds": 2**31}) + "\n" + "".join(rest))
    with pytest.raises(DatasetGenerationError) as error:
        read_rows(tmp_path)
    assert "2147483648" in str(error.value.__cause__)


def test_samples_may_grow_and_shrink(tmp_path, whole):
    run(build_of(samples=1), tmp_path)
    fewer = rows_of(tmp_path)
    model = Replies()
    run(build_of(samples=2), tmp_path, model)
    assert rows_of(tmp_path) == whole
    assert [row for row in whole["accepted"] if row["sample"] == 0] == fewer["accepted"]
    again = Replies()
    run(build_of(samples=1), tmp_path, again)
    assert again.calls == 0 and rows_of(tmp_path) == fewer


def test_the_share_of_repairs_may_change(tmp_path, whole):
    run(build_of(samples=2), tmp_path)
    statistics = run(build_of(samples=2, min_repaired_share=0.8), tmp_path, outcome_only=True)
    found = rows_of(tmp_path)
    assert statistics.repaired / statistics.rows >= 0.8 and statistics.set_aside == len(found["set_aside"]) > 0
    assert statistics.rows == len(found["accepted"]) == len(read_rows(tmp_path))
    assert statistics.accepted == len(whole["accepted"])
    for row in whole["accepted"]:
        assert (row in found["accepted"]) != (row in found["set_aside"])
    run(build_of(samples=2), tmp_path, outcome_only=True)
    assert rows_of(tmp_path) == whole


def test_rollouts_without_an_answer_are_made_again(tmp_path, whole):
    from reflection_trl.generation.types import RequestRefusedError

    class Refuses(Replies):
        async def __call__(self, prompt, sampling):
            if "function f3(x)" in prompt[0]["content"]:
                raise RequestRefusedError("400: try it later")
            return await super().__call__(prompt, sampling)

    statistics = run(build_of(samples=2), tmp_path, Refuses())
    assert statistics.rejections["generation_failed"] == 2
    run(build_of(samples=2), tmp_path)
    assert rows_of(tmp_path) == whole


def test_outcome_only_makes_nothing(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(RunError, match="contains no run: run the same command"):
        run(build_of(), folder, outcome_only=True)
    assert not folder.exists()
    RunFolder(folder, build_of().fingerprint()).__exit__()
    with pytest.raises(RunError, match="contains no rollouts yet"):
        run(build_of(), folder, outcome_only=True)

    class Ends(Replies):
        async def __call__(self, prompt, sampling):
            if self.calls >= 60:
                raise GenerationError("Gone.")
            return await super().__call__(prompt, sampling)

    with pytest.raises(GenerationError):
        run(build_of(), folder, Ends())
    model = Replies()
    statistics = run(build_of(), folder, model, outcome_only=True)
    assert model.calls == 0 and 0 < statistics.rollouts == len(kept(folder)) < 10


def test_a_run_knows_nothing_of_settings_that_came_later_and_are_not_used(tmp_path):
    """So that a run of an earlier version can be gone on with."""
    later = {"give_up_after", "answer_first"}
    assert not later & build_of().fingerprint().keys()
    used = Build(make_problems(1), "scripted", RolloutSettings(answer_first=True), give_up_after=3).fingerprint()
    assert {name: used[name] for name in later} == {"give_up_after": 3, "answer_first": True}


# Several processes


async def run_processes(folder, processes, seconds):
    async def one(process):
        await asyncio.sleep(0.1 * process)
        options = {"generate": Replies(seconds), "execute": RunsHere(), "bar": False, "in_flight": 2}
        return await run_build(build_of(samples=2), folder, process=process, processes=processes, **options)

    return await asyncio.gather(*map(one, range(processes)))


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr("reflection_trl.builder.build._POLL_SECONDS", 0.05)


def test_processes_that_start_at_different_times_make_one_dataset(tmp_path, whole, no_waiting):
    statistics, *others = asyncio.run(run_processes(tmp_path, 3, 0.003))
    assert others == [None, None]
    assert len([*tmp_path.glob("rollouts/*.jsonl")]) == 3
    assert len(kept(tmp_path)) == 20 and rows_of(tmp_path) == whole
    assert statistics.sessions == 1  # at the same time
    assert statistics.prompt_tokens == sum(row["prompt_tokens"] for kind in whole for row in whole[kind])


def test_another_number_of_processes_resumes(tmp_path, whole, no_waiting):
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(run_processes(tmp_path, 2, 0.02), 0.8))
    assert 0 < len(kept(tmp_path)) < 20
    run(build_of(samples=2), tmp_path)
    assert len(kept(tmp_path)) == 20 and rows_of(tmp_path) == whole


class HeldUp(Replies):
    """Says nothing before others have made so many rollouts."""

    def __init__(self, folder, rollouts):
        super().__init__()
        self.folder, self.rollouts = folder, rollouts

    async def __call__(self, prompt, sampling):
        while len(kept(self.folder)) < self.rollouts:
            await asyncio.sleep(0.01)
        return await super().__call__(prompt, sampling)


def test_no_process_ends_last_alone(tmp_path, whole, no_waiting):
    """One that is held up keeps the two rollouts that it has begun; the other makes all the rest meanwhile."""

    async def one(process, model):
        options = {"generate": model, "execute": RunsHere(), "bar": False, "in_flight": 2}
        return await run_build(build_of(samples=2), tmp_path, process=process, processes=2, **options)

    async def both():
        await asyncio.wait_for(asyncio.gather(one(0, HeldUp(tmp_path, 18)), one(1, Replies(0.001))), 60)

    asyncio.run(both())
    assert len((tmp_path / "rollouts" / "00000.jsonl").read_text().splitlines()) == 2
    assert len(kept(tmp_path)) == 20 and rows_of(tmp_path) == whole


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_rollouts_of_a_process_that_is_killed_are_made_by_the_others(tmp_path, whole, no_waiting, how):
    command = [sys.executable, "-m", "builder.replies", str(tmp_path), "--samples", "2", "--seconds", "1000"]
    other = subprocess.Popen([*command, "--process", "1", "--processes", "2"], cwd=TESTS, stderr=subprocess.DEVNULL)
    claims = tmp_path / "queue" / "00001.jsonl"
    while not claims.exists() or claims.read_text().count("claim") < 4:
        assert other.poll() is None
        time.sleep(0.05)

    async def first():
        building = asyncio.create_task(
            run_build(build_of(samples=2), tmp_path, generate=Replies(), execute=RunsHere(), bar=False, processes=2)
        )
        while len(kept(tmp_path)) < 16:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert not building.done()  # the other one holds four rollouts
        other.send_signal(how)
        other.wait()
        await asyncio.wait_for(building, 30)

    try:
        asyncio.run(first())
    finally:
        other.kill()
        other.wait()
    assert len(kept(tmp_path)) == 20 and rows_of(tmp_path) == whole


# What is shown


def test_the_bar_tells_what_is_in_the_folder(tmp_path, capsys, whole):
    run(build_of(samples=1), tmp_path, bar=True, price=1000)
    shown = capsys.readouterr().err.split("\r")[-1]
    assert shown.startswith("10/10 |") and "tokens/s" in shown and "runs/s, cost " in shown
    run(build_of(samples=2), tmp_path, bar=True)
    lines = capsys.readouterr().err.split("\r")
    assert any(line.startswith("10/20 |") for line in lines[:3])  # it begins where it was
    last, rows = lines[-1], whole["accepted"]
    repaired = sum(row["repaired"] for row in rows)
    assert last.startswith("20/20 |") and "cost" not in last
    assert f"accepted {len(rows)} ({repaired} repaired) rejected {20 - len(rows)}, " in last
    kinds = [entry["kind"] for kind in whole for row in whole[kind] for entry in row["feedback"]]
    assert last.rstrip().endswith(f"runs/s, assertion {kinds.count('assertion')}")


def test_quiet_where_no_bar_is_wanted(tmp_path, capfd):
    run(build_of(), tmp_path)
    read_rows(tmp_path)
    assert capfd.readouterr() == ("", "")


# Nothing, and wrong input


@pytest.mark.parametrize(
    ("completion", "reason", "fix"),
    [
        (
            Completion("I would rather talk."),
            "no_code",
            "a larger model, easier problems, more samples or more rounds",
        ),
        (Completion("Let me think", "length"), "truncated", "raise `max_tokens`, with another `output_dir`."),
    ],
)
def test_nothing_accepted_says_why_and_keeps_what_there_is(tmp_path, completion, reason, fix):
    class Mute(Replies):
        async def __call__(self, prompt, sampling):
            return completion

    statistics = run(build_of(), tmp_path, Mute())
    assert (statistics.rows, statistics.rejections) == (0, {reason: 10})
    with pytest.raises(RunError) as error:
        read_rows(tmp_path)
    sentence = f"No rollout of {tmp_path} was accepted (10 of 10: {reason}): read them with `reflection-trl browse {tmp_path}`; {fix}"
    assert str(error.value).startswith(sentence)
    assert len(rows_of(tmp_path)["rejected"]) == 10


def test_a_share_that_leaves_nothing(tmp_path):
    class Right(Replies):
        async def __call__(self, prompt, sampling):
            seed = next(seed for seed in range(100) if random.Random(seed).random() > 0.7)
            return await super().__call__(prompt, dataclasses.replace(sampling, seed=seed))

    statistics = run(build_of(min_repaired_share=0.5), tmp_path, Right())
    assert (statistics.accepted, statistics.rows, statistics.set_aside) == (10, 0, 10)
    with pytest.raises(RunError, match=r"was set aside .*: lower `min_repaired_share`"):
        read_rows(tmp_path)


@pytest.mark.parametrize(
    ("problems", "options", "message"),
    [
        ([], {}, "has no rows"),
        ([Problem("a", " ")], {}, "Row 0 of 'the given rows': the instruction is empty"),
        ([Problem("a", "Do."), Problem("a", "Do it.")], {}, "the id 'a' is also that of row 0; give each row a unique id"),
        ([Problem("a", "Do.", tests="assert (")], {}, "Row 0 of 'the given rows': the tests are not Python"),
        ([Problem("a", "Do.", language="klingon")], {}, "Unknown language 'klingon': use one of python, cpp"),
        ([Problem("a", "Do \ud800.")], {}, "`instruction` holds half of a surrogate pair"),
        ([{"text": "Do."}], {}, "The columns of 'the given rows' fit no ready-made mapping: text"),
        ([{"instruction": "Do."}, {"instruction": None}], {}, "Row 1 of 'the given rows'"),
        (None, {"rounds": 0}, "`rounds` must be at least 1, got 0"),
        (None, {"samples_per_problem": 0}, "`samples_per_problem` must be at least 1, got 0"),
        (None, {"min_repaired_share": 2}, "`min_repaired_share` must be between 0 and 1, got 2"),
        (None, {"in_flight": 0}, "`in_flight` must be at least 1, got 0"),
        (None, {"generate": None}, "No model specified:"),
        (None, {"generate": None, "model": "one/m", "generation": GenerationArguments("other/m")}, "`model` is 'one/m', but `generation` has the model 'other/m': pass one of them"),
        (None, {"generation": GenerationArguments("one/m")}, "`generation` and `generate` both generate completions"),
        (None, {"settings": SETTINGS, "rounds": 9}, "`rounds` and `seed` are also in `settings`: pass them there only"),
        (None, {"settings": SETTINGS, "seed": 1}, "`rounds` and `seed` are also in `settings`: pass them there only"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence_and_leaves_nothing_behind(tmp_path, problems, options, message):
    options = {"generate": Replies(), "execute": RunsHere(), "decontaminate_against": ()} | options
    with pytest.raises(ValueError) as error:
        build_reflection_dataset(
            make_problems(2) if problems is None else problems, output_dir=tmp_path / "run", **options
        )
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_template_without_its_placeholder(tmp_path):
    (tmp_path / "default.request.jinja").write_text("Just do it.")
    with pytest.raises(ValueError, match=r"default.request.jinja lacks the placeholder \{\{ instruction \}\}"):
        RolloutSettings(templates=tmp_path)


def test_a_language_without_its_compiler(monkeypatch):
    from reflection_trl.languages import LANGUAGES

    monkeypatch.setattr(type(LANGUAGES["rust"]), "missing", lambda self: "rustc is not installed: install it.")
    with pytest.raises(ValueError, match="rustc is not installed"):
        Build([Problem("a", "Do.", language="rust")], "m", SETTINGS)


def test_a_model_that_was_trained_again_makes_another_run(tmp_path, monkeypatch):
    """Its rows would stand among those of the model that was there before, under one name."""
    weights = tmp_path / "mine" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"first")

    @contextlib.asynccontextmanager
    async def open_replies(_):
        yield Replies()

    monkeypatch.setattr("reflection_trl.builder.build.open_generator", open_replies)
    options = {"generate": None, "generation": GenerationArguments(str(weights.parent), backend="transformers")}
    run(build_of(2), tmp_path / "run", **options)
    run(build_of(2, samples=2), tmp_path / "run", **options)
    weights.write_bytes(b"second")
    with pytest.raises(RunError, match="from before its weights changed"):
        run(build_of(2, samples=3), tmp_path / "run", **options)
    weights.unlink()
    assert run(build_of(2, samples=2), tmp_path / "run", **options).rollouts == 4  # the outcome needs no weights


def test_the_folder_of_another_run(tmp_path):
    run(build_of(), tmp_path)
    for other in (
        build_of(4),
        dataclasses.replace(build_of(), model="other"),
        dataclasses.replace(build_of(), settings=RolloutSettings(seed=1)),
    ):
        with pytest.raises(
            RunError, match=r"contains a run with .+ give another `output_dir`, or the settings of that run"
        ):
            run(other, tmp_path)
    assert len(kept(tmp_path)) == 10


def test_a_model_that_cannot_be_loaded_leaves_a_run_that_can_go_on(tmp_path, whole):
    missing = GenerationArguments(model_name_or_path=str(tmp_path / "nowhere"), backend="transformers")
    with pytest.raises(GenerationError, match="nowhere"):
        run(build_of(samples=2), tmp_path / "run", generate=None, generation=missing)
    run(build_of(samples=2), tmp_path / "run")
    assert rows_of(tmp_path / "run") == whole
