"""Finds the libraries that tasks need, and those that this Python lacks."""

import ast
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec

from ...python_code import parse_python
from ..tasks import Task


def imported_libraries(*sources: str) -> set[str]:
    """
    Returns the libraries beside Python's own that code imports anywhere.

    Args:
        *sources (`str`):
            Python code. Code that does not parse has none.
    """
    found: set[str] = set()
    for source in sources:
        tree = parse_python(source)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return third_party(found)


def third_party(modules: Iterable[str]) -> set[str]:
    """Returns the names that are not modules of the standard library."""
    return {module for module in modules if module not in sys.stdlib_module_names}


def with_libraries(
    title: str, tasks: Sequence[Task], libraries: Mapping[str, set[str]]
) -> tuple[list[Task], str | None]:
    """
    Returns the tasks whose libraries this Python has, and what the others lack, in one sentence.

    Args:
        title (`str`):
            Title of the benchmark.
        tasks (`Sequence[Task]`):
            All tasks.
        libraries (`Mapping[str, set[str]]`):
            The libraries of each task, by its id.
    """
    absent = {name for needed in libraries.values() for name in needed if not _is_here(name)}
    kept = [task for task in tasks if not libraries[task.id] & absent]
    if len(kept) == len(tasks):
        return kept, None
    counts = Counter(name for task in tasks for name in libraries[task.id] & absent)
    names = ", ".join(sorted(counts, key=lambda name: (-counts[name], name)))
    return kept, (
        f"{len(tasks) - len(kept)} of {len(tasks)} problems of {title} are left out: this Python lacks {names}; install what they need "
        "beside this package, and run the command again."
    )


def _is_here(module: str) -> bool:
    """
    Returns whether programs in the sandbox can import it. The sandbox contains this Python's environment, but no
    folders of `PYTHONPATH` or of a user.
    """
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = [*(spec.submodule_search_locations or []), *([spec.origin] if spec.has_location and spec.origin else [])]
    seen = [os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix)]
    return any(
        f"{os.path.realpath(place)}/".startswith((*(f"{prefix}/" for prefix in seen), "/usr/")) for place in places
    )
