"""Normalizes and shortens the text of a run for a model, so that equal failures have equal text."""

import datetime
import itertools
import re


MAX_TEXT = 2000  # characters of a feedback's text
_LONGEST_LINE = 400
_REPEATED = 3  # copies of a repeated line before the rest is counted
_NOISE = [
    (re.compile(r"\r\n"), "\n"),
    (
        re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[()][0-9A-B]|[78=>cDEHMNOZ])"),
        "",
    ),  # colors
    (re.compile(r"^[^\n]*\r(?!\n)", re.MULTILINE), ""),  # text that a progress bar overwrote
    # Directories of the sandbox and of toolchains
    (re.compile(r"(?<![\w.])/tmp/(?:reflection_trl-[\w-]+/)?job/"), ""),
    (
        re.compile(
            r"(?<![\w.])/(?:usr|opt|root)/(?:[\w.+@-]+/)*(?:lib|lib64|include|share|toolchains)/(?:[\w.+@-]+/)*(?=[\w.+@-])"
        ),
        "",
    ),
    (re.compile(r"\btmp[a-z0-9_]{8}\b"), "<temporary>"),
    (re.compile(r"(?<![\w.])(?:/tmp/)?cc[A-Za-z0-9]{6}\.(?=[os]\b)"), "main."),
    # Addresses
    (re.compile(r"\bat 0x[0-9a-fA-F]{6,16}\b"), "at 0x..."),
    (re.compile(r"\b0x0*(?:7[ef]|5[56])[0-9a-f]{10}\b"), "0x..."),
    # Processes and threads
    (re.compile(r"\b(pid|PID|tid|ident)([ =:]+)\d+\b"), r"\1\2<number>"),
    (re.compile(r"^(thread '[^'\n]*') \(\d+\) (?=panicked|has overflowed)", re.MULTILINE), r"\1 "),
]
_TIME = re.compile(r"\b(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
# Includes direction marks, which make code look different from what it is
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def normalized(text: str) -> str:
    """
    Removes parts of a text that differ from run to run: directories, addresses, the time of the run, process numbers,
    colors.

    The data of a program is kept: a path of another directory, a hexadecimal number and a date of another day.

    Args:
        text (`str`):
            Output of an interpreter or a compiler.
    """
    for pattern, replacement in _NOISE:
        text = pattern.sub(replacement, text)
    today = datetime.datetime.now(datetime.UTC).date()
    days = {str(today + datetime.timedelta(days)) for days in (-1, 0, 1)}
    text = _TIME.sub(lambda found: "<time>" if found.group(1) in days else found.group(), text)
    return printable(text)


def printable(text: str) -> str:
    """
    Replaces control characters, direction marks and lone surrogates with `\\xNN` and `\\uNNNN`.

    Args:
        text (`str`):
            Any text.
    """
    return _UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def shortened(text: str, limit: int = MAX_TEXT, longest_line: int = _LONGEST_LINE) -> str:
    """
    Truncates text to at most `limit` characters in the middle, and notes how much is missing.

    Args:
        text (`str`):
            Any text, also very long.
        limit (`int`, *optional*, defaults to `2000`):
            Maximum number of characters.
        longest_line (`int`, *optional*, defaults to `400`):
            Maximum number of characters of a line.
    """
    if len(text) > 4 * limit:  # discard most of a long text first
        dropped = len(text) - 2 * limit
        text = f"{text[:limit]}\n[... {dropped} characters ...]\n{text[-limit:]}"
    lines = [
        line if len(line) <= longest_line else f"{line[: longest_line - 100]} [...] {line[-80:]}"
        for line in text.split("\n")
    ]
    text = "\n".join(lines)
    if len(text) <= limit:
        return text
    half = (limit - 40) // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"


def with_output(stdout: str, failure: str) -> str:
    """
    Joins the output of a program and the text of its failure.

    Args:
        stdout (`str`):
            Standard output.
        failure (`str`):
            The failure; `""` if there is none.
    """
    limit = MAX_TEXT // 4 if failure else MAX_TEXT
    printed = shortened(normalized(shortened(stdout, 4 * limit)).strip("\n"), limit)
    return "\n".join(part for part in (printed, shortened(_collapsed(failure.strip("\n")))) if part)


def _collapsed(text: str) -> str:
    """
    Shortens lines that repeat, as in a traceback of a recursion, to three copies and a count.
    """
    lines: list[str] = []
    for line, same in itertools.groupby(text.split("\n")):
        times = len(list(same))
        lines += [line] * min(times, _REPEATED)
        if times > _REPEATED and line.strip():
            lines.append(f"[Previous line repeated {times - _REPEATED} more times]")
    return "\n".join(lines)
