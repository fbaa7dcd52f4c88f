"""What is a copy of a benchmark's task, what only sounds like one, and where benchmarks come from."""

import pytest

from reflection_trl.problems import Example, NgramIndex, Overlap, Problem, find_contamination


PROMPT = '''def closest_pair(lots: list[float]) -> tuple[float, float]:
    """Of all auction lots return the two whose estimates lie nearest to one another, cheaper one first.
    >>> closest_pair([8.0, 1.0, 2.5])
    (1.0, 2.5)
    """
'''
SOLUTION = """    ordered = sorted(lots)
    pairs = zip(ordered, ordered[1:])
    return min(pairs, key=lambda pair: pair[1] - pair[0])
"""
BLAND = [
    "Write a python function to find the sum of the first n numbers.",
    "Write a python function to find the sum of the last n numbers.",
    "Write a python function to find the sum of the given list.",
    "Write a python function to find the sum of the digits.",
    "Write a function to sort a list.",
]
TEXTS = {"HumanEval/7": [PROMPT, SOLUTION], **{f"Mbpp/{number}": text for number, text in enumerate(BLAND, start=2)}}


@pytest.fixture(scope="module")
def index():
    return NgramIndex.from_texts(TEXTS)


def tasks(index, text):
    return [overlap.name for overlap in index.overlaps(text)]


def test_every_text_finds_itself(index):
    for name, texts in TEXTS.items():
        for text in [texts] if isinstance(texts, str) else texts:
            assert name in tasks(index, text)
            assert name in tasks(index, f"Please help me.\n\n{text}\n\nIt must be fast.")


def test_a_sentence_of_a_prompt_is_enough(index):
    (overlap,) = index.overlaps(
        "Say which two auction lots have estimates that lie, er: whose estimates lie nearest to one "
        "another, cheaper one first, please."
    )
    assert overlap == Overlap("HumanEval/7", "whose estimates lie nearest to one another cheaper one first")


def test_identifiers_and_comment_signs_do_not_hide_a_copy(index):
    java = "// Of all auction lots return the two\n// whose estimates lie nearest to one another\nclosestPair(List<Float> lots)"
    assert tasks(index, java) == ["HumanEval/7"]


@pytest.mark.parametrize(
    "text",
    [
        "Write a python function to find the sum of the squares of all even numbers.",
        "Write a function to sort a list of tuples by their second item.",
        "for i in range(len(items)): for j in range(i + 1, len(items)): print(items[i], items[j])",
        "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]",
        "lots",
        "",
    ],
)
def test_what_is_everybodys_is_no_contamination(index, text):
    assert index.overlaps(text) == []


def test_counting_is_no_sign_but_the_numbers_of_a_test_are():
    index = NgramIndex.from_texts(
        {"Mbpp/1": "assert f([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])", "Mbpp/2": "f(9, 4, 1, 7, 7, 3, 8, 1, 5, 2, 6)"}
    )
    assert index.overlaps("assert g([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == 10") == []
    assert [overlap.name for overlap in index.overlaps("g([9, 4, 1, 7, 7, 3, 8, 1, 5, 2, 6])")] == ["Mbpp/2"]


def test_shorter_ngrams_find_more():
    text = "Which auction lots return the two whose estimates differ?"
    assert NgramIndex.from_texts(TEXTS).overlaps(text) == []
    assert [o.name for o in NgramIndex.from_texts(TEXTS, n=5).overlaps(text)] == ["HumanEval/7"]
    with pytest.raises(ValueError, match="at least 4, got 2"):
        NgramIndex.from_texts(TEXTS, n=2)


@pytest.mark.parametrize(
    ("problem", "name"),
    [
        (Problem("p/1", PROMPT), "HumanEval/7"),
        (Problem("p/1", "Do it.", reference="def f(lots):\n" + SOLUTION), "HumanEval/7"),
        (Problem("p/1", "Do it.", tests=f"# {BLAND[0]}"), "Mbpp/2"),
        (Problem("p/1", "Do it.", examples=(Example(PROMPT, ""),)), "HumanEval/7"),
        (Problem("mbpp/3", "Other words."), "Mbpp/3"),
        (Problem("HumanEval_7_closest_pair", "Other words."), "HumanEval/7"),
        (Problem("p/1", "Other words.", source="puzzles/human_eval"), "HumanEval"),
        (Problem("p/1", "Other words.", source="openai/openai_humaneval"), "HumanEval"),
        (Problem("p/1", "Other words.", source="data/without-humaneval.jsonl"), None),
        (Problem("mbpp/30", "Other words.", source="mbpp"), None),
    ],
)
def test_where_a_problem_gives_a_task_away(index, problem, name):
    overlap = find_contamination(problem, index)
    assert (overlap and overlap.name) == name


def test_source_counts_only_against_its_own_benchmark():
    index = NgramIndex.from_texts({"Mbpp/2": BLAND[0]})
    assert find_contamination(Problem("p/1", "Other words.", source="puzzles/human_eval"), index) is None


def test_translations_do_not_make_words_common():
    """A task in ten languages is one task: its words stay rare."""
    prompt = "// Of all auction lots return the two whose estimates lie nearest to one another, cheaper one first."
    index = NgramIndex.from_texts({f"HumanEval_7_closest_{language}": prompt for language in "abcdefghij"})
    assert len(index.overlaps("whose estimates lie nearest to one another, cheaper one first")) == 10
