"""Extracts MultiPL-E code from completions, and builds programs with the official tests."""

import re
from collections.abc import Iterator

from ..fences import before_fences, find_fences
from .tasks import Task


# Definitions of a function `NAME`, as opposed to calls. Models write arbitrary text, including endless repetition, so every
# pattern must run in linear time.
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
# Beginnings of code without a fence
_START = re.compile(
    r"^(?:#include|#!|<\?php|import\s|using\s|use\s|//|/\*|(?:public\s+)?(?:static\s+|class\s)|struct\s|template\b"
    r"|(?:export\s+)?(?:async\s+)?function\b|const\s|let\s|(?:pub\s+)?fn\s|func\s)",
    re.MULTILINE,
)

# A first line that is not code
_PROSE = re.compile(r"\s?[A-Z][\w']*,? [^\n]*[^;{}\s\n]\s*(?:\n|\Z)")

# A main program in the answer, which would conflict with that of the tests
_OWN_MAIN = {
    "cpp": r"^[ \t]*(?:int|auto|void)\s+main\s*\([^)]*\)[^{;]*\{",
    "rust": r"^[ \t]*(?:pub\s+)?fn\s+main\s*\(\s*\)[^{;]*\{",
    "java": r"^[ \t]*(?:public\s+)?static\s+void\s+main\s*\([^)]*\)[^{;]*\{",
    "csharp": r"^[ \t]*(?:(?:public|private|internal)\s+)?static\s+(?:async\s+)?(?:void|int|Task)\s+Main\s*\([^)]*\)\s*\{",
}

# Comments and quoted text, which may contain braces. If they are not closed, they extend to the end.
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


def solution_of(task: Task, text: str) -> str:
    """
    Returns the code to be judged, read from what a model wrote.

    A completion is cut at the first stop token, as the official evaluation does, and put behind the prompt. An answer that
    defines the function, in a fenced block or bare, is completed: what it lacks of the prompt (includes, imports, the class)
    is added, a main program of its own is taken out. A fenced block that does not is the function's body. Of several
    blocks, the last one that defines the function counts. Prose is left out.

    Args:
        task ([`~reflection_trl.evaluation.tasks.Task`]):
            A task of MultiPL-E.
        text (`str`):
            The model's text, word for word.

    Returns:
        `str`: Complete code, closed as the official tests close it; empty where there is none.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fences, before = find_fences(text), before_fences(text)
    if _continues_prompt(task, before, bare=not fences):
        return _completed(task, before)
    if (definition := _find_definition(task, before)) is not None:
        return _whole(task, _bare(task.language, before, definition.start()))
    blocks = [fence.code for fence in fences if fence.code.strip()]
    whole = [block for block in blocks if _find_definition(task, block)]
    if whole:
        return _whole(task, whole[-1])
    return _completed(task, max(blocks, key=len), close=True) if blocks else ""


# From a model's text to code


def _find_definition(task: Task, code: str) -> re.Match[str] | None:
    pattern = _DEFINITION[task.language]
    found = re.finditer(pattern.replace("NAME", re.escape(task.entry_point or "")), code, re.MULTILINE)
    return next((one for one in found if pattern is not _TYPED or _is_head(code, one)), None)


def _is_head(code: str, found: re.Match[str]) -> bool:
    """Returns whether `type name(` begins a function: its body comes before any statement ends."""
    words = found.group().rstrip("( \t").split()[:-1]
    rest = code[found.end() : found.end() + _LONGEST_HEAD]
    signature = re.split(r"[;{}]", rest, maxsplit=1)[0]
    has_body = ")" in signature and ("=>" in signature or rest[len(signature) :].startswith("{"))
    return has_body and bool(words) and words[-1] not in ("return", "else", "new", "throw", "await")


def _bare(language: str, text: str, definition: int) -> str:
    """Returns the code in an answer without fences, from its first line to the last brace."""
    start = _START.search(text, 0, definition)
    end = (
        max((brace.end() for brace in re.finditer(r"^\}", text, re.MULTILINE)), default=0)
        if language == "bash"
        else max((place + 1 for place, depth in _braces(language, text) if depth == 0), default=0)
    )
    return text[start.start() if start else definition : end if end > definition else len(text)]


def _continues_prompt(task: Task, text: str, bare: bool) -> bool:
    """Returns whether text is a completion of the prompt: code from inside the function."""
    definition = _find_definition(task, text)
    if _leaves_function(task.language, text[: definition.start()] if definition else text):
        return True
    if definition is not None or not text.strip():
        return False
    return text.lstrip("\n").startswith(("  ", "\t")) or (bare and _PROSE.match(text.lstrip("\n")) is None)


def _braces(language: str, code: str) -> Iterator[tuple[int, int]]:
    """Yields the positions of braces in code, each with the depth after it."""
    depth = 0
    for found in _BRACES[language].finditer(code):
        if found.group() in "{}":
            depth += 1 if found.group() == "{" else -1
            yield found.start(), depth


def _leaves_function(language: str, code: str) -> bool:
    """Returns whether code that begins in the middle of a function continues to its end."""
    if language == "bash":
        return re.search(r"^\}", code, re.MULTILINE) is not None
    return any(depth < 0 for _, depth in _braces(language, code))


def _completed(task: Task, completion: str, close: bool = False) -> str:
    """
    Returns the prompt and its completion, up to the first stop token. The tests close the function in most languages;
    `close` closes it in the others if it is open.
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
    """Returns the text before the tests that closes the function, and the text after them that closes its class."""
    braces = re.match(r"\s*\}\n?", task.tests)
    return (braces.group().rstrip() if braces else "") + (
        "\n}\n" if task.language in ("java", "csharp") else "\n" if braces else ""
    )


def _whole(task: Task, code: str) -> str:
    """Returns code that defines the function, completed so that it compiles without the prompt."""
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
    """Returns the declarations before the function of the prompt, without those that the code repeats but must not."""
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
    """Wraps a Java or C# function in a class that does not determine the file name."""
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


def program_of(task: Task, solution: str) -> tuple[str, str]:
    """
    Returns the solution and the tests, which close its function, and its class in Java and C#, where it does not close
    them itself.

    Args:
        task ([`~reflection_trl.evaluation.tasks.Task`]):
            The task.
        solution (`str`):
            Output of [`solution_of`].
    """
    closing = re.match(r"\s*\}", task.tests)
    # Types that the prompt declares for the result. The tests use these and not those of the answer
    unions = _UNION.findall(task.prompt) if task.language == "cpp" else []
    declared = "".join(" ".join(union.split()) + " " for union in unions)
    if closing is None or not _is_closed(task.language, solution):
        end = closing.end() if closing else 0
        return solution, task.tests[:end] + declared + task.tests[end:]
    return solution, declared + task.tests[closing.end() :]


def _is_closed(language: str, solution: str) -> bool:
    """
    Returns whether a solution closes its function. Solutions from elsewhere may leave that to the tests.
    """
    if re.search(r"^\}\s*\Z", solution, re.MULTILINE):
        return True  # whatever else may be open, as the official evaluation has it
    if language == "bash":
        return re.search(r"^\}|[\s;]\}[ \t]*$", solution, re.MULTILINE) is not None
    return _depth_at(language, solution, len(solution)) <= 0
