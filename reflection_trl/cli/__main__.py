"""Runs `python -m reflection_trl.cli`, which `accelerate launch` starts."""

import sys

from .main import main


if __name__ == "__main__":
    sys.exit(main())
