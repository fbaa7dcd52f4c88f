"""Expected outputs are stored with digests where evalplus accepts exactly these outputs, and right answers then need no other judge."""

import json
import math
import os
import pickle
import sys
import zipfile
from types import SimpleNamespace

import pytest

from reflection_trl import sandbox
from reflection_trl.evaluation import evalplus_guest, expected_outputs
from reflection_trl.evaluation.expected_outputs import ground_truth
from reflection_trl.sandbox.guest.digests import Error, digest, pack

from .conftest import canonical


pytestmark = pytest.mark.usefixtures("small_benchmarks")


@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp"])
def test_each_task_has_its_outputs_and_their_digests(benchmark):
    with zipfile.ZipFile(ground_truth(benchmark)) as archive:
        for task in canonical(benchmark):
            outputs, known = (pickle.loads(archive.read(name)) for name in (task, evalplus_guest.DIGESTS.format(task)))
            for part in evalplus_guest.PARTS:
                if task == "HumanEval/32":  # evalplus 0.3.1 fails it whatever the answer is
                    assert known[part] is None
                    continue
                digests, limits = known[part]
                assert digests == b"".join(digest(pack(output)) for output in outputs[part])
                assert limits == [max(1.0, 4.0 * seconds) for seconds in outputs[f"{part}_time"]]


@pytest.mark.parametrize(
    ("outputs", "accepted"),
    [
        ([1, 2], True),
        ([[1], {"a": 2.5}], True),
        ([1.5, math.inf], True),
        ([1.5, math.nan], False),
        ([1, object], False),
        ([1, SimpleNamespace()], False),
    ],
)
def test_only_outputs_that_evalplus_accepts_have_digests(monkeypatch, outputs, accepted):
    evaluator = pytest.importorskip("evalplus.eval")
    monkeypatch.setattr(evaluator, "reliability_guard", evaluator.reliability_guard)  # it is restored afterwards
    problem = {"entry_point": "f", "base_input": [[1], [2]], "atol": 0}
    known = expected_outputs._digests("humaneval", problem, "base", {"base": outputs, "base_time": [0.0, 0.0]})
    assert (known is not None) == accepted


GUEST = f"{sandbox.__path__[0]}/guest"


@pytest.fixture
def cells(monkeypatch):
    """Cells without isolation, in which evalplus itself judges nothing. Only answers of the benchmark run in them."""
    evaluator = pytest.importorskip("evalplus.eval")
    monkeypatch.setattr(evaluator, "query_maximum_memory_bytes", evaluator.query_maximum_memory_bytes)
    monkeypatch.setattr(sys, "path", [*sys.path])
    cells = evalplus_guest.Cells(GUEST, "", [])
    monkeypatch.setattr(
        cells, "run", lambda check, parts, *kept: {part: evalplus_guest.verdict("fail") for part in parts}
    )
    process = cells.open()
    yield cells
    cells._answers.close()
    os.waitpid(process, 0)


@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp"])
def test_right_answers_pass_without_evalplus(cells, benchmark, tmp_path):
    file, solutions = tmp_path / "answers.jsonl", canonical(benchmark)
    file.write_text("".join(f"{json.dumps([*answer, False])}\n" for answer in solutions.items()))
    judge = evalplus_guest.Judge(benchmark, str(ground_truth(benchmark)), str(file), GUEST)
    verdicts = {task: evalplus_guest.judge_one(judge, cells, index, 1.0) for index, task in enumerate(solutions)}
    failed = [task for task, parts in verdicts.items() if any(part["status"] != "pass" for part in parts.values())]
    assert failed == (["HumanEval/32"] if benchmark == "humaneval" else [])


def test_each_part_is_compared_up_to_its_first_other_output_or_error(cells):
    calls = dict.fromkeys(evalplus_guest.PARTS, pickle.dumps([([number], 60.0) for number in range(3)]))
    known, limits = (
        b"".join(digest(pack(number)) for number in range(3)),
        dict.fromkeys(evalplus_guest.PARTS, [60.0] * 3),
    )
    called = Error(ran=True, in_call=True, certain=True)
    codes = {
        "def f(x): return x": (3, None, None),
        "def f(x): return min(x, 1)": (2, pack(1), None),
        "def f(x): return x if x < 1 else missing": (1, None, called),
        "def f(x): raise MemoryError": (0, None, called._replace(certain=False)),
        "def f(x): return compile": (0, None, called._replace(certain=False)),
        "import json\ndef f(x): return json.loads('{')": (0, None, called._replace(certain=False)),
        "missing": (0, None, called._replace(in_call=False)),
        "def g(x): return x": (0, None, called._replace(in_call=False)),
        "def f(x) return x": (0, None, Error(ran=False, in_call=False, certain=True)),
        "\ud800": (0, None, Error(ran=False, in_call=False, certain=False)),
        "import posix\ndef f(x): return posix._exit(0)": (0, None, None),
    }

    def judge(part, outputs):
        right, other = outputs.equal(known)
        return (right, other and other[0], outputs.error), True

    for code, told in codes.items():
        assert cells.compare(judge, code, "f", calls, limits) == dict.fromkeys(evalplus_guest.PARTS, (told, True)), (
            code
        )
