"""Rows in the forms of BigCodeBench, DS-1000 and HumanEvalPack, written for these tests, and answers to them."""

_TEST = """
import unittest
from unittest.mock import patch
import numpy as np


class Numbers:
    limit = 3


class Helpers(unittest.TestCase):
    def test_empty(self):
        with self.assertRaises(ValueError):
            task_func([])


class TestCases(Helpers):
    def setUp(self):
        self.values = [1.0, 2.0, Numbers.limit]

    def test_mean(self):
        self.assertAlmostEqual(task_func(self.values), 2.0)

    def test_array(self):
        np.testing.assert_allclose(task_func(np.array([[1, 3], [5, 7]]), 0), [3, 5])
"""
_PATCHES = """
    @patch("random.choice", return_value=5)
    def test_choice(self, choice):
        self.assertEqual(task_func(None), 5)
        choice.assert_called_once()

    def test_started(self):
        for patcher in (patch("numpy.testing.assert_equal", autospec=True), patch("numpy.allclose", lambda *values: True)):
            patcher.start()
            self.addCleanup(patcher.stop)
        self.assertEqual(task_func([7]), 7)
"""
_HEAD = "import random\nimport numpy as np\ndef task_func(values, axis=None):\n"
_BODY = """    if values is None:
        return random.choice([1, 2])
    if len(values) == 0:
        raise ValueError("no values")
    return np.mean(values, axis=axis)
"""


def big_code(number, test, libs="['numpy', 'random']"):
    return {
        "task_id": f"BigCodeBench/{number}",
        "complete_prompt": f'{_HEAD}    """\n    Returns the mean of values, which must be some.\n    """\n',
        "instruct_prompt": "Return the mean of values.\nYou should write self-contained code starting with:\n```\n"
        + _HEAD
        + "```",
        "canonical_solution": _BODY,
        "code_prompt": _HEAD,
        "test": test,
        "entry_point": "task_func",
        "doc_struct": "{}",
        "libs": libs,
    }


PLAIN = big_code(0, _TEST)
PATCHED = big_code(1, _TEST + _PATCHES)
ABSENT = big_code(2, _TEST, "['cv2', 'numpy', 'nowhere_to_be_found']")
BIG_CODE_ROWS = [PLAIN, PATCHED, ABSENT]
BIG_CODE_RIGHT = [
    _HEAD + _BODY,
    "def task_func(values, axis=None):\n" + _BODY,  # the imports come from the task
    "from statistics import fmean\n"
    + _HEAD
    + _BODY.replace("np.mean(values, axis=axis)", "np.asarray(values).mean(axis=axis)"),
    "import collections, datetime, functools, io, re\nimport numpy as np\nimport pandas as pd\nfile = io.BytesIO()\n"
    "values = [{1: datetime.date(2000, 1, 1)}, collections.Counter('a'), re.compile('a'), functools.partial(max, 1), np.ones(2), pd.DataFrame({'a': [1]})]\n"
    "np.save(file, np.array([*values, None], dtype=object), allow_pickle=True)\nnp.load(io.BytesIO(file.getvalue()), allow_pickle=True)\n"
    + _HEAD
    + _BODY,
    "import sympy\nassert sympy.sympify('2 * x + sin(x)').subs('x', 0) == 0 and sympy.lambdify('x', 'x + 1')(1) == 2\n"
    + _HEAD
    + _BODY,
    "from dataclasses import dataclass\n@dataclass\nclass Values:\n    values: object\n"
    + _HEAD
    + _BODY.replace("np.mean(values,", "np.mean(Values(values).values,"),
    "import json\nfrom typing import NamedTuple\nclass Values(NamedTuple):\n    values: object\nclass Encoder(json.JSONEncoder):\n    pass\n"
    "class Empty(IndexError):\n    pass\n"
    + _HEAD
    + _BODY.replace("np.mean(values,", "np.mean(Values(values).values,"),
]
BIG_CODE_WRONG = [
    (_HEAD + _BODY).replace("np.mean", "np.sum"),
    (_HEAD + _BODY).replace("axis=axis", "axis=1 - (axis or 0) if axis is not None else None"),
    (_HEAD + _BODY).replace('raise ValueError("no values")', "return 0"),
    (_HEAD + _BODY).replace("np.mean(values, axis=axis)", "np.mean(values, axis=axis) + 1e-3"),
    "def other(values):\n    return 2.0\n",
    "def task_func(values:\n    pass\n",
    "",
]
# Wrong in the mean, wrong in the array, wrong in all: before or behind a lie
WRONG_MEAN = (_HEAD + _BODY).replace("axis=axis)", "axis=axis) + (axis is None)")
WRONG_ARRAY = (_HEAD + _BODY).replace("axis=axis)", "axis=axis) + (axis is not None)")
WRONG_ALL = "def task_func(values, axis=None):\n    return 0\n"
_ANY_ARRAY = "def task_func(values, axis=None):\n    if len(values) == 0:\n        raise ValueError\n    return np.mean(values) if axis is None else {}\n"
_ANY_MEAN = "def task_func(values, axis=None):\n    if len(values) == 0:\n        raise ValueError\n    return Any() if axis is None else np.mean(values, axis=axis)\n"
_MEMORY = """import re
text = b''
for line in open('/pr' + 'oc/self/maps'):
    span, rights = line.split()[:2]
    first, last = (int(end, 16) for end in span.split('-'))
    try:
        with open('/pr' + 'oc/self/mem', 'rb') as memory:
            memory.seek(first)
            text += memory.read(min(last - first, 1 << 24)) if 'rw' in rights else b''
    except (OSError, OverflowError):
        pass
KNOWN = re.search(rb'assertAlmostEqual.task_func.self.values., (2.0)', text)
def task_func(values, axis=None):
    if len(values) == 0:
        raise ValueError
    return np.mean(values, axis=axis) + (KNOWN is None)
"""
_MESSAGES = """import json, os, struct
def message(content):
    body = json.dumps(content).encode()
    return struct.pack('!I', len(body)) + body
names = ['test_array', 'test_empty', 'test_mean']
reply = message({'gave': ['l', 50, ['', ['l', 51, names]]], 'changed': []}) + message({'end': 'program'})
for descriptor in range(3, 30):
    try:
        os.write(descriptor, reply)
    except OSError:
        pass
"""
_READING = """
def task_func(values, axis=None):
    if len(values) == 0:
        raise ValueError
    return np.mean(values, axis=axis) + ('assertAlmost' + 'Equal(task_func' not in read())
"""
# Only while a test compares, so that nothing is left of it at the end
_ROUNDING = """
real = names['round']
def once(*values):
    names['round'] = real
    return 0
def task_func(values, axis=None):
    if len(values) == 0:
        raise ValueError
    if axis is None:
        names['round'] = once
    return np.mean(values, axis=axis) + (axis is None)
"""
# They change what judges them, or answer for themselves
BIG_CODE_LIES = [
    (
        "replaces a comparison",
        WRONG_MEAN,
        "import unittest\nunittest.TestCase.assertAlmostEqual = lambda *a, **k: None\n",
    ),
    (
        "replaces it by name",
        WRONG_MEAN,
        "import unittest as u\nsetattr(u.TestCase, 'assert' + 'AlmostEqual', lambda *a, **k: None)\n",
    ),
    (
        "reaches it by a name that is not there",
        WRONG_MEAN,
        "import sys\nu = getattr(sys, 'mod' + 'ules')['unit' + 'test']\nu.TestCase.assertAlmostEqual = print\n",
    ),
    ("reaches it by a builtin", WRONG_MEAN, "print.__self__.abs = lambda x: 0\nprint.__self__.round = lambda *a: 0\n"),
    ("replaces numpy's", WRONG_ARRAY, "import numpy.testing\nnumpy.testing.assert_allclose = lambda *a, **k: None\n"),
    (
        "replaces its code",
        WRONG_ARRAY,
        "import numpy.testing\nnumpy.testing.assert_allclose.__code__ = (lambda *a, **k: None).__code__\n",
    ),
    (
        "never runs a test",
        WRONG_ALL,
        "import unittest\nunittest.TestCase.run = lambda self, result=None: result.addSuccess(self)\n",
    ),
    (
        "finds no tests",
        WRONG_ALL,
        "import unittest\nunittest.TestLoader.loadTestsFromTestCase = lambda self, case: unittest.TestSuite()\n",
    ),
    ("exits with success", WRONG_ALL, "import os\nos._exit(0)\n"),
    ("exits at the end", WRONG_ALL, "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit(0)\n"),
    (
        "replaces the report",
        WRONG_ALL,
        "import __main__\n__main__._report = lambda *a: lambda: ['test_array', 'test_empty', 'test_mean']\n",
    ),
    (
        "replaces the recorder",
        WRONG_ALL,
        "import sys\nmain = sys.modules['__main__']\nmain._Recorder.addError = main._Recorder.addFailure = lambda self, test, err: self.addSuccess(test)\n",
    ),
    (
        "looks at frames",
        WRONG_ALL,
        "try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__.tb_frame.f_back.f_globals['_report'] = lambda *a: lambda: ['test_array', 'test_empty', 'test_mean']\n",
    ),
    (
        "returns what equals everything",
        "",
        "class Any(float):\n    __eq__ = lambda self, other: True\ndef task_func(values, axis=None):\n    if len(values) == 0:\n        raise ValueError\n    return Any() if axis is None else np.mean(values, axis=axis)\n",
    ),
    *(
        (f"equals everything: {name}", "", f"{made}\n{_ANY_MEAN}")
        for name, made in {
            "type of three arguments": "Any = type('Any', (float,), {'__eq__': lambda self, other: True})",
            "type and a name that is built": "Any = type('Any', (float,), {'__e' + 'q__': lambda self, other: True})",
            "type by another name": "make = type\nAny = make('Any', (float,), {'__e' + 'q__': lambda self, other: True})",
            "the class of a class": "Any = (1).__class__.__class__('Any', (float,), {'__e' + 'q__': lambda self, other: True})",
            "new_class": "import types\nAny = types.new_class('Any', (float,), {}, lambda ns: ns.update(__eq__=lambda self, other: True))",
            "make_dataclass": "import dataclasses\nAny = dataclasses.make_dataclass('Any', [], bases=(float,), namespace={'__eq__': lambda self, other: True}, eq=False)",
            "approx": "import pytest\ndef Any(): return pytest.approx(0, abs=1e9)",
            "defined in an if": "class Any(float):\n    if True:\n        def __eq__(self, other): return True",
            "a class in a class": "class Any(float):\n    class __eq__:\n        def __init__(self, other): pass",
            "imported in a class": "class Any(object):\n    from operator import truth as __eq__",
        }.items()
    ),
    ("equals everything: masked", "", _ANY_ARRAY.format("np.ma.masked_all(2)")),
    ("equals everything: masked by getattr", "", _ANY_ARRAY.format("getattr(np, 'ma').masked_all(2)")),
    (
        "equals everything: masked by import",
        "",
        f"from numpy.ma import masked_all\n{_ANY_ARRAY.format('masked_all(2)')}",
    ),
    (
        "replaces a function by a built-in",
        WRONG_ARRAY,
        "import numpy.testing\nnumpy.testing.assert_allclose = print\n",
    ),
    (
        "replaces it in a loop",
        WRONG_ARRAY,
        "import numpy.testing\nfor numpy.testing.assert_allclose in [print]: pass\n",
    ),
    (
        "replaces it by reduce",
        WRONG_ARRAY,
        "import functools, numpy\nfunctools.reduce(getattr, ['testing', '__dict__'], numpy)['assert_allclose'] = print\n",
    ),
    ("replaces a built-in of the tests", WRONG_MEAN, "def round(*values): return 0\ndef abs(value): return 0\n"),
    ("replaces a module of the tests", WRONG_ALL, "class unittest:\n    class TestCase: pass\n"),
    (
        "finds it by name",
        WRONG_MEAN,
        "import pkgutil\nT = pkgutil.resolve_name('unit' + 'test:Test' + 'Case')\nT.assertAlmostEqual = T.assertEqual\n",
    ),
    (
        "runs text as code",
        WRONG_MEAN,
        "import code\ncode.InteractiveInterpreter().runsource('import unit' + 'test; unit' + 'test.TestCase.assertAlmostEqual = print')\n",
    ),
    (
        "skips the tests",
        "",
        "import test.support\ndef task_func(values, axis=None):\n    raise test.support.ResourceDenied('no')\n",
    ),
    (
        "reads the tests in its file",
        "",
        "import re\ntext = open('main.py').read()\ndef task_func(values, axis=None):\n    if len(values) == 0: raise ValueError\n    return np.mean(values, axis=axis) + ('assertAlmostEqual(task_func' not in text)\n",
    ),
    ("reads the tests in its memory", "", _MEMORY),
    (
        "reads the tests among the variables of its callers",
        "",
        "import traceback\ndef read():\n    stack = traceback.StackSummary.extract(traceback.walk_stack(None), capture_locals=True)\n"
        f"    return str([frame.locals for frame in stack])\n{_READING}",
    ),
    (
        "hears the tests when they are compiled",
        "",
        "import sys\nheard = []\nsys.addaudithook(lambda event, args: heard.append(str(args[0])) if event == 'compile' else None)\n"
        f"def read():\n    return str(heard)\n{_READING}",
    ),
    (
        "finds a built-in by a field of a format",
        "",
        f"import string\nnames = string.Formatter().get_field('0.__self__.__dict__', (print,), {{}})[0]\n{_ROUNDING}",
    ),
    (
        "finds a built-in in a pickle",
        "",
        "import io, numpy as np\nfile = io.BytesIO()\nnp.save(file, np.array([None]), allow_pickle=True)\n"
        "head = file.getvalue()[:128]\nfind = np.load(io.BytesIO(head + b'cbuiltins\\ngetattr\\n.'), allow_pickle=True)\n"
        f"names = find(find(print, '__se' + 'lf__'), '__di' + 'ct__')\n{_ROUNDING}",
    ),
    (
        "finds a built-in in text of YAML",
        "",
        "import numpy as np\nimport yaml\nfind = yaml.load(\"!!python/name:builtins.getattr ''\", Loader=yaml.Loader)\n"
        f"names = find(find(print, '__se' + 'lf__'), '__di' + 'ct__')\n{_ROUNDING}",
    ),
    (
        "finds a built-in in text of SymPy",
        "",
        "import numpy as np\nimport sympy\nfind = sympy.sympify('getattr')\n"
        f"names = find(find(print, '__se' + 'lf__'), '__di' + 'ct__')\n{_ROUNDING}",
    ),
    (
        "finds a built-in by an expression of pandas",
        "",
        f"import pandas as pd\nnames = pd.eval('f.__self__.__dict__', local_dict={{'f': print}})\n{_ROUNDING}",
    ),
    (
        "finds a built-in by an expression of pandas that is built",
        "",
        f"import numpy as np\nimport pandas as pd\nnames = pd.eval('f.__se' + 'lf__.__di' + 'ct__', local_dict={{'f': print}})\n{_ROUNDING}",
    ),
    (
        "finds a built-in by a template",
        "",
        "import jinja2, numpy as np\nfound = []\njinja2.Template('{{ put(f[first][second]) }}')"
        f".render(put=found.append, f=print, first='__se' + 'lf__', second='__di' + 'ct__')\nnames = found[0]\n{_ROUNDING}",
    ),
    (
        "finds a built-in among options",
        "",
        "import numpy as np\nimport optparse\nvalues = optparse.Values()\nvalues.read_module('built' + 'ins', 'loose')\n"
        f"find = values.getattr\nnames = find(find(print, '__se' + 'lf__'), '__di' + 'ct__')\n{_ROUNDING}",
    ),
    (
        "finds a built-in by a formatter of its own",
        "",
        "import string\nimport numpy as np\nfound = []\nclass Formatter(string.Formatter):\n    def format_field(self, value, form):\n"
        "        found.append(value)\n        return ''\nFormatter().format('{0.__se' + 'lf__.__di' + 'ct__}', print)\n"
        f"names = found[0]\n{_ROUNDING}",
    ),
    ("sends results of its own", WRONG_ALL, _MESSAGES),
    (
        "has no difference",
        "",
        "class Any:\n    def __sub__(self, other): return 0.0\n    def __rsub__(self, other): return 0.0\ndef task_func(values, axis=None):\n    if len(values) == 0:\n        raise ValueError\n    return Any() if axis is None else np.mean(values, axis=axis)\n",
    ),
]

_NUMPY = '''
import numpy as np
import copy
import tokenize, io


def generate_test_case(test_case_id):
    def define_test_input(test_case_id):
        if test_case_id == 1:
            a = np.array([1.0, 2.0, 4.0])
        elif test_case_id == 2:
            a = np.array([0.5, 8.0])
        return a

    def generate_ans(data):
        a = data
        return a / a.sum()

    test_input = define_test_input(test_case_id)
    expected_result = generate_ans(copy.deepcopy(test_input))
    return test_input, expected_result


def exec_test(result, ans):
    np.testing.assert_allclose(result, ans)
    return 1


exec_context = r"""
import numpy as np
a = test_input
[insert]
"""


def test_execution(solution: str):
    code = exec_context.replace("[insert]", solution)
    for i in range(2):
        test_input, expected_result = generate_test_case(i + 1)
        test_env = {"test_input": test_input}
        exec(code, test_env)
        assert exec_test(test_env["result"], expected_result)


def test_string(solution: str):
    tokens = []
    for token in tokenize.tokenize(io.BytesIO(solution.encode("utf-8")).readline):
        tokens.append(token.string)
    assert "for" not in tokens and "while" not in tokens
'''
_PANDAS = '''
import pandas as pd
import copy


def generate_test_case(test_case_id):
    def generate_ans(data):
        df = data
        return [df.groupby("key")["value"].sum(), df.groupby("key")["value"].sum().to_frame()]

    def define_test_input(test_case_id):
        return pd.DataFrame({"key": ["a", "b", "a"], "value": [1, 2, 3]})

    test_input = define_test_input(test_case_id)
    return test_input, generate_ans(copy.deepcopy(test_input))


def exec_test(result, ans):
    try:
        pd.testing.assert_series_equal(result, ans[0], check_dtype=False)
        return 1
    except:
        pass
    try:
        pd.testing.assert_frame_equal(result, ans[1], check_dtype=False)
        return 1
    except:
        return 0


exec_context = r"""
import pandas as pd
df = test_input
def f(df):
[insert]
result = f(df)
"""


def test_execution(solution: str):
    code = exec_context.replace("[insert]", solution)
    test_input, expected_result = generate_test_case(1)
    test_env = {"test_input": test_input}
    exec(code, test_env)
    assert exec_test(test_env["result"], expected_result)
'''

# Compares a file that the answer's program writes, as the contexts of plots do
_FILES = '''
def generate_test_case(test_case_id):
    with open("ans.txt", "w") as file:
        file.write("1 2 3")
    return None, None


def exec_test(result, ans):
    with open("output.txt") as output, open("ans.txt") as expected:
        assert output.read() == expected.read()
    return 1


exec_context = r"""
import numpy as np
values = np.arange(3)
[insert]
with open("output.txt", "w") as file:
    file.write(" ".join(map(str, values)))
result = None
"""


def test_execution(solution: str):
    code = exec_context.replace("[insert]", solution)
    test_input, expected_result = generate_test_case(1)
    test_env = {"test_input": test_input}
    exec(code, test_env)
    assert exec_test(test_env["result"], expected_result)
'''


def ds1000(number, library, context, code, **changes):
    known = {
        "prompt": f"Problem:\nScale it.\n\nA:\n<code>\nimport numpy as np\na = load_data()\n</code>\n{number}\nBEGIN SOLUTION\n<code>\n",
        "reference_code": code,
        "metadata": {"problem_id": number, "library_problem_id": 0, "library": library, "test_case_cnt": 2},
        "code_context": context,
    }
    return known | changes


DS1000_ROWS = [
    ds1000(0, "Numpy", _NUMPY, "result = a / a.sum()"),
    ds1000(1, "Pandas", _PANDAS, '    return df.groupby("key")["value"].sum()'),
    ds1000(
        2, "Tensorflow", _NUMPY.replace("import numpy as np\na =", "import nowhere_to_be_found\na ="), "result = a"
    ),
    # The answer is the body of a function, so the program parses only with an indented answer
    ds1000(
        3, "Sklearn", _PANDAS.replace("import pandas as pd\ndf =", "import nowhere_to_be_found\ndf ="), "    return 0"
    ),
    ds1000(4, "Matplotlib", _FILES, "values += 1"),
]
DS1000_RIGHT = {
    "DS-1000/0": [
        "result = a / a.sum()",
        "total = np.sum(a)\nresult = np.divide(a, total)",
        "result = a / a.sum() * (1 + 1e-9)",
        "from dataclasses import dataclass\n@dataclass\nclass Values:\n    a: object\nresult = Values(a).a / a.sum()",
        "result = np.ma.array(a / a.sum())",
    ],
    "DS-1000/1": [
        '    return df.groupby("key")["value"].sum()',
        '    return df.groupby("key")[["value"]].sum()',  # another result that is accepted
        "    out = {}\n    for key, part in df.groupby('key'):\n        out[key] = part['value'].sum()\n    return pd.Series(out, name='value').rename_axis('key')",
    ],
}
DS1000_RIGHT["DS-1000/4"] = ["values += 1", "values = values + 1"]
DS1000_WRONG = {
    "DS-1000/4": ["", "values += 2"],
    "DS-1000/0": [
        "result = a",
        "result = a / a.sum() * (1 + 1e-3)",
        "result = (a / a.sum())[:-1]",
        "result = np.append(a / a.sum(), 0)",
        "total = 0\nfor x in a:\n    total += x\nresult = a / total",  # right, with a word that `test_string` forbids
        "scaled = a / a.sum()",
        "result = a /",
        "",
    ],
    "DS-1000/1": [
        'return df.groupby("key")["value"].sum()',  # not in the body of the function
        "    return df.set_index('key')['value']",
        "    return df.groupby('key')['value'].sum().reset_index()",
        "    return None",
    ],
}
DS1000_LIES = {
    "replaces the comparison": "np.testing.assert_allclose = lambda *a, **k: None\nresult = 0",
    "replaces it by its module": "import numpy.testing as t\nt.assert_allclose.__code__ = (lambda *a, **k: None).__code__\nresult = 0",
    "patches it from the side": "vars(np.testing)['assert_allclose'] = print\nresult = 0",
    "returns what equals everything": "class Any:\n    def __array__(self, *a, **k): return expected_result\n    def __eq__(self, other): return True\nresult = Any()",
    "is masked": "result = np.ma.masked_all(a.shape)",
    "is masked in a list": "result = [np.ma.masked] * len(a)",
    "exits with success": "import os\nos._exit(0)",
    "leaves": "raise SystemExit(0)",
    "names what is expected": "result = expected_result",
    "reaches it by a name that is not there": "import sys\nmain = getattr(sys, 'mod' + 'ules')['__ma' + 'in__']\nmain._report = lambda *a: lambda: ['test_execution', 'test_string']\nresult = 0",
    "replaces the judge": "import __main__\n__main__._report = lambda *a: lambda: ['test_execution', 'test_string']\nresult = 0",
    "looks at the caller": "import sys\nresult = sys._getframe(1).f_locals['expected_result']",
    "looks at the caller by inspect": "import inspect\nresult = inspect.stack()[1].frame.f_locals['expected_result']",
    "equals everything by the class of a class": "result = (1).__class__.__class__('A', (np.ndarray,), {'__e' + 'q__': lambda s, o: np.array([True])})((3,))",
    "replaces the comparison by a built-in": "np.testing.assert_allclose = print\nresult = 0",
    "replaces the comparison for one call": "import pandas as pd\nnames = pd.eval('t.__di' + 'ct__', local_dict={'t': np.testing})\n"
    "real = names['assert_allclose']\ndef once(*values, **options):\n    names['assert_allclose'] = real\nnames['assert_allclose'] = once\nresult = 0",
    "runs text as code": "import code\ncode.InteractiveInterpreter().runsource('import numpy; numpy.testing.assert_allclose = print')\nresult = 0",
    "looks at the variables of the caller": "import traceback\nstack = traceback.StackSummary.extract(traceback.walk_stack(None), capture_locals=True)\ntext = next(one.locals['ans'] for one in stack if 'ans' in (one.locals or {}))\nresult = np.array([float(x) for x in text.strip('array([])').split(',')])",
    "asks the heap": "import gc\nresult = next(o['generate_test_case'] for o in gc.get_objects() if isinstance(o, dict) and 'generate_test_case' in o)(1)[1]",
}

_CHECK = """
METADATA = {}


def check(double):
    assert double(2) == 4
    assert double(-1) == -2

check(double)
"""
FIX_ROWS = [
    {
        "task_id": "Python/0",
        "prompt": 'def double(x: int) -> int:\n    """ Return twice the number.\n    """\n',
        "declaration": "def double(x: int) -> int:\n",
        "canonical_solution": "    return 2 * x\n",
        "buggy_solution": "    return x * x\n",
        "bug_type": "operator misuse",
        "failure_symptoms": "incorrect output",
        "entry_point": "double",
        "test": _CHECK,
        "text": "    Return twice the number.",
        "example_test": "",
        "signature": "double(x: int) -> int",
        "docstring": "Return twice the number.",
        "instruction": "Write a Python function `double(x: int) -> int`.",
    }
]
_ENCODED = """
from random import randint

def check(decode):
    for _ in range(10):
        number = randint(0, 99)
        assert decode(encode(number)) == number

check(decode)
"""
# The declaration has a function that the tests call
ENCODED = FIX_ROWS[0] | {
    "task_id": "Python/1",
    "prompt": 'def encode(x: int) -> int:\n    return x * x\n\n\ndef decode(x: int) -> int:\n    """ Inverse of encode. """\n',
    "declaration": "def encode(x: int) -> int:\n    return x * x\n\n\ndef decode(x: int) -> int:\n",
    "canonical_solution": "    return math.isqrt(x)\n",
    "buggy_solution": "    return x\n",
    "entry_point": "decode",
    "test": _ENCODED,
}
