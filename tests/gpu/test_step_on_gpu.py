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

from reflection_trl.training import attention


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

BACKENDS = ["sdpa", "flex_attention", "eager"]
# The kernels want heads of at least 16
CONFIG = {"hidden_size": 256, "intermediate_size": 384, "num_attention_heads": 4, "num_key_value_heads": 2}


def packed_step(make_model, tokenizer, rows, tmp_path, backend, dtype, autocast=False):
    """Loss and gradients of the trainer's step, and what the reference needs to repeat it."""
    model = make_model(tiny_config(**CONFIG), attn_implementation=backend).to("cuda", dtype)
    trainer = make_trainer(model, tokenizer, rows, tmp_path, mask_strategy=["random-block"])
    rows = prepared_rows(trainer)
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        loss, actual = step_loss(trainer, rows, step=4)
    return loss, actual, rows, hidden_by_definition(trainer, trainer.current_mask_rate, 4)


def reference_step(make_model, rows, hidden_of, dtype, autocast=False):
    reference = make_model(tiny_config(**CONFIG), attn_implementation="eager").to("cuda", dtype)
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        expected = reference_loss(reference, rows, hidden_of)
    expected.backward()
    return expected.item(), gradients(reference)


def relative_error(actual, exact):
    """Norm of the error of all gradients together, relative to the norm of the exact ones."""
    error = sum(((actual[name].double() - exact[name].double()) ** 2).sum() for name in exact)
    return (error / sum((exact[name].double() ** 2).sum() for name in exact)).sqrt().item()


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32(make_model, tokenizer, mixed_rows, tmp_path, backend):
    loss, actual, rows, hidden_of = packed_step(make_model, tokenizer, mixed_rows, tmp_path, backend, torch.float32)
    expected, expected_gradients = reference_step(make_model, rows, hidden_of, torch.float32)
    print(f"{backend} float32: loss {loss:.6f}, reference {expected:.6f}")
    assert loss == pytest.approx(expected, rel=1e-5)
    assert_same_gradients(actual, expected_gradients, relative=2e-4)


@pytest.mark.parametrize("autocast", [False, True], ids=["bf16-weights", "autocast"])
@pytest.mark.parametrize("backend", [*BACKENDS, "flash_attention_2"])
def test_bfloat16(make_model, tokenizer, mixed_rows, tmp_path, backend, autocast):
    if backend == "flash_attention_2" and not is_flash_attn_2_available():
        pytest.skip("flash-attn is not installed")
    dtype = torch.float32 if autocast else torch.bfloat16
    loss, actual, rows, hidden_of = packed_step(
        make_model, tokenizer, mixed_rows, tmp_path, backend, dtype, autocast=autocast
    )
    exact_loss, exact = reference_step(make_model, rows, hidden_of, torch.float32)
    padded_loss, padded = reference_step(make_model, rows, hidden_of, dtype, autocast=autocast)
    error, padded_error = relative_error(actual, exact), relative_error(padded, exact)
    print(
        f"{backend} bf16 autocast={autocast}: loss {loss:.5f}, padded {padded_loss:.5f}, float32 {exact_loss:.5f}; "
        f"gradient error {error:.4f}, padded {padded_error:.4f}"
    )
    # No further from float32 than the padded double batch in the same precision is
    assert abs(loss - exact_loss) <= 2 * abs(padded_loss - exact_loss) + 1e-3 * exact_loss
    assert error <= 1.2 * padded_error


@pytest.mark.parametrize("autocast", [False, True], ids=["bf16-weights", "autocast"])
def test_sdpa_runs_varlen_in_bfloat16(make_model, tokenizer, mixed_rows, tmp_path, monkeypatch, autocast):
    calls = []
    original = attention.varlen_attn

    def counted(*args, **kwargs):
        calls.append(kwargs)
        return original(*args, **kwargs)

    assert original is not None
    monkeypatch.setattr(attention, "varlen_attn", counted)
    dtype = torch.float32 if autocast else torch.bfloat16
    packed_step(make_model, tokenizer, mixed_rows, tmp_path, "sdpa", dtype, autocast=autocast)
    assert calls and all(call.get("window_size") == (-1, 0) or call.get("is_causal") for call in calls)
