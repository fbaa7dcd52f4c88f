"""Ends a command whose standard output cannot be written, such as into a full disk or into `| head`."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def standard_output(status_if_closed: int = 0) -> Iterator[None]:
    """
    Ends the process if its standard output can no longer be written, without a traceback: silently if the reader has closed it, otherwise
    with one sentence and status 1. Errors of other files pass.

    Args:
        status_if_closed (`int`, *optional*, defaults to `0`):
            Exit status if the reader has closed the output. A command that had work left must not end with 0.
    """
    try:
        try:
            yield
        except SystemExit:  # after argparse's `--help`
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except OSError as error:
        # The system names no file in errors of an open one, so the output is tried again
        cause = _failure_of_output() if error.filename is None else None
        if cause is None:
            raise
        # Python would report what is left in the buffer once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if cause.errno == errno.EPIPE:
            raise SystemExit(status_if_closed) from None
        print(f"error: The output cannot be written: {cause.strerror}.", file=sys.stderr)
        raise SystemExit(1) from None


def _failure_of_output() -> OSError | None:
    try:
        print(flush=True)
    except OSError as error:
        return error
    return None
