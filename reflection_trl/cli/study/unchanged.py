"""Rejects an output folder whose models or answers were made with other settings."""

import json
from pathlib import Path

from .answers import answer_settings, plans_of
from .arguments import StudyArguments
from .runs import ANSWERED, Run
from .training import training_of


def check_unchanged(study: StudyArguments, stage: str, runs: list[Run]) -> None:
    """Rejects a folder with models or answers of other settings, which would be mistaken for those of this study."""
    for run in runs:
        if run.arm is not None:
            check_record(run.folder / "run.json", "training", training_of(study, run.arm), run.folder)
        for plan, (benchmarks, settings) in plans_of(study, stage).items():
            asked = answer_settings(study, plan, benchmarks, settings)
            check_record(run.folder / plan / ANSWERED, "asked", asked, run.folder / plan)


def check_record(file: Path, key: str, wanted: dict[str, str], folder: Path) -> None:
    try:
        before = json.loads(file.read_text())[key]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return  # not done yet, or made before this record existed
    for name in {**wanted, **before}:
        if before.get(name) != wanted.get(name):
            raise ValueError(
                f"{folder} was made with `{name}` = {before.get(name)}, not {wanted.get(name)}: give another `output_dir`, or remove "
                "that folder."
            )
