"""Fits help to the terminal, and ends a command whose output cannot be written, such as into a full disk or into `| head`."""

import contextlib
import errno
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator


def fit_to_terminal(text: str, width: int | None = None) -> str:
    """
    Wraps help that is wider than the terminal. Descriptions keep their column.

    Args:
        text (`str`):
            Help, wrapped for a wide terminal.
        width (`int`, *optional*):
            Characters in a line; those of the terminal by default. What is not a terminal has no limit.
    """
    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    if max(map(len, text.splitlines())) <= width:
        return text
    lines: list[tuple[str, int]] = []  # each with the column at which it continues
    for line in text.splitlines():
        column = len(line) - len(line.lstrip())
        last, continues = lines[-1] if lines else ("", -1)
        if line and last and column == continues and column not in (2, 4) and "   " not in line.lstrip():
            lines[-1] = f"{last} {line.lstrip()}", column
        else:
            term = re.match(r" +\S.*? {2,}(?=\S)", line)
            described = term.end() if term else sys.maxsize
            lines.append((line, described if described <= width // 2 else column and column + 4))
    wrapped = (
        textwrap.fill(line, width, subsequent_indent=" " * column, break_long_words=False, break_on_hyphens=False)
        for line, column in lines
    )
    return "\n".join(wrapped) + "\n" * text.endswith("\n")


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
