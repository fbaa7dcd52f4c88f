"""Bash. A program that fails says so by its exit code; tests should begin with `set -e`."""

import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, Limits, Status, Verdict
from .command import CommandLanguage


class Bash(CommandLanguage):
    """Bash, with the system's usual commands."""

    name = "bash"
    title = "Bash"
    fences = ("bash", "sh", "shell", "zsh")
    file = "main.sh"
    tools = (("bash", "bash"),)
    command = ("bash", "main.sh")
    limits = Limits(timeout=20.0)
    run_error = re.compile(r"^main\.sh: line \d+: (?P<message>(?!`)[^\n]*)", re.MULTILINE)
    run_place = re.compile(r"^main\.sh: line (?P<line>\d+): ", re.MULTILINE)
    run_rules = (
        (
            FeedbackKind.SYNTAX,
            r"syntax error|unexpected EOF|unexpected end of file|conditional binary operator expected",
        ),
        (FeedbackKind.NAME, r"command not found|unbound variable"),
        (
            FeedbackKind.VALUE,
            r"integer expression expected|division by 0|value too great for base|invalid arithmetic|invalid number",
        ),
    )

    def with_end(self, tests: str) -> str:
        # Keywords and variables only decide: a program may define functions of any name, `set` among them
        errexit = "*e*" if re.search(r"^\s*set -\w*e", tests, re.MULTILINE) else "*"
        return f"{tests}\ncase $-:$? in {errexit}:0) printf '\\n%s\\n' {END_MARK} ;; *) exit 1 ;; esac"

    def assertion(self, output: str) -> dict[str, str]:
        return {}

    def classify(self, text: str, compiling: bool, verdict: Verdict) -> FeedbackKind:
        # A check that does not hold prints nothing
        if not text.strip() and verdict.status is Status.FAILED and verdict.exit_code:
            return FeedbackKind.ASSERTION
        return super().classify(text, compiling, verdict)
