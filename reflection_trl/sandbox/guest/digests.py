"""
Compares outputs with expected ones by digests of their data, which the answer's process computes and sends.

The judge holds the digests of the expected outputs, so nothing is decoded, and no code of an answer runs, in its
process. An answer that sends the right digests knows the right outputs. Equal digests mean equal data, but not the
reverse: sets, dictionaries and floats may be equal with other bytes, so what differs here must be compared otherwise.
"""

from __future__ import annotations

import hashlib
import marshal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .job import BACKSTOP
from .time_limit import WORKED


SIZE = 16
# Sent in place of a digest if the call has taken too long: computing, or waiting for something
LATE, WAITED = b"late".ljust(SIZE), b"waited".ljust(SIZE)
# The version of marshal's format without references: an output's bytes depend on its value alone
_VALUES_ONLY = 2
# Digests that are sent one by one, since most wrong answers fail here, and the next call may take long
_FIRST = 8
# Maximum seconds for which later digests are collected before they are sent
_COLLECTED = 0.002
# Minimum seconds until the time is looked at again
_POLL = 0.1


class Comparison(NamedTuple):
    """
    Describes how outputs compare with the expected ones.

    Args:
        right (`int`):
            Number of outputs with the expected digests, up to the first other one.
        equal (`bool`, *optional*, defaults to `False`):
            Whether these are all.
        late (`str`, *optional*):
            `"call"` if the next call exceeded its time limit, `"all"` if all together exceeded theirs.
        waited (`bool`, *optional*, defaults to `False`):
            Whether waiting, and not only computing, took this time, so that another run may be faster.
    """

    right: int
    equal: bool = False
    late: str | None = None
    waited: bool = False


def pack(output: Any) -> bytes:
    """
    Returns the bytes of an output, from which `marshal.loads` makes an equal one.

    Raises:
        ValueError: If it contains anything but exact built-in data, whose types the bytes state.
    """
    return marshal.dumps(output, _VALUES_ONLY)


def digest(packed: bytes) -> bytes:
    """Returns the digest of the bytes of [`pack`]."""
    return hashlib.blake2b(packed, digest_size=SIZE).digest()


def send(digests: Iterable[bytes], sock: socket.socket) -> None:
    """
    Sends digests, or what takes the place of one.

    Args:
        digests (`Iterable[bytes]`):
            Yields each digest as soon as its output is known, since the next call may change the output.
        sock (`socket.socket`):
            The other end of [`receive`].
    """
    collected, since = [], time.monotonic()
    for number, one in enumerate(digests):
        collected.append(one)
        if number < _FIRST or time.monotonic() - since > _COLLECTED:
            sock.sendall(b"".join(collected))
            collected, since = [], time.monotonic()
    sock.sendall(b"".join(collected))


def receive(
    sock: socket.socket, expected: bytes, seconds: float, cpu_times: Callable[[], tuple[float, float]]
) -> Comparison:
    """
    Compares the digests that arrive with the expected ones.

    Args:
        sock (`socket.socket`):
            The other end of [`send`].
        expected (`bytes`):
            The expected digests, one after another.
        seconds (`float`):
            Maximum time of all outputs together, without time in the queue for a CPU, and six times as long by the clock on the wall.
        cpu_times (`Callable`):
            Returns the CPU seconds of the sender, and its seconds in the queue for a CPU. Called once this time has passed.
    """
    right, received = 0, b""
    started = time.monotonic()
    deadline = started + seconds
    while right * SIZE < len(expected):
        now = time.monotonic()
        if now >= deadline:
            processor, queued = cpu_times()
            deadline = started + min(seconds + queued, BACKSTOP * seconds)
            if now >= deadline:
                return Comparison(right, late="all", waited=processor < WORKED * seconds)
            deadline = max(deadline, now + _POLL)
        sock.settimeout(deadline - now)
        try:
            part = sock.recv(1 << 16)
        except TimeoutError:
            continue
        except ConnectionError:
            part = b""
        if not part:
            return Comparison(right)
        received += part
        for at in range(0, len(received) - SIZE + 1, SIZE):
            one = received[at : at + SIZE]
            if one in (LATE, WAITED):
                return Comparison(right, late="call", waited=one == WAITED)
            if one != expected[right * SIZE : (right + 1) * SIZE]:
                return Comparison(right)
            right += 1
        received = received[len(received) // SIZE * SIZE :]
    return Comparison(right, equal=not received)
