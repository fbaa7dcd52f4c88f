"""Problems as the rows of TRL's online trainers."""

import json
import logging
import re

import pytest

from reflection_trl import load_problems_for_rl
from reflection_trl.problems import Problem

from .conftest import ADD, BASH, STDIN


UNTESTED = Problem("open", "Write a poem.")


def test_a_row_is_a_prompt_and_what_judges_its_answers():
    dataset = load_problems_for_rl([ADD, BASH])
    assert dataset.column_names == ["prompt", "problem_id", "language", "tests", "entry_point"]
    assert dataset[0] == {
        "prompt": [{"role": "user", "content": "Write a function `add`."}],
        "problem_id": "add",
        "language": "python",
        "tests": ADD.tests,
        "entry_point": "add",
    }
    assert dataset[1]["entry_point"] is None


def test_examples_are_a_column_where_any_problem_has_some():
    dataset = load_problems_for_rl([ADD, STDIN], system_prompt="You write Python.")
    assert dataset[1]["examples"][0] == {"stdin": "1\n2\n", "stdout": "1.5\n"} and dataset[0]["examples"] == []
    assert dataset[0]["prompt"][0] == {"role": "system", "content": "You write Python."}


def test_plain_prompts_are_text():
    assert load_problems_for_rl([ADD], conversational=False)[0]["prompt"] == "Write a function `add`."
    with pytest.raises(ValueError, match="`system_prompt` needs prompts of messages"):
        load_problems_for_rl([ADD], conversational=False, system_prompt="You write Python.")


def test_the_solution_is_not_in_the_rows():
    dataset = load_problems_for_rl([Problem("a", "b", tests="assert f()", reference="def f(): return SECRET")])
    assert "SECRET" not in json.dumps(dataset[0])


def test_options_are_those_of_load_problems(tmp_path):
    file = tmp_path / "problems.jsonl"
    file.write_text("".join(json.dumps({"task": f"t{i}", "asserts": "assert f()"}) + "\n" for i in range(3)))
    dataset = load_problems_for_rl(str(file), columns={"instruction": "task", "tests": "asserts"}, limit=2)
    assert [row["problem_id"] for row in dataset] == ["problems.jsonl/0", "problems.jsonl/1"]


def test_problems_without_tests_are_refused_or_left_out(caplog):
    with pytest.raises(
        ValueError, match=re.escape("1 of 2 problems have no tests, so no answer to them has a reward: 'open'. Add")
    ):
        load_problems_for_rl([ADD, UNTESTED])
    with caplog.at_level(logging.WARNING):
        assert len(load_problems_for_rl([ADD, UNTESTED], skip_invalid=True)) == 1
    assert "'open'. They are skipped." in caplog.text
    with pytest.raises(ValueError, match="1 of 1 problems have no tests"):
        load_problems_for_rl([UNTESTED], skip_invalid=True)
