"""MultiPL-E: HumanEval in other languages, with its official prompts, stop tokens and test programs.

A right answer passes here as it does there: the program is the prompt, what the model wrote up to the first stop token, and the
tests, compiled and run by the commands of [`reflection_trl.languages`]. Two things differ. Answers of chat models are read as a
person would read them (see [`solution_of`]). And the tests run in a process of their own, which calls the answer through pipes: a
pass means that they ran to their end, on values that they compared themselves. An answer that leaves early, redefines what the
tests call, reads what they expect or returns objects that equal everything fails. An answer that defines a function of the same
name as one of the tests' passes if it is right. In Swift, tests and answer are still one process.

The official tests in C# compare lists and dictionaries by reference, so that no answer passes a task which returns one: compare
figures in C# with others in C# only.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..feedback import Feedback
from ..fences import before_fences, fence_code, find_fences
from ..languages import get_language
from ..languages.execution import Execute
from ..languages.java import JAVATUPLES
from ..problems.sources import open_rows
from .judging import judge_answers
from .results import Score
from .tasks import Sample, Task


HUB_ID = "nuprl/MultiPL-E"

# MultiPL-E's names of languages
_CODES = {
    "cpp": "cpp", "java": "java", "javascript": "js", "typescript": "ts", "php": "php", "rust": "rs", "bash": "sh",
    "csharp": "cs", "swift": "swift",
}  # fmt: skip
_COLUMNS = ("name", "prompt", "tests", "stop_tokens")

# Where a function `NAME` is defined, rather than called. Patterns here meet what models write, endless repetition too: none of
# them may take more than linear time.
_TYPED = r"^[^\n#=(]*?\bNAME[ \t]*\("
_DEFINITION = {
    "cpp": _TYPED,
    "java": _TYPED,
    "csharp": _TYPED,
    "javascript": r"\bfunction\b[ \t*]{1,9}NAME\b|\b(?:const|let|var)\s+NAME\s*[=:]",
    "php": r"\bfunction\s+&?NAME\s*\(",
    "rust": r"\bfn\s+NAME\s*[<(]",
    "bash": r"^[ \t]*(?:function\s+NAME\b|NAME\s*\(\s*\))",
    "swift": r"\bfunc\s+NAME\s*[<(]",
}
_DEFINITION["typescript"] = _DEFINITION["javascript"]
_LONGEST_HEAD = 2000  # characters from the name of a function to its body
# What code starts with that stands in no fence
_START = re.compile(
    r"^(?:#include|#!|<\?php|import\s|using\s|use\s|//|/\*|(?:public\s+)?(?:static\s+|class\s)|struct\s|template\b"
    r"|(?:export\s+)?(?:async\s+)?function\b|const\s|let\s|(?:pub\s+)?fn\s|func\s)",
    re.MULTILINE,
)

# A first line that is no code
_PROSE = re.compile(r"\s?[A-Z][\w']*,? [^\n]*[^;{}\s\n]\s*(?:\n|\Z)")

# A main program of the answer's own, which would stand in the tests' way
_OWN_MAIN = {
    "cpp": r"^[ \t]*(?:int|auto|void)\s+main\s*\([^)]*\)[^{;]*\{",
    "rust": r"^[ \t]*(?:pub\s+)?fn\s+main\s*\(\s*\)[^{;]*\{",
    "java": r"^[ \t]*(?:public\s+)?static\s+void\s+main\s*\([^)]*\)[^{;]*\{",
    "csharp": r"^[ \t]*(?:(?:public|private|internal)\s+)?static\s+(?:async\s+)?(?:void|int|Task)\s+Main\s*\([^)]*\)\s*\{",
}

# What is no code, and may have braces in it. What is open at the end reaches to the end.
_COMMENT, _STRING = r"//[^\n]*|/\*.*?(?:\*/|\Z)", r'"(?:\\.|[^"\\\n])*"'
_CHARACTER = r"'(?:\\[^\n']+|\\'|[^'\\\n])'"
_QUOTED, _TEMPLATE = r"'(?:\\.|[^'\\\n])*'", r"`(?:\\.|[^`\\])*(?:`|\Z)"
_LONG_STRING = r'""".*?(?:"""|\Z)'
_REGEX = r"(?<=[(,=:\[!&|?{};])\s*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/"
_OPAQUE = {
    "cpp": rf'{_COMMENT}|R"(?P<d>\w{{0,16}})\(.*?(?:\)(?P=d)"|\Z)|{_STRING}|{_CHARACTER}',
    "java": f"{_COMMENT}|{_LONG_STRING}|{_STRING}|{_CHARACTER}",
    "javascript": f"{_COMMENT}|{_STRING}|{_QUOTED}|{_TEMPLATE}|{_REGEX}",
    "php": rf"{_COMMENT}|#[^\n]*|{_STRING}|{_QUOTED}",
    "rust": rf'{_COMMENT}|\br(?P<h>#*)".*?(?:"(?P=h)|\Z)|"(?:\\.|[^"\\])*(?:"|\Z)|{_CHARACTER}',
    "csharp": rf'{_COMMENT}|@"(?:""|[^"])*(?:"|\Z)|{_STRING}|{_CHARACTER}',
    "swift": f"{_COMMENT}|{_LONG_STRING}|{_STRING}",
}
_OPAQUE["typescript"] = _OPAQUE["javascript"]
_BRACES = {language: re.compile(rf"(?:{opaque})|[{{}}]", re.DOTALL) for language, opaque in _OPAQUE.items()}


_UNION = re.compile(r"\bunion\s+\w+\s*\{(?:[^{}]|\{[^{}]*\})*\}\s*;")


def missing_toolchain(language: str) -> str | None:
    """
    What this machine lacks to judge a language, and how to get it, in one sentence; `None` if nothing.

    Args:
        language (`str`): a name or an alias, such as `"java"` or `"rs"`.
    """
    name = _name(language)
    if missing := get_language(name).missing():
        return missing
    if name == "java" and not os.path.exists(JAVATUPLES):
        return "MultiPL-E's Java programs need javatuples: `apt-get install libjavatuples-java`."
    return None


def load_multipl_e(language: str, source: str | os.PathLike[str] | None = None) -> list[Task]:
    """
    Reads MultiPL-E's HumanEval in one language.

    Args:
        language (`str`):
            A name or an alias: `"cpp"`, `"java"`, `"js"`, `"ts"`, `"php"`, `"rs"`, `"sh"`, `"cs"` or `"swift"`.
        source (`str`, *optional*):
            A file of JSON lines, a pattern such as `"multipl_e/*.jsonl"`, a folder with `humaneval-cpp.jsonl` and the like, or
            the id of a data set on the Hub. Rows in other languages are passed over. Defaults to `nuprl/MultiPL-E`.

    Returns:
        `list[Task]`: The tasks, in the source's order.

    Raises:
        ValueError: If the source cannot be read, or has no tasks in this language.
    """
    language = _name(language)
    code = _CODES[language]
    place = os.fspath(source) if source is not None else HUB_ID
    if (folder := Path(place).expanduser()).is_dir() and any(folder.glob("*.jsonl")):
        place = str(folder / f"humaneval-{code}*.jsonl")
    tasks: dict[str, Task] = {}
    try:
        title, rows = open_rows(place, name=f"humaneval-{code}", split="test")
        for number, row in enumerate(rows):
            task = _task(language, row, f"Row {number} of {title!r}")
            if task is None:
                continue
            if task.id in tasks:
                raise ValueError(f"The task {task.id!r} stands in {title!r} twice: give one file a language.")
            tasks[task.id] = task
    except ValueError as error:
        if source is not None:
            raise
        raise ValueError(
            f"MultiPL-E is neither on this machine nor to be had from the Hub ({str(error).rstrip('.')}): with no network, get "
            f"its file (`humaneval-{code}.jsonl`) elsewhere and give its path."
        ) from error
    if not tasks:
        raise ValueError(f"{title!r} has no tasks in {get_language(language).title} (`language` {code!r}).")
    return list(tasks.values())


def solution_of(task: Task, text: str) -> str:
    """
    The code to be judged, read from what a model wrote.

    A completion is cut at the first stop token, as the official evaluation does, and put behind the prompt. An answer that
    defines the function, in a fenced block or bare, stands for itself: what it lacks of the prompt (includes, imports, the class)
    is added, a main program of its own is taken out. A fenced block that does not is the function's body. Of several
    blocks, the last one that defines the function counts. Prose is left out.

    Args:
        task ([`~reflection_trl.evaluation.tasks.Task`]): a task of [`load_multipl_e`].
        text (`str`): the model's text, word for word.

    Returns:
        `str`: Complete code, closed as the official tests close it; empty where there is none.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fences, before = find_fences(text), before_fences(text)
    if _goes_on(task, before, bare=not fences):
        return _completed(task, before)
    if (definition := _find_definition(task, before)) is not None:
        return _whole(task, _bare(task.language, before, definition.start()))
    blocks = [fence.code for fence in fences if fence.code.strip()]
    whole = [block for block in blocks if _find_definition(task, block)]
    if whole:
        return _whole(task, whole[-1])
    return _completed(task, max(blocks, key=len), close=True) if blocks else ""


async def judge_multipl_e(
    tasks: Sequence[Task],
    samples: Sequence[Sample],
    execute: Execute,
    *,
    concurrency: int | None = None,
    report: Callable[[int], None] = lambda judged: None,
) -> Score:
    """
    Judges answers by the official tests.

    Args:
        tasks (`Sequence[Task]`): tasks of one language.
        samples (`Sequence[Sample]`): answers to them; [`solution_of`] makes their `solution` from a model's text.
        execute ([`~reflection_trl.languages.execution.Execute`]): runs programs.
        concurrency (`int`, *optional*): programs in flight at a time; twice the number of processors by default.
        report (`Callable`, *optional*): is told how many have been judged so far.

    Returns:
        [`~reflection_trl.evaluation.results.Score`]: one outcome for each answer, in their order.

    Raises:
        ValueError: If an answer belongs to none of the tasks.
        [`~reflection_trl.sandbox.SandboxError`]: If the sandbox fails; that is never a judgment on an answer.
    """

    async def run(task: Task, solution: str) -> Feedback:
        done = await execute(task.language, *_program(task, solution), entry_point=task.entry_point)
        return done.feedback

    return await judge_answers(tasks, samples, run, concurrency=concurrency, report=report)


def _name(language: str) -> str:
    name = get_language(language).name
    if name not in _CODES:
        raise ValueError(f"MultiPL-E is not judged in {language!r} here: use one of {', '.join(_CODES.values())}.")
    return name


def _task(language: str, row: dict[str, Any], place: str) -> Task | None:
    for column in _COLUMNS:
        if not isinstance(row, dict) or not isinstance(row.get(column), list if column == "stop_tokens" else str):
            raise ValueError(f"{place} is no task of MultiPL-E: it has no `{column}`.")
    if row.get("language", _CODES[language]) != _CODES[language]:
        return None
    prompt = row["prompt"]
    function = re.search(r"(\w+)\s*\(", prompt.rstrip("\n").rpartition("\n")[2])
    if function is None:
        raise ValueError(f"{place}: the prompt of {row['name']!r} does not end with the head of a function.")
    known = get_language(language)
    return Task(
        id=row["name"],
        benchmark=f"multipl-e:{language}",
        request=f"Complete this {known.title} function, and give it as a whole.\n\n"
        + fence_code(prompt.rstrip("\n"), known.fences[0]),
        prompt=prompt,
        language=language,
        entry_point=function.group(1),
        tests=row["tests"],
        stop=tuple(row["stop_tokens"]),
    )


# From a model's text to code


def _find_definition(task: Task, code: str) -> re.Match[str] | None:
    pattern = _DEFINITION[task.language]
    found = re.finditer(pattern.replace("NAME", re.escape(task.entry_point or "")), code, re.MULTILINE)
    return next((one for one in found if pattern is not _TYPED or _is_head(code, one)), None)


def _is_head(code: str, found: re.Match[str]) -> bool:
    """Whether `type name(` begins a function: its body comes before any statement ends."""
    words = found.group().rstrip("( \t").split()[:-1]
    rest = code[found.end() : found.end() + _LONGEST_HEAD]
    signature = re.split(r"[;{}]", rest, maxsplit=1)[0]
    has_body = ")" in signature and ("=>" in signature or rest[len(signature) :].startswith("{"))
    return has_body and bool(words) and words[-1] not in ("return", "else", "new", "throw", "await")


def _bare(language: str, text: str, definition: int) -> str:
    """The code in an answer without fences, from its first line to the last brace."""
    start = _START.search(text, 0, definition)
    end = (
        max((brace.end() for brace in re.finditer(r"^\}", text, re.MULTILINE)), default=0)
        if language == "bash"
        else max((place + 1 for place, depth in _braces(language, text) if depth == 0), default=0)
    )
    return text[start.start() if start else definition : end if end > definition else len(text)]


def _goes_on(task: Task, text: str, bare: bool) -> bool:
    """Whether text is a completion of the prompt: code from inside the function."""
    definition = _find_definition(task, text)
    if _leaves_function(task.language, text[: definition.start()] if definition else text):
        return True
    if definition is not None or not text.strip():
        return False
    return text.lstrip("\n").startswith(("  ", "\t")) or (bare and _PROSE.match(text.lstrip("\n")) is None)


def _braces(language: str, code: str) -> Iterator[tuple[int, int]]:
    """Places of braces that are code, each with the depth behind it."""
    depth = 0
    for found in _BRACES[language].finditer(code):
        if found.group() in "{}":
            depth += 1 if found.group() == "{" else -1
            yield found.start(), depth


def _leaves_function(language: str, code: str) -> bool:
    """Whether code that begins in the middle of a function goes on to its end."""
    if language == "bash":
        return re.search(r"^\}", code, re.MULTILINE) is not None
    return any(depth < 0 for _, depth in _braces(language, code))


def _completed(task: Task, completion: str, close: bool = False) -> str:
    """
    The prompt and its completion, up to the first stop token. The tests close the function in most languages; `close` does it in
    the others where it is open.
    """
    if not completion.strip():
        return ""
    end = min((found for stop in task.stop if (found := completion.find(stop)) >= 0), default=len(completion))
    code = task.prompt + completion[:end]
    closing = _closing(task)
    if closing:
        return f"{code}\n{closing}"
    if close and (depth := _depth_at(task.language, code, len(code))) > 0:
        return code.rstrip() + "\n" + "}" * depth
    return code


def _closing(task: Task) -> str:
    """What the tests begin with in order to close the function, and end with in order to close its class."""
    braces = re.match(r"\s*\}\n?", task.tests)
    return (braces.group().rstrip() if braces else "") + (
        "\n}\n" if task.language in ("java", "csharp") else "\n" if braces else ""
    )


def _whole(task: Task, code: str) -> str:
    """Code that defines the function, made to stand for itself."""
    language = task.language
    code = code.strip("\n")
    if language == "php":
        return "<?php\n" + re.sub(r"^\s*<\?(?:php)?[ \t]*\n?|\?>\s*\Z", "", code) + "\n"
    if language == "bash":
        return code + "\n"
    if language in ("javascript", "typescript"):
        return re.sub(r"^export\s+(?:default\s+)?(?=\w)", "", code, flags=re.MULTILINE) + "\n"
    if language in _OWN_MAIN:
        code = _without_main(language, code)
    if language in ("java", "csharp"):
        code = _in_class(task, code)
    return f"{_preamble(task, code)}{code}\n"


def _preamble(task: Task, code: str) -> str:
    """What the prompt declares ahead of its function, less what the code declares again and may not."""
    lines = [line for line in task.prompt.rstrip("\n").split("\n")[:-1] if not re.match(r"\s*(//|$)", line)]
    if "class Problem {" in lines:
        lines.remove("class Problem {")
    preamble = "".join(f"{line}\n" for line in lines)
    for declared in re.finditer(r"^(use|union|enum|extension)\s[\w:]*?(\w+)\b(?!::)", preamble, re.MULTILINE):
        if re.search(rf"\b{declared.group(1)}\s[^;]*\b{declared.group(2)}\b", code):
            return preamble[: declared.start()]
    return preamble


def _without_main(language: str, code: str) -> str:
    main = re.search(_OWN_MAIN[language], code, re.MULTILINE)
    if main is None:
        return code
    ended = next((place for place, depth in _braces(language, code[main.end() - 1 :]) if depth == 0), None)
    return code if ended is None else code[: main.start()].rstrip() + code[main.end() + ended :]


def _in_class(task: Task, code: str) -> str:
    """Java and C#: the function in a class that no file has to be named for."""
    code = re.sub(r"^\s*package\s[^;\n]*;[ \t]*\n?", "", code)
    code = re.sub(r"^((?:[a-z]+[ \t]+)*?)public[ \t]+((?:[a-z]+[ \t]+)*class\b)", r"\1\2", code, flags=re.MULTILINE)
    definition = _find_definition(task, code)
    if definition is None or _depth_at(task.language, code, definition.end() - 1) > 0:
        return code
    imports = re.compile(r"^[ \t]*(?:import|using)\s[^;()\n{}]*;[ \t]*\n?", re.MULTILINE)
    head = "".join(imports.findall(code))
    return f"{head}class Problem {{\n{imports.sub('', code).strip(chr(10))}\n}}"


def _depth_at(language: str, code: str, place: int) -> int:
    return next(reversed([depth for where, depth in _braces(language, code) if where < place]), 0)


# From code to a program


def _program(task: Task, solution: str) -> tuple[str, str]:
    """The solution and the tests, which close its function, and its class in Java and C#, where it does not close them itself."""
    closing = re.match(r"\s*\}", task.tests)
    # Types that the prompt declares for the result: the tests compare with them, and not with what an answer makes of them
    unions = _UNION.findall(task.prompt) if task.language == "cpp" else []
    declared = "".join(" ".join(union.split()) + " " for union in unions)
    if closing is None or not _is_closed(task.language, solution):
        end = closing.end() if closing else 0
        return solution, task.tests[:end] + declared + task.tests[end:]
    return solution, declared + task.tests[closing.end() :]


def _is_closed(language: str, solution: str) -> bool:
    """Whether a solution ends its function, as ours do; those that others have made may leave it to the tests."""
    if re.search(r"^\}\s*\Z", solution, re.MULTILINE):
        return True  # whatever else may be open, as the official evaluation has it
    if language == "bash":
        return re.search(r"^\}|[\s;]\}[ \t]*$", solution, re.MULTILINE) is not None
    return _depth_at(language, solution, len(solution)) <= 0
