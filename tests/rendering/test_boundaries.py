"""Where a prompt ends and an answer begins: the tokens are those of inference, whatever whitespace a template puts there."""

import functools
import itertools

import pytest
from conftest import reflection_row, trl_template
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from reflection_trl.rendering import BLOCK_TOKENS, BlockTokenRenderer, ChatTemplateRenderer, UnrenderableRow

from .test_rendering import (
    DEEPSEEK_SPLITS,
    LLAMA3_SPLIT,
    QWEN_SPLIT,
    ROWS,
    byte_level,
    decode,
    one_off_ids,
    sentencepiece,
    visible_prompt,
)


def make_template(opening, closing, user):
    """A template in which `opening` is generation prompt and header of assistant turns; `{}` is the content."""

    def write(text):
        return "{{ '" + text.replace("\n", "\\n").replace("\t", "\\t").replace("{}", "' + m.content + '") + "' }}"

    return (
        "{{ bos_token }}{% for m in messages %}"
        f"{{% if m.role == 'assistant' %}}{write(opening + '{}' + closing)}"
        f"{{% elif m.role == 'user' %}}{write(user)}"
        f"{{% elif m.role == 'system' %}}{write('{}' + chr(10))}"
        "{% else %}{{ raise_exception('no such role') }}{% endif %}"
        f"{{% endfor %}}{{% if add_generation_prompt %}}{write(opening)}{{% endif %}}"
    )


# What generation prompts end in, as in published templates: opening and end of an assistant turn, and a user turn
TEMPLATES = {
    "think": (
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "<|im_end|>\n",
        "<|im_start|>user\n{}<|im_end|>\n",
    ),
    "llama 3": (
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>",
    ),
    "vicuna": ("ASSISTANT: ", "</s>", "USER: {} "),
    "alpaca": ("### Response:\n\n", "</s>\n\n", "### Instruction:\n{}\n\n"),
    "indented": ("A:\n    ", "</s>\n", "Q: {}\n"),
    "a tab": ("A:\n\n\n\t", "</s>\n", "Q: {}\n"),
    "nothing": ("A", "</s>", "Q: {}</s>"),
}
TOKENIZERS = {
    "gpt-2": byte_level,
    "qwen": lambda: byte_level(QWEN_SPLIT),
    "llama 3": lambda: byte_level(LLAMA3_SPLIT),
    "deepseek": lambda: byte_level(*DEEPSEEK_SPLITS),
    "llama 2": lambda: sentencepiece("legacy"),
    "mistral": lambda: sentencepiece("first"),
    "gemma": lambda: sentencepiece("none"),
}
SPECIALS = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


@functools.cache
def make_renderer(tokenizer, template):
    backend = TOKENIZERS[tokenizer]()
    backend.add_special_tokens(SPECIALS)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", clean_up_tokenization_spaces=False
    )
    fast.chat_template = make_template(*TEMPLATES[template])
    return ChatTemplateRenderer(fast)


def ids_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def pairwise(*factors):
    """
    Cases in which every two values of two factors meet; the rest of the product, in which only new triples meet, is `slow`.

    A Latin square: the numbers of the three values add up to a multiple of the number of templates.
    """
    for numbers in itertools.product(*(range(len(values)) for values in factors)):
        case = [list(values)[number] for values, number in zip(factors, numbers, strict=True)]
        yield pytest.param(*case, marks=[] if sum(numbers) % len(factors[1]) == 0 else pytest.mark.slow)


def test_every_two_values_meet():
    factors = (TOKENIZERS, TEMPLATES, ROWS)
    kept = [case.values for case in pairwise(*factors) if not case.marks]
    for (i, first), (j, second) in itertools.combinations(enumerate(factors), 2):
        assert {(case[i], case[j]) for case in kept} == set(itertools.product(first, second))
    assert len(kept) == 77 and len(list(pairwise(*factors))) == 539


@pytest.mark.parametrize(("tokenizer", "template", "shape"), list(pairwise(TOKENIZERS, TEMPLATES, ROWS)))
def test_prompt_is_that_of_inference(tokenizer, template, shape):
    renderer, row = make_renderer(tokenizer, template), ROWS[shape]
    columns = renderer.tokenize(row)
    prompt = one_off_ids(renderer.tokenizer, row)
    assert visible_prompt(columns) == prompt
    answer = columns["input_ids"][columns["answer_start"] :]
    assert all(columns["loss_mask"][columns["answer_start"] :])
    written = row["messages"][-1]["content"] + TEMPLATES[template][1].rstrip("\n")
    assert decode(renderer.tokenizer, prompt + answer) == decode(renderer.tokenizer, prompt) + written


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("tokenizer", ["gpt-2", "qwen", "llama 3", "deepseek", "gemma"])
def test_every_turn_begins_as_at_inference(tokenizer, template):
    """
    The reference, for tokenizers that put no space before a text: of the reflection sequence, each turn of the assistant by itself,
    after the tokens of what stands before it.
    """
    renderer = make_renderer(tokenizer, template)
    rendering, columns = renderer.render(ROWS["usual"]), renderer.tokenize(ROWS["usual"])
    starts = [start for start, _ in rendering.trained if start < rendering.reanswer_start]
    edges = [0, *starts, rendering.reanswer_start]
    pieces = [rendering.text[start:end] for start, end in itertools.pairwise(edges)]
    prompt = rendering.text[: rendering.prefix_end] + rendering.text[rendering.reanswer_start : rendering.answer_start]
    request = ids_of(renderer.tokenizer, prompt)[
        len(ids_of(renderer.tokenizer, rendering.text[: rendering.prefix_end])) :
    ]
    expected = [token for piece in pieces for token in ids_of(renderer.tokenizer, piece)]
    assert len(starts) == 2 + (renderer.execution_role == "user" and renderer._alternates)
    assert columns["input_ids"] == [
        *expected,
        *request,
        *ids_of(renderer.tokenizer, rendering.text[rendering.answer_start :]),
    ]


def test_no_token_depends_on_what_stands_behind_the_prompt():
    """GPT-2's splitting takes two newlines apart where text follows them; the generation prompt ends in two."""
    renderer = make_renderer("gpt-2", "llama 3")
    (newlines,) = ids_of(renderer.tokenizer, "\n\n")
    assert len(ids_of(renderer.tokenizer, "\n\nx")) == 3
    columns = renderer.tokenize(ROWS["usual"])
    begins = [
        at
        for at in range(1, len(columns["loss_mask"]))
        if columns["loss_mask"][at] and not columns["loss_mask"][at - 1]
    ]
    assert len(begins) == 3
    assert [columns["input_ids"][at - 1] for at in begins] == [newlines] * 3


@pytest.mark.parametrize("tokenizer", ["llama 2", "mistral"])
def test_answer_gets_no_space_of_its_own(tokenizer):
    """These tokenizers put a space before a text; the prompt ends with the space that the template writes."""
    renderer = make_renderer(tokenizer, "vicuna")
    row = reflection_row()
    columns = renderer.tokenize(row)
    tokens = renderer.tokenizer.convert_ids_to_tokens(columns["input_ids"])
    assert tokens[columns["answer_start"] - 1].endswith("▁") and not tokens[columns["answer_start"]].startswith("▁")


def test_earlier_turns_of_a_conversation_are_tokenized_as_its_history():
    renderer = make_renderer("gpt-2", "llama 3")
    row = {**ROWS["usual"], "type": "generation"}
    columns = renderer.tokenize(row)
    assert columns["input_ids"][: columns["answer_start"]] == renderer.one_off_prompt(row)


def test_prefix_that_is_joined_with_the_first_request_is_named():
    """Without a header between them, the newline after the system prompt is one token with the newlines that a request begins with."""
    backend = byte_level()
    backend.add_special_tokens(SPECIALS)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = make_template("A:", "</s>", "{}</s>")
    renderer = ChatTemplateRenderer(tokenizer)

    def row(request):
        turns = [{"role": "system", "content": "s"}, *ROWS["usual"]["messages"]]
        turns[1] = {"role": "user", "content": request}
        return {"messages": turns, "type": "reflection"}

    assert visible_prompt(renderer.tokenize(row("q"))) == one_off_ids(tokenizer, row("q"))
    with pytest.raises(
        UnrenderableRow, match="the tokenizer merges the end of the system prompt with the first request"
    ):
        renderer.tokenize(row("\n\n\nq"))


# Tokenizers that lose characters


def lossy(normalizer=None, pre_tokenizer=None, decoder=None):
    backend = byte_level()
    backend.add_special_tokens(["<|im_start|>", "<|im_end|>", "</s>", *BLOCK_TOKENS.values()])
    if normalizer is not None:
        backend.normalizer = normalizer
    if pre_tokenizer is not None:
        backend.pre_tokenizer = pre_tokenizer
    if decoder is not None:
        backend.decoder = decoder
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
    fast.chat_template = trl_template("qwen2_5")
    return fast


def word_level():
    words = {word: number for number, word in enumerate(["<unk>", "def", "f", "return", "(", ")"])}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


@pytest.mark.parametrize(
    ("tokenizer", "became"),
    [
        (lambda: lossy(normalizers.Replace("    ", " ")), r"'a, b\):\\n    if a ' became 'a, b\):\\n if a != '"),
        (lambda: lossy(normalizers.Lowercase()), "X = .* became .*x = "),
        (lambda: lossy(normalizers.Replace("\n", " ")), "became"),
        (lambda: lossy(pre_tokenizer=pre_tokenizers.WhitespaceSplit()), "became"),
        # Byte-level tokens that are read back as SentencePiece's
        (lambda: lossy(decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])), "became"),
        (word_level, "became"),
    ],
)
@pytest.mark.parametrize("renderer", [ChatTemplateRenderer, BlockTokenRenderer])
def test_tokenizer_that_loses_characters_is_refused(tokenizer, became, renderer):
    with pytest.raises(ValueError, match=f"does not preserve code: .*{became}"):
        renderer(tokenizer())


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_published_tokenizers_give_code_back(tokenizer):
    make_renderer(tokenizer, "think")
