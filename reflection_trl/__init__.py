"""Reflection self-distillation for code models on top of TRL: see [`ReflectionDistillTrainer`]."""

from typing import TYPE_CHECKING


__version__ = "0.1.0"

# `import reflection_trl` stays fast: torch, transformers and trl are imported with the first name that needs them
_MODULES = {
    "DataCollatorForReflectionDistillation": "training.collator",
    "OnlineReflectionDistillConfig": "online",
    "OnlineReflectionDistillTrainer": "online",
    "PAPER_PRESET": "training.config",
    "ReflectionDistillConfig": "training.config",
    "ReflectionDistillTrainer": "training.trainer",
    "ReflectionSequences": "builder",
    "RolloutSettings": "builder",
    "build_reflection_dataset": "builder",
    "evaluate_model": "evaluation.run",
    "execution_reward": "online",
    "final_answers": "sft_rows",
    "from_typed_blocks": "sequences",
    "load_problems_for_rl": "online",
    "repair_environment": "online",
    "to_typed_blocks": "sequences",
}

__all__ = [
    "PAPER_PRESET",
    "DataCollatorForReflectionDistillation",
    "OnlineReflectionDistillConfig",
    "OnlineReflectionDistillTrainer",
    "ReflectionDistillConfig",
    "ReflectionDistillTrainer",
    "ReflectionSequences",
    "RolloutSettings",
    "build_reflection_dataset",
    "evaluate_model",
    "execution_reward",
    "final_answers",
    "from_typed_blocks",
    "load_problems_for_rl",
    "repair_environment",
    "to_typed_blocks",
]

if TYPE_CHECKING:
    from .builder import ReflectionSequences, RolloutSettings, build_reflection_dataset
    from .evaluation.run import evaluate_model
    from .online import (
        OnlineReflectionDistillConfig,
        OnlineReflectionDistillTrainer,
        execution_reward,
        load_problems_for_rl,
        repair_environment,
    )
    from .sequences import from_typed_blocks, to_typed_blocks
    from .sft_rows import final_answers
    from .training.collator import DataCollatorForReflectionDistillation
    from .training.config import PAPER_PRESET, ReflectionDistillConfig
    from .training.trainer import ReflectionDistillTrainer
else:  # hidden from type checkers, which would otherwise accept any name

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            from importlib import import_module

            return getattr(import_module(f".{_MODULES[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
