"""
Measures the gap: how much more a model solves after it has seen a row's sequence than from the request alone.

Distillation teaches the student what the teacher knows. Without a gap there is nothing to teach, and training on the
answers alone is as good. [`measure_gap`] tells this before training. The gain of on-policy self-distillation is
reported to be linear in this gap (https://huggingface.co/papers/2605.30070).
"""

from .measure import measure_gap
from .report import Gap, Side
from .settings import GapSettings
from .tokens import TokenGap, measure_tokens


__all__ = ["Gap", "GapSettings", "Side", "TokenGap", "measure_gap", "measure_tokens"]
