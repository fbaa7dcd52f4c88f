"""The same equivalence on a GPU: every attention backend, float32 and bfloat16.

CUDA_VISIBLE_DEVICES=0 pytest -m gpu tests/gpu
"""

import pytest
import torch
from conftest import tiny_config
from reference import (
    assert_same_gradients,
    gradients,
    hidden_by_definition,
    make_trainer,
    prepared_rows,
    reference_loss,
    step_loss,
)
from transformers.utils import is_flash_attn_2_available

from reflection_trl import attention


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

BACKENDS = ["sdpa", "flex_attention", "eager"]
# The kernels want heads of at least 16
CONFIG = {"hidden_size": 256, "intermediate_size": 384, "num_attention_heads": 4, "num_key_value_heads": 2}


def both(make_model, tokenizer, rows, tmp_path, backend, dtype, step=4, autocast=False, **settings):
    config = tiny_config(**CONFIG)
    model = make_model(config, attn_implementation=backend).to("cuda", dtype)
    trainer = make_trainer(model, tokenizer, rows, tmp_path, mask_strategy=["random-block"], **settings)
    rows = prepared_rows(trainer)
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        loss, actual = step_loss(trainer, rows, step)
    reference = make_model(config, attn_implementation="eager").to("cuda", dtype)
    rate = trainer.current_mask_rate
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        expected = reference_loss(reference, rows, hidden_by_definition(trainer, rate, step))
    expected.backward()
    return loss, actual, expected.item(), gradients(reference)


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32(make_model, tokenizer, mixed_rows, tmp_path, backend):
    loss, actual, expected, expected_gradients = both(
        make_model, tokenizer, mixed_rows, tmp_path, backend, torch.float32
    )
    print(f"{backend} float32: loss {loss:.6f}, reference {expected:.6f}")
    assert loss == pytest.approx(expected, rel=1e-5)
    assert_same_gradients(actual, expected_gradients, relative=2e-4)


@pytest.mark.parametrize("autocast", [False, True], ids=["bf16-weights", "autocast"])
@pytest.mark.parametrize("backend", [*BACKENDS, "flash_attention_2"])
def test_bfloat16(make_model, tokenizer, mixed_rows, tmp_path, backend, autocast):
    if backend == "flash_attention_2" and not is_flash_attn_2_available():
        pytest.skip("flash-attn is not installed")
    dtype = torch.float32 if autocast else torch.bfloat16
    loss, actual, expected, expected_gradients = both(
        make_model, tokenizer, mixed_rows, tmp_path, backend, dtype, autocast=autocast
    )
    worst = min(
        torch.nn.functional.cosine_similarity(actual[name].float().flatten(), g.float().flatten(), dim=0).item()
        for name, g in expected_gradients.items()
        if g.abs().max() > 0
    )
    print(f"{backend} bf16 autocast={autocast}: loss {loss:.5f}, reference {expected:.5f}, worst cosine {worst:.5f}")
    assert loss == pytest.approx(expected, rel=1e-2)
    assert worst > 0.995


def test_sdpa_runs_varlen_in_bfloat16(make_model, tokenizer, mixed_rows, tmp_path, monkeypatch):
    calls = []
    original = attention.varlen_attn

    def counted(*args, **kwargs):
        calls.append(kwargs)
        return original(*args, **kwargs)

    assert original is not None
    monkeypatch.setattr(attention, "varlen_attn", counted)
    both(make_model, tokenizer, mixed_rows, tmp_path, "sdpa", torch.bfloat16)
    assert calls and all(call.get("window_size") == (-1, 0) or call.get("is_causal") for call in calls)
