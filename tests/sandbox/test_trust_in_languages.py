"""Shows each row of SECURITY.md's table on verdicts of other languages by an answer that exploits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflection_trl.languages import LANGUAGES
from reflection_trl.sandbox import Sandbox


_USINGS = "using System;\nusing System.Diagnostics;\n"


def _main(body: str) -> str:
    return f"{_USINGS}class Tests {{ public static void Main(string[] args) {{ {body} }} }}"


# By the first column: the language, a wrong answer, tests that it passes, and tests as the table recommends them
ROWS = {
    "the data that functions and methods return": (
        "rust",
        "fn f(x: i32) -> i32 { if x == 3 { 6 } else { 0 } }",
        "fn main() { assert_eq!(f(3), 6); }",
        "fn main() { assert_eq!(f(3), 6); assert_eq!(f(4), 8); }",
    ),
    "comparisons of two objects of a class that the tests name": (
        "csharp",
        f"{_USINGS}public class P {{ public int X; public P(int x) {{ }} public static bool operator ==(P a, P b) {{ return true; }} "
        "public static bool operator !=(P a, P b) { return false; } public P Twice() { return this; } }",
        _main("Debug.Assert(new P(2).Twice() == new P(4));"),
        _main("Debug.Assert(new P(2).Twice() == new P(4) && new P(2).Twice().X == 4);"),
    ),
    "results of the methods of such an object": (
        "rust",
        "pub struct Bag;\nimpl Bag { pub fn of(_: &[i32]) -> Bag { Bag } pub fn contains(&self, _: i32) -> bool { true } }",
        "fn main() { assert!(Bag::of(&[3]).contains(3)); }",
        "fn main() { assert!(Bag::of(&[3]).contains(3)); assert!(!Bag::of(&[3]).contains(4)); }",
    ),
    "that the answer calls a function that the tests pass": (
        "rust",
        "fn each<F: FnMut(i32)>(_: &[i32], _f: F) {}",
        "fn main() { each(&[2], |x| assert_eq!(x, 2)); }",
        "fn main() { let mut n = 0; each(&[2], |x| { assert_eq!(x, 2); n += 1; }); assert_eq!(n, 1); }",
    ),
    "helper functions that the tests take from the answer, besides the function under test": (
        "rust",
        "fn close(_: f64, _: f64) -> bool { true }\nfn f(_: f64) -> f64 { 0.0 }",
        "fn main() { assert!(close(f(1.0), 2.0)); }",
        "fn close(a: f64, b: f64) -> bool { (a - b).abs() < 1e-9 }\nfn main() { assert!(close(f(1.0), 2.0)); }",
    ),
    "in PHP, that an object is true": (
        "php",
        "<?php\nclass Y { public $x = 2; }\nfunction f($x) { return new Y(); }\nfunction g($x) { return new Y(); }",
        "if (!f(3) || g(1)->x !== 2) { throw new Exception('no'); }",
        "if (f(3) !== true || g(1)->x !== 2) { throw new Exception('no'); }",
    ),
    "the value of an argument after the call": (
        "php",
        "<?php\nfunction f(array &$a) { $a = []; return 0; }",
        "$a = [1, 2]; if (f($a) !== array_sum($a)) { throw new Exception('no'); }",
        "$a = [1, 2]; $sum = array_sum($a); if (f($a) !== $sum) { throw new Exception('no'); }",
    ),
    "a comparison of empty values": (
        "bash",
        "f() {\n    :\n}",
        "for x in $(f 3); do [[ $x == 6 ]] || exit 1; done\n",
        "[[ $(f 3) == 6 ]] || exit 1\n",
    ),
    "the language's own comparison of data": (
        "javascript",
        "function f(x) { return NaN; }",
        "if (Math.abs(f(3) - 6) > 0.1) throw new Error('no');",
        "if (!(Math.abs(f(3) - 6) < 0.1)) throw new Error('no');",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_is_trusted(sandbox_with_toolchains: Sandbox, row: str):
    name, answer, trusting, as_recommended = ROWS[row]
    language = LANGUAGES[name]
    if missing := language.missing():
        pytest.skip(missing)
    passed = [
        language.diagnose(
            sandbox_with_toolchains.run(language.program(answer, tests, entry_point="f")), answer, tests
        ).passed
        for tests in (trusting, as_recommended)
    ]
    assert passed == [True, False]


def test_the_table_is_whole():
    lines = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| In other languages the tests trust | Reason | Consequence |")
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(line.split("|")[1].strip())
    assert rows == list(ROWS)
