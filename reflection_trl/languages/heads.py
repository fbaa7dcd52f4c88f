"""Parses function heads from C++, Rust, C# and Swift source, from which the tests' side is generated."""

import re
from collections.abc import Iterator
from dataclasses import dataclass


_OPAQUE = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))|R"(?P<d>\w{0,16})\(.*?(?:\)(?P=d)"|\Z)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])'""",
    re.DOTALL,
)
# Between the parameters and the body: `const`, `noexcept`, `-> [Int]`
_AFTER = re.compile(r"[^;{}=\[]{0,2000}(?:\[[^\]{}]*\][^;{}=\[]{0,2000}){0,20}")
_OPEN, _CLOSE = "([{<", ")]}>"


@dataclass(frozen=True)
class Head:
    """
    Represents the head of a function.

    Args:
        name (`str`):
            Its name.
        before (`str`):
            Text before the name, back to the end of the previous statement.
        parameters (`tuple[str]`):
            The text of each parameter.
        after (`str`):
            Text between the parameters and the body.
        depth (`int`):
            Number of braces that are open around it.
        start (`int`):
            Position at which `before` begins.
    """

    name: str
    before: str
    parameters: tuple[str, ...]
    after: str
    depth: int
    start: int


def blanked(source: str, keep_strings: bool = False) -> str:
    """Returns the source with comments and, unless they are kept, quoted text replaced by spaces."""

    def blank(found: re.Match[str]) -> str:
        if found["comment"] is None and keep_strings:
            return found.group()
        text = re.sub(r"[^\n]", " ", found.group())
        return text if found["comment"] is not None else f'"{text[1:-1]}"' if len(text) > 1 else text

    return _OPAQUE.sub(blank, source)


def without_main(source: str, main: re.Pattern[str]) -> str:
    """Returns an answer whose own `main`, as `main` finds it, has another name: the tests have one. Lines stay the same."""
    found = main.search(blanked(source))
    if found is None:
        return source
    place = source.index("main", found.start())
    return f"{source[:place]}own_{source[place:]}"


def heads(source: str) -> Iterator[Head]:
    """Yields the heads of all functions that have a body, in a blanked source."""
    depth, start = 0, 0
    place = 0
    for found in re.finditer(
        r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*|[;{}]|(\w+)\s*(?:<[^<>();{}]*>\s*)?\(", source, re.MULTILINE
    ):
        if found.start() < place:
            continue
        text = found.group()
        if text[0] in ";{}":
            depth += {"{": 1, "}": -1, ";": 0}[text]
            start = found.end()
        elif text.lstrip().startswith("#"):
            start = found.end()
        else:
            end = closing(source, found.end() - 1)
            before = source[start : found.start()]
            if end is None or before.count("<") > before.count(
                ">"
            ):  # a function type: `std::function<int(int)> f(...)`
                continue
            body = _AFTER.match(source, end + 1)
            place = end
            if body is None or source[body.end() : body.end() + 1] != "{":
                continue
            yield Head(
                name=found.group(1),
                before=before.strip(),
                parameters=tuple(split(source[found.end() : end])),
                after=body.group().strip(),
                depth=depth,
                start=start,
            )


def closing(text: str, opening: int) -> int | None:
    """Returns the position at which the bracket at `opening` is closed; `None` if it is not closed."""
    depth = 0
    for place in range(opening, len(text)):
        if text[place] in "([{":
            depth += 1
        elif text[place] in ")]}":
            depth -= 1
            if depth == 0:
                return place
    return None


def split(text: str) -> list[str]:
    """Splits text at the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE and text[place - 1 : place] not in ("-", "="):
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    parts.append(text[start:].strip())
    return [] if parts == [""] else parts


def depth(text: str) -> int:
    """Returns the number of open braces at the end; negative if more are closed than opened."""
    code = blanked(text)
    return code.count("{") - code.count("}")


def class_of(source: str, function: str) -> str:
    """Returns the class that has the function, else the last one, in Java and C#."""
    code = blanked(source)
    start = next((head.start for head in heads(code) if head.name == function and head.depth), None)
    around: list[str] = []
    declared = last = ""
    for found in re.finditer(r"\b(?:class|enum|record|interface|struct)\s+(\w+)|[{}]", code[:start]):
        if found.group() == "{":
            around.append(declared)
            declared = ""
        elif found.group() == "}":
            around = around[:-1]
        else:
            declared = found.group(1)
            last = last if around else declared
    inside = [name for name in around if name] if start is not None else []
    return inside[-1] if inside else last or "Main"
