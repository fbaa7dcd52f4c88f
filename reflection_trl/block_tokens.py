"""Gives a model and its tokenizer the seven special tokens of the published block-token format.

The new embeddings, input and output, start as the mean of the embeddings of the pieces of their own names, as in the
published code. This module changes a model and a tokenizer in place; how rows are written with the tokens is
[`~reflection_trl.rendering.BlockTokenRenderer`]'s.
"""

import torch
from peft import PeftConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl.trainer.utils import maybe_gather_lm_head_ctx

from .rendering import BLOCK_TOKEN_CHAT_TEMPLATE, BLOCK_TOKENS


def add_block_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, peft_config: PeftConfig | None = None
) -> None:
    """
    Add the block tokens to tokenizer and model, in place; what is there already is left alone.

    The tokenizer's chat template becomes the block-token one, so that the saved model serves one-off prompts, and
    generation stops at the end of a message. With a PEFT configuration, only the new rows of the embeddings are trained
    beside the adapter (`trainable_token_indices`).

    Args:
        model ([`~transformers.PreTrainedModel`]):
            Causal language model. Works under DeepSpeed ZeRO-3 too.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Its tokenizer.
        peft_config ([`~peft.PeftConfig`], *optional*):
            Adapter configuration that the model is about to be wrapped with; changed in place.
    """
    new = [token for token in BLOCK_TOKENS.values() if token not in tokenizer.get_vocab()]
    pieces = [tokenizer(token, add_special_tokens=False)["input_ids"] for token in new]
    tokenizer.add_special_tokens({"additional_special_tokens": new}, replace_extra_special_tokens=False)
    new_ids = tokenizer.convert_tokens_to_ids(new)
    tokenizer.chat_template = BLOCK_TOKEN_CHAT_TEMPLATE

    if new_ids and max(new_ids) >= model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    embeddings = [model.get_input_embeddings().weight]
    if model.get_output_embeddings().weight is not embeddings[0]:
        embeddings.append(model.get_output_embeddings().weight)
    for weight in embeddings:
        with torch.no_grad(), maybe_gather_lm_head_ctx(weight):
            for token_id, piece in zip(new_ids, pieces, strict=True):
                weight[token_id] = weight[piece].mean(dim=0)

    end_of_message = tokenizer.convert_tokens_to_ids(BLOCK_TOKENS["end_of_message"])
    stops = model.generation_config.eos_token_id
    stops = [] if stops is None else [stops] if isinstance(stops, int) else list(stops)
    if end_of_message not in stops:
        model.generation_config.eos_token_id = [end_of_message, *stops]

    if peft_config is not None and new_ids:
        names = ["embed_tokens"] if len(embeddings) == 1 else ["embed_tokens", "lm_head"]
        trainable = peft_config.trainable_token_indices or {}
        if not isinstance(trainable, dict):
            trainable = {"embed_tokens": trainable}
        peft_config.trainable_token_indices = {
            **trainable,
            **{name: sorted({*trainable.get(name, []), *new_ids}) for name in names},
        }
