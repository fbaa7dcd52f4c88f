"""
The rollouts of an online run, judged again with other time limits: how long the batches take, and which verdicts change.

```
python tests/online/time_limits.py out/qwen2.5-coder-1.5b-online/rollouts --problems recipes/study/problems.parquet [--timeouts 3 1] [--every 4]
```
"""

import argparse
import json
import os
import time
from pathlib import Path

from reflection_trl.online.judging import AnswerJudge
from reflection_trl.problems import load_problems
from reflection_trl.sandbox import Limits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("rollouts", type=Path, help="folder with a file for each batch")
    parser.add_argument("--problems", nargs="+", required=True, help="those of the run")
    parser.add_argument("--timeouts", type=float, nargs="+", default=[3.0, 1.0], help="seconds, the present one first")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--every", type=int, default=1, help="every N-th batch")
    arguments = parser.parse_args()
    problems = {problem.id: problem for source in arguments.problems for problem in load_problems(source)}
    batches = [
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in sorted(arguments.rollouts.glob("*.jsonl"))[:: arguments.every]
    ]
    judges = [AnswerJudge(workers=arguments.workers, limits=Limits(timeout=timeout)) for timeout in arguments.timeouts]
    seconds, outcomes = [0.0] * len(judges), [list[bool]() for _ in judges]
    for judge in judges:
        judge.open()
    for batch in batches:  # in turns, so that the load of the machine falls on all alike
        asked = [problems[row["problem_id"]] for row in batch]
        answers = [next(m["content"] for m in reversed(row["messages"]) if m["role"] == "assistant") for row in batch]
        for number, judge in enumerate(judges):
            started = time.monotonic()
            outcomes[number] += [outcome.passed for outcome in judge.judge(asked, answers)]
            seconds[number] += time.monotonic() - started
    rows = [row for batch in batches for row in batch]
    for number, timeout in enumerate(arguments.timeouts):
        changed = sorted(
            {
                row["problem_id"]
                for row, old, new in zip(rows, outcomes[0], outcomes[number], strict=True)
                if old != new
            }
        )
        differ = sum(old != new for old, new in zip(outcomes[0], outcomes[number], strict=True))
        print(
            f"{timeout:g} s: {len(rows)} answers of {len(batches)} batches in {seconds[number]:.0f} s, {differ} verdicts differ from those with "
            f"{arguments.timeouts[0]:g} s {', '.join(changed)}".rstrip()
        )
    for judge in judges:
        judge.close()


if __name__ == "__main__":
    main()
