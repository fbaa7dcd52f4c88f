"""Splits an answer into its program and the prose around it."""

import ast
import html
import re
import textwrap
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..fences import Fence, fence_code, find_fences
from ..languages import LANGUAGES, get_language
from ..python_code import MAX_PARSED, parse_python
from .choosing import Program, choose, defines
from .cleaning import one_turn, tidy_code


# Beginnings of code without a fence
_STARTS = {
    "python": r"def |class |import |from \w+(\.\w+)* import |@\w|async def ",
    "cpp": r"#include|using namespace |template ?<",
    "java": r"import [\w.*]+;|public class |class \w+ *\{",
    "javascript": r"function |const |let |var |class |async function |import .* from ",
    "typescript": r"function |const |let |var |class |async function |import .* from |interface |type \w+ ?=|export ",
    "rust": r"fn |pub fn |use \w+|struct |#!?\[",
    "php": r"<\?php|function ",
    "bash": r"#!|function \w+|\w+ ?\(\) ?\{",
    "csharp": r"using [\w.]+;|namespace \w|((public|internal|static|sealed) )*(class|struct|record|interface) \w+",
    "swift": r"import \w+$|((public|final) )*(func|class|struct|enum|extension|protocol) \w+",
}
# Info strings that name no language, a session of Python, or Gemma's calls
_NO_LANGUAGE = frozenset(
    ["answer", "code", "plaintext", "program", "pycon", "python-repl", "solution", "text", "tool_code", "txt"]
)
_NAMES = [name for language in LANGUAGES.values() for name in language.fences if len(name) > 3]
# Marks around code that some models use instead of a fence
_MARKS = [
    (re.compile(opening, re.MULTILINE), re.compile(closing, re.MULTILINE))
    for opening, closing in (
        (r"\[PYTHON\]", r"\[/PYTHON\]"),
        (r"\[CODE\]", r"\[/CODE\]"),
        (r"\[BEGIN\]", r"\[DONE\]|\[END\]"),
        (r"\[(?:ANSWER|SOLUTION)\]", r"\[/(?:ANSWER|SOLUTION)\]|\[DONE\]"),
        (r"<pre>\s{0,9}<code[^>\n]{0,99}>", r"</code>"),
        # Only alone on a line: in prose they mark a word
        (r"^[ \t]*<(?:code|python|solution|answer)>[ \t]*$", r"</(?:code|python|solution|answer)>"),
        (
            r"\\begin\{(?:lstlisting|minted|python|verbatim)\}.{0,99}$",
            r"\\end\{(?:lstlisting|minted|python|verbatim)\}",
        ),
        (r"^'''(?:python|py)?[ \t]*$", r"^'''[ \t]*$"),
    )
]
_NAME_LINE = re.compile(rf"(?:{'|'.join(map(re.escape, _NAMES))})[ \t]*", re.IGNORECASE)
_INDENT = re.compile(r" {4}|\t")
_MAX_CUTS = 8
_SENTENCE = re.compile(r"\s*+(?:#+ |[-*] |\*\*)?[A-Z][\w'\u2019]*,?(?: [\w`'\u2019\"(),;:*-]+)+[.:!]?$", re.MULTILINE)
_LAST_MARK = re.compile(r"^\[DONE\]|^\[END\]", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """
    Holds an answer that is split into its parts.

    Args:
        code (`str`):
            The program, or `""` if there is none.
        lead (`str`, *optional*, defaults to `""`):
            The prose before it.
        tail (`str`, *optional*, defaults to `""`):
            The prose after it; empty if the program consists of several blocks.
        closed (`bool`, *optional*, defaults to `True`):
            Whether the program's fence was closed. The code of an unclosed fence may be truncated.
        foreign (`str`, *optional*, defaults to `""`):
            The language of the fences, if none has the requested language.
    """

    code: str
    lead: str = ""
    tail: str = ""
    closed: bool = True
    foreign: str = ""

    def message(self, language: str, tail: bool = False) -> str:
        """Returns the answer as a message: the prose, and the program in one fence."""
        parts = [self.lead, fence_code(self.code, get_language(language).fences[0]), self.tail if tail else ""]
        return "\n\n".join(part for part in parts if part)


def read_answer(text: str, language: str = "python", entry_point: str | None = None) -> Answer:
    """
    Splits an answer into program and prose: see [`reflection_trl.answers`] for the selection of the program. The run
    time is linear in the length of the text.

    Args:
        text (`str`):
            Completion.
        language (`str`, *optional*, defaults to `"python"`):
            Language of the program.
        entry_point (`str`, *optional*):
            Name of the requested function or class.

    Returns:
        [`Answer`]
    """
    text = one_turn(text)
    fences = _tidied(find_fences(text), language) or _tidied(_marked(text, language), language)
    filled = [fence for fence in fences if fence.code]
    if not filled:
        return _unfenced(text, language)
    own = _of_language(filled, language, entry_point)
    if not own:
        return Answer("", lead=text.strip(), foreign=filled[0].language)
    program = choose(own, language, entry_point)
    return Answer(
        code=program.code,
        lead=_lead(text, fences, program),
        tail=f"{program.base.after}{text[program.base.end :]}".strip() if len(fences) == 1 else "",
        closed=all(fence.closed for fence in program.joined),
    )


def _tidied(fences: Iterable[Fence], language: str) -> list[Fence]:
    """Returns the fences, or none if all of them are empty."""
    fences = [_named(replace(fence, code=tidy_code(fence.code, language))) for fence in fences]
    if language == "python" and fences and not fences[-1].closed and parse_python(fences[-1].code) is None:
        # An unclosed fence may contain the prose after the code
        code = _python_prefix(fences[-1].code)
        if code and _SENTENCE.match(fences[-1].code, len(code)):
            fences[-1] = replace(fences[-1], code=code)
    return fences if any(fence.code for fence in fences) else []


def _named(fence: Fence) -> Fence:
    """Returns a fence whose language stands on the first line of its code with that language."""
    first, _, rest = fence.code.lstrip().partition("\n")
    if fence.info.strip() or not rest.strip() or not _NAME_LINE.fullmatch(first):
        return fence
    return replace(fence, info=first.strip(), code=rest)


def _of_language(fences: list[Fence], language: str, entry_point: str | None) -> list[Fence]:
    names = get_language(language).fences
    own = [fence for fence in fences if fence.language in names]
    unnamed = [fence for fence in fences if not fence.language]
    if own and entry_point and not any(entry_point in defines(fence.code, language) for fence in own):
        # Only some of the blocks have a language, and the answer is in none of them
        more = [fence for fence in unnamed if entry_point in defines(fence.code, language)]
        own = [fence for fence in fences if fence in own or fence in more]
    plain = (fence for fence in fences if fence.language in _NO_LANGUAGE and defines(fence.code, language))
    return own or unnamed or list(plain)


def _lead(text: str, fences: list[Fence], program: Program) -> str:
    """
    Returns the prose before the program. Quoted fragments become indented blocks, so that only the program is in a
    fence.
    """
    lines: list[str] = []
    start = 0
    for fence in fences:
        if start < fence.start:
            lines += text[start : fence.start].removesuffix("\n").split("\n")
        lines += [fence.before] if fence.before else []
        if fence.start >= program.base.start:
            break
        if fence not in program.joined and "```" not in fence.code and "~~~" not in fence.code:
            lines += ["", *textwrap.indent(fence.code, "    ").split("\n"), ""]
        lines += [fence.after] if fence.after else []
        start = fence.end + 1
    return "\n".join(lines).strip()


def _marked(text: str, language: str) -> list[Fence]:
    """
    Returns code in the marks of one kind, the last of which may be open. Some of them can also contain answers without
    code.
    """
    for opening, closing in _MARKS:
        found, start = [], 0
        while opened := opening.search(text, start):
            closed = closing.search(text, opened.end())
            end, start = (closed.start(), closed.end()) if closed else (len(text), len(text))
            code = html.unescape(text[opened.end() : end]) if "<code" in opened[0] else text[opened.end() : end]
            if _is_program(code) if language == "python" else defines(code, language):
                found.append(Fence("", code, opened.start(), start, bool(closed)))
        if found:
            return found
    return []


def _unfenced(text: str, language: str) -> Answer:
    """Parses an answer without a fence, which is code if it looks like it from some line on."""
    if end := _LAST_MARK.search(text):
        text = text[: end.start()]
    if language == "python" and _is_program(text):
        return Answer(text.strip(), closed=False)
    lines = text.split("\n")
    start = re.compile(_STARTS[language])
    first = next((number for number, line in enumerate(lines) if start.match(line)), None)
    if first is None:
        return _indented(lines, start, language) or Answer("", lead=text.strip())
    if language == "python":
        first = _first_constant(lines, first)
    code = tidy_code("\n".join(lines[first:]), language).strip()
    if language == "python" and parse_python(code) is None:
        code = _python_prefix(code)
    return Answer(code, lead="\n".join(lines[:first]).strip(), closed=False) if code else Answer("", lead=text.strip())


def _indented(lines: list[str], start: re.Pattern[str], language: str) -> Answer | None:
    """Parses an answer whose code is an indented block of Markdown."""
    first = next(
        (number for number, line in enumerate(lines) if _INDENT.match(line) and start.match(line.lstrip())), None
    )
    if first is None:
        return None
    after = (
        number for number in range(first, len(lines)) if lines[number].strip() and not _INDENT.match(lines[number])
    )
    end = next(after, len(lines))
    code = tidy_code(textwrap.dedent("\n".join(lines[first:end])), language)
    if language == "python" and parse_python(code) is None:
        return None
    return Answer(code, "\n".join(lines[:first]).strip(), "\n".join(lines[end:]).strip(), closed=end < len(lines))


def _is_program(text: str) -> bool:
    """
    Returns whether a whole text is Python that does something; one or two words of prose may also be valid Python.
    """
    body = tree.body if (tree := parse_python(text.strip())) else []
    return not any(isinstance(node, ast.Return) for node in body) and any(
        not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call | ast.Await) for node in body
    )


def _first_constant(lines: list[str], first: int) -> int:
    """Returns the first line of the constants and comments right before a line of Python."""
    for number in reversed(range(first)):
        line = lines[number]
        tree = parse_python(line) if len(line) < 1000 else None
        if tree is None or (tree.body and not isinstance(tree.body[0], ast.Assign)):
            break
        first = number if tree.body else first
    return first


def _python_prefix(code: str) -> str:
    """Returns the part of `code` before the following prose: up to the first unindented line that is not Python."""
    for _ in range(_MAX_CUTS):
        if not code or len(code) > MAX_PARSED:
            break
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(code)
        except SyntaxError as error:
            # A quote in the prose is found before the prose is: "It's simple"
            code = "\n".join(code.split("\n")[: max(0, (error.lineno or 1) - 1)]).rstrip()
        except (ValueError, RecursionError, MemoryError):
            break
        else:
            return code
    return ""
