"""Reads code out of what a model wrote: which fence, which language, and what is prose around it."""

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass, replace

from .languages import get_language
from .sequences import fence_code


# Longer code is no answer to a problem of this kind, and parsing it would take long
MAX_PARSED = 200_000

# What code without any fence starts with
_STARTS = {
    "python": r"def |class |import |from \w+(\.\w+)* import |@\w|async def ",
    "cpp": r"#include|using namespace |template ?<",
    "java": r"import [\w.*]+;|public class |class \w+ *\{",
    "javascript": r"function |const |let |var |class |async function |import .* from ",
    "typescript": r"function |const |let |var |class |async function |import .* from |interface |type \w+ ?=|export ",
    "rust": r"fn |pub fn |use \w+|struct |#!?\[",
    "php": r"<\?php|function ",
    "bash": r"#!|function \w+|\w+ ?\(\) ?\{",
}
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})([^`]*)")
_WORD = re.compile(r"[\w+#.-]+")
# Some templates open the thinking themselves, so that only its end is in the answer
_THOUGHTS_END = re.compile(r"^[ \t]*</think>[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """
    What a model wrote, taken apart.

    Args:
        code (`str`): the program; empty where there is none.
        lead (`str`): the prose before it.
        tail (`str`): the prose behind it; empty where the program was put together from several blocks.
        closed (`bool`): whether the program's fence was closed, so that nothing of it can be missing.
        foreign (`str`): the language of the fences, where none is of the language asked for.
    """

    code: str
    lead: str = ""
    tail: str = ""
    closed: bool = True
    foreign: str = ""

    def message(self, language: str, tail: bool = False) -> str:
        """The answer as a message: prose, and the program in one fence of its own."""
        parts = [self.lead, fence_code(self.code, get_language(language).fences[0]), self.tail if tail else ""]
        return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True)
class _Block:
    info: str
    code: str
    first: int  # line of the opening fence
    last: int  # line of the closing fence, or the last line of the text
    closed: bool


def read_answer(text: str, language: str = "python") -> Answer:
    """
    Takes an answer apart.

    Fenced code of the language counts, then fenced code of no language, then an answer that is code from its first line.
    Of several blocks the longest that defines something is the program. Python blocks that add definitions or asserts
    to it are joined with it; quoted fragments, examples of use and printed output are not. An unclosed fence reaches to the end.
    Takes time in proportion to the text.

    Args:
        text (`str`):
            What the model wrote.
        language (`str`, *optional*, defaults to `"python"`):
            Language of the program.

    Returns:
        [`Answer`]
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    fences = [_without_glued_fence(block, lines) if language == "python" else block for block in _blocks(lines)]
    blocks = [block for block in fences if block.code.strip()]
    if not blocks:
        return _unfenced(lines, language)
    names = get_language(language).fences
    own = [block for block in blocks if block.info in names] or [block for block in blocks if not block.info]
    if not own:
        return Answer("", lead="\n".join(lines).strip(), foreign=blocks[0].info)
    base, joined = _choose(own, language)
    merged = {block.first for block in joined}
    lead, start = [], 0
    for block in fences:
        if block.first >= base.first:
            break
        lead += lines[start : block.first]
        if block.first not in merged and "```" not in block.code and "~~~" not in block.code:
            # A quoted fragment stays, as prose: only the program stands in a fence
            lead += ["", *textwrap.indent(block.code, "    ").split("\n"), ""]
        start = block.last + 1
    lead += lines[start : base.first]
    return Answer(
        code="\n\n".join(block.code for block in joined) if len(joined) > 1 else base.code,
        lead="\n".join(lead).strip(),
        tail="\n".join(lines[base.last + 1 :]).strip() if len(fences) == 1 else "",
        closed=all(block.closed for block in joined),
    )


def without_thoughts(text: str) -> str:
    """
    What a thinking model says when it has thought: drafts of code before that are no answer.

    Args:
        text (`str`): what the model wrote.

    Returns:
        `str`: What stands behind the thinking; empty where it was cut off in the middle of it, the text itself where there is none.
    """
    if text.lstrip().startswith("<think>"):
        return text.partition("</think>")[2].lstrip("\n")
    end = _THOUGHTS_END.search(text)
    return text[end.end() :].lstrip("\n") if end else text


def parse_python(code: str) -> ast.Module | None:
    """The syntax tree of `code`; `None` where it is no Python, or too long to be an answer."""
    if len(code) > MAX_PARSED:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence" and the like
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nesting without end
        return None


def defined_names(statements: list[ast.stmt]) -> set[str]:
    """The functions and classes that stand at the top of a Python module."""
    return {
        node.name for node in statements if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }


def _blocks(lines: list[str]) -> list[_Block]:
    """
    Fenced blocks, as Markdown has them: a fence is closed by one of the same kind, as long, without info and not
    indented as code within it, such as a docstring, would be.
    """
    blocks: list[_Block] = []
    opening, first = None, 0
    for number, line in enumerate(lines):
        if "```" not in line and "~~~" not in line:
            continue
        fence = _FENCE.fullmatch(line)
        if fence is None:
            continue
        indent, ticks, info = fence.groups()
        if opening is None:
            opening, first = (indent, ticks, info), number
        elif ticks.startswith(opening[1]) and not info.strip() and len(indent) < len(opening[0]) + 4:
            blocks.append(_block(lines, opening, first, number, closed=True))
            opening = None
    if opening is not None:
        blocks.append(_block(lines, opening, first, len(lines), closed=False))
    return blocks


def _block(lines: list[str], opening: tuple[str, str, str], first: int, last: int, closed: bool) -> _Block:
    indent, _, info = opening
    word = _WORD.match(info.strip())
    code = "\n".join(line.removeprefix(indent) for line in lines[first + 1 : last]).strip("\n").rstrip()
    return _Block(word.group().lower() if word else "", code, first, last, closed)


def _without_glued_fence(block: _Block, lines: list[str]) -> _Block:
    """
    A block whose closing fence stands at the end of a line of code. Markdown knows none there, and a string may well hold three
    backticks; but where there is no other, and what stands before it is Python while the whole is not, it was meant as one.
    """
    if block.closed or "```" not in block.code or parse_python(block.code) is not None:
        return block
    code_lines = block.code.split("\n")
    end = next((number for number, line in enumerate(code_lines) if line.rstrip().endswith("```")), None)
    if end is None:
        return block
    code = "\n".join(code_lines[: end + 1]).rstrip().rstrip("`").rstrip()
    if "```" in code or not code or parse_python(code) is None:
        return block
    last = next(n for n in range(block.first + 1, block.last) if lines[n].rstrip().endswith("```"))
    behind = "\n".join(lines[last + 1 :])
    return block if "```" in behind or "~~~" in behind else replace(block, code=code, last=last, closed=True)


def _choose(blocks: list[_Block], language: str) -> tuple[_Block, list[_Block]]:
    """The block that is the program, and all blocks that belong to it, in order."""
    longest = max(blocks, key=lambda block: len(block.code))
    if language != "python" or len(blocks) == 1:
        return longest, [longest]
    trees = {block.first: parse_python(block.code) for block in blocks}
    defines = [block for block in blocks if (tree := trees[block.first]) and defined_names(tree.body)]
    base = max(defines, key=lambda block: len(block.code), default=longest)
    if (tree := trees[base.first]) is None:
        return base, [base]
    known = defined_names(tree.body)
    joined = []
    for block in blocks:
        tree = trees[block.first]
        names = defined_names(tree.body) if tree else set()
        imports = tree is not None and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in tree.body)
        tests = (
            tree is not None
            and block.first > base.first
            and any(isinstance(node, ast.Assert) for node in ast.walk(tree))
        )
        if block is base or (not names & known and (names or imports or tests)):
            known |= names
            joined.append(block)
    return base, joined


def _unfenced(lines: list[str], language: str) -> Answer:
    """An answer without a fence is code where it looks like it from some line on."""
    start = re.compile(_STARTS[language]) if language in _STARTS else None
    first = next((number for number, line in enumerate(lines) if start and start.match(line)), None)
    lead = "\n".join(lines[:first]).strip()
    if first is None:
        return Answer("", lead=lead)
    code = "\n".join(lines[first:]).strip()
    if language == "python" and parse_python(code) is None:
        code = _python_prefix(code)
    return Answer(code, lead=lead, closed=False) if code else Answer("", lead="\n".join(lines).strip())


def _python_prefix(code: str) -> str:
    """The part of `code` before the prose that follows it: up to the first line at the margin that is no Python."""
    if len(code) > MAX_PARSED:
        return ""
    lines = code.split("\n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        prefix = "\n".join(lines[: max(0, (error.lineno or 1) - 1)]).rstrip()
        return prefix if parse_python(prefix) else ""
    except (ValueError, RecursionError, MemoryError):
        pass
    return ""
