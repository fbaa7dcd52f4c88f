"""Time and measure whole training steps of this trainer beside those of its alternatives, on the same rows and weights. See `reflection_trl.cli.benchmark`."""

import sys

from reflection_trl.cli.benchmark import main


if __name__ == "__main__":
    sys.exit(main())
