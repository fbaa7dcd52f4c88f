"""A model that solves multiplications, some only at the second try, for real builds without weights."""

import json
import re
from contextlib import asynccontextmanager
from pathlib import Path

from reflection_trl.fences import fence_code
from reflection_trl.generation.types import Completion


class Writer:
    """Solves `times_N`, for even N at the second try."""

    async def __call__(self, prompt, sampling):
        return Completion(self.say(prompt), prompt_tokens=10, completion_tokens=3)

    def say(self, prompt):
        asked, n = prompt[-1]["content"], re.search(r"times_(\d+)", prompt[0]["content"])[1]
        right, asserts = f"def times_{n}(x):\n    return {n} * x", f"\n\nassert times_{n}(3) == {3 * int(n)}"
        if "Everything passes" in asked:
            return "A product does it."
        if "Output of the run" in asked:
            return f"The assert fails, since a sum is no product.\n\n{fence_code(right + asserts)}"
        if "test your own solution" in asked:
            code = right if int(n) % 2 else right.replace("*", "+")
            return f"The result follows from x and {n}.\n\n{fence_code(code + asserts)}"
        return f"Multiply.\n\n{fence_code(right)}"


@asynccontextmanager
async def open_writer(arguments):
    yield Writer()


def write_problems(file):
    """Six problems, of which three are solved at the first try."""
    problems = [
        {
            "id": f"times/{n}",
            "instruction": f"Write a function times_{n}(x) that returns x multiplied by {n}.",
            "tests": f"assert times_{n}(4) == {4 * n}",
            "entry_point": f"times_{n}",
            "license": "MIT",
        }
        for n in range(2, 8)
    ]
    Path(file).write_text("".join(f"{json.dumps(problem)}\n" for problem in problems))
    return problems
