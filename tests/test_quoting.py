"""Values and errors of other libraries in messages: one line of bounded length, which the sentence around it can end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.quoting import quote_error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("Dataset 'me/x' doesn't exist on the Hub or cannot be accessed."), "Dataset 'me/x' doesn't exist on the Hub or cannot be accessed"),
        (ValueError("\n\n  two   spaces :\nTraceback of many lines"), "two spaces"),
        (KeyError(), "KeyError"),
        (RuntimeError(" .\n "), "RuntimeError"),
        (ValueError("to be continued..."), "to be continued"),
        ("text of an error.", "text of an error"),
        (ValueError("x" * 400), "x" * 297 + "..."),
    ],
)  # fmt: skip
def test_the_reason_of_an_error(error, expected):
    assert quote_error(error) == expected


@given(st.text(max_size=400))
def test_a_reason_is_one_line_that_continues(text):
    reason = quote_error(ValueError(text))
    assert 0 < len(reason) <= 300 and reason == " ".join(reason.split())
    assert reason[-1] not in ".:;,!" or len(text) > 300
