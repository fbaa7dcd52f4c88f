"""
Compares answers, one JSON request per line, until its standard input ends. A separate program that imports nothing of this package.

Answers are parsed by the grammar of latex2sympy2, through math-verify's LaTeX extraction alone: its plain expressions would go through
`sympy.parse_expr`, which evaluates text as Python.
"""

import dataclasses
import json
import logging
import re
import resource
import signal
import sys


def main() -> None:
    memory = int(sys.argv[1])
    sys.stdin.readline()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        import math_verify  # noqa: F401
    except ImportError as error:
        # Regular expressions need none of it
        logging.debug("math-verify cannot be imported: %s", error)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # Not a handler in Python, which would never run while a computation in C does
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, request["cpu_seconds"])
        try:
            reply = compare(request["kind"], request["answer"], request["expected"])
        except MemoryError:
            reply = "memory"
        except Exception:
            # SymPy raises nearly anything on expressions that it does not know
            reply = "unreadable"
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(reply, flush=True)


def compare(kind: str, answer: str, expected: str) -> str:
    if kind == "regex":
        return "right" if re.fullmatch(expected, answer) else "wrong"
    return compare_math(answer, expected)


def compare_math(answer: str, expected: str) -> str:
    from math_verify import verify

    got = _parse(answer)
    if got is None:
        return "unreadable"
    wanted = _parse(expected)
    if wanted is None:  # as text they differ, or nobody would have asked
        return "wrong"
    # An inequality is also an interval, whichever of the two is expected
    equal = verify(wanted, got, allow_set_relation_comp=True, timeout_seconds=None, raise_on_error=True)
    return "right" if equal and _close(wanted, got) else "wrong"


def _parse(text: str):  # type: ignore[no-untyped-def] # whatever SymPy makes of it
    from math_verify import LatexExtractionConfig, parse

    text = text.replace("**", "^").replace("$", "")
    config = LatexExtractionConfig(boxed_match_priority=-1)
    # Units were split off before. Here the `m` of `1 + 2m` would be one
    normalization = dataclasses.replace(config.normalization_config, units=False)
    found = parse(
        f"${text}$",
        [dataclasses.replace(config, normalization_config=normalization)],
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=None,
    )
    return _exact(found[0]) if found else None


def _exact(value):  # type: ignore[no-untyped-def]
    """Returns the value with fractions for the decimals that it computes with: the sum of the floats 0.1 and 0.2 is not 0.3."""
    from sympy import Add, Basic, Float, Mul, Pow, Rational

    if not isinstance(value, Basic):
        return value
    return value.replace(
        lambda part: isinstance(part, Add | Mul | Pow) and part.has(Float),
        lambda part: part.xreplace({number: Rational(str(number)) for number in part.atoms(Float)}),
    )


def _close(wanted, got) -> bool:  # type: ignore[no-untyped-def]
    """
    Returns whether two numeric values are the same relative to their size: math-verify rounds to six decimals, which
    makes all small ones equal.
    """
    from sympy import Eq, Expr, FiniteSet, Interval, Tuple

    if isinstance(wanted, Eq) and isinstance(got, Eq) and wanted.lhs != got.lhs:
        return True  # `x^2 - 4 = 0` and `x^2 = 4` have no sides in common
    values = [value.rhs if isinstance(value, Eq) else value for value in (wanted, got)]
    if all(isinstance(value, Tuple | Interval) for value in values) and len(values[0].args) == len(values[1].args):
        return all(map(_close, values[0].args, values[1].args))
    if all(isinstance(value, FiniteSet) for value in values) and len(values[0]) == len(values[1]):
        return all(any(_close(one, other) for other in values[1]) for one in values[0])
    if not all(isinstance(value, Expr) and value.is_number and value.is_finite for value in values):
        return True
    one, other = (complex(value.evalf(20)) for value in values)
    return one == other or abs(one - other) <= 1e-5 * max(abs(one), abs(other))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()
