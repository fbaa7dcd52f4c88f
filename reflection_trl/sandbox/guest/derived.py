"""
Lets the checks derive classes from classes of the program. The derived class is made in the program's process, and its
methods call the functions of the checks.
"""

from __future__ import annotations

import builtins
import functools
import sys
import types
from typing import Any

from .remote import Peer, Remote


# Of a class body, and what the program's `type` sets itself
_OF_BODY = frozenset({"__annotations__", "__classcell__", "__firstlineno__", "__module__", "__qualname__"})


class Derived(type):
    """Represents the metaclass of `class B(A)` in the checks, where `A` is a class of the program."""

    remote: Remote

    def __new__(mcls, name: str, bases: tuple[Any, ...], body: dict[str, Any]) -> Any:
        parents = [base.remote if isinstance(base, Derived) else base for base in bases]
        return _send(next(one._peer for one in parents if isinstance(one, Remote)), None, name, parents, body)


def with_metaclass(metaclass: Remote, name: str, bases: tuple[Any, ...], body: dict[str, Any]) -> Any:
    """Returns the class of `class B(metaclass=M)` in the checks, where `M` is a class of the program."""
    return _send(metaclass._peer, metaclass, name, list(bases), body)


def _send(peer: Peer, metaclass: Remote | None, name: str, bases: list[Any], body: dict[str, Any]) -> Any:
    members = {key: _parts(value) for key, value in body.items() if key not in _OF_BODY}
    cls = peer.request(["derive", 0], (metaclass, name, bases, members))
    if "__classcell__" in body:
        body["__classcell__"].cell_contents = cls  # for `super()`
    return cls


@functools.cache
def base_of(remote: Remote) -> type:
    """Returns what stands for a class of the program among the bases of a class statement."""
    base: Any = type.__new__(Derived, "Base", (), {})
    base.remote = remote
    return base


def _parts(value: Any) -> tuple[str, Any]:
    """Returns the kind of a member of a class, and its functions."""
    if isinstance(value, (classmethod, staticmethod)):
        return type(value).__name__, value.__func__
    if isinstance(value, property):
        return "property", (value.fget, value.fset, value.fdel)
    return ("function" if isinstance(value, types.FunctionType) else "value"), value


def derive(metaclass: type | None, name: str, bases: list[type], members: dict[str, tuple[str, Any]]) -> type:
    """Makes a class in the program's process, of the members that the checks send."""
    make = {
        "function": _method,
        "classmethod": lambda function: classmethod(_method(function)),
        "staticmethod": lambda function: staticmethod(_method(function)),
        "property": lambda functions: property(*(one and _method(one) for one in functions)),
        "value": lambda value: value,
    }
    body = {key: make[kind](value) for key, (kind, value) in members.items()}
    arguments = {} if metaclass is None else {"metaclass": metaclass}
    return types.new_class(name, tuple(bases), arguments, lambda names: names.update(body, __module__="__main__"))


def _method(function: Any) -> Any:
    # Unlike the stand-in of a function, it gets `self`
    return lambda *args, **kwargs: function(*args, **kwargs)


class Super:
    """
    Implements `super()` in methods of derived classes.

    Args:
        peer (`Peer`):
            Connection to the program.
        cls (`Remote`):
            The class in which the method is.
        instance (`Remote`):
            Its `self` or `cls`.
    """

    def __init__(self, peer: Peer, cls: Remote, instance: Any):
        self._peer, self._cls, self._instance = peer, cls, instance

    def __getattribute__(self, name: str) -> Any:
        peer, cls, instance = (object.__getattribute__(self, part) for part in ("_peer", "_cls", "_instance"))
        return peer.request(["super", cls._number, name], (instance,))


def super_of(*args: Any) -> Any:
    """Implements `super`, which takes the class and the first argument from the method that calls it."""
    if not args:
        frame = sys._getframe(1)
        args = frame.f_locals.get("__class__"), frame.f_locals[frame.f_code.co_varnames[0]]
    if isinstance(args[0], Remote):
        return Super(args[0]._peer, *args)
    return builtins.super(*args)
