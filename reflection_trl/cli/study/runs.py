"""Lists the runs of a study: the models that it trains, and their files on disk."""

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .arguments import BASE, Arm, StudyArguments


if TYPE_CHECKING:
    from ...evaluation import EvaluationRun

# Written when the answers of a plan are complete: their settings, and how long they took
ANSWERED = "answers.json"


@dataclass(frozen=True)
class Run:
    """Describes one model of the study. The base model is a run without an arm."""

    folder: Path
    arm: Arm | None = None
    learning_rate: float = 0.0
    seed: int = 0

    @property
    def arm_name(self) -> str:
        """Returns the name of the arm in tables."""
        return self.arm.name if self.arm else BASE

    @property
    def is_trained(self) -> bool:
        """Returns whether its weights exist."""
        return self.arm is None or ((self.folder / "run.json").exists() and bool(self.weights))

    @property
    def weights(self) -> list[Path]:
        """Returns the files of the weights."""
        return [*(self.folder / "model").glob("*.safetensors")]

    def has_answers(self, plan: str) -> bool:
        """Returns whether the answers of a plan are complete."""
        return (self.folder / plan / ANSWERED).exists()

    def is_judged(self, plan: str) -> bool:
        """Returns whether the answers have been scored."""
        return (self.folder / plan / "results.json").exists()

    @contextlib.contextmanager
    def claimed(self) -> Iterator[TextIO | None]:
        """
        Yields the lock with which this process may work on the run; `None` if another process has it. The lock is
        released when its process ends in any way, unless a training that it started still runs, which also holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield lock


def base_run(study: StudyArguments) -> Run:
    return Run(Path(study.output_dir, BASE))


def run_of(study: StudyArguments, arm: Arm, rate: float, seed: int) -> Run:
    return Run(Path(study.output_dir, "runs", arm.name, f"{rate:g}", str(seed)), arm, rate, seed)


def search_runs(study: StudyArguments) -> list[Run]:
    """Returns the base model, and each arm with each learning rate. With a single rate no search is needed."""
    if len(study.learning_rates) == 1:
        return []
    trained = [run_of(study, arm, rate, study.seeds[0]) for rate in study.learning_rates for arm in study.checked_arms]
    return [base_run(study), *trained]


def final_runs(study: StudyArguments) -> list[Run]:
    """Returns the base model, and each arm with each seed at its best learning rate."""
    rates = best_rates(study)
    trained = [run_of(study, arm, rates[arm.name], seed) for seed in study.seeds for arm in study.checked_arms]
    return [base_run(study), *trained]


def best_rates(study: StudyArguments) -> dict[str, float]:
    """Returns, for each arm, the learning rate whose model solves the most held-out problems."""
    from ...evaluation.statistics import rate

    runs = [run for run in search_runs(study) if run.arm is not None]
    if not runs:
        return {arm.name: study.learning_rates[0] for arm in study.checked_arms}
    shares: dict[str, dict[float, float]] = {}
    for run in runs:
        found = read_results(run, "held_out")
        if found is None:
            raise ValueError(
                f"The search of learning rates is not finished: {run.folder} has no results. Run the stage `search` first."
            )
        shares.setdefault(run.arm_name, {})[run.learning_rate] = rate(found.scores[0]).value
    return {arm: best_rate(by_rate) for arm, by_rate in shares.items()}


def best_rate(shares: dict[float, float]) -> float:
    """
    Returns the learning rate with the highest solve rate. Among equal ones it is the lowest, which changes the model
    least where held-out problems do not measure it.
    """
    return max(shares, key=lambda one: (shares[one], -one))


def read_results(run: Run, plan: str) -> "EvaluationRun | None":
    """Reads the results of one plan of a run; `None` if it has not been scored."""
    from ...evaluation import EvaluationRun

    file = run.folder / plan / "results.json"
    return EvaluationRun.load(file) if file.exists() else None
