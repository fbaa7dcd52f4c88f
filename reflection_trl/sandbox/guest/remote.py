"""
Implements the protocol between the checks and the program: two processes, one socket, plain data.

The checks must be able to call the program's functions, but no message of the program may run code on their side. So
values of the built-in data types are sent as *data*, and the other side rebuilds exactly the built-in type (a subclass
of `int` whose `__eq__` always returns `True` arrives as an `int`). All other objects (functions, classes, instances,
iterators) stay in their process and are sent as a number: the other side gets a [`Remote`], which sends calls back.
Instances of a class that derives from a built-in type and has methods of its own are sent as both, and the other side
chooses.
Arguments are passed by copy-restore: if the called function sorts a list in place, the caller's list is sorted too.

The encoding is JSON with tagged lists. The few lines below decode it; nothing is unpickled.
"""

from __future__ import annotations

import array
import collections
import contextlib
import copy
import datetime
import decimal
import fractions
import functools
import importlib
import json
import operator
import socket
import struct
import sys
import types
from collections.abc import Callable, ItemsView, KeysView, ValuesView
from time import monotonic  # a program may replace it in its module
from typing import Any


# Larger messages are rejected, so that the program's result cannot exhaust the memory of the checks.
MAX_MESSAGE = 64 * 1024 * 1024
_SMALL = (
    1 << 62
)  # Larger ints are sent as hexadecimal, since decimal conversion is quadratic and limited by the interpreter
_HEADER = struct.Struct("!I")
_to_json = json.JSONEncoder(separators=(",", ":")).encode  # `json.dumps` would create one for each message
# Bytes of a message, and seconds, from which messages are sent without buffering
_LARGE, _SOON = 1 << 14, 0.005
_PLAIN = frozenset({str, bool, type(None), float})
_NUMBERS = frozenset({int, bool, float})

# Classes that are sent by name, since callers treat them as data and calling them is harmless.
_CLASSES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        bytearray,
        list,
        tuple,
        dict,
        set,
        frozenset,
        range,
        slice,
        object,
    )
}
_CLASSES["NoneType"] = type(None)
_BUILTIN = frozenset(_CLASSES.values())
BUILTIN_EXCEPTIONS = {
    name: value
    for name, value in vars(__import__("builtins")).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}


# Methods of arrays and tables that compare
_OF_TABLES = (
    "all",
    "allclose",
    "any",
    "between",
    "compare",
    "eq",
    "equals",
    "ge",
    "gt",
    "isin",
    "le",
    "lt",
    "ne",
    "searchsorted",
)
# Methods that data has: `f(x).count(3)` in the checks means `list.count`
DATA_METHODS = frozenset(
    name
    for cls in (*_CLASSES.values(), collections.Counter, collections.deque, decimal.Decimal, fractions.Fraction)
    for name in (*dir(cls), *dir(datetime.datetime), *_OF_TABLES)
    if not name.startswith("_")
)


# How instances of subclasses give their data, by unbound methods: none of a subclass decides what is sent
_PLAIN_DATA: dict[type, Callable[[Any], Any]] = {
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    str: lambda value: str.__str__(value),
    int: lambda value: int.__pos__(value),
    float: lambda value: float.__pos__(value),
    collections.deque: lambda value: collections.deque(collections.deque.__iter__(value), value.maxlen),
}
_DATA_TYPES = {cls.__name__: cls for cls in _PLAIN_DATA}
# Methods that make no difference to data
_UNIMPORTANT = frozenset(
    ["__class_getitem__", "__getnewargs__", "__init__", "__init_subclass__", "__new__", "__reduce__", "__reduce_ex__", "__repr__"]
)  # fmt: skip


# Containers that are attributes, whose changes by the checks are sent back
_REFILLED, _MAX_REFILLED = (dict, list, set), 128


def is_refilled(value: Any) -> bool:
    """Returns whether changes by the checks in their copy of a container are sent back."""
    return isinstance(value, _REFILLED) and not isinstance(value, Remote) and len(value) <= _MAX_REFILLED


def refill(container: Any, items: Any) -> None:
    """Replaces the content of a container."""
    container.clear()
    (container.extend if isinstance(container, list) else container.update)(items)


def data_type(cls: type) -> type | None:
    """Returns the built-in data type from which a class derives."""
    return next((base for base in cls.__mro__[1:] if base in _PLAIN_DATA), None)


def plain(value: Any) -> Any:
    """Returns the data of an instance of a class with a [`data_type`]."""
    return _PLAIN_DATA[data_type(type(value)) or type(value)](value)


def has_behavior(cls: type) -> bool:
    """Returns whether a class of a program has methods or properties of its own, or members."""
    return (
        any(
            callable(member) or isinstance(member, (property, classmethod, staticmethod, functools.cached_property))
            for base in cls.__mro__
            if base.__module__ == "__main__"
            for name, member in vars(base).items()
            if name not in _UNIMPORTANT and (name[:1] != "_" or name[:2] == "__")
        )
        or type(cls).__module__ == "enum"
    )


class ProtocolError(BaseException):
    """Raised if the other side sends an invalid message."""


class Disconnected(BaseException):
    """Raised when the other side has ended. An `except Exception` of the checks does not catch it."""


class Channel:
    """
    Sends JSON messages over a stream socket, each after its length.

    Args:
        sock (`socket.socket`):
            The socket.
        reads_ahead (`bool`, *optional*, defaults to `False`):
            Whether to read all available bytes, which halves the system calls. Must be `False` if descriptors are sent
            between messages.
    """

    def __init__(self, sock: socket.socket, reads_ahead: bool = False):
        self.sock = sock
        self._least = 1 << 16 if reads_ahead else 0
        self._ahead = b""
        self._held: list[bytes] = []
        self._held_since = 0.0

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, message: Any) -> None:
        self.send_encoded(encode_message(message))

    def send_encoded(self, message: bytes) -> None:
        """Sends a message of [`encode_message`], after the buffered ones."""
        held, self._held = self._held, []
        try:
            self.sock.sendall(b"".join([*held, message]) if held else message)
        except OSError as error:
            raise Disconnected(str(error)) from None

    def send_before_waiting(self, message: Any) -> None:
        """Sends a message before this side waits for the next one, buffered with others that follow soon."""
        encoded, now = encode_message(message), monotonic()
        if not self._held:
            self._held_since = now
        if len(encoded) > _LARGE or now - self._held_since > _SOON:
            return self.send_encoded(encoded)
        self._held.append(encoded)

    def receive(self) -> Any:
        body = self.receive_bytes()
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"not a message: {error}") from None

    def receive_bytes(self) -> bytes:
        """Returns the next message as it was sent, of any content."""
        (size,) = _HEADER.unpack(self._read(_HEADER.size))
        if size > MAX_MESSAGE:
            raise ProtocolError(f"a message of {size} bytes is too long")
        return self._read(size)

    def _read(self, size: int) -> bytes:
        parts, missing = [self._ahead], size - len(self._ahead)
        if missing > 0 and self._held:
            self.send_encoded(b"")
        while missing > 0:
            try:
                part = self.sock.recv(max(min(missing, 1 << 20), self._least))
            except OSError as error:
                raise Disconnected(str(error)) from None
            if not part:
                raise Disconnected("the other side closed the connection")
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        self._ahead = data[size:]
        return data[:size]


def encode_message(message: Any) -> bytes:
    """Returns the bytes of a message, preceded by its length."""
    return with_length(_to_json(message).encode())


def with_length(body: bytes) -> bytes:
    """Returns a message of these bytes."""
    if len(body) > MAX_MESSAGE:
        raise ProtocolError(f"a message of {len(body)} bytes is too long")
    return _HEADER.pack(len(body)) + body


# Special attributes of functions and classes
_READABLE = frozenset(
    ["__annotations__", "__bases__", "__defaults__", "__dict__", "__kwdefaults__", "__mro__", "__name__", "__qualname__", "__signature__",
     "__wrapped__"]
)  # fmt: skip


class Remote:
    """
    Represents an object of the other process. Its peer decides what may be done with it, and which side computes the
    result.

    Args:
        peer (`Peer`):
            This side of the connection.
        number (`int`):
            The other side's number of the object.
        kind (`str`):
            Object, iterator, function, class or coroutine.
        type_name (`str`):
            Name of its class.
        classes (`tuple[int, ...]`):
            Numbers of its classes, or of a class's own bases.
        decides (`bool`, *optional*, defaults to `False`):
            Whether its class defines the truth value of an instance.
        data (`type`, *optional*):
            The built-in data type that its class derives from.
    """

    __slots__ = ("__weakref__", "_classes", "_data", "_decides", "_kind", "_number", "_peer", "_type")

    def __init__(
        self,
        peer: Peer,
        number: int,
        kind: str,
        type_name: str,
        classes: tuple[int, ...],
        decides: bool = False,
        data: type | None = None,
    ):
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_type", type_name)
        object.__setattr__(self, "_classes", classes)
        object.__setattr__(self, "_decides", decides)
        object.__setattr__(self, "_data", data)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # For `isinstance(stack, list)`, and `stack.__class__.__name__`
        if self._kind == "class":
            return type
        if self._kind == "iterator":
            return types.GeneratorType if self._type == "generator" else type(self)
        if self._kind != "object":
            return type(self)
        return self._data or _class_named(self._type)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _READABLE:
            raise AttributeError(f"{self._type!r} object has no attribute {name!r}")
        if name == "__signature__":
            return _signature(self._peer.attribute(self, name))
        return self._peer.attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.request(["set", self._number, name], (value,))

    def __delattr__(self, name: str) -> None:
        self._peer.request(["del", self._number, name])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._peer.call(self, args, kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._peer.base_of(self),)

    def __str__(self) -> str:
        return _exactly(str, self._peer.operate(self, "__str__"))

    def __repr__(self) -> str:
        return _exactly(str, self._peer.operate(self, "__repr__"))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"cannot pickle {self._type!r} object of another process")

    def _shown(self) -> str:
        """Returns the other side's name of it, for messages only."""
        return _exactly(str, self._peer.request(["op", self._number, "__repr__"]))

    def _is(self, other: Any) -> bool:
        """Returns whether this is the other side's object that `other` stands for."""
        return isinstance(other, Remote) and other._peer is self._peer and other._number == self._number


@functools.cache
def _class_named(name: str) -> type:
    return type(name, (Remote,), {"__slots__": ()})


def _exactly(expected: type, value: Any) -> Any:
    if type(value) is not expected:
        raise TypeError(f"expected {expected.__name__}, got {type(value).__name__}")
    return value


def parameters_of(value: Any) -> list[tuple[Any, ...]]:
    """Returns the parameters of a function of this side: name, kind, whether it has a default, and the default."""
    import inspect

    if not callable(value):
        raise AttributeError(f"{type(value).__name__!r} object has no attribute '__signature__'")
    empty = inspect.Parameter.empty
    return [
        (one.name, int(one.kind), one.default is not empty, None if one.default is empty else one.default)
        for one in inspect.signature(value).parameters.values()
    ]


def _signature(parameters: Any) -> Any:
    import inspect

    empty, kinds = inspect.Parameter.empty, {int(kind): kind for kind in inspect._ParameterKind}
    return inspect.Signature(
        [
            inspect.Parameter(_exactly(str, name), kinds[kind], default=default if has_default is True else empty)
            for name, kind, has_default, default in _exactly(list, parameters)
        ]
    )


def _forward(name: str) -> Callable[..., Any]:
    def method(self: Remote, *args: Any) -> Any:
        return self._peer.operate(self, name, args)

    method.__name__ = name
    return method


def _forward_asynchronous(name: str) -> Callable[..., Any]:
    async def method(self: Remote, *args: Any) -> Any:
        return self._peer.operate(self, name, args)

    method.__name__ = name
    return method


def _binary(function: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return function, lambda left, right: function(right, left)


def _equals_anything(value: Any, other: Any) -> bool:
    """
    Returns whether an object that claims to equal `other` also equals any other value: an empty one, or one of another
    kind.
    """
    with contextlib.suppress(Exception):
        same = object.__reduce_ex__(value, 2)[2] == object.__reduce_ex__(other, 2)[2]
        if same and (data_type(type(value)) is None or plain(value) == plain(other)):
            return False
    for make in (object, lambda: object.__new__(type(value))):
        with contextlib.suppress(Exception):
            if value == make():
                return True
    return False


# How the owner of an object computes each forwarded special method, and one query of this protocol.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "__bool__": bool,
    "__hash__": hash,
    "__eq__": operator.eq,
    "__ne__": operator.ne,
    "__str__": str,
    "__repr__": repr,
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__len__": len,
    "__iter__": iter,
    "__next__": next,
    "__aiter__": aiter,
    "__reversed__": reversed,
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__int__": int,
    "__float__": float,
    "__complex__": complex,
    "__index__": operator.index,
    "__abs__": abs,
    "__neg__": operator.neg,
    "__pos__": operator.pos,
    "__invert__": operator.invert,
    "__round__": round,
    "__format__": format,
    "__enter__": lambda manager: type(manager).__enter__(manager),
    "__exit__": lambda manager, *error: type(manager).__exit__(manager, *error),
    "__copy__": copy.copy,
    "__deepcopy__": lambda value, _: copy.deepcopy(value),
    "__instancecheck__": lambda cls, value: isinstance(value, cls),
    "__subclasscheck__": lambda cls, value: issubclass(value, cls),
    "equals anything": _equals_anything,
}
COMPARISONS = frozenset({"__lt__", "__le__", "__gt__", "__ge__"})
ARITHMETIC: set[str] = set()
IN_PLACE: set[str] = set()
for _name in (
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "or",
    "xor",
):
    _function = getattr(operator, _name + "_" if _name in ("and", "or") else _name)
    OPERATIONS[f"__{_name}__"], OPERATIONS[f"__r{_name}__"] = _binary(_function)
    OPERATIONS[f"__i{_name}__"] = getattr(operator, f"i{_name}")
    IN_PLACE.add(f"__i{_name}__")
    ARITHMETIC |= {f"__{_name}__", f"__r{_name}__", f"__i{_name}__"}
for _name in OPERATIONS:
    if _name.startswith("__") and _name not in ("__str__", "__repr__"):
        setattr(Remote, _name, _forward(_name))
# Methods that return what must be awaited: the owner waits for the result
ASYNCHRONOUS = frozenset({"__aenter__", "__aexit__", "__anext__"})
for _name in ASYNCHRONOUS:
    setattr(Remote, _name, _forward_asynchronous(_name))
# Not that of `Remote`
Remote.__doc__ = property(lambda remote: remote._peer.attribute(remote, "__doc__"))  # type: ignore[assignment]


class Peer:
    """
    Implements one side of the connection. Its subclasses `program.Program` and `checks.Checks` define what the other
    side may do (`serve`), and which results of its objects are trusted (`trusts`).

    Args:
        channel (`Channel`):
            Connection for the messages.
    """

    exceptions: Any  # an `Exceptions`, whose module uses this one

    def __init__(self, channel: Channel):
        self.channel = channel
        self._numbers: dict[int, int] = {}
        self._exports: list[Any] = []  # references the objects, so that their ids are not reused
        self._remotes: dict[int, Any] = {}
        self.calls_ahead: Any = None  # a `checks.CallsInOrder`, whose outcomes arrive before that of a request

    # Defined by each side

    def attribute(self, remote: Remote, name: str) -> Any:
        """Reads an attribute of an object of the other side."""
        return self.request(["get", remote._number, name])

    def call(self, remote: Remote, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls an object of the other side."""
        return self.request(["call", remote._number], args, kwargs)

    def operate(self, remote: Remote, name: str, args: tuple[Any, ...] = ()) -> Any:
        """Applies the special method `name` to an object of the other side."""
        return self.request(["op", remote._number, name], args)

    def serve(self, what: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Executes a request of the other side."""
        raise NotImplementedError

    def base_of(self, remote: Remote) -> type:
        """Returns what stands for a class of the other side among the bases of a class statement."""
        raise TypeError(f"cannot derive a class from {remote._type!r} object of another process")

    def describe_error(self, error: BaseException, encoder: Encoder) -> dict[str, Any]:
        """Returns the data of an error that is raised on the other side."""
        return self.exceptions.describe(error, encoder)

    def rebuild_error(self, description: dict[str, Any], decoder: Decoder) -> BaseException:
        """Returns the error to raise here."""
        return self.exceptions.make(description, decoder)

    def make_remote(
        self, number: int, kind: str, type_name: str, classes: tuple[int, ...], decides: bool, data: type | None
    ) -> Any:
        """Returns the local stand-in of an object of the other side."""
        if kind == "coroutine":
            return self._awaitable(number)
        return Remote(self, number, kind, type_name, classes, decides, data)

    async def _awaitable(self, number: int) -> Any:
        return self.request(["await", number])

    # Requests and outcomes

    def request(self, what: list[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Requests `what` from the other side, and serves its requests (callbacks) until it returns."""
        if self.calls_ahead is not None:
            self.calls_ahead.receive_all()
        message, encoder = self.encode_request(what, args, kwargs)
        self.channel.send_encoded(message)
        return self.outcome(what, encoder)

    def encode_request(
        self, what: list[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> tuple[bytes, Encoder]:
        """Returns the bytes of a request, and the data that its `outcome` needs."""
        encoder = Encoder(self)
        payload = [encoder.encode(args), encoder.encode(kwargs or {})]
        return encode_message({"do": what, "with": payload}), encoder

    def outcome(self, what: list[Any], encoder: Encoder) -> Any:
        """Waits for the outcome of a request. Outcomes of several requests arrive in order."""
        while True:
            message = self.channel.receive()
            try:
                if "do" not in message:
                    break
            except TypeError:
                raise ProtocolError("a message must be an object") from None
            self.answer(message)
        try:
            decoder = Decoder(self, encoder.objects)
            if "raised" in message:
                error = self.rebuild_error(message["raised"], decoder)
                decoder.restore(message.get("changed", []))
            else:
                error = None
                result = decoder.decode(message["gave"])
                decoder.restore(message["changed"])
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError, AttributeError) as failure:
            raise ProtocolError(f"not an answer: {failure}") from None
        if error is not None:
            raise error
        return result

    def answer(self, message: dict[str, Any]) -> None:
        """Executes one request of the other side and sends its outcome."""
        try:
            decoder = Decoder(self, {})
            args, kwargs = (decoder.decode(part) for part in message["with"])
            what = message["do"]
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError, AttributeError) as failure:
            raise ProtocolError(f"not a request: {failure}") from None
        before = Encoder(self, decoder.objects).bodies(decoder.objects)
        encoder = Encoder(self, decoder.objects)
        try:
            try:
                reply = {"gave": encoder.encode(self.serve(what, args, kwargs))}
            except (Disconnected, ProtocolError):
                raise
            except BaseException as error:  # any error of the callee is sent to the caller
                reply = {"raised": self.describe_error(error, encoder)}
            after = encoder.bodies(decoder.objects)
            reply["changed"] = [[number, body] for number, body in after.items() if body != before[number]]
            self.channel.send_before_waiting(reply)
        except (RecursionError, MemoryError, ValueError) as error:
            # The outcome cannot be encoded (too deep, too large), which is an error of the callee.
            self.channel.send({"raised": self.describe_error(error, Encoder(self)), "changed": []})

    # Objects that stay in their process

    def export(self, value: Any) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._exports)
            self._exports.append(value)
        return number

    def exported(self, number: int) -> Any:
        if type(number) is not int or not 0 <= number < len(self._exports):
            raise ProtocolError("no such object")
        return self._exports[number]

    def describe(self, value: Any) -> list[Any]:
        """`["R", number, kind, type name, numbers of its classes, decides, its built-in data type]`"""
        cls = type(value)
        kind, of = "object", cls
        if isinstance(value, type):
            kind, of = "class", value
        elif isinstance(value, types.CoroutineType):
            kind = "coroutine"
        elif isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
            kind = "function"
        elif (hasattr(cls, "__next__") and hasattr(cls, "__iter__")) or (
            hasattr(cls, "__anext__") and hasattr(cls, "__aiter__")
        ):
            kind = "iterator"
        mro = [base for base in of.__mro__ if base.__module__ != "builtins"]
        decides = hasattr(cls, "__bool__") or hasattr(cls, "__len__")
        data = data_type(cls)
        name = None if data is None else data.__name__
        return ["R", self.export(value), kind, cls.__name__, [self.export(base) for base in mro], decides, name]

    def resolve(self, data: list[Any]) -> Any:
        _, number, kind, type_name, classes, decides, name = data
        if number not in self._remotes:
            if not (type(number) is int and type(kind) is str and type(type_name) is str and type(decides) is bool):
                raise ProtocolError("not an object")
            cls = None if name is None else _DATA_TYPES[name]
            self._remotes[number] = self.make_remote(number, kind, type_name[:200], tuple(classes), decides, cls)
        return self._remotes[number]

    # Instances of classes that derive from data

    def keeps(self, cls: type) -> bool:
        """Returns whether an instance of a class also crosses as an object, since it has methods of its own."""
        return False

    def trusts(self, remote: Remote) -> bool:
        """Returns whether the class of an object is under test."""
        return False

    def expects_exit(self) -> bool:
        """Returns whether `SystemExit` of the other side is what is expected of it now."""
        return False


class Encoder:
    """Encodes values. Mutable containers are numbered, which preserves shared references and cycles."""

    def __init__(self, peer: Peer, objects: dict[int, Any] | None = None):
        self.peer = peer
        self.objects = dict(objects or {})
        self.seen = {id(value): number for number, value in self.objects.items()}

    def encode(self, value: Any) -> Any:
        cls = type(value)
        if cls in _PLAIN:
            return value
        if cls is int:
            return value if -_SMALL < value < _SMALL else ["i", hex(value)]
        if cls is tuple:
            return ["t", self.items(value)]
        if id(value) in self.seen:
            return ["@", self.seen[id(value)]]
        described = None
        if cls not in _BUILTIN:
            if issubclass(cls, Remote) and value._peer is self.peer:
                return ["L", value._number]
            described = self.peer.describe(value) if self.peer.keeps(cls) else None
        if isinstance(value, _CONTAINERS):
            number, tag = self._number(value), self._tag(value)
            factory: Any = getattr(value, "default_factory", None) if tag == "e" else None
            data = [tag, number, self.body(value), *([factory.__name__] if factory is not None else [])]
        else:
            data = self._rest(value, cls)
        return data if described is None else ["K", described, data]

    def _rest(self, value: Any, cls: type) -> Any:
        # Unbound methods of the base class are called, so that no method of a subclass decides what is sent.
        if value is Ellipsis or value is NotImplemented:
            return ["c", "Ellipsis" if value is Ellipsis else "NotImplemented"]
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return self.encode(int.__pos__(value))
        if isinstance(value, float):
            return float.__pos__(value)
        if isinstance(value, complex):
            return ["z", value.real, value.imag]
        if isinstance(value, bytes):
            return ["b", bytes.__getitem__(value, slice(None)).decode("latin-1")]
        if isinstance(value, tuple):
            items = self.items(tuple(tuple.__iter__(value)))
            fields = getattr(cls, "_fields", None)
            if type(fields) is tuple and len(fields) == len(items) and all(type(field) is str for field in fields):
                return ["n", cls.__name__, list(fields), items]
            return ["t", items]
        if isinstance(value, frozenset):
            return ["f", self.items(tuple(frozenset.__iter__(value)))]
        if cls is range:
            return ["r", *(self.encode(part) for part in (value.start, value.stop, value.step))]
        if cls is slice:
            return ["s", *(self.encode(part) for part in (value.start, value.stop, value.step))]
        if cls is decimal.Decimal:
            return ["D", str(value)]
        if cls is fractions.Fraction:
            return ["F", self.encode(value.numerator), self.encode(value.denominator)]
        if cls in (datetime.datetime, datetime.date, datetime.time):
            return ["T", cls.__name__, value.isoformat()]
        if cls is datetime.timedelta:
            return ["T", "timedelta", [value.days, value.seconds, value.microseconds]]
        if cls is datetime.timezone:
            return ["T", "timezone", [str(value.tzname(None)), self.encode(value.utcoffset(None))]]
        if (cls.__module__, cls.__name__) in _BY_TEXT and cls is getattr(
            sys.modules.get(cls.__module__), cls.__name__, None
        ):
            return ["P", cls.__module__, cls.__name__, str(value)]
        if cls is memoryview and value.contiguous:
            return ["b", value.tobytes().decode("latin-1")]
        if cls is types.MappingProxyType:
            return self.encode(dict(value))
        if cls is array.array:
            return [*self._array(value), self._number(value)]
        if cls in _VIEWS:
            return ["v", _VIEWS[cls], self.items(tuple(value))]
        if isinstance(value, type) and _CLASSES.get(value.__name__) is value:
            return ["c", value.__name__]  # type: ignore[union-attr]
        if isinstance(value, type) and issubclass(value, BaseException):
            return ["x", self.peer.exceptions.describe_class(value)]
        if isinstance(value, BaseException):
            return ["E", self.peer.exceptions.describe(value, self)]
        if cls.__module__ == "numpy" and "numpy" in sys.modules:
            data = _encode_numpy(value)
            if data is not None:
                # What is read-only cannot change, and a scalar is no array
                return [*data, self._number(value)] if data[2] and value.flags.writeable else data  # codespell:ignore
        return self.peer.describe(value)

    def _number(self, value: Any) -> int:
        """Numbers a value that a call may change in place."""
        number = self.seen[id(value)] = len(self.objects)
        self.objects[number] = value
        return number

    def _array(self, value: array.array[Any]) -> list[Any]:
        return ["A", value.typecode, self.items(value.tolist())]

    def items(self, values: Any) -> list[Any]:
        kinds = set(map(type, values))
        if kinds <= _PLAIN:
            return list(values)
        if kinds <= _NUMBERS and min(values) > -_SMALL and max(values) < _SMALL:
            return list(values)
        return [self.encode(value) for value in values]

    @staticmethod
    def _tag(value: Any) -> str:
        for cls, tag in _MUTABLE:
            if isinstance(value, cls):
                factory = getattr(value, "default_factory", None) if tag == "e" else None
                return tag if factory is None or any(factory is one for one in _CLASSES.values()) else "d"
        raise AssertionError("unreachable")

    def body(self, value: Any) -> Any:
        if isinstance(value, list):
            return self.items(list(list.__iter__(value)))
        if isinstance(value, dict):
            pairs = list(value.items() if isinstance(value, collections.OrderedDict) else dict.items(value))
            return [self.items([key for key, _ in pairs]), self.items([item for _, item in pairs])]
        if isinstance(value, set):
            return self.items(list(set.__iter__(value)))
        if isinstance(value, bytearray):
            return bytes(value).decode("latin-1")
        if isinstance(value, array.array):
            return self._array(value)
        if _is_numpy_array(value):
            return _encode_numpy(value)
        return [value.maxlen, self.items(list(collections.deque.__iter__(value)))]

    def bodies(self, objects: dict[int, Any]) -> dict[int, Any]:
        return {
            number: self.body(value)
            for number, value in objects.items()
            if isinstance(value, (*_CONTAINERS, array.array)) or _is_numpy_array(value)
        }


_VIEWS: dict[type, str] = {type({}.keys()): "keys", type({}.values()): "values", type({}.items()): "items"}
_VIEWS |= {KeysView: "keys", ValuesView: "values", ItemsView: "items"}  # of a mapping of a program
_CONTAINERS = (list, dict, set, bytearray, collections.deque)
_MUTABLE = (
    (list, "l"),
    (collections.Counter, "C"),
    (collections.OrderedDict, "O"),
    (collections.defaultdict, "e"),
    (dict, "d"),
    (set, "S"),
    (bytearray, "B"),
    (collections.deque, "q"),
)
_EMPTY: dict[str, Callable[[], Any]] = {
    "l": list,
    "C": collections.Counter,
    "O": collections.OrderedDict,
    "d": dict,
    "e": collections.defaultdict,
    "S": set,
    "B": bytearray,
}


class Decoder:
    """Decodes values. Nothing is trusted: invalid input raises, and the caller reports a protocol error."""

    def __init__(self, peer: Peer, objects: dict[int, Any]):
        self.peer = peer
        self.objects = objects

    def decode(self, data: Any) -> Any:
        if type(data) is not list:
            if type(data) is dict:
                raise ValueError("an object where a value is due")
            return data
        tag = data[0]
        if tag == "@":
            return self.objects[data[1]]
        if tag == "t":
            return tuple(self.items(data[1]))
        if tag in _EMPTY or tag == "q":
            number, body = data[1], data[2]
            value = collections.deque(maxlen=body[0]) if tag == "q" else _EMPTY[tag]()
            if isinstance(value, collections.defaultdict) and len(data) > 3:
                factory: Any = _CLASSES[data[3]]
                value.default_factory = factory
            self.fill(self.numbered(value, [number]), body)
            return value
        if tag == "R":
            return self.peer.resolve(data)
        if tag == "K":
            remote, value = self.peer.resolve(data[1]), self.decode(data[2])
            if not self.peer.trusts(remote):
                return value
            if isinstance(value, _CONTAINERS):
                self.objects[data[2][1]] = remote
            return remote
        if tag == "L":
            return self.peer.exported(data[1])
        return _decode_rest(self, tag, data)

    def numbered(self, value: Any, number: list[int]) -> Any:
        """Registers a decoded value under its number, if it has one."""
        if number and (type(number[0]) is not int or number[0] in self.objects):
            raise ValueError("a value is numbered twice")
        self.objects.update(dict.fromkeys(number, value))
        return value

    def items(self, data: Any) -> list[Any]:
        return [self.decode(item) if type(item) is list else item for item in _exactly(list, data)]

    def fill(self, value: Any, body: Any) -> None:
        if isinstance(value, list):
            value[:] = self.items(body)
        elif isinstance(value, dict):
            keys, items = body
            pairs = list(zip(self.items(keys), self.items(items), strict=True))
            value.clear()
            for key, item in pairs:
                value[key] = item
        elif isinstance(value, set):
            items = self.items(body)
            value.clear()
            value.update(items)
        elif isinstance(value, bytearray):
            value[:] = body.encode("latin-1")
        elif isinstance(value, array.array) or _is_numpy_array(value):
            value[:] = _decode_rest(self, body[0], body)
        else:
            items = self.items(body[1])
            value.clear()
            value.extend(items)

    def restore(self, changed: Any) -> None:
        """Updates the caller's containers with the content of the callee's copies."""
        for number, body in changed:
            self.fill(self.objects[number], body)


def _decode_rest(decoder: Decoder, tag: Any, data: list[Any]) -> Any:
    if tag == "i":
        return int(data[1], 16)
    if tag == "z":
        return complex(data[1], data[2])
    if tag == "b":
        return data[1].encode("latin-1")
    if tag == "f":
        return frozenset(decoder.items(data[1]))
    if tag == "n":
        items = decoder.items(data[3])
        # A field may be named `count`, but must not replace the method of tuples
        if any(name in DATA_METHODS and callable(item) for name, item in zip(data[2], items, strict=True)):
            return tuple(items)
        return _namedtuple(data[1], tuple(data[2]))._make(items)
    if tag == "r":
        return range(*map(decoder.decode, data[1:]))
    if tag == "s":
        return slice(*map(decoder.decode, data[1:]))
    if tag == "D":
        return decimal.Decimal(_exactly(str, data[1]))
    if tag == "F":
        return fractions.Fraction(*map(decoder.decode, data[1:]))
    if tag == "T":
        if data[1] == "timedelta":
            return datetime.timedelta(*data[2])
        if data[1] == "timezone":
            offset = decoder.decode(data[2][1])
            plain = datetime.timezone(offset)
            return plain if str(plain) == data[2][0] else datetime.timezone(offset, data[2][0])
        kinds: dict[str, type[datetime.date | datetime.time]] = {
            "datetime": datetime.datetime,
            "date": datetime.date,
            "time": datetime.time,
        }
        return kinds[data[1]].fromisoformat(data[2])
    if tag == "v":
        items = decoder.items(data[2])
        if data[1] == "keys":
            return dict.fromkeys(items).keys()
        return dict(items).items() if data[1] == "items" else dict(enumerate(items)).values()
    if tag == "c":
        if data[1] in ("Ellipsis", "NotImplemented"):
            return Ellipsis if data[1] == "Ellipsis" else NotImplemented
        return _CLASSES[data[1]]
    if tag == "A":
        return decoder.numbered(array.array(data[1], decoder.items(data[2])), data[3:])
    if tag == "x":
        return decoder.peer.exceptions.make_class(data[1])
    if tag == "E":
        return decoder.peer.exceptions.make(data[1], decoder)
    if tag == "P" and (data[1], data[2]) in _BY_TEXT:
        return getattr(importlib.import_module(data[1]), data[2])(_exactly(str, data[3]))
    if tag == "N":
        return decoder.numbered(_decode_numpy(data), data[4:])
    raise ValueError("an unknown kind of value")


# Classes whose instances are sent as text
_BY_TEXT = frozenset({("pathlib", "PosixPath"), ("pathlib", "PurePosixPath"), ("uuid", "UUID")})
_namedtuples: dict[tuple[str, tuple[str, ...]], Any] = {}


def _namedtuple(name: str, fields: tuple[str, ...]) -> Any:
    # `namedtuple` checks that each name is an identifier before it builds code from them.
    if (name, fields) not in _namedtuples:
        _namedtuples[name, fields] = collections.namedtuple(name, fields)
    return _namedtuples[name, fields]


def _is_numpy_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


def _encode_numpy(value: Any) -> Any:
    import numpy

    if isinstance(value, (numpy.ndarray, numpy.generic)) and value.dtype.kind in "biufcSUMm":
        array = numpy.ascontiguousarray(value)
        return ["N", array.dtype.str, list(value.shape), array.tobytes().decode("latin-1")]
    return None


def _decode_numpy(data: list[Any]) -> Any:
    import numpy

    dtype = numpy.dtype(_exactly(str, data[1]))
    if dtype.kind not in "biufcSUMm":
        raise ValueError("an unknown kind of array")
    array = numpy.frombuffer(data[3].encode("latin-1"), dtype=dtype).reshape([int(size) for size in data[2]]).copy()
    return array if data[2] else array[()]
