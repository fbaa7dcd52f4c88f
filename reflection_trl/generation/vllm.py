"""
Generates completions with vLLM in this process: one engine on the GPUs of this machine, with concurrent requests.
"""

import itertools
import os
import secrets
from collections.abc import Sequence
from typing import Any

from ..quoting import quote_error
from .templates import check_prompt_length, encode_prompt
from .types import Completion, GenerationError, RequestRefusedError, Sampling
from .usage import Usage


# Parts of a model's configuration that may differ between weights of the same model
_NOT_SHAPE = (
    "_name_or_path",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "pad_token_id",
    "transformers_version",
    "use_cache",
)
_TAIL = 6  # tokens of a prompt, for the text behind it
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the sizes that vLLM has kernels for


class VLLMGenerator:
    """
    Implements [`Generate`] with vLLM's asynchronous engine. Use it as an asynchronous context manager. Start it under
    `if __name__ == "__main__":`, since the engine starts processes.

    Seeds of requests are ignored: vLLM's sampler processes seeded requests one by one, and the sampled tokens would
    still depend on the rest of the batch.

    Args:
        model (`str`):
            Model id on the Hub, or a folder, of a model or of a LoRA adapter. An adapter is served on top of its base
            model.
        revision (`str`, *optional*):
            Commit, branch or tag on the Hub.
        dtype (`str`, *optional*, defaults to `"auto"`):
            Data type of the weights.
        max_context (`int`, *optional*):
            Maximum number of tokens of prompt and completion together; by default the model's context length. A lower
            value leaves memory for more requests.
        gpu_memory_utilization (`float`, *optional*, defaults to `0.9`):
            Share of the GPU memory that the engine uses. It must be free when the engine starts.
        kv_cache_memory_bytes (`int`, *optional*):
            Memory in bytes for the KV cache, instead of the rest of that share. Engines that start on one GPU at the
            same time would otherwise count each other's memory.
        tensor_parallel_size (`int`, *optional*, defaults to `1`):
            GPUs that share one copy of the model.
        seed (`int`, *optional*):
            Seed of all samples; random by default.
        chat_template_kwargs (`dict`, *optional*):
            Additional variables for the chat template, such as `{"enable_thinking": False}`.
        usage ([`Usage`], *optional*):
            Counters and budget.

    Raises:
        [`GenerationError`]: If vLLM is not installed, or cannot load the model.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        max_context: int | None = None,
        gpu_memory_utilization: float = 0.9,
        kv_cache_memory_bytes: int | None = None,
        tensor_parallel_size: int = 1,
        seed: int | None = None,
        chat_template_kwargs: dict[str, Any] | None = None,
        usage: Usage | None = None,
    ):
        self.model = model
        self._revision = revision
        self.usage = usage or Usage()
        self._variables = chat_template_kwargs or {}
        self._numbers = itertools.count()
        # A forked engine cannot use a GPU that this process has initialized
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        try:
            from vllm import AsyncEngineArgs
            from vllm.usage.usage_lib import UsageContext
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise GenerationError(
                f"vLLM cannot be imported ({quote_error(error)}): `pip install vllm`, or use another `backend`."
            ) from None
        try:
            source = _served_model(model, revision)
        except Exception as error:  # files, formats, the Hub
            raise GenerationError(f"The adapter {model!r} cannot be loaded: {quote_error(error)}") from error
        self._adapter = source.pop("adapter")
        arguments = AsyncEngineArgs(
            **source,
            dtype=dtype,
            max_model_len=max_context,
            gpu_memory_utilization=gpu_memory_utilization,
            kv_cache_memory_bytes=kv_cache_memory_bytes,
            tensor_parallel_size=tensor_parallel_size,
            # Not 0: processes of one run would sample the same completions for a prompt, and a resumed run would
            # repeat its own
            seed=secrets.randbits(31) if seed is None else seed,
            enable_prefix_caching=True,  # a repair prompt starts with the previous prompt
            disable_log_stats=True,
        )
        try:
            # Batches as large as those of `vllm.LLM`: without a usage context, an engine answers 128 requests at a
            # time, not 1024
            self._engine = AsyncLLM.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
        except Exception as error:  # files, formats, memory, drivers
            raise GenerationError(f"vLLM cannot load {model!r}: {quote_error(error)} (see its log above).") from error
        self._tokenizer = self._engine.get_tokenizer()
        self._context = self._engine.model_config.max_model_len

    async def __aenter__(self) -> "VLLMGenerator":
        return self

    async def __aexit__(self, *error: object) -> None:
        self._engine.shutdown()

    def can_load(self, model: str) -> bool:
        """
        Returns whether `load_weights` supports a model: it must have the architecture and the tokenizer of the current
        one, and neither may be an adapter.

        Args:
            model (`str`):
                Name on the Hub, or a directory.
        """
        from transformers import AutoConfig, AutoTokenizer
        from transformers.utils.peft_utils import find_adapter_config_file

        if self._adapter is not None or find_adapter_config_file(model) is not None:
            return False
        configs = [AutoConfig.from_pretrained(self.model, revision=self._revision), AutoConfig.from_pretrained(model)]
        ours, theirs = (
            {name: value for name, value in config.to_dict().items() if name not in _NOT_SHAPE} for config in configs
        )
        tokenizer = AutoTokenizer.from_pretrained(model)
        same_tokens = tokenizer.get_vocab() == self._tokenizer.get_vocab()
        return ours == theirs and same_tokens and tokenizer.chat_template == self._tokenizer.chat_template

    async def load_weights(self, model: str) -> None:
        """
        Replaces the weights in about 1 s, where a new engine takes one or two minutes. Do not call it during requests.

        Args:
            model (`str`):
                Model id on the Hub, or a folder, for which `can_load` returns `True`.

        Raises:
            [`GenerationError`]: If the weights cannot be read.
        """
        try:
            await self._engine.collective_rpc("reload_weights", kwargs={"weights_path": model})
        except Exception as error:  # files and shapes
            raise GenerationError(
                f"vLLM cannot load the weights of {model!r}: {quote_error(error)} (see its log above)."
            ) from error
        await self._engine.reset_prefix_cache()  # the cache was computed with the previous weights
        self.model, self._revision = model, None

    async def __call__(self, prompt: Sequence[dict[str, Any]] | str, sampling: Sampling) -> Completion:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        ids = encode_prompt(prompt, self._tokenizer, self.model, self._variables)
        room = min(sampling.max_tokens, check_prompt_length(len(ids), self._context))
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=room,
            stop=list(sampling.stop),
            # vLLM would turn tokens into text one by one, in this process and between the requests of others; only stop strings need it
            detokenize=bool(sampling.stop),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        async with self.usage.request(len(ids) + room):
            number = f"request-{next(self._numbers)}"
            request = self._engine.generate({"prompt_token_ids": ids}, parameters, number, lora_request=self._adapter)
            try:
                (output,) = [output async for output in request]
            except EngineDeadError as error:
                raise GenerationError(f"vLLM's engine has died ({quote_error(error)}): see its log above.") from error
            except (EngineGenerateError, ValueError) as error:
                raise RequestRefusedError(
                    f"vLLM cannot answer the request: {quote_error(error.__cause__ or error)}"
                ) from error
            answer = output.outputs[0]
            if answer.finish_reason not in ("stop", "length"):
                raise RequestRefusedError(f"vLLM ended the request with {answer.finish_reason!r}: see its log above.")
            text = answer.text if sampling.stop else self._text(ids, answer.token_ids, answer.finish_reason)
            return self.usage.count(Completion(text, answer.finish_reason, len(ids), len(answer.token_ids)))

    def _text(self, prompt: Sequence[int], ids: Sequence[int], finish_reason: str) -> str:
        """
        Returns the text of an answer, as vLLM would give it: without special tokens, and without the one that ended
        it.
        """
        ids = list(ids[:-1] if finish_reason == "stop" else ids)
        # Behind the end of the prompt: some tokenizers drop the space that a text begins with
        tail = list(prompt[-_TAIL:])
        before, whole = (
            self._tokenizer.decode(some, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            for some in (tail, tail + ids)
        )
        return whole[len(before) :]


def _served_model(model: str, revision: str | None) -> dict[str, Any]:
    """Returns the engine arguments for a model, and the `adapter` of each request if the model is an adapter."""
    from transformers.utils.peft_utils import find_adapter_config_file

    if find_adapter_config_file(model, revision=revision) is None:
        return {"model": model, "revision": revision, "adapter": None}
    from huggingface_hub import snapshot_download
    from peft import PeftConfig
    from vllm.lora.request import LoRARequest

    folder = model if os.path.isdir(model) else snapshot_download(model, revision=revision)
    config = PeftConfig.from_pretrained(folder)
    ranks = [config.r, *(config.rank_pattern or {}).values()]
    return {
        "model": config.base_model_name_or_path,
        "revision": config.revision,
        # The adapter was trained with this tokenizer, whose chat template may differ
        "tokenizer": folder if os.path.exists(os.path.join(folder, "tokenizer_config.json")) else None,
        "enable_lora": True,
        "max_lora_rank": next((rank for rank in _LORA_RANKS if rank >= max(ranks)), max(ranks)),
        "adapter": LoRARequest("adapter", 1, folder),
    }
