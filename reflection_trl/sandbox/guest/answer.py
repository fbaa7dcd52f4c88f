"""
An answer in a process of its own, which the one that judges it calls over descriptor 3.

Run as a new interpreter, so that no memory of the judge's is in it.
"""

from __future__ import annotations

import os
import resource
import socket
import sys

from . import remote
from .program import leave, run_program


# Calls of ours below the answer's
_OWN_DEPTH = 100


def main(memory: int, longest_message: int) -> None:
    """The answer's source arrives as the first message."""
    remote.MAX_MESSAGE = longest_message
    channel = remote.Channel(socket.socket(fileno=3))
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    sys.setrecursionlimit(sys.getrecursionlimit() + _OWN_DEPTH)
    code = 1
    try:
        code = run_program(channel.receive()["source"], channel, checked=True)
    finally:
        leave(code)
