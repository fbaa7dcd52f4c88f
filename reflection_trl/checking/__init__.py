r"""
Parses the final answer of a text, and compares it with the expected one.

**Which answer is read.** Reasoning between `<think>` tags and code blocks are ignored. Of the following, the first form that occurs in a text
is read, and nothing else:

1. `\boxed{...}`, or `\fbox{...}`; an empty or unclosed one does not count.
2. The last line that starts with `####`.
3. The last sentence with "the (final) answer is ...", "Answer: ..." or "Final answer: ...", or the line below it.

If the text has several boxed answers, all of them count: it passes only if each is correct, or if together they are the expected list. A
wrong one makes it contradictory. Other numbers in the text are not answers.

**How numbers compare** (in this process, exactly, without floating point):

| written | read as |
|---|---|
| `1,234`, `1{,}234`, `1\,234`, `1 234` | 1234; `12,34` is a list |
| `3 1/2`, `3\frac{1}{2}` | 7/2 |
| `1.5e3`, `1.5 \times 10^3` | 1500 |
| `5 million`, `2 dozen` | 5000000, 24 |
| `$5`, `5 dollars`, `5\text{ cm}`, `5 sq. ft.` | 5 with a unit. Two different units are different answers; a unit that only one side has is ignored |
| `50%`, `50 percent` | equal to 1/2, and to 50 if the expected number is at least 1 |
| `101_2`, `101_{two}` | 5. If only the expected number names a base, the answer has this base too; `101` is not `101_2` |
| `0.1\overline{6}` | 1/6 |
| `\frac{1}{3} \approx 0.33` | 1/3; after an expression, the rounded value may be the answer too |
| `0.333333` | equal to 1/3: a decimal number with six or more decimals may be a rounded fraction |

Everything else (expressions, sets, intervals, matrices, equations) is compared by `math-verify`, in a separate process with limits on CPU
time and memory. Its comparison rounds to six decimals, so numeric values are compared again, relative to their size. Signs that it skips,
such as the prime of `x'` and `\ldots`, must be the same on both sides. A set is not a pair or an interval. Words are compared as words.
"""

from .compare import (
    CHECKERS,
    Comparison,
    answer_key,
    compare_answers,
    expected_form,
    reference_problem,
    require_checker,
)
from .process import CheckerProcesses, CheckerUnavailableError
from .reading import Reading, read_final_answer


__all__ = [
    "CHECKERS",
    "CheckerProcesses",
    "CheckerUnavailableError",
    "Comparison",
    "Reading",
    "answer_key",
    "compare_answers",
    "expected_form",
    "read_final_answer",
    "reference_problem",
    "require_checker",
]
