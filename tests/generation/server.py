"""A small OpenAI-compatible server, with the faults that real ones have."""

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


MODEL = "tiny"
CUT = object()  # closes the connection without an answer


class Server:
    """
    Answers `echo: ` and the end of the prompt, unless `fault` has another answer: it is given the number of the request
    and the body, and returns a response, `CUT`, seconds to wait, or `None`.
    """

    def __init__(self, fault: Callable[[int, dict[str, Any]], Any] = lambda number, body: None):
        self.fault = fault
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.open = 0
        self.most_open = 0
        self.cancelled = 0
        self.models = [MODEL]
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_post("/v1/completions", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers)
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        number = len(self.bodies)
        self.bodies.append(body)
        self.headers.append(request.headers)
        self.paths.append(request.path)
        self.times.append(asyncio.get_running_loop().time())
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            fault = self.fault(number, body)
            if isinstance(fault, (int, float)):
                await asyncio.sleep(fault)
                fault = None
            elif fault is CUT:
                request.transport.abort()
                return web.Response()
            else:
                await asyncio.sleep(0)
            return fault if fault is not None else self.good(body)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open -= 1

    def good(self, body: dict[str, Any]) -> web.Response:
        chat = "messages" in body
        said = body["messages"][-1]["content"] if chat else body["prompt"]
        text = f"echo: {said[-40:]}"
        return completion(text, chat=chat)


def completion(text: Any, reason: str | None = "stop", chat: bool = True, usage: Any = (10, 5), **extra: Any):
    """A response as vLLM gives it."""
    choice = {"index": 0, "finish_reason": reason} | (
        {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    )
    answer = {"id": "1", "object": "x", "choices": [choice], **extra}
    if usage is not None:
        answer["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return web.Response(text=json.dumps(answer), content_type="application/json")


def status(code: int, said: str = '{"error": {"message": "no"}}', **headers: str) -> web.Response:
    return web.Response(
        status=code, text=said, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


@asynccontextmanager
async def serving(fault: Callable[[int, dict[str, Any]], Any] = lambda number, body: None):
    server = Server(fault)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
