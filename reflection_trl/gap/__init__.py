"""
The gap: how much more a model solves when it has seen a row's sequence than when it is asked alone.

Distillation teaches the second what the first knows. Where there is no gap, there is nothing to hand down, and training on the answers
does as well; [`measure_gap`] says so before anything is trained. The gain of on-policy self-distillation is reported to be linear in
this gap (https://huggingface.co/papers/2605.30070).
"""

from .measure import measure_gap, read_dataset
from .report import Gap, Side
from .settings import GapSettings
from .tokens import TokenGap, measure_tokens


__all__ = ["Gap", "GapSettings", "Side", "TokenGap", "measure_gap", "measure_tokens", "read_dataset"]
