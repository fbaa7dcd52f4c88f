"""The benchmarks, task by task, as a model is asked them."""

from collections.abc import Iterable
from typing import Any

from ..languages import get_language
from ..problems.benchmarks import read_evalplus
from ..problems.mappings.mbpp import mbpp
from ..problems.mappings.text import code_block
from .tasks import Task


EVALPLUS = {"humaneval": "HumanEval", "mbpp": "MBPP"}
MULTIPL_E, OWN_PROBLEMS = "multipl-e:", "problems:"  # what follows is the language, and where they are


def parse_benchmarks(names: Iterable[str]) -> list[str]:
    """
    The benchmarks that names on a command line stand for.

    ```python
    >>> parse_benchmarks(["HumanEval+", "multipl-e:java,js", "problems:my/held-out.jsonl"])
    ['humaneval', 'multipl-e:java', 'multipl-e:javascript', 'problems:my/held-out.jsonl']
    ```

    Args:
        names (`Iterable[str]`): `"humaneval"`, `"mbpp"` (a `+` changes nothing: both are always judged),
            `"multipl-e:LANGUAGES"` and `"problems:SOURCE"`, for a set of problems with tests that
            [`~reflection_trl.problems.load_problems`] reads.

    Raises:
        ValueError: If a name is none of a benchmark, or there are none.
    """
    found: list[str] = []
    for name in names:
        key, _, languages = name.strip().lower().partition(":")
        if f"{key}:" == OWN_PROBLEMS and (source := name.strip()[len(OWN_PROBLEMS) :].strip()):
            found.append(OWN_PROBLEMS + source)
            continue
        if key.removesuffix("+") in EVALPLUS and not languages:
            found.append(key.removesuffix("+"))
        elif key == "multipl-e" and languages.strip(", "):
            found += [f"{MULTIPL_E}{get_language(one).name}" for one in languages.split(",") if one.strip()]
        else:
            raise ValueError(
                f"Unknown benchmark {name!r}: use {', '.join(EVALPLUS)}, multipl-e:LANGUAGES, such as multipl-e:java,js, or "
                "problems:FILE, for problems of your own with tests."
            )
    if not found:
        raise ValueError("Which benchmarks? Give some of humaneval, mbpp, multipl-e:LANGUAGES and problems:FILE.")
    return list(dict.fromkeys(found))


def load_tasks(benchmark: str, multipl_e: str | None = None) -> list[Task]:
    """
    All tasks of a benchmark.

    Args:
        benchmark (`str`): one of [`parse_benchmarks`].
        multipl_e (`str`, *optional*): file, folder or Hub id with MultiPL-E's tasks; its own on the Hub by default.

    Raises:
        ValueError: If it is neither on this machine nor to be had from the network, or problems have no tests.
    """
    if benchmark.startswith(OWN_PROBLEMS):
        from .own_problems import load_own_problems

        return load_own_problems(benchmark.removeprefix(OWN_PROBLEMS))
    if benchmark.startswith(MULTIPL_E):
        from .multipl_e import load_multipl_e

        return load_multipl_e(benchmark.removeprefix(MULTIPL_E), multipl_e)
    make = _humaneval if benchmark == "humaneval" else _mbpp
    return [make(task) for task in read_evalplus(EVALPLUS[benchmark]).values()]


def _humaneval(task: dict[str, Any]) -> Task:
    request = f"Complete this Python code:\n\n{code_block(task['prompt'])}"
    return Task(task["task_id"], "humaneval", request, prompt=task["prompt"], entry_point=task["entry_point"])


def _mbpp(task: dict[str, Any]) -> Task:
    """The request is made as for MBPP's training problems: it says what the function is called and shows one call."""
    text, test = split_statement(task["prompt"])
    problem = mbpp({"task_id": task["task_id"], "text": text, "code": task["canonical_solution"], "test_list": [test]})
    return Task(task["task_id"], "mbpp", problem.instruction, prompt=task["prompt"], entry_point=task["entry_point"])


def split_statement(prompt: str) -> tuple[str, str]:
    """The sentence and the assert of a prompt of MBPP+, which stand in a string."""
    text, _, test = prompt.strip().removeprefix('"""').removesuffix('"""').partition("\nassert ")
    return text.strip(), f"assert {test.strip()}"
