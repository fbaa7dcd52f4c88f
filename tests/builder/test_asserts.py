"""The asserts of a program: found, moved to other programs, judged, and cut out."""

import asyncio

import pytest

from reflection_trl.builder.asserts import (
    Assert,
    SelfTested,
    contradicted,
    drop_asserts,
    join_tests,
    majority_contradicts,
    separate_tests,
    split_asserts,
)


STACK = """import math

class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        return self.items.pop()

def area(radius):
    return UNIT * radius ** 2

UNIT = math.pi

# Tests
assert area(1) == math.pi, "one"
stack = Stack()
stack.push(3)
assert stack.pop() == 3
cases = [(0, 0)]
def test_cases():
    for radius, wanted in cases:
        assert area(radius) == wanted

if __name__ == "__main__":
    test_cases()
    print("All tests passed")
"""


def sources(program, language="python"):
    return [one.source for one in split_asserts(program, language).asserts]


def test_each_assert_brings_what_it_is_set_up_from():
    assert sources(STACK) == [
        "import math\nassert area(1) == math.pi, 'one'",
        "stack = Stack()\nstack.push(3)\nassert stack.pop() == 3",
        "cases = [(0, 0)]\n"
        "def test_cases():\n    for radius, wanted in cases:\n        assert area(radius) == wanted\ntest_cases()",
    ]


def test_the_solution_is_what_remains():
    assert split_asserts(STACK).solution == STACK[: STACK.index("\n\n# Tests")] + "\n"


def test_a_variable_of_the_tests_may_have_the_name_of_a_local_variable():
    solution = "def pick():\n    found = [1]\n    return found\n"
    parts = split_asserts(f"{solution}\n# Tests\nfound = pick()\nassert len(found) == 1\n")
    assert (parts.solution, parts.tests) == (solution, "found = pick()\nassert len(found) == 1")


@pytest.mark.parametrize(
    "rest",
    [
        "values = [2, 3]\nprint(pick(values))",
        "values = [2]\nvalues.append(3)\nprint(values)",
        "first = [2, 3]\nvalues = first\nprint(pick(values))",
        "values = [2, 3]\nif __name__ == '__main__':\n    print(pick(values))",
    ],
)
def test_the_setup_of_a_test_stays_where_the_rest_of_the_program_uses_it(rest):
    """The solution runs without its tests, and would not know the name."""
    solution = f"def pick(found):\n    return found[0]\n\n{rest}\n"
    parts = split_asserts(f"{solution}\nassert pick(values) == 2\nprint(values)\n")
    assert (parts.solution, parts.tests) == (solution, "assert pick(values) == 2\nprint(values)")
    other = split_asserts(f"{solution}\nothers = [4]\nassert pick(others) == 4\n")
    assert (other.solution, other.tests) == (solution, "others = [4]\nassert pick(others) == 4")


@pytest.mark.parametrize(
    "definition",
    [
        "def pick():\n    return found[0]",
        "def pick(start=found):\n    return start[0]",
        "def pick():\n    global found\n    found = [2]\n    return found[0]",
        "class Picker:\n    first = found[0]\n\ndef pick():\n    return Picker.first",
        "def pick():\n    def inner():\n        return [one for one in found]\n    return inner()[0]",
    ],
)
def test_a_variable_that_the_solution_uses_stays_in_it(definition):
    solution = f"found = [1]\n\n{definition}\n"
    parts = split_asserts(f"{solution}\nassert pick() == found[0]\n")
    assert (parts.solution, parts.tests) == (solution, "assert pick() == found[0]")


@pytest.mark.parametrize(
    "test",
    [
        "assert True",
        "assert 1 == 1",
        "assert callable(f)",
        "assert f",
        "assert len([1]) == 1",
        "assert f(1) == f(1)",
        "assert f(1) == 2 or True",
        "assert (f(1) == 2, 'message')",
        "print(f(1))",
        "def test_f():\n    assert f(1) == 2",  # never called
    ],
)
def test_asserts_that_cannot_fail_do_not_count(test):
    assert sources(f"def f(x):\n    return x\n\n{test}") == []


@pytest.mark.parametrize(
    "test",
    [
        "assert f(1) == 2",
        "assert not f(0)",
        "x = f(1)\nassert x == 2",
        "for x in [1, 2]:\n    assert f(x) == x",
        "try:\n    f('a')\n    assert False\nexcept TypeError:\n    pass",
        "def check_f(g):\n    assert g(1) == 2\ncheck_f(f)",
        "def main():\n    assert f(1) == 2\nmain()",
        "assert sorted([3, 1], key=f) == [1, 3]",
    ],
)
def test_asserts_that_count(test):
    for definition in ("def f(x):\n    return x", "f = lambda x: x"):
        assert len(sources(f"{definition}\n\n{test}")) == 1


def test_asserts_within_the_solution_stay():
    program = "def f(x):\n    assert x > 0\n    return x\n\nassert f(1) == 1\n"
    assert split_asserts(program).solution == "def f(x):\n    assert x > 0\n    return x\n"


def test_code_that_does_not_parse_has_no_asserts():
    assert sources("def f(:\nassert f(1)") == []
    assert sources("assert f(1)\x00") == []


def test_expressions_nested_beyond_reason_are_left_alone():
    program = f"def f(x):\n    return x\n\nassert f(0) == {'-'.join('0' * 3000)}\n"
    assert split_asserts(program).solution == program


def test_wrong_asserts_are_cut_out_and_nothing_else_changes():
    found = split_asserts(STACK).asserts
    assert drop_asserts(STACK, found[:1]) == STACK.replace('assert area(1) == math.pi, "one"\n', "")
    assert drop_asserts(STACK, found[2:]) == STACK.replace("    test_cases()\n", "")
    guarded = 'def f(x):\n    return x\n\nif __name__ == "__main__":\n    assert f(1) == 2\n'
    assert drop_asserts(guarded, split_asserts(guarded).asserts) == "def f(x):\n    return x\n\n"


def test_comments_are_cut_out_with_the_only_asserts_that_they_introduce():
    def program(*lines):
        return "\n".join(["def f(x):", "    return x", "", *lines])

    right, wrong = "assert f(1) == 1", "assert f(2) == 3"
    asserts = split_asserts(program(right, wrong)).asserts
    assert drop_asserts(program(right, wrong), asserts[1:]) == program(right)
    for lines, kept in (
        ([right, "", "# A larger", "# number", wrong, "", "# Done"], [right, "", "", "# Done"]),
        (["# A larger number", wrong, "# A small one", right], ["# A small one", right]),
        (["# Numbers", wrong, right], ["# Numbers", right]),
        (["# Numbers", right, wrong], ["# Numbers", right]),
        (["# Numbers", "", wrong, "", right], ["# Numbers", "", "", right]),
    ):
        whole = program(*lines)
        found = [one for one in split_asserts(whole).asserts if one.source == wrong]
        assert drop_asserts(whole, found) == program(*kept), lines


def test_asserts_that_share_their_line_are_not_cut_out():
    program = "def f(x):\n    return x\n\nassert f(1) == 1; assert f(2) == 3\n"
    assert drop_asserts(program, split_asserts(program).asserts[1:]) is None


def test_a_program_contradicts_what_it_fails(execute):
    program = "def f(x):\n    return x\n\nassert f(1) == 1\nassert f(2) == 3\nassert helper(1) == 1\nassert f('a') == f(1) + 'a'\n"
    found = split_asserts(program.replace("\n\n", "\n\ndef helper(x):\n    return x\n\n", 1)).asserts
    judge = "def f(x):\n    return x"
    wrong = asyncio.run(contradicted(found, judge, execute))
    # The judge has no `helper`, so nothing is said about it
    assert [one.source for one in wrong] == ["assert f(2) == 3", "assert f('a') == f(1) + 'a'"]
    calls = len(execute.calls)
    assert asyncio.run(contradicted(found[:1], judge, execute)) == ()
    assert len(execute.calls) == calls + 1  # asserts that hold cost one run


def test_the_majority_contradicts_what_more_than_half_fail(execute):
    found = split_asserts("def f(x):\n    return x\n\nassert f(1) == 1\nassert f(2) == 3\n").asserts
    same, plus, broken = "def f(x):\n    return x", "def f(x):\n    return x + 1", "def g(x):\n    return x"

    def wrong(*programs):
        return [one.source for one in asyncio.run(majority_contradicts(found, programs, execute))]

    assert wrong(same, same, plus) == ["assert f(2) == 3"]
    assert wrong(same, plus, plus) == ["assert f(1) == 1"]
    assert wrong(same, plus) == []  # a half is no majority
    assert wrong(same) == []  # one is none either
    assert wrong(broken, broken, broken) == []  # programs that lack the function say nothing
    assert wrong() == []


@pytest.mark.parametrize(
    ("language", "program", "solution", "tests"),
    [
        (
            "cpp",
            "#include <vector>\n#include <cassert>\nint one() { return 1; }\n\nint main() {\n    assert(one() == 1);\n}\n",
            "#include <vector>\nint one() { return 1; }\n",
            "#include <vector>\n#include <cassert>\nint main() {\n    assert(one() == 1);\n}\n",
        ),
        (
            "rust",
            "fn one() -> i32 { 1 }\n\nfn main() {\n    assert_eq!(one(), 1);\n}\n",
            "fn one() -> i32 { 1 }\n",
            "fn main() {\n    assert_eq!(one(), 1);\n}\n",
        ),
        (
            "java",
            "class Solution { static int one() { return 1; } }\nclass Main {\n    // throws AssertionError\n}\n",
            "class Solution { static int one() { return 1; } }\n",
            "class Main {\n    // throws AssertionError\n}\n",
        ),
        (
            "javascript",
            "const assert = require('assert');\nconst one = () => 1;\nassert.strictEqual(one(), 1);\n",
            "const one = () => 1;\n",
            "const assert = require('assert');\nassert.strictEqual(one(), 1);\n",
        ),
        ("php", "<?php\nfunction one() { return 1; }\nassert(one() === 1);", "<?php\nfunction one() { return 1; }\n", "assert(one() === 1);"),
        ("bash", "one() { echo 1; }\n[ \"$(one)\" = 1 ] || exit 1\n", "one() { echo 1; }\n", "[ \"$(one)\" = 1 ] || exit 1\n"),
    ],
)  # fmt: skip
def test_other_languages_are_parted_by_lines(language, program, solution, tests):
    parted = split_asserts(program, language)
    assert (parted.solution, [one.source for one in parted.asserts]) == (solution, [tests])
    assert drop_asserts(program, parted.asserts, language) is None


def test_tests_that_cannot_be_moved_count_and_stay():
    program = "class Solution {\n    public static void main(String[] a) {\n        assert one() == 1;\n    }\n}\n"
    parted = split_asserts(program, "java")
    assert (parted.solution, len(parted.asserts)) == (program, 1)
    assert split_asserts("class Solution {}", "java").asserts == ()
    assert split_asserts("whatever", "cobol").asserts == ()


# Of each language: a solution that checks its argument, and what tests it
GUARDED = {
    "cpp": (
        "#include <cassert>\nint half(int x) {\n    assert(x >= 0);\n    return x / 2;\n}\n",
        "int main() { assert(half(4) == 2); }",
        "void test_half() { assert(half(4) == 2); }",
    ),
    "rust": (
        "fn half(x: i64) -> i64 {\n    assert!(x >= 0);\n    x / 2\n}\n",
        "fn main() { assert_eq!(half(4), 2); }",
        "#[cfg(test)]\nmod tests {\n    #[test]\n    fn halves() { assert_eq!(super::half(4), 2); }\n}",
    ),
    "java": (
        "class Solution {\n    static int half(int x) { assert x >= 0; return x / 2; }\n}\n",
        'class Main { public static void main(String[] a) { if (Solution.half(4) != 2) throw new RuntimeException(); } }',
        "class Tests { static void testHalf() { if (Solution.half(4) != 2) throw new AssertionError(); } }",
    ),
    "javascript": (
        "function half(x) {\n  console.assert(x >= 0);\n  if (x > 9) throw new Error('large');\n  return x / 2;\n}\n",
        "console.assert(half(4) === 2);",
        "function runAllTests() {\n  console.assert(half(4) === 2);\n}\nrunAllTests();",
    ),
    "typescript": (
        "function half(x: number): number {\n  if (x < 0) throw new Error('negative');\n  return x / 2;\n}\n",
        "if (half(4) !== 2) {\n  throw new Error('half(4) is ' + half(4));\n}",
        "const testHalf = () => {\n  if (half(4) !== 2) throw new Error('half(4)');\n};\ntestHalf();",
    ),
    "php": (
        "<?php\nfunction half($x) {\n    assert($x >= 0);\n    return $x / 2;\n}\n",
        "if (half(4) !== 2) { throw new Exception('half(4)'); }",
        "function test_half() {\n    assert(half(4) === 2);\n}\ntest_half();",
    ),
    "bash": (
        'half() {\n  [ -n "$1" ] || return 1\n  echo $(( $1 / 2 ))\n}\n',
        '[ "$(half 4)" = 2 ] || exit 1',
        None,
    ),
    "csharp": (
        "class Solution {\n    public static int Half(int x) { if (x < 0) throw new System.Exception(); return x / 2; }\n}\n",
        "class Program { static void Main() { if (Solution.Half(4) != 2) throw new System.Exception(); } }",
        None,
    ),
    "swift": (
        "func half(_ x: Int) -> Int {\n    assert(x >= 0)\n    return x / 2\n}\n",
        "assert(half(4) == 2)",
        "func testHalf() {\n    assert(half(4) == 2)\n}\ntestHalf()",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", GUARDED)
def test_what_checks_an_argument_is_no_test(language):
    solution, tests, inside = GUARDED[language]
    assert split_asserts(solution, language) == SelfTested(solution, ())
    parted = split_asserts(f"{solution}\n{tests}\n", language)
    assert (parted.solution, parted.tests, len(parted.asserts)) == (solution, tests, 1)
    if inside:  # found, though it cannot be moved
        program = f"{solution}\n{inside}\n"
        assert split_asserts(program, language) == SelfTested(program, (Assert("", 1, 1),))
        assert separate_tests(program, language) is None


def test_what_solution_and_tests_need_is_in_both():
    solution, tests, _ = GUARDED["cpp"]
    [test] = split_asserts(f"{solution}\n{tests}\n", "cpp").asserts
    assert test.source == f"#include <cassert>\n{tests}\n"


def test_a_main_that_tests_nothing_is_no_test():
    solution, *_ = GUARDED["cpp"]
    program = f"{solution}\nint main() {{ return half(2); }}\n"
    assert split_asserts(program, "cpp") == SelfTested(program, ())


@pytest.mark.parametrize("language", ["javascript", "typescript"])
@pytest.mark.parametrize(
    ("setup", "test"),
    [
        ("", "console.assert(one() === 1, 'one');"),
        ("const assert = require('assert');", "assert(one() === 1);"),
        ("const assert = require('node:assert').strict;", "assert.equal(one(), 1);"),
        ("import assert from 'node:assert';", "assert.strict.deepEqual(one(), 1);"),
        ('import * as assert from "assert";', "assert.ok(one() === 1);"),
        ("import { strict as assert } from 'assert';", "assert.equal(one(), 1);"),
        ("import { strictEqual } from 'assert/strict';", "strictEqual(one(), 1);"),
        ("const { deepStrictEqual } = require('assert');", "deepStrictEqual(one(), 1);"),
        ("", "if (one() !== 1) throw new Error('one');"),
        ("", "if (one() !== 1) {\n  throw new Error('one');\n}"),
    ],
)
def test_the_forms_of_tests_under_node(language, setup, test):
    solution = "const one = () => 1;\n"
    parted = split_asserts("\n".join(filter(None, [setup, solution, test])), language)
    tests = "\n".join(filter(None, [setup, test]))
    assert (parted.solution, [one.source for one in parted.asserts], parted.tests) == (solution, [tests], tests)
    for other in (
        "const latest = (x) => { throw new Error(x); };\n",
        "function contest(x) {\n  console.assert(x);\n}\n",
    ):
        assert split_asserts(other, language).asserts == ()


def test_comments_between_tests_and_all_lines_of_a_test_belong_to_it():
    program = (
        "# Doubles\ndef double(x):\n    return 2 * x\n\nassert double(1) == 2\n# Two\nassert double(\n    2\n) == 4\n"
    )
    parted = split_asserts(program)
    assert parted.tests == "assert double(1) == 2\n# Two\nassert double(\n    2\n) == 4"
    assert [(one.first, one.last) for one in parted.asserts] == [(5, 5), (7, 9)]


@pytest.mark.parametrize(
    ("language", "solution", "tests", "program"),
    [
        (
            "java",
            "package a;\n\nimport java.util.List;\n\nclass Solution {}\n",
            "import java.util.List;\nimport java.util.Map;\n\nclass Main { void run() { assert true; } }",
            "package a;\n\nimport java.util.List;\nimport java.util.Map;\n\nclass Solution {}\n\nclass Main { void run() { assert true; } }",
        ),
        (
            "java",
            "class Solution {}",
            "import java.util.Map;\n\nclass Main { void run() { assert true; } }",
            "import java.util.Map;\n\nclass Solution {}\n\nclass Main { void run() { assert true; } }",
        ),
        (
            "cpp",
            "#include <vector>\nint one() { return 1; }",
            "#include <cassert>\n#include <vector>\nint main() { assert(one() == 1); }",
            "#include <vector>\nint one() { return 1; }\n\n#include <cassert>\nint main() { assert(one() == 1); }",
        ),
        (
            "swift",
            "func one() -> Int { 1 }",
            "import Foundation\nlet got = one()\nassert(got == 1)",
            "import Foundation\n\nfunc one() -> Int { 1 }\n\n// Tests\nlet got = one()\nassert(got == 1)",
        ),
    ],
)
def test_a_solution_and_its_tests_become_one_program(language, solution, tests, program):
    assert join_tests(solution, tests, language) == program
