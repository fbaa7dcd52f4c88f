"""Counts the requests and tokens of a run, and enforces their budget."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .retries import Retries
from .types import BudgetExhaustedError, Completion


@dataclass
class Usage:
    """
    Counts the requests and tokens of one generator, and enforces a budget, also for concurrent requests. Each request
    reserves its maximum while it runs. A request that no longer fits waits for the unused part of others.

    Args:
        requests (`int`, *optional*, defaults to `0`):
            Number of completed requests.
        retries (`int`, *optional*, defaults to `0`):
            Number of repeated attempts after failures.
        prompt_tokens (`int`, *optional*, defaults to `0`):
            Tokens of all prompts.
        completion_tokens (`int`, *optional*, defaults to `0`):
            Tokens of all completions.
        repeated ([`Retries`], *optional*, defaults to `Retries()`):
            The requests that are being repeated now.
        max_requests (`int`, *optional*):
            Budget of completed requests; unlimited by default.
        max_tokens (`int`, *optional*):
            Budget of tokens, prompts and completions together; unlimited by default.
    """

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    repeated: Retries = field(default_factory=Retries)
    max_requests: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        self._open = 0
        self._set_aside = 0
        self._released = asyncio.Event()

    @property
    def tokens(self) -> int:
        """Returns the number of tokens of prompts and completions together."""
        return self.prompt_tokens + self.completion_tokens

    @asynccontextmanager
    async def request(self, tokens: int) -> AsyncIterator[None]:
        """
        Reserves the maximum of one request while it runs.

        Args:
            tokens (`int`):
                Tokens of the prompt and of the longest possible completion.

        Raises:
            [`BudgetExhaustedError`]: If the budget is too small for the request, and no other request can return a
            reserved part.
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
        """Adds a completion to the counts, and returns it."""
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
