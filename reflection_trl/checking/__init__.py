r"""
Parses the final answer of a text, and compares it with the expected one.

**Which of several answers in a text is read.** Reasoning between `<think>` tags and code blocks do not count. The first of these that a text
has is read, and nothing else:

1. `\boxed{...}`, or `\fbox{...}`; an empty or unclosed one is none.
2. The last line that starts with `####`.
3. The last sentence that says "the (final) answer is ...", "Answer: ..." or "Final answer: ...".

If the text has several boxed answers, all of them count: it passes only if each is right, and one that is wrong makes it contradictory. A
number that merely stands in the text is no answer.

**How numbers compare** (in this process, exactly, without floating point):

| written | read as |
|---|---|
| `1,234`, `1{,}234`, `1\,234`, `1 234` | 1234; `12,34` is a list |
| `3 1/2`, `3\frac{1}{2}` | 7/2 |
| `1.5e3`, `1.5 \times 10^3` | 1500 |
| `5 million`, `2 dozen` | 5000000, 24 |
| `$5`, `5 dollars`, `5\text{ cm}` | 5 with a unit. Two different units are different answers; a unit that only one of the two has is ignored |
| `50%`, `50 percent` | equal to 1/2, and to 50 where the expected number is at least 1 |
| `0.333333` | equal to 1/3: a decimal number stands for a fraction from six decimals on |

Everything else (expressions, sets, intervals, matrices, equations) is compared by `math-verify`, in a process of its own whose processor time
and memory are limited. Its comparison rounds to six decimals; numeric values are therefore compared once more, relative to their size. Words
are compared as words.
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
