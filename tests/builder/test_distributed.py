"""The same run on many tasks through datatrove: the same rows, whatever ends a task."""

# ruff: noqa: E402 (datatrove is an extra)

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest


pytest.importorskip("datatrove")
for needed in ("aiofiles", "aiosqlite", "httpx", "orjson", "xxhash"):
    pytest.importorskip(needed)

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.inference.types import InferenceError
from generation.server import MODEL, Server, completion, status

from reflection_trl.builder import RolloutSettings
from reflection_trl.builder.build import Build, run_build
from reflection_trl.builder.distributed import RolloutRunner, inference_config, prepare_folder, write_finished
from reflection_trl.files.run_folder import RunFolder
from reflection_trl.generation import GenerationArguments, GenerationError
from reflection_trl.problems import Problem, load_problems
from reflection_trl.sandbox import Sandbox, SandboxUnavailableError


PROBLEMS = [
    Problem(
        id=f"t/{number}",
        instruction=f"Write a function double{number}(x) that returns twice x.",
        tests=f"assert double{number}(4) == 8\nassert double{number}(-1) == -2",
        entry_point=f"double{number}",
    )
    for number in range(12)
]
# Programs, conclusion and answer: each asked for once
ONE_DRAW = RolloutSettings(answer_samples=1, solve_rate_samples=0)
SECRET = "sk-0123456789-secret"


@pytest.fixture(scope="module", autouse=True)
def sandbox():
    try:
        with Sandbox(workers=1):
            pass
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


def reply(body):
    """A model whose first program fails for every second problem, and is then mended."""
    said = body["messages"]
    number = said[0]["content"].split("double")[1].split("(")[0]
    program = f"def double{number}(x):\n    return {{}}\n\nassert double{number}(3) == 6"
    if said[-1]["content"].startswith("Write a function"):
        return f"Multiply by two.\n\n```python\ndef double{number}(x):\n    return 2 * x\n```"
    if len(said) == 1:
        body = "x ** 2" if int(number) % 2 else "2 * x"
        return f"This does it.\n\n```python\n{program.format(body)}\n```"
    if "x ** 2" in said[-2]["content"]:
        return f"A square is no double, so the body has to be 2 * x.\n\n```python\n{program.format('2 * x')}\n```"
    return "A product does it."


@contextmanager
def serving(fault=lambda number, body: None):
    """A server in a thread of its own, since executors block."""
    server, loop, ready = (
        Server(lambda number, body: fault(number, body) or completion(reply(body))),
        asyncio.new_event_loop(),
        threading.Event(),
    )

    async def start():
        await server.start()
        ready.set()

    def serve():
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(server.stop())

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def make(output_dir, url, tasks=3, workers=1, samples=1, problems=None, give_up_after=None, **options):
    generation = GenerationArguments(model_name_or_path=MODEL, base_url=url, **options)
    build = Build(problems or PROBLEMS, MODEL, ONE_DRAW, samples, give_up_after=give_up_after)
    logs, _ = prepare_folder(build, output_dir, tasks)
    runner = RolloutRunner(build, output_dir, generation, inference_config(generation))
    LocalPipelineExecutor([runner], tasks=tasks, workers=workers, logging_dir=logs).run()
    return build, generation


def outcome(build, generation, output_dir):
    """The accepted rows, as the usual command writes them. There is nothing left to ask."""
    with RunFolder(output_dir, build.fingerprint()) as folder:
        assert build.open_tasks(folder) == []
    asyncio.run(run_build(build, output_dir, generation, outcome_only=True, bar=False))
    return [json.loads(line) for line in (Path(output_dir) / "rows" / "accepted-00000.jsonl").read_text().splitlines()]


def rollouts(output_dir):
    lines = [
        line
        for file in sorted((Path(output_dir) / "rollouts").glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    return [(record["problem_id"], record["sample"]) for record in map(json.loads, lines)]


def test_tasks_make_the_rows_of_a_single_process(tmp_path):
    with serving() as server:
        alone = Build(PROBLEMS, MODEL, ONE_DRAW, 1)
        generation = GenerationArguments(model_name_or_path=MODEL, base_url=server.url)
        asyncio.run(run_build(alone, tmp_path / "alone", generation, bar=False))
        requests = len(server.bodies)
        build, _ = make(tmp_path / "many", server.url, tasks=3, workers=2)
        assert len(server.bodies) == 2 * requests
        # A second run of the same command finds nothing to do
        make(tmp_path / "many", server.url, tasks=3, workers=2)
        assert len(server.bodies) == 2 * requests
        rows = outcome(build, generation, tmp_path / "many")
        assert rows == outcome(alone, generation, tmp_path / "alone")
    assert [row["problem_id"] for row in rows] == [problem.id for problem in PROBLEMS]
    assert [row["repaired"] for row in rows] == [False, True] * 6
    assert len(list((tmp_path / "many" / "rollouts").glob("*.jsonl"))) == 3
    spent, alone = (json.loads((tmp_path / name / "statistics.json").read_text()) for name in ("many", "alone"))
    assert spent["completion_tokens"] == alone["completion_tokens"] == 5 * requests


def test_problems_are_given_up_in_tasks_too(tmp_path):
    hopeless = dataclasses.replace(PROBLEMS[1], tests="assert False")
    problems = [*PROBLEMS[:1], hopeless, *PROBLEMS[2:4]]
    with serving() as server:
        build, generation = make(tmp_path, server.url, tasks=2, samples=3, problems=problems, give_up_after=1)
        rows = outcome(build, generation, tmp_path)
    statistics = json.loads((tmp_path / "statistics.json").read_text())
    assert statistics["spared"] == 2 and statistics["rollouts"] == 10
    assert {row["problem_id"] for row in rows} == {problem.id for problem in problems} - {hopeless.id}
    write_finished(dataclasses.replace(build, held_out=PROBLEMS[4:6]), tmp_path)  # as the recipe ends
    assert [problem.id for problem in load_problems(tmp_path / "held_out.jsonl")] == [one.id for one in PROBLEMS[4:6]]


def test_references_are_checked_in_tasks_too(tmp_path):
    wrong = dataclasses.replace(PROBLEMS[0], reference="def double0(x):\n    return x")
    with serving() as server:
        build, generation = make(tmp_path, server.url, tasks=1, samples=2, problems=[wrong, PROBLEMS[1]])
        assert {row["problem_id"] for row in outcome(build, generation, tmp_path)} == {PROBLEMS[1].id}
        assert not any("double0(" in body["messages"][0]["content"] for body in server.bodies)
    assert json.loads((tmp_path / "statistics.json").read_text())["rejections"] == {"reference_failed": 2}


def test_more_samples_and_another_number_of_tasks_go_on(tmp_path):
    with serving() as server:
        make(tmp_path, server.url, tasks=2)
        requests = len(server.bodies)
        build, generation = make(tmp_path, server.url, tasks=3, samples=2)
        assert len(server.bodies) == 2 * requests
        assert len(outcome(build, generation, tmp_path)) == 24
    assert len(rollouts(tmp_path)) == len(set(rollouts(tmp_path))) == 24


def test_faults_of_the_server_pass(tmp_path, monkeypatch):
    monkeypatch.setattr("reflection_trl.generation.endpoint.FIRST_PAUSE", 0.01)
    monkeypatch.setenv("MY_KEY", SECRET)

    def fault(number, body):
        return {3: status(429, Retry_After="0"), 8: status(503), 14: completion(None, usage=None, reason=None)}.get(
            number
        )

    with serving(fault) as server:
        make(tmp_path, server.url, tasks=1, api_key_variable="MY_KEY")
        assert all(header["Authorization"] == f"Bearer {SECRET}" for header in server.headers)
    assert len(rollouts(tmp_path)) == 12
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file


def test_a_prompt_that_is_refused_is_asked_again_next_time(tmp_path):
    with serving(lambda number, body: status(400, "too long") if "double7(" in str(body) else None) as server:
        make(tmp_path, server.url, tasks=2)
        server.fault = lambda number, body: completion(reply(body))
        before = len(server.bodies)
        build, generation = make(tmp_path, server.url, tasks=2)
        assert len(server.bodies) == before + 4  # two programs, the answer, the conclusion
        assert len(outcome(build, generation, tmp_path)) == 12


def test_a_task_without_a_server_fails_and_the_others_stay_done(tmp_path):
    calls = []

    def fault(number, body):
        calls.append(number)
        return status(401) if len(calls) > 20 else None

    with serving(fault) as server:
        with pytest.raises(InferenceError, match="the API key is missing, wrong or lacks permission"):
            make(tmp_path, server.url, tasks=4)
        made = rollouts(tmp_path)
        assert 0 < len(made) < 12
        calls.clear()
        server.fault = lambda number, body: completion(reply(body))
        build, generation = make(tmp_path, server.url, tasks=4)
        assert len(outcome(build, generation, tmp_path)) == 12
    assert rollouts(tmp_path).count(made[0]) == 1 and len(rollouts(tmp_path)) == 12


CHILD = """
import sys
sys.path[:0] = {path!r}
from builder.test_distributed import make
if __name__ == "__main__":
    make({folder!r}, {url!r}, tasks=3, workers=2)
"""


@pytest.mark.slow
def test_tasks_that_are_killed_go_on(tmp_path):
    def slow(number, body):
        time.sleep(0.05)

    with serving(slow) as server:
        script = tmp_path / "child.py"
        tests = str(Path(__file__).parents[1])
        script.write_text(CHILD.format(path=[tests], folder=str(tmp_path / "run"), url=server.url))
        for wanted in (2, 5):
            child = subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.DEVNULL)
            until = time.monotonic() + 120
            while time.monotonic() < until and child.poll() is None:
                if (tmp_path / "run" / "rollouts").is_dir() and len(rollouts_so_far(tmp_path / "run")) >= wanted:
                    break
                time.sleep(0.02)
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        build, generation = make(tmp_path / "run", server.url, tasks=3)
        rows = outcome(build, generation, tmp_path / "run")
    assert [row["problem_id"] for row in rows] == [problem.id for problem in PROBLEMS]
    assert len(rollouts(tmp_path / "run")) == len(set(rollouts(tmp_path / "run"))) == 12


def rollouts_so_far(output_dir):
    return [line for file in (output_dir / "rollouts").glob("*.jsonl") for line in file.read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("options", "server", "message"),
    [
        ({"max_requests": 5}, "vllm", "Tasks of several machines cannot share a budget"),
        ({"max_total_tokens": 5}, "vllm", "Tasks of several machines cannot share a budget"),
        ({"backend": "vllm"}, "llama", "--server 'llama': use vllm or sglang"),
    ],
)
def test_settings_without_a_meaning(options, server, message):
    with pytest.raises(ValueError, match=message):
        inference_config(GenerationArguments(model_name_or_path="m", **options), server)


def test_the_command_of_vllms_servers():
    generation = GenerationArguments(
        "org/model", model_revision="abc", backend="vllm", tensor_parallel_size=2, max_context=4096, dtype="bfloat16"
    )
    config = inference_config(generation, in_flight=64)
    assert (config.server_type, config.model_name_or_path, config.tp, config.model_max_context) == (
        "vllm",
        "org/model",
        2,
        4096,
    )
    assert config.model_kwargs == {"generation-config": "vllm", "dtype": "bfloat16", "revision": "abc"}
    assert config.max_concurrent_documents == 64


@pytest.mark.slow
def test_a_ray_cluster_makes_the_same_rows(tmp_path):
    ray = pytest.importorskip("ray")
    from datatrove.executor import RayPipelineExecutor

    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
    try:
        with serving() as server:
            generation = GenerationArguments(model_name_or_path=MODEL, base_url=server.url)
            build = Build(PROBLEMS, MODEL, ONE_DRAW, 1)
            logs, missing = prepare_folder(build, tmp_path, 2)
            assert missing == 12
            step = RolloutRunner(build, tmp_path, generation, inference_config(generation))
            RayPipelineExecutor([step], tasks=2, logging_dir=logs, cpus_per_task=1, mem_per_cpu_gb=1).run()
            rows = outcome(build, generation, tmp_path)
    finally:
        ray.shutdown()
    assert [row["problem_id"] for row in rows] == [problem.id for problem in PROBLEMS]
    assert len(rollouts(tmp_path)) == 12 and len(list((tmp_path / "rollouts").glob("*.jsonl"))) == 2
    assert prepare_folder(build, tmp_path, 2)[1] == 0


def test_an_endpoint_that_serves_several_models_wants_a_name(tmp_path):
    with serving() as server:
        server.models = ["a", "b"]
        build = Build(PROBLEMS, MODEL, ONE_DRAW, 1)
        generation = GenerationArguments(base_url=server.url)
        logs, _ = prepare_folder(build, tmp_path, 1)
        step = RolloutRunner(build, tmp_path, generation, inference_config(generation))
        with pytest.raises(GenerationError, match="serves 2 models: set --model_name_or_path to one of a, b"):
            LocalPipelineExecutor([step], workers=1, logging_dir=logs).run()
