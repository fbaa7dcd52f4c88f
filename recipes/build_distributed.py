"""Build a dataset of reflection sequences on many machines with datatrove: on Slurm, on Ray, or locally. See `reflection_trl.cli.build_distributed`."""

import sys

from reflection_trl.cli.build_distributed import main


if __name__ == "__main__":
    sys.exit(main())
