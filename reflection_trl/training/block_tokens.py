"""Gives a model and its tokenizer the seven special tokens of the published block-token format.

The new embeddings, input and output, start as the mean of the embeddings of the pieces of their own names, as in the
published code. This module changes a model and a tokenizer in place; how rows are written with the tokens is
[`~reflection_trl.rendering.BlockTokenRenderer`]'s.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

from ..rendering import BLOCK_TOKEN_CHAT_TEMPLATE, BLOCK_TOKENS
from .modeling import add_eos_token_id


def add_block_tokens(
    model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, peft_config: PeftConfig | None = None
) -> None:
    """
    Add the block tokens to tokenizer and model, in place; what is there already is left alone.

    The tokenizer's chat template becomes the block-token one, so that the saved model serves one-off prompts, and
    generation stops at the end of a message. With a PEFT configuration, only the new rows of the embeddings are trained
    beside the adapter (`trainable_token_indices`).

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
        if any(token not in tokenizer.get_vocab() for token in BLOCK_TOKENS.values()):
            raise ValueError(
                "`rendering='block-token'` adds tokens, which must happen before a model is wrapped with PEFT; pass the base "
                "model and `peft_config`."
            )
        return
    if peft_config is not None and not isinstance(peft_config, LoraConfig):
        raise ValueError(
            f"The block tokens need an adapter that also trains their embeddings, which {type(peft_config).__name__} does not "
            f"offer; use a `LoraConfig`, or `rendering='chat'`."
        )
    new = [token for token in BLOCK_TOKENS.values() if token not in tokenizer.get_vocab()]
    pieces = [tokenizer(token, add_special_tokens=False)["input_ids"] for token in new]
    tokenizer.add_special_tokens({"additional_special_tokens": new}, replace_extra_special_tokens=False)
    vocabulary = tokenizer.get_vocab()
    new_ids = [vocabulary[token] for token in new]
    tokenizer.chat_template = BLOCK_TOKEN_CHAT_TEMPLATE

    if new_ids and max(new_ids) >= model.get_input_embeddings().num_embeddings:  # type: ignore[operator] # an `nn.Embedding`
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


def _name_of(module: nn.Module, model: nn.Module) -> str:
    # `embed_tokens` in Llama, `wte` in GPT-2, ...: PEFT takes the last part of the name
    return next(name for name, other in model.named_modules() if other is module).rpartition(".")[2]


def _writable(weight: nn.Parameter) -> AbstractContextManager:
    # Under ZeRO-3 the weight is partitioned; without a modifier rank, what is written to the gathered one is discarded
    if not is_deepspeed_zero3_enabled():
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters([weight], modifier_rank=0)
