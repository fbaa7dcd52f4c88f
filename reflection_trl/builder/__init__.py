"""Makes datasets of reflection sequences from any problems with any model."""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from ..files.run_folder import RunError
    from .build import build_reflection_dataset
    from .prepare import ProblemReport, Removal, prepare_problems
    from .reflection_sequences import ReflectionSequences
    from .rollout import rollout
    from .sequence import Attempt, ReflectionSequence
    from .settings import RolloutSettings
    from .statistics import BuildStatistics

# `datasets` takes a second to import, and rollouts do not need it
_MODULES = {
    "Attempt": "sequence",
    "BuildStatistics": "statistics",
    "ProblemReport": "prepare",
    "ReflectionSequence": "sequence",
    "ReflectionSequences": "reflection_sequences",
    "Removal": "prepare",
    "RolloutSettings": "settings",
    "RunError": ".files.run_folder",  # one level up
    "build_reflection_dataset": "build",
    "prepare_problems": "prepare",
    "rollout": "rollout",
}

__all__ = [
    "Attempt",
    "BuildStatistics",
    "ProblemReport",
    "ReflectionSequence",
    "ReflectionSequences",
    "Removal",
    "RolloutSettings",
    "RunError",
    "build_reflection_dataset",
    "prepare_problems",
    "rollout",
]

if not TYPE_CHECKING:  # otherwise type checkers would accept any name

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return getattr(import_module(f".{_MODULES[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
