"""Train a code model online, from execution. See `reflection_trl.cli.online`."""

import sys

from reflection_trl.cli.online import main


if __name__ == "__main__":
    sys.exit(main())
