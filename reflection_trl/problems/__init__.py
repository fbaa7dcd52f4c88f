"""
Loads problems that are solved by code or by a final answer, and checks which of them may be trained on.

```python
>>> from reflection_trl.builder import prepare_problems
>>> from reflection_trl.problems import load_problems

>>> problems, report = prepare_problems(load_problems("google-research-datasets/mbpp"))
>>> print(report.summary())
```
"""

from .contamination import NgramIndex, Overlap, find_contamination
from .held_out import hold_out, write_problems
from .load import load_problems
from .mappings import MAPPINGS
from .problem import Example, Problem


__all__ = [
    "MAPPINGS",
    "Example",
    "NgramIndex",
    "Overlap",
    "Problem",
    "find_contamination",
    "hold_out",
    "load_problems",
    "write_problems",
]
