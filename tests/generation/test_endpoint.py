"""The client of OpenAI-compatible servers, against a server with every fault."""

import asyncio
import logging
import random
import re
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from reflection_trl.generation import (
    BudgetExhaustedError,
    Completion,
    GenerationArguments,
    GenerationError,
    RequestRefusedError,
    Sampling,
    Usage,
    endpoint,
    with_served_name,
)
from reflection_trl.generation.endpoint import EndpointGenerator

from .server import CUT, MODEL, completion, serving, status


KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(endpoint, "LONGEST_PAUSE", 0.05)


def chat(text):
    return [{"role": "user", "content": text}]


def run(fault, use, **options):
    """The result of `use(generate, server)`."""

    async def main():
        async with (
            serving(fault) as server,
            EndpointGenerator(**({"model": MODEL, "base_url": server.url} | options)) as generate,
        ):
            return await use(generate, server)

    return asyncio.run(main())


def ask_one(fault, prompt="hello", sampling=None, **options):
    async def use(generate, server):
        prompts = chat(prompt) if isinstance(prompt, str) else prompt
        return await generate(prompts, sampling or Sampling()), server

    return run(fault, use, **options)


def nothing(number, body):
    return None


# Answers


def test_a_conversation_goes_with_its_sampling():
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=77, stop=("\nassert", "```"), seed=2**32 - 1)
    answer, server = ask_one(nothing, "hello", sampling)
    assert answer == Completion("echo: hello", "stop", 10, 5)
    assert server.paths == ["/v1/chat/completions"]
    assert server.bodies == [
        {
            "model": MODEL,
            "messages": chat("hello"),
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 77,
            "stop": ["\nassert", "```"],
            "seed": 2**32 - 1,
        }
    ]


def test_what_was_not_asked_for_is_not_sent():
    _, server = ask_one(nothing)
    assert not {"stop", "seed", "continue_final_message", "chat_template_kwargs"} & set(server.bodies[0])


def test_variables_of_the_chat_template_go_with_conversations():
    _, server = ask_one(nothing, chat_template_kwargs={"enable_thinking": False})
    assert server.bodies[0]["chat_template_kwargs"] == {"enable_thinking": False}


def test_a_raw_prompt_goes_as_it_is():
    async def use(generate, server):
        return await generate("def add(a, b):\n", Sampling()), server

    answer, server = run(nothing, use)
    assert answer.text == "echo: def add(a, b):\n"
    assert server.paths == ["/v1/completions"]
    assert server.bodies[0]["prompt"] == "def add(a, b):\n" and "messages" not in server.bodies[0]


def test_an_answer_that_was_begun_is_gone_on_with():
    _, server = ask_one(nothing, [*chat("Write f."), {"role": "assistant", "content": "```python\ndef f"}])
    assert server.bodies[0]["continue_final_message"] is True
    assert server.bodies[0]["add_generation_prompt"] is False


@pytest.mark.parametrize("text", ["naïve 🧪 \u2028 \x00", "x" * 1_000_000, "\ud800 half of a pair"])
def test_any_text_gets_there_and_back(text):
    async def use(generate, server):
        return await generate(chat(text), Sampling()), server

    answer, server = run(lambda number, body: completion(body["messages"][0]["content"]), use)
    assert server.bodies[0]["messages"][0]["content"] == text
    assert answer.text == text


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (completion(None), Completion("", "stop", 10, 5)),
        (completion(None, "content_filter"), Completion("", "refused", 10, 5)),
        (completion("cut", "length"), Completion("cut", "length", 10, 5)),
        (completion("cut", "model_length"), Completion("cut", "length", 10, 5)),
        (completion("done", None), Completion("done", "stop", 10, 5)),
        (completion("done", "eos_token"), Completion("done", "stop", 10, 5)),
        (completion("done", "tool_calls"), Completion("done", "stop", 10, 5)),
        # Where a server does not count, about three bytes are a token
        (completion("twelve chars", usage=None), Completion("twelve chars", "stop", 2, 4)),
        (completion("twelve chars", usage=(None, "5")), Completion("twelve chars", "stop", 2, 4)),
        # Nor is such a count one, of which the sum would not fit into a dataset
        *(
            (completion("twelve chars", usage=(count, count)), Completion("twelve chars", "stop", 2, 4))
            for count in (2**31, 10**30, 10_000_001, -1, True, 5.0)
        ),
        (completion("twelve chars", usage=(10_000_000, 0)), Completion("twelve chars", "stop", 10_000_000, 0)),
        (completion({"parts": []}), Completion("", "stop", 10, 5)),
        (
            completion(
                [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
            ),
            Completion("ab", "stop", 10, 5),
        ),
        (completion(["odd", {"type": "text", "text": None}]), Completion("", "stop", 10, 5)),
    ],
)
def test_odd_answers_are_understood(response, expected):
    assert ask_one(lambda number, body: response)[0] == expected


@pytest.mark.parametrize(
    "said",
    [
        "<html><body>Sign in</body></html>",
        "",
        '{"choices": [',
        "[]",
        "null",
        '"choices"',
        '{"choices": []}',
        '{"choices": null}',
        '{"choices": [{}]}',
        '{"choices": [null]}',
        '{"choices": [{"message": null}]}',
        '{"choices": [{"message": {"content": "x"}}], "usage": [1]}',
        '{"error": {"message": "upstream failed"}}',
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_what_is_no_completion_is_asked_for_again(said):
    answer, server = ask_one(lambda number, body: None if number else web.Response(text=said))
    assert answer.text == "echo: hello" and len(server.bodies) == 2
    with pytest.raises(GenerationError, match="a response that is not a completion") as caught:
        ask_one(lambda number, body: web.Response(text=said))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_the_server_broke_off_is_asked_for_again(reason):
    answer, server = ask_one(lambda number, body: None if number else completion("the begin", reason))
    assert answer == Completion("echo: hello", "stop", 10, 5) and len(server.bodies) == 2


def test_the_model_is_asked_of_the_server():
    async def use(generate, server):
        return generate.model, (await generate(chat("hello"), Sampling())).text, server.bodies[0]["model"]

    assert run(nothing, use, model=None) == (MODEL, "echo: hello", MODEL)


@pytest.mark.parametrize(
    ("models", "message"),
    [([], "serves 0 models"), (["a", "b"], "serves 2 models: set --model_name_or_path to one of a, b.")],
)
def test_a_server_of_several_models_wants_a_name(models, message):
    async def main():
        async with serving() as server:
            server.models = models
            async with EndpointGenerator(base_url=server.url):
                pass

    with pytest.raises(GenerationError, match=message):
        asyncio.run(main())


def test_a_slash_behind_the_address_does_no_harm():
    async def main():
        async with serving() as server, EndpointGenerator(MODEL, base_url=server.url + "/") as generate:
            return await generate(chat("hello"), Sampling())

    assert asyncio.run(main()).text == "echo: hello"


def test_the_hubs_offline_mode_is_not_about_other_servers():
    import huggingface_hub.constants

    assert huggingface_hub.constants.is_offline_mode()  # as set by the tests' configuration
    assert ask_one(nothing)[0].text == "echo: hello"


# Faults that pass


def test_every_request_is_answered_under_faults():
    draw = random.Random(0)
    faults = [
        lambda: status(503),
        lambda: status(429, Retry_After="0.02"),
        lambda: status(500, "worker died"),
        lambda: CUT,
        lambda: 30.0,  # longer than the client waits
        lambda: web.Response(text='{"choices": [{"mess'),
    ]

    def fault(number, body):
        return draw.choice(faults)() if draw.random() < 0.1 else None

    async def use(generate, server):
        answers = await asyncio.gather(*(generate(chat(f"<{n}>"), Sampling(seed=n)) for n in range(400)))
        return answers, generate.usage, server

    answers, usage, server = run(fault, use, max_concurrency=256, timeout=3.0)
    assert [answer.text for answer in answers] == [f"echo: <{n}>" for n in range(400)]
    assert usage.requests == 400
    assert usage.retries >= len(server.bodies) - 400 > 20
    assert (usage.prompt_tokens, usage.completion_tokens) == (4000, 2000)


def test_one_timeout_after_other_failures_is_the_first_timeout():
    """The three attempts that a timeout has are not used up by failures of other kinds."""
    faults = [status(503), status(503), 30.0, status(503), 30.0]

    async def use(generate, server):
        return await generate(chat("late"), Sampling())

    answer = run(lambda number, body: faults[number] if number < len(faults) else None, use, timeout=0.3)
    assert answer.text == "echo: late"


@pytest.mark.parametrize("code", [501, 507, 520, 524])
def test_every_error_of_a_server_or_gateway_passes(code):
    answer, server = ask_one(lambda number, body: None if number else status(code, "<html>timeout</html>"))
    assert answer.text == "echo: hello" and len(server.bodies) == 2


def test_a_server_that_dies_and_comes_back():
    async def use(generate, server):
        first = await generate(chat("before"), Sampling())
        await server.stop()
        waiting = [asyncio.create_task(generate(chat(f"<{n}>"), Sampling())) for n in range(50)]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in waiting)
        await server.start()
        return first, await asyncio.gather(*waiting)

    first, answers = run(nothing, use)
    assert first.text == "echo: before"
    assert [answer.text for answer in answers] == [f"echo: <{n}>" for n in range(50)]


def test_a_server_that_stays_away_is_reported():
    async def use(generate, server):
        await generate(chat("before"), Sampling())
        await server.stop()
        try:
            await generate(chat("after"), Sampling())
        finally:
            await server.start()

    with pytest.raises(GenerationError, match=r"cannot be reached .*is the server up.*10 attempts") as caught:
        run(nothing, use)
    assert not isinstance(caught.value, RequestRefusedError)


def test_a_server_that_was_never_there_is_reported_soon():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"

    async def main():
        async with EndpointGenerator(MODEL, base_url=url) as generate:
            await generate(chat("hello"), Sampling())

    with pytest.raises(GenerationError, match=r"cannot be reached .*3 attempts"):
        asyncio.run(main())


@pytest.mark.parametrize("url", ["http://", "nonsense", "http://[::1", "http://127.0.0.1:99999999/v1"])
def test_an_address_that_is_none_is_reported(url):
    async def main():
        async with EndpointGenerator(MODEL, base_url=url) as generate:
            await generate(chat("hello"), Sampling())

    with pytest.raises(GenerationError, match=r"is not the address of a server|cannot be reached"):
        asyncio.run(main())


def test_the_server_says_when_to_come_back(monkeypatch):
    monkeypatch.setattr(endpoint, "LONGEST_PAUSE", 60.0)
    _, server = ask_one(lambda number, body: None if number else status(429, Retry_After="0.5"))
    assert server.times[1] - server.times[0] >= 0.5


def test_the_ways_to_say_when(monkeypatch):
    monkeypatch.setattr(endpoint, "LONGEST_PAUSE", 60.0)
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    assert 0 < endpoint._retry_after(soon) <= 40
    said = {
        value: endpoint._retry_after(value) for value in ("7", "1.5", "-4", "999999", "inf", "nan", "soon", "", past)
    }
    assert said == {"7": 7, "1.5": 1.5, "-4": 0, "999999": 60, "inf": 60, "nan": None, "soon": None, "": None, past: 0}


def test_one_prompt_that_always_fails_is_no_dead_server():
    def fault(number, body):
        return status(500, "out of memory") if "poison" in str(body) else None

    async def use(generate, server):
        asked = [generate(chat("poison" if n == 3 else f"<{n}>"), Sampling()) for n in range(20)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = run(fault, use)
    assert isinstance(answers[3], RequestRefusedError) and "says 500: out of memory" in str(answers[3])
    assert sum(isinstance(answer, Completion) for answer in answers) == 19


def test_a_request_that_is_crowded_out_by_others_is_answered_in_the_end():
    """A limit on the rate is no refusal: an evaluation would count the answer as wrong."""
    others = 40

    def fault(number, body):
        if "late" not in str(body):
            served.append(body)
        elif len(served) < others:
            return status(429, Retry_After="0.01")

    async def use(generate, server):
        late = asyncio.create_task(generate(chat("late"), Sampling()))
        for number in range(others):
            await generate(chat(f"<{number}>"), Sampling())
            await asyncio.sleep(0.005)
        return await late, len(server.bodies)

    served = []
    answer, asked = run(fault, use)
    assert answer.text == "echo: late" and asked > others + endpoint.ATTEMPTS


def test_one_prompt_that_is_always_crowded_out_does_not_end_the_run():
    """Such as one that is longer than a limit on tokens a minute: the server is asked something short before it counts as dead."""

    async def use(generate, server):
        await generate(chat("first"), Sampling())
        with pytest.raises(RequestRefusedError, match=r"says 429: .* \(10 attempts\)"):
            await generate(chat("poison"), Sampling())
        return await generate(chat("last"), Sampling())

    answer = run(lambda number, body: status(429) if "poison" in str(body) else None, use)
    assert answer.text == "echo: last"


def test_a_limit_that_holds_for_all_requests_ends_the_run():
    async def use(generate, server):
        await generate(chat("first"), Sampling())
        server.fault = lambda number, body: status(429)
        await generate(chat("second"), Sampling())

    with pytest.raises(GenerationError, match="says 429") as caught:
        run(lambda number, body: None, use)
    assert not isinstance(caught.value, RequestRefusedError)


def test_what_is_tried_again_is_reported(caplog):
    with pytest.raises(GenerationError), caplog.at_level("WARNING"):
        ask_one(lambda number, body: status(503, "loading the model"))
    (record,) = caplog.records  # ten attempts within less than the time between two reports
    assert re.search(r"says 503: loading the model\. Attempt 3 of 10; giving up in about \d+ s", record.getMessage())


def test_the_servers_name_of_the_model_is_used_where_none_is_given():
    async def use(generate, server):
        arguments = GenerationArguments(base_url=server.url)
        loop = asyncio.get_running_loop()
        named = await loop.run_in_executor(None, with_served_name, arguments)
        given = with_served_name(GenerationArguments(model_name_or_path="mine", base_url=server.url))
        return arguments, named, given

    arguments, named, given = run(lambda number, body: None, use)
    assert arguments.model_name_or_path is None  # the caller's own stays as it was
    assert named.model_name_or_path == MODEL and named.base_url == arguments.base_url
    assert given.model_name_or_path == "mine"
    assert with_served_name(GenerationArguments(model_name_or_path="a/b")).model == "a/b"


def test_a_server_that_always_fails_is_a_dead_one():
    with pytest.raises(GenerationError, match=r"says 500: out of memory \(10 attempts\)") as caught:
        ask_one(lambda number, body: status(500, "out of memory"))
    assert not isinstance(caught.value, RequestRefusedError)


def test_a_request_without_an_end_is_given_up():
    with pytest.raises(
        GenerationError, match=r"has not answered within 0.2 seconds: is it overloaded\? \(3 attempts\)"
    ):
        ask_one(lambda number, body: 5.0, timeout=0.2)


# Faults that stay


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (401, "says 401: the API key is missing, wrong or lacks permission"),
        (403, "says 403: the API key is missing, wrong or lacks permission"),
        (402, "says 402: the credit is used up"),
        (404, "it has no model 'tiny', or its address does not end in `/v1`"),
        (405, "its address does not end in `/v1`"),
        (301, "redirects to https://elsewhere/v1: use that as the base URL"),
    ],
)
def test_what_no_other_attempt_would_change_ends_at_once(code, message):
    seen = []

    def fault(number, body):
        seen.append(number)
        return status(code, Location="https://elsewhere/v1")

    with pytest.raises(GenerationError, match=message) as caught:
        ask_one(fault)
    assert seen == [0]
    assert not isinstance(caught.value, RequestRefusedError)


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_prompt_that_is_refused_leaves_the_others(code):
    def fault(number, body):
        return status(code, '{"message": "maximum context length is 2048"}') if "long" in str(body) else None

    async def use(generate, server):
        prompts = ["long", "short", "short", "long"]
        return await asyncio.gather(*(generate(chat(p), Sampling()) for p in prompts), return_exceptions=True), server

    answers, server = run(fault, use)
    assert [type(answer) for answer in answers] == [RequestRefusedError, Completion, Completion, RequestRefusedError]
    assert f"rejects the request with {code}" in str(answers[0]) and "maximum context length is 2048" in str(
        answers[0]
    )
    assert len(server.bodies) == 4


def test_an_exception_of_the_chat_template_is_no_temporary_error():
    """llama.cpp answers such requests with 500, at each attempt."""
    said = '{"error": {"code": 500, "message": "Error: Jinja Exception: Conversation roles must alternate", "type": "server_error"}}'
    seen = []

    def fault(number, body):
        seen.append(number)
        return status(500, said)

    with pytest.raises(RequestRefusedError, match=r"rejects the request with 500.*roles must alternate"):
        ask_one(fault)
    assert seen == [0]


def test_a_server_that_refuses_every_prompt_is_no_judge_of_them():
    async def use(generate, server):
        return await asyncio.gather(*(generate(chat("x"), Sampling()) for _ in range(40)), return_exceptions=True)

    answers = run(lambda number, body: status(400, "unknown field seed"), use)
    assert "rejected the first" in str(answers[-1]) and not isinstance(answers[-1], RequestRefusedError)
    assert sum(isinstance(answer, RequestRefusedError) for answer in answers) < endpoint.REFUSALS


# Limits


def test_more_requests_are_in_flight_than_the_clients_default_of_100():
    async def use(generate, server):
        await asyncio.gather(*(generate(chat("x"), Sampling()) for _ in range(150)))
        return server.most_open

    assert run(lambda number, body: 2.0, use, max_concurrency=150) == 150


def test_the_limit_on_concurrency_is_held():
    async def use(generate, server):
        await asyncio.gather(*(generate(chat("x"), Sampling()) for _ in range(60)))
        return server.most_open

    assert run(lambda number, body: 0.01, use, max_concurrency=7) == 7


def test_requests_wait_for_their_turn():
    async def use(generate, server):
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(generate(chat("x"), Sampling()) for _ in range(8)))
        return began, server.times

    began, times = run(lambda number, body: status(503) if number == 2 else None, use, requests_per_minute=60 / 0.05)
    # Never more than one in each slot, and a further attempt counts like the others
    assert len(times) == 9
    assert all(time >= began + slot * 0.05 for slot, time in enumerate(sorted(times)))


def test_the_budget_of_requests_is_exact():
    async def use(generate, server):
        asked = (generate(chat("x"), Sampling()) for _ in range(100))
        return await asyncio.gather(*asked, return_exceptions=True), generate.usage, server

    def fault(number, body):
        return status(400) if number < 5 else None

    answers, usage, server = run(fault, use, usage=Usage(max_requests=30))
    kinds = [type(answer) for answer in answers]
    assert kinds.count(Completion) == usage.requests == 30
    assert kinds.count(RequestRefusedError) == 5  # these used nothing up
    assert kinds.count(BudgetExhaustedError) == 65
    assert len(server.bodies) == 35
    assert "The budget of 30 requests is used up: raise --max_requests" in str(answers[-1])


def test_the_budget_of_tokens_is_never_overrun():
    async def use(generate, server):
        asked = (generate(chat("x" * 20), Sampling(max_tokens=30)) for _ in range(100))
        return await asyncio.gather(*asked, return_exceptions=True), generate.usage

    answers, usage = run(lambda number, body: 0.001, use, usage=Usage(max_tokens=1000))
    # Each uses 15 of the 50 that it may: nothing is left into which one more would fit
    assert 950 < usage.tokens <= 1000
    assert sum(isinstance(answer, BudgetExhaustedError) for answer in answers) == 100 - usage.requests
    assert "of the budget of 1000 tokens" in str(answers[-1]).lower()


def test_a_budget_that_holds_no_request_says_so():
    with pytest.raises(
        BudgetExhaustedError, match=r"1000 are left, and the next request may take 1029: raise --max_tot"
    ):
        ask_one(nothing, sampling=Sampling(max_tokens=1024), usage=Usage(max_tokens=1000))


# Ends


def test_cancellation_leaves_nothing_running():
    async def main():
        async with serving(lambda number, body: 30.0) as server:
            async with EndpointGenerator(MODEL, base_url=server.url, usage=Usage(max_requests=10)) as generate:
                tasks = [asyncio.create_task(generate(chat("x"), Sampling())) for _ in range(20)]
                while server.open < 10:
                    await asyncio.sleep(0.01)
                for task in tasks:
                    task.cancel()
                assert all(
                    isinstance(one, asyncio.CancelledError)
                    for one in await asyncio.gather(*tasks, return_exceptions=True)
                )
                while server.open:
                    await asyncio.sleep(0.01)
                server.fault = nothing
                assert (await generate(chat("after"), Sampling())).text == "echo: after"
                assert not [task for task in asyncio.all_tasks() if "EndpointGenerator" in repr(task)]
            return server.cancelled

    assert asyncio.run(asyncio.wait_for(main(), 20)) == 10


# Keys


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MY_KEY", f"  {KEY}\n")
    _, server = ask_one(nothing, api_key_variable="MY_KEY")
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_the_hubs_token_is_never_sent_to_a_server(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz")

    async def use(generate, server):
        await generate(chat("x"), Sampling())
        await generate("x", Sampling())
        return server.headers

    headers = run(nothing, use, model=None)
    assert len(headers) == 3
    assert not any("Authorization" in header or "hf_" in str(header) for header in headers)


def test_passwords_of_netrc_are_not_sent(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1\n  login ben\n  password swordfish\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    _, server = ask_one(nothing)
    assert "Authorization" not in server.headers[0]
    monkeypatch.setenv("MY_KEY", KEY)
    _, server = ask_one(nothing, api_key_variable="MY_KEY")
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("mark", ["http://ben:swordfish@", ""])
def test_the_proxy_of_the_environment_is_used(monkeypatch, mark):
    async def main():
        async with serving() as proxy:
            monkeypatch.setenv("http_proxy", f"{mark}127.0.0.1:{proxy.port}")
            monkeypatch.setenv("no_proxy", "models.invalid")
            async with EndpointGenerator(MODEL, base_url="http://coder.invalid/v1") as generate:
                assert (await generate(chat("hello"), Sampling())).text == "echo: hello"
            async with serving() as server:
                monkeypatch.setenv("no_proxy", "127.0.0.1")
                async with EndpointGenerator(MODEL, base_url=server.url) as generate:
                    await generate(chat("direct"), Sampling())
                assert len(server.bodies) == 1
            return proxy

    proxy = asyncio.run(main())
    assert [body["messages"][0]["content"] for body in proxy.bodies] == ["hello"]
    assert proxy.headers[0]["Host"] == "coder.invalid"
    assert ("Proxy-Authorization" in proxy.headers[0]) is bool(mark)


def test_a_proxy_of_another_kind_is_reported(monkeypatch):
    monkeypatch.setenv("http_proxy", "socks5://ben:swordfish@127.0.0.1:1080")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(GenerationError, match=r"http_proxy names a proxy of the kind 'socks5'.*NO_PROXY") as caught:
        EndpointGenerator(MODEL, base_url="http://coder.invalid/v1")
    assert "swordfish" not in str(caught.value)


def test_providers_get_the_hubs_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz")

    async def main():
        async with serving() as server:
            monkeypatch.setattr(endpoint, "PROVIDERS_URL", server.url)
            async with EndpointGenerator("org/model:cheapest") as generate:
                await generate(chat("x"), Sampling())
                with pytest.raises(GenerationError, match="accept conversations only"):
                    await generate("x", Sampling())
            return server

    server = asyncio.run(main())
    assert server.headers[0]["Authorization"] == "Bearer hf_abcdefghijklmnopqrstuvwxyz"
    assert server.bodies[0]["model"] == "org/model:cheapest"


def test_providers_need_a_token(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(GenerationError, match="run `hf auth login`, or set HF_TOKEN"):
        EndpointGenerator("org/model")


@pytest.mark.parametrize("value", [None, "", " \n", "two words", "schlüssel", "a\nb"])
def test_keys_that_cannot_be(value, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(GenerationError, match="MY_KEY") as caught:
        EndpointGenerator(MODEL, base_url="http://localhost/v1", api_key_variable="MY_KEY")
    assert not (value or "").strip() or value.strip() not in str(caught.value)


@pytest.mark.parametrize("code", [200, 302, 400, 401, 402, 404, 500])
def test_keys_are_in_no_message_and_no_log(code, monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    seen = []

    def fault(number, body):
        seen.append(number)
        return status(code, f"Incorrect key {KEY} given", Location=f"http://x/?key={KEY}")

    with pytest.raises(GenerationError) as caught:
        ask_one(fault, api_key_variable="MY_KEY")
    assert seen
    assert KEY not in str(caught.value) and KEY not in caplog.text
    error = caught.value
    while error is not None:
        assert KEY not in repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
