"""Runs C++17, compiled by g++."""

import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner
from .command import CommandLanguage, closed, last_match, protocol_files
from .cpp_pair import Answer, both_sides, without_unions
from .heads import blanked, without_main


_MAIN = re.compile(r"\bint\s+main\s*\([^)]*\)\s*\{")
_LED_THERE = re.compile(
    r"^(?:In file included from | +from )?(?P<file>main\.cpp|tests\.h):(?P<line>\d+)(?::(?P<column>\d+))?(?::   required from|[,:]$)",
    re.MULTILINE,
)
_IN_PROGRAM = re.compile(r"^(?P<file>main\.cpp|tests\.h):(?P<line>\d+):(?P<column>\d+): ", re.MULTILINE)
_IDLE = re.compile(
    r"compilation terminated|collect2: error|(?:main\.cpp|tests\.h): In |In file included from main\.cpp:\d+:$"
)
# Compiling the tests' side produces the list of template instances that the tests use
_WAIT = 'read -r size <&3 || exit 0; head -c "$size" <&3 >instances.h; exec "$0" "$@"'
# Result types that the compiler deduces: the answer's side reads them from its symbols when it has been compiled. On the
# tests' side they are untrusted text, which must be the name of a type and nothing more
_TELL = r"""
"${@:2}" || exit
for name in $1; do nm -C main | sed -n "s/.* void reflection_trl_result_$name<\(.*\)>()$/\1/p;T;q" | grep . >&4 || echo >&4; done
"""
_LEARN = r"""
for name in $1; do
    read -r type <&3 || exit
    if [[ $type =~ ^[A-Za-z0-9_:\<\>,*\&\ ]+$ && ! $type =~ reflection_trl|typename|operator|sizeof ]]
    then echo "using reflection_trl_result_$name = $type;"
    else echo "static_assert(false, \"the result type of \`$name\` is \`auto\` and not data: write the type\"); using reflection_trl_result_$name = int;"
    fi
done >results.h
exec "${@:2}"
"""
_FAILED = re.compile(r"Assertion `(?P<assertion>.*)' failed\.")


class Cpp(CommandLanguage):
    """Runs C++17. Tests are a `main` after the program, or the program has one."""

    name = "cpp"
    title = "C++"
    fences = ("cpp", "c++", "cc", "cxx")
    suspects = (
        ("ends processes", r"\b(?:_exit|_Exit|quick_exit|pthread_exit|abort)\s*\("),
        (
            "replaces what tests use",
            r"#\s*define\s+(?:assert|__assert_fail|auto|bool|static_cast|return|if|main|int)\b",
        ),
        ("acts before the tests begin", r"__attribute__\s*\(\(\s*(?:constructor|section)|\.init_array"),
        ("reaches into memory", r"\basm\b|\b(?:setjmp|longjmp)\s*\("),
        ("replaces functions of C", r"extern\s*\"C\""),
        ("reads what the judge keeps", r"/proc/|reflection_trl"),
    )
    file = "main.cpp"
    tools = (("g++", "g++"),)
    compiler = (
        "g++",
        "-std=c++17",
        "-O1",
        "-w",
        "-fmax-errors=5",
        "-fdiagnostics-color=never",
        "-fdiagnostics-column-unit=byte",
        "main.cpp",
        "-o",
        "main",
    )
    command = ("./main",)
    limits = Limits(timeout=60.0, memory=2 << 30)
    column_encoding = "utf-8"
    # An error of the compiler or the linker
    compile_error = re.compile(
        r"^(?P<file>[\w./+-]+):(?:(?P<line>\d+):(?:(?P<column>\d+):)? (?:fatal )?error|\(\.text[^)]*\)):"
        r" (?P<message>[^\n]*)",
        re.MULTILINE,
    )
    compile_rules = (
        (FeedbackKind.IMPORT, r"No such file or directory"),
        (
            FeedbackKind.NAME,
            r"was not declared|has not been declared|does not name a type|has no member|is not a member of|undeclared"
            r"|undefined reference|has not been defined|incomplete type",
        ),
        (
            FeedbackKind.TYPE,
            r"cannot convert|conversion from|no matching function|no match for|could not convert|invalid (operands|types|use of)"
            r"|incompatible|cannot bind|too (few|many) arguments|read-only|discards qualifiers|cannot be used as"
            r"|not assignable|no match|deduced|void value",
        ),
    )
    run_error = re.compile(
        r"^(?:\S+: (?:main\.cpp|tests\.h):\d+: [^\n]*(?=Assertion `)"
        r"|terminate called after throwing an instance of '(?P<code>[^\n]+)'(?:\n  what\(\):  )?)(?P<message>[^\n]*)",
        re.MULTILINE,
    )
    run_place = re.compile(r"^\S+: (?P<file>main\.cpp|tests\.h):(?P<line>\d+): [^\n]*Assertion `", re.MULTILINE)
    run_rules = (
        (FeedbackKind.ASSERTION, r"Assertion `"),
        (FeedbackKind.MEMORY, r"std::bad_alloc"),
        (FeedbackKind.VALUE, r"std::(out_of_range|invalid_argument|domain_error|length_error)"),
    )

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        source, tests = closed(source, tests)
        source = without_main(source, _MAIN)
        if not _MAIN.search(blanked(tests)):
            tests += "\n#error the tests have no `main`, whose end is a pass\n"
        answer = Answer.read(source, tests, entry_point)
        judging, serving, waits = both_sides(answer, source, tests)
        deduced = " ".join(answer.deduced)
        marked = _MAIN.sub(
            lambda main: f'{main.group()} ::reflection_trl::EndOfChecks end_of_checks{{"{END_MARK}"}};',
            without_unions(tests),
            count=1,
        )
        compiler = [part for part in self.compiler if part not in ("main.cpp", "main", "-O1", "-o")]
        compiler += ["-O0", "tests.cpp", "-o", "tests"]
        return CommandProgram(
            argv=("./tests",),
            compile=("bash", "-c", _LEARN, "bash", deduced, *compiler) if deduced else tuple(compiler),
            files={"tests.cpp": judging, "tests.h": f"{marked}\n", **protocol_files("judge.hpp", "wire.hpp")},
            end_mark=True,
            partner=Partner(
                argv=self.command,
                compile=("bash", "-c", _WAIT, *self.compiler)
                if waits
                else ("bash", "-c", _TELL, "bash", deduced, *self.compiler)
                if deduced
                else self.compiler,
                files={"main.cpp": f"{source}\n{serving}", **protocol_files("answer.hpp", "wire.hpp")},
            ),
        )

    def assertion(self, output: str) -> dict[str, str]:
        found = _FAILED.search(output)
        return {"assertion": found.group("assertion")} if found else {}

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        if compiling and found and found["file"] not in (self.file, "tests.h"):
            # For an error in a header, reports the line of the program that led to it
            return last_match(_LED_THERE, output[: found.start()]) or _IN_PROGRAM.search(output, found.end())
        return super().place(output, found, compiling)

    def locate(self, found: re.Match[str], source: str) -> tuple[str, int]:
        return ("tests" if found["file"] == "tests.h" else "program"), int(found["line"])

    def readable(self, output: str) -> str:
        lines = [line.removeprefix("/usr/bin/ld: ") for line in output.split("\n") if not _IDLE.match(line)]
        return "\n".join(lines).strip("\n")
