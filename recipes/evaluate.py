"""Evaluate one-off answers on benchmarks: generate, score, and report confidence intervals. See `reflection_trl.cli.evaluate`."""

import sys

from reflection_trl.cli.evaluate import main


if __name__ == "__main__":
    sys.exit(main())
