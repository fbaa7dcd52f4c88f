"""What a run came to: counts of rollouts, rejections, rounds, kinds of failure, tokens and time."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..files.run_folder import Session
from .features import share_solved


_ONE_OFF, _TAUGHT = "one-off answers", "answers after a sequence"


@dataclass(frozen=True)
class BuildStatistics:
    """
    Figures of one run. `models`, `problems`, `sampling`, `prompts`, `rollouts`, `accepted`, `rejections`, `pass_rates`,
    `contamination`, `untested` and `licenses` are what the dataset card shows.

    Args:
        models (`list[str]`):
            Who wrote the sequences.
        problems (`list[str]`):
            Sources of the problems, with their number.
        sampling (`dict[str, str]`):
            How each stage was drawn.
        prompts (`dict[str, str]`):
            The templates.
        rollouts (`int`):
            Made in all.
        accepted (`int`):
            Fit to be trained on.
        rows (`int`):
            In the dataset: the accepted ones without those that were set aside.
        set_aside (`int`):
            Surplus successes at the first try.
        repaired (`int`):
            Rows with at least one failed attempt.
        rejections (`dict[str, int]`):
            Reasons.
        rounds (`dict[int, int]`):
            Programs in a row's sequence -> rows.
        failures (`dict[str, int]`):
            Kinds of feedback of failed attempts, over all rollouts.
        wrong_asserts (`int`):
            Asserts of models' own that were found wrong in accepted rollouts.
        pass_rates (`dict[str, float]`):
            Shares of what was tried that passed.
        licenses (`dict[str, int]`):
            Of the rows' problems.
        contamination (`str`):
            What the problems were compared with, and what was found.
        prompt_tokens (`int`):
            Of all requests of all sessions, those of unfinished rollouts included.
        completion_tokens (`int`):
            Of all answers, likewise.
        runs (`int`):
            Programs that were run, likewise.
        seconds (`float`):
            In which at least one process was at work.
        sessions (`int`):
            Stretches of time in which the run was at work; several processes at a time are one.
        spared (`int`, *optional*, defaults to 0):
            Rollouts of problems that were given up, which were not made.
        unaided (`int`, *optional*, defaults to 0):
            Accepted rollouts whose answer was given to the request alone.
        difficulty (`dict[str, int]`, *optional*):
            Share of one-off answers that pass -> rows, where it was measured.
        suspicious (`int`, *optional*, defaults to 0):
            Accepted rollouts with a program that touches what honest ones do not.
        untested (`str`, *optional*, defaults to `""`):
            How many problems have neither tests nor examples, in a sentence.
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
        """As plain data."""
        return dataclasses.asdict(self)

    def _solve_rates(self) -> list[tuple[str, str]]:
        """
        Returns a line on how often answers passed, with a sequence before them and without, where that was measured.
        """
        rates = {name: self.pass_rates.get(name) for name in (_ONE_OFF, _TAUGHT)}
        text = ", ".join(f"{name}: {rate:.1%}" for name, rate in rates.items() if rate is not None)
        return [("passed", text)] if text else []

    def table(self, price_per_million_tokens: float | None = None) -> str:
        """
        Returns a summary in Markdown.

        Args:
            price_per_million_tokens (`float`, *optional*):
                Of prompts and answers alike; adds a line on the cost.
        """
        seconds = max(self.seconds, 1e-9)
        lines = [
            (
                "rollouts",
                f"{self.rollouts:,}" + (f" ({self.spared:,} more spared: problems given up)" if self.spared else ""),
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
    Returns a cost as text, to the hundredth, or to two digits where it is less.

    Args:
        tokens (`int`):
            Prompts and answers together.
        price_per_million (`float`):
            Of a million of them.
    """
    cost = tokens / 1e6 * price_per_million
    return f"{cost:,.2f}" if cost >= 0.1 or not cost else f"{cost:.2g}"


def measure(
    records: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    sessions: Sequence[Session],
    solve_rates: Sequence[float] = (),
    **described: Any,
) -> BuildStatistics:
    """
    Counts a run.

    Args:
        records (`Sequence[dict]`):
            All rollouts.
        rows (`Sequence[dict]`):
            The dataset's rows.
        sessions (`Sequence[Session]`):
            Of the run's folder.
        solve_rates (`Sequence[float]`, *optional*):
            Of each problem, share of one-off answers that pass.
        described: `models`, `problems`, `sampling`, `prompts`, `contamination`, `untested` and `spared`.
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
    """Returns rows by the share of one-off answers to their problem that pass, hardest first."""
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


def _stretches(sessions: Sequence[Session]) -> list[tuple[float, float]]:
    """Returns the times in which at least one session was going on."""
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
