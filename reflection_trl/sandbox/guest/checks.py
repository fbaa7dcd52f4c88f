"""
The process that runs the checks.

The program cannot reach this process: it is another one, with another memory, that the program's user may not trace,
and the one descriptor that leads here carries data (see `remote`). That every check held is therefore said by a process
in which no line of the program has run.

What the program sends is believed only as data. Objects of the program's own classes stay in the program's process, and
operators on them (`==`, `-`, `len`, ...) are refused unless the checks themselves name the class: otherwise a function
under test could return an object that equals everything. The names of built-ins and of standard modules mean what they
mean in Python, whatever the program made of them.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import re
import sys
import types
from typing import Any

from . import errors
from .remote import BUILTIN_EXCEPTIONS, OPERATIONS, Channel, Disconnected, Peer, ProtocolError, Remote


# Modules that checks use as if they had imported them. `import X` and `from X import name` of the program are followed by
# the checks' own import, and nothing else of these names is taken from the program. None of them runs strings.
_FROM = frozenset(
    [
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
    ]
)
_ALIASES = {"np": "numpy", "pd": "pandas", "dt": "datetime", "it": "itertools"}
_OPERATORS_OF_ANY = frozenset({"__instancecheck__", "__subclasscheck__"})


class ProgramEnded(RuntimeError):
    """The program ended its process in the middle of the checks."""


def run_checks(source: str, channel: Channel, entry_point: str | None) -> dict[str, Any] | None:
    """
    Runs the checks against the program behind `channel`.

    Returns:
        `dict`, *optional*: the error as plain data; `None` when the last line of the checks was reached.
    """
    errors.register_source("checks.py", source)
    peer = Checks(channel, entry_point)
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    try:
        code = errors.compiled(source, "checks.py")
        namespace = _Names(peer, main)
        namespace.prefetch(code)
        exec(code, namespace)
        peer.end()
        return None
    except BaseException as error:  # `SystemExit` too: only the last line counts
        trace = errors.own_traceback(error.__traceback__)
        record = errors.describe(error, trace)
        if isinstance(error, (Disconnected, ProtocolError)):
            record.update(type="ProgramEnded", message="the program ended its process during the checks")
            record["text"] = f"{record['type']}: {record['message']}\n"
        remote = getattr(error, "_remote_record", None)
        if remote is not None:
            record = _join(record, remote, error, trace)
        with contextlib.suppress(BaseException):
            sys.stderr.write(record["text"])
        return record


def _join(record: dict[str, Any], remote: dict[str, Any], error: BaseException, trace: Any) -> dict[str, Any]:
    """One record, and one traceback, of an error that the program raised while the checks called it."""
    ours = errors.format_frames(trace)
    header, _, theirs = remote["text"].partition("Traceback (most recent call last):\n")
    text = f"{header}Traceback (most recent call last):\n{ours}{theirs}" if theirs else record["text"]
    place = remote if remote["line"] is not None else record
    return {**place, "type": remote["type"], "message": remote["message"], "text": errors.cut(text, errors.MAX_TEXT)}


class _Names(dict):
    """The checks' globals: their own names, then the program's."""

    def __init__(self, peer: Checks, main: types.ModuleType):
        super().__init__(__name__="__main__", __builtins__=builtins, __file__="checks.py")
        self.peer = peer
        peer.namespace = self

    def __missing__(self, name: str) -> Any:
        if type(name) is not str or name.startswith("__") or not self.peer.may_provide(name):
            raise KeyError(name)
        return self.peer.lookup(name)

    def prefetch(self, code: types.CodeType) -> None:
        # A class body does not ask `__missing__`, so functions and classes are bound beforehand.
        names = sorted(name for name in _names(code) if not name.startswith("__") and self.peer.may_provide(name))
        for name, how, value in self.peer.request(["names", names]) if names else ():
            if name in names and how != "none":
                try:
                    self[name] = self.peer.bind(name, how, value)
                except KeyError:
                    continue


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


class Checks(Peer):
    """
    The checks' end of the conversation.

    Args:
        channel (`Channel`): leads to the program.
        entry_point (`str`, *optional*): the function under test. Only this name may hide a built-in or a common module.
    """

    def __init__(self, channel: Channel, entry_point: str | None = None):
        super().__init__(channel)
        self.entry_point = entry_point
        self.namespace: dict[str, Any] = {}
        self._named: set[int] = set()
        self._exceptions: dict[int, type] = {}
        self._exception_numbers: dict[type, int] = {}

    def end(self) -> None:
        """Tells the program that the checks are over. It must still be there to hear it."""
        self.channel.send({"end": "checks"})
        if self.channel.receive() != {"end": "program"}:
            raise ProtocolError("not a farewell")

    def may_provide(self, name: str) -> bool:
        return name == self.entry_point or not hasattr(builtins, name)

    def lookup(self, name: str) -> Any:
        """The program's global `name`; `KeyError` when it has none."""
        answer = self.request(["name", name])
        if type(answer) is not tuple or len(answer) != 2:
            raise ProtocolError("not a name")
        return self.bind(name, *answer)

    def bind(self, name: str, how: str, value: Any) -> Any:
        """What `name` means to the checks, given what it means to the program; `KeyError` when nothing."""
        if how == "none":
            raise KeyError(name)
        # The program says that it holds a module of the standard library; which one is told by the name that the checks
        # wrote, so that `json` cannot turn out to be `pickle`.
        if how == "module":
            module = _ALIASES.get(name, name)
            if module in sys.stdlib_module_names or name in _ALIASES:
                return importlib.import_module(module)
            raise KeyError(name)
        if how == "from":
            if value in _FROM and name != "get_type_hints" and hasattr(importlib.import_module(value), name):
                return getattr(importlib.import_module(value), name)
            raise KeyError(name)
        if name in _FROM and name != self.entry_point:
            raise KeyError(name)
        return self.name(value)

    def name(self, value: Any) -> Any:
        """Notes that the checks know this object by name: instances of a class may then answer for themselves."""
        if isinstance(value, Remote) and value._kind == "class":
            self._named.add(value._number)
        return value

    # What the program's objects may answer

    def trusts(self, remote: Remote) -> bool:
        return not self._named.isdisjoint(remote._classes) and remote._kind in ("object", "iterator")

    def demand(self, remote: Remote, name: str) -> None:
        if self.trusts(remote) or name in _OPERATORS_OF_ANY:
            return
        if remote._kind == "iterator" and name in ("__iter__", "__next__"):
            return
        if (
            remote._kind == "class"
            and remote._number in self._named
            and name in ("__iter__", "__getitem__", "__len__")
        ):
            return
        raise TypeError(
            f"the program returned an object of its own type {remote._type!r} where the checks need data ({name})"
        )

    def make_remote(self, number: int, kind: str, type_name: str, classes: tuple[int, ...], bases: list[str]) -> Any:
        if kind == "exception":
            return self._exception(number, type_name, bases)
        if kind == "iterator":
            return _Iterator(self, number, kind, type_name, classes)
        if kind == "coroutine":
            return self._awaitable(number)
        return Remote(self, number, kind, type_name, classes)

    async def _awaitable(self, number: int) -> Any:
        return self.request(["await", number])

    def number_of(self, stand_in: Any) -> int | None:
        return self._exception_numbers.get(stand_in) if isinstance(stand_in, type) else None

    def _exception(self, number: int, name: str, bases: list[str]) -> type:
        """A local exception class in place of the program's, so that `except` and `assertRaises` work."""
        if number not in self._exceptions:
            base = next((BUILTIN_EXCEPTIONS[base] for base in bases if base in BUILTIN_EXCEPTIONS), RuntimeError)
            # An exit or an interrupt of the program is a failure of it, never an exit of the checks.
            base = base if issubclass(base, Exception) else ProgramEnded
            self._exceptions[number] = type(name if name.isidentifier() else "Error", (base,), {})
            self._exception_numbers[self._exceptions[number]] = number
        return self._exceptions[number]

    def rebuild_error(self, description: dict[str, Any]) -> BaseException:
        record = {key: description["record"][key] for key in errors.FIELDS}
        for key, value in record.items():
            if type(value) is int and value < 1 << 31:
                continue
            record[key] = None if value is None else errors.cut(str(value), errors.MAX_TEXT)
        data = description["class"]
        cls = self.resolve(data) if data[0] == "R" else BUILTIN_EXCEPTIONS[data[1]]
        if not issubclass(cls, Exception):
            cls = ProgramEnded
        args = [arg if type(arg) in (str, bool, int, float, type(None)) else str(arg) for arg in description["args"]]
        error: Any = RuntimeError(record["message"]) if issubclass(cls, UnicodeError) else cls.__new__(cls, *args)
        error.args = tuple(args)
        for name, value in description["attributes"].items():
            if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and type(value) in (str, bool, int, float, type(None)):
                with contextlib.suppress(AttributeError, TypeError):
                    setattr(error, name, value)
        if isinstance(error, KeyError) and not args:
            error.args = ()
        error._remote_record = record
        return error

    # What the checks' objects answer to the program: calls, iteration, operators and public attributes of instances of
    # the checks' own classes.
    # Nothing here leads to a frame, a module or a namespace.

    def serve(self, what: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        action, value = what[0], self.exported(what[1])
        if action == "call" and isinstance(
            value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)
        ):
            return value(*args, **kwargs)
        if action == "op" and what[2] in ("__iter__", "__next__") and hasattr(type(value), "__iter__"):
            return iter(value) if what[2] == "__iter__" else next(value)
        if action == "op" and self._own(value):
            return OPERATIONS[what[2]](value, *args)
        if action == "op" and what[2] in ("__repr__", "__str__"):
            return f"<{type(value).__name__} object of the checks>"
        if action in ("get", "set", "op") and isinstance(value, types.FunctionType) and what[2] == "__name__":
            return value.__name__
        if action in ("get", "set") and type(what[2]) is str and not what[2].startswith("_") and self._own(value):
            return getattr(value, what[2]) if action == "get" else setattr(value, what[2], *args)
        raise TypeError(f"{type(value).__name__!r} object of the checks does not support this")

    def _own(self, value: Any) -> bool:
        cls = type(value)
        return cls.__module__ == "__main__" and self.namespace.get(cls.__name__) is cls

    def describe_error(self, error: BaseException) -> dict[str, Any]:
        return {"type": type(error).__name__, "message": errors.cut(str(error), errors.MAX_MESSAGE)}


class _Iterator(Remote):
    """An iterator of the program: consumed once, as any iterator."""

    __slots__ = ()

    def __iter__(self) -> _Iterator:
        return self
