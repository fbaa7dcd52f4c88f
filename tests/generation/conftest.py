"""A tiny model on disk."""

import pytest
import torch
from conftest import tiny_config
from transformers import AutoModelForCausalLM, GenerationConfig


@pytest.fixture(scope="session")
def tiny_model(tokenizer, tmp_path_factory):
    """Folder of a random model with a chat template, two end tokens, and sampling settings that must not matter."""
    folder = tmp_path_factory.mktemp("tiny-model")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(), dtype=torch.float32)
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, top_k=5, repetition_penalty=1.3, eos_token_id=ends, pad_token_id=ends[1]
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
