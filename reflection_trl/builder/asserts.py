"""
Finds the asserts that a model wrote for its own program, and detects wrong ones.

A wrong assert would teach the model to break a correct program. An assert therefore counts only after another source
has confirmed it:

- With a **reference**, an assert that the reference fails is wrong. With **tests** and no reference, an assert is
  wrong if a program that passes these tests fails it. Wrong asserts are removed from the attempt *before* it is run
  and stored: the conversation and its output never show them, and the sequence lists them in `wrong_asserts`.
- With **neither**, an assert that most of several independent answers fail is wrong ([`majority_contradicts`]).
- A sequence is rejected if a wrong assert was found only after its failure had been shown to the model. It is also
  rejected if the model removed a failing assert and it is unknown whether the assert or the program was wrong.

This module does not depend on models and conversations.
"""

import ast
import asyncio
import functools
import re
import symtable
import textwrap
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeGuard

from ..feedback import Feedback, FeedbackKind
from ..languages.execution import Execute
from ..python_code import defined_names, parse_python


# Failures that say nothing about the assert: the other program lacks a helper that the assert calls, or was
# interrupted
_NO_CONTRADICTION = frozenset(
    {FeedbackKind.NAME, FeedbackKind.IMPORT, FeedbackKind.SYNTAX, FeedbackKind.TIMEOUT, FeedbackKind.MEMORY}
)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOOKERS = frozenset({"callable", "hasattr", "isinstance", "issubclass", "type"})  # they do not call their argument
_IMPORTS = (ast.Import, ast.ImportFrom)
_TEST_NAME = re.compile(r"_?(run_?)?(all_?)?(unit_?)?(tests?|check)(_|$|[A-Z\d])|main$")


@dataclass(frozen=True)
class _Style:
    """
    Describes the form of asserts in a language. An assert elsewhere in a solution, such as one that checks an argument, is
    no test.
    """

    hint: str  # for prompts
    one: re.Pattern[str]  # an assert of the tests
    tests: re.Pattern[
        str
    ]  # the first line of the tests, which extend to the end of the program and can follow another answer
    setup: re.Pattern[str]  # earlier lines that the tests need
    first: re.Pattern[str]  # lines that must precede all definitions of a program
    inside: re.Pattern[str]  # tests inside the solution, which cannot follow another answer


def _style(
    hint: str, one: str, tests: str | None = None, setup: str = r"(?!)", first: str = r"(?!)", inside: str = r"(?!)"
) -> _Style:
    patterns = (re.compile(pattern, re.MULTILINE) for pattern in (one, tests or one, setup, first, inside))
    return _Style(hint, *patterns)


_TESTER = r"(?:[rR]un_?|[aA]ll_?|[uU]nit_?)*[tT]ests?(?:_\w*|[A-Z\d]\w*)?\b"  # the name of a function with tests
_THROWS = r"if\s*\(.*(?:\{\s*)?throw new "
_NODE_ASSERT = r"(?:console\.)?assert(?:\.\w+)*\(|(?:(?:notD|d)eepStrict|(?:notS|s)trict|(?:notD|d)eep)Equal\("
_NODE = {
    "one": rf"^(?:{_NODE_ASSERT}|{_THROWS})",
    "setup": r"(?:const|let|var|import) assert\b|(?:const|let|var|import)\s.*(?:\bfrom\s+|\brequire\()['\"](?:node:)?assert\b",
    "inside": rf"^(?:async )?(?:function|const)\s+{_TESTER}[\s\S]*?(?:{_NODE_ASSERT}|{_THROWS})",
}
_STYLES = {
    "python": _style("a few asserts, such as `assert add(1, 2) == 3`", r"(?!)"),
    "cpp": _style(
        "a `main` with a few asserts (`#include <cassert>`), such as `assert(add(1, 2) == 3);`",
        r"\bassert\s*\(",
        r"^int\s+main\s*\(",
        setup=r"#include\b",
        inside=rf"^(?:static\s+)?(?:void|bool|int)\s+{_TESTER}\s*\([\s\S]*?\bassert\s*\(",
    ),
    "rust": _style(
        "a `main` with a few asserts, such as `assert_eq!(add(1, 2), 3);`",
        r"\bassert(_eq|_ne)?!\s*[(\[{]",
        r"^fn\s+main\s*\(",
        inside=rf"#\[(?:cfg\()?test\b|^fn\s+{_TESTER}\s*\([\s\S]*?\bassert(?:_eq|_ne)?!",
    ),
    "java": _style(
        "a class `Main` whose `main` makes a few tests, such as `if (add(1, 2) != 3) throw new AssertionError();`",
        r"\bassert\b|\bAssertionError\b|\bthrow\s+new\b",
        r"^(public\s+)?(final\s+)?class\s+Main\b",
        first=r"import\b",
        inside=rf"\bvoid\s+(?:main|{_TESTER})\s*\([\s\S]*?(?:\bassert\b|\bAssertionError\b)",
    ),
    "javascript": _style(
        "a few asserts (`const assert = require('assert');`), such as `assert.deepStrictEqual(add(1, 2), 3);`", **_NODE
    ),
    "typescript": _style(
        "a few tests, such as `if (add(1, 2) !== 3) throw new Error('add(1, 2) is ' + add(1, 2));`", **_NODE
    ),
    "php": _style(
        "a few asserts, such as `assert(add(1, 2) === 3);`",
        rf"^(?:assert\(|{_THROWS})",
        inside=rf"^function\s+{_TESTER}\s*\([\s\S]*?(?:\bassert\(|{_THROWS})",
    ),
    "bash": _style(
        'a few tests, such as `[ "$(add 1 2)" = 3 ] || { echo "add 1 2 is wrong" >&2; exit 1; }`',
        r"^(\[|\[\[|test)\s.*\|\|",
    ),
    "csharp": _style(
        'a class `Program` whose `Main` makes a few tests, such as `if (Solution.Add(1, 2) != 3) throw new Exception("Add(1, 2) is " + '
        "Solution.Add(1, 2));`",
        r"\bclass\s+Program\b[\s\S]*(\bthrow\s+new\b|\bDebug\.Assert\b)",
        r"^((public|internal|static|sealed)\s+)*class\s+Program\b",
        first=r"using\s+[\w.]+\s*;",
    ),
    "swift": _style(
        "a few asserts, such as `assert(add(1, 2) == 3)`",
        r"^assert\(",
        first=r"import\s+\w",
        inside=rf"^func\s+{_TESTER}\s*\([\s\S]*?\bassert\(",
    ),
}


@dataclass(frozen=True)
class Assert:
    """
    Represents one test in a program: an `assert` statement, or a loop or test function with asserts.

    Args:
        source (`str`):
            Code that makes the same test after another answer, including its setup.
        first (`int`):
            First line in the program, from 1.
        last (`int`):
            Last line.
    """

    source: str
    first: int
    last: int


@dataclass(frozen=True)
class SelfTested:
    """
    Holds a program with its solution and its tests separated.

    Args:
        solution (`str`):
            The program without its tests.
        asserts (`tuple[Assert]`):
            Tests that check something; `assert True` does not count.
        tests (`str`, *optional*, defaults to `""`):
            Lines of the tests, as in the program.
    """

    solution: str
    asserts: tuple[Assert, ...]
    tests: str = ""

    @property
    def program(self) -> str:
        """Returns the solution, followed by its tests."""
        return "\n\n".join(part for part in (self.solution.strip("\n").rstrip(), self.tests) if part)


def assert_hint(language: str) -> str:
    """Returns the description of a language's asserts for prompts."""
    return _STYLES[language].hint if language in _STYLES else "a few asserts that end the program with an error"


@functools.lru_cache(maxsize=1024)  # a rollout splits each of its programs several times
def split_asserts(program: str, language: str = "python") -> SelfTested:
    """
    Separates a program from its asserts.

    In Python, tests are the `assert` statements at the top level (also under `if __name__ == "__main__"`), loops with
    asserts, and test functions that are called. A test counts if it calls something that the program defines, and can
    fail. In other languages, everything from `main`, or from the first assert, to the end is one test.

    Args:
        program (`str`):
            The program. A program that does not parse has no asserts.
        language (`str`, *optional*, defaults to `"python"`):
            Its language.

    Returns:
        [`SelfTested`]
    """
    if language != "python":
        return _split_by_lines(program, language)
    tree = parse_python(program)
    try:
        return SelfTested(program, ()) if tree is None else _split_tree(program, tree)
    except RecursionError:  # an expression that is nested too deeply
        return SelfTested(program, ())


def separate_tests(program: str, language: str = "python") -> SelfTested | None:
    """
    Moves the tests of a program after its solution, so that both can be separate code blocks.

    Args:
        program (`str`):
            The program.
        language (`str`, *optional*, defaults to `"python"`):
            Its language.

    Returns:
        [`SelfTested`], *optional*: The program with its tests at the end (`program`), and its parts; `None` if the
        tests cannot be separated cleanly.
    """
    before = split_asserts(program, language)
    if not before.tests:  # there are none, or they cannot be moved
        return None if before.asserts else SelfTested(program, ())
    after = split_asserts(before.program, language)
    same = [one.source for one in after.asserts] == [one.source for one in before.asserts]
    return after if same and after.program == before.program else None


def join_tests(solution: str, tests: str, language: str) -> str:
    """
    Returns a program from a solution and tests that were a code block of their own.

    Args:
        solution (`str`):
            The solution.
        tests (`str`):
            The tests. Lines that the solution has too, such as `#include <cassert>`, are left out of them.
        language (`str`):
            Language of both.
    """
    style, known = _STYLES[language], solution.rstrip().split("\n")
    lines = [line for line in tests.split("\n") if not (style.setup.match(line) and line in known)]
    if language == "php":
        lines = [line for line in lines if line.strip() != "<?php"]
    first = [line for line in lines if style.first.match(line)]
    rest = [line for line in lines if line not in first]
    # After a `package` and imports of the solution
    place = max(
        (number for number, line in enumerate(known, 1) if re.match(r"package\b", line) or style.first.match(line)),
        default=0,
    )
    added = [line for line in first if line not in known]
    known[place:place] = added if place or not added else [*added, ""]
    joined, mark = "\n".join(rest).strip(), f"{comment_mark(language)} Tests"
    begin = style.tests.search(joined)
    before = joined[: begin.start()].split("\n") if begin else []
    if any(line.strip() and not style.setup.match(line) for line in before) and not joined.startswith(mark):
        joined = f"{mark}\n{joined}"  # so that what the asserts need is not taken for a part of the solution
    return "\n\n".join(["\n".join(known), joined])


def comment_mark(language: str) -> str:
    """Returns the characters that begin a comment."""
    return "#" if language in ("python", "bash") else "//"


def drop_asserts(program: str, wrong: Iterable[Assert], language: str = "python") -> str | None:
    """
    Removes asserts from a program, with the comments directly above them that introduce no other statement, and leaves
    every other line unchanged.

    Args:
        program (`str`):
            The program.
        wrong (`Iterable[Assert]`):
            Some of its asserts, from [`split_asserts`].
        language (`str`, *optional*, defaults to `"python"`):
            Its language.

    Returns:
        `str`, *optional*: The program without them; `None` if they cannot be removed cleanly, which is always the case
        outside Python.
    """
    tree = parse_python(program) if language == "python" else None
    spans = {(one.first, one.last) for one in wrong}
    if tree is None:
        return None
    lines = {number for first, last in spans for number in range(first, last + 1)}
    nodes = [node for node in _flat(tree.body) if node.lineno in lines or node.end_lineno in lines]
    if len(nodes) != len(spans):  # other code is on their lines
        return None
    cut = _without(program, tree, nodes, with_comments=True)
    before, after = split_asserts(program).asserts, split_asserts(cut).asserts
    expected = [one.source for one in before if (one.first, one.last) not in spans]
    return cut if [one.source for one in after] == expected else None


def contradicts(feedback: Feedback, language: str) -> bool:
    """
    Returns whether the failure of a program with tests shows that one of them is wrong.

    Args:
        feedback ([`~reflection_trl.feedback.Feedback`]):
            Feedback of the failure.
        language (`str`):
            Language of the program.
    """
    # What a compiler rejects may only be declared differently in the other program
    return feedback.kind is FeedbackKind.ASSERTION or (language == "python" and feedback.kind not in _NO_CONTRADICTION)


async def contradicted(
    asserts: Sequence[Assert], program: str, execute: Execute, language: str = "python", entry_point: str | None = None
) -> tuple[Assert, ...]:
    """
    Returns the asserts that a program fails.

    Args:
        asserts (`Sequence[Assert]`):
            Asserts of another program.
        program (`str`):
            The program that decides, such as the reference.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs.
        language (`str`, *optional*, defaults to `"python"`):
            Language of the program.
        entry_point (`str`, *optional*):
            Name of the function under test.

    Returns:
        `tuple[Assert]`: Asserts for which the program returns another value or raises an error. Asserts that call a
        helper which this program lacks, or that time out, are not included, because they prove nothing.
    """

    async def fails(tests: Sequence[Assert]) -> bool:
        run = await execute(language, program, "\n".join(one.source for one in tests), entry_point=entry_point)
        if run.feedback.passed or len(tests) > 1:
            return not run.feedback.passed
        return contradicts(run.feedback, language)

    if not asserts or (len(asserts) > 1 and not await fails(asserts)):
        return ()
    verdicts = await asyncio.gather(*(fails([one]) for one in asserts))
    return tuple(one for one, failed in zip(asserts, verdicts, strict=True) if failed)


async def majority_contradicts(
    asserts: Sequence[Assert],
    programs: Sequence[str],
    execute: Execute,
    language: str = "python",
    entry_point: str | None = None,
) -> tuple[Assert, ...]:
    """
    Returns the asserts that most of several independent answers fail. This is used for problems with neither tests nor
    reference.

    Args:
        asserts (`Sequence[Assert]`):
            Asserts of a program.
        programs (`Sequence[str]`):
            Other answers to the same problem.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs.
        language (`str`, *optional*, defaults to `"python"`):
            Language of the programs.
        entry_point (`str`, *optional*):
            Name of the function under test.

    Returns:
        `tuple[Assert]`: Asserts that more than half of the programs fail; empty with fewer than two programs, which
        are no majority.
    """
    if len(programs) < 2:
        return ()
    votes = await asyncio.gather(
        *(contradicted(asserts, program, execute, language, entry_point) for program in programs)
    )
    return tuple(one for one in asserts if 2 * sum(one in vote for vote in votes) > len(programs))


def _split_tree(program: str, tree: ast.Module) -> SelfTested:
    statements = _flat(tree.body)
    testers = {
        node.name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _TEST_NAME.match(node.name) and _asserts(node)
    }
    lambdas = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)]
    defined = (defined_names(tree.body) | _bound(lambdas)) - testers.keys()
    tests = [node for node in statements if _is_test(node, testers)]
    found, setup = [], dict[int, ast.stmt]()
    for node in tests:
        needed = _needed(node, [other for other in statements if other.lineno < node.lineno], testers)
        if any(_called(part) & defined for part in [*needed, node]) and not _cannot_fail(node):
            lines = [ast.unparse(part) for part in needed]
            found.append(Assert("\n".join([*lines, ast.unparse(node)]), node.lineno, node.end_lineno or node.lineno))
        setup |= {id(part): part for part in needed if not isinstance(part, _DEFINITIONS + _IMPORTS)}
    if not tests:
        return SelfTested(program, ())
    noise = [node for node in statements if node.lineno > tests[0].lineno and _is_print(node)]
    removed = [*tests, *noise, *testers.values()]
    gone = {*setup, *map(id, removed)}
    rest = [node for node in statements if id(node) not in gone]
    removed += _movable([*setup.values()], rest)
    solution = _without(program, tree, removed).split("\n")
    while solution and not solution[-1].partition("#")[0].strip():  # "# Tests"
        solution.pop()
    return SelfTested("\n".join([*solution, ""]), tuple(found), _lines_of(program, removed))


def _split_by_lines(program: str, language: str) -> SelfTested:
    style = _STYLES.get(language)
    if style is None:
        return SelfTested(program, ())
    mark = re.search(rf"^{comment_mark(language)} Tests$", program, re.MULTILINE)
    start = mark or style.tests.search(program)
    if start is None or not style.one.search(program, start.start()):
        # A test that cannot be moved after another answer has no source
        return SelfTested(program, (Assert("", 1, 1),) if style.inside.search(program) else ())
    head, tail = program[: start.start()].split("\n"), program[start.start() :]
    setup = [line for line in head if "assert" in line and style.setup.match(line)]
    rest = [line for line in head if line not in setup]
    if any("assert" in line for line in rest):
        setup, rest = [], head
    # Lines that the solution needs too stay in it
    shared = [line for line in rest if style.first.match(line) or style.setup.match(line)]
    one = Assert("\n".join([*dict.fromkeys([*shared, *setup]), tail]), len(head), program.count("\n") + 1)
    tests = "\n".join([*dict.fromkeys(setup), tail]).strip("\n").rstrip()
    return SelfTested("\n".join(rest).strip("\n") + "\n", (one,), tests)


def _flat(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Returns the statements of a module, including those under `if __name__ == ...`."""
    flat: list[ast.stmt] = []
    for node in statements:
        flat += node.body if _is_main_guard(node) else [node]
    return flat


def _is_main_guard(node: ast.stmt) -> TypeGuard[ast.If]:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and isinstance(node.test.left, ast.Name)
        and node.test.left.id == "__name__"
    )


def _asserts(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Assert) for inner in ast.walk(node))


def _called(node: ast.AST) -> set[str]:
    """Returns the names on which the calls in `node` depend."""
    calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
    return set().union(*(_names(call) for call in calls if _names(call.func).isdisjoint(_LOOKERS)))


def _is_test(node: ast.stmt, testers: Mapping[str, ast.stmt]) -> bool:
    if isinstance(node, _DEFINITIONS):
        return False
    return _asserts(node) or (isinstance(node, ast.Expr) and bool(_called(node) & testers.keys()))


def _names(node: ast.AST) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _movable(setup: list[ast.stmt], rest: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Returns the setup of tests whose variables the rest of the program does not use."""
    used = set().union(*map(_module_names, rest))
    while staying := [node for node in setup if _names(node) & _bound(setup) & used]:
        setup = [node for node in setup if node not in staying]
        used |= set().union(*map(_names, staying))
    return setup


def _module_names(statement: ast.stmt) -> set[str]:
    """Returns the names of the module that a statement uses, without the parameters and local variables of functions."""
    try:
        pending = [symtable.symtable(ast.unparse(statement), "program", "exec")]
    except SyntaxError:  # the program does not compile
        return _names(statement)
    names: set[str] = set()
    while pending:
        scope = pending.pop()
        pending += scope.get_children()
        at_top = scope.get_type() == "module"
        names |= {
            symbol.get_name()
            for symbol in scope.get_symbols()
            if (symbol.is_referenced() if at_top else symbol.is_global())
        }
    return names


def _bound(statements: Iterable[ast.stmt]) -> set[str]:
    """Returns the variables that top-level statements bind, without definitions and imports."""
    return {
        name.id
        for node in statements
        if not isinstance(node, _DEFINITIONS)
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


def _needed(node: ast.stmt, earlier: list[ast.stmt], testers: Mapping[str, ast.stmt]) -> list[ast.stmt]:
    """
    Returns the setup of a test, in order: the test functions that it calls, imports, and every earlier statement that
    uses one of its variables (`stack = Stack()`, `stack.push(1)`).
    """
    functions = [testers[name] for name in sorted(_names(node) & testers.keys())]
    names = set().union(*map(_names, [node, *functions]))
    variables, chosen = _bound(earlier), []
    for other in reversed(earlier):
        if isinstance(other, _DEFINITIONS + _IMPORTS) or _is_print(other):
            continue
        if _names(other) & names & variables:
            chosen.append(other)
            names |= _names(other)
    imports = [
        other
        for other in earlier
        if isinstance(other, _IMPORTS)
        and {(alias.asname or alias.name).split(".")[0] for alias in other.names} & names
    ]
    return [*imports, *reversed(chosen), *functions]


def _cannot_fail(node: ast.stmt) -> bool:
    """Returns whether an assert always holds: `assert f(1) == f(1)`, `assert (f(1) == 2, "message")`."""
    if not isinstance(node, ast.Assert):
        return False
    test = node.test
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Eq, ast.Is)):
        return ast.dump(test.left) == ast.dump(test.comparators[0])
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(isinstance(value, ast.Constant) and value.value for value in test.values)
    return isinstance(test, ast.Tuple) and bool(test.elts)


def _is_print(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"


def _first_line(node: ast.stmt) -> int:
    """Returns the first line of a statement, including its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])


def _lines_of(program: str, nodes: Sequence[ast.stmt]) -> str:
    """Returns the lines of statements in order, without indentation, including comments between them."""
    lines, parts = program.split("\n"), []
    before: int | None = None
    for node in sorted({_first_line(node): node for node in nodes}.values(), key=_first_line):
        first, last = _first_line(node), node.end_lineno or node.lineno
        between = [] if before is None else lines[before : first - 1]
        if all(not line.strip() or line.lstrip().startswith("#") for line in between):
            parts += [line.strip() for line in between]
        own = lines[first - 1 : last]
        parts.append(textwrap.dedent("\n".join(own)) if node.col_offset else "\n".join(own))
        before = last
    return "\n".join(parts)


def _without(program: str, tree: ast.Module, nodes: Sequence[ast.stmt], with_comments: bool = False) -> str:
    """Removes statements from the program. Returns it unchanged if they cannot be removed by lines."""
    dropped = set(map(id, nodes))
    for node in tree.body:
        if _is_main_guard(node) and not node.orelse and all(id(inner) in dropped for inner in node.body):
            nodes = [*nodes, node]
    gone = set()
    for node in nodes:
        gone |= set(range(_first_line(node), (node.end_lineno or node.lineno) + 1))
    lines = program.split("\n")
    if with_comments:
        gone |= _comments_above(lines, gone)
    cut = "\n".join(line for number, line in enumerate(lines, 1) if number not in gone)
    return cut if parse_python(cut) is not None else program


def _comments_above(lines: Sequence[str], gone: Set[int]) -> set[int]:
    """
    Returns the numbers of the comments directly above removed lines. A comment stays if a remaining statement follows
    the removed lines directly, because it may introduce this statement too.
    """
    comments: set[int] = set()
    for number in gone:
        after = lines[number].strip() if number < len(lines) else ""
        if number + 1 in gone or (after and not after.startswith("#")):
            continue
        above = number
        while above in gone:
            above -= 1
        while above and lines[above - 1].lstrip().startswith("#"):
            comments.add(above)
            above -= 1
    return comments
