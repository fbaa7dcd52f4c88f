"""Implements LiveCodeBench's code generation: problems of programming contests, each with the date of its contest.

Scores answers like its own evaluator: common modules are imported before an answer; output of programs is compared
line by line without surrounding whitespace, numbers in a line by their decimal value; results of functions by `==`, a
tuple as a list. Each test has a time limit of six seconds. Only printed output counts for a program, and only values
sent as data for a function.

The hidden tests are pickled text. They are read opcode by opcode, and nothing is ever unpickled.
Source: huggingface.co/papers/2403.07974, github.com/LiveCodeBench/LiveCodeBench.
"""

import base64
import binascii
import calendar
import datetime
import json
import os
import pickletools
import re
import zlib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Self

from ...feedback import Feedback, FeedbackKind
from ...languages.execution import Execute
from ...problems import Example
from ...problems.judge import compare_lines
from ...problems.mappings.text import code_block
from ...quoting import quote
from ...sandbox import Limits
from ..tasks import Task
from .benchmark import Benchmark, HubDataset
from .rows import Columns, read_rows, unique_tasks


HUB_ID = "livecodebench/code_generation_lite"

_COLUMNS: Columns = {
    "question_id": str,
    "question_content": str,
    "starter_code": str,
    "public_test_cases": (str, list),
    "private_test_cases": (str, list),
    "contest_date": (str, datetime.date),
    "metadata": (str, dict),
}
_DATE = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?", re.ASCII)
_MODULES = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools", "functools",
    "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
# Imports that the evaluator prepends to every answer: first the modules' names, then the modules themselves
_PREAMBLE = (
    "; ".join([*(f"from {name} import *" for name in _MODULES), f"import {', '.join(_MODULES)}"])
    + "; sys.setrecursionlimit(50000); sys.set_int_max_str_digits(50000)\n"
)
# `repr` writes special floats by these names; the tests use no other name of the answer than the function
_HEADER = "from math import inf, nan\n"
_LARGEST = 1 << 30  # bytes of the unpacked tests of one problem
_TEXTS = frozenset(["SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"])
_HARMLESS = _TEXTS | {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"}


@dataclass(frozen=True)
class Case:
    """
    Represents one test.

    Args:
        input (`str`):
            Standard input, or the arguments of the function: one JSON value a line.
        output (`str`):
            Standard output, or the result in JSON.
        of_function (`bool`, *optional*, defaults to `False`):
            Whether it is a test of a function.
    """

    input: str
    output: str
    of_function: bool = False


class LiveCodeBench(Benchmark):
    """
    Implements LiveCodeBench, optionally limited to contests in a range of dates.

    Args:
        name (`str`):
            `"livecodebench"` or `"livecodebench:FROM:TO"`; both dates are included, and a month means all of its days.
    """

    key = "livecodebench"
    usage = "livecodebench:FROM:TO"
    limits = Limits(timeout=6.0, memory=4 << 30, output=64 << 20)
    packages = True  # its evaluator has NumPy, which some answers import

    @classmethod
    def parse(cls, argument: str) -> list[Self]:
        if not argument:
            return [cls(cls.key)]
        parts = [part.strip() for part in argument.split(":")]
        if len(parts) != 2 or not any(parts):
            raise ValueError(f"{cls.key}:{argument}: write a window of dates as {cls.key}:2024-08:2025-02.")
        benchmark = cls(f"{cls.key}:{':'.join(parts)}")
        first, last = benchmark.window
        if first > last:
            raise ValueError(
                f"{cls.key}:{argument}: the window from {first} to {last} is empty: write the earlier date first."
            )
        return [benchmark]

    @property
    def window(self) -> tuple[datetime.date, datetime.date]:
        """Returns the first and the last day of the contests."""
        _, _, argument = self.name.partition(":")
        first, _, last = argument.partition(":")
        return (
            _date(first, False) if first else datetime.date.min,
            _date(last, True) if last else datetime.date.max,
        )

    def load_tasks(self, source: str | None = None) -> list[Task]:
        first, last = self.window
        rows = read_rows("LiveCodeBench", self.key, _COLUMNS, source, HUB_ID, download=_download)
        tasks = unique_tasks(
            (where, self._task(row, where)) for where, row in rows if first <= _contest_date(row, where) <= last
        )
        if not tasks:
            raise ValueError(f"No problem is from a contest in the window of {self.name!r}: give other dates.")
        return tasks

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        """Returns the statements and the code to complete; solutions are not published."""
        return {
            row["question_id"]: [row["question_content"], *filter(str.strip, [row["starter_code"]])]
            for _, row in read_rows("LiveCodeBench", self.key, _COLUMNS, source, HUB_ID, download=_download)
        }

    def judges_output(self, task: Task) -> bool:
        return task.entry_point is None

    async def run_tests(self, task: Task, solution: str, execute: Execute) -> Feedback:
        stored = json.loads(task.tests)
        tests = [test for part in stored["tests"] for test in read_tests(part, task.id)]
        if stored["function"] is None:
            return await _run_program(solution, tests, execute)
        return await _call_function(stored["function"], solution, tests, execute)

    def hub_dataset(self, score: str) -> HubDataset | None:
        first, _, last = self.name.partition(":")[2].partition(":")
        title = f"LiveCodeBench ({first or 'start'} to {last or 'end'})" if first or last else "LiveCodeBench"
        config = f"{first}_{last}" if first or last else "release_latest"
        return HubDataset(HUB_ID, f"code_generation_{config}", title, config)

    def _task(self, row: dict[str, Any], where: str) -> Task:
        metadata = (
            row["metadata"] if isinstance(row["metadata"], dict) else _from_json(row["metadata"], where, "metadata")
        )
        function = metadata.get("func_name") if isinstance(metadata, dict) else None
        if function is not None and not (isinstance(function, str) and function.isidentifier()):
            raise ValueError(
                f"{where}: `func_name` in `metadata` must be the name of a function, got {quote(function)}."
            )
        starter = row["starter_code"].strip("\n")
        # Packed again until they run, since the unpacked tests of all problems take gigabytes
        parts = [row["public_test_cases"], row["private_test_cases"]]
        tests = [test for part in parts for test in read_tests(part, where)]
        if not tests:
            raise ValueError(f"{where}: the problem {row['question_id']!r} has no tests.")
        if function is None and any(test.of_function for test in tests):
            raise ValueError(f"{where}: the tests call a function, but `metadata` has no `func_name` that names it.")
        if function is not None:
            for test in tests:
                _values(test, where)
        if starter:
            request = f"Complete this Python code, and give it as a whole:\n\n{code_block(starter)}"
        elif function is not None:
            request = f"Write a Python function `{function}`."
        else:
            request = "Write a Python program that reads the input from standard input and prints the answer to standard output."
        in_class = re.search(r"^class Solution\b", starter, re.MULTILINE)
        return Task(
            row["question_id"],
            self.name,
            f"{row['question_content'].strip()}\n\n{request}",
            entry_point="Solution" if in_class else function,
            tests=json.dumps({"function": function, "tests": parts}),
        )


def read_tests(packed: Any, where: str) -> list[Case]:
    """
    Returns the tests of a problem: a list, its JSON, or that JSON as pickled text, compressed and in base64.

    Args:
        packed (`str` or `list`):
            Value of the column.
        where (`str`):
            Location for errors.

    Raises:
        ValueError: If it has another form. A pickle of anything but one text is rejected, and never executed.
    """
    if isinstance(packed, str):
        packed = _from_json(packed if packed.lstrip().startswith("[") else _unpack(packed, where), where, "the tests")
    if not isinstance(packed, list):
        raise ValueError(f"{where}: the tests must be a list, got {quote(packed)}.")
    for test in packed:
        if not isinstance(test, dict) or not all(isinstance(test.get(key), str) for key in ("input", "output")):
            raise ValueError(f"{where}: a test must have the texts `input` and `output`, got {quote(test)}.")
        if test.get("testtype", "stdin") not in ("stdin", "functional"):
            raise ValueError(f"{where}: a test must be of type stdin or functional, got {quote(test['testtype'])}.")
    return [Case(test["input"], test["output"], test.get("testtype") == "functional") for test in packed]


def _unpack(packed: str, where: str) -> str:
    try:
        compressed = base64.b64decode(packed, validate=True)
        unpacker = zlib.decompressobj()
        pickled = unpacker.decompress(compressed, _LARGEST)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(
            f"{where}: the tests are neither JSON nor compressed, base64-encoded pickled text ({error})."
        ) from error
    if not unpacker.eof:
        reason = f"hold more than {_LARGEST >> 20} MiB" if unpacker.unconsumed_tail else "are cut off"
        raise ValueError(f"{where}: the compressed tests {reason}.")
    return read_pickled_text(pickled, where)


def read_pickled_text(pickled: bytes, where: str) -> str:
    """
    Returns the text in a pickle of one text. The pickle is read opcode by opcode and never executed.

    Args:
        pickled (`bytes`):
            The pickle.
        where (`str`):
            Location for errors.

    Raises:
        ValueError: If the pickle holds anything else, such as a call.
    """
    texts = []
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name not in _HARMLESS:
                raise ValueError(
                    f"{where}: the pickled tests contain {opcode.name} and not only text, so they may run code: use the original files."
                )
            if opcode.name in _TEXTS:
                texts.append(argument)
    except (UnicodeError, ValueError) as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}: the pickled tests are damaged ({error}).") from error
    if len(texts) != 1:
        raise ValueError(f"{where}: the pickled tests must contain one text, got {len(texts)}.")
    return str(texts[0])


async def _run_program(solution: str, tests: list[Case], execute: Execute) -> Feedback:
    feedback = None
    for test in tests:
        run = await execute("python", _PREAMBLE + solution, stdin=test.input)
        feedback = run.feedback
        if feedback.passed:
            feedback = compare_lines(Example(test.input, test.output), run.stdout, split_lines, is_same_line)
        if not feedback.passed:
            break
    assert feedback is not None
    return feedback


def split_lines(text: str) -> list[str]:
    """Returns the lines of an output, without whitespace around the output and around each line."""
    return [line.strip() for line in text.strip().split("\n")]


def is_same_line(expected: str, got: str) -> bool:
    """
    Returns whether two lines are the same, or hold the same decimal numbers: `1.50` is `1.5`, and nothing is rounded.
    """
    if expected == got:
        return True
    try:
        return [Decimal(word) for word in expected.split()] == [Decimal(word) for word in got.split()]
    except InvalidOperation:
        return False


async def _call_function(function: str, solution: str, tests: list[Case], execute: Execute) -> Feedback:
    """
    Calls the function with the arguments of all tests, on one object as the evaluator does. The time limit is per
    test: if all tests together exceed it, each runs separately.
    """
    called = f"Solution().{function}" if "class Solution" in solution else function
    head = (
        f"{_HEADER}_method = {called}\n"
        "def _result(*arguments):\n    result = _method(*arguments)\n    return list(result) if isinstance(result, tuple) else result\n"
    )
    asserts = [f"assert _result({', '.join(arguments)}) == {result}\n" for arguments, result in map(_literals, tests)]

    async def run(lines: list[str]) -> Feedback:
        done = await execute("python", _PREAMBLE + solution, head + "".join(lines), entry_point=called.split("(")[0])
        return done.feedback

    feedback = await run(asserts)
    if feedback.kind is not FeedbackKind.TIMEOUT or len(asserts) == 1:
        return feedback
    for line in asserts:
        feedback = await run([line])
        if not feedback.passed:
            break
    return feedback


def _literals(test: Case) -> tuple[list[str], str]:
    arguments, result = _values(test, "the tests")
    return [repr(argument) for argument in arguments], repr(result)


def _values(test: Case, where: str) -> tuple[list[Any], Any]:
    arguments = [_from_json(line, where, "the input of a test") for line in test.input.split("\n")]
    return arguments, _from_json(test.output, where, "the output of a test")


def _from_json(text: str, where: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise ValueError(f"{where}: {what} {quote(text, 40)} cannot be read as JSON ({reason}).") from error


def _contest_date(row: dict[str, Any], where: str) -> datetime.date:
    value = row["contest_date"]
    if isinstance(value, datetime.date):
        return value.date() if isinstance(value, datetime.datetime) else value
    try:
        return datetime.datetime.fromisoformat(value).date()
    except ValueError:
        raise ValueError(f"{where}: `contest_date` must be a date such as 2024-08-17, got {quote(value)}.") from None


def _date(text: str, last: bool) -> datetime.date:
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year, month = int(match[1]), int(match[2])
        days = calendar.monthrange(year, month)[1]
        return datetime.date(year, month, int(match[3]) if match[3] else days if last else 1)
    except ValueError:
        raise ValueError(
            f"{LiveCodeBench.key}: a date is a month or a day, such as 2024-08 or 2024-08-17, got {text!r}."
        ) from None


def _download() -> str:
    """
    Returns the pattern of the files on the Hub. The dataset has a loading script, which `datasets` no longer runs.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(HUB_ID, repo_type="dataset", allow_patterns="test*.jsonl")
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    return os.path.join(folder, "test*.jsonl")
