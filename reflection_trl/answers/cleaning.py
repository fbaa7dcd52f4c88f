"""
Removes parts around and in an answer that do not belong to it: thoughts, tokens of chat formats, and invisible
characters.
"""

import bisect
import doctest
import re
import textwrap
from collections.abc import Iterator

from ..fences import find_fences
from ..python_code import MAX_PARSED, defined_names, parse_python


# Marks that open and close a model's thinking
_THOUGHTS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>thought", "<channel|>"),
)
_THOUGHT = re.compile(rf"\s*+({'|'.join(re.escape(opening) for opening, _ in _THOUGHTS)})", re.IGNORECASE)
_CLOSINGS = {opening.lower(): re.compile(re.escape(closing), re.IGNORECASE) for opening, closing in _THOUGHTS}
# Some templates open the thinking themselves, so the answer contains only its end, at the end or the beginning of a
# line
_THOUGHTS_END = re.compile(
    r"(?<![`'\"])(?:</(?:think|thinking|seed:think)>|\[/THINK\])(?=[ \t]*$)|^[ \t]*+(?:</(?:think|thinking)>|\[/THINK\])",
    re.MULTILINE | re.IGNORECASE,
)
# Harmony, the format of gpt-oss
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\b[^<\n]{0,60}(?:<\|constrain\|>[^<\n]{0,60})?<\|message\|>")
_ANALYSIS_CHANNEL = re.compile(r"\s*(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*(?:analysis|commentary)")

_TURN_TOKEN = r"(?:<[|\uff5c][^\s|\uff5c<>]{1,40}[|\uff5c]>|</?(?:start_of_turn|end_of_turn|eos|bos|pad)>|</s>(?=\s*(?:\Z|<|\[INST))|\[/?INST\]|\[e~\[)"
_TURN_TOKENS = re.compile(_TURN_TOKEN)
_TURN_STARTS = re.compile(
    rf"\A\s*(?:(?:<s>(?=\s)|{_TURN_TOKEN})\s*+(?:(?:assistant|model)(?=<|[ \t]*$)\s*+)?)+", re.MULTILINE
)
_TURN_ENDS = re.compile(rf"(?:{_TURN_TOKEN}\s*)+\Z")
# Models without a chat format continue with the next request and its answer
_NEXT_REQUEST = re.compile(r"^(?:#{2,3} ?)?(?:Instruction|Human|User)s?:", re.MULTILINE)
_NEXT_ANSWER = re.compile(r"^(?:#{2,3} ?)?(?:Response|Assistant|AI):", re.MULTILINE)
_LONGEST_END = 200  # characters at the end of code that are searched for such tokens
_ESCAPES = re.compile(r"\x1b\[[0-9;]{0,20}m")

# Commands and prompts of IPython
_MAGIC = re.compile(r"^(?:%%?[a-zA-Z]|!)[^\n]*(?:\n|\Z)", re.MULTILINE)
_CELL = re.compile(r"^[ \t]*In \[\d*\]:", re.MULTILINE)
_CELL_LINE = re.compile(r"[ \t]*(?:In \[\d*\]|\.\.\.):(?: (.*)|[ \t]*)")

# Spaces that programming languages do not accept, and characters without width
_ODD_SPACE = re.compile(r"[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_UNSEEN = re.compile(r"[\u200b-\u200d\u2060\ufeff\xad]")
_ODD_INDENT = re.compile(
    r"^[ \t]*+[\xa0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff][ \t\xa0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff]*",
    re.MULTILINE,
)


def without_thoughts(text: str) -> str:
    """
    Returns the answer of a thinking model after its thinking. Drafts of code in the thinking are not an answer.

    Args:
        text (`str`):
            Completion.

    Returns:
        `str`: The text after the thinking; `""` if the thinking was truncated, the whole text if there is none.
    """
    if final := list(_FINAL_CHANNEL.finditer(text)):
        return text[final[-1].end() :].lstrip("\n")
    if _ANALYSIS_CHANNEL.match(text):
        return ""
    start = 0
    while closing := _opened_thought(text, start):
        closed = closing.search(text, start)
        if not closed:
            return ""
        start = closed.end()
    if start:
        return text[start:].lstrip("\n")
    end = _THOUGHTS_END.search(text)
    return text[end.end() :].lstrip("\n") if end else text


def _opened_thought(text: str, start: int) -> re.Pattern[str] | None:
    """Returns the mark that closes the thinking with which a text continues."""
    opened = _THOUGHT.match(text, start)
    return _CLOSINGS[opened[1].lower()] if opened else None


def one_turn(text: str) -> str:
    """
    Returns an answer up to the first end-of-turn token, with `\\n` as line ends. Such tokens in quotes, or in a closed
    code block, are ordinary text.

    Args:
        text (`str`):
            Completion.
    """
    text = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).lstrip("\ufeff")
    if start := _TURN_STARTS.match(text):
        text = text[start.end() :].lstrip("\n")
    text = _without_next_turns(text)
    tokens = list(_TURN_TOKENS.finditer(text))
    fences = find_fences(text) if tokens else []
    if not tokens or (not fences and parse_python(text) is not None):
        return text
    starts = [fence.start for fence in fences]
    for token in tokens:
        before, behind = text[max(0, token.start() - 3) : token.start()], text[token.end() : token.end() + 1]
        quoted = before.endswith(("'", '"', "`")) and before != "```"
        if quoted or behind in ("'", '"', "`", "\\"):
            continue
        number = bisect.bisect_right(starts, token.start()) - 1
        while (
            number > 0 and fences[number - 1].end > token.start()
        ):  # on the line that closes one fence and opens the next
            number -= 1
        fence = fences[number] if number >= 0 and token.start() < fences[number].end else None
        in_code = fence is not None and text.find("\n", token.start(), fence.end) >= 0  # and not on the closing line
        if fence is None or (fence.closed and not in_code):
            return text[: token.start()].rstrip()
        line_end = text.find("\n", token.end())
        rest = text[token.end() : len(text) if line_end < 0 else line_end]
        if not fence.closed and not _TURN_TOKENS.sub("", rest).strip():
            return text[: token.start()].rstrip()
    return text


def _without_next_turns(text: str) -> str:
    """Cuts a request that follows a block of code, and that has an answer, as in `User: ... Assistant: ...`."""
    answers = [answer.start() for answer in _NEXT_ANSWER.finditer(text)]
    fences = find_fences(text) if answers and _NEXT_REQUEST.search(text) else []
    starts = [fence.start for fence in fences]
    for request in _NEXT_REQUEST.finditer(text) if fences else ():
        number = bisect.bisect_right(starts, request.start()) - 1
        if number >= 0 and fences[number].end < request.start() < answers[-1]:
            return text[: request.start()].rstrip()
    return text


def tidy_code(code: str, language: str) -> str:
    """
    Removes invisible characters from code. Python is changed only if it does not parse: if it is indented as a whole,
    has unusual spaces, is an interpreter session, or has the commands of a notebook.

    Args:
        code (`str`):
            The code.
        language (`str`):
            Its language.
    """
    code = code.strip("\n").rstrip()
    if ends := _TURN_ENDS.search(code, max(0, len(code) - _LONGEST_END)):
        code = code[: ends.start()].rstrip()
    if language != "python":
        return _ODD_INDENT.sub(lambda match: _seen(match[0]), code)
    if parse_python(code) is not None:
        return code
    return next((version for version in _versions(code) if version != code and parse_python(version)), code)


def _versions(code: str) -> Iterator[str]:
    dedented = textwrap.dedent(code)
    yield dedented
    yield textwrap.dedent(_seen(code))
    yield _MAGIC.sub("", dedented).strip("\n")
    if _CELL.search(code):
        # Output has no mark, so that only the lines of input are kept
        lines = [match[1] or "" for line in dedented.split("\n") if (match := _CELL_LINE.match(line))]
        yield _MAGIC.sub("", "\n".join(lines)).strip("\n")
    if ">>> " in code and len(code) <= MAX_PARSED:
        try:
            session = "".join(example.source for example in doctest.DocTestParser().get_examples(dedented))
        except ValueError:  # not indented equally
            return
        if (tree := parse_python(session)) and defined_names(tree.body):
            yield session.rstrip()


def _seen(text: str) -> str:
    return _UNSEEN.sub("", _ODD_SPACE.sub(" ", text))
