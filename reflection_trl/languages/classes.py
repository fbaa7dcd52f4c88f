"""Parses class declarations from C++ and C# source, from which the tests' side generates stand-ins."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .heads import closing, split


_ACCESS = re.compile(r"\s*(public|private|protected)\s*:(?!:)")
_CLASS = re.compile(
    r"(?:template\s*<(?P<template>[\w\s,=<>.]*)>\s*)?(?P<before>(?:\w+\s+)*?)(?P<keyword>class|struct|enum(?:\s+class|\s+struct)?|interface)\s+"
    r"(?P<name>\w+)\s*(?P<generic><[\w\s,]*>)?\s*(?:final\s*)?(?::(?!:)(?P<bases>.*))?",
    re.DOTALL,
)
# Member initializers after the parameters of a constructor
_INITIALIZERS = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:)")


@dataclass(frozen=True)
class ClassText:
    """
    Represents a class by its declaration.

    Args:
        name (`str`):
            Its name.
        keyword (`str`):
            `class`, `struct`, `enum`, `enum class` or `interface`.
        template (`str`):
            The parameters of a template, or of a generic class; empty for others.
        bases (`tuple[str]`):
            The text of each base.
        before (`str`):
            Its modifiers.
        body (`str`):
            Text between its braces.
    """

    name: str
    keyword: str
    template: str
    bases: tuple[str, ...]
    before: str
    body: str


@dataclass(frozen=True)
class Member:
    """
    Represents a member of a class.

    Args:
        name (`str`):
            Its name; of an operator with its sign, such as `operator+`, and with its arguments where it has some in
            `<>`.
        before (`str`):
            Text before the name: modifiers and type.
        parameters (`tuple[str]` or `None`):
            The text of each parameter of a method or constructor; `None` for a field.
        after (`str`):
            Text between the parameters and the body, or after the name of a field.
        access (`str`):
            `public`, `protected` or `private` if a label sets it, else empty.
        body (`str` or `None`):
            Text between its braces; `None` if it has none.
    """

    name: str
    before: str
    parameters: tuple[str, ...] | None
    after: str
    access: str
    body: str | None


def statements(code: str) -> Iterator[tuple[str, str | None]]:
    """
    Yields the declarations of one scope in a blanked source: the text of each, and the text between its braces, if it
    has any.
    """
    place = start = 0
    while place < len(code):
        character = code[place]
        if character == "#" and not code[code.rfind("\n", 0, place) + 1 : place].strip():
            line = re.compile(r"(?:[^\n\\]|\\\n|\\.)*").match(code, place)
            place = start = line.end() if line else len(code)
            continue
        if character in "([":
            place = closing(code, place) or len(code)
        elif character == "{":
            end = closing(code, place)
            if end is None:
                return
            head = code[start:place]
            if not (_INITIALIZERS.search(head) and re.search(r"[\w>]\s*$", head)):
                yield head.strip(), code[place + 1 : end]
                start = end + 1
            place = end
        elif character == ";":
            yield code[start:place].strip(), None
            start = place + 1
        elif character == "}":
            start = place + 1
        place += 1


def classes(code: str) -> Iterator[ClassText]:
    """Yields the classes of one scope of a blanked source."""
    for head, body in statements(code):
        found = _CLASS.fullmatch(_ACCESS.sub("", head)) if body is not None else None
        if found is None or body is None:
            continue
        yield ClassText(
            name=found["name"],
            keyword=" ".join(found["keyword"].split()),
            template=found["template"] or (found["generic"] or "")[1:-1],
            bases=tuple(split(found["bases"] or "")),
            before=found["before"],
            body=body,
        )


def members(body: str) -> Iterator[Member]:
    """Yields the members that the body of a class declares, without its inner classes."""
    access = ""
    for head, inside in statements(body):
        while (label := _ACCESS.match(head)) is not None:
            access, head = label.group(1), head[label.end() :].strip()
        if not head or (inside is not None and _CLASS.fullmatch(head)):
            continue
        operator = re.search(
            r"\boperator\s*(\(\)|\[\]|->|[-+*/%&|^<>=!~]{1,3}|(?:const\s+)?[\w:<>]+(?:\s*[*&])?)\s*\(", head
        )
        method = operator or _named(head)
        equals = re.search(r"(?<![=!<>])=(?!=)", head)
        if method and (operator or not equals or equals.start() > method.start()):
            end = closing(head, method.end() - 1)
            if end is not None:
                name = (
                    f"operator {method.group(1)}" if operator and operator.group(1)[0].isalpha() else method.group(1)
                )
                name = f"operator{name}" if operator and not name.startswith("operator") else name
                before = head[: method.start()].strip()
                yield Member(
                    name, before, tuple(split(head[method.end() : end])), head[end + 1 :].strip(), access, inside
                )
        else:
            yield from _fields(head, access, inside)


def _named(head: str) -> re.Match[str] | None:
    """
    Returns the name of a method and its bracket, which is not the one of a function type: `std::function<int(int)>
    f(...)`.
    """
    for found in re.finditer(r"([~\w]+\s*(?:<[^<>()]*>)?)\s*\(", head):
        # Words that come before a type in brackets: `public static (int, string) F()`
        if re.fullmatch(
            r"(?:static|public|private|protected|internal|async|override|virtual|sealed|abstract|new)\s*",
            found.group(1),
        ):
            continue
        if head[: found.start()].count("<") <= head[: found.start()].count(">"):
            return found
    return None


def _fields(head: str, access: str, inside: str | None) -> Iterator[Member]:
    parts = split(head)
    first = (
        re.fullmatch(r"(?P<before>.*?[\s>*&\]])(?P<name>\w+)\s*(?P<after>(?:\[|=).*)?", parts[0], re.DOTALL)
        if parts
        else None
    )
    if first is None or re.match(r"using\b|typedef\b|friend\b|static_assert\b", head):
        return
    yield Member(first["name"], first["before"].strip(), None, (first["after"] or "").strip(), access, inside)
    type = first["before"].strip().rstrip("*& ")
    for part in parts[1:]:
        if (found := re.fullmatch(r"\s*([*&]*)\s*(\w+)\s*((?:\[|=).*)?", part, re.DOTALL)) is not None:
            yield Member(
                found.group(2),
                f"{type} {found.group(1)}".strip(),
                None,
                (found.group(3) or "").strip(),
                access,
                inside,
            )
