"""Write the plain instruction rows of the paper's mixture as JSON Lines. See `reflection_trl.cli.prepare_paper_data`."""

import sys

from reflection_trl.cli.prepare_paper_data import main


if __name__ == "__main__":
    sys.exit(main())
