"""Counts the rollouts, rejections, rounds, failure types, tokens and time of a run."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..files.run_folder import SessionUsage
from .features import share_solved


_ONE_OFF, _TAUGHT = "one-off answers", "answers after a sequence"


@dataclass(frozen=True)
class BuildStatistics:
    """
    Holds the statistics of one run. The dataset card shows `models`, `problems`, `sampling`, `prompts`, `rollouts`, `accepted`,
    `rejections`, `pass_rates`, `contamination`, `untested` and `licenses`.

    Args:
        models (`list[str]`):
            Models that wrote the sequences.
        problems (`list[str]`):
            Sources of the problems, with the number of problems.
        sampling (`dict[str, str]`):
            Sampling settings of each stage.
        prompts (`dict[str, str]`):
            Prompt templates.
        rollouts (`int`):
            Number of all rollouts.
        accepted (`int`):
            Number of accepted rollouts.
        rows (`int`):
            Number of rows in the dataset: accepted rollouts that were not set aside.
        set_aside (`int`):
            Number of surplus rollouts without a failed attempt.
        repaired (`int`):
            Number of rows with at least one failed attempt.
        rejections (`dict[str, int]`):
            Reasons of rejection, with the number of rollouts.
        rounds (`dict[int, int]`):
            Number of programs in a sequence -> number of rows.
        failures (`dict[str, int]`):
            Failure types of failed attempts, over all rollouts.
        wrong_asserts (`int`):
            Number of wrong asserts in accepted rollouts.
        pass_rates (`dict[str, float]`):
            Shares of programs and answers that passed.
        licenses (`dict[str, int]`):
            Licenses of the rows' problems, with the number of rows.
        contamination (`str`):
            Benchmarks of the decontamination, and its result.
        prompt_tokens (`int`):
            Tokens of all requests of all sessions, including unfinished rollouts.
        completion_tokens (`int`):
            Tokens of all completions, likewise.
        runs (`int`):
            Number of programs that ran, likewise.
        seconds (`float`):
            Time in seconds during which at least one process was active.
        sessions (`int`):
            Number of separate periods during which the run was active.
        spared (`int`, *optional*, defaults to `0`):
            Number of rollouts that were not made, because their problem was given up.
        unaided (`int`, *optional*, defaults to `0`):
            Number of accepted rollouts whose answer was sampled from the request alone.
        difficulty (`dict[str, int]`, *optional*, defaults to `{}`):
            Share of passing one-off answers -> number of rows, if it was measured.
        untested (`str`, *optional*, defaults to `""`):
            Sentence on the number of problems with neither tests nor examples.
        suspicious (`int`, *optional*, defaults to `0`):
            Number of accepted rollouts with a program that uses names which legitimate programs do not.
    """

    models: list[str]
    problems: list[str]
    sampling: dict[str, str]
    prompts: dict[str, str]
    rollouts: int
    accepted: int
    rows: int
    set_aside: int
    repaired: int
    rejections: dict[str, int]
    rounds: dict[int, int]
    failures: dict[str, int]
    wrong_asserts: int
    pass_rates: dict[str, float]
    licenses: dict[str, int]
    contamination: str
    prompt_tokens: int
    completion_tokens: int
    runs: int
    seconds: float
    sessions: int
    spared: int = 0
    unaided: int = 0
    difficulty: dict[str, int] = field(default_factory=dict)
    untested: str = ""
    suspicious: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the statistics as plain data."""
        return dataclasses.asdict(self)

    def _solve_rates(self) -> list[tuple[str, str]]:
        """Returns a line with the pass rates of answers with and without a sequence, if they were measured."""
        rates = {name: self.pass_rates.get(name) for name in (_ONE_OFF, _TAUGHT)}
        text = ", ".join(f"{name}: {rate:.1%}" for name, rate in rates.items() if rate is not None)
        return [("passed", text)] if text else []

    def table(self, price_per_million_tokens: float | None = None) -> str:
        """
        Returns a summary as a Markdown table.

        Args:
            price_per_million_tokens (`float`, *optional*):
                Price of prompt and completion tokens; adds a line with the cost.
        """
        seconds = max(self.seconds, 1e-9)
        lines = [
            (
                "rollouts",
                f"{self.rollouts:,}"
                + (f" ({self.spared:,} more skipped: their problems were given up)" if self.spared else ""),
            ),
            (
                "accepted",
                f"{self.accepted:,} ({self.accepted / max(1, self.rollouts):.1%})"
                + (f", {self.unaided:,} with an answer to the request alone" if self.unaided else ""),
            ),
            ("rows", f"{self.rows:,}" + (f" ({self.set_aside:,} more set aside)" if self.set_aside else "")),
            ("rows with a repair", f"{self.repaired:,} ({self.repaired / max(1, self.rows):.1%})"),
            ("rows, by programs run", _counts(self.rounds)),
            *([("rows, by one-off solve rate", _counts(self.difficulty))] if self.difficulty else []),
            *self._solve_rates(),
            ("rejected for", _counts(self.rejections)),
            ("failed attempts", _counts(self.failures)),
            *([("accepted with a suspicious program", f"{self.suspicious:,}")] if self.suspicious else []),
            ("wrong asserts removed", f"{self.wrong_asserts:,}"),
            ("tokens written", f"{self.completion_tokens:,} ({self.completion_tokens / seconds:,.0f}/s)"),
            ("tokens read", f"{self.prompt_tokens:,}"),
            ("programs run", f"{self.runs:,} ({self.runs / seconds:,.1f}/s)"),
            ("time", f"{self.seconds:,.0f} s" + (f" in {self.sessions} sessions" if self.sessions > 1 else "")),
        ]
        if price_per_million_tokens is not None:
            lines.append(("cost", cost_of(self.prompt_tokens + self.completion_tokens, price_per_million_tokens)))
        left, right = (max(len(line[side]) for line in lines) for side in (0, 1))
        head = [f"| {'':{left}} | {'':{right}} |", f"|{'-' * (left + 2)}|{'-' * (right + 2)}|"]
        return "\n".join([*head, *(f"| {name:{left}} | {value:{right}} |" for name, value in lines)])


def cost_of(tokens: int, price_per_million: float) -> str:
    """
    Formats a cost with two decimals, or with two significant digits if it is small.

    Args:
        tokens (`int`):
            Number of prompt and completion tokens together.
        price_per_million (`float`):
            Price per million tokens.
    """
    cost = tokens / 1e6 * price_per_million
    return f"{cost:,.2f}" if cost >= 0.1 or not cost else f"{cost:.2g}"


def measure(
    records: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    sessions: Sequence[SessionUsage],
    solve_rates: Sequence[float] = (),
    **described: Any,
) -> BuildStatistics:
    """
    Computes the statistics of a run.

    Args:
        records (`Sequence[dict]`):
            All rollouts.
        rows (`Sequence[dict]`):
            Rows of the dataset.
        sessions (`Sequence[SessionUsage]`):
            Sessions of the run folder.
        solve_rates (`Sequence[float]`, *optional*, defaults to `()`):
            Share of passing one-off answers of each problem.
        **described (`Any`):
            The fields `models`, `problems`, `sampling`, `prompts`, `contamination`, `untested` and `spared`.
    """
    accepted = [record for record in records if record["rejection"] is None]
    outcomes = [record["outcomes"] for record in records]
    programs = [kind for kinds in outcomes for kind in kinds]
    stretches = _stretches(sessions)
    first = [kinds[0] for kinds in outcomes if kinds]
    taught = share_solved(records)
    return BuildStatistics(
        rollouts=len(records),
        accepted=len(accepted),
        rows=len(rows),
        set_aside=len(accepted) - len(rows),
        repaired=sum(row["repaired"] for row in rows),
        rejections=_sorted(Counter(record["rejection"] for record in records if record["rejection"])),
        rounds=dict(sorted(Counter(row["rounds"] for row in rows).items())),
        failures=_sorted(Counter(kind for kind in programs if kind != "none")),
        wrong_asserts=sum(len(record["wrong_asserts"]) for record in accepted),
        pass_rates={
            "first programs": _share(first),
            "all programs": _share(programs),
            "rollouts accepted": len(accepted) / max(1, len(records)),
            **({_ONE_OFF: sum(solve_rates) / len(solve_rates)} if solve_rates else {}),
            **({_TAUGHT: taught} if taught is not None else {}),
        },
        licenses=_sorted(Counter(row["license"] or "unknown" for row in rows)),
        prompt_tokens=sum(session.prompt_tokens for session in sessions),
        completion_tokens=sum(session.completion_tokens for session in sessions),
        runs=sum(session.runs for session in sessions),
        seconds=round(sum(end - begin for begin, end in stretches), 3),
        sessions=len(stretches),
        difficulty=_difficulty(rows),
        unaided=sum(record.get("unaided", False) for record in accepted),
        suspicious=sum(bool(record.get("suspicious")) for record in accepted),
        **described,
    )


def _difficulty(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Groups rows by the share of passing one-off answers to their problem, hardest first."""
    rates = [rate for row in rows if (rate := row["solve_rate"]) is not None]
    bands = [
        (0.0, "0%"),
        (0.25, "up to 25%"),
        (0.5, "up to 50%"),
        (0.75, "up to 75%"),
        (0.999, "below 100%"),
        (1.0, "100%"),
    ]
    counts = Counter(next(name for most, name in bands if rate <= most) for rate in rates)
    return {name: counts[name] for _, name in bands if counts[name]}


def _stretches(sessions: Sequence[SessionUsage]) -> list[tuple[float, float]]:
    """Returns the periods during which at least one session was active."""
    stretches: list[tuple[float, float]] = []
    for session in sorted(sessions, key=lambda one: one.began):
        if stretches and session.began <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], session.until))
        else:
            stretches.append((session.began, session.until))
    return stretches


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _share(kinds: Sequence[str]) -> float:
    return sum(kind == "none" for kind in kinds) / max(1, len(kinds))


def _counts(counts: dict[Any, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items()) or "-"
