"""Evaluate one-off answers on HumanEval(+), MBPP(+) and MultiPL-E: draw them, judge them, say how sure the figures are. See `reflection_trl.cli.evaluate`."""

import sys

from reflection_trl.cli.evaluate import main


if __name__ == "__main__":
    sys.exit(main())
