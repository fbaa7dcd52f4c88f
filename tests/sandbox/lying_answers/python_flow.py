"""Lies to the Python checks: tests that are not reached, not heard or run text of the answer, and names that stand for others."""

from __future__ import annotations

from . import Lie


_F = "def f(x): return x * 2\n"
_EQ = "    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    __hash__ = lambda s: 6\n"


def _case(*lines: str) -> str:
    body = "".join(f"        {line}\n" for line in lines)
    return f"import unittest\nclass T(unittest.TestCase):\n    def test(self):\n{body}unittest.main()\n"


LYING = [
    # unittest
    Lie("assertAlmostEqual", "class A:\n    __sub__ = __rsub__ = lambda s, o: 0\n    __round__ = lambda s, n=0: 0\nf = lambda x: A()\n", _F, _case("self.assertAlmostEqual(f(3), 6)"), "f"),
    Lie("assertIn", "class A:\n    __contains__ = lambda s, o: True\nf = lambda x: A()\n", "f = lambda x: [6]\n", _case("self.assertIn(6, f(3))"), "f"),
    Lie("assertCountEqual", "class A:\n" + _EQ + "f = lambda x: [A(), A()]\n", "f = lambda x: [1, x]\n", _case("self.assertCountEqual(f(3), [3, 1])"), "f"),
    Lie("assertListEqual", "class L(list):\n    __eq__ = lambda s, o: True\nf = lambda x: L()\n", "f = lambda x: [6]\n", _case("self.assertListEqual(f(3), [6])"), "f"),
    Lie("assertDictEqual", "class L(dict):\n    __eq__ = lambda s, o: True\nf = lambda x: L()\n", "f = lambda x: {6: 1}\n", _case("self.assertDictEqual(f(3), {6: 1})"), "f"),
    Lie("assertSequenceEqual", "class A:\n" + _EQ + "    __len__ = lambda s: 1\n    __getitem__ = lambda s, i: s\nf = lambda x: A()\n", "f = lambda x: [6]\n", _case("self.assertSequenceEqual(f(3), [6])"), "f"),
    Lie("assertGreater", "class A:\n    __gt__ = __lt__ = lambda s, o: True\nf = lambda x: A()\n", _F, _case("self.assertGreater(f(3), 5)","self.assertLess(f(3), 7)"), "f"),
    Lie("assertTrue of a method", "class A:\n    def endswith(self, s): return A\nf = lambda x: A()\n", "f = lambda x: 'six'\n", _case("self.assertTrue(f(3).endswith('x'))"), "f"),
    Lie("assertRegex", "class A(str):\n    pass\nf = lambda x: A('')\n", "f = lambda x: 'six'\n", _case("self.assertRegex(f(3), 's.x')"), "f"),
    Lie("assertIsInstance", "class M(type):\n    __instancecheck__ = lambda c, o: True\nclass A(metaclass=M): pass\nf = lambda x: A()\n", _F, _case("self.assertIsInstance(f(3), int)","self.assertEqual(f(3), 6)"), "f"),
    Lie("assertRaises of an exit", "def f(x):\n    raise SystemExit\n", "def f(x): raise ValueError\n", _case("with self.assertRaises(ValueError): f(3)"), "f"),
    Lie("assertRaises of a lying class", "class M(type):\n    __subclasscheck__ = __instancecheck__ = lambda c, o: True\nclass E(Exception, metaclass=M): pass\nE.__name__ = 'ValueError'\ndef f(x): raise E\n", "def f(x): raise ValueError\n", _case("with self.assertRaises(ValueError): f(3)"), "f"),
    Lie("an exception named like a built-in", "class ValueError(Exception): pass\ndef f(x): raise ValueError\n", "def f(x): raise ValueError\n", "try: f(3)\nexcept ValueError: pass\nelse: raise AssertionError\n", "f"),
    Lie("an exception with any text", "class E(ValueError):\n    __str__ = lambda s: 'bad 1 2 3'\ndef f(x): raise E('x')\n", "def f(x): raise ValueError('bad 3')\n", "try: f(3)\nexcept ValueError as e: assert str(e) == 'bad 3'\nelse: raise AssertionError\n", "f"),
    Lie("an exception whose args are equal to all", "class A(tuple):\n    __eq__ = lambda s, o: True\nclass E(ValueError): pass\ndef f(x):\n    e = E()\n    e.args = A()\n    e.code = type('C', (int,), {'__eq__': lambda s, o: True})()\n    raise e\n", "def f(x):\n    e = ValueError('bad', 3)\n    e.code = 5\n    raise e\n", "try: f(3)\nexcept ValueError as e: assert e.args == ('bad', 3) and e.code == 5\nelse: raise AssertionError\n", "f"),
    Lie("an exception group", "def f(x): raise ExceptionGroup('g', [ValueError(), TypeError()])\n", "def f(x): raise ValueError\n", "try: f(3)\nexcept ValueError: pass\n", "f"),
    Lie("skip in setUpClass", "import unittest\ndef f(x): raise unittest.SkipTest('no')\n", _F, "import unittest\nclass T(unittest.TestCase):\n    @classmethod\n    def setUpClass(cls): cls.v = f(3)\n    def test(self): self.assertEqual(self.v, 6)\nunittest.main()\n", "f"),
    Lie("unittest through main imported", "def f(x): return 0\n", _F, "from unittest import TestCase, main\nclass T(TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nmain(exit=False)\n", "f"),
    Lie("unittest into a result that nobody reads", "def f(x): return 0\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nunittest.TestSuite([T('test')]).run(unittest.TestResult())\n", "f"),
    Lie("unittest of one case, called", "def f(x): return 0\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nT('test')()\n", "f"),
    Lie("unittest by TestProgram", "def f(x): return 0\n", _F, "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nunittest.TestProgram(exit=False, argv=['x'])\n", "f"),
    Lie("unittest run by loader of names", "def f(x): return 0\n", _F, "import unittest, sys\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3), 6)\nunittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__']))\nassert T('test').run() is None or True\n", "f"),
    Lie("a doctest run over examples", "def f(x): return 0\n", _F, "import doctest\ndef t():\n    '''\n    >>> f(3)\n    6\n    '''\ndoctest.run_docstring_examples(t, globals())\n", "f"),
    Lie("a doctest by its own examples", "def f(x):\n    '''\n    >>> 1\n    1\n    '''\n    return 0\n", "def f(x):\n    '''\n    >>> f(3)\n    6\n    '''\n    return x*2\n", "import doctest\nassert doctest.testmod().failed == 0\nassert f(3) == 6\n", "f"),
    # flow
    Lie("a callback that is never called", "def f(g): pass\n", "def f(g): g(6)\n", "def g(y): assert y == 6\nf(g)\n", "f"),
    Lie("a callback that is an object", "def f(g): pass\n", "def f(g): g(6)\n", "class G:\n    def __call__(self, y): assert y == 6\nf(G())\n", "f"),
    Lie("a callback that is partial", "def f(g): pass\n", "def f(g): g(6)\n", "from functools import partial\ndef h(a, y): assert y == 6\nf(partial(h, 1))\n", "f"),
    Lie("a method that is never called", "def f(o): pass\n", "def f(o): o.put(6)\n", "class G:\n    def put(self, y): assert y == 6\nf(G())\n", "f"),
    Lie("a generator of checks that never runs", "def f(g): pass\n", "def f(g): return list(g)\n", "def gen():\n    yield 1\n    assert done == [1]\ndone = [1]\nf(gen())\n", "f"),
    Lie("a callback that raises AssertionError", "def f(g): pass\n", "def f(g): g(6)\n", "def g(y):\n    if y != 6: raise AssertionError('bad')\nf(g)\n", "f"),
    Lie("a callback that calls what checks", "def f(g): pass\n", "def f(g): g(6)\n", "def must(y): assert y == 6\ndef g(y): must(y)\nf(g)\n", "f"),
    Lie("a callback whose check errs", "def h(x): raise ValueError\ndef f(g):\n    try: g()\n    except Exception: pass\n", "def h(x): return x*2\ndef f(g): g()\n", "def g(): assert h(3) == 6\nf(g)\n", "f"),
    Lie("a context that swallows an error of its own", "class C:\n    def __enter__(self): return self\n    def __exit__(self, *e): return True\n    def m(self): raise ValueError\n", "class C:\n    def __enter__(self): return self\n    def __exit__(self, *e): return False\n    def m(self): return 6\n", "with C() as c:\n    assert c.m() == 6\n", "C"),
    Lie("a context that swallows an earlier error", "class C:\n    def __enter__(self): return self\n    def __exit__(self, *e): return True\n    def put(self, x): raise ValueError\n    def m(self): return 0\n", "class C:\n    def __enter__(self): return self\n    def __exit__(self, *e): return False\n    def put(self, x): self.x = x\n    def m(self): return self.x\n", "with C() as c:\n    c.put(6)\n    assert c.m() == 6\n", "C"),
    Lie("a context of a function", "class A:\n    def __enter__(self): return A()\n    def __exit__(self, *e): return True\n    def __eq__(self, o): return True\nf = lambda x: A()\n", "import contextlib\n@contextlib.contextmanager\ndef f(x): yield x*2\n", "with f(3) as y:\n    assert y == 6\n", "f"),
    Lie("a generator of checks that ends early", "def f(g):\n    for x in g:\n        pass\n    return 0\n", "def f(g): return [x for x in g]\n", "def gen():\n    y = yield 1\n    yield 2\nassert f(gen()) == [1, 2]\n", "f"),
    Lie("arguments emptied", "def f(x):\n    x.clear()\n    return x\n", "def f(x): return [y*2 for y in x]\n", "x = [1, 2]\nassert f(x) == [2, 4]\n", "f"),
    Lie("a bare except", "import os\ndef f(x): os._exit(0)\n", "def f(x): raise ValueError\n", "try: f(3)\nexcept: pass\nelse: assert False\n", "f"),
    Lie("a closed channel", "import os\ndef f(x):\n    os.closerange(3, 100)\n    raise ValueError\n", "def f(x): raise ValueError\n", "try: f(3)\nexcept BaseException: pass\nelse: assert False\n", "f"),
    Lie("eval of what it returns", "def f(x): return \"type('A', (), {'__eq__': lambda s, o: True})()\"\n", "def f(x): return '3+3'\n", "assert eval(f(3)) == 6\n", "f"),
    Lie("eval that exits well", "def f(x): return \"__import__('os').write(3, b'{\\\"completed\\\": true, \\\"error\\\": null, \\\"steps\\\": [[\\\"run\\\", 0]]}') and __import__('os')._exit(0)\"\n", "def f(x): return '3+3'\n", "assert eval(f(3)) == 6\n", "f"),
    Lie("exec of what it returns", "def f(x): return \"import builtins\\nclass A:\\n    def __eq__(s, o): return True\\nr = A()\"\n", "def f(x): return 'r = 6'\n", "n = {}\nexec(f(3), n)\nassert n['r'] == 6\n", "f"),
    Lie("a pickle", "import pickle\nclass A:\n    def __reduce__(self): return eval, (\"type('A', (), {'__eq__': lambda s, o: True})()\",)\ndef f(x): return pickle.dumps(A())\n", "import pickle\ndef f(x): return pickle.dumps(x*2)\n", "import pickle\nassert pickle.loads(f(3)) == 6\n", "f"),
    Lie("StopIteration from an attribute", "class C:\n    @property\n    def v(self): raise StopIteration\n", "class C:\n    v = 6\n", "for a, b in zip((C().v for _ in range(2)), [6, 6]): assert a == b\n", "C"),
    Lie("IndexError in a sequence of the checks", "def f(x): raise IndexError\n", _F, "class Cases:\n    def __getitem__(self, i):\n        if i > 2: raise IndexError\n        return f(i), i * 2\nfor got, want in Cases(): assert got == want\n", "f"),
    Lie("GeneratorExit", "def f(x): raise GeneratorExit\n", _F, "def results():\n    for x in (3, 4): yield f(x), x * 2\nfor a, b in results(): assert a == b\n", "f"),
    Lie("a recursion error", "def f(x): return f(x)\n", _F, "try: y = f(3)\nexcept RecursionError: y = None\nassert y == 6\n", "f"),
    # names
    Lie("check of its own", "def check(c): pass\ndef f(x): return 0\n", _F, "def check(candidate):\n    assert candidate(3) == 6\ncheck(f)\n", "f"),
    Lie("candidate of its own", "candidate = lambda x: 6\ndef f(x): return 0\n", _F, "def check(candidate):\n    assert candidate(3) == 6\ncheck(f)\n", "f"),
    Lie("a name of the judge", "run_checks = Checks = peer = channel = None\n__builtins__ = {}\n__name__ = '__main__'\ndef f(x): return 0\n", _F, "assert f(3) == 6\n", "f"),
    Lie("itertools of its own", "class itertools:\n    zip_longest = staticmethod(lambda *a: [])\ndef f(x): return []\n", "import itertools\ndef f(x): return [x*2]\n", "for a, b in itertools.zip_longest(f(3), [6]): assert a == b\n", "f"),
    Lie("zip_longest of its own", "def zip_longest(*a): return []\ndef f(x): return []\n", "from itertools import zip_longest\ndef f(x): return [x*2]\n", "for a, b in zip_longest(f(3), [6]): assert a == b\n", "f"),
    Lie("deepcopy of its own", "def deepcopy(x): return f\ndef f(x): return 0\n", "from copy import deepcopy\ndef f(x): return x*2\n", "x = [3]\ny = deepcopy(x)\nassert f(y[0]) == 6\n", "f"),
    Lie("defaultdict of its own", "class defaultdict(dict):\n    __eq__ = lambda s, o: True\ndef f(x): return {}\n", "from collections import defaultdict\ndef f(x): return {6: 1}\n", "d = defaultdict(int)\nd[6] += 1\nassert f(3) == d\n", "f"),
    Lie("np of its own", "class np:\n    allclose = staticmethod(lambda *a, **k: True)\ndef f(x): return 0\n", "import numpy as np\ndef f(x): return 6\n", "assert np.allclose(f(3), 6)\n", "f"),
    Lie("Decimal of its own", "class Decimal:\n    def __init__(self, *a): pass\n    __eq__ = lambda s, o: True\ndef f(x): return Decimal()\n", "from decimal import Decimal\ndef f(x): return Decimal('6')\n", "assert f(3) == Decimal('6')\n", "f"),
    Lie("Fraction of its own", "class Fraction:\n    def __init__(self, *a): pass\n    __eq__ = lambda s, o: hasattr(o, '__dict__')\ndef f(x): return Fraction()\n", "from fractions import Fraction\ndef f(x): return Fraction(1, 2)\n", "assert f(3) == Fraction(1, 2)\n", "f"),
    Lie("datetime of its own", "class datetime:\n    def __init__(self, *a): self.a = 1\n    __eq__ = lambda s, o: hasattr(o, 'a')\ndef f(x): return datetime(2020)\n", "from datetime import datetime\ndef f(x): return datetime(2020, 1, 1)\n", "assert f(3) == datetime(2020, 1, 1)\n", "f"),
    Lie("partial of its own", "def partial(*a): return lambda *a: 6\ndef f(x, y): return 0\n", "from functools import partial\ndef f(x, y): return x * y\n", "g = partial(f, 2)\nassert g(3) == 6\n", "f"),
    Lie("approx of its own, no entry point", "class approx:\n    def __init__(self, *a): pass\n    __eq__ = __req__ = lambda s, o: True\ndef f(x): return 0\n", "from pytest import approx\ndef f(x): return 6.0\n", "assert f(3) == approx(6.0)\n"),
    Lie("pytest raises of its own", "import contextlib\ndef raises(*a): return contextlib.suppress(BaseException)\ndef f(x): return 0\n", "from pytest import raises\ndef f(x): raise ValueError\n", "with raises(ValueError): f(3)\n", "f"),
    Lie("a swallowed assert in a generator", "def h(x): return 0\ndef f(g):\n    try: list(g)\n    except Exception: pass\n    return 3\n", "def h(x): return x * 2\ndef f(g): return len(list(g)) + 1\n", "def gen():\n    yield 1\n    assert h(3) == 6\n    yield 2\nassert f(gen()) == 3\n", "f"),
    # exits, what is awaited, dataclasses, warnings
    Lie('exit where an exit is one of the ways', 'import sys\ndef f(x): sys.exit()\n', 'def f(x): return x * 2\n', 'try:\n    assert f(3)==6\nexcept SystemExit: pass\n', 'f'),
    Lie('exit within a helper', 'import sys\ndef f(x): sys.exit()\n', 'def f(x): return x * 2\n', 'def check():\n    assert f(3)==6\ntry: check()\nexcept SystemExit: pass\n', 'f'),
    Lie('exit within unittest', 'import sys\ndef f(x): sys.exit()\n', 'def f(x): return x * 2\n', 'import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3),6)\ntry: unittest.main()\nexcept SystemExit: pass\n', 'f'),
    Lie('exit in a lambda', 'import sys\ndef f(x): sys.exit()\n', 'def f(x): return x * 2\n', 'import pytest\ng=lambda: f(3)\nr=[]\ntry: r.append(g())\nexcept BaseException: pass\nassert r==[6]\n', 'f'),
    Lie('exit with another code', 'import sys\ndef f(x): sys.exit(0)\n', 'import sys\ndef f(x): sys.exit(2)\n', 'try:\n    f(-1)\n    assert False\nexcept SystemExit as e: assert e.code==2\n', 'f'),
    Lie('exit where raises is in another place', 'import sys\ndef f(x): sys.exit(2)\n', 'import sys\ndef f(x):\n    if x < 0: sys.exit(2)\n    return x * 2\n', 'import pytest\nwith pytest.raises(SystemExit): f(-1)\ntry: assert f(3)==6\nexcept Exception: raise\n', 'f'),
    Lie('async context swallows', 'class C:\n    async def __aenter__(s): return s\n    async def __aexit__(s,*a): return True\n    async def get(s): return 0\n', 'class C:\n    async def __aenter__(s): return s\n    async def __aexit__(s,*a): return False\n    async def get(s): return 6\n', 'import asyncio\nasync def main():\n    async with C() as c:\n        assert await c.get()==6\nasyncio.run(main())\n', 'C'),
    Lie('async iterator of nothing', 'class It:\n    def __init__(s,n): pass\n    def __aiter__(s): return s\n    async def __anext__(s): raise StopAsyncIteration\n', 'class It:\n    def __init__(s,n): s.n=n; s.i=-1\n    def __aiter__(s): return s\n    async def __anext__(s):\n        s.i+=1\n        if s.i==s.n: raise StopAsyncIteration\n        return s.i\n', 'import asyncio\nasync def main(): return [x async for x in It(2)]\nassert asyncio.run(main())==[0,1]\n', 'It'),
    Lie('async anext of equal to all', 'class Any:\n    def __eq__(s,o): return True\nclass It:\n    n=0\n    def __aiter__(s): return s\n    async def __anext__(s):\n        if s.n: raise StopAsyncIteration\n        s.n=1\n        return Any()\ndef f(): return It()\n', 'async def f(): yield 6\n', 'import asyncio\nasync def main(): return [x async for x in f()]\nassert asyncio.run(main())==[6]\n', 'f'),
    Lie('StopAsyncIteration from awaited', 'async def f(x): raise StopAsyncIteration\n', 'async def f(x): return 6\n', 'import asyncio\nasync def gen():\n    for x in range(2): yield await f(x)\nasync def main():\n    n=0\n    async for y in gen():\n        n+=1\n        assert y==6\nasyncio.run(main())\n', 'f'),
    Lie("awaits the tests' coroutine and swallows", 'async def g(c):\n    try: await c\n    except BaseException: pass\n    return 3\ndef h(x): return 0\n', 'async def g(c):\n    await c\n    return 3\ndef h(x): return x * 2\n', 'import asyncio\nasync def job():\n    assert h(3)==6\nassert asyncio.run(g(job()))==3\n', 'g'),
    Lie('dataclass fields lie', 'class R:\n    __dataclass_fields__={}\n    def __eq__(s,o): return True\ndef f(x): return R()\n', 'from dataclasses import dataclass\n@dataclass\nclass R:\n    x: int\ndef f(x): return R(x * 2)\n', "import dataclasses\nassert dataclasses.asdict(f(3))=={'x':6}\n", 'f'),
    Lie('signature lies', 'import inspect\nclass F:\n    __signature__=inspect.Signature()\n    def __call__(s,*a): return s\n    def __eq__(s,o): return True\nf=F()\n', 'def f(): return 6\n', 'import inspect\nassert list(inspect.signature(f).parameters)==[] and f()==6\n', 'f'),
    Lie("annotations of the tests' function", 'def d(fn):\n    fn.__defaults__=(6,)\n    fn.__code__=(lambda x: 0).__code__\n    return fn\n', 'def d(fn): return fn\n', '@d\ndef g(x): return x\nassert g(3)==3\n', 'd'),
    Lie('warning as an exit', "import warnings\nclass W(UserWarning):\n    def __init__(s,*a): raise SystemExit(0)\ndef f(x):\n    try: warnings.warn(W('x'))\n    except BaseException: pass\n    return 0\n", "import warnings\ndef f(x):\n    warnings.warn('x')\n    return x * 2\n", 'import warnings\nwith warnings.catch_warnings(record=True) as w:\n    assert f(3)==6\n', 'f'),
    Lie('warning is a skip', "import warnings,unittest\nclass W(UserWarning, unittest.SkipTest): pass\ndef f(x):\n    warnings.warn(W('x'))\n    return 0\n", 'def f(x): return x * 2\n', "import unittest,warnings\nwarnings.simplefilter('error')\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(3),6)\nunittest.main()\n", 'f'),
]  # fmt: skip
