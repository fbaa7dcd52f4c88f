"""Selects the blocks of code that form the program: see [`reflection_trl.answers`] for the rule."""

import ast
import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..fences import Fence
from ..python_code import defined_names, parse_python


# Where a function or a class is defined, not used. Models write arbitrary text, including endless repetition, so every
# pattern must run in linear time
_TYPED = (
    r"^[ \t]*+(?:[\w:<>,\[\]*&?~]++[ \t]++)++[*&]*+(?P<name>\w+)[ \t]*+\([^;{}]{0,1000}?\)[^;{}()]{0,200}\{"
    r"|\b(?:class|struct|interface|record|enum)\s+(?P<type>\w+)"
)
_SCRIPT = (
    r"\bfunction\b[ \t*]{1,9}(?P<name>\w+)|\b(?:const|let|var)\s+(?P<variable>\w+)\s*[:=]|\bclass\s+(?P<type>\w+)"
)
_DEFINITIONS = {
    language: re.compile(pattern, re.MULTILINE)
    for language, pattern in {
        "cpp": _TYPED,
        "java": _TYPED,
        "csharp": _TYPED,
        "javascript": _SCRIPT,
        "typescript": _SCRIPT,
        "php": r"\bfunction\s+&?(?P<name>\w+)\s*\(|\bclass\s+(?P<type>\w+)",
        "rust": r"\bfn\s+(?P<name>\w+)\s*[<(]|\b(?:struct|enum|trait)\s+(?P<type>\w+)",
        "bash": r"^[ \t]*(?:function\s+(?P<name>\w+)\b|(?P<short>\w+)\s*\(\s*\))",
        "swift": r"\bfunc\s+(?P<name>\w+)\s*[<(]|\b(?:class|struct|enum)\s+(?P<type>\w+)",
    }.items()
}
_NO_NAMES = frozenset(["catch", "else", "for", "if", "main", "new", "return", "switch", "while"])
_INPUT = frozenset(["input", "stdin", "fileinput"])

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Program:
    """
    Represents the program in an answer.

    Args:
        code (`str`):
            The complete code.
        base (`Fence`):
            The block that defines the entry point.
        joined (`list[Fence]`):
            The blocks that form the program, in order.
    """

    code: str
    base: Fence
    joined: list[Fence]


def choose(fences: Sequence[Fence], language: str, entry_point: str | None) -> Program:
    """
    Selects the program from blocks of one language.

    Args:
        fences (`Sequence[Fence]`):
            Non-empty blocks, at least one.
        language (`str`):
            Their language.
        entry_point (`str` or `None`):
            Name of the requested function or class.
    """
    if len(fences) == 1:
        return Program(fences[0].code, fences[0], [fences[0]])
    if language == "python":
        return _Blocks(fences, entry_point).program()
    names = [defines(fence.code, language) for fence in fences]
    base = fences[_base(fences, names, names, names, entry_point)]
    return Program(base.code, base, [base])


def defines(code: str, language: str) -> set[str]:
    """
    Returns the names of the functions and classes that code defines.

    Args:
        code (`str`):
            The code.
        language (`str`):
            Its language.
    """
    if language == "python":
        tree = parse_python(code)
        return _assigned(tree.body) if tree else set()
    found = (next(filter(None, match.groups()), "") for match in _DEFINITIONS[language].finditer(code))
    return {name for name in found if name not in _NO_NAMES}


def _base(
    fences: Sequence[Fence],
    names: Sequence[set[str]],
    complete: Sequence[set[str]],
    roots: Sequence[set[str]],
    entry_point: str | None,
) -> int:
    """
    Returns the index of the block that defines the entry point.

    Args:
        fences (`Sequence[Fence]`):
            The blocks.
        names (`Sequence[set[str]]`):
            Names that each block defines.
        complete (`Sequence[set[str]]`):
            Definitions that are not stubs.
        roots (`Sequence[set[str]]`):
            Definitions that nothing else in the block uses.
        entry_point (`str` or `None`):
            Name of the entry point.
    """
    numbers = range(len(fences))
    for defined in (complete, names):
        if entry_point and (holding := [number for number in numbers if entry_point in defined[number]]):
            return holding[-1]
    defining = next(([n for n in numbers if defined[n]] for defined in (complete, names) if any(defined)), [*numbers])
    longest = max(defining, key=lambda number: len(fences[number].code))
    again = [n for n in numbers[longest:] if roots[longest] and roots[longest] <= complete[n]]
    return again[-1] if again else longest


class _Blocks:
    """Represents blocks of Python, some of which form a program."""

    def __init__(self, fences: Sequence[Fence], entry_point: str | None):
        self.fences = fences
        self.entry_point = entry_point
        trees = [parse_python(fence.code) for fence in fences]
        self.trees = [tree.body if tree else None for tree in trees]
        self.names = [_assigned(body or []) if _defining(body) else set() for body in self.trees]
        complete = [_complete(body or []) & names for body, names in zip(self.trees, self.names, strict=True)]
        roots = [_roots(body or []) for body in self.trees]
        self.base = _base(fences, self.names, complete, roots, entry_point)
        self.known = set(self.names[self.base])
        self.imported = _imported(self.trees[self.base] or [])

    def program(self) -> Program:
        base = self.fences[self.base]
        if self.trees[self.base] is None:
            return Program(base.code, base, [base])
        pieces = {self.base: base.code}
        for number in range(len(self.fences)):
            if number != self.base and (piece := self._joined(number)):
                pieces[number] = piece
        earlier = [number for number in reversed(range(self.base)) if number not in pieces]
        needed = self._needed(pieces) if earlier else set()
        for number in earlier:
            if piece := self._taken(number, needed):
                pieces[number] = piece
        joined = [self.fences[number] for number in sorted(pieces)]
        code = "\n\n".join(pieces[number] for number in sorted(pieces))
        return Program(_future_first(code) if len(pieces) > 1 else code, base, joined)

    def _joined(self, number: int) -> str:
        """Returns the part of a block that the program uses as it is: helpers, imports, asserts, the driver."""
        body, names, code = self.trees[number], self.names[number], self.fences[number].code
        if not body:
            return ""
        if again := names & self.known:
            earlier_version = number < self.base and names & self.names[self.base]
            if earlier_version or not again <= _complete(body) or self.entry_point in names:
                return ""
            # For a helper that is defined again, the later definition is used
            return _source(code, [node for node in body if isinstance(node, _Definition)])
        behind = number > self.base
        imports = all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body)
        if imports and _imported(body) <= self.imported:  # an explanation of a line that the program has
            return ""
        asserts = behind and any(isinstance(node, ast.Assert) for node in ast.walk(ast.Module(body, [])))
        if names or imports or asserts or (behind and self._drives(body)):
            self.known |= names
            self.imported |= _imported(body)
            return code
        return ""

    def _drives(self, body: list[ast.stmt]) -> bool:
        """Returns whether a block runs the definitions of the base, as a program that reads its input does."""
        base = self.trees[self.base] or []
        if self.entry_point or any(map(_runs, base)):
            return False
        calls = [call for call in ast.walk(ast.Module(body, [])) if isinstance(call, ast.Call)]
        own = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in self.known]
        if not own:
            return False
        has_call_without_arguments = any(not call.args and not call.keywords for call in own)
        return bool(_used(body) & _INPUT) or (has_call_without_arguments and bool(_used(base) & _INPUT))

    def _needed(self, pieces: dict[int, str]) -> set[str]:
        """Returns the names that the program uses but does not define."""
        bodies = [tree.body for piece in pieces.values() if (tree := parse_python(piece))]
        used: set[str] = set().union(*map(_used, bodies))
        bound: set[str] = set().union(*map(_bound, bodies))
        return used - bound - set(dir(builtins))

    def _taken(self, number: int, needed: set[str]) -> str:
        """Returns the statements of a block before the base that bind names which the program needs."""
        body, taken = self.trees[number] or [], list[ast.stmt]()
        for node in reversed(body):
            if isinstance(node, _Definition | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign):
                binds = _binds(node)
                if binds & needed:
                    taken.insert(0, node)
                    needed -= binds
                    needed |= _used([node]) - self.known - set(dir(builtins)) - binds
        return _source(self.fences[number].code, taken)


def _defining(body: list[ast.stmt] | None) -> bool:
    """Returns whether a block defines a function or a class, also as `double = lambda x: 2 * x`."""
    return any(
        isinstance(node, _Definition) or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda))
        for node in body or []
    )


def _assigned(body: list[ast.stmt]) -> set[str]:
    lambdas = {
        target.id
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return defined_names(body) | lambdas


def _binds(node: ast.stmt) -> set[str]:
    """Returns the names that a statement at the top of a module binds there."""
    return {node.name} if isinstance(node, _Definition) else _bound([node])


def _imported(body: list[ast.stmt]) -> set[str]:
    """Returns the imports at the top of a module, one per name: `{"import math", "from typing import List"}`."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.Import):
            found |= {ast.unparse(ast.Import([alias])) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {ast.unparse(ast.ImportFrom(node.module, [alias], node.level)) for alias in node.names}
    return found


def _runs(node: ast.stmt) -> bool:
    """Returns whether a statement does more than define something."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return bool(_used([node]) & _INPUT)
    return not isinstance(node, _Definition | ast.Import | ast.ImportFrom) and not _is_text(node)


def _complete(body: list[ast.stmt]) -> set[str]:
    """Returns the definitions of a block that are not stubs."""
    stubs = {node.name for node in body if isinstance(node, _Definition) and _is_stub(node)}
    return _assigned(body) - stubs


def _is_stub(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        methods = [inner for inner in node.body if isinstance(inner, _Definition)]
        return bool(methods) and all(map(_is_stub, methods))
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return all(_is_text(inner) or isinstance(inner, ast.Pass) or _not_implemented(inner) for inner in node.body)


def _is_text(node: ast.stmt) -> bool:
    """Returns whether a statement is a docstring or `...`."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _not_implemented(node: ast.stmt) -> bool:
    return isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in _used([node])


def _roots(body: list[ast.stmt]) -> set[str]:
    """Returns the definitions of a block that it does not use itself, or all of them if it uses all."""
    names = _complete(body)
    used: set[str] = set()
    for node in body:
        if isinstance(node, _Definition):
            used |= _used([node]) - {node.name}
    return names - used or names


def _used(body: list[ast.stmt]) -> set[str]:
    """Returns the names and attributes that are read, such as `sys.stdin`."""
    inside = [inner for node in body for inner in ast.walk(node)]
    names = {inner.id for inner in inside if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)}
    return names | {inner.attr for inner in inside if isinstance(inner, ast.Attribute) and inner.attr in _INPUT}


def _bound(body: list[ast.stmt]) -> set[str]:
    """Returns the names that code binds anywhere, including parameters and local names."""
    bound: set[str] = set()
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, _Definition):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
    return bound


def _source(code: str, nodes: Sequence[ast.stmt]) -> str:
    """Returns the lines of statements of a module, including decorators."""
    lines = code.split("\n")
    pieces = []
    for node in nodes:
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        pieces.append("\n".join(lines[first - 1 : node.end_lineno]))
    return "\n".join(pieces)


def _future_first(code: str) -> str:
    """Moves `from __future__ import` to the top of Python code, the only place where it is allowed."""
    lines, future = code.split("\n"), []
    tree = parse_python(code)  # only a compiler checks the place
    for node in tree.body if tree else []:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.lineno == node.end_lineno:
            future.append(lines[node.lineno - 1])
            lines[node.lineno - 1] = ""
    return "\n".join([*dict.fromkeys(future), "\n".join(lines).strip("\n")]) if future else code
