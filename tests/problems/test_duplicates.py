"""Duplicates are found whatever their order, exactly as comparing all pairs would."""

import random

import pytest

from reflection_trl.problems.duplicates import SHINGLE, group_duplicates
from reflection_trl.problems.words import ngrams, words


def shingles(text):
    tokens = [token for token in words(text) if not token.isdigit()]
    return set(ngrams(tokens, SHINGLE))


def groups_by_all_pairs(texts, threshold):
    sets = [shingles(text) for text in texts]
    groups = list(range(len(texts)))
    for b in range(len(texts)):
        for a in range(b):
            if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= threshold:
                low, high = sorted((groups[a], groups[b]))
                groups = [low if group == high else group for group in groups]
    return groups


def random_texts(seed):
    """Texts of every similarity: a few originals, and copies with ever more words replaced."""
    rng = random.Random(seed)
    vocabulary = [f"{a}{b}" for a in "bcdfgh" for b in ("an", "el", "is", "ov", "ut")]
    texts = []
    for _ in range(8):
        original = rng.choices(vocabulary, k=rng.randint(3, 40))
        for changes in (0, 0, 1, 1, 2, 4, 8):
            copy = list(original)
            for _ in range(changes):
                copy[rng.randrange(len(copy))] = rng.choice(vocabulary)
            texts.append(" ".join(copy))
    rng.shuffle(texts)
    return texts


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 1.0])
def test_same_groups_as_all_pairs(threshold):
    for seed in range(5):
        texts = random_texts(seed)
        groups = group_duplicates(texts, threshold)
        assert groups == groups_by_all_pairs(texts, threshold)
        assert len(set(groups)) < len(texts)


def test_groups_do_not_depend_on_the_order():
    texts = random_texts(7)
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)

    def sets(groups, numbers):
        return {frozenset(n for n, g in zip(numbers, groups, strict=True) if g == group) for group in groups}

    straight = sets(group_duplicates(texts, 0.6), range(len(texts)))
    shuffled = sets(group_duplicates([texts[n] for n in order], 0.6), order)
    assert straight == shuffled


def test_exact_duplicates_forgive_case_space_and_punctuation():
    texts = ["Sort a list.", "Reverse a list.", "sort  a LIST", "Sort a list of 2", "sortAList"]
    assert group_duplicates(texts, None) == [0, 1, 0, 3, 0]


def test_near_duplicates_forgive_numbers():
    texts = [f"Find a string with exactly {n} vowels and {2 * n} consonants in it." for n in (3, 50)]
    assert group_duplicates(texts, 0.9) == [0, 0]
    assert group_duplicates(texts, None) == [0, 1]


def test_texts_without_words():
    assert group_duplicates(["?", "!", "1 2", "1 3", ""], 0.8) == [0, 0, 2, 3, 0]
    assert group_duplicates([], 0.8) == []


@pytest.mark.parametrize("threshold", [0, -1, 1.5])
def test_a_threshold_that_makes_no_sense(threshold):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        group_duplicates(["a"], threshold)
