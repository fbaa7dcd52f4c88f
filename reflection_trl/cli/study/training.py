"""Trains the model of one run: its rows, its command line, and the record with which a changed study is detected."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from ...files.rows import open_rows
from ...files.run_folder import write_json
from ..command_line import check_options, read_config_file
from .arguments import DATA, Arm, StudyArguments
from .runs import Run


def data_file(study: StudyArguments, arm: Arm) -> str:
    """Returns the file of the arm's rows: the study's, plain rows of requests and final answers, or its own file."""
    if arm.data not in DATA:
        return arm.data
    if arm.data == "rows":
        return study.dataset_name
    file = Path(study.output_dir, "answers.jsonl")
    lines = []
    for row in open_rows(study.dataset_name)[1]:
        messages = json.loads(row["messages"]) if isinstance(row["messages"], str) else row["messages"]
        lines.append(json.dumps({"messages": messages[-2:], "type": "generation"}) + "\n")
    text = "".join(lines)
    # An existing file may have been made from other rows
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    return str(file)


def training_of(study: StudyArguments, arm: Arm) -> dict[str, str]:
    """Returns what determines the models of an arm, except rate and seed: the settings, and digests of the row files."""
    assert isinstance(study.train, dict)  # it has been checked
    settings = read_config_file(["--config", arm.config]) | study.train | arm.train
    rows = study.dataset_name if arm.data in DATA else arm.data
    return {
        "model": str(study.model_name_or_path),
        "data": f"{arm.data}: {digest_of(rows)}" if arm.data in DATA else digest_of(rows),
        **{name: json.dumps(value, default=str) for name, value in settings.items()},
    }


def digest_of(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def training_command(study: StudyArguments, run: Run) -> list[str]:
    arm = run.arm
    assert arm is not None  # the base model is not trained
    assert isinstance(study.train, dict)  # it has been checked
    fields = {
        "model_name_or_path": study.model_name_or_path,
        "dataset_name": data_file(study, arm),
        "output_dir": str(run.folder / "model"),
        "learning_rate": run.learning_rate,
        "seed": run.seed,
        "report_to": "none",
        "save_strategy": "no",
        **study.train,
        **arm.train,
    }
    launch = [sys.executable] if study.launch == "python" else shlex.split(study.launch)
    return [*launch, "-m", "reflection_trl", "train", "--config", arm.config, *as_options(fields)]


def as_options(fields: dict[str, Any]) -> list[str]:
    options = []
    for name, value in fields.items():
        options += [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return options


def check_arms(study: StudyArguments) -> None:
    """Checks the fields of all arms before the first one is trained, which may take long."""
    from ..train import train_parser

    assert isinstance(study.train, dict)
    parser = train_parser()
    for arm in study.checked_arms:
        options = as_options(study.train | arm.train)
        try:
            check_options(parser, ["--config", arm.config, *options])
            parser.parse_known_args(options)
        except ValueError as error:
            raise ValueError(f"The arm {arm.name!r}: {error}") from error


def train(study: StudyArguments, run: Run, lock: TextIO) -> None:
    """Trains one model with `reflection-trl train` in a separate process, and saves its output to `train.log`."""
    arm = run.arm
    assert arm is not None
    training = training_of(study, arm)
    command = training_command(study, run)
    # Left by a training that was interrupted, or whose weights have been removed. `train` rejects a folder with checkpoints
    shutil.rmtree(run.folder / "model", ignore_errors=True)
    start = time.monotonic()
    with open(run.folder / "train.log", "w") as log:
        log.write(f"{shlex.join(command)}\n")
        log.flush()
        # Inherits the lock: while a training outlives this process, no other process may start it again
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, pass_fds=[lock.fileno()])
    if done.returncode:
        said = (run.folder / "train.log").read_text(errors="replace").strip().splitlines()
        reason = said[-1].removeprefix("error: ")
        raise RuntimeError(f"Training of {run.folder} failed: {reason} (full log: {run.folder / 'train.log'})")
    record = {
        "model": study.model_name_or_path,
        "arm": arm.name,
        "learning_rate": run.learning_rate,
        "seed": run.seed,
        "seconds_of_training": round(time.monotonic() - start),
        "training": training,
    }
    write_json(run.folder / "run.json", record)
