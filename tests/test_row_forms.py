"""Chat rows of every form that TRL's trainers read, read into one, and whatever is no row named in one sentence."""

import copy
import json

import pytest
from conftest import generation_row, reflection_row
from hypothesis import given, settings
from hypothesis import strategies as st

from reflection_trl.rendering import ChatTemplateRenderer, UnrenderableRow
from reflection_trl.row_forms import find_form, read_row
from reflection_trl.sequences import normalize_row, to_typed_blocks


U, A = ({"role": role, "content": content} for role, content in (("user", "q"), ("assistant", "a")))
PLAIN = {"messages": [U, A], "type": "generation"}
S = {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"messages": [U, A]}, [U, A]),
        ({"messages": [U, A], "type": None}, [U, A]),
        ({"messages": json.dumps([U, A])}, [U, A]),
        ({"messages": [U, A], "prompt": "other", "completion": "other"}, [U, A]),
        ({"messages": None, "prompt": "q", "completion": "a"}, [U, A]),
        ({"prompt": "q", "completion": "a"}, [U, A]),
        ({"prompt": [S, U], "completion": [A]}, [S, U, A]),
        ({"prompt": [U], "completion": "a"}, [U, A]),
        ({"prompt": [U, A, U], "completion": [A]}, [U, A, U, A]),
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, [U, A]),
        ({"conversations": [{"from": "user", "value": "q"}, {"from": "assistant", "value": "a"}]}, [U, A]),
        (
            {"conversations": [{"from": "system", "value": "s"}, U, {"from": "observation", "value": "t"}, A]},
            [S, U, {"role": "tool", "content": "t"}, A],
        ),
        ({"messages": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a", "weight": 1}]}, [U, A]),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "q", "content": None}]}, A]},
            [U, A],
        ),
        (
            {"messages": [U, {"role": "assistant", "content": [{"type": "text", "text": t} for t in ("a", "b")]}]},
            [U, {"role": "assistant", "content": "ab"}],
        ),
        # What Arrow makes of rows of which some have these keys
        (
            {"messages": [U | {"tool_calls": None, "name": None, "weight": None, "blocks": None}, A], "tools": None},
            [U, A],
        ),
        ({"messages": [U, A | {"tool_calls": [], "reasoning_content": ""}], "tools": "[]"}, [U, A]),
        ({"messages": [U, A | {"train": True, "weight": 1.0}], "system": ""}, [U, A]),
        ({"messages": [S, U, A], "system": "Be brief."}, [S, U, A]),
        ({"messages": [S, U, A], "system_prompt": "Be brief."}, [S, U, A]),
        ({"messages": [U, A], "chat_template_kwargs": {}}, [U, A]),
    ],
)
def test_forms(row, messages):
    untouched = copy.deepcopy(row)
    assert normalize_row(row) == {"messages": messages, "type": "generation"} | (
        {key: row[key] for key in row if key not in ("messages", "type", "prompt", "completion", "conversations")}
        | ({key: row[key] for key in ("prompt", "completion") if key in row and row.get("messages")})
    )
    assert row == untouched


def test_type_of_a_row_is_kept():
    row = reflection_row()
    sharegpt = {
        "conversations": [{"from": m["role"], "value": m["content"]} for m in row["messages"]],
        "type": "reflection",
    }
    assert normalize_row(sharegpt) == row


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "`messages` and all its other forms are missing or empty; rows need `messages`"),
        ({"text": "x"}, "`messages` and all its other forms are missing or empty"),
        ({"prompt": "q"}, "`messages` and all its other forms are missing or empty"),
        ({"prompt": "q", "completion": None}, "`messages` and all its other forms are missing or empty"),
        ({"prompt": 3, "completion": "a"}, "`prompt` must be a list"),
        ({"prompt": "q", "completion": [{"role": "assistant"}]}, "`completion[0]` must be an object with `role`"),
        ({"conversations": []}, "`conversations` must be a list"),
        ({"conversations": [{"from": "human"}]}, "`conversations[0]` must be an object"),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "bing", "value": "a"}]},
            "`messages[1].role` is 'bing'",
        ),
        (
            {"messages": [U, A | {"tool_calls": [{"name": "f"}]}]},
            "`messages[1].tool_calls` is set, but only `content`",
        ),
        (
            {"messages": [U, {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}]},
            "`messages[1].tool_calls` is set",
        ),
        (
            {"messages": [U, A | {"reasoning_content": "hm"}]},
            "`messages[1].reasoning_content` is set, but only `content`",
        ),
        (
            {"conversations": [U, A | {"weight": 0}]},
            "`conversations[1].weight` is 0, but every assistant turn is trained",
        ),
        (
            {"messages": [U, A], "tools": [{"name": "f"}]},
            "`tools` is set, but is not rendered here; write the tools into",
        ),
        ({"messages": [U, A], "tools": '[{"name": "f"}]'}, "`tools` is set"),
        ({"messages": [U, A | {"weight": 0.5}]}, "`messages[1].weight` is 0.5, but every assistant turn is trained"),
        ({"messages": [U, A | {"train": False}]}, "`messages[1].train` is False, but every assistant turn is trained"),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "Be brief."},
            "`system` is set, but is not rendered here; make it the first turn",
        ),
        (
            {"messages": [U, A], "system_prompt": "Be brief."},
            "`system_prompt` is set, but is not rendered here; make it the",
        ),
        (
            {"prompt": "q", "completion": "a", "system_message": "Be brief."},
            "`system_message` is set, but is not rendered",
        ),
        (
            {"messages": [U, A], "functions": [{"name": "f"}]},
            "`functions` is set, but is not rendered here; write the",
        ),
        (
            {"messages": [U, A], "chat_template_kwargs": {"a": 1}},
            "`chat_template_kwargs` is set, but is not rendered here; set `chat_template_kwargs` in the",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, A]},
            "`messages[0].content[0].type` is 'image_url'",
        ),
    ],
)
def test_what_is_in_the_way_is_named(row, says):
    with pytest.raises(ValueError) as raised:
        normalize_row(row, "row 3")
    assert str(raised.value).startswith("row 3: " + says) and str(raised.value).endswith(".")


def test_form_of_columns():
    assert find_form(["type", "messages", "prompt", "completion"]) == ("messages",)
    assert find_form(["completion", "prompt"]) == ("prompt", "completion")
    assert find_form(["conversations", "id"]) == ("conversations",)
    assert find_form(["prompt", "type"]) is None


# Damaged rows


ROWS = [
    reflection_row(),
    generation_row(),
    to_typed_blocks(reflection_row()),
    {"prompt": "q", "completion": "a"},
    {"prompt": [U], "completion": [A], "type": None},
    {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    {"messages": [U, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}], "tools": None},
    {
        "messages": [
            U,
            A | {"content": "a\nb", "blocks": [{"type": "text", "length": 1}, {"type": "text", "length": 1}]},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "content": "q"}]},
            {"role": "assistant", "content": [{"type": "code", "content": "x", "language": "c", "markdown": None}]},
        ]
    },
]
KEYS = (
    "messages",
    "role",
    "content",
    "blocks",
    "type",
    "length",
    "markdown",
    "language",
    "tool_calls",
    "from",
    "text",
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["\ud800", "x" * 10_000, "[" * 10_000, "5" * 5_000, "\x00", "reflection", "tool", "text", "code"]),
    st.sampled_from([10**4_000, b"x", (), object()]),
    st.builds(json.loads, st.just("[" * 500 + "]" * 500)),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=5,
)


def places(holder, depth=6):
    """Where something can be changed: containers with a key or index."""
    for key, item in list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder)):
        yield holder, key
        if isinstance(item, dict | list) and depth:
            yield from places(item, depth - 1)


@st.composite
def damaged_rows(draw):
    row = {"row": copy.deepcopy(draw(st.sampled_from(ROWS)))}
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(places(row))))
        change = draw(st.sampled_from(["replace", "replace", "remove", "add", "as JSON"]))
        if change == "replace":
            holder[key] = draw(values)
        elif change == "remove" and holder is not row:
            del holder[key]
        elif change == "add" and isinstance(holder[key], dict):
            holder[key][draw(st.sampled_from(KEYS))] = draw(values)
        elif change == "add" and isinstance(holder[key], list):
            holder[key].append(draw(values))
        elif change == "as JSON":
            holder[key] = json.dumps(holder[key], default=repr)
    return row["row"]


@pytest.fixture(scope="module")
def renderer(tokenizer):
    return ChatTemplateRenderer(tokenizer)


@pytest.mark.heavy
@given(damaged_rows())
@settings(max_examples=3000)
def test_a_damaged_row_is_read_or_refused_in_one_sentence(renderer, row):
    try:
        read = normalize_row(row, "Row 7 of the train dataset")
    except ValueError as error:
        message = str(error)
        assert type(error) is ValueError
        assert message.startswith("Row 7 of the train dataset: ") and message.endswith(".")
        assert "`" in message and "\n" not in message and len(message) < 600
        return
    assert normalize_row(read) == read
    assert set().union(*read["messages"]) <= {"role", "content", "blocks"}
    to_typed_blocks(read)
    try:
        columns = renderer.tokenize(read)
    except UnrenderableRow:
        return
    assert len(columns["input_ids"]) == len(columns["loss_mask"]) == len(columns["block_ids"])
    hidden = [block for block in columns["block_ids"] if block >= 0]
    assert hidden == sorted(hidden) and max(hidden, default=0) <= len(columns["block_types"])


@given(values)
@settings(max_examples=500)
def test_anything_is_read_or_refused(value):
    try:
        assert read_row(value)["messages"]
    except ValueError as error:
        assert type(error) is ValueError and str(error).startswith("row: ") and len(str(error)) < 600
