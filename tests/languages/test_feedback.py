"""Every language, every kind of failure it can have: real programs, run in the sandbox."""

import dataclasses

import pytest

from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages import LANGUAGES

from .cases import CASES, Case


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{case.language}: {case.name}", marks=[pytest.mark.slow] if case.slow else [])
        for case in CASES
    ],
)
def test_feedback(execute, case: Case):
    feedback = execute(case.language, case.source, case.tests).feedback
    found = {name: getattr(feedback, name) for name in case.fields}
    assert (feedback.kind, found) == (case.kind, case.fields), feedback
    assert feedback.passed == (case.kind is FeedbackKind.NONE)
    # What the model reads is short, says something of each failure, and names no place of the machine
    assert len(feedback.text) <= 2700 and (feedback.text.strip() or feedback.passed)
    assert "/tmp/job" not in feedback.text and "reflection_trl" not in feedback.text
    assert "endofchecks" not in feedback.text.lower() and "@END_OF" not in feedback.text
    if feedback.source_line is not None:
        text = case.tests if feedback.file == "tests" else case.source
        assert text.splitlines()[feedback.line - 1][:100] == feedback.source_line[:100]
    assert Feedback.from_dict(feedback.to_dict()) == feedback


def test_every_language_has_its_cases():
    kinds = {name: {case.kind for case in CASES if case.language == name} for name in LANGUAGES if name != "swift"}
    for name, found in kinds.items():
        wanted = {FeedbackKind.NONE, FeedbackKind.ASSERTION, FeedbackKind.SYNTAX, FeedbackKind.NAME}
        assert wanted <= found, (name, wanted - found)


def _spoofing() -> list[Case]:
    """Programs that pass, or fail in another way, and print what looks like a failure or like a pass."""
    by_name = {(case.language, case.name): case for case in CASES}
    printed = (
        r"""main.cpp:1:1: error: fake\nException in thread \"main\" java.lang.AssertionError\nAssertionError: fake\n"""
    )
    cases = {
        "python": ("import sys\nsys.stderr.write('''{}''')\n", "{}"),
        "cpp": ('#include <cstdio>\nstatic int said = std::fprintf(stderr, "%s", "{}");\n', "{}"),
        "javascript": ("console.error(`{}`);\n", "{}"),
        "php": ('<?php fwrite(STDERR, "{}"); ?>\n', "{}"),
    }
    made = []
    for language, (head, _) in cases.items():
        # As the interpreter's strings have it
        head = head.replace("{}", printed if language != "python" else printed.replace('\\"', '"'))
        for name in ("right", "name") if language != "cpp" else ("right",):
            case = by_name[language, name]
            made.append(dataclasses.replace(case, name=f"{name}, spoofing", source=head + case.source, fields={}))
    return made


@pytest.mark.parametrize("case", _spoofing(), ids=lambda case: f"{case.language}: {case.name}")
def test_printed_text_does_not_decide(execute, case: Case):
    feedback = execute(case.language, case.source, case.tests).feedback
    assert feedback.kind is case.kind, feedback


FAILING = {
    "set of texts": "raise ValueError({'a', 'b', 'c', 'd', 'e'})",
    "address": "class A: pass\nassert [A(), object()] == A",
    "address in a message": "raise KeyError(object())",
    "process": "import os\nraise OSError(f'pid {os.getpid()}: failed')",
    "thread": "import threading\ndef f(): raise ValueError(threading.current_thread().name)\n"
    "t = threading.Thread(target=f)\nt.start()\nt.join()\n1 / 0",
    "time": "import datetime\nraise ValueError(f'{datetime.datetime.now()}: failed')",
    "temporary file": "import tempfile\nopen(tempfile.mkdtemp() + '/no/file')",
    "deep recursion": "def f(n):\n    return g(n)\ndef g(n):\n    return f(n)\nf(0)",
    "chain": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError(object()) from e",
    "group": "raise ExceptionGroup('g', [ValueError(object()), ExceptionGroup('h', [KeyError({1, 2})])])",
    "warnings": "import warnings\nwarnings.warn('old')\nassert '\\d' == 1",
    "flood": "import sys\nfor n in range(9000): print(n, object(), file=sys.stderr); print(n)\n1 / 0",
    "turned around": "raise ValueError('\\u202eabc\\u2066 \\u2028')",
    "unreadable": "import sys\nsys.stdout.buffer.write(b'\\x00\\xff\\x1b[31mred\\x1b[0m\\r50%\\r100%\\n')\nsys.stdout.flush()\n1 / 0",
}


@pytest.mark.parametrize("name", FAILING)
def test_same_failure_reads_the_same(execute, name: str):
    runs = [execute("python", FAILING[name]).feedback for _ in range(4)]
    assert runs[0].kind is not FeedbackKind.NONE
    assert all(run == runs[0] for run in runs), runs[:2]
    assert len(runs[0].text) < 2700
    for text in (run for run in dataclasses.astuple(runs[0]) if isinstance(run, str)):
        assert text.encode("utf-8") == text.encode("utf-8", "ignore"), repr(text)
        assert text.replace("\n", "").replace("\t", "").isprintable(), repr(text)


def test_text_of_a_python_failure(execute):
    feedback = execute("python", "print('seen')\ndef f(x):\n    return x\n", "assert f(1) == 2").feedback
    assert feedback.text.replace("           ^^^^^^^^^\n", "") == (
        'seen\nTraceback (most recent call last):\n  File "tests.py", line 1, in <module>\n    assert f(1) == 2\n'
        "AssertionError\nExpected: 2\nGot: 1"
    )


def test_huge_values_are_cut(execute):
    source = "def f(): return ['x' * 10_000, list(range(10**5)), {n: n for n in range(10**5)}, 10 ** 10_000]"
    feedback = execute("python", source, "assert f() == 1").feedback
    assert feedback.kind is FeedbackKind.ASSERTION
    assert feedback.actual.startswith("['xxx") and len(feedback.actual) < 1100 and len(feedback.text) < 2700


@pytest.mark.parametrize(
    "body",
    ["while True: pass", "1 / 0", "import time; time.sleep(60)", "return 5", "return chr(0xd800) + chr(0)", "raise SystemExit(0)",
     "raise KeyboardInterrupt", "import os; os._exit(0)", "return 'x' * 10**8", "return repr(self)", "print('fake'); return 'x'",
     "x = bytearray(10 << 30); return 'x'", "globals()['A'] = 1; assert 1 == 1; return 'x'"],
)  # fmt: skip
@pytest.mark.parametrize("checked", [False, True])
def test_hostile_repr_is_no_pass(execute, body: str, checked: bool):
    """What an assert has compared is shown by code of the program: whatever it does, the assert has failed."""
    source = f"class A:\n    def __repr__(self):\n        {body}\ndef f(): return A()\n"
    test = "assert f() == 1"
    if checked and ("sleep" in body or "while" in body):
        pytest.skip("the time limit of the job ends it")
    feedback = execute("python", source, test).feedback if checked else execute("python", source + test).feedback
    assert not feedback.passed
    if "_exit" not in body and "SystemExit" not in body:
        assert feedback.kind is FeedbackKind.ASSERTION and feedback.line == (1 if checked else 5), feedback
    assert len(feedback.text) < 2700 and feedback.text.encode()
