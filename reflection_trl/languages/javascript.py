"""Runs JavaScript with Node.js, and TypeScript, which tsc checks and translates."""

import dataclasses
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner, Verdict
from .command import SYSTEM_PATH, CommandLanguage, last_match, protocol_files, shared_names
from .rendering import shortened


# Names that no program can define
_RESERVED = frozenset(
    [
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "import",
        "in",
        "instanceof",
        "new",
        "null",
        "return",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
        "yield",
        "let",
        "static",
        "await",
        "async",
        "arguments",
        "eval",
        "undefined",
        "NaN",
        "Infinity",
        "implements",
        "interface",
        "package",
        "private",
        "protected",
        "public",
    ]
)
_IMPORT = re.compile(
    r"^import\s+(?:(?:\*\s*as\s+)?(?P<default>\w+)\s*)?,?\s*(?P<names>\{[^{}]*\})?\s*from\s*(?P<module>(?P<quote>['\"])[^'\"\n]+(?P=quote))",
    re.MULTILINE,
)
_HEADER = re.compile(r"^(?P<file>main|tests)\.[jt]s:(?P<line>\d+)\n[^\n]*\n(?P<column>[ \t]*)\^+\n", re.MULTILINE)
_OBJECTS = tuple(
    f" {{\n  {name}" for name in ("generatedMessage", "errno", "code", "cause", "[cause]", "requireStack")
)
_COMPARED = re.compile(r"(?<=deep-equal:)\n\n[\s\S]*?(?=\n    at |\Z)")
_OF_NODE = re.compile(
    r"[ \t]+at (?!.*\b(?:main|tests)\.[jt]s)|Node\.js v|node:|\(Use `node|Require stack:|- (?:main|load)\.js$"
)
_THROWN_BY_NODE = re.compile(
    r"\n(?:  return binding\.[^\n]*|[^\n]*throw (?:err|new AssertionError\(obj\));)\n[ \t]*\^\n"
)


class JavaScript(CommandLanguage):
    """Runs JavaScript with Node.js."""

    name = "javascript"
    title = "JavaScript"
    fences: ClassVar[tuple[str, ...]] = ("javascript", "js", "node", "mjs")
    suspects = (
        ("ends processes", r"\bprocess\.(?:exit|reallyExit|kill|abort)\b"),
        ("replaces what tests use", r"\b(?:assert|console|Object\.prototype|Function\.prototype)\.\w+\s*=[^=]"),
        ("reads what the judge keeps", r"require\(\s*['\x22](?:node:)?fs['\x22]\s*\)"),
    )
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
    run_place = re.compile(
        r"^[ \t]+at [^\n]*\b(?P<file>main|tests)\.[jt]s:(?P<line>\d+):(?P<column>\d+)", re.MULTILINE
    )
    run_rules = (
        (FeedbackKind.ASSERTION, r"\AAssertionError|\AAssertion failed\b"),
        (FeedbackKind.SYNTAX, r"\ASyntaxError"),
        (FeedbackKind.IMPORT, r"\A[^\n]*Cannot find (module|package)"),
        (FeedbackKind.NAME, r"\A(ReferenceError|TypeError: [^\n]* is not a function)"),
        (FeedbackKind.TYPE, r"\ATypeError"),
        (FeedbackKind.VALUE, r"\A(RangeError: (?!Maximum call)|URIError)"),
        (FeedbackKind.MEMORY, r"\AFATAL ERROR: [^\n]*heap out of memory"),
    )

    def failed_quietly(self, verdict: Verdict, tests: str) -> bool:
        # Without tests it is the `console.assert` of Node.js, which only prints
        return (
            verdict.passed and not tests and re.search(r"^Assertion failed", verdict.stderr, re.MULTILINE) is not None
        )

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        names = _names(source, tests)
        node = self.command[:-1]
        return CommandProgram(
            argv=(*node, "judge.js", END_MARK, "tests.js", entry_point, *names),
            files={"tests.js": _with_require(tests), **protocol_files("judge.js", "peer.js")},
            end_mark=True,
            partner=Partner(
                argv=(*node, "--require", "./answer.js", "main.js"),
                files={"main.js": f"{source}\n;{_epilogue(names)}", **protocol_files("answer.js", "peer.js")},
            ),
        )

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        if compiling:
            return found
        # Syntax errors, and thrown values that are no `Error`, have no frames
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
        # Node.js prints an assert's error again as an object, from which only its values are new
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
    """Finds the properties of the error that Node.js prints after its stack, including braces."""
    start = max(output.rfind(name) for name in _OBJECTS)
    end = output.find("\n}", start)
    return (start, end + 2) if 0 <= start < end else (len(output), len(output))


class TypeScript(JavaScript):
    """Runs TypeScript: checks the types first, then runs the translated code."""

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
        "--esModuleInterop",
        "--inlineSourceMap",
        "--typeRoots",
        ".",
        "main.ts",
        "node.d.ts",
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
        return dataclasses.replace(program, files={**program.files, **protocol_files("node.d.ts")})

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        names = _names(source, tests)
        library = Path(shutil.which("tsc", path=SYSTEM_PATH) or "tsc").resolve().parents[1] / "lib" / "typescript.js"
        node = self.command[:-1]
        texts = {"main.ts": f"{source}\n{tests}", "answer.ts": source, "tests.ts": tests}
        return CommandProgram(
            argv=(*node, "judge.js", END_MARK, "tests.js", entry_point, *names),
            compile=("node", "build.js", str(library), _epilogue(names)),
            files={**texts, **protocol_files("build.js", "judge.js", "peer.js")},
            end_mark=True,
            partner=Partner(
                argv=(*node, "--require", "./answer.js", "load.js"),
                files=protocol_files("answer.js", "load.js", "peer.js"),
            ),
        )

    def locate(self, found: re.Match[str], source: str) -> tuple[str, int]:
        # The compiler reads the answer and its tests as one file
        file, line = super().locate(found, source)
        lines = source.count("\n") + 1
        return ("tests", line - lines) if file == "program" and line > lines else (file, line)


def _with_require(tests: str) -> str:
    """Returns tests with `require` in place of imports of Node.js, because they run in a function. Lines stay the same."""

    def required(found: re.Match[str]) -> str:
        default, names, module = found["default"], found["names"], found["module"]
        parts = [f"{default} = require({module})"] if default else []
        if names:
            parts.append(f"{re.sub(r' as ', ': ', names)} = require({module})")
        return f"const {', '.join(parts)}" if parts else f"require({module})"

    return _IMPORT.sub(required, tests)


def _names(source: str, tests: str) -> list[str]:
    return [name for name in shared_names(source, tests) if name not in _RESERVED]


def _epilogue(names: Sequence[str]) -> str:
    """Returns the code after an answer that passes its names to the process of the answer."""
    return f"serveTests({{ {', '.join(f'{name}: () => {name}' for name in names)} }});"
