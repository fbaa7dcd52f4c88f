"""The schema of reflection rows: conversions without loss, splitting into blocks, and one sentence for each mistake."""

import copy
import json

import pyarrow as pa
import pytest
from conftest import generation_row, reflection_row
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.fences import fence_code, strip_fence
from reflection_trl.sequences import (
    from_typed_blocks,
    normalize_row,
    split_blocks,
    to_typed_blocks,
    validate_row,
)


FENCED = [
    "```python\nx\n```",
    "```",
    "```py\n\n```\n",
    "```python\n```",
    "a\n```python\ny = 1\n```\nb",
    "",
    "\n",
    "````cpp\n```\n````",
    "```python\r\nx\r\n```\r\n",
    "~~~\nx\n~~~",
]
contents = st.lists(st.sampled_from([*"ab`\n \r~", "```", "```python\n", "\n```"]), max_size=12).map("".join)
contents |= st.sampled_from(FENCED) | st.text(max_size=10)
typed_blocks = st.fixed_dictionaries({"type": st.sampled_from(["text", "code", "execution"]), "content": contents})
text_blocks = st.fixed_dictionaries({"type": st.sampled_from(["text", "code"]), "content": contents})


def typed_row(sequence, request, answer):
    turns = [
        ("user", [{"type": "text", "content": "RI"}]),
        ("assistant", sequence),
        ("user", request),
        ("assistant", answer),
    ]
    return {"messages": [{"role": role, "content": content} for role, content in turns], "type": "reflection"}


def through_arrow(row):
    return pa.Table.from_pylist([row]).to_pylist()[0]


# Conversions


@given(
    st.lists(typed_blocks, min_size=1, max_size=6),
    st.lists(text_blocks, min_size=1, max_size=2),
    st.lists(text_blocks, min_size=1, max_size=4),
)
def test_typed_blocks_survive_the_way_there_and_back(sequence, request_blocks, answer):
    row = typed_row(sequence, request_blocks, answer)
    untouched = copy.deepcopy(row)
    converted = from_typed_blocks(row)
    assert row == untouched
    assert to_typed_blocks(converted) == row
    assert from_typed_blocks({**row, "messages": json.dumps(row["messages"])}) == converted
    assert all(isinstance(message["content"], str) for message in converted["messages"])
    # Also through JSON and through Arrow, which fills absent keys with None
    assert to_typed_blocks(json.loads(json.dumps(converted))) == row
    assert to_typed_blocks(through_arrow(converted)) == row
    if any(block["content"].strip() for block in answer):
        assert normalize_row(row) == converted


@given(
    st.lists(st.tuples(contents, st.lists(contents, max_size=2)), min_size=1, max_size=4),
    st.booleans(),
    contents,
    contents,
)
def test_rows_survive_the_way_there_and_back(attempts, with_system, request_text, answer):
    messages = [{"role": "system", "content": "be brief"}] * with_system + [{"role": "user", "content": request_text}]
    for text, executions in attempts:
        if messages[-1]["role"] == "assistant":
            messages.append({"role": "tool", "content": "printed"})
        messages.append({"role": "assistant", "content": text})
        messages += [{"role": "tool", "content": execution} for execution in executions]
    messages += [{"role": "user", "content": request_text}, {"role": "assistant", "content": answer + "."}]
    row = {"messages": messages, "type": "reflection", "problem_id": 7}
    validate_row(row)
    typed = to_typed_blocks(row)
    assert from_typed_blocks(typed) == row
    assert from_typed_blocks(through_arrow(typed)) == row
    assert normalize_row(typed) == row
    roles = [message["role"] for message in typed["messages"]]
    assert roles == ["system"] * with_system + ["user", "assistant", "user", "assistant"]


def test_conversion_by_hand():
    typed = typed_row(
        [
            {"type": "text", "content": "Try."},
            {"type": "code", "content": "f()"},
            {"type": "execution", "content": "NameError"},
            {"type": "text", "content": "I see."},
            {"type": "code", "content": "g()"},
        ],
        [{"type": "text", "content": "Write g."}],
        [{"type": "code", "content": "g = 1"}, {"type": "text", "content": "Done."}],
    )
    assert from_typed_blocks(typed)["messages"] == [
        {"role": "user", "content": "RI"},
        {"role": "assistant", "content": "Try.\n```python\nf()\n```"},
        {"role": "tool", "content": "NameError"},
        {"role": "assistant", "content": "I see.\n```python\ng()\n```"},
        {"role": "user", "content": "Write g."},
        {"role": "assistant", "content": "```python\ng = 1\n```\nDone."},
    ]


def test_other_fences_are_remembered():
    content = '```cpp\nint x;\n```\n```\nplain\n```\n````python\n```\n````\n```python title="a"  \ny\n```  '
    row = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}],
        "type": "generation",
    }
    blocks = to_typed_blocks(row)["messages"][1]["content"]
    assert [block["content"] for block in blocks] == ["int x;", "plain", "```", "y"]
    assert [block.get("language") for block in blocks] == ["cpp", "", None, None]
    assert [block.get("markdown") for block in blocks] == [None, None, None, '```python title="a"  \ny\n```  ']
    assert from_typed_blocks(to_typed_blocks(row)) == row


def test_further_columns_are_kept():
    row = {**reflection_row(), "origin": "a"}
    assert to_typed_blocks(row)["origin"] == "a" and from_typed_blocks(to_typed_blocks(row))["origin"] == "a"
    assert normalize_row({**row, "messages": json.dumps(row["messages"])}) == row


# Blocks


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", [("text", "plain")]),
        ("", [("text", "")]),
        ("```python\nx\n```", [("code", "```python\nx\n```")]),
        ("a\n```python\nx\n```", [("text", "a"), ("code", "```python\nx\n```")]),
        ("```python\nx\n```\nb", [("code", "```python\nx\n```"), ("text", "b")]),
        ("a\n\n```\nx\n```\n\nb", [("text", "a\n"), ("code", "```\nx\n```"), ("text", "\nb")]),
        ("\n```\nx\n```\n", [("text", ""), ("code", "```\nx\n```"), ("text", "")]),
        ("```\nx\n```\n```\ny\n```", [("code", "```\nx\n```"), ("code", "```\ny\n```")]),
        ("```\nx\n```\n\n```\ny\n```", [("code", "```\nx\n```"), ("text", ""), ("code", "```\ny\n```")]),
        ("````md\n```\nx\n```\n````", [("code", "````md\n```\nx\n```\n````")]),
        ("```python\nx = '```'\n```", [("code", "```python\nx = '```'\n```")]),
        ("```python\nunclosed", [("code", "```python\nunclosed")]),
        ("see ```x``` and\n  ```\nindented\n  ```", [("text", "see ```x``` and"), ("code", "  ```\nindented\n  ```")]),
        ("1. a\n   ```\n   x\n   ```\n2. b", [("text", "1. a"), ("code", "   ```\n   x\n   ```"), ("text", "2. b")]),
        ("> ~~~\n> x\n> ~~~\n\nb", [("code", "> ~~~\n> x\n> ~~~"), ("text", "\nb")]),
        ("Look: ```python\nx\n``` There.\nb", [("code", "Look: ```python\nx\n``` There."), ("text", "b")]),
        ("```python x```\nb", [("code", "```python x```"), ("text", "b")]),
        ("```python\n```\na\n```\nx\n```", [("code", "```python\n```"), ("text", "a"), ("code", "```\nx\n```")]),
        ("```python\n\n```", [("code", "```python\n\n```")]),
        ("```python\nx\n```  \nb", [("code", "```python\nx\n```  "), ("text", "b")]),
        ("a\r\n```python\r\nx\r\n```\r\nb", [("text", "a\r"), ("code", "```python\r\nx\r\n```\r"), ("text", "b")]),
    ],
)
def test_split_blocks(content, expected):
    blocks = split_blocks({"role": "assistant", "content": content})
    assert [(block.type, content[block.start : block.end]) for block in blocks] == expected


@pytest.mark.parametrize(("role", "kind"), [("tool", "execution"), ("user", "text"), ("system", "text")])
def test_only_the_assistants_fences_are_code(role, kind):
    (block,) = split_blocks({"role": role, "content": "a\n```\nx\n```"})
    assert (block.type, block.start, block.end) == (kind, 0, 11)


def test_spelled_out_blocks_count_instead():
    message = {
        "role": "assistant",
        "content": "a\nb\n\n```\nx\n```",
        "blocks": [{"type": t, "length": n} for t, n in [("text", 1), ("text", 1), ("text", 0), ("code", 9)]],
    }
    assert [(block.type, block.start, block.end) for block in split_blocks(message)] == [
        ("text", 0, 1),
        ("text", 2, 3),
        ("text", 4, 4),
        ("code", 5, 14),
    ]


@given(contents)
def test_blocks_cover_the_content(content):
    blocks = split_blocks({"role": "assistant", "content": content})
    assert "\n".join(content[block.start : block.end] for block in blocks) == content


@given(contents, st.sampled_from(["", "python", "c++"]))
def test_fences(code, language):
    fenced = fence_code(code, language)
    assert strip_fence(fenced) == code
    (block,) = split_blocks({"role": "assistant", "content": fenced})
    assert (block.type, block.start, block.end) == ("code", 0, len(fenced))


def test_strip_fence_leaves_other_text_alone():
    assert strip_fence("x = 1") == "x = 1"
    assert strip_fence("```python\n```") == ""
    assert strip_fence("```\nx\n```\n") == "```\nx\n```\n"


# Validation


def with_messages(*turns, **columns):
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"messages": messages, "type": "reflection", **columns}


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


U, A, T, S = (lambda content, role=role: (role, content) for role in ("user", "assistant", "tool", "system"))
GOOD = (U("RI"), A("a"), T("t"), U("I"), A("c"))


@pytest.mark.parametrize(
    ("row", "field", "fix"),
    [
        ({"type": "reflection"}, "`messages` and all its other forms are missing", "a list of turns"),
        (
            {"messages": None, "type": "reflection"},
            "`messages` and all its other forms are missing",
            "a list of turns",
        ),
        ({"messages": "[{", "type": "reflection"}, "`messages` is a string that is not JSON", "give a list of turns"),
        (
            {"messages": '{"role": "user"}', "type": "reflection"},
            "`messages` must be a list",
            "one user and one assistant",
        ),
        ({"messages": [], "type": "reflection"}, "`messages` must be a list", "one user and one assistant"),
        ({"messages": 3, "type": "reflection"}, "`messages` must be a list", "one user and one assistant"),
        ({"messages": ["hi"], "type": "reflection"}, r"`messages\[0\]` must be an object", "`role` and `content`"),
        ({"messages": [{"role": "user"}], "type": "reflection"}, r"`messages\[0\]` must be an object", "`content`"),
        ({"messages": [{"content": "x"}], "type": "reflection"}, r"`messages\[0\]` must be an object", "`role`"),
        ([], r"expected an object with `messages`, got \[\]", "each row as one object"),
        ({"messages": [[[]]], "type": "reflection"}, r"`messages\[0\]` must be an object", r"got [[]]"),
        (with_messages(*GOOD, type=["reflection"]), r"`type` is \['reflection'\]", "must be"),
        (
            with_messages(U("q"), A("half \ud83d"), type="generation"),
            r"`messages\[1\].content` contains half of a surrogate pair, '\\ud83d', at character 5",
            "remove it",
        ),
        (typed_row([{"type": "code", "content": "x", "markdown": 5}], [], []), r"\[0\].markdown` must be", "got 5"),
        (typed_row([{"type": "code", "content": "x", "language": []}], [], []), r"\[0\].language` must be", "got []"),
        (typed_row([{"type": ["code"], "content": "x"}], [], []), r"\[0\].type` is \['code'\]", "use 'text'"),
        (with_messages(*GOOD, type="distill"), "`type` is 'distill'", "must be 'reflection' or 'generation'"),
        (
            with_messages(U("q"), ("bot", "a")),
            r"`messages\[1\].role` is 'bot'",
            "use one of system, user, assistant, tool",
        ),
        (with_messages(U("q"), A("a"), S("s"), U("I"), A("c")), r"`messages\[2\]` is a system turn", "only the first"),
        (
            with_messages(U("q"), A(None), U("I"), A("c")),
            r"`messages\[1\].content` is of type NoneType",
            "must be a string",
        ),
        (with_messages(U("q"), A("a"), A("b"), U("I"), A("c")), r"`messages\[1\]` and `messages\[2\]`", "merge them"),
        (with_messages(U("q"), U("r"), A("b"), U("I"), A("c")), r"`messages\[0\]` and `messages\[1\]`", "merge them"),
        (with_messages(A("a"), U("I"), A("c")), "`messages` must start with a user turn", "end with the final answer"),
        (with_messages(U("RI"), A("a"), U("I")), "`messages` must start", "end with the final answer"),
        (with_messages(S("s")), "`messages` must start with a user turn", "end with the final answer"),
        (with_messages(U("q"), type="generation"), "`messages` must start", "end with an assistant turn"),
        (with_messages(*GOOD[:-1], A(" \n")), r"`messages\[4\].content`, the final answer, is empty", "drop the row"),
        (with_messages(U("q"), A("a")), "its roles are user/assistant", "add these two turns, or set `type`"),
        (with_messages(U("RI"), A("a"), T("t"), A("c")), "user/assistant/tool/assistant", "add these two turns"),
        (
            with_messages(U("RI"), A("a"), U("x"), A("b"), U("I"), A("c")),
            r"`messages\[2\]` is a user turn",
            "give execution output the role `tool`",
        ),
        (
            {
                "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": []}],
                "type": "generation",
            },
            r"`messages\[0\].content` must be a non-empty list of typed blocks",
            "as in the other turns",
        ),
        (
            typed_row([{"type": "image", "content": "x"}], [], []),
            r"`messages\[1\].content\[0\].type` is 'image'",
            "use 'text'",
        ),
        (typed_row(["x"], [], []), r"`messages\[1\].content\[0\].type` is 'x'", "use 'text', 'code' or 'execution'"),
        (typed_row([{"type": "text"}], [], []), r"`messages\[1\].content\[0\].content`", "must be a string"),
        (typed_row([{"type": "text", "content": None}], [], []), r"content\[0\].content`", "must be a string"),
        (
            typed_row([{"type": "text", "content": "a"}], [], []),
            r"`messages\[2\].content` must be a non-empty list",
            "",
        ),
    ],
)
def test_mistakes_are_named_in_one_sentence(row, field, fix):
    untouched = copy.deepcopy(row)
    with pytest.raises(ValueError, match=field) as raised:
        normalize_row(row, "Row 17 of the train dataset")
    message = str(raised.value)
    assert type(raised.value) is ValueError
    assert message.startswith("Row 17 of the train dataset: ") and message.endswith(".") and fix in message
    assert "\n" not in message and len(message) < 500 and row == untouched


@pytest.mark.parametrize(
    ("row", "field", "fix"),
    [
        ({"messages": "[" * 100_000}, "`messages` is JSON that is nested too deeply", "give a list of turns"),
        ({"messages": "5" * 5_000}, "`messages` is a string that is not JSON", "give a list of turns"),
        ({"messages": [nested(3_000)]}, r"`messages\[0\]` must be an object", "got [[[[...]]]]"),
        (
            {"messages": [{"role": nested(3_000), "content": "x"}]},
            r"`messages\[0\].role` is \[\[\[\[\.\.\.",
            "use one",
        ),
        ({"messages": [{"role": "x" * 100_000, "content": "x"}]}, r"`messages\[0\].role` is 'x+\.\.\.x+'", "use one"),
        ({"messages": [{"role": 10**5_000, "content": "x"}]}, "role` is an integer of 16610 bits", "use one"),
        (with_messages(*GOOD, type=nested(3_000)), r"`type` is \[\[\[", "must be 'reflection' or 'generation'"),
    ],
    ids=range(7),  # pytest's own would print the values
)
def test_mistakes_are_named_however_large_the_value(row, field, fix):
    with pytest.raises(ValueError, match=field) as raised:
        normalize_row(row)
    assert fix in str(raised.value) and len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        (5, "must be a list, got 5"),
        ({"type": "text", "length": 1}, "must be a list"),
        ([{"type": "text", "length": -1}, {"type": "text", "length": 1}], "has a `length` below 0, -1"),
        ([{"type": "text", "length": True}], "must have a `type`"),
        ([{"type": ["text"], "length": 1}], "must have a `type`"),
        ([{"type": "text", "length": 2}], "do not add up to the length"),
        ([{"type": "text", "length": 10**4_299}], "do not add up to the length"),
        ([{"type": "text"}], "must have a `type`"),
        ([{"type": "text", "length": "1"}], "must have a `type`"),
        ([{"type": "image", "length": 1}], "must have a `type`"),
        ([{"type": "execution", "length": 1}], "must have a `type`"),
        (["text"], "must have a `type`"),
    ],
)
def test_wrong_blocks(blocks, says):
    row = with_messages(*GOOD)
    row["messages"][1]["blocks"] = blocks
    with pytest.raises(ValueError, match=rf"row: `messages\[1\].blocks` {says}.*drop the key `blocks`"):
        normalize_row(row)


@pytest.mark.parametrize(
    "row",
    [
        with_messages(*GOOD),
        with_messages(S("s"), *GOOD),
        with_messages(U("RI"), A("a"), U("I"), A("c")),
        with_messages(U("RI"), A("a"), T("t"), T("t"), U("I"), A("c")),
        with_messages(U("RI"), T("t"), A("a"), U("I"), A("c")),
        with_messages(U("RI"), A(""), T(""), U("I"), A("c")),
        with_messages(U("q"), A("a"), type="generation"),
        with_messages(S("s"), U("q"), A("a"), U("q"), A("a"), T("t"), A("a"), type="generation"),
        reflection_row(),
        generation_row(),
    ],
)
def test_good_rows_are_taken_as_they_are(row):
    assert normalize_row(row) == row
    assert normalize_row({**row, "messages": json.dumps(row["messages"])}) == row
    assert normalize_row(to_typed_blocks(row)) == row


# The ecosystem


def test_plain_sft_trainer_takes_the_rows(tmp_path, tokenizer, make_model):
    from trl import SFTConfig, SFTTrainer

    args = SFTConfig(
        output_dir=str(tmp_path),
        assistant_only_loss=True,
        max_steps=1,
        per_device_train_batch_size=2,
        max_length=None,
        bf16=False,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
    )
    dataset = Dataset.from_list([reflection_row(), generation_row()])
    trainer = SFTTrainer(make_model(), args, train_dataset=dataset, processing_class=copy.deepcopy(tokenizer))
    batch = next(iter(trainer.get_train_dataloader()))
    row = int((batch["labels"] >= 0).sum(1).argmax())  # the reflection row
    trained = tokenizer.decode(batch["labels"][row][batch["labels"][row] >= 0])
    for message in reflection_row()["messages"]:
        assert (message["content"] in trained) == (message["role"] == "assistant")
    assert trainer.train().training_loss > 0
