"""Answers are drawn once each, whatever happens in between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from reflection_trl.evaluation.generate import missing_samples, read_answers, sample_answers
from reflection_trl.files.run_folder import RunError, RunFolder
from reflection_trl.files.work_queue import WorkQueue
from reflection_trl.generation.types import Completion, GenerationError, RequestRefusedError, Sampling


class Model:
    """Answers every request with `reply(number, prompt, sampling)`, after a turn of the loop."""

    def __init__(self, reply=lambda number, prompt, sampling: f"```python\nx = {number}\n```"):
        self.reply = reply
        self.asked = []

    async def __call__(self, prompt, sampling):
        number = len(self.asked)
        self.asked.append((prompt, sampling))
        await asyncio.sleep(0)
        reply = self.reply(number, prompt, sampling)
        if isinstance(reply, BaseException):
            raise reply
        return reply if isinstance(reply, Completion) else Completion(reply)


GREEDY = Sampling()


def draw(folder, tasks, model, samples=1, style="request", sampling=GREEDY, **options):
    draws = missing_samples(tasks, samples, folder, **options)
    asyncio.run(sample_answers(draws, model, style, sampling, folder))
    return draws


@pytest.fixture
def folder(tmp_path):
    with RunFolder(tmp_path / "run", {"model": "m"}, records="answers") as opened:
        yield opened


def test_each_task_gets_as_many_answers_as_asked_for(folder, humaneval):
    model = Model()
    draw(folder, humaneval, model, samples=3, sampling=Sampling(temperature=0.8))
    assert Counter(record["task_id"] for record in folder.records()) == {task.id: 3 for task in humaneval}
    answers = read_answers(humaneval, 3, "request", folder)
    assert [(answer.task_id, answer.sample) for answer in answers] == [(t.id, n) for t in humaneval for n in range(3)]
    assert all(answer.solution == answer.text.split("\n")[1] for answer in answers)
    assert len({sampling.seed for _, sampling in model.asked}) == 3 * len(humaneval)


def test_seeds_are_those_of_the_task_and_not_of_the_order(folder, humaneval, tmp_path):
    model, other = Model(), Model()
    draw(folder, humaneval, model, sampling=Sampling(temperature=0.8, seed=1))
    with RunFolder(tmp_path / "other", {}, records="answers") as second:
        draw(second, humaneval[::-1], other, sampling=Sampling(temperature=0.8, seed=1))
    assert [sampling.seed for _, sampling in model.asked] == [sampling.seed for _, sampling in other.asked][::-1]


def test_greedy_answers_need_no_seed(folder, humaneval):
    model = Model()
    draw(folder, humaneval, model)
    assert {(sampling.temperature, sampling.seed) for _, sampling in model.asked} == {(0.0, None)}


def test_more_answers_are_sampled_on_top_of_those_that_are_there(folder, humaneval):
    draw(folder, humaneval, Model(), sampling=Sampling(temperature=1.0))
    again = Model()
    draw(folder, humaneval, again, samples=3, sampling=Sampling(temperature=1.0))
    assert len(again.asked) == 2 * len(humaneval)
    assert not draw(folder, humaneval, Model(), samples=3)


def together(tasks, path, models, samples=1):
    """Draws answers by as many processes as there are models, which know of each other by the folder alone."""

    async def one(process):
        with RunFolder(path, {}, process, records="answers") as folder:
            draws = missing_samples(tasks, samples, folder)
            queue = WorkQueue([(task.id, sample) for task, sample in draws], folder, len(models))
            await sample_answers(draws, models[process], "request", GREEDY, folder, in_flight=2, queue=queue)
            await asyncio.sleep(0.05)  # or the next one would begin another session

    async def all_of_them():
        await asyncio.gather(*map(one, range(len(models))))

    asyncio.run(all_of_them())
    with RunFolder(path, {}, records="answers") as folder:
        return Counter((record["task_id"], record["sample"]) for record in folder.records())


def test_processes_share_the_answers(tmp_path, humaneval):
    models = [Model(), Model(), Model()]
    drawn = together(humaneval, tmp_path, models, samples=2)
    assert drawn == {(task.id, sample): 1 for task in humaneval for sample in range(2)}
    assert all(model.asked for model in models)


def test_a_process_that_is_slow_leaves_its_share_to_the_others(tmp_path, humaneval):
    fast = Model()

    class Slow(Model):
        async def __call__(self, prompt, sampling):
            while len(fast.asked) < 2 * len(humaneval) - 2:
                await asyncio.sleep(0.001)
            return await super().__call__(prompt, sampling)

    slow = Slow()
    drawn = together(humaneval, tmp_path, [slow, fast], samples=2)
    assert len(drawn) == 2 * len(humaneval) and len(slow.asked) <= 2


def test_a_process_whose_only_request_is_refused_ends_nothing(tmp_path, humaneval):
    refuses = Model(lambda *_: RequestRefusedError("too long"))
    drawn = together(humaneval, tmp_path, [Model(), refuses])
    assert refuses.asked and len(drawn) == len(humaneval)


def test_a_failing_model_keeps_what_was_sampled(folder, humaneval):
    dead = GenerationError("http://localhost:1/v1 still says 500 after 8 attempts: no")
    model = Model(lambda number, *_: dead if number >= 3 else "x")
    with pytest.raises(GenerationError, match="still says 500"):
        asyncio.run(
            sample_answers(missing_samples(humaneval, 1, folder), model, "request", GREEDY, folder, in_flight=1)
        )
    assert len([*folder.records()]) == 3
    draw(folder, humaneval, Model())
    assert len([*folder.records()]) == len(humaneval)


def test_one_refused_request_is_an_answer_that_failed(folder, humaneval):
    model = Model(lambda number, *_: RequestRefusedError("too long") if number == 1 else "x")
    draw(folder, humaneval, model)
    assert Counter(record["finish_reason"] for record in folder.records()) == {
        "stop": len(humaneval) - 1,
        "refused": 1,
    }


def test_a_model_that_refuses_everything_is_an_error_and_no_result(folder, humaneval):
    with pytest.raises(GenerationError, match="answers without a choice"):
        draw(folder, humaneval, Model(lambda *_: RequestRefusedError("s answers without a choice: 'nonsense'.")))
    assert not [*folder.records()]


def test_any_text_comes_back_as_it_was(folder, humaneval):
    texts = ["", "\ud800\0", "a\r\nb\u2028c", "🙂" * 1000]
    draw(folder, humaneval[:4], Model(lambda number, *_: Completion(texts[number], "length")))
    assert [answer.text for answer in read_answers(humaneval[:4], 1, "request", folder)] == texts


def test_answers_made_otherwise_are_not_mixed_in(tmp_path):
    with RunFolder(tmp_path / "run", {"model": "a"}, records="answers") as folder:
        folder.append({"task_id": "HumanEval/0"})
    with pytest.raises(RunError, match=r'contains a run with model = "a", not model = "b"'):
        RunFolder(tmp_path / "run", {"model": "b"}, records="answers")


_PROGRAM = """
import asyncio, sys
from reflection_trl.files.run_folder import RunFolder
from reflection_trl.evaluation.generate import sample_answers, missing_samples
from reflection_trl.evaluation.tasks import Task
from reflection_trl.generation.types import Completion, Sampling

async def model(prompt, sampling):
    await asyncio.sleep(0.005)
    return Completion("x" * 5000)

tasks = [Task(f"T/{number}", "humaneval", "do") for number in range(300)]
with RunFolder(sys.argv[1], {}, records="answers") as folder:
    draws = missing_samples(tasks, 1, folder)
    asyncio.run(sample_answers(draws, model, "request", Sampling(), folder, in_flight=4))
"""


def test_kill_and_go_on_loses_nothing_and_doubles_nothing(tmp_path):
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path / "run")]
    file = tmp_path / "run" / "answers" / "00000.jsonl"
    for kills in range(3):
        process = subprocess.Popen(command)
        size = file.stat().st_size if file.exists() else 0
        while process.poll() is None and (not file.exists() or file.stat().st_size < size + 100_000):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, kills
    with open(file, "ab") as torn:
        torn.write(b'{"task_id": "T/2')
    subprocess.run(command, check=True)
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert Counter(record["task_id"] for record in records) == {f"T/{number}": 1 for number in range(300)}
