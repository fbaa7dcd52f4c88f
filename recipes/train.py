"""Fine-tune a code model with reflection self-distillation. See `reflection_trl.cli.train`."""

import sys

from reflection_trl.cli.train import main


if __name__ == "__main__":
    sys.exit(main())
