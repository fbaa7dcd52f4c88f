"""C#, by Mono. `Debug.Assert` ends a program that it finds wrong."""

import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Verdict
from .command import CommandLanguage


_MAIN = re.compile(r"(?:\bpublic\s+)?\bstatic\s+void\s+Main\s*(\(\s*(?:string\s*\[\s*\]\s*(\w+)\s*)?\))\s*\{")


_IDLE = re.compile(
    r"  at (?:System\.|\(wrapper|\S*AssertOfChecks )|mscorlib\.dll \(Location|Compilation failed: |Unhandled Exception:$"
)


class CSharp(CommandLanguage):
    """C#, as Mono's compiler understands it."""

    name = "csharp"
    title = "C#"
    fences = ("csharp", "c#", "cs")
    file = "Main.cs"
    tools = (("mcs", "mono-mcs"), ("mono", "mono-runtime"))
    compiler = (
        "mcs",
        "-nologo",
        "-debug",
        "-d:DEBUG",
        "-warn:0",
        "-r:System.Numerics.dll",
        "-out:main.exe",
        "Main.cs",
    )
    # Mono's asserts write where they are told to and go on
    command = ("env", "MONO_TRACE_LISTENER=Console.Error", "mono", "--debug", "--optimize=-inline", "main.exe")
    limits = Limits(timeout=60.0, memory=2 << 30, processes=128)
    compile_error = re.compile(
        r"^Main\.cs\((?P<line>\d+),(?P<column>\d+)\): error (?P<code>CS\d+): (?P<message>[^\n]*)", re.MULTILINE
    )
    run_error = re.compile(
        r"^Unhandled Exception:\n(?:[A-Za-z_]\w*\.)*(?P<code>\w+)(?:: |$)(?P<message>[^\n]*)|^(?P<fatal>Fail:[^\n]*)",
        re.MULTILINE,
    )
    run_place = re.compile(r"^  at [^\n]* in Main\.cs:(?P<line>\d+)", re.MULTILINE)
    compile_rules = (
        (FeedbackKind.IMPORT, r"type or namespace name"),
        (FeedbackKind.NAME, r"does not exist in the current context|does not contain a definition|could not be found"),
        (FeedbackKind.TYPE, r"[Cc]annot (implicitly )?convert|cannot be applied|invalid arguments|no overload"),
    )
    run_rules = (
        (FeedbackKind.ASSERTION, r"\AFail:|\A[^\n]*\n[^\n]*Debug\.Assert does not hold"),
        (FeedbackKind.MEMORY, r"\A[^\n]*\n[^\n]*OutOfMemoryException"),
        (FeedbackKind.TYPE, r"\A[^\n]*\n[^\n]*InvalidCastException"),
        (
            FeedbackKind.VALUE,
            r"\A[^\n]*\n[^\n]*(Argument|Format|IndexOutOf|DivideByZero|KeyNotFound|(?<!Stack)Overflow)\w*Exception",
        ),
    )

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        text = f"{source.replace(END_MARK, '')}\n{self.with_end(tests)}"
        return CommandProgram(self.command, self.compiler, {self.file: text}, end_mark=END_MARK in text)

    def with_end(self, tests: str) -> str:
        def two(main: re.Match[str]) -> str:
            signature, arguments = main.groups()
            return (
                f'static void Main{signature} {{ EndOfChecks({arguments or ""}); System.Console.WriteLine("\\n{END_MARK}"); }} '
                "static void AssertOfChecks(bool holds) "
                '{ if (!holds) throw new System.Exception("Debug.Assert does not hold"); } '
                f"static void EndOfChecks{signature} {{"
            )

        if not _MAIN.search(tests):
            return tests
        # An assert that ends the tests, whatever the program has made of the one of `System.Diagnostics`
        return re.sub(r"(?<![\w.])Debug\.Assert\(", "AssertOfChecks(", _MAIN.sub(two, tests, count=1))

    def failed_quietly(self, verdict: Verdict, tests: str) -> bool:
        # Without tests it is Mono's own assert, which goes on
        return verdict.passed and not tests and re.search(r"^Fail:?", verdict.stderr, re.MULTILINE) is not None

    def assertion(self, output: str) -> dict[str, str]:
        return {}

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        frames = re.sub(r"^  at \S*AssertOfChecks .*\n", "", output, flags=re.MULTILINE)
        return super().place(output if compiling else frames, found, compiling)

    def readable(self, output: str) -> str:
        output = output.partition("\n[ERROR] FATAL UNHANDLED EXCEPTION")[0]  # the same again
        # What stands around `Main` says nothing of the program
        output = re.sub(
            r"^(  at \S+)\.EndOfChecks (.*\n)  at \S+\.Main .*$", r"\1.Main \2", output, flags=re.MULTILINE
        )
        output = re.sub(r"\n\n+", "\n", output)
        lines = [re.sub(r" \[0x[0-9a-f]+\] in (?:<[0-9a-f]+>:0)?", " ", line).rstrip() for line in output.split("\n")]
        return "\n".join(line for line in lines if not _IDLE.match(line)).strip("\n")
