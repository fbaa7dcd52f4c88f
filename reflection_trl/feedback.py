"""What a run of a program taught: one structured record for every language.

[`reflection_trl.languages`] makes these records, the builder shows their `text` to the model and stores the rest, and
evaluation counts their kinds. This module knows nothing of sandboxes, compilers or models.
"""

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any


class FeedbackKind(enum.StrEnum):
    """
    Why a program failed; `NONE` where it did not.

    `SYNTAX` covers everything that keeps a program from being parsed or compiled and is no wrong name or type: a compiler's
    "cannot find symbol" is `NAME`, its "incompatible types" is `TYPE`.
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


@dataclass(frozen=True)
class Feedback:
    """
    The outcome of one run. Lines and columns count from 1; what is not known is `None`.

    Args:
        kind ([`FeedbackKind`]):
            Why it failed, or `NONE`.
        text (`str`):
            What the model reads: compact, and the same for the same failure (no paths, addresses, times).
        error_type (`str`, *optional*):
            Exception class, or the compiler's code for the error, such as `"ZeroDivisionError"` or `"E0308"`.
        message (`str`, *optional*):
            The error's own message, normalized.
        file (`str`, *optional*):
            `"program"` or `"tests"`: where the error came up.
        line (`int`, *optional*):
            Line in that file.
        column (`int`, *optional*):
            Column in that line.
        source_line (`str`, *optional*):
            That line.
        assertion (`str`, *optional*):
            Source of the assert that failed.
        actual (`str`, *optional*):
            What the code gave: a `repr` in Python.
        expected (`str`, *optional*):
            What the assert asked for.
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
        """Returns whether the program and its tests ran to their end."""
        return self.kind is FeedbackKind.NONE

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as plain data, as a dataset's row holds it."""
        return {**dataclasses.asdict(self), "kind": self.kind.value}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Feedback":
        """Returns the reverse of [`Feedback.to_dict`]."""
        return cls(**{**record, "kind": FeedbackKind(record["kind"])})
