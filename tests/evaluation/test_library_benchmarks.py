"""BigCodeBench, DS-1000 and HumanEvalFix: their rows, and how answers are judged. The rows are written for these tests."""

import asyncio
import json
import sys

import pytest

from reflection_trl.evaluation.benchmark_texts import benchmark_texts
from reflection_trl.evaluation.benchmarks import (
    get_benchmark,
    load_tasks,
    make_prompt,
    parse_benchmarks,
    read_solution,
)
from reflection_trl.evaluation.benchmarks.ds1000 import read_code
from reflection_trl.evaluation.benchmarks.libraries import with_libraries
from reflection_trl.evaluation.one_process import distrusted
from reflection_trl.evaluation.report import write_report
from reflection_trl.evaluation.run import EvaluationSettings, evaluate_model, evaluate_samples
from reflection_trl.evaluation.table import results_table
from reflection_trl.evaluation.tasks import Sample, Task
from reflection_trl.generation import GenerationArguments
from reflection_trl.generation.types import Completion
from reflection_trl.hub import publish_evaluation
from reflection_trl.hub.results import hub_dataset
from reflection_trl.languages import Executor
from reflection_trl.sandbox import Sandbox

from .benchmark_rows import (
    ABSENT,
    BIG_CODE_LIES,
    BIG_CODE_RIGHT,
    BIG_CODE_ROWS,
    BIG_CODE_WRONG,
    DS1000_LIES,
    DS1000_RIGHT,
    DS1000_ROWS,
    DS1000_WRONG,
    ENCODED,
    FIX_ROWS,
    PATCHED,
    PLAIN,
    ds1000,
)


@pytest.fixture
def file(tmp_path):
    def write(*rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Judges answers to a benchmark's tasks in one sandbox that has this Python's packages."""
    with Sandbox(2, sys.executable) as sandbox:

        def judged(name, rows, answers):
            path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            benchmark = get_benchmark(name)
            samples = [Sample(task, number, code) for number, (task, code) in enumerate(answers)]

            async def run():
                async with Executor(sandbox, limits=benchmark.limits) as execute:
                    return await benchmark.judge_with(execute, load_tasks(name, str(path)), samples)

            return asyncio.run(run()).outcomes

        yield judged


def check(outcomes, passed):
    assert [outcome for outcome in outcomes if outcome.passed is not passed] == []


# BigCodeBench


def test_splits_of_bigcodebench(file):
    assert parse_benchmarks(["bigcodebench", "BigCodeBench:hard-instruct,complete"]) == [
        "bigcodebench:complete", "bigcodebench:instruct", "bigcodebench:hard-instruct",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="BigCodeBench has no split 'full': use some of complete, instruct, hard-"):
        parse_benchmarks(["bigcodebench:full"])
    complete, instruct = (load_tasks(f"bigcodebench:{split}", file(PLAIN))[0] for split in ("complete", "instruct"))
    assert PLAIN["complete_prompt"] in make_prompt(complete, "request").content[0]["content"]
    assert make_prompt(complete, "completion").content == PLAIN["complete_prompt"]
    assert make_prompt(instruct, "request").content[0]["content"] == PLAIN["instruct_prompt"]
    with pytest.raises(
        ValueError, match="bigcodebench:instruct has no prompts in the style 'completion': use request"
    ):
        make_prompt(instruct, "completion")
    assert read_solution(complete, PLAIN["canonical_solution"], "completion").startswith("import random")
    assert hub_dataset("bigcodebench:hard-complete").dataset == "bigcode/bigcodebench-hard"
    assert benchmark_texts([f"bigcodebench:complete={file(PLAIN)}"]) == {
        "BigCodeBench/0": [PLAIN[column] for column in ("complete_prompt", "instruct_prompt", "canonical_solution")]
    }


@pytest.mark.parametrize("row", [PLAIN, PATCHED], ids=["plain", "patched"])
def test_bigcodebench_tells_right_from_wrong(judge, row):
    """Tests that patch modules see the answer's, as in the evaluator's process."""
    right = [(row["task_id"], code) for code in BIG_CODE_RIGHT]
    check(judge("bigcodebench:complete", BIG_CODE_ROWS, right), True)
    outcomes = judge("bigcodebench:complete", BIG_CODE_ROWS, [(row["task_id"], code) for code in BIG_CODE_WRONG])
    check(outcomes, False)
    assert "test_mean: np.float64(6.0) != 2.0" in outcomes[0].detail or "test_array" in outcomes[0].detail
    assert [outcome.kind for outcome in outcomes] == [
        "wrong_answer", "wrong_answer", "wrong_answer", "wrong_answer", "type", "syntax", "empty",
    ]  # fmt: skip


def test_bigcodebench_reads_tests_with_long_expressions(judge):
    row = PLAIN | {"test": f"{PLAIN['test']}\nTOTAL = {' + '.join(['int(1)'] * 600)}\n"}
    check(judge("bigcodebench:complete", [row], [(row["task_id"], BIG_CODE_RIGHT[0])]), True)


def test_imports_of_libraries_that_patch_modules_are_no_lies(judge):
    """Importing it replaces functions of `typing` in some versions of Python."""
    inside = BIG_CODE_RIGHT[0].replace(":\n", ":\n    from typing_extensions import override\n", 1)
    answers = [(PLAIN["task_id"], code) for code in (f"import typing_extensions\n{BIG_CODE_RIGHT[0]}", inside)]
    check(judge("bigcodebench:complete", BIG_CODE_ROWS, answers), True)
    check(judge("ds1000", DS1000_ROWS, [("DS-1000/0", "import typing_extensions\nresult = a / a.sum()")]), True)


def test_bigcodebench_fails_answers_that_lie_to_it(judge):
    lies = [code for _, wrong, lie in BIG_CODE_LIES for code in (wrong + lie, lie + wrong)]
    check(judge("bigcodebench:complete", BIG_CODE_ROWS, [(PLAIN["task_id"], code) for code in lies]), False)


def test_the_lies_are_known_by_more_than_one_sign(judge, monkeypatch):
    """With the reading of the code switched off, what replaces comparisons is still found; what replaces the judge is not."""
    monkeypatch.setattr("reflection_trl.evaluation.one_process.distrusted", lambda source: ())
    answers = [(PLAIN["task_id"], wrong + lie) for _, wrong, lie in BIG_CODE_LIES]
    outcomes = judge("bigcodebench:complete", BIG_CODE_ROWS, answers)
    passed = {name for (name, _, _), outcome in zip(BIG_CODE_LIES, outcomes, strict=True) if outcome.passed}
    assert passed == {
        "replaces the recorder", "equals everything: approx", "equals everything: masked", "equals everything: masked by import",
        "equals everything: masked by getattr", "reads the tests among the variables of its callers",
    }  # fmt: skip


def test_an_honest_answer_that_could_lie_is_judged_in_another_process(judge):
    """It passes where its tests do without patches, which that process cannot see."""
    code = BIG_CODE_RIGHT[0] + "\nimport inspect\n"
    assert distrusted(code) == ("uses inspect",)
    plain, patched = judge(
        "bigcodebench:complete", BIG_CODE_ROWS, [(PLAIN["task_id"], code), (PATCHED["task_id"], code)]
    )
    assert plain.passed and not patched.passed
    assert "It passes its tests in its own process, but it uses inspect" in patched.detail


def test_reading_beyond_an_array_is_a_reason_to_doubt():
    """It reads any memory of the process: the tests, and what they expect."""
    assert distrusted("import numpy as np\nnp.lib.stride_tricks.as_strided(np.ones(1), (9,), (8,))\n") == (
        "uses as_strided",
    )


def test_what_a_task_needs_itself_is_no_reason_to_doubt(judge):
    body = "    return pickle.loads(pickle.dumps(random.choice([1, 2])))\n"
    row = PATCHED | {"canonical_solution": body, "code_prompt": "import pickle\n" + PATCHED["code_prompt"]}
    honest = BIG_CODE_RIGHT[0].replace(
        "return random.choice([1, 2])", "return pickle.loads(pickle.dumps(random.choice([1, 2])))"
    )
    both = [(row["task_id"], "import pickle\n" + honest), (row["task_id"], "import inspect\n" + honest)]
    assert [outcome.passed for outcome in judge("bigcodebench:complete", [row], both)] == [True, False]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"libs": "numpy"}, "`libs` must be a list of names of libraries, got 'numpy'"),
        ({"libs": "__import__('os').system('true')"}, "`libs` must be a list of names"),
        ({"test": "class TestCases(unittest.TestCase): pass"}, "`test` has no class `TestCases` with tests"),
        ({"test": "def ("}, "`test` is not Python"),
        ({"entry_point": None}, "`entry_point` must be str, got NoneType"),
    ],
)
def test_rows_of_bigcodebench_in_another_form(file, changes, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        load_tasks("bigcodebench:complete", file({**PLAIN, **changes}))
    assert "Row 0 of" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.usefixtures("isolation")
def test_tasks_whose_libraries_are_absent_are_named_in_table_and_report(file, tmp_path):
    async def answer(prompt, sampling):
        return Completion(f"```python\n{BIG_CODE_RIGHT[0]}```")

    arguments = GenerationArguments(base_url="http://localhost:1/v1", model_name_or_path="m")
    settings = EvaluationSettings(benchmark_files={"bigcodebench": file(PLAIN, ABSENT)}, workers=1)
    run = evaluate_model(
        arguments, ["bigcodebench:instruct"], tmp_path / "out", settings, generate=answer, progress=False
    )
    assert [(one.task_id, one.passed) for one in run.score("bigcodebench:instruct").outcomes] == [
        ("BigCodeBench/0", True)
    ]
    sentence = "1 of 2 problems of BigCodeBench are left out: this Python lacks cv2, nowhere_to_be_found; install"
    assert f"bigcodebench:instruct: {sentence}" in results_table(run)
    assert run.settings["benchmark_files"] == settings.benchmark_files
    page = write_report([run], tmp_path)
    assert sentence in page.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="has not scored all problems of bigcodebench:instruct"):
        publish_evaluation(run, "me/m")
    with pytest.raises(ValueError, match="There is nothing to score: 1 of 1 problems of BigCodeBench are left out"):
        evaluate_model(
            arguments,
            ["bigcodebench:instruct"],
            tmp_path / "other",
            EvaluationSettings(benchmark_files={"bigcodebench": file(ABSENT)}),
            generate=answer,
            progress=False,
        )


@pytest.mark.usefixtures("isolation")
def test_answers_in_files_to_what_is_left_out_are_skipped(file, tmp_path):
    answers = [{"task_id": row["task_id"], "solution": BIG_CODE_RIGHT[0]} for row in (PLAIN, ABSENT)]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    settings = EvaluationSettings(benchmark_files={"bigcodebench": file(PLAIN, ABSENT)}, workers=1)
    names = ["bigcodebench:complete"]
    run = evaluate_samples([tmp_path / "answers.jsonl"], tmp_path / "out", settings, benchmarks=names, progress=False)
    assert [one.passed for one in run.score("bigcodebench:complete").outcomes] == [True]


def test_libraries_that_the_sandbox_does_not_see_are_absent(tmp_path, monkeypatch):
    (tmp_path / "only_on_the_path.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    task = Task("a", "ds1000", "")
    assert with_libraries("DS-1000", [task], {"a": {"only_on_the_path"}})[0] == []
    assert with_libraries("DS-1000", [task], {"a": {"numpy", "yaml"}}) == ([task], None)


# DS-1000


def test_ds1000_is_asked_and_read_as_its_prompts_are(file):
    task = load_tasks("ds1000", file(*DS1000_ROWS))[0]
    assert make_prompt(task, "request").content[0]["content"].startswith(DS1000_ROWS[0]["prompt"].rstrip())
    prompt = make_prompt(task, "completion")
    assert (prompt.content, "</code>" in prompt.stop) == (DS1000_ROWS[0]["prompt"], True)
    assert parse_benchmarks(["DS-1000"]) == ["ds1000"] and hub_dataset("ds1000").dataset == "xlangai/DS-1000"
    assert benchmark_texts([f"ds1000={file(DS1000_ROWS[0])}"]) == {
        "DS-1000/0": [DS1000_ROWS[0]["prompt"], "result = a / a.sum()"]
    }


@pytest.mark.parametrize(
    "text",
    [
        "    return x\n</code>\nThat is all.",
        "<code>\n    return x\n</code>",
        "The code:\n\n```python\n    return x\n```\nand\n```python\nprint(1)\n```",
        "<code>\n```python\n    return x\n```\n</code>",
        "    return x\n# SOLUTION END\nprint(1)",
        "    return x\nEND SOLUTION",
        "    return x",
    ],
)
def test_the_code_of_an_answer_keeps_its_indentation(text):
    assert read_code(text) == "    return x"


def test_ds1000_tells_right_from_wrong(judge):
    right = [(task, code) for task, codes in DS1000_RIGHT.items() for code in codes]
    check(judge("ds1000", DS1000_ROWS, right), True)
    check(
        judge("ds1000", DS1000_ROWS, [(task, code) for task, codes in DS1000_WRONG.items() for code in codes]), False
    )


@pytest.mark.usefixtures("isolation")
def test_an_evaluation_runs_answers_with_the_packages_of_this_environment(file, tmp_path):
    """The interpreter that the environment is based on, in which other benchmarks run, need not have pandas."""
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"task_id": "DS-1000/1", "solution": DS1000_RIGHT["DS-1000/1"][0]}) + "\n")
    settings = EvaluationSettings(benchmark_files={"ds1000": file(DS1000_ROWS[1])}, workers=1)
    run = evaluate_samples([answers], tmp_path / "out", settings, progress=False)
    check(run.score("ds1000").outcomes, True)


def test_ds1000_fails_an_empty_array_in_place_of_a_number(judge):
    """`assert_allclose` finds no difference between the two."""
    context = DS1000_ROWS[0]["code_context"].replace(
        "return a / a.sum()", "return a[a > 9] if len(a) == 3 else a.sum()"
    )
    row = ds1000(5, "Numpy", context, "result = a[a > 9] if len(a) == 3 else a.sum()")
    check(judge("ds1000", [row], [("DS-1000/5", row["reference_code"])]), True)
    check(judge("ds1000", [row], [("DS-1000/5", "result = np.array([])")]), False)


def test_ds1000_fails_answers_that_lie_to_it(judge):
    check(judge("ds1000", DS1000_ROWS, [("DS-1000/0", code) for code in DS1000_LIES.values()]), False)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"metadata": {"library": "Numpy"}}, "`metadata` must name its `problem_id`"),
        ({"metadata": "no JSON"}, "`metadata` must name its `problem_id`"),
        ({"code_context": "exec_context = 1"}, "`code_context` has no function `test_execution`"),
        ({"code_context": "def ("}, "`code_context` is not Python"),
        ({"reference_code": None}, "`reference_code` must be str"),
    ],
)
def test_rows_of_ds1000_in_another_form(file, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_tasks("ds1000", file({**DS1000_ROWS[0], **changes}))


def test_ds1000_leaves_out_what_needs_absent_libraries(file):
    tasks = load_tasks("ds1000", file(*DS1000_ROWS))
    kept, sentence = get_benchmark("ds1000").runnable(tasks)
    assert [task.id for task in kept] == ["DS-1000/0", "DS-1000/1", "DS-1000/4"]
    assert sentence.startswith("2 of 5 problems of DS-1000 are left out: this Python lacks nowhere_to_be_found;")


# HumanEvalFix


def test_humanevalfix_asks_for_a_repair_and_judges_it(file, judge):
    (task,) = load_tasks("humanevalfix", file(*FIX_ROWS))
    assert "return x * x" in task.request and "assert double(2) == 4" in task.request and "2 * x" not in task.request
    answers = [
        "def double(x):\n    return 2 * x",
        "def double(x):\n    return x * x",
        "",
        "def double(x):\n    return x + 2",
    ]
    lie = "class Any:\n    def __eq__(self, other):\n        return True\ndef double(x):\n    return Any()"
    outcomes = judge("humanevalfix", FIX_ROWS, [("Python/0", code) for code in [*answers, lie]])
    assert [outcome.passed for outcome in outcomes] == [True, False, False, False, False]
    assert "double(-1)" in outcomes[1].detail
    with pytest.raises(
        ValueError, match="scores HumanEvalFix in Python only, with tasks named Python/NUMBER, got 'Rust/0'"
    ):
        load_tasks("humanevalfix", file({**FIX_ROWS[0], "task_id": "Rust/0"}))
    with pytest.raises(ValueError, match="the tests run nothing"):
        load_tasks("humanevalfix", file({**FIX_ROWS[0], "test": "X = 1"}))


def test_humanevalfix_judges_after_imports_and_declaration(judge):
    """An answer may leave out the imports, and the functions of the declaration."""
    answers = ["def decode(x):\n    return math.isqrt(x)", "def decode(x):\n    return x", "def other(x):\n    pass"]
    outcomes = judge("humanevalfix", [ENCODED], [("Python/1", code) for code in answers])
    assert [outcome.passed for outcome in outcomes] == [True, False, False]


# What could lie in one process


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np\ndef f(x):\n    np.random.seed(0)\n    return np.mean(x)",
        "import pandas as pd\npd.options.mode.chained_assignment = None\nresult = df.sum()",
        "import matplotlib.pyplot as plt\nplt.rcParams['font.size'] = 3\nax = plt.gca()\nax.title = 'x'",
        "class Model:\n    def __init__(self, x):\n        self.x = x\n        self.f = lambda y: y\n    def fit(self): return self",
        "if __name__ == '__main__':\n    main()",
        "import sys, io\nimport pandas as pd\nsys.stdout = io.StringIO()\npd.options.display.max_rows = rows\nassert type(x) is type(y)",
        "import traceback\nprint(traceback.format_exc(), '{0.real:.2f} {0.__name__}'.format(x), 'See main.modules_used or nn.Modules')",
        "import re\nPATTERN = re.compile('a')\nmodel.eval()\ndf.eval('a + b')\nfor module in model.modules():\n    print(module.__class__.__name__)",
    ],
)
def test_honest_code_is_believed(code):
    assert distrusted(code) == ()


@pytest.mark.parametrize(
    "code",
    [
        "import unittest.mock as m", "from unittest import TestCase", "import gc", "x = f.__globals__", "getattr(x, 'a').__class__ = y",
        "getattr(x, 'a' + 'b')", "getattr(x, '__globals__')", "print.__self__", "x.__class__ = y", "eval('1')", "compile('1', '', 'eval')", "from sys import modules", "import sys as s\ns.modules['numpy']", "vars(x)", "import timeit", "import pickle", "x.f_locals", "expected_result",
        "class L(list):\n    pass", "class A:\n    def __len__(self): return 3", "class A(metaclass=B):\n    pass", "class A:\n    __eq__ = lambda s, o: True", "np.testing.f = lambda *a: None",
        "def g(): pass\nnp.testing.f = g", "import sys\nsys.modules['numpy'] = 1", "def f(:", "vars(np)['a'] = globals()",
        "A = type('A', (), {})", "make = type", "get = getattr", "x.update(__eq__=y)", "z = '__eq__'", "os.path.exists = bool\nimport os", "import os\nfor os.path.exists in [bool]: pass", "import os\ndel os.path.exists",
        "class A:\n    if True:\n        def __eq__(self, other): return True", "import pkgutil", "from code import InteractiveInterpreter", "from test import support", "from operator import truth as __eq__",
        "sys.addaudithook(f)", "sys.monitoring.use_tool_id(0, '')", "threading.settrace_all_threads(f)", "from traceback import walk_tb as w",
        "f(x, **{'capture_locals': True})", "rich.traceback.install(show_locals=True)", "logging.currentframe()", "import cgitb", "from _pickle import loads", "import cffi", "np.ctypeslib.load_library('c', '/')", "string.Formatter().get_field(x, y, z)", "template('{{ sys.modules }}')",
        "'{0.__globals__}'.format(f)", "df.query('@f.__self__')",
        "np.ma.zeros(2)", "from numpy import ma", "getattr(np, 'ma')", "np.genfromtxt(f, usemask=True)",
    ],
)  # fmt: skip
def test_code_that_could_lie_is_not(code):
    assert distrusted(code)
