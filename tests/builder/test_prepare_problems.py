"""What is removed from a set of problems, and what the report says of it."""

import json
from pathlib import Path

import pytest

from reflection_trl.builder import Removal, prepare_problems
from reflection_trl.builder.build import _contamination
from reflection_trl.problems import Problem, load_problems


DATA = Path(__file__).parents[1] / "data/problems"
LEAKED = "Of all auction lots return the two whose estimates lie nearest to one another, cheaper one first."


@pytest.fixture
def benchmark(tmp_path):
    file = tmp_path / "benchmark.jsonl"
    file.write_text(json.dumps({"task_id": "HumanEval/7", "prompt": LEAKED}) + "\n")
    return str(file)


def test_problems_from_a_benchmark_that_is_evaluated_are_removed(tmp_path):
    """Any benchmark, by the class that the evaluation asks; the report and the card name it, and not its file."""
    row = {
        "question_id": "lots",
        "question_content": LEAKED,
        "starter_code": "",
        "contest_date": "2024-08-17",
        "metadata": "{}",
    }
    tests = {"public_test_cases": [{"input": "1", "output": "1"}], "private_test_cases": "[]"}
    (tmp_path / "test.jsonl").write_text(json.dumps(row | tests) + "\n")
    problems = [
        Problem("a", LEAKED + " Be quick."),
        Problem("b", "Say hello to the world in a loud and friendly voice, please."),
    ]
    kept, report = prepare_problems(
        problems, decontaminate_against=[f"livecodebench:2024-01:={tmp_path / 'test.jsonl'}"]
    )
    assert (ids(kept), report.removed[0].of, report.benchmarks) == (["b"], "lots", ["livecodebench:2024-01:"])
    assert "share 10 words in a row with a task of livecodebench:2024-01:, or" in _contamination(report)


def ids(problems):
    return [problem.id for problem in problems]


def test_duplicates_and_contamination(benchmark):
    long = "Given a list of parcels and a list of vans, give every parcel a van such that no van carries too much"
    problems = [
        Problem("a", long, tests="assert True"),
        Problem("b", LEAKED + " Be quick."),
        Problem("c", long.upper() + "!"),
        Problem("d", long + "."),
        Problem("e", long, language="java"),
        Problem("f", long.replace("Given a", "For a")),
        Problem("g", "Sort."),
    ]
    kept, report = prepare_problems(iter(problems), decontaminate_against=[benchmark], near_duplicate_threshold=0.8)
    assert ids(kept) == ["a", "e", "g"]
    assert report.removed == [
        Removal("b", "contaminated", "HumanEval/7", "of all auction lots return the two whose estimates lie"),
        Removal("c", "duplicate", "a"),
        Removal("d", "duplicate", "a"),
        Removal("f", "near_duplicate", "a"),
    ]
    assert (report.total, report.kept, report.with_tests) == (7, 3, 1)
    assert report.languages == {"python": 2, "java": 1}
    assert [str(removal) for removal in report.removed[:2]] == [
        "b: contaminated by HumanEval/7 ('of all auction lots return the two whose estimates lie')",
        "c: duplicate of a",
    ]


def test_a_duplicate_of_a_contaminated_problem_goes_too(benchmark):
    problems = [Problem("a", "Pair lots."), Problem("b", "Pair lots!", reference=f"# {LEAKED}"), Problem("c", "Sort.")]
    kept, report = prepare_problems(problems, decontaminate_against=[benchmark])
    assert ids(kept) == ["c"]
    assert [(r.id, r.reason, r.of, r.through) for r in report.removed] == [
        ("a", "contaminated", "HumanEval/7", "b"),
        ("b", "contaminated", "HumanEval/7", None),
    ]
    assert "through its duplicate b" in str(report.removed[0])


def test_both_can_be_switched_off():
    problems = [Problem("a", LEAKED), Problem("b", LEAKED + " Now."), Problem("c", LEAKED)]
    kept, report = prepare_problems(problems, decontaminate_against=(), near_duplicate_threshold=None)
    assert ids(kept) == ["a", "b"] and report.benchmarks == []
    assert "not looked for" in report.summary()


def test_puzzles_made_from_humaneval_and_twins_go(benchmark):
    kept, report = prepare_problems(load_problems(DATA / "puzzles.json"), decontaminate_against=[benchmark])
    assert {r.id: r.reason for r in report.removed} == {
        "puzzles/Intersperse:1": "contaminated",
        "puzzles/SlidingOne:1": "near_duplicate",
    }
    assert len(kept) == 5


def test_report_is_plain_data_and_readable(benchmark):
    problems = [Problem("a", LEAKED, source="x"), Problem("b", "Sort.", source="y"), Problem("c", "sort", source="z")]
    _, report = prepare_problems(problems, decontaminate_against=[benchmark])
    record = json.loads(json.dumps(report.to_dict()))
    assert record["counts"] == {"duplicate": 1, "near_duplicate": 0, "contaminated": 1}
    assert record["removed"][1] == {"id": "c", "reason": "duplicate", "of": "b", "ngram": "", "through": None}
    assert record["benchmarks"] == [benchmark] and record["sources"] == {"y": 1}
    lines = [line.split() for line in report.summary().splitlines()]
    assert [(line[-2] if "kept" in line else line[1], line) for line in lines[:1]] == [("3", ["problems", "3"])]
    assert ["=", "kept", "1", "0", "with", "tests", "or", "a", "final", "answer"] in lines
    assert any(line[:3] == ["-", "contaminated", "1"] for line in lines)


def test_a_benchmark_that_cannot_be_read_is_named_with_the_way_around_it(monkeypatch):
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", "none.jsonl")
    monkeypatch.setattr("evalplus.data.humaneval.HUMANEVAL_OVERRIDE_PATH", "none.jsonl")
    with pytest.raises(
        ValueError,
        match=r"cannot be compared with humaneval: HumanEval\+ cannot be read .*`--decontaminate_against none`",
    ):
        prepare_problems([Problem("a", "Add.")], decontaminate_against=["humaneval"])


def test_ids_are_unique():
    with pytest.raises(ValueError, match="2 problems have the id 'a'; give each problem a unique id"):
        prepare_problems([Problem("a", "x"), Problem("a", "y")], decontaminate_against=())
    with pytest.raises(ValueError, match="There are no problems"):
        prepare_problems([], decontaminate_against=())
