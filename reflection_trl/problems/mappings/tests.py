"""Reads tests in the forms of common datasets."""

import json
import math
import re
from collections.abc import Collection
from typing import Any

from ...quoting import quote
from ..problem import Example
from .text import Row, join_code


_TEST_WORDS = frozenset(
    [
        "test",
        "tests",
        "testcase",
        "testcases",
        "unittest",
        "unittests",
        "assert",
        "asserts",
        "assertion",
        "assertions",
        "checker",
    ]
)
# Columns such as `test_info`, `num_tests`, `tests_passed`
_ABOUT_TESTS = frozenset(
    [
        "count", "framework", "id", "info", "kind", "log", "meta", "metadata", "n", "name", "num", "number", "output", "outputs", "passed",
        "rate", "result", "results", "score", "status", "type",
    ]
)  # fmt: skip
# These columns may contain tests because the request asked for them
_ANSWERS = frozenset(["answer", "completion", "input", "output", "response"])
_MAX_PARSED = 1_000_000  # characters of a text that is parsed to see whether it holds tests
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_ASSERT = re.compile(r"\s*assert\b")
_PLAIN = '''def plain(value):
    """Lists for tuples: the expected values come from JSON, which has no tuples."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
'''


def looks_like_tests(column: str, value: Any) -> bool:
    """
    Returns whether a column contains tests: by its name, or by its content of only asserts or of inputs and outputs, such as a
    `verification_info` with `test_cases`.

    Args:
        column (`str`):
            Name of the column.
        value (`Any`):
            Value of a row.
    """
    if not value or not isinstance(value, str | list | tuple | dict):
        return False
    words = {word.lower() for word in _WORDS.findall(str(column)[:200])}
    if words & _TEST_WORDS and not words & _ABOUT_TESTS:
        return True
    if column in _ANSWERS:
        return False
    if isinstance(value, str) and value.startswith("def check("):
        return True
    if _holds_cases((_parsed(value) if len(value) <= _MAX_PARSED else None) if isinstance(value, str) else value):
        return True
    lines = value.strip().splitlines() if isinstance(value, str) else value
    return isinstance(lines, list | tuple) and all(isinstance(line, str) and _ASSERT.match(line) for line in lines)


def _holds_cases(value: Any, depth: int = 2) -> bool:
    """Returns whether a value of JSON is a dict with tests, or with inputs and outputs, or a list of those."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, dict) and _holds_cases(item, depth) for item in value)
    if not isinstance(value, dict):
        return False
    names = {
        str(name).lower()
        for name, content in value.items()
        if content and isinstance(content, str | list | tuple | dict)
    }
    if {"stdin", "stdout"} <= names or {"inputs", "outputs"} <= names or {"input", "output"} <= names:
        return True
    words = {name: {word.lower() for word in _WORDS.findall(name[:200])} for name in names}
    if any(found & _TEST_WORDS and not found & _ABOUT_TESTS for found in words.values()):
        return True
    texts = (_parsed(item) if isinstance(item, str) and len(item) <= _MAX_PARSED else item for item in value.values())
    return depth > 1 and any(isinstance(item, dict) and _holds_cases(item, depth - 1) for item in texts)


def refuse_unread_tests(row: Row, used: Collection[str | None]) -> None:
    """
    Rejects a row with an unread column that looks like tests: nothing would check its answers.

    Args:
        row (`dict`):
            The row.
        used (`Collection[str]`):
            Columns that were read.

    Raises:
        ValueError: If there is such a column. The message names it.
    """
    for column, value in row.items():
        if column not in used and looks_like_tests(column, value):
            name = quote(str(column), 40)
            raise ValueError(
                f"the column {name} looks like tests but is not read; rename the columns to `instruction` and `tests`, map them, as in "
                f"`columns={{'instruction': ..., 'tests': {name}}}`, or ignore the tests with `'tests': None`"
            )


def read_tests(value: Any, column: str, code: bool = True) -> tuple[str, tuple[Example, ...]]:
    """
    Reads tests in any supported form.

    Args:
        value (`str`, `list` or `dict`):
            Code, or a list of it; runs of a whole program: a list of `{"stdin": ..., "stdout": ...}`, of `{"input":
            ..., "output": ...}` or of pairs, or a dict with the lists `inputs` and `outputs`, and optionally the
            function name `fn_name`. Any of these may be JSON.
        column (`str`):
            Name of the column, for errors.
        code (`bool`, *optional*, defaults to `True`):
            Whether a text that is not JSON is code.

    Returns:
        `tuple[str, tuple[Example, ...]]`: Code, and runs of a whole program.

    Raises:
        ValueError: If it has none of these forms.
    """
    if isinstance(value, str):
        parsed = _parsed(value)
        if parsed is None and (code or not value.strip()):
            return value, ()
        value = value if parsed is None else parsed
    if not value and not isinstance(value, str | int):
        return "", ()
    if code and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return "\n".join(value), ()
    if isinstance(value, dict) and {"inputs", "outputs"} <= {f"{str(key).removesuffix('s')}s" for key in value}:
        inputs, outputs, function = read_cases(value, column)
        return (call_tests(function, inputs, outputs), ()) if function else ("", to_examples(inputs, outputs))
    pairs = [_pair(item) for item in value] if isinstance(value, list | tuple) else [None]
    if None in pairs:
        raise ValueError(
            f"`{column}` must be {'code, a list of code, or ' if code else ''}a list of `stdin` and `stdout`, of `input` and "
            f"`output`, or of pairs, got {quote(value)}"
        )
    return "", tuple(Example(*pair) for pair in pairs if pair)


def read_cases(cases: Any, column: str) -> tuple[list[Any], list[Any], str | None]:
    """
    Returns inputs, outputs and the function under test, or `None` for a whole program, from the form of APPS.

    Args:
        cases (`dict`):
            Dict with `inputs`, `outputs` and optionally `fn_name`; `None` if there are none.
        column (`str`):
            Name of the column, for errors.

    Raises:
        ValueError: If it has another form.
    """
    if cases is None:
        return [], [], None
    if not isinstance(cases, dict):
        raise ValueError(f"`{column}` must hold `inputs` and `outputs`, got {quote(cases)}")
    inputs, outputs = (cases.get(f"{name}s") or cases.get(name) or [] for name in ("input", "output"))
    for name, values in (("inputs", inputs), ("outputs", outputs)):
        if not isinstance(values, list):
            raise ValueError(f"`{name}` of `{column}` must be a list, got {quote(values)}")
    if len(inputs) != len(outputs):
        raise ValueError(f"`{column}` has {len(inputs)} inputs but {len(outputs)} outputs")
    function = cases.get("fn_name")
    if function is not None and not (isinstance(function, str) and function.isidentifier()):
        raise ValueError(f"`fn_name` of `{column}` must be the name of a function, got {quote(function)}")
    if function is not None and not all(isinstance(arguments, list) for arguments in inputs):
        raise ValueError(f"each of `inputs` of `{column}` must be a list, of the arguments of `{function}`")
    return inputs, outputs, function


def to_examples(inputs: list[Any], outputs: list[Any]) -> tuple[Example, ...]:
    """
    Returns runs of a whole program.

    Args:
        inputs, outputs (`list`):
            Standard input and output of each run. A list contains the lines of a text.
    """
    return tuple(Example(_lines(stdin), _lines(stdout)) for stdin, stdout in zip(inputs, outputs, strict=True))


def call_tests(callee: str, inputs: list[Any], outputs: list[Any]) -> str:
    """
    Returns Python asserts that call a function, or `""` if there are no cases.

    Args:
        callee (`str`):
            Expression for the function, such as `"Solution().add"`.
        inputs (`list[list]`):
            Arguments of each call.
        outputs (`list`):
            Expected return values.
    """
    asserts = "\n".join(_assert(callee, *case) for case in zip(inputs, outputs, strict=True))
    return join_code(_PLAIN, asserts, blank_lines=2) if asserts else ""


def _parsed(text: str) -> Any:
    """Parses a JSON list or object; returns `None` for other text."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _pair(item: Any) -> tuple[str, str] | None:
    if isinstance(item, dict):
        names = ("stdin", "stdout") if "stdin" in item else ("input", "output")
        item = [item.get(name) for name in names]
    if not isinstance(item, list | tuple) or len(item) != 2 or not all(isinstance(text, str) for text in item):
        return None
    return item[0], item[1]


def _lines(text: Any) -> str:
    return "\n".join(map(str, text)) if isinstance(text, list) else str(text)


def _assert(callee: str, arguments: list[Any], expected: Any) -> str:
    call = f"plain({callee}({', '.join(map(_literal, arguments))}))"
    if isinstance(expected, list) and len(expected) == 1:  # most rows wrap the value in a list, but not all
        return f"assert {call} in ({_literal(expected[0])}, {_literal(expected)})"
    return f"assert {call} == {_literal(expected)}"


def _literal(value: Any) -> str:
    """Returns a value of JSON as Python code."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)
