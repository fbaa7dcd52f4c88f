"""The figures of a run, counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.builder.plot import plot_build
from reflection_trl.builder.statistics import cost_of, measure
from reflection_trl.files.run_folder import SessionUsage


DESCRIBED = {"models": ["m"], "problems": ["p"], "sampling": {}, "prompts": {}, "contamination": ""}


def record(*kinds, rejection=None, wrong=()):
    return {
        "rejection": rejection,
        "outcomes": list(kinds),
        "rounds": len(kinds),
        "repaired": any(kind != "none" for kind in kinds),
        "wrong_asserts": list(wrong),
        "unaided": kinds == ("none",),
        "license": "",
        "solve_rate": 0.25 if len(kinds) > 2 else 1.0,
        "taught": [True, False] if rejection is None else [],
    }


RECORDS = [
    record("none"),
    record("assertion", "none", wrong=["assert f(1) == 3"]),
    record("assertion", "name", "none"),
    record("syntax", rejection="rounds_exhausted", wrong=["assert f(1) == 4"]),
    record(rejection="refused"),
    record(rejection="refused"),
]


def test_counts():
    rows = [RECORDS[1], RECORDS[2]]  # the first one was set aside
    sessions = [SessionUsage(0, began=10.0, until=14.0, prompt_tokens=5, completion_tokens=20, runs=2)]
    found = measure(RECORDS, rows, sessions, **DESCRIBED)
    assert (found.rollouts, found.accepted, found.rows, found.set_aside, found.repaired) == (6, 3, 2, 1, 2)
    assert found.rejections == {"refused": 2, "rounds_exhausted": 1}
    assert [*found.rejections] == ["refused", "rounds_exhausted"]  # the most frequent first
    assert found.rounds == {2: 1, 3: 1}
    assert found.failures == {"assertion": 2, "name": 1, "syntax": 1}
    assert found.wrong_asserts == 1 and found.unaided == 1
    assert found.pass_rates == {
        "first programs": 1 / 4,
        "all programs": 3 / 7,
        "rollouts accepted": 1 / 2,
        "answers after a sequence": 1 / 2,
    }
    assert found.difficulty == {"up to 25%": 1, "100%": 1}
    assert found.licenses == {"unknown": 2}
    assert (found.prompt_tokens, found.completion_tokens, found.runs, found.seconds) == (5, 20, 2, 4.0)
    table = found.table(price_per_million_tokens=2000)
    for line in (
        "| accepted              | 3 (50.0%), 1 with an answer to the request alone ",
        "| rows                  | 2 (1 more set aside) ",
        "| rows with a repair    | 2 (100.0%) ",
        "| rows, by one-off solve rate | up to 25%: 1, 100%: 1 ",
        "| passed | answers after a sequence: 50.0% ",
        "| rejected for          | refused: 2, rounds_exhausted: 1 ",
        "| tokens written        | 20 (5/s) ",
        "| programs run          | 2 (0.5/s) ",
        "| cost                  | 0.05 ",
    ):
        assert " ".join(line.split()) in " ".join(table.split())
    assert len({len(line) for line in table.splitlines()}) == 1
    assert "cost" not in found.table()


def test_the_whole_table():
    sessions = [SessionUsage(0, began=1.0, until=1.8, prompt_tokens=1200, completion_tokens=40, runs=2)]
    one = measure([RECORDS[1]], [RECORDS[1]], sessions, **DESCRIBED)
    assert one.table(1).splitlines() == [
        "|                             |                                 |",
        "|-----------------------------|---------------------------------|",
        "| rollouts                    | 1                               |",
        "| accepted                    | 1 (100.0%)                      |",
        "| rows                        | 1                               |",
        "| rows with a repair          | 1 (100.0%)                      |",
        "| rows, by programs run       | 2: 1                            |",
        "| rows, by one-off solve rate | 100%: 1                         |",
        "| passed                      | answers after a sequence: 50.0% |",
        "| rejected for                | -                               |",
        "| failed attempts             | assertion: 1                    |",
        "| wrong asserts removed       | 1                               |",
        "| tokens written              | 40 (50/s)                       |",
        "| tokens read                 | 1,200                           |",
        "| programs run                | 2 (2.5/s)                       |",
        "| time                        | 1 s                             |",
        "| cost                        | 0.0012                          |",
    ]
    spared = measure(RECORDS, [], [*sessions, SessionUsage(1, began=2.0, until=2.25)], **DESCRIBED, spared=3)
    assert "| 6 (3 more skipped: their problems were given up) " in spared.table()
    assert "| 1 s in 2 sessions " in spared.table()


def test_reasons_and_kinds_are_listed_by_number_and_then_by_name():
    reasons = ["syntax", "refused", "wrong", "wrong", "empty"]
    found = measure([record(reason, rejection=reason) for reason in reasons], [], [], **DESCRIBED)
    assert [*found.rejections.items()] == [("wrong", 2), ("empty", 1), ("refused", 1), ("syntax", 1)]
    assert found.failures == found.rejections and [*found.failures] == [*found.rejections]


def test_shares_of_a_single_rollout():
    found = measure([record("none")], [], [SessionUsage(0, began=1.0, until=2.23456)], **DESCRIBED)
    expected = {"first programs": 1, "all programs": 1, "rollouts accepted": 1, "answers after a sequence": 1 / 2}
    assert found.pass_rates == expected
    assert found.seconds == 1.235, "to the millisecond"


def test_rollouts_of_a_run_from_before_it_was_noted_are_not_unaided():
    old = {name: value for name, value in RECORDS[0].items() if name != "unaided"}
    assert measure([old], [], [], **DESCRIBED).unaided == 0


def test_time_in_which_several_processes_were_at_work_counts_once():
    times = [(0, 10), (1, 4), (9, 12), (20, 25), (100, 100)]
    sessions = [SessionUsage(number, began=float(a), until=float(b), runs=1) for number, (a, b) in enumerate(times)]
    found = measure(RECORDS, [], sessions[::-1], **DESCRIBED)
    assert (found.seconds, found.sessions, found.runs) == (17.0, 3, 5)
    assert "17 s in 3 sessions" in found.table()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=8))
def test_time_at_work_is_that_of_the_seconds_in_any_session(begun):
    sessions = [
        SessionUsage(number, began=float(at), until=float(at + long)) for number, (at, long) in enumerate(begun)
    ]
    found = measure(RECORDS, [], sessions, **DESCRIBED)
    seconds = {second for at, long in begun for second in range(at, at + long)}
    # A stretch begins where a session does and no other was going on, or had just ended
    starts = {at for at, _ in begun if not any(other < at <= other + long for other, long in begun)}
    assert (found.seconds, found.sessions) == (len(seconds), len(starts))


def test_nothing_at_all():
    found = measure([], [], [], **DESCRIBED)
    assert found.pass_rates == {"first programs": 0, "all programs": 0, "rollouts accepted": 0}
    assert "| rejected for          | - " in found.table(1.0)


@pytest.mark.parametrize(
    ("tokens", "price", "text"),
    [
        (0, 3, "0.00"),
        (1000, 3, "0.003"),
        (1_234, 0.2, "0.00025"),
        (100_000, 1, "0.10"),
        (2_000_000, 0.15, "0.30"),
        (10**10, 3, "30,000.00"),
    ],
)
def test_costs_read_well(tokens, price, text):
    assert cost_of(tokens, price) == text


@pytest.mark.parametrize("records", [RECORDS, RECORDS[4:], []])
def test_the_picture_is_drawn_whatever_there_is(tmp_path, records):
    pytest.importorskip("matplotlib")
    rows = [record for record in records if record["rejection"] is None]
    assert plot_build(measure(records, rows, [], **DESCRIBED), tmp_path / "build.png")
    assert (tmp_path / "build.png").read_bytes().startswith(b"\x89PNG")


def test_suspicious_programs_are_counted():
    """Also where older rollouts say nothing of it."""
    records = [
        record("none"),
        record("none") | {"suspicious": ["looks at frames"]},
        record("none") | {"suspicious": []},
    ]
    found = measure(records, [], [], **DESCRIBED)
    assert found.suspicious == 1
    assert "| accepted with a suspicious program |" in found.table()
    assert "suspicious" not in measure(records[::2], [], [], **DESCRIBED).table()
