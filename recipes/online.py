"""Train a code model online: it answers problems, and learns from the test results. See `reflection_trl.cli.online`."""

import sys

from reflection_trl.cli.online import main


if __name__ == "__main__":
    sys.exit(main())
