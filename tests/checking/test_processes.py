r"""No expression stops a run: limits, crashes and what lies in a text cannot do more than make an answer wrong."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from reflection_trl.checking import CheckerProcesses, CheckerUnavailableError, answer_key, compare_answers, process
from reflection_trl.checking.process import CheckerTimeoutError
from reflection_trl.checking.reading import read_final_answer
from reflection_trl.feedback import FeedbackKind


@pytest.fixture
def processes():
    pool = CheckerProcesses(workers=1, cpu_seconds=1.0)
    yield pool
    pool.close()


def test_a_process_serves_many_comparisons_and_ends_with_its_pool(processes):
    ask = {"kind": "math", "answer": r"\sqrt{4}", "expected": "2"}
    assert [processes.ask(ask) for _ in range(3)] == ["right"] * 3
    (worker,) = processes._all
    processes.close()
    assert worker.poll() is not None


@pytest.mark.parametrize(
    "answer",
    [
        "9^{9^{9^{9}}}",
        "9**9**9",
        "(10^{9})!",
        "10^{10^{10}}",
        "2^{2^{2^{2^{2^{2}}}}}",
        r"\sum_{i=1}^{10^{12}} i^{i}",
        "((10!)!)!",
    ],
)
def test_huge_expressions_end_within_the_limit_and_are_never_right(processes, answer):
    try:
        reply = processes.ask({"kind": "math", "answer": answer, "expected": "72"})
    except CheckerTimeoutError:
        reply = "timeout"
    assert reply in ("wrong", "unreadable", "memory", "timeout")
    assert processes.ask({"kind": "math", "answer": "8*9", "expected": "72"}) == "right"


@pytest.mark.parametrize(
    "nested",
    [
        "(" * 400 + "1" + ")" * 400,
        r"\frac{1}{" * 150 + "2" + "}" * 150,
        r"\sqrt{" * 160 + "2" + "}" * 160,
        "-" * 900 + "1",
    ],
)
def test_deep_nesting_is_no_answer_to_anything(processes, nested):
    try:
        reply = processes.ask({"kind": "math", "answer": nested, "expected": "72"})
    except CheckerTimeoutError:
        reply = "timeout"
    assert reply in ("wrong", "unreadable", "memory", "timeout")


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').mkdir('{path}')",
        "().__class__.__base__.__subclasses__()",
        r"\text{__import__('os').mkdir('{path}')}",
        "1 + exec(\"__import__('os').mkdir('{path}')\")",
        "x = __import__('os').mkdir('{path}')",
        r"\operatorname{eval}(__import__('os').mkdir('{path}'))",
    ],
)
def test_text_of_a_model_is_never_evaluated_as_python(processes, tmp_path, code):
    path = tmp_path / "made"
    code = code.replace("{path}", str(path))
    with contextlib.suppress(CheckerTimeoutError):
        processes.ask({"kind": "math", "answer": code, "expected": "72"})
    assert asyncio.run(compare_answers(rf"\boxed{{{code}}}", "72")).kind is not FeedbackKind.NONE
    assert not path.exists()


def test_a_process_that_is_killed_is_replaced(processes):
    ask = {"kind": "math", "answer": "x+x", "expected": "2x"}
    assert processes.ask(ask) == "right"
    (worker,) = processes._all
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    with pytest.raises(CheckerTimeoutError, match="SIGKILL"):
        processes.ask(ask)
    assert processes.ask(ask) == "right"


def test_many_threads_share_a_pool():
    async def ask_all(pool):
        asks = [{"kind": "math", "answer": f"{n}+x", "expected": f"x+{n % 3}"} for n in range(12)]
        return await asyncio.gather(*(asyncio.to_thread(pool.ask, ask) for ask in asks))

    pool = CheckerProcesses(workers=2)
    try:
        assert asyncio.run(ask_all(pool)) == ["right" if n < 3 else "wrong" for n in range(12)]
        assert len(pool._all) <= 2
    finally:
        pool.close()


def test_without_math_verify_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CheckerUnavailableError, match="run `pip install math-verify`"):
        process.require_math_verify()


def test_nothing_is_left_behind_when_the_parent_dies(tmp_path):
    program = textwrap.dedent(
        """
        import os, signal
        from reflection_trl.checking.process import shared_processes
        pool = shared_processes()
        pool.ask({"kind": "regex", "answer": "a", "expected": "a"})
        print(*[worker.pid for worker in pool._all], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    (pid,) = map(int, ended.stdout.split())
    for _ in range(100):
        if not _runs(pid):
            break
        time.sleep(0.1)
    assert not _runs(pid)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["\\boxed{" * 50_000, "the answer is " * 30_000, "{" * 100_000, "#### " * 50_000, "\\boxed{1}" * 50_000]
)
def test_long_texts_are_read_in_linear_time(text):
    read_final_answer(text)


def test_votes_are_counted_by_value():
    assert {answer_key(answer) for answer in ("1,234", "$1234.00", "1234", r"1{,}234")} == {"1234"}
    assert answer_key("1/2") == answer_key("0.5") == answer_key(r"\frac{1}{2}") == answer_key("50%")
    assert answer_key("x + 1") == answer_key("x+1") != answer_key("x-1")


def test_the_expected_answer_is_in_the_feedback_only_where_it_may_be():
    hidden = asyncio.run(compare_answers(r"\boxed{71}", "72"))
    assert (hidden.text, hidden.actual, hidden.expected) == ("The final answer `71` is wrong.", "71", None)
    reported = asyncio.run(compare_answers(r"\boxed{71}", "72", tell_expected=True))
    assert (reported.text, reported.expected) == ("The final answer `71` is wrong. Expected: `72`.", "72")
    form = asyncio.run(compare_answers(r"\boxed{many}", "72"))
    assert form.text == "The final answer `many` has the wrong form. The answer must be a number."
    assert form.hint == "The answer must be a number."
