"""Defines the arguments of a study: the arms that it compares, and the settings that all of them share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...generation import GenerationArguments
from ..command_line import make_parser, parse_options


STAGES = ("search", "train", "judge", "report")
DATA = ("rows", "answers")
BASE = "base"


@dataclass(frozen=True)
class Arm:
    """Describes an arm: a config of `reflection-trl train`, fields that override it, and the rows that it uses."""

    name: str
    config: str
    data: str = "rows"
    train: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass
class StudyArguments(GenerationArguments):
    dataset_name: str = ""
    held_out: str = ""
    arms: dict[str, Any] | str | None = None
    reference: str | None = None
    train: dict[str, Any] | str = field(default_factory=dict)
    learning_rates: list[float] = field(default_factory=lambda: [1e-5])
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    benchmarks: list[str] = field(default_factory=lambda: ["humaneval", "mbpp"])
    samples_per_task: int = 10
    temperature: float = 0.8
    held_out_samples: int = 4
    max_tokens: int | None = None
    stages: list[str] = field(default_factory=lambda: list(STAGES))
    launch: str = "python"
    keep_models: bool = False
    in_flight: int = 256
    output_dir: str = "out/study"
    checked_arms: list[Arm] = field(init=False)  # `arms`, checked

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("model_name_or_path", "dataset_name", "arms"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` is not set: pass `--{name}`, or set it in the YAML file.")
        if len(self.learning_rates) > 1 and not self.held_out:
            raise ValueError(
                "`held_out` is not set, but the search needs it to select a learning rate: pass `--held_out`, or a single "
                "learning rate."
            )
        for name in ("dataset_name", "held_out"):
            file = getattr(self, name)
            if file and not Path(file).exists():
                raise ValueError(f"`{name}` is {file!r}, which does not exist: give a file.")
        if not isinstance(self.train, dict):
            raise ValueError(f"`train` is {self.train!r}: set it in the YAML file, as fields and values.")
        self.checked_arms = read_arms(self.arms)
        self.reference = self.reference or self.checked_arms[0].name
        if self.reference not in (arm.name for arm in self.checked_arms):
            raise ValueError(
                f"`reference` is {self.reference!r}: use one of {', '.join(arm.name for arm in self.checked_arms)}."
            )
        for stage in self.stages:
            if stage not in STAGES:
                raise ValueError(f"Unknown stage {stage!r}: use some of {', '.join(STAGES)}.")
        for name in ("learning_rates", "seeds", "benchmarks"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"`{name}` is empty: give at least one.")
            if twice := [value for value in values if values.count(value) > 1]:
                raise ValueError(f"`{name}` holds {twice[0]} twice, so it would count twice: remove one.")


def parse(argv: list[str]) -> StudyArguments:
    (arguments,) = parse_options(make_parser(StudyArguments, "reflection-trl study"), argv)
    return arguments


def read_arms(arms: Any) -> list[Arm]:
    """Returns the arms of a YAML file: `{name: {config: FILE, data: rows, train: {FIELD: VALUE}}}`."""
    if not isinstance(arms, dict):
        raise ValueError(
            "`arms` must be set in the YAML file: under each name `config`, and optionally `data` and `train`."
        )
    found = []
    for name, entry in arms.items():
        if not isinstance(entry, dict) or not {"config"} <= entry.keys() <= {"config", "data", "train"}:
            raise ValueError(f"The arm {name!r} is {entry!r}: give it `config`, and optionally `data` and `train`.")
        if not isinstance(entry.get("train", {}), dict):
            raise ValueError(f"The arm {name!r} has `train: {entry['train']!r}`: give fields and values.")
        if name == BASE:
            raise ValueError(
                f"An arm has the name {BASE!r}, which is that of the untrained model: choose another name."
            )
        arm = Arm(name, **entry)
        if arm.data not in DATA and not Path(arm.data).exists():
            raise ValueError(f"The arm {name!r} has `data: {arm.data}`: use {' or '.join(DATA)}, or an existing file.")
        if not Path(arm.config).exists():
            raise ValueError(f"The arm {name!r} has `config: {arm.config}`, which does not exist: give a file.")
        found.append(arm)
    return found
