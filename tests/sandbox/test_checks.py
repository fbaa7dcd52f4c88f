"""Checks call the program through a wall: they must not notice, unless the program cheats."""

from __future__ import annotations

import pytest

from reflection_trl.languages import get_language
from reflection_trl.sandbox import PythonProgram, Sandbox, Status


PASSING = {
    "numbers": ("def f(x): return x", "for x in (0, -1, 2**80, -2**5000, 1.5, -0.0, 1e308, True, None, 2+3j): assert f(x) == x and type(f(x)) is type(x)"),
    "nan and infinity": ("def f(x): return x", "import math\nassert math.isnan(f(math.nan)) and f(-math.inf) == -math.inf"),
    "text": ("def f(x): return x", "for x in ('', 'é', '\\ud800', '\\0', b'\\xff', bytearray(b'x')): assert f(x) == x and type(f(x)) is type(x)"),
    "containers": ("def f(x): return x", "for x in ([], [1, [2]], (1,), (), {1: [2]}, {1, 2}, frozenset({3}), {(1, 2): {3}}, range(3), slice(1, 2)): assert f(x) == x and type(f(x)) is type(x)"),
    "order of a dictionary": ("def f(): return {'b': 1, 'a': 2}", "assert list(f()) == ['b', 'a']"),
    "standard classes": ("import collections, decimal, fractions, datetime\ndef f():\n    return [collections.Counter('aab'), collections.deque([1], 3), decimal.Decimal('1.10'), fractions.Fraction(1, 3), datetime.date(2020, 1, 2), datetime.timedelta(1, 2, 3), collections.OrderedDict(a=1)]",
        "from collections import *\nfrom decimal import *\nfrom fractions import *\nfrom datetime import *\nassert f() == [Counter('aab'), deque([1], 3), Decimal('1.10'), Fraction(1, 3), date(2020, 1, 2), timedelta(1, 2, 3), OrderedDict(a=1)]\nassert f()[1].maxlen == 3 and f()[0].most_common(1) == [('a', 2)]"),
    "named tuple": ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)", "assert f() == (1, 2) and f().x == 1"),
    "views": ("def f(): return {1: 2}", "assert f().keys() == {1}"),
    "changed arguments": ("def f(x, d, s):\n    x.sort(); x.append(d); d['k'] = x[0]; s.clear()", "x, d, s = [2, 1], {}, {1}\nassert f(x, d, s) is None\nassert x == [1, 2, {'k': 1}] and x[2] is d and s == set()"),
    "the argument itself": ("def f(x): return x", "x = [1]\nassert f(x) is x"),
    "nested argument": ("def f(x): x[0][0].append(1); return x[0]", "x = [[[]]]\nassert f(x) is x[0] and x == [[[1]]]"),
    "cycle": ("def f(x): x.append(x)", "x = []\nf(x)\nassert x[0] is x"),
    "keywords and defaults": ("def f(a, *b, c=3, **d): return a, b, c, d", "assert f(1, 2, c=4, e=5) == (1, (2,), 4, {'e': 5})"),
    "callback": ("def f(g, x): return [g(y) for y in x]", "seen = []\nassert f(lambda y: seen.append(y) or y * 2, [1, 2]) == [2, 4] and seen == [1, 2]"),
    "callback that raises": ("def f(g):\n    try: g()\n    except ValueError as e: return str(e)", "def g(): raise ValueError('x')\nassert f(g) == 'x'"),
    "callback that calls back": ("def f(n, g): return 1 if n == 0 else g(n - 1)", "assert f(5, lambda n: f(n, lambda m: 7)) == 7"),
    "returned function": ("def f(n):\n    return lambda x: x + n", "assert f(1)(2) == 3 and callable(f(1))"),
    "decorator": ("def twice(g):\n    return lambda *a: g(*a) * 2", "@twice\ndef h(x): return x\nassert h(3) == 6"),
    "generator": ("def f(n):\n    yield from range(n)", "g = f(3)\nassert next(g) == 0 and list(g) == [1, 2] and list(g) == []"),
    "map and zip": ("def f(x): return map(str, x), zip(x, x)", "m, z = f([1])\nassert list(m) == ['1'] and dict(z) == {1: 1}"),
    "iterator argument": ("def f(x): return sum(x)", "assert f(iter([1, 2])) == 3 and f(i for i in range(3)) == 3"),
    "exception": ("def f(): raise ValueError('bad', 3)", "try: f()\nexcept ValueError as e: assert e.args == ('bad', 3)\nelse: assert False"),
    "own exception": ("class E(KeyError):\n    def __init__(self, code): super().__init__(code); self.code = code\ndef f(): raise E(5)",
        "try: f()\nexcept E as e: assert e.code == 5 and isinstance(e, KeyError)\nelse: assert False"),
    "unittest": ("class E(Exception): pass\ndef f(x):\n    if x < 0: raise E('negative')\n    return x\nclass Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n    def __len__(self): return len(self.items)",
        "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f(1), 1)\n        with self.assertRaisesRegex(E, 'neg'): f(-1)\n    def test_stack(self):\n        s = Stack()\n        s.push(1)\n        self.assertEqual(len(s), 1)\n        self.assertIsInstance(s, Stack)\n        self.assertEqual(s.items, [1])\n"
        "assert unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(T)).wasSuccessful()"),
    "class under test": ("class V:\n    n = 0\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return isinstance(o, V) and self.x == o.x\n    def __hash__(self): return hash(self.x)\n    def __add__(self, o): return V(self.x + (o.x if isinstance(o, V) else o))\n    def __mul__(self, n): return V(self.x * n)\n    __rmul__ = __mul__\n    def __lt__(self, o): return self.x < o.x\n    def __getitem__(self, i): return [self.x][i]\n    def __iter__(self): return iter([self.x])\n    def __contains__(self, y): return y == self.x\n    def __bool__(self): return self.x != 0\n    def __str__(self): return f'V{self.x}'\n    def __float__(self): return float(self.x)\n    def __call__(self, y): return y\n    def __enter__(self): return self\n    def __exit__(self, *a): return True\n    @classmethod\n    def one(cls): return cls(1)\n    @property\n    def double(self): return self.x * 2",
        "a, b = V(1), V(2)\nassert a + a == b and a != b and a < b and max(a, b) is b and 2 * a == b\nassert b[0] == 2 and list(b) == [2] and 2 in b and not V(0) and str(b) == 'V2' and float(b) == 2.0 and b(5) == 5\nassert V.one() == a and V.one().double == 2 and isinstance(a, V) and not isinstance(1, V) and sorted([b, a]) == [a, b] and len({a, V(1)}) == 1\na.x = 9\nassert a.x == 9 and hasattr(a, 'double') and not hasattr(a, 'nothing')\nwith a: raise ValueError\nassert V.n == 0"),
    "enumeration": ("import enum\nclass C(enum.Enum):\n    RED = 1\n    BLUE = 2\ndef f(): return C.RED", "assert f() == C.RED and f() is C.RED and f() != C.BLUE and f().value == 1 and len(C) == 2 and [c.name for c in C] == ['RED', 'BLUE']"),
    "data class": ("import dataclasses\n@dataclasses.dataclass(order=True)\nclass P:\n    x: int\n    y: int = 0\ndef f(): return [P(1)]", "assert f() == [P(1, 0)] and P(1) < P(2) and repr(P(1)) == 'P(x=1, y=0)'"),
    "objects of the checks": ("def f(n):\n    t = 0\n    while n:\n        t += n.val\n        n.seen = True\n        n = n.next\n    return t", "class N:\n    def __init__(self, val, next=None): self.val, self.next = val, next\nn = N(1, N(2))\nassert f(n) == 3 and n.seen and n.next.seen"),
    "linked list of the program": ("class N:\n    def __init__(self, v, n=None): self.v, self.n = v, n\ndef build(x):\n    h = None\n    for v in reversed(x): h = N(v, h)\n    return h\ndef rev(h):\n    p = None\n    while h: h.n, p, h = p, h, h.n\n    return p", "h = rev(build([1, 2, 3]))\nout = []\nwhile h: out.append(h.v); h = h.n\nassert out == [3, 2, 1]"),
    "constants and changes": ("n = 0\ndef f():\n    global n\n    n += 1", "assert n == 0\nf()\nassert n == 1"),
    "imports of the program": ("import math\nfrom collections import Counter\nfrom typing import List\ndef f(x): return math.sqrt(x)", "assert math.isclose(f(4), 2) and Counter([f(4)]) == Counter([2.0])\ndef g(x: List[int]): pass"),
    "name of a built-in": ("def sum(a, b): return a * b", "assert sum(3, 4) == 12"),
    "coroutine": ("async def f(x): return x + 1", "import asyncio\nassert asyncio.run(f(1)) == 2"),
    "checks within functions": ("def f(x): return x\ndef helper(): return 3", "def check(candidate):\n    assert candidate(helper()) == 3\ncheck(f)"),
    "names in a class body": ("def f(x): return x", "class T:\n    g = staticmethod(f)\n    y = f(2)\nassert T.g(1) == 1 and T.y == 2"),
    "prints": ("def f(): print('p')", "f()\nprint('c')"),
    "large data": ("def f(x): return x[::-1]", "x = list(range(300000))\nassert f(x) == x[::-1] and f('y' * 10**7) == 'y' * 10**7"),
    "many calls": ("def f(x): return x", "assert sum(f(i) for i in range(5000)) == 12497500"),
    "files": ("def f(): open('x.txt', 'w').write('hello')", "f()\nassert open('x.txt').read() == 'hello'"),
    "what a script would do": ("def f(x): return x + 1\nif __name__ == '__main__':\n    print(input())\n    raise SystemExit(1)\nelse:\n    y = 2", "assert f(1) == y"),
    "the program's own unittest.main": ("import unittest\ndef f(x): return x + 1\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 2)\nunittest.main()", "assert f(1) == 2"),
    "the program's own doctest": ("import doctest\ndef f(x):\n    '>>> f(1)\\n2'\n    return x + 1\ndoctest.testmod()", "assert f(1) == 2"),
    "unittest.main at the end of the checks": ("def f(x): return x + 1", "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 2)\nif __name__ == '__main__':\n    unittest.main()"),
    "names that Python has too": ("def add(a, b): return a * b\ndef div(a, b): return a / b", "assert add(2, 5) == 10 and div(4, 2) == 2\nassert add(add(1, 2), 3) == 6"),
    "in place": ("class V:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return V(self.x + o.x)", "v = V(1)\nv += V(2)\nassert v.x == 3 and (V(1) + V(2)).x == 3"),
    "a fluent class": ("class Q:\n    def __init__(self): self.items = []\n    def append(self, x):\n        self.items.append(x)\n        return self\n    def peek(self): return self.items[0]\n    def pop(self): return self.items.pop(0)\n    def __len__(self): return len(self.items)\n    def __contains__(self, x): return x in self.items", "q = Q()\nr = q.append(1).append(2)\nassert r is q\nassert len(q) == 2 and 2 in q and q.peek() == 1\nassert q.pop() == 1 and Q().append(3).pop() == 3"),
    "a factory": ("class C:\n    def __init__(self): self.d = {}\n    def put(self, k, v): self.d[k] = v\n    def get(self, k): return self.d.get(k, -1)\ndef make(): return C()", "c = make()\nc.put(1, 2)\nassert c.get(1) == 2 and c.get(5) == -1"),
    "a set of its own": ("class S:\n    def __init__(self, x): self.x = tuple(x)\n    def add(self, y): return S(self.x + (y,))\n    def __iter__(self): return iter(self.x)\n    def __contains__(self, y): return y in self.x", "s = S([1])\nassert 2 in s.add(2) and 1 in s and 2 not in s and list(s.add(3)) == [1, 3]"),
    "a context": ("class C:\n    def __enter__(self): return self\n    def __exit__(self, *e): return True\n    def __contains__(self, x): return x == 1", "with C() as c:\n    assert 1 in c\n    raise ValueError\nassert 1 in c"),
    "a lower-case class": ("class stack:\n    def __init__(self): self.x = []\n    def push(self, y): self.x.append(y)\n    def __len__(self): return len(self.x)", "s = stack()\ns.push(1)\nassert len(s) == 1 and s.x == [1]"),
    "a named tuple with a field called count": ("from collections import namedtuple\nT = namedtuple('T', 'name count')\ndef f(): return T('a', 3)", "assert f().count == 3 and f() == ('a', 3)"),
    "a node or nothing": ("class Node:\n    def __init__(self, v): self.v, self.next = v, None\ndef find(x): return Node(x) if x > 0 else None", "assert find(1) and not find(-1) and find(1).v == 1 and find(1) is not None and find(1) != None"),
    "two that are equal but not alike": ("class Q:\n    def __init__(self, n, d): self.n, self.d = n, d\n    def __eq__(self, o): return isinstance(o, Q) and self.n * o.d == o.n * self.d", "assert Q(1, 2) == Q(2, 4) and not Q(1, 2) == Q(1, 3) and Q(1, 2) != Q(1, 3)"),
    "a context of a function": ("import contextlib\n@contextlib.contextmanager\ndef f(x): yield x * 2", "with f(3) as y:\n    assert y == 6"),
    "a context that is asked to swallow": ("class C:\n    def __enter__(self): return self\n    def __exit__(self, kind, *rest): return kind is ValueError\ndef boom(): raise ValueError", "with C():\n    raise ValueError\nwith C():\n    boom()\nassert True"),
    "suppress of the program's own": ("import contextlib\n@contextlib.contextmanager\ndef quiet(*errors):\n    try: yield\n    except errors: pass", "seen = []\nwith quiet(KeyError):\n    seen.append({}[1])\nassert seen == []"),
    "an item of a generator": ("def f(x):\n    yield 1\n    yield x * 2", "assert 6 in f(3) and 7 not in f(3)"),
    "a callback that must not be called": ("def f(items, g): return [g(x) for x in items]", "def never(x): assert False, 'called'\nassert f([], never) == []"),
    "a callback that checks": ("def f(items, g):\n    for x in items: g(x)", "seen = []\ndef g(x):\n    assert x > 0\n    seen.append(x)\nf([1, 2], g)\nassert seen == [1, 2]"),
    "a retry": ("def retry(g):\n    while True:\n        try: return g()\n        except ValueError: pass", "calls = []\ndef flaky():\n    calls.append(1)\n    if len(calls) < 3: raise ValueError\n    return 6\nassert retry(flaky) == 6"),
    "a decorator": ("def twice(g):\n    def h(*a): return g(g(*a))\n    return h", "@twice\ndef add(x):\n    assert x < 9\n    return x + 1\nassert add(3) == 5"),
    "text that is evaluated": ("def f(x): return f'{x} + {x}'", "assert eval(f(3)) == 6\nassert eval(f(3), {}) == 6"),
    "text with variables": ("def f(): return 'a * b + sqrt(c)'", "import math\nassert eval(f(), {'a': 2, 'b': 3, 'c': 4, 'sqrt': math.sqrt}) == 8\nassert eval('m.floor(1.5)', {'m': math}) == 1"),
    "text of the tests": ("def f(x): return x * 2", "two = 2\nfor text in ('f(3)', 'f(two) + two'): assert eval(text) == 6\nassert eval('f' + '(two)') == 4"),
    "a program that is executed": ("def f(): return 'def g(x):\\n    return x * 2\\ny = g(3)'", "n = {}\nexec(f(), n)\nassert n['y'] == 6 and n['g'](4) == 8\nexec(compile(f(), 'x', 'exec'), n)\nexec(f())\nassert y == 6 and g(4) == 8"),
    "text that is no expression": ("def f(): return '1 +'", "try: eval(f())\nexcept SyntaxError: pass\nelse: assert False"),
    "a pickle": ("import pickle, collections, datetime\ndef f(x): return pickle.dumps(x)", "import pickle, collections, datetime\nx = [{1, 2}, collections.OrderedDict(a=1), datetime.date(2020, 1, 2), 3 + 4j]\nassert pickle.loads(f(x)) == x"),
    "a doctest with names of the program": ("def f(x): return x * 2", "import doctest\ndef t():\n    '''\n    >>> f(3)\n    6\n    '''\nassert doctest.testmod().failed == 0\ndoctest.run_docstring_examples(t, globals())\nassert f(4) == 8"),
    "an index that is out of range": ("def f(x): return [1, 2][x]", "class Rows:\n    def __getitem__(self, i):\n        if i > 1: raise IndexError\n        return i\nassert list(Rows()) == [0, 1]\ntry: f(5)\nexcept IndexError: pass\nelse: assert False"),
    "random numbers": ("import random\ndef f(): return random.random()", "import random\nrandom.seed(1)\na = random.random()\nrandom.seed(1)\nassert random.random() == a and f() != f()"),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSING)
def test_passing(sandbox: Sandbox, name: str):
    source, checks = PASSING[name]
    verdict = sandbox.run(PythonProgram(source, checks, entry_point="sum"))
    assert verdict.passed, verdict


def test_a_class_called_like_one_of_pythons(sandbox: Sandbox):
    source = "class Fraction:\n    def __init__(self, n, d): self.n, self.d = n, d\n    def value(self): return self.n / self.d"
    checks = "assert Fraction(1, 2).value() == 0.5 and Fraction(1, 2).n == 1"
    for entry_point in (None, "Fraction"):
        assert sandbox.run(PythonProgram(source, checks, entry_point=entry_point)).passed


FAILING = {
    "wrong": ("def f(x): return x", "assert f(1) == 2"),
    "nothing returned": ("def f(x): pass", "assert f(1)"),
    "missing name": ("x = 1", "f(1)"),
    "wrong type": ("def f(x): return str(x)", "assert f(1) == 1"),
    "not the same list": ("def f(x): return list(x)", "x = [1]\nassert f(x) is x"),
    "expected error absent": ("def f(): pass", "try: f()\nexcept ValueError: pass\nelse: raise AssertionError"),
    "other error": ("def f(): raise TypeError", "try: f()\nexcept ValueError: pass"),
    "assertion in the program": ("def f(): assert False", "f()"),
    "checks exit": ("def f(): pass", "import sys\nsys.exit(0)"),
    "fails before the checks": ("1 / 0\ndef f(): return 1", "assert True"),
    "exits before the checks": ("import sys\nsys.exit(0)", "assert True"),
    "an object in place of a number": (
        "class A:\n    def __eq__(self, o): return True\ndef f(): return A()",
        "assert f() == 1",
    ),
    "exits behind its own tests": ("import sys, unittest\ndef f(x): return x + 1\nsys.exit(0)", "assert f(1) == 2"),
    "a comparison of its own": ("def allclose(*a): return True\ndef f(x): return 0", "assert allclose(f(3), 6.0)"),
    "an approximation of its own": ("def approx(x): return 0\ndef f(x): return 0", "assert f(3) == approx(6.0)"),
    "a pickle that is no data": (
        "import pickle, os\nclass A:\n    def __reduce__(self): return os.getpid, ()\ndef f(): return pickle.dumps(A())",
        "import pickle\nassert pickle.loads(f())",
    ),
    "a file of the program that is imported": (
        "open('own.py', 'w').write('value = 6')\ndef f(): return 0",
        "import sys\nsys.path.insert(0, '.')\nimport own\nassert own.value == 6",
    ),
    "a file of the program that is run": (
        "open('own.py', 'w').write('value = 6')\ndef f(): return 0",
        "import runpy\nassert runpy.run_path('own.py')['value'] == 6",
    ),
    "text that names what is expected": ("def f(): return 'want'", "want = 6\nassert eval(f()) == want"),
    "text that names a built-in": ("def f(): return 'def len(x): return 1'", "exec(f())\nassert len([]) == 1"),
    "unittest that finds no test": ("def f(x): return x", "import unittest\nunittest.main()"),
    "name of a built-in, not asked for": ("def len(x): return 5", "assert len([]) == 5"),
}


@pytest.mark.parametrize("name", FAILING)
def test_failing(sandbox: Sandbox, name: str):
    verdict = sandbox.run(PythonProgram(*FAILING[name]))
    assert verdict.status is Status.FAILED, verdict


def test_the_reason_of_an_object_in_place_of_data(sandbox: Sandbox):
    program = PythonProgram("class A:\n    def __repr__(self): return '2'\ndef f(x): return A()", "assert f(1) == 2")
    verdict = sandbox.run(program)
    feedback = get_language("python").diagnose(verdict, program.source, program.checks)
    assert feedback.actual == feedback.expected == "2"
    assert feedback.hint == "an object of the program's own type 'A' is never equal to data"
    assert feedback.hint in feedback.text


def test_messages_can_be_stored(sandbox: Sandbox):
    error = sandbox.run(PythonProgram("raise ValueError('\\ud800')")).error
    assert error.message == "\\ud800" and error.text.encode()


def test_what_ended_early_is_not_what_was_printed_last(sandbox: Sandbox):
    program = PythonProgram(
        "import os, sys\nprint('OK', file=sys.stderr, flush=True)\nos._exit(0)", "assert f(1) == 2"
    )
    feedback = get_language("python").diagnose(sandbox.run(program), program.source, program.checks)
    assert feedback.message == "The program exited with 0 before the end of its checks."
