"""Datasets and evaluation results on the Hugging Face Hub: [`publish_dataset`], [`publish_evaluation`].

Recipes call it. Models go up with `trainer.push_to_hub`, which takes only the errors from here.
"""

from ..hub_errors import PublishError
from .dataset import publish_dataset
from .evaluation import publish_evaluation


__all__ = ["PublishError", "publish_dataset", "publish_evaluation"]
