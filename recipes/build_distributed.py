"""Make a dataset of reflection sequences on many machines, through datatrove: on Slurm, on a Ray cluster, or here. See `reflection_trl.cli.build_distributed`."""

import sys

from reflection_trl.cli.build_distributed import main


if __name__ == "__main__":
    sys.exit(main())
