"""JavaScript by Node.js, and TypeScript, checked and translated by tsc."""

import dataclasses
import re
from typing import ClassVar

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits
from .command import CommandLanguage, last_match
from .rendering import shortened


# What tests are given, under a name that no program can know: a frozen `assert`, and what marks their end. That comes at the
# exit, when what they have begun asynchronously is done.
_CHECKS = rf"""const assert = require("node:assert");
Object.freeze(assert.strict);
const end = () => process.on("exit", (code) => {{ if (!code) process.stdout.write("\n{END_MARK}\n"); }});
Object.defineProperty(globalThis, "checks_{END_MARK}", {{ value: Object.freeze({{ assert: Object.freeze(assert), end }}) }});
"""
_REQUIRE = re.compile(r"""\brequire\(\s*(['"])(?:node:)?assert(/strict)?\1\s*\)""")
_HEADER = re.compile(r"^main\.[jt]s:(?P<line>\d+)\n[^\n]*\n(?P<column>[ \t]*)\^+\n", re.MULTILINE)
_OBJECTS = tuple(
    f" {{\n  {name}" for name in ("generatedMessage", "errno", "code", "cause", "[cause]", "requireStack")
)
_COMPARED = re.compile(r"(?<=deep-equal:)\n\n[\s\S]*?(?=\n    at |\Z)")
_OF_NODE = re.compile(r"[ \t]+at (?!.*\bmain\.[jt]s)|Node\.js v|node:|\(Use `node|Require stack:|- main\.js$")
_THROWN_BY_NODE = re.compile(
    r"\n(?:  return binding\.[^\n]*|[^\n]*throw (?:err|new AssertionError\(obj\));)\n[ \t]*\^\n"
)


class JavaScript(CommandLanguage):
    """JavaScript, as Node.js runs it."""

    name = "javascript"
    title = "JavaScript"
    fences: ClassVar[tuple[str, ...]] = ("javascript", "js", "node", "mjs")
    file = "main.js"
    tools: ClassVar[tuple[tuple[str, str], ...]] = (("node", "nodejs"),)
    command: ClassVar[tuple[str, ...]] = ("node", "--max-old-space-size=1024", "main.js")
    # V8 reserves addresses far beyond what it uses
    limits = Limits(timeout=30.0, memory=4 << 30, processes=128)
    run_error = re.compile(
        r"^(?P<code>(?:[A-Z]\w*)?(?:Error|Exception))\b(?: \[\w+\])?: ?(?P<message>[^\n]*)"
        r"|^FATAL ERROR: [^\n]* - (?P<fatal>[^\n]*)",
        re.MULTILINE,
    )
    run_place = re.compile(r"^[ \t]+at [^\n]*\bmain\.[jt]s:(?P<line>\d+):(?P<column>\d+)", re.MULTILINE)
    run_rules = (
        (FeedbackKind.ASSERTION, r"\AAssertionError"),
        (FeedbackKind.SYNTAX, r"\ASyntaxError"),
        (FeedbackKind.IMPORT, r"\A[^\n]*Cannot find (module|package)"),
        (FeedbackKind.NAME, r"\A(ReferenceError|TypeError: [^\n]* is not a function)"),
        (FeedbackKind.TYPE, r"\ATypeError"),
        (FeedbackKind.VALUE, r"\A(RangeError: (?!Maximum call)|URIError)"),
        (FeedbackKind.MEMORY, r"\AFATAL ERROR: [^\n]*heap out of memory"),
    )

    def program(
        self,
        source: str,
        tests: str = "",
        *,
        entry_point: str | None = None,
        stdin: str = "",
        limits: Limits | None = None,
    ) -> CommandProgram:
        program = super().program(source, tests, entry_point=entry_point, stdin=stdin, limits=limits)
        if not program.end_mark:
            return program
        node, *rest = program.argv
        files = {**program.files, "checks.js": _CHECKS}
        return dataclasses.replace(program, argv=(node, "--require", "./checks.js", *rest), files=files)

    def with_end(self, tests: str) -> str:
        strict = {None: ".assert", "/strict": ".assert.strict"}
        tests = _REQUIRE.sub(lambda found: f"checks_{END_MARK}{strict[found.group(2)]}", tests)
        return f"{tests}\nchecks_{END_MARK}.end();"

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        if compiling:
            return found
        # What cannot be parsed, and what is thrown without being an error, has no frames
        return (
            self.run_place.search(output, found.start() if found else 0)
            or last_match(_HEADER, output)
            or last_match(self.run_place, output)
        )

    def assertion(self, output: str) -> dict[str, str]:
        start, end = _error_object(output)
        printed = output[start:end]
        marks = ("\n  actual: ", ",\n  expected: ", ",\n  operator: ")
        actual, expected, operator = printed.find(marks[0]), printed.rfind(marks[1]), printed.rfind(marks[2])
        if not 0 <= actual < expected < operator:
            return {}
        values = {
            "actual": printed[actual + len(marks[0]) : expected],
            "expected": printed[expected + len(marks[1]) : operator],
        }
        return {name: re.sub(r"\n *", " ", value) for name, value in values.items()}

    def readable(self, output: str) -> str:
        if (fatal := re.search(r"^FATAL ERROR: .* - (.*)", output, re.MULTILINE)) is not None:
            return fatal.group(1)  # the rest are times, addresses and frames of the interpreter
        # An assert's error is printed a second time as an object, of which its values are all that is new
        values = self.assertion(output)
        start, end = _error_object(output)
        output = output[:start] + output[end:]
        lines = [line for line in output.split("\n") if not _OF_NODE.match(line)]
        text = _THROWN_BY_NODE.sub("\n", "\n".join(["", *lines]))
        if values:
            shown = f"Expected: {shortened(values['expected'], 400)}\nGot: {shortened(values['actual'], 400)}"
            text = _COMPARED.sub("", text).rstrip("\n") + f"\n{shown}"
        return re.sub(r"\n\n+", "\n", text).strip("\n")


def _error_object(output: str) -> tuple[int, int]:
    """Where the properties of the error stand that Node.js prints behind its stack, braces included."""
    start = max(output.rfind(name) for name in _OBJECTS)
    end = output.find("\n}", start)
    return (start, end + 2) if 0 <= start < end else (len(output), len(output))


class TypeScript(JavaScript):
    """TypeScript: types are checked first, then what is left of it runs."""

    name = "typescript"
    title = "TypeScript"
    fences = ("typescript", "ts")
    file = "main.ts"
    tools = (("tsc", "node-typescript"), ("node", "nodejs"))
    compiler = (
        "tsc",
        "--pretty",
        "false",
        "--target",
        "esnext",
        "--module",
        "commonjs",
        "--moduleDetection",
        "force",
        "--inlineSourceMap",
        "--typeRoots",
        ".",
        "main.ts",
    )
    command = ("node", "--max-old-space-size=1024", "--enable-source-maps", "main.js")
    limits = Limits(timeout=60.0, memory=4 << 30, processes=128)

    compile_error = re.compile(
        r"^main\.ts\((?P<line>\d+),(?P<column>\d+)\): error (?P<code>TS\d+): (?P<message>[^\n]*)", re.MULTILINE
    )
    compile_rules = (
        (FeedbackKind.IMPORT, r"Cannot find module"),
        (
            FeedbackKind.NAME,
            r"Cannot find name|does not exist on type|has no exported member|used before being assigned",
        ),
        (
            FeedbackKind.TYPE,
            r"not assignable|Type '|Argument of type|not callable|possibly|implicitly|Expected \d+ arguments|overload",
        ),
    )

    def with_end(self, tests: str) -> str:
        return f"{super().with_end(tests)}\ndeclare var checks_{END_MARK}: any;"
