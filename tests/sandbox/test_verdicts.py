"""What a verdict says."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from reflection_trl.sandbox import END_MARK, CommandProgram, Limits, PythonProgram, Sandbox, SandboxError, Status


SHORT = Limits(timeout=1.0, memory=256 << 20, output=4096)


def test_ok(sandbox: Sandbox):
    verdict = sandbox.run(PythonProgram("import sys\nprint('out')\nprint('err', file=sys.stderr)", "print('checked')"))
    assert verdict.status is Status.OK and verdict.passed and verdict.completed
    assert (verdict.stdout, verdict.stderr) == ("out\nchecked\n", "err\n")
    assert (verdict.exit_code, verdict.signal, verdict.error, verdict.step) == (0, None, None, "run")
    assert verdict.duration > 0
    json.dumps(dataclasses.asdict(verdict))  # plain data


@pytest.mark.parametrize(
    ("source", "status", "exit_code", "signal"),
    [
        ("import sys; sys.exit(3)", Status.FAILED, 3, None),
        ("import sys; sys.exit('sorry')", Status.FAILED, 1, None),
        ("import os; os._exit(7)", Status.FAILED, 7, None),
        ("raise ValueError", Status.FAILED, 1, None),
        ("import os; os.kill(os.getpid(), 9)", Status.SIGNAL, None, 9),
        ("import os; os.kill(os.getpid(), 15)", Status.SIGNAL, None, 15),
        ("while True: pass", Status.TIMEOUT, None, None),
        ("while True: print('x')", Status.OUTPUT_LIMIT, None, None),
        ("x = bytearray(1 << 30)", Status.MEMORY, 1, None),
    ],
)
def test_status(sandbox: Sandbox, source: str, status: Status, exit_code: int | None, signal: int | None):
    verdict = sandbox.run(PythonProgram(source, limits=SHORT))
    assert (verdict.status, verdict.exit_code, verdict.signal) == (status, exit_code, signal), verdict
    assert not verdict.passed and not verdict.completed
    assert verdict.reason or verdict.error
    assert len(verdict.stdout) <= 4096


def test_early_exit_is_distinguished(sandbox: Sandbox):
    verdict = sandbox.run(PythonProgram("print(input())\nimport sys; sys.exit(0)", stdin="a line\n"))
    assert verdict.status is Status.FAILED and verdict.exit_code == 0 and not verdict.completed
    assert verdict.stdout == "a line\n" and verdict.error is None and verdict.reason


@pytest.mark.parametrize("character", ["\x0c", "\x1c", "\x85", "\u2028"])
def test_the_line_of_an_error_is_that_of_the_compiler(sandbox: Sandbox, character: str):
    source = f"x = 1  # {character} and\r\n\ny = 2\nraise ValueError(x)\n"
    error = sandbox.run(PythonProgram(source)).error
    assert (error.line, error.source_line) == (4, "raise ValueError(x)")
    assert "    raise ValueError(x)\n" in error.text
    error = sandbox.run(PythonProgram("x = 1", f"'{character}'\n\nassert x == 2\n")).error
    assert (error.line, error.source_line) == (3, "assert x == 2")


def test_runtime_error(sandbox: Sandbox):
    source = "def f(x):\n    é = 'ü' + x['key']\n    return é\n\nf({})\n"
    error = sandbox.run(PythonProgram(source)).error
    assert (error.type, error.message, error.file) == ("KeyError", "'key'", "main.py")
    assert (error.line, error.source_line) == (2, "    é = 'ü' + x['key']")
    assert error.column is None or (error.column, error.end_column) == (15, 23)
    assert error.text.startswith('Traceback (most recent call last):\n  File "main.py", line 5, in <module>')
    assert "sandbox_guest" not in error.text


def test_last_own_frame(sandbox: Sandbox):
    error = sandbox.run(PythonProgram("import json\n\njson.loads('{')\n")).error
    assert (error.type, error.file, error.line, error.source_line) == (
        "JSONDecodeError",
        "main.py",
        3,
        "json.loads('{')",
    )


def test_syntax_error(sandbox: Sandbox):
    error = sandbox.run(PythonProgram("x = 1\nif x = 2:\n    pass\n")).error
    assert (error.type, error.file, error.line, error.column) == ("SyntaxError", "main.py", 2, 4)
    assert error.source_line == "if x = 2:"
    assert sandbox.run(PythonProgram("def f():\nreturn 1")).error.type == "IndentationError"
    assert sandbox.run(PythonProgram("x = '\0'")).error.type in ("SyntaxError", "ValueError")


def test_error_of_the_checks(sandbox: Sandbox):
    error = sandbox.run(PythonProgram("def f(x): return x", "y = 2\nassert f(1) == y, 'wrong'")).error
    assert (error.type, error.message, error.file, error.line) == ("AssertionError", "wrong", "checks.py", 2)
    assert sandbox.run(PythonProgram("def f(x): return x", "assert g(1)")).error.type == "NameError"
    assert sandbox.run(PythonProgram("x = 1", "assert (")).error.type == "SyntaxError"


def test_error_of_the_program_during_the_checks(sandbox: Sandbox):
    error = sandbox.run(PythonProgram("def f(x):\n    return 1 / x", "f(0)")).error
    assert (error.type, error.file, error.line) == ("ZeroDivisionError", "main.py", 2)
    assert 'File "checks.py", line 1' in error.text and 'File "main.py", line 2, in f' in error.text


def test_chained_error(sandbox: Sandbox):
    source = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('bad') from e\n"
    verdict = sandbox.run(PythonProgram(source))
    assert verdict.error.type == "ValueError" and "direct cause" in verdict.stderr


def test_long_message_is_cut(sandbox: Sandbox):
    error = sandbox.run(PythonProgram("raise ValueError('x' * 1_000_000)")).error
    assert error.type == "ValueError" and len(error.message) < 10_000 and len(error.text) < 50_000


def test_memory_error(sandbox: Sandbox):
    verdict = sandbox.run(PythonProgram("def f():\n    return bytearray(1 << 40)", "f()"))
    assert verdict.status is Status.MEMORY and verdict.error.line == 2


def test_stdin_files_and_bytes(sandbox: Sandbox):
    source = "import sys\nprint(sys.stdin.buffer.read(), open('data/a.txt', 'rb').read(), input.__name__)"
    verdict = sandbox.run(PythonProgram(source, stdin=b"\xff\n", files={"data/a.txt": b"\x00\x01"}))
    assert verdict.stdout == "b'\\xff\\n' b'\\x00\\x01' input\n"


def test_large_stdin_and_source(sandbox: Sandbox):
    verdict = sandbox.run(PythonProgram("x = '" + "y" * 5_000_000 + "'\nprint(len(input()))", stdin="z" * 5_000_000))
    assert verdict.stdout == "5000000\n", verdict.reason


def test_output_that_is_not_utf8(sandbox: Sandbox):
    assert sandbox.run(PythonProgram("import os; os.write(1, b'a\\xffb')")).stdout == "a\\xffb"


def test_main_is_a_real_module(sandbox: Sandbox):
    source = """
import atexit, dataclasses, inspect, pickle, sys, typing
import __main__

class A:
    def __eq__(self, other): return type(other) is A

@dataclasses.dataclass
class B:
    x: "int"

def f(): return 1

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(A())) == A()
    assert __main__.A is A and sys.modules["__main__"] is __main__
    assert inspect.getsource(f).strip() == "def f(): return 1"
    assert typing.get_type_hints(B) == {"x": int}
    assert open(__file__).read().startswith("\\nimport atexit")
    assert sys.argv == ["main.py"]
    atexit.register(print, "goodbye")

class Last:
    def __del__(self): print("deleted")
last = Last()
"""
    verdict = sandbox.run(PythonProgram(source))
    assert verdict.passed and verdict.stdout == "goodbye\ndeleted\n", verdict


@pytest.mark.parametrize(
    "source",
    [
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 1)\nunittest.main(exit=False)",
        "import multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n"
        "    with m.get_context('fork').Pool(2) as p: assert p.map(f, [1, 2]) == [1, 4]",
        "import multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n"
        "    with m.get_context('spawn').Pool(1) as p: assert p.map(f, [1, 2]) == [1, 4]",
        "import asyncio\nasync def f(): await asyncio.sleep(0); return 1\nassert asyncio.run(f()) == 1",
        "import concurrent.futures as c\nwith c.ThreadPoolExecutor(4) as p: assert list(p.map(abs, [-1])) == [1]",
        "import subprocess, sys\nassert subprocess.check_output([sys.executable, '-c', 'print(1)']) == b'1\\n'",
        "import sqlite3, tempfile, threading, queue, ctypes, decimal, random, zoneinfo\nimport xml.dom.minidom",
        "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as f: f.write('x')",
        "import socket\na, b = socket.socketpair()\na.send(b'x')\nassert b.recv(1) == b'x'",
        "import doctest\ndef f():\n    '''\n    >>> f()\n    1\n    '''\n    return 1\nassert doctest.testmod().failed == 0",
        "import sys, threading\nsys.setrecursionlimit(50000)\nthreading.stack_size(128 << 20)\n"
        "def f(n): return n and f(n - 1)\nt = threading.Thread(target=f, args=(20000,))\nt.start()\nt.join()",
    ],
)
def test_ordinary_programs_run(sandbox: Sandbox, source: str):
    verdict = sandbox.run(PythonProgram(source))
    assert verdict.passed, verdict


def test_same_failure_reads_the_same(sandbox: Sandbox):
    program = PythonProgram("print({'a', 'b', 'c', 'd', 'e'})\nraise ValueError({'x', 'y', 'z'})")
    assert len({(v.stdout, v.stderr) for v in sandbox.run_many([program] * 4)}) == 1


def test_command(sandbox: Sandbox):
    verdict = sandbox.run(CommandProgram(["sh", "main.sh"], files={"main.sh": "cat; echo $X >&2; exit 3"}, stdin="in",
                                         environment={"X": "y"}))  # fmt: skip
    assert (verdict.status, verdict.exit_code, verdict.stdout, verdict.stderr) == (Status.FAILED, 3, "in", "y\n")
    assert sandbox.run(CommandProgram(["no-such-command"])).exit_code == 127
    assert sandbox.run(CommandProgram(["sh", "-c", "kill -9 $$"])).signal == 9
    assert sandbox.run(CommandProgram(["sleep", "60"], limits=SHORT)).status is Status.TIMEOUT
    assert sandbox.run(CommandProgram(["yes"], limits=SHORT)).status is Status.OUTPUT_LIMIT


def test_end_mark(sandbox: Sandbox):
    def run(script: str):
        return sandbox.run(CommandProgram(["sh", "main.sh"], files={"main.sh": script}, end_mark=True))

    verdict = run(f"echo hello\necho {END_MARK}\n")
    assert verdict.passed and verdict.stdout == "hello\n"
    for script in (
        f"exit 0\necho {END_MARK}",
        "echo END_OF_CHECKS",
        "",
        f"echo {END_MARK}; echo more",
        "echo @END_OF''_CHECKS@",
    ):
        verdict = run(script)
        assert verdict.status is Status.FAILED and verdict.exit_code == 0, verdict


CPP = '#include <iostream>\nint main() { int x; std::cin >> x; std::cout << x + 1 << "\\n"; return 0; }\n'
JAVA = 'public class Main { public static void main(String[] a) { System.out.println("java"); } }'


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_compile_and_run(sandbox: Sandbox):
    compile = ["g++", "-o", "main", "main.cpp"]
    program = CommandProgram(["./main"], compile, {"main.cpp": CPP}, stdin="41", limits=Limits(timeout=60))
    verdict = sandbox.run(program)
    assert verdict.passed and verdict.stdout == "42\n" and verdict.step == "run", verdict
    verdict = sandbox.run(dataclasses.replace(program, files={"main.cpp": "int main() { return x; }"}))
    assert verdict.status is Status.FAILED and verdict.step == "compile" and "was not declared" in verdict.stderr


@pytest.mark.skipif(shutil.which("javac") is None, reason="javac is not installed")
def test_java(sandbox: Sandbox):
    program = CommandProgram(
        ["java", "-cp", ".", "Main"], ["javac", "Main.java"], {"Main.java": JAVA}, limits=Limits(timeout=60)
    )
    verdict = sandbox.run(program)
    assert verdict.passed and verdict.stdout == "java\n", verdict


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node(sandbox: Sandbox):
    verdict = sandbox.run(CommandProgram(["node", "main.js"], files={"main.js": "console.log([1].map(x => x + 1))"}))
    assert verdict.passed and verdict.stdout == "[ 2 ]\n", verdict


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Limits(timeout=0), "`timeout` must be positive, got 0"),
        (lambda: Limits(timeout=float("nan")), "`timeout` must be positive, got nan"),
        (lambda: Limits(memory=1), "`memory` must be at least 64 MiB, .*, got 1 bytes"),
        (lambda: Limits(processes=-1), "`processes` must be positive, got -1"),
        (lambda: Sandbox(workers=0), "`workers` must be at least 1, got 0"),
        (lambda: Sandbox(mechanism="chroot").start(), "must be one of .'bubblewrap', 'landlock'., got 'chroot'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_use(sandbox: Sandbox):
    with pytest.raises(SandboxError, match="not open"):
        Sandbox().run(PythonProgram("x = 1"))
    for name in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(ValueError, match="relative path"):
            sandbox.run(PythonProgram("x = 1", files={name: ""}))
    with pytest.raises(SandboxError, match="interpreter"):
        Sandbox(python="/bin/false").start()
