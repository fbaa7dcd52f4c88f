"""Measure speed, memory and loss of training steps of this trainer and its alternatives. See `reflection_trl.cli.benchmark`."""

import sys

from reflection_trl.cli.benchmark import main


if __name__ == "__main__":
    sys.exit(main())
