"""Renders self-contained pages from a template, shared style and script, and data that cannot inject markup."""

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
    Replaces characters that would act on a terminal or a page: control characters with pictures or escapes, tabs with
    spaces.

    Args:
        text (`str`):
            Any text.

    Returns:
        `str`: The text with harmless characters. Newlines are kept.
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
    """Escapes text for HTML."""
    return Markup.escape(printable(text))


def fill_page(template: str, data: Any, *, templates: Path = _TEMPLATES, **parts: Any) -> str:
    """
    Renders a page.

    Args:
        template (`str`):
            Jinja template that extends `base.html`, which has `page.css`, `page.js` and `data`.
        data (`Any`):
            Data for the script of the page, which must be valid JSON.
        templates (`Path`, *optional*):
            Folder of the template; by default that of the viewers, which contains `base.html`.
        **parts (`Any`):
            Other variables of the template. Text is escaped, and characters that would act on a page are replaced.
            [`~markupsafe.Markup`] is inserted unchanged.

    Returns:
        `str`: HTML that loads no other files.
    """
    # In ASCII, so that any string can be written; without `<`, so that it cannot contain a tag
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
