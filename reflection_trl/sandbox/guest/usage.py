"""Determines which names of the program the checks use as classes under test, and which as Python's own helpers."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import re
import sys
from collections.abc import Iterable

from .remote import DATA_METHODS


# Modules whose names checks use without importing them. None of them runs strings.
FROM = (
    "bisect",
    "cmath",
    "collections",
    "copy",
    "datetime",
    "decimal",
    "fractions",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "typing",
)
ALIASES = {"np": "numpy", "pd": "pandas", "dt": "datetime", "it": "itertools"}
# No problem asks for these
_HELPERS = frozenset(
    ["Counter", "OrderedDict", "defaultdict", "deepcopy", "deque", "fabs", "inf", "isclose", "isfinite", "isinf", "isnan", "nan", "pi"]
)  # fmt: skip
_CLASSES = frozenset(["Decimal", "Fraction", "Random", "date", "datetime", "namedtuple", "partial", "timedelta"])
# Names of other packages that checks use, which are never the program's either
LIBRARIES = {
    "allclose": "numpy",
    "approx": "pytest",
    "array_equal": "numpy",
    "assert_allclose": "numpy.testing",
    "assert_almost_equal": "numpy.testing",
    "assert_array_equal": "numpy.testing",
    "assert_equal": "numpy.testing",
    "raises": "pytest",
}
_CLASS_NAME = re.compile(r"_*[A-Z][A-Za-z0-9]*")


def is_module(name: str) -> bool:
    return name in ALIASES or name in sys.stdlib_module_names


def home_of(name: str) -> str | None:
    """Returns the module with a public `name` that checks use."""
    return LIBRARIES.get(name) or _homes().get(name)


@functools.cache
def _homes() -> dict[str, str]:
    """Returns the first module of `FROM` with each name. Runs before the first job, since it imports them all."""
    return {
        name: module
        for module in reversed(FROM)
        for name in dir(importlib.import_module(module))
        if not name.startswith("_")
    }


def prepare() -> None:
    """Imports the modules that each job would import."""
    _homes()


class Usage:
    """
    Determines how the checks use names that they do not define. Parses them when a name depends on it first, which few do.

    Args:
        source (`str`):
            The checks.
    """

    def __init__(self, source: str):
        self._source = source

    @functools.cached_property
    def _found(self) -> _Finder:
        return _Finder(self._source)

    def prepare(self, names: Iterable[str]) -> None:
        """Parses the checks now if the meaning of one of `names` depends on it: deep in a recursion that could fail."""
        if any(is_module(name) or home_of(name) is not None for name in names):
            self._found  # noqa: B018  (computed once)

    def tests_class(self, name: str) -> bool:
        """Returns whether the checks test the class `name`: they name it as classes are named, or treat it as one."""
        return bool(_CLASS_NAME.fullmatch(name)) or name in self._found.as_class or name in self._found.asked

    def means_module(self, name: str) -> bool:
        """Returns whether `name` is that of a module and is never called."""
        return is_module(name) and (name in self._found.asked or name not in self._found.called)

    def means_helper(self, name: str, entry_point: str | None, is_class: bool = False, is_data: bool = False) -> bool:
        """
        Returns whether `name` is a function or a constant of Python to the checks, although the program has one of
        that name.

        Args:
            name (`str`):
                The name.
            entry_point (`str` or `None`):
                The function under test.
            is_class (`bool`, *optional*, defaults to `False`):
                Whether it is a class in the program: a class `A` is not `re.A`.
            is_data (`bool`, *optional*, defaults to `False`):
                Whether it is data in the program: a list `log` that is never called is not `math.log`.
        """
        home = home_of(name)
        if home is None:
            return False
        if name in _HELPERS or name in LIBRARIES:
            return True
        if name not in self._found.called:
            named_as_class = is_class and _CLASS_NAME.fullmatch(name) is not None
            return not named_as_class and not (is_data and callable(getattr(importlib.import_module(home), name)))
        if name in _CLASSES:
            # Except for the class under test, in which case nothing else of the program is called
            return entry_point is not None or any(
                home_of(called) is None and not hasattr(builtins, called)
                for called in self._found.called - self._found.defined
            )
        if not callable(getattr(importlib.import_module(home), name)):
            return False
        # Functions that are called with results of the function under test. If that is known, also those called with
        # anything but data, since only another function under test is called with data
        around = self._found.around.get(name, set()) - {name}
        if entry_point is not None:
            return bool(around) or name in self._found.with_variables
        return any(home_of(inner) is None and not is_module(inner) for inner in around)


class _Finder:
    """Finds how a source uses its names."""

    def __init__(self, source: str):
        self.as_class: set[str] = set()
        self.around: dict[str, set[str]] = {}  # by function: the functions that are called in its arguments
        self.with_variables: set[str] = set()
        self.called: set[str] = set()
        self.asked: set[str] = set()
        self.defined: set[str] = set()
        try:
            nodes = list(ast.walk(ast.parse(source)))
        except (MemoryError, RecursionError, SyntaxError, ValueError):
            return
        made = self._made(nodes)
        for node in nodes:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                self.defined.add(node.name)
            if isinstance(node, ast.ClassDef):
                self.as_class |= {name for base in node.bases for name in _names(base)}
            elif isinstance(node, ast.Call):
                self._read_call(node)
            elif isinstance(node, ast.Attribute):
                self._read_attribute(node, made)

    @staticmethod
    def _made(nodes: list[ast.AST]) -> dict[str, str]:
        """Returns the variables that hold the result of a call, with the name that was called."""
        return {
            target.id: node.value.func.id
            for node in nodes
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
            for target in node.targets
            if isinstance(target, ast.Name)
        }  # fmt: skip

    def _read_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name):
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("assertIsInstance", "assertNotIsInstance"):
                self.as_class |= {name for argument in node.args[1:2] for name in _names(argument)}
            return
        if node.func.id in ("isinstance", "issubclass"):
            self.as_class |= {name for argument in node.args[1:] for name in _names(argument)}
        self.called.add(node.func.id)
        inner = [*node.args, *(keyword.value for keyword in node.keywords)]
        if any(isinstance(one, ast.Name) and not hasattr(builtins, one.id) for one in inner):
            self.with_variables.add(node.func.id)
        calls = (one for argument in inner for one in ast.walk(argument) if isinstance(one, ast.Call))
        self.around.setdefault(node.func.id, set()).update(
            one.func.id for one in calls if isinstance(one.func, ast.Name)
        )

    def _read_attribute(self, node: ast.Attribute, made: dict[str, str]) -> None:
        value = node.value
        if isinstance(value, ast.Name):
            self.asked.add(value.id)
            if value.id in made and node.attr not in DATA_METHODS:
                self.as_class.add(made[value.id])
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and node.attr not in DATA_METHODS:
            self.as_class.add(value.func.id)


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
