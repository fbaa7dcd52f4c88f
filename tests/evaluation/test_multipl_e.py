"""MultiPL-E: reading tasks, reading answers, and judging them with fake and with real compilers."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from reflection_trl.evaluation.benchmarks import get_benchmark, load_tasks
from reflection_trl.evaluation.multipl_e_code import solution_of
from reflection_trl.evaluation.tasks import Sample, Task
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages import LANGUAGES, Executor, get_language
from reflection_trl.languages.execution import Run
from reflection_trl.sandbox import Sandbox, SandboxError, SandboxUnavailableError


DATA = Path(__file__).parents[1] / "data" / "multipl_e"
SOLUTIONS = json.loads((DATA / "solutions.json").read_text())
CODES = list(SOLUTIONS)


def task(language: str, name: str = "within") -> Task:
    return next(task for task in load_tasks(f"multipl-e:{language}", DATA) if task.id.endswith(name))


def fenced(task: Task, code: str) -> str:
    """A chat model's answer."""
    return f"Sure, here it is:\n\n```{LANGUAGES[task.language].fences[0]}\n{code}```\n\nIt holds for {{all}} inputs."


def body(task: Task, code: str) -> str:
    """The same code as a completion of the prompt, and what a base model may go on with."""
    rest = code.split("\n", 1)[1]
    if task.language in ("java", "csharp"):
        rest = "\n".join(f"    {line}" if line else line for line in rest.split("\n"))
    return f"{rest}\n// Example of use\nfunction main() {{\n}}\n"


# Loading


@pytest.mark.parametrize("name", ["cpp", "C++", "js", "rs", "sh", "cs", "typescript", "swift", "php", "java"])
def test_tasks_of_a_language_by_any_of_its_names(name):
    tasks = load_tasks(f"multipl-e:{name}", DATA)
    assert [task.id for task in tasks] == [
        "Mini_0_digit_product",
        "Mini_1_squeeze",
        "Mini_2_running_max",
        "Mini_3_within",
    ]
    assert {task.benchmark for task in tasks} == {f"multipl-e:{tasks[0].language}"}
    for task in tasks:
        assert task.prompt in task.request + "\n"
        assert task.request.startswith(f"Complete this {LANGUAGES[task.language].title} function")
        assert task.stop and task.entry_point in task.tests


def test_a_pattern_of_files_gives_the_rows_of_the_language():
    assert load_tasks("multipl-e:rust", str(DATA / "*.jsonl")) == load_tasks(
        "multipl-e:rust", DATA / "humaneval-rs.jsonl"
    )


@pytest.mark.parametrize(
    "language, source, sentence",
    [
        ("python", None, "MultiPL-E in 'python' is not supported: use one of cpp, java"),
        ("cobol", None, "Unknown language 'cobol'"),
        ("cpp", "nowhere.jsonl", "nowhere.jsonl"),
        ("cpp", DATA / "humaneval-rs.jsonl", r"has no tasks in C\+\+ \(`language` 'cpp'\): give the file"),
    ],
)
def test_sources_that_are_none(language, source, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_tasks(f"multipl-e:{language}", source)


def test_without_network_the_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"get its file .`humaneval-java.jsonl`. elsewhere and give its path"):
        load_tasks("multipl-e:java")


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"tests": None}, "Row 1 of .* has no `tests`"),
        ({"stop_tokens": "\n}"}, "Row 1 of .* has no `stop_tokens`"),
        ({"prompt": "// nothing to do\n"}, "does not end with the signature of a function"),
        ({"name": "Mini_0_digit_product"}, "'Mini_0_digit_product' appears twice in"),
    ],
)
def test_rows_that_are_no_tasks(tmp_path, change, sentence):
    rows = [json.loads(line) for line in (DATA / "humaneval-cpp.jsonl").read_text().splitlines()]
    rows[1] |= change
    (tmp_path / "broken.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=sentence):
        load_tasks("multipl-e:cpp", tmp_path / "broken.jsonl")


# Reading answers


@pytest.mark.parametrize("code", CODES)
def test_a_completion_ends_at_the_first_stop_token(code):
    one = task(code)
    solution = solution_of(one, body(one, SOLUTIONS[code][one.id]))
    assert solution.startswith(one.prompt)
    assert "main" not in solution
    closing = {"java": "\n    }\n}\n", "csharp": "\n    }\n}\n"}.get(one.language, "\n}")
    assert solution.endswith(closing) or solution.endswith(f"{closing}\n")
    assert solution.count("{") == solution.count("}")


@pytest.mark.parametrize("code", CODES)
def test_a_function_in_a_fence_stands_for_itself(code):
    one = task(code)
    own = SOLUTIONS[code][one.id]
    solution = solution_of(one, fenced(one, own))
    assert own.strip() in solution
    assert "Sure" not in solution and "inputs" not in solution
    # The prompt's comment is not needed, what stands above it is
    assert one.prompt.split("\n")[0] in solution or one.language not in ("cpp", "java", "csharp", "php")


@pytest.mark.parametrize(
    "code, text, expected",
    [
        # The answer's own main program is taken out
        (
            "cpp",
            '```cpp\n#include <string>\nbool within(long x, long low, long high) { std::string s = "}"; return x >= low; }\n\n'
            'int main() { std::cout << "}"; }\n```',
            "#include<assert.h>\n#include<bits/stdc++.h>\n#include <string>\n"
            'bool within(long x, long low, long high) { std::string s = "}"; return x >= low; }\n',
        ),
        (
            "rs",
            "```rust\nfn within(x: isize, low: isize, high: isize) -> bool { x >= low }\n\nfn main() {\n    println!();\n}\n```",
            "fn within(x: isize, low: isize, high: isize) -> bool { x >= low }\n",
        ),
        # Prose around an answer without a fence
        (
            "cpp",
            "The function:\n\nbool within(long x, long low, long high) {\n    return true;\n}\n\nIt is always true.",
            "#include<assert.h>\n#include<bits/stdc++.h>\nbool within(long x, long low, long high) {\n    return true;\n}\n",
        ),
        ("sh", "Use this:\n\nwithin() {\n    echo true\n}\n\nDone (really).", "within() {\n    echo true\n}\n"),
        # Of several blocks, the one that defines the function; examples of use are longer
        (
            "js",
            "```javascript\nexport const within = (x, low, high) => low <= x && x <= high;\n```\nUsage:\n"
            "```javascript\nconsole.log(within(1, 2, 3));\nconsole.log(within(2, 2, 3));\nconsole.log(within(4, 2, 3));\n```",
            "const within = (x, low, high) => low <= x && x <= high;\n",
        ),
        # Only the body, closed or not
        (
            "js",
            "```js\n  return low <= x && x <= high;\n```",
            "//Whether low <= x and x <= high.\nfunction within(x, low, high){\n  return low <= x && x <= high;\n}",
        ),
        # A completion that closes the fence which the prompt may have stood in
        (
            "js",
            "  return low <= x && x <= high;\n}\n```\n\nThis function returns.",
            "//Whether low <= x and x <= high.\nfunction within(x, low, high){\n  return low <= x && x <= high;\n}\n",
        ),
        ("php", "```php\n<?php\nfunction within($x, $low, $high) { return true; }\n?>\n```",
         "<?php\nfunction within($x, $low, $high) { return true; }\n\n"),
        ("rs", "    low <= x && x <= high\n```\n\nThat is all.", "/// Whether low <= x and x <= high.\n"
         "fn within(x: isize, low: isize, high: isize) -> bool {\n    low <= x && x <= high\n\n}\n"),
        ("cpp", "return true;", "#include<assert.h>\n#include<bits/stdc++.h>\n// Whether low <= x and x <= high.\n"
         "bool within(long x, long low, long high) {\nreturn true;\n}\n"),
        ("cpp", "I am sorry, I cannot help with that.", ""),
        ("cpp", "", ""),
        ("cpp", " \n\n", ""),
        ("cpp", "```cpp\n```", ""),
    ],
)  # fmt: skip
def test_answers_as_models_write_them(code, text, expected):
    assert solution_of(task(code), text) == expected


def test_a_class_of_any_name_may_hold_the_function():
    solution = solution_of(
        task("java"),
        "```java\npackage demo;\nimport java.util.List;\n\npublic class Main {\n"
        "    static boolean within(long x, long low, long high) { return x >= low; }\n\n"
        "    public static void main(String[] args) { System.out.println(within(1, 2, 3)); }\n}\n```",
    )
    assert "package" not in solution and "public" not in solution and "void main" not in solution
    assert "import java.util.*;" in solution and "\nclass Main {" in solution and "class Problem" not in solution


def test_declarations_of_the_prompt_are_not_doubled():
    prompt = (
        "use std::collections::HashMap;\n\n/// Counts.\nfn count(words: Vec<String>) -> HashMap<String, isize> {\n"
    )
    one = Task("t", "multipl-e:rust", "", prompt, "rust", "count", "}\nfn main() {}\n", ("\n}",))
    head = "fn count(words: Vec<String>) -> HashMap<String, isize> { todo!() }"
    assert solution_of(one, f"```rust\n{head}\n```") == f"use std::collections::HashMap;\n{head}\n"
    both = f"use std::collections::{{HashMap, HashSet}};\n{head}"
    assert solution_of(one, f"```rust\n{both}\n```") == f"{both}\n"


# Judging


def judged(task: Task, samples: list[Sample], execute) -> list[tuple[bool, str, str]]:
    score = asyncio.run(get_benchmark(task.benchmark).judge_with(execute, [task], samples))
    assert score.benchmark == task.benchmark
    return [(outcome.passed, outcome.kind, outcome.detail) for outcome in score.outcomes]


def test_kinds_of_failure():
    feedbacks = {
        "right": Feedback(FeedbackKind.NONE, ""),
        "wrong": Feedback(
            FeedbackKind.ASSERTION, "Assertion failed", file="tests", source_line="  assert(within(1, 1, 3));"
        ),
        "name": Feedback(FeedbackKind.NAME, "withn is not defined"),
    }

    async def execute(language, source, tests="", *, entry_point=None, stdin=""):
        assert (language, entry_point) == ("javascript", "within")
        return Run(feedbacks[source])

    one = task("js")
    samples = [
        Sample(one.id, 0, "right"),
        Sample(one.id, 1, "wrong"),
        Sample(one.id, 2, "name"),
        Sample(one.id, 3, "name", finish_reason="length"),
        Sample(one.id, 4, "right", finish_reason="length"),
        Sample(one.id, 5, "", finish_reason="refused"),
        Sample(one.id, 6, " \n"),
        Sample(one.id, 7, "", "I cannot help with that."),
    ]
    outcomes = judged(one, samples, execute)
    assert [(passed, kind) for passed, kind, _ in outcomes] == [
        (True, "none"),
        (False, "wrong_answer"),
        (False, "name"),
        (False, "truncated"),
        (True, "none"),
        (False, "refused"),
        (False, "empty"),
        (False, "refused"),
    ]
    assert outcomes[1][2] == "assert(within(1, 1, 3));\nAssertion failed"


def test_a_failure_of_the_sandbox_is_no_judgment():
    async def execute(*arguments, **options):
        raise SandboxError("no room")

    one = task("js")
    with pytest.raises(SandboxError, match="no room"):
        judged(one, [Sample(one.id, number, "x") for number in range(3)], execute)


def test_programs_in_flight_are_bounded_and_reported():
    running, most, reported = 0, 0, []

    async def execute(*arguments, **options):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Run(Feedback(FeedbackKind.NONE, ""))

    one = task("js")
    samples = [Sample(one.id, number, "x") for number in range(20)]
    score = asyncio.run(
        get_benchmark(one.benchmark).judge_with(execute, [one], samples, concurrency=3, report=reported.append)
    )
    assert [outcome.sample for outcome in score.outcomes] == list(range(20))
    assert most == 3 and reported == list(range(1, 21))


def test_answers_to_unknown_tasks_are_refused():
    with pytest.raises(ValueError, match="no task 'Mini_9'"):
        judged(task("js"), [Sample("Mini_9", 0, "x")], None)


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *arguments, **options: None)
    assert "swiftc" in get_benchmark("multipl-e:swift").missing_toolchain()


def test_javas_tuples_are_part_of_its_toolchain(monkeypatch):
    monkeypatch.setattr("reflection_trl.languages.java.Java.missing", lambda self: None)
    monkeypatch.setattr("reflection_trl.evaluation.benchmarks.multipl_e.JAVATUPLES", "/nowhere/javatuples.jar")
    assert "`apt-get install libjavatuples-java`" in get_benchmark("multipl-e:java").missing_toolchain()


def programs_of(task: Task, solutions: list[str]) -> list[str]:
    """What would be run, without white space."""
    programs = []

    async def execute(language, source, tests="", *, entry_point=None, stdin=""):
        programs.append("".join(f"{source}\n{tests}".split()))
        return Run(Feedback(FeedbackKind.NONE, ""))

    judged(task, [Sample(task.id, number, solution) for number, solution in enumerate(solutions)], execute)
    return programs


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("completion", ["    return 1;", "    if (x) {\n        return 1;", "    return 1; }"])
def test_the_program_of_a_completion_is_the_official_one(code, completion):
    """Byte for byte, also where it cannot compile."""
    one = task(code)
    official = "".join(f"{one.prompt}{completion}\n{one.tests}".split())
    program = programs_of(one, [solution_of(one, completion)])[0]
    if one.language in ("java", "csharp"):
        # The solution closes its class too, and the tests that continue it close it again
        prompt, closing = "".join(f"{one.prompt}{completion}".split()), "".join(one.tests.split())
        assert program == f"{prompt}}}}}{closing[1:]}"
    else:
        assert program == official


@pytest.mark.parametrize("code", ["cpp", "java", "cs", "sh", "rs"])
def test_solutions_may_leave_their_end_to_the_tests(code):
    one = task(code)
    open_end = one.prompt + '    echo "${x}"'
    assert programs_of(one, [open_end]) == ["".join(f"{open_end}\n{one.tests}".split())]


# With real compilers. Each answer must come out as said.

RIGHT, WRONG, EARLY = "none", "wrong_answer", "runtime"
HEAD = {
    "cpp": "bool within(long x, long low, long high)",
    "rs": "fn within(x: isize, low: isize, high: isize) -> bool",
    "java": "public static boolean within(long x, long low, long high)",
    "cs": "public static bool Within(long x, long low, long high)",
    "js": "function within(x, low, high)",
    "ts": "function within(x: number, low: number, high: number): boolean",
    "php": "function within($x, $low, $high)",
}
ANSWERS = {
    "cpp": [
        (EARLY, f"{HEAD['cpp']} {{ puts(\"@END_OF_CHECKS@\\nAll tests passed\"); fflush(stdout); std::quick_exit(0); }}"),
        (WRONG, f"#undef assert\n#define assert(holds) ((void)0)\n#define NDEBUG\n{HEAD['cpp']} {{ return false; }}"),
    ],
    "rs": [
        (EARLY, f"{HEAD['rs']} {{ std::process::exit(0) }}"),
        (WRONG, f"{HEAD['rs']} {{ std::panic::set_hook(Box::new(|_| std::process::exit(0))); false }}"),
        (WRONG, f"macro_rules! assert_eq {{ ($($any:tt)*) => {{}} }}\n{HEAD['rs']} {{ false }}"),
        ("type", f"{HEAD['rs']} {{ 1 }}"),
    ],
    "java": [
        (EARLY, f"{HEAD['java']} {{ Runtime.getRuntime().halt(0); return true; }}"),
        (WRONG, f"static {{ Problem.class.getClassLoader().setDefaultAssertionStatus(false); }}\n{HEAD['java']} {{ return false; }}"),
    ],
    "cs": [
        (EARLY, f"{HEAD['cs']} {{ System.Environment.Exit(0); return true; }}"),
        # A class with a name of the framework is no answer: nobody can say which one the tests mean
        ("syntax", f"static class Debug {{ public static void Assert(bool holds) {{}} }}\n{HEAD['cs']} {{ return false; }}"),
        (WRONG, f"{HEAD['cs']} {{ Debug.Listeners.Clear(); return false; }}"),
    ],
    "js": [
        (EARLY, f"{HEAD['js']} {{ console.log('All tests passed'); process.exit(0); }}"),
        (WRONG, f"process.on('uncaughtException', () => process.exit(0));\n{HEAD['js']} {{ return false; }}"),
        (WRONG, f"require('node:assert').deepEqual = () => {{}};\n{HEAD['js']} {{ return false; }}"),
        (WRONG, f"require = () => ({{ deepEqual() {{}} }});\n{HEAD['js']} {{ return false; }}"),
        ("syntax", f"{HEAD['js']} {{ return low <= ; }}"),
        (RIGHT, f"{HEAD['js']} {{ setTimeout(() => console.log('later'), 1); return low <= x && x <= high; }}"),
    ],
    "ts": [("type", f"{HEAD['ts']} {{ return 'yes'; }}")],
    "php": [
        (EARLY, f"{HEAD['php']} {{ exit(0); }}"),
        (WRONG, f"set_exception_handler(function ($any) {{ exit(0); }});\n{HEAD['php']} {{ return false; }}"),
        (WRONG, f"{HEAD['php']} {{ return false; }}"),
    ],
    "sh": [
        (EARLY, "within() {\n    echo true\n}\nexit 0"),
        (RIGHT, "within() {\n    if (($2 <= $1 && $1 <= $3)); then echo true; else echo false; fi\n}\nwithin 1 2 3"),
        (WRONG, "trap 'exit 0' EXIT ERR\nwithin() {\n    echo maybe\n}"),
        (WRONG, "set() {\n    :\n}\nwithin() {\n    echo true\n}"),
        (WRONG, "within() {\n    echo true\n}"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox():
    paths = dict.fromkeys(path for language in LANGUAGES.values() for path in language.readonly)
    try:
        opened = Sandbox(readonly=paths)
        opened.start()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


def require(code: str) -> None:
    if missing := get_language(code).missing():
        pytest.skip(missing)


def run(sandbox: Sandbox, task: Task, solutions: list[str]) -> list[str]:
    async def judge():
        samples = [Sample(task.id, number, solution) for number, solution in enumerate(solutions)]
        async with Executor(sandbox) as execute:
            return await get_benchmark(task.benchmark).judge_with(execute, [task], samples)

    return [outcome.kind for outcome in asyncio.run(judge()).outcomes]


@pytest.mark.parametrize(
    "code", [pytest.param(code, marks=pytest.mark.slow) if code == "ts" else code for code in CODES]
)
def test_right_answers_pass_in_every_form(sandbox, code):
    require(code)
    one = task(code, "squeeze" if code not in ("cpp", "java", "ts") else "within")
    own = SOLUTIONS[code][one.id]
    assert run(sandbox, one, [solution_of(one, fenced(one, own)), solution_of(one, body(one, own))]) == [RIGHT, RIGHT]


@pytest.mark.parametrize("code", ANSWERS)
def test_answers_that_must_not_pass(sandbox, code):
    require(code)
    one = task(code)
    kinds, answers = zip(*ANSWERS[code], strict=True)
    assert run(sandbox, one, [solution_of(one, fenced(one, f"{answer}\n")) for answer in answers]) == list(kinds)


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES)
def test_all_right_answers_pass(sandbox, code):
    require(code)
    for one in load_tasks(f"multipl-e:{code}", DATA):
        own = SOLUTIONS[code][one.id]
        assert run(sandbox, one, [solution_of(one, fenced(one, own)), solution_of(one, body(one, own))]) == [
            RIGHT,
            RIGHT,
        ]
