"""
Handles `eval`, `exec` and pickles in the checks.

A check may evaluate text that the program returned: `eval(solve(24)) == 24`. In the process of the checks that text
could create an object that equals everything, or end the checks. So **text of the program runs in the program's
process**, and its outcome is sent like any other. Pickles may contain only data, and files of the program are not
imported.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import re
import sys
import types
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from .remote import Peer, Remote


_RUNS = re.compile(r"\b(?:eval|exec|compile)\s*\(")
# Functions through which text can reach the checks other than from the program
_READS = re.compile(r"\bopen\s*\(|read_text|subprocess|environ")
_LOADS = re.compile(r"pickle|shelve|joblib|np\.load|numpy\.load|runpy|importlib|__import__|sys\.path")
# Classes that pickles of data may name
_DATA = {
    "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple",
    "collections": "Counter OrderedDict defaultdict deque",
    "copyreg": "_reconstructor __newobj__",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "numpy": "dtype ndarray",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
}


def install(source: str, peer: Peer, namespace: dict[str, Any], may_set: Callable[[str], bool]) -> Texts | None:
    """
    Prepares checks that evaluate text, or read pickles.

    Args:
        source (`str`):
            The checks.
        peer (`Peer`):
            Their side of the connection.
        namespace (`dict`):
            Their globals.
        may_set (`Callable[[str], bool]`):
            Whether text of the program may give a global name a meaning.
    """
    if _LOADS.search(source):
        sys.addaudithook(_Guard(namespace))
    if not _RUNS.search(source):
        return None
    texts = Texts(peer, may_set, known=_READS.search(source) is None)
    for name in ("eval", "exec", "compile"):
        if name not in namespace:  # the function under test may have this name
            namespace[name] = getattr(texts, name)
    return texts


class Compiled:
    """Holds the result of `compile` for text that may come from the program: its code stays text."""

    def __init__(self, source: str, mode: str):
        self.source, self.mode = source, mode


class Texts:
    """
    Implements `eval`, `exec` and `compile` for the checks.

    Args:
        peer (`Peer`):
            Connection to the program.
        may_set (`Callable[[str], bool]`):
            Whether text of the program may give a global name a meaning.
        known (`bool`):
            Whether all text is the checks' own, as long as the program has sent none.
    """

    def __init__(self, peer: Peer, may_set: Callable[[str], bool], known: bool):
        self._peer, self._may_set, self._known = peer, may_set, known
        self._received: list[str] = []

    def note(self, value: Any) -> None:
        """Records the texts that the program has sent."""
        if type(value) is str:
            self._received.append(value)
        with contextlib.suppress(RecursionError):  # a container that contains itself
            self._known = self._known and not _holds_text(value)
            return
        self._known = False

    def compile(self, source: Any, filename: Any = "<string>", mode: str = "exec", *rest: Any, **named: Any) -> Any:
        code = builtins.compile(source, "<string>", mode, *rest, **named)
        if self._known or not isinstance(code, CodeType):
            return code
        return Compiled(_text(source), mode)

    def eval(self, source: Any, globals: Any = None, locals: Any = None, /) -> Any:
        return self._run("eval", source, globals, locals, sys._getframe(1))

    def exec(self, source: Any, globals: Any = None, locals: Any = None, /) -> None:
        self._run("exec", source, globals, locals, sys._getframe(1))

    def _run(self, mode: str, source: Any, globals: Any, locals: Any, frame: FrameType) -> Any:
        implicit = globals is None and locals is None
        if isinstance(source, Compiled):
            source, mode = source.source, source.mode
        elif self._known or isinstance(source, CodeType):
            globals = frame.f_globals if globals is None else globals
            return getattr(builtins, mode)(source, globals, frame.f_locals if implicit else locals)
        text = _text(source)
        builtins.compile(text, "<string>", mode)  # the `SyntaxError` that Python raises
        variables = {**frame.f_globals, **frame.f_locals} if implicit else {**(globals or {}), **(locals or {})}
        # The program's text cannot name values of the checks, such as expected ones
        given = {
            name: value
            for name, value in variables.items()
            if type(name) is str
            and not isinstance(value, types.ModuleType)
            and (name != "__builtins__" or type(value) is dict)
            and (not implicit or isinstance(value, Remote) or any(value is text for text in self._received))
        }
        modules = {
            name: value.__name__
            for name, value in variables.items()
            if isinstance(value, types.ModuleType) and name != "__builtins__"
        }
        result, changed = self._peer.request(["run", mode, implicit], (text, given, modules))
        target = frame.f_globals if implicit else locals if locals is not None else globals
        for name, value in changed.items():
            if not implicit or (name not in target and self._may_set(name)):
                target[name] = value
        return result


def run_text(mode: str, implicit: bool, text: str, given: Any, modules: Any, namespace: dict[str, Any]) -> Any:
    """Runs a text in the process of the program; returns its outcome, and the names that it has set."""
    import importlib

    scope = dict(given) | {name: importlib.import_module(module) for name, module in modules.items()}
    if implicit:
        scope = {**namespace, **scope}
    before = dict(scope)
    result = getattr(builtins, mode)(text, scope)
    changed = {
        name: value
        for name, value in scope.items()
        if name != "__builtins__" and not (name in before and before[name] is value)
    }
    return result, changed


class _Guard:
    """
    Implements an audit hook: pickles contain only data, and no file that the program can write is imported or run.

    Args:
        namespace (`dict`):
            Globals of the checks, whose own classes pickles may name.
    """

    def __init__(self, namespace: dict[str, Any]):
        self._namespace = namespace
        self._writable = (os.getcwd() + "/", "/tmp/", "/dev/shm/")

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "pickle.find_class":
            module, name = args
            own = module == "__main__" and isinstance(dict.get(self._namespace, name), type)
            if not own and name not in _DATA.get(module, "").split():
                raise TypeError(f"the program's pickle names `{module}.{name}`, and the checks read data only")
        elif event == "compile" and isinstance(args[1], str) and self._is_written(args[1]):
            raise ImportError(f"{os.path.basename(args[1])!r} is a file of the program, which the checks do not run")

    def _is_written(self, filename: str) -> bool:
        return filename[:1] != "<" and os.path.abspath(filename).startswith(self._writable)


def _text(source: Any) -> str:
    return source if isinstance(source, str) else bytes(source).decode()


def _holds_text(value: Any) -> bool:
    if isinstance(value, Remote):
        return False
    if isinstance(value, (str, bytes, bytearray)):
        return True
    if isinstance(value, dict):
        return any(map(_holds_text, (*value.keys(), *value.values())))
    return isinstance(value, (list, tuple, set, frozenset)) and any(map(_holds_text, value))
