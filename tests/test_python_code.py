"""Functions that read code of models never fail for expressions that nest deeply, such as a thousand calls in a row."""

from __future__ import annotations

import ast

import pytest

from reflection_trl.evaluation.one_process import distrusted
from reflection_trl.gap.answers import _normal
from reflection_trl.languages import get_language
from reflection_trl.online.partial import counting_tests
from reflection_trl.python_code import canonical_form, dotted_name, parse_python


DEPTH = 1200
DEEP = {
    "calls": "def f(x):\n    return x" + ".strip()" * DEPTH,
    "attributes": "def f(x):\n    return x" + ".a" * DEPTH,
    "subscripts": "def f(x):\n    return x" + "[0]" * DEPTH,
    "sum": "def f(x):\n    return " + " + ".join(["x"] * DEPTH),
    "elif": "def f(x):\n    if x:\n        return 0\n" + "    elif x:\n        return 1\n" * DEPTH,
    "base": "class A(object" + ".x" * DEPTH + "):\n    pass",
    "replaced": "import math\nmath" + ".x" * DEPTH + " = lambda: 0",
    "raised": "def f(x):\n    raise AssertionError" + "('')" * DEPTH,
}


@pytest.mark.parametrize("code", DEEP.values(), ids=DEEP)
def test_deep_code_is_read(code: str):
    assert parse_python(code) is not None
    assert get_language("python").suspicious(code) in ((), ("replaces what tests use",))
    # What cannot be checked is not trusted
    assert distrusted(code) in ((), ("nests an expression too deeply",))
    assert canonical_form(code) == code
    assert _normal(code, "python") == "".join(code.split())


def test_what_lies_beside_deep_code_is_found():
    code = DEEP["calls"].replace("return", "import os; os._exit(0); return")
    assert get_language("python").suspicious(code) == ("ends processes",)
    assert distrusted(code) == ("nests an expression too deeply",)


def test_deep_tests_are_not_rewritten():
    assert counting_tests("assert f(1) == 1" + " + 0" * DEPTH + ".real" * DEPTH, "counter", "token") is None
    assert counting_tests("assert f(1) == 1", "counter", "token") is not None


@pytest.mark.parametrize(
    ("code", "name"),
    [("exit", "exit"), ("sys.exit", "sys.exit"), ("a.b.c", "a.b.c"), ("f().x", ""), ("a[0].b", ""), ("'x'.join", "")],
)
def test_dotted_name(code: str, name: str):
    assert dotted_name(ast.parse(code, mode="eval").body) == name
