"""Determines the allowed error of numbers in a program's output, and compares them."""

import math
import re


# "relative or absolute error does not exceed $10^{-6}$", "within 1e-5 of the actual answer", "an absolute error of at most 0.001".
# Statements that were copied from web pages lack the caret ("10 - 6") or have another minus sign
_POWER = r"10\s*(?:\^|\*\*)?\s*\{?\s*[-\u2212\u2013]\s*(?P<power>\d{1,2})"
_STATED = re.compile(
    r"(?:(?:absolute|relative)\s+(?:error|difference)|answers?\s+within).{0,120}?"
    rf"(?:{_POWER}|\b1e-(?P<exponent>\d{{1,2}})|\b(?P<decimal>0\.0*1)(?!\d))",
    re.IGNORECASE | re.DOTALL,
)
_NUMBER = re.compile(
    r"[-+]?(\d{1,400}(?:\.(?P<decimals>\d{0,400}))?|\.\d{1,400})(?P<exponent>[eE][-+]?\d{1,4})?", re.ASCII
)
_INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
# A number with this many decimals is rounded, even if the statement does not say so: "0.333333333". Two of its digits
# must be right, or one answer would be close to all small numbers
_ROUNDED_DECIMALS, _ROUNDING, _DIGITS, _NOISE = 6, 1e-6, 0.05, 1e-9


def stated_tolerance(instruction: str) -> float | None:
    """
    Returns the error that the statement of a problem allows, as in programming contests.

    Args:
        instruction (`str`):
            The statement, such as one with "the absolute or relative error must not exceed 10^{-6}".

    Returns:
        `float`, *optional*: The maximum error; `None` if the statement has none.
    """
    match = _STATED.search(instruction)
    if match is None:
        return None
    if match["decimal"]:
        return float(match["decimal"])
    exponent = int(match["power"] or match["exponent"])
    return 10.0**-exponent if exponent > 0 else None


def is_same_line(expected: str, got: str, tolerance: float | None) -> bool:
    """
    Compares two lines of output word by word.

    Args:
        expected (`str`):
            Expected line.
        got (`str`):
            Line of the output.
        tolerance (`float` or `None`):
            Absolute or relative error of numbers; two integers must still be equal. By default numbers must be printed
            as expected, except that those with six or more expected decimals are rounded: they may differ by 1e-6, but
            small ones only by 5 % or half of the last expected decimal.
    """
    wanted, words = expected.split(), got.split()
    if expected == got or wanted == words or len(wanted) != len(words):
        return expected == got  # the same words with other whitespace are a different line
    return all(one == other or _is_close(one, other, tolerance) for one, other in zip(wanted, words, strict=True))


def _is_close(expected: str, got: str, tolerance: float | None) -> bool:
    wanted, number = _NUMBER.fullmatch(expected), _NUMBER.fullmatch(got)
    if not wanted or not number or (_INTEGER.fullmatch(expected) and _INTEGER.fullmatch(got)):
        return False
    if tolerance is None:
        decimals = len(wanted["decimals"] or "")
        if decimals < _ROUNDED_DECIMALS or wanted["exponent"]:
            return False
        value, other = float(expected), float(got)
        rounding = min(_ROUNDING, abs(value) * _DIGITS) if value else _ROUNDING
        return math.isclose(other, value, rel_tol=_NOISE, abs_tol=max(rounding, 0.5 * 10.0**-decimals))
    value, other = float(expected), float(got)
    return math.isfinite(value) and math.isclose(other, value, rel_tol=tolerance, abs_tol=tolerance)
