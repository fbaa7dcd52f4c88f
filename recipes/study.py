"""Does it work? Train in several ways on the same rows, and compare the models on real benchmarks. See `reflection_trl.cli.study`."""

import sys

from reflection_trl.cli.study import main


if __name__ == "__main__":
    sys.exit(main())
