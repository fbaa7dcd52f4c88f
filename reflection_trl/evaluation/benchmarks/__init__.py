"""Lists the benchmarks, one class each. To add one, write a subclass of [`Benchmark`] in a new file, and add it to `BENCHMARKS`."""

from collections.abc import Iterable
from functools import cache

from ..prompts import Prompt
from ..tasks import Task
from .benchmark import Benchmark, HubDataset, Judging, OpenExecutor
from .bigcodebench import BigCodeBench
from .ds1000 import DS1000
from .evalplus import HumanEval, Mbpp
from .gsm8k import Gsm8k
from .humanevalfix import HumanEvalFix
from .livecodebench import LiveCodeBench
from .multipl_e import MultiPLE
from .own_problems import OwnProblems


__all__ = [
    "BENCHMARKS",
    "DS1000",
    "Benchmark",
    "BigCodeBench",
    "Gsm8k",
    "HubDataset",
    "HumanEval",
    "HumanEvalFix",
    "Judging",
    "LiveCodeBench",
    "Mbpp",
    "MultiPLE",
    "OpenExecutor",
    "OwnProblems",
    "benchmark_of_task",
    "find_benchmark",
    "get_benchmark",
    "load_tasks",
    "make_prompt",
    "parse_benchmarks",
    "read_solution",
]

BENCHMARKS: tuple[type[Benchmark], ...] = (
    HumanEval,
    Mbpp,
    MultiPLE,
    LiveCodeBench,
    BigCodeBench,
    DS1000,
    HumanEvalFix,
    Gsm8k,
    OwnProblems,
)


def parse_benchmarks(names: Iterable[str]) -> list[str]:
    """
    Returns the benchmarks for names on a command line.

    ```python
    >>> parse_benchmarks(["HumanEval+", "multipl-e:java,js", "problems:my/held-out.jsonl"])
    ['humaneval', 'multipl-e:java', 'multipl-e:javascript', 'problems:my/held-out.jsonl']
    ```

    Args:
        names (`Iterable[str]`):
            `"humaneval"`, `"mbpp"` (a `+` has no effect: both are always scored), `"multipl-e:LANGUAGES"` and
            `"problems:SOURCE"`, for a set of problems with tests that [`~reflection_trl.problems.load_problems`]
            reads.

    Raises:
        ValueError: If a name is not a benchmark, or there are none.
    """
    found = [benchmark.name for name in names for benchmark in _parse(name)]
    if not found:
        usages = [benchmark.usage for benchmark in BENCHMARKS]
        raise ValueError(f"No benchmark specified: use some of {', '.join(usages[:-1])} and {usages[-1]}.")
    return list(dict.fromkeys(found))


@cache
def get_benchmark(name: str) -> Benchmark:
    """
    Returns the benchmark with a name.

    Args:
        name (`str`):
            One of [`parse_benchmarks`], or the name of a score, such as `"humaneval+"`.

    Raises:
        ValueError: If there is no such benchmark, or several.
    """
    found = _parse(name)
    if len(found) > 1:
        raise ValueError(f"{name!r} means {len(found)} benchmarks: use one of {', '.join(one.name for one in found)}.")
    return found[0]


def find_benchmark(name: str) -> Benchmark | None:
    """
    Returns the benchmark with a name, or `None` if it is not the name of a benchmark, but for example a file or an
    external score.

    Args:
        name (`str`):
            Name, as in [`get_benchmark`].

    Raises:
        ValueError: If it is a benchmark, but the text after the colon is invalid.
    """
    return get_benchmark(name) if _classes(name) else None


def benchmark_of_task(task_id: str) -> Benchmark | None:
    """
    Returns the benchmark of a task from its id; `None` if the id is not sufficient.

    Args:
        task_id (`str`):
            Such as `"HumanEval/17"`.
    """
    return next((get_benchmark(benchmark.key) for benchmark in BENCHMARKS if benchmark.owns(task_id)), None)


def load_tasks(benchmark: str, source: str | None = None) -> list[Task]:
    """
    Returns all tasks of a benchmark.

    Args:
        benchmark (`str`):
            One of [`parse_benchmarks`].
        source (`str`, *optional*):
            File, folder or Hub id with its tasks; by default the benchmark's own.

    Raises:
        ValueError: If it is neither on this machine nor available from the network, or problems have no tests.
    """
    return get_benchmark(benchmark).load_tasks(source)


def make_prompt(task: Task, style: str) -> Prompt:
    """
    Returns the prompt of a task, by its benchmark: see [`Benchmark.make_prompt`].

    Args:
        task ([`~reflection_trl.evaluation.tasks.Task`]):
            The task.
        style (`str`):
            `"request"`, `"evalplus"`, `"published"` or `"completion"`.

    Raises:
        ValueError: If there is no such style, or it does not fit the benchmark.
    """
    return get_benchmark(task.benchmark).make_prompt(task, style)


def read_solution(task: Task, text: str, style: str) -> str:
    """
    Returns the code in an answer, by the task's benchmark: see [`Benchmark.read_solution`].

    Args:
        task ([`~reflection_trl.evaluation.tasks.Task`]):
            The task.
        text (`str`):
            Completion.
        style (`str`):
            Style of the prompt, as in [`make_prompt`].

    Returns:
        `str`: The code, or `""` if there is none.
    """
    return get_benchmark(task.benchmark).read_solution(task, text, style)


def _classes(name: str) -> list[type[Benchmark]]:
    key = name.partition(":")[0].strip().lower()
    return [benchmark for benchmark in BENCHMARKS if key in (benchmark.key, *benchmark.aliases)]


def _parse(name: str) -> list[Benchmark]:
    argument = name.partition(":")[2].strip()
    found: list[Benchmark] = [one for benchmark in _classes(name) for one in benchmark.parse(argument)]
    if not found:
        usages = ", ".join(benchmark.usage for benchmark in BENCHMARKS)
        several = "; several are given with spaces between, or as a list" if "," in name.partition(":")[0] else ""
        raise ValueError(f"Unknown benchmark {name!r}: use one of {usages}{several}.")
    return found
