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
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any


SIZE = 16
# The version of marshal's format without references: an output's bytes depend on its value alone
_VALUES_ONLY = 2
# Maximum seconds for which digests are collected before they are sent: much less than any limit of a call
_COLLECTED = 0.05


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


def send(outputs: Iterable[Any], sock: socket.socket) -> None:
    """
    Sends the digest of each output, computed before the next output is requested, which may change the previous one.
    """
    collected, since = [], time.monotonic()
    for output in outputs:
        collected.append(digest(pack(output)))
        if time.monotonic() - since > _COLLECTED:
            sock.sendall(b"".join(collected))
            collected, since = [], time.monotonic()
    sock.sendall(b"".join(collected))


def receive(sock: socket.socket, expected: bytes, limits: Sequence[float], in_total: float) -> bool:
    """
    Returns whether the digests that arrive are the expected ones.

    Args:
        sock (`socket.socket`):
            The other end of [`send`].
        expected (`bytes`):
            The expected digests, one after another.
        limits (`Sequence[float]`):
            Seconds for each output.
        in_total (`float`):
            Seconds for all of them.

    Raises:
        TimeoutError: If one of them is late.
    """
    # Several digests that arrive together took no time but for the last one, whose limit is the one that counts
    longest = [*accumulate(reversed(limits), max)][::-1]
    known, before = 0, time.monotonic()
    end = before + in_total
    while known < len(expected):
        sock.settimeout(max(1e-3, min(longest[known // SIZE], end - before)))
        try:
            part = sock.recv(1 << 16)
        except ConnectionError:
            return False
        now = time.monotonic()
        if not part or not expected.startswith(part, known):
            return False
        known += len(part)
        if now - before > limits[(known - 1) // SIZE] or now > end:
            raise TimeoutError
        before = now
    return True
