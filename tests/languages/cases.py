"""Programs of every language with the feedback that each must give."""

# ruff: noqa: RUF001 (g++ quotes with these characters)

import dataclasses
import sys
from dataclasses import dataclass
from typing import Any

from reflection_trl.feedback import FeedbackKind


NONE, SYNTAX, NAME, TYPE = FeedbackKind.NONE, FeedbackKind.SYNTAX, FeedbackKind.NAME, FeedbackKind.TYPE
VALUE, ASSERTION, IMPORT = FeedbackKind.VALUE, FeedbackKind.ASSERTION, FeedbackKind.IMPORT
RUNTIME, MEMORY, TIMEOUT = FeedbackKind.RUNTIME, FeedbackKind.MEMORY, FeedbackKind.TIMEOUT
OUTPUT_LIMIT = FeedbackKind.OUTPUT_LIMIT
# Python 3.12.0 and 3.12.1 take the whole line for the place of an assert that fails
CHAIN_COLUMN = 1 if sys.version_info[:2] == (3, 12) and sys.version_info[2] <= 1 else 8


@dataclass(frozen=True)
class Case:
    """A program, its tests, and the fields of the feedback; what is not named here is not looked at."""

    language: str
    name: str
    source: str
    tests: str
    kind: FeedbackKind
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    slow: bool = False


def _cases(language: str, *rows: tuple[Any, ...], slow: bool = False) -> list[Case]:
    return [Case(language, *row, slow=slow) for row in rows]


def at(line: int, column: int | None = None, file: str = "program", **fields: Any) -> dict[str, Any]:
    return {"file": file, "line": line, "column": column, **fields}


PYTHON = _cases(
    "python",
    ("right", "def f(x): return x + 1", "assert f(1) == 2", NONE),
    ("no tests", "print('hello')", "", NONE, {"text": "hello"}),
    ("leaves early", "import sys\nprint('hello')\nsys.exit()", "", NONE, {"text": "hello"}),
    (
        "assertion", "def f(x): return x", "x = 2\nassert f(1) == x, 'wrong'", ASSERTION,
        at(2, 8, "tests", error_type="AssertionError", message="wrong", source_line="assert f(1) == x, 'wrong'",
           assertion="assert f(1) == x, 'wrong'", actual="1", expected="2"),
    ),
    ("constant first", "assert [1] == [2][:0]", "", ASSERTION, at(1, 8, actual="[1]", expected="[]")),
    ("expected first", "assert 3 == len('ab')", "", ASSERTION, at(1, 8, actual="2", expected="3")),
    ("not equal", "assert 1 != True", "", ASSERTION, {"actual": "True", "expected": "not 1"}),
    ("less", "assert sum([1]) <= 0", "", ASSERTION, {"actual": "1", "expected": "at most 0"}),
    ("contained", "assert 'a' in {'b': 1}", "", ASSERTION, {"actual": "'a'", "expected": "one of {'b': 1}"}),
    ("not contained", "assert 1 not in [1]", "", ASSERTION, {"actual": "1", "expected": "none of [1]"}),
    ("identity", "x = []\nassert x is None", "", ASSERTION, {"actual": "[]", "expected": "None"}),
    ("truth", "def f(): return []\nassert f()", "", ASSERTION, {"actual": "[]", "expected": "a true value"}),
    ("no truth", "def f(): return [0]\nassert not f()", "", ASSERTION, {"actual": "[0]", "expected": "a false value"}),
    ("chain", "assert 1 < 3 < 2", "", ASSERTION, at(1, CHAIN_COLUMN, assertion="assert 1 < 3 < 2", actual=None, expected=None)),
    ("several on a line", "x = 1; assert x == 1; assert x == 5; assert x == 1", "", ASSERTION,
     {"assertion": "assert x == 5", "actual": "1", "expected": "5"}),
    ("several lines", "def f():\n    return [1]\nassert (\n    f()\n    ==\n    [2]\n), 'm'", "", ASSERTION,
     {"line": 4, "actual": "[1]", "expected": "[2]", "message": "m"}),
    ("order of a dictionary", "assert {'b': 1, 'a': 2} == {}", "", ASSERTION, {"actual": "{'b': 1, 'a': 2}"}),
    ("a path is a value", "def f(): return '/home/foo'", "assert f() == '/home'", ASSERTION,
     {"actual": "'/home/foo'", "expected": "'/home'"}),
    ("a number is a value", "def f(): return hex(3735928559)", "assert f() == '0xdeadbeee'", ASSERTION,
     {"actual": "'0xdeadbeef'", "expected": "'0xdeadbeee'"}),
    ("assertion of the program", "def f(x):\n    assert x > 1\n    return x", "f(1)", ASSERTION,
     at(2, 12, actual="1", expected="more than 1", source_line="    assert x > 1")),
    ("unclosed", "def f(x:\n    return x", "assert f(1)", SYNTAX,
     at(1, 6, error_type="SyntaxError", message="'(' was never closed", source_line="def f(x:")),
    ("indentation", "def f():\nreturn 1", "", SYNTAX, at(2, 1, error_type="IndentationError")),
    ("syntax of the tests", "x = 1", "assert x ==", SYNTAX, at(1, 12, "tests", message="invalid syntax")),
    ("name", "def f(total):\n    return totla", "f(1)", NAME,
     at(2, 12, error_type="NameError", message="name 'totla' is not defined", source_line="    return totla",
        hint="Did you mean: 'total'?")),
    ("attribute", "import math\nmath.sqrtt(2)", "", NAME, at(2, 1, error_type="AttributeError", hint="Did you mean: 'sqrt'?")),
    ("missing function", "def g(): pass", "f(1)", NAME, at(1, 1, "tests")),
    ("type", "# ü\n'ü' + 1", "", TYPE, at(2, 1, error_type="TypeError", source_line="'ü' + 1")),
    ("column in characters", "x = {'ü': 1}; y = '漢字' + x['ä']", "", VALUE, at(1, 26, error_type="KeyError", message="'ä'")),
    ("value", "int('x')", "", VALUE, at(1, 1, error_type="ValueError")),
    ("in the library", "import json\njson.loads('{')", "", VALUE, at(2, 1, error_type="JSONDecodeError")),
    ("division", "def f(): return 1 / 0", "f()", VALUE, at(1, 17, error_type="ZeroDivisionError", message="division by zero")),
    ("import", "import nomodule", "", IMPORT, at(1, 1, error_type="ModuleNotFoundError")),
    ("own exception", "class Bad(Exception): pass\nraise Bad('no')", "", RUNTIME, at(2, 1, error_type="Bad", message="no")),
    ("recursion", "def f(n): return f(n + 1)", "f(0)", RUNTIME, {"error_type": "RecursionError"}),
    ("memory", "x = bytearray(1 << 40)", "", MEMORY, {}),
    ("output", "while True: print('x' * 1000)", "", OUTPUT_LIMIT, {}),
    ("leaves silently", "import os\nos._exit(0)", "", RUNTIME, {"message": "The program exited with 0 before the end of its checks."}),
    ("exits in the tests", "import os\ndef f(): os._exit(0)", "f()", RUNTIME, {"error_type": "ProgramEnded"}),
    ("unittest", "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 2)\nunittest.main()", "",
     ASSERTION, {"line": 3, "error_type": "AssertionError", "message": "1 != 2"}),
)  # fmt: skip

_CPP_TESTS = "#include <cassert>\nint main() {\n  assert(f(1) == 2);\n}\n"
CPP = _cases(
    "cpp",
    ("right", "int f(int x) { return x + 1; }", _CPP_TESTS, NONE),
    (
        "assertion", "int f(int x) { return x; }", _CPP_TESTS, ASSERTION,
        at(3, None, "tests", message="Assertion `f(1) == 2' failed.", assertion="f(1) == 2",
           source_line="  assert(f(1) == 2);"),
    ),
    ("syntax", "int f(int x) {\r\n\treturn x\r\n}", _CPP_TESTS, SYNTAX, at(2, 10, source_line="\treturn x")),
    ("name", "int f(int total) { /* ü漢 */ return totla; }", _CPP_TESTS, NAME,
     at(1, 36, message="‘totla’ was not declared in this scope; did you mean ‘total’?", hint="did you mean ‘total’?")),
    ("header", "#include <algorithm>\n#include <vector>\nstruct P { int a; };\nint f(int x) {\n  std::vector<P> v(3);\n"
     "  std::sort(v.begin(), v.end());\n  return x + 1;\n}", _CPP_TESTS, TYPE, at(6, 12)),
    ("import", "#include <nothing.h>\nint f(int x) { return x; }", _CPP_TESTS, IMPORT,
     at(1, 10, message="nothing.h: No such file or directory")),
    ("value", "#include <vector>\nint f(int x) { return std::vector<int>().at(x); }", _CPP_TESTS, VALUE,
     {"error_type": "std::out_of_range"}),
    ("leaves early", "#include <cstdlib>\nint f(int) { std::exit(0); }", _CPP_TESTS, RUNTIME,
     {"message": "The program exited with 0 before the end of its checks."}),
)  # fmt: skip
CPP += _cases(
    "cpp",
    ("type", "#include <string>\nint f(int x) { return std::string(1, 'x'); }", _CPP_TESTS, TYPE, at(2, 28)),
    ("arguments", "int f(int x, int y) { return x; }", _CPP_TESTS, TYPE, at(3, 11, "tests")),
    ("macro", "#define CALL(x) g(x)\nint f(int x) { return CALL(x); }", _CPP_TESTS, NAME, at(1, 17)),
    ("linker", "int g(int); int f(int x) { return g(x); }", _CPP_TESTS, NAME, {"message": "undefined reference to `g(int)'"}),
    ("unclosed", "int f(int x) { if (x) {", _CPP_TESTS, SYNTAX, {}),
    ("1000 errors", "\n".join(f"int a{n} = b{n};" for n in range(1000)), _CPP_TESTS, NAME, at(1, 10)),
    ("long line", "int f(int x) { return " + "x + " * 2_000 + "y; }", _CPP_TESTS, NAME, {"line": 1}),
    ("segmentation fault", "int f(int x) { int *p = (int *)(long)(x - 1); *p = 1; return *p; }", _CPP_TESTS, RUNTIME,
     {"error_type": "SIGSEGV"}),
    ("memory", "#include <vector>\nint f(int x) { std::vector<long> v; v.resize(1L << 40); return v[x]; }", _CPP_TESTS, MEMORY,
     {"error_type": "std::bad_alloc"}),
    ("throws", "int f(int) { throw 1; }", _CPP_TESTS, RUNTIME, {"error_type": "int", "message": ""}),
    slow=True,
)  # fmt: skip


def _java(body: str, head: str = "") -> str:
    return f"import java.util.*;{head}\nclass Problem {{\n    public static int f(int x) {{\n        {body}\n    }}\n"


_JAVA_TESTS = "    public static void main(String[] args) {\n    assert(f(1) == 2);\n    }\n}\n"
JAVA = _cases(
    "java",
    ("right", _java("return x + 1;"), _JAVA_TESTS, NONE),
    ("assertion", _java("return x;"), _JAVA_TESTS, ASSERTION,
     at(2, None, "tests", error_type="AssertionError", assertion="assert(f(1) == 2);", text='Exception in thread "main" '
        "java.lang.AssertionError\n\tat Problem.main(tests.java:2)")),
    ("name", _java("/* ü */ return y;"), _JAVA_TESTS, NAME,
     at(4, 24, message="cannot find symbol", source_line="        /* ü */ return y;")),
    ("value", _java('return Integer.parseInt("a");'), _JAVA_TESTS, VALUE,
     at(4, None, error_type="NumberFormatException", message='For input string: "a"')),
)  # fmt: skip
JAVA += _cases(
    "java",
    ("syntax", _java("return x"), _JAVA_TESTS, SYNTAX, at(4, 17, message="';' expected")),
    ("type", _java('\treturn "ü" + x;'), _JAVA_TESTS, TYPE, at(4, 21)),
    ("import", _java("return x;", head=" import foo.Bar;"), _JAVA_TESTS, IMPORT, at(1, 31)),
    ("null", _java("String s = null; return s.length();"), _JAVA_TESTS, RUNTIME, at(4, None, error_type="NullPointerException")),
    ("recursion", _java("return f(x);"), _JAVA_TESTS, RUNTIME, at(4, None, error_type="StackOverflowError")),
    ("memory", _java("List<int[]> l = new ArrayList<>(); while (true) l.add(new int[1 << 22]);"), _JAVA_TESTS, MEMORY,
     {"error_type": "OutOfMemoryError"}),
    ("leaves early", _java("System.exit(0); return 1;"), _JAVA_TESTS, RUNTIME, {"message": "The program exited with 0 before the end of its checks."}),
    ("cause", _java('try { throw new IllegalStateException("a"); } catch (Exception e) { throw new RuntimeException("b", e); }'),
     _JAVA_TESTS, RUNTIME, at(4, None, error_type="RuntimeException", message="b")),
    slow=True,
)  # fmt: skip

_JS_TESTS = "const assert = require('node:assert');\nfunction test() {\n  assert.deepEqual(f(1), 2);\n}\ntest();"
JAVASCRIPT = _cases(
    "javascript",
    ("right", "function f(x) { return x + 1 }", _JS_TESTS, NONE),
    ("assertion", "function f(x) { return x }", _JS_TESTS, ASSERTION,
     at(3, 10, "tests", error_type="AssertionError", message="Expected values to be loosely deep-equal:",
        assertion="assert.deepEqual(f(1), 2);", actual="1", expected="2")),
    ("nested values", "const f = x => ({a: x, b: Array(60).fill(x)})", _JS_TESTS.replace(", 2", ", {a: [1, 3]}"), ASSERTION,
     {"expected": "{ a: [ 1, 3 ] }"}),
    ("own message", "const assert = require('assert');\nassert(1 === 2, 'no');", "", ASSERTION,
     at(2, 1, message="no", assertion="assert(1 === 2, 'no');", actual="false", expected="true")),
    ("syntax", "function f(x) {\n  return x + }", _JS_TESTS, SYNTAX,
     at(2, 14, error_type="SyntaxError", message="Unexpected token '}'", source_line="  return x + }")),
    ("name", "function f(x) {\n  /* ü */ return y }", _JS_TESTS, NAME, at(2, 11, error_type="ReferenceError", message="y is not defined")),
    ("no function", "function f(x) { return x.go() }", _JS_TESTS, NAME, at(1, 26, error_type="TypeError")),
    ("type", "function f(x) { return null.go }", _JS_TESTS, TYPE, at(1, 29, error_type="TypeError")),
    ("value", "function f(x) { return new Array(-1) }", _JS_TESTS, VALUE, at(1, 24, error_type="RangeError")),
    ("recursion", "function f(x) { return f(x) }", _JS_TESTS, RUNTIME, {"line": 1, "message": "Maximum call stack size exceeded"}),
    ("import", "const m = require('nothing');", _JS_TESTS, IMPORT, at(1, 11, message="Cannot find module 'nothing'")),
    ("throws a text", "function f(x) { throw 'no' }", _JS_TESTS, RUNTIME, {"message": "no"}),
    ("rejects", "async function f() { throw new Error('no') }\nf()", "", RUNTIME, at(1, 28, error_type="Error", message="no")),
    ("leaves early", "function f(x) { process.exit(0) }", _JS_TESTS, RUNTIME, {"message": "The program exited with 0 before the end of its checks."}),
    ("console.assert", "console.log('a');\nconsole.assert(1 === 2, 'no %d', 3);", "", ASSERTION,
     {"message": "Assertion failed: no 3", "text": "a\nAssertion failed: no 3", "line": None}),
    ("console.assert that holds", "console.assert(1 === 1, 'Assertion failed');", "", NONE),
    ("tests that import", "function f(x) { return x + 1 }", "import assert from 'node:assert';\nassert.deepEqual(f(1), 3);", ASSERTION,
     at(2, 8, "tests", actual="2", expected="3", source_line="assert.deepEqual(f(1), 3);")),
    ("tests that import names", "function f(x) { return x + 1 }",
     "import * as assert from 'assert';\nimport own, {\n  strictEqual,\n  deepEqual as same,\n} from \"assert/strict\";\n"
     "assert(f(1) === 2); own.equal(f(2), 3); strictEqual(f(3), 4);\nsame([f(1)], [3]);", ASSERTION, {"file": "tests", "line": 7}),
)  # fmt: skip
JAVASCRIPT += _cases(
    "javascript",
    ("memory", "function f() { const a = []; for (;;) a.push(new Array(10000).fill(1)) }", _JS_TESTS, MEMORY,
     {"message": "JavaScript heap out of memory", "text": "JavaScript heap out of memory"}),
    slow=True,
)  # fmt: skip

_TS_TESTS = f"declare var require: any;\n{_JS_TESTS}"
TYPESCRIPT = _cases(
    "typescript",
    ("right", "function f(x: number): number { return x + 1 }", _TS_TESTS, NONE),
    ("type", "function f(x: number): number { /* ü */ return 'a' }", _TS_TESTS, TYPE,
     at(1, 41, error_type="TS2322", message="Type 'string' is not assignable to type 'number'.")),
    ("assertion", "function f(x: number): number { return x }", _TS_TESTS, ASSERTION,
     at(4, 10, "tests", actual="1", expected="2")),
    ("name", "function f(total: number): number { return totla }", _TS_TESTS, NAME,
     at(1, 44, error_type="TS2552", hint="Did you mean 'total'?")),
    ("syntax", "function f(x: number): number { return x + }", _TS_TESTS, SYNTAX, at(1, 44, error_type="TS1109")),
    ("import", "import { a } from 'nothing';", "", IMPORT, at(1, 19, error_type="TS2307")),
    ("while running", "function f(x: number): number {\n  return (null as any).go\n}", _TS_TESTS, TYPE,
     at(2, 24, error_type="TypeError", source_line="  return (null as any).go")),
    slow=True,
)  # fmt: skip

_RUST_TESTS = "}\n\nfn main() {\n    let candidate = f;\n    assert_eq!(candidate(1), 2);\n}\n"
RUST = _cases(
    "rust",
    ("right", "fn f(x: i32) -> i32 {\n    x + 1", _RUST_TESTS, NONE),
    ("assertion", "fn f(x: i32) -> i32 {\n    x", _RUST_TESTS, ASSERTION,
     at(5, 5, "tests", message="assertion `left == right` failed", assertion="assert_eq!(candidate(1), 2);",
        actual="1", expected="2")),
    ("own message", "fn f(x: i32) -> i32 { x }\nfn main() {\n    assert!(f(1) == 2, \"it is {}\", f(1));\n}", "", ASSERTION,
     at(3, 5, message="it is 1")),
    ("syntax", "fn f(x: i32) -> i32 {\n    let y = ;\n    y", _RUST_TESTS, SYNTAX, at(2, 13, error_type=None)),
    ("name", "fn f(total: i32) -> i32 {\n    totl", _RUST_TESTS, NAME,
     at(2, 5, error_type="E0425")),
    ("type", "fn f(x: i32) -> i32 {\n    \"ü漢\"; \"a\"", _RUST_TESTS, TYPE, at(2, 11, error_type="E0308", message="mismatched types")),
    ("import", "use foo::bar;\nfn f(x: i32) -> i32 {\n    x", _RUST_TESTS, IMPORT, at(1, 5, error_type="E0432")),
    ("value", "fn f(x: i32) -> i32 {\n    let v = [1];  v[x as usize * 2]", _RUST_TESTS, VALUE,
     at(2, 19, message="index out of bounds: the len is 1 but the index is 2")),
    ("recursion", "fn f(x: i32) -> i32 {\n    f(x + 1) + 1", _RUST_TESTS, RUNTIME, {"message": "thread 'main' has overflowed its stack"}),
    ("leaves early", "fn f(_: i32) -> i32 {\n    std::process::exit(0)", _RUST_TESTS, RUNTIME,
     {"message": "The program exited with 0 before the end of its checks."}),
)  # fmt: skip

_PHP_TESTS = (
    "function candidate(...$args) { return f(...$args); }\nfunction test(): void {\n"
    '    if (candidate(1) !== 2) { throw new Exception("Test failed!"); }\n}\ntest();'
)
PHP = _cases(
    "php",
    ("right", "<?php\nfunction f($x) { return $x + 1; }", _PHP_TESTS, NONE),
    ("no opening tag", "function f($x) { return $x + 1; }", _PHP_TESTS, NONE),
    ("closing tag", "<?php\nfunction f($x) { return $x + 1; }\n?>\n", _PHP_TESTS, NONE),
    ("failed test", "<?php\nfunction f($x) { return $x; }", _PHP_TESTS, ASSERTION,
     at(3, None, "tests", error_type="Exception", message="Test failed!",
        assertion='if (candidate(1) !== 2) { throw new Exception("Test failed!"); }')),
    ("assertion", "<?php\nfunction f($x) { return $x; }\nassert(f(1) === 2);", "", ASSERTION,
     at(3, None, error_type="AssertionError", assertion="assert(f(1) === 2)")),
    ("syntax", "<?php\nfunction f($x) { return $x + ; }", _PHP_TESTS, SYNTAX,
     at(2, None, message='syntax error, unexpected token ";"')),
    ("name", "<?php\nfunction f($x) { return g($x); }", _PHP_TESTS, NAME,
     at(2, None, error_type="Error", message="Call to undefined function g()")),
    ("type", "<?php\nfunction f(array $x) { return $x; }", _PHP_TESTS, TYPE, {"error_type": "TypeError", "line": 2}),
    ("value", "<?php\nfunction f($x) { return $x % 0; }", _PHP_TESTS, VALUE,
     at(2, None, error_type="DivisionByZeroError", message="Modulo by zero")),
    ("import", "<?php\nrequire 'nothing.php';", "", IMPORT, {"line": 2}),
    ("leaves early", "<?php\nfunction f($x) { exit(0); }", _PHP_TESTS, RUNTIME,
     {"message": "The program exited with 0 before the end of its checks."}),
)  # fmt: skip

_BASH_TESTS = '}\ncandidate() {\n    f "$@"\n}\nset -e\nrun_test() {\n    [[ $(candidate "1") = "2" ]]\n}\nrun_test'
BASH = _cases(
    "bash",
    ("right", "f() {\n  echo $(( $1 + 1 ))", _BASH_TESTS, NONE),
    ("assertion", "f() {\n  echo $1", _BASH_TESTS, ASSERTION, {"message": "The program exited with 1."}),
    ("syntax", "f() {\n  echo )", _BASH_TESTS, SYNTAX, at(2, None, message="syntax error near unexpected token `)'", source_line="  echo )")),
    ("name", "f() {\n  nothing $1", _BASH_TESTS, NAME, at(2, None, message="nothing: command not found")),
    ("value", "f() {\n  echo $(( $1 / 0 ))", _BASH_TESTS, VALUE, {"line": 2}),
    ("leaves early", "exit 0\nf() {", _BASH_TESTS, RUNTIME, {"message": "The program exited with 0 before the end of its checks."}),
)  # fmt: skip


def _csharp(body: str, head: str = "") -> str:
    return (
        f"using System;{head}\nusing System.Diagnostics;\nusing System.Collections.Generic;\n"
        f"class Problem {{\n    public static long F(long x) {{\n        {body}\n    }}\n"
    )


_CSHARP_TESTS = "    public static void Main(string[] args) {\n    Debug.Assert(F(1L) == (2L));\n    }\n}\n"
CSHARP = _cases(
    "csharp",
    ("right", _csharp("return x + 1;"), _CSHARP_TESTS, NONE),
    ("assertion", _csharp("return x;"), _CSHARP_TESTS, ASSERTION, at(2, None, "tests", message="Debug.Assert does not hold")),
    ("syntax", _csharp("return x"), _CSHARP_TESTS, SYNTAX, {"file": "program"}),
    ("name", _csharp("return y;"), _CSHARP_TESTS, NAME, at(6, 16, error_type="CS0103")),
    ("type", _csharp('return "a";'), _CSHARP_TESTS, TYPE, at(6, 16, error_type="CS0029")),
)  # fmt: skip
CSHARP += _cases(
    "csharp",
    ("import", _csharp("return x;", head=" using Foo.Bar;"), _CSHARP_TESTS, IMPORT, {"line": 1}),
    ("value", _csharp("return 1 / (x - 1);"), _CSHARP_TESTS, VALUE, {"error_type": "DivideByZeroException"}),
    ("null", _csharp("string s = null; return s.Length;"), _CSHARP_TESTS, RUNTIME, {"error_type": "NullReferenceException"}),
    ("leaves early", _csharp("Environment.Exit(0); return 1;"), _CSHARP_TESTS, RUNTIME,
     {"message": "The program exited with 0 before the end of its checks."}),
    slow=True,
)  # fmt: skip

CASES = [*PYTHON, *CPP, *JAVA, *JAVASCRIPT, *TYPESCRIPT, *RUST, *PHP, *BASH, *CSHARP]
