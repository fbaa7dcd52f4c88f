"""Rows of well-known data sets become requests that say enough, and tests that a right answer passes."""

import json
from pathlib import Path

import pytest

from reflection_trl.problems import Example, load_problems
from reflection_trl.problems.mappings.apps import apps
from reflection_trl.problems.mappings.exercism import exercism
from reflection_trl.problems.mappings.leetcode import leetcode
from reflection_trl.problems.mappings.mbpp import mbpp
from reflection_trl.problems.mappings.plain import code_feedback, plain
from reflection_trl.problems.mappings.puzzles import puzzles, type_check
from reflection_trl.sandbox import PythonProgram, Sandbox, SandboxUnavailableError, Status


DATA = Path(__file__).parents[1] / "data/problems"
MBPP, PUZZLES, EXERCISM = DATA / "mbpp.jsonl", DATA / "puzzles.json", DATA / "exercism.jsonl"

PREAMBLE = """from typing import *
from math import *

class Chain:
    def __init__(self, value=0, rest=None):
        self.value = value
        self.rest = rest

def chain(values):
    return Chain(values[0], chain(values[1:])) if values else None

def same(a, b):
    return a is b if a is None or b is None else a.value == b.value and same(a.rest, b.rest)
"""
CHECKED = {
    "task_id": "drop-first",
    "prompt": PREAMBLE,
    "completion": "class Solution:\n    def dropFirst(self, items: Optional[Chain], k: int) -> Optional[Chain]:\n"
    "        return self.dropFirst(items.rest, k - 1) if k else items\n",
    "entry_point": "Solution().dropFirst",
    "test": "def check(candidate):\n"
    "    assert same(candidate(items = chain([1, 2, 3]), k = 2), chain([3]))\n"
    "    assert candidate(items = chain([7]), k = 1) is None\n",
    "query": "Drop the first k links of a chain.\n\xa0\nPlease complete the following python code precisely:\n```python\n"
    "# Definition of a chain.\n# class Chain:\n#     ...\n"
    "class Solution:\n    def dropFirst(self, items: Optional[Chain], k: int) -> Optional[Chain]:\n```",
}


@pytest.fixture(scope="module")
def sandbox():
    try:
        with Sandbox(workers=2) as opened:
            yield opened
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


def rows(file):
    text = file.read_text(encoding="utf-8")
    found = json.loads(text) if file.suffix == ".json" else map(json.loads, text.splitlines())
    return {row.get("task_id") or row.get("name") or row.get("slug"): row for row in found}


def passes(sandbox, problem, source):
    verdict = sandbox.run(PythonProgram(source, checks=problem.tests, entry_point=problem.entry_point))
    assert verdict.status is not Status.INFRASTRUCTURE
    return verdict.passed


@pytest.mark.parametrize("file", [MBPP, PUZZLES])
def test_references_pass_their_tests_and_an_empty_answer_does_not(sandbox, file):
    problems = [problem for problem in load_problems(file) if problem.reference]
    assert len(problems) >= 4
    for problem in problems:
        assert passes(sandbox, problem, problem.reference), problem.id
        assert not passes(sandbox, problem, "pass"), problem.id


def test_mbpp_names_the_function_and_keeps_tests_back():
    row = rows(MBPP)[512]
    problem = mbpp(row)
    assert problem.id == "mbpp/512" and problem.entry_point == "count_element_freq" and problem.license == "CC-BY-4.0"
    assert problem.instruction.startswith(row["text"])
    assert "named `count_element_freq`" in problem.instruction
    assert "`count_element_freq((5, 6, (5, 6), 7, (8, 9), 9))` should return `{5: 2, 6: 2, 7: 1, 8: 1, 9: 2}`" in (
        problem.instruction
    )
    for hidden in row["test_list"][1:]:
        assert hidden in problem.tests
        assert hidden.partition("==")[2].strip() not in problem.instruction


def test_mbpp_sanitised_columns():
    row = {
        "task_id": 7,
        "prompt": "Write a function to halve a number.",
        "code": "def halve(x):\r\n    return x / 2\r\n",
        "test_imports": ["import math"],
        "test_list": ["assert math.isclose(halve(3), 1.5)", "assert halve(0) == 0"],
    }
    problem = mbpp(row)
    assert problem.tests == "import math\nassert math.isclose(halve(3), 1.5)\nassert halve(0) == 0\n"
    assert problem.instruction.endswith("For example, `math.isclose(halve(3), 1.5)` should be true.")
    assert "\r" not in problem.reference


def test_mbpp_hands_over_the_class_that_tests_are_built_from():
    problem = mbpp(rows(MBPP)[927])
    assert "Include this class in your code" in problem.instruction
    assert "class Node:" in problem.instruction and "left_height" not in problem.instruction


def test_mbpp_without_a_call_of_its_function_says_so():
    row = {
        "task_id": 1,
        "text": "Add.",
        "code": "def add(a, b): return a + b",
        "test_list": ["assert plus(1, 2) == 3"],
    }
    with pytest.raises(ValueError, match="no test calls a function of `code`"):
        mbpp(row)


def test_mbpp_needs_asserts():
    with pytest.raises(ValueError, match="the first test is not an `assert`"):
        mbpp({"task_id": 1, "text": "Double.", "code": "def f(x):\n    return 2 * x", "test_list": ["f(1)"]})


def test_puzzle_asks_for_the_header_and_shows_the_checker():
    problem = puzzles(rows(PUZZLES)["ListIndex:3"])
    assert "def sol(li=[96, -61, 50, -49, -1, -23, -35], index=3):" in problem.instruction
    assert "return li.index(item) == index" in problem.instruction
    assert problem.instruction.startswith("Find the item whose first index in li is index")
    assert problem.source == "python-programming-puzzles/trivial_inverse" and problem.license == "MIT"
    assert "return li[index]" not in problem.instruction


def test_puzzle_without_a_solution_has_no_reference():
    assert puzzles(rows(PUZZLES)["Conway99:0"]).reference is None


def test_puzzle_answers_must_have_the_type(sandbox):
    problem = puzzles(
        {
            "name": "One:0",
            "sat": "def sat(n: int):\n    return n == 1",
            "ans_type": "int",
            "sol_header": "def sol():",
            "sol_bodies": [],
        }
    )
    assert passes(sandbox, problem, "def sol():\n    return 1")
    assert not passes(sandbox, problem, "def sol():\n    return True")
    assert not passes(sandbox, problem, "def sol():\n    return 1.0")


@pytest.mark.parametrize(
    ("annotation", "value", "fits"),
    [
        ("List[List[int]]", [[1], []], True),
        ("List[List[int]]", [[1], [True]], False),
        ("List[str]", ("a",), False),
        ("float", 1.5, True),
        ("bool", 1, False),
    ],
)
def test_type_check(annotation, value, fits):
    assert eval(type_check(annotation, "value"), {"value": value}) is fits


def test_puzzle_with_a_number_that_python_does_not_read_is_left_out():
    row = {**rows(PUZZLES)["ListIndex:3"], "sat": f"def sat(n: int):\n    return n == {'9' * 5000}"}
    assert puzzles(row) is None


def test_leetcode_shows_all_that_an_answer_needs(sandbox):
    problem = leetcode(CHECKED)
    assert "Please complete" not in problem.instruction and "# Definition" not in problem.instruction
    starter = problem.instruction.partition("```python\n")[2].removesuffix("\n```")
    assert starter.startswith("from typing import Optional\n\n\nclass Chain:")
    assert problem.entry_point == "Solution"
    assert passes(sandbox, problem, problem.reference)
    assert passes(sandbox, problem, starter + "\n        return items if not k else self.dropFirst(items.rest, k - 1)")
    assert not passes(sandbox, problem, starter + "\n        return items")


def test_leetcode_with_separate_columns_asks_the_same():
    statement, _, rest = CHECKED["query"].partition("\n\xa0\n")
    starter = rest.partition("```python\n")[2].removesuffix("```")
    row = {**CHECKED, "query": "", "problem_description": statement, "starter_code": starter}
    assert leetcode(row).instruction == leetcode(CHECKED).instruction


def test_apps_program():
    row = {
        "problem_id": 3,
        "question": "Print the sum.",
        "solutions": json.dumps(["print input()", "print(sum(map(int, input().split())))"]),
        "input_output": json.dumps({"inputs": ["1 2\n", ["3", "4"]], "outputs": ["3\n", "7"]}),
        "starter_code": "",
    }
    problem = apps(row)
    assert problem.examples == (Example("1 2\n", "3\n"), Example("3\n4", "7"))
    assert problem.has_tests and not problem.tests and problem.entry_point is None
    assert "standard input" in problem.instruction
    assert problem.reference.startswith("print(sum"), "the Python 2 solution is passed over"


@pytest.mark.parametrize(
    ("starter", "right", "wrong"),
    [
        ("def pair(a, b):\n\t", "def pair(a, b): return (a, b)", "def pair(a, b): return (b, a)"),
        (
            "class Solution:\n    def pair(self, a, b):",
            "class Solution:\n    def pair(self, a, b): return [a, b]",
            "def pair(a, b): return [a, b]",
        ),
    ],
)
def test_apps_function(sandbox, starter, right, wrong):
    cases = {"fn_name": "pair", "inputs": [[1, 2], ["x", None]], "outputs": [[[1, 2]], ["x", None]]}
    problem = apps({"question": "Pair two values.", "input_output": json.dumps(cases), "starter_code": starter})
    assert "`pair`" in problem.instruction and starter.strip() in problem.instruction
    assert passes(sandbox, problem, right)
    assert not passes(sandbox, problem, wrong)


def test_apps_without_cases_has_no_tests():
    assert not apps({"question": "Think.", "input_output": "", "solutions": ""}).has_tests


def test_apps_with_uneven_cases_says_so():
    with pytest.raises(ValueError, match="2 inputs but 1 outputs"):
        apps({"question": "Q", "input_output": {"inputs": ["a", "b"], "outputs": ["c"]}})


def test_exercism_becomes_calls_and_errors(sandbox):
    problem = exercism(rows(EXERCISM)["hamming"])
    assert problem.entry_point == "distance" and "def distance(strand1, strand2):" in problem.instruction
    assert "ValueError" in problem.instruction and not problem.instruction.startswith("#")
    right = "def distance(a, b):\n    if len(a) != len(b): raise ValueError\n    return sum(map(str.__ne__, a, b))"
    assert passes(sandbox, problem, right)
    assert not passes(sandbox, problem, right.replace("raise ValueError", "return 0"))


def test_exercism_with_several_functions(sandbox):
    problem = exercism(rows(EXERCISM)["triangle"])
    assert problem.entry_point is None
    source = """
def valid(sides):
    a, b, c = sorted(sides)
    return a > 0 and a + b >= c
def equilateral(sides): return valid(sides) and len(set(sides)) == 1
def isosceles(sides): return valid(sides) and len(set(sides)) < 3
def scalene(sides): return valid(sides) and len(set(sides)) == 3
"""
    assert all(f"def {name}(sides):" in problem.instruction for name in ("equilateral", "isosceles", "scalene"))
    assert passes(sandbox, problem, source)
    assert not passes(sandbox, problem, source.replace("< 3", "== 2"))


def test_exercism_calls_names_as_python_does():
    case = {"uuid": "1", "property": "sum", "input": {"fromYear": 1, "list": [2]}, "expected": 1.5}
    optional = {"uuid": "2", "property": "sum", "input": {"list": []}, "expected": None}
    renewed = {"uuid": "3", "reimplements": "2", "property": "sum", "input": {"list": [0]}, "expected": False}
    row = {
        "slug": "s",
        "description": "# Description\n\nAdd.",
        "canonical_data": {"cases": [{"cases": [case, optional]}, renewed]},
    }
    problem = exercism(row)
    assert "def sum_(list, from_year=None):" in problem.instruction
    assert problem.tests == "assert abs(sum_([2], 1) - 1.5) < 0.01\nassert sum_([0], None) is False\n"


def test_exercism_without_function_calls_is_left_out():
    assert exercism(rows(EXERCISM)["circular-buffer"]) is None
    assert "circular-buffer" not in {problem.id.split("/")[1] for problem in load_problems(EXERCISM)}


def test_plain_rows():
    evol = plain({"instruction": "Sort.", "input": "[3, 1]", "output": "no reference"})
    assert evol.instruction == "Sort.\n\n[3, 1]" and evol.reference is None and not evol.has_tests
    feedback = code_feedback({"id": 5, "query": "Invert a matrix.", "answer": "...", "lang": "cpp"})
    assert (feedback.id, feedback.instruction, feedback.language) == ("5", "Invert a matrix.", "cpp")
    own = plain(
        {"instruction": "Echo.", "examples": [{"stdin": "a", "stdout": "a"}], "tests": ["assert 1", "assert 2"]}
    )
    assert own.examples == (Example("a", "a"),) and own.tests == "assert 1\nassert 2"


@pytest.mark.parametrize(
    "examples", ['[{"input": "1", "output": "2"}]', [("1", "2")], {"inputs": ["1"], "outputs": ["2"]}, [["1", "2"]]]
)
def test_examples_in_every_form(examples):
    assert plain({"instruction": "Double.", "examples": examples}).examples == (Example("1", "2"),)


@pytest.mark.parametrize("examples", ["{", [1], [["1"]], [{"stdin": "1"}], [("1", 2)]])
def test_examples_in_no_form(examples):
    with pytest.raises(ValueError, match="`examples` must be a list of `stdin` and `stdout`"):
        plain({"instruction": "Double.", "examples": examples})


def test_cases_with_a_function_become_calls(sandbox):
    cases = {"fn_name": "pair", "inputs": [[1, float("inf")]], "outputs": [[1, float("inf")]]}
    problem = plain({"instruction": "Pair.", "input_output": json.dumps(cases)})
    assert not problem.examples
    assert passes(sandbox, problem, "def pair(a, b): return (a, b)")
    assert not passes(sandbox, problem, "def pair(a, b): return (b, a)")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("fn_name", 5, "`fn_name` of `input_output` must be the name of a function, got 5"),
        ("fn_name", "f(); import os", "`fn_name` of `input_output` must be the name of a function, got 'f"),
        ("inputs", "12", "`inputs` of `input_output` must be a list, got '12'"),
        ("inputs", ["12"], "each of `inputs` of `input_output` must be a list, of the arguments of `f`"),
    ],
)
def test_apps_with_cases_of_no_form_says_so(column, value, message):
    cases = {"fn_name": "f", "inputs": [[1]], "outputs": [1], column: value}
    with pytest.raises(ValueError, match=message.replace("(", "[(]")):
        apps({"question": "Q", "input_output": cases})


TESTS_THAT_DEFINE = {
    "check": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate(1) == 2\n",
    "pytest": "from solution import double\n\n\ndef test_one():\n    assert double(1) == 2\n",
    "pytest class": "class TestDouble:\n    def test_one(self):\n        assert double(1) == 2\n",
    "unittest": "import unittest\n\n\nclass Cases(unittest.TestCase):\n    def setUp(self):\n        self.two = 2\n\n"
    "    def test_one(self):\n        self.assertEqual(double(1), self.two)\n",
    "unittest main": "from unittest import TestCase\nimport unittest\n\n\nclass Cases(TestCase):\n    def test_one(self):\n"
    "        self.assertEqual(double(1), 2)\n\n\nif __name__ == '__main__':\n    unittest.main()\n",
    "exit": "import sys\n\nassert double(1) == 2\nsys.exit(0)\n",
    "check and exit": "def check(candidate):\n    assert candidate(1) == 2\n\n\nexit()",
    "coroutine": "async def test_one():\n    assert double(1) == 2\n",
    "statements that are no tests": "import random\nimport sys\n\nsys.path.insert(0, '.')\nrandom.seed(0)\ntry:\n    import numpy\n"
    "except ImportError:\n    numpy = None\n\n\ndef test_one():\n    assert double(1) == 2\n\n\nprint('done')\n",
    "check that is not called": "def check(candidate):\n    assert candidate(1) == 2\n\n\nassert double(0) == 0\n",
    "one of two is called": "def test_one():\n    assert double(0) == 0\n\n\ndef test_two():\n    assert double(1) == 2\n\n\ntest_one()\n",
}


@pytest.mark.parametrize("tests", TESTS_THAT_DEFINE.values(), ids=TESTS_THAT_DEFINE)
def test_tests_that_only_define_are_run(sandbox, tests):
    (problem,) = load_problems([{"prompt": "Double.", "tests": tests, "entry_point": "double"}])
    assert passes(sandbox, problem, "def double(x): return 2 * x")
    assert not passes(sandbox, problem, "def double(x): return 3 * x")
    assert not passes(sandbox, problem, "pass")


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (
            "def check(candidate):\n    assert candidate(1) == 2",
            "define `check`, but there is no `entry_point` to call it",
        ),
        ("def test_one(tmp_path):\n    assert f()", "`test_one` of the tests needs pytest, for its fixtures"),
        ("@parametrize\ndef test_one():\n    assert f()", "`test_one` of the tests needs pytest"),
        ("def helper():\n    assert f()", "the tests run nothing"),
        ("import f\nx = 5", "the tests run nothing"),
        ("# f(1) is 1", "the tests run nothing"),
        ("import unittest\nunittest.main()", "the tests run nothing"),
        ("unittest.main()", "the tests run nothing"),
        ("'assert f()'", "the tests run nothing"),
        ("import sys\nsys.exit(0)", "the tests run nothing"),
    ],
)
def test_tests_that_cannot_be_run_are_refused(tests, message):
    with pytest.raises(ValueError, match=f"Row 0 .*{message}"):
        list(load_problems([{"prompt": "Double.", "tests": tests}]))


def test_tests_that_run_something_are_left_alone():
    for tests in (
        "f()",
        "for x in ():\n    pass",
        "def check(f): assert f\n\n\ncheck(double)",
        "with a:\n    f()",
        "f()\nexit(1)",
        "exit(0)\nf()",
    ):
        (problem,) = load_problems([{"prompt": "Double.", "tests": tests}])
        assert problem.tests == tests
    (problem,) = load_problems([{"prompt": "Double.", "tests": "def check(f): ...", "language": "javascript"}])
    assert problem.tests == "def check(f): ..."
