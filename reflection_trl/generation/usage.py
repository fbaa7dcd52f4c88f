"""What a build or an evaluation has asked of a model, and what it may ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .types import BudgetExhaustedError, Completion


@dataclass
class Usage:
    """
    Counters of one generator, and its budget. However many requests are in flight, the budget is kept to: what a request
    may use at most is set aside while it is made, and one that no longer fits waits for what others leave over.

    Args:
        requests (`int`):
            Answers that were had.
        retries (`int`):
            Further attempts at requests that had failed.
        prompt_tokens (`int`):
            Tokens of all prompts.
        completion_tokens (`int`):
            Tokens of all answers.
        max_requests (`int`, *optional*):
            The budget of answers; none by default.
        max_tokens (`int`, *optional*):
            The budget of tokens, prompts and answers together; none by default.
    """

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    max_requests: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        self._open = 0
        self._set_aside = 0
        self._released = asyncio.Event()

    @property
    def tokens(self) -> int:
        """Returns tokens of prompts and answers together."""
        return self.prompt_tokens + self.completion_tokens

    @asynccontextmanager
    async def request(self, tokens: int) -> AsyncIterator[None]:
        """
        Sets aside what one request may use at most, for as long as it is made.

        Args:
            tokens (`int`):
                Of the prompt and of the longest answer.

        Raises:
            [`BudgetExhaustedError`]: If the budget does not hold that, and no other request can give any back.
        """
        while (reason := self._exceeded(tokens)) is not None:
            if not self._open:
                raise BudgetExhaustedError(reason)
            await self._released.wait()
        self._open += 1
        self._set_aside += tokens
        try:
            yield
        finally:
            self._open -= 1
            self._set_aside -= tokens
            self._released.set()
            self._released = asyncio.Event()

    def count(self, completion: Completion) -> Completion:
        """Adds an answer, and hands it on."""
        self.requests += 1
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        return completion

    def _exceeded(self, tokens: int) -> str | None:
        if self.max_requests is not None and self.requests + self._open >= self.max_requests:
            return f"The budget of {self.max_requests} requests is used up: raise --max_requests and run the same command again."
        if self.max_tokens is not None and self.tokens + self._set_aside + tokens > self.max_tokens:
            return (
                f"Of the budget of {self.max_tokens} tokens, {max(0, self.max_tokens - self.tokens)} are left, and the next "
                f"request may take {tokens}: raise --max_total_tokens and run the same command again."
            )
        return None
