"""Runs Rust 2021, compiled by rustc."""

import re
import shutil
import subprocess
from functools import cached_property

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner
from .command import SYSTEM_PATH, CommandLanguage, closed, protocol_files
from .heads import blanked, without_main
from .rust_pair import both_sides


_MAIN = re.compile(r"\bfn\s+main\s*\(\s*\)([^{;]*)\{")
# Form of a panic before release 1.73: `thread 'main' panicked at 'MESSAGE', PLACE`, with values in backquotes
_OLD_PANIC = re.compile(
    r"^(thread '[^'\n]*' panicked at) '(?P<message>.{0,4000}?)', (?P<place>[^\n']{1,200}:\d+:\d+)(?=\n(?:note: |stack backtrace)|\n*\Z)",
    re.MULTILINE | re.DOTALL,
)
_OLD_ASSERTION = re.compile(
    r"\Aassertion failed: `\((left [!=]= right)\)`\n  left: `(.*?)`,\n right: `(.*?)`(?:: (.*))?\Z", re.DOTALL
)
_ASSERT = re.compile(r"(?<![\w:])(assert|assert_eq|assert_ne)!")


class Rust(CommandLanguage):
    """Runs Rust, edition 2021, without crates."""

    name = "rust"
    title = "Rust"
    fences = ("rust", "rs")
    suspects = (
        ("ends processes", r"\bprocess::(?:exit|abort)\b"),
        ("acts before the tests begin", r"link_section|\.init_array"),
        ("reaches into memory", r"\basm!|\bfrom_raw_fd\b"),
        ("replaces functions of C", r"\bno_mangle\b"),
        ("reads what the judge keeps", r"/proc/|include_(?:str|bytes)!|reflection_trl"),
        ("replaces what tests use", r"macro_rules!\s+(?:assert|assert_eq|assert_ne|panic)\b"),
    )
    file = "main.rs"
    tools = (("rustc", "rustc"), ("cc", "gcc"))
    command = ("./main",)
    limits = Limits(timeout=60.0, memory=2 << 30)
    compile_error = re.compile(
        r"^error(?:\[(?P<code>E\d+)\])?: (?P<message>[^\n]*)(?:\n\s*--> (?P<file>main|tests)\.rs:(?P<line>\d+):(?P<column>\d+))?",
        re.MULTILINE,
    )
    column_encoding = "utf-32-le"
    run_error = re.compile(
        r"^thread '[^'\n]*' panicked at [^\n]*:\n(?P<message>(?:(?!note: |  left: |stack backtrace)[^\n]*\n?)+)"
        r"|^(?P<fatal>memory allocation of \d+ bytes failed)|^(?:thread '[^'\n]*' has overflowed its stack)",
        re.MULTILINE,
    )
    run_place = re.compile(
        r"^thread '[^'\n]*' panicked at (?P<file>main|tests)\.rs:(?P<line>\d+):(?P<column>\d+)", re.MULTILINE
    )
    hint = re.compile(r"(?:^|\s)help: ([^\n]*(?:similar name|did you mean|consider)[^\n]*)")
    compile_rules = (
        (FeedbackKind.IMPORT, r"unresolved import|can't find crate"),
        (FeedbackKind.NAME, r"cannot find|no method named|no function|not found|undeclared|no field"),
        (
            FeedbackKind.TYPE,
            r"mismatched types|type annotations|trait bound|cannot (add|compare|be indexed)|borrow|moved|lifetime|arguments? to this|wrong number",
        ),
    )
    run_rules = (
        (FeedbackKind.ASSERTION, r"\A[^\n]*\nassertion [^\n]*failed"),
        (FeedbackKind.MEMORY, r"\Amemory allocation of"),
        (
            FeedbackKind.VALUE,
            r"\A[^\n]*\n[^\n]*(out of bounds|out of range|by zero|with overflow|unwrap\(\)|capacity overflow|byte index)",
        ),
    )

    @cached_property
    def toolchain(self) -> str | None:
        """Returns the directory of a toolchain outside the system's directories, such as rustup's; `None` if the system has one."""
        rustc = shutil.which("rustc")
        if shutil.which("rustc", path=SYSTEM_PATH) is not None or rustc is None:
            return None
        try:
            done = subprocess.run(
                [rustc, "--print", "sysroot"], capture_output=True, text=True, timeout=60, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() or None

    @property
    def readonly(self) -> tuple[str, ...]:
        return (self.toolchain,) if self.toolchain else ()

    @property
    def compiler(self) -> tuple[str, ...]:  # type: ignore[override] # read-only, since the machine decides
        rustc = f"{self.toolchain}/bin/rustc" if self.toolchain else "rustc"
        return (rustc, "--edition", "2021", "-A", "warnings", "--color", "never", "-o", "main", "main.rs")

    def missing(self) -> str | None:
        return super().missing() if self.toolchain is None else None

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        source, tests = closed(source, tests)
        source = without_main(source, _MAIN)
        # The standard asserts, even if the program defines macros with these names
        end = f'let end = end_of_checks(); ::std::println!("\\n{END_MARK}"); end'
        marked = _MAIN.sub(
            lambda main: f"fn main(){main.group(1)}{{ {end} }} fn end_of_checks(){main.group(1)}{{",
            _ASSERT.sub(r"::std::\1!", tests),
            count=1,
        )
        judging, serving = both_sides(source, tests, entry_point)
        rustc, options = self.compiler[:-2], {"wire.rs": protocol_files("wire.rs")["wire.rs"]}
        if not _MAIN.search(blanked(tests)):
            judging += 'compile_error!("the tests have no `main`, whose end is a pass");\n'
        return CommandProgram(
            argv=("./tests",),
            compile=(*rustc, "tests", "judge.rs"),
            files={"judge.rs": f'{judging}include!("tests.rs");\n', "tests.rs": marked, **options},
            end_mark=True,
            partner=Partner(
                argv=self.command, compile=self.compiler, files={"main.rs": f"{source}\n{serving}", **options}
            ),
        )

    def worded(self, output: str) -> str:
        return _OLD_PANIC.sub(_newly_worded, output)

    def assertion(self, output: str) -> dict[str, str]:
        values = {"actual": r"^\s*left: (.*)$", "expected": r"^\s*right: (.*)$"}
        found = {name: re.search(pattern, output, re.MULTILINE) for name, pattern in values.items()}
        return {name: one.group(1).strip("`,") for name, one in found.items() if one}

    def readable(self, output: str) -> str:
        return "\n".join(
            line
            for line in output.split("\n")
            if not line.startswith(
                (
                    "note: run with",
                    "error: aborting",
                    "For more information",
                    "Some errors have",
                    "  = note: this error orig",
                )
            )
        ).strip("\n")


def _newly_worded(panic: re.Match[str]) -> str:
    """Returns a panic in the form of releases since 1.73."""
    message = _OLD_ASSERTION.sub(
        lambda found: (
            f"assertion `{found.group(1)}` failed{f': {found.group(4)}' if found.group(4) else ''}\n"
            f"  left: {found.group(2)}\n right: {found.group(3)}"
        ),
        panic["message"],
    )
    return f"{panic.group(1)} {panic['place']}:\n{message}"
