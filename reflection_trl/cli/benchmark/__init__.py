"""Measures training steps of this trainer and its alternatives: `reflection-trl benchmark`."""

from .command import main


__all__ = ["main"]
