"""An exception as plain data, and as the text that the interpreter would have printed."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from types import TracebackType
from typing import Any


# What a hostile program may put into one field. Enough for people and models; a 100 MB message is cut.
MAX_MESSAGE = 4_000
MAX_LINE = 1_000
MAX_TEXT = 16_000
_HERE = os.path.dirname(__file__)
_OWN_FILES = ("main.py", "checks.py")
FIELDS = ("type", "message", "file", "line", "column", "end_line", "end_column", "source_line", "text")


def cut(text: Any, limit: int) -> str:
    """`text` as a string of at most `limit` characters, cut in the middle."""
    text = text if type(text) is str else str(text)
    if len(text) <= limit:
        return text
    half = limit // 2 - 10
    return f"{text[:half]} [...] {text[-half:]}"


def register_source(filename: str, source: str) -> None:
    """Lets tracebacks show the lines of `source`, wherever the program changes directory to."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


def own_traceback(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback from the program's first frame on: what lies above is ours."""
    while trace is not None and trace.tb_frame.f_code.co_filename not in _OWN_FILES:
        trace = trace.tb_next
    return trace


def _without_ours(summary: traceback.TracebackException | None) -> None:
    """Drops our own frames between the program's and the checks', in the whole chain."""
    while summary is not None:
        summary.stack[:] = [frame for frame in summary.stack if os.path.dirname(frame.filename) != _HERE]
        _without_ours(summary.__cause__)
        summary = summary.__context__


def format_frames(trace: TracebackType | None) -> str:
    """The frames of a traceback as text, without our own."""
    frames = [frame for frame in traceback.extract_tb(trace) if os.path.dirname(frame.filename) != _HERE]
    return "".join(traceback.format_list(frames[-5:]))


def describe(error: BaseException, trace: TracebackType | None) -> dict[str, Any]:
    """
    The structure of an exception.

    Args:
        error (`BaseException`): the exception.
        trace (`TracebackType`, *optional*): its traceback, from the program's first frame on.

    Returns:
        `dict`: type, message, file, line, column, end_line, end_column, source_line and text. Lines and columns count
        from 1, columns in characters; what is not known is `None`. The place is the last frame in the program's (or the
        checks') own file, since a line of the standard library helps nobody.
    """
    record: dict[str, Any] = dict.fromkeys(("file", "line", "column", "end_line", "end_column", "source_line"))
    record["type"] = cut(type(error).__qualname__, 200)
    try:
        record["message"] = cut(str(error), MAX_MESSAGE)
    except BaseException as failure:  # a hostile `__str__` may raise anything
        record["message"] = f"<unprintable: {type(failure).__name__}>"
    try:
        summary = traceback.TracebackException(type(error), error, trace, limit=-40, compact=True)
        _without_ours(summary)
        summary.stack[:-20] = []
        record["text"] = cut("".join(cut(line, MAX_MESSAGE) for line in summary.format()), MAX_TEXT)
        if isinstance(error, SyntaxError) and summary.filename in _OWN_FILES:
            record.update(_syntax_place(summary))
        else:
            record.update(_place(summary))
    except BaseException:
        record["text"] = f"{record['type']}: {record['message']}"
    return record


def _syntax_place(summary: traceback.TracebackException) -> dict[str, Any]:
    end_line, end_column = getattr(summary, "end_lineno", None), getattr(summary, "end_offset", None)
    return {
        "file": summary.filename,
        "line": int(summary.lineno) if summary.lineno else None,
        "column": summary.offset or None,
        "end_line": int(end_line) if end_line else None,
        "end_column": end_column if end_column and end_column > 0 else None,
        "source_line": cut(summary.text.rstrip("\n"), MAX_LINE) if summary.text else None,
    }


def _place(summary: traceback.TracebackException) -> dict[str, Any]:
    for frame in reversed(summary.stack):
        if frame.filename in _OWN_FILES and frame.lineno:
            line = linecache.getline(frame.filename, frame.lineno).rstrip("\n")
            place = {"file": frame.filename, "line": frame.lineno, "source_line": cut(line, MAX_LINE)}
            if sys.version_info >= (3, 11) and frame.colno is not None and frame.end_colno is not None:
                end = line
                if frame.end_lineno and frame.end_lineno != frame.lineno:
                    end = linecache.getline(frame.filename, frame.end_lineno).rstrip("\n")
                place["end_line"] = frame.end_lineno
                place["column"] = _characters(line, frame.colno) + 1
                place["end_column"] = _characters(end, frame.end_colno) + 1
            return place
    return {}


def _characters(line: str, bytes_before: int) -> int:
    # The interpreter counts columns in bytes of UTF-8.
    return len(line.encode("utf-8", "surrogatepass")[:bytes_before].decode("utf-8", "replace"))
