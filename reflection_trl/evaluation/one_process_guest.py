"""Runs an answer and the tests of its benchmark in one process, inside the sandbox. Nothing here is imported outside of it.

Checks in another process call [`run_unittest`] or [`run_context`], which raises the first failure, or returns the names
of the passed tests. The tests arrive with this call, so they are in no file that the answer can read. Since the answer
could change anything here, comparisons are tested again after the tests, and [`_Watch`] compares the process with what
it was before.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import copy
import ctypes
import importlib
import io
import operator
import os
import re
import sys
import tempfile
import types
import unittest
import unittest.mock
from collections.abc import Callable, Iterator
from typing import Any


_ANSWER, _CONTEXT = "answer.py", "context.py"
_MOCK = unittest.mock.Mock.__init__.__code__.co_filename
_PR_SET_DUMPABLE = 4
_DESCRIPTORS = (
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    classmethod,
    staticmethod,
)
# Members of a class with which its instances cannot pretend to be a result
_PLAIN_MEMBERS = frozenset(
    ["__init__", "__new__", "__repr__", "__str__", "__post_init__", "__enter__", "__exit__", "__module__", "__doc__", "__class_getitem__",
     "__init_subclass__", "__annotations__", "__signature__", "__orig_class__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"]
)  # fmt: skip
# Names that code built from text does not use in a library
_NOT_IN_TEXT = frozenset(
    ["unittest", "mock", "TestCase", "__import__", "__globals__", "__subclasses__", "__builtins__", "__code__", "__closure__", "__main__",
     "__test__", "modules", "gc", "ctypes", "_getframe", "settrace", "setprofile", "tb_frame", "f_back", "f_locals", "f_globals"]
)  # fmt: skip
# What neither pickles of data nor text that a library evaluates (`sympy.sympify`) contain, and modules that pickles of data do not
_BUILTINS_THAT_REACH = frozenset(
    ["__import__", "compile", "delattr", "eval", "exec", "getattr", "globals", "locals", "setattr", "vars"]
)
_NOT_OF_DATA = frozenset(
    ["_ctypes", "code", "ctypes", "gc", "importlib", "inspect", "operator", "string", "sys", "traceback", "unittest"]
)
# Modules whose functions compare for the tests
_COMPARES = re.compile(
    r"(?:builtins|numpy)$|(?:unittest|numpy\.testing|pandas\._?testing)(?:\.|$)|torch\.testing(?:\._comparison)?$"
)
# The name by which tests call [`_Watch.call`]
_CALL = "__reflection_trl_call__"
# Built-in functions that depend on their caller
_OF_CALLER = frozenset(["dir", "eval", "exec", "globals", "locals", "super", "vars"])
# Names of modules that tests may use through the imports of an answer
_MODULES = frozenset(sys.stdlib_module_names) | {
    "np",
    "pd",
    "plt",
    "sns",
    "tf",
    "torch",
    "nx",
    "sp",
    "numpy",
    "pandas",
    "requests",
}


class _Sink(io.StringIO):
    """Discards standard output."""

    def write(self, text: str) -> int:
        return len(text)


class _Recorder(unittest.TestResult):
    """Records the names of passed tests, and the first failure."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []
        self.failure: BaseException | None = None

    def _fail(self, test: Any, raised: Any) -> None:
        if self.failure is None:
            name = test.id().rpartition(".")[2]
            error: BaseException = raised[1]
            self.failure = AssertionError(f"{name}: {error}") if isinstance(error, AssertionError) else error

    def addSuccess(self, test: Any) -> None:
        self.passed.append(test.id().rpartition(".")[2])

    def addSkip(self, test: Any, reason: str) -> None:
        method = getattr(type(test), getattr(test, "_testMethodName", ""), None)
        if any(getattr(one, "__unittest_skip__", False) for one in (type(test), method)):
            self.addSuccess(test)
        else:  # an answer can raise `SkipTest`
            self.failure = self.failure or AssertionError(f"{test.id().rpartition('.')[2]} was skipped: {reason}")

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.addSuccess(test)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._fail(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._fail(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, err)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    for name, value in {
        "MPLBACKEND": "Agg",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TZ": "UTC",
    }.items():
        os.environ[name] = value
    with contextlib.redirect_stdout(_Sink()), contextlib.redirect_stderr(_Sink()):
        yield


def run_unittest(answer: str, tests: str, token: str, checks_classes: bool = True) -> list[Any]:
    """
    Runs `TestCases` of `tests` after the answer, in one module, as BigCodeBench does.

    Args:
        answer (`str`):
            The answer's code.
        tests (`str`):
            Code that defines the class `TestCases`.
        token (`str`):
            A secret that is returned with the names of the passed tests, so that no message of the answer is taken for
            a result.
        checks_classes (`bool`, *optional*, defaults to `True`):
            Whether a class of the answer with special methods is a failure.

    Returns:
        `list`: The token and the names.
    """
    recorder, module = _Recorder(), types.ModuleType("__test__")
    vars(module).update(
        __builtins__=builtins, __file__="__test__.py", __package__=None, sys=sys, os=os, environ=os.environ
    )
    with _quiet():
        watch = _Watch(tests, answer, checks_classes)
        # Otherwise the `from __future__` of this file would apply to it
        exec(compile(answer, _ANSWER, "exec", dont_inherit=True), vars(module))
        watch.check()
        watch.check_names(vars(module))
        watch.guard(vars(module))
        exec(compile(_watched(tests), "__test__.py", "exec", dont_inherit=True), vars(module))
        sys.modules["__test__"] = module
        names = dict(vars(module))
        unittest.TestLoader().loadTestsFromTestCase(module.TestCases).run(recorder)
        if recorder.failure is not None:
            raise recorder.failure
        _check_tools()
        watch.check()
        watch.check_names({name: value for name, value in vars(module).items() if names.get(name) is not value})
    return [token, sorted(set(recorder.passed))]


def run_context(answer: str, context: str, token: str, checks_classes: bool = True) -> list[Any]:
    """
    Runs the functions `test_execution` and `test_string` of DS-1000's `code_context` on the answer.

    Args:
        answer (`str`):
            Code that replaces `[insert]`.
        context (`str`):
            Code that defines the functions; the second may be missing.
        token (`str`):
            See [`run_unittest`].
        checks_classes (`bool`, *optional*, defaults to `True`):
            See [`run_unittest`].

    Returns:
        `list`: The token and the names of the functions.
    """
    passed: list[str] = []
    namespace: dict[str, Any] = {"__name__": "__test__"}
    with _quiet():
        exec(compile(context, _CONTEXT, "exec", dont_inherit=True), namespace)
        if "exec_test" in namespace:
            namespace["exec_test"] = _refusing_vacuous(namespace["exec_test"])
        before = _accepts_anything(namespace)
        program = str(namespace.get("exec_context", "")).replace("[insert]", answer)
        watch = _Watch(context, program, checks_classes)
        if "exec_test" in namespace:
            namespace["exec_test"] = watch.comparing(namespace["exec_test"])
        for name in ("test_execution", "test_string"):
            if name in namespace:
                namespace[name](answer)
                passed.append(name)
        _check_tools()
        watch.check()
        if _accepts_anything(namespace) != before:
            raise AssertionError("The answer has changed what its tests compare with.")
    return [token, sorted(passed)]


def _watched(tests: str) -> ast.Module:
    """Returns tests whose calls are made by [`_Watch.call`]."""
    tree = ast.parse(tests)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _OF_CALLER):
            node.args.insert(0, node.func)
            node.func = ast.copy_location(ast.Name(_CALL, ast.Load()), node.func)
    return tree


def _refusing_vacuous(exec_test: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a comparison that rejects masked values and empty arrays, in which NumPy finds no difference to anything."""

    def compare(result: Any, expected: Any, *more: Any) -> Any:
        if _is_masked(result) and not _is_masked(expected):
            raise AssertionError("The result has masked values, which equal everything.")
        if _is_empty(result) and not _is_empty(expected):
            raise AssertionError("The result is an empty array.")
        return exec_test(result, expected, *more)

    return compare


def _is_empty(value: Any) -> bool:
    """Returns whether a value is an array without elements. Compared with a number, each of its elements is equal to it."""
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple) and 0 in shape


def _is_masked(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_masked, value))
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(value, masked.MaskedArray) and bool(masked.getmaskarray(value).any())


class _Watch:
    """
    Finds what an answer does to the process of its tests, however its code is written: functions and modules that it
    replaces, classes whose instances answer for themselves, and code that it builds from text.

    The modules of both programs are imported here: before the answer can change them, and because libraries in
    Cython replace functions of `inspect` when they are imported, which is not what the answer does.

    Args:
        tests (`str`):
            The tests.
        program (`str`):
            The program that contains the answer.
        checks_classes (`bool`):
            Whether classes are checked.
    """

    def __init__(self, tests: str, program: str, checks_classes: bool):
        # Otherwise the answer could read the tests, and the token, in its own memory
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        self._tree = ast.parse(tests)
        for name in [*_imports(tests), *_imports(program)]:
            with contextlib.suppress(Exception, SystemExit):
                importlib.import_module(name)
        _check_tools()  # imports what comparisons import on first use
        self._checks_classes = checks_classes
        self._classes = set(_all_classes())
        self._values = self._snapshot()
        self._built: list[str] = []
        self._hooked = False
        self._replaced: list[str] = []
        self._names_of_tests: dict[str, Any] = {}
        self._comparing = [
            *((name, vars(module)) for name, module in sys.modules.items() if _COMPARES.match(name)),
            *((cls.__name__, vars(cls)) for cls in (unittest.TestCase, unittest.TestResult)),
        ]
        sys.addaudithook(self._hear)

    def check(self) -> None:
        """Raises an error if the answer has done something that honest ones do not."""
        if self._hooked:
            raise AssertionError("The answer adds an audit hook, which would see its tests.")
        if self._replaced:
            raise AssertionError(f"The answer replaces {self._replaced[0]}.")
        if self._built:
            raise AssertionError(f"The answer runs code that it builds from text, which uses {self._built[0]}.")
        for place, value in self._snapshot().items():
            if place in self._values and self._values[place] is not value and not _is_of_tests(value):
                raise AssertionError(f"The answer replaces {place[0]}.{place[1]}.")
        if self._checks_classes:
            for cls in set(_all_classes()) - self._classes:
                if any(_is_of_answer(cls, name, value) for name, value in list(vars(cls).items())):
                    raise AssertionError(f"The answer defines a class that may answer for itself: {cls.__name__}.")

    def guard(self, namespace: dict[str, Any]) -> None:
        """Adds [`_Watch.call`] to the names of the tests."""
        namespace[_CALL] = self.call
        self._names_of_tests = namespace

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function for the tests, and notices what it replaces, or puts back before the end of the tests."""
        if isinstance(function, types.BuiltinFunctionType | type):  # the most frequent calls
            return function(*args, **kwargs)
        before = self._comparisons_now()
        try:
            return function(*args, **kwargs)
        finally:
            self._notice(before)

    def comparing(self, exec_test: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a comparison that notices what an answer has replaced before it."""
        before = self._comparisons_now()

        def compare(*values: Any) -> Any:
            self._notice(before)
            return exec_test(*values)

        return compare

    def _comparisons_now(self) -> list[dict[str, Any]]:
        return [dict(names) for _, names in self._comparing]

    def _notice(self, before: list[dict[str, Any]]) -> None:
        for (place, names), known in zip(self._comparing, before, strict=True):
            if all(map(operator.is_, [*names.values()], known.values())):
                continue
            for name, value in known.items():
                now = names.get(name)
                if now is not value and callable(value) and not (_is_of_tests(now) or _is_of_tests(value)):
                    self._replaced.append(f"{place}.{name}")
        if self._names_of_tests.get(_CALL, self.call) != self.call:
            self._replaced.append(_CALL)

    def check_names(self, namespace: dict[str, Any]) -> None:
        """Raises an error if the answer's names hide built-ins, or modules that the tests use through the answer."""
        roots = {
            node.value.id
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        for name, value in namespace.items():
            hides = hasattr(builtins, name) and not name.startswith("__")
            if (hides or (name in roots and name in _MODULES)) and not _is_of_library(name, value):
                raise AssertionError(f"The answer replaces {name}.")

    @staticmethod
    def _snapshot() -> dict[tuple[str, str], Any]:
        values: dict[tuple[str, str], Any] = {}
        for module_name, module in list(sys.modules.items()):
            if not isinstance(module, types.ModuleType) or module_name in ("__main__", "__test__"):
                continue
            for name, value in list(vars(module).items()):
                if callable(value) or isinstance(value, types.ModuleType):
                    values[module_name, name] = value
        for cls in (unittest.TestCase, unittest.TestResult, unittest.TestSuite, unittest.TestLoader):
            values.update({(cls.__name__, name): value for name, value in vars(cls).items()})
        return values

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "sys.addaudithook":
            self._hooked = True
        elif event == "pickle.find_class":  # also in `numpy.load`, `shelve` or `multiprocessing`
            module, name = map(str, args)
            root, first = module.partition(".")[0], name.partition(".")[0]
            if root in _NOT_OF_DATA or (module == "builtins" and first in _BUILTINS_THAT_REACH):
                self._built.append(f"{module}.{name}")
        elif event == "object.__setattr__" and args[1] == "__code__":
            self._built.append("__code__")
        elif event == "exec" and isinstance(args[0], types.CodeType) and not _is_file_of_library(args[0].co_filename):
            caller, here = sys._getframe(1).f_code.co_filename, sys._getframe().f_code.co_filename
            unusual = _NOT_IN_TEXT | (_BUILTINS_THAT_REACH if args[0].co_filename == "<string>" else set())
            self._built += unusual & _names_in(args[0]) if caller not in (here, _CONTEXT, _MOCK) else ()


def _imports(source: str) -> Iterator[str]:
    """Yields the names after `import`, each of which may be a module. Code that does not parse has none."""
    try:
        tree = ast.parse(source)
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _all_classes() -> list[type]:
    """Returns all classes."""
    found: list[type] = []
    left: list[type] = [object]
    seen: set[int] = set()
    while left:
        cls = left.pop()
        if id(cls) not in seen:
            seen.add(id(cls))
            found.append(cls)
            left += type.__subclasses__(cls)
    return found


def _names_in(code: types.CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    parts = {part for name in code.co_names for part in name.split(".")}
    return parts.union(*map(_names_in, inner))


def _is_file_of_library(filename: str) -> bool:
    return filename.startswith(("<frozen ", f"{sys.prefix}/", f"{sys.base_prefix}/", "/usr/"))


def _is_of_library(name: str, value: Any) -> bool:
    """Returns whether a value is a module, or what a module calls by this name."""
    if isinstance(value, types.ModuleType):
        return any(value is module for module in list(sys.modules.values()))
    return vars(sys.modules.get(getattr(value, "__module__", None) or "", types)).get(name) is value


def _is_of_tests(value: Any) -> bool:
    """Returns whether a value is a mock, or a function of the tests, which may leave their patches in place."""
    code = getattr(value, "__code__", None)
    mocks = (value, vars(value).get("mock")) if isinstance(value, types.FunctionType) else (value,)  # `autospec=True`
    return (
        any(type(one).__module__ == "unittest.mock" for one in mocks)
        or getattr(code, "co_filename", "") == "__test__.py"
    )


def _is_of_answer(cls: type, name: str, value: Any) -> bool:
    """Returns whether a special method of a class is one that the answer has written or chosen."""
    if not (name.startswith("__") and name.endswith("__")) or name in _PLAIN_MEMBERS or value is None:
        return False
    if isinstance(value, types.FunctionType):
        generated = "__dataclass_fields__" in vars(cls) and value.__code__.co_filename == "<string>"
        return value.__code__.co_filename in (_ANSWER, "<string>") and not generated
    of_library = getattr(sys.modules.get(cls.__module__), cls.__qualname__.partition(".")[0], None) is not None
    return callable(value) and not of_library and not isinstance(value, _DESCRIPTORS)


def _accepts_anything(namespace: dict[str, Any]) -> bool:
    """
    Returns whether the comparison of a context accepts an object that is not a result. Runs in an empty folder,
    because some contexts compare a plot that the answer saves, and not the object.
    """
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            _, expected = namespace["generate_test_case"](1)
            return bool(namespace["exec_test"](object(), copy.deepcopy(expected)))
    except Exception:
        return False


def _comparisons() -> tuple[list[Callable[[], Any]], list[Callable[[], bool]]]:
    """Returns calls of comparisons that tests use: some that must fail, and some that must hold."""
    case: Any = unittest.TestCase()
    must_fail: list[Callable[[], Any]] = [
        lambda: case.assertEqual(1, 2),
        lambda: case.assertNotEqual(1, 1),
        lambda: case.assertTrue(False),
        lambda: case.assertFalse(True),
        lambda: case.assertIs(1, None),
        lambda: case.assertIsNone(1),
        lambda: case.assertIsNotNone(None),
        lambda: case.assertIn(1, []),
        lambda: case.assertNotIn(1, [1]),
        lambda: case.assertIsInstance(1, str),
        lambda: case.assertAlmostEqual(1, 2),
        lambda: case.assertGreater(1, 2),
        lambda: case.assertGreaterEqual(1, 2),
        lambda: case.assertLess(2, 1),
        lambda: case.assertLessEqual(2, 1),
        lambda: case.assertListEqual([1], [2]),
        lambda: case.assertDictEqual({1: 1}, {}),
        lambda: case.assertCountEqual([1], [2]),
        lambda: case.assertRegex("a", "b"),
        lambda: case.assertRaises(ValueError, int),
    ]
    must_hold: list[Callable[[], bool]] = [
        lambda: len([1]) == 1,
        lambda: not isinstance(1, str),
        lambda: sorted([2, 1]) == [1, 2],
        lambda: abs(-1) == 1,
        lambda: not all([False]),
        lambda: not any([]),
    ]
    numpy, pandas, torch = (sys.modules.get(name) for name in ("numpy", "pandas", "torch"))
    if numpy is not None:
        must_fail += [
            lambda: numpy.testing.assert_array_equal([1], [2]),
            lambda: numpy.testing.assert_equal([1], [2]),
            lambda: numpy.testing.assert_allclose([1.0], [2.0]),
            lambda: numpy.testing.assert_almost_equal(1.0, 2.0),
            lambda: numpy.testing.assert_array_almost_equal([1.0], [2.0]),
        ]
        must_hold += [
            lambda: not numpy.allclose(1.0, 2.0),
            lambda: not numpy.isclose(1.0, 2.0),
            lambda: not numpy.array_equal([1], [2]),
            lambda: not (numpy.array([1]) == numpy.array([2])).all(),
        ]
    if pandas is not None:
        ones, twos = (pandas.DataFrame({"a": [number]}) for number in (1, 2))
        must_fail += [
            lambda: pandas.testing.assert_frame_equal(ones, twos),
            lambda: pandas.testing.assert_series_equal(ones["a"], twos["a"]),
            lambda: pandas.testing.assert_index_equal(pandas.Index([1]), pandas.Index([2])),
        ]
        must_hold += [
            lambda: not ones.equals(twos),
            lambda: not ones["a"].equals(twos["a"]),
            lambda: not (ones == twos).all().all(),
        ]
    if torch is not None:
        one, two = torch.tensor([1.0]), torch.tensor([2.0])
        must_fail.append(lambda: torch.testing.assert_close(one, two))
        must_hold += [lambda: not torch.allclose(one, two), lambda: not torch.equal(one, two)]
    return must_fail, must_hold


def _check_tools() -> None:
    """Raises an error if a comparison that tests use accepts different values."""
    must_fail, must_hold = _comparisons()
    for tried in must_fail:
        try:
            tried()
        except Exception:
            continue
        break
    else:
        if all(held() for held in must_hold):
            return
    raise AssertionError("The answer has changed what its tests compare with.")
