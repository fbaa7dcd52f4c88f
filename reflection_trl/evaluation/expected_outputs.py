"""
Computes and stores the expected outputs of HumanEval+ and MBPP+, with the tasks and the digests that the judge compares first.

The canonical solutions, which are trusted, produce them: in a separate process, since they are gigabytes of objects.

    python -m reflection_trl.evaluation.expected_outputs compute BENCHMARK PICKLE
    python -m reflection_trl.evaluation.expected_outputs split BENCHMARK ZIP PICKLE
"""

import fcntl
import logging
import marshal
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..quoting import quote_error
from ..sandbox.guest import digests
from ..scratch import ScratchFolder
from . import evalplus_guest
from .evalplus_data import EVALPLUS


logger = logging.getLogger(__name__)


def ground_truth(benchmark: str) -> Path:
    """
    Returns the file with the tasks of a benchmark and their expected outputs, stored by task. Missing outputs are computed, and stored
    in evalplus's cache, also in its own format.

    Args:
        benchmark (`str`):
            `"humaneval"` or `"mbpp"`.

    Raises:
        ValueError: If they cannot be computed.
    """
    from evalplus.data.utils import CACHE_DIR

    folder = Path(CACHE_DIR)
    checksum = EVALPLUS[benchmark].checksum()
    whole, by_task = folder / f"{checksum}.pkl", folder / f"{checksum}-tasks.zip"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{whole.stem}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several concurrent processes would need gigabytes
        if not by_task.exists():
            if not whole.exists():
                logger.info("Computing the expected outputs of %s+, once: about a minute.", EVALPLUS[benchmark].title)
                _write(whole, "compute", benchmark)
            _write(by_task, "split", benchmark, whole)
    return by_task


def _write(file: Path, mode: str, benchmark: str, *sources: Path) -> None:
    with ScratchFolder(file.parent, ".ground-truth-") as partial:
        command = [sys.executable, "-m", __name__, mode, benchmark, str(Path(partial) / file.name), *map(str, sources)]
        environment = {**os.environ, EVALPLUS[benchmark].variable: str(EVALPLUS[benchmark].file())}
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            reason = quote_error((done.stderr.strip() or "no reason given").splitlines()[-1])
            raise ValueError(f"The expected outputs of {EVALPLUS[benchmark].title}+ cannot be computed ({reason}).")
        (Path(partial) / file.name).replace(file)  # complete or absent


def _compute(benchmark: str, file: str) -> None:
    from evalplus import evaluate
    from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS

    folder, name = os.path.split(file)
    evaluate.CACHE_DIR = folder
    not_none = MBPP_OUTPUT_NOT_NONE_TASKS if benchmark == "mbpp" else []
    evaluate.get_groundtruth(EVALPLUS[benchmark].read(), name.removesuffix(".pkl"), not_none)


def _split(benchmark: str, archive: str, file: str) -> None:
    """
    Stores each task, its expected outputs, and the digests and time limits of those that evalplus accepts from an answer.
    `Mbpp/255` alone is 780 MB, and 12 MB compressed.
    """
    problems = EVALPLUS[benchmark].read()
    with open(file, "rb") as source:
        expected = pickle.load(source)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for task_id, outputs in expected.items():
            problem = problems[task_id]
            target.writestr(task_id, pickle.dumps(outputs))
            known = {part: _digests(benchmark, problem, part, outputs) for part in evalplus_guest.PARTS}
            shown = {
                f"{part}_shown": _shown(benchmark, task_id, problem[f"{part}_input"]) for part in evalplus_guest.PARTS
            }
            target.writestr(evalplus_guest.PROBLEM.format(task_id), pickle.dumps(problem | shown))
            target.writestr(evalplus_guest.DIGESTS.format(task_id), pickle.dumps(known))


def _shown(benchmark: str, task_id: str, inputs: list[Any]) -> list[Any]:
    """Returns inputs as evalplus's results show them."""
    if benchmark != "mbpp":
        return inputs
    from evalplus.data.mbpp import mbpp_serialize_inputs

    shown: list[Any] = mbpp_serialize_inputs(task_id, inputs)
    return shown


def _digests(
    benchmark: str, problem: dict[str, Any], part: str, outputs: dict[str, Any]
) -> tuple[bytes, list[float]] | None:
    """
    Returns the digests of the expected outputs, one after another, and the time limit of each. `None` if some are not
    plain data, or evalplus fails an answer with exactly these outputs.
    """
    try:
        packed = [digests.pack(output) for output in outputs[part]]
    except ValueError:
        return None
    limits, inputs, copies = (
        evalplus_guest.time_limits(outputs[f"{part}_time"]),
        problem[f"{part}_input"],
        map(marshal.loads, packed),
    )
    right = evalplus_guest.count_right(
        benchmark, problem["entry_point"], inputs, copies, outputs[part], problem["atol"]
    )
    accepted = right == len(inputs) == len(packed)
    return (b"".join(map(digests.digest, packed)), limits) if accepted else None


if __name__ == "__main__":
    MODES: dict[str, Callable[..., None]] = {"compute": _compute, "split": _split}
    MODES[sys.argv[1]](*sys.argv[2:])
