"""Writes the report of an evaluation: one self-contained page, the same tables as Markdown, and plots.

The report compares a run with any number of baselines: pass@k with intervals, paired comparisons, the kinds of
failures, and a grid of all problems in which each cell leads to the problem and to the code of both sides.
"""

from .write import write_report


__all__ = ["write_report"]
