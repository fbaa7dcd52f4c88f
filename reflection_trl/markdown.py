"""Pieces of Markdown for cards, which show any value as it is: in tables, as code, as a quotation.

Values come from models, users and command lines. None of them can end a cell, a fence or a section, or become a link, an
image or HTML.
"""

import html
import re
from typing import Any

from .fences import fence_code, read_fence
from .sequences import split_blocks


# What Markdown could read as markup; an underscore within a word is none
_MARKUP = re.compile(r"[\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w)")
_INLINE_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_SECTION = re.compile(
    r"^<!-- reflection_trl: (?P<name>[^\n]+?) begin -->\n.*?^<!-- reflection_trl: (?P=name) end -->$",
    re.MULTILINE | re.DOTALL,
)


def cell(value: Any) -> str:
    """Returns a value as text in a table, on one line."""
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def code_cell(value: Any) -> str:
    """Returns a value as code in a table, on one line."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return f"`{text}`" if not longest else f"{'`' * (longest + 1)} {text} {'`' * (longest + 1)}"


def bar(share: float, width: int = 20) -> str:
    """Returns a share as a bar, for a table that is read at a glance."""
    return "█" * max(round(share * width), 1 if share > 0 else 0)


def fenced(text: str, language: str = "text") -> str:
    """Returns text in a fence that it cannot end."""
    return fence_code(text.replace("<!-- reflection_trl:", "<!-- reflection-trl:"), language)


def quoted(text: str) -> str:
    """Returns text as a quotation, word for word: of Markdown only inline code is rendered."""
    escaped = _INLINE_CODE.sub(r"<code>\1</code>", html.escape(text.strip(), quote=False))
    return f"<blockquote>{'<br>'.join(escaped.splitlines())}</blockquote>"


def render_message(message: dict[str, Any]) -> str:
    """
    Returns a turn of a conversation for people: prose quoted, code and output in fences.

    Args:
        message (`dict`):
            With `role` and `content`, see [`reflection_trl.sequences`].
    """
    parts = []
    for block in split_blocks(message):
        segment = message["content"][block.start : block.end]
        if block.type == "code":
            fence = read_fence(segment)
            parts.append(fenced(fence.code, fence.language) if fence else fenced(segment))
        elif block.type == "execution":
            parts.append(fenced(segment))
        elif segment.strip():
            parts.append(quoted(segment))
    return "\n\n".join(parts)


def section(name: str, body: str) -> str:
    """Returns a stretch of a card that [`merge_sections`] finds again."""
    return f"<!-- reflection_trl: {name} begin -->\n{body.strip()}\n<!-- reflection_trl: {name} end -->"


def merge_sections(known: str, new: str) -> str:
    """
    Brings the sections of a card up to date. Everything else in it stays, whoever wrote it.

    Args:
        known (`str`):
            Text of the card as it is.
        new (`str`):
            Text with the new sections. Those that `known` lacks go behind its sections of the same first word, or to
            the end.

    Returns:
        `str`: The card's text; `new` itself where it has no section, or `known` holds nothing.
    """
    known = known.replace("\r\n", "\n")  # of an editor on Windows: the sections in it would not be found, and doubled
    sections = {match["name"]: match[0] for match in _SECTION.finditer(new)}
    if not sections or not known.strip():
        return new
    for name, text in sections.items():
        places = list(_SECTION.finditer(known))
        same = [place for place in places if place["name"] == name]
        akin = [place for place in places if place["name"].split()[0] == name.split()[0]]
        if same:
            known = known[: same[0].start()] + text + known[same[0].end() :]
        elif akin:
            known = f"{known[: akin[-1].end()]}\n\n{text}{known[akin[-1].end() :]}"
        else:
            known = f"{known.rstrip()}\n\n{text}\n"
    return known
