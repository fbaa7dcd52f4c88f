"""One-off answers on HumanEval(+), MBPP(+) and MultiPL-E: drawn, judged, compared, shown."""

from .results import EvaluationRun, Outcome, Score


__all__ = ["EvaluationRun", "Outcome", "Score"]
