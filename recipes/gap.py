"""Estimate before training whether distillation will help. See `reflection_trl.cli.gap`."""

import sys

from reflection_trl.cli.gap import main


if __name__ == "__main__":
    sys.exit(main())
