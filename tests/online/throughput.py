"""
Programs that `execution_reward` judges per second and processor, against the sandbox alone, in turns in one run, and how long an
answer waits with 512 in flight.

```
PYTHONPATH=tests python tests/online/throughput.py [--workers 2] [--programs 200] [--rounds 5] [--in_flight 512]
```
"""

import argparse
import asyncio
import os
import statistics
import time

from sandbox.throughput import CHECKS, SOURCE

from reflection_trl import execution_reward
from reflection_trl.online.dataset import problem_to_columns
from reflection_trl.online.judging import AnswerJudge
from reflection_trl.problems import Problem
from reflection_trl.sandbox import PythonProgram, Sandbox


PROBLEM = Problem("add", "Write a function `add`.", tests=CHECKS, entry_point="add")


def sources(count: int) -> list[str]:
    """Programs of which no two are alike."""
    return [f"{SOURCE}\n\nnumber = {number}\n" for number in range(count)]


def completion(source: str) -> str:
    return f"Here it is.\n```python\n{source}```"


async def latencies(judge: AnswerJudge, count: int) -> list[float]:
    """Seconds from the call to the outcome of each of so many answers that are judged at the same time."""

    async def one(source: str) -> float:
        started = time.monotonic()
        (outcome,) = await judge.judge_async([PROBLEM], [completion(source)])
        if not outcome.passed:
            raise SystemExit("a run has failed")
        return time.monotonic() - started

    return sorted(await asyncio.gather(*map(one, sources(count))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--programs", type=int, default=200, help="of one turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in_flight", type=int, default=512)
    arguments = parser.parse_args()
    count, workers = arguments.programs, arguments.workers
    columns = {name: [value] * count for name, value in problem_to_columns(PROBLEM).items()}
    completions = [completion(source) for source in sources(count)]
    programs = [PythonProgram(source, CHECKS, entry_point="add") for source in sources(count)]
    reward = execution_reward(workers=workers)

    def judged_by_reward() -> bool:
        return set(reward(prompts=completions, completions=completions, **columns)) == {1.0}

    rates: dict[str, list[float]] = {"sandbox": [], "execution_reward": []}
    with Sandbox(workers) as sandbox:
        runs = {
            "sandbox": lambda: all(verdict.passed for verdict in sandbox.run_many(programs)),
            "execution_reward": judged_by_reward,
        }
        for run in runs.values():  # the first one starts processes
            run()
        for number in range(arguments.rounds):  # in turns, so that the load of the machine falls on both alike
            for name in [*runs][:: 1 if number % 2 else -1]:
                started = time.monotonic()
                if not runs[name]():
                    raise SystemExit("a run has failed")
                rates[name].append(count / (time.monotonic() - started))
    waited = asyncio.run(latencies(reward.judge, arguments.in_flight))
    reward.judge.close()
    base = statistics.median(rates["sandbox"])
    print(f"{workers} workers, {os.cpu_count()} processors, medians of {arguments.rounds} turns of {count} programs")
    for name, measured in rates.items():
        median, each = statistics.median(measured), ", ".join(f"{rate:.0f}" for rate in measured)
        print(f"{name:18} {median:6.1f} programs/s ({each}), {median / workers:.1f} a worker, {median / base:.2f}x")
    half, most = statistics.median(waited), waited[int(0.95 * len(waited))]
    print(f"{arguments.in_flight} in flight: an answer waits {half:.2f} s (median), {most:.2f} s (95 %)")


if __name__ == "__main__":
    main()
