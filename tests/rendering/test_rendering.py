"""Chat-template and block-token rendering, against the templates that the model families publish.

The templates come from the installed TRL, or from `chat_templates/` where TRL has none; each file there names its model.
Tokenizers are trained here on a few lines, with the normalization and pre-tokenization of the family.
"""

import functools
import importlib.resources
import json
import logging
import re
from pathlib import Path

import pytest
from conftest import CORPUS, trl_template
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from reflection_trl.generation.templates import render_prompt
from reflection_trl.rendering import (
    BLOCK_TOKEN_CHAT_TEMPLATE,
    BLOCK_TOKENS,
    VISIBLE,
    BlockTokenRenderer,
    ChatTemplateRenderer,
    UnrenderableRow,
)
from reflection_trl.sequences import BLOCK_TYPES, from_typed_blocks, to_typed_blocks, validate_row


# Pre-tokenization as the families publish it
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPLIT = QWEN_SPLIT.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)


def byte_level(*splits, normalizer=None):
    """Byte-level BPE that splits by `splits` first; GPT-2's own splitting where there are none."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    steps = [pre_tokenizers.Split(Regex(split), "isolated") for split in splits]
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not splits))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([CORPUS * 3 + "\n\n\n    \n\n  x\n\n\n\n"], trainer)
    return tokenizer


def sentencepiece(prefix):
    """BPE over characters with byte fallback and `▁` for spaces, as in converted SentencePiece models."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False)
    # No newlines: SentencePiece leaves them to the byte fallback
    trained.train_from_iterator([line for line in CORPUS.splitlines() for _ in range(3)], trainer)
    model = json.loads(trained.to_str())["model"]
    tokens = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *model["vocab"], "▁▁", "▁▁▁▁"]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    merges = [*map(tuple, model["merges"]), ("▁", "▁"), ("▁▁", "▁▁")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if prefix == "legacy":  # Llama 2, CodeLlama, Mistral v0.1
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    elif prefix == "first":  # Mistral v0.3
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:  # Gemma
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def own_template(name):
    return (Path(__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def chatml(template):
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return byte_level(QWEN_SPLIT, normalizer=normalizers.NFC()), template, specials, None, "<|im_end|>"


def llama3(template):
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    return byte_level(LLAMA3_SPLIT), template, specials, "<|begin_of_text|>", "<|eot_id|>"


def gemma(template):
    specials = ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]
    return sentencepiece("none"), template, specials, "<bos>", "<end_of_turn>"


def mistral(template, prefix, specials=()):
    return sentencepiece(prefix), template, ["<s>", "</s>", *specials], "<s>", "</s>"


INST = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"]
DEEPSEEK_SPLITS = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"]

# name: (tokenizer, template, special tokens, BOS, end token), variables for the template, role of executions, system turns
FAMILIES = {
    "qwen2.5": (lambda: chatml(trl_template("qwen2_5")), {}, "tool", True),  # Qwen2.5-Coder's is the same
    "qwen3": (lambda: chatml(trl_template("qwen3")), {}, "tool", True),
    "qwen3-no-thinking": (lambda: chatml(trl_template("qwen3")), {"enable_thinking": False}, "tool", True),
    "qwen3-instruct-2507": (lambda: chatml(trl_template("qwen3_instruct_2507")), {}, "tool", True),
    "smollm2": (
        lambda: (
            byte_level(),
            own_template("smollm2"),
            ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            None,
            "<|im_end|>",
        ),
        {},
        "tool",
        True,
    ),
    "llama3": (lambda: llama3(trl_template("llama3")), {}, "tool", True),
    "llama3.1": (lambda: llama3(trl_template("llama3_1")), {}, "tool", True),
    "llama3.2": (lambda: llama3(trl_template("llama3_2")), {}, "tool", True),
    "gemma": (lambda: gemma(trl_template("gemma")), {}, "user", False),
    "gemma3": (lambda: gemma(trl_template("gemma3")), {}, "user", True),
    "mistral-v0.1": (lambda: mistral(own_template("mistral_v0_1"), "legacy"), {}, "user", True),
    "mistral-v0.3": (lambda: mistral(own_template("mistral_v0_3"), "first", INST), {}, "user", True),
    "mistral-v0.3-legacy": (lambda: mistral(own_template("mistral_v0_3"), "legacy", INST), {}, "user", True),
    "mistral-nemo": (
        lambda: (byte_level(LLAMA3_SPLIT), own_template("mistral_nemo"), ["<s>", "</s>", *INST], "<s>", "</s>"),
        {},
        "user",
        True,
    ),
    "codellama": (lambda: mistral(own_template("codellama"), "legacy"), {}, "user", True),
    "deepseek-coder": (
        lambda: (
            byte_level(*DEEPSEEK_SPLITS),
            own_template("deepseek_coder"),
            ["<bos>", "<eos>", "<|EOT|>"],
            "<bos>",
            "<|EOT|>",
        ),
        {},
        "user",
        True,
    ),
}
TRL_TEMPLATES = sorted(
    file.name.removesuffix(".jinja")
    for file in importlib.resources.files("trl").joinpath("chat_templates").iterdir()
    if file.name.endswith(".jinja")
)
families = pytest.mark.parametrize("family", FAMILIES)


@functools.cache
def family_tokenizer(family):
    backend, template, specials, bos, stop = FAMILIES[family][0]()
    backend.add_special_tokens(specials)
    eos = "<eos>" if "<eos>" in specials else stop
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = template
    return tokenizer, stop


@functools.cache
def family_renderer(family):
    return ChatTemplateRenderer(family_tokenizer(family)[0], chat_template_kwargs=FAMILIES[family][1])


def dialogue(*turns):
    roles = {"u": "user", "a": "assistant", "t": "tool", "s": "system"}
    return {"messages": [{"role": roles[r], "content": c} for r, c in turns], "type": "reflection"}


# Every part holds a word of its own, `w` and a number, so that its tokens can be told from its neighbors'
ROWS = {
    "usual": dialogue(
        ("u", "w100 Solve it, run it."),
        ("a", "w1 Let me try.\n```python\nprint('w2')\n```"),
        ("t", "Traceback w3\nAssertionError"),
        ("a", "w4 I see.\n```python\nprint('w5')\n```\nw6 done"),
        ("u", "w101 Write it."),
        ("a", "w102 ```python\nreturn 1\n```"),
    ),
    "consecutive executions": dialogue(
        ("u", "w100"), ("a", "w1"), ("t", "w2"), ("t", "w3"), ("t", "w4"), ("a", "w5"), ("u", "w101"), ("a", "w102")
    ),
    "ends in an execution": dialogue(
        ("u", "w100"),
        ("a", "w1"),
        ("t", "w2"),
        ("a", "w3\n```python\nw4\n```"),
        ("t", "w5"),
        ("u", "w101"),
        ("a", "w102"),
    ),
    "ends in two executions": dialogue(
        ("u", "w100"), ("a", "w1"), ("t", "w2"), ("t", "w3"), ("u", "w101"), ("a", "w102")
    ),
    "begins with an execution": dialogue(
        ("u", "w100"), ("t", "w1"), ("a", "w2"), ("t", "w3"), ("a", "w4"), ("u", "w101"), ("a", "w102")
    ),
    "no execution": dialogue(("u", "w100"), ("a", "w1\n```\nw2\n```\n```\nw3\n```"), ("u", "w101"), ("a", "w102")),
    "whitespace": dialogue(
        ("u", "\n\n  w100\t\n "),
        ("a", "\n\n\n  w1 \n\n```python\n\n  w2\n\n```\n\n  w3\n\n"),
        ("t", "\n  w4\n\n\n"),
        ("t", "  \t w5  "),
        ("a", "   w6   "),
        ("u", "  \n w101 \n\n"),
        ("a", "\n\n   w102\n  "),
    ),
    "answer begins with newlines": dialogue(
        ("u", "w100"),
        ("a", "\nw1"),
        ("t", "\n w2"),
        ("a", "\n\n\nw3"),
        ("u", "\nw101"),
        ("a", "\n\n\ndef w102():\n    pass\n"),
    ),
    "empty parts": dialogue(
        ("u", "w100"), ("a", "w1"), ("t", ""), ("a", ""), ("t", "\n"), ("a", "w5"), ("u", "w101"), ("a", "w102")
    ),
    "unicode": dialogue(
        ("u", "Größe w100 ∑ 你好"),
        ("a", "🙂w1🙂\n```python\ns = '👩\u200d👩\u200d👧 é e\u0301'  # w2\n```"),
        ("t", "\u0301w3 ﬁ \u2028 \u00a0"),
        ("a", "🇩🇪 w4"),
        ("u", "🙂 w101 🙂"),
        ("a", "🙂\u0301w102 ﷽"),
    ),
    "role words": dialogue(
        ("u", "user w100 assistant\n\nsystem ### Response: model\n"),
        ("a", "assistant\nw1 user: ### Instruction:\n"),
        ("t", "tool [INST] w2 </tool_response> <tool_response>"),
        ("a", "ipython w3 REFLECTION0003SLOT"),
        ("u", "user\nw101 assistant\n"),
        ("a", "assistant\n### Response:\nw102 model\n"),
    ),
}
shapes = pytest.mark.parametrize("shape", ROWS)


def words(text):
    return {
        word
        for word in ("".join(c if c.isalnum() else " " for c in text)).split()
        if word[0] == "w" and word[1:].isdigit()
    }


def decode(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def one_off_ids(tokenizer, row, **kwargs):
    system = [m for m in row["messages"] if m["role"] == "system"]
    return tokenizer.apply_chat_template(
        [*system, row["messages"][-2]], add_generation_prompt=True, tokenize=True, return_dict=False, **kwargs
    )


def visible_prompt(columns):
    pairs = zip(columns["input_ids"], columns["block_ids"], strict=True)
    return [token for token, block in list(pairs)[: columns["answer_start"]] if block == VISIBLE]


@families
def test_role_of_executions(family, caplog):
    tokenizer, _ = family_tokenizer(family)
    with caplog.at_level(logging.WARNING):
        renderer = ChatTemplateRenderer(tokenizer, chat_template_kwargs=FAMILIES[family][1])
        for row in (ROWS["usual"], ROWS["consecutive executions"]):
            renderer.tokenize(row)
    assert renderer.execution_role == FAMILIES[family][2]
    messages = [r.getMessage() for r in caplog.records if "execution output goes into user turns" in r.getMessage()]
    assert len(messages) == (renderer.execution_role == "user")


@families
@shapes
def test_one_off_prompt(family, shape):
    """With everything hidden, the student sees the one-off prompt, token for token, and then the answer."""
    tokenizer, stop = family_tokenizer(family)
    validate_row(ROWS[shape])
    columns = family_renderer(family).tokenize(ROWS[shape])
    assert visible_prompt(columns) == one_off_ids(tokenizer, ROWS[shape], **FAMILIES[family][1])
    answer = columns["input_ids"][columns["answer_start"] :]
    assert all(block == VISIBLE for block in columns["block_ids"][columns["answer_start"] :])
    assert all(columns["loss_mask"][columns["answer_start"] :])
    assert answer[-1] == tokenizer.convert_tokens_to_ids(stop)
    text, content = decode(tokenizer, answer), ROWS[shape]["messages"][-1]["content"]
    assert tokenizer.backend_tokenizer.normalizer is not None or content.strip() in text
    assert "w102" in text


@families
def test_answer_keeps_its_whitespace_where_the_template_does(family):
    row = ROWS["answer begins with newlines"]
    columns = family_renderer(family).tokenize(row)
    tokenizer, stop = family_tokenizer(family)
    prompt = one_off_ids(tokenizer, row, **FAMILIES[family][1])
    raw = tokenizer.apply_chat_template(row["messages"][-2:], tokenize=False, **FAMILIES[family][1])
    raw = raw[: raw.rindex(stop) + len(stop)]
    assert decode(tokenizer, [*prompt, *columns["input_ids"][columns["answer_start"] :]]) == decode(
        tokenizer, tokenizer(raw, add_special_tokens=False)["input_ids"]
    )


@families
@shapes
def test_blocks_hold_their_own_content(family, shape):
    tokenizer, _ = family_tokenizer(family)
    row = ROWS[shape]
    columns = family_renderer(family).tokenize(row)
    typed = [block for message in to_typed_blocks(row)["messages"][1:-2] for block in message["content"]]
    assert [BLOCK_TYPES[t] for t in columns["block_types"]] == [block["type"] for block in typed]
    ids = columns["input_ids"]
    for number, block in enumerate(typed, start=1):
        tokens = [token for token, of in zip(ids, columns["block_ids"], strict=True) if of == number]
        assert words(decode(tokenizer, tokens)) == words(block["content"])
    instruction = [token for token, of in zip(ids, columns["block_ids"], strict=True) if of == 0]
    assert words(decode(tokenizer, instruction)) == {"w100"}
    hidden = [of for of in columns["block_ids"] if of != VISIBLE]
    assert hidden == sorted(hidden), "parts stand in their order"
    first, last = columns["block_ids"].index(0), len(ids) - 1 - columns["block_ids"][::-1].index(max(hidden))
    assert VISIBLE not in columns["block_ids"][first : last + 1], "the hidden parts are one stretch"


@families
@shapes
def test_trained_tokens(family, shape):
    """What the assistant writes, and its end tokens: the spans that prompting with each prefix of the row gives."""
    tokenizer, stop = family_tokenizer(family)
    renderer = family_renderer(family)
    rendering, columns = renderer.render(ROWS[shape]), renderer.tokenize(ROWS[shape])
    trained = decode(tokenizer, [t for t, on in zip(columns["input_ids"], columns["loss_mask"], strict=True) if on])
    blocks = [m["content"] for m in ROWS[shape]["messages"] if m["role"] == "assistant"]
    assert words(trained) == words(" ".join(blocks))
    assert trained.count(stop) == len(blocks)
    messages = with_execution_role(ROWS[shape]["messages"], FAMILIES[family][2], family != "deepseek-coder")
    text, expected = rendering.text, []
    for index, message in enumerate(messages):
        if message["role"] == "assistant" and not message.get("between"):
            kwargs = FAMILIES[family][1] if index == len(messages) - 1 else {}
            prompt = tokenizer.apply_chat_template(
                messages[:index], add_generation_prompt=True, tokenize=False, **kwargs
            )
            assert text.startswith(prompt)
            end = text.index(stop, len(prompt) + len(message["content"].strip())) + len(stop)
            expected.append((len(prompt), end))
    assert rendering.trained == expected
    assert text.endswith(stop) and rendering.answer_start == expected[-1][0]


@families
@shapes
def test_a_model_that_continues_a_row_sees_what_the_teacher_sees(family, shape):
    """Of an answer that is drawn after a sequence, with the output of runs in whatever role the template has."""
    tokenizer, _ = family_tokenizer(family)
    row, rendering = ROWS[shape], family_renderer(family).render(ROWS[shape])
    if row["messages"][0]["role"] == "system":
        return  # the builder has none
    prompt = render_prompt(row["messages"][:-1], tokenizer, "m", FAMILIES[family][1])
    assert prompt == rendering.text[: rendering.answer_start]


@pytest.mark.parametrize("family", ["qwen2.5", "qwen3", "smollm2", "llama3", "mistral-nemo", "deepseek-coder"])
def test_no_token_reaches_from_a_header_into_what_the_assistant_writes(family):
    """A content that begins with a newline after a header that ends with one: two tokens, as in generation."""
    tokenizer, _ = family_tokenizer(family)
    row = ROWS["answer begins with newlines"]
    rendering, columns = family_renderer(family).render(row), family_renderer(family).tokenize(row)
    trained = columns["loss_mask"]
    first_tokens = [i for i in range(1, len(trained)) if trained[i] and not trained[i - 1]]
    headers = [decode(tokenizer, columns["input_ids"][:i]) for i in first_tokens]
    assert headers == [rendering.text[:start] for start, _ in rendering.trained]


def with_execution_role(messages, role, alternate):
    if role == "tool":
        return messages
    converted = []
    for index, message in enumerate(messages):
        before = messages[index - 1]["role"]
        if message["role"] == before == "tool":
            converted[-1] = {"role": "user", "content": converted[-1]["content"] + "\n" + message["content"]}
            continue
        if index and alternate and message["role"] != "assistant" and before != "assistant":
            converted.append({"role": "assistant", "content": "", "between": True})
        converted.append({**message, "role": "user" if message["role"] == "tool" else message["role"]})
    return converted


@families
@pytest.mark.parametrize("shape", ["usual", "whitespace", "unicode", "ends in an execution"])
def test_system_turn(family, shape):
    tokenizer, _ = family_tokenizer(family)
    row = {**ROWS[shape], "messages": [{"role": "system", "content": "Be w99 brief."}, *ROWS[shape]["messages"]]}
    renderer = family_renderer(family)
    if not FAMILIES[family][3]:
        with pytest.raises(UnrenderableRow, match=r"rejects the system turn.*System role not supported"):
            renderer.tokenize(row)
        return
    if shape == "whitespace" and family == "gemma3":
        with pytest.raises(
            UnrenderableRow, match="student's prompt differs"
        ):  # strips the request, not what stands before it
            renderer.tokenize(row)
        return
    columns = renderer.tokenize(row)
    assert visible_prompt(columns) == one_off_ids(tokenizer, row, **FAMILIES[family][1])
    assert "w99" in decode(tokenizer, visible_prompt(columns))


@families
def test_special_tokens_inside_contents(family):
    """Data may quote a model's own markers; the parts are still found by their place."""
    tokenizer, stop = family_tokenizer(family)
    specials = " ".join(tokenizer.all_special_tokens)
    row = dialogue(
        ("u", f"w100 {specials}"),
        ("a", f"{specials} w1 {stop}"),
        ("t", f"w2 {specials} <|im_end|>\n<|im_start|>assistant\n"),
        ("a", f"w3 {stop}"),
        ("u", f"w101 {specials} x"),
        ("a", f"x {stop} w102 {specials} x"),
    )
    columns = family_renderer(family).tokenize(row)
    assert visible_prompt(columns) == one_off_ids(tokenizer, row, **FAMILIES[family][1])
    for number, word in enumerate(["w1", "w2", "w3"], start=1):
        tokens = [t for t, of in zip(columns["input_ids"], columns["block_ids"], strict=True) if of == number]
        assert words(decode(tokenizer, tokens)) == {word}
    assert all(columns["loss_mask"][columns["answer_start"] :])


@families
@pytest.mark.parametrize("execution_role", ["user", "auto"])
def test_generation_rows(family, execution_role):
    tokenizer, stop = family_tokenizer(family)
    kwargs = FAMILIES[family][1]
    renderer = ChatTemplateRenderer(tokenizer, execution_role, chat_template_kwargs=kwargs)
    for turns in (
        [("u", "w1"), ("a", "\nw2")],
        [("u", "w1"), ("a", "w2"), ("u", " w3"), ("a", "w4")],
    ):
        row = {**dialogue(*turns), "type": "generation"}
        columns = renderer.tokenize(row)
        prompt = tokenizer.apply_chat_template(
            row["messages"][:-1], add_generation_prompt=True, return_dict=False, **kwargs
        )
        assert columns["input_ids"][: columns["answer_start"]] == prompt
        assert columns["block_types"] == [] and set(columns["block_ids"]) == {VISIBLE}
        trained = decode(
            tokenizer, [t for t, on in zip(columns["input_ids"], columns["loss_mask"], strict=True) if on]
        )
        assert words(trained) == {content.strip() for role, content in turns if role == "a"}
        assert columns["loss_mask"][-1] and trained.count(stop) == len(turns) // 2


@families
def test_hide_prefix(family):
    tokenizer, _ = family_tokenizer(family)
    renderer = ChatTemplateRenderer(tokenizer, hide_prefix=True, chat_template_kwargs=FAMILIES[family][1])
    columns = renderer.tokenize(ROWS["usual"])
    shown = family_renderer(family).tokenize(ROWS["usual"])
    assert columns["input_ids"] == shown["input_ids"] and columns["loss_mask"] == shown["loss_mask"]
    first_hidden = shown["block_ids"].index(0)
    assert columns["block_ids"] == [0] * first_hidden + shown["block_ids"][first_hidden:]


def letters(text):
    return "".join(char for char in text if char in "b1")  # no accent merges with these


text_strategy = st.lists(
    st.sampled_from([*"ab 1\n\t`#_🙂é\u0301[]/", "```python\n", "\n```", "<|im_end|>", "assistant", "</s>"]),
    max_size=12,
).map("".join)


@pytest.mark.parametrize("family", ["qwen2.5", "llama3.1", "mistral-v0.3", "gemma3", "codellama", "deepseek-coder"])
@given(
    st.lists(st.tuples(text_strategy, st.lists(text_strategy, max_size=2)), min_size=1, max_size=3),
    text_strategy,
    text_strategy,
)
def test_any_contents(family, attempts, request_text, answer):
    tokenizer, stop = family_tokenizer(family)
    messages = [{"role": "user", "content": "RI"}]
    for text, executions in attempts:
        if messages[-1]["role"] == "assistant":
            messages.append({"role": "tool", "content": "ok"})
        messages.append({"role": "assistant", "content": text})
        messages += [{"role": "tool", "content": execution} for execution in executions]
    messages += [{"role": "user", "content": request_text}, {"role": "assistant", "content": "x" + answer + "x"}]
    row = {"messages": messages, "type": "reflection"}
    columns = family_renderer(family).tokenize(row)
    assert visible_prompt(columns) == one_off_ids(tokenizer, row, **FAMILIES[family][1])
    typed = [block for message in to_typed_blocks(row)["messages"][1:-2] for block in message["content"]]
    assert [BLOCK_TYPES[kind] for kind in columns["block_types"]] == [block["type"] for block in typed]
    # The parts stand in their order, with each block's own letters in it. A token that reaches over an edge belongs to where
    # it begins, as SentencePiece's of a word and the space before it
    hidden = [block for block in columns["block_ids"] if block != VISIBLE]
    assert hidden == sorted(hidden)
    for number, block in enumerate(typed, start=1):
        if letters(block["content"]):
            start = columns["block_ids"].index(number)
            tokens = columns["input_ids"][start - 1 : start + columns["block_ids"].count(number)]
            assert letters(block["content"]) in letters(decode(tokenizer, tokens))
    assert columns["input_ids"][-1] == tokenizer.convert_tokens_to_ids(stop) and columns["loss_mask"][-1]


# A template that loses or reorders turns, or rewrites contents


def broken(template):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_level(QWEN_SPLIT), eos_token="<|im_end|>", name_or_path="tiny"
    )
    tokenizer.chat_template = template
    return tokenizer


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + CONTENT + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GOOD = CHATML.replace("CONTENT", "m.content")


@pytest.mark.parametrize(
    "template",
    [
        GOOD.replace("in messages", "in messages[-2:]"),
        GOOD.replace("in messages", "in messages|reverse"),
        GOOD.replace("in messages", "in messages if m.role != 'assistant'"),
        CHATML.replace("CONTENT", "'constant'"),
        GOOD.replace("m.content +", "m.content + m.content +"),
    ],
)
@pytest.mark.parametrize("execution_role", ["auto", "user", "tool"])
def test_template_that_drops_turns(template, execution_role):
    with pytest.raises(ValueError, match="chat template of 'tiny' drops or reorders") as raised:
        ChatTemplateRenderer(broken(template), execution_role)
    assert not isinstance(raised.value, UnrenderableRow)


def test_template_that_rewrites_contents():
    renderer = ChatTemplateRenderer(broken(CHATML.replace("CONTENT", "m.content | replace('secret', '***')")))
    renderer.tokenize(ROWS["usual"])
    row = dialogue(("u", "a"), ("a", "secret"), ("u", "b"), ("a", "c"))
    with pytest.raises(UnrenderableRow, match="rewrites the content of its assistant turns"):
        renderer.tokenize(row)


def test_template_whose_turns_depend_on_what_came_before():
    numbered = "{% for m in messages %}{{ '<|im_start|>' + m.role + loop.index0|string + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    renderer = ChatTemplateRenderer(
        broken(numbered + "{% if add_generation_prompt %}{{ '<|im_start|>assistant1\n' }}{% endif %}")
    )
    with pytest.raises(
        UnrenderableRow, match="generation prompt starts an answer differently from its assistant turns"
    ):
        renderer.tokenize(ROWS["usual"])


def test_thoughts_that_the_template_drops():
    row = dialogue(("u", "a"), ("a", "<think>hm</think>b"), ("u", "c"), ("a", "d"))
    with pytest.raises(UnrenderableRow, match="rewrites the content of its assistant turns"):
        family_renderer("qwen3").tokenize(row)


def test_template_that_takes_lists_only():
    with pytest.raises(ValueError, match="chat template of 'tiny' rejects plain user and assistant turns") as raised:
        ChatTemplateRenderer(broken(trl_template("llava_next")))
    assert not isinstance(raised.value, UnrenderableRow)


def test_template_that_makes_the_model_think():
    tokenizer = broken(trl_template("nemotron_3_nano"))
    with pytest.raises(
        UnrenderableRow, match=r"generation prompt starts an answer differently.*'enable_thinking': False"
    ):
        ChatTemplateRenderer(tokenizer).tokenize(ROWS["usual"])
    renderer = ChatTemplateRenderer(tokenizer, chat_template_kwargs={"enable_thinking": False})
    assert visible_prompt(renderer.tokenize(ROWS["usual"])) == one_off_ids(
        tokenizer, ROWS["usual"], enable_thinking=False
    )


def test_template_with_another_end_in_the_last_turn():
    tokenizer = broken(
        "{% for m in messages %}{{ '<|start|>' + m.role + '\n' + m.content }}"
        "{{ '<|return|>' if loop.last and m.role == 'assistant' else '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|end|>", "<|return|>", "<|start|>"]})
    columns = ChatTemplateRenderer(tokenizer).tokenize(ROWS["usual"])
    trained = decode(tokenizer, [t for t, on in zip(columns["input_ids"], columns["loss_mask"], strict=True) if on])
    assert trained.count("<|end|>") == 2 and trained.endswith("<|return|>")
    assert visible_prompt(columns) == one_off_ids(tokenizer, ROWS["usual"])


@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize(
    ("template", "end", "last_end"),
    [
        pytest.param(trl_template("phi3"), "<|end|>", "<|end|>", id="phi3"),  # EOS follows the last turn
        pytest.param(trl_template("gptoss"), "<|end|>", "<|return|>", id="gptoss"),  # a system prompt of its own
        pytest.param(own_template("olmo2"), "<eos>", "<eos>", id="olmo2"),  # no newline after the last turn
    ],
)
def test_every_turn_teaches_its_end_where_the_last_one_ends_differently(template, end, last_end, system):
    tokenizer = broken(template)
    markers = sorted(set(re.findall(r"<\|\w+\|>", template)))
    tokenizer.add_special_tokens({"bos_token": "<eos>", "eos_token": "<eos>", "additional_special_tokens": markers})
    row = ROWS["usual"]
    if system:
        row = {**row, "messages": [{"role": "system", "content": "Be w99 brief."}, *row["messages"]]}
    renderer = ChatTemplateRenderer(tokenizer)
    columns = renderer.tokenize(row)
    assert visible_prompt(columns) == one_off_ids(tokenizer, row)
    rendering = renderer.render(row)
    contents = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
    for (start, stop), content, token in zip(rendering.trained, contents, [end, end, last_end], strict=True):
        assert rendering.text[start:stop].endswith(content + token)
    last = [token for token, of in zip(columns["input_ids"], columns["block_ids"], strict=True) if of == 6]
    assert decode(tokenizer, last).rstrip("\n").endswith(f"w6 done{end}")


def test_variables_that_the_template_does_not_read_are_named(caplog):
    tokenizer = broken(trl_template("qwen3"))
    ChatTemplateRenderer(tokenizer, chat_template_kwargs={"enable_thinking": False})
    assert "does not read" not in caplog.text
    ChatTemplateRenderer(tokenizer, chat_template_kwargs={"enable_thinking": False, "thinking": False})
    assert "`chat_template_kwargs` has `thinking`, which the chat template of the model does not read" in caplog.text


def test_template_without_an_end_token(caplog):
    ChatTemplateRenderer(broken(GOOD.replace("<|im_end|>", "###")))
    assert "may not learn to stop" in caplog.text
    caplog.clear()
    ChatTemplateRenderer(broken(GOOD))
    assert not caplog.text


def test_newlines_that_are_added_tokens():
    """Gemma's vocabulary has runs of newlines as added tokens; DeepSeek-Coder's turns end with a newline and `<|EOT|>`."""
    backend = byte_level(LLAMA3_SPLIT)
    backend.add_special_tokens(["<bos>", "<|EOT|>"])
    backend.add_tokens(["\n", "\n\n"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<|EOT|>")
    tokenizer.chat_template = own_template("deepseek_coder")
    columns = ChatTemplateRenderer(tokenizer).tokenize(ROWS["usual"])
    assert columns["input_ids"][-1] == tokenizer.convert_tokens_to_ids("<|EOT|>") and columns["loss_mask"][-1]


@pytest.mark.parametrize("prefix", ["legacy", "first", "none"])
def test_header_that_ends_with_a_space(prefix):
    """A header that ends with a space, contents that begin with some, and a tokenizer that adds one to every text."""
    backend = sentencepiece(prefix)
    backend.add_special_tokens(["<s>", "</s>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ '<s>USER: ' + m.content + ' ASSISTANT: ' }}"
        "{% elif m.role == 'assistant' %}{{ m.content + '</s>' }}{% endif %}{% endfor %}"
    )
    renderer = ChatTemplateRenderer(tokenizer)
    row = dialogue(("u", "a"), ("a", "   x"), ("t", "  y"), ("a", "z"), ("u", "b"), ("a", "   x"))
    columns = renderer.tokenize(row)
    assert visible_prompt(columns) == one_off_ids(tokenizer, row)
    assert decode(tokenizer, columns["input_ids"]).endswith("USER: b ASSISTANT:    x</s>")
    row = dialogue(("u", "a"), ("a", "   x"), ("t", "  y"), ("a", "z"), ("u", "b"), ("a", "x"))
    assert visible_prompt(renderer.tokenize(row)) == one_off_ids(tokenizer, row)


@pytest.mark.parametrize("name", TRL_TEMPLATES)
def test_every_template_of_trl(name):
    """Whatever the template: the one-off prompt in its place and every block with its own content, or a clear refusal."""
    template = trl_template(name)
    backend = byte_level(LLAMA3_SPLIT)
    backend.add_special_tokens(
        ["<bos>", "<eos>", *sorted(set(re.findall(r"<[^<>\s'\"{}]+>|\[/?[A-Z_]+\]", template)))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>", name_or_path="tiny"
    )
    tokenizer.chat_template = template
    try:
        renderer = ChatTemplateRenderer(tokenizer)
    except ValueError as error:
        assert re.match(
            "The chat template of 'tiny' (rejects|drops or reorders) plain user and assistant turns", str(error)
        )
        return
    for shape in ("usual", "whitespace", "ends in an execution"):
        try:
            columns = renderer.tokenize(ROWS[shape])
        except UnrenderableRow as error:
            assert "generation prompt starts an answer differently" in str(error)
            continue
        assert visible_prompt(columns) == one_off_ids(tokenizer, ROWS[shape])
        answer = columns["answer_start"]
        assert all(columns["loss_mask"][answer:]) and words(decode(tokenizer, columns["input_ids"][answer:])) == {
            "w102"
        }
        typed = [b for m in to_typed_blocks(ROWS[shape])["messages"][1:-2] for b in m["content"]]
        for number, block in enumerate(typed, start=1):
            tokens = [t for t, of in zip(columns["input_ids"], columns["block_ids"], strict=True) if of == number]
            assert words(decode(tokenizer, tokens)) == words(block["content"])


def test_no_chat_template():
    with pytest.raises(ValueError, match="has no chat template"):
        ChatTemplateRenderer(broken(None))


def test_forced_execution_role():
    for family in ("gemma", "mistral-v0.3", "deepseek-coder"):
        with pytest.raises(
            ValueError, match=r"`execution_role='tool'`, but the chat template of .*; use 'auto' or 'user'"
        ):
            ChatTemplateRenderer(family_tokenizer(family)[0], "tool")
    tokenizer, _ = family_tokenizer("qwen2.5")
    as_user = ChatTemplateRenderer(tokenizer, "user")
    assert "<tool_response>" not in as_user.render(ROWS["usual"]).text
    assert "<tool_response>" in ChatTemplateRenderer(tokenizer, "tool").render(ROWS["usual"]).text
    for row in ROWS.values():
        assert visible_prompt(as_user.tokenize(row)) == one_off_ids(tokenizer, row)


def test_why_executions_go_into_user_turns(caplog):
    reasons = {
        "gemma": "refuses tool turns",
        "mistral-v0.3": "refuses tool turns",
        "deepseek-coder": "as the assistant's own",
    }
    for family, reason in reasons.items():
        caplog.clear()
        ChatTemplateRenderer(family_tokenizer(family)[0])
        assert reason in caplog.text
    caplog.clear()
    silent = "{% for m in messages if m.role != 'tool' %}" + GOOD.split("%}", 1)[1]
    assert ChatTemplateRenderer(broken(silent)).execution_role == "user"
    assert "drops tool turns" in caplog.text


def test_rendering_by_hand():
    """One row in full, in ChatML, as a person would mark it up."""
    renderer = ChatTemplateRenderer(family_tokenizer("qwen2.5")[0])
    rendering = renderer.render(ROWS["usual"])
    system = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    instruction = "<|im_start|>user\nw100 Solve it, run it.<|im_end|>\n"
    blocks = [
        ("text", "<|im_start|>assistant\nw1 Let me try.\n"),
        ("code", "```python\nprint('w2')\n```<|im_end|>\n"),
        (
            "execution",
            "<|im_start|>user\n<tool_response>\nTraceback w3\nAssertionError\n</tool_response><|im_end|>\n",
        ),
        ("text", "<|im_start|>assistant\nw4 I see.\n"),
        ("code", "```python\nprint('w5')\n```\n"),
        ("text", "w6 done<|im_end|>\n"),
    ]
    reanswer = "<|im_start|>user\nw101 Write it.<|im_end|>\n<|im_start|>assistant\n"
    answer = "w102 ```python\nreturn 1\n```<|im_end|>"
    assert rendering.text == system + instruction + "".join(text for _, text in blocks) + reanswer + answer
    assert rendering.prefix_end == len(system)
    assert rendering.sequence_start == len(system + instruction)
    assert rendering.answer_start == len(rendering.text) - len(answer)
    assert rendering.reanswer_start == rendering.answer_start - len(reanswer)
    ends = [*(start for _, start in rendering.blocks[1:]), rendering.reanswer_start]
    found = [(kind, rendering.text[start:end]) for (kind, start), end in zip(rendering.blocks, ends, strict=True)]
    assert found == blocks
    assert [rendering.text[start:end] for start, end in rendering.trained] == [
        "w1 Let me try.\n```python\nprint('w2')\n```<|im_end|>",
        "w4 I see.\n```python\nprint('w5')\n```\nw6 done<|im_end|>",
        answer,
    ]


# The block-token format


def block_tokenizer(bos="<s>", eos="</s>", backend=None):
    backend = backend or byte_level(LLAMA3_SPLIT)
    backend.add_special_tokens([token for token in (bos, eos) if token] + list(BLOCK_TOKENS.values()))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = BLOCK_TOKEN_CHAT_TEMPLATE
    return tokenizer


def published_format(row, tokenizer):
    """The published format from typed blocks, piece by piece: (text of a piece, is it trained, is it the answer's)."""
    pieces = [(tokenizer.bos_token or "", False)]
    for message in to_typed_blocks(row)["messages"]:
        assistant = message["role"] == "assistant"
        pieces.append((f"<|{message['role']}|>", False))
        pieces += [
            (f"<|{block['type']}|>{block['content']}<|endofblock|>", assistant and block["type"] != "execution")
            for block in message["content"]
        ]
        pieces.append(("<|endofmessage|>", assistant))
    return [*pieces, (tokenizer.eos_token or "", True)]


@pytest.mark.parametrize("ends", [("<s>", "</s>"), (None, "</s>"), ("<s>", None)])
@shapes
def test_block_tokens_against_published_format(shape, ends):
    tokenizer = block_tokenizer(*ends)
    row = ROWS[shape]
    columns = BlockTokenRenderer(tokenizer).tokenize(row)
    ids, trained = [], []
    for text, is_trained in published_format(row, tokenizer):
        piece = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += piece
        trained += [int(is_trained)] * len(piece)
    assert columns["input_ids"] == ids
    assert columns["loss_mask"] == trained
    typed = to_typed_blocks(row)["messages"]
    assert [BLOCK_TYPES[t] for t in columns["block_types"]] == [b["type"] for m in typed[1:-2] for b in m["content"]]
    for number, block in enumerate((b for m in typed[1:-2] for b in m["content"]), start=1):
        text = decode(tokenizer, [t for t, of in zip(ids, columns["block_ids"], strict=True) if of == number])
        piece = f"<|{block['type']}|>{block['content']}<|endofblock|>"
        expected = {1: "<|assistant|>" + piece, len(columns["block_types"]): piece + "<|endofmessage|>"}
        if len(columns["block_types"]) == 1:
            expected = {1: f"<|assistant|>{piece}<|endofmessage|>"}
        assert text == expected.get(number, piece)
    instruction = [t for t, of in zip(ids, columns["block_ids"], strict=True) if of == 0]
    content = row["messages"][0]["content"]
    assert decode(tokenizer, instruction) == f"<|user|><|text|>{content}<|endofblock|><|endofmessage|>"
    assert visible_prompt(columns) == one_off_ids(tokenizer, row)
    assert all(columns["loss_mask"][columns["answer_start"] :])


def test_block_tokens_paper_mode_hides_bos():
    tokenizer = block_tokenizer()
    columns = BlockTokenRenderer(tokenizer, hide_prefix=True).tokenize(ROWS["usual"])
    assert columns["block_ids"][0] == 0
    assert visible_prompt(columns) == one_off_ids(tokenizer, ROWS["usual"])[1:]


def test_block_tokens_with_a_sentencepiece_tokenizer():
    tokenizer = block_tokenizer(backend=sentencepiece("legacy"))
    for row in ROWS.values():
        columns = BlockTokenRenderer(tokenizer).tokenize(row)
        assert visible_prompt(columns) == one_off_ids(tokenizer, row)
        assert all(columns["loss_mask"][columns["answer_start"] :])


def test_block_tokens_of_several_text_blocks():
    block = {"type": "text", "content": "one"}
    code = {"type": "code", "content": "two"}
    row = from_typed_blocks(
        {
            "messages": [
                {"role": "user", "content": [block, block]},
                {
                    "role": "assistant",
                    "content": [block, block, code, code, {"type": "execution", "content": "three"}],
                },
                {"role": "user", "content": [block, code]},
                {"role": "assistant", "content": [code, block]},
            ],
            "type": "reflection",
        }
    )
    tokenizer = block_tokenizer()
    text = BlockTokenRenderer(tokenizer).render(row).text
    assert text == "".join(piece for piece, _ in published_format(row, tokenizer))


def test_block_tokens_generation_row():
    tokenizer = block_tokenizer()
    row = {
        **dialogue(("u", "w1"), ("a", "w2"), ("t", "w3"), ("a", "w4"), ("u", "w5"), ("a", "w6")),
        "type": "generation",
    }
    columns = BlockTokenRenderer(tokenizer).tokenize(row)
    trained = decode(tokenizer, [t for t, on in zip(columns["input_ids"], columns["loss_mask"], strict=True) if on])
    assert words(trained) == {"w2", "w4", "w6"}
    assert words(decode(tokenizer, columns["input_ids"][columns["answer_start"] :])) == {"w6"}
    assert set(columns["block_ids"]) == {VISIBLE} and columns["block_types"] == []


def test_block_tokens_refuse_system_turns():
    row = {**ROWS["usual"], "messages": [{"role": "system", "content": "s"}, *ROWS["usual"]["messages"]]}
    with pytest.raises(UnrenderableRow, match="no system turns"):
        BlockTokenRenderer(block_tokenizer()).render(row)


def test_block_tokens_must_be_in_the_vocabulary():
    with pytest.raises(ValueError, match=r"lacks the block tokens <\|user\|>.*`add_block_tokens"):
        BlockTokenRenderer(family_tokenizer("qwen2.5")[0])
