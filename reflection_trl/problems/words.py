"""Text and code as sequences of words, the common ground of deduplication and decontamination."""

import re


# `hasCloseElements`, `has_close_elements` and "has close elements" are the same three words
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")


def words(text: str) -> list[str]:
    """The words and numbers of a text in lower case, identifiers taken apart, without punctuation."""
    return [word.lower() for word in _WORD.findall(text)]


def ngrams(tokens: list[str], n: int) -> list[tuple[str, ...]]:
    """All runs of `n` tokens; of a shorter text, the whole of it."""
    return [tuple(tokens[start : start + n]) for start in range(max(1, len(tokens) - n + 1))] if tokens else []
