"""Final answers as prompt and completion, and TRL's trainer on them."""

import copy

import pytest
from conftest import generation_row, reflection_row
from datasets import Dataset, DatasetDict, IterableDataset

from reflection_trl import final_answers
from reflection_trl.sequences import to_typed_blocks


SYSTEM = {"role": "system", "content": "Be brief."}


def with_system(row):
    return row | {"messages": [SYSTEM, *row["messages"]]}


@pytest.mark.parametrize("make", [Dataset.from_list, lambda rows: Dataset.from_list(rows).to_iterable_dataset()])
def test_answers_of_rows_of_both_types(make):
    rows = [reflection_row(1), with_system(reflection_row(2)), generation_row(3), with_system(generation_row(4))]
    answers = list(final_answers(make(rows)))
    assert [set(row) for row in answers] == [{"prompt", "completion"}] * 4
    assert answers[0] == {"prompt": rows[0]["messages"][-2:-1], "completion": rows[0]["messages"][-1:]}
    assert answers[1] == {"prompt": [SYSTEM, rows[1]["messages"][-2]], "completion": rows[1]["messages"][-1:]}
    assert answers[2] == {"prompt": rows[2]["messages"][:1], "completion": rows[2]["messages"][1:]}
    assert answers[3] == {"prompt": rows[3]["messages"][:2], "completion": rows[3]["messages"][2:]}


def test_every_form_gives_the_same_answers():
    rows = [reflection_row(number) for number in range(3)]
    typed = [to_typed_blocks(row) for row in rows]
    assert final_answers(Dataset.from_list(typed))[:] == final_answers(Dataset.from_list(rows))[:]


def test_splits_and_streams_without_columns():
    rows = [reflection_row(1) | {"problem_id": "a", "prompt": "x"}]
    splits = final_answers(DatasetDict({"train": Dataset.from_list(rows), "test": Dataset.from_list(rows)}))
    assert isinstance(splits, DatasetDict) and splits["train"].column_names == ["prompt", "completion"]
    stream = final_answers(IterableDataset.from_generator(lambda: iter(rows)))
    assert list(stream) == list(splits["test"])


def test_a_wrong_row_is_named():
    rows = [reflection_row(1), reflection_row(2)]
    rows[1]["messages"].pop()
    with pytest.raises(ValueError, match="Row 1 of the dataset: `messages` must start with a user turn"):
        final_answers(Dataset.from_list(rows))


@pytest.mark.parametrize("rows", [[], {"messages": []}, "rows.parquet"])
def test_rows_that_are_no_dataset_are_named_with_the_fix(rows):
    with pytest.raises(TypeError, match=rf"got `{type(rows).__name__}`; create one with `Dataset.from_list\(rows\)`"):
        final_answers(rows)


def test_plain_sft_trains_on_the_answers_alone(tmp_path, tokenizer, make_model):
    from trl import SFTConfig, SFTTrainer

    args = SFTConfig(
        output_dir=str(tmp_path), max_steps=1, bf16=False, use_cpu=True, report_to="none", save_strategy="no"
    )
    rows = [reflection_row(1), generation_row(2)]
    trainer = SFTTrainer(
        make_model(),
        args,
        train_dataset=final_answers(Dataset.from_list(rows)),
        processing_class=copy.deepcopy(tokenizer),
    )
    for row, tokens in zip(rows, trainer.train_dataset, strict=True):
        trained = tokenizer.decode([token for token in tokens["labels"] if token >= 0])
        assert trained.strip() == row["messages"][-1]["content"] + "<|im_end|>"
        assert tokenizer.decode(tokens["input_ids"]).count("<|im_start|>assistant") == 1
