"""Runs Python with the sandbox's interpreter, with the tests in a separate process."""

import re

from ..feedback import Feedback, FeedbackKind
from ..sandbox import ErrorInfo, Limits, Program, PythonProgram, Verdict
from .language import Language
from .rendering import normalized, printable, shortened, with_output
from .status import feedback_of_status
from .suspicion import of_python


# Exception classes by kind; others are `RUNTIME`
_KINDS = {
    FeedbackKind.SYNTAX: ("SyntaxError", "IndentationError", "TabError"),
    FeedbackKind.NAME: ("NameError", "UnboundLocalError", "AttributeError"),
    FeedbackKind.TYPE: ("TypeError",),
    FeedbackKind.VALUE: (
        "ValueError", "UnicodeDecodeError", "UnicodeEncodeError", "JSONDecodeError", "IndexError", "KeyError", "LookupError",
        "ZeroDivisionError", "OverflowError", "ArithmeticError", "FloatingPointError", "InvalidOperation", "StatisticsError",
    ),
    FeedbackKind.ASSERTION: ("AssertionError",),
    FeedbackKind.IMPORT: ("ImportError", "ModuleNotFoundError"),
    FeedbackKind.TIMEOUT: ("TimeoutError",),
    FeedbackKind.MEMORY: ("MemoryError",),
}  # fmt: skip
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}
_PLACE = re.compile(r" \((?:main|checks)\.py, line \d+\)$")  # of a syntax error, which has separate fields for it
_FILES = {"main.py": "program", "checks.py": "tests"}
# The first traceback that the program has printed
_PRINTED = re.compile(
    r'^  File "main\.py", line (?P<line>\d+)[^\n]*\n(?:^[ \t][^\n]*\n)*(?P<type>[A-Za-z_][\w.]*(?:Error|Exception|Exit))'
    r"(?:: (?P<message>[^\n]*))?$",
    re.MULTILINE,
)
_NOTE = re.compile(r"^Note: ([^\n]+)$", re.MULTILINE)  # of the checks, on an object of the program
_HINT = re.compile(r"(Did you (?:mean|forget)[^\n]*?\?|Perhaps you forgot [^\n]*|Maybe you meant [^\n]*)")


class Python(Language):
    """Runs Python 3, in the version of the sandbox's interpreter."""

    name = "python"
    title = "Python"
    fences = ("python", "py", "python3")

    def suspicious(self, source: str) -> tuple[str, ...]:
        return of_python(source)

    def missing(self) -> str | None:
        return None  # the sandbox brings its own interpreter, or refuses to start

    def program(
        self,
        source: str,
        tests: str = "",
        *,
        entry_point: str | None = None,
        stdin: str = "",
        limits: Limits | None = None,
    ) -> Program:
        return PythonProgram(source, checks=tests, entry_point=entry_point, stdin=stdin, limits=limits or Limits())

    def diagnose(self, verdict: Verdict, source: str, tests: str = "") -> Feedback:
        if (feedback := feedback_of_status(verdict)) is not None:
            return feedback
        if not tests and verdict.left and verdict.exit_code == 0:
            return Feedback(FeedbackKind.NONE, with_output(verdict.stdout, ""))
        error = verdict.error
        if error is None:
            return _from_output(verdict, source)
        return feedback_of_error(error, verdict.stdout)


def feedback_of_error(error: ErrorInfo, stdout: str = "") -> Feedback:
    """Returns the feedback on an error that a program raised after it printed `stdout`."""
    hint = (_NOTE.search(error.text) if error.file == "checks.py" else None) or _HINT.search(error.text)
    return Feedback(
        kind=kind_of(error.type),
        text=with_output(stdout, _failure(error)),
        error_type=printable(error.type),
        message=shortened(_PLACE.sub("", normalized(error.message))),
        file=_FILES.get(error.file or ""),
        line=error.line,
        column=error.column,
        source_line=_clean(error.source_line),
        assertion=_clean(error.assertion),
        actual=_clean(error.actual),
        expected=_clean(error.expected),
        hint=_clean(hint.group(1)) if hint else None,
    )


def kind_of(error_type: str) -> FeedbackKind:
    """Returns the kind of an exception class, such as `"ZeroDivisionError"` or `"decimal.InvalidOperation"`."""
    return _KIND_OF.get(error_type.rpartition(".")[2], FeedbackKind.RUNTIME)


def _from_output(verdict: Verdict, source: str) -> Feedback:
    """Parses the output of a program that caught its errors itself and exited with another code, as `unittest.main()` does."""
    if verdict.exit_code == 0:  # its last output, such as the "OK" of `unittest`, is not the error
        return Feedback(FeedbackKind.RUNTIME, with_output(verdict.stdout, verdict.reason), message=verdict.reason)
    text = normalized(shortened(verdict.stderr, 20_000))
    found = _PRINTED.search(text)
    if found is None:
        message = shortened(text.strip().rpartition("\n")[2] or verdict.reason)
        return Feedback(FeedbackKind.RUNTIME, with_output(verdict.stdout, text or verdict.reason), message=message)
    line, lines = int(found["line"]), source.split("\n")
    known = 0 < line <= len(lines)
    return Feedback(
        kind=kind_of(found["type"]),
        text=with_output(verdict.stdout, text),
        error_type=found["type"][:200],
        message=shortened(found["message"] or ""),
        file="program" if known else None,
        line=line if known else None,
        source_line=_clean(lines[line - 1]) if known else None,
    )


def _clean(text: str | None) -> str | None:
    return None if text is None else shortened(normalized(text))


def _failure(error: ErrorInfo) -> str:
    """Returns the traceback, and the values that an assert compared."""
    text = normalized(error.text or f"{error.type}: {error.message}").rstrip("\n")
    for inside, name in _FILES.items():
        text = text.replace(f'File "{inside}"', f'File "{name}.py"')
    if error.actual is not None:
        text += f"\nExpected: {_clean(error.expected)}\nGot: {_clean(error.actual)}"
    return text
