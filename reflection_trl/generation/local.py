"""Generates completions with a transformers model in this process."""

import asyncio
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ..quoting import quote_error
from .loading import load_causal_lm
from .templates import check_prompt_length, encode_prompt
from .types import Completion, GenerationError, Sampling
from .usage import Usage


@dataclass(eq=False)
class _Request:
    """Holds a prompt, the maximum number of new tokens, and the future that waits for them."""

    ids: list[int]
    sampling: Sampling
    room: int
    done: asyncio.Future


class TransformersGenerator:
    """
    Implements [`Generate`] with a transformers model. Use it as an asynchronous context manager. Concurrent requests
    are batched: with continuous batching on a GPU, in static batches on the CPU.

    On the CPU, each request has its own random generator: the same request with the same seed gives the same
    completion, whatever else is in its batch. Continuous batching ignores seeds. The sampling settings of the model's
    `generation_config.json` are not used.

    Args:
        model (`str`):
            Model id on the Hub, or a folder.
        revision (`str`, *optional*):
            Commit, branch or tag on the Hub.
        dtype (`str`, *optional*, defaults to `"auto"`):
            Data type of the weights; `"auto"` is that of the files on a GPU, and float32 on the CPU.
        max_context (`int`, *optional*):
            Maximum number of tokens of prompt and completion together; by default the model's context length.
        batch_size (`int`, *optional*, defaults to `16`):
            Maximum number of requests in a batch, on the CPU.
        chat_template_kwargs (`dict`, *optional*):
            Additional variables for the chat template, such as `{"enable_thinking": False}`.
        usage ([`Usage`], *optional*):
            Counters and budget.

    Raises:
        [`GenerationError`]: If the model cannot be loaded.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        max_context: int | None = None,
        batch_size: int = 16,
        chat_template_kwargs: dict[str, Any] | None = None,
        usage: Usage | None = None,
    ):
        import torch
        from accelerate import PartialState
        from transformers import AutoTokenizer, GenerationConfig

        self.model = model
        self.usage = usage or Usage()
        self._variables = chat_template_kwargs or {}
        self._continuous_batching = torch.cuda.is_available()
        if dtype == "auto" and not self._continuous_batching:
            dtype = "float32"
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
            device = PartialState().device if self._continuous_batching else "cpu"
            self._model = load_causal_lm(model, revision=revision, dtype=dtype, device_map=device).eval()
        except Exception as error:  # files, formats, memory, packages, remote code
            raise GenerationError(f"The model {model!r} cannot be loaded: {quote_error(error)}") from error
        ends = self._model.generation_config.eos_token_id
        ends = {*(ends if isinstance(ends, list) else [ends]), self._tokenizer.eos_token_id} - {None}
        pad = next((one for one in (self._tokenizer.pad_token_id, *sorted(ends)) if one is not None), 0)
        # No other setting of the model: a repetition penalty, for example, would change the requested sampling
        self._model.generation_config = GenerationConfig(eos_token_id=sorted(ends) or None, pad_token_id=pad)
        self._ends = ends
        config = self._model.config.get_text_config()
        self._vocabulary = config.vocab_size
        limits = (max_context, getattr(config, "max_position_embeddings", None))
        self._context = min((limit for limit in limits if limit), default=1 << 20)
        self._batch_size = batch_size
        self._waiting: list[_Request] = []
        self._worker: asyncio.Task | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="generate")
        self._manager: Any = None
        self._numbers = itertools.count()

    async def __aenter__(self) -> "TransformersGenerator":
        if self._continuous_batching:
            self._manager = await asyncio.get_running_loop().run_in_executor(self._thread, self._start_manager)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        if self._manager is not None:
            await asyncio.to_thread(self._manager.stop, block=True, hard_stop=True)
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def __call__(self, prompt: Sequence[dict[str, Any]] | str, sampling: Sampling) -> Completion:
        ids = encode_prompt(prompt, self._tokenizer, self.model, self._variables)
        room = min(sampling.max_tokens, check_prompt_length(len(ids), self._context))
        async with self.usage.request(len(ids) + room):
            request = _Request(ids, sampling, room, asyncio.get_running_loop().create_future())
            answer = await (self._continue(request) if self._manager else self._batch(request))
            return self.usage.count(self._completion(request, answer))

    def _completion(self, request: _Request, answer: list[int]) -> Completion:
        written = answer[:-1] if answer and answer[-1] in self._ends else answer
        reason = "length" if written is answer and len(answer) >= request.room else "stop"
        text = self._text_behind(request.ids, written)
        if places := [text.index(stop) for stop in request.sampling.stop if stop in text]:
            text, reason = text[: min(places)], "stop"
        return Completion(text, reason, len(request.ids), len(answer))

    def _text_behind(self, ids: list[int], answer: list[int]) -> str:
        """
        Decodes the completion. Some tokenizers drop a leading space, so the end of the prompt is decoded with it.
        """
        before, both = (
            self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            for tokens in (ids[-1:], ids[-1:] + answer)
        )
        assert isinstance(before, str) and isinstance(both, str)  # lists come of batches
        return both[len(before) :]

    # On a GPU

    def _start_manager(self) -> Any:
        from transformers import ContinuousBatchingConfig, GenerationConfig

        # With all samplers enabled, each request may use its own
        config = GenerationConfig(
            do_sample=True,
            temperature=0.99,
            top_p=0.99,
            top_k=50,
            max_new_tokens=1024,
            eos_token_id=self._model.generation_config.eos_token_id,
            pad_token_id=self._model.generation_config.pad_token_id,
        )
        manager = self._model.init_continuous_batching(config, ContinuousBatchingConfig(per_request_processors=True))
        manager.start()
        return manager

    async def _continue(self, request: _Request) -> list[int]:
        from .batch_sampling import ends_in_stop

        done, sampling, name = request.done, request.sampling, f"request-{next(self._numbers)}"

        def hand_over(output: Any) -> None:
            if done.done():
                return
            if output.is_finished():
                done.set_result(output)
            elif ends_in_stop(output.generated_tokens, sampling.stop, self._tokenizer):
                done.set_result(output)
                self._manager.cancel_request(name)

        greedy = sampling.temperature == 0
        self._manager.register_result_handler(name, hand_over)
        accepted = self._manager.add_request(
            request.ids,
            request_id=name,
            max_new_tokens=request.room,
            streaming=bool(sampling.stop),
            temperature=1.0 if greedy else float(sampling.temperature),
            # Of tokens with equal probability, `top_k` keeps all, and `top_p` one
            top_p=0.0 if greedy else float(sampling.top_p),
            top_k=1 if greedy else self._vocabulary,
        )
        if accepted is None:
            raise GenerationError("Continuous batching has stopped: see the log above for the reason.")
        try:
            output = await done
        except asyncio.CancelledError:
            self._manager.cancel_request(name)
            raise
        if output.error:
            raise GenerationError(f"Continuous batching failed: {quote_error(output.error)}")
        return list(output.generated_tokens)

    # On the CPU

    async def _batch(self, request: _Request) -> list[int]:
        self._waiting.append(request)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._answer_waiting())
        return await request.done

    async def _answer_waiting(self) -> None:
        batch: list[_Request] = []
        try:
            while self._waiting:
                await asyncio.sleep(0)  # lets requests that are about to be sent join the batch
                batch = self._next_batch()
                answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, batch)
                for request, answer in zip(batch, answers, strict=True):
                    if request.done.done():
                        continue
                    if isinstance(answer, Exception):
                        request.done.set_exception(answer)
                    else:
                        request.done.set_result(answer)
        finally:
            for request in (*batch, *self._waiting):
                request.done.cancel()  # if it has no completion yet

    def _next_batch(self) -> list[_Request]:
        """
        Returns the first requests that fit into the context together, including padding. Canceled ones are skipped.
        """
        batch: list[_Request] = []
        rest: list[_Request] = []
        prompt = room = 0
        for request in self._waiting:
            longest = max(prompt, len(request.ids)), max(room, request.room)
            if request.done.done():
                continue
            if len(batch) < self._batch_size and sum(longest) <= self._context:
                prompt, room = longest
                batch.append(request)
            else:
                rest.append(request)
        self._waiting = rest
        return batch

    def _answer(self, batch: list[_Request]) -> Sequence[list[int] | Exception]:
        """Generates the tokens of each request. If a batch fails, each of its requests is tried separately."""
        if not batch:
            return []
        try:
            return self._generate(batch)
        except Exception as error:
            if len(batch) == 1:
                return [GenerationError(f"The model failed with {type(error).__name__}: {quote_error(error)}")]
        return [self._answer([request])[0] for request in batch]

    def _generate(self, batch: list[_Request]) -> list[list[int]]:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        from .batch_sampling import PerRowSampling, PerRowStopping

        longest = max(len(request.ids) for request in batch)
        ids = torch.full((len(batch), longest), self._model.generation_config.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, request in enumerate(batch):
            ids[row, longest - len(request.ids) :] = torch.tensor(request.ids)
            mask[row, longest - len(request.ids) :] = 1
        ending = PerRowStopping(batch, longest, self._ends, self._tokenizer)
        with torch.inference_mode():
            output = self._model.generate(
                ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=max(request.room for request in batch),
                logits_processor=LogitsProcessorList([PerRowSampling([request.sampling for request in batch])]),
                stopping_criteria=StoppingCriteriaList([ending]),
            )
        answers = output[:, longest:].tolist()
        return [answer[:length] for answer, length in zip(answers, ending.lengths, strict=True)]
