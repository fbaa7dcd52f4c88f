"""Judges answers whose tests must run in the answer's own process, since they patch modules, read files or inspect plots.

In the same process an answer could manipulate its judge. So a pass has three conditions. The tests pass in the
sandbox, each by name, according to a process in which no line of the answer has run. The comparisons that the tests
use still detect differences after the tests. And the answer uses nothing with which it could manipulate the tests (see
[`distrusted`]); if it does, its tests must also pass in another process, on values that are sent as data.
"""

import ast
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..feedback import Feedback, FeedbackKind
from ..languages import get_language
from ..languages.execution import Execute


_GUEST = Path(__file__).with_name("one_process_guest.py")

# With these an answer can access its tests, objects that they use, or names that its text does not contain
_REACHING = frozenset(
    [
        "unittest", "mock", "TestCase", "TestCases", "builtins", "gc", "inspect", "ctypes", "atexit", "importlib", "runpy", "pickle",
        "marshal", "dill", "cloudpickle", "codeop", "pdb", "setattr", "delattr", "attrgetter", "methodcaller", "settrace", "setprofile",
        "_getframe", "_current_frames", "tb_frame", "tb_next", "f_back", "f_locals", "f_globals", "f_builtins", "gi_frame", "cr_frame",
        "ag_frame", "_exit", "timeit", "cProfile", "doctest", "get_type_hints", "read_pickle", "joblib",
    ]
)  # fmt: skip
# The same for bare names only, since attributes of these names are harmless (`re.compile`, `model.eval`)
_REACHING_NAMES = frozenset(["compile", "eval", "exec", "globals", "locals", "vars", "modules", "expected_result"])
_PLAIN_ATTRIBUTES = frozenset(["__init__", "__name__", "__doc__", "__file__", "__version__", "__enter__", "__exit__"])
_PLAIN_METHODS = _PLAIN_ATTRIBUTES | {"__repr__", "__str__", "__post_init__"}
_PLAIN_BASES = frozenset(
    ["object", "Exception", "ValueError", "RuntimeError", "Enum", "ABC", "Module", "BaseEstimator", "TransformerMixin", "HTMLParser", "Thread"]
)  # fmt: skip


async def judge_in_one_process(
    answer: str,
    call: str,
    names: Sequence[str],
    execute: Execute,
    *,
    reference: str = "",
    look_again: Callable[[], Awaitable[Feedback]] | None = None,
) -> Feedback:
    """
    Runs tests in the answer's own process, and decides whether a pass can be believed.

    Args:
        answer (`str`):
            The answer's code.
        call (`str`):
            Source of the call of a function of `one_process_guest` that runs the answer.
        names (`Sequence[str]`):
            The names of the tests that must pass.
        execute ([`~reflection_trl.languages.execution.Execute`]):
            Runs programs, isolated.
        reference (`str`, *optional*, defaults to `""`):
            A correct answer. Suspicious names that it also uses do not count against other answers.
        look_again (`Callable`, *optional*):
            Runs the tests of a distrusted answer in another process than the answer's. Without it such an answer
            fails.
    """
    source = f"{_GUEST.read_text(encoding='utf-8')}\n\n_finish = {call}\n"
    run = await execute("python", source, f"assert _finish() == {sorted(set(names))!r}\n", entry_point="_finish")
    if not run.feedback.passed:
        return _of_the_answer(run.feedback)
    excused = distrusted(reference)
    reasons = [reason for reason in distrusted(answer) if reason not in excused]
    if not reasons:
        return run.feedback
    if look_again is not None and (await look_again()).passed:
        return run.feedback
    message = (
        f"It passes its tests in its own process, but it {' and '.join(reasons)}, and could change what they compare; it does not "
        "pass them in another process."
    )
    return Feedback(FeedbackKind.ASSERTION, text=message, message=message)


def _of_the_answer(feedback: Feedback) -> Feedback:
    """Returns a failure without the frames and lines of the test runner."""
    if feedback.error_type is None:
        return feedback
    message = feedback.message or (
        "The result is not the expected one." if feedback.error_type == "AssertionError" else ""
    )
    text = f"{feedback.error_type}: {message}" if message else feedback.error_type
    return replace(feedback, text=text, file=None, line=None, source_line=None, assertion=None)


def distrusted(source: str) -> tuple[str, ...]:
    """
    Returns how Python code could change the outcome of tests in the same process. This rule also matches
    some legitimate answers.

    Args:
        source (`str`):
            The answer.

    Returns:
        `tuple[str]`: Phrases that complete "it ..."; empty if the answer can be trusted.
    """
    tree = _parse(source) or _parse(f"if True:\n{source}")  # the body of a function is code too
    if tree is None:
        return ("cannot be parsed",)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [reason for node in ast.walk(tree) for reason in _reasons(node, id(node) in called)]
    defined = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    found += [reason for node in ast.walk(tree) for reason in _replacements(node, defined)]
    found += [f"looks suspicious ({reason})" for reason in get_language("python").suspicious(source)]
    return tuple(dict.fromkeys(found))


def _parse(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (MemoryError, RecursionError, SyntaxError, ValueError):
            return None


def _reasons(node: ast.AST, called: bool) -> list[str]:
    if isinstance(node, ast.ClassDef):
        bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        members = {one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
        assigned = [one for statement in node.body if isinstance(statement, ast.Assign) for one in statement.targets]
        special = {name for name in members | {*map(ast.unparse, assigned)} if name.startswith("__")}
        if bases - _PLAIN_BASES or special - _PLAIN_METHODS or node.keywords:
            return ["defines a class that may answer for itself"]
        return []
    names = _names(node)
    if isinstance(node, ast.Attribute):
        if node.attr == "__class__" and isinstance(node.ctx, ast.Load):
            return []
        if node.attr == "modules" and not called:  # of `sys`, not the method of a neural network
            return ["uses modules"]
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
        asked = node.args[1] if len(node.args) > 1 else None
        if not isinstance(asked, ast.Constant):
            return ["uses getattr with a name that is not in the code"]
        names = [str(asked.value)]
    reaching = _REACHING if isinstance(node, ast.Attribute) else _REACHING | _REACHING_NAMES
    return [
        f"uses {name}"
        for name in names
        if name in reaching or (name.startswith("__") and name not in _PLAIN_ATTRIBUTES)
    ]


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        return [part for name in (module, *(alias.name for alias in node.names)) for part in name.split(".")]
    if isinstance(node, ast.Name):
        return [node.id]
    return [node.attr] if isinstance(node, ast.Attribute) else []


def _replacements(node: ast.AST, defined: set[str]) -> list[str]:
    """Returns the functions of the answer that replace functions of other modules."""
    if not isinstance(node, ast.Assign):
        return []
    own = isinstance(node.value, ast.Lambda) or (isinstance(node.value, ast.Name) and node.value.id in defined)
    targets = [ast.unparse(target) for target in node.targets if isinstance(target, ast.Attribute)]
    return [f"replaces {target}" for target in targets if own and not target.startswith("self.")]
