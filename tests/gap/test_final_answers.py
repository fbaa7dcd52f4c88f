r"""The gap on rows with final answers: judged by the answer, without a sandbox."""

import asyncio

import numpy as np
import pytest

from reflection_trl.builder import RolloutSettings
from reflection_trl.builder.build import Build, read_rows, run_build
from reflection_trl.gap import GapSettings, measure, measure_gap
from reflection_trl.gap.answers import row_problem
from reflection_trl.gap.tokens import formula_tokens
from reflection_trl.generation.types import Completion
from reflection_trl.problems import Problem


PROBLEM = Problem("pears", "Ann has 3 baskets of 12 pears and eats 4 pears. How many are left?", answer="32")
WRONG = r"There are 3 + 12 = 15 pears, so \boxed{11} are left."
RIGHT = r"3 * 12 = 36, so \boxed{32} are left."


class Pupil:
    """Knows the answer after a sequence, and not before."""

    model = "pupil"

    async def __call__(self, prompt, sampling):
        text = prompt[-1]["content"]
        if "` is right." in text:
            return Completion("Multiplying was needed.", "stop", 10, 5)
        if "` is wrong." in text:
            return Completion(f"The numbers were added, which is wrong. {RIGHT}", "stop", 10, 5)
        return Completion(WRONG if len(prompt) == 1 else RIGHT, "stop", 10, 5)


@pytest.fixture
def rows(tmp_path):
    build = Build([PROBLEM], "pupil", RolloutSettings())
    asyncio.run(run_build(build, tmp_path / "build", generate=Pupil(), bar=False))
    return read_rows(tmp_path / "build")


def test_answers_are_judged_by_the_final_answer(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "Executor", lambda **_: pytest.fail("no sandbox is needed"))
    gap = measure_gap(
        rows, settings=GapSettings(samples=3), generate=Pupil(), output_dir=tmp_path / "gap", progress=False
    )
    assert (gap.teacher.solved.value, gap.student.solved.value) == (1.0, 0.0)
    assert gap.teacher.no_code == gap.student.no_code == gap.teacher.docstring == 0
    assert gap.advice.startswith("Measure more rows")  # one is no evidence


def test_a_row_has_its_problem_in_its_columns(rows):
    problem = row_problem(rows[0])
    assert (problem.answer, problem.checker, problem.request) == ("32", "math", PROBLEM.request)
    assert row_problem({**rows[0], "checker": None, "answer": "prose of others"}).answer is None


def test_numbers_and_formulas_are_content():
    answer = r"So 3 * 12 = 1,080.5 pears, that is $x + y$ or \boxed{36}."
    tokens = ["So", "3", "*", "12", "=", "1,080.5", "pears", "that", "x", "y", "or", "\\boxed", "36"]
    starts = np.array([answer.index(token) for token in tokens])
    found = formula_tokens(answer, starts, starts + [len(token) for token in tokens])
    content = [token for token, is_content in zip(tokens, found, strict=True) if is_content]
    assert content == ["3", "*", "12", "=", "1,080.5", "x", "y", "\\boxed", "36"]
