"""Runs Swift, compiled by swiftc."""

import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits
from .command import CommandLanguage


class Swift(CommandLanguage):
    """Runs Swift without optimization, so that asserts are checked."""

    name = "swift"
    title = "Swift"
    fences = ("swift",)
    suspects = (
        ("shares a process with its tests", r"\S"),
        ("ends processes", r"\b(?:exit|_exit|quick_exit|abort|kill|raise)\s*\("),
        ("acts when the process exits", r"\b(?:atexit|signal|sigaction)\s*\("),
        (
            "replaces what tests use",
            r"\bfunc\s+(?:assert|precondition|assertionFailure|fatalError|print|==)\s*[(<]|@_cdecl|@_silgen_name",
        ),
        ("reaches into memory", r"\bUnsafe(?:Mutable)?(?:Raw)?(?:Buffer)?Pointer\b|/proc/|CommandLine"),
    )
    file = "main.swift"
    tools = (("swiftc", "swiftlang"),)
    compiler = ("swiftc", "-Onone", "-suppress-warnings", "-o", "main", "main.swift")
    command = ("./main",)
    limits = Limits(timeout=90.0, memory=4 << 30, processes=128)
    compile_error = re.compile(r"^main\.swift:(?P<line>\d+):(?P<column>\d+): error: (?P<message>[^\n]*)", re.MULTILINE)
    run_error = re.compile(r"(?P<message>(?:Assertion failed|Fatal error)[^\n]*)")
    run_place = re.compile(r"main\.swift:(?P<line>\d+): ")
    compile_rules = (
        (FeedbackKind.IMPORT, r"no such module"),
        (FeedbackKind.NAME, r"cannot find|has no member"),
        (FeedbackKind.TYPE, r"cannot (convert|be applied)|does not conform|mismatch|conflicting"),
    )
    run_rules = (
        (FeedbackKind.ASSERTION, r"Assertion failed"),
        (FeedbackKind.VALUE, r"Index out of range|overflow|Division by zero|unexpectedly found nil"),
    )

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        text = f"{source.replace(END_MARK, '')}\n{self.with_end(tests)}"
        return CommandProgram(self.command, self.compiler, {self.file: text}, end_mark=END_MARK in text)

    def with_end(self, tests: str) -> str:
        # The standard assert, even if the program defines a function with this name
        tests = re.sub(r"^(\s*)assert\(", r"\1Swift.assert(", tests, flags=re.MULTILINE)
        return f'{tests}\nSwift.print("\\n{END_MARK}")'

    def assertion(self, output: str) -> dict[str, str]:
        return {}
