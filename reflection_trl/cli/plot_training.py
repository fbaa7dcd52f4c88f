"""Plot a training run over its steps: losses, divergence, mask rate and agreement, or the solve rate of an online run.

    reflection-trl plot out/smollm2-135m
    reflection-trl plot out/smollm2-135m-online
    reflection-trl plot out/smollm2-135m/trainer_state.json -o curves.png

By default the command writes training_curves.png next to trainer_state.json. Invalid input prints a one-line error and exits with
status 1; set REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import json
from pathlib import Path

from ..quoting import quote_error
from .command_line import Parser, run_command


def run(argv: list[str]) -> None:
    from ..training.curves import CURVES_FILE, plot_training, read_series, summarize

    parser = Parser()
    parser.add_argument("state", type=Path, metavar="OUTPUT_DIR_OR_TRAINER_STATE.json")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse(argv)
    state = args.state / "trainer_state.json" if args.state.is_dir() else args.state
    if not state.exists():
        raise ValueError(
            f"{state} does not exist; give a trainer_state.json, or the output folder of a finished training run."
        )
    try:
        log_history = json.loads(state.read_text(encoding="utf-8"))["log_history"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{state} is not a trainer_state.json; give that of a training run, or its output folder."
        ) from error
    if not log_history:
        raise ValueError(f"{state} has no logged steps to plot; train with a lower `logging_steps`.")
    plot = plot_training
    if "execution/pass_rate" in read_series(log_history):
        from ..online.curves import plot_online as plot
    elif not summarize(log_history):
        raise ValueError(
            f"{state} has no losses of `reflection-trl train` and no solve rates of `reflection-trl online` to plot; give the output "
            f"folder of one of them."
        )
    try:
        print(plot(log_history, args.output or state.parent / CURVES_FILE))
    except ImportError as error:
        raise ImportError(f"{quote_error(error)}; install it with `pip install matplotlib`.") from error


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
