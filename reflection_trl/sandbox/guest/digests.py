"""
Compares outputs with expected ones as data, which the answer's process sends.

The judge holds the digests of the expected outputs, so equal outputs are recognized without decoding anything. Equal
digests mean equal data, but not the reverse: sets, dictionaries and floats may be equal with other bytes. So short
outputs are sent as they are, and [`unpack`] makes an output whose digest differs, of built-in data only, for a
comparison by other means. No code of an answer runs in the judge's process. An answer that sends the right data knows
the right outputs.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import socket
import struct
from collections.abc import Callable, Iterable
from time import monotonic  # an answer may replace it in its module
from typing import Any, NamedTuple

from .job import BACKSTOP
from .time_limit import WORKED


SIZE = 16
# Kinds of messages: an output, the digest of a long one, a call that took too long computing or waiting for something, and an
# error, followed by its description
VALUE, DIGEST, LATE, WAITED, ERROR, DESCRIPTION = b"v", b"d", b"l", b"w", b"e", b"t"
# Kind and size of the body
_HEADER = struct.Struct("!cI")
# Maximum bytes of an output that is sent as it is, and of a description
LONGEST, _LONGEST_DESCRIPTION = 1 << 14, 1 << 18
# The version of marshal's format without references: an output's bytes depend on its value alone
_VALUES_ONLY = 2
# Messages that are sent one by one, since most wrong answers fail here, and the next call may take long
_FIRST = 8
# Maximum seconds for which later messages are collected before they are sent
_COLLECTED = 0.002
# Minimum seconds until the time is looked at again
_POLL = 0.1
# Seconds for an error's description, which may run code of the answer
_DESCRIPTION_SECONDS = 1.0
_INT, _FLOAT = struct.Struct("<i"), struct.Struct("<d")
# Begins bytes in bytes of [`pack`]
_BYTES = b"s"
_CONSTANTS = {b"N": None, b"T": True, b"F": False}


def pack(output: Any) -> bytes:
    """
    Returns the bytes of an output, from which `marshal.loads` makes an equal one.

    Raises:
        ValueError: If it contains anything but exact built-in data, or objects with the bytes of an array.
    """
    return marshal.dumps(output, _VALUES_ONLY)


def unpack(packed: bytes) -> Any:
    """
    Returns the output that [`pack`] packed. `marshal.loads` is not safe for bytes of an answer.

    Raises:
        ValueError: If it contains anything but `None`, bools, numbers, strings, tuples, lists, dictionaries and sets. Bytes
            may be those of an array, so they are not accepted.
    """
    try:
        return _Unpacker(packed).unpack()
    except (IndexError, RecursionError, TypeError, struct.error) as error:
        raise ValueError(f"not plain data: {error}") from None


class _Unpacker:
    def __init__(self, packed: bytes):
        self._packed, self._at = packed, 0

    def unpack(self) -> Any:
        value = self._value(self._take(1))
        if self._at != len(self._packed):
            raise ValueError("more than one value")
        return value

    def _take(self, size: int) -> bytes:
        self._at += size
        if size < 0 or self._at > len(self._packed):
            raise ValueError("a value is cut off")
        return self._packed[self._at - size : self._at]

    def _int(self) -> int:
        (value,) = _INT.unpack(self._take(4))
        return int(value)

    def _float(self) -> float:
        (value,) = _FLOAT.unpack(self._take(8))
        return float(value)

    def _items(self) -> list[Any]:
        size = self._int()
        if size < 0:
            raise ValueError("a negative size")
        return [self._value(self._take(1)) for _ in range(size)]

    def _value(self, kind: bytes) -> Any:
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind == b"i":
            return self._int()
        if kind == b"l":  # its digits of 15 bits, whose number has the sign
            size = self._int()
            digits = struct.unpack(f"<{abs(size)}H", self._take(2 * abs(size)))
            value = sum(digit << 15 * place for place, digit in enumerate(digits))
            return -value if size < 0 else value
        if kind == b"g":
            return self._float()
        if kind == b"y":
            return complex(self._float(), self._float())
        if kind == b"u":
            return self._take(self._int()).decode("utf-8", "surrogatepass")
        if kind == b"(":
            return tuple(self._items())
        if kind == b"[":
            return self._items()
        if kind == b"<":
            return set(self._items())
        if kind == b">":
            return frozenset(self._items())
        if kind == b"{":
            pairs = {}
            while (key := self._take(1)) != b"0":
                name = self._value(key)
                pairs[name] = self._value(self._take(1))
            return pairs
        raise ValueError(f"an unknown kind of value {kind!r}")


def digest(packed: bytes) -> bytes:
    """Returns the digest of the bytes of [`pack`]."""
    return hashlib.blake2b(packed, digest_size=SIZE).digest()


def message_of(output: Any) -> bytes:
    """
    Returns the message with an output.

    Raises:
        ValueError: If it contains anything but plain data. The bytes of a long one may also be those of an array.
    """
    packed = pack(output)
    if len(packed) > LONGEST:
        return message(DIGEST, digest(packed))
    if _BYTES in packed:
        unpack(packed)
    return message(VALUE, packed)


def message(kind: bytes, body: bytes = b"") -> bytes:
    """Returns a message of this kind."""
    return _HEADER.pack(kind, len(body)) + body


def send(messages: Iterable[bytes], sock: socket.socket) -> None:
    """
    Sends messages.

    Args:
        messages (`Iterable[bytes]`):
            Yields each message as soon as its output is known, since the next call may change the output.
        sock (`socket.socket`):
            The other end of [`Outputs`].
    """
    collected, since = [], monotonic()
    for number, one in enumerate(messages):
        collected.append(one)
        # What follows an error may take forever
        if number < _FIRST or one.startswith(ERROR) or monotonic() - since > _COLLECTED:
            sock.sendall(b"".join(collected))
            collected, since = [], monotonic()
    sock.sendall(b"".join(collected))


class Late(NamedTuple):
    """
    Describes a time limit that an answer has exceeded.

    Args:
        all (`bool`):
            Whether that of all calls together, and not that of one.
        waited (`bool`):
            Whether waiting, and not only computing, took this time, so that another run may be faster.
    """

    all: bool
    waited: bool


class Error(NamedTuple):
    """
    Describes when an answer raised an error.

    Args:
        ran (`bool`):
            Whether code of the answer ran before it.
        in_call (`bool`):
            Whether it ended a call, and not the program that defines the function.
        certain (`bool`):
            Whether the answer raises it anywhere, and not only in this process.
    """

    ran: bool
    in_call: bool
    certain: bool


def error_messages(error: Error, describe: Callable[[], dict[str, Any]]) -> Iterable[bytes]:
    """Yields the messages about an error. `describe` may run code of the answer, and so takes place after the first one."""
    yield message(ERROR, bytes(error))
    yield message(DESCRIPTION, json.dumps(describe()).encode())


class Outputs:
    """
    Reads the messages of an answer's process.

    Args:
        sock (`socket.socket`):
            The other end of [`send`].
        seconds (`float`):
            Maximum time of all outputs together, without time in the queue for a CPU, and six times as long by the clock on the wall.
        cpu_times (`Callable`):
            Returns the CPU seconds of the sender, and its seconds in the queue for a CPU. Called once this time has passed.

    Attributes:
        late ([`Late`], *optional*):
            The time limit that ended the outputs.
        error ([`Error`], *optional*):
            The error that did.
    """

    def __init__(self, sock: socket.socket, seconds: float, cpu_times: Callable[[], tuple[float, float]]):
        self._sock, self._seconds, self._cpu_times = sock, seconds, cpu_times
        self._started = monotonic()
        self._deadline = self._started + seconds
        self._received, self._at = b"", 0
        self.late: Late | None = None
        self.error: Error | None = None

    def next(self) -> tuple[bytes, bytes] | None:
        """Returns the bytes of the next output, empty if it is long, and its digest. `None` if there is no other."""
        found = self._read(max(LONGEST, SIZE))
        if found is None:
            return None
        kind, body = found
        if kind == VALUE:
            return body, digest(body)
        if kind == DIGEST:
            return b"", body
        if kind in (LATE, WAITED):
            self.late = Late(all=False, waited=kind == WAITED)
        if kind == ERROR and len(body) == len(Error._fields):
            self.error = Error(*map(bool, body))
        return None

    def equal(self, expected: bytes) -> tuple[int, tuple[bytes, bytes] | None]:
        """
        Compares the outputs with expected digests, one after another. Returns the number of equal ones, up to the first
        other output, and this one.
        """
        for number, at in enumerate(range(0, len(expected), SIZE)):
            found = self.next()
            if found is None or found[1] != expected[at : at + SIZE]:
                return number, found
        return len(expected) // SIZE, None

    def description(self) -> dict[str, Any] | None:
        """Returns the description of the error that ended the outputs, as `errors.describe` makes it; `None` if it has none."""
        self._deadline, self._seconds = monotonic() + _DESCRIPTION_SECONDS, 0.0
        found = self._read(_LONGEST_DESCRIPTION)
        self.late = None
        if found is None or found[0] != DESCRIPTION:
            return None
        try:
            record = json.loads(found[1])
        except (ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) else None

    def _read(self, longest: int) -> tuple[bytes, bytes] | None:
        """Returns kind and body of the next message."""
        if not self._fill(_HEADER.size):
            return None
        kind, size = _HEADER.unpack_from(self._received, self._at)
        if size > longest or not self._fill(_HEADER.size + size):
            return None
        self._at += _HEADER.size + size
        return kind, self._received[self._at - size : self._at]

    def _fill(self, size: int) -> bool:
        """Receives until so many bytes are there. Returns whether they are."""
        while len(self._received) - self._at < size:
            now = monotonic()
            if now >= self._deadline:
                processor, queued = self._cpu_times()
                self._deadline = self._started + min(self._seconds + queued, BACKSTOP * self._seconds)
                if now >= self._deadline:
                    self.late = Late(all=True, waited=processor < WORKED * self._seconds)
                    return False
                self._deadline = max(self._deadline, now + _POLL)
            self._sock.settimeout(self._deadline - now)
            try:
                part = self._sock.recv(1 << 16)
            except TimeoutError:
                continue
            except ConnectionError:
                part = b""
            if not part:
                return False
            self._received, self._at = self._received[self._at :] + part, 0
        return True
