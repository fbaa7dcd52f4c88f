"""
Runs the checks in a separate process.

The program cannot reach this process: its memory is separate, the program's user may not trace it, and the one
descriptor that connects the two carries data only (see `remote`). So a process in which no line of the program has run
decides whether every check passed.

This process trusts the program's messages as data only. The program's objects stay in its process, and one rule limits
their use: **a check never sends an expected value to the program to be judged there.** So an object of the program

- is equal to another one by the program's `==` where the checks test its class, and never equal to data. If its class
  derives from a built-in type, such as `list`, its content is sent and compared here;
- is not ordered, subtracted from or searched with a value of the checks, unless the checks have made it themselves;
- has no truth, length, items or text of its own unless the checks test its class.

A comparison that these rules cannot decide raises an error that says so. Names of built-ins and of standard modules
refer to Python's own, even if the program redefines them.
"""

from __future__ import annotations

import _thread
import builtins
import collections
import contextlib
import functools
import importlib
import io
import re
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

from . import derived, errors, runners, texts
from .exceptions import Exceptions
from .places import Places
from .remote import (
    ARITHMETIC,
    COMPARISONS,
    DATA_METHODS,
    IN_PLACE,
    OPERATIONS,
    Channel,
    Disconnected,
    Encoder,
    Peer,
    ProtocolError,
    Remote,
    is_refilled,
    parameters_of,
)
from .usage import ALIASES, FROM, LIBRARIES, Usage, home_of, is_module


# Maximum calls in flight, and their bytes: as many as the socket's buffer holds
_CALLS_AHEAD, _BYTES_AHEAD = 64, 1 << 16
# Containers whose changes are sent back, and the items of one
_HELD, _HELD_ITEMS = 8, 256
# Container methods that a class of the program supports: an enumeration has members
_OF_CLASSES = frozenset({"__iter__", "__getitem__", "__len__"})
# Attributes of arrays and tables, which data has too
_OF_ARRAYS = frozenset({"T", "columns", "dtype", "dtypes", "empty", "iloc", "loc", "name", "ndim", "shape", "size"})
_OF_ITERATORS = frozenset({"__aiter__", "__anext__", "__iter__", "__next__"})
_PATCHED = {name: getattr(builtins, name) for name in ("input", "open", "print")}
_FILES = frozenset({io.BufferedReader, io.BufferedWriter, io.BytesIO, io.StringIO, io.TextIOWrapper})
_OF_FILES = frozenset(
    ["close", "closed", "encoding", "flush", "getvalue", "mode", "name", "newlines", "read", "readable", "readline",
     "readlines", "seek", "seekable", "tell", "truncate", "writable", "write", "writelines"]
)  # fmt: skip
_OF_FUNCTIONS = frozenset(
    {"__annotations__", "__defaults__", "__dict__", "__doc__", "__kwdefaults__", "__name__", "__qualname__"}
)
# Attributes by which checks prepare and ask a mock
_OF_MOCKS = re.compile(
    r"_|assert|attach_mock|call|configure_mock|method_calls|mock_|reset_mock|return_value$|side_effect$"
)
_DATA = frozenset([*map(type, (None, True, 1, 1.0, 1j, "", b"", [], (), {}, range(0))), bytearray, set, frozenset])


class ProgramEnded(RuntimeError):
    """Raised when the program ended its process in the middle of the checks."""


def run_checks(source: str, channel: Channel, entry_point: str | None) -> dict[str, Any] | None:
    """
    Runs the checks against the program behind `channel`.

    Returns:
        `dict`, *optional*: The error as plain data; `None` when the last line of the checks was reached.
    """
    errors.register_source("checks.py", source)
    peer = Checks(channel, entry_point, source)
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    try:
        code = errors.compiled(source, "checks.py")
        namespace = _Names(peer, main)
        if "seed" in source:
            _share_seed(peer)
        if "dataclasses" in source:
            _share_dataclasses(peer)
        if "super" in source:
            namespace["super"] = derived.super_of
        if "type(" in source:
            namespace["type"] = Type
        namespace.prefetch(code)
        peer.texts = texts.install(source, peer, namespace, peer.may_set)
        runs = runners.install(source, namespace)
        exec(code, namespace)
        runs.finish()
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
        if peer.note and record["type"] in ("AssertionError", "TypeError"):
            record["text"] = f"{record['text'].rstrip()}\nNote: {peer.note}\n"
        with contextlib.suppress(BaseException):
            sys.stderr.write(record["text"])
        return record


def _join(record: dict[str, Any], remote: dict[str, Any], error: BaseException, trace: Any) -> dict[str, Any]:
    """Merges the record and the traceback of an error that the program raised during a call of the checks."""
    ours = errors.format_frames(trace)
    header, _, theirs = remote["text"].partition("Traceback (most recent call last):\n")
    text = f"{header}Traceback (most recent call last):\n{ours}{theirs}" if theirs else record["text"]
    place = remote if remote["line"] is not None else record
    return {**place, "type": remote["type"], "message": remote["message"], "text": errors.cut(text, errors.MAX_TEXT)}


class _Names(dict):
    """Holds the checks' globals: their own names, then the program's."""

    def __init__(self, peer: Checks, main: types.ModuleType):
        super().__init__(__name__="__main__", __builtins__=builtins, __file__="checks.py")
        self.peer = peer
        peer.namespace = self

    def __missing__(self, name: str) -> Any:
        if type(name) is not str or name.startswith("__") or not self.peer.may_provide(name):
            raise KeyError(name)
        return self.peer.lookup(name)

    def prefetch(self, code: types.CodeType) -> None:
        # A class body does not call `__missing__`, so functions and classes are bound beforehand.
        names = sorted(name for name in _names(code) if not name.startswith("__") and self.peer.may_provide(name))
        self.peer.usage.prepare(names)
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
    Implements the checks' end of the conversation.

    Args:
        channel (`Channel`):
            Leads to the program.
        entry_point (`str`, *optional*):
            The function under test. Only this name may hide a built-in or a common module.
        source (`str`, *optional*, defaults to `""`):
            The checks.
    """

    def __init__(self, channel: Channel, entry_point: str | None = None, source: str = ""):
        super().__init__(channel)
        self.entry_point = entry_point
        self.source = source
        self.namespace: dict[str, Any] = {}
        self.note = ""  # why the last comparison with an object of the program failed
        self._tested: set[int] = set()  # classes under test
        self._made: dict[int, Remote] = {}  # their instances that the checks created
        self._known: set[int] = set()  # ids of objects whose non-data attributes the checks have read
        self._failed: BaseException | None = None  # a failed assert in a callback, which the program may have caught
        self._called: set[int] = set()  # numbers of the checks' functions that the program has called
        self._undecidable: set[int] = set()  # numbers of objects whose truth value the program would decide
        self.texts: texts.Texts | None = None
        self._held: list[
            tuple[int | None, str, Any, Any]
        ] = []  # containers of objects or globals, and how they were sent
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._turn = _thread.RLock()  # threads of the checks share the channel
        self.exceptions = Exceptions(self, ProgramEnded)

    @functools.cached_property
    def usage(self) -> Usage:
        return Usage(self.source)

    @functools.cached_property
    def places(self) -> Places:
        return Places(self.source)

    @functools.cached_property
    def _awaits_warnings(self) -> bool:
        return "warn" in self.source

    def end(self) -> None:
        """Reports the end of the checks to the program, which must still be running."""
        if self._failed is not None:
            raise self._failed
        for number, value in enumerate(self._exports):
            if number not in self._called and self.places.checks_call(value, self._own(value)):
                name = getattr(value, "__name__", type(value).__name__)
                raise AssertionError(f"the program never called `{name}`, which checks what it is called with")
        self.channel.send({"end": "checks"})
        if self.channel.receive() != {"end": "program"}:
            raise ProtocolError("not a farewell")

    def request(self, what: list[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        with self._turn:
            self._write_back()
            given = {name: now for name, known in _PATCHED.items() if (now := getattr(builtins, name)) is not known}
            if sys.stdin is not self._streams[0]:
                given["stdin"] = sys.stdin
            prints = sys.stdout is not self._streams[1] or sys.stderr is not self._streams[2]
            if not (given or prints or self._awaits_warnings) or what[0] in ("data", "name", "names"):
                return super().request(what, args, kwargs)
            # The checks have redirected their streams, or patched functions, for the program too, or await warnings
            answer = super().request(["within", *what], (given, *args), kwargs)
            if type(answer) is not tuple or len(answer) != 4:
                raise ProtocolError("not a result with its output")
            value, out, err, warned = answer
            self._print(out, err)
            self._warn(warned)
            return value

    @staticmethod
    def _warn(warned: Any) -> None:
        """Issues the warnings of the program again, to be recorded, raised or ignored as the checks have said."""
        import warnings

        for message in warned if type(warned) is list else ():
            if isinstance(message, Warning):
                warnings.warn_explicit(message, type(message), "main.py", 1)

    def _print(self, out: Any, err: Any) -> None:
        """Writes what the program has printed to where the checks now print."""
        if type(out) is not str or type(err) is not str:
            raise ProtocolError("not an output")
        for stream, text in ((sys.stdout, out), (sys.stderr, err)):
            if text:
                stream.write(text)

    def expects_exit(self) -> bool:
        if not self.places.exits:  # the line of a frame takes time in proportion to the length of the checks
            return False
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != "checks.py":
            frame = frame.f_back
        return frame is not None and self.places.expects_exit(frame.f_lineno)

    # Names

    def may_provide(self, name: str) -> bool:
        return name == self.entry_point or not hasattr(builtins, name)

    def may_set(self, name: str) -> bool:
        """Returns whether the checks use a name as the program defines it later."""
        helper = self.usage.means_module(name) or self.usage.means_helper(name, self.entry_point)
        return self.may_provide(name) and not helper

    def lookup(self, name: str) -> Any:
        """Returns the program's global `name`; raises `KeyError` if it has none."""
        answer = self.request(["name", name])
        if type(answer) is not tuple or len(answer) != 2:
            raise ProtocolError("not a name")
        if self.texts is not None and answer[0] == "value":
            self.texts.note(answer[1])
        value = self.bind(name, *answer)
        self._hold(None, name, value)
        return value

    def bind(self, name: str, how: str, value: Any) -> Any:
        """Returns what `name` means to the checks, given its meaning in the program; raises `KeyError` if it has none."""
        if how == "none":
            raise KeyError(name)
        if name == self.entry_point and how == "value":
            return self._name(name, value)
        # The program decides whether it has such a name, but the checks get Python's own object: `json` cannot be
        # replaced by `pickle`, nor `isclose` by a function that is always true.
        if how == "module" or self.usage.means_module(name):
            if is_module(name):
                return importlib.import_module(ALIASES.get(name, name))
            raise KeyError(name)
        if how == "from":
            return self._from(name, value)
        is_class = isinstance(value, type) or (isinstance(value, Remote) and value._kind == "class")
        if self.usage.means_helper(name, self.entry_point, is_class, is_data=not isinstance(value, Remote)):
            return self._from(name, home_of(name))
        return self._name(name, value)

    @staticmethod
    def _from(name: str, module: Any) -> Any:
        """Implements `from module import name`, for the modules that checks use in this form."""
        if name in LIBRARIES:
            try:
                return getattr(importlib.import_module(LIBRARIES[name]), name)
            except (ImportError, AttributeError):
                raise KeyError(name) from None
        home = module.lstrip("_") if type(module) is str else None  # `reduce.__module__` is `_functools`
        if home in FROM and name != "get_type_hints" and hasattr(importlib.import_module(home), name):
            return getattr(importlib.import_module(home), name)
        raise KeyError(name)

    def _name(self, name: str, value: Any) -> Any:
        """Registers a class that the checks test, whose instances may then decide their own comparisons."""
        if isinstance(value, Remote) and value._kind == "class" and self.usage.tests_class(name):
            self._tested.add(value._number)
        return value

    # Which questions the program's objects may answer

    def trusts(self, remote: Any) -> bool:
        """Returns whether this is an instance of a class under test."""
        return (
            isinstance(remote, Remote)
            and remote._kind in ("object", "iterator")
            and not self._tested.isdisjoint(remote._classes)
        )

    def made(self, remote: Remote) -> bool:
        """
        Returns whether this stands for an object that the checks created, and not for one that the program returned.
        It may be both.
        """
        return self._made.get(remote._number) is remote

    def attribute(self, remote: Remote, name: str) -> Any:
        value = super().attribute(remote, name)
        self._hold(remote._number, name, value)
        if remote._kind == "class" and remote._number in self._tested:
            return self._name(name, value)
        if self.made(remote):
            return value
        if remote._number in self._undecidable:
            return self._without_data(remote, name, value)
        if name not in DATA_METHODS and name not in _OF_ARRAYS:
            self._known.add(id(remote))
        elif callable(value) and id(remote) not in self._known:
            return _DataMethod(self, value, remote, name)
        return value

    def _hold(self, number: int | None, name: str, value: Any) -> None:
        """Keeps a container of an object of the program, or of its globals, to send what the checks change in it."""
        if is_refilled(value) and (encoded := self._encoded(value)) is not None:
            self._held = [*self._held[1 - _HELD :], (number, name, value, encoded)]

    def _encoded(self, value: Any) -> Any:
        """Returns the data of a container, or `None` if it is too large to be compared before each request."""
        encoder = Encoder(self)
        with contextlib.suppress(RecursionError):
            encoded = encoder.encode(value)
            return encoded if sum(map(len, encoder.objects.values())) <= _HELD_ITEMS else None
        return None

    def _write_back(self) -> None:
        """Sends what the checks have changed in containers of the program: `node.children.append(...)`."""
        held, self._held = self._held, []
        for place, (number, name, value, before) in enumerate(held):
            after = self._encoded(value)
            if after is not None and after != before:
                super().request(["restore", number, name], (value,))
                held[place] = number, name, value, after
        self._held = held

    def _without_data(self, remote: Remote, name: str, value: Any) -> Any:
        """Returns an attribute of an object that a program made from an expected value: objects, and no data."""
        if not isinstance(value, Remote):
            raise self._undecided(remote, name)
        self._undecidable.add(value._number)
        return value

    def call(self, remote: Remote, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if remote._kind == "class" and len(args) == 3 and type(args[2]) is dict and "__qualname__" in args[2]:
            return derived.with_metaclass(remote, *args)
        value = super().call(remote, args, kwargs)
        if remote._number in self._undecidable:
            return self._without_data(remote, "__call__", value)
        if remote._kind == "class" and remote._number in self._tested and self.trusts(value):
            return self._as_made(value)
        return value

    def _as_made(self, value: Remote) -> Remote:
        if value._number not in self._made:
            stand_in = type(value)(
                self, value._number, value._kind, value._type, value._classes, value._decides, value._data
            )
            self._made[value._number] = stand_in
        return self._made[value._number]

    def operate(self, remote: Remote, name: str, args: tuple[Any, ...] = ()) -> Any:
        if name in ("__eq__", "__ne__"):
            equal = self._equal(remote, args[0], name)
            return equal if equal is NotImplemented else equal == (name == "__eq__")
        if name in ("__instancecheck__", "__subclasscheck__"):
            return self._is_instance(remote, args[0], name)
        if name == "__bool__" and remote._number in self._undecidable:
            raise self._undecided(remote, name)
        if name in ("__aexit__", "__exit__"):
            return self._leave(remote, name, *args)
        if self.trusts(remote):
            return self._of_tested(remote, name, args)
        if name == "__hash__":
            return hash(remote._number)
        if name in ("__str__", "__repr__", "__format__"):
            return f"<{remote._type} object of the program>"
        if name == "__bool__" and (remote._kind != "object" or not remote._decides):
            return True  # Python's own answer
        if name == "__contains__" and remote._kind == "iterator":
            return self._is_among(remote, args[0])
        if (
            name in ("__aenter__", "__enter__")
            or (remote._kind == "iterator" and name in _OF_ITERATORS)
            or (remote._kind == "class" and remote._number in self._tested and name in _OF_CLASSES)
        ):
            return super().operate(remote, name, args)
        raise self._undecided(remote, name)

    def _undecided(self, remote: Remote, name: str) -> TypeError:
        return TypeError(
            f"the program returned an object of its own type {remote._type!r} where the checks need data ({name})"
        )

    def _equal(self, remote: Remote, other: Any, name: str) -> Any:
        """Returns whether the two are equal. The program decides only for two instances of classes under test."""
        if self.trusts(remote) and self.trusts(other):
            equal = bool(super().operate(remote, name, (other,))) == (name == "__eq__")
            if equal and not remote._is(other) and self._equals_anything(remote, other):
                self.note = f"an object of type {remote._type!r} says that it equals any other, so it equals none here"
                return False
            return equal
        if remote._is(other):
            return True
        if remote._data is not None:
            return bool(self._data_of(remote) == (self._data_of(other) if _has_data(other) else other))
        if type(other) in _DATA:
            self.note = f"an object of the program's own type {remote._type!r} is never equal to data"
            return False
        return False if isinstance(other, Remote) else NotImplemented

    def _equals_anything(self, remote: Remote, other: Remote) -> bool:
        try:
            return super().operate(remote, "equals anything", (other,)) is True
        except Exception:
            return False

    def _is_instance(self, cls: Remote, value: Any, name: str) -> bool:
        # Decided from what the program sent with the object the first time, so that no metaclass is called
        kinds = ("object", "iterator") if name == "__instancecheck__" else ("class",)
        return isinstance(value, Remote) and value._kind in kinds and cls._number in value._classes

    def _of_tested(self, remote: Remote, name: str, args: tuple[Any, ...]) -> Any:
        """Returns a special method of an instance of a class under test."""
        foreign = all(self.trusts(arg) for arg in args)
        if name in COMPARISONS and not foreign:
            if remote._data is not None:
                return OPERATIONS[name](self._data_of(remote), *args)
            raise self._undecided(remote, name)
        if name == "__contains__" and not self.made(remote):
            return self._is_among(remote, args[0])
        value = super().operate(remote, name, args)
        if name in ARITHMETIC and not foreign and not isinstance(value, Remote) and value is not NotImplemented:
            # A difference from what is expected may be any number
            return self._of_data(remote, name, value, lambda data: OPERATIONS[name](data, *args))
        if (
            (name in ("__aenter__", "__aiter__", "__enter__", "__iter__") or name in IN_PLACE)
            and remote._is(value)
            and self.made(remote)
        ):
            return remote
        return value

    def base_of(self, remote: Remote) -> type:
        return derived.base_of(remote) if remote._kind == "class" else super().base_of(remote)

    def class_of(self, remote: Remote) -> Any:
        """Returns what stands for the class of an object."""
        if (
            remote._kind not in ("object", "iterator")
            or not remote._classes
            or remote.__class__ is types.GeneratorType
        ):
            return remote.__class__
        number, *_ = remote._classes
        if number not in self._remotes:
            # As the program describes it where it sends the class itself
            self._remotes[number] = self.make_remote(number, "class", "type", remote._classes, False, None)
        return self._remotes[number]

    def _data_of(self, remote: Remote) -> Any:
        """Returns the data of an instance of a class that derives from a built-in type."""
        value = self.request(["data", remote._number])
        if type(value) is not remote._data:
            raise self._undecided(remote, "data")
        return value

    def _of_data(self, remote: Remote, name: str, value: Any, compute: Callable[[Any], Any]) -> Any:
        """Returns data that the program has computed from an expected value, if its object's data gives the same."""
        if remote._data is not None:
            own = compute(self._data_of(remote))
            if type(own) is type(value) and own == value:
                return own
        raise self._undecided(remote, name)

    def _is_among(self, remote: Remote, value: Any) -> bool:
        return any(value is item or value == item for item in super().operate(remote, "__iter__"))

    def _leave(self, remote: Remote, name: str, cls: Any, error: Any, trace: Any) -> Any:
        """Exits a context of the program, which must not suppress a failed check, or one that was not reached."""
        value = super().operate(remote, name, (cls, error, None))
        raised = hasattr(error, "_remote_record")
        if (isinstance(error, AssertionError) and not raised) or self.places.behind(trace, raised):
            return False
        return value

    def outcome(self, what: list[Any], encoder: Any) -> Any:
        what = what[1:] if what[0] == "within" else what
        try:
            value = super().outcome(what, encoder)
            if self.texts is not None and what[0] not in ("name", "names"):
                self.texts.note(value)
            return value
        except (StopIteration, StopAsyncIteration, IndexError) as error:
            if (what[0] == "op" and what[2] in ("__anext__", "__next__")) or (
                isinstance(error, IndexError) and not _in_a_sequence()
            ):
                raise
            # As in a generator (PEP 479): in `zip(map(f, ...), expected)` a `StopIteration` would end the checks early
            ended = RuntimeError(f"the program raised {type(error).__name__}")
            ended._remote_record = getattr(error, "_remote_record", None)  # type: ignore[attr-defined]
            raise ended from None

    def make_remote(
        self, number: int, kind: str, type_name: str, classes: tuple[int, ...], decides: bool, data: type | None
    ) -> Any:
        if kind == "iterator":
            return _Iterator(self, number, kind, type_name, classes, decides, data)
        return super().make_remote(number, kind, type_name, classes, decides, data)

    def rebuild_error(self, description: dict[str, Any], decoder: Any) -> BaseException:
        record = {key: description["record"][key] for key in errors.FIELDS}
        for key, value in record.items():
            if type(value) is int and value < 1 << 31:
                continue
            record[key] = None if value is None else errors.cut(str(value), errors.MAX_TEXT)
        error: Any = super().rebuild_error(description, decoder)
        self._print(*description["printed"])
        error._remote_record = errors.from_program(record)
        return error

    # What the program may use of the checks' objects: calls, iteration, operators and public attributes of instances
    # of the checks' own classes.
    # Nothing here leads to a frame, a module or a namespace.

    def serve(self, what: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = self.exported(what[1])
        if self.texts is not None:
            self.texts.note([args, kwargs])
        if what[0] == "call" or what[2:3] == ["__next__"] or (what[0] == "get" and what[2] in self.places.methods):
            self._called.add(what[1])
        try:
            result = self._perform(what, value, args, kwargs)
            self._write_back()
            return result
        except BaseException as error:
            # Whether the program catches it or not
            raised = hasattr(error, "_remote_record")
            if (isinstance(error, AssertionError) and not raised) or (raised and self.places.checks_call(value)):
                self._failed = self._failed or error
            raise

    def _perform(self, what: list[Any], value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        action = what[0]
        if action == "call" and callable(value):
            return value(*args, **kwargs)
        if action == "await" and isinstance(value, types.CoroutineType):
            return _awaited(value)
        if action == "op" and what[2] in ("__iter__", "__next__") and hasattr(type(value), "__iter__"):
            return iter(value) if what[2] == "__iter__" else next(value)
        if action == "op" and self._own(value):
            return OPERATIONS[what[2]](value, *args)
        if action == "op" and what[2] in ("__repr__", "__str__"):
            return f"<{type(value).__name__} object of the checks>"
        if action == "get" and isinstance(value, (types.FunctionType, types.MethodType)) and what[2][:2] == "__":
            return self._of_function(value, what[2])
        if type(value) in _FILES and action in ("get", "op") and what[2] in _OF_FILES | {"__enter__", "__exit__"}:
            return getattr(value, what[2]) if action == "get" else OPERATIONS[what[2]](value, *args)
        if _is_mock(value) and (action == "op" or (action == "get" and not _OF_MOCKS.match(what[2]))):
            return getattr(value, what[2]) if action == "get" else OPERATIONS[what[2]](value, *args)
        if action in ("get", "set") and type(what[2]) is str and not what[2].startswith("_") and self._own(value):
            return getattr(value, what[2]) if action == "get" else setattr(value, what[2], *args)
        raise TypeError(f"{type(value).__name__!r} object of the checks does not support this")

    @staticmethod
    def _of_function(function: Any, name: str) -> Any:
        """Returns what `functools.wraps` and `inspect.signature` read of a function."""
        if name == "__signature__":
            return parameters_of(function)
        if name in _OF_FUNCTIONS and hasattr(function, name):
            return getattr(function, name)
        raise AttributeError(f"'function' object has no attribute {name!r}")

    def _own(self, value: Any) -> bool:
        cls = type(value)
        return cls is types.SimpleNamespace or (
            cls.__module__ == "__main__" and self.namespace.get(cls.__name__) is cls
        )


class _TypeOfRemotes(type):
    """Implements `type(value)` for the program's objects, and Python's `type` otherwise."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is not Type:
            return super().__call__(*args, **kwargs)
        if len(args) == 1 and isinstance(args[0], Remote):
            return args[0]._peer.class_of(args[0])
        return type(*args, **kwargs)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, type) if cls is Type else super().__instancecheck__(value)

    def __subclasscheck__(cls, value: Any) -> bool:
        return issubclass(value, type) if cls is Type else super().__subclasscheck__(value)


class Type(type, metaclass=_TypeOfRemotes):
    """Represents `type` in the checks."""


class _Iterator(Remote):
    """Represents an iterator of the program, which can be consumed once."""

    __slots__ = ()

    def __iter__(self) -> _Iterator:
        return self


class _DataMethod:
    """
    Represents a method of a program's object that data has too, such as `count`. A check may pass an expected value to
    it, so its result must not be data then.
    """

    def __init__(self, peer: Checks, method: Any, owner: Remote, name: str):
        self._peer, self._method, self._owner, self._name = peer, method, owner, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value = self._method(*args, **kwargs)
        if value is not None and not all(isinstance(one, Remote) for one in (*args, *kwargs.values())):
            if not isinstance(value, Remote):
                return self._peer._of_data(
                    self._owner, self._name, value, lambda data: getattr(data, self._name)(*args, **kwargs)
                )
            self._peer._undecidable.add(value._number)
        return value


def _awaited(coroutine: types.CoroutineType[Any, Any, Any]) -> Any:
    """Runs a coroutine of the checks that the program awaits, while a loop of the checks waits for the program."""
    import asyncio

    loop, task = asyncio._get_running_loop(), None
    if loop is not None and (task := asyncio.current_task()) is not None:
        asyncio.tasks._leave_task(loop, task)
    asyncio._set_running_loop(None)
    try:
        return asyncio.run(coroutine)
    finally:
        asyncio._set_running_loop(loop)
        if loop is not None and task is not None:
            asyncio.tasks._enter_task(loop, task)


def _is_mock(value: Any) -> bool:
    mock = sys.modules.get("unittest.mock")
    return mock is not None and issubclass(type(value), mock.NonCallableMock)


def _share_seed(peer: Checks) -> None:
    """Makes `random.seed` in the checks also seed the program."""
    import random

    own = random.seed

    def seed(*args: Any, **kwargs: Any) -> None:
        own(*args, **kwargs)
        peer.request(["seed", "random"], args, kwargs)

    random.seed = seed


def _share_dataclasses(peer: Checks) -> None:
    """Makes the functions of `dataclasses` work for the program's objects."""
    import dataclasses

    def shared(name: str, own: Callable[..., Any]) -> Callable[..., Any]:
        def call(value: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(value, Remote):
                return peer.request(["dataclass", value._number, name], args, kwargs)
            return own(value, *args, **kwargs)

        return call

    for name in ("asdict", "astuple", "fields", "is_dataclass", "replace"):
        setattr(dataclasses, name, shared(name, getattr(dataclasses, name)))


def _has_data(value: Any) -> bool:
    return isinstance(value, Remote) and value._data is not None


def _in_a_sequence() -> bool:
    """Returns whether a `__getitem__` of the checks is running, whose `IndexError` ends a loop."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__getitem__" and frame.f_code.co_filename == "checks.py":
            return True
        frame = frame.f_back
    return False


class CallsInOrder:
    """
    Represents a function of the program that will be called with known arguments in order. Each call is sent while the
    program still runs the previous ones, so that neither side waits for the other.

    Args:
        function (`Remote`):
            The function.
        arguments (`Sequence[Sequence]`):
            Arguments of each call. They must not be changed before it.
    """

    def __init__(self, function: Remote, arguments: Sequence[Sequence[Any]]):
        self._peer, self._what = function._peer, ["call", function._number]
        self._requests = (self._peer.encode_request(self._what, tuple(args)) for args in arguments)
        self._next = next(self._requests, None)
        self._sent: collections.deque[tuple[int, Any]] = collections.deque()
        self._received: collections.deque[tuple[Any, Exception | None]] = collections.deque()
        self._bytes = 0
        self._peer.calls_ahead = self

    def __call__(self, *args: Any) -> Any:
        if not self._received:
            if len(self._sent) <= _CALLS_AHEAD // 2:
                self._send()
            self._receive()
        value, error = self._received.popleft()
        if error is not None:
            raise error
        return value

    def receive_all(self) -> None:
        """Receives the outcomes of the calls in flight, before a request about what a call returned."""
        while self._sent:
            self._receive()

    def _receive(self) -> None:
        size, encoder = self._sent.popleft()
        self._bytes -= size
        try:
            self._received.append((self._peer.outcome(self._what, encoder), None))
        except Exception as error:
            self._received.append((None, error))

    def _send(self) -> None:
        messages = []
        while self._next is not None and self._has_room(len(self._next[0])):
            message, encoder = self._next
            messages.append(message)
            self._sent.append((len(message), encoder))
            self._bytes += len(message)
            self._next = next(self._requests, None)
        if messages:
            self._peer.channel.send_encoded(b"".join(messages))

    def _has_room(self, size: int) -> bool:
        return not self._sent or (len(self._sent) < _CALLS_AHEAD and self._bytes + size <= _BYTES_AHEAD)
