"""
Programming problems: where they come from, and which of them may be trained on.

```python
>>> from reflection_trl.problems import load_problems, prepare_problems

>>> problems, report = prepare_problems(load_problems("google-research-datasets/mbpp"))
>>> print(report.summary())
```
"""

from .benchmarks import benchmark_texts
from .contamination import NgramIndex, Overlap, find_contamination
from .held_out import hold_out, write_problems
from .load import load_problems
from .mappings import MAPPINGS
from .prepare import ProblemReport, Removal, prepare_problems
from .problem import Example, Problem


__all__ = [
    "MAPPINGS",
    "Example",
    "NgramIndex",
    "Overlap",
    "Problem",
    "ProblemReport",
    "Removal",
    "benchmark_texts",
    "find_contamination",
    "hold_out",
    "load_problems",
    "prepare_problems",
    "write_problems",
]
