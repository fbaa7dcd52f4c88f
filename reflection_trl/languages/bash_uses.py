"""Finds where the tests of a Bash answer use what it prints as more than text: as a pattern, a number or a program."""

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources


# In masked text, the ends of a command substitution, which stands outside quotes
_OPEN, _CLOSE = "\x01", "\x02"
_FUNCTION = re.compile(
    r"^[ \t]*(?:function\s+)?([A-Za-z_][\w.:-]*)\s*\(\)\s*\{(.*?)^[ \t]*\}", re.MULTILINE | re.DOTALL
)
# Commands whose arguments are patterns, and those whose arguments are programs
_MATCHES = re.compile(
    r"(?:^|[|;&(!]|\b(?:if|then|do|while|else)\b)\s*(?:(?:e|f)?grep\b([^\n;|&]*)|expr\b[^\n;|&]*?\s:\s([^\n;|&]*))",
    re.MULTILINE,
)
_COMPUTES = re.compile(r"\b(?:awk|sed|perl|python3?|node|php|jq|dc)\b([^\n;|]*)|([^\n;]*)\|\s*bc\b")
_RUNS = re.compile(
    r"\b(?:eval|source|(?:ba)?sh\s+-c)\b([^\n;|]*)|(?:^|[;&|])\s*\.\s+([^\n;|]*)|([^\n;]*)\|\s*(?:ba)?sh\b(?!\w)",
    re.MULTILINE,
)


@cache
def _of_the_shell() -> frozenset[str]:
    """Returns words of the shell, and commands, that an answer and its tests share without naming a function of the answer."""
    return frozenset((resources.files(__package__) / "library" / "bash.txt").read_text(encoding="utf-8").split())


def uses(tests: str, names: Iterable[str], variables: Iterable[str]) -> str:
    """
    Returns how the tests use what the answer prints, as letters.

    Args:
        tests (`str`):
            The tests.
        names (`Iterable[str]`):
            Names of the answer that the tests use.
        variables (`Iterable[str]`):
            Names of the answer's variables that the tests use.

    Returns:
        `str`: `p` as a pattern of the shell, `r` as a regular expression, `f` as a format of `printf`, `c` as a command,
        `v` as lines that a shell runs, `x` within a program of another language; each once.
    """
    masked = _masked(tests)
    functions = _functions(tests, names)
    tainted = _tainted(tests, functions, variables)
    found = {
        use
        for operator, operand in _operands(masked)
        if tainted(operand)
        for use in ("r" if operator == "=~" else "p")
    }
    patterns = (
        r"(?:\bin\b|;;)\s*\(?([^)\n;]*)\)",  # of a `case`
        r"(?:\bfor\s+\w+\s+in\b|\bset\b|=\()([^\n;)]*)",  # file names, in words that are not quoted
    )
    if any(tainted(text) for pattern in patterns for text in re.findall(pattern, masked)):
        found.add("p")
    if any(tainted(text) for text in re.findall(r"\$\{\w+(?:\[[^]]*\])?(?:##?|%%?|//?)([^}\n]*)", tests)):
        found.add("p")
    for use, pattern in (("r", _MATCHES), ("x", _COMPUTES), ("v", _RUNS)):
        texts = ("".join(part or "" for part in one.groups()) for one in pattern.finditer(tests))
        if any(tainted(_arguments(text) if use != "v" else text) for text in texts):
            found.add(use)
    if any(
        tainted(text)
        for text in re.findall(r"\bprintf\s+(?:-v\s+\w+\s+)?(?:--\s+)?(\"[^\"\n]*\"|[^\s\"']\S*[^\n;|&]*)", tests)
    ):
        found.add("f")
    commands = re.sub(r"\[\[\s.*?\s\]\]|\(\(.*?\)\)", "_", masked, flags=re.DOTALL)
    if re.search(
        rf"(?:^|[;&|]|\b(?:if|then|do|while|until|else)\b)[ \t]*(?:![ \t]*)?{_OPEN}", commands, re.MULTILINE
    ) or (
        any(
            tainted(text)
            for text in re.findall(
                r"(?:^|[;&|]|\b(?:if|then|do)\b)[ \t]*(?:![ \t]*)?(\$\{?\w+)", commands, re.MULTILINE
            )
        )
    ):
        found.add("c")
    return "".join(sorted(found))


def is_fed(tests: str, names: Iterable[str]) -> bool:
    """Returns whether the tests give one of the answer's functions, or one of theirs that calls it, something to read."""
    called = "|".join(map(re.escape, _functions(tests, names)))
    if not called:
        return False
    return (
        re.search(rf"\|\s*(?:\w+=\S*\s+)*(?:{called})\b|\b(?:{called})\b(?:[^\n;|&()]|\([^()\n]*\))*<(?!\()", tests)
        is not None
    )


def _functions(tests: str, names: Iterable[str]) -> list[str]:
    """Returns the names of the answer, and of the tests' functions that call one of them."""
    known = [name for name in dict.fromkeys(names) if name not in _of_the_shell()]
    own = _FUNCTION.findall(tests)
    for _ in range(3):
        for name, body in own:
            if name not in known and any(re.search(rf"\b{re.escape(one)}\b", body) for one in known):
                known.append(name)
    return known


class _Tainted:
    """Says whether text has an expansion of what the answer has printed, or may have."""

    def __init__(self, functions: list[str], variables: set[str]):
        self.functions = re.compile(rf"\b(?:{'|'.join(map(re.escape, functions))})\b" if functions else r"(?!)")
        self.variables = variables

    def __call__(self, text: str) -> bool:
        for inside in re.findall(rf"(?:\$\(|<\(|`|{_OPEN})([^){_CLOSE}`]*)", text):
            if self.functions.search(inside):
                return True
        return any(name in self.variables for name in re.findall(r"\$\{?(\w+|[@*])", text))


def _tainted(tests: str, functions: list[str], variables: Iterable[str]) -> _Tainted:
    known = _Tainted(functions, set(variables))
    for words in re.findall(r"\b(?:read|mapfile|readarray)\b([^\n;|&<]*)", tests):
        known.variables.update(re.findall(r"(?<![-\w])[A-Za-z_]\w*", words))
    assigned = [
        *(
            (found[1], _value(tests, found.end()))
            for found in re.finditer(r"\b([A-Za-z_]\w*)(?:\[[^]\n]*\])?\+?=", tests)
        ),
        *re.findall(r"\bfor\s+(\w+)\s+in\b([^\n;]*)", tests),
    ]
    own = _FUNCTION.findall(tests)
    for _ in range(3):
        known.variables.update(name for name, value in assigned if known(value))
        for name, body in own:
            known.variables.update(_positions(tests, name, known, shifts="shift" in body))
    return known


def _positions(tests: str, function: str, tainted: _Tainted, shifts: bool) -> Iterable[str]:
    """Yields the positional parameters in which calls of a function of the tests pass what the answer prints."""
    for call in re.finditer(
        rf"(?:^|[;&|({{]|\b(?:if|then|do|while|else)\b)[ \t]*(?:!\s*)?{re.escape(function)}[ \t]+", tests, re.MULTILINE
    ):
        for position, word in enumerate(_words(tests, call.end()), 1):
            if tainted(word):
                yield from "@*"
                yield from map(str, range(1, 10) if shifts else [position])


def _words(text: str, place: int) -> Iterable[str]:
    """Yields the arguments of a command that begin at `place`."""
    start = place
    while place < len(text) and text[place] not in "\n;|&)":
        if text[place].isspace():
            if place > start:
                yield text[start:place]
            start = place + 1
        elif text[place] in "\"'":
            place = _end(text, place) - 1
        elif text.startswith("$(", place):
            place = _end(text, place + 1) - 1
        place += 1
    if place > start:
        yield text[start:place]


def _value(text: str, place: int) -> str:
    """Returns the value of an assignment that begins at `place`."""
    if text[place : place + 1] in ("", " ", "\n"):
        return ""
    return text[place:].partition("\n")[0] if text[place] == "(" else next(iter(_words(text, place)), "")


def _operands(masked: str) -> Iterable[tuple[str, str]]:
    """Yields the right sides of comparisons in `[[ ]]`, each after its operator."""
    for inside in re.findall(r"\[\[\s(.*?)\s\]\]", masked, re.DOTALL):
        for one in re.split(r"&&|\|\|", inside):
            compared = re.search(r"\s(==|=~|!=|=)\s(.*)", one, re.DOTALL)
            if compared is not None:
                yield compared.group(1), compared.group(2)


def _arguments(text: str) -> str:
    """Returns the arguments of a command, without what it reads and without the values of its variables."""
    text = re.sub(r"'[^'\n]*'", "_", text)
    text = re.sub(r"-(?:v|-arg|-argjson)\s+\w+(?:=|\s+)(?:\"[^\"\n]*\"|\S+)", " ", text)
    return re.sub(r"<(?:<<)?\s*(?:\"[^\"\n]*\"|\([^\n]*|\S+)", " ", text)


def _masked(text: str) -> str:
    """Returns the text without comments and quoted parts. Command substitutions outside quotes are one word each."""
    parts, place = [], 0
    while place < len(text):
        character = text[place]
        if character == "\\":
            parts.append("_")
            place += 2
        elif character == "#" and (place == 0 or text[place - 1].isspace()):
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif character in "\"'":
            place = _end(text, place)
            parts.append("_")
        elif text.startswith("$(", place) and not text.startswith("$((", place):
            end = _end(text, place + 1)
            parts.append(_OPEN + re.sub(r"[^\w.]+", "-", text[place + 2 : end - 1]) + _CLOSE)
            place = end
        elif character == "`":
            end = text.find("`", place + 1)
            end = len(text) if end < 0 else end
            parts.append(_OPEN + re.sub(r"[^\w.]+", "-", text[place + 1 : end]) + _CLOSE)
            place = end + 1
        else:
            parts.append(character)
            place += 1
    return "".join(parts)


def _end(text: str, place: int) -> int:
    """Returns the place behind the quotes or the brackets that begin at `place`."""
    opening = text[place]
    if opening == "'":
        end = text.find("'", place + 1)
        return len(text) if end < 0 else end + 1
    place += 1
    while place < len(text):
        character = text[place]
        if character == "\\":
            place += 1
        elif character == ('"' if opening == '"' else ")"):
            return place + 1
        elif text.startswith("$(", place):
            place = _end(text, place + 1) - 1
        elif opening == "(" and character in "\"'(":
            place = _end(text, place) - 1
        place += 1
    return len(text)
