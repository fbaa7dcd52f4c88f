"""Models and adapters, as they are loaded to answer."""

import pytest
import torch
from peft import LoHaConfig, LoraConfig, VeraConfig, get_peft_model

from reflection_trl.generation.loading import load_causal_lm


@pytest.mark.parametrize(
    "adapter",
    [
        LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"),
        LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM", use_dora=True),
        LoHaConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"),
        VeraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"),
    ],
    ids=["lora", "dora", "loha", "vera"],
)
def test_an_adapter_is_loaded_as_it_was_saved(make_model, tmp_path, adapter):
    make_model().save_pretrained(tmp_path / "base")
    model = get_peft_model(load_causal_lm(str(tmp_path / "base")), adapter)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += torch.rand_like(parameter)
    model.save_pretrained(tmp_path / "adapter")
    ids = torch.arange(20)[None]
    loaded = load_causal_lm(str(tmp_path / "adapter")).eval()
    assert type(loaded).__name__ == "Qwen2ForCausalLM"
    with torch.no_grad():
        expected = model.eval()(input_ids=ids).logits
        torch.testing.assert_close(loaded(input_ids=ids).logits, expected, rtol=1e-5, atol=1e-5)
        with model.disable_adapter():
            assert (model(input_ids=ids).logits - expected).abs().max() > 0.1
