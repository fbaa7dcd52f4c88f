"""The `evaluate` module `pass_at_k`: loaded from its path, and from a Hub."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reflection_trl.languages import get_language
from reflection_trl.sandbox import Sandbox, SandboxError, SandboxUnavailableError, Status, Verdict


evaluate = pytest.importorskip("evaluate")

ROOT = Path(__file__).parents[2]
METRIC = ROOT / "metrics" / "pass_at_k"
RIGHT, WRONG = "def add(a, b): return a + b", "def add(a, b): return a * b"
TESTS = "assert add(2, 3) == 5\nassert add(0, 0) == 0"


@pytest.fixture(scope="module", autouse=True)
def isolation():
    try:
        with Sandbox(workers=1):
            pass
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def load(tmp_path):
    return lambda *config: evaluate.load(str(METRIC), *config, cache_dir=str(tmp_path))


def test_the_estimate_is_unbiased(load):
    result = load().compute(
        predictions=[[RIGHT, WRONG, WRONG, "def add(a, b: pass"], [RIGHT, RIGHT, RIGHT, WRONG]],
        references=[TESTS, TESTS],
        k=[2, 1, 4],
    )
    # 1 - C(3, 2) / C(4, 2) = 1/2 of the first problem; the second cannot miss with two answers
    assert result == pytest.approx({"pass@1": (0.25 + 0.75) / 2, "pass@2": (0.5 + 1) / 2, "pass@4": 1.0})


def test_candidates_are_judged_by_their_tests_only(load):
    candidates = [
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "class Same:\n    __eq__ = lambda self, other: True\ndef add(a, b): return Same()",
        "while True: pass",
    ]
    result = load().compute(predictions=[[one] for one in candidates], references=[TESTS] * 4, timeout=2)
    assert result == {"pass@1": 0.0}


def test_a_candidate_does_not_touch_the_machine(load, tmp_path):
    tmp_path.chmod(0o777)
    reach = f"""
import os
def add(a, b):
    try:
        open({str(tmp_path / "touched")!r}, "w").write("here")
    except OSError:
        pass
    return "MARK_OF_THE_HOST" in os.environ
"""
    os.environ["MARK_OF_THE_HOST"] = "1"
    try:
        assert load().compute(predictions=[[reach]], references=["assert add(1, 1) is False"]) == {"pass@1": 1.0}
    finally:
        del os.environ["MARK_OF_THE_HOST"]
    assert not (tmp_path / "touched").exists()


def test_other_languages_are_configurations(load):
    if missing := get_language("bash").missing():
        pytest.skip(missing)
    result = load("bash").compute(
        predictions=[["add() { echo $(($1 + $2)); }", "exit 0", "add() { echo 6; }"]],
        references=["set -e\n[[ $(add 2 3) = 5 ]]\n[[ $(add 3 3) = 6 ]]"],
        k=3,
    )
    assert result == {"pass@3": 1.0}
    with pytest.raises(ValueError, match="Unknown language 'cobol'"):
        load("cobol")


def test_functions_named_like_built_ins(load):
    arguments = {"predictions": [["def sum(values): return 7"]], "references": ["assert sum([1, 2]) == 7"]}
    assert load().compute(**arguments, entry_points=["sum"]) == {"pass@1": 1.0}
    with pytest.raises(ValueError, match="names 2 functions for 1 problems"):
        load().compute(**arguments, entry_points=["sum", "sum"])


def test_combined_added_in_batches_and_saved(load, tmp_path):
    both = evaluate.combine({"python": load(), "again": load()})
    result = both.compute(predictions=[[RIGHT, WRONG]], references=[TESTS], k=[1])
    assert result == {"python_pass@1": 0.5, "again_pass@1": 0.5}

    metric = load()
    metric.add(predictions=[RIGHT, RIGHT], references=TESTS)
    metric.add_batch(predictions=[[RIGHT, WRONG]], references=[TESTS])
    result = metric.compute(k=[1, 2])
    assert result == {"pass@1": 0.75, "pass@2": 1.0}
    saved = json.loads(Path(evaluate.save(tmp_path / "result.json", **result)).read_text())
    assert saved["pass@1"] == 0.75


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"k": "1"}, "`k` must be an integer or a list of integers, got '1'."),
        ({"k": [1.0]}, r"`k` must be an integer or a list of integers, got \[1.0\]"),
        ({"k": [2]}, "`k` must be between 1 and the number of candidates"),
        ({"k": [0]}, "`k` must be between 1"),
        ({"k": []}, "`k` must be between 1"),
        ({"references": [" "]}, "Every reference must hold tests"),
        (
            {"references": ["def check(f):\n    assert f(2, 3) == 5"]},
            "there is no `entry_point` to call it with; set it",
        ),
        ({"references": ["x = 5"]}, "Problem 0: the tests run nothing, so every answer would pass"),
        ({"predictions": [], "references": []}, "There are no problems: give their candidates"),
        ({"predictions": [[RIGHT, None]]}, "A candidate of problem 0 is None: use '' for a missing answer"),
        ({"predictions": [[]]}, "which is 0 here"),
    ],
)
def test_bad_input(load, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        load().compute(**({"predictions": [[RIGHT]], "references": [TESTS]} | arguments))


def test_tests_that_are_only_defined_run(load):
    tests = "def check(candidate):\n    assert candidate(2, 3) == 5"
    results = load().compute(predictions=[[RIGHT, WRONG]], references=[tests], entry_points=["add"])
    assert results == {"pass@1": 0.5}


def test_a_failure_of_the_sandbox_is_no_figure(load, monkeypatch):
    broken = Verdict(Status.INFRASTRUCTURE, reason="no room")
    monkeypatch.setattr(Sandbox, "run_many", lambda self, programs: [broken for _ in programs])
    with pytest.raises(SandboxError, match="no room"):
        load().compute(predictions=[[RIGHT]], references=[TESTS])


def test_the_module_loads_from_a_hub(tmp_path):
    from hub.server import HubServer, User

    hub = HubServer({"hf_token": User("anna")})
    try:
        hub.create(
            "spaces",
            "anna/pass_at_k",
            files={path.name: path.read_bytes() for path in METRIC.iterdir() if path.is_file()},
        )
        script = (
            "import evaluate\n"
            "metric = evaluate.load('anna/pass_at_k')\n"
            f"print(metric.compute(predictions=[[{RIGHT!r}, {WRONG!r}]], references=[{TESTS!r}]))"
        )
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=inherited
            | {
                "HF_ENDPOINT": hub.endpoint,
                "HF_HOME": str(tmp_path),
                "HF_UPDATE_DOWNLOAD_COUNTS": "0",
                "PYTHONPATH": str(ROOT),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        hub.close()
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "{'pass@1': 0.5}"
