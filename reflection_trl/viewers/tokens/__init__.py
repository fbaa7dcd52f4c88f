"""Shows a row token by token, as teacher and student see it: `reflection-trl show`."""

from .command import build_parser, main
from .terminal import Terminal
from .view import Masks, make_view


__all__ = ["Masks", "Terminal", "build_parser", "main", "make_view"]
