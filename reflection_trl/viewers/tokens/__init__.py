"""Shows what teacher and student see of a row, and what they are trained on, token by token: `reflection-trl show`."""

from .command import build_parser, main
from .terminal import Terminal
from .view import Masks, make_view


__all__ = ["Masks", "Terminal", "build_parser", "main", "make_view"]
