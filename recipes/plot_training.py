"""Plot a training run: losses, divergence, mask rate, agreement and evaluation loss over the steps. See `reflection_trl.cli.plot_training`."""

import sys

from reflection_trl.cli.plot_training import main


if __name__ == "__main__":
    sys.exit(main())
