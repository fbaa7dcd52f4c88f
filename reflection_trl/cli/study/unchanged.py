"""Rejects an output folder whose models or answers were made with other settings."""

import json
from pathlib import Path

from ...quoting import quote_error
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
            folder = run.folder / plan
            if (folder / "drawn").exists():
                raise ValueError(
                    f"{folder} has answers of an earlier version, which wrote `drawn` instead of `{ANSWERED}`: give another `output_dir`, or "
                    "remove that folder."
                )
            check_record(folder / ANSWERED, "settings", answer_settings(study, plan, benchmarks, settings), folder)


def check_record(file: Path, key: str, wanted: dict[str, str], folder: Path) -> None:
    try:
        before = json.loads(file.read_text())[key]
    except FileNotFoundError:
        return  # not done yet
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} does not tell with which settings {folder} was made ({quote_error(error)}): give another `output_dir`, or remove that "
            "folder."
        ) from error
    for name in {**wanted, **before}:
        if before.get(name) != wanted.get(name):
            raise ValueError(
                f"{folder} was made with `{name}` = {before.get(name)}, not {wanted.get(name)}: give another `output_dir`, or remove "
                "that folder."
            )
