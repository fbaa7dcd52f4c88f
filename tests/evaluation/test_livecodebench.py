"""LiveCodeBench: reading its rows, and judging answers as its own evaluator does. The rows are written for these tests."""

import asyncio
import base64
import json
import os
import pickle
import re
import zlib

import pytest

from reflection_trl.cli import evaluate
from reflection_trl.evaluation.benchmark_texts import benchmark_texts
from reflection_trl.evaluation.benchmarks import (
    get_benchmark,
    load_tasks,
    make_prompt,
    parse_benchmarks,
    read_solution,
)
from reflection_trl.evaluation.benchmarks.livecodebench import Case, is_same_line, read_tests, split_lines
from reflection_trl.evaluation.run import EvaluationSettings, evaluate_samples
from reflection_trl.evaluation.tasks import Sample
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.hub.results import hub_dataset
from reflection_trl.languages import Executor
from reflection_trl.languages.execution import Run

from .livecodebench_rows import MEAN, PAIRS, RIGHT, ROWS, WRONG, functional, pack, stdin


@pytest.fixture
def file(tmp_path):
    def write(*rows):
        path = tmp_path / "test.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


# Windows of dates


def test_windows_of_dates(file):
    source = file(*ROWS)
    assert parse_benchmarks(["LiveCodeBench", "livecodebench:2024-08:2025-02"]) == [
        "livecodebench", "livecodebench:2024-08:2025-02",
    ]  # fmt: skip
    found = {
        window: [task.id for task in load_tasks(f"livecodebench{':' if window else ''}{window}", source)]
        for window in ("", "2024-08:2025-02", "2024-08-18:", ":2025-02-27", "2025-03:2025-03")
    }
    assert found == {
        "": ["mean", "pairs", "half"],
        "2024-08:2025-02": ["mean", "pairs"],  # the last day of a month is in it
        "2024-08-18:": ["pairs", "half"],
        ":2025-02-27": ["mean"],
        "2025-03:2025-03": ["half"],
    }
    with pytest.raises(
        ValueError, match="No problem is from a contest in the window of 'livecodebench:2026-01:': give other"
    ):
        load_tasks("livecodebench:2026-01:", source)
    names = {
        hub_dataset(name).config
        for name in ("livecodebench", "livecodebench:2024-08:2025-02", "livecodebench::2024-12")
    }
    assert names == {"release_latest", "2024-08_2025-02", "_2024-12"}


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        ("2024-08", "write a window of dates as livecodebench:2024-08:2025-02"),
        (":", "write a window of dates"),
        ("2024-08:2025-02:2", "write a window of dates"),
        ("2024-13:", "a date is a month or a day, such as 2024-08 or 2024-08-17, got '2024-13'"),
        ("2024-02-30:", "got '2024-02-30'"),
        ("August:", "got 'August'"),
        ("2025-02:2024-08", "the window from 2025-02-01 to 2024-08-31 is empty"),
    ],
)
def test_windows_that_are_none(window, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_benchmarks([f"livecodebench:{window}"])


# Rows


def test_a_request_says_how_the_answer_is_run(file):
    mean, pairs, half = load_tasks("livecodebench", file(*ROWS))
    assert make_prompt(mean, "request").content[0]["content"].startswith(MEAN["question_content"])
    assert "standard input" in mean.request and "class Solution" not in mean.request
    assert "```python\nclass Solution:\n    def pairs(" in pairs.request
    assert (mean.entry_point, pairs.entry_point, half.entry_point) == (None, "Solution", "half")
    printed = "```python\nprint(input())\nprint(1)\n```"
    assert read_solution(mean, printed, "request") == "print(input())\nprint(1)"
    called = f"```python{RIGHT['pairs']}\nprint(Solution().pairs([1], 2))\n```"
    assert "print" not in read_solution(pairs, called, "request")
    with pytest.raises(ValueError, match="has no prompts in the style 'evalplus': use request"):
        make_prompt(mean, "evalplus")


def test_training_data_is_compared_with_the_statements(file):
    source = file(*ROWS)
    assert benchmark_texts([f"livecodebench={source}"]) == {
        "mean": [MEAN["question_content"]],
        "pairs": [PAIRS["question_content"], PAIRS["starter_code"]],
        "half": [ROWS[2]["question_content"], ROWS[2]["starter_code"]],
    }


def test_without_network_the_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"LiveCodeBench is neither .* --benchmark_files livecodebench=FILE\.$"):
        load_tasks("livecodebench")


class Touch:
    """Code in a pickle: it makes a file where it is executed."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def packed(pickled):
    return base64.b64encode(zlib.compress(pickled)).decode()


def test_pickles_with_code_are_refused_and_never_run(file, tmp_path):
    made = tmp_path / "made"
    hostile = pickle.dumps(Touch(made))
    both = pickle.dumps([json.dumps([]), Touch(made)])
    classic = b"cos\nmkdir\n(V" + str(made).encode() + b"\ntR."
    instance = b"(V" + str(made).encode() + b"\nios\nmkdir\n."
    for pickled in (hostile, both, classic, instance):
        with pytest.raises(
            ValueError, match=r"Row 0 of .*: the pickled tests contain \w+ and not only text, so they may run code"
        ):
            load_tasks("livecodebench", file({**MEAN, "private_test_cases": packed(pickled)}))
    assert not made.exists()
    pickle.loads(hostile)
    assert made.exists()  # which is what it would have done


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_hidden_tests_of_any_protocol(protocol):
    text = json.dumps(stdin(("é\n1", "\u2028")))
    assert read_tests(packed(pickle.dumps(text, protocol)), "here") == [Case("é\n1", "\u2028")]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"private_test_cases": None}, "`private_test_cases` must be str or list, got NoneType"),
        ({"private_test_cases": "no base64!"}, "neither JSON nor compressed, base64-encoded pickled text"),
        (
            {"private_test_cases": base64.b64encode(b"plain").decode()},
            "neither JSON nor compressed, base64-encoded pickled text",
        ),
        ({"private_test_cases": packed(b"")}, "the pickled tests are damaged"),
        ({"private_test_cases": packed(pickle.dumps("[]")[:-1])}, "the pickled tests are damaged"),
        ({"private_test_cases": packed(pickle.dumps("{"))}, "the tests '{' cannot be read as JSON"),
        ({"private_test_cases": packed(pickle.dumps("{}"))}, "the tests must be a list, got {}"),
        ({"private_test_cases": pack(stdin(("1", "2")))[:-12] + "AAAA"}, "compressed|damaged|neither JSON"),
        ({"private_test_cases": '[{"input": "1"}]'}, "a test must have the texts `input` and `output`"),
        ({"private_test_cases": '[{"input": "1", "output": "2", "testtype": "interactive"}]'}, "got 'interactive'"),
        ({"private_test_cases": "[]", "public_test_cases": "[]"}, "the problem 'mean' has no tests"),
        ({"metadata": "func_name"}, "metadata 'func_name' cannot be read as JSON"),
        ({"metadata": '{"func_name": "mean"}'}, "the input of a test '1 2' cannot be read as JSON"),
        ({"metadata": '{"func_name": "f(); print"}'}, "`func_name` in `metadata` must be the name of a function, got"),
        ({"metadata": '{"func_name": 3}'}, "`func_name` in `metadata` must be the name of a function, got 3"),
        (
            {"public_test_cases": json.dumps(functional(("1", "2")))},
            "the tests call a function, but `metadata` has no `func_name` that names it",
        ),
        ({"question_id": " "}, "the task has no id"),
        ({"contest_date": "soon"}, "`contest_date` must be a date such as 2024-08-17, got 'soon'"),
        ({"question_content": 3}, "`question_content` must be str, got int"),
    ],
)
def test_rows_of_another_form_are_named(file, changes, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        load_tasks("livecodebench", file({**MEAN, **changes}))
    assert "Row 0 of" in str(error.value) and "\n" not in str(error.value)


def test_files_of_another_version_or_benchmark(file):
    without = {key: value for key, value in MEAN.items() if key != "metadata"}
    with pytest.raises(ValueError, match="not a task of LiveCodeBench in a known version: it has no `metadata`, only"):
        load_tasks("livecodebench", file(without))
    with pytest.raises(ValueError, match="'mean' appears twice"):
        load_tasks("livecodebench", file(MEAN, MEAN))
    with pytest.raises(ValueError, match="has no rows"):
        load_tasks("livecodebench", file())


def test_tests_that_grow_without_end_are_refused(monkeypatch):
    monkeypatch.setattr("reflection_trl.evaluation.benchmarks.livecodebench._LARGEST", 1 << 20)
    with pytest.raises(ValueError, match="hold more than 1 MiB"):
        read_tests(packed(b"\0" * (1 << 21)), "here")


# Comparison


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("1 2", "1 2\n\n", True),
        ("1 2", "  1 2  ", True),
        ("1 2", "1  2", True),  # numbers are compared one by one
        ("a b", "a  b", False),
        ("1.50", "1.5", True),
        ("1", "1.0", True),
        ("1e3", "1000", True),
        ("0.333333", "0.3333333", False),
        ("50000000000000000", "50000000000000001", False),
        ("YES", "Yes", False),
        ("1 2", "1 2 3", False),
        ("1 2", "1", False),
        ("1\n2", "1\n\n2", False),
        ("1\n2", "1", False),
        ("1", "1\n2", False),
        ("", "", True),
        ("", "0", False),
        ("nan", "nan", True),
    ],
)
def test_outputs_are_compared_as_the_evaluator_does(expected, printed, same):
    lines, others = split_lines(expected), split_lines(printed)
    assert (len(lines) == len(others) and all(map(is_same_line, lines, others))) is same


# Judgments


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """All answers, judged in one sandbox: by task and answer whether it passed, and its outcome."""
    source = tmp_path_factory.mktemp("rows") / "test.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    benchmark = get_benchmark("livecodebench")
    tasks = load_tasks("livecodebench", str(source))
    answers = [(task, code) for task in RIGHT for code in (RIGHT[task], *WRONG[task])]

    async def judge():
        async with Executor(languages=["python"], limits=benchmark.limits) as execute:
            samples = [Sample(task, number, code) for number, (task, code) in enumerate(answers)]
            return await benchmark.judge_with(execute, tasks, samples)

    return dict(zip(answers, asyncio.run(judge()).outcomes, strict=True))


@pytest.mark.parametrize("task", RIGHT)
def test_right_answers_pass(judged, task):
    outcome = judged[task, RIGHT[task]]
    assert outcome.passed, outcome.detail


@pytest.mark.parametrize(("task", "code"), [(task, code) for task, codes in WRONG.items() for code in codes])
def test_wrong_answers_and_lies_fail(judged, task, code):
    assert not judged[task, code].passed


def test_a_failure_tells_the_test(judged):
    mean = judged["mean", WRONG["mean"][2]]
    assert (mean.kind, "Line 1 of the output: expected `1.5`, got `1`." in mean.detail) == ("wrong_answer", True)
    pairs = judged["pairs", WRONG["pairs"][3]]
    assert (pairs.kind, "assert _result([3, 2, 4], 6) == [1, 2]" in pairs.detail) == ("wrong_answer", True)
    assert judged["mean", WRONG["mean"][8]].kind == "name"
    assert judged["mean", WRONG["mean"][9]].kind == "syntax"


def test_programs_may_exit_and_read_as_they_like(tmp_path):
    """However an answer reads its input and ends, its output counts."""
    read = "lines = {}.split('\\n')\nrows = [[int(x) for x in line.split()] for line in lines if line]\n"
    show = "for row in rows: print(sum(row) / len(row))\nprint(len(rows))\n"
    codes = [
        read.format("sys.stdin.read()") + show + "exit()\n",
        read.format("sys.stdin.buffer.read().decode()") + show + "sys.exit(0)\n",
        read.format("open(0).read()") + show + "raise SystemExit\n",
        "import os\n" + read.format("os.read(0, 1 << 20).decode()") + show,
        "rows = []\ntry:\n    while True:\n        rows.append(list(map(int, input().split())))\nexcept EOFError:\n    pass\n"
        + show,
    ]
    source = tmp_path / "test.jsonl"
    source.write_text(json.dumps(MEAN) + "\n")
    tasks = load_tasks("livecodebench", str(source))

    async def judge():
        async with Executor(languages=["python"]) as execute:
            samples = [Sample("mean", number, code) for number, code in enumerate(codes)]
            return await get_benchmark("livecodebench").judge_with(execute, tasks, samples)

    assert [outcome.detail for outcome in asyncio.run(judge()).outcomes if not outcome.passed] == []


def test_integers_may_have_as_many_digits_as_in_the_evaluator(tmp_path):
    """Python's own limit is 4,300."""
    source = tmp_path / "test.jsonl"
    test = json.dumps(stdin(("4999\n", f"1{'0' * 4999}\n")))
    source.write_text(json.dumps(MEAN | {"public_test_cases": test, "private_test_cases": "[]"}) + "\n")

    async def judge():
        async with Executor(languages=["python"]) as execute:
            samples = [Sample("mean", 0, "print(10 ** int(input()))")]
            return await get_benchmark("livecodebench").judge_with(
                execute, load_tasks("livecodebench", str(source)), samples
            )

    (outcome,) = asyncio.run(judge()).outcomes
    assert outcome.passed, outcome.detail


@pytest.mark.usefixtures("isolation")
def test_the_command_judges_a_window_of_dates(tmp_path, capsys):
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    answers = [{"task_id": task, "solution": RIGHT[task]} for task in ("mean", "pairs")]
    answers[0]["solution"] = WRONG["mean"][0]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    arguments = [
        "--samples",
        tmp_path / "answers.jsonl",
        "--livecodebench",
        "2024-08:2025-02",
        "--output_dir",
        tmp_path / "out",
    ]
    arguments += ["--benchmark_files", f"livecodebench={tmp_path}/test*.jsonl"]
    assert evaluate.main([*map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"livecodebench:2024-08:2025-02 +2 +50\.0 \[.*\] +wrong answer 1", printed)
    assert (tmp_path / "out" / "livecodebench-2024-08-2025-02" / "samples.jsonl").exists()
    assert (
        evaluate.main(["--samples", "a", "--livecodebench", "2024-08:2025-02", "--benchmark_files", "livecodebenhc=x"])
        == 1
    )
    assert "did you mean `livecodebench`?" in capsys.readouterr().err
    assert (
        evaluate.main(["--samples", "a", "--livecodebench", "2024-08:2025-02", "--benchmark_files", "livecodebench"])
        == 1
    )
    assert "give its file, as in livecodebench=FILE." in capsys.readouterr().err


@pytest.mark.usefixtures("isolation")
def test_answers_import_the_packages_of_this_environment(file, tmp_path):
    """Its evaluator has NumPy; the interpreter that a virtual environment is based on need not have it."""
    path = tmp_path / "answers.jsonl"
    code = f"import importlib.util\nassert importlib.util.find_spec('trl')\n{RIGHT['mean']}"
    path.write_text(json.dumps({"task_id": "mean", "solution": code}) + "\n")
    settings = EvaluationSettings(benchmark_files={"livecodebench": file(MEAN)}, workers=1)
    run = evaluate_samples([path], tmp_path / "out", settings, benchmarks=["livecodebench"], progress=False)
    assert [outcome.detail for outcome in run.scores[0].outcomes if not outcome.passed] == []


def test_the_limit_is_that_of_each_test(file):
    """All tests run at once; where they take too long together, each has the limit to itself."""
    _, pairs, _ = load_tasks("livecodebench", file(*ROWS))
    runs = []

    def executor(slow):
        async def execute(language, source, tests="", **_):
            asserts = [line for line in tests.split("\n") if line.startswith("assert")]
            runs.append(len(asserts))
            late = len(asserts) > 1 or slow in asserts[0]
            return Run(Feedback(FeedbackKind.TIMEOUT if late else FeedbackKind.NONE, ""))

        return execute

    benchmark = get_benchmark("livecodebench")
    assert asyncio.run(benchmark.run_tests(pairs, "def f(): 0", executor("none of them"))).passed
    assert runs == [3, 1, 1, 1]
    runs.clear()
    assert asyncio.run(benchmark.run_tests(pairs, "def f(): 0", executor("[3, 2, 4]"))).kind is FeedbackKind.TIMEOUT
    assert runs == [3, 1, 1]
    assert benchmark.limits.timeout == 6.0
