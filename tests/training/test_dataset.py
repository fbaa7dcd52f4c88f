"""From a dataset of rows to a dataset of tokens: nothing cut, nothing lost without a word."""

import copy
import json
import logging
import zlib

import numpy as np
import pytest
from conftest import CORPUS, generation_row, make_tokenizer, reflection_row, trl_template
from datasets import Dataset, IterableDataset, concatenate_datasets, load_dataset
from datasets.fingerprint import Hasher
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

from reflection_trl import DataCollatorForReflectionDistillation
from reflection_trl.rendering import BLOCK_TOKENS, BlockTokenRenderer, ChatTemplateRenderer
from reflection_trl.sequences import to_typed_blocks
from reflection_trl.training.dataset import TOKEN_FEATURES, _content_id, pack_rows, prepare_dataset


@pytest.fixture(scope="module")
def renderer(tokenizer):
    return ChatTemplateRenderer(tokenizer)


def as_rows(dataset):
    return [{name: row[name] for name in TOKEN_FEATURES} for row in dataset]


def test_rows_become_tokens(mixed_rows, renderer, caplog):
    dataset = prepare_dataset(Dataset.from_list(mixed_rows), renderer, None)
    assert not caplog.records  # such as of dropped rows
    assert dataset.features == TOKEN_FEATURES
    assert as_rows(dataset) == [{**renderer.tokenize(row), "row_id": i} for i, row in enumerate(mixed_rows)]


def without_ids(dataset):
    """Rows of a stream are numbered by content."""
    return [{key: value for key, value in row.items() if key != "row_id"} for row in as_rows(dataset)]


def test_further_columns_are_left_out(mixed_rows, renderer):
    rows = [{**row, "origin": "x", "labels": [1]} for row in mixed_rows]
    assert prepare_dataset(Dataset.from_list(rows), renderer, None).features == TOKEN_FEATURES


def test_typed_rows_equal_converted_rows(mixed_rows, renderer):
    plain = as_rows(prepare_dataset(Dataset.from_list(mixed_rows), renderer, None))
    typed = [to_typed_blocks(row) for row in mixed_rows]
    strings = [{**row, "messages": json.dumps(row["messages"])} for row in typed]
    both = [*strings[:3], *({**row, "messages": json.dumps(row["messages"])} for row in mixed_rows[3:])]
    for rows in (typed, strings, both):
        assert as_rows(prepare_dataset(Dataset.from_list(rows), renderer, None)) == plain


def test_twice_is_once(mixed_rows, renderer):
    once = prepare_dataset(Dataset.from_list(mixed_rows), renderer, None)
    longest = max(map(len, once["input_ids"]))
    assert prepare_dataset(once, renderer, longest) is once
    with pytest.raises(
        ValueError, match=f"prepared train dataset has a row of {longest} tokens, but `max_length` is 3;"
    ):
        prepare_dataset(once, renderer, 3)
    packs = pack_rows(once, 2 * longest)
    assert prepare_dataset(packs, renderer, longest) is packs
    with pytest.raises(ValueError, match=f"has a row of {longest} tokens, but `max_length` is {longest - 1};"):
        prepare_dataset(packs, renderer, longest - 1)
    assert pack_rows(packs, 2 * longest) is packs
    with pytest.raises(
        ValueError, match=r"`token_budget` is 5, but a pack of the dataset has .* or prepare the rows again"
    ):
        pack_rows(packs, 5)
    stream = prepare_dataset(Dataset.from_list(mixed_rows).to_iterable_dataset(), renderer, None)
    assert without_ids(prepare_dataset(stream, renderer, longest)) == without_ids(once)
    for prepared in (stream, packs.to_iterable_dataset()):
        assert len(list(prepare_dataset(prepared, renderer, longest))) == len(list(prepared))
        with pytest.raises(ValueError, match=f"has a row of {longest} tokens, but `max_length` is {longest - 1};"):
            list(prepare_dataset(prepared, renderer, longest - 1))


@pytest.mark.parametrize("form", ["rows", "packs", "stream"])
def test_rows_that_were_prepared_for_another_model_are_refused(mixed_rows, renderer, form):
    other = make_tokenizer(["<|end|>", "<|user|>", "<|assistant|>"], trl_template("phi3"), eos_token="<|end|>")
    prepared = prepare_dataset(Dataset.from_list(mixed_rows), ChatTemplateRenderer(other, "user"), None)
    if form == "packs":
        prepared = pack_rows(prepared, 2000)
    if form == "stream":
        prepared = prepared.to_iterable_dataset()
    with pytest.raises(
        ValueError, match=r"first row ends with the token 0 \('<.*>'\), but .* end with 2 \('<.im_end.>'\)"
    ):
        prepare_dataset(prepared, renderer, None)


def test_rows_that_were_prepared_apart_are_numbered_apart(mixed_rows, renderer):
    parts = [prepare_dataset(Dataset.from_list(rows), renderer, None) for rows in (mixed_rows[:5], mixed_rows[5:])]
    joined = prepare_dataset(concatenate_datasets(parts), renderer, None)
    assert joined.features == TOKEN_FEATURES
    assert as_rows(joined) == as_rows(prepare_dataset(Dataset.from_list(mixed_rows), renderer, None))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", ["torch", "numpy"])
def test_rows_of_any_format(mixed_rows, renderer, form, stream):
    rows = Dataset.from_list(mixed_rows)
    formatted = (rows.to_iterable_dataset() if stream else rows).with_format(form)
    prepared = [dict(row) for row in prepare_dataset(formatted, renderer, None)]
    assert [row["input_ids"] for row in prepared] == prepare_dataset(rows, renderer, None)["input_ids"][:]
    assert all(isinstance(row["row_id"], int) for row in prepared)


def test_two_processes_equal_one(mixed_rows, renderer):
    rows = mixed_rows * 3
    limit = len(renderer.tokenize(reflection_row(0, rounds=2))["input_ids"])
    one = prepare_dataset(Dataset.from_list(rows), renderer, limit)
    two = prepare_dataset(Dataset.from_list(rows), renderer, limit, num_proc=2)
    assert 0 < len(one) < len(rows)
    assert as_rows(one) == as_rows(two)


def test_streaming_equals_memory(mixed_rows, renderer, caplog):
    limit = len(renderer.tokenize(reflection_row(0, rounds=2))["input_ids"])
    memory = prepare_dataset(Dataset.from_list(mixed_rows), renderer, limit)
    caplog.clear()
    stream = prepare_dataset(Dataset.from_list(mixed_rows).to_iterable_dataset(num_shards=2), renderer, limit)
    assert without_ids(stream) == without_ids(memory)
    assert caplog.text.count("Streaming: dropping rows, because of: longer than max_length") == 1

    generated = IterableDataset.from_generator(lambda: iter(mixed_rows))
    assert generated.column_names is None
    assert without_ids(prepare_dataset(generated, renderer, limit)) == without_ids(memory)


def test_rows_of_a_stream_have_the_same_number_in_any_worker(mixed_rows, renderer):
    def numbers(num_shards, num_workers):
        stream = Dataset.from_list(mixed_rows).to_iterable_dataset(num_shards=num_shards)
        stream = prepare_dataset(stream, renderer, None)
        return sorted(row["row_id"] for row in DataLoader(stream, batch_size=None, num_workers=num_workers))

    assert numbers(1, 0) == numbers(4, 2)
    assert len(set(numbers(1, 0))) == len(mixed_rows)


def test_rows_that_crc32_takes_for_one_have_numbers_of_their_own():
    """Of 200,000 rows four pairs share a crc32 on average; these do."""
    rng, seen, pairs = np.random.default_rng(0), {}, []
    for row in rng.integers(0, 2**17, (200_000, 4), dtype=np.int32):
        other = seen.setdefault(zlib.crc32(row.tobytes()), row)
        if other is not row:
            pairs.append((row.tolist(), other.tolist()))
    assert pairs
    for row, other in pairs:
        assert _content_id(row) != _content_id(other)
        assert 0 <= _content_id(row) == _content_id(row) < 2**63


def test_equal_rows_of_a_stream_are_distinguished(mixed_rows, renderer):
    rows = [mixed_rows[0]] * 3 + mixed_rows[1:4]
    for num_shards, num_workers in ((1, 0), (3, 2)):
        stream = prepare_dataset(Dataset.from_list(rows).to_iterable_dataset(num_shards=num_shards), renderer, None)
        prepared = list(DataLoader(stream, batch_size=None, num_workers=num_workers))
        assert len({row["row_id"] for row in prepared}) == 4
        assert len({row["stream_index"] for row in prepared}) == 6
    joined = concatenate_datasets([prepare_dataset(Dataset.from_list(mixed_rows), renderer, None)] * 2)
    stream = prepare_dataset(joined.to_iterable_dataset(), renderer, None)
    assert len({(row["row_id"], row["stream_index"]) for row in stream}) == 2 * len(mixed_rows)
    rows = DataCollatorForReflectionDistillation()(list(stream))["rows"]
    assert [(row.row_id, row.stream_index) for row in rows] == [(row["row_id"], row["stream_index"]) for row in stream]


def test_the_cache_does_not_depend_on_what_was_tokenized_before(mixed_rows, tokenizer):
    renderer = ChatTemplateRenderer(tokenizer)
    before = Hasher.hash(renderer)
    with_system = {**generation_row(), "messages": [{"role": "system", "content": "s"}, *generation_row()["messages"]]}
    for row in (with_system, *mixed_rows):
        renderer.tokenize(row)
    assert Hasher.hash(renderer) == before
    copied = copy.deepcopy(renderer)
    assert copied.tokenize(with_system) == renderer.tokenize(with_system)


def test_a_second_run_tokenizes_nothing(mixed_rows, tokenizer, tmp_path, monkeypatch):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in mixed_rows))
    tokenizer.save_pretrained(tmp_path / "model")
    tokenized, tokenize = [], ChatTemplateRenderer.tokenize

    def count(self, row):
        tokenized.append(row)
        return tokenize(self, row)

    monkeypatch.setattr(ChatTemplateRenderer, "tokenize", count)
    runs = []
    for _ in range(2):
        rows = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
        renderer = ChatTemplateRenderer(AutoTokenizer.from_pretrained(tmp_path / "model"))
        runs.append(as_rows(prepare_dataset(rows, renderer, None)))
    assert runs[0] == runs[1]
    assert len(tokenized) == len(mixed_rows)


@pytest.mark.parametrize("excess", [0, 1])
def test_too_long_rows_are_dropped_and_counted(excess, renderer, caplog):
    rows = [generation_row(1), reflection_row(2), generation_row(3), reflection_row(4)]
    longest = len(renderer.tokenize(rows[1])["input_ids"])
    with caplog.at_level(logging.WARNING):
        dataset = prepare_dataset(Dataset.from_list(rows), renderer, longest - excess, name="eval")
    assert dataset["row_id"] == ([0, 2] if excess else [0, 1, 2, 3])
    report = (
        f"Dropped 2 of 4 rows of the eval dataset: 2 longer than max_length={longest - 1} (row 1: {longest} tokens)."
    )
    assert (report in caplog.text) == bool(excess)
    assert "Dropped" in caplog.text or not excess
    for row in dataset:  # whole, with their answers
        assert row["input_ids"] == renderer.tokenize(rows[row["row_id"]])["input_ids"]


def test_every_reason_is_reported(caplog):
    tokenizer = make_tokenizer(
        ["<bos>", "<end_of_turn>"], trl_template("gemma"), bos_token="<bos>", eos_token="<end_of_turn>"
    )
    renderer = ChatTemplateRenderer(tokenizer)
    with_system = {**generation_row(), "messages": [{"role": "system", "content": "s"}, *generation_row()["messages"]]}
    long = generation_row()
    long["messages"][0]["content"] = CORPUS * 20
    caplog.clear()
    dataset = prepare_dataset(Dataset.from_list([with_system, generation_row(), long, with_system]), renderer, 500)
    assert dataset["row_id"] == [1]
    assert "Dropped 3 of 4 rows of the train dataset: 2 the chat template rejects the system turn" in caplog.text
    assert "1 longer than max_length=500" in caplog.text


def test_nothing_left(mixed_rows, renderer):
    with pytest.raises(
        ValueError,
        match=r"No row of the train dataset can be used, of 8: 8 longer than max_length=5 \(row 0: \d+ tokens\)",
    ):
        prepare_dataset(Dataset.from_list(mixed_rows), renderer, 5)
    with pytest.raises(ValueError, match="No row of the train dataset can be used, of 1"):
        prepare_dataset(Dataset.from_list(mixed_rows[:1]), renderer, 5)


@pytest.mark.parametrize(
    "empty",
    [
        lambda: Dataset.from_list([]),
        lambda: Dataset.from_list([generation_row()]).select([]),
        lambda: Dataset.from_dict({"messages": [], "type": []}),
        lambda: IterableDataset.from_generator(lambda: iter([])),
    ],
)
def test_empty_dataset(empty, renderer):
    with pytest.raises(ValueError, match="The eval dataset is empty"):
        prepare_dataset(empty(), renderer, None, name="eval")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"text": ["a"]}, "The train dataset has no column `messages`, only text"),
        ({"prompt": ["a"], "chosen": ["b"]}, "The train dataset has no column `messages`, only prompt, chosen"),
        ({f"column_{i}": [i] for i in range(100)}, "only column_0, .*, column_7, 92 more"),
        ({"x" * 1000: [1]}, r"only x{37}\.\.\."),
    ],
)
def test_missing_columns(columns, says, stream, renderer):
    dataset = Dataset.from_dict(columns)
    with pytest.raises(ValueError, match=f"{says}; rows need `messages`") as raised:
        prepare_dataset(dataset.to_iterable_dataset() if stream else dataset, renderer, None)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("stream", [False, True])
def test_plain_conversations_of_every_form(stream, renderer, caplog):
    """What TRL's trainers read: `messages`, prompt and completion, ShareGPT. None of them needs a `type`."""
    rows = [generation_row(number) for number in range(3)]
    expected = without_ids(prepare_dataset(Dataset.from_list(rows), renderer, None))
    assert "has no column `type`" not in caplog.text
    sharegpt = [
        [{"from": {"user": "human", "assistant": "gpt"}[m["role"]], "value": m["content"]} for m in row["messages"]]
        for row in rows
    ]
    forms = {
        "messages": [{"messages": row["messages"]} for row in rows],
        "turns": [{"prompt": row["messages"][:1], "completion": row["messages"][1:]} for row in rows],
        "texts": [
            {"prompt": row["messages"][0]["content"], "completion": row["messages"][1]["content"]} for row in rows
        ],
        "sharegpt": [{"conversations": turns} for turns in sharegpt],
    }
    for form in forms.values():
        dataset = Dataset.from_list(form)
        caplog.clear()
        prepared = prepare_dataset(dataset.to_iterable_dataset() if stream else dataset, renderer, None)
        assert without_ids(prepared) == expected
        assert caplog.text.count("The train dataset has no column `type`: its rows are plain conversations") == 1


def test_equal_reasons_are_counted_together(renderer, monkeypatch):
    """A prompt that differs from that of inference is described by the first such row; the others count with it."""
    monkeypatch.setattr(
        renderer, "one_off_prompt", lambda row: renderer.tokenizer(row["messages"][-1]["content"])["input_ids"]
    )
    with pytest.raises(ValueError) as raised:
        prepare_dataset(Dataset.from_list([generation_row(number) for number in range(30)]), renderer, None)
    assert str(raised.value).startswith(
        "No row of the train dataset can be used, of 30: 30 with everything hidden, the student's prompt differs from the prompt at "
        "inference (row 0: "
    )
    assert str(raised.value).count("one-off prompt has") == 1


@pytest.mark.parametrize("num_proc", [None, 2])
def test_a_wrong_row_is_named_by_its_number(num_proc, mixed_rows, renderer):
    rows = [copy.deepcopy(row) for row in mixed_rows]
    rows[5]["messages"].pop()
    with pytest.raises(
        ValueError, match="Row 5 of the train dataset: `messages` must start with a user turn and end with"
    ):
        prepare_dataset(Dataset.from_list(rows), renderer, None, num_proc=num_proc)


def test_a_wrong_row_of_a_stream_is_named_when_it_comes(mixed_rows, renderer):
    rows = [copy.deepcopy(row) for row in mixed_rows]
    rows[5]["type"] = "other"
    stream = prepare_dataset(Dataset.from_list(rows).to_iterable_dataset(), renderer, None)
    seen = 0
    with pytest.raises(ValueError, match="Row 5 of the train dataset: `type` is 'other'"):
        for _ in stream:
            seen += 1
    assert seen == 5


def test_block_token_rendering(mixed_rows):
    tokenizer = make_tokenizer(["</s>", *BLOCK_TOKENS.values()], None, eos_token="</s>")
    renderer = BlockTokenRenderer(tokenizer)
    dataset = prepare_dataset(Dataset.from_list(mixed_rows), renderer, None)
    assert as_rows(dataset) == [{**renderer.tokenize(row), "row_id": i} for i, row in enumerate(mixed_rows)]


@pytest.mark.parametrize("form", ["numpy", "torch"])
def test_rows_of_any_format_are_collated(mixed_rows, renderer, form):
    """As by a data loader on a prepared dataset, which the trainer does not format."""
    prepared = prepare_dataset(Dataset.from_list(mixed_rows), renderer, max_length=None)
    collator = DataCollatorForReflectionDistillation()
    for dataset in (prepared, pack_rows(prepared, 2000)):
        expected = collator(dataset.to_list())["rows"]
        formatted = dataset.with_format(form)
        rows = collator([formatted[index] for index in range(len(formatted))])["rows"]
        assert [row.row_id for row in rows] == [row.row_id for row in expected]
        for row, same in zip(rows, expected, strict=True):
            for name in ("input_ids", "loss_mask", "block_ids", "block_types", "answer_start"):
                assert np.array_equal(getattr(row, name), getattr(same, name)), name
