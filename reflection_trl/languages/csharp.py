"""Runs C# with Mono. A failed `Debug.Assert` ends the program."""

import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner, Verdict
from .command import CommandLanguage, closed, protocol_files
from .csharp_pair import stubs
from .heads import blanked, class_of, depth


_MAIN = re.compile(r"(?:\bpublic\s+)?\bstatic\s+void\s+Main\s*(\(\s*(?:string\s*\[\s*\]\s*(\w+)\s*)?\))\s*\{")


_ASSERT = re.compile(r"(?<![\w.])(?:System\.Diagnostics\.)?(?:Debug|Trace)\.Assert\(")
# Namespaces of the framework that the tests may rely on
_USING = re.compile(r"^[ \t]*(using\s+(?:static\s+)?System[\w.\s]*;)", re.MULTILINE)
_IDLE = re.compile(
    r"  at (?:System\.|ReflectionTrl\.|\(wrapper|\S*AssertOfChecks |\S+<Main>)|--- End of|mscorlib\.dll \(Location|Compilation failed: |Unhandled Exception:$"
)


class CSharp(CommandLanguage):
    """Runs C#, compiled by Mono's compiler."""

    name = "csharp"
    title = "C#"
    fences = ("csharp", "c#", "cs")
    suspects = (
        ("ends processes", r"\bEnvironment\.(?:Exit|FailFast)\b"),
        ("reaches into memory", r"\bDllImport\b|\bunsafe\b|\bMarshal\b"),
        ("acts when the process exits", r"\b(?:ProcessExit|UnhandledException)\b"),
        ("reads what the judge keeps", r"/proc/|\bReflectionTrl\b"),
        ("looks at frames", r"\b(?:StackTrace|BindingFlags)\b"),
    )
    file = "Main.cs"
    tools = (("mcs", "mono-mcs"), ("mono", "mono-runtime"))
    compiler = (
        "mcs",
        "-nologo",
        "-debug",
        "-d:DEBUG",
        "-warn:0",
        "-r:System.Numerics.dll",
        "-r:System.Core.dll",
        "-out:main.exe",
        "Main.cs",
    )
    # Mono's asserts write to the configured place and continue
    command = ("env", "MONO_TRACE_LISTENER=Console.Error", "mono", "--debug", "--optimize=-inline", "main.exe")
    limits = Limits(timeout=60.0, memory=2 << 30, processes=128)
    compile_error = re.compile(
        r"^(?P<file>Main|tests)\.cs\((?P<line>\d+),(?P<column>\d+)\): error (?P<code>CS\d+): (?P<message>[^\n]*)",
        re.MULTILINE,
    )
    run_error = re.compile(
        r"^Unhandled Exception:\n(?:[A-Za-z_]\w*\.)*(?P<code>\w+)(?:: |$)(?P<message>[^\n]*)|^(?P<fatal>Fail:[^\n]*)",
        re.MULTILINE,
    )
    run_place = re.compile(r"^  at [^\n]* in (?P<file>Main|tests)\.cs:(?P<line>\d+)", re.MULTILINE)
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
        source, tests = closed(source, tests)
        source += "}" * depth(source)
        if not _MAIN.search(tests):
            tests += "\n#error the tests have no Main, whose end is a pass\n"
        continued = depth(tests) < 0
        class_name = class_of(source, entry_point)
        usings = " ".join(" ".join(one.split()) for one in _USING.findall(blanked(source)))
        head = f"{usings} class {class_name} : {class_name}__Answer {{ " if continued else f"{usings} "
        both = stubs(source, tests, class_name, continued, entry_point)
        options = [option for option in self.compiler if option not in ("-out:main.exe", "Main.cs")]
        return CommandProgram(
            argv=(*self.command[:-1], "tests.exe"),
            compile=(*options, "-out:tests.exe", "tests.cs", "Stubs.cs", "Names.cs", "Judge.cs", "Wire.cs"),
            files={
                "tests.cs": head + self.with_end(tests),
                "Stubs.cs": f"{usings}\n{both.stubs}\n",
                "Names.cs": both.names,
                **protocol_files("Judge.cs", "Wire.cs"),
            },
            end_mark=True,
            partner=Partner(
                argv=self.command,
                compile=(
                    *options,
                    "-main:ReflectionTrl.Serve",
                    "-out:main.exe",
                    "Main.cs",
                    "Serve.cs",
                    "Names.cs",
                    "Wire.cs",
                ),
                files={"Main.cs": source, "Names.cs": both.names, **protocol_files("Serve.cs", "Wire.cs")},
            ),
        )

    def with_end(self, tests: str) -> str:
        def two(main: re.Match[str]) -> str:
            signature, arguments = main.groups()
            return (
                f'public static void Main{signature} {{ global::ReflectionTrl.Judge.Run(() => EndOfChecks({arguments or ""}), "{END_MARK}"); }} '
                "static void AssertOfChecks(bool holds, params object[] more) { global::ReflectionTrl.Judge.Assert(holds); } "
                f"static void EndOfChecks{signature} {{"
            )

        # An assert that ends the tests, because Mono's own continues
        return _ASSERT.sub("AssertOfChecks(", _MAIN.sub(two, tests, count=1))

    def failed_quietly(self, verdict: Verdict, tests: str) -> bool:
        # Without tests it is Mono's own assert, which continues
        return verdict.passed and not tests and re.search(r"^Fail:?", verdict.stderr, re.MULTILINE) is not None

    def assertion(self, output: str) -> dict[str, str]:
        return {}

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        frames = re.sub(r"^  at \S*AssertOfChecks .*\n", "", output, flags=re.MULTILINE)
        return super().place(output if compiling else frames, found, compiling)

    def readable(self, output: str) -> str:
        output = output.partition("\n[ERROR] FATAL UNHANDLED EXCEPTION")[0]  # the same again
        # Frames around `Main` are not the program's
        output = re.sub(
            r"^(  at \S+)\.EndOfChecks (.*\n)(?:  at .*\n)*?  at \S+\.Main .*$",
            r"\1.Main \2",
            output,
            flags=re.MULTILINE,
        )
        output = re.sub(r"\n\n+", "\n", output)
        lines = [re.sub(r" \[0x[0-9a-f]+\] in (?:<[0-9a-f]+>:0)?", " ", line).rstrip() for line in output.split("\n")]
        return "\n".join(line for line in lines if not _IDLE.match(line)).strip("\n")
