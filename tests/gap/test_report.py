"""The advice and the table follow from the figures alone, also at their limits."""

from dataclasses import replace

import pytest

from reflection_trl.evaluation.statistics import Rate
from reflection_trl.gap.report import Gap, Side


STUDENT = Side(40, Rate(0.5, 0.4, 0.6), tests=0, leaning=0, no_code=0, cut=0, docstring=0, prose=0, tokens=80.0)
TEACHER = replace(STUDENT, solved=Rate(0.6, 0.5, 0.7))
GAP = Gap(10, 10, TEACHER, STUDENT, difference=0.1, low=0.01, high=0.19, p_value=0.012)


@pytest.mark.parametrize(
    ("figures", "advice"),
    [
        ({}, "Train on these rows"),
        ({"low": 0.0}, "Measure more rows"),  # an interval that only touches 0 contains it
        ({"low": -0.02, "high": 0.1}, "SFT on the answers will do as well"),
        ({"low": -0.02, "high": 0.0}, "SFT on the answers will do as well"),
        ({"low": -0.02, "high": -0.01}, "Do not distill these rows"),
        ({"student": replace(STUDENT, solved=Rate(1, 0.9, 1))}, "Take harder problems"),
        ({"teacher": replace(TEACHER, solved=Rate(0, 0, 0.1))}, "Repair these rows first: no answer after a sequence"),
    ],
)
def test_advice_of_the_difference(figures, advice):
    assert replace(GAP, **figures).advice.startswith(advice)


@pytest.mark.parametrize(
    ("teacher", "student", "advice"),
    [
        ({"tests": 0.1}, {}, "Train on these rows"),  # a tenth more, not above it
        ({"tests": 0.11}, {}, "Repair these rows first: 11% of the teacher's answers contain tests, against 0% of"),
        # What the student does too is not what the sequence adds
        (
            {"tests": 0.9, "cut": 0.4},
            {"tests": 0.9},
            "Repair these rows first: 40% of the teacher's answers are trunc",
        ),
        ({"leaning": 0.3}, {"leaning": 0.25}, "Train on these rows"),
    ],
)
def test_advice_of_the_style(teacher, student, advice):
    gap = replace(GAP, teacher=replace(TEACHER, **teacher), student=replace(STUDENT, **student))
    assert gap.advice.startswith(advice)


@pytest.mark.parametrize(("p_value", "words"), [(0.012, "p = 0.012"), (0.001, "p = 0.001"), (0.0009, "p < 0.001")])
def test_small_p_values_are_bounds(p_value, words):
    line = f"Gap: +10.0% [+1.0%, +19.0%], {words}, of 10 rows on 10 requests."
    assert line in replace(GAP, p_value=p_value).table().splitlines()
