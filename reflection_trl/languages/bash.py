"""Runs Bash programs. A program fails with its exit code, so tests should begin with `set -e`."""

import re
import shlex

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner, Status, Verdict
from .bash_uses import is_fed, uses
from .command import CommandLanguage, closed, protocol_files


# Where the shell evaluates text as a number, which may name variables and run commands, and where it takes its words for operators
_NUMBERS = re.compile(
    r"\[\[[^\n]*\s-(?:eq|ne|lt|le|gt|ge)\s|\$\{\w+:\s*\$|\$\{\w+:\w+:\s*\$|\(\(|\$\[|\blet\s|\b(?:declare|local|typeset)\s+-\w*i|\$\{\w+\[[^]@*]*\$|\bprintf\b[^\n]*%[-+ 0-9]*[diouxX]"
)
_WORDS = re.compile(r"(?:(?<!\[)\[|\btest)\s[^\n\"']*(?<![\"'\w])\$[({\w]")
_WORD = re.compile(r"[A-Za-z_][\w.:-]*")


class Bash(CommandLanguage):
    """Runs Bash, with the usual commands of the system."""

    name = "bash"
    title = "Bash"
    fences = ("bash", "sh", "shell", "zsh")
    suspects = (
        (
            "replaces what tests use",
            r"(?m)expand_aliases|\balias\s|^\s*(?:function\s+)?(?:\[|test|eq|diff|echo|printf|exit)\s*\(\)",
        ),
        ("ends processes", r"\bkill\s+-|\btrap\b"),
        ("reads what the judge keeps", r"/proc/"),
    )
    file = "main.sh"
    tools = (("bash", "bash"),)
    command = ("bash", "main.sh")
    limits = Limits(timeout=20.0)
    run_error = re.compile(r"^(?:main|tests)\.sh: line \d+: (?P<message>(?!`)[^\n]*)", re.MULTILINE)
    run_place = re.compile(r"^(?P<file>main|tests)\.sh: line (?P<line>\d+): ", re.MULTILINE)
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

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        source, tests = closed(source, tests)
        words = set(_WORD.findall(source))
        names = [word for word in dict.fromkeys(_WORD.findall(tests)) if word in words]
        found = re.findall(r"\$\{?#?([A-Za-z_]\w*)", tests)
        found += [
            name for inside in re.findall(r"\(\(([^\n]*?)\)\)", tests) for name in re.findall(r"[A-Za-z_]\w*", inside)
        ]
        used = dict.fromkeys(name for name in found if name in words)
        # Variables that the tests set are unchanged
        variables = [name for name in used if not _sets(name, tests)]
        evaluated = "n" * bool(_NUMBERS.search(tests)) + "w" * bool(_WORDS.search(tests))
        evaluated += uses(tests, names, variables) + "i" * is_fed(tests, names)
        evaluated += "e" * bool(re.search(r"2>|&>|\|&", tests))
        head = f"source ./judge.sh {shlex.quote(entry_point)} {evaluated or '-'} {shlex.join(variables)} -- {shlex.join(names)}; "
        return CommandProgram(
            argv=("bash", "tests.sh"),
            files={
                "tests.sh": f"{head}{tests}\ncase $? in 0) printf '\\n%s\\n' {END_MARK} ;; *) exit 1 ;; esac",
                **protocol_files("judge.sh"),
            },
            end_mark=True,
            partner=Partner(
                argv=self.command,
                files={self.file: f"{source}\nbuiltin source ./answer.sh", **protocol_files("answer.sh")},
            ),
        )

    def assertion(self, output: str) -> dict[str, str]:
        return {}

    def classify(self, text: str, compiling: bool, verdict: Verdict) -> FeedbackKind:
        # A failed check prints nothing
        if not text.strip() and verdict.status is Status.FAILED and verdict.exit_code:
            return FeedbackKind.ASSERTION
        return super().classify(text, compiling, verdict)


def _sets(name: str, tests: str) -> bool:
    """Returns whether the tests set a variable of this name."""
    return bool(
        re.search(
            rf"(?<![$\w]){name}(?:\[[^]]*\])?(?::|[-+*/%])?=|\b(?:for|select)\s+{name}\b|\b{name}\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)|\b{name}(?:\+\+|--)|(?:\+\+|--){name}\b"
            rf"|\b(?:read|local|declare|typeset|readonly|export|mapfile|readarray|let|getopts|printf\s+-v)\b[^\n;|&]*(?<!\$)\b{name}\b",
            tests,
        )
    )
