"""Train several arms on the same rows with several seeds, and compare the models on benchmarks. See `reflection_trl.cli.study`."""

import sys

from reflection_trl.cli.study import main


if __name__ == "__main__":
    sys.exit(main())
