"""Asserts keep what they have compared, and nothing else about a program changes."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import traceback
import types
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.sandbox import PythonProgram, Sandbox
from reflection_trl.sandbox.guest import errors


def run(source: str, rewritten: bool) -> tuple[str, dict[str, Any], list[str], str]:
    """What a program prints, how it ends, the names that it leaves, and the text of its traceback."""
    module = sys.modules["m"] = types.ModuleType("m")  # `dataclasses` looks there
    errors._kept.clear()
    errors.register_source("main.py", source)
    out = io.StringIO()
    end: dict[str, Any] = {}
    text = ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = errors.compiled(source, "main.py") if rewritten else compile(source, "main.py", "exec")
            exec(code, vars(module))
        except BaseException as error:
            trace = errors.own_traceback(error.__traceback__)
            end = {"type": type(error).__qualname__, "args": repr(error.args), "vars": vars(error)}
            text = "".join(traceback.format_exception(error.with_traceback(trace)))
    # When an operand dies is the one difference: see `test_values_live_until_the_assert_holds`
    printed = "".join(line for line in out.getvalue().splitlines(keepends=True) if not line.startswith("del "))
    return _compared(printed), end, sorted(vars(module)), _compared(text)


WHOLE_LINES = sys.version_info[:2] == (3, 12) and sys.version_info[2] <= 1


def _compared(text: str) -> str:
    """The text, without marks where Python sets none below an assert: in 3.12.0 and 3.12.1, which take the whole line for its place."""
    if not WHOLE_LINES:
        return text
    return "".join(line for line in text.splitlines(keepends=True) if not re.fullmatch(r"\s+[~^]+\s*", line))


RECORDER = """
class V:
    def __init__(self, name, truth=True): self.name, self.truth = name, truth
    def _compare(self, other, how):
        print(self.name, how, getattr(other, 'name', other))
        if self.truth == 'raise': raise ValueError(self.name)
        return V(f'{self.name}{how}', self.truth) if self.truth != 'plain' else False
    def __eq__(self, other): return self._compare(other, '==')
    def __ne__(self, other): return self._compare(other, '!=')
    def __lt__(self, other): return self._compare(other, '<')
    def __le__(self, other): return NotImplemented
    def __ge__(self, other): return self._compare(other, '>=')
    def __gt__(self, other): return self._compare(other, '>')
    def __contains__(self, other): return self._compare(other, 'in')
    def __bool__(self):
        print('bool', self.name)
        return self.truth is True
    def __repr__(self):
        print('repr', self.name)
        return self.name
    def __del__(self): print('del', self.name)
"""

PROGRAMS = {
    "names": "x = 1\nassert x == 1\nprint(sorted(n for n in globals() if n[:2] != '__'), dir())",
    "locals": "def f(x):\n    assert x == 1\n    return locals()\nprint(f(1))",
    "iteration over globals": "k = v = None\nfor k, v in globals().items():\n    assert k == k",
    "class body": "class A:\n    assert 1 == 1\n    x = 2\n    assert x == 2\nprint([n for n in vars(A) if n[:2] != '__'])",
    "enumeration": "import enum\nclass E(enum.Enum):\n    A = 1\n    assert A == 1\nprint(list(E))",
    "data class": "import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int = 1\n    assert x == 1\nprint(D())",
    "nested functions": "def f(x):\n    def g():\n        nonlocal x\n        x += 1\n        assert x == 2\n        return x\n"
    "    assert g() == 2\n    return f.__code__.co_varnames, g.__code__.co_freevars\nprint(f(1))",
    "global": "n = 0\ndef f():\n    global n\n    n += 1\n    assert n == 1\nf()\nprint(n)",
    "comprehensions": "assert [x for x in range(3) if (y := x) == x] == [0, 1, 2]\nprint(y)\nassert {x: x for x in 'a'} == {'a': 'a'}",
    "comprehension in a class": "class A:\n    xs = [1]\n    assert [x for x in xs] == [1]\n    ys = [x for x in xs]\nprint(A.ys)",
    "walrus": "assert (n := 3) == 3, n\nprint(n)\nassert (m := 0) == 1, (n, m)",
    "lambda": "f = lambda x: x\nassert f(1) == (lambda: 1)()",
    "generator": "def g():\n    assert (yield 1) == 5\n    yield 2\nh = g()\nprint(next(h), h.send(5))\nassert next(h, None) == 3",
    "coroutine": "import asyncio\nasync def f(): return 1\nasync def g():\n    assert await f() == 1\n"
    "    async for x in h():\n        assert x == 0\nasync def h(): yield 0\nasyncio.run(g())\nassert asyncio.run(f()) == 2",
    "chain": "assert 1 < 2 < 3\nassert 1 < 2 > 3",
    "membership": "assert 1 in [1] and 2 not in [1]\nassert 1 not in (1, 2)",
    "identity": "x = []\nassert x is x\nassert x is not x",
    "message": "def m():\n    print('asked')\n    return 'm'\nassert 1 == 1, m()\nassert 1 == 2, m()",
    "message that fails": "assert 1 == 2, 1 / 0",
    "nothing to compare": "assert 1 < 'a'",
    "no iterable": "assert 1 in 2",
    "raises in an operand": "def f(): raise KeyError('k')\nassert 1 == f()",
    "raises in a comparison": RECORDER + "assert V('a', 'raise') == V('b')",
    "order": RECORDER + "def t(n, *a):\n    print('make', n)\n    return V(n, *a)\nassert t('a') == t('b')\n"
    "assert t('c') in t('d')\nassert t('e') <= t('f')\nassert t('g', False) != t('h')",
    "an object that is asked for its truth": RECORDER + "assert V('a')\nassert not V('b', False)\nassert V('c', False)",
    "nan": "x = float('nan')\nassert x != x\nassert [x] == [x]\nassert x == x",
    "identity before equality": "x = float('nan')\nassert x in [x]\nassert (x,) == (x,)",
    "array": "class A:\n    def __eq__(self, o): return [False]\n    __hash__ = None\nassert A() == A()\n"
    "class B:\n    def __eq__(self, o): return C()\nclass C:\n    def __bool__(self): raise ValueError('ambiguous')\nassert B() == 1",
    "equality that changes": "class A:\n    n = 0\n    def __eq__(self, o):\n        A.n += 1\n        return A.n == 1\na = A()\n"
    "assert a == 1\nprint(A.n)\nassert a == 1",
    "caught": "for n in range(3):\n    try:\n        assert n == 1\n    except AssertionError as e:\n        print(repr(e), vars(e))\nassert n == 3",
    "stack": "import sys\nclass A:\n    def __eq__(self, o):\n        print(sys._getframe(1).f_code.co_name, sys._getframe(1).f_lineno)\n"
    "        return True\ndef f():\n    assert A() == 1\nf()",
    "printed traceback": "import traceback\ntry:\n    assert 1 < 'a'\nexcept TypeError:\n    traceback.print_exc()\n"
    "try:\n    assert (\n        1\n        == 2), 'm'\nexcept AssertionError:\n    traceback.print_exc()",
    "hidden name": "AssertionError = operator = eq = None\nassert 1 == 1\nassert 1 == 2",
    "docstring and future": '"""doc"""\nfrom __future__ import annotations\ndef f():\n    """text"""\n    assert 1 == 1\nprint(f.__doc__, __doc__)',
    "only statement": "if True: assert 1 == 1\nfor x in [1]: assert x\nelse: assert x == 1; print(x)",
    "match": "match 1:\n    case 1 if not 0:\n        assert 1 == 1\n    case _:\n        assert False",
    "finally": "def f():\n    try:\n        assert 1 == 2\n    finally:\n        print('finally')\n        assert 3 == 3\nf()",
    "too deep": "assert " + "(" * 150 + "1" + ")" * 150 + " == 1\nassert " + "-" * 900 + "1 == 1",
    "many": "\n".join(f"assert {n} == {n}" for n in range(2000)) + "\nassert 1 == 2",
    "warnings": "assert (1, 'x')\nassert 1 is 1\nassert '\\d' == 2",
    "unreadable": "x = '\\ud800'\nassert x == 'ü'",
    "no assert": "print('assert')\nx = 'assert 1 == 2'",
    "syntax error": "assert 1 ==",
    "late syntax error": "assert 1 == 1\nreturn",
    "in an executed text": "exec('assert 1 == 1')\nexec('assert 1 == 2')",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_do_not_change(name: str):
    if name == "printed traceback" and WHOLE_LINES:
        pytest.skip("the place of an assert over several lines is its first line")
    assert run(PROGRAMS[name], rewritten=True) == run(PROGRAMS[name], rewritten=False)


@pytest.mark.parametrize(
    "source",
    [
        "assert 1 == 1",
        "assert (1, 'x')",
        "assert x is 1",
        "assert 'a' is not x",
        "assert x is -1",
        "assert x is (1, 2)",
        "assert x is (1, 2)[0]",
        "assert x is None is not 1",
        "assert x is not None",
        "assert not x is 1",
        "assert 1(2) == 2",
        "assert x == '\\d'",
        "assert 1 == 1\nif __name__ == '__main__':\n    x is 1",
        "def f():\n    assert x == 1, x is 'a'",
    ],
)
def test_warnings_are_those_of_the_compiler(source: str):
    def issued(compiling: Callable[[], CodeType]) -> list[tuple[type[Warning], str, str, int]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            compiling()
        return [(one.category, str(one.message), one.filename, one.lineno) for one in caught]

    expected = issued(lambda: compile(source, "main.py", "exec"))
    assert issued(lambda: errors.compiled(source, "main.py")) == expected
    assert issued(lambda: errors.compiled(source, "main.py", as_module=True)) == expected


@pytest.mark.parametrize(
    "source", ["assert 1 == 1\nreturn", "assert x ==", "assert (x := 1) == 1\nif __name__ == '__main__':\n    return"]
)
def test_errors_are_those_of_the_compiler(source: str):
    with pytest.raises(SyntaxError) as expected:
        compile(source, "main.py", "exec")
    for as_module in (False, True):
        with pytest.raises(SyntaxError) as caught:
            errors.compiled(source, "main.py", as_module=as_module)
        assert vars(caught.value) == vars(expected.value) and caught.value.args == expected.value.args


_values = st.sampled_from(
    [
        "V('a')",
        "V('b', False)",
        "V('c', 'raise')",
        "V('d', 'plain')",
        "1",
        "''",
        "[1]",
        "None",
        "nan",
        "t(2)",
        "(z := 5)",
    ]
)
_tests = st.one_of(
    st.builds(
        "{} {} {}".format,
        _values,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"]),
        _values,
    ),
    st.builds("not {}".format, _values),
    _values,
    st.builds("{} == {} == {}".format, _values, _values, _values),
    st.builds("{} == {} or {}".format, _values, _values, _values),
)
_asserts = st.builds("assert {}{}".format, _tests, st.sampled_from(["", ", 'm'", ", t('m')"]))
_bodies = st.lists(_asserts, min_size=1, max_size=5)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@given(_bodies, st.sampled_from(["module", "function", "class", "generator", "caught"]))
def test_any_asserts_do_not_change(body: list[str], place: str):
    head = RECORDER + "nan = float('nan')\ndef t(x):\n    print('t', x)\n    return x\n"
    if place == "caught":
        body = [line for one in body for line in ("try:", f"    {one}", "except Exception as e: print(type(e), e)")]
    inside = "\n".join(f"    {line}" for line in body)
    source = (
        head
        + {
            "module": "\n".join(body),
            "caught": "\n".join(body),
            "function": f"def f():\n{inside}\n    print(sorted(locals()))\nf()",
            "class": f"class C:\n{inside}\nprint(sorted(vars(C)))",
            "generator": f"def f():\n    yield 1\n{inside}\nlist(f())",
        }[place]
    )
    assert run(source, rewritten=True) == run(source, rewritten=False)


def test_values_live_until_the_assert_holds(sandbox: Sandbox):
    body = "def f():\n    assert V('a') == V('b')\n    print('after')\nf()\nassert V('c')\nprint('end')"
    printed = sandbox.run(PythonProgram(RECORDER + body)).stdout.splitlines()
    ends = [line for line in printed if line.startswith("del ") or line in ("after", "end")]
    assert (sorted(ends[:3]), ends[3:]) == (["del a", "del a==", "del b"], ["after", "del c", "end"])


def test_values_of_the_right_assert(sandbox: Sandbox):
    """Asserts that ran in between, in functions that the failing one has called, do not get in its way."""
    source = (
        "def g(x):\n    assert x == x\n    try:\n        assert x == 'other'\n    except AssertionError:\n        pass\n    return x\n"
        "def f(n):\n    assert g(n) == n\n    return n if n == 0 else f(n - 1)\nassert f(5) == g(7)\n"
    )
    error = sandbox.run(PythonProgram(source)).error
    assert (error.assertion, error.actual, error.expected) == ("assert f(5) == g(7)", "0", "7")


def test_values_cross_from_the_program(sandbox: Sandbox):
    error = sandbox.run(PythonProgram("def f(x):\n    assert x in (2, 3), 'bad'\n", "f(1)")).error
    assert (error.file, error.line, error.assertion) == ("main.py", 2, "assert x in (2, 3), 'bad'")
    assert (error.actual, error.expected, error.message) == ("1", "one of (2, 3)", "bad")
    error = sandbox.run(PythonProgram("class A: pass\ndef f(x): return A()", "assert f(1) == 2")).error
    assert error.file == "checks.py" and "A object at" in error.actual and error.expected == "2"


def test_a_program_that_says_it_left(sandbox: Sandbox):
    assert sandbox.run(PythonProgram("import sys; sys.exit()")).left
    assert not sandbox.run(PythonProgram("import os; os._exit(0)")).left
    assert not sandbox.run(PythonProgram("x = 1")).left
