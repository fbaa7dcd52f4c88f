"""Splits text and code into words, for deduplication and decontamination."""

import re


# `hasCloseElements`, `has_close_elements` and "has close elements" are the same three words
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")


def words(text: str) -> list[str]:
    """Returns the words and numbers of a text in lower case, with identifiers split, without punctuation."""
    return [word.lower() for word in _WORD.findall(text)]


def ngrams(tokens: list[str], n: int) -> list[tuple[str, ...]]:
    """Returns all runs of `n` tokens, or the whole of a shorter text."""
    return [tuple(tokens[start : start + n]) for start in range(max(1, len(tokens) - n + 1))] if tokens else []
