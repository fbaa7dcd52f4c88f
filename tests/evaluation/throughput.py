"""
Seconds, seconds of processors, and memory that judging takes: `reflection-trl evaluate --samples` against `evalplus.evaluate`, in turns in one run.

```
python tests/evaluation/throughput.py mbpp SAMPLES.jsonl [--answers 10] [--workers 2] [--rounds 3]
```

evalplus's expected outputs are computed first, where they are not in its cache yet. `--answers` repeats the answers of the file. Each
repetition differs in one line of code, so that both sides judge every one of them; with `--alike` it differs in a comment only. The time
of evalplus ends when its results are written: a thread of it then sleeps for up to 20 seconds.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from reflection_trl.evaluation.expected_outputs import ground_truth


def read(file: Path, benchmark: str) -> dict[str, list[str]]:
    from evalplus.data import get_human_eval_plus, get_mbpp_plus

    problems = get_human_eval_plus() if benchmark == "humaneval" else get_mbpp_plus()
    found: dict[str, list[str]] = {}
    for line in file.read_text().splitlines():
        record = json.loads(line)
        answer = (
            record["solution"]
            if "solution" in record
            else problems[record["task_id"]]["prompt"] + record["completion"]
        )
        found.setdefault(record["task_id"], []).append(answer)
    return found


def repeated(answers: list[str], count: int, alike: bool) -> list[str]:
    lines = [f"# {number}" if alike else f"_answer = {number}" for number in range(count)]
    return [f"{answers[number % len(answers)]}\n\n{line}\n" for number, line in enumerate(lines)]


def run(command: list[str], log: Path, written: Path | None) -> tuple[float, float, int]:
    """
    Seconds of a command until it ends, or has written a file; those of processors that it and its descendants used, and the most memory
    that they held at a time, shared pages counted once.
    """
    started, used, peak = time.time(), processor_seconds(), 0
    with open(log, "wb") as output:
        process = psutil.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(1.0):
                with contextlib.suppress(psutil.Error):  # a process that has ended meanwhile
                    peak = max(peak, sum(map(proportional, [process, *process.children(recursive=True)])))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        ended.set()
        seconds = (written.stat().st_mtime if written and not code else time.time()) - started
        watcher.join()
    if code:
        raise SystemExit(f"{command[:4]} ... has failed:\n{log.read_text()[-2000:]}")
    return seconds, processor_seconds() - used, peak


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def proportional(process: psutil.Process) -> int:
    try:
        with open(f"/proc/{process.pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) << 10 for line in file if line.startswith("Pss:"))
    except OSError:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("benchmark", choices=["humaneval", "mbpp"])
    parser.add_argument("samples", type=Path)
    parser.add_argument("--answers", type=int, default=1, help="to each task")
    parser.add_argument("--alike", action="store_true", help="repetitions differ in a comment only")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ground_truth(arguments.benchmark)
    found = read(arguments.samples, arguments.benchmark)
    measured: dict[str, list[tuple[float, float, int]]] = {"evalplus.evaluate": [], "reflection-trl evaluate": []}
    passed: dict[str, set[tuple[int, int]]] = {name: set() for name in measured}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, results = folder / "samples.jsonl", folder / "samples_eval_results.json"
        with open(file, "w") as target:
            for task_id, answers in found.items():
                for answer in repeated(answers, arguments.answers, arguments.alike):
                    target.write(json.dumps({"task_id": task_id, "solution": answer}) + "\n")
        count, workers = len(found) * arguments.answers, str(arguments.workers)
        theirs = [sys.executable, "-m", "evalplus.evaluate", "--dataset", arguments.benchmark, "--parallel", workers]
        ours = [sys.executable, "-m", "reflection_trl", "evaluate", "--workers", workers, "--output_dir"]
        ours += [str(folder / "out"), "--benchmarks", arguments.benchmark, "--samples", str(file)]
        for number in range(arguments.rounds):
            results.unlink(missing_ok=True)
            turns = [("evalplus.evaluate", [*theirs, "--samples", str(file)]), ("reflection-trl evaluate", ours)]
            for label, command in turns if number % 2 == 0 else turns[::-1]:
                measured[label].append(run(command, folder / "log", results if label == "evalplus.evaluate" else None))
                passed[label].add(scores(label, results, folder / "out" / "results.json"))
    base = statistics.median(seconds for seconds, _, _ in measured["evalplus.evaluate"])
    print(f"{arguments.benchmark}, {count} answers, {arguments.workers} workers, {os.cpu_count()} processors")
    for label, runs in measured.items():
        times, used = [seconds for seconds, _, _ in runs], statistics.median(used for _, used, _ in runs)
        each = ", ".join(f"{seconds:.1f}" for seconds in times)
        median, memory = statistics.median(times), max(memory for _, _, memory in runs)
        print(
            f"{label:24} {median:6.1f} s ({each}), {median / base:.2f}x, {used:.1f} s of processors, "
            f"{memory / 2**30:.2f} GiB, passed {sorted(passed[label])}"
        )


def scores(label: str, theirs: Path, ours: Path) -> tuple[int, int]:
    """How many answers have passed the benchmark and its `+`."""
    if label == "evalplus.evaluate":
        answers = [one for task in json.loads(theirs.read_text())["eval"].values() for one in task]
        base = [one["base_status"] == "pass" for one in answers]
        return sum(base), sum(ok and one["plus_status"] == "pass" for ok, one in zip(base, answers, strict=True))
    found = {score["benchmark"]: score["outcomes"] for score in json.loads(ours.read_text())["scores"]}
    counts = [sum(outcome["passed"] for outcome in found[name]) for name in sorted(found)]
    return counts[0], counts[1]


if __name__ == "__main__":
    main()
