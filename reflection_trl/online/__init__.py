"""
Trains models online, with rewards and feedback from running their programs.

[`execution_reward`] is a reward function for TRL's trainers that runs programs in the sandbox,
[`load_problems_for_rl`] converts problems to their dataset, and [`OnlineReflectionDistillTrainer`] adds a teacher that
reads the feedback of each answer.
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
