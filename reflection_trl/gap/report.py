"""Summarizes the answers in both contexts: solve rates, their difference, styles, and one sentence of advice."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ..evaluation.statistics import Rate, bootstrap_interval, permutation_comparison, wilson_interval
from .answers import STUDENT, TEACHER, request_key
from .tokens import TokenGap


# Styles that make answers unusable
_STYLES = ("tests", "leaning", "no_code", "cut")
# The share of them, above the student's, from which the advice is a repair, and a gap that is worth a distillation
_MUCH = 0.1


@dataclass(frozen=True)
class Side:
    """
    Summarizes the answers in one context. All shares are from 0 to 1.

    Args:
        answers (`int`):
            Number of answers.
        solved ([`~reflection_trl.evaluation.statistics.Rate`]):
            Share of correct answers, with its 95 % interval over requests: by a bootstrap, or Wilson's if all requests
            agree.
        tests (`float`):
            Share of answers with tests.
        leaning (`float`):
            Share of answers that refer to earlier attempts ("corrected version").
        no_code (`float`):
            Share of answers without a program, or without a final answer where there is one.
        cut (`float`):
            Share of truncated answers.
        docstring (`float`):
            Share of answers with a docstring (Python).
        prose (`float`):
            Share of answers with prose around the code.
        tokens (`float`):
            Mean number of tokens.
    """

    answers: int
    solved: Rate
    tests: float
    leaning: float
    no_code: float
    cut: float
    docstring: float
    prose: float
    tokens: float


@dataclass(frozen=True)
class Gap:
    """
    Contains the gap of a dataset and a model.

    Args:
        rows (`int`):
            Number of evaluated rows.
        requests (`int`):
            Number of different requests among them, the unit of the intervals.
        teacher ([`Side`]):
            Answers after the sequences.
        student ([`Side`]):
            Answers from the requests alone.
        difference (`float`):
            Solve rate of the teacher minus that of the student, on the same rows: the gap.
        low, high (`float`):
            Its 95 % interval over requests. 0 is outside it exactly if `p_value` is below 0.05.
        p_value (`float`):
            P-value of the difference, by a permutation test over requests.
        agreement (`int`, *optional*, defaults to `0`):
            Number of rows without tests, for which an answer counts as correct if it equals the row's program.
        tokens ([`TokenGap`], *optional*):
            Difference of the token predictions, if it was measured.
    """

    rows: int
    requests: int
    teacher: Side
    student: Side
    difference: float
    low: float
    high: float
    p_value: float
    agreement: int = 0
    tokens: TokenGap | None = None

    @property
    def advice(self) -> str:
        """Returns the advice for these rows, in one sentence."""
        teacher, student = self.teacher.solved.value, self.student.solved.value
        points = f"{self.difference:+.1%} [{self.low:+.1%}, {self.high:+.1%}]".replace("%", "")
        if teacher == 0:
            return (
                "Repair these rows first: no answer after a sequence is correct, so the teacher has nothing to teach; read some with "
                "`reflection-trl browse`."
            )
        worst = max(_STYLES, key=lambda name: getattr(self.teacher, name) - getattr(self.student, name))
        excess = getattr(self.teacher, worst) - getattr(self.student, worst)
        if excess > _MUCH:
            what = {
                "tests": "contain tests",
                "leaning": "refer to earlier attempts",
                "no_code": "contain no program or final answer",
                "cut": "are truncated",
            }[worst]
            return (
                f"Repair these rows first: {getattr(self.teacher, worst):.0%} of the teacher's answers {what}, against "
                f"{getattr(self.student, worst):.0%} of the student's, and distillation would teach this too."
            )
        if student == 1:
            return (
                "Take harder problems: the model solves all of these without a sequence, so there is nothing to learn."
            )
        if self.low > 0:
            return f"Train on these rows, and compare distillation with SFT: the teacher solves more than the student, {points} points."
        if self.high < 0:
            return f"Do not distill these rows: the teacher solves less than the student, {points} points; train on the answers alone (SFT)."
        if self.high > _MUCH:
            return (
                f"Measure more rows (`--rows`): with {self.requests:,} requests the gap is {points} points, so it may be large or "
                "none."
            )
        return f"SFT on the answers will do as well: the gap is not significant, {points} points."

    def to_dict(self) -> dict[str, Any]:
        """Returns the gap as plain data, including the advice."""
        return dataclasses.asdict(self) | {"advice": self.advice}

    def table(self) -> str:
        """Returns the gap as a Markdown table, followed by the advice."""
        sides = (self.teacher, self.student)

        def line(name: str, cell: Callable[[Side], str]) -> str:
            return f"| {name} | {cell(sides[0])} | {cell(sides[1])} |"

        lines = [
            "| | teacher, after the sequence | student, the request alone |",
            "|---|---|---|",
            line("answers", lambda side: f"{side.answers:,}"),
            line("right", lambda side: _rate(side.solved)),
            line("with tests", lambda side: f"{side.tests:.1%}"),
            line("refer to earlier attempts", lambda side: f"{side.leaning:.1%}"),
            line("without a program or final answer", lambda side: f"{side.no_code:.1%}"),
            line("truncated", lambda side: f"{side.cut:.1%}"),
            line("with a docstring", lambda side: f"{side.docstring:.1%}"),
            line("with prose", lambda side: f"{side.prose:.1%}"),
            line("tokens", lambda side: f"{side.tokens:.0f}"),
        ]
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"
        lines += [
            "",
            f"Gap: {self.difference:+.1%} [{self.low:+.1%}, {self.high:+.1%}], {p}, of {self.rows:,} rows on {self.requests:,} requests.",
        ]
        if self.agreement:
            lines.append(
                f"{self.agreement:,} rows have no tests: there, an answer counts as right when it is the row's own program, so the gap is one "
                "of agreement."
            )
        if self.tokens is not None:
            lines += ["", self.tokens.table()]
        return "\n".join([*lines, "", self.advice])


def summarize(
    rows: Sequence[tuple[int, dict[str, Any]]], records: Sequence[dict[str, Any]], tokens: TokenGap | None = None
) -> Gap:
    """
    Computes the gap from the answers.

    Args:
        rows (`Sequence`):
            Output of [`~reflection_trl.gap.answers.choose_rows`].
        records (`Sequence[dict]`):
            Their answers, from [`~reflection_trl.gap.answers.sample_one`].
        tokens ([`TokenGap`], *optional*):
            Difference of the token predictions.
    """
    of: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        of[record["context"], record["key"]].append(record)
    taught, alone = defaultdict(list), {}
    for number, row in rows:
        request = request_key(row)
        taught[request].append(fmean(record["solved"] for record in of[TEACHER, f"row {number}"]))
        alone[request] = fmean(record["solved"] for record in of[STUDENT, request])
    # Rows with the same request are not independent: each counts in the mean, but the bootstrap resamples requests
    weights = [len(rates) for rates in taught.values()]
    teacher = [fmean(rates) for rates in taught.values()]
    student = [alone[request] for request in taught]
    differences = [one - other for one, other in zip(teacher, student, strict=True)]
    low, high, p_value = permutation_comparison(differences, weights)
    return Gap(
        rows=len(rows),
        requests=len(taught),
        teacher=_side([record for record in records if record["context"] == TEACHER], teacher, weights),
        student=_side([record for record in records if record["context"] == STUDENT], student, weights),
        difference=fmean(differences, weights),
        low=low,
        high=high,
        p_value=p_value,
        agreement=sum(of[TEACHER, f"row {number}"][0]["judged_by"] == "agreement" for number, _ in rows),
        tokens=tokens,
    )


def _side(records: Sequence[dict[str, Any]], rates: Sequence[float], weights: Sequence[float]) -> Side:
    names = ("tests", "leaning", "no_code", "cut", "docstring", "prose")
    shares = {name: fmean(bool(record[name]) for record in records) for name in names}
    value = fmean(rates, weights)
    # A bootstrap over requests that all agree would have an interval without a width
    interval = wilson_interval(value, len(rates)) if len(set(rates)) == 1 else bootstrap_interval(rates, weights)
    return Side(
        answers=len(records),
        solved=Rate(value, *interval),
        **shares,
        tokens=fmean(record["tokens"] for record in records),
    )


def _rate(rate: Rate) -> str:
    return f"{rate.value:.1%} [{rate.low:.1%}, {rate.high:.1%}]"
