"""Runs PHP with its command-line interpreter. Asserts throw."""

import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner
from .command import CommandLanguage, protocol_files, shared_names


class PHP(CommandLanguage):
    """Runs PHP. The opening tag of a program is optional."""

    name = "php"
    title = "PHP"
    fences = ("php",)
    suspects = (
        ("ends processes", r"\b(?:exit|die)\s*[(;]|register_shutdown_function|posix_kill"),
        ("replaces what tests use", r"\bassert_options\b|\bini_set\s*\("),
    )
    file = "main.php"
    tools = (("php", "php-cli"),)
    command = (
        "php",
        "-d",
        "zend.assertions=1",
        "-d",
        "assert.exception=1",
        "-d",
        "display_errors=stderr",
        "-d",
        "html_errors=0",
        "-d",
        "log_errors=0",
        "main.php",
    )
    limits = Limits(timeout=30.0, memory=1 << 30)
    run_error = re.compile(
        r"^(?:PHP )?(?:Parse|Fatal) error: +(?:Uncaught (?P<code>[\w\\]+)(?:: )?)?(?P<message>[\s\S]*?)(?:,? (?:called )?in (?:main|tests)\.php|$)"
        r"|^(?P<fatal>Out of memory)$",
        re.MULTILINE,
    )
    # The last location in the message is that of the error, since callers precede callees
    run_place = re.compile(
        r"^(?:PHP )?(?:Parse|Fatal) error: [^\n]*\bin (?P<file>main|tests)\.php(?: on line |:)(?P<line>\d+)",
        re.MULTILINE,
    )
    run_rules = (
        (FeedbackKind.SYNTAX, r"\A(PHP )?Parse error"),
        (FeedbackKind.ASSERTION, r"\A[^\n]*Uncaught (AssertionError|Exception: Test failed)"),
        (
            FeedbackKind.NAME,
            r"\A[^\n]*(Call to undefined|Undefined (variable|constant|function)|Class \"[^\"]*\" not found)",
        ),
        (FeedbackKind.TYPE, r"\A[^\n]*Uncaught (TypeError|ArgumentCountError)|\A[^\n]*Unsupported operand types"),
        (FeedbackKind.IMPORT, r"\A[^\n]*Failed opening required"),
        (FeedbackKind.MEMORY, r"\A[^\n]*(Allowed memory size|Out of memory)"),
        (
            FeedbackKind.VALUE,
            r"\A[^\n]*Uncaught (ValueError|DivisionByZeroError|ArithmeticError|OutOfBounds|OutOfRange|InvalidArgument|Range|Domain)",
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
        if "<?" not in source:
            source = f"<?php {source}"  # on the same line, so that lines keep their numbers
        return super().program(source, tests, entry_point=entry_point, stdin=stdin, limits=limits)

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        php = self.command[:-1]
        tests = re.sub(r"\A\s*<\?php", "", tests)
        return CommandProgram(
            argv=(*php, "judge.php", END_MARK, *shared_names(source, tests)),
            files={"tests.php": f"<?php {tests}", **protocol_files("comparisons.php", "judge.php", "peer.php")},
            end_mark=True,
            partner=Partner(
                argv=(*php, "-d", "auto_append_file=answer.php", "main.php"),
                files={"main.php": source, **protocol_files("answer.php", "peer.php")},
            ),
        )

    def assertion(self, output: str) -> dict[str, str]:
        found = re.search(r"Uncaught AssertionError: (assert\(.*\))(?: in |$)", output, re.MULTILINE)
        return {"assertion": found.group(1)} if found else {}

    def readable(self, output: str) -> str:
        output = re.sub(r"\nStack trace:\n(?:#[^\n]*\n)*\s*thrown in [^\n]*", "", output)
        output = re.sub(r"^PHP (?=(?:Parse|Fatal) error)|^mmap\(\) failed.*\n", "", output, flags=re.MULTILINE)
        return output.strip("\n")
