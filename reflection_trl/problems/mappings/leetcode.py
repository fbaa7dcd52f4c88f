"""Problems with a `check(candidate)` function and starter code, as LeetCodeDataset publishes them.

The tests of these rows lean on a preamble (star imports, `ListNode`, helpers that build trees). An answer has to stand alone,
so the request shows what the starter code needs: the imports of its annotations, and its node classes as real code.
"""

import ast
import re
from typing import Any

from ..problem import Problem
from .text import code_block, join_code, parse, unix_lines


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


def leetcode(row: dict[str, Any]) -> Problem:
    """
    Map a row with `check()` tests.

    Args:
        row (`dict`): with `task_id`, `prompt` (the preamble), `completion`, `entry_point` (an expression such as
            `"Solution().twoSum"`), `test`, and either `query` (statement and fenced starter code) or
            `problem_description` and `starter_code`.
    """
    preamble = unix_lines(row["prompt"])
    statement, starter = _statement(row)
    callee = row["entry_point"].strip()
    return Problem(
        id=f"leetcode/{row['task_id']}",
        instruction=_request(statement, starter, preamble),
        tests=join_code(preamble, unix_lines(row["test"]), f"check({callee})", blank_lines=2),
        entry_point=re.split(r"\W", callee, maxsplit=1)[0] or None,
        reference=join_code(preamble, unix_lines(row["completion"]), blank_lines=2),
        source="leetcode",
    )


def _statement(row: dict[str, Any]) -> tuple[str, str]:
    if row.get("problem_description"):
        return unix_lines(row["problem_description"]).strip(), unix_lines(row.get("starter_code")).strip("\n")
    query = unix_lines(row.get("query")).strip()
    match = _STARTER.match(query)
    return (match["statement"].strip(), match["code"].strip("\n")) if match else (query, "")


def _request(statement: str, starter: str, preamble: str) -> str:
    if not statement or not starter:
        return statement
    code = "\n".join(line for line in starter.split("\n") if not line.startswith("#"))  # definitions, commented out
    used = set(re.findall(r"\w+", code))
    imports = sorted(used & _TYPING)
    classes = [
        ast.unparse(node) for node in parse(preamble).body if isinstance(node, ast.ClassDef) and node.name in used
    ]
    imported = f"from typing import {', '.join(imports)}" if imports else ""
    return f"{statement}\n\nComplete this Python code:\n\n{code_block(join_code(imported, *classes, code, blank_lines=2))}"
