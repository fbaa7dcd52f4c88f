"""
Programs judged per second by `execution_reward`, against the sandbox alone, in turns in one run.

```
PYTHONPATH=tests python tests/online/throughput.py [--workers 2] [--programs 400] [--rounds 3]
```
"""

import argparse
import os
import time

from sandbox.throughput import CHECKS, SOURCE, measure

from reflection_trl import execution_reward
from reflection_trl.online.dataset import problem_to_columns
from reflection_trl.problems import Problem
from reflection_trl.sandbox import PythonProgram, Sandbox


PROBLEM = Problem("add", "Write a function `add`.", tests=CHECKS, entry_point="add")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--programs", type=int, default=400, help="completions of one call")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    columns = {name: [value] * arguments.programs for name, value in problem_to_columns(PROBLEM).items()}
    completions = [f"Here it is.\n```python\n{SOURCE}```" for _ in range(arguments.programs)]
    reward = execution_reward(workers=arguments.workers)
    rates: dict[str, list[float]] = {"sandbox": [], "execution_reward": []}
    program = PythonProgram(SOURCE, CHECKS, entry_point="add")
    with Sandbox(arguments.workers) as sandbox:
        for _ in range(arguments.rounds):  # in turns, so that the load of the machine falls on both alike
            rates["sandbox"].append(measure(lambda _: sandbox.run(program).passed, arguments.workers, 3.0))
            started = time.monotonic()
            rewards = reward(prompts=completions, completions=completions, **columns)
            rates["execution_reward"].append(arguments.programs / (time.monotonic() - started))
            if set(rewards) != {1.0}:
                raise SystemExit("a run has failed")
    for name, measured in rates.items():
        mean = sum(measured) / len(measured)
        share = sum(measured) / sum(rates["sandbox"])
        print(f"{name:18} {mean:6.1f} runs/s ({', '.join(f'{rate:.0f}' for rate in measured)}), {share:.2f}x")
    reward.judge.close()


if __name__ == "__main__":
    main()
