"""Converts an exception to plain data, and to the text that the interpreter would have printed."""

from __future__ import annotations

import ast
import collections
import contextlib
import io
import linecache
import operator
import os
import re
import reprlib
import signal
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from types import CodeType, TracebackType
from typing import Any, TypeGuard

from .remote import Remote


# Maximum characters of one field: enough for people and models, but a program's 100 MB message is cut.
MAX_MESSAGE = 4_000
MAX_LINE = 1_000
MAX_TEXT = 16_000
_HERE = os.path.dirname(__file__)
_OWN_FILES = ("main.py", "checks.py")
_PLACE = ("file", "line", "column", "end_line", "end_column", "source_line")
_ASSERTION = ("assertion", "actual", "expected")
FIELDS = ("type", "message", *_PLACE, *_ASSERTION, "text")
# What the compiler raises for errors in a source, and for one that is nested too deeply for a tree
_NO_TREE = (RecursionError, SyntaxError, ValueError, MemoryError)
# Seconds for the `repr` of the values of an assert, since it runs code of the program
_REPR_SECONDS = 1.0


def _same(left: Any, right: Any) -> bool:
    """Implements `is`, also for two stand-ins of one object."""
    return left is right or (isinstance(left, Remote) and left._is(right))


# For each comparison: its function, and the special method that it calls
_COMPARISONS: dict[type[ast.cmpop], tuple[Callable[[Any, Any], Any], str]] = {
    ast.Eq: (operator.eq, ""),
    ast.NotEq: (operator.ne, "not "),
    ast.Lt: (operator.lt, "less than "),
    ast.LtE: (operator.le, "at most "),
    ast.Gt: (operator.gt, "more than "),
    ast.GtE: (operator.ge, "at least "),
    ast.In: (operator.contains, "one of "),
    ast.NotIn: (operator.contains, "none of "),
    ast.Is: (_same, ""),
    ast.IsNot: (lambda left, right: not _same(left, right), "not "),
}
_VALUES = (ast.Attribute, ast.Await, ast.Call, ast.Name, ast.Subscript)  # expressions whose truth an assert may test


def cut(text: Any, limit: int) -> str:
    """Returns `text` as a string of at most `limit` characters, cut in the middle."""
    text = text if type(text) is str else str(text)
    if len(text) <= limit:
        return text
    half = limit // 2 - 10
    return f"{text[:half]} [...] {text[-half:]}"


def register_source(filename: str, source: str) -> None:
    """Registers the lines of `source` for tracebacks, which then need no file if the program changes directory."""
    # Split as in `linecache`, which places the carets: `str.splitlines`, unlike the compiler, splits at form feeds
    parts = re.split(r"\r\n|\r|\n", source) if "\r" in source else source.split("\n")
    lines = [f"{line}\n" for line in parts]
    linecache.cache[filename] = (len(source), None, lines, filename)


# The last assert that evaluated its values and has not passed (yet): its (line, column) and values
_kept: collections.deque[tuple[tuple[int, int], Any, Any]] = collections.deque(maxlen=1)


def forget_values() -> None:
    """Drops the values of the last assert."""
    _kept.clear()


def _keep_pair(place: tuple[int, int], left: Any, right: Any) -> tuple[Any, Any]:
    _kept.append((place, left, right))
    return left, right


def _keep_swapped(place: tuple[int, int], left: Any, right: Any) -> tuple[Any, Any]:
    _kept.append((place, left, right))
    return right, left


def _keep_value(place: tuple[int, int], value: Any) -> Any:
    _kept.append((place, value, None))
    return value


def compiled(source: str, filename: str, *, as_module: bool = False) -> CodeType:
    """
    Returns the code of `source`, with `as_module` without the body of `if __name__ == "__main__":`. Each
    `assert left == right` (or another comparison, or a plain value) keeps its values until it passes, so that
    [`describe`] can report them without calling the program a second time.

    The program cannot detect this: no name is bound, and no frame of the sandbox is on the stack while its code runs.
    Functions such as `operator.eq` are called as constants of the code, not by name.
    """
    as_module = as_module and "__main__" in source
    if "assert" not in source and not as_module:
        return compile(source, filename, "exec", dont_inherit=True)
    if not as_module:
        with contextlib.suppress(*_NO_TREE, Warning), warnings.catch_warnings():
            warnings.simplefilter("error")
            keeper = _Keeper()
            code = keeper.compiled(source, filename)
            if not keeper.hides_warning:
                return code
    # Issues the warnings, or raises the error, of the interpreter
    code = compile(source, filename, "exec", dont_inherit=True)
    with contextlib.suppress(*_NO_TREE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _Keeper().compiled(source, filename, as_module)
    return code


def _without_guard(node: ast.stmt) -> list[ast.stmt]:
    """Returns the part of a statement that runs if `__name__` is not `"__main__"`."""
    match node:
        case ast.If(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])) if {
            getattr(side, "id", None) or getattr(side, "value", None) for side in (left, right)
        } == {"__name__", "__main__"}:
            return node.orelse
    return [node]


# By class of a statement, a handler or a case: the names of its lists of statements
_BLOCKS = {
    cls: [name for name in ("body", "handlers", "cases", "orelse", "finalbody") if name in getattr(cls, "_fields", ())]
    for cls in (*ast.stmt.__subclasses__(), ast.ExceptHandler, ast.match_case)
}


class _Keeper:
    """Compiles a source with rewritten asserts."""

    def __init__(self) -> None:
        # Constants in a tree are plain data: numbers from here on, which no program contains, stand for the functions
        self.first = int.from_bytes(os.urandom(16), "big") | 1 << 128
        self.functions: list[Callable[..., Any]] = []
        self.hides_warning = False  # of the compiler, about an `is` in an assert

    def compiled(self, source: str, filename: str, as_module: bool = False) -> CodeType:
        tree = ast.parse(source)
        if as_module:
            tree.body = [kept for node in tree.body for kept in _without_guard(node)]
        tree.body = self.rewritten(tree.body)
        return self.with_functions(compile(tree, filename, "exec", dont_inherit=True))

    def rewritten(self, statements: list[Any]) -> list[Any]:
        """Returns the statements with their asserts rewritten. Only blocks are visited: there are far more expressions."""
        new: list[Any] = []
        for node in statements:
            if isinstance(node, ast.Assert):
                new += self._rewritten_assert(node)
                continue
            for name in _BLOCKS[type(node)]:
                setattr(node, name, self.rewritten(getattr(node, name)))
            new.append(node)
        return new

    def _rewritten_assert(self, node: ast.Assert) -> list[ast.stmt]:
        test, at = node.test, _location(node.test)
        # The compiler accepts tuples too
        place: Any = ast.Constant((node.lineno, node.col_offset), **at)  # type: ignore[arg-type]
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            kind = type(test.ops[0])
            if kind in (ast.Is, ast.IsNot) and any(map(_may_be_literal, (test.left, test.comparators[0]))):
                self.hides_warning = True
            keep = _keep_swapped if kind in (ast.In, ast.NotIn) else _keep_pair
            pair = self._call(keep, place, test.left, test.comparators[0], at=at)
            node.test = self._call(_COMPARISONS[kind][0], ast.Starred(pair, ast.Load(), **at), at=at)
            if kind is ast.NotIn:
                node.test = ast.UnaryOp(ast.Not(), node.test, **at)
            ast.copy_location(node, test)  # where the interpreter reports a failed comparison
        elif isinstance(test, _VALUES):
            node.test = self._call(_keep_value, place, test, at=at)
        elif _is_negated_value(test):
            test.operand = self._call(_keep_value, place, test.operand, at=_location(test.operand))
        else:
            return [node]
        at = _location(node)
        return [node, ast.Expr(self._call(_kept.clear, at=at), **at)]

    def _call(self, function: Callable[..., Any], *args: ast.expr, at: dict[str, Any]) -> ast.expr:
        if function not in self.functions:
            self.functions.append(function)
        constant = ast.Constant(self.first + self.functions.index(function), **at)
        # A conditional that the compiler folds: it would warn about the call of a number, and warnings are slow
        chosen = ast.IfExp(ast.Constant(True, **at), constant, constant, **at)
        return ast.Call(chosen, list(args), [], **at)

    def with_functions(self, code: CodeType) -> CodeType:
        constants = tuple(self._constant(constant) for constant in code.co_consts)
        return code if all(map(operator.is_, constants, code.co_consts)) else code.replace(co_consts=constants)

    def _constant(self, constant: Any) -> Any:
        if isinstance(constant, CodeType):
            return self.with_functions(constant)
        if type(constant) is int and 0 <= constant - self.first < len(self.functions):
            return self.functions[constant - self.first]
        return constant


def _may_be_literal(node: ast.expr) -> bool:
    """Returns whether the compiler may warn about `is` with this operand: `-1` and `(1, 2)[0]` are literals to it too."""
    if isinstance(node, ast.Constant):
        return not any(node.value is one for one in (None, True, False, ...))
    return not isinstance(node, (ast.Attribute, ast.Await, ast.Call, ast.Name))


def _location(node: ast.AST) -> dict[str, Any]:
    return {name: getattr(node, name) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")}


def _is_negated_value(test: ast.expr) -> TypeGuard[ast.UnaryOp]:
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and isinstance(test.operand, _VALUES)


def own_traceback(trace: TracebackType | None) -> TracebackType | None:
    """Returns the part of a traceback from the program's first frame on: the frames above are the sandbox's."""
    while trace is not None and trace.tb_frame.f_code.co_filename not in _OWN_FILES:
        trace = trace.tb_next
    return trace


def _without_ours(summary: traceback.TracebackException | None) -> None:
    """Removes the sandbox's frames between those of the program and the checks, in the whole chain."""
    while summary is not None:
        summary.stack[:] = [frame for frame in summary.stack if os.path.dirname(frame.filename) != _HERE]
        _without_ours(summary.__cause__)
        summary = summary.__context__


def format_frames(trace: TracebackType | None) -> str:
    """Returns the frames of a traceback as text, without the sandbox's."""
    frames = [frame for frame in traceback.extract_tb(trace) if os.path.dirname(frame.filename) != _HERE]
    return "".join(traceback.format_list(frames[-5:]))


def from_program(record: dict[str, Any]) -> dict[str, Any]:
    """Returns the record of an error that the program sent. It may claim any location, except one in the checks."""
    if record.get("file") != "main.py":
        record |= dict.fromkeys(("file", "line", "column", "end_line", "end_column", "source_line", "assertion"))
    return record


def describe(error: BaseException, trace: TracebackType | None) -> dict[str, Any]:
    """
    Returns the structure of an exception.

    Args:
        error (`BaseException`):
            The exception.
        trace (`TracebackType` or `None`):
            Its traceback, from the program's first frame on.

    Returns:
        `dict`: Type, message, file, line, column, end_line, end_column, source_line, text, and for an assert its source
        with the actual and the expected value. Lines and columns count from 1, columns in characters; what is not known
        is `None`. The place is the last frame in the program's (or the checks') own file, since a line of the standard
        library helps nobody.
    """
    record: dict[str, Any] = dict.fromkeys(FIELDS)
    record["type"] = cut(type(error).__qualname__, 200)
    try:
        record["message"] = cut(str(error), MAX_MESSAGE)
    except BaseException as failure:  # a hostile `__str__` may raise anything
        record["message"] = f"<unprintable: {type(failure).__name__}>"
    try:
        summary = traceback.TracebackException(type(error), error, trace, limit=-40, compact=True)
        _without_ours(summary)
        summary.stack[:-20] = []
        record["text"] = cut("".join(cut(line, MAX_MESSAGE) for line in summary.format()), MAX_TEXT)
        if sys.version_info < (3, 12) and isinstance(error, (NameError, AttributeError)):
            record["text"] = record["text"].rstrip("\n") + _hint(error) + "\n"
        if isinstance(error, SyntaxError) and summary.filename in _OWN_FILES:
            record.update(_syntax_place(summary))
        else:
            record.update(_place(summary))
    except BaseException:
        record["text"] = f"{record['type']}: {record['message']}"
    if isinstance(error, AssertionError):
        with contextlib.suppress(BaseException):  # the compared objects are the program's, and may do anything
            _describe_assertion(record, trace)
    return record


def describe_output(output: Any) -> dict[str, Any]:
    """Returns the structure of a failed assert on an output."""
    return {"type": "AssertionError", "actual": short_repr(output)}


def _hint(error: BaseException) -> str:
    """Returns what the interpreter prints but `traceback` omits before Python 3.12: "Did you mean: 'total'?"."""
    ours, sys.stderr = sys.stderr, io.StringIO()
    try:
        sys.__excepthook__(type(error), error, error.__traceback__)
        last = sys.stderr.getvalue().rstrip("\n").rpartition("\n")[2]
    finally:
        sys.stderr = ours
    _, separator, name = last.rpartition(". Did you mean: ")
    return cut(separator + name, 200) if separator and name.endswith("?") else ""


def _syntax_place(summary: traceback.TracebackException) -> dict[str, Any]:
    end_line, end_column = getattr(summary, "end_lineno", None), getattr(summary, "end_offset", None)
    return {
        "file": summary.filename,
        "line": int(summary.lineno) if summary.lineno else None,
        "column": summary.offset or None,
        "end_line": int(end_line) if end_line else None,
        "end_column": end_column if end_column and end_column > 0 else None,
        "source_line": cut(summary.text.rstrip("\n"), MAX_LINE) if summary.text else None,
    }


def _place(summary: traceback.TracebackException) -> dict[str, Any]:
    for frame in reversed(summary.stack):
        if frame.filename in _OWN_FILES and frame.lineno:
            line = linecache.getline(frame.filename, frame.lineno).rstrip("\n")
            place = {"file": frame.filename, "line": frame.lineno, "source_line": cut(line, MAX_LINE)}
            if sys.version_info >= (3, 11) and frame.colno is not None and frame.end_colno is not None:
                end = line
                if frame.end_lineno and frame.end_lineno != frame.lineno:
                    end = linecache.getline(frame.filename, frame.end_lineno).rstrip("\n")
                place["end_line"] = frame.end_lineno
                place["column"] = _characters(line, frame.colno) + 1
                place["end_column"] = _characters(end, frame.end_colno) + 1
            return place
    return {}


def _describe_assertion(record: dict[str, Any], trace: TracebackType | None) -> None:
    """Adds the assert that failed, if the innermost frame is at one, and the values that it evaluated."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_filename not in _OWN_FILES:
        return
    source = "".join(linecache.getlines(trace.tb_frame.f_code.co_filename))
    nodes = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert) and node.lineno <= trace.tb_lineno <= (node.end_lineno or 0)
    ]
    if not nodes:
        return
    # A line may contain several
    place, left, right = _kept[0] if _kept else (None, None, None)
    kept = next((node for node in nodes if (node.lineno, node.col_offset) == place), None)
    failed = kept or nodes[-1]
    record["assertion"] = cut(ast.get_source_segment(source, failed), MAX_LINE)
    if kept is None:
        return
    test = failed.test
    with _time_limit(_REPR_SECONDS):
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            kind = type(test.ops[0])
            # `assert 3 == f(1)`: the constant is the expected value
            if isinstance(test.left, ast.Constant) and kind in (ast.Eq, ast.NotEq, ast.Is, ast.IsNot):
                left, right = right, left
            record |= {"actual": short_repr(left), "expected": _COMPARISONS[kind][1] + short_repr(right)}
        elif isinstance(test, _VALUES):
            record |= {"actual": short_repr(left), "expected": "a true value"}
        elif _is_negated_value(test):
            record |= {"actual": short_repr(left), "expected": "a false value"}


class _TooLong(BaseException):
    """Raised if a `repr` takes too long. An `except Exception` of the program does not catch it."""


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Ends the block silently after `seconds`, if a signal can; a program's own timer is unchanged."""

    def expire(number: int, frame: types.FrameType | None) -> None:
        raise _TooLong

    try:
        if signal.getitimer(signal.ITIMER_REAL)[0]:
            raise ValueError
        before = signal.signal(signal.SIGALRM, expire)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    except _TooLong:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Repr(reprlib.Repr):
    """Implements a `repr` that stays short, keeps the order of dictionaries, and does not raise."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 400
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = self.maxdeque = 40
        self.maxarray = 40
        self.maxlevel = 8

    def repr1(self, x: Any, level: int) -> str:
        try:
            return super().repr1(x, level)
        except Exception:
            return f"<{type(x).__name__} object>"

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"<int of {x.bit_length()} bits>"

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        if level <= 0 and x:
            return "{...}"
        items = [
            f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}"
            for key, value in list(x.items())[: self.maxdict]
        ]
        return "{" + ", ".join([*items, *(["..."] if len(x) > self.maxdict else [])]) + "}"

    def repr_instance(self, x: Any, level: int) -> str:
        return cut(x._shown() if isinstance(x, Remote) else repr(x), self.maxother)


def short_repr(value: Any) -> str:
    """Returns a `repr` of limited length, which does not raise."""
    return cut(_Repr().repr(value), MAX_LINE)


def _characters(line: str, bytes_before: int) -> int:
    # The interpreter counts columns in bytes of UTF-8.
    return len(line.encode("utf-8", "surrogatepass")[:bytes_before].decode("utf-8", "replace"))
