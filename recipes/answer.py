"""Answer a prompt greedily with one or several models, in the terminal. See `reflection_trl.cli.answer`."""

import sys

from reflection_trl.cli.answer import main


if __name__ == "__main__":
    sys.exit(main())
