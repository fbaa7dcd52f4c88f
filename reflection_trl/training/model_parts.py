"""Returns parts of a model with the types that they have; transformers and PEFT declare them as modules."""

from typing import cast

from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel


def input_embeddings(model: PreTrainedModel | PeftModel) -> nn.Embedding:
    """Returns the input embeddings."""
    return cast(nn.Embedding, model.get_input_embeddings())


def base_model(model: PeftModel) -> PreTrainedModel:
    """Returns the model under an adapter."""
    return cast(PreTrainedModel, model.get_base_model())
