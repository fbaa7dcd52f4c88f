"""What goes to vLLM's engine and what comes back, on a stand-in with the signatures of vLLM 0.20."""

import asyncio
import sys
import types
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from transformers import AutoTokenizer

from reflection_trl.generation import Completion, GenerationError, RequestRefusedError, Sampling


class EngineDeadError(Exception):
    pass


class EngineGenerateError(Exception):
    pass


@dataclass
class AsyncEngineArgs:
    model: str = ""
    revision: str | None = None
    dtype: str = "auto"
    max_model_len: int | None = None
    gpu_memory_utilization: float = 0.9
    kv_cache_memory_bytes: int | None = None
    tensor_parallel_size: int = 1
    seed: int = 0
    enable_prefix_caching: bool | None = None
    tokenizer: str | None = None
    enable_lora: bool = False
    max_lora_rank: int = 16
    disable_log_stats: bool = False


@dataclass
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = 16
    stop: Any = None
    seed: int | None = None
    output_kind: Any = "cumulative"
    detokenize: bool = True

    def __post_init__(self):
        assert self.detokenize or not self.stop  # as vLLM refuses it


class AsyncLLM:
    """Each answer is the next of `script`: a text and a reason, an error to raise, or a number of seconds to wait."""

    script: ClassVar[list] = []
    instances: ClassVar[list] = []

    def __init__(self, arguments, tokenizer):
        self.arguments, self._tokenizer = arguments, tokenizer
        self.model_config = types.SimpleNamespace(max_model_len=arguments.max_model_len or 64)
        self.calls, self.aborted, self.closed = [], [], False
        AsyncLLM.instances.append(self)

    @classmethod
    def from_engine_args(cls, engine_args, start_engine_loop=True, usage_context="engine"):
        if engine_args.model == "broken":
            raise RuntimeError("Engine core initialization failed.\nSee root cause above.")
        assert usage_context == "llm"  # without it vLLM answers few requests at a time
        return cls(engine_args, AutoTokenizer.from_pretrained(engine_args.tokenizer or engine_args.model))

    def get_tokenizer(self):
        return self._tokenizer

    def shutdown(self, timeout=None):
        self.closed = True

    async def collective_rpc(self, method, timeout=None, args=(), kwargs=None):
        self.calls.append((method, kwargs))
        if "broken" in kwargs["weights_path"]:
            raise RuntimeError("size mismatch for lm_head.weight\nmore of it")

    async def reset_prefix_cache(self, reset_running_requests=False, reset_connector=False):
        self.calls.append("reset")
        return True

    async def generate(self, prompt, sampling_params, request_id, *, lora_request=None):
        self.calls.append((prompt, sampling_params, request_id))
        self.adapter = lora_request
        step = self.script[len(self.calls) - 1]
        try:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, (int, float)):
                await asyncio.sleep(step)
            text, reason = step
        except asyncio.CancelledError:
            self.aborted.append(request_id)
            raise
        if sampling_params.detokenize:
            output = types.SimpleNamespace(text=text, finish_reason=reason, token_ids=[1, 2, 3])
        else:
            ids = self._tokenizer.encode(text, add_special_tokens=False)
            ids += [self._tokenizer.eos_token_id] if reason == "stop" else []
            output = types.SimpleNamespace(text="", finish_reason=reason, token_ids=ids)
        yield types.SimpleNamespace(outputs=[output])


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str


@pytest.fixture
def vllm(monkeypatch):
    def module(name, **names):
        made = types.ModuleType(name)
        made.__dict__.update(names)
        monkeypatch.setitem(sys.modules, name, made)

    kind = types.SimpleNamespace(FINAL_ONLY="final")
    module("vllm", AsyncEngineArgs=AsyncEngineArgs, SamplingParams=SamplingParams)
    module("vllm.sampling_params", RequestOutputKind=kind)
    module("vllm.usage")
    module("vllm.usage.usage_lib", UsageContext=types.SimpleNamespace(LLM_CLASS="llm"))
    module("vllm.lora")
    module("vllm.lora.request", LoRARequest=LoRARequest)
    module("vllm.v1")
    module("vllm.v1.engine")
    module("vllm.v1.engine.async_llm", AsyncLLM=AsyncLLM)
    module("vllm.v1.engine.exceptions", EngineDeadError=EngineDeadError, EngineGenerateError=EngineGenerateError)
    AsyncLLM.instances.clear()

    def run(model, script, use, **options):
        from reflection_trl.generation.vllm import VLLMGenerator

        AsyncLLM.script = script

        async def main():
            async with VLLMGenerator(model, **options) as generate:
                return await use(generate)

        return asyncio.run(main()), AsyncLLM.instances[0]

    return run


def test_a_request_goes_with_its_sampling(vllm, tiny_model, tokenizer):
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=1000, stop=("```",), seed=2**32 - 1)
    messages = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "def"}]

    async def use(generate):
        return await generate(messages, sampling)

    options = {"dtype": "bfloat16", "tensor_parallel_size": 2, "kv_cache_memory_bytes": 1 << 30}
    answer, engine = vllm(tiny_model, [("text", "length")], use, **options)
    ((prompt, parameters, _),) = engine.calls
    ids = tokenizer.encode(tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True))
    assert prompt == {"prompt_token_ids": ids}
    assert answer == Completion("text", "length", len(ids), 3)
    # No seed: vLLM would draw for each request by itself
    assert parameters == SamplingParams(0.7, 0.9, 64 - len(ids), ["```"], None, "final")  # stop strings need the text
    assert {name: getattr(engine.arguments, name) for name in options} == options
    assert engine.adapter is None and not engine.arguments.enable_lora
    assert engine.closed


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_without_stop_strings_the_text_is_made_once_at_the_end(vllm, tiny_model, tokenizer, reason):
    """vLLM makes it token by token in this process, which competes with everything else on the event loop."""
    text = "def add(a, b):\n    return a + b"

    async def use(generate):
        return await generate([{"role": "user", "content": "Hi."}], Sampling(max_tokens=10))

    answer, engine = vllm(tiny_model, [(text, reason)], use)
    ((_, parameters, _),) = engine.calls
    count = len(tokenizer.encode(text, add_special_tokens=False)) + (reason == "stop")
    assert not parameters.detokenize and not parameters.stop
    assert (answer.text, answer.finish_reason, answer.completion_tokens) == (text, reason, count)


def test_samples_of_one_prompt_encode_it_once(vllm, tiny_model, monkeypatch):
    """The builder samples several answers of each prompt, and encoding one takes longer than all else here."""
    encoded, messages = [], [{"role": "user", "content": "Once."}]

    async def use(generate):
        encode = generate._tokenizer.encode
        monkeypatch.setattr(
            generate._tokenizer, "encode", lambda text, **options: [encoded.append(text), encode(text, **options)][1]
        )
        await asyncio.gather(*(generate(messages, Sampling(max_tokens=2)) for _ in range(3)))
        await generate([{"role": "user", "content": "Another."}], Sampling(max_tokens=2))

    _, engine = vllm(tiny_model, [("", "length")] * 4, use, max_context=200)
    prompts = [prompt["prompt_token_ids"] for prompt, _, _ in engine.calls]
    assert [text.count("Once") for text in encoded if text] == [1, 0]
    assert prompts[0] == prompts[1] == prompts[2] != prompts[3]
    prompts[0].clear()  # the engine may change the list that it was given
    assert prompts[1]


def test_a_text_keeps_the_space_that_it_begins_with():
    """A tokenizer like Llama's drops it from a text that stands alone."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    from reflection_trl.generation.vllm import VLLMGenerator

    words = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "\u2581Q": 2, "\u2581def": 3, "\u2581add": 4}, "<unk>"))
    words.decoder = decoders.Metaspace()
    generator = VLLMGenerator.__new__(VLLMGenerator)
    generator._tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>")
    assert generator._tokenizer.decode([3, 4]) == "def add"
    assert generator._text([2], [3, 4, 1], "stop") == generator._text([2] * 9, [3, 4], "length") == " def add"
    assert generator._text([2], [1], "stop") == ""


def test_engines_sample_differently_unless_they_are_given_a_seed(vllm, tiny_model):
    async def use(generate):
        pass

    seeds = []
    for options in ({}, {}, {"seed": 7}):
        vllm(tiny_model, [], use, **options)
        seeds.append(AsyncLLM.instances[-1].arguments.seed)
    assert seeds[0] != seeds[1] and seeds[2] == 7


@pytest.mark.parametrize("own_tokenizer", [True, False])
def test_an_adapter_is_served_over_its_base_model(vllm, tiny_model, tmp_path, own_tokenizer):
    from peft import LoraConfig

    LoraConfig(
        r=12, target_modules="all-linear", task_type="CAUSAL_LM", base_model_name_or_path=str(tiny_model)
    ).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    if own_tokenizer:
        tokenizer.chat_template = "Q: {{ messages[0].content }} A:"
        tokenizer.save_pretrained(tmp_path)

    async def use(generate):
        return await generate([{"role": "user", "content": "Hi."}], Sampling())

    _, engine = vllm(str(tmp_path), [("text", "stop")], use)
    assert engine.arguments.model == str(tiny_model)
    assert engine.arguments.enable_lora and engine.arguments.max_lora_rank == 16
    assert engine.adapter == LoRARequest("adapter", 1, str(tmp_path))
    ((prompt, _, _),) = engine.calls
    assert (tokenizer.decode(prompt["prompt_token_ids"]) == "Q: Hi. A:") is own_tokenizer


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (EngineDeadError("EngineCore encountered an issue."), GenerationError, "engine has died"),
        (EngineGenerateError(), RequestRefusedError, "cannot answer the request"),
        (ValueError("token id 99999 is out of vocabulary"), RequestRefusedError, "out of vocabulary"),
        (("half", "abort"), RequestRefusedError, "ended the request with 'abort'"),
        (("half", "error"), RequestRefusedError, "ended the request with 'error'"),
    ],
)
def test_errors_of_the_engine(vllm, tiny_model, step, error, message):
    async def use(generate):
        with pytest.raises(GenerationError, match=message) as caught:
            await generate("x", Sampling())
        assert generate.usage.requests == 0
        return type(caught.value)

    kind, engine = vllm(tiny_model, [step], use)
    assert kind is error and engine.closed


def test_a_prompt_that_is_too_long_never_reaches_the_engine(vllm, tiny_model):
    async def use(generate):
        with pytest.raises(RequestRefusedError, match="but prompt and answer together may have 10"):
            await generate("def add(a, b): " * 10, Sampling())

    _, engine = vllm(tiny_model, [], use, max_context=10)
    assert engine.calls == []


def test_a_request_that_is_given_up_is_aborted(vllm, tiny_model):
    async def use(generate):
        task = asyncio.create_task(generate("x", Sampling()))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    _, engine = vllm(tiny_model, [30], use)
    assert len(engine.aborted) == 1


def test_an_engine_that_does_not_start(vllm):
    from reflection_trl.generation.vllm import VLLMGenerator

    with pytest.raises(GenerationError, match="cannot load 'broken': Engine core initialization failed") as caught:
        VLLMGenerator("broken")
    assert "\n" not in str(caught.value)


def test_an_adapter_that_cannot_be_read(vllm, tmp_path):
    from reflection_trl.generation.vllm import VLLMGenerator

    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(GenerationError, match=r"The adapter .* cannot be loaded"):
        VLLMGenerator(str(tmp_path))


def test_vllm_that_is_not_installed(monkeypatch):
    from reflection_trl.generation.vllm import VLLMGenerator

    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(GenerationError, match="`pip install vllm`"):
        VLLMGenerator("m")


def test_an_engine_continues_with_other_weights_of_the_same_shape(vllm, tiny_model, tokenizer, make_model, tmp_path):
    from conftest import tiny_config

    for name, config in (("trained", tiny_config()), ("wider", tiny_config(hidden_size=64))):
        make_model(config).save_pretrained(tmp_path / name)
        AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / name)
    make_model().save_pretrained(tmp_path / "other-template")
    other = AutoTokenizer.from_pretrained(tiny_model)
    other.chat_template = "Q: {{ messages[0].content }} A:"
    other.save_pretrained(tmp_path / "other-template")

    async def use(generate):
        fits = {name: generate.can_load(str(tmp_path / name)) for name in ("trained", "wider", "other-template")}
        await generate.load_weights(str(tmp_path / "trained"))
        assert generate.model == str(tmp_path / "trained")
        with pytest.raises(
            GenerationError, match=r"cannot load the weights of 'broken': size mismatch for lm_head.weight \(see"
        ):
            await generate.load_weights("broken")
        return fits

    fits, engine = vllm(tiny_model, [], use)
    assert fits == {"trained": True, "wider": False, "other-template": False}
    assert engine.calls[:2] == [("reload_weights", {"weights_path": str(tmp_path / "trained")}), "reset"]
