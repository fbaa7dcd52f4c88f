"""Implements languages that are run by a command: one file, an optional compiler, and error messages as text."""

import dataclasses
import re
import shutil
import signal
from abc import abstractmethod
from collections.abc import Sequence
from importlib import resources
from typing import Any, ClassVar

from ..feedback import Feedback, FeedbackKind
from ..sandbox import CommandProgram, Limits, Verdict
from .language import Language
from .rendering import normalized, printable, shortened, with_output
from .status import feedback_of_status


Rules = Sequence[tuple[FeedbackKind, str]]
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# Characters and open brackets of an answer whose declarations are parsed: outside the sandbox, and in more than linear time
_MAX_SOURCE, _MAX_DEPTH = 65_536, 200
# Limits of the printed text, and of a line of it, that patterns search
_MAX_SCANNED, _MAX_LINE = 60_000, 2_000
_UNITS = {"utf-8": 1, "utf-16-le": 2, "utf-32-le": 4}


class CommandLanguage(Language):
    """
    Base class of languages whose program is one file, judged by tests that run beside it.

    The answer and its tests are two programs, isolated separately, and the tests call the answer's functions through
    two pipes ([`~reflection_trl.sandbox.Partner`]). Only data is sent: an answer can neither replace nor end the
    tests, nor read expected values, and objects that claim to equal everything do not reach them. A pass is exit code
    0 of the tests **and** a secret mark that they print at their end.

    The compiler's output for people is parsed, not its machine-readable form: g++ drops its JSON with version 15, javac's
    raw diagnostics leave out the sentence that a model needs, and the places stand alike in both. Whether a program has
    passed is never read from text.

    Attributes:
        file (`str`):
            Name of the file.
        tools (`tuple`):
            Required commands, each with the Debian package that provides it.
        compiler (`tuple[str]`):
            Command that checks or compiles the file; empty where there is none.
        command (`tuple[str]`):
            Command that runs it.
        limits ([`~reflection_trl.sandbox.Limits`]):
            Limits of a run, including the compiler.
        compile_error (`re.Pattern`):
            Finds the compiler's first error, with groups `message` and perhaps `line`, `column`, `code`.
        run_error (`re.Pattern`):
            Finds what ended a run, with the group `message` or `fatal` and perhaps `code`. The last match counts: a
            program may print what looks like an error before it fails.
        run_place (`re.Pattern`):
            Finds where, with groups `line` and perhaps `column`, a number or the blanks before a caret.
        column_encoding (`str`):
            The units of an encoding in which the toolchain counts columns.
        compile_rules, run_rules (`Rules`):
            Kinds of error, by the first pattern that is found in the message.
    """

    file: ClassVar[str]
    tools: ClassVar[tuple[tuple[str, str], ...]]
    compiler: ClassVar[tuple[str, ...]] = ()
    command: ClassVar[tuple[str, ...]]
    limits: ClassVar[Limits] = Limits(timeout=30.0, memory=2 << 30)
    compile_error: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    run_error: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    run_place: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    column_encoding: ClassVar[str] = "utf-16-le"
    compile_rules: ClassVar[Rules] = ()
    run_rules: ClassVar[Rules] = ()
    hint: ClassVar[re.Pattern[str]] = re.compile(r"(?i)(did you mean[^\n]*)")

    def missing(self) -> str | None:
        for tool, package in self.tools:
            if shutil.which(tool, path=SYSTEM_PATH) is None:
                return f"{self.title} needs `{tool}`: `apt-get install {package}`."
        return None

    def program(
        self,
        source: str,
        tests: str = "",
        *,
        entry_point: str | None = None,
        stdin: str = "",
        limits: Limits | None = None,
    ) -> CommandProgram:
        limits = limits or self.limits
        if tests and (refused := _unreadable(source)) is not None:
            return CommandProgram(("sh", "-c", 'echo "$1" >&2; exit 1', "sh", refused), stdin=stdin, limits=limits)
        if tests:
            return dataclasses.replace(self.separated(source, tests, entry_point or ""), stdin=stdin, limits=limits)
        files = {self.file: source}
        return CommandProgram(self.command, self.compiler or None, files, stdin=stdin, limits=limits)

    def diagnose(self, verdict: Verdict, source: str, tests: str = "") -> Feedback:
        if (feedback := feedback_of_status(verdict)) is not None and not self.failed_quietly(verdict, tests):
            return feedback
        compiling = verdict.step == "compile"
        output = "\n".join(part for part in (verdict.stderr, self.errors_on_stdout(verdict)) if part)
        output = self.worded(normalized(shortened(output, _MAX_SCANNED, longest_line=_MAX_LINE)))
        found = self.compile_error.search(output) if compiling else last_match(self.run_error, output)
        readable = self.readable(output)
        message = _message(found) if found else _last_line(readable) or normalized(verdict.reason)
        place = self._place(self.place(output, found, compiling), source, tests)
        kind = self.classify(
            message if compiling else output[found.start() :] if found else output, compiling, verdict
        )
        checked = str(place.get("source_line") or "")
        if kind is FeedbackKind.RUNTIME and not compiling and re.search(r"\bassert", checked):
            kind = FeedbackKind.ASSERTION  # an assert with its own message
        code = self.error_type(found, output)
        if code is None and kind in (FeedbackKind.RUNTIME, FeedbackKind.VALUE):
            code = _signal_name(verdict)
        hint = self.hint.search(output)
        details = self.assertion(output) if kind is FeedbackKind.ASSERTION else {}
        if kind is FeedbackKind.ASSERTION and checked:
            details.setdefault("assertion", checked.strip())
        return Feedback(
            kind=kind,
            text=with_output("" if compiling else self.printed(verdict), readable or message),
            error_type=(code or "")[:200] or None,
            message=shortened(message),
            hint=shortened(hint.group(1).strip()) if hint else None,
            **place | {name: shortened(value) for name, value in details.items()},
        )

    # Methods for languages to override

    @abstractmethod
    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        """
        Returns the tests as a program, and the answer as its partner, which the tests call through two pipes.

        Args:
            source (`str`):
                The answer. Hostile.
            tests (`str`):
                The tests. They print [`~reflection_trl.sandbox.END_MARK`] when all of them have held.
            entry_point (`str`):
                Name of the function under test; may be empty.
        """

    @abstractmethod
    def assertion(self, output: str) -> dict[str, str]:
        """Returns `assertion`, `actual` and `expected` of a failed assert, if the output contains them."""

    def failed_quietly(self, verdict: Verdict, tests: str) -> bool:
        """Returns whether a program failed though it exited with 0."""
        return False

    def errors_on_stdout(self, verdict: Verdict) -> str:
        """Returns the errors in standard output, for compilers that do not use standard error."""
        return verdict.stdout if verdict.step == "compile" else ""

    def worded(self, output: str) -> str:
        """Converts the output of a toolchain to the wording of its later releases, which the patterns match."""
        return output

    def printed(self, verdict: Verdict) -> str:
        """Returns the output of the program itself."""
        return verdict.stdout

    def readable(self, output: str) -> str:
        """Returns the output without parts that are useless to a reader."""
        return output.strip("\n")

    def error_type(self, found: re.Match[str] | None, output: str) -> str | None:
        """Returns the exception class or the code of the error."""
        return found.groupdict().get("code") if found else None

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        """Returns the place of the error `found`, as a match with groups `line` and optionally `column`."""
        if compiling:
            return found
        return self.run_place.search(output, found.start() if found else 0) or last_match(self.run_place, output)

    def classify(self, text: str, compiling: bool, verdict: Verdict) -> FeedbackKind:
        for kind, pattern in self.compile_rules if compiling else self.run_rules:
            if re.search(pattern, text):
                return kind
        if compiling:
            return FeedbackKind.SYNTAX
        if verdict.signal == signal.SIGFPE:
            return FeedbackKind.VALUE
        return FeedbackKind.RUNTIME

    def locate(self, found: re.Match[str], source: str) -> tuple[str, int]:
        """Returns `"program"` or `"tests"`, and the line in it."""
        line, lines = int(found["line"]), source.count("\n") + 1
        if (file := found.groupdict().get("file")) is not None:
            return ("tests" if file.startswith("tests") else "program"), line
        return ("tests", line - lines) if line > lines else ("program", line)

    def _place(self, found: re.Match[str] | None, source: str, tests: str) -> dict[str, Any]:
        if found is None or not (groups := found.groupdict()).get("line"):
            return {}
        file, line = self.locate(found, source)
        lines = (tests if file == "tests" else source).split("\n")
        if not 0 < line <= len(lines):  # of a line that neither has
            return {}
        text = lines[line - 1].strip("\r")
        return {
            "file": file,
            "line": line,
            "column": None if groups.get("column") is None else self._characters(text, groups["column"]),
            "source_line": shortened(printable(text)),
        }

    def _characters(self, text: str, column: str) -> int | None:
        """Returns the column in characters, if the line has it: `column` is a number, or the blanks before a caret."""
        size = (int(column) - 1 if column.isdigit() else len(column)) * _UNITS[self.column_encoding]
        data = text.encode(self.column_encoding, "surrogatepass")
        if size > len(data):
            return None
        before = data[:size]
        return len(before.decode(self.column_encoding, "ignore")) + 1


def _unreadable(source: str) -> str | None:
    """Returns why an answer is not parsed, if it is so long or so deeply nested that no program is."""
    if len(source) > _MAX_SOURCE:
        return f"The answer has {len(source)} characters, and at most {_MAX_SOURCE} are compiled with tests."
    depth = 0
    for bracket in re.findall(r"[][(){}]", source):
        depth += 1 if bracket in "([{" else -1 if depth else 0
        if depth > _MAX_DEPTH:
            return f"The answer has more than {_MAX_DEPTH} brackets open at a time."
    return None


def protocol_files(*names: str) -> dict[str, str]:
    """Returns files of `protocol/`, by name: the protocol between a language's tests and the answer."""
    folder = resources.files(__package__) / "protocol"
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def closed(source: str, tests: str) -> tuple[str, str]:
    """
    Returns the answer and the tests. A closing brace at the beginning of the tests moves to the end of the answer;
    line numbers are unchanged.
    """
    brace = re.match(r"\s*\}", tests)
    if brace is None:
        return source, tests
    return f"{source}\n{brace.group()}", brace.group()[:-1] + tests[brace.end() :]


def shared_names(source: str, tests: str) -> list[str]:
    """Returns the words in both an answer and its tests, which include all names of the answer that the tests use."""
    words = set(re.findall(r"[A-Za-z_$][\w$]*", source))
    return [word for word in dict.fromkeys(re.findall(r"[A-Za-z_$][\w$]*", tests)) if word in words]


def last_match(pattern: re.Pattern[str], output: str) -> re.Match[str] | None:
    """Returns the last match of `pattern` in `output`."""
    return next(reversed([*pattern.finditer(output)]), None)


def _message(found: re.Match[str]) -> str:
    """Returns the group `message`, `fatal` where that has matched, or all of it."""
    groups = found.groupdict()
    message = next((groups[name] for name in ("message", "fatal") if groups.get(name) is not None), found.group())
    return message.strip()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines[-1] if lines else ""


def _signal_name(verdict: Verdict) -> str | None:
    try:
        return signal.Signals(verdict.signal).name if verdict.signal else None
    except ValueError:  # a real-time signal
        return None
