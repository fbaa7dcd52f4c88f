"""
Compares the final answer of a text with the expected one: numbers and words here, expressions in separate processes.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..feedback import Feedback, FeedbackKind
from ..quoting import quote
from .numbers import Number, equal_numbers, read_number, split_unit
from .process import CheckerTimeoutError, require_math_verify, shared_processes
from .reading import read_final_answer, tidy


CHECKERS = ("math", "exact", "regex", "choice")
LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_MAX_ANSWER = 1000  # characters
_SHOWN = 200
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
# Names in expressions without a backslash
_FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "sec",
        "csc",
        "cot",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "log",
        "exp",
        "sqrt",
        "min",
        "max",
        "gcd",
        "lcm",
        "mod",
        "inf",
        "and",
    ]
)
_CONSTANTS = frozenset(["cdot", "dfrac", "div", "e", "frac", "left", "pi", "right", "tfrac", "times"])
_CLOCK = re.compile(r"(?P<time>\d{1,2}:\d{2})\s*(?P<half>[ap]\.?\s?m\.?)?", re.IGNORECASE)
# Text that math-verify reads as a product: two adjacent numbers, and exponents that are too large
_NO_PRODUCT = re.compile(r"(?<![_\d])\d+\s+\.?\d|\d[eE][+-]?\d")
# Signs that math-verify skips: `x'` is not `x`, and `1, 2, \ldots` is not `1, 2`
_SKIPPED = re.compile(r"'|\.\.\.|\\[hv]?phantom|\\\}\s*(?=\^)")
# `101_2`, `(2A)_{16}`, `101_{two}`; `x_1` and `a_{12}` are names
_IN_BASE = re.compile(
    r"(?P<sign>-?)(?:(?P<digits>[0-9A-Z][0-9A-Za-z]*)|[({](?P<enclosed>[0-9A-Z][0-9A-Za-z]*)[)}])"
    r"\s*_\s*(?:\{\s*\(?(?P<base>\d+|[a-z]+)\)?\s*\}|(?P<digit>\d+))"
)
_NAMES_OF_BASES = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_BASES = {name: str(base) for base, name in enumerate(_NAMES_OF_BASES, start=2)}
_SEVERAL = re.compile(r"[,;&|]|\\\\|\\(?:in|text|land|lor|cup|wedge|vee)(?![A-Za-z])|\b(?:and|or)\b")
# `\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}`; bars around it would make a determinant
_MATRIX = re.compile(
    r"(?:[A-Za-z]\s*=\s*)?(?:(?:\\left\s*)?[(\[]\s*)?\\begin\{(?P<name>[pb]?(?:small)?matrix|array)\}(?:\s*\{[clr|\s]*\})?"
    r"(?P<rows>(?:(?!\\begin|\\end).)*)\\end\{(?P=name)\}(?:\s*(?:\\right\s*)?[)\]])?",
    re.DOTALL,
)
_MAX_ENTRIES = 64
# `a = 2, b = 1`: the values of several names have an order
_NAMED = re.compile(r"(?:^|,)\s*([A-Za-z])\s*=([^,=]+)(?=,|$)")
_GLUED_LETTER = re.compile(r"\d[A-Za-z]$")
_EQUALS = re.compile(r"(?<![<>!:])=(?!=)")
# `B`, `(B) 4 apples`, and `B - 4 apples`, whose text must be that of a choice
_LETTER = re.compile(r"[(\[{]?\s*(?P<letter>[A-Za-z])\s*(?:[)\]}]|[.:)](?=\s|$)|$)\.?\s*(?P<text>.*)", re.DOTALL)
_LETTER_AND_TEXT = re.compile(r"(?P<letter>[A-Za-z])\s*[\s,:=(\u2013\u2014-]\s*(?P<text>.*)", re.DOTALL)
_LEAD = re.compile(
    r"(?:the\s+)?(?:correct\s+|final\s+)?(?:answer|option|choice)(?:\s+is|\s*:|(?=\s))\s*", re.IGNORECASE
)
_LONE_LETTER = re.compile(r"(?<![A-Za-z'])(?:[A-Z]|[a-z](?=\)))(?![A-Za-z'])")
_LONE_SMALL_LETTER = re.compile(r"(?<![A-Za-z'])[b-z](?![A-Za-z'])")  # `a` may be the article
_LETTERS = re.compile(r"[(\[]?[A-Z][)\]]?(?:\s*(?:,|/|&|and|or)\s*[(\[]?[A-Z][)\]]?)+")


@dataclass(frozen=True)
class Comparison:
    """
    Holds the result of comparing an answer with the expected one.

    Args:
        kind ([`~reflection_trl.feedback.FeedbackKind`]):
            `NONE` if it is correct.
        error_type (`str`, *optional*):
            Such as `"WrongAnswer"`.
        message (`str`, *optional*, defaults to `""`):
            One sentence.
        hint (`str`, *optional*):
            The expected form, if the answer has another.
    """

    kind: FeedbackKind
    error_type: str | None = None
    message: str = ""
    hint: str | None = None

    @property
    def right(self) -> bool:
        """Returns whether the answer is the expected one."""
        return self.kind is FeedbackKind.NONE


async def compare_answers(
    text: str, expected: str, checker: str = "math", choices: Sequence[str] = (), *, tell_expected: bool = False
) -> Feedback:
    """
    Reads the final answer of a text and compares it with the expected one. Nothing in the text is evaluated as code.

    Args:
        text (`str`):
            Completion, without its reasoning between `<think>` tags.
        expected (`str`):
            The correct answer.
        checker (`str`, *optional*, defaults to `"math"`):
            Method of comparison: one of `CHECKERS`.
        choices (`Sequence[str]`, *optional*, defaults to `()`):
            The texts of the choices, for `"choice"`; `expected` is the letter of one of them.
        tell_expected (`bool`, *optional*, defaults to `False`):
            Whether the feedback contains the expected answer.

    Returns:
        [`~reflection_trl.feedback.Feedback`]: Feedback with the parsed answer as `actual`.

    Raises:
        [`CheckerUnavailableError`]: If math-verify is needed and not installed, or its process cannot be started.
    """
    reading = read_final_answer(text)
    if not reading.answers:
        return no_answer()
    answers = reading.answers
    found = [await compare_one(answer, expected, checker, choices) for answer in answers]
    if len(answers) > 1 and checker == "math" and not found[-1].right and _SEVERAL.search(tidy(expected)):
        # `\boxed{1} and \boxed{2}` is the list `1, 2`
        together = await compare_one(", ".join(answers), expected, checker)
        if together.right:
            answers, found = (", ".join(answers),), [together]
    if reading.too_many or len({one.right for one in found}) > 1:
        return contradictory(answers)
    answer, verdict = answers[-1], found[-1]
    message = verdict.message or f"The final answer {_shown(answer)} is right."
    lines = [message, *([verdict.hint] if verdict.hint else [])]
    revealed = expected if tell_expected and not verdict.right else None
    if revealed is not None:
        lines.append(f"Expected: {_shown(revealed)}.")
    return Feedback(
        verdict.kind,
        " ".join(lines),
        verdict.error_type,
        None if verdict.right else message,
        actual=_clip(answer),
        expected=revealed,
        hint=verdict.hint,
    )


def no_answer() -> Feedback:
    """Returns the feedback on a text without a final answer."""
    message = r"No final answer was found: write it as \boxed{...}."
    return Feedback(FeedbackKind.NO_ANSWER, message, "NoAnswer", message)


def contradictory(answers: Sequence[str]) -> Feedback:
    """
    Returns the feedback on a text that gives different final answers.

    Args:
        answers (`Sequence[str]`):
            The answers.
    """
    shown = " and ".join(_shown(answer) for answer in answers[-2:])
    message = rf"The text gives different final answers, such as {shown}: write one \boxed{{...}}."
    return Feedback(FeedbackKind.NO_ANSWER, message, "ContradictoryAnswers", message, actual=_clip(answers[-1]))


async def compare_one(answer: str, expected: str, checker: str, choices: Sequence[str] = ()) -> Comparison:
    """
    Compares one answer with the expected one.

    Args:
        answer (`str`):
            The answer as it was written.
        expected (`str`):
            The right answer.
        checker (`str`):
            One of `CHECKERS`.
        choices (`Sequence[str]`, *optional*, defaults to `()`):
            The texts of the choices.
    """
    if len(answer) > _MAX_ANSWER:
        return Comparison(
            FeedbackKind.SYNTAX,
            "AnswerTooLong",
            f"The final answer has {len(answer):,} characters; at most {_MAX_ANSWER:,} are compared.",
        )
    if checker == "choice":
        return _compare_choice(answer, expected, choices)
    if checker == "exact":
        return _verdict(_squeezed(answer) == _squeezed(expected), answer)
    if checker == "regex":
        return await _in_process("regex", answer.strip(), expected)
    return await _compare_math(answer, expected)


def answer_key(answer: str, checker: str = "math", choices: Sequence[str] = ()) -> str:
    """
    Returns a key that is equal for different notations of an answer, for counting votes: `1,234` and `$1234.00` have
    one key, and so have `(A)` and `A) 3 apples` among choices.

    Args:
        answer (`str`):
            An answer as it was written.
        checker (`str`, *optional*, defaults to `"math"`):
            One of `CHECKERS`, or the source of a checker.
        choices (`Sequence[str]`, *optional*, defaults to `()`):
            The texts of the choices.
    """
    if checker == "choice" and (letter := _choice_of(answer, "", choices)) is not None:
        return letter
    answer = tidy(answer)
    number = read_number(answer)
    return str(number) if number is not None else "".join(answer.split()).casefold()


def expected_form(expected: str, checker: str = "math", choices: Sequence[str] = ()) -> str:
    """
    Returns which form an answer must have, in words: "a number", "one of A, B, C, D".

    Args:
        expected (`str`):
            The right answer.
        checker (`str`, *optional*, defaults to `"math"`):
            One of `CHECKERS`.
        choices (`Sequence[str]`, *optional*, defaults to `()`):
            The texts of the choices.
    """
    if checker == "choice":
        return f"one of {', '.join(_labels(expected, choices))}"
    if checker == "regex":
        return "text of a certain form"
    if _matrix(tidy(expected)) is not None:
        return "a matrix"
    if checker == "exact" or _is_words(tidy(expected)):
        return "text"
    return "a number" if read_number(tidy(expected)) is not None else "a mathematical expression"


def reference_problem(expected: str, checker: str = "math", choices: Sequence[str] = ()) -> str:
    """
    Returns why an expected answer is invalid, as the rest of a sentence, or `""` if it is valid.

    Args:
        expected (`str`):
            The right answer.
        checker (`str`, *optional*, defaults to `"math"`):
            One of `CHECKERS`.
        choices (`Sequence[str]`, *optional*, defaults to `()`):
            The texts of the choices.
    """
    if not expected.strip():
        return "the answer is empty"
    if len(expected) > _MAX_ANSWER:
        return f"the answer has {len(expected):,} characters, and at most {_MAX_ANSWER:,} are compared"
    if checker == "regex":
        try:
            re.compile(expected)
        except (re.error, RecursionError, OverflowError) as error:
            return f"the answer {quote(expected)} is not a regular expression ({error})"
    elif checker == "choice":
        if len(choices) > len(LABELS):
            return f"it has {len(choices)} choices, and at most {len(LABELS)} have a letter"
        if expected not in _labels(expected, choices):
            return f"the answer {quote(expected)} is not the letter of a choice ({', '.join(_labels('', choices))})"
    elif checker == "math":
        answer = tidy(expected)
        if not answer or answer.count("{") - answer.count(r"\{") != answer.count("}") - answer.count(r"\}"):
            return f"the answer {quote(expected)} cannot be read: its braces do not match"
        if r"\boxed" in expected:
            return rf"the answer {quote(expected)} holds \boxed itself; give what stands in it"
    return ""


def require_checker(checker: str) -> None:
    """
    Raises an error immediately, and not in the middle of a run, if answers cannot be compared here.

    Args:
        checker (`str`):
            One of `CHECKERS`, or the source of a checker.

    Raises:
        [`CheckerUnavailableError`]: If math-verify is needed and not installed. The message explains how to install
        it.
    """
    if checker == "math":
        require_math_verify()


async def _compare_math(answer: str, expected: str) -> Comparison:
    wanted, got = tidy(expected), tidy(answer)
    if r"\approx" in got and r"\approx" not in wanted:
        return await _compare_rounded(got, expected, answer)
    if "=" not in wanted and not _SEVERAL.search(got):
        *others, got = map(str.strip, _EQUALS.split(got))
        if others and _has_names(got) and not _has_names(others[-1]):  # `6 = x`
            got = others.pop()
        # `3 + 3 = 6` is an answer, `7 = 6` is two
        for other in others:
            if not _has_names(other) and not (await _compare_math(other, expected)).right:
                return _verdict(False, answer)
    if not got:
        return Comparison(FeedbackKind.NO_ANSWER, "NoAnswer", "The final answer is empty.")
    numbers = read_number(wanted), read_number(got)
    if _GLUED_LETTER.search(wanted) and not (numbers[1] and numbers[1].unit):
        numbers = None, numbers[1]  # `2m` is not 2, while `2\text{ m}` may be
    if numbers[0] is not None and numbers[1] is not None:
        return _verdict(equal_numbers(numbers[0], numbers[1]), answer)
    if _joined(wanted) == _joined(got):
        return _verdict(True, answer)
    matrices = _matrix(wanted), _matrix(got)
    if matrices[0] is not None and matrices[1] is not None:
        return _verdict(await _equal_matrices(matrices[0], matrices[1]), answer)
    named = _NAMED.findall(wanted)
    if "=" not in got and len(named) == wanted.count(",") + 1 == len({name for name, _ in named}) > 1:
        values = re.fullmatch(r"\(?([^()]*)\)?", got)
        listed = values[1].split(",") if values else []
        return _verdict(await _equal_matrices([[value for _, value in named]], [listed]), answer)
    written = _in_base(wanted), _in_base(got)
    if written[1] is not None or (written[0] is not None and got.isalnum()):
        return _verdict(_equal_in_bases(written, (wanted, got)), answer)
    (wanted, unit), (got, other_unit) = split_unit(wanted), split_unit(got)
    if unit and other_unit and unit != other_unit:
        return _verdict(False, answer)
    if _CLOCK.fullmatch(wanted) or _CLOCK.fullmatch(got):
        return _verdict(_clock(wanted) == _clock(got) is not None, answer)
    if _is_words(wanted) and _is_words(got):
        return _verdict(_normalized(wanted) == _normalized(got), answer)
    if _is_words(wanted) or _is_words(got):
        return _wrong_form(answer, expected)
    if numbers[1] is None and _NO_PRODUCT.search(got):
        return _unreadable(answer)
    if _SKIPPED.findall(wanted) != _SKIPPED.findall(got) or _brackets(wanted) | _brackets(got) == {"(", r"\{"}:
        return _verdict(False, answer)
    parts = wanted.split(":"), got.split(":")
    if max(map(len, parts)) > 2 and "=" not in wanted + got:  # math-verify reads two parts of a ratio
        return _verdict(await _equal_matrices([parts[0]], [parts[1]]), answer)
    return await _in_process("math", _latex(got, numbers[1]), _latex(wanted, numbers[0]), answer)


async def _compare_rounded(got: str, expected: str, answer: str) -> Comparison:
    r"""
    Compares `2\sqrt{3} \approx 3.46`, an answer with its value. Two different numbers are two answers, not an answer and
    its value.
    """
    exact, _, rounded = map(str.strip, got.partition(r"\approx"))
    side = _EQUALS.split(exact)[-1].strip()
    named = _has_names(side)
    if not named and (await _compare_math(exact, expected)).right:
        return _verdict(True, answer)
    if not named and read_number(side) is not None:
        return _verdict(False, answer)
    return await _compare_math(rounded, expected)


def _joined(text: str) -> str:
    """Returns the text without whitespace, except between two words or numbers: `1 0` is not `10`."""
    return re.sub(r"(?<![0-9A-Za-z])\s+|\s+(?![0-9A-Za-z])", "", text)


def _has_names(text: str) -> bool:
    r"""Returns whether a side of an equation names something (`x`, `f(2)`, `\theta`), or is empty."""
    words = re.findall(r"\\?[A-Za-z]+", text)
    return not text or any(word.lstrip("\\") not in _FUNCTIONS | _CONSTANTS for word in words)


def _matrix(text: str) -> list[list[str]] | None:
    """Returns the entries of a matrix, by row."""
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", match["rows"]) if row.strip()]
    entries = [[entry.strip() for entry in row.split("&")] for row in rows]
    return entries if 0 < sum(map(len, entries)) <= _MAX_ENTRIES else None


def _brackets(text: str) -> set[str]:
    """Returns the bracket around a list of several values, if there is one: a set is not a pair or an interval."""
    match = re.fullmatch(r"(\(|\\\{)[^(){}]*,.*[)}]", text)
    return {match[1]} if match else set()


async def _equal_matrices(wanted: list[list[str]], got: list[list[str]]) -> bool:
    if list(map(len, wanted)) != list(map(len, got)):
        return False
    for row, other in zip(wanted, got, strict=True):
        for expected, entry in zip(row, other, strict=True):
            if not (await _compare_math(entry, expected)).right:
                return False
    return True


def _in_base(text: str) -> tuple[str, str] | None:
    """Returns the digits and the base of a number such as `101_2`."""
    match = _IN_BASE.fullmatch(text)
    if match is None:
        return None
    base = match["base"] or match["digit"]
    return match["sign"] + (match["digits"] or match["enclosed"]), _BASES.get(base, base)


def _equal_in_bases(written: tuple[tuple[str, str] | None, tuple[str, str] | None], texts: tuple[str, str]) -> bool:
    """
    Returns whether an expected number and an answer are equal, of which at least one names its base. An answer without
    a base has that of the expected number. An expected number without a base is decimal.
    """
    expected, got = written
    if expected is None:
        number, value = read_number(texts[0]), got and _value_in_base(*got)
        return number is not None and number.value == value
    digits, base = expected
    if got is None:
        got = (texts[1], base)
    return got[1] == base and (got[0] == digits or _value_in_base(*got) == _value_in_base(digits, base) is not None)


def _value_in_base(digits: str, base: str) -> int | None:
    """Returns the value of a number, or `None` if the base does not exist or does not have its digits."""
    try:
        return int(digits, int(base)) if base != "0" else None  # 0 would mean: as in source code
    except ValueError:
        return None


def _compare_choice(answer: str, expected: str, choices: Sequence[str]) -> Comparison:
    letter = _choice_of(answer, expected, choices)
    if letter is None:
        return _wrong_form(answer, expected, "choice", choices)
    return _verdict(letter == expected, answer)


def _choice_of(answer: str, expected: str, choices: Sequence[str]) -> str | None:
    got = _LEAD.sub("", tidy(answer), count=1)
    return _chosen(got, _labels(expected, choices), [_normalized(tidy(choice)) for choice in choices])


def _chosen(got: str, labels: str, texts: list[str]) -> str | None:
    """Returns the letter of the choice that an answer names, or `None` if it names none or several."""
    match = None if _LETTERS.fullmatch(got) else _LETTER.fullmatch(got)
    if match and match["letter"].upper() in labels:
        letter, said = match["letter"].upper(), _normalized(tidy(match["text"]))
        own = texts[labels.index(letter)] if texts else ""
        if said and said != own:
            others = [*_LONE_LETTER.findall(match["text"])]
            if match["letter"].islower():
                others += _LONE_SMALL_LETTER.findall(match["text"])
            # `A. or B`; `B) 42`, where 42 is the text of choice C
            if any(other.upper() != letter and other.upper() in labels for other in others):
                return None
            if any(_holds(said, text) and not _holds(own, text) for text in texts):
                return None
        return letter
    match = _LETTER_AND_TEXT.fullmatch(got)
    if match and match["letter"].upper() in labels and _normalized(tidy(match["text"])) in texts:
        letter = match["letter"].upper()
        return letter if texts[labels.index(letter)] == _normalized(tidy(match["text"])) else None
    for key, keys in ((_normalized(got), texts), (answer_key(got), [answer_key(text) for text in texts])):
        if keys.count(key) == 1:
            return labels[keys.index(key)]
    return None


def _holds(text: str, part: str) -> bool:
    return bool(part) and re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None


async def _in_process(kind: str, answer: str, expected: str, shown: str | None = None) -> Comparison:
    shown = answer if shown is None else shown
    try:
        reply = await asyncio.to_thread(shared_processes().ask, {"kind": kind, "answer": answer, "expected": expected})
    except CheckerTimeoutError:
        return Comparison(
            FeedbackKind.TIMEOUT, "AnswerTooLarge", f"The final answer {_shown(shown)} takes too long to evaluate."
        )
    if reply == "memory":
        return Comparison(
            FeedbackKind.MEMORY,
            "AnswerTooLarge",
            f"The final answer {_shown(shown)} takes too much memory to evaluate.",
        )
    if reply == "unreadable":
        return _unreadable(shown)
    return _verdict(reply == "right", shown)


def _verdict(right: bool, answer: str) -> Comparison:
    if right:
        return Comparison(FeedbackKind.NONE)
    return Comparison(FeedbackKind.ASSERTION, "WrongAnswer", f"The final answer {_shown(answer)} is wrong.")


def _wrong_form(answer: str, expected: str, checker: str = "math", choices: Sequence[str] = ()) -> Comparison:
    form = expected_form(expected, checker, choices)
    message = f"The final answer {_shown(answer)} has the wrong form."
    return Comparison(FeedbackKind.TYPE, "WrongForm", message, f"The answer must be {form}.")


def _unreadable(answer: str) -> Comparison:
    message = f"The final answer {_shown(answer)} cannot be read as mathematics."
    return Comparison(FeedbackKind.SYNTAX, "UnreadableAnswer", message)


def _labels(expected: str, choices: Sequence[str]) -> str:
    return LABELS[: len(choices)] if choices else LABELS[: max(5, LABELS.find(expected) + 1 if expected else 5)]


def _is_words(text: str) -> bool:
    return any(word.lower() not in _FUNCTIONS for word in _WORD.findall(text)) or text.lower() in ("yes", "no")


def _normalized(text: str) -> str:
    return " ".join(text.casefold().strip("\"'()[]").split())


def _clock(text: str) -> tuple[int, int, str] | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, minute = match["time"].split(":")
    return int(hour), int(minute), re.sub(r"[.\s]", "", match["half"] or "").lower()


def _latex(text: str, number: Number | None) -> str:
    """Returns a number without separators, units and percent signs, and other text unchanged."""
    if number is None:
        return text
    value = number.value / 100 if number.percent else number.value
    return rf"{'-' if value < 0 else ''}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _squeezed(text: str) -> str:
    return " ".join(tidy(text).split())


def _shown(answer: str) -> str:
    return f"`{_clip(' '.join(answer.split()))}`"


def _clip(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
