"""Outputs are equal to the expected ones only where their digests say so, and arrive in time; others are unpacked."""

import contextlib
import marshal
import math
import random
import socket
import threading
import time
from array import array
from collections import Counter, OrderedDict

import numpy
import pytest

from reflection_trl.sandbox.guest.digests import (
    DESCRIPTION,
    DIGEST,
    ERROR,
    LATE,
    LONGEST,
    SIZE,
    VALUE,
    WAITED,
    Error,
    Late,
    Outputs,
    digest,
    error_messages,
    message,
    message_of,
    pack,
    send,
    unpack,
)


def all_digests(outputs):
    return b"".join(digest(pack(output)) for output in outputs)


def arrives(messages, expected, seconds=60.0, pause=0.0, cpu_times=lambda: (0.0, 0.0)):
    """Bytes that are sent one after another, with a pause after each: how many outputs are right, and the other one, limit and error."""
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
            outputs = Outputs(ours, seconds, cpu_times)
            right, other = outputs.equal(expected)
            return right, other and other[0], outputs.late, outputs.error
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


def test_plain_data_is_unpacked_as_it_was():
    nested = [[], ()]
    for _ in range(100):
        nested = [nested, {1: nested}][:1]
    values = [*VALUES, 10**3000, -(10**3000), 1 << 15, -1 << 31, 1e308, math.inf, nested, {(1, "a"): [{2.5}]}]
    for value in values:
        if type(value) is not bytes:
            copy = unpack(pack(value))
            assert (copy, type(copy), repr(copy)) == (value, type(value), repr(value))
    assert math.isnan(unpack(pack(math.nan)))


@pytest.mark.parametrize(
    "value",
    [b"1", bytearray(b"1"), numpy.float64(1.0), numpy.int64(1), numpy.array([1, 2]), array("d", [1.0]), ],
)  # fmt: skip
def test_bytes_and_what_has_the_bytes_of_an_array_are_not_unpacked(value):
    with pytest.raises(ValueError, match="unknown kind"):
        unpack(pack(value))
    with pytest.raises(ValueError, match="unknown kind"):
        message_of([1, value])


def test_whatever_bytes_an_answer_sends_give_plain_data_or_an_error():
    kinds = set(map(type, VALUES)) - {bytes}
    deep = b"[" + b"\x01\x00\x00\x00["
    bodies = [
        b"",
        b"[",
        deep * 100_000,
        b"[\xff\xff\xff\xff",
        b"[\xff\xff\xff\x7f",
        b"u\xff\xff\xff\x7f",
        b"l\xff\xff\xff\x7f",
    ]
    bodies += [
        b"<\x01\x00\x00\x00[\x00\x00\x00\x00",
        b"{[\x00\x00\x00\x00N0",
        b"NN",
        b"u\x01\x00\x00\x00\xff",
        b"r\x00\x00\x00\x00",
    ]
    for body in bodies:
        with pytest.raises(ValueError):
            unpack(body)
    drawn = random.Random(0)
    for value in VALUES:
        for _ in range(300):
            packed = bytearray(pack([value, {"a": (value,)}] if value.__hash__ else [value]))
            packed[drawn.randrange(len(packed))] = drawn.randrange(256)
            with contextlib.suppress(ValueError):
                assert type(unpack(bytes(packed))) in kinds


def test_an_output_counts_as_it_was_when_it_was_returned():
    grown: list[int] = []

    def outputs():
        for number in range(3):
            grown.append(number)
            yield message_of(grown)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(outputs(), theirs)
        assert Outputs(ours, 3.0, lambda: (0.0, 0.0)).equal(all_digests([[0], [0, 1], [0, 1, 2]])) == (3, None)


def test_outputs_that_are_right_and_in_time_are_accepted_in_any_pieces():
    outputs = [*range(3), "s", "x" * LONGEST]
    sent, expected = b"".join(map(message_of, outputs)), all_digests(outputs)
    assert len(sent) < LONGEST  # only the digest of the long one
    for size in (1, 7, SIZE, len(sent)):
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        assert arrives(pieces, expected) == (5, None, None, None)
    assert arrives([], b"") == (0, None, None, None)


@pytest.mark.parametrize(
    ("sent", "right", "other"),
    [
        (map(message_of, [0, 1, 5, 3]), 2, pack(5)),
        (map(message_of, [0, 1, 2]), 3, None),
        ([message_of(0), message(DIGEST, digest(pack(5)))], 1, b""),
        ([message_of(0), message(DIGEST, digest(pack(1))[:-1])], 1, b""),
        ([message_of(0), message(VALUE, pack(1))[:-1]], 1, None),
        ([message_of(0), message(VALUE, bytes(LONGEST + 1))], 1, None),
        ([message_of(0), message(b"?", pack(1))], 1, None),
        ([message_of(0), message(DESCRIPTION, b"{}")], 1, None),
        ([message_of(0), message(ERROR, b"too long")], 1, None),
        ([], 0, None),
    ],
)
def test_anything_else_is_refused(sent, right, other):
    assert arrives(sent, all_digests(range(4))) == (right, other, None, None)


def test_a_call_that_exceeds_its_limit_says_so_in_place_of_an_output():
    for size in (1, 7, 100):
        for end, waited in ((LATE, False), (WAITED, True)):
            sent = message_of(0) + message_of(1) + message(end)
            pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
            assert arrives(pieces, all_digests(range(3))) == (2, None, Late(all=False, waited=waited), None)


def test_all_outputs_together_have_a_limit():
    expected, pieces = all_digests(range(2)), [message_of(0)]
    for used, waited in ((0.5, False), (0.4, True)):
        found = arrives(pieces, expected, 0.5, pause=1.0, cpu_times=lambda used=used: (used, 0.0))
        assert found == (1, None, Late(all=True, waited=waited), None)


def test_time_in_the_queue_for_a_cpu_is_added_to_the_limit_up_to_six_times_this_limit():
    expected, pieces = all_digests(range(2)), [message_of(0), message_of(1)]
    assert arrives(pieces, expected, 0.5, pause=0.7, cpu_times=lambda: (0.1, 30.0)) == (2, None, None, None)
    found = arrives(pieces[:1], expected, 0.1, pause=1.0, cpu_times=lambda: (0.01, 30.0))
    assert found == (1, None, Late(all=True, waited=True), None)


def test_bytes_that_trickle_in_do_not_hold_up_the_judge():
    sent = message_of(0) + message_of(1)
    started = time.monotonic()
    _, _, late, _ = arrives([bytes([byte]) for byte in sent], all_digests(range(2)), 0.5, pause=0.1)
    assert late.all
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_outputs_are_sent_while_the_rest_is_computed(pause):
    """The first ones at once, since the second call may take long; later ones that were quick together."""
    ours, theirs = socket.socketpair()
    may_go_on = threading.Event()
    before = 10 if pause else 1

    def outputs():
        for number in range(before):
            time.sleep(pause)
            yield message_of(number)
        assert may_go_on.wait(30)
        yield message_of(before)

    sender = threading.Thread(target=send, args=(outputs(), theirs))
    sender.start()
    with ours, theirs:
        ours.settimeout(30)
        expected, received = b"".join(map(message_of, range(before))), b""
        while len(received) < len(expected):
            received += ours.recv(1000)
        assert received == expected
        may_go_on.set()
        assert ours.recv(1000) == message_of(before)
        sender.join()


@pytest.mark.parametrize("before", [0, 20])
def test_an_error_is_known_before_its_description_which_may_never_come(before):
    ours, theirs = socket.socketpair()
    may_go_on = threading.Event()
    error = Error(ran=True, in_call=False, certain=True)

    def describe():
        assert may_go_on.wait(30)
        return {"type": "NameError"}

    def outputs():
        yield from map(message_of, range(before))
        yield from error_messages(error, describe)

    sender = threading.Thread(target=send, args=(outputs(), theirs))
    sender.start()
    with ours, theirs:
        found = Outputs(ours, 30.0, lambda: (0.0, 0.0))
        assert found.equal(all_digests(range(before + 1))) == (before, None)
        assert (found.error, found.late) == (error, None)
        assert found.description() is None
        assert found.late is None
        may_go_on.set()
        assert found.description() == {"type": "NameError"}
        sender.join()


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000])
def test_a_description_is_an_object_or_none(body):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(message(DESCRIPTION, body))
        assert Outputs(ours, 30.0, lambda: (0.0, 0.0)).description() is None
