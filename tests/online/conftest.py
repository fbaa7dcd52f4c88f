"""What the tests of online learning share: one sandbox, problems of every form, answers to them."""

import asyncio

import pytest
from conftest import tiny_config

from reflection_trl.languages import Executor
from reflection_trl.problems import Example, Problem
from reflection_trl.sandbox import SandboxUnavailableError

from .scripted import pretrain, solve_rates


@pytest.fixture(scope="session")
def execute():
    """A sandbox that all tests share; skips where none holds."""
    with asyncio.Runner() as runner:
        executor = Executor(workers=2)
        try:
            runner.run(executor.__aenter__())
        except SandboxUnavailableError as error:
            pytest.skip(str(error))
        yield executor
        runner.run(executor.__aexit__())


ADD = Problem(
    "add",
    "Write a function `add`.",
    tests="assert add(1, 2) == 3\nassert add(0, 0) == 0\nassert add(-1, 1) == 0\nassert add(2, 2) == 4",
    entry_point="add",
)
CHECK = Problem(
    "check",
    "Write a class `Solution` with a method `double`.",
    tests=(
        "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(0) == 0\n    for i in range(5):\n"
        "        assert candidate(i) == 2 * i\n\n\ncheck(Solution().double)"
    ),
    entry_point="Solution",
)
SAT = Problem(
    "sat",
    "Write a function `sol` that returns a number whose square is 49.",
    tests="def sat(x: int):\n    return x * x == 49\n\n\nanswer = sol()\nassert type(answer) is int\nassert sat(answer)",
    entry_point="sol",
)
STDIN = Problem(
    "stdin",
    "Read numbers, one a line, and print their mean.",
    examples=(Example("1\n2\n", "1.5\n"), Example("4\n", "4.0\n"), Example("0\n0\n1\n", "0.333333333\n")),
)
BASH = Problem("bash", "Write a function `twice`.", language="bash", tests='[ "$(twice 4)" = 8 ] || exit 1')


def fenced(code, language="python"):
    return f"Here it is.\n```{language}\n{code}\n```\nDone."


@pytest.fixture(scope="module")
def guesser(make_model, tokenizer):
    """A model that says any letter when asked, and the right one when feedback names it."""
    model = make_model(tiny_config(hidden_size=64, initializer_range=0.05))
    pretrain(model, tokenizer, steps=160)
    assert max(solve_rates(model, tokenizer)) < 0.25
    return model
