"""Judges answers whose tests must run in the answer's own process, since they patch modules, read files or inspect plots.

In the same process an answer could manipulate its judge. So a pass has three conditions. The tests pass in the
sandbox, each by name, according to a process in which no line of the answer has run. The comparisons that the tests
use still detect differences after the tests, and no function of a module, no class and no code built from text stands
in their way ([`one_process_guest._Watch`]). And the answer uses nothing with which it could manipulate the tests (see
[`distrusted`]); if it does, its tests must also pass in another process, on values that are sent as data.
"""

import ast
import builtins
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..feedback import Feedback, FeedbackKind
from ..languages import get_language
from ..languages.execution import Execute
from ..python_code import parse_python


_GUEST = Path(__file__).with_name("one_process_guest.py")

# With these an answer can access its tests, objects that they use, or names that its text does not contain
_REACHING = frozenset(
    [
        "unittest", "mock", "TestCase", "TestCases", "builtins", "gc", "inspect", "ctypes", "atexit", "importlib", "runpy", "pickle",
        "marshal", "dill", "cloudpickle", "codeop", "pdb", "setattr", "delattr", "attrgetter", "methodcaller", "settrace", "setprofile",
        "_getframe", "_current_frames", "tb_frame", "tb_next", "f_back", "f_locals", "f_globals", "f_builtins", "gi_frame", "cr_frame",
        "ag_frame", "_exit", "timeit", "cProfile", "doctest", "get_type_hints", "read_pickle", "joblib", "make_dataclass", "new_class", "approx",
        "unsafe_load", "UnsafeLoader", "full_load", "FullLoader", "CFullLoader", "Loader", "CLoader", "dictConfig", "fileConfig", "MethodType", "FunctionType", "CodeType", "addaudithook", "monitoring",
        "settrace_all_threads", "setprofile_all_threads", "walk_stack", "walk_tb", "currentframe", "cgitb", "get_field",
        "format_field", "jinja2", "jinja_env", "render_template_string", "optparse", "as_strided",
        "_pickle", "_ctypes", "cffi", "_cffi_backend", "ctypeslib",
    ]
)  # fmt: skip
# Options with which a traceback contains the variables of its frames
_SHOWING_LOCALS = frozenset(["capture_locals", "show_locals"])
# Attributes in text, by which templates and `pandas.eval` find objects: `"{{ sys.modules }}"`
_IN_TEXT = re.compile(
    r"\.\s*(modules|TestCase|__(?:[a-z]+_?)+__|(?:f|tb|gi|cr|ag)_(?:back|builtins|frame|globals|locals|next))\b"
)
# The same for bare names only, since attributes of these names are harmless (`re.compile`, `model.eval`)
_REACHING_NAMES = frozenset(["compile", "eval", "exec", "globals", "locals", "vars", "modules", "expected_result"])
# Modules that run text as code, find objects by name, or raise what a test runner takes for a skipped test
_REACHING_MODULES = frozenset(
    ["bdb", "code", "idlelib", "imp", "lib2to3", "pkgutil", "profile", "pydoc", "pytest", "site", "test", "trace", "xmlrpc", "zipimport"]
)  # fmt: skip
# Names with which an answer gets masked arrays, which NumPy's comparisons take to be equal to everything
_MASKS = frozenset(["ma", "MaskedArray", "masked_array", "mstats"])
_MASKED = "uses masked arrays"
_SPECIAL = re.compile(r"__(?:[a-z]+_?)+__")
# What code sets in modules without replacing anything
_PLAIN_VALUES = ast.Constant | ast.Dict | ast.JoinedStr | ast.List | ast.Set | ast.Tuple
_SETTING = re.compile(r"\.(?:options|rcParams)\.|^sys\.std(?:err|in|out)$")
_OWN_CLASS = "defines a class that may answer for itself"
_PLAIN_ATTRIBUTES = frozenset(["__init__", "__name__", "__doc__", "__file__", "__version__", "__enter__", "__exit__"])
_PLAIN_METHODS = _PLAIN_ATTRIBUTES | {"__repr__", "__str__", "__post_init__"}
_PLAIN_BASES = frozenset(
    ["object", "Enum", "ABC", "Module", "BaseEstimator", "TransformerMixin", "HTMLParser", "Thread", "NamedTuple", "TypedDict", "Protocol",
     "JSONEncoder", "NodeVisitor", "NodeTransformer", "Handler", "Formatter", "BaseHTTPRequestHandler", "BaseRequestHandler",
     *(name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception))]
)  # fmt: skip


async def judge_in_one_process(
    answer: str,
    call: Sequence[str],
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
        call (`Sequence[str]`):
            Name of a function of `one_process_guest` that runs the answer, and its first two arguments.
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
    found, excused = distrusted(answer), distrusted(reference)
    function, *arguments = call
    token = secrets.token_hex(16)
    given = ", ".join(map(repr, [*arguments, token, _OWN_CLASS not in found]))
    run = await execute(
        "python",
        _GUEST.read_text(encoding="utf-8"),
        f"assert {function}({given}) == {[token, sorted(set(names))]!r}\n",
        entry_point=function,
    )
    if not run.feedback.passed:
        return _of_the_answer(run.feedback)
    if look_again is None:  # the guest looks at each result of DS-1000
        excused = (*excused, _MASKED)
    reasons = [reason for reason in found if reason not in excused]
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
    tree = parse_python(source) or parse_python(f"if True:\n{source}")  # the body of a function is code too
    if tree is None:
        return ("cannot be parsed",)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    try:
        found = [reason for node in ast.walk(tree) for reason in _reasons(node, id(node) in called)]
        found += _replacements(tree)
    except RecursionError:  # of `ast.unparse`
        return ("nests an expression too deeply",)
    found += [f"looks suspicious ({reason})" for reason in get_language("python").suspicious(source)]
    return tuple(dict.fromkeys(found))


def _reasons(node: ast.AST, called: bool) -> list[str]:
    if isinstance(node, ast.ClassDef):
        return _class_reasons(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):  # also where it is nested in a statement of a class
        return [_OWN_CLASS] if _is_special(node.name) else []
    if isinstance(node, ast.Global):
        return [
            f"replaces {name}" for name in node.names if name in sys.stdlib_module_names or hasattr(builtins, name)
        ]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return _import_reasons(node)
    if isinstance(node, ast.Constant):
        return _text_reasons(node.value) if isinstance(node.value, str) else []
    if isinstance(node, ast.keyword):
        if node.arg in _SHOWING_LOCALS:
            return [f"uses {node.arg}"]
        return [_OWN_CLASS] if _is_special(node.arg or "") else [_MASKED] if node.arg == "usemask" else []
    if isinstance(node, ast.Call):
        return _call_reasons(node)
    if isinstance(node, ast.Name):
        unnamed = node.id in ("getattr", "type") and not called  # its calls are not found under another name
        return [f"uses {node.id}"] if unnamed else _name_reasons([node.id], _REACHING | _REACHING_NAMES)
    if isinstance(node, ast.Attribute):
        if node.attr == "__class__" and isinstance(node.ctx, ast.Load):
            return []
        if node.attr == "modules" and not called:  # of `sys`, not the method of a neural network
            return ["uses modules"]
        return _name_reasons([node.attr], _REACHING)
    return []


def _text_reasons(text: str) -> list[str]:
    if _is_special(text):
        return [_OWN_CLASS]
    names = [name for name in _IN_TEXT.findall(text) if name not in _PLAIN_ATTRIBUTES]
    return [f"uses {name}" for name in [*names, *_SHOWING_LOCALS.intersection([text])]]


def _class_reasons(node: ast.ClassDef) -> list[str]:
    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    members = {one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    assigned = [one for statement in node.body if isinstance(statement, ast.Assign) for one in statement.targets]
    special = {name for name in members | {*map(ast.unparse, assigned)} if name.startswith("__")}
    return [_OWN_CLASS] if bases - _PLAIN_BASES or special - _PLAIN_METHODS or node.keywords else []


def _import_reasons(node: ast.Import | ast.ImportFrom) -> list[str]:
    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    names = [part for name in (module, *(alias.name for alias in node.names)) for part in name.split(".")]
    found = [f"uses {name}" for name in names if name in _REACHING_MODULES]
    if not found and any(_is_special(alias.asname or "") for alias in node.names):
        return [_OWN_CLASS]
    return found or _name_reasons(names, _REACHING | _REACHING_NAMES)


def _call_reasons(node: ast.Call) -> list[str]:
    function = ast.unparse(node.func)
    if function == "type" and (len(node.args) != 1 or node.keywords):
        return [_OWN_CLASS]
    if function != "getattr":
        return []
    name = node.args[1] if len(node.args) > 1 else None
    if not isinstance(name, ast.Constant):
        return ["uses getattr with a name that is not in the code"]
    return _name_reasons([str(name.value)], _REACHING | _REACHING_NAMES)


def _name_reasons(names: Sequence[str], reaching: frozenset[str]) -> list[str]:
    if _MASKS.intersection(names):
        return [_MASKED]
    return [
        f"uses {name}"
        for name in names
        if name in reaching or (name.startswith("__") and name not in _PLAIN_ATTRIBUTES)
    ]


def _is_special(name: str) -> bool:
    return _SPECIAL.fullmatch(name) is not None and name not in _PLAIN_METHODS | {"__main__", "__all__"}


def _replacements(tree: ast.AST) -> Iterator[str]:
    """Yields what code replaces in other modules: with functions of its own, or with anything but plain values."""
    nodes = [*ast.walk(tree)]
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    defined = {node.name for node in nodes if isinstance(node, definitions)}
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    values = {id(target): node.value for node in nodes if isinstance(node, ast.Assign) for target in node.targets}
    for node in nodes:
        if not isinstance(node, ast.Attribute) or isinstance(node.ctx, ast.Load):
            continue
        value, name = values.get(id(node)), ast.unparse(node)
        own = isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in defined)
        foreign = (
            name.partition(".")[0] in imported and not isinstance(value, _PLAIN_VALUES) and not _SETTING.search(name)
        )
        if (own and not name.startswith("self.")) or foreign:
            yield f"replaces {name}"
