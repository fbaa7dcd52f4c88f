"""Let one or several models answer a prompt, greedily, in the terminal. See `reflection_trl.cli.answer`."""

import sys

from reflection_trl.cli.answer import main


if __name__ == "__main__":
    sys.exit(main())
