"""Lies to evalplus, each to the task of HumanEval+ that `tests` names."""

from __future__ import annotations

from . import Lie


_RIGHT = {
    "HumanEval/53": "def add(x, y):\n    return x + y\n",
    "HumanEval/23": "def strlen(string):\n    return len(string)\n",
    "HumanEval/2": "def truncate_number(number):\n    return number % 1.0\n",
    "HumanEval/26": "def remove_duplicates(numbers):\n    return [n for n in numbers if numbers.count(n) == 1]\n",
}
_ANY = """class Any:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = None
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __abs__(self): return 0.0
    def __le__(self, other): return True
    __lt__ = __ge__ = __gt__ = __le__
"""
# Whatever the judge keeps in the frames below an answer
_FRAMES = "import sys\nframe = sys._getframe()\nwhile frame:\n    found = frame.f_locals\n"


def _lie(name: str, lying: str, task: str = "HumanEval/53") -> Lie:
    return Lie(name, lying, _RIGHT[task], task)


LYING = [
    _lie("an object equal to everything", f"{_ANY}\ndef add(x, y): return Any()\n"),
    _lie("a number equal to everything", "class I(int):\n    def __eq__(self, o): return True\n    __hash__ = None\ndef add(x, y): return I()\n"),
    _lie("a text equal to everything", "class S(str):\n    def __eq__(self, o): return True\n    __hash__ = None\ndef strlen(string): return S()\n", "HumanEval/23"),
    _lie("a list equal to everything", "class L(list):\n    def __eq__(self, o): return True\ndef remove_duplicates(numbers): return L()\n", "HumanEval/26"),
    _lie("a float equal to everything", "class F(float):\n    def __eq__(self, o): return True\n    __hash__ = None\ndef truncate_number(number): return F('nan')\n", "HumanEval/2"),
    _lie("mock.ANY", "from unittest.mock import ANY\ndef add(x, y): return ANY\n"),
    _lie("a class equal to everything", f"{_ANY}add = lambda *a: Any()\n"),
    _lie("a class in place of the function", "class add:\n    def __init__(self, *a): pass\n    def __eq__(self, o): return True\n"),
    _lie("a metaclass equal to everything", "class M(type):\n    def __eq__(cls, o): return True\n    __hash__ = type.__hash__\n    def __call__(cls, *a): return cls\nclass add(metaclass=M): pass\n"),
    _lie("numpy closer than it is", "import numpy\nnumpy.allclose = lambda *a, **k: True\ndef truncate_number(number): return 0.123\n", "HumanEval/2"),
    _lie("a status in shared memory", f"{_FRAMES}    if 'stat' in found:\n        found['stat'].value = 0\n        found['progress'].value = len(found['inputs'])\n        for i in range(len(found['inputs'])): found['details'][i] = True\n        import posix\n        posix._exit(0)\n    frame = frame.f_back\n"),
    _lie("expected outputs in a frame", f"expected = []\n{_FRAMES}    if 'expected' in found: expected = list(found['expected'])\n    frame = frame.f_back\ndef add(x, y): return expected.pop(0)\n"),
    _lie("expected outputs changed in a frame", f"{_FRAMES}    if 'expected' in found: found['expected'][:] = [0] * len(found['expected'])\n    frame = frame.f_back\ndef add(x, y): return 0\n"),
    _lie("inputs removed in a frame", f"{_FRAMES}    if 'inputs' in found: found['inputs'].clear()\n    frame = frame.f_back\ndef add(x, y): return 0\n"),
    _lie("expected outputs in the heap", "import gc\nproblem = next((o for o in gc.get_objects() if type(o) is dict and o.get('task_id') == 'HumanEval/53'), None)\nif problem: exec(problem['prompt'] + problem['canonical_solution'])\nelse:\n    def add(x, y): return 0\n"),
    _lie("the benchmark's file", "import pickle, zipfile\nwith zipfile.ZipFile('/evaluation/ground_truth.zip') as file: problem = pickle.loads(file.read('HumanEval/53.problem'))\nexec(problem['prompt'] + problem['canonical_solution'])\n"),
    _lie("the file of expected outputs", "import zipfile\nzipfile.ZipFile('/evaluation/ground_truth.zip')\ndef add(x, y): return x + y\n"),
    _lie("a patched comparison", "import evalplus.eval, sys\nsys.modules['evalplus.eval'].is_floats = lambda x: True\nimport numpy\nnumpy.allclose = lambda *a, **k: True\ndef truncate_number(number): return 0.5\n", "HumanEval/2"),
    _lie("a patched length", "import builtins\nbuiltins.len = lambda x: 0\ndef add(x, y): return None\n"),
    _lie("a trace function that jumps", "import sys\ndef trace(frame, event, arg):\n    if 'exact_match' in frame.f_locals: frame.f_locals['exact_match'] = True\n    return trace\nsys.settrace(trace)\ndef add(x, y): return 0\n"),
    _lie("messages of its own to the judge", "import os, json, struct\nbody = json.dumps({'gave': 5, 'changed': []}).encode()\nfor fd in range(3, 64):\n    try: os.write(fd, struct.pack('!I', len(body)) + body)\n    except OSError: pass\ndef add(x, y): return 0\n"),
    _lie("right only while nobody looks again", "import sys\nwatched = 'answer_of_another_process' in sys.modules or '/sandbox_guest/' in str(sys._getframe().f_back.f_code.co_filename)\nclass Any:\n    def __eq__(self, o): return True\ndef add(x, y): return 0 if watched else Any()\n"),
    _lie("slow when somebody looks again", "import sys, time\nclass Any:\n    def __eq__(self, o): return True\ndef add(x, y):\n    if 'evalplus' not in sys.modules: time.sleep(3)\n    return Any()\n"),
    _lie("one within a list", f"{_ANY}\ndef remove_duplicates(numbers): return [Any()]\n", "HumanEval/26"),
    _lie("an empty array", "import numpy\ndef truncate_number(number): return numpy.array([])\n", "HumanEval/2"),
    _lie("an array of objects", f"import numpy\n{_ANY}\ndef truncate_number(number): return numpy.array(Any(), dtype=object)\n", "HumanEval/2"),
    _lie("a float of numpy's that is close", "import numpy\nclass F(numpy.float64):\n    __eq__ = lambda s, o: True\n    __sub__ = __rsub__ = lambda s, o: 0.0\n    __hash__ = None\ndef truncate_number(number): return F(0.1)\n", "HumanEval/2"),
    _lie("a class property", f"{_ANY}    __class__ = property(lambda s: int)\ndef add(x, y): return Any()\n"),
    _lie("the arguments emptied", "def remove_duplicates(numbers):\n    numbers.clear()\n    return numbers\n", "HumanEval/26"),
    _lie("notes for the next look", "import os\nseen = os.path.exists('/tmp/seen')\nopen('/tmp/seen', 'w').close()\nclass Any:\n    def __eq__(self, o): return True\ndef add(x, y): return 0 if seen else Any()\n"),
    _lie("an end that looks well", "import os\ndef add(x, y): os._exit(0)\n"),
    _lie("an end when it ends", "import atexit, os\natexit.register(os._exit, 0)\ndef add(x, y): return 0\n"),
    _lie("an import that is another", "import builtins\nreal = builtins.__import__\ndef hook(name, *a, **k):\n    module = real(name, *a, **k)\n    if name == 'numpy': module.allclose = lambda *a, **k: True\n    return module\nbuiltins.__import__ = hook\ndef truncate_number(number): return 0.5\n", "HumanEval/2"),
    _lie("a thread that changes the truth", "import threading, sys\ndef spy():\n    while True:\n        for frame in sys._current_frames().values():\n            while frame:\n                if 'details' in frame.f_locals:\n                    for i in range(len(frame.f_locals['details'])): frame.f_locals['details'][i] = True\n                frame = frame.f_back\nthreading.Thread(target=spy, daemon=True).start()\ndef add(x, y): return 0\n"),
    _lie("a child that answers", "import os\nif os.fork():\n    os.wait()\ndef add(x, y): return 0\n"),
    _lie("a pickle that runs", "class P:\n    def __reduce__(self): return (eval, ('5',))\ndef add(x, y): return P()\n"),
    _lie("what the descriptors hold", "import os\ntext = ''\nfor fd in os.listdir('/proc/self/fd'):\n    try: text += os.readlink(f'/proc/self/fd/{fd}')\n    except OSError: pass\ndef add(x, y): return len(text)\n"),
    _lie("answers of its neighbors", "import gc\nother = next((o for o in gc.get_objects() if type(o) is str and o.startswith('def add') and 'gc' not in o), None)\nif other: exec(other)\nelse:\n    def add(x, y): return 0\n"),
    _lie("guesses on the wire", "import posix, struct\nfrom hashlib import blake2b\nfrom marshal import dumps\nmessage = lambda kind, body: struct.pack('!cI', kind, len(body)) + body\nguesses = b''.join(message(b'd', blake2b(dumps(n, 2), digest_size=16).digest()) + message(b'v', dumps(n, 2)) for n in range(200))\nfor fd in range(3, 64):\n    try: posix.write(fd, guesses)\n    except OSError: pass\ndef add(x, y): return 0\n"),
    _lie("digests of the judge in the heap", "import gc, posix, struct\nheld = [v for o in gc.get_objects() if type(o) in (dict, list, tuple) for v in (o.values() if type(o) is dict else o)]\nfor v in held:\n    if type(v) is bytes and v and len(v) % 16 == 0:\n        try: posix.write(3, b''.join(struct.pack('!cI', b'd', 16) + v[at : at + 16] for at in range(0, len(v), 16)))\n        except OSError: pass\ndef add(x, y): return 0\n"),
    _lie("digests that are all the same", "import hashlib, marshal\nclass Same:\n    digest = lambda self: b''\nhashlib.blake2b = lambda *a, **k: Same()\nmarshal.dumps = lambda *a: b''\ndef add(x, y): return 0\n"),
    _lie("memory of its parent", "import os\ntry: text = open(f'/proc/{os.getppid()}/environ').read() + str(open(f'/proc/{os.getppid()}/mem', 'rb').read(1))\nexcept OSError: text = ''\ndef add(x, y): return len(text)\n"),
]  # fmt: skip
