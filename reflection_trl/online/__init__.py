"""
Learning from execution, online: rewards and feedback for what the model writes during training.

[`execution_reward`] makes the sandbox a reward function of TRL's trainers, and [`load_problems_for_rl`] makes problems
their dataset.
"""

from .dataset import load_problems_for_rl
from .judging import Outcome
from .rewards import execution_reward


__all__ = ["Outcome", "execution_reward", "load_problems_for_rl"]
