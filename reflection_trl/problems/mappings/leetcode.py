"""Maps problems with a `check(candidate)` function and starter code, in the form of LeetCodeDataset.

The tests of these rows depend on a preamble (star imports, `ListNode`, helpers that build trees). An answer must be
complete, so the request contains what the starter code needs: the imports of its annotations, and its node classes as
code.
"""

import ast
import re

from ..problem import Problem
from .text import Row, code_block, join_code, name_of, parse_column, text_of


_STARTER = re.compile(
    r"^(?P<statement>.*?)(?:Please complete[^\n]*\n)?\s*```(?:python)?\n(?P<code>.*?)```\s*$", re.DOTALL
)
_TYPING = frozenset(
    [
        "Any",
        "Callable",
        "Deque",
        "Dict",
        "Generator",
        "Iterable",
        "Iterator",
        "List",
        "Optional",
        "Set",
        "Tuple",
        "Union",
    ]
)


def leetcode(row: Row) -> Problem:
    """
    Maps a row with `check()` tests.

    Args:
        row (`dict`):
            Row with `task_id`, `prompt` (the preamble), `completion`, `entry_point` (an expression such as
            `"Solution().twoSum"`), `test`, and either `query` (statement and fenced starter code) or
            `problem_description` and `starter_code`.

    Raises:
        ValueError: If `test` defines no `check`, `entry_point` is empty, or a column has another type.
    """
    preamble = text_of(row, "prompt")
    statement, starter = _statement(row)
    test, callee = text_of(row, "test"), text_of(row, "entry_point").strip()
    if not callee or not re.search(r"^def check\(", test, re.MULTILINE):
        raise ValueError("`test` must define `check(candidate)`, and `entry_point` must name what it is called with")
    return Problem(
        id=f"leetcode/{name}" if (name := name_of(row, "task_id")) else "",
        instruction=_request(statement, starter, preamble),
        tests=join_code(preamble, test, f"check({callee})", blank_lines=2),
        entry_point=re.split(r"\W", callee, maxsplit=1)[0] or None,
        reference=join_code(preamble, text_of(row, "completion"), blank_lines=2),
        source="leetcode",
    )


def _statement(row: Row) -> tuple[str, str]:
    if description := text_of(row, "problem_description").strip():
        return description, text_of(row, "starter_code").strip("\n")
    query = text_of(row, "query").strip()
    match = _STARTER.match(query)
    return (match["statement"].strip(), match["code"].strip("\n")) if match else (query, "")


def _request(statement: str, starter: str, preamble: str) -> str:
    if not statement or not starter:
        return statement
    code = "\n".join(line for line in starter.split("\n") if not line.startswith("#"))  # definitions, commented out
    used = set(re.findall(r"\w+", code))
    imports = sorted(used & _TYPING)
    classes = [
        ast.unparse(node)
        for node in parse_column(preamble, "prompt").body
        if isinstance(node, ast.ClassDef) and node.name in used
    ]
    imported = f"from typing import {', '.join(imports)}" if imports else ""
    return f"{statement}\n\nComplete this Python code:\n\n{code_block(join_code(imported, *classes, code, blank_lines=2))}"
