"""Self-contained pages: a template, the style and the script that all pages share, and data that cannot act on them."""

import html
import json
import re
from pathlib import Path
from typing import Any


_TEMPLATES = Path(__file__).with_name("templates")
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Markup(str):
    """HTML, to be taken as it is; any other string is text."""


def printable(text: str) -> str:
    """
    Text in which nothing acts on a terminal or a page: control characters as pictures or escapes, tabs as spaces.

    Args:
        text (`str`):
            Any text.

    Returns:
        `str`: The same with harmless characters; newlines stay.
    """
    return "".join(map(_printable_character, text))


def _printable_character(character: str) -> str:
    if character == "\t":
        return "    "
    if character != "\n" and ord(character) < 32:
        return chr(0x2400 + ord(character))
    if character in _DIRECTION_MARKS or 0x7F <= ord(character) < 0xA0 or 0xD800 <= ord(character) < 0xE000:
        return f"\\u{ord(character):04x}"
    return character


def escape(text: str) -> str:
    """Any text as HTML that shows it."""
    return html.escape(printable(text))


def fill_page(template: str, data: Any, **parts: str) -> str:
    """
    Fill in a page.

    Args:
        template (`str`):
            File in `templates/`. Its `{{ style }}` and `{{ script }}` become `page.css` and `page.js`.
        data:
            What the page's script reads, for `{{ data }}`; whatever JSON can hold.
        parts (`str`):
            Further places of the template, as plain text or as [`Markup`].

    Returns:
        `str`: HTML that loads nothing from anywhere.
    """
    filled = {name: part if isinstance(part, Markup) else escape(part) for name, part in parts.items()}
    filled |= {
        "style": _read("page.css"),
        "script": _read("page.js"),
        # In ASCII, so that any string can be written; without `<`, so that no tag can begin or end in it
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: filled[match[1]], _read(template))


def _read(name: str) -> str:
    return _TEMPLATES.joinpath(name).read_text(encoding="utf-8")
