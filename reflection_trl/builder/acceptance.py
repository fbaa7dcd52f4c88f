"""Decides which answers may be trained on: those that are understandable without the attempts."""

import ast
import builtins
import enum
import re
import symtable
import sys
import warnings
from collections.abc import Iterable

from ..answers import words_to_reader
from ..problems import Problem
from ..problems.words import ngrams, words
from ..python_code import MAX_PARSED, parse_python


class Rejection(enum.StrEnum):
    """Lists the reasons to reject a rollout, as stored in `ReflectionSequence.rejection`."""

    GIVEN_UP = "given_up"  # no rollout was made: the first rollouts of its problem were all rejected
    REFERENCE_FAILED = (
        "reference_failed"  # no rollout was made: the reference of its problem fails the problem's tests
    )
    GENERATION_FAILED = "generation_failed"  # says nothing about the problem or the model; the rollout is made again
    EMPTY_ANSWER = "empty_answer"
    REFUSED = "refused"
    FOREIGN_SCRIPT = "foreign_script"
    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    NO_CODE = "no_code"
    WRONG_LANGUAGE = "wrong_language"
    ASSERTS_MISSING = "asserts_missing"
    TESTS_NOT_SEPARATE = "tests_not_apart"
    ASSERT_WITHDRAWN = "assert_withdrawn"
    WRONG_ASSERT = "wrong_assert"
    ANALYSIS_MISSING = "analysis_missing"
    NO_PROGRESS = "no_progress"
    ROUNDS_EXHAUSTED = "rounds_exhausted"
    TESTS_FAILED = "tests_failed"
    OWN_ASSERTS_FAILED = "own_asserts_failed"
    TESTS_IN_ANSWER = "tests_in_answer"
    UNDEFINED_NAMES = "undefined_names"
    LEANS_ON_REFLECTION = "leans_on_reflection"
    ECHOES_PROMPT = "echoes_prompt"
    NO_ANSWER = "no_answer"  # of a problem with a final answer: none, or several that differ
    WRONG_ANSWER = "wrong_answer"
    IMAGINED_OUTPUT = "imagined_output"  # of a program that did not run, in a problem with a final answer
    CONTAMINATED = "contaminated"  # only in the results of a run: its rollouts do not depend on the benchmarks


class Rejected(Exception):
    """Ends a rollout, with the reason, one sentence of detail, and the unusable text of the model."""

    def __init__(self, reason: Rejection, detail: str, text: str = ""):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.text = text


_REFUSAL = re.compile(
    r"(i'?m|i am) (really |very |so )?(sorry|unable|afraid|not able)|(i )?(can'?t|cannot|can not|won'?t) "
    r"(help|assist|do|provide|fulfil|comply|answer|create|write)|as an ai\b|i apologi[sz]e",  # codespell:ignore fulfil
    re.IGNORECASE,
)
_THING = r"(version|code|program|function|implementation|solution|answer|script|class|method)"
_ATTEMPT = r"(attempts?|errors?|failures?|mistakes?|bugs?|tests?|asserts?|versions?|programs?|code|implementations?|conversation)"
_LEANING = re.compile(
    rf"\b(corrected|fixed|repaired|revised|debugged|amended|updated) {_THING}\b"
    rf"|\b(previous|earlier|prior|preceding) {_ATTEMPT}\b"
    rf"|\b(my|the) (first|last|original|initial) (attempts?|try|version|program|code|solution|implementation|answer)\b"
    r"|\bas (before|previously|earlier)\b"
    r"|\b(mentioned|discussed|given|provided|shown|written|described) (before|earlier|previously)\b"
    r"|\b(given|provided|known|existing) (code|program|solution|implementation)\b"
    r"|\bthe (bug|mistake) (was|is|has been)\b"
    r"|\bfail(ed|ing) (test|assert|run)s?\b"
    r"|\b(now|all( of)? the|your|my|its|own) (asserts?|assertions?|tests?)( now)? (pass|hold|succeed)"
    r"|\bno longer (fails?|raises?|crash(es)?)\b"
    r"|\bassertion ?error\b|\btraceback\b|\bthe output of the run\b"
    r"|\bthe (checker|verdict)\b"
    r"|\bi (have |'ve )?(fixed|corrected|repaired|changed|modified|updated)\b",
    re.IGNORECASE,
)
_LOCAL_MODULE = re.compile(
    r"_*(solution|main|program|previous|attempt|answer|cell|module|script|code|your_\w+|my_\w+)\d*$"
)
_STDLIB = sys.stdlib_module_names
_BUILTINS = frozenset(dir(builtins)) | {
    "__file__",
    "__annotations__",
    "__builtins__",
    "__class__",
    "__module__",
    "__qualname__",
}
_ECHO = 8  # consecutive words that do not occur by chance


def is_refusal(text: str) -> bool:
    """Returns whether an answer without code is a refusal."""
    return _REFUSAL.search(text[:500].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")) is not None


def leaning_phrase(message: str, request: str = "") -> str | None:
    """
    Finds words in an answer that refer to attempts which its reader has not seen.

    Args:
        message (`str`):
            The answer. Its prose and the comments in its code are searched.
        request (`str`, *optional*, defaults to `""`):
            The request. Its words do not count ("return the corrected version of the sentence").

    Returns:
        `str`, *optional*: Such as `"corrected version"`; `None` if there are none.
    """
    known = " ".join(request.lower().split())
    for match in _LEANING.finditer(" ".join(words_to_reader(message).split())):
        if match.group().lower() not in known:
            return match.group()
    return None


def echoed_words(prose: str, prompt: str) -> str | None:
    """
    Finds words that a text copies from its prompt, as small models often do.

    Args:
        prose (`str`):
            Text of the model.
        prompt (`str`):
            Text of the prompt template, without the problem.

    Returns:
        `str`, *optional*: Eight consecutive words that are in both; `None` if there are none.
    """
    orders = set(ngrams(words(prompt), _ECHO))
    repeated = (run for run in ngrams(words(prose), _ECHO) if len(run) == _ECHO and run in orders)
    return next((" ".join(run) for run in repeated), None)


def undefined_names(code: str, known: Iterable[str] = ()) -> list[str]:
    """
    Returns global names that Python code uses but does not define, such as omitted helpers.

    Args:
        code (`str`):
            The code. If it does not parse, or imports `*`, the result is empty.
        known (`Iterable[str]`, *optional*, defaults to `()`):
            Names that are defined elsewhere.

    Returns:
        `list[str]`: The names, sorted.
    """
    tree, table = parse_python(code), _symbols(code)
    if tree is None or table is None:
        return []
    used: set[str] = set()
    defined = {*_BUILTINS, *known}
    pending = [table]
    while pending:
        scope = pending.pop()
        pending += scope.get_children()
        for symbol in scope.get_symbols():
            at_top = scope.get_type() == "module"
            if (at_top or symbol.is_declared_global()) and (symbol.is_assigned() or symbol.is_imported()):
                defined.add(symbol.get_name())
            elif symbol.is_referenced() and (at_top or symbol.is_global()):
                used.add(symbol.get_name())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return [] if any(node.names[0].name == "*" for node in imports) else sorted(used - defined)


def local_imports(code: str) -> list[str]:
    """
    Returns modules that Python code imports as if earlier code were a file, such as `from solution import f`.

    Args:
        code (`str`):
            The code.

    Returns:
        `list[str]`: Names of the modules.
    """
    found = []
    for node in ast.walk(parse_python(code) or ast.Module([], [])):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "."] if not node.level else ["." + (node.module or "")]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        tops = [name.split(".")[0] for name in names]
        found += [top or "." for top in tops if not top or (top not in _STDLIB and _LOCAL_MODULE.match(top))]
    return found


def check_standalone(message: str, code: str, programs: Iterable[str], problem: Problem) -> None:
    """
    Checks that an answer can be understood and run with only the request.

    Args:
        message (`str`):
            The answer.
        code (`str`):
            The code in it.
        programs (`Iterable[str]`):
            Earlier programs of the rollout.
        problem ([`~reflection_trl.problems.Problem`]):
            The problem.

    Raises:
        [`Rejected`]: If the answer refers to earlier work, or uses undefined names.
    """
    if phrase := leaning_phrase(message, problem.instruction):
        raise Rejected(Rejection.LEANS_ON_REFLECTION, f"The answer says {phrase!r}, which refers to earlier work.")
    if problem.language != "python":
        return
    if modules := local_imports(code):
        raise Rejected(
            Rejection.LEANS_ON_REFLECTION, f"The answer imports `{modules[0]}`, which refers to earlier code."
        )
    names = undefined_names(code, _module_names(problem.tests))
    before = set().union(*map(_module_names, programs))
    for name in names:
        if name in before:
            raise Rejected(
                Rejection.LEANS_ON_REFLECTION, f"The answer uses `{name}`, which only earlier programs define."
            )
    if names:
        raise Rejected(Rejection.UNDEFINED_NAMES, f"The answer uses `{names[0]}`, which nothing defines.")


def _module_names(code: str) -> set[str]:
    """Returns the names that Python code defines at its top level."""
    table = _symbols(code)
    symbols = table.get_symbols() if table else []
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def _symbols(code: str) -> symtable.SymbolTable | None:
    """Returns the symbol table of `code`, or `None` if it does not compile."""
    if len(code) > MAX_PARSED:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return symtable.symtable(code, "answer", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
