"""Why answers fail, as a table tells it and as a person reads it."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from reflection_trl.evaluation.evalplus_outcomes import score_evalplus
from reflection_trl.evaluation.evalplus_score import Check, Judgment, judge_evalplus
from reflection_trl.evaluation.failures import missing_answer
from reflection_trl.evaluation.tasks import Sample
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages import Executor
from reflection_trl.languages.execution import Run
from reflection_trl.sandbox import Limits

from .conftest import DATA


def opens(execute):
    """Opens an executor that is this function."""

    @asynccontextmanager
    async def open_executor():
        yield execute

    return open_executor


def opens_nothing():
    raise AssertionError("an answer runs again")


def outcomes(tasks, samples, judgments=None):
    judgments = judgments or judge_evalplus("humaneval", samples)

    def open_executor():
        return Executor(languages=["python"], workers=2, limits=Limits(timeout=4.0))

    base, plus = asyncio.run(score_evalplus("humaneval", tasks, samples, judgments, open_executor))
    assert (base.benchmark, plus.benchmark) == ("humaneval", "humaneval+")
    return base.outcomes, plus.outcomes


@pytest.mark.usefixtures("isolation")
def test_each_failure_has_its_kind_and_tells_the_test(humaneval):
    cases = {
        "syntax": ("HumanEval/53", "def add(x, y:\n    return x + y"),
        "name": ("HumanEval/53", "def add(x, y):\n    return x + z"),
        "type": ("HumanEval/53", "def add(x, y):\n    return str(x) + y"),
        "value": ("HumanEval/53", "def add(x, y):\n    return int('a')"),
        "import": ("HumanEval/53", "import numpie\ndef add(x, y):\n    return x + y"),
        "runtime": ("HumanEval/53", "def add(x, y):\n    return add(x, y)"),
        "wrong_answer": ("HumanEval/53", "def add(x, y):\n    return x - y"),
        "none": ("HumanEval/53", "def add(x, y):\n    return x + y"),
        "timeout": ("HumanEval/2", "def truncate_number(number):\n    while True: pass"),
    }
    samples = [Sample(task, number, code) for number, (task, code) in enumerate(cases.values())]
    base, plus = outcomes(humaneval, samples)
    assert [outcome.kind for outcome in base] == list(cases)
    assert [outcome.kind for outcome in plus] == list(cases)
    details = dict(zip(cases, (outcome.detail for outcome in base), strict=True))
    assert details["wrong_answer"] == "add(0, 1) returned -1, expected 1"
    assert "NameError: name 'z' is not defined" in details["name"]
    assert details["none"] == ""
    assert [outcome.solution for outcome in base] == [code for _, code in cases.values()]


def test_answers_that_are_alike_are_explained_by_one_run(humaneval):
    runs = []

    async def execute(language, source, tests="", **_):
        runs.append(source)
        return Run(Feedback(FeedbackKind.TYPE, text=f"TypeError: {len(runs)}"))

    failed = Check("fail", arguments="(0, 1)", expected="1")
    codes = ["return 'a'", "return 'b'", "return 'a'", "return 'a'"]
    samples = [Sample("HumanEval/53", number, f"def add(x, y):\n    {code}") for number, code in enumerate(codes)]
    judgments = [Judgment(failed, failed)] * len(samples)
    base, _ = asyncio.run(score_evalplus("humaneval", humaneval, samples, judgments, opens(execute)))
    assert len(runs) == 2
    assert [outcome.detail[-1] for outcome in base.outcomes] == ["1", "2", "1", "1"]
    assert [outcome.solution for outcome in base.outcomes] == [sample.solution for sample in samples]


@pytest.mark.parametrize(
    ("check", "detail"),
    [
        (Check("fail", arguments="(0, 1)", limit=1.5, late=True), "add(0, 1) exceeds its time limit of 1.5 s."),
        (
            Check("timeout", arguments="(0, 1)", limit=7.0, late=True),
            "The time limit of 7 s for all inputs ends at add(0, 1).",
        ),
        (Check("timeout", late=True), "The time limit for all inputs ends at add."),
    ],
)
def test_late_answers_are_explained_without_another_run(humaneval, check, detail):
    sample = Sample("HumanEval/53", 0, "def add(x, y):\n    while True: pass")
    base, plus = asyncio.run(score_evalplus("humaneval", humaneval, [sample], [Judgment(check, check)], opens_nothing))
    for outcome in (*base.outcomes, *plus.outcomes):
        assert (outcome.passed, outcome.kind, outcome.detail) == (False, "timeout", detail)


@pytest.mark.usefixtures("isolation")
def test_reasons_that_judging_found_need_no_other_run(humaneval):
    codes = {
        "return x - y": ("wrong_answer", "add(0, 1) returned -1, expected 1"),
        "return float(x) + y + 1": ("wrong_answer", "add(0, 1) returned 2.0, expected 1"),
        "return x + z": (
            "name",
            "add(0, 1)\nTraceback (most recent call last):\n"
            '  File "program.py", line 2, in add\n    return x + z\n               ^\n'
            "NameError: name 'z' is not defined",
        ),
        # Those that evalplus itself judges
        "return range(5)": ("wrong_answer", "add(0, 1) returned range(0, 5), expected 1"),
        "return add(x, y)": ("runtime", "RecursionError: maximum recursion depth exceeded"),
        "class E(Exception): pass\n    raise E('no')": ("runtime", "E: no"),
    }
    programs = [f"def add(x, y):\n    {code}" for code in codes]
    samples = [Sample("HumanEval/53", number, code) for number, code in enumerate([*programs, "x = 1", "def add(:"])]
    judgments = judge_evalplus("humaneval", samples)
    base, plus = asyncio.run(score_evalplus("humaneval", humaneval, samples, judgments, opens_nothing))
    for outcome, (kind, detail) in zip(base.outcomes, codes.values(), strict=False):
        assert outcome.kind == kind
        assert detail in outcome.detail
    assert [outcome.kind for outcome in base.outcomes[len(codes) :]] == ["name", "syntax"]
    assert base.outcomes[-2].detail == "add(0, 1)\nNameError: name 'add' is not defined"
    assert 'File "program.py", line 1' in base.outcomes[-1].detail
    assert plus.outcomes == base.outcomes


def test_a_process_that_ends_only_in_evalplus_is_no_timeout(humaneval):
    async def execute(*_, **__):
        return Run(Feedback(FeedbackKind.NONE, text=""))

    check = Check("timeout", arguments="(0, 1)", expected="1", limit=7.0)
    sample = Sample("HumanEval/53", 0, "def add(x, y):\n    return x + y")
    base, _ = asyncio.run(score_evalplus("humaneval", humaneval, [sample], [Judgment(check, check)], opens(execute)))
    assert (base.outcomes[0].kind, base.outcomes[0].detail) == ("runtime", "The process ends during add(0, 1).")


@pytest.mark.usefixtures("isolation")
def test_what_only_the_plus_finds_fails_there_alone(humaneval):
    rows = {row["task_id"]: row for row in map(json.loads, (DATA / "humaneval.jsonl").read_text().splitlines())}
    x, y = next(
        given for given in rows["HumanEval/53"]["plus_input"] if given not in rows["HumanEval/53"]["base_input"]
    )
    code = f"def add(x, y):\n    return 'no' if (x, y) == ({x}, {y}) else x + y"
    base, plus = outcomes(humaneval, [Sample("HumanEval/53", 0, code)])
    assert base[0].passed
    assert (plus[0].passed, plus[0].kind) == (False, "wrong_answer")
    assert plus[0].detail == f"add({x}, {y}) returned 'no', expected {x + y}"


@pytest.mark.usefixtures("isolation")
def test_the_task_that_nobody_can_pass_says_so(humaneval):
    code = "def find_zero(xs):\n    return 0.0"
    base, _ = outcomes(humaneval, [Sample("HumanEval/32", 0, code)])
    assert "counts every answer to this problem as wrong" in base[0].detail


@pytest.mark.usefixtures("isolation")
def test_an_answer_that_was_cut_off_is_truncated(humaneval):
    sample = Sample("HumanEval/53", 0, "def add(x, y):\n    return (x +", "...", "length")
    base, _ = outcomes(humaneval, [sample], [Judgment(Check("fail"), Check("fail"))])
    assert base[0].kind == "truncated"


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (Sample("T", 0, "", "", "refused"), "refused"),
        (Sample("T", 0, "", "I cannot help with that."), "refused"),
        (Sample("T", 0, " \n", "\n"), "empty"),
        (Sample("T", 0, "", "Let me think about", "length"), "truncated"),
        (Sample("T", 0, "pass", "pass"), None),
        (Sample("T", 0, "pass"), None),
    ],
)
def test_answers_that_cannot_run(sample, kind):
    found = missing_answer(sample)
    assert (found and found[0]) == kind
