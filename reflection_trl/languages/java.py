"""Runs Java with the JDK. Asserts are enabled."""

import os
import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner
from .command import CommandLanguage, closed, protocol_files, shared_names
from .heads import blanked, class_of, depth


# In addition to the JDK, libraries that programs may import if they are installed
JAVATUPLES = "/usr/share/java/javatuples.jar"
_WITH_CARET = re.compile(
    r"(?P<file>\w+)\.java:(?P<line>\d+): error: (?:(?!\w+\.java:\d+: )[^\n]*\n)+?(?P<column>[ \t]*)\^$", re.MULTILINE
)
_CLASS = re.compile(r"^[ \t]*(?:public\s+)?(?:final\s+)?(?:abstract\s+)?class\s+(\w+)", re.MULTILINE)
_MAIN = re.compile(r"\bvoid\s+main\s*\(")
_PACKAGE = re.compile(r"^[ \t]*package\s[^;\n]*;", re.MULTILINE)
# Imports of the library that the tests may rely on
_IMPORT = re.compile(
    r"^[ \t]*(import\s+(?:static\s+)?(?:java\.(?:util|math|io|text|time|lang)|org\.javatuples)[\w.*\s]*;)",
    re.MULTILINE,
)
_OPTIONS = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:ReservedCodeCacheSize=64m")
_PIPES = ("--add-opens", "java.base/java.io=ALL-UNNAMED")
_COMPILER = ("-nowarn", "-proc:none", "-Xmaxerrs", "5", "-encoding", "UTF-8")
# The tests' side compiles the classes of the answer and sends them
_LOAD = 'read -r size <&3 || exit 0; head -c "$size" <&3 >answer.jar; exec "$0" "$@" reflection_trl.Serve'


def _path() -> str:
    return f".:{JAVATUPLES}" if os.path.exists(JAVATUPLES) else "."


class Java(CommandLanguage):
    """Runs Java: the class with `main`. javatuples can be imported if it is installed."""

    name = "java"
    title = "Java"
    fences = ("java",)
    suspects = (
        ("ends processes", r"\b(?:System\.exit|Runtime\.getRuntime\(\)\.halt|\.halt\()"),
        ("reaches into memory", r"\bUnsafe\b"),
        ("looks at frames", r"\b(?:setAccessible|StackWalker|getStackTrace)\b"),
    )
    file = "Main.java"
    tools = (("javac", "default-jdk-headless"), ("java", "default-jdk-headless"))
    limits = Limits(timeout=60.0, memory=4 << 30, processes=256)
    compile_error = re.compile(r"^(?P<file>\w+)\.java:(?P<line>\d+): error: (?P<message>[^\n]*)", re.MULTILINE)
    run_error = re.compile(
        r"^(?:Exception in thread \"[^\"\n]*\" (?:[\w]+\.)*(?P<code>[\w$]+)(?:: |(?=\n))|Error: )(?P<message>[^\n]*)",
        re.MULTILINE,
    )
    # The first frame of the program, whose classes are in no package
    run_place = re.compile(r"^[ \t]+at \w+(?:\$\w+)*\.[\w<>$]+\((?P<file>\w+)\.java:(?P<line>\d+)\)", re.MULTILINE)
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
        if tests:
            return super().program(source, tests, entry_point=entry_point, stdin=stdin, limits=limits)
        source = _PACKAGE.sub("", source)
        main = _main_class(source)
        return CommandProgram(
            argv=("java", *_OPTIONS, "-ea", "-cp", _path(), main),
            compile=("javac", *(f"-J{option}" for option in _OPTIONS), *_COMPILER, "-cp", _path(), f"{main}.java"),
            files={f"{main}.java": source},
            stdin=stdin,
            limits=limits or self.limits,
        )

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        source, tests = closed(_PACKAGE.sub("", source), tests)
        open_braces = depth(source)
        source += "}" * open_braces
        continued = depth(tests) < 0
        # The tests are inside the class that contains the function
        class_name = class_of(source, entry_point) if continued else "-"
        imports = " ".join(" ".join(one.split()) for one in _IMPORT.findall(blanked(source)))
        head = f"{imports} class {class_name} extends {class_name}__Answer {{ " if continued else f"{imports} "
        main = class_name if continued else _main_class(tests)
        names = shared_names(source, tests)
        types = [name for name in names if _is_type(name, blanked(tests))]
        return CommandProgram(
            argv=(
                "java",
                *_OPTIONS,
                *_PIPES,
                "-ea",
                "-cp",
                f"tests:{_path()}",
                "reflection_trl.Judge",
                END_MARK,
                main,
            ),
            compile=(
                "java",
                *_OPTIONS,
                "Build.java",
                _path(),
                class_name,
                entry_point or "-",
                ",".join(types) or "-",
                *names,
            ),
            files={
                "program.java": source,
                "tests.java": head + tests,
                **protocol_files("Build.java", "Judge.java", "Remote.java", "Serve.java", "Wire.java"),
            },
            end_mark=True,
            partner=Partner(
                argv=("bash", "-c", _LOAD, "java", *_OPTIONS, *_PIPES, "-ea", "-cp", f"answer.jar:{_path()}")
            ),
        )

    def assertion(self, output: str) -> dict[str, str]:
        return {}

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        # The caret below the line marks the column
        return (
            _WITH_CARET.match(output, found.start()) or found
            if compiling and found
            else super().place(output, found, compiling)
        )

    def readable(self, output: str) -> str:
        # Frames of the library, and of the code around the tests, are not the program's
        lines = [
            line
            for line in output.split("\n")
            if not re.match(r"[ \t]+at (java|jdk|sun|reflection_trl)[./]|Note: |[ \t]*\.\.\. \d+ more", line)
        ]
        return re.sub(r"\n\n+", "\n", "\n".join(lines)).strip("\n")


def _main_class(text: str) -> str:
    """Returns the class that the file is named for: the public one, else the one around `main`, else the first."""
    public = re.search(r"^[ \t]*public\s+(?:final\s+)?class\s+(\w+)", text, re.MULTILINE)
    if public:
        return public.group(1)
    main = _MAIN.search(text)
    names = [found.group(1) for found in _CLASS.finditer(text, 0, main.start() if main else len(text))]
    return names[-1] if names and main else (names[0] if names else "Main")


def _is_type(name: str, tests: str) -> bool:
    """Returns whether the tests use the name where only a class is valid."""
    name = re.escape(name)
    places = (
        rf"\bnew\s+{name}\b",
        rf"\b{name}\s*(?:<[^;=()]*>)?(?:\[\])?\s+\w+\s*[=;,:)]",
        rf"<\s*{name}\s*[>,]",
        rf"\b(?:instanceof\s+|catch\s*\(\s*){name}\b",
        rf"\({name}\)\s*[\w(]|\b{name}::",
    )
    if any(re.search(place, tests) for place in places):
        return True
    variable = re.search(rf"[\w>\]]\s+{name}\s*[=;:,)]", tests)
    return variable is None and re.search(rf"(?<![.\w]){name}\.\w+", tests) is not None
