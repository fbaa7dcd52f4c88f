"""References that fail the tests of their own problems, and those that do not run."""

import asyncio
import dataclasses
import json
import logging

import pytest

from reflection_trl.builder import RolloutSettings, RunError
from reflection_trl.builder.build import Build, run_build
from reflection_trl.builder.references import ReferenceCheck, References
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages.execution import Run
from reflection_trl.problems import Example, Problem

from .conftest import RunsHere
from .replies import Replies


RIGHT = "def times(x):\n    return x * 2"  # not as the model writes it


def problem_of(name, reference=RIGHT, tests="assert times(3) == 6", **fields):
    number = {"right": 0, "wrong": 1, "idle": 2}.get(name, 3)
    request = f"Write a function f{number}(x) that returns 2 times its argument."
    reference = reference and reference.replace("times", f"f{number}")
    return Problem(
        name, request, tests=tests.replace("times", f"f{number}"), reference=reference, source="times", **fields
    )


WRONG = problem_of("wrong", "def times(x):\n    return x + 2")
IDLE = problem_of("idle", "Multiply by 2, as times(x) must.")
BROKEN = "the reference of each one fails the problem's own tests (wrong: AssertionError): correct the tests or"


def run(problems, folder, model=None, execute=None, **options):
    build = Build(problems, "scripted", RolloutSettings(rounds=3, solve_rate_samples=0), **options.pop("build", {}))
    options = {"generate": model or Replies(), "execute": execute or RunsHere(), "bar": False} | options
    return asyncio.run(run_build(build, folder, **options))


def records_of(folder):
    lines = [line for file in (folder / "rollouts").glob("*.jsonl") for line in file.read_text().splitlines()]
    return {(one["problem_id"], one["sample"]): one for one in map(json.loads, lines)}


def test_no_rollout_is_made_of_a_problem_whose_reference_fails_its_tests(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    model, prompts = Replies(), []

    async def records_prompts(prompt, sampling):
        prompts.append(prompt[0]["content"])
        assert "no rollouts of these are made" in caplog.text  # before the first request
        return await model(prompt, sampling)

    problems = [problem_of("right"), WRONG, dataclasses.replace(WRONG, id="wrong too"), problem_of("none", None)]
    statistics = run(problems, tmp_path, records_prompts, build={"samples": 3, "give_up_after": 1})
    assert [record.getMessage() for record in caplog.records] == [
        "The reference fails the problem's own tests in 2 of 3 problems, so no rollouts of these are made: wrong "
        "(AssertionError), wrong too."
    ]
    assert any("f0(x)" in prompt for prompt in prompts) and not any("f1(x)" in prompt for prompt in prompts)
    records = records_of(tmp_path)
    assert len(records) == 12
    for sample in range(3):
        record = records["wrong", sample]
        assert (record["rejection"], record["rounds"], record["runs"]) == ("reference_failed", 0, 0)
        assert record["detail"] == "The reference fails the problem's own tests: AssertionError"
        assert record["messages"] == [{"role": "user", "content": WRONG.instruction}]
    assert statistics.rejections["reference_failed"] == 6
    rows = map(json.loads, (tmp_path / "rows" / "rejected-00000.jsonl").open())
    assert sum(row["rejection"] == "reference_failed" for row in rows) == 6


def test_a_reference_that_does_not_run_is_not_used(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    execute = RunsHere()
    run([problem_of("right"), IDLE], tmp_path, execute=execute, build={"samples": 4})
    assert [record.getMessage() for record in caplog.records] == [
        "The reference does not run with the problem's tests in 1 of 2 problems, so their rollouts do without it: idle "
        "(SyntaxError: invalid syntax (program, line 1))."
    ]
    ran = [source for source, _, _ in execute.calls]
    assert ran.count(IDLE.reference) == 1  # the check alone
    assert ran.count(problem_of("right").reference) > 1  # also with the asserts of the model
    assert {record["rejection"] for (name, _), record in records_of(tmp_path).items() if name == "idle"} >= {None}


def test_references_run_once_in_a_run(tmp_path):
    problems = [problem_of("right"), WRONG, IDLE, problem_of("none", None), problem_of("untested", tests="")]
    execute = RunsHere()

    async def check():
        references = References(tmp_path / "references.json")
        await references.check_all([*problems, problems[0]], execute)
        return [await references.check(problem, execute) for problem in problems]

    outcomes = asyncio.run(check())
    assert outcomes == [
        ReferenceCheck(),
        ReferenceCheck("AssertionError", contradicts=True),
        ReferenceCheck("SyntaxError: invalid syntax (program, line 1)"),
        ReferenceCheck(),
        ReferenceCheck(),
    ]
    assert [source for source, _, _ in execute.calls] == [one.reference for one in (problems[0], WRONG, IDLE)]
    # What did not run may run in the next session, with the package that was missing
    execute.calls.clear()
    assert asyncio.run(check()) == outcomes
    assert [source for source, _, _ in execute.calls] == [IDLE.reference]
    # A damaged file is made again
    (tmp_path / "references.json").write_text("[1")
    execute.calls.clear()
    assert asyncio.run(check()) == outcomes and len(execute.calls) == 3


def test_a_resumed_build_does_not_run_references_again(tmp_path):
    problems, first, again = [problem_of("right"), WRONG], RunsHere(), RunsHere()
    run(problems, tmp_path, execute=first)
    run(problems, tmp_path, execute=again, build={"samples": 2})
    tests = [problem.tests for problem in problems]
    checks = [(problem.reference, problem.tests, "") for problem in problems]
    assert [first.calls.count(check) for check in checks] == [1, 1]
    assert [again.calls.count(check) for check in checks] == [0, 0] and any(call[1] in tests for call in again.calls)
    assert records_of(tmp_path)["wrong", 1]["rejection"] == "reference_failed"


def test_references_that_all_fail_end_the_build_before_the_model_is_asked(tmp_path):
    model = Replies()
    for _ in range(2):
        with pytest.raises(RunError, match="There are no problems to build from") as error:
            run([WRONG], tmp_path, model)
        assert BROKEN in str(error.value)
    assert model.calls == 0
    # The same folder takes the corrected problem
    assert run([problem_of("wrong")], tmp_path, model).rollouts == 1 and model.calls > 0


def test_a_process_other_than_the_first_checks_the_references_of_its_rollouts(tmp_path):
    run([WRONG], tmp_path, process=1, processes=2)
    assert records_of(tmp_path)["wrong", 0]["rejection"] == "reference_failed"


def test_the_bar_counts_references_that_have_run(capsys):
    """Some run into their time limit, and nothing else moves meanwhile."""
    counts = []

    async def execute(language, source, tests="", **options):
        counts.append(capsys.readouterr().err)
        await asyncio.sleep(0)
        return await RunsHere()(language, source, tests, **options)

    problems = [problem_of("right"), WRONG, IDLE, problem_of("none", None)]
    asyncio.run(References().check_all(problems, execute, in_flight=2, bar=True))
    assert "references:   0%" in "".join(counts) and "0/3" in "".join(counts)
    capsys.readouterr()
    asyncio.run(References().check_all(problems, execute))
    assert capsys.readouterr().err == ""


def test_examples_count_as_tests():
    echo = Problem(
        "echo", "Print the input twice.", examples=(Example("a", "aa"), Example("b", "bb")), reference="print(input())"
    )
    outcome = asyncio.run(References().check(echo, RunsHere()))
    assert outcome == ReferenceCheck("WrongOutput: Line 1 of the output: expected `aa`, got `a`.", contradicts=True)


@pytest.mark.parametrize(
    ("language", "kind", "contradicts"),
    [
        ("python", FeedbackKind.ASSERTION, True),
        ("python", FeedbackKind.VALUE, True),
        ("python", FeedbackKind.TYPE, True),
        ("python", FeedbackKind.NAME, False),
        ("python", FeedbackKind.IMPORT, False),
        ("python", FeedbackKind.TIMEOUT, False),
        ("cpp", FeedbackKind.ASSERTION, True),
        ("cpp", FeedbackKind.TYPE, False),
        ("cpp", FeedbackKind.RUNTIME, False),
    ],
)
def test_only_a_failure_that_says_something_contradicts_the_tests(language, kind, contradicts):
    async def execute(language, source, tests="", **options):
        return Run(Feedback(kind, "failed", "Failed"))

    problem = problem_of("right", language=language)
    assert asyncio.run(References().check(problem, execute)) == ReferenceCheck("Failed", contradicts)
