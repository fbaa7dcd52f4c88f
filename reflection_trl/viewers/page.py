"""Self-contained pages: a template, the style and the script that all pages share, and data that cannot act on them."""

import functools
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


_TEMPLATES = Path(__file__).with_name("templates")
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """
    Returns text in which nothing acts on a terminal or a page: control characters as pictures or escapes, tabs as
    spaces.

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


def escape(text: str) -> Markup:
    """Returns any text as HTML that shows it."""
    return Markup.escape(printable(text))


def fill_page(template: str, data: Any, *, templates: Path = _TEMPLATES, **parts: Any) -> str:
    """
    Fills in a page.

    Args:
        template (`str`):
            Jinja template that extends `base.html`, which has `page.css`, `page.js` and `data`.
        data (`Any`):
            What the page's script reads; whatever JSON can hold.
        templates (`Path`, *optional*):
            Folder of the template, by default that of the viewers, which holds `base.html`.
        parts (`Any`):
            Further variables of the template. Text is escaped, and characters that act on a page are replaced; what is
            [`~markupsafe.Markup`] is taken as it is.

    Returns:
        `str`: HTML that loads nothing from anywhere.
    """
    # In ASCII, so that any string can be written; without `<`, so that no tag can begin or end in it
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    shared = {"shared_style": _read("page.css"), "shared_script": _read("page.js"), "data": Markup(text)}
    return _environment(templates).get_template(template).render(shared | parts)


@functools.cache
def _environment(templates: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader([templates, _TEMPLATES]),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup | int) else printable(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(name: str) -> Markup:
    return Markup(_TEMPLATES.joinpath(name).read_text(encoding="utf-8"))
