"""Which model answers, and by what."""

import asyncio
import sys
import types

import pytest

from reflection_trl.generation import GenerationArguments, GenerationError, Sampling, open_generator, settings
from reflection_trl.generation.endpoint import EndpointGenerator
from reflection_trl.generation.local import TransformersGenerator


URL = "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "No model specified: pass --model_name_or_path, or --base_url of a server."),
        ({"model_name_or_path": object()}, "by its Hub id or folder, not as object: pass its name, or save it with"),
        ({"backend": "openai"}, "--backend 'openai': use one of auto, endpoint, vllm, transformers."),
        ({"backend": "vllm", "base_url": URL}, "--backend vllm runs the model on this machine: remove --base_url."),
        ({"base_url": "localhost:8000"}, "--base_url 'localhost:8000' is not an address"),
        ({"base_url": "http:///v1"}, "is not an address: use the form http://localhost:8000/v1."),
        ({"base_url": "https://me:hunter2@host/v1"}, "--base_url contains a password"),
        ({"dtype": "int3"}, "--dtype 'int3': use one of auto, float32, bfloat16, float16."),
        ({"max_concurrency": 0}, "--max_concurrency must be at least 1, got 0."),
        ({"max_requests": 0}, "--max_requests must be at least 1, got 0."),
        ({"max_total_tokens": -5}, "--max_total_tokens must be at least 1, got -5."),
        ({"max_context": 0}, "--max_context must be at least 1, got 0."),
        ({"tensor_parallel_size": 0}, "--tensor_parallel_size must be at least 1, got 0."),
        ({"requests_per_minute": 0.0}, "--requests_per_minute must be above 0, got 0.0."),
        ({"requests_per_minute": float("nan")}, "--requests_per_minute must be above 0, got nan."),
        ({"gpu_memory_utilization": 90}, "--gpu_memory_utilization must be above 0 and at most 1, got 90."),
    ],
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(ValueError) as caught:
        GenerationArguments(**({"model_name_or_path": "m"} if options and "base_url" not in options else {}) | options)
    assert message in str(caught.value) and "hunter2" not in str(caught.value)


def test_a_model_folder_may_be_a_path(tmp_path):
    assert GenerationArguments(tmp_path).model == str(tmp_path)


@pytest.mark.parametrize(
    ("options", "vllm", "cuda", "chosen"),
    [
        ({"base_url": URL}, True, True, "endpoint"),
        ({}, True, True, "vllm"),
        ({}, True, False, "transformers"),
        ({}, False, True, "transformers"),
        ({"backend": "transformers"}, True, True, "transformers"),
        ({"backend": "endpoint"}, True, True, "endpoint"),
    ],
)
def test_the_backend_that_is_chosen(monkeypatch, options, vllm, cuda, chosen):
    monkeypatch.setattr(settings.importlib.util, "find_spec", lambda name: types.SimpleNamespace() if vllm else None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    assert GenerationArguments(model_name_or_path="m", **options).chosen_backend == chosen


def test_the_generator_of_an_endpoint(monkeypatch):
    monkeypatch.setenv("MY_KEY", "abc")
    arguments = GenerationArguments(
        base_url=URL,
        api_key_variable="MY_KEY",
        max_concurrency=7,
        requests_per_minute=30,
        max_requests=5,
        max_total_tokens=9,
    )
    generate = open_generator(arguments)
    assert isinstance(generate, EndpointGenerator)
    assert (generate.usage.max_requests, generate.usage.max_tokens) == (5, 9)
    assert (generate._concurrency, generate._pause, generate._key) == (7, 2.0, "abc")
    assert "abc" not in repr(arguments)


THINKING = (
    "{% for turn in messages %}{{ turn['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)


def test_a_model_is_asked_with_the_variables_that_it_was_trained_with(tiny_model, monkeypatch):
    """A thinking model that was distilled without thinking would think when it is evaluated."""
    arguments = GenerationArguments(tiny_model, chat_template_kwargs='{"enable_thinking": false}')
    generate = open_generator(arguments)
    generate._tokenizer.chat_template, prompts = THINKING, []
    encode = generate._tokenizer.encode
    monkeypatch.setattr(generate._tokenizer, "encode", lambda text, **how: prompts.append(text) or encode(text, **how))

    async def ask():
        async with generate:
            await generate([{"role": "user", "content": "hello"}], Sampling(max_tokens=1))

    asyncio.run(ask())
    assert prompts == ["hello\n<think></think>"]


@pytest.mark.parametrize("given", ["nonsense", "[1]", "3"])
def test_variables_that_are_none(given):
    with pytest.raises(ValueError, match=r"--chat_template_kwargs .* is not a JSON object; give one such as"):
        GenerationArguments("m", chat_template_kwargs=given)


def test_the_generator_of_a_folder(tiny_model):
    generate = open_generator(GenerationArguments(tiny_model, max_context=99, max_requests=3))
    assert isinstance(generate, TransformersGenerator)
    assert (generate.model, generate.usage.max_requests, generate._context) == (tiny_model, 3, 99)


def test_a_model_that_is_nowhere(tmp_path):
    with pytest.raises(GenerationError, match="cannot be loaded") as caught:
        open_generator(GenerationArguments(str(tmp_path / "nowhere")))
    assert "\n" not in str(caught.value)


def test_vllm_that_was_asked_for_and_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(GenerationError, match="`pip install vllm`, or use another `backend`"):
        open_generator(GenerationArguments("m", backend="vllm"))
