"""Publishes datasets and evaluation results on the Hugging Face Hub: [`publish_dataset`], [`publish_evaluation`].

Models are published with `trainer.push_to_hub`, which uses only the errors of this package.
"""

from ..hub_errors import PublishError
from .dataset import publish_dataset
from .evaluation import publish_evaluation


__all__ = ["PublishError", "publish_dataset", "publish_evaluation"]
