"""Trains several arms on the same rows and compares the models: `reflection-trl study`."""

from .command import main


__all__ = ["main"]
