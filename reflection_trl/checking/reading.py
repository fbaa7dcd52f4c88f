"""Parses the final answer of a text, and normalizes it for comparison. The rules are in [`reflection_trl.checking`]."""

import re
from dataclasses import dataclass

from ..fences import find_fences


_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)|\\boxed\s+(?P<bare>[^\s{}$\\.,;]+)")
_HASHES = re.compile(r"^[ \t]*####[ \t]*(?P<answer>\S[^\n]*)$", re.MULTILINE)
_SAID = re.compile(
    r"(?:\bthe[ \t]+(?:final[ \t]+|correct[ \t]+)?(?:option|choice)[ \t]+is|\banswer[ \t]+is|\b(?:final[ \t]+)?answer[ \t]*\**[ \t]*:)[ \t:*]*",
    re.IGNORECASE,
)
# The first line below "Answer:", perhaps after the sign that opens a formula
_BELOW = re.compile(r"(?:[\s*:]|\\\[|\$\$)*\n[ \t*]*(?P<line>[^\n]+)")
# A sentence ends at a full stop outside of numbers, at a semicolon, or at an aside
_SENTENCE_END = re.compile(
    r"[.!?](?=\s|\**$|$)|;(?!\s*or\b)|,? (?:because|since|as|so|which|but)\b|,(?=\s+(?!or\b)[a-z]{2})", re.IGNORECASE
)
_MAX_BOXES = 8  # more boxes are not an answer, and each costs time

_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"), ("*", "*"))
_TEXT = re.compile(
    r"\\(?:text(?:bf|it|normal|rm|sf|tt|up)?|math(?:bf|it|rm|sf)|emph|mbox|operatorname)\s*\{([^{}]*)\}"
)
_TEXT_AFTER_NUMBER = re.compile(
    r"(?<=\d)(?=\\(?:text|math|mbox|emph))"
)  # `5\text{m}` is a length, `5m` may be a product
_SPACES = re.compile(r"(?<!\\)\\!|\{,\}(?=\d)")
_THIN = re.compile(r"(?<=\d)\\[,;: ](?=\d{3}(?!\d))")  # `1\,080`
# `0.333333...`; `1, 2, ...` is not `1, 2`
_DECIMAL_DOTS = re.compile(r"(\.\d+)\.\.\.$")
# `\sin 30^\circ`: degrees are a unit only behind the whole answer
_ANGLE = re.compile(
    r"(?P<function>\\?(?:sin|cos|tan|cot|sec|csc)\s*(?:\^\s*\{?\d\}?)?\s*[({]?\s*)"
    r"(?P<degrees>\d+(?:\.\d+)?)\s*(?:\^\s*(?:\\circ|\{\s*\\circ\s*\})|°)"
)
_REPLACED = (
    (re.compile(r"\\(?:left|right)(?![A-Za-z])\s*\.?"), ""),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\\$"), "$"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\(?:approx|simeq)(?![A-Za-z])|≈"), r"\\approx "),
    (re.compile(r"^\s*\\approx"), ""),
    (re.compile(r"\\(?:displaystyle|textstyle|bf|rm|it|large|Large|huge)(?![A-Za-z])"), ""),
    (re.compile(r"\\[lcd]?dots[bcmio]?(?![A-Za-z])|…"), "..."),
    (re.compile(r"\s*\^\s*(?:\\prime(?![A-Za-z])|\{\s*\\prime\s*\})"), "'"),
    (re.compile(r"\\pmod\s*(\d)"), r"\\pmod{\1}"),
    (re.compile(r"\\mathbb\s*(?=[A-Z])([A-Z])"), r"\\mathbb{\1}"),
    (re.compile(r"\\[dt]?binom\s*(\d)\s*(\d)"), r"\\binom{\1}{\2}"),
    (re.compile(r"\\varnothing(?![A-Za-z])|∅"), r"\\emptyset "),
    (_ANGLE, r"\g<function>\\frac{\g<degrees>\\pi}{180}"),
    (re.compile(r"\s*\^\s*(?:\\circ|\{\s*\\circ\s*\})|°"), " degrees "),
    (re.compile("[\u2212\u2013]"), "-"),
    (re.compile("\u00d7"), r"\\times "),
    (re.compile(r"÷"), "/"),
    (re.compile(r"π"), r"\\pi "),
    (re.compile(r"√"), r"\\sqrt "),
    (re.compile(r"∞"), r"\\infty "),
    (re.compile(r"(?<!\\)\\[,;: ~]|~|\\quad(?![A-Za-z])"), " "),
    (re.compile(r"\s+"), " "),
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """
    Holds the final answers of a text.

    Args:
        answers (`tuple[str]`, *optional*, defaults to `()`):
            The answers as written; one, unless the text has several different boxes.
        form (`str`, *optional*, defaults to `""`):
            Form of the answers: `"boxed"`, `"####"` or `"sentence"`; `""` if there are none.
        too_many (`bool`, *optional*, defaults to `False`):
            Whether the text has more different boxes than are read.
    """

    answers: tuple[str, ...] = ()
    form: str = ""
    too_many: bool = False


def read_final_answer(text: str) -> Reading:
    r"""
    Reads the final answer of a text, in time that is linear in its length.

    Args:
        text (`str`):
            Completion, without its reasoning between `<think>` tags.

    Returns:
        [`Reading`]: The answers; empty if there are none.

    Example:

    ```python
    >>> read_final_answer(r"3 + 4 = 7, so the answer is \boxed{7}.").answers
    ('7',)
    ```
    """
    text = _without_code(text)
    boxes = list(dict.fromkeys(box.strip() for box in _boxes(text) if box.strip(" {}$")))
    if boxes:
        return Reading(tuple(boxes[:_MAX_BOXES]), "boxed", len(boxes) > _MAX_BOXES)
    if lines := _HASHES.findall(text):
        return Reading((lines[-1].strip(),), "####")
    for lead in reversed([*_SAID.finditer(text)]):
        said = text[lead.end() :].partition("\n")[0]
        if not said.strip(" *:") and (below := _BELOW.match(text, lead.end())):
            said = below["line"]
        end = _SENTENCE_END.search(said)
        answer = (said[: end.start()] if end else said).strip().rstrip(" *")
        if answer:
            return Reading((answer,), "sentence")
    return Reading()


def tidy(answer: str) -> str:
    r"""
    Removes parts of an answer without meaning: surrounding dollar signs, bold type, `\text`, `\left`, LaTeX spaces.

    Args:
        answer (`str`):
            An answer as it was written.
    """
    answer = answer.strip()
    for _ in range(4):  # `**$5$**`
        before = answer
        answer = answer.rstrip(" .,") if not answer.endswith("...") else answer
        for opening, closing in _WRAPPERS:
            size = len(opening) + len(closing)
            if len(answer) > size and answer.startswith(opening) and answer.endswith(closing):
                inner = answer[len(opening) : -len(closing)]
                answer = inner.strip() if opening not in inner else answer
        if answer == before:
            break
    answer = _THIN.sub("", _SPACES.sub(lambda match: "," if "{" in match[0] else "", answer))
    answer = _TEXT_AFTER_NUMBER.sub(" ", answer)
    for _ in range(3):  # nested
        answer = _TEXT.sub(r"\1", answer)
    for pattern, replacement in _REPLACED:
        answer = pattern.sub(replacement, answer)
    answer = _DECIMAL_DOTS.sub(r"\1", answer.strip())
    return answer if answer.endswith("...") else answer.rstrip(" .,")


def _boxes(text: str) -> list[str]:
    """Returns the contents of all boxes, for nested ones only the outer box."""
    found, start = [], 0
    while match := _BOX.search(text, start):
        if match["bare"] is not None:
            found.append(match["bare"])
            start = match.end()
            continue
        depth, end = 0, match.end()
        for end in range(match.end(), len(text)):
            character = text[end]
            if text[end - 1] == "\\" and text[end - 2] != "\\":
                continue
            depth += (character == "{") - (character == "}")
            if depth == 0:
                break
        if depth:  # never closed: the text was truncated
            break
        found.append(text[match.end() + 1 : end])
        start = end + 1
    return found


def _without_code(text: str) -> str:
    """Returns the text without fenced code in a language; LaTeX and plain text stay."""
    if "```" not in text and "~~~" not in text:
        return text
    pieces, start = [], 0
    for fence in find_fences(text):
        if fence.language not in ("", "latex", "markdown", "math", "md", "plaintext", "tex", "text"):
            pieces.append(text[start : fence.start])
            start = max(start, fence.end)
    return "\n".join([*pieces, text[start:]])
