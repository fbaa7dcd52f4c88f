"""Times training steps beside those of the alternatives: `reflection-trl benchmark`."""

from .command import main


__all__ = ["main"]
