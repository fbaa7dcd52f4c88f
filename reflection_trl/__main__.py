"""Runs `python -m reflection_trl`, which is the command `reflection-trl`, and which `accelerate launch` starts."""

import sys

from .cli.main import main


if __name__ == "__main__":
    sys.exit(main())
