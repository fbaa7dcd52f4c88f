"""Samples and ends each request of a batch separately, so that its completion does not depend on the others."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria

from .types import Sampling


class PerRowSampling(LogitsProcessor):
    """
    Samples the next token of each row with the row's own sampling settings and random generator. Greedy search then
    selects it.

    Args:
        samplings (`Sequence[Sampling]`):
            Sampling settings of each row.
    """

    def __init__(self, samplings: Sequence[Sampling]):
        self._samplings = samplings
        self._generators = [torch.Generator() for _ in samplings]
        for sampling, generator in zip(samplings, self._generators, strict=True):
            if sampling.seed is None:
                generator.seed()
            else:
                generator.manual_seed(sampling.seed)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for row, (sampling, generator) in enumerate(zip(self._samplings, self._generators, strict=True)):
            if sampling.temperature > 0:
                token = self._sample_token(scores[row].float() / sampling.temperature, sampling.top_p, generator)
                scores[row] = float("-inf")
                scores[row, token] = 0.0
        return scores

    @staticmethod
    def _sample_token(logits: torch.Tensor, top_p: float, generator: torch.Generator) -> int:
        probabilities = logits.softmax(-1).cpu()
        while True:
            token = int(torch.multinomial(probabilities, 1, generator=generator))
            # Sampled again until it is in the nucleus: the same distribution as after truncation, without sorting
            if probabilities[probabilities > probabilities[token]].sum() < top_p:
                return token


class PerRowStopping(StoppingCriteria):
    """
    Ends each row at an end token, at one of its stop texts, at its maximum length, or when its request is canceled.

    Args:
        requests (`Sequence`):
            The request of each row, with `sampling`, `room` and `done`.
        prompt_length (`int`):
            Number of tokens before the completions, including padding.
        ends (`Collection[int]`):
            Ids of end tokens.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Decodes the completions.

    Attributes:
        lengths (`list[int]`):
            Number of tokens of each completion, including its end token; 0 until it has ended.
    """

    def __init__(self, requests: Sequence[Any], prompt_length: int, ends: Collection[int], tokenizer: Any):
        self.lengths = [0] * len(requests)
        self._requests = requests
        self._prompt_length = prompt_length
        self._ends = ends
        self._tokenizer = tokenizer

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        answers = input_ids[:, self._prompt_length :]
        for row, request in enumerate(self._requests):
            if not self.lengths[row] and self._has_ended(request, answers[row]):
                self.lengths[row] = answers.shape[1]
        return torch.tensor([length > 0 for length in self.lengths], device=input_ids.device)

    def _has_ended(self, request: Any, answer: torch.Tensor) -> bool:
        return (
            len(answer) >= request.room
            or int(answer[-1]) in self._ends
            or request.done.done()
            or ends_in_stop(answer.tolist(), request.sampling.stop, self._tokenizer)
        )


def ends_in_stop(answer: list[int], stop: Sequence[str], tokenizer: Any) -> bool:
    """Returns whether the last token completes one of the stop texts."""
    if not stop:
        return False
    reach = max(len(text.encode("utf-8", "replace")) for text in stop) + 8  # a token is at least a byte
    tail = tokenizer.decode(answer[-reach:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return any(text in tail for text in stop)
