"""Finds duplicates: texts that are equal, or nearly equal (Jaccard similarity of their word n-grams, without numbers).

Near duplicates are found exactly, without the errors of MinHash. Two sets with a similarity of at least t share an
element among the rarest `len - ceil(t * len) + 1` elements of each, so only texts with a common rare n-gram are
compared (prefix filtering, Chaudhuri et al. 2006). Groups are the connected components of near duplicates and do not
depend on the order.
"""

import hashlib
import math
from collections.abc import Iterator

import numpy as np

from .words import ngrams, words


SHINGLE = 5


def group_duplicates(texts: list[str], threshold: float | None) -> list[int]:
    """
    Groups texts that are equal or nearly equal. Case, punctuation and whitespace do not count.

    Args:
        texts (`list[str]`):
            The texts.
        threshold (`float` or `None`):
            Share of common word 5-grams, above 0 and up to 1, from which two texts are near duplicates; `None` finds
            only exact ones.

    Returns:
        `list[int]`: For each text, the index of the first text of its group, which is its own if there is no earlier
        one.

    Raises:
        ValueError: If the threshold is out of range.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise ValueError(f"The threshold of near duplicates must be above 0 and at most 1, got {threshold}.")
    first_of: dict[tuple[str, ...], int] = {}
    tokens = [words(text) for text in texts]
    parents = [first_of.setdefault(tuple(t), index) for index, t in enumerate(tokens)]
    if threshold is None:
        return parents
    distinct = list(first_of.values())
    for one, other in _similar_pairs([_shingles(tokens[index]) for index in distinct], threshold):
        a, b = _root(parents, distinct[one]), _root(parents, distinct[other])
        parents[max(a, b)] = min(a, b)
    return [_root(parents, index) for index in range(len(parents))]


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def _shingles(tokens: list[str]) -> np.ndarray:
    """Returns the set of a text's word n-grams, hashed and sorted."""
    tokens = [token for token in tokens if not token.isdigit()] or tokens
    hashes = {hashlib.blake2b(" ".join(gram).encode(), digest_size=8).digest() for gram in ngrams(tokens, SHINGLE)}
    return np.sort(np.frombuffer(b"".join(hashes), dtype=np.uint64))


def _similar_pairs(sets: list[np.ndarray], threshold: float) -> Iterator[tuple[int, int]]:
    """Yields pairs of indices whose sets have at least this Jaccard similarity."""
    if not sets:
        return
    elements, counts = np.unique(np.concatenate(sets), return_counts=True)
    holders: dict[int, list[int]] = {}  # by element: earlier sets that have it among their rarest
    for index, items in enumerate(sets):
        rarity = counts[np.searchsorted(elements, items)]
        rarest = items[np.argsort(rarity, kind="stable")][: len(items) - math.ceil(threshold * len(items)) + 1]
        candidates = {other for item in rarest.tolist() for other in holders.setdefault(item, [])}
        for other in sorted(candidates):
            small, large = sorted((len(items), len(sets[other])))
            if small >= threshold * large:
                common = len(np.intersect1d(items, sets[other], assume_unique=True))
                if common >= threshold * (small + large - common):
                    yield other, index
        for item in rarest.tolist():
            holders[item].append(index)
