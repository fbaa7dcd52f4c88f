"""Problems that are set aside: always the same ones, and as many as were asked for."""

import pytest

from reflection_trl.problems import Example, Problem, hold_out, load_problems, write_problems


PROBLEMS = [Problem(f"p/{number}", f"Write a function number {number}.") for number in range(400)]


def test_a_problem_stays_on_its_side_whatever_else_there_is():
    kept, aside = hold_out(PROBLEMS, 0.15)
    assert [*kept, *aside] != PROBLEMS and sorted([*kept, *aside], key=PROBLEMS.index) == PROBLEMS
    assert 40 <= len(aside) <= 80  # 60, give or take two and a half standard deviations
    assert hold_out(PROBLEMS[::-3], 0.15)[1] == [problem for problem in PROBLEMS[::-3] if problem in aside]
    assert set(aside) <= set(hold_out(PROBLEMS, 0.3)[1])


def test_nothing_is_set_aside_unless_asked():
    assert hold_out(PROBLEMS, 0.0) == (PROBLEMS, [])


@pytest.mark.parametrize("share", [-0.1, 1, 15])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match=rf"must be from 0 on and below 1, got {share}\."):
        hold_out(PROBLEMS, share)


def test_written_problems_are_read_again(tmp_path):
    problems = [
        Problem(
            "a/1", "Füge hinzu.", tests="assert add(1, 2) == 3", entry_point="add", reference="def add(a, b): ..."
        ),
        Problem("a/2", "Print the sum.", "cpp", examples=(Example("1 2", "3"),), source="mine", license="MIT"),
    ]
    write_problems(problems, tmp_path / "new" / "held_out.jsonl")
    read = list(load_problems(tmp_path / "new" / "held_out.jsonl"))
    assert read[1] == problems[1] and read[0].reference == problems[0].reference
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["held_out.jsonl"]
