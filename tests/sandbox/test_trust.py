"""Shows each row of SECURITY.md's table on Python verdicts by an answer that exploits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflection_trl.sandbox import PythonProgram, Sandbox


# By the first column: a wrong answer, tests that it passes, and tests as the table recommends them
ROWS = {
    "the data that a function returns": (
        "def f(x): return {3: 6}.get(x)",
        "assert f(3) == 6",
        "assert f(3) == 6 and f(4) == 8",
    ),
    "`==`, `<`, `hash()` between instances of a class under test": (
        "class P:\n    def __init__(self, x): self.x = 0\n    def __eq__(self, o): return isinstance(o, P) and bool(vars(o))",
        "assert P(1) == P(1)",
        "assert P(1) == P(1) and P(1).x == 1",
    ),
    "`in`, `len()`, `str()`, iteration and truth of an instance that the tests created": (
        "class Bag:\n    def __init__(self, *items): pass\n    def __contains__(self, item): return True",
        "assert 3 in Bag(3)",
        "assert 3 in Bag(3) and 4 not in Bag(3)",
    ),
    "helper functions and constants that the tests take from the answer, besides the function under test": (
        "def poly(x): return 0\nEPSILON = 9.0\ndef f(x): return 1.0",
        "assert abs(poly(f(3))) < EPSILON",
        "def poly(x): return x - 3\nassert abs(poly(f(3))) < 0.1",
    ),
    "files that the answer writes into the working directory": (
        "def f():\n    open('out.txt', 'w').write('')\n    open('ok', 'w').close()",
        "import os\nf()\nassert os.path.exists('ok')",
        "f()\nassert open('out.txt').read() == 'text'",
    ),
    "the value of an argument after the call": (
        "def f(x):\n    x.clear()\n    return []",
        "x = [2, 1]\nassert f(x) == sorted(x)",
        "x = [2, 1]\ny = sorted(x)\nassert f(x) == y",
    ),
    "a comparison of empty values": (
        "def f(x): return []",
        "assert all(a == b for a, b in zip(f(3), [6, 8]))",
        "assert len(f(3)) == 2 and all(a == b for a, b in zip(f(3), [6, 8]))",
    ),
    "Python's own comparison of data": (
        "def f(x): return float('nan')",
        "assert not abs(f(1) - 1) > 0.1",
        "assert abs(f(1) - 1) < 0.1",
    ),
    "an answer without tests": ("x = 0", "", "assert x == 1"),
}


# Rows that other tests show: tests/evaluation/test_library_benchmarks.py
ELSEWHERE = ["an answer to BigCodeBench or DS-1000 in the same process as its tests"]


@pytest.mark.parametrize("row", ROWS)
def test_what_is_trusted(sandbox: Sandbox, row: str):
    answer, trusting, as_recommended = ROWS[row]
    assert sandbox.run(PythonProgram(answer, trusting, entry_point="f")).passed
    assert not sandbox.run(PythonProgram(answer, as_recommended, entry_point="f")).passed


def test_the_table_is_whole():
    lines = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| The tests trust | Reason | Consequence |")
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(line.split("|")[1].strip())
    assert [row for row in rows if row not in ELSEWHERE] == list(ROWS)
