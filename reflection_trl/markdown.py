"""Renders any value safely in the Markdown of a card: in tables, as code, as a quotation.

Values come from models, users and command lines. No value can end a cell, a fence or a section, or become a link, an
image or HTML.
"""

import html
import re
from typing import Any

from .fences import fence_code, read_fence
from .sequences import split_blocks


# Characters that Markdown could read as markup. An underscore inside a word is not markup
_MARKUP = re.compile(r"[\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w)")
_INLINE_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_SECTION = re.compile(
    r"^<!-- reflection_trl: (?P<name>[^\n]+?) begin -->\n.*?^<!-- reflection_trl: (?P=name) end -->$",
    re.MULTILINE | re.DOTALL,
)


def cell(value: Any) -> str:
    """Returns a value as the text of a table cell, on one line."""
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def code_cell(value: Any) -> str:
    """Returns a value as the code of a table cell, on one line."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return f"`{text}`" if not longest else f"{'`' * (longest + 1)} {text} {'`' * (longest + 1)}"


def bar(share: float, width: int = 20) -> str:
    """Returns a share as a text bar for a table."""
    return "█" * max(round(share * width), 1 if share > 0 else 0)


def fenced(text: str, language: str = "text") -> str:
    """Returns text in a fence that the text cannot close."""
    return fence_code(text.replace("<!-- reflection_trl:", "<!-- reflection-trl:"), language)


def quoted(text: str) -> str:
    """Returns text as a literal quotation; only inline code is rendered."""
    escaped = _INLINE_CODE.sub(r"<code>\1</code>", html.escape(text.strip(), quote=False))
    return f"<blockquote>{'<br>'.join(escaped.splitlines())}</blockquote>"


def render_message(message: dict[str, Any]) -> str:
    """
    Renders a turn of a conversation: prose as a quotation, code and output in fences.

    Args:
        message (`dict`):
            A message with `role` and `content`, see [`reflection_trl.sequences`].
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
    """Returns a section of a card with markers by which [`merge_sections`] finds it."""
    return f"<!-- reflection_trl: {name} begin -->\n{body.strip()}\n<!-- reflection_trl: {name} end -->"


def merge_sections(known: str, new: str) -> str:
    """
    Updates the marked sections of a card. All other text of the card is unchanged.

    Args:
        known (`str`):
            Current text of the card.
        new (`str`):
            Text with the new sections. Sections that `known` lacks are inserted after its sections with the same first
            word, or at the end.

    Returns:
        `str`: The text of the card; `new` unchanged if it has no section or `known` is empty.
    """
    known = known.replace("\r\n", "\n")  # an editor on Windows adds these; sections would not match and be duplicated
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
