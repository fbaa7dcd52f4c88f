"""Creates the model that every arm of the benchmark trains: Qwen2.5-Coder's shapes with random weights, or a real model."""

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from .arguments import BenchmarkArguments


SHAPES = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "0.5b": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14},
    "1.5b": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
    "7b": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28},
    "32b": {"hidden_size": 5120, "intermediate_size": 27648, "num_hidden_layers": 64, "num_attention_heads": 40},
}
KEY_VALUE_HEADS = {"tiny": 2, "0.5b": 2, "1.5b": 2, "7b": 4, "32b": 8}
VOCABULARY = {"tiny": 1024, "0.5b": 151936, "1.5b": 151936, "7b": 152064, "32b": 152064}
TIED = {"tiny": True, "0.5b": True, "1.5b": True, "7b": False, "32b": False}
EOS_TOKEN_ID = 1  # of `benchmark_tokenizer`


def vocabulary_size(arguments: BenchmarkArguments) -> int:
    """Returns the number of token ids of the model that the arguments name."""
    if arguments.model_name_or_path:
        size: int = AutoConfig.from_pretrained(arguments.model_name_or_path).vocab_size
        return size
    return VOCABULARY[arguments.shape]


def make_model(arguments: BenchmarkArguments, device: str, dtype: torch.dtype) -> PreTrainedModel:
    """Returns a new model with the same weights at each call."""
    torch.manual_seed(arguments.seed)
    if arguments.model_name_or_path:
        return AutoModelForCausalLM.from_pretrained(arguments.model_name_or_path, dtype=dtype, device_map=device)
    shape = arguments.shape
    settings: dict[str, Any] = {
        **SHAPES[shape],
        "num_key_value_heads": KEY_VALUE_HEADS[shape],
        "vocab_size": VOCABULARY[shape],
        "tie_word_embeddings": TIED[shape],
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        "attn_implementation": "sdpa",
    }
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # created in this dtype, since conversion from float32 would need memory for both
    try:
        with torch.device(device):
            return Qwen2ForCausalLM(Qwen2Config(**settings))
    finally:
        torch.set_default_dtype(default)


def benchmark_tokenizer() -> PreTrainedTokenizerFast:
    """Returns a byte tokenizer. Only its special tokens are used, because rows are token ids already."""
    tokens = ["<pad>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bytes_alone = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges=[]))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_alone,
        pad_token="<pad>",
        eos_token="<eos>",
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}<eos>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    return tokenizer
