"""Finds fenced code in Markdown, in the same way for training, running and displaying.

The module follows CommonMark, as parsed by markdown-it-py. Fences consist of backticks or tildes and may be in list
items and quotations. The closing fence is at least as long as the opening one, has no info string, and is not indented
as code in the block, such as a docstring, would be. An unclosed fence extends to the end. HTML does not hide fences,
because models put answers into tags.

Models also write fences that Markdown does not allow. If CommonMark would read prose as code, or code as prose, the
text is read as intended:

| written | read as |
|---|---|
| `Here it is: ` and an opening fence on the same line | a fence that opens after the prose |
| a closing fence, then prose or a special token on its line | a fence that closes before the prose |
| a closing fence after the last line of code | a closing fence, if the code before it is Python and the code including it is not |
| an opening fence in Python code that was not closed | the end of the code, and a new fence |
| a closing fence in a docstring | a line of the docstring, if the code up to a later fence is Python |
| a complete fence on one line | a block of code |
| an opening fence with a language, indented by four spaces or more | a fence |
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from .python_code import parse_python


_BACKTICKS = re.compile(r"`{3,}")
_LANGUAGE = re.compile(r"[\s{.]*([\w+#.-]*)")
_PYTHON = re.compile(r"(?:i?python|py)[\d.]*", re.ASCII)
# Info strings that identify an opening fence where CommonMark sees none
_LANGUAGES = frozenset(
    [
        "bash",
        "c",
        "c#",
        "c++",
        "cc",
        "console",
        "cpp",
        "cs",
        "csharp",
        "css",
        "cxx",
        "diff",
        "go",
        "golang",
        "haskell",
        "html",
        "java",
        "javascript",
        "js",
        "json",
        "jsx",
        "julia",
        "kotlin",
        "latex",
        "lua",
        "makefile",
        "markdown",
        "matlab",
        "md",
        "objective-c",
        "ocaml",
        "output",
        "pascal",
        "perl",
        "php",
        "plaintext",
        "powershell",
        "py",
        "python",
        "python3",
        "r",
        "rb",
        "rs",
        "ruby",
        "rust",
        "scala",
        "sh",
        "shell",
        "sql",
        "swift",
        "text",
        "toml",
        "ts",
        "tsx",
        "txt",
        "typescript",
        "xml",
        "yaml",
        "yml",
        "zsh",
    ]
)
_FILE = re.compile(r"[\w./-]+")
_OVER_INDENTED = re.compile(r"(?P<indent>[ \t]{4,})(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)")
_FENCE_LINE = re.compile(r"[ \t>]*+(?:[-*+]|\d{1,9}[.)])?+[ \t]*+(?:`{3,}|~{3,})")
_SPECIAL_TOKEN = re.compile(r"\s*(?:<[|\uff5c]|</s>|<end_of_turn>|<eos>|\[e~\[)")
_MAX_REPAIRS = 16  # readings of one text
_MAX_TRIES = 8  # candidate end lines of one block
_MAX_PARSED = 50_000  # characters of a block that is parsed as Python to find its end
_HIDDEN_TICK = "\ue000"  # replaces backticks that close nothing

_markdown = MarkdownIt("commonmark")
_markdown.block.ruler.enableOnly(["blockquote", "code", "fence", "heading", "hr", "list", "paragraph"])


@dataclass(frozen=True)
class Fence:
    """
    Represents a fenced block of code.

    Args:
        info (`str`):
            The info string, as written after the opening fence.
        code (`str`):
            The content of the fence, without the indentation and the marks of a surrounding list item or quotation.
        start (`int`):
            Index of the first character of the opening line.
        end (`int`):
            Index after the last character of the closing line, without its line end.
        closed (`bool`, *optional*, defaults to `True`):
            Whether the fence was closed. The code of an unclosed fence may be truncated.
        before (`str`, *optional*, defaults to `""`):
            Prose on the opening line, before the fence.
        after (`str`, *optional*, defaults to `""`):
            Prose on the closing line, after the fence.
    """

    info: str
    code: str
    start: int
    end: int
    closed: bool = True
    before: str = ""
    after: str = ""

    @property
    def language(self) -> str:
        """Returns the first word of the info string in lower case, `"python"` for all versions of Python, or `""`."""
        return language_of(self.info)


@dataclass(frozen=True)
class _Line:
    """Holds a line as the parser reads it, and the line of the text that it is, or is part of."""

    text: str
    start: int
    end: int
    part: bool = False  # one part of a line that has prose and a fence


@dataclass(frozen=True)
class _Block:
    first: int  # number of the opening line
    last: int  # number of the closing line, or of the last line of an open block
    info: str
    markup: str
    content: str
    closed: bool
    plain: bool  # not indented, and not in a list item or a quotation

    @property
    def inside(self) -> range:
        """Returns the line numbers of the code."""
        return range(self.first + 1, self.last if self.closed else self.last + 1)


def find_fences(text: str) -> list[Fence]:
    """
    Returns the fenced blocks of a text, in order. The run time is linear in the length of the text.

    Args:
        text (`str`):
            Markdown, or model output in the style of Markdown.

    Returns:
        `list[Fence]`: Blocks that do not overlap but may share a line.
    """
    if "```" not in text and "~~~" not in text:
        return []
    lines = list(_split(text))
    blocks = _parse(lines)
    for _ in range(_MAX_REPAIRS):
        repaired = _repaired(lines, blocks)
        if repaired is None:
            break
        lines = repaired
        blocks = _parse(lines)
    return [_fence(block, lines, text) for block in blocks]


def before_fences(text: str) -> str:
    """
    Returns the text before the first fenced block, or the whole text if it has none.

    Args:
        text (`str`):
            Markdown, or model output in the style of Markdown.
    """
    fences = find_fences(text)
    return f"{text[: fences[0].start]}{fences[0].before}" if fences else text


def read_fence(segment: str) -> Fence | None:
    """
    Parses a text that consists of one fenced block. Returns `None` if it is not one, or contains anything else.

    Args:
        segment (`str`):
            For example a `code` block of [`~reflection_trl.sequences.split_blocks`].
    """
    fences = find_fences(segment)
    if not fences and (indent := segment[: len(segment) - len(segment.lstrip(" \t"))]):
        # In a list item, a fence may be indented further than at the top level
        fences = find_fences("\n".join(line.removeprefix(indent) for line in segment.split("\n")))
        fences = [replace(fence, start=0, end=len(segment)) for fence in fences[:1] if len(fences) == 1]
    # A line that ends with `\r\n` keeps its `\r`
    whole = len(fences) == 1 and fences[0].start == 0 and segment[fences[0].end :] in ("", "\r")
    return fences[0] if whole and not fences[0].before and not fences[0].after else None


def fence_code(code: str, language: str = "python") -> str:
    """
    Returns code in a Markdown fence that is longer than any run of backticks in it.

    Args:
        code (`str`):
            Source code.
        language (`str`, *optional*, defaults to `"python"`):
            Info string of the fence.

    Returns:
        `str`: The fenced code, without a trailing newline.
    """
    fence = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(code))])
    return f"{fence}{language}\n{code}\n{fence}"


def strip_fence(segment: str) -> str:
    """
    Removes the fence around a block of code.

    Args:
        segment (`str`):
            Fenced code.

    Returns:
        `str`: The code; `segment` unchanged if it is not a fence, or contains anything else.
    """
    fence = read_fence(segment)
    return segment if fence is None else fence.code


def language_of(info: str) -> str:
    """
    Returns the language of an info string in lower case: `"python"` for `Python3`, `{.python}` and `py title="a.py"`. Of the
    name of a file, such as `src/Main.java`, it is the suffix.

    Args:
        info (`str`):
            The text after an opening fence.
    """
    match = _LANGUAGE.match(info)
    word = match[1].lower() if match else ""
    name, dot, suffix = info.strip().lower().rpartition(".")
    if name and dot and _FILE.fullmatch(name) and suffix in _LANGUAGES:
        word = suffix
    return "python" if _PYTHON.fullmatch(word) else word


# Parsing


def _split(text: str) -> Iterator[_Line]:
    start = 0
    for line in text.split("\n"):
        yield _Line(line.removesuffix("\r"), start, start + len(line))
        start += len(line) + 1


def _parse(lines: list[_Line]) -> list[_Block]:
    source = "\n".join(line.text for line in lines) + "\n"
    tokens: list[Token] = []
    _markdown.block.parse(source, _markdown, {}, tokens)
    blocks = []
    for token in tokens:
        if token.type != "fence" or token.map is None:
            continue
        first, end = token.map
        closed = end - first - 1 > token.content.count("\n")
        plain = token.level == 0 and lines[first].text.startswith(token.markup)
        blocks.append(_Block(first, end - 1, token.info, token.markup, token.content, closed, plain))
    return blocks


def _fence(block: _Block, lines: list[_Line], text: str) -> Fence:
    first, last, inside = lines[block.first], lines[block.last], block.inside
    if not inside:
        code = ""
    elif block.plain and not any(lines[number].part for number in (inside[0], inside[-1])):
        code = text[lines[inside[0]].start : lines[inside[-1]].end]  # unchanged, line ends included
    else:
        code = block.content.removesuffix("\n").replace(_HIDDEN_TICK, "`")
    before = after = ""
    beside = [line.start == first.start for line in lines[max(0, block.first - 2) : block.first]]
    if first.part and beside[-1:] == [True] and beside != [True, True]:  # otherwise it follows another block
        before = lines[block.first - 1].text.strip()
    if last.part and block.last + 1 < len(lines) and lines[block.last + 1].start == last.start:
        after = lines[block.last + 1].text.strip()
    return Fence(block.info, code, first.start, last.end, block.closed, before, after)


# Fences that Markdown does not allow


def _repaired(lines: list[_Line], blocks: list[_Block]) -> list[_Line] | None:
    """Returns the lines after the first repair, or `None` if no line needs one."""
    open_end = bool(blocks) and not blocks[-1].closed
    # After the last line that starts or ends with a fence, a fence in prose opens nothing
    texts = enumerate(line.text.strip() for line in lines)
    last_end = max((number for number, text in texts if text.startswith("```") or text.endswith("```")), default=0)
    number = 0
    for block in blocks:
        for outside in range(number, block.first):
            if changed := _prose_repaired(lines, outside, open_end, last_end):
                return changed
        if changed := _block_repaired(lines, block):
            return changed
        number = block.last + 1
    for outside in range(number, len(lines)):
        if changed := _prose_repaired(lines, outside, open_end, last_end):
            return changed
    return None


def _replaced(lines: list[_Line], number: int, *texts: str) -> list[_Line]:
    """Splits a line into several parts."""
    line = lines[number]
    return [*lines[:number], *(replace(line, text=text, part=True) for text in texts), *lines[number + 1 :]]


def _prose_repaired(lines: list[_Line], number: int, open_end: bool, last_end: int) -> list[_Line] | None:
    text = lines[number].text
    if "```" not in text and "~~~" not in text:
        return None
    prose, ticks, rest = _first_run(text)
    if len(ticks) >= 3 and not prose.strip() and len(prose) <= 3 and rest.rstrip().endswith(ticks):
        code = rest.rstrip().removesuffix(ticks).strip()
        info, _, behind = code.partition(" ")
        # `c = 1` is not the language C
        info, code = (info, behind.strip()) if len(info) > 1 and language_of(info) in _LANGUAGES else ("", code)
        if code and ticks not in code and not code.endswith("`"):
            return _replaced(lines, number, ticks + info, code, ticks)
    if len(ticks) >= 3 and prose.strip() and "`" not in rest and number < last_end:
        following = next((n for n in range(number + 1, len(lines)) if lines[n].text.strip()), number)
        opens = language_of(rest) in _LANGUAGES or (open_end and not rest.strip())
        if opens and not _FENCE_LINE.match(lines[following].text):
            return _replaced(lines, number, prose, ticks + rest)
    if (match := _OVER_INDENTED.fullmatch(text)) and language_of(match["info"]) in _LANGUAGES:
        return _dedented(lines, number, match["indent"], match["fence"])
    return None


def _first_run(text: str) -> tuple[str, str, str]:
    """Splits a line into the text before its first backticks, the backticks, and the text after them."""
    prose, tick, rest = text.partition("`")
    behind = rest.lstrip("`")
    return prose, tick + rest[: len(rest) - len(behind)], behind


def _dedented(lines: list[_Line], first: int, indent: str, fence: str) -> list[_Line]:
    """Removes the indentation from the lines between an opening fence and its closing fence."""
    changed = list(lines)
    for number in range(first, len(lines)):
        text = lines[number].text
        if number > first and text.strip() and not text.startswith(indent):
            break
        changed[number] = replace(lines[number], text=text.removeprefix(indent), part=True)
        if number > first and text.rstrip() == indent + fence:
            break
    return changed


def _block_repaired(lines: list[_Line], block: _Block) -> list[_Line] | None:
    """Moves the end of a block to where it was intended."""
    is_python = language_of(block.info) in ("python", "")
    if block.closed and is_python and (changed := _later_end(lines, block)):
        return changed
    marks = [number for number in block.inside if block.markup in lines[number].text]
    swallowed = any(_ends_with_opening(lines[number].text, block.markup) for number in marks)
    if not marks or (block.closed and not swallowed) or (is_python and _is_python(block.content)):
        return None
    indent = lines[block.first].text.find(block.markup) + 3  # the largest indentation of a closing fence
    for number in marks[:_MAX_TRIES]:
        if lines[number].part:
            continue
        text = lines[number].text
        code, _, rest = text.partition(block.markup)
        behind = rest.lstrip(block.markup[0])
        rest = behind.strip()
        before = "\n".join(lines[inside].text for inside in range(block.first + 1, number))
        if code.strip():
            if is_python and (not rest or _SPECIAL_TOKEN.match(rest)) and _is_python(f"{before}\n{code}"):
                return _replaced(lines, number, code.rstrip(), block.markup, *filter(None, [rest]))
        elif rest and len(code) <= indent:
            is_prose = (" " in rest or behind.startswith(" ")) and language_of(rest) not in _LANGUAGES
            if is_prose or _SPECIAL_TOKEN.match(rest):
                return _replaced(lines, number, code + block.markup, code + rest)
            if is_python and _opens(text, block.markup) and before.strip() and _is_python(before):
                closing = replace(lines[number - 1], text=code + block.markup, part=True)
                return [*lines[:number], closing, *lines[number:]]
    return None


def _later_end(lines: list[_Line], block: _Block) -> list[_Line] | None:
    """Hides closing fences in a docstring from the parser, so that the block ends at a later one."""
    quotes = '"""' in block.content or "'''" in block.content
    if not block.plain or not quotes or _is_python(block.content):
        return None
    ends = [number for number in range(block.last + 1, len(lines)) if lines[number].text.rstrip() == block.markup]
    for end in ends[:_MAX_TRIES]:
        if _is_python("\n".join(line.text for line in lines[block.first + 1 : end])):
            return [
                replace(line, text=line.text.replace("`", _HIDDEN_TICK)) if block.last <= number < end else line
                for number, line in enumerate(lines)
            ]
    return None


def _ends_with_opening(text: str, markup: str) -> bool:
    return language_of(text.rpartition(markup)[2]) in _LANGUAGES


def _opens(text: str, markup: str) -> bool:
    """Returns whether a line opens a fence of the same kind with a language."""
    text = text.strip()
    return text.startswith(markup) and language_of(text.lstrip(markup[0])) in _LANGUAGES


def _is_python(code: str) -> bool:
    return len(code) <= _MAX_PARSED and parse_python(code) is not None
