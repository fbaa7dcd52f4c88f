"""Calls that are sent before those before them have returned give what calls one by one give."""

import socket
import threading

import pytest

from reflection_trl.sandbox.guest.checks import CallsInOrder, Checks
from reflection_trl.sandbox.guest.program import Program
from reflection_trl.sandbox.guest.remote import Channel, Disconnected


SOURCE = """
calls = 0

def f(items, number=0):
    global calls
    calls += 1
    items.sort()
    if number < 0:
        raise ValueError(f"call {calls}")
    return [items[0], calls, "x" * number]

def lazy(items):
    return filter(None, items)
"""


class Answers:
    """A program in a thread, and the checks' end of the conversation with it."""

    def __init__(self, name="f"):
        self.name = name

    def __enter__(self):
        self.ours, theirs = socket.socketpair()
        names = {}
        exec(SOURCE, names)
        program = Program(Channel(theirs, reads_ahead=True), names)

        def serve():
            try:
                program.serve_until_end()
            except Disconnected:
                pass
            finally:
                theirs.close()

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        return Checks(Channel(self.ours, reads_ahead=True), self.name).lookup(self.name)

    def __exit__(self, *error):
        self.ours.close()
        self.thread.join(10)
        assert not self.thread.is_alive()


def outcomes(call, arguments):
    found = []
    for args in arguments:
        try:
            found.append((call(*args), args))
        except ValueError as error:
            found.append((str(error), args))
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [([3, 1, 2],)],
        [([number, 0, -number], number) for number in range(1, 300)],
        [([2, 1], -1), ([4, 3], 1), ([6, 5], -1)],
        [([2, 1], 300_000), ([1], 5), ([2, 1], 300_000), ([1], 300_000)],  # results larger than the socket
        [(list(range(100_000, 0, -1)), 1)] * 2 + [([1], 1)] * 100 + [(list(range(100_000, 0, -1)), 100_000)] * 3,
    ],
    ids=["none", "one", "many", "errors", "large results", "large arguments"],
)
def test_they_give_what_calls_one_by_one_give(arguments):
    def copies():
        return [(list(items), *rest) for items, *rest in arguments]

    one_by_one, ahead = copies(), copies()
    with Answers() as f:
        expected = outcomes(f, one_by_one)
    with Answers() as f:
        assert outcomes(CallsInOrder(f, ahead), ahead) == expected
    assert all(items == sorted(items) for items, *_ in ahead)


def test_calls_are_sent_before_those_before_them_have_returned():
    """So many that the first outcome is read when the program has long gone on."""
    with Answers() as f:
        call = CallsInOrder(f, [([1],)] * 50)
        assert call([1]) == [1, 1, ""]
        assert len(call._sent) == 49


def test_an_iterator_is_read_while_other_calls_are_in_flight():
    arguments = [([0, number, -number],) for number in range(1, 300)]
    with Answers("lazy") as lazy:
        call = CallsInOrder(lazy, arguments)
        assert [list(call(*args)) for args in arguments] == [items[1:] for (items,) in arguments]
