"""Adds the seven special tokens of the published block-token format to a model and its tokenizer.

Each new embedding, input and output, starts as the mean embedding of the pieces of its token's name, as in the
published code. This module changes a model and a tokenizer in place. [`~reflection_trl.rendering.BlockTokenRenderer`]
writes rows with the tokens.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.utils import logging
from trl.trainer.utils import get_config_model_id

from ..rendering import BLOCK_TOKEN_CHAT_TEMPLATE, BLOCK_TOKENS
from .model_parts import base_model, input_embeddings
from .modeling import add_eos_token_id


logger = logging.get_logger(__name__)


def add_block_tokens(
    model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, peft_config: PeftConfig | None = None
) -> None:
    """
    Adds the block tokens to tokenizer and model, in place. Embeddings that the model was trained with are unchanged.

    The tokenizer's chat template becomes the block-token template, so that the saved model can serve one-off prompts,
    and generation stops at the end of a message. With a PEFT configuration, only the new embedding rows are trained in
    addition to the adapter (`trainable_token_indices`).

    A tokenizer may already have the tokens, from another training or a folder. The model counts as trained with them
    if its generation stops at the end of a message, or if the tokenizer of its folder or repository has them.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            Causal language model. A PEFT model must have the tokens already. Works under DeepSpeed ZeRO-3 too.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Its tokenizer.
        peft_config ([`~peft.PeftConfig`], *optional*):
            Adapter configuration that the model is about to be wrapped with; changed in place.

    Raises:
        ValueError: If the adapter cannot train single rows of the embeddings, or a PEFT model lacks the tokens.
    """
    if isinstance(model, PeftModel):
        _check_adapted(model, tokenizer)
        return
    if peft_config is not None and not isinstance(peft_config, LoraConfig):
        raise ValueError(
            f"The block tokens need an adapter that also trains their embeddings, which {type(peft_config).__name__} does not "
            f"support; use a `LoraConfig`, or `rendering='chat'`."
        )
    new = _untrained_tokens(model, tokenizer)
    if new and all(token in tokenizer.get_vocab() for token in new):
        logger.warning(
            "The tokenizer has the block tokens, but this model was not trained with them: their embeddings are initialized."
        )
    # As text, whether or not the tokenizer has the tokens
    pieces = [tokenizer(token, add_special_tokens=False, split_special_tokens=True)["input_ids"] for token in new]
    tokenizer.add_special_tokens({"additional_special_tokens": new}, replace_extra_special_tokens=False)
    vocabulary = tokenizer.get_vocab()
    new_ids = [vocabulary[token] for token in new]
    tokenizer.chat_template = BLOCK_TOKEN_CHAT_TEMPLATE

    if new_ids and max(new_ids) >= input_embeddings(model).num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    embeddings: list[Any] = [model.get_input_embeddings()]
    if model.get_output_embeddings().weight is not embeddings[0].weight:
        embeddings.append(model.get_output_embeddings())
    for embedding in embeddings:
        with torch.no_grad(), _writable(embedding.weight):
            for token_id, piece in zip(new_ids, pieces, strict=True):
                embedding.weight[token_id] = embedding.weight[piece].mean(dim=0)

    add_eos_token_id(model, vocabulary[BLOCK_TOKENS["end_of_message"]])

    if peft_config is not None and new_ids:
        names = [_name_of(embedding, model) for embedding in embeddings]
        trainable = peft_config.trainable_token_indices or {}
        if not isinstance(trainable, dict):
            trainable = {names[0]: trainable}
        peft_config.trainable_token_indices = {
            **trainable,
            **{name: sorted({*trainable.get(name, []), *new_ids}) for name in names},
        }


def _untrained_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    vocabulary = tokenizer.get_vocab()
    lacking = [token for token in BLOCK_TOKENS.values() if token not in vocabulary]
    if lacking:  # existing tokens belong to the model, such as Phi-3's `<|user|>`
        return lacking
    stops = model.generation_config.eos_token_id
    if vocabulary[BLOCK_TOKENS["end_of_message"]] in (stops if isinstance(stops, list) else [stops]):
        return []
    own = _own_vocabulary(model)
    return [token for token in BLOCK_TOKENS.values() if token not in own]


def _own_vocabulary(model: PreTrainedModel) -> dict[str, int]:
    # The vocabulary of the tokenizer in the model's folder or repository; empty for a model that was created in memory
    name = get_config_model_id(model.config)
    if not name:
        return {}
    try:
        return AutoTokenizer.from_pretrained(name, revision=getattr(model.config, "_commit_hash", None)).get_vocab()
    except (OSError, ValueError):
        return {}


def _check_adapted(model: PeftModel, tokenizer: PreTrainedTokenizerBase) -> None:
    vocabulary = tokenizer.get_vocab()
    if any(token not in vocabulary for token in BLOCK_TOKENS.values()):
        raise ValueError(
            "`rendering='block-token'` adds tokens, which must happen before PEFT wraps the model; pass the base "
            "model and `peft_config`."
        )
    base = base_model(model)
    trained_rows: set[int] = set()
    for config in model.peft_config.values():
        indices = getattr(config, "trainable_token_indices", None) or []
        trained_rows.update(*indices.values()) if isinstance(indices, dict) else trained_rows.update(indices)
    untrained = [token for token in _untrained_tokens(base, tokenizer) if vocabulary[token] not in trained_rows]
    if untrained:
        raise ValueError(
            f"The tokenizer has the block tokens, but the model under the adapter was not trained with {' '.join(untrained)}, "
            f"and the adapter does not train them; pass the base model and `peft_config`."
        )


def _name_of(module: nn.Module, model: nn.Module) -> str:
    # `embed_tokens` in Llama, `wte` in GPT-2, ...: PEFT matches the last part of the name
    return next(name for name, other in model.named_modules() if other is module).rpartition(".")[2]


def _writable(weight: nn.Parameter) -> AbstractContextManager:
    # Under ZeRO-3 the weight is partitioned. Without a modifier rank, changes to the gathered weight are discarded
    if not is_deepspeed_zero3_enabled():
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters([weight], modifier_rank=0)
