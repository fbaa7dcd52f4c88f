"""Outputs are equal to the expected ones only where their digests say so, and arrive in time."""

import marshal
import math
import socket
import threading
import time
from collections import Counter, OrderedDict

import pytest

from reflection_trl.sandbox.guest.digests import LATE, SIZE, WAITED, Comparison, digest, pack, receive, send


def all_digests(outputs):
    return b"".join(digest(pack(output)) for output in outputs)


def arrives(messages, expected, seconds=60.0, pause=0.0, cpu_times=lambda: (0.0, 0.0)):
    """What `receive` says of bytes that are sent one after another, with a pause after each."""
    ours, theirs = socket.socketpair()

    def write():
        with theirs:
            for message in messages:
                try:
                    theirs.sendall(message)
                except OSError:
                    return
                time.sleep(pause)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with ours:
            return receive(ours, expected, seconds, cpu_times)
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
            yield digest(pack(grown))

    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(outputs(), theirs)
        assert receive(ours, all_digests([[0], [0, 1], [0, 1, 2]]), 3.0, lambda: (0.0, 0.0)).equal


def test_digests_that_are_right_and_in_time_are_accepted_in_any_pieces():
    expected = all_digests(range(5))
    for size in (1, 7, SIZE, len(expected)):
        pieces = [expected[at : at + size] for at in range(0, len(expected), size)]
        assert arrives(pieces, expected) == Comparison(5, equal=True)
    assert arrives([], b"") == Comparison(0, equal=True)


@pytest.mark.parametrize(
    ("change", "right"),
    [
        (lambda right: right[:-1], 4),
        (lambda right: right + b"\0", 5),
        (lambda right: right + right[:SIZE], 5),
        (lambda right: right[:-1] + bytes([right[-1] ^ 1]), 4),
        (lambda right: bytes([right[0] ^ 128]) + right[1:], 0),
        (lambda right: right[SIZE:] + right[:SIZE], 0),
        (lambda right: b"", 0),
    ],
)
def test_anything_else_is_refused(change, right):
    expected = all_digests(range(5))
    assert arrives([change(expected)], expected) == Comparison(right)


def test_a_call_that_exceeds_its_limit_says_so_in_place_of_a_digest():
    expected = all_digests(range(3))
    for size in (1, 7, SIZE, 10 * SIZE):
        for end, waited in ((LATE, False), (WAITED, True)):
            sent = expected[: 2 * SIZE] + end
            pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
            assert arrives(pieces, expected) == Comparison(2, late="call", waited=waited)


def test_all_outputs_together_have_a_limit():
    expected = all_digests(range(2))
    late = Comparison(1, late="all")
    assert arrives([expected[:SIZE]], expected, 0.5, pause=1.0, cpu_times=lambda: (0.5, 0.0)) == late
    waited = late._replace(waited=True)
    assert arrives([expected[:SIZE]], expected, 0.5, pause=1.0, cpu_times=lambda: (0.4, 0.0)) == waited


def test_time_in_the_queue_for_a_cpu_is_added_to_the_limit_up_to_six_times_this_limit():
    expected = all_digests(range(2))
    pieces = [expected[:SIZE], expected[SIZE:]]
    assert arrives(pieces, expected, 0.5, pause=0.7, cpu_times=lambda: (0.1, 30.0)).equal
    found = arrives(pieces[:1], expected, 0.1, pause=1.0, cpu_times=lambda: (0.01, 30.0))
    assert found == Comparison(1, late="all", waited=True)


def test_bytes_that_trickle_in_do_not_hold_up_the_judge():
    expected = all_digests(range(2))
    started = time.monotonic()
    found = arrives([bytes([byte]) for byte in expected], expected, 0.5, pause=0.1)
    assert (found.equal, found.late) == (False, "all")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_digests_are_sent_while_the_rest_is_computed(pause):
    """The first ones at once, since the second call may take long; later ones that were quick together."""
    ours, theirs = socket.socketpair()
    may_go_on = threading.Event()
    before = 10 if pause else 1

    def outputs():
        for number in range(before):
            time.sleep(pause)
            yield digest(pack(number))
        assert may_go_on.wait(30)
        yield digest(pack(before))

    sender = threading.Thread(target=send, args=(outputs(), theirs))
    sender.start()
    with ours, theirs:
        ours.settimeout(30)
        expected, received = all_digests(range(before)), b""
        while len(received) < len(expected):
            received += ours.recv(1000)
        assert received == expected
        may_go_on.set()
        assert ours.recv(1000) == all_digests([before])
        sender.join()
