"""Evaluates one-off answers on benchmarks: samples, scores, compares and reports them."""

from .results import EvaluationRun, Outcome, Score


__all__ = ["EvaluationRun", "Outcome", "Score"]
