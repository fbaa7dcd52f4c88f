"""Defines the result of running a program, as one record for all languages.

[`reflection_trl.languages`] makes these records. The builder shows their `text` to the model and stores the other
fields. The evaluation counts their kinds. This module does not depend on sandboxes, compilers or models.
"""

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any


class FeedbackKind(enum.StrEnum):
    """
    Lists the reasons why a program failed; `NONE` means that it passed.

    `SYNTAX` covers all errors that prevent parsing or compiling, except wrong names and types: a compiler's "cannot
    find symbol" is `NAME`, and its "incompatible types" is `TYPE`.

    Of a final answer, `ASSERTION` means that it is wrong, `TYPE` that it has another form than the expected one, `SYNTAX` that it cannot be
    parsed, and `NO_ANSWER` that the text gives none, or several that differ.
    """

    NONE = "none"
    SYNTAX = "syntax"
    NAME = "name"
    TYPE = "type"
    VALUE = "value"
    ASSERTION = "assertion"
    IMPORT = "import"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    RUNTIME = "runtime"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True)
class Feedback:
    """
    Holds the outcome of one run. Lines and columns count from 1. Unknown values are `None`.

    Args:
        kind ([`FeedbackKind`]):
            Why the program failed, or `NONE`.
        text (`str`):
            Text for the model: compact, and identical for identical failures (no paths, addresses or times).
        error_type (`str`, *optional*):
            Exception class, or the compiler's code for the error, such as `"ZeroDivisionError"` or `"E0308"`.
        message (`str`, *optional*):
            The error message, normalized.
        file (`str`, *optional*):
            `"program"` or `"tests"`: the file in which the error occurred.
        line (`int`, *optional*):
            Line in that file.
        column (`int`, *optional*):
            Column in that line.
        source_line (`str`, *optional*):
            Source of that line.
        assertion (`str`, *optional*):
            Source of the assert that failed.
        actual (`str`, *optional*):
            The value that the code returned: a `repr` in Python.
        expected (`str`, *optional*):
            The value that the assert expected.
        hint (`str`, *optional*):
            The interpreter's or compiler's own suggestion, such as "Did you mean: 'total'?".
    """

    kind: FeedbackKind
    text: str
    error_type: str | None = None
    message: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    source_line: str | None = None
    assertion: str | None = None
    actual: str | None = None
    expected: str | None = None
    hint: str | None = None

    @property
    def passed(self) -> bool:
        """Returns whether the program and its tests ran to the end."""
        return self.kind is FeedbackKind.NONE

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as plain data, as stored in a dataset row."""
        return {**dataclasses.asdict(self), "kind": self.kind.value}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Feedback":
        """Builds the record from the output of [`Feedback.to_dict`]."""
        return cls(**{**record, "kind": FeedbackKind(record["kind"])})
