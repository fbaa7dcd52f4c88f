"""
Sends exceptions between the checks and the program. `except`, `isinstance` and `raise` need real classes, so each side
has a class of its own in place of a class of the other side, with the same bases, and an error in place of an error.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import types
from typing import Any

from . import errors
from .remote import BUILTIN_EXCEPTIONS, DATA_METHODS, Peer, Remote, has_behavior


# An error that comes back within this many others is the one that was sent
_REMEMBERED = 64
# `unittest.SkipTest` would end a test early
_RUNNERS = frozenset({"bdb", "doctest", "pdb", "test", "unittest"})
_MEMBERS = (types.MemberDescriptorType, types.GetSetDescriptorType)
_PUBLIC = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_UNSENT = frozenset({"args", "characters_written", "exceptions", "obj", "value"})


def shared_name(cls: type) -> str | None:
    """Returns how to name a class that both sides have, such as `ValueError` or `json.decoder:JSONDecodeError`."""
    if BUILTIN_EXCEPTIONS.get(cls.__name__) is cls:
        return cls.__name__
    if issubclass(cls, Exception) and str(cls.__module__).partition(".")[0] in sys.stdlib_module_names:
        return f"{cls.__module__}:{cls.__name__}"
    return None


def shared_class(name: str) -> type[BaseException] | None:
    """
    Returns the class of a name of [`shared_name`], if it is built in or of a module of Python that this side has
    imported: only then can it be meant here.
    """
    module, _, name = name.rpartition(":")
    if not module:
        return BUILTIN_EXCEPTIONS.get(name)
    package = module.partition(".")[0]
    if package not in sys.stdlib_module_names or package in _RUNNERS or name[:1] == "_":
        return None
    cls = getattr(sys.modules.get(module), name, None)
    return cls if isinstance(cls, type) and issubclass(cls, Exception) else None


class Exceptions:
    """
    Holds the exceptions that one side has sent and received.

    Args:
        peer (`Peer`):
            This side.
        ended (`type[Exception]`, *optional*):
            Class in place of exits and interrupts of the other side. `None` keeps them.
    """

    def __init__(self, peer: Peer, ended: type[Exception] | None = None):
        self._peer, self._ended = peer, ended
        self._classes: dict[int, type[BaseException]] = {}
        self._numbers: dict[type, int] = {}
        self._sent: dict[int, BaseException] = {}
        self._count = itertools.count()

    def describe_class(self, cls: type[BaseException]) -> Any:
        """Returns the name of a class that both sides have, or `["X", number, name, bases, constants]`."""
        if (name := shared_name(cls)) is not None:
            return name
        if cls in self._numbers:
            return ["L", self._numbers[cls]]
        bases = [self.describe_class(base) for base in cls.__bases__ if issubclass(base, BaseException)]
        constants = {name: value for name, value in vars(cls).items() if _PUBLIC.fullmatch(name) and _is_plain(value)}
        return ["X", self._peer.export(cls), cls.__name__, bases, constants]

    def make_class(self, data: Any) -> type[BaseException]:
        """Returns the class that this side has in place of the one that `describe_class` describes."""
        if type(data) is str:
            cls = shared_class(data)
            if cls is SystemExit and self._peer.expects_exit():
                return SystemExit
            if cls is not None and self._ended is not None and not issubclass(cls, Exception):
                return self._ended
            return cls or RuntimeError
        if data[0] == "L":
            cls = self._peer.exported(data[1])
            if not (isinstance(cls, type) and issubclass(cls, BaseException)):
                raise ValueError("not an exception")
            return cls
        tag, number, name, described, constants = data
        if (
            tag != "X"
            or type(number) is not int
            or type(name) is not str
            or not all(map(_is_plain, constants.values()))
        ):
            raise ValueError("not an exception")
        if number not in self._classes:
            bases = list(dict.fromkeys(map(self.make_class, described))) or [RuntimeError]
            # `class E(LookupError, json.JSONDecodeError)` has only `LookupError` here if `json` is not imported
            bases = [base for base in bases if not any(base is not one and issubclass(one, base) for one in bases)]
            methods = {
                "__init__": _construct(self._peer, number),
                "__str__": _get_text,
                "__getattr__": _get_attribute,
            }
            names = {name: value for name, value in constants.items() if _PUBLIC.fullmatch(name)}
            name = name if name.isidentifier() else "Error"
            try:
                cls = type(name, tuple(bases), names | methods)
            except TypeError:  # their layouts conflict
                cls = type(name, (bases[0],), names | methods)
            self._classes[number] = cls
            self._numbers[cls] = number
        return self._classes[number]

    def describe(self, error: BaseException, encoder: Any) -> dict[str, Any]:
        """Returns the data of an error, from which the other side makes one."""
        cls = type(error)
        stand_in = vars(error).get("_stand_in")
        number = stand_in.number if isinstance(stand_in, _StandIn) else None
        own = shared_name(cls) is None and number is None
        return {
            "number": self._remember(error) if number is None else number,
            "returns": number is not None,
            "class": self.describe_class(cls),
            "args": ["t", [_encoded(encoder, value) for value in error.args]],
            "attributes": {name: _encoded(encoder, value) for name, value in _attributes(error).items()},
            "text": _text(error) if own else None,
            "object": self._peer.describe(error) if own and has_behavior(cls) else None,
            "cause": None if error.__cause__ is None else encoder.encode(error.__cause__),
        }

    def _remember(self, error: BaseException) -> int:
        number = next(self._count)
        self._sent[number] = error
        self._sent.pop(number - _REMEMBERED, None)
        return number

    def make(self, description: dict[str, Any], decoder: Any) -> BaseException:
        """Returns the error of [`describe`]: one of this side that returns, or a new one."""
        number = description["number"]
        if description["returns"] and not isinstance(self._sent.get(number, AssertionError()), AssertionError):
            return self._sent[number]
        cls = self.make_class(description["class"])
        args = decoder.decode(description["args"])
        if type(args) is not tuple:
            raise ValueError("arguments must be a tuple")
        native: Any = next(base for base in cls.__mro__ if base.__module__ == "builtins")
        try:
            error: Any = native.__new__(cls, *args)
            native.__init__(error, *args)
        except (TypeError, ValueError):  # its own `__init__` takes others
            error = RuntimeError()
        error.args = args
        for name, encoded in description["attributes"].items():
            value = decoder.decode(encoded)
            # What a check calls must not pass for a method of data
            harmless = not callable(value) or (isinstance(value, Remote) and name not in DATA_METHODS)
            if harmless and _PUBLIC.fullmatch(name):
                with contextlib.suppress(AttributeError, TypeError, ValueError):
                    setattr(error, name, value)
        if description["cause"] is not None and isinstance(cause := decoder.decode(description["cause"]), Exception):
            error.__cause__ = cause
        text, remote = description["text"], description["object"]
        remote = self._peer.resolve(remote) if remote is not None else None
        error._stand_in = _StandIn(number, text if type(text) is str else "", remote)
        return error


class _StandIn:
    """Holds what an error in place of another one knows of it: its number if it was sent, its text and the object."""

    def __init__(self, number: Any, text: str, remote: Any):
        self.number, self.text, self.remote = number, text, remote


def _encoded(encoder: Any, value: Any) -> Any:
    try:
        return encoder.encode(value)
    except Exception as failure:  # of a class of the program, perhaps: the error itself must arrive
        return f"<{type(value).__name__}: {type(failure).__name__}>"


def _attributes(error: BaseException) -> dict[str, Any]:
    members = {
        name: getattr(error, name, None)
        for base in type(error).__mro__
        if base.__module__ == "builtins"
        for name, member in vars(base).items()
        if type(member) in _MEMBERS
    }
    every = members | vars(error)
    return {name: value for name, value in every.items() if name not in _UNSENT and _PUBLIC.fullmatch(str(name))}


def _construct(peer: Peer, number: int) -> Any:
    def construct(error: Any, *args: Any, **kwargs: Any) -> None:
        made: Any = peer.request(["call", number], args, kwargs)
        stand_in = vars(made).get("_stand_in") if isinstance(made, BaseException) else None
        if stand_in is None:
            raise TypeError(f"{type(error).__name__} is no exception class of the other process")
        error.args = made.args
        vars(error).update(vars(made))
        error._stand_in = _StandIn(None, stand_in.text, stand_in.remote)  # it is this side's

    return construct


def _get_attribute(error: BaseException, name: str) -> Any:
    stand_in = vars(error).get("_stand_in")
    if name[:1] == "_" or stand_in is None or stand_in.remote is None:
        raise AttributeError(f"{type(error).__name__!r} object has no attribute {name!r}")
    return getattr(stand_in.remote, name)


def _get_text(error: BaseException) -> str:
    stand_in = vars(error).get("_stand_in")
    return stand_in.text if stand_in is not None else BaseException.__str__(error)


def _text(error: BaseException) -> str:
    with contextlib.suppress(Exception):
        return errors.cut(str(error), errors.MAX_MESSAGE)
    return ""


def _is_plain(value: Any) -> bool:
    return value is None or type(value) in (bool, int, float, str)
