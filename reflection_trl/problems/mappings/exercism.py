"""Maps Exercism's problem specifications: a description and cases in JSON, one problem per exercise.

The cases are independent of a language. A case becomes a call of a Python function with the case's values as
arguments. Other cases are skipped: operations on an object, functions or random numbers described in prose, files.
"""

import builtins
import itertools
import keyword
import re
from collections.abc import Iterator
from typing import Any

from ...quoting import quote
from ..problem import Problem
from .text import Row, code_block, join_code, text_of


# Exercises whose values are expressions ("pi/2", "strength == strength") or sets without order
_NOT_DATA = frozenset(["complex-numbers", "custom-set", "dnd-character", "simple-cipher"])
_NO_ARGUMENTS = frozenset(["commands", "files", "function", "operations", "predicate"])
_NO_CASES = ("immutable", "random")
_TOLERANCE = 0.01
# Level-one headings ("# Description"), hidden comments, fences around notes
_MARKUP = re.compile(r"^# .*\n|^\[//\]:.*\n|^~~~~.*\n|<!--.*?-->\n?", re.MULTILINE)

Case = dict[str, Any]


def exercism(row: Row) -> Problem | None:
    """
    Maps an exercise.

    Args:
        row (`dict`):
            Row with `slug`, `description` (Markdown) and `canonical_data` (its `cases` may be nested).

    Returns:
        `Problem`, *optional*: `None` if no case is a function call.

    Raises:
        ValueError: If `canonical_data` has no `cases`, or a column has another type.
    """
    slug, data = text_of(row, "slug"), row.get("canonical_data")
    if not isinstance(data, dict) or "cases" not in data:
        raise ValueError(f"`canonical_data` must be an object with `cases`, got {quote(data)}")
    cases = [] if slug in _NOT_DATA else list(_calls(data["cases"]))
    if not cases:
        return None
    functions = {name: _parameters(group) for name, group in _by_property(cases).items()}
    return Problem(
        id=f"exercism/{slug}" if slug else "",
        instruction=_request(text_of(row, "description"), cases, functions),
        tests=join_code(*(_test(case, functions) for case in cases)),
        entry_point=_function(cases[0]["property"]) if len(functions) == 1 else None,
        source="exercism",
        license="MIT",
    )


def _leaves(cases: Any) -> Iterator[Case]:
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ValueError(f"`cases` of `canonical_data` must be a list of objects, got {quote(cases)}")
    for case in cases:
        if "cases" in case:
            yield from _leaves(case["cases"])
            continue
        if not (
            isinstance(case.get("input"), dict)
            and isinstance(case.get("property"), str)
            and all(_parameter(name).isidentifier() for name in [case["property"], *case["input"]])
            and isinstance(case.get("scenarios") or [], list)
            and "expected" in case
        ):
            raise ValueError(
                f"a case of `canonical_data` must have `property`, `input` and `expected`, got {quote(case)}"
            )
        yield case


def _calls(cases: Any) -> Iterator[Case]:
    leaves = list(_leaves(cases))
    replaced = [case["reimplements"] for case in leaves if case.get("reimplements") is not None]
    for case in leaves:
        left_out = _NO_ARGUMENTS & case["input"].keys() or any(one in _NO_CASES for one in case.get("scenarios") or ())
        if case.get("uuid") not in replaced and not left_out:
            yield case


def _by_property(cases: list[Case]) -> dict[str, list[Case]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case["property"], []).append(case)
    return groups


def _parameters(cases: list[Case]) -> dict[str, bool]:
    """Returns the parameters of a function, required ones first, and whether every case has them."""
    every = dict.fromkeys(itertools.chain.from_iterable(case["input"] for case in cases))
    required = {name: all(name in case["input"] for case in cases) for name in every}
    return dict(sorted(required.items(), key=lambda item: not item[1]))


def _parameter(name: str) -> str:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def _function(name: str) -> str:
    name = _parameter(name)
    return f"{name}_" if hasattr(builtins, name) else name


def _signature(name: str, parameters: dict[str, bool]) -> str:
    arguments = [_parameter(p) + ("" if required else "=None") for p, required in parameters.items()]
    return f"def {_function(name)}({', '.join(arguments)}):\n    ..."


def _call(case: Case, functions: dict[str, dict[str, bool]]) -> str:
    arguments = (repr(case["input"].get(name)) for name in functions[case["property"]])
    return f"{_function(case['property'])}({', '.join(arguments)})"


def _is_error(case: Case) -> bool:
    return isinstance(case["expected"], dict) and "error" in case["expected"]


def _test(case: Case, functions: dict[str, dict[str, bool]]) -> str:
    call, expected = _call(case, functions), case["expected"]
    if _is_error(case):
        message = f"{call} should raise a ValueError"
        return f"try:\n    {call}\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError({message!r})"
    if isinstance(expected, float):
        return f"assert abs({call} - {expected!r}) < {_TOLERANCE}"
    if isinstance(expected, bool) or expected is None:
        return f"assert {call} is {expected!r}"
    return f"assert {call} == {expected!r}"


def _request(description: str, cases: list[Case], functions: dict[str, dict[str, bool]]) -> str:
    text = re.sub(_MARKUP, "", description).strip()
    if not text:
        return ""
    signatures = "\n\n\n".join(_signature(name, parameters) for name, parameters in functions.items())
    examples = [next((c for c in group if not _is_error(c)), None) for group in _by_property(cases).values()]
    lines = [f"- `{_call(case, functions)}` returns `{case['expected']!r}`" for case in examples if case]
    if any(_is_error(case) for case in cases):
        lines.append("- a `ValueError` is raised where the description speaks of an error, or the input is invalid")
    what = "this Python function" if len(functions) == 1 else "these Python functions"
    return f"{text}\n\nWrite {what}:\n\n{code_block(signatures)}\n\nFor example:\n" + "\n".join(lines)
