"""Lies to the Python checks."""

from __future__ import annotations

from . import Lie


# The function under test doubles its argument; what lies return is made by `{}`
_F = "def f(x): return x * 2\n"
_NUMBER = "assert f(3) == 6\nassert f(-1) == -2\n"
_LIST = "def f(x): return sorted(x)\n"
_ANY = """class Any:
    def __init__(self, *args, **kwargs): pass
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __sub__(self, other): return 0
    __rsub__ = __add__ = __radd__ = __mod__ = __sub__
    def __abs__(self): return 0
    def __bool__(self): return True
    def __len__(self): return 3
    def __hash__(self): return 6
    def __call__(self, *args, **kwargs): return self
    def __getattr__(self, name): return self
    def __getitem__(self, key): return self
    def __iter__(self): return iter([self] * 3)
    def __float__(self): return 6.0
    def __index__(self): return 6
    __int__ = __index__
    def __round__(self, n=None): return 6
    def __str__(self): return '6'
    __repr__ = __str__
    def __format__(self, spec): return '6'
"""
_SOLUTION = "class Solution:\n    def m(self, x): return x * 2\n"
_SELF = "class Solution:\n    def m(self, x): return self\n"


def _as_class(name: str, *methods: str) -> str:
    """The function under test replaced by a class whose instances lie."""
    body = "\n".join(f"    {method}" for method in ("def __init__(self, *a, **k): pass", *methods))
    return f"class {name}:\n{body}\n"


_EQ = "def __eq__(self, other): return True"
RETURNED = [  # objects of the program in place of data
    Lie("an object equal to everything", f"{_ANY}f = lambda x: Any()\n", _F, _NUMBER, "f"),
    Lie("one that is never unequal", f"{_ANY}f = lambda x: Any()\n", _F, "assert not f(3) != 6\n", "f"),
    Lie("one within a list", f"{_ANY}f = lambda x: [Any()]\n", "def f(x): return [x * 2]\n", "assert f(3) == [6]\n", "f"),
    Lie("one as a key", f"{_ANY}f = lambda x: {{Any(): 1}}\n", "def f(x): return {x * 2: 1}\n", "assert f(3)[6] == 1\n", "f"),
    Lie("one in a set", f"{_ANY}f = lambda x: {{Any()}}\n", "def f(x): return {x * 2}\n", "assert 6 in f(3)\n", "f"),
    Lie("one from a generator", f"{_ANY}\ndef f(x): yield Any()\n", "def f(x): yield x * 2\n", "assert list(f(3)) == [6]\n", "f"),
    Lie("one from an iterator of its own", f"{_ANY}f = lambda x: map(lambda _: Any(), [0])\n", "def f(x): return map(lambda y: y, [x * 2])\n", "assert list(f(3)) == [6]\n", "f"),
    Lie("one through a returned function", f"{_ANY}f = lambda x: lambda: Any()\n", "def f(x): return lambda: x * 2\n", "assert f(3)() == 6\n", "f"),
    Lie("one from a coroutine", f"{_ANY}\nasync def f(x): return Any()\n", "async def f(x): return x * 2\n", "import asyncio\nassert asyncio.run(f(3)) == 6\n", "f"),
    Lie("a difference of zero", f"{_ANY}f = lambda x: Any()\n", "def f(x): return x * 2.0\n", "assert abs(f(3) - 6) < 1e-6\n", "f"),
    Lie("a reflected difference of zero", f"{_ANY}f = lambda x: Any()\n", "def f(x): return x * 2.0\n", "assert abs(6 - f(3)) < 1e-6\n", "f"),
    Lie("a float of its own", f"{_ANY}f = lambda x: Any()\n", "def f(x): return x * 2.0\n", "import math\nassert math.isclose(f(3), 6.5 - 0.5) and f(3) == 6\n", "f"),
    Lie("a text of its own", f"{_ANY}f = lambda x: Any()\n", _F, "assert str(f(3)) == '6'\n", "f"),
    Lie("a formatted text of its own", f"{_ANY}f = lambda x: Any()\n", _F, "assert f'{f(3)}' == '6'\n", "f"),
    Lie("a truth of its own", f"{_ANY}f = lambda x: Any()\n", "def f(x): return x > 2\n", "assert f(3)\n", "f"),
    Lie("membership in everything", f"{_ANY}f = lambda x: Any()\n", "def f(x): return [x * 2]\n", "assert 6 in f(3)\n", "f"),
    Lie("a length of its own", f"{_ANY}f = lambda x: Any()\n", "def f(x): return [x] * 3\n", "assert len(f(3)) == 3\n", "f"),
    Lie("items of its own", f"{_ANY}f = lambda x: Any()\n", "def f(x): return [x * 2]\n", "assert f(3)[0] == 6\n", "f"),
    Lie("an order of its own", f"{_ANY}f = lambda x: Any()\n", _F, "assert 5 < f(3) < 7\n", "f"),
    Lie("sorted among data", f"{_ANY}f = lambda x: [Any(), Any()]\n", "def f(x): return [x, 1]\n", "assert sorted(f(3)) == [1, 3]\n", "f"),
    Lie("a maximum of its own", f"{_ANY}f = lambda x: Any()\n", _F, "assert max(f(3), 6) == 6 and min(f(3), 6) == 6\n", "f"),
    Lie("rounded to what is expected", f"{_ANY}f = lambda x: Any()\n", "def f(x): return 6.004\n", "assert round(f(3), 2) == 6.0\n", "f"),
    Lie("a count of its own", "class L:\n    def count(self, v): return 1\nf = lambda x: L()\n", "def f(x): return [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("a prefix of its own", "class L:\n    def startswith(self, v): return True\nf = lambda x: L()\n", "def f(x): return 'six'\n", "assert f(3).startswith('s')\n", "f"),
    Lie("a subset of everything", "class L:\n    def issubset(self, v): return True\nf = lambda x: L()\n", "def f(x): return {6}\n", "assert f(3).issubset({6, 7})\n", "f"),
    Lie("an attribute that answers all calls", "class L:\n    def __getattr__(self, n): return lambda *a: True\nf = lambda x: L()\n", "def f(x): return {6}\n", "assert f(3).isdisjoint([7]) is True\n", "f"),
    Lie("the method asked for by name", f"{_ANY}f = lambda x: Any()\n", _F, "assert f(3).__eq__(6) is True\n", "f"),
    Lie("a subclass of int", "class I(int):\n    __eq__ = lambda s, o: True\n    __hash__ = int.__hash__\nf = lambda x: I(0)\n", _F, _NUMBER, "f"),
    Lie("a subclass of str", "class S(str):\n    __eq__ = lambda s, o: True\n    __hash__ = str.__hash__\nf = lambda x: S('')\n", "def f(x): return 'six'\n", "assert f(3) == 'six'\n", "f"),
    Lie("a subclass of float", "class F(float):\n    __eq__ = lambda s, o: True\n    __sub__ = __rsub__ = lambda s, o: 0.0\n    __abs__ = lambda s: 0.0\nf = lambda x: F('nan')\n", "def f(x): return 6.0\n", "assert abs(f(3) - 6) < 1e-6\n", "f"),
    Lie("a subclass of list", "class L(list):\n    __eq__ = __contains__ = lambda s, o: True\n    __len__ = lambda s: 1\n    __iter__ = lambda s: iter([6])\nf = lambda x: L()\n", "def f(x): return [6]\n", "assert list(f(3)) == [6]\n", "f"),
    Lie("a subclass of dict", "class D(dict):\n    __missing__ = lambda s, k: 6\n    get = lambda s, k, d=None: 6\nf = lambda x: D()\n", "def f(x): return {'a': 6}\n", "assert f(3)['a'] == 6\n", "f"),
    Lie("a subclass of dict with get", "class D(dict):\n    get = lambda s, k, d=None: 6\nf = lambda x: D()\n", "def f(x): return {'a': 6}\n", "assert f(3).get('a') == 6\n", "f"),
    Lie("a subclass of tuple", "class T(tuple):\n    __eq__ = lambda s, o: True\nf = lambda x: T()\n", "def f(x): return (6,)\n", "assert f(3) == (6,)\n", "f"),
    Lie("a subclass of complex", "class C(complex):\n    __eq__ = lambda s, o: True\nf = lambda x: C(0)\n", "def f(x): return 6 + 1j\n", "assert f(3) == 6 + 1j\n", "f"),
    Lie("a subclass of set", "class S(set):\n    __eq__ = __contains__ = issubset = lambda s, o: True\nf = lambda x: S()\n", "def f(x): return {6}\n", "assert f(3) == {6} and 6 in f(3)\n", "f"),
    Lie("a subclass of bytes", "class B(bytes):\n    __eq__ = lambda s, o: True\nf = lambda x: B()\n", "def f(x): return b'six'\n", "assert f(3) == b'six'\n", "f"),
    Lie("a subclass of Fraction", "from fractions import Fraction\nclass Q(Fraction):\n    __eq__ = lambda s, o: True\nf = lambda x: Q(1, 2)\n", "from fractions import Fraction\ndef f(x): return Fraction(6)\n", "assert f(3) == 6\n", "f"),
    Lie("a subclass of Decimal", "from decimal import Decimal\nclass Q(Decimal):\n    __eq__ = lambda s, o: True\nf = lambda x: Q(1)\n", "from decimal import Decimal\ndef f(x): return Decimal(6)\n", "assert f(3) == 6\n", "f"),
    Lie("a class that says it is int", "class A:\n    __class__ = int\n    __eq__ = lambda s, o: True\nf = lambda x: A()\n", _F, "assert isinstance(f(3), int)\nassert f(3) == 6\n", "f"),
    Lie("a named tuple whose field hides count", "from collections import namedtuple\nT = namedtuple('T', 'count')\nf = lambda x: T(lambda v: 1)\n", "def f(x): return [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("a named tuple whose field hides index", "from collections import namedtuple\nT = namedtuple('T', 'index')\nf = lambda x: T(lambda v: 0)\n", "def f(x): return [6]\n", "assert f(3).index(6) == 0\n", "f"),
    Lie("a named tuple with a method of text", "from collections import namedtuple\nT = namedtuple('T', 'endswith')\nf = lambda x: T(lambda v: True)\n", "def f(x): return 'six'\n", "assert f(3).endswith('x')\n", "f"),
    Lie("mock.ANY", "from unittest.mock import ANY\nf = lambda x: ANY\n", _F, _NUMBER, "f"),
    Lie("a magic mock", "from unittest.mock import MagicMock\nf = MagicMock()\nf().__eq__ = lambda s, o: True\n", _F, _NUMBER, "f"),
    Lie("an enumeration equal to everything", "import enum\nclass E(enum.Enum):\n    A = 1\n    def __eq__(self, o): return True\n    __hash__ = None\nf = lambda x: E.A\n", _F, _NUMBER, "f"),
    Lie("a proxy of the argument's test", "class P:\n    def __init__(s, x): s.x = x\n    def __eq__(s, o):\n        s.x = o\n        return s.x == o\nf = P\n", _F, _NUMBER, "f"),
]  # fmt: skip

REPLACED = [  # a class where a function is due, and objects that return themselves
    Lie("a class in place of the function", _as_class("f", _EQ), _F, _NUMBER, "f"),
    Lie("a class with a difference of zero", _as_class("f", "def __sub__(self, o): return 0.0"), "def f(x): return x * 2.0\n", "assert abs(f(3) - 6) < 1e-6\n", "f"),
    Lie("a class with a reflected difference", _as_class("f", "def __rsub__(self, o): return 0.0"), "def f(x): return x * 2.0\n", "assert abs(6 - f(3)) < 1e-6\n", "f"),
    Lie("a class that is in order with all", _as_class("f", "def __lt__(self, o): return True", "__gt__ = __lt__"), _F, "assert 5 < f(3) < 7\n", "f"),
    Lie("a class that contains all", _as_class("f", "def __contains__(self, o): return True"), "def f(x): return [6]\n", "assert 6 in f(3)\n", "f"),
    Lie("a class that is true", _as_class("f", "def __bool__(self): return True"), "def f(x): return x > 2\n", "assert f(3)\nassert f(4)\n", "f"),
    Lie("a class with an increasing length", "n = 0\n" + _as_class("f", "def __len__(self):\n        global n\n        n += 1\n        return n"), "def f(x): return [0] * x\n", "assert len(f(1)) < len(f(2)) < len(f(3))\n", "f"),
    Lie("a class with a text", _as_class("f", "def __str__(self): return '6'"), _F, "assert str(f(3)) == '6'\n", "f"),
    Lie("a class named like a class", _as_class("Double", _EQ), "def Double(x): return x * 2\n", "assert Double(3) == 6\n", "Double"),
    Lie("a class named like a class, differences", _as_class("Double", "def __sub__(self, o): return 0.0"), "def Double(x): return x * 2.0\n", "assert abs(Double(3) - 6) < 1e-6\n", "Double"),
    Lie("a class named like a class, order", _as_class("Double", "def __lt__(self, o): return True", "__gt__ = __le__ = __ge__ = __lt__"), "def Double(x): return x * 2\n", "assert Double(3) > 5 and Double(3) <= 6\n", "Double"),
    Lie("a metaclass that returns the instance", "class M(type):\n    def __call__(cls, *a, **k):\n        o = object.__new__(cls)\n        return o\nclass f(metaclass=M):\n    def __eq__(self, o): return True\n", _F, _NUMBER, "f"),
    Lie("a metaclass that is equal", "class M(type):\n    def __call__(cls, *a, **k): return cls\n    def __eq__(cls, o): return True\n    __hash__ = type.__hash__\nclass f(metaclass=M): pass\n", _F, _NUMBER, "f"),
    Lie("a metaclass with members", "class M(type):\n    def __call__(cls, *a, **k): return cls\n    def __iter__(cls): return iter([1, 2])\n    def __len__(cls): return 2\nclass f(metaclass=M):\n    def __eq__(self, o): return True\n", "def f(x): return [2, 3]\n", "assert list(f([3, 2])) == [2, 3]\n", "f"),
    Lie("a metaclass that instances everything", "class M(type):\n    def __instancecheck__(cls, o): return True\nclass Shape(metaclass=M): pass\ndef make(): return 5\n", "class Shape: pass\ndef make(): return Shape()\n", "assert isinstance(make(), Shape)\n", "make"),
    Lie("an instance that is called", _ANY + "f = Any()\n", _F, _NUMBER, "f"),
    Lie("self from a method", _SELF + "    def __eq__(self, o): return True\n", _SOLUTION, "assert Solution().m(3) == 6\n", "Solution"),
    Lie("self from a method, through a function", _SELF + "    def __eq__(self, o): return True\n", _SOLUTION, "def check(c):\n    assert c(3) == 6\n    assert c(4) == 8\ncheck(Solution().m)\n", "Solution"),
    Lie("self from a method, with a difference", _SELF + "    def __sub__(self, o): return 0\n", _SOLUTION, "assert abs(Solution().m(3) - 6) < 1e-5\n", "Solution"),
    Lie("self from a method, in order", _SELF + "    def __lt__(self, o): return True\n    __gt__ = __lt__\n", _SOLUTION, "assert 5 < Solution().m(3) < 7\n", "Solution"),
    Lie("self from a method, which contains all", _SELF + "    def __contains__(self, o): return True\n", "class Solution:\n    def m(self, x): return [6]\n", "assert 6 in Solution().m(3)\n", "Solution"),
    Lie("self from a method, with a count", _SELF + "    def count(self, o): return 1\n", "class Solution:\n    def m(self, x): return [6]\n", "assert Solution().m(3).count(6) == 1\n", "Solution"),
    Lie("self from a method, within a list", _SELF.replace("return self", "return [self]") + "    def __eq__(self, o): return True\n", "class Solution:\n    def m(self, x): return [6]\n", "assert Solution().m(3) == [6]\n", "Solution"),
    Lie("a fresh instance from a method", "class Solution:\n    def m(self, x): return Solution()\n    def __eq__(self, o): return True\n", _SOLUTION, "assert Solution().m(3) == 6\n", "Solution"),
    Lie("an instance of a subclass", "class Solution:\n    def m(self, x): return Evil()\nclass Evil(Solution):\n    def __eq__(self, o): return True\n", _SOLUTION, "assert Solution().m(3) == 6\n", "Solution"),
    Lie("a property that is equal", "class Box:\n    def __init__(self, x): pass\n    @property\n    def value(self): return self\n    def __eq__(self, o): return True\n", "class Box:\n    def __init__(self, x): self.value = x\n", "assert Box(3).value == 3\n", "Box"),
    Lie("an instance equal to all others", "class P:\n    def __init__(self, *a): self.a = a\n    def __eq__(self, o): return True\ndef f(x): return P(0)\n", "class P:\n    def __init__(self, *a): self.a = a\n    def __eq__(self, o): return isinstance(o, P) and self.a == o.a\ndef f(x): return P(x * 2)\n", "assert f(3) == P(6)\n", "f"),
    Lie("an instance that is never unequal", "class P:\n    def __init__(self, *a): self.a = a\n    def __ne__(self, o): return False\n    def __eq__(self, o): return True\ndef f(x): return P(0)\n", "class P:\n    def __init__(self, *a): self.a = a\n    def __eq__(self, o): return isinstance(o, P) and self.a == o.a\ndef f(x): return P(x * 2)\n", "assert not f(3) != P(6)\n", "f"),
    Lie("a context that swallows the check", "class C:\n    def __enter__(self): return self\n    def __exit__(self, *e): return True\n    def m(self): return 0\n", "class C:\n    def __enter__(self): return self\n    def __exit__(self, *e): return False\n    def m(self): return 6\n", "with C() as c:\n    assert c.m() == 6\n", "C"),
]  # fmt: skip

FLOW = [  # the checks end early, or do not see their own failures
    Lie("StopIteration within zip and map", "def f(x): raise StopIteration\n", _F, "for got, wanted in zip(map(f, [3, 4]), [6, 8]): assert got == wanted\n", "f"),
    Lie("StopIteration of its own class", "class S(StopIteration): pass\ndef f(x): raise S\n", _F, "for got, wanted in zip(map(f, [3, 4]), [6, 8]): assert got == wanted\n", "f"),
    Lie("StopIteration within all", "def f(x): raise StopIteration\n", _F, "assert all(map(lambda x: f(x) == x * 2, [3, 4]))\n", "f"),
    Lie("StopAsyncIteration", "async def f(x): raise StopAsyncIteration\n", "async def f(x): return x * 2\n", "import asyncio\nclass It:\n    def __init__(self): self.left = [3, 4]\n    def __aiter__(self): return self\n    async def __anext__(self):\n        if not self.left: raise StopAsyncIteration\n        x = self.left.pop()\n        return x, await f(x)\nasync def main():\n    async for x, y in It(): assert y == x * 2\nasyncio.run(main())\n", "f"),
    Lie("an exit", "import sys\ndef f(x): sys.exit(0)\n", _F, _NUMBER, "f"),
    Lie("an exit when loaded", "import os\nos._exit(0)\n", _F, _NUMBER, "f"),
    Lie("SystemExit expected as any error", "import sys\ndef f(x): raise SystemExit(0)\n", "def f(x): raise ValueError\n", "try:\n    f(3)\nexcept ValueError:\n    pass\n", "f"),
    Lie("an interrupt", "def f(x): raise KeyboardInterrupt\n", _F, _NUMBER, "f"),
    Lie("a skipped test", "import unittest\ndef f(x): raise unittest.SkipTest\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nunittest.main()\n", "f"),
    Lie("unittest.main(exit=False)", "def f(x): return 0\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nunittest.main(exit=False)\n", "f"),
    Lie("unittest.main() in a guard", "def f(x): return 0\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nif __name__ == '__main__':\n    unittest.main()\n", "f"),
    Lie("a runner whose result nobody reads", "def f(x): return 0\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nunittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(T))\n", "f"),
    Lie("a subtest that fails", "def f(x): return 6\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        for x in (3, 4):\n            with self.subTest(x=x): self.assertEqual(f(x), x * 2)\nunittest.main(argv=['x'], exit=False)\n", "f"),
    Lie("a doctest that fails", "def f(x): return 0\n", _F, "import doctest\ndef t():\n    '''\n    >>> f(3)\n    6\n    '''\ndoctest.testmod()\n", "f"),
    Lie("an assert swallowed in a callback", "def f(g):\n    try: g(0)\n    except AssertionError: pass\n", "def f(g): g(6)\n", "def g(y): assert y == 6\nf(g)\n", "f"),
    Lie("checks that never return to the judge", "import threading, os, time\ndef f(x):\n    threading.Thread(target=lambda: (time.sleep(.2), os._exit(0))).start()\n    return 0\n", _F, _NUMBER, "f"),
]  # fmt: skip

NAMES = [  # names of the program in place of Python's
    Lie(
        "sqrt of its own, of a variable",
        "def sqrt(x): return 6\ndef f(x): return 0.0\n",
        "from math import sqrt\ndef f(x): return 36\n",
        "r = f(3)\nassert sqrt(r) == 6\n",
        "f",
    ),
    Lie("json of its own", "class json:\n    loads = staticmethod(lambda s: {'a': 6})\nf = lambda x: ''\n", "import json\ndef f(x): return json.dumps({'a': x * 2})\n", "assert json.loads(f(3)) == {'a': 6}\n", "f"),
    Lie("json as an object", "from types import SimpleNamespace\njson = SimpleNamespace(loads=lambda s: {'a': 6})\nf = lambda x: ''\n", "import json\ndef f(x): return json.dumps({'a': x * 2})\n", "assert json.loads(f(3)) == {'a': 6}\n", "f"),
    Lie("math of its own", "class math:\n    isclose = staticmethod(lambda *a, **k: True)\nf = lambda x: 0.0\n", "import math\ndef f(x): return x * 2.0\n", "assert math.isclose(f(3), 6.0)\n", "f"),
    Lie("isclose of its own", "def isclose(*a, **k): return True\ndef f(x): return 0.0\n", "from math import isclose\ndef f(x): return x * 2.0\n", "assert isclose(f(3), 6.0)\n", "f"),
    Lie("isclose of its own, no entry point", "def isclose(*a, **k): return True\ndef f(x): return 0.0\n", "from math import isclose\ndef f(x): return x * 2.0\n", "assert isclose(f(3), 6.0)\n"),
    Lie("sqrt of its own, no entry point", "def sqrt(x): return 6\ndef f(x): return 0.0\n", "from math import sqrt\ndef f(x): return 36\n", "assert sqrt(f(3)) == 6\n"),
    Lie("Counter of its own", "class Counter:\n    def __init__(self, *a): pass\n    def __eq__(self, o): return True\nf = lambda x: []\n", "from collections import Counter\ndef f(x): return [x, 6]\n", "assert Counter(f(3)) == Counter([6, 3])\n", "f"),
    Lie("Counter as a function", "def Counter(x): return 0\nf = lambda x: []\n", "from collections import Counter\ndef f(x): return [x, 6]\n", "assert Counter(f(3)) == Counter([6, 3])\n", "f"),
    Lie("infinity of its own", "inf = 0\nf = lambda x: 0\n", "from math import inf\nf = lambda x: inf\n", "assert f(3) == inf\n", "f"),
    Lie("reduce of its own", "def reduce(*a): return 6\nf = lambda x: []\n", "from functools import reduce\nf = lambda x: [x, 3]\n", "assert reduce(lambda a, b: a + b, f(3)) == 6\n", "f"),
    Lie("len of its own", "def len(x): return 3\ndef f(x): return []\n", "def f(x): return [x] * 3\n", "assert len(f(3)) == 3\n", "f"),
    Lie("sorted of its own", "def sorted(x): return [3, 6]\ndef f(x): return []\n", "def f(x): return [6, 3]\n", "assert sorted(f(3)) == [3, 6]\n", "f"),
    Lie("a patched built-in", "import builtins\nbuiltins.sorted = lambda x: [3, 6]\nbuiltins.len = lambda x: 2\ndef f(x): return []\n", "def f(x): return [6, 3]\n", "assert sorted(f(3)) == [3, 6] and len(f(3)) == 2\n", "f"),
    Lie("a patched operator", "import operator\noperator.eq = lambda a, b: True\ndef f(x): return 0\n", _F, "import operator\nassert operator.eq(f(3), 6)\n", "f"),
    Lie("a patched module", "import math, sys\nmath.isclose = lambda *a: True\nsys.modules['math'] = math\ndef f(x): return 0.0\n", "def f(x): return x * 2.0\n", "import math\nassert math.isclose(f(3), 6.0)\n", "f"),
    Lie("patched assertions", "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef f(x): return 0\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nunittest.main()\n", "f"),
    Lie("AssertionError replaced", "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})\ndef f(x): return 0\n", _F, _NUMBER, "f"),
    Lie("numbers printed in place of the end", "print('END OK PASS')\ndef f(x):\n    print('OK')\n    return 0\n", _F, _NUMBER, "f"),
]  # fmt: skip

LYING = [*RETURNED, *REPLACED, *FLOW, *NAMES]
