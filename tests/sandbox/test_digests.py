"""Outputs are equal to the expected ones only where their digests say so, each in time."""

import marshal
import math
import socket
import threading
import time
from collections import Counter, OrderedDict

import pytest

from reflection_trl.sandbox.guest.digests import SIZE, digest, pack, receive, send


def all_digests(outputs):
    return b"".join(digest(pack(output)) for output in outputs)


def arrives(messages, expected, limits, in_total=60.0, pause=0.0):
    """What `receive` says of bytes that are sent one after another, with a pause before each."""
    ours, theirs = socket.socketpair()

    def write():
        with theirs:
            for message in messages:
                time.sleep(pause)
                try:
                    theirs.sendall(message)
                except OSError:
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with ours:
            return receive(ours, expected, limits, in_total)
    finally:
        writer.join()


VALUES = [0, 1, True, False, None, 1.0, 0.0, -0.0, "1", b"1", (), [], {}, set(), frozenset(), (1,), [1], [[1]], {1: 2}]
VALUES += ["", "é", "\ud800", 1 << 40, -(1 << 200), 1j, [1, 2], [2, 1], {1}, {"a": [1, (2.5, None)]}, 0.1 + 0.2, 0.3]


def test_bytes_state_the_types_and_the_values():
    assert len({pack(value) for value in VALUES}) == len(VALUES)
    for value in VALUES:
        copy = marshal.loads(pack(value))
        assert (copy, type(copy), repr(copy)) == (value, type(value), repr(value))


def test_equal_data_has_the_same_bytes_however_it_was_made():
    inner = [1, "ab"]
    shared, apart = [inner, inner], [[1, "".join("ab")], [1, "ab"]]
    assert pack(shared) == pack(apart)
    assert pack({"x", "yy", "zzz"}) == pack({"zzz", "yy", "x"})


class Same(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize(
    "value",
    [Same(1), [Same(1)], object(), type("S", (str,), {})("a"), OrderedDict(a=1), Counter("a"), iter([]), len, math],
)
def test_anything_but_builtin_data_has_none(value):
    with pytest.raises(ValueError, match="unmarshallable"):
        pack(value)


def test_an_output_counts_as_it_was_when_it_was_returned():
    grown: list[int] = []

    def outputs():
        for number in range(3):
            grown.append(number)
            yield grown

    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(outputs(), theirs)
        assert receive(ours, all_digests([[0], [0, 1], [0, 1, 2]]), [1.0] * 3, 3.0)


def test_digests_that_are_right_and_in_time_are_accepted_in_any_pieces():
    expected = all_digests(range(5))
    for size in (1, 7, SIZE, len(expected)):
        pieces = [expected[at : at + size] for at in range(0, len(expected), size)]
        assert arrives(pieces, expected, [5.0] * 5)
    assert arrives([], b"", [])


@pytest.mark.parametrize(
    "change",
    [
        lambda right: right[:-1],
        lambda right: right + b"\0",
        lambda right: right[:-1] + bytes([right[-1] ^ 1]),
        lambda right: bytes([right[0] ^ 128]) + right[1:],
        lambda right: right[SIZE:] + right[:SIZE],
        lambda right: b"",
    ],
)
def test_anything_else_is_refused(change):
    right = all_digests(range(5))
    assert not arrives([change(right)], right, [5.0] * 5)


def test_an_output_that_takes_longer_than_its_limit_is_late():
    expected = all_digests(range(2))
    pieces = [expected[:SIZE], expected[SIZE:]]
    with pytest.raises(TimeoutError):
        arrives(pieces, expected, [0.2, 0.2], pause=0.4)
    # It is the last output of a piece that has taken the time
    assert arrives(pieces, expected, [60.0, 60.0], pause=0.4)
    assert arrives([expected], expected, [0.1, 60.0], pause=0.4)
    with pytest.raises(TimeoutError):
        arrives([expected], expected, [60.0, 0.1], pause=0.4)
    assert not arrives([b"wrong"], expected, [60.0, 0.1], pause=0.4)


def test_bytes_that_trickle_in_do_not_hold_up_the_judge():
    expected = all_digests(range(2))
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        arrives([bytes([byte]) for byte in expected], expected, [60.0] * 2, in_total=0.5, pause=0.1)
    assert time.monotonic() - started < 30


def test_digests_are_sent_while_the_rest_is_computed():
    ours, theirs = socket.socketpair()
    may_go_on = threading.Event()

    def outputs():
        yield 1
        time.sleep(0.1)
        yield 2
        assert may_go_on.wait(30)
        yield 3

    sender = threading.Thread(target=send, args=(outputs(), theirs))
    sender.start()
    with ours, theirs:
        ours.settimeout(30)
        assert ours.recv(100) == all_digests([1, 2])
        may_go_on.set()
        assert ours.recv(100) == all_digests([3])
        sender.join()
