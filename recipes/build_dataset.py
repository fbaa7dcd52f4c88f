"""Build a dataset of reflection sequences: a model writes programs, sees how they fail, repairs them, and answers. See `reflection_trl.cli.build_dataset`."""

import sys

from reflection_trl.cli.build_dataset import main


if __name__ == "__main__":
    sys.exit(main())
