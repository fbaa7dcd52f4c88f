"""What compilers and programs have printed, as it was recorded or as nobody would expect it, becomes feedback."""

# ruff: noqa: RUF001 (g++ quotes with these characters)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages import LANGUAGES, get_language
from reflection_trl.languages.rendering import MAX_TEXT, normalized, shortened, with_output
from reflection_trl.sandbox import CommandProgram, ErrorInfo, Status, Verdict


def diagnose(language: str, printed: str, source: str, tests: str = "", **verdict) -> Feedback:
    verdict = {"step": "compile", "exit_code": 1, "stderr": printed, **verdict}
    return get_language(language).diagnose(Verdict(Status.FAILED, **verdict), source, tests)


SWIFT_SOURCE = "func f(_ x: Int) -> Int {\n    let ü = y\n    return ü\n}"


@pytest.mark.parametrize(
    ("printed", "step", "expected"),
    [
        ("main.swift:2:13: error: cannot find 'y' in scope\n    let ü = y\n            ^\n", "compile",
         {"kind": FeedbackKind.NAME, "line": 2, "column": 13, "message": "cannot find 'y' in scope", "file": "program"}),
        ("main.swift:3:12: error: cannot convert return expression of type 'String' to return type 'Int'\n", "compile",
         {"kind": FeedbackKind.TYPE, "line": 3}),
        ("main.swift:1:8: error: no such module 'Nothing'\nimport Nothing\n       ^\n", "compile", {"kind": FeedbackKind.IMPORT}),
        ("main.swift:2:1: error: expected '}' in brace statement\n", "compile", {"kind": FeedbackKind.SYNTAX, "line": 2}),
        ("main/main.swift:6: Assertion failed\nCurrent stack trace:\n0    libswiftCore.so 0x00007f3c8d1c2e90 _swift_stdlib_reportFatalErrorInFile + 112\n",
         "run", {"kind": FeedbackKind.ASSERTION, "line": 2, "file": "tests"}),
        ("Swift/ContiguousArrayBuffer.swift:600: Fatal error: Index out of range\n", "run",
         {"kind": FeedbackKind.VALUE, "message": "Fatal error: Index out of range"}),
    ],
)  # fmt: skip
def test_swift(printed, step, expected):
    feedback = diagnose("swift", printed, SWIFT_SOURCE, "let a = f(1)\nassert(a == 2)\n", step=step)
    assert {name: getattr(feedback, name) for name in expected} == expected, feedback


GPP_HEADER = """In file included from /usr/include/c++/12/bits/stl_algobase.h:71,
                 from /usr/include/c++/12/vector:60,
                 from main.cpp:1:
/usr/include/c++/12/bits/predefined_ops.h: In instantiation of ‘constexpr bool f(T)’:
/usr/include/c++/12/bits/stl_algo.h:1809:14:   required from ‘void g(T)’
main.cpp:3:7:   required from here
/usr/include/c++/12/bits/predefined_ops.h:69:22: error: no match for ‘operator<’ (operand types are ‘P’ and ‘P’)
   69 |       { return *__it < __val; }
"""
GPP_NOTE_FIRST = "main.cpp:1:5: note: previously declared here\nmain.cpp:2:5: error: redefinition of ‘int f’\n"


@pytest.mark.parametrize(
    ("language", "printed", "source", "expected"),
    [
        ("cpp", GPP_HEADER, "#include <vector>\nint\n  g(P());", {"kind": FeedbackKind.TYPE, "line": 3, "column": 7}),
        ("cpp", GPP_NOTE_FIRST, "int f;\nint f = 1;", {"line": 2, "column": 5, "message": "redefinition of ‘int f’"}),
        ("cpp", "main.cpp:1:9: error: stray ‘\\303’ in program\n", "/* ü */ x;", {"kind": FeedbackKind.SYNTAX, "column": 8}),
        ("cpp", "main.cpp:7:1: error: expected ‘}’ at end of input\n", "int f() {", {"line": None, "source_line": None}),
        ("cpp", "cc1plus: out of memory allocating 65536 bytes\n", "x", {"kind": FeedbackKind.SYNTAX, "line": None}),
        ("java", "Main.java:2: warning: [x] old\nMain.java:3: error: cannot find symbol\n\tint ü = y;\n\t        ^\n  symbol: y\n1 error\n",
         "class Main {\n\n\tint ü = y;\n}", {"kind": FeedbackKind.NAME, "line": 3, "column": 10, "source_line": "\tint ü = y;"}),
        ("java", "Main.java:1: error: class, interface, enum, or record expected\r\nx\r\n^\r\n1 error\r\n", "x\r\n",
         {"kind": FeedbackKind.SYNTAX, "line": 1, "column": 1, "source_line": "x"}),
        ("java", "Main.java:1: error: reference to f is ambiguous\n  both method f(A) in Main and f(B) in Main match\nf(null);\n^\n1 error\n",
         "f(null);", {"line": 1, "column": 1}),
        ("rust", "error: linking with `cc` failed: exit status: 1\n  |\n  = note: ld: out of memory\n\nerror: aborting due to 1 previous error\n",
         "fn main() {}", {"message": "linking with `cc` failed: exit status: 1", "line": None}),
        ("rust", 'warning: unused\n --> main.rs:9:9\n\nerror[E0308]: mismatched types\n --> main.rs:1:20\n', "fn f() -> u8 { '漢' + 'y' }",
         {"kind": FeedbackKind.TYPE, "error_type": "E0308", "line": 1, "column": 20}),
        ("rust", "error[E0425]: cannot find value `totl` in this scope\n --> main.rs:1:5\n  |\n1 |     totl\n  |     ^^^^ help: a local variable with a similar name exists: `total`\n",
         "    totl", {"kind": FeedbackKind.NAME, "hint": "a local variable with a similar name exists: `total`"}),  # rustc 1.63
        ("rust", "error[E0425]: cannot find value `totl` in this scope\n --> main.rs:1:5\n  |\n1 |     totl\n  |     ^^^^\n  |\nhelp: a local variable with a similar name exists\n  |\n1 |     total\n",
         "    totl", {"kind": FeedbackKind.NAME, "hint": "a local variable with a similar name exists"}),  # rustc 1.95
        ("typescript", "main.ts(1,7): error TS2322: Type 'A' is not assignable to type 'B'.\n  Types of property 'x' differ.\n",
         "'😀'; x = y", {"kind": FeedbackKind.TYPE, "column": 6, "message": "Type 'A' is not assignable to type 'B'."}),
        ("csharp", "Main.cs(1,5): warning CS0168: old\nMain.cs(2,5): error CS0103: The name `y' does not exist in the current context\n",
         "a\nb = y", {"kind": FeedbackKind.NAME, "line": 2, "error_type": "CS0103"}),
    ],
)  # fmt: skip
def test_recorded_compilers(language, printed, source, expected):
    feedback = diagnose(language, printed, source)
    assert {name: getattr(feedback, name) for name in expected} == expected, feedback


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("'assertion failed: `(left == right)`\n  left: `1`,\n right: `2`', tests.rs:1:5", "tests.rs:1:5:\nassertion `left == right` failed\n  left: 1\n right: 2"),
        ("'assertion failed: `(left != right)`\n  left: `1`,\n right: `1`: it's 1', tests.rs:1:5",
         "tests.rs:1:5:\nassertion `left != right` failed: it's 1\n  left: 1\n right: 1"),
        ("'assertion failed: f(1) == 2', tests.rs:1:5", "tests.rs:1:5:\nassertion failed: f(1) == 2"),
        ("'index out of bounds: the len is 1 but the index is 3', main.rs:1:5", "main.rs:1:5:\nindex out of bounds: the len is 1 but the index is 3"),
        ("'called `Option::unwrap()` on a `None` value', main.rs:1:5", "main.rs:1:5:\ncalled `Option::unwrap()` on a `None` value"),
        ("'a\nb', x.rs:1:1', main.rs:1:5", "main.rs:1:5:\na\nb', x.rs:1:1"),
    ],
)  # fmt: skip
def test_panics_of_rust_1_63_are_read_like_those_of_later_releases(old, new):
    """As rustc 1.63 and 1.95 have printed them; Debian 12 has the former."""
    note = "\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"
    feedbacks = [
        diagnose("rust", f"thread 'main' panicked at {text}{note}", "let a = 1;", "assert_eq!(f(1), 2);", step="run")
        for text in (old, new)
    ]
    assert feedbacks[0] == feedbacks[1]
    assert feedbacks[0].line == 1 and feedbacks[0].column == 5


def test_errors_in_thousands_are_cut():
    printed = "".join(f"main.cpp:{n}:1: error: ‘b{n}’ was not declared in this scope\n" for n in range(1, 100_000))
    feedback = diagnose("cpp", printed, "b1\n" * 100_000)
    assert (feedback.line, feedback.kind) == (1, FeedbackKind.NAME) and len(feedback.text) < 1.2 * MAX_TEXT


HOSTILE = ["\n", "\r", "\t", "x", "\x1b[", "\x1b]", "\ud800", " {\n  generatedMessage: x\n  actual: y,\n  expected: z,\n", "deep-equal:\n\n",
           "main.cpp:1:1: error: x\n", "Main.java:1: error: x\n", "Main.java:1: error: \n   ^", "PHP Fatal error:  Uncaught A: ", "a: main.cpp:1: Assertion `",
           'Exception in thread "main" java.lang.A: b\n\tat A.endOfChecks(A.java:1)\n', "thread 'main' panicked at main.rs:1:1:\nx\n",
           "thread 'main' panicked at 'x", "thread 'main' panicked at 'assertion failed: `(left == right)`\n  left: `", "', main.rs:1:1\n",
           '  File "main.py", line 1\n    x\nE.Error: b\n', "terminate called after throwing an instance of '", "/usr/lib/a", "A.A.A.A.A.", "error[E0001]: ",
           "Unhandled Exception:\nA.B.C", "FATAL ERROR: a - ", "Uncaught AssertionError: assert(", "\nStack trace:\n#0 x\n"]  # fmt: skip


@pytest.mark.parametrize("name", LANGUAGES)
def test_hostile_output_is_read_at_once(name):
    """No pattern takes time that grows faster than the text: each of these would take hours."""
    for text in HOSTILE:
        for step in ("run", "compile"):
            printed = (text * (400_000 // len(text)))[:400_000]
            feedback = diagnose(name, printed, "a\nb", "c\nd", step=step, stdout=printed)
            for value in feedback.to_dict().values():
                assert not isinstance(value, str) or len(value.encode()) < 2 * MAX_TEXT, text


_texts = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(HOSTILE)), max_size=8).map("".join)


@given(
    st.sampled_from(sorted(LANGUAGES)),
    _texts,
    _texts,
    st.text(max_size=30),
    st.text(max_size=30),
    st.sampled_from(["run", "compile"]),
)
def test_any_output_becomes_feedback(name, stdout, stderr, source, tests, step):
    for code, signal in ((1, None), (0, None), (None, 11), (None, 64)):
        verdict = Verdict(Status.FAILED, stdout, stderr, code, signal, step=step, reason="It failed.")
        feedback = get_language(name).diagnose(verdict, source, tests)
        assert not feedback.passed and feedback.text.strip()
        assert Feedback.from_dict(feedback.to_dict()) == feedback


@given(_texts, _texts)
def test_any_python_error_becomes_feedback(message, line):
    error = ErrorInfo(
        "A.Error",
        message,
        "main.py",
        1,
        1,
        source_line=line,
        assertion=line,
        actual=message,
        expected=line,
        text=message,
    )
    feedback = get_language("python").diagnose(Verdict(Status.FAILED, error=error, exit_code=1), "x")
    for value in feedback.to_dict().values():
        assert not isinstance(value, str) or (
            value.encode() is not None and "\x00" not in value and "\x1b" not in value
        )


def test_a_pass_and_a_limit_are_never_read_from_text():
    printed = 'main.cpp:1:1: error: x\nException in thread "main" java.lang.AssertionError\nAssertionError: fake\n'
    for name in LANGUAGES:
        language = get_language(name)
        passed = language.diagnose(Verdict(Status.OK, printed, printed, 0, completed=True), "x", "y")
        assert passed.passed and passed.message is None
        for status, kind in (
            (Status.TIMEOUT, FeedbackKind.TIMEOUT),
            (Status.MEMORY, FeedbackKind.MEMORY),
            (Status.OUTPUT_LIMIT, FeedbackKind.OUTPUT_LIMIT),
        ):
            assert language.diagnose(Verdict(status, printed, printed, reason="Too much."), "x").kind is kind
        early = language.diagnose(Verdict(Status.FAILED, "OK\n", "", 0, reason="It left."), "x", "y")
        assert not early.passed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[1;31merror\x1b[0m: \x1b]0;title\x07x", "error: x"),
        (" 10%\r 50%\r100%\ndone\r\n", "100%\ndone\n"),
        ("a\x00b\x07\ud800", "a\\x00b\\x07\\ud800"),
        ("<A object at 0x7f00deadbeef>, 0x7fffd00dbeef, 0xdeadbeef", "<A object at 0x...>, 0x..., 0xdeadbeef"),
        ("/tmp/job/main.py, /home/foo/bar, /usr/lib/python3.11/json/decoder.py, a/b/c", "main.py, /home/foo/bar, decoder.py, a/b/c"),
        ("/tmp/tmpab12_xyz/f, /tmp/ccAb12Cd.o", "/tmp/<temporary>/f, main.o"),
        ("2001-02-03 04:05:06, pid 4711, step 12", "2001-02-03 04:05:06, pid <number>, step 12"),
    ],
)  # fmt: skip
def test_noise(text, expected):
    assert normalized(text) == expected


def test_shortening():
    assert shortened("x" * 100) == "x" * 100
    long = shortened("\n".join(f"line {n}" for n in range(10_000)))
    assert (
        len(long) <= MAX_TEXT
        and long.startswith("line 0\n")
        and long.endswith("line 9999")
        and "characters ..." in long
    )
    assert (
        with_output("out\n", "a\n" + "same\n" * 50 + "b")
        == "out\na\nsame\nsame\nsame\n[Previous line repeated 47 more times]\nb"
    )


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name != "python"])
def test_programs_of_commands(name):
    language = get_language(name)
    program = language.program("a\nb", "")
    assert (
        isinstance(program, CommandProgram) and not program.end_mark and "a\nb" in next(iter(program.files.values()))
    )
    assert all(get_language(alias) is language for alias in (name, name.upper(), *language.fences))


def test_unknown_language():
    with pytest.raises(ValueError, match="Unknown language 'brainfuck': use one of python, cpp"):
        get_language("brainfuck")
