"""
Isolated runs of a small Python program per second, and their processor time, which depends less on the load of the machine: the zygote
against one bubblewrap a run, in one run.

```
python tests/sandbox/throughput.py [--workers 2] [--seconds 5] [--python /usr/bin/python3]
```
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reflection_trl.sandbox import PythonProgram, Sandbox
from reflection_trl.sandbox.bubblewrap import Bubblewrap
from reflection_trl.sandbox.interpreter import find_interpreter
from reflection_trl.sandbox.seccomp import build_filter


SOURCE = "def add(a, b):\n    return a + b\n"
CHECKS = "assert add(1, 2) == 3\nassert add('a', 'b') == 'ab'\nassert add([1], [2]) == [1, 2]\n"


def measure(run: Callable[[int], bool], workers: int, seconds: float) -> float:
    """Runs per second, by `workers` threads, for `seconds`."""
    end = time.monotonic() + seconds

    def loop(_: int) -> int:
        done = 0
        while time.monotonic() < end:
            if not run(done):
                raise SystemExit("a run has failed")
            done += 1
        return done

    started = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        done = sum(pool.map(loop, range(workers)))
    return done / (time.monotonic() - started)


def processor_seconds() -> float:
    """Returns the processor time of this process and its descendants, ended or not."""
    pids, ticks = [str(os.getpid())], 0
    for pid in pids:
        pids += [child for path in Path("/proc", pid, "task").glob("*/children") for child in path.read_text().split()]
        ticks += sum(map(int, Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def one_bwrap_a_run(filter: bytes, python: str | None) -> Callable[[int], bool]:
    """What the zygote is measured against: the same isolation around a plain interpreter, limits set by `prlimit`."""
    mechanism = Bubblewrap(find_interpreter(python))
    limits = ["prlimit", "--nproc=64", f"--data={1 << 30}", f"--fsize={1 << 28}", "--nofile=256", "--core=0", "--"]
    argv = [*limits, mechanism.python, "-I", "-c", SOURCE + CHECKS]

    def run(_: int) -> bool:
        with tempfile.TemporaryFile() as file:
            file.write(filter)
            file.seek(0)
            command = mechanism.command(argv, disk=1 << 28, seccomp=file.fileno())
            done = subprocess.run(command, pass_fds=[file.fileno()], capture_output=True, stdin=subprocess.DEVNULL)
        return done.returncode == 0

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--python", help="the interpreter inside, such as /usr/bin/python3")
    arguments = parser.parse_args()
    single = one_bwrap_a_run(build_filter(), arguments.python)
    rates: dict[str, list[float]] = {"zygote, with checks": [], "zygote, no checks": [], "one bubblewrap a run": []}
    used = dict.fromkeys(rates, 0.0)
    seconds = arguments.seconds / 3
    with Sandbox(arguments.workers, arguments.python, mechanism="bubblewrap") as sandbox:
        runs = {
            "zygote, with checks": lambda _: sandbox.run(PythonProgram(SOURCE, CHECKS)).passed,
            "zygote, no checks": lambda _: sandbox.run(PythonProgram(SOURCE + CHECKS)).passed,
            "one bubblewrap a run": single,
        }
        # Turn by turn, so that the load of the machine falls on all of them alike.
        for _ in range(3):
            for name, run in runs.items():
                before = processor_seconds()
                rates[name].append(measure(run, arguments.workers, seconds))
                used[name] += processor_seconds() - before
    base = sum(rates["one bubblewrap a run"])
    print(f"{arguments.workers} workers, {os.cpu_count()} processors")
    for name, measured in rates.items():
        each = ", ".join(f"{rate:.0f}" for rate in measured)
        cost = 1000 * used[name] / (sum(measured) * seconds)
        print(
            f"{name:22} {sum(measured) / 3:6.1f} runs/s ({each}), {sum(measured) / base:.2f}x, {cost:.1f} ms of a core"
        )


if __name__ == "__main__":
    main()
