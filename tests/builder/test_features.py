"""Rollouts as rows: what the columns say, and that they say it in every case."""

import dataclasses
import json

import pytest
from datasets import Dataset

from reflection_trl.builder import Attempt, ReflectionSequence
from reflection_trl.builder.features import sequence_features, to_record, to_row
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.problems import Example, Problem
from reflection_trl.sequences import validate_row


PROBLEM = Problem("t/1", "Double it.", tests="assert f(1) == 2", entry_point="f", source="s", license="MIT")
FAILED = Feedback(
    FeedbackKind.ASSERTION,
    "AssertionError",
    "AssertionError",
    "no",
    "program",
    4,
    1,
    "assert f(1) == 2",
    "f(1) == 2",
    "1",
    "2",
    "hm",
)
PASSED = Feedback(FeedbackKind.NONE, "(no output)")
ACCEPTED = ReflectionSequence(
    PROBLEM,
    1,
    "Solve: Double it.",
    (Attempt("a\n```python\nf\n```", "f", FAILED), Attempt("b\n```python\ng\n```", "g", PASSED)),
    "It doubles.",
    "Double it.",
    "```python\nanswer\n```",
    "answer",
    taught=(True, False),
    wrong_asserts=("assert f(2) == 5",),
    prompt_tokens=10,
    completion_tokens=5,
    runs=3,
)


def row_of(sequence):
    record = json.loads(json.dumps(to_record(sequence)))  # as the folder gives it back
    return to_row(record, sequence.problem, "m", '{"first": "temperature 0.8"}', 0.25)


def test_an_accepted_row():
    row = row_of(ACCEPTED)
    validate_row(row)
    assert row["messages"] == ACCEPTED.messages()
    assert row["feedback"] == [FAILED.to_dict(), PASSED.to_dict()]
    expected = {
        "type": "reflection", "problem_id": "t/1", "sample": 1, "language": "python", "tests": "assert f(1) == 2",
        "examples": [], "entry_point": "f", "answer": None, "checker": None, "choices": [],
        "source": "s", "license": "MIT", "rounds": 2, "repaired": True,
        "wrong_asserts": ["assert f(2) == 5"], "model": "m", "sampling": '{"first": "temperature 0.8"}', "prompt_tokens": 10,
        "completion_tokens": 5,
        "solve_rate": 0.25, "teacher_solve_rate": 0.5,
    }  # fmt: skip
    assert {name: row[name] for name in row if name not in ("messages", "feedback")} == expected


def test_columns_are_typed_and_hold_every_row():
    features = sequence_features()
    rows = [row_of(ACCEPTED), row_of(dataclasses.replace(ACCEPTED, attempts=ACCEPTED.attempts[1:], wrong_asserts=()))]
    with_examples = dataclasses.replace(PROBLEM, tests="", entry_point=None, examples=(Example("1\n", "2\n"),))
    rows.append(row_of(dataclasses.replace(ACCEPTED, problem=with_examples)))
    assert all(set(row) == set(features) for row in rows)
    dataset = Dataset.from_list(rows, features=features)
    assert dataset.to_list() == rows
    assert dataset[2]["examples"] == [{"stdin": "1\n", "stdout": "2\n"}]
    assert set(features["feedback"].feature) == {field.name for field in dataclasses.fields(Feedback)}
    assert Feedback.from_dict(dataset[0]["feedback"][0]) == FAILED


@pytest.mark.parametrize(
    ("changes", "roles"),
    [
        ({"attempts": (), "conclusion": "", "answer": ""}, ["user"]),
        ({"attempts": ACCEPTED.attempts[:1], "conclusion": "", "answer": ""}, ["user", "assistant", "tool"]),
        ({"conclusion": ""}, ["user", "assistant", "tool", "assistant", "tool", "user", "assistant"]),
    ],
)
def test_a_rejected_row_ends_where_the_rollout_did(changes, roles):
    rejected = dataclasses.replace(ACCEPTED, rejection="tests_failed", detail="The answer fails.", **changes)
    row = row_of(rejected)
    assert [turn["role"] for turn in row["messages"]] == roles
    assert (row["rejection"], row["detail"]) == ("tests_failed", "The answer fails.")
    assert set(row) == set(sequence_features(rejected=True))
    Dataset.from_list([row], features=sequence_features(rejected=True))
