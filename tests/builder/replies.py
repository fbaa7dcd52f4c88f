"""A model whose answers follow from the question and the seed, in this process or behind a server, and builds with it."""

import argparse
import asyncio
import json
import random
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reflection_trl.builder import RolloutSettings
from reflection_trl.builder.build import Build, run_build
from reflection_trl.generation.types import Completion
from reflection_trl.problems import Problem


def heed_interrupts():
    """Before a child starts: a shell that runs the tests in the background has it ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


NUMBERS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "eleven", "twelve"]


def make_problems(count=10):
    """Problems that `reply` knows how to solve: with tests, without, and with a reference."""
    problems = []
    for number in range(count):
        name, factor = f"f{number}", number + 2
        instruction = (
            f"Write a function {name}(x) that returns {factor} times its argument, called {NUMBERS[number % 10]}."
        )
        kind = number % 3
        problems.append(
            Problem(
                id=f"t/{name}",
                instruction=instruction,
                tests=f"assert {name}(3) == {3 * factor}" if kind == 0 else "",
                reference=f"def {name}(x):\n    return {factor} * x" if kind == 1 else None,
                entry_point=name,
                source="times",
                license="MIT",
            )
        )
    return problems


def reply(conversation, seed):
    """What the model says: right, wrong, without code or not at all, as the seed wants it."""
    text = conversation[-1]["content"]
    if "Everything passes." in text:
        return "The product is what was asked for."
    if "was run and failed" in text:
        return "The sum is no product, so the body has to multiply its argument."
    name, factor = re.search(r"function (\w+)\(x\) that returns (\d+)", conversation[0]["content"]).groups()
    right = f"def {name}(x):\n    return {factor} * x"
    if "known to be right" in text:
        return f"It multiplies.\n\n```python\n{right}\n```"
    lot = random.Random(seed).random()
    if text.startswith("Write a function"):  # the one-off request, alone or after a sequence, which makes it easier
        body = right if len(conversation) > 1 or lot < 0.5 else right.replace("*", "+")
        return f"It multiplies.\n\n```python\n{body}\n```"
    repairs = len(conversation) > 1
    if not repairs and lot < 0.1:
        return "I would rather talk about the weather."
    if lot < (0.2 if repairs else 0.65):
        right = f"def {name}(x):\n    return {factor} + x + {len(conversation) // 2}"
    lead = "The assert shows a wrong value, so the body has to be changed." if repairs else "Here it is:"
    return f"{lead}\n\n```python\n{right}\n\nassert {name}(5) == {5 * int(factor)}\n```"


class Replies:
    """[`reply`] as a generator that takes its time."""

    model = "scripted"

    def __init__(self, seconds=0.0):
        self.calls = 0
        self.seconds = seconds

    async def __call__(self, prompt, sampling):
        self.calls += 1
        await asyncio.sleep(self.seconds * (1 + sampling.seed % 5))
        return Completion(reply(prompt, sampling.seed), "stop", 100, 20)


class ReplyServer:
    """[`reply`] behind an OpenAI-compatible server. `answer` may be replaced: it gets the request, and gives status and body."""

    def __init__(self):
        self.requests = 0
        self.answer = self.right_answer
        self.model = "served/coder"
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                content = json.dumps({"data": [{"id": owner.model}]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self):
                owner.requests += 1
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = owner.answer(request)
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *arguments: None  # a client that went away
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @staticmethod
    def right_answer(request, text=None, reason="stop"):
        text = reply(request["messages"], request["seed"]) if text is None else text
        choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        return 200, {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def main():
    """A build in a process of its own, to be ended at any time."""
    from builder.conftest import RunsHere

    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--process", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    build = Build(make_problems(10), "scripted", RolloutSettings(rounds=3), args.samples)
    options = {"generate": Replies(args.seconds), "execute": RunsHere(), "in_flight": 4, "bar": False}
    asyncio.run(run_build(build, args.output_dir, process=args.process, processes=args.processes, **options))


if __name__ == "__main__":
    main()
