"""Answers with their tests in a code block of their own, as the reflection prompt asks for, in every language."""

import asyncio

import pytest

from reflection_trl.answers import read_answer
from reflection_trl.builder import RolloutSettings
from reflection_trl.builder.asserts import separate_tests, split_asserts
from reflection_trl.builder.rollout import rollout
from reflection_trl.builder.single_turn import judge_completion
from reflection_trl.builder.tested_answer import read_tested_answer
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.generation.types import Completion
from reflection_trl.languages import Executor, get_language
from reflection_trl.languages.execution import Run
from reflection_trl.problems import Problem
from reflection_trl.sandbox import SandboxUnavailableError

from .conftest import ScriptedModel


# Of each language: a solution, its tests as a block of their own, and the tests of the problem
PROGRAMS = {
    "python": ("def add(x):\n    return x + 1", "assert add(2) == 3", "assert add(1) == 2"),
    "cpp": (
        "#include <vector>\n\nint add(int x) { return x + 1; }",
        "#include <cassert>\n#include <vector>\n\nint main() { assert(add(2) == 3); }",
        "#include <cassert>\nint main() { assert(add(1) == 2); }",
    ),
    "rust": (
        "fn add(x: i64) -> i64 { x + 1 }",
        "fn main() { assert_eq!(add(2), 3); }",
        "fn main() { assert_eq!(add(1), 2); }",
    ),
    "java": (
        "class Solution {\n    static int add(int x) { return x + 1; }\n}",
        "import java.util.List;\n\nclass Main {\n    public static void main(String[] all) {\n"
        "        if (Solution.add(List.of(2).get(0)) != 3) throw new AssertionError();\n    }\n}",
        "class Main { public static void main(String[] all) { if (Solution.add(1) != 2) throw new AssertionError(); } }",
    ),
    "javascript": (
        "const add = x => x + 1;",
        "const assert = require('assert');\n\nassert.strictEqual(add(2), 3);",
        "require('assert').strictEqual(add(1), 2);",
    ),
    "typescript": (
        "function add(x: number): number { return x + 1; }",
        "if (add(2) !== 3) throw new Error('add(2) is ' + add(2));",
        "if (add(1) !== 2) throw new Error('add(1) is ' + add(1));",
    ),
    "php": (
        "<?php\nfunction add($x) { return $x + 1; }",
        "<?php\nassert(add(2) === 3);",
        "assert(add(1) === 2);",
    ),
    "bash": (
        "add() { echo $(( $1 + 1 )); }",
        '[ "$(add 2)" = 3 ] || exit 1',
        '[ "$(add 1)" = 2 ] || exit 1',
    ),
    "csharp": (
        "class Solution {\n    public static int Add(int x) { return x + 1; }\n}",
        "using System;\n\nclass Program {\n    static void Main() {\n"
        "        if (Solution.Add(2) != 3) throw new Exception();\n    }\n}",
        "class Program { static void Main() { if (Solution.Add(1) != 2) throw new System.Exception(); } }",
    ),
    "swift": (
        "func add(_ x: Int) -> Int { x + 1 }",
        "import Foundation\n\nassert(add(2) == 3)",
        "assert(add(1) == 2)",
    ),
}  # fmt: skip

QUICK = {("cpp", True), ("javascript", True), ("php", False), ("bash", False)}


def in_blocks(language, *codes):
    return "It adds.\n\n" + "\n\nNow the tests:\n\n".join(f"```{language}\n{code}\n```" for code in codes)


@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize("entry_point", ["add", None])
def test_tests_are_found_behind_the_solution(language, entry_point):
    solution, tests, _ = PROGRAMS[language]
    answer = read_tested_answer(in_blocks(language, solution, tests), language, entry_point)
    parts = split_asserts(answer.code, language)
    assert (len(parts.asserts), answer.lead, answer.closed) == (1, "It adds.", True)
    test = next(line for line in tests.split("\n") if "3" in line)
    assert test in parts.tests and test not in parts.solution
    assert parts.solution.strip().endswith(solution.split("\n")[-1])
    assert answer.code.count("<?php") == (language == "php") and answer.code.count("<vector>") == (language == "cpp")


@pytest.mark.parametrize("language", PROGRAMS)
def test_other_answers_are_read_as_they_are(language):
    solution, tests, _ = PROGRAMS[language]
    for text in (in_blocks(language, solution), in_blocks(language, tests), solution, "No code.", ""):
        assert read_tested_answer(text, language, "add") == read_answer(text, language, "add")


def test_of_two_versions_the_last_counts():
    solution, tests, _ = PROGRAMS["javascript"]
    first = in_blocks("javascript", solution.replace("1", "2"), tests.replace("3", "4"))
    answer = read_tested_answer(f"{first}\n\n{in_blocks('javascript', solution, tests)}", "javascript", "add")
    assert answer.code == f"{solution}\n\n{tests}"


@pytest.mark.parametrize(
    ("language", "solution", "tests"),
    [
        (
            "javascript",
            "class Stack {\n  push(x) { this.top = x; }\n}",
            "const assert = require('assert');\n\nconst stack = new Stack();\nstack.push(1);\nassert.strictEqual(stack.top, 1);",
        ),
        ("bash", "add() { echo $(( $1 + 1 )); }", 'sum=$(add 2)\n[ "$sum" = 3 ] || exit 1'),
        ("php", "<?php\nfunction add($x) { return $x + 1; }", "$sum = add(2);\nassert($sum === 3);"),
    ],
)
def test_what_the_asserts_need_is_a_part_of_the_tests(language, solution, tests):
    answer = read_tested_answer(in_blocks(language, solution, tests), language)
    parts = separate_tests(answer.code, language)
    assert parts.solution.strip() == solution
    assert parts.tests.split("\n")[1:] == tests.split("\n") and parts.tests.split("\n")[0].endswith(" Tests")
    assert [one.source for one in parts.asserts] == [parts.tests]


def test_tests_that_are_not_finished_leave_the_answer_open():
    solution, tests, _ = PROGRAMS["javascript"]
    answer = read_tested_answer(in_blocks("javascript", solution, tests).removesuffix("\n```"), "javascript", "add")
    assert answer.code == f"{solution}\n\n{tests}" and not answer.closed


@pytest.mark.parametrize("language", PROGRAMS)
def test_tests_beside_a_direct_answer_are_found_and_not_run(language):
    solution, tests, problem_tests = PROGRAMS[language]
    ran = []

    async def execute(language, source, tests="", *, entry_point=None, stdin=""):
        ran.append((source.strip(), tests))
        return Run(Feedback(FeedbackKind.NONE, text=""))

    problem = Problem("t/add", "Write `add`.", language=language, tests=problem_tests)
    completion = Completion(in_blocks(language, solution, tests))
    judged = asyncio.run(judge_completion(problem, completion, execute))
    assert judged.tests and judged.solved
    assert [(source.split("\n")[-1], tests) for source, tests in ran] == [(solution.split("\n")[-1], problem_tests)]
    assert not asyncio.run(judge_completion(problem, Completion(in_blocks(language, solution)), execute)).tests


@pytest.mark.parametrize(
    ("language", "with_tests"),
    [
        pytest.param(language, with_tests, marks=[] if (language, with_tests) in QUICK else pytest.mark.slow)
        for language in PROGRAMS
        for with_tests in (True, False)
    ],
)
def test_a_rollout_in_the_form_of_the_prompt_is_accepted(language, with_tests):
    """A failed attempt, its repair and an answer, with tests of the problem and with those of the model alone."""
    if missing := get_language(language).missing():
        pytest.skip(missing)
    solution, own, tests = PROGRAMS[language]
    wrong = solution.replace("+ 1", "- 1")
    model = ScriptedModel(
        [
            in_blocks(language, wrong, own),
            f"The program subtracts one instead of adding it. {in_blocks(language, solution, own)}",
            "It adds one now.",
            f"It adds.\n\n```{language}\n{solution}\n```",
        ]
    )
    problem = Problem("t/add", "Write `add`.", language=language, tests=tests if with_tests else "")
    settings = RolloutSettings(solve_rate_samples=0, answer_samples=1, max_resamples=0)

    async def run():
        async with Executor(languages=[language]) as execute:
            return await rollout(problem, model, execute, settings)

    try:
        made = asyncio.run(run())
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    assert made.accepted, (made.rejection, made.detail)
    assert [attempt.feedback.passed for attempt in made.attempts] == [False, True]
    assert made.taught == ((True,) if with_tests else ())
    assert made.answer_code.strip() == solution
