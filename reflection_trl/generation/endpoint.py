"""
Generates completions with any OpenAI-compatible server: vLLM, SGLang, TGI, llama.cpp, or the router of Inference
Providers.
"""

import asyncio
import json
import logging
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from .types import Completion, GenerationError, RequestRefusedError, Sampling
from .usage import Usage


logger = logging.getLogger(__name__)

PROVIDERS_URL = "https://router.huggingface.co/v1"
# The pauses double after each attempt, to four minutes in total, since a server may restart in the meantime
ATTEMPTS = 10
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# For a server that was never reached, and for a request that exceeds the time limit
FEW_ATTEMPTS = 3
# The server rejected all requests so far, so the prompts are not the cause
REFUSALS = 16
# Temporary errors, with all from 500 on
PASSING = {408, 409, 425, 429}
# Rate limited: the request itself may be valid
CROWDED = 429

# When a request that fails repeatedly is reported, and the minimum time between reports
REPORTED_FROM, REPORT_SECONDS = 3, 30.0

# llama.cpp answers 500 if the chat template raises an exception, as for a turn of a role that it does not know
_TEMPLATE_ERROR = re.compile(r"jinja|raise_exception", re.IGNORECASE)
# The server broke off the answer, of which it may send the beginning
_BROKEN_OFF = {"abort", "error"}
_MOST_TOKENS = 10_000_000  # of a prompt or a completion: more than the context of any model
_REASONS = {"length": "length", "max_tokens": "length", "model_length": "length", "content_filter": "refused"}
_T = TypeVar("_T")


class _FailedAttempt(Exception):
    """Raised by an attempt that may succeed when it is repeated."""

    def __init__(
        self,
        said: str,
        attempts: int = ATTEMPTS,
        pause: float | None = None,
        crowded: bool = False,
        seconds: float = 0.0,
    ):
        super().__init__(said)
        self.attempts = attempts
        self.pause = pause
        self.crowded = crowded
        self.seconds = seconds  # of an attempt that fails in this way

    def seconds_left(self, number: int, left: int) -> float:
        """Returns how long `left` further attempts take after attempt `number`, if all of them fail like this one."""
        pauses = [self.pause or min(FIRST_PAUSE * 2 ** (number + k - 1), LONGEST_PAUSE) for k in range(left)]
        return sum(pauses) + left * self.seconds


class EndpointGenerator:
    """
    Implements [`Generate`] with a server. Use it as an asynchronous context manager.

    Args:
        model (`str`, *optional*):
            Name of the model on the server. If it is not given, the server is queried for it.
        base_url (`str`, *optional*):
            Address of the server, up to and including `/v1`. Without it, requests go to an Inference Provider through
            the Hub's router.
        api_key_variable (`str`, *optional*):
            Environment variable with the API key of the server. By default, the router receives the Hub's token, and a
            `base_url` receives no key.
        max_concurrency (`int`, *optional*, defaults to `64`):
            Maximum number of concurrent requests.
        requests_per_minute (`float`, *optional*):
            Rate limit; none by default.
        timeout (`float`, *optional*, defaults to `600.0`):
            Time in seconds after which an unanswered request is repeated.
        chat_template_kwargs (`dict`, *optional*):
            Additional variables for the chat template, such as `{"enable_thinking": False}`.
        usage ([`Usage`], *optional*):
            Counters and budget.

    Raises:
        [`GenerationError`]: If the API key is missing or invalid, or the proxy of the environment is no HTTP proxy.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        api_key_variable: str | None = None,
        max_concurrency: int = 64,
        requests_per_minute: float | None = None,
        timeout: float = 600.0,
        chat_template_kwargs: dict[str, Any] | None = None,
        usage: Usage | None = None,
    ):
        self.model = model or ""
        self.usage = usage or Usage()
        self._variables = chat_template_kwargs or {}
        self._url = (base_url or PROVIDERS_URL).rstrip("/")
        self._key = _read_key(api_key_variable, base_url)
        self._concurrency = max_concurrency
        self._free = asyncio.Semaphore(max_concurrency)
        self._timeout = timeout
        self._pause = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next = 0.0
        self._proxy = _find_proxy(self._url)
        self._session: Any = None
        self._reached = False
        self._answered = 0
        self._refused = 0
        self._reported = float("-inf")

    async def __aenter__(self) -> "EndpointGenerator":
        # Not the Hub's client: it refuses all servers in offline mode, keeps 100 connections, and does not support raw
        # prompts
        try:
            import aiohttp
        except ImportError as error:
            raise GenerationError("Requests to a server need aiohttp: `pip install aiohttp`.") from error
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._concurrency),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
        )
        try:
            if not self.model:
                self.model = await self.request("GET", "/models", self._read_only_model)
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def __call__(self, prompt: Sequence[dict[str, Any]] | str, sampling: Sampling) -> Completion:
        body = {"model": self.model, **request_fields(prompt, sampling, self._variables)}
        if isinstance(prompt, str):
            if self._url == PROVIDERS_URL:
                raise GenerationError(
                    "Inference Providers accept conversations only: pass --base_url to use raw prompts."
                )
            route, content = "/completions", prompt
        else:
            route, content = "/chat/completions", "".join(turn["content"] for turn in prompt)
        # A token has at least one byte
        async with self.usage.request(len(content.encode("utf-8", "replace")) + sampling.max_tokens):
            answer = await self.request("POST", route, lambda answer: read_completion(answer, content), body)
            self._answered += 1
            return self.usage.count(answer)

    async def request(
        self, method: str, route: str, read: Callable[[Any], _T], body: dict[str, Any] | None = None
    ) -> _T:
        """
        Sends a request until the server answers it or rejects it permanently.

        Args:
            method (`str`):
                HTTP method.
            route (`str`):
                Path after the base URL.
            read (`Callable`):
                Converts the JSON of the response. A `ValueError`, `TypeError` or `LookupError` means that the response
                is invalid.
            body (`dict`, *optional*):
                Body of the request.

        Raises:
            [`RequestRefusedError`]: If the server rejects this request but answers others.
            [`GenerationError`]: If it answers none.
        """
        try:
            return await self._request(method, route, read, body)
        finally:
            self.usage.repeated.forget(asyncio.current_task())

    async def _request(
        self, method: str, route: str, read: Callable[[Any], _T], body: dict[str, Any] | None = None
    ) -> _T:
        answered_before, number = self._answered, 1
        # Each kind of failure has its own limit: a timeout after two temporary errors counts as the first timeout
        failed: Counter[int] = Counter()
        while True:
            try:
                async with self._free:
                    await self._wait_for_turn()
                    return self._read(await self._attempt(method, route, body), read)
            except _FailedAttempt as failure:
                if failure.crowded and self._answered > answered_before:
                    # Other requests were answered, so this one waits for its turn; that must not count as a failed
                    # attempt
                    answered_before, number = self._answered, 1
                    failed.clear()
                failed[failure.attempts] += 1
                if number >= ATTEMPTS or failed[failure.attempts] >= failure.attempts:
                    is_alive = self._answered > answered_before or await self._answers_others()
                    kind = RequestRefusedError if is_alive else GenerationError
                    raise kind(f"{self._url} {failure} ({number} attempts).") from None
                pause = min(FIRST_PAUSE * 2 ** (number - 1), LONGEST_PAUSE)
                pause = failure.pause if failure.pause is not None else pause * random.uniform(0.5, 1.0)
                left = min(ATTEMPTS - number, failure.attempts - failed[failure.attempts])
                self._report(failure, number, number + left)
            number += 1
            self.usage.retries += 1
            await asyncio.sleep(pause)

    async def _answers_others(self) -> bool:
        """Checks that a server that has answered before still does, with a one-word prompt and one token."""
        if not self._answered:
            return False
        body = {"model": self.model, **request_fields([{"role": "user", "content": "Hi"}], Sampling(max_tokens=1))}
        try:
            self._read(await self._attempt("POST", "/chat/completions", body), lambda answer: answer["choices"][0])
        except (_FailedAttempt, GenerationError):
            return False
        return True

    def _report(self, failure: _FailedAttempt, number: int, last: int) -> None:
        """
        Reports the repeated request and the time left from the third attempt on: beside the progress bar, and in the log at most
        twice a minute.
        """
        if number < REPORTED_FROM and not failure.seconds:
            return
        seconds = failure.seconds_left(number, last - number)
        self.usage.repeated.note(asyncio.current_task(), str(failure).rstrip("."), seconds)
        now = asyncio.get_running_loop().time()
        if now < self._reported + REPORT_SECONDS:
            return
        self._reported = now
        logger.warning(
            "%s %s. Attempt %d of %d; giving up in about %.0f s if this persists.",
            self._url, str(failure).rstrip("."), number, last, seconds,
        )  # fmt: skip

    async def _attempt(self, method: str, route: str, body: dict[str, Any] | None) -> str:
        """Returns the text of a successful response."""
        import aiohttp

        try:
            async with self._session.request(
                method, self._url + route, json=body, allow_redirects=False, proxy=self._proxy
            ) as response:
                self._reached = True
                status, headers = response.status, response.headers
                text = (await response.read()).decode("utf-8", "replace")
        except aiohttp.InvalidURL:
            raise GenerationError(
                f"{self._url!r} is not the address of a server: use the form http://HOST:PORT/v1."
            ) from None
        except TimeoutError:
            raise _FailedAttempt(
                f"has not answered within {self._timeout:g} seconds: is it overloaded?",
                FEW_ATTEMPTS,
                seconds=self._timeout,
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _FailedAttempt(
                f"cannot be reached ({self._brief(str(error) or type(error).__name__)}): is the server up, and the address right?",
                ATTEMPTS if self._reached else FEW_ATTEMPTS,
            ) from None
        if status < 300:
            return text
        said = self._brief(text) or "nothing more"
        if status in PASSING or (status >= 500 and not _TEMPLATE_ERROR.search(text)):
            pause = _retry_after(headers.get("Retry-After", ""))
            raise _FailedAttempt(f"says {status}: {said}", pause=pause, crowded=status == CROWDED)
        if status < 400:
            raise GenerationError(
                f"{self._url} redirects to {self._brief(headers.get('Location', 'another address'))}: use that as the base URL."
            )
        if status in (401, 403):
            raise GenerationError(
                f"{self._url} says {status}: the API key is missing, wrong or lacks permission. Pass the name of the environment "
                "variable that contains it as --api_key_variable."
            )
        if status == 402:
            raise GenerationError(f"{self._url} says 402: the credit is used up, so add credit ({said}).")
        if status in (404, 405):
            raise GenerationError(
                f"{self._url} says {status}: it has no model {self.model!r}, or its address does not end in `/v1` ({said})."
            )
        self._refused += 1
        if not self._answered and self._refused >= REFUSALS:
            raise GenerationError(
                f"{self._url} rejected the first {self._refused} requests and answered none, with {status}: {said}"
            )
        raise RequestRefusedError(f"{self._url} rejects the request with {status}: {said}")

    def _read(self, text: str, read: Callable[[Any], _T]) -> _T:
        try:
            return read(json.loads(text))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            said = self._brief(text, 100) or "nothing"
            raise _FailedAttempt(f"sent a response that is not a completion: {said}") from None

    def _read_only_model(self, answer: Any) -> str:
        names = [entry["id"] for entry in answer["data"]]
        if len(names) != 1:
            raise GenerationError(
                f"{self._url} serves {len(names)} models: set --model_name_or_path to one of {', '.join(names[:10])}."
            )
        return names[0]

    def _brief(self, text: str, length: int = 300) -> str:
        """Returns one line of a server's message, with the API key removed."""
        text = text.replace(self._key, "<hidden>") if self._key else text
        return " ".join(text.split())[:length]

    async def _wait_for_turn(self) -> None:
        if self._pause:
            now = asyncio.get_running_loop().time()
            turn = max(now, self._next)
            self._next = turn + self._pause
            await asyncio.sleep(turn - now)


def _read_key(variable: str | None, base_url: str | None) -> str | None:
    """Returns the API key to send. The Hub's token is never sent to another server."""
    if variable:
        key: str | None = os.environ.get(variable, "").strip()
        if not key:
            raise GenerationError(f"The environment variable {variable} is not set: set it to the API key.")
    elif base_url:
        return None
    else:
        from huggingface_hub import get_token

        key = get_token()
        if not key:
            raise GenerationError("Inference Providers need a Hub token: run `hf auth login`, or set HF_TOKEN.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise GenerationError(
            f"{variable or 'The token of the Hub'} contains characters that no API key has: copy it again."
        )
    return key


def _find_proxy(url: str) -> str | None:
    """
    Returns the proxy of a server, from the environment. aiohttp's own `trust_env` also reads `~/.netrc`, whose password would be
    sent in place of the API key.
    """
    try:
        server = urlsplit(url)
    except ValueError:  # which the first request explains
        return None
    proxy = getproxies().get(server.scheme)
    if not proxy or proxy_bypass(server.hostname or ""):
        return None
    scheme, mark, _ = proxy.partition("://")
    if not mark:
        return f"http://{proxy}"
    if scheme not in ("http", "https"):
        raise GenerationError(
            f"The environment variable {server.scheme}_proxy names a proxy of the kind {scheme!r}, but only HTTP proxies are supported: give one, "
            "or add the server to NO_PROXY."
        )
    return proxy


def _retry_after(value: str) -> float | None:
    """Returns the number of seconds that the server asks to wait, from a number or a date."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_PAUSE) if seconds == seconds else None


def request_fields(
    prompt: Sequence[dict[str, Any]] | str, sampling: Sampling, chat_template_kwargs: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Returns the body of a request without the model."""
    fields: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        fields["seed"] = sampling.seed
    if isinstance(prompt, str):
        return {"prompt": prompt, **fields}
    if chat_template_kwargs:  # the field name of vLLM, SGLang and llama.cpp
        fields["chat_template_kwargs"] = chat_template_kwargs
    if prompt[-1]["role"] == "assistant":  # the field names of vLLM and SGLang
        fields |= {"continue_final_message": True, "add_generation_prompt": False}
    return {"messages": list(prompt), **fields}


def read_completion(answer: Any, prompt: str) -> Completion:
    """
    Parses the response of either route. Servers may omit any field.

    Args:
        answer (`Any`):
            The JSON of the response.
        prompt (`str`):
            The prompt, to estimate its tokens if the server does not count them.

    Raises:
        ValueError, TypeError, LookupError or AttributeError: If the response is not a completion.
    """
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    if choice.get("finish_reason") in _BROKEN_OFF:
        raise ValueError("The answer was broken off.")
    text = choice["message"].get("content") if "message" in choice else choice["text"]
    if isinstance(text, list):  # in parts, of which the thinking is not part of the answer
        parts = [part for part in text if isinstance(part, dict) and part.get("type") == "text"]
        text = "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    text = text if isinstance(text, str) else ""
    return Completion(
        text,
        _REASONS.get(choice.get("finish_reason"), "stop"),
        _tokens(usage.get("prompt_tokens"), prompt),
        _tokens(usage.get("completion_tokens"), text),
    )


def _tokens(count: Any, text: str) -> int:
    """Returns the number of tokens of a text, estimated if the server does not report it, or reports an impossible one."""
    plausible = type(count) is int and 0 <= count <= _MOST_TOKENS
    return count if plausible else (len(text.encode("utf-8", "replace")) + 2) // 3
