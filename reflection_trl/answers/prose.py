"""Reads the prose of answers: the words that address the reader, and their script."""

import re
import unicodedata
from collections import Counter

from ..sequences import split_blocks


# The parts of code that address the reader: comments, and triple-quoted strings
_REMARK = re.compile(r"(?:#|//)[^\n]*|\"{3}.*?\"{3}|'{3}.*?'{3}|/\*.*?\*/", re.DOTALL)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_FOREIGN = 10  # letters, more than a quoted word


def foreign_script(message: str, request: str) -> str | None:
    """
    Finds a script in an answer that its request does not use. At high temperatures, small models may continue a correct
    answer with random words of many languages.

    Args:
        message (`str`):
            The answer. Its prose and the comments in its code are searched.
        request (`str`):
            The request. Latin and Greek letters never count.

    Returns:
        `str`, *optional*: Name of a script with ten or more letters, such as `"CJK"` or `"Cyrillic"`; `None` if there is none.
    """
    if message.isascii():
        return None
    known = {"LATIN", "GREEK", *_scripts(request)}
    foreign = Counter(
        {script: number for script, number in _scripts(words_to_reader(message)).items() if script not in known}
    )
    (script, number), *_ = foreign.most_common(1) or [("", 0)]
    return (script if script == "CJK" else script.capitalize()) if number >= _FOREIGN else None


def words_to_reader(message: str) -> str:
    """Returns the prose of an answer and the comments in its code."""
    pieces: list[str] = []
    for block in split_blocks({"role": "assistant", "content": message}):
        piece = message[block.start : block.end]
        pieces += _REMARK.findall(piece) if block.type == "code" else [piece]
    return " ".join(pieces)


def _scripts(text: str) -> Counter[str]:
    """Counts the letters of each script, by the first word of their Unicode names. Kana count as CJK."""
    letters = Counter(letter for letter in _NOT_ASCII.findall(text) if letter.isalpha())
    found: Counter[str] = Counter()
    for letter, number in letters.items():
        script = unicodedata.name(letter, "").partition(" ")[0]
        found["CJK" if script in ("HIRAGANA", "KATAKANA") else script] += number
    return found
