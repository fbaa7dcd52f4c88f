"""The sizes and the forms of mixtures of datasets."""

import json

import pytest
from datasets import Dataset

from reflection_trl.training.mixture import mix, set_type


def rows(name, number):
    turns = [{"role": "user", "content": name}, {"role": "assistant", "content": "x"}]
    return Dataset.from_list([{"messages": turns, "type": "generation", "source": name}] * number)


def requests(dataset):
    read = (row["messages"] for row in dataset)
    return [(json.loads(turns) if isinstance(turns, str) else turns)[0]["content"] for turns in read]


def test_all_rows_without_shares():
    assert requests(mix([rows("a", 2), rows("b", 3)], ["a", "b"], [None, None])) == ["a"] * 2 + ["b"] * 3


def test_a_single_dataset_stays_as_it_is():
    single = rows("a", 2)
    assert mix([single], ["a"], [0.1]) is single


@pytest.mark.parametrize(
    ("shares", "sizes"), [((0.5, 0.25), (4, 2)), ((0.25, 0.5), (4, 8)), ((0.3, 0.7), (3, 8)), ((1.0, 2.0), (4, 8))]
)
def test_the_largest_mixture_of_the_shares_that_repeats_no_row(shares, sizes):
    mixed = mix([rows("a", 4), rows("b", 8)], ["a", "b"], shares)
    assert requests(mixed) == ["a"] * sizes[0] + ["b"] * sizes[1]


@pytest.mark.parametrize("shares", [(0.5, None), (0.5, 0.0), (0.5, -0.5)])
def test_shares_are_given_for_all_or_none(shares):
    with pytest.raises(ValueError, match="`fraction` must be set above 0 for every dataset"):
        mix([rows("a", 4), rows("b", 8)], ["a", "b"], shares)
    with pytest.raises(ValueError, match="does not support streaming"):
        mix([rows("a", 4), rows("b", 8).to_iterable_dataset()], ["a", "b"], [0.5, 0.5])


def test_other_forms_are_joined_as_json():
    answers = Dataset.from_list([{"prompt": "b", "completion": "y"}])
    mixed = mix([rows("a", 1), set_type(answers, "generation")], ["a", "b"], [None, None])
    assert requests(mixed) == ["a", "b"] and mixed["type"] == ["generation", "generation"]
    assert json.loads(mixed["messages"][1])[-1] == {"role": "assistant", "content": "y"}


def test_a_type_replaces_that_of_the_rows():
    assert set_type(rows("a", 2), "reflection")["type"] == ["reflection", "reflection"]
