"""Answers from a tiny model in this process, on the CPU."""

import asyncio
import functools
import shutil
import threading

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast

from reflection_trl.generation import (
    BudgetExhaustedError,
    Completion,
    GenerationError,
    RequestRefusedError,
    Sampling,
    Usage,
)
from reflection_trl.generation.batch_sampling import PerRowSampling
from reflection_trl.generation.local import TransformersGenerator


GREEDY = Sampling(max_tokens=24)
PROMPTS = [
    "def add(a, b):",
    "Write a Python function that solves the problem.",
    "for i in range(10): print(i)",
    "x",
    "assert " * 40,
]


def chat(text):
    return [{"role": "user", "content": text}]


def run(folder, use, **options):
    async def main():
        async with TransformersGenerator(folder, **options) as generate:
            return await use(generate)

    return asyncio.run(main())


def answers(folder, prompts, samplings, **options):
    async def use(generate):
        asked = (generate(prompt, sampling) for prompt, sampling in zip(prompts, samplings, strict=True))
        return await asyncio.gather(*asked, return_exceptions=True)

    return run(folder, use, **options)


@pytest.fixture(scope="module")
def plain(tiny_model):
    """One request by itself, with transformers' own greedy search."""
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model)
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id, pad_token_id=0)

    def complete(prompt, max_tokens):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        output = model.generate(ids, do_sample=False, max_new_tokens=max_tokens)[0, ids.shape[1] :]
        return tokenizer.decode(output, skip_special_tokens=True)

    return complete


# Greedy


def test_the_likeliest_tokens_whatever_else_is_asked(tiny_model, plain):
    samplings = [
        Sampling(max_tokens=24),
        Sampling(max_tokens=7),
        Sampling(temperature=1.0, seed=3, max_tokens=40),
        Sampling(max_tokens=90),
        Sampling(max_tokens=1),
    ]
    together = answers(tiny_model, PROMPTS, samplings)
    for prompt, sampling, answer in zip(PROMPTS, samplings, together, strict=True):
        if sampling.temperature == 0:
            assert answer.text == plain(prompt, sampling.max_tokens)
            assert answer.completion_tokens <= sampling.max_tokens


def test_a_conversation_goes_through_the_chat_template(tiny_model, plain, tokenizer):
    messages = [{"role": "system", "content": "Be brief."}, *chat("Hello.")]
    (answer,) = answers(tiny_model, [messages], [GREEDY])
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert answer.text == plain(text, 24)
    assert answer.prompt_tokens == len(tokenizer(text).input_ids)


def test_an_answer_that_was_begun_is_gone_on_with(tiny_model, plain, tokenizer):
    messages = [*chat("Hello."), {"role": "assistant", "content": "```python\ndef f"}]
    (answer,) = answers(tiny_model, [messages], [GREEDY])
    text = tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    assert text.endswith("```python\ndef f")
    assert answer.text == plain(text, 24)


# Sampling


def test_a_seed_repeats_its_sample_whatever_else_is_asked(tiny_model):
    sampling = Sampling(temperature=1.0, top_p=0.9, max_tokens=20, seed=11)
    others = [Sampling(temperature=0.5, max_tokens=30, seed=seed) for seed in (11, 2, 5)]
    (alone,) = answers(tiny_model, ["x = "], [sampling])
    *_, in_company = answers(tiny_model, [*PROMPTS[:3], "x = "], [*others, sampling])
    _, last = answers(tiny_model, ["x = ", "x = "], [others[1], sampling], batch_size=1)
    assert alone == in_company == last


def test_seeds_differ_from_each_other(tiny_model):
    samplings = [Sampling(temperature=1.0, max_tokens=20, seed=seed) for seed in range(4)]
    samplings += [Sampling(temperature=1.0, max_tokens=20)] * 4
    texts = [answer.text for answer in answers(tiny_model, ["x = "] * 8, samplings)]
    assert len(set(texts)) == 8


def test_draws_follow_temperature_and_nucleus():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -8.0])
    samplings = [
        Sampling(temperature=1.0, seed=1),
        Sampling(temperature=0.5, seed=2),
        Sampling(temperature=1.0, top_p=0.85, seed=3),
        Sampling(temperature=1.0, top_p=0.01, seed=4),
        Sampling(temperature=0.0),
    ]
    draw, counts = PerRowSampling(samplings), torch.zeros(len(samplings), 5)
    for _ in range(1000):
        counts[range(len(samplings)), draw(None, logits.repeat(len(samplings), 1)).argmax(-1)] += 1
    shares = counts / 1000
    nucleus = logits.softmax(-1)[:2] / logits.softmax(-1)[:2].sum()  # the first two are the least that make 0.85
    expected = [logits.softmax(-1), (logits / 0.5).softmax(-1), [*nucleus, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    for share, wanted in zip(shares, expected, strict=True):
        assert (share - torch.as_tensor(wanted)).abs().max() < 0.06
    assert shares[2, 2:].sum() == 0


# Ends


@pytest.mark.parametrize("end", ["<|im_end|>", "<|endoftext|>"])
def test_every_end_token_ends_an_answer(tiny_model, tokenizer, end):
    def insist(module, arguments, output):
        output.logits[..., tokenizer.convert_tokens_to_ids(end)] = 1e9

    async def use(generate):
        generate._model.register_forward_hook(insist)
        return await generate("x", Sampling(max_tokens=30))

    assert run(tiny_model, use) == Completion("", "stop", 1, 1)


def test_a_stop_text_ends_its_own_request(tiny_model, plain):
    whole = plain("x", 60)
    stop = whole[20:24]
    place = whole.index(stop)
    samplings = [Sampling(max_tokens=60, stop=("never", stop)), Sampling(max_tokens=60)]
    stopped, other = answers(tiny_model, ["x", "x"], samplings)
    assert (stopped.text, stopped.finish_reason) == (whole[:place], "stop")
    assert stopped.completion_tokens < 60
    assert other.text == whole


def test_the_earliest_of_several_stop_texts_counts(tiny_model, plain):
    whole = plain("x", 60)
    (answer,) = answers(tiny_model, ["x"], [Sampling(max_tokens=60, stop=(whole[9:12], whole[5:8]))])
    assert answer.text == whole[: min(whole.index(whole[5:8]), whole.index(whole[9:12]))]


def test_an_answer_of_its_longest_length_was_cut(tiny_model):
    cut, longer = answers(tiny_model, ["x", "x"], [Sampling(max_tokens=5), Sampling(max_tokens=50)])
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 5)
    assert longer.completion_tokens > 5


def test_the_context_limits_prompt_and_answer(tiny_model, plain):
    prompts = ["x", "assert " * 50, "assert " * 100]
    fits, cut, too_long = answers(tiny_model, prompts, [Sampling(max_tokens=50)] * 3, max_context=80)
    assert fits.text == plain("x", 50)
    assert 50 < cut.prompt_tokens < 80
    assert cut.text == plain(prompts[1], 80 - cut.prompt_tokens)
    assert cut.prompt_tokens + cut.completion_tokens == 80 and cut.finish_reason == "length"
    assert isinstance(too_long, RequestRefusedError)
    assert "tokens, but prompt and answer together may have 80" in str(too_long)


def test_a_longer_context_than_the_models_is_not_believed(tiny_model):
    (answer,) = answers(tiny_model, ["assert " * 3000], [GREEDY], max_context=1 << 20)
    assert "but prompt and answer together may have 2048" in str(answer)


@pytest.mark.parametrize("prompt", ["", " ", "\ud800 half of a pair", "naïve 🧪\x00", chat("")])
def test_odd_prompts(tiny_model, prompt):
    (answer,) = answers(tiny_model, [prompt], [Sampling(max_tokens=3)])
    assert isinstance(answer, Completion) or (prompt == "" and isinstance(answer, RequestRefusedError))


def test_a_leading_space_is_kept_whatever_the_tokenizer(tiny_model, tmp_path):
    pieces = ["<s>", "<unk>", "<0x0A>", "▁", "▁▁▁▁", "def", "▁f", "return", "▁x", ":"]
    backend = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    generate = TransformersGenerator(tiny_model)
    generate._tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", unk_token="<unk>")
    assert generate._text_behind([5, 6, 9, 2], [4, 7, 8]) == "    return x"


# What cannot be answered


def test_a_model_without_a_chat_template(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()

    async def use(generate):
        with pytest.raises(GenerationError, match="has no chat template: use an instruct model"):
            await generate(chat("hello"), GREEDY)
        return await generate("hello", GREEDY)

    assert isinstance(run(str(folder), use), Completion)


@pytest.mark.parametrize(
    ("template", "error", "message"),
    [
        ("{{ raise_exception('no such role') }}", RequestRefusedError, "rejects the conversation: no such role"),
        ("{{ messages[7].content }}", RequestRefusedError, "rejects the conversation"),
        ("{% for %}", GenerationError, "cannot be used"),
    ],
)
def test_a_chat_template_that_raises(tiny_model, tmp_path, template, error, message):
    folder = shutil.copytree(tiny_model, tmp_path / "raises")
    (folder / "chat_template.jinja").write_text(template)
    (answer,) = answers(str(folder), [chat("hello")], [GREEDY])
    assert type(answer) is error and message in str(answer)


@pytest.mark.parametrize("content", [None, "config", "weights"])
def test_a_model_that_cannot_be_loaded(tiny_model, tmp_path, content):
    folder = tmp_path / "broken"
    if content:
        shutil.copytree(tiny_model, folder)
        (folder / {"config": "config.json", "weights": "model.safetensors"}[content]).write_text("{}")
    with pytest.raises(GenerationError, match="cannot be loaded") as caught:
        TransformersGenerator(str(folder))
    assert "\n" not in str(caught.value)


def test_a_batch_that_fails_is_taken_apart(tiny_model, plain):
    async def use(generate):
        real = generate._model.generate

        def no_memory(ids, **arguments):
            if len(ids) > 1 or ids.shape[1] > 30:
                raise MemoryError("not so much")
            return real(ids, **arguments)

        generate._model.generate = no_memory
        asked = (generate(prompt, GREEDY) for prompt in PROMPTS)
        return await asyncio.gather(*asked, return_exceptions=True), await generate("later", GREEDY)

    found, later = run(tiny_model, use)
    assert [answer.text for answer in found[:4]] == [plain(prompt, 24) for prompt in PROMPTS[:4]]
    assert "The model failed with MemoryError: not so much" in str(found[4])
    assert later.text == plain("later", 24)


# Budget, and the end


def test_the_budget_of_tokens_is_kept(tiny_model):
    async def use(generate):
        asked = (generate("x", Sampling(max_tokens=10)) for _ in range(30))
        return await asyncio.gather(*asked, return_exceptions=True), generate.usage

    found, usage = run(tiny_model, use, usage=Usage(max_tokens=100))
    assert 80 < usage.tokens <= 100
    assert {type(answer) for answer in found} == {Completion, BudgetExhaustedError}


def test_an_answer_that_nobody_waits_for_is_not_finished(tiny_model):
    async def use(generate):
        asked = asyncio.create_task(generate("x", Sampling(temperature=1.0, max_tokens=2000, seed=0)))
        while not generate._worker:
            await asyncio.sleep(0.01)
        asked.cancel()
        await generate("y", Sampling(max_tokens=2))

    steps = []
    original = PerRowSampling.__call__

    def counted(self, ids, scores):
        steps.append(1)
        return original(self, ids, scores)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PerRowSampling, "__call__", counted)
        run(tiny_model, use)
    assert len(steps) < 1000


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_closing_leaves_no_thread_and_no_task(tiny_model, error):
    async def use(generate):
        tasks.extend(asyncio.create_task(generate("x", Sampling(temperature=1.0, max_tokens=2000))) for _ in range(40))
        await asyncio.sleep(0.05)
        raise error("out")

    tasks = []
    with pytest.raises(error, match="out"):
        run(tiny_model, use)
    assert all(task.cancelled() for task in tasks)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("generate")]


# Continuous batching, which runs on the CPU too


@pytest.fixture
def continuous(tiny_model, monkeypatch):
    import transformers

    small = functools.partial(transformers.ContinuousBatchingConfig, num_blocks=32, max_batch_tokens=256)
    monkeypatch.setattr(transformers, "ContinuousBatchingConfig", small)

    def open_generator(**options):
        generate = TransformersGenerator(tiny_model, **options)
        generate._continuous_batching = True
        return generate

    return open_generator


def test_continuous_batching_answers_like_a_plain_search(continuous, plain):
    samplings = [GREEDY, Sampling(max_tokens=7), Sampling(temperature=1.0, top_p=0.9, max_tokens=30), GREEDY, GREEDY]

    async def main():
        async with continuous() as generate:
            asked = (generate(prompt, sampling) for prompt, sampling in zip(PROMPTS, samplings, strict=True))
            return await asyncio.gather(*asked)

    for prompt, sampling, answer in zip(PROMPTS, samplings, asyncio.run(main()), strict=True):
        if sampling.temperature == 0:
            assert answer.text == plain(prompt, sampling.max_tokens)


def test_continuous_batching_stops_and_closes(continuous, plain):
    whole = plain("x", 60)

    async def main():
        async with continuous() as generate:
            stopped = await generate("x", Sampling(max_tokens=1000, stop=(whole[20:24],)))
            # Greedy, and so known to come to no end soon: a draw may
            given_up = asyncio.create_task(generate("x", Sampling(temperature=0.0, max_tokens=1900)))
            await asyncio.sleep(0.1)
            given_up.cancel()
            open_still = asyncio.create_task(generate("x", Sampling(temperature=0.0, max_tokens=1900)))
            await asyncio.sleep(0.1)
        with pytest.raises(GenerationError, match="Continuous batching"):
            await open_still
        with pytest.raises(GenerationError, match="has stopped"):
            await generate("late", GREEDY)
        return stopped

    before = threading.active_count()
    stopped = asyncio.run(asyncio.wait_for(main(), 30))
    assert (stopped.text, stopped.finish_reason) == (whole[: whole.index(whole[20:24])], "stop")
    assert stopped.completion_tokens < 100
    assert threading.active_count() <= before
