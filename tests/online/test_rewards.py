"""The reward of code: rewards of every problem form, what is logged, and sandboxes that fail."""

import asyncio
import logging
import pickle
import re

import pytest
from trl.trainer.utils import get_callable_name, is_async_callable

from reflection_trl import execution_reward
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages.execution import Run
from reflection_trl.online.dataset import columns_to_problems, problem_to_columns, row_to_problem
from reflection_trl.online.judging import AnswerJudge, Outcome
from reflection_trl.online.messages import completion_text
from reflection_trl.online.partial import count_passed_tests, counting_tests
from reflection_trl.problems import Problem
from reflection_trl.sandbox import Limits, Sandbox, SandboxError

from .conftest import ADD, BASH, CHECK, SAT, STDIN, fenced


def columns(*problems):
    rows = [problem_to_columns(problem) for problem in problems]
    return {name: [row[name] for row in rows] for name in rows[0]}


def call(reward, pairs, **kwargs):
    """The rewards of (problem, completion) pairs, as a trainer asks for them."""
    prompts = [[{"role": "user", "content": problem.id}] for problem, _ in pairs]
    completions = [[{"role": "assistant", "content": text}] for _, text in pairs]
    return reward(prompts=prompts, completions=completions, **columns(*(problem for problem, _ in pairs)), **kwargs)


MEAN = "import sys\nnumbers = [int(line) for line in sys.stdin]\nprint(sum(numbers) / len(numbers))"


@pytest.mark.parametrize(
    ("problem", "text", "passed", "fraction"),
    [
        (ADD, fenced("def add(a, b):\n    return a + b"), 1, 1),
        (ADD, fenced("def add(a, b):\n    return abs(a) + abs(b)"), 0, 3 / 4),
        (ADD, fenced("def add(a, b):\n    return 3"), 0, 1 / 4),
        (ADD, "def add(a, b):\n    return a + b", 1, 1),
        (ADD, f"<think>{fenced('def add(a, b): return 0')}</think>\n{fenced('def add(a, b): return a + b')}", 1, 1),
        (ADD, "I do not know.", 0, 0),
        (ADD, fenced("def add(a, b:"), 0, 0),
        (ADD, fenced("def add(a, b):\n    return a - b\nraise SystemExit(0)"), 0, 0),
        (CHECK, fenced("class Solution:\n    def double(self, x):\n        return 2 * x"), 1, 1),
        # Two asserts, and a loop of them that fails
        (CHECK, fenced("class Solution:\n    def double(self, x):\n        return 2 * x if x < 3 else 0"), 0, 2 / 3),
        (SAT, fenced("def sol():\n    return -7"), 1, 1),
        (SAT, fenced("def sol():\n    return 7.0"), 0, 1 / 2),
        (SAT, fenced("def sol():\n    return 6"), 0, 1 / 2),
        (STDIN, fenced(MEAN), 1, 1),
        (STDIN, fenced("print(sum(int(input()) for _ in range(1)) / 1)"), 0, 1 / 3),
        (BASH, fenced("twice() {\n  echo $(($1 * 2))\n}", "bash"), 1, 1),
        (BASH, fenced("twice() {\n  echo $1\n}", "bash"), 0, 0),
        (BASH, fenced("def twice(x):\n    return 2 * x"), 0, 0),
    ],
)
def test_the_reward_is_what_the_tests_say(execute, problem, text, passed, fraction):
    assert call(execution_reward(execute=execute), [(problem, text)]) == [passed]
    assert call(execution_reward("fraction", execute=execute), [(problem, text)]) == [pytest.approx(fraction)]


def test_plain_completions_and_parts_of_messages_are_read():
    assert completion_text("code") == "code"
    assert (
        completion_text(
            [{"role": "assistant", "content": [{"type": "text", "text": "co"}, {"type": "text", "text": "de"}]}]
        )
        == "code"
    )
    conversation = [
        {"role": "assistant", "content": "first"},
        {"role": "tool", "content": "?"},
        {"role": "assistant", "content": "last"},
    ]
    assert completion_text(conversation) == "last"
    assert completion_text([{"role": "assistant", "content": None}]) == ""
    assert completion_text([]) == ""


def test_an_asynchronous_reward_gives_the_same(execute):
    reward = execution_reward(execute=execute, run_async=True)
    assert is_async_callable(reward) and not is_async_callable(execution_reward(execute=execute))
    pairs = [(ADD, fenced("def add(a, b):\n    return a + b")), (SAT, fenced("def sol():\n    return 1"))]
    assert asyncio.run(call(reward, pairs)) == [1.0, 0.0]
    assert get_callable_name(reward) == "execution_reward"


def test_a_loop_that_runs_already_is_no_hindrance(execute):
    async def in_a_notebook():
        return call(execution_reward(execute=execute), [(SAT, fenced("def sol():\n    return 7"))])

    assert asyncio.run(in_a_notebook()) == [1.0]


RIGHT = fenced("def add(a, b):\n    return a + b")
CHINESE = f"当然 以下是您需要的函数代码\n\n{RIGHT}"


def test_answers_in_a_script_that_the_prompt_does_not_use_have_no_format_and_are_reported_once(execute, caplog):
    reward = execution_reward(execute=execute, format_weight=0.5)
    metrics = {}
    with caplog.at_level(logging.WARNING):
        rewards = call(reward, [(ADD, CHINESE)] * 2 + [(ADD, RIGHT)] * 2, log_metric=metrics.__setitem__)
    assert rewards == [1, 1, 1.5, 1.5]
    assert (metrics["execution/foreign_script"], metrics["execution/format"], metrics["execution/pass_rate"]) == (
        0.5,
        0.5,
        1,
    )
    assert not caplog.records, "two answers may be chance"
    for _ in range(2):
        call(reward, [(ADD, CHINESE)] * 3 + [(ADD, RIGHT)])
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(
        "3 of 4 answers have words in a script that their prompt does not use (CJK), which the tests do not see"
    )
    assert reward.outcomes[0].foreign_script == "CJK" and reward.outcomes[3].foreign_script is None
    # A prompt in Chinese asks for it, whatever the words of the problem are; thoughts are not read
    chinese = [
        [
            {"role": "system", "content": [{"type": "text", "text": "请用中文回答。"}]},
            {"role": "user", "content": "add"},
        ]
    ]
    thought = f"<think>当然 以下是您需要的函数代码。</think>{RIGHT}"
    for prompts, text in ((chinese, CHINESE), (["请用中文回答。add"], CHINESE), (["add"], thought)):
        completion = [{"role": "assistant", "content": text}]
        assert reward(prompts=prompts, completions=[completion], **columns(ADD)) == [1.5]


def test_format_and_length_are_terms_of_their_own_and_each_is_logged(execute):
    reward = execution_reward(
        execute=execute, format_weight=0.25, length_weight=0.5, max_completion_length=10, soft_length=6
    )
    metrics, extra = {}, {}
    right = "def add(a, b):\n    return a + b"
    pairs = [(ADD, fenced(right)), (ADD, f"```python\n{right}"), (ADD, "no"), (ADD, fenced("def add(a, b): return 0"))]
    ids = [[0] * length for length in (4, 8, 10, 11)]
    rewards = call(
        reward,
        pairs,
        completion_ids=ids,
        log_metric=metrics.__setitem__,
        log_extra=extra.__setitem__,
        trainer_state=None,
    )
    assert rewards == [1 + 0.25, 1 - 0.25, 0 - 0.5, 0 + 0.25 - 0.5]
    assert metrics == {
        "execution/sandbox_failed": 0.0,
        "execution/pass_rate": 0.5,
        "execution/score": 0.5,
        "execution/suspicious": 0.0,
        "execution/format": 0.5,
        "execution/foreign_script": 0.0,
        "execution/length": pytest.approx((0 - 0.5 - 1 - 1) / 4),
        "execution/failed/no_code": 0.25,
        "execution/failed/no_answer": 0.0,
        "execution/failed/syntax": 0.0,
        "execution/failed/assertion": 0.25,
        "execution/failed/timeout": 0.0,
        "execution/failed/other": 0.0,
    }
    assert extra["outcome"] == ["passed", "passed", "no_code", "assertion"]
    assert extra["feedback"][2] == "The answer has no ```python code block."
    assert "assert add(1, 2) == 3" in extra["feedback"][3]
    assert extra["suspicious"] == [""] * 4
    call(reward, [(ADD, fenced("import gc\n" + right))], completion_ids=[[0]], log_extra=extra.__setitem__)
    assert extra["suspicious"] == ["walks the heap"]


class Flaky:
    """A sandbox that fails `failures` times for each program that holds `bad`."""

    def __init__(self, failures, bad="bad"):
        self.failures, self.bad, self.calls = failures, bad, 0

    async def __call__(self, language, source, tests="", *, entry_point=None, stdin=""):
        self.calls += 1
        if self.bad in source and self.failures > 0:
            self.failures -= 1
            raise SandboxError("no cgroup")
        return Run(Feedback(FeedbackKind.NONE, "(no output)"))


def test_a_sandbox_that_fails_is_tried_again_and_is_never_a_reward(monkeypatch, caplog):
    monkeypatch.setattr("reflection_trl.online.judging._PAUSE", 0.0)
    pairs = [(ADD, fenced("good = 1")), (ADD, fenced("bad = 1"))]
    assert call(execution_reward(execute=Flaky(2)), pairs) == [1.0, 1.0]
    metrics = {}
    assert call(execution_reward(execute=Flaky(100)), pairs, log_metric=metrics.__setitem__) == [1.0, None]
    assert "could not run 1 of 2 programs" in caplog.text
    assert metrics["execution/sandbox_failed"] == 0.5 and metrics["execution/pass_rate"] == 1.0
    # The only program may be one that breaks the sandbox, which runs others
    assert call(execution_reward(execute=Flaky(100)), pairs[1:]) == [None]
    with pytest.raises(SandboxError, match=r"could not run any of 2 programs.*\(no cgroup\)"):
        call(execution_reward(execute=Flaky(100, bad="")), pairs)


def test_another_error_is_no_failure_of_the_sandbox():
    async def execute(*args, **kwargs):
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        call(execution_reward(execute=execute), [(ADD, fenced("x = 1"))])


def test_a_process_that_a_reward_is_sent_to_opens_a_sandbox_there():
    with_sandbox = execution_reward(workers=1, limits=Limits(timeout=3))
    with_sandbox.judge.open()
    copy = pickle.loads(pickle.dumps(with_sandbox))
    assert copy.judge._executor is None and with_sandbox.judge._executor is not None
    pairs = [(SAT, fenced("def sol():\n    return 7")), (SAT, fenced("while True: pass"))]
    assert call(copy, pairs) == [1.0, 0.0]
    assert copy.outcomes[1].kind == "timeout" and "3 seconds" in copy.outcomes[1].text
    assert copy.judge._executor is not None


def test_processes_of_one_machine_share_its_processors(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    judge = AnswerJudge()
    judge.open()
    assert judge._executor._sandbox.workers == 2


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            "none none assertion assertion assertion timeout",
            "33% of the answers pass, so the problems are too hard for this model (50% fail by",
        ),
        ("none none none none timeout timeout", "67% of the answers pass, so the problems are too easy"),
        (
            "no_code no_code no_code no_code timeout timeout",
            "67% of the answers have no code in the problem's language",
        ),
        ("no_answer no_answer no_answer no_answer timeout timeout", "67% of the answers state no single final answer"),
        (
            "no_code no_code timeout timeout timeout timeout",
            "0% of the answers pass, so the problems are too hard for this model (67% fail by",
        ),
    ],
)
def test_a_reward_that_stays_constant_is_explained_by_the_shares_of_its_outcomes(caplog, kinds, expected):
    reward = execution_reward(execute=Flaky(0))
    outcomes = [Outcome(kind, float(kind == "none")) for kind in kinds.split()]
    for _ in range(20):
        assert not caplog.records
        reward.score(["a", "a", "b", "b", "c", "c"], outcomes)
    (record,) = caplog.records
    assert f"so there is no training signal: {expected}" in record.getMessage()


def test_shares_are_of_the_answers_that_were_judged():
    metrics, reward = {}, execution_reward(execute=Flaky(0))
    outcomes = [
        Outcome("none", 1.0, well_formed=True, suspicious=("os",)),
        Outcome("timeout", 0.5, suspicious=("sys",)),
        Outcome("none", 1.0),
        Outcome("memory"),
        Outcome("sandbox_failed", suspicious=("os",)),
    ]
    assert reward.score(["?"] * 5, outcomes, log_metric=metrics.__setitem__) == [1.0, 0.5, 1.0, 0.0, None]
    assert {name.removeprefix("execution/"): share for name, share in metrics.items() if share} == {
        "sandbox_failed": pytest.approx(1 / 5),
        "pass_rate": 2 / 4,
        "score": 2.5 / 4,
        "suspicious": 2 / 4,
        "format": 1 / 4,
        "failed/timeout": 1 / 4,
        "failed/other": 1 / 4,
    }


def test_only_the_process_that_opened_a_sandbox_closes_it(monkeypatch):
    closed, close = [], Sandbox.close
    monkeypatch.setattr(Sandbox, "close", lambda sandbox: closed.append(sandbox) or close(sandbox))
    judge = AnswerJudge(workers=1)
    judge.close()
    judge.open()
    executor = judge._executor
    with monkeypatch.context() as other_process:
        other_process.setattr("reflection_trl.online.judging.os.getpid", lambda: -1)
        judge.close()
    assert closed == [] and judge._executor is None
    judge.open()
    second = judge._executor
    judge.close()
    judge.close()
    assert closed == [second._sandbox] and second is not executor
    close(executor._sandbox)


def test_calls_at_the_same_time_open_one_sandbox(monkeypatch):
    starts, start = [], Sandbox.start
    monkeypatch.setattr(Sandbox, "start", lambda sandbox: starts.append(sandbox) or start(sandbox))
    reward = execution_reward(workers=1, run_async=True)

    async def call_twice():
        return await asyncio.gather(*(reward(["?"], [fenced("x = 1")], tests=["assert x"]) for _ in range(2)))

    assert asyncio.run(call_twice()) == [[1.0], [1.0]] and len(starts) == 1
    reward.judge.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"credit": "half"}, "`credit` must be 'all' or 'fraction', got 'half'"),
        ({"format_weight": -1.0}, "`format_weight` must not be negative, got -1.0"),
        ({"format_weight": float("nan")}, "`format_weight` must not be negative, got nan"),
        ({"workers": 0}, "`workers` must be at least 1, got 0."),
        ({"length_weight": 1.0}, "`length_weight` needs `max_completion_length`"),
        (
            {"length_weight": 1.0, "max_completion_length": 8, "soft_length": 8},
            "`soft_length` must be at least 0 and below",
        ),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        execution_reward(execute=Flaky(0), **settings)


def test_limits_are_limits():
    with pytest.raises(TypeError, match=re.escape("`limits` must be `Limits`, such as `Limits(timeout=5)`, got 5.")):
        execution_reward(limits=5)


def test_a_dataset_without_tests_is_refused():
    reward = execution_reward(execute=Flaky(0))
    with pytest.raises(ValueError, match=r"has neither `tests` nor `examples`.*\(it has prompt, solution\)"):
        reward(prompts=["p"], completions=["c"], solution=["42"])
    with pytest.raises(ValueError, match="`length_weight` needs `completion_ids`"):
        call(execution_reward(execute=Flaky(0), length_weight=1.0, max_completion_length=8), [(ADD, fenced("x = 1"))])


def test_a_language_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("reflection_trl.languages.bash.Bash.missing", lambda self: "Install bash.")
    with pytest.raises(ValueError, match="Install bash"):
        call(execution_reward(execute=Flaky(0)), [(BASH, fenced("x=1", "bash"))])


def constant(kind):
    async def execute(*args, **kwargs):
        return Run(Feedback(kind, "x"))

    return execution_reward(execute=execute)


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (FeedbackKind.NONE, fenced("x = 1"), "100% of the answers pass, so the problems are too easy"),
        (FeedbackKind.NONE, "I would rather not.", "100% of the answers have no code"),
        (FeedbackKind.NAME, fenced("x = 1"), "too hard for this model (100% fail by 'name')"),
    ],
)
def test_a_reward_that_never_varies_is_reported_once_with_the_reason(kind, text, reason, caplog):
    reward = constant(kind)
    with caplog.at_level(logging.WARNING):
        for _ in range(19):
            call(reward, [(ADD, text), (ADD, text), (SAT, text)])
        assert not caplog.records
        for _ in range(30):
            call(reward, [(ADD, text), (ADD, text)])
    assert len(caplog.records) == 1 and reason in caplog.text


def test_a_reward_that_varies_within_a_group_is_not_reported(caplog):
    reward = constant(FeedbackKind.NONE)
    call(reward, [(ADD, fenced("x = 1")), (ADD, "no code")])
    for _ in range(40):
        call(reward, [(ADD, "no code")] * 2)
    assert not caplog.records


def test_a_group_that_is_spread_over_processes_is_not_reported(caplog):
    reward = constant(FeedbackKind.NONE)
    for _ in range(40):
        call(reward, [(ADD, fenced("x = 1")), (SAT, fenced("x = 1"))])
    assert not caplog.records


ECHO, SOL = fenced("print(input())"), fenced("def sol():\n    return 7")


@pytest.mark.parametrize(
    ("row", "text", "reward"),
    [
        ({"tests": ["assert sol()", "assert sol() == 7"]}, SOL, 1),
        ({"tests": ["assert sol()", "assert sol() == 8"]}, SOL, 0),
        # Tests that define a function, which nothing calls
        ({"tests": "def check(candidate):\n    assert candidate() == 8", "entry_point": "sol"}, SOL, 0),
        ({"tests": "def test_sol():\n    assert sol() == 8"}, SOL, 0),
        ({"tests": "assert sol() == 7", "language": "Python", "outcomes": "a column", "answer": True}, SOL, 1),
        ({"examples": [{"input": "1", "output": "1"}]}, ECHO, 1),
        ({"examples": '{"inputs": ["1", "2"], "outputs": ["1", "3"]}'}, ECHO, 0),
        ({"examples": [["1.2", "1.3"]], "tolerance": 0.2}, ECHO, 1),
        ({"examples": [["1.20", "1.25"]], "prompt": "Print it with an absolute error of at most 0.1."}, ECHO, 1),
        ({"examples": [["1.2", "1.3"]]}, ECHO, 0),
        ({"answer": 1, "choices": {"text": ["4", "7"], "label": ["A", "B"]}}, r"\boxed{B}", 1),
    ],
)
def test_columns_are_read_as_rows_of_problems_are(execute, row, text, reward):
    prompt = row.pop("prompt", "?")
    assert execution_reward(execute=execute)([prompt], [text], **{name: [row[name]] for name in row}) == [reward]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tests": "assert ("}, "the tests are not Python ('(' was never closed, line 1)."),
        ({"tests": "def sat(x):\n    return x == 7"}, "the tests run nothing, so every answer would pass"),
        ({"tests": "assert f()", "language": "en"}, "Unknown language 'en': use one of python, cpp,"),
        ({"tests": "assert f()", "entry_point": ["f"]}, "`entry_point` must be text, got ['f']."),
        ({"examples": {"stdin": ["1"], "stdout": ["1"]}}, "`examples` must be a list of `stdin` and `stdout`,"),
        (
            {"examples": [["1", "1"]], "tolerance": "0.1"},
            "`tolerance` must be a number above 0 and below 1, got '0.1'.",
        ),
        ({"answer": "5", "checker": "algebra"}, "`checker` must be one of 'math', 'exact', 'regex', 'choice',"),
        ({"answer": [5]}, "`answer` must hold a final answer, as text or a number, got [5]."),
    ],
)
def test_columns_by_which_answers_cannot_be_judged(row, message):
    error = f"The answers to the problem 'p' cannot be judged: {message}"
    with pytest.raises(ValueError, match=re.escape(error)):
        row_to_problem({"problem_id": "p", **row}, 0)


def test_problems_survive_the_columns_of_a_dataset():
    problems = [ADD, STDIN, BASH, CHECK]
    again = columns_to_problems(columns(*problems), len(problems))
    for one, other in zip(problems, again, strict=True):
        assert (one.id, one.language, one.tests, one.examples, one.entry_point) == (
            other.id, other.language, other.tests, other.examples, other.entry_point,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("tests", "ends"),
    [
        ("assert f(1)\nassert f(\n  2)", [1, 3]),
        ("x = 1\nfor i in x:\n    assert i\nprint(x)", [3]),
        ("try:\n    f()\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError('no')", [6]),
        ("class Test(TestCase):\n    def test(self):\n        assert f()", []),
        # A program that gets a function of the tests could call it as often as it likes
        ("def g(y):\n    assert y == 6\nf(g)\nassert f(1)", [4]),
        ("def check(f):\n    assert f(1)\ncheck(f)", [2]),
        ("f(", []),
        ("", []),
    ],
)
def test_each_assert_is_counted_once(tests, ends):
    found = counting_tests(tests, "counter", "token")
    assert (found[1] if found else []) == ends


def test_an_answer_cannot_count_for_the_judge(execute):
    """It may print, raise or return what the counting program says, but the word for it is another one in each run."""
    forged = "class Liar(AssertionError):\n    pass\n\ndef add(a, b):\n    raise AssertionError('passed_0 4 4')"
    own = "raise AssertionError('passed_0000000000000000 4 4')"
    pairs = [(ADD, fenced(forged)), (ADD, fenced(own)), (ADD, fenced("print('passed_0 4 4')\nadd = None"))]
    assert call(execution_reward("fraction", execute=execute), pairs) == [0.0, 0.0, 0.0]


# Each of them would like the whole of a fraction for nothing
GREEDY = {
    "an error in the last line of the tests": "exec(compile('\n' * 998 + 'raise ValueError', 'checks.py', 'exec'))",
    "one that comes first, and then an end": "import os\ncalls = []\ndef add(a, b):\n    calls.append(1)\n    if len(calls) > 1:\n"
    "        os._exit(0)\n    exec(compile('\n' * 998 + 'raise ValueError', 'checks.py', 'exec'))",
    "the word for it, from the frames below": "import sys, re\nfound = []\ndef add(a, b):\n    frame = sys._getframe()\n    while frame:\n"
    "        found.extend(re.findall(r'[a-z]+_[0-9a-f]{16}', str(frame.f_locals)))\n        frame = frame.f_back\n"
    "    raise AssertionError((found or ['passed'])[0] + ' 4 4')",
    "the word for it, from the heap": "import gc, re\ndef add(a, b):\n    found = re.findall(r'(?:passed|counter)_[0-9a-f]{16}', str(gc.get_objects()))\n"
    "    raise AssertionError((found or ['passed'])[0].replace('counter', 'passed') + ' 4 4')",
    "the word for it, from the names that are asked for": "import os, sys\nasked = []\nframe = sys._getframe()\nwhile 'channel' not in frame.f_locals: frame = frame.f_back\n"
    "Channel = type(frame.f_locals['channel'])\nreceive = Channel.receive\ndef listen(self):\n    message = receive(self)\n    asked.append(str(message))\n    return message\n"
    "Channel.receive = listen\ndef add(a, b):\n    import re\n    found = re.findall(r'[a-z]+_[0-9a-f]{16}', str(asked))\n    raise BaseException((found or ['passed'])[0] + ' 4 4')",
}


@pytest.mark.parametrize("answer", GREEDY)
def test_no_fraction_for_nothing(execute, answer):
    code = GREEDY[answer].replace("'\n'", "'\\n'")
    assert call(execution_reward("fraction", execute=execute), [(ADD, fenced(code))]) == [0.0]


@pytest.mark.parametrize(
    ("place", "counted", "passed"),
    [
        ({"file": "tests", "line": 3}, None, 2),
        ({"file": "tests", "line": 1}, None, 0),
        ({"file": "program", "line": 3}, None, 0),
        ({"file": "tests"}, None, 0),
        ({"file": "tests", "line": 3}, (0, 0), 2),
        ({"file": "tests", "line": 3}, (3, 4), 3),
    ],
)
def test_tests_before_the_first_failure_count_if_they_cannot_all_run(place, counted, passed):
    async def execute(language, code, tests, **_):
        token = re.search(r"AssertionError\('(passed_\w+)", tests)[1]
        message = "timed out" if counted is None else f"{token} {counted[0]} {counted[1]}"
        return Run(Feedback(FeedbackKind.ASSERTION, "", message=message))

    failure = Feedback(FeedbackKind.ASSERTION, "", **place)
    assert asyncio.run(count_passed_tests(ADD, "add = max", failure, execute)) == (passed, 4)


def test_tests_with_a_future_import_are_counted(execute):
    problem = Problem("future", "x", tests="from __future__ import annotations\nassert f() == 1\nassert f() == 2")
    assert call(execution_reward("fraction", execute=execute), [(problem, fenced("def f():\n    return 1"))]) == [0.5]
