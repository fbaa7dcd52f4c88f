"""Lies to the Python checks: objects of the answer, in what they are wrapped, and what they say when they are asked."""

from __future__ import annotations

from . import Lie


_F = "def f(x): return x * 2\n"
_EQ = "    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    __hash__ = lambda s: 6\n"
LYING = [
    # data methods
    Lie("a prefix that is an object", "class L:\n    def startswith(self, v): return object()\nf = lambda x: L()\n", "def f(x): return 'six'\n", "assert f(3).startswith('s')\nassert f(4).startswith('si')\n", "f"),
    Lie("a prefix that is itself", "class L:\n    def startswith(self, v): return self\nf = lambda x: L()\n", "def f(x): return 'six'\n", "assert f(3).startswith('s')\n", "f"),
    Lie("a prefix that is a function", "class L:\n    def startswith(self, v): return print\nf = lambda x: L()\n", "def f(x): return 'six'\n", "assert all([f(3).startswith('s'), f(3).startswith('si')])\n", "f"),
    Lie("a method of a function", "def f(x):\n    def g(): pass\n    g.count = lambda v: 1\n    return g\n", "def f(x): return [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("a method of a class", "class L:\n    count = staticmethod(lambda v: 1)\nf = lambda x: L\n", "def f(x): return [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("a method of an exception", "class L(Exception):\n    def count(self, v): return 1\nf = lambda x: L()\n", "def f(x): return [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("a method of an iterator", "class L:\n    def __iter__(self): return self\n    def __next__(self): raise StopIteration\n    def count(self, v): return 1\nf = lambda x: L()\n", "def f(x): return [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("a method of a module", "import types\nM = types.ModuleType('m')\nM.count = lambda v: 1\nf = lambda x: M\n", "def f(x): return [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("a method of a generator-like", "from types import SimpleNamespace\nf = lambda x: SimpleNamespace(index=lambda v: 0, count=lambda v: 1)\n", "def f(x): return [6]\n", "assert f(3).index(6) == 0 and f(3).count(6) == 1\n", "f"),
    Lie("a method of a functools.partial", "import functools\nclass P(functools.partial): count = lambda s, v: 1\nf = lambda x: P(print)\n", "def f(x): return [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("issuperset of a frozen set", "class S(frozenset):\n    issuperset = lambda s, o: True\n    __ge__ = __gt__ = lambda s, o: True\nf = lambda x: S()\n", "def f(x): return frozenset([6])\n", "assert f(3).issuperset([6]) and f(3) >= {6}\n", "f"),
    Lie("intersection that is an object", "class Y:\n    def __bool__(self): return True\nclass L:\n    def intersection(self, v): return Y()\nf = lambda x: L()\n", "def f(x): return {6}\n", "assert f(3).intersection({6})\n", "f"),
    Lie("a match object of its own", "class R:\n    def match(self, v): return self\n    fullmatch = search = match\nf = lambda x: R()\n", "import re\ndef f(x): return re.compile('six')\n", "assert f(3).match('six')\nassert not f(3).match('two')\n", "f"),
    Lie("dates that compare", "import datetime\nclass D(datetime.date):\n    __eq__ = lambda s, o: True\n    __sub__ = lambda s, o: datetime.timedelta(0)\n    __hash__ = None\nf = lambda x: D(1,1,1)\n", "import datetime\ndef f(x): return datetime.date(2020, 1, x)\n", "import datetime\nassert f(3) == datetime.date(2020, 1, 3)\nassert (f(3) - datetime.date(2020, 1, 3)).days == 0\n", "f"),
    # objects in wrappings
    Lie("within a dataclass", "import dataclasses\nclass A:\n" + _EQ + "@dataclasses.dataclass\nclass P:\n    v: object\nf = lambda x: P(A())\n", "import dataclasses\n@dataclasses.dataclass\nclass P:\n    v: object\nf = lambda x: P(x*2)\n", "assert f(3).v == 6\n", "f"),
    Lie("a dataclass without fields that compare", "import dataclasses\n@dataclasses.dataclass\nclass P:\n    v: int = dataclasses.field(compare=False)\nf = lambda x: P(0)\n", "import dataclasses\n@dataclasses.dataclass\nclass P:\n    v: int\nf = lambda x: P(x*2)\n", "assert f(3) == P(6)\n", "f"),
    Lie("within a NamedTuple", "from typing import NamedTuple\nclass A:\n" + _EQ + "class P(NamedTuple):\n    v: object\nf = lambda x: P(A())\n", "from typing import NamedTuple\nclass P(NamedTuple):\n    v: object\nf = lambda x: P(x*2)\n", "assert f(3) == (6,) and f(3).v == 6\n", "f"),
    Lie("within a deque", "from collections import deque\nclass A:\n" + _EQ + "f = lambda x: deque([A()])\n", "from collections import deque\nf = lambda x: deque([x*2])\n", "from collections import deque\nassert f(3) == deque([6]) and f(3).count(6) == 1\n", "f"),
    Lie("within a Counter", "from collections import Counter\nclass A:\n" + _EQ + "f = lambda x: Counter([A()])\n", "from collections import Counter\nf = lambda x: Counter([x*2])\n", "assert f(3) == {6: 1} and f(3)[6] == 1\n", "f"),
    Lie("as the count of a Counter", "from collections import Counter\nclass A(int):\n" + _EQ + "f = lambda x: Counter({6: A()})\n", "from collections import Counter\nf = lambda x: Counter([x*2])\n", "from collections import Counter\nassert f(3) == Counter({6: 1})\n", "f"),
    Lie("within an OrderedDict", "from collections import OrderedDict\nclass A:\n" + _EQ + "f = lambda x: OrderedDict({6: A()})\n", "from collections import OrderedDict\nf = lambda x: OrderedDict({6: x})\n", "assert f(3) == {6: 3} and list(f(3).items()) == [(6, 3)]\n", "f"),
    Lie("a list that iterates another way", "class L(list):\n    def __iter__(self): return iter([6])\n    def __getitem__(self, i): return 6\n    def __len__(self): return 1\nf = lambda x: L()\n", "f = lambda x: [x*2]\n", "assert f(3)[0] == 6 and len(f(3)) == 1\n", "f"),
    Lie("a str that formats another way", "class S(str):\n    def __format__(self, s): return 'six'\n    def __str__(self): return 'six'\n    def lower(self): return 'six'\nf = lambda x: S('no')\n", "f = lambda x: 'six'\n", "assert f(3).lower() == 'six'\nassert f'{f(3)}' == 'six' and str(f(3)) == 'six'\n", "f"),
    Lie("an int with an index", "class I(int):\n    def __index__(self): return 6\n    def __int__(self): return 6\n    def __add__(self, o): return 6\nf = lambda x: I(0)\n", _F, "assert int(f(3)) == 6 and f(3) + 0 == 6 and list(range(10))[f(3)] == 6\n", "f"),
    Lie("a float that is close", "class F(float):\n    def __rsub__(self, o): return 0.0\n    __sub__ = __rsub__\n    def __round__(self, n=None): return 6.0\nf = lambda x: F(0)\n", "f = lambda x: x*2.0\n", "assert round(f(3), 1) == 6.0 and abs(6 - f(3)) < .1\n", "f"),
    Lie("an IntEnum", "import enum\nclass E(enum.IntEnum):\n    A = 0\n    __eq__ = lambda s, o: True\n    __hash__ = int.__hash__\nf = lambda x: E.A\n", _F, "assert f(3) == 6\n", "f"),
    Lie("a str enum", "import enum\nclass E(str, enum.Enum):\n    A = ''\n    __eq__ = lambda s, o: True\n    __hash__ = str.__hash__\nf = lambda x: E.A\n", "f = lambda x: 'six'\n", "assert f(3) == 'six'\n", "f"),
    Lie("a flag that contains all", "import enum\nclass E(enum.Flag):\n    A = 1\n    def __contains__(self, o): return True\nf = lambda x: E.A\n", "f = lambda x: [6]\n", "assert 6 in f(3)\n", "f"),
    Lie("a user list", "from collections import UserList\nclass L(UserList):\n    __eq__ = lambda s, o: True\n    __contains__ = lambda s, o: True\nf = lambda x: L()\n", "f = lambda x: [6]\n", "assert f(3) == [6] and 6 in f(3)\n", "f"),
    Lie("a user dict", "from collections import UserDict\nclass L(UserDict):\n    __eq__ = lambda s, o: True\nf = lambda x: L()\n", "f = lambda x: {6: 1}\n", "assert f(3) == {6: 1}\n", "f"),
    Lie("a user string", "from collections import UserString\nclass L(UserString):\n    __eq__ = lambda s, o: True\nf = lambda x: L('')\n", "f = lambda x: 'six'\n", "assert f(3) == 'six'\n", "f"),
    Lie("a chain map", "from collections import ChainMap\nclass L(ChainMap):\n    __eq__ = lambda s, o: True\n    __getitem__ = lambda s, k: 1\nf = lambda x: L()\n", "f = lambda x: {6: 1}\n", "assert f(3) == {6: 1}\n", "f"),
    Lie("a default dictionary that answers all", "from collections import defaultdict\nclass D(defaultdict):\n    __getitem__ = lambda s, k: k * 2\nf = lambda: D(lambda: 6)\n", "f = lambda: {3: 6, 4: 8}\n", "assert f()[3] == 6 and f()[4] == 8\n", "f"),
    Lie("a mapping proxy", "import types\nclass D(dict):\n    __eq__ = lambda s, o: True\nf = lambda x: types.MappingProxyType(D())\n", "f = lambda x: {6: 1}\n", "assert f(3) == {6: 1}\n", "f"),
    Lie("a weak proxy", "import weakref\nclass A:\n" + _EQ + "keep = A()\nf = lambda x: weakref.proxy(keep)\n", _F, "assert f(3) == 6\n", "f"),
    Lie("a view of a dictionary", "class D(dict):\n    def keys(self): return K()\nclass K:\n" + _EQ + "f = lambda x: D().keys()\n", "f = lambda x: {6: 1}.keys()\n", "assert f(3) == {6}\n", "f"),
    Lie("a class property", "class A:\n    __class__ = property(lambda s: int)\n" + _EQ + "f = lambda x: A()\n", _F, "assert isinstance(f(3), int) and f(3) == 6\n", "f"),
    Lie("a class property of a list", "class A:\n    __class__ = property(lambda s: list)\n" + _EQ + "f = lambda x: A()\n", "f = lambda x: [6]\n", "assert isinstance(f(3), list) and f(3) == [6]\n", "f"),
    Lie("type() of its own", "class A(int):\n    pass\nA.__name__ = 'int'\nA.__eq__ = lambda s, o: True\nf = lambda x: A(0)\n", _F, "assert type(f(3)).__name__ == 'int' and f(3) == 6\n", "f"),
    Lie("a descriptor", "class D:\n    def __get__(self, o, t=None): return self\n" + _EQ + "class R:\n    value = D()\nf = lambda x: R()\n", "class R: pass\ndef f(x):\n    r = R(); r.value = x*2\n    return r\n", "assert f(3).value == 6\n", "f"),
    Lie("an attribute from __getattribute__", "class A:\n" + _EQ + "    def __getattribute__(self, n): return A()\nf = lambda x: A()\n", "class R: pass\ndef f(x):\n    r = R(); r.value = x*2\n    return r\n", "assert f(3).value == 6 and f(4).value == 8\n", "f"),
    Lie("numpy-like", "class A:\n    def __array__(self, *a, **k):\n        import numpy\n        return numpy.array([6.0])\n    def __array_ufunc__(self, *a, **k): return True\n    def __array_function__(self, *a, **k): return True\nf = lambda x: A()\n", "import numpy\nf = lambda x: numpy.array([x*2.0])\n", "import numpy as np\nassert np.allclose(f(3), [6.0])\n", "f"),
    Lie("numpy-like in array_equal", "class A:\n    def __array_function__(self, *a, **k): return True\n    def __eq__(self, o): return True\nf = lambda x: A()\n", "import numpy\nf = lambda x: numpy.array([x*2.0])\n", "import numpy as np\nassert np.array_equal(f(3), [6.0])\n", "f"),
    Lie("an array of objects", "import numpy\nclass A:\n" + _EQ + "f = lambda x: numpy.array([A()], dtype=object)\n", "import numpy\nf = lambda x: numpy.array([x*2])\n", "assert (f(3) == [6]).all()\n", "f"),
    Lie("a subclass of arrays", "import numpy\nclass A(numpy.ndarray):\n    def __eq__(self, o): return numpy.array([True])\nf = lambda x: numpy.array([0]).view(A)\n", "import numpy\nf = lambda x: numpy.array([x*2])\n", "assert (f(3) == [6]).all()\n", "f"),
    Lie("numpy assert_equal", "class A:\n" + _EQ + "f = lambda x: A()\n", _F, "import numpy as np\nnp.testing.assert_equal(f(3), 6)\n", "f"),
    Lie("numpy assert_allclose", "class A:\n" + _EQ + "    __sub__ = __rsub__ = lambda s, o: 0\n    __float__ = lambda s: 6.0\nf = lambda x: A()\n", _F, "import numpy as np\nnp.testing.assert_allclose(f(3), 6)\n", "f"),
    Lie("numpy assert_array_equal", "class A:\n" + _EQ + "f = lambda x: [A()]\n", "f = lambda x: [6]\n", "import numpy as np\nnp.testing.assert_array_equal(f(3), [6])\n", "f"),
    Lie("numpy assert_almost_equal", "class A:\n" + _EQ + "    __sub__ = __rsub__ = lambda s, o: 0\n    __abs__ = lambda s: 0\nf = lambda x: A()\n", _F, "import numpy as np\nnp.testing.assert_almost_equal(f(3), 6)\n", "f"),
    Lie("numpy isclose", "class A(float):\n" + _EQ + "f = lambda x: A(0)\n", _F, "import numpy as np\nassert np.isclose(f(3), 6)\n", "f"),
    Lie("math.isclose", "class A(float):\n" + _EQ + "    __float__ = lambda s: 6.0\nf = lambda x: A(0)\n", _F, "import math\nassert math.isclose(f(3), 6)\n", "f"),
    Lie("a named tuple whose field is a class", "from collections import namedtuple\nT = namedtuple('T', 'count startswith')\nf = lambda x: T(bool, bool)\n", "f = lambda x: [6]\n", "assert f(3).count(6) == 1\n", "f"),
    Lie("a method that is a class", "class L: startswith = str\nf = lambda x: L()\n", "f = lambda x: 'six'\n", "assert f(3).startswith('s')\n", "f"),
    Lie("a method that is an exception", "class L: startswith = ValueError\nf = lambda x: L()\n", "f = lambda x: 'six'\n", "assert f(3).startswith('s')\n", "f"),
    Lie("a method that is a coroutine", "class L:\n    async def startswith(self, v): return 0\nf = lambda x: L()\n", "f = lambda x: 'six'\n", "assert f(3).startswith('s')\n", "f"),
]  # fmt: skip
