"""
Learning from execution, online: rewards and feedback for what the model writes during training.

[`execution_reward`] makes the sandbox a reward function of TRL's trainers, [`load_problems_for_rl`] makes problems their
dataset, and [`OnlineReflectionDistillTrainer`] adds a teacher that reads the feedback of each answer.
"""

from .config import OnlineReflectionDistillConfig
from .dataset import load_problems_for_rl
from .environment import repair_environment
from .judging import Outcome
from .rewards import execution_reward
from .trainer import OnlineReflectionDistillTrainer


__all__ = [
    "OnlineReflectionDistillConfig",
    "OnlineReflectionDistillTrainer",
    "Outcome",
    "execution_reward",
    "load_problems_for_rl",
    "repair_environment",
]
