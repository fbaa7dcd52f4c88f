"""Java, by the JDK. Asserts are on."""

import os
import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits
from .command import CommandLanguage


# Beside the JDK: what programs may import where it is installed
JAVATUPLES = "/usr/share/java/javatuples.jar"
_WITH_CARET = re.compile(
    r"\w+\.java:(?P<line>\d+): error: (?:(?!\w+\.java:\d+: )[^\n]*\n)+?(?P<column>[ \t]*)\^$", re.MULTILINE
)
_CLASS = re.compile(r"^\s*(?:public\s+)?(?:final\s+)?(?:abstract\s+)?class\s+(\w+)", re.MULTILINE)
_MAIN = re.compile(r"\bvoid\s+main\s*\(")
_HEAD = re.compile(
    r"\bpublic\s+static\s+void\s+main\s*(\([^)]*?(\w+)(?:\s*\[\s*\])?\s*\)(?:\s*throws[\w\s.,]+)?)\s*\{"
)
_PRINT_END = (
    "System.out.flush(); new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true)"
    f'.println("\\n{END_MARK}");'
)


class Java(CommandLanguage):
    """Java. The class that holds `main` is run; javatuples may be imported where it is installed."""

    name = "java"
    title = "Java"
    fences = ("java",)
    file = "Main.java"
    tools = (("javac", "default-jdk-headless"), ("java", "default-jdk-headless"))
    limits = Limits(timeout=60.0, memory=4 << 30, processes=256)
    compile_error = re.compile(r"^\w+\.java:(?P<line>\d+): error: (?P<message>[^\n]*)", re.MULTILINE)
    run_error = re.compile(
        r"^(?:Exception in thread \"[^\"\n]*\" (?:[\w]+\.)*(?P<code>[\w$]+)(?:: |(?=\n))|Error: )(?P<message>[^\n]*)",
        re.MULTILINE,
    )
    # The first frame that is the program's own: its classes lie in no package
    run_place = re.compile(r"^[ \t]+at \w+(?:\$\w+)*\.[\w<>$]+\(\w+\.java:(?P<line>\d+)\)", re.MULTILINE)
    compile_rules = (
        (FeedbackKind.IMPORT, r"package [\w.]+ does not exist"),
        (FeedbackKind.NAME, r"cannot find symbol"),
        (
            FeedbackKind.TYPE,
            r"incompatible types|bad operand types?|cannot be (applied|dereferenced)|no suitable|unreported exception|array required"
            r"|incomparable types|not a statement type",
        ),
    )
    run_rules = (
        (FeedbackKind.ASSERTION, r"\A[^\n]* java\.lang\.AssertionError"),
        (FeedbackKind.MEMORY, r"\A[^\n]*OutOfMemoryError"),
        (FeedbackKind.TYPE, r"\A[^\n]*(ClassCast|ArrayStore)Exception"),
        (
            FeedbackKind.VALUE,
            r"\A[^\n]*(NumberFormat|IndexOutOfBounds|IllegalArgument|Arithmetic|NegativeArraySize|NoSuchElement|InputMismatch)",
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
        text = f"{source.replace(END_MARK, '')}\n{self.with_end(tests)}" if tests else source
        main = _main_class(text)
        path = f".:{JAVATUPLES}" if os.path.exists(JAVATUPLES) else "."
        heap = (
            "-Xmx1g",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
            "-XX:ReservedCodeCacheSize=64m",
        )
        return CommandProgram(
            argv=("java", *heap, "-ea", "-cp", path, main),
            compile=(
                "javac",
                *(f"-J{option}" for option in heap),
                "-nowarn",
                "-proc:none",
                "-Xmaxerrs",
                "5",
                "-encoding",
                "UTF-8",
                "-cp",
                path,
                f"{main}.java",
            ),
            files={f"{main}.java": text},
            end_mark=END_MARK in text,
            stdin=stdin,
            limits=limits or self.limits,
        )

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        raise NotImplementedError

    def with_end(self, tests: str) -> str:
        def two(main: re.Match[str]) -> str:
            signature, arguments = main.groups()
            return (
                f"public static void main{signature} {{ endOfChecks({arguments}); {_PRINT_END} }} "
                f"static void endOfChecks{signature} {{"
            )

        return _HEAD.sub(two, tests, count=1)

    def assertion(self, output: str) -> dict[str, str]:
        return {}

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        # The caret below the line tells the column
        return (
            _WITH_CARET.match(output, found.start()) or found
            if compiling and found
            else super().place(output, found, compiling)
        )

    def readable(self, output: str) -> str:
        # Frames of the library, and of what stands around `main`, say nothing of the program
        output = re.sub(
            r"^([ \t]+at \w+)\.endOfChecks(\(.*\n)[ \t]+at \w+\.main\(.*$", r"\1.main\2", output, flags=re.MULTILINE
        )
        lines = [
            line
            for line in output.split("\n")
            if not re.match(r"[ \t]+at (java|jdk|sun)[./]|Note: |[ \t]*\.\.\. \d+ more", line)
        ]
        return re.sub(r"\n\n+", "\n", "\n".join(lines)).strip("\n")


def _main_class(text: str) -> str:
    """The class that the file is named for: the public one, else the one around `main`, else the first."""
    public = re.search(r"^\s*public\s+(?:final\s+)?class\s+(\w+)", text, re.MULTILINE)
    if public:
        return public.group(1)
    main = _MAIN.search(text)
    names = [found.group(1) for found in _CLASS.finditer(text, 0, main.start() if main else len(text))]
    return names[-1] if names and main else (names[0] if names else "Main")
