"""Plot a training run: losses, divergence, mask rate, agreement and evaluation loss over the steps.

python recipes/plot_training.py OUTPUT_DIR_OR_TRAINER_STATE.json [-o curves.png]
"""

import argparse
import json
import sys
from pathlib import Path

from reflection_trl.training_curves import CURVES_FILE, plot_training


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path, help="trainer_state.json, or the folder that holds it")
    parser.add_argument("-o", "--output", type=Path, help="image; by default training_curves.png beside the state")
    args = parser.parse_args()
    state = args.state / "trainer_state.json" if args.state.is_dir() else args.state
    try:
        log_history = json.loads(state.read_text())["log_history"]
        print(plot_training(log_history, args.output or state.parent / CURVES_FILE))
    except OSError as error:
        print(f"error: {error.strerror}: {error.filename}", file=sys.stderr)
    except (json.JSONDecodeError, KeyError, TypeError):
        print(f"error: {state} is no trainer_state.json.", file=sys.stderr)
    except ImportError as error:
        print(f"error: {error}; install it with `pip install matplotlib`.", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
