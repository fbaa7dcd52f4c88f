"""What is tried of a model before it is trained, and what is said of one that fails."""

import copy
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import tiny_config
from transformers import AutoConfig, AutoModelForCausalLM

from reflection_trl.training import self_check as module
from reflection_trl.training.attention import PACKED_SDPA
from reflection_trl.training.forward import add_distillation_forward
from reflection_trl.training.self_check import padding_reason_by_trial, self_check


SIZES = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_heads": 4,
    "num_blocks": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def make(kind, **settings):
    torch.manual_seed(0)
    default = AutoConfig.for_model(kind)
    sizes = {name: size for name, size in SIZES.items() if hasattr(default, name)}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(sizes | settings)), dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    return model


def prepare(model, max_length):
    add_distillation_forward(model)
    return padding_reason_by_trial(model, max_length)


def test_a_usual_model_is_packed(make_model):
    model = make_model()
    assert prepare(model, 4096) is None
    assert model.config._attn_implementation == PACKED_SDPA


def test_nothing_is_changed(make_model):
    model = make_model(tiny_config(attention_dropout=0.5)).train()
    model.model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    weights = copy.deepcopy(model.state_dict())
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    prepare(model, 4096)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (np.random.get_state()[1].tolist(), random.getstate())
    assert modes == [module.training for module in model.modules()]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("rwkv", {"attention_hidden_size": 32}), ("xlstm", {})],
    ids=["rwkv", "xlstm"],
)
def test_state_that_runs_through_hidden_tokens_is_refused(kind, settings):
    with pytest.raises(ValueError, match=rf"model type '{kind}'\) by .* its state runs through hidden tokens"):
        prepare(make(kind, **settings), 64)


def test_a_model_that_sees_later_tokens_is_refused():
    with pytest.raises(
        ValueError,
        match=r"`BertLMHeadModel` \(model type 'bert'\) is not causal.*is_decoder=True",
    ):
        prepare(make("bert"), 64)
    prepare(make("bert", is_decoder=True), 64)


@pytest.mark.parametrize("kind", ["nemotron", "doge"])
def test_a_model_whose_layers_do_not_keep_to_boundaries_is_padded(kind):
    model = make(kind, num_key_value_heads=4)
    reason = prepare(model, 64)
    assert reason.startswith("its forward pass fails on a packed batch (RuntimeError: The size of tensor")
    assert model.config._attn_implementation == "sdpa"


class Blind(torch.nn.Module):
    """A part of a model that mixes neighboring tokens of a batch, whatever sequences they are of."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, states):
        states = self.inner(states)
        return states + F.pad(states, (0, 0, 1, 0))[:, :-1]


def test_a_leak_across_a_pack_is_found_and_not_masked_either(make_model):
    """A convolution over tokens of which the config says nothing: neither way of leaving tokens out would do."""
    model = make_model()
    model.model.layers[0].mlp = Blind(model.model.layers[0].mlp)
    with pytest.raises(ValueError, match="its state runs through hidden tokens"):
        prepare(model, 64)


def test_an_attention_that_ignores_boundaries_is_refused_where_it_cannot_mask(make_model, monkeypatch):
    """As a model's own flash attention would, into which the boundaries are not handed."""
    model = make_model(attn_implementation="eager")
    monkeypatch.setattr(module, "model_inputs", without_boundaries)
    assert "shortened sequence of a packed batch differs from the same by itself" in prepare(model, 64)
    model = make_model(attn_implementation="eager")
    model.config._attn_implementation_internal = "flex_attention"
    monkeypatch.setattr(module, "self_check", lambda model, packed: "it leaks" if packed else None)
    with pytest.raises(ValueError, match=r"must be masked.*since it leaks; load it with `attn_implementation='sdpa'`"):
        prepare(model, 64)


original_inputs = module.model_inputs


def without_boundaries(batch, implementation, device, dtype):
    inputs = original_inputs(batch, implementation, device, dtype)
    if batch.cu_seq_lens is not None:
        total = batch.input_ids.size
        causal = torch.full((total, total), torch.finfo(dtype).min).triu(1)
        inputs["attention_mask"] = causal[None, None]
    return inputs


class Normed(torch.nn.Linear):
    """A head that does more than its weight."""

    def forward(self, states):
        return super().forward(F.normalize(states, dim=-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_head_whose_forward_pass_does_more_is_refused(make_model, dtype):
    model = make_model().to(dtype)
    weight = model.lm_head.weight
    model.lm_head = Normed(32, 512, bias=False)
    model.lm_head.weight = weight
    message = r"would be wrong for `Qwen2ForCausalLM` \(model type 'qwen2'\): on 22 random tokens its cross-entropy is \d+\.\d{4}"
    with pytest.raises(ValueError, match=message):
        prepare(model, 64)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_no_fault(make_model, dtype):
    assert prepare(make_model(tiny_config(num_hidden_layers=8)).to(dtype), 64) is None


def set_tf32(monkeypatch, enabled):
    """As transformers' `enable_tf32`, which `TrainingArguments(bf16=True)` calls on a GPU."""
    monkeypatch.setattr(torch.backends, "fp32_precision", "tf32" if enabled else "ieee")


def test_tf32_is_no_fault(make_model, monkeypatch):
    set_tf32(monkeypatch, True)
    assert prepare(make_model(), 64) is None


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_float32_products_are_rounded_only_with_tf32(monkeypatch, device, enabled):
    set_tf32(monkeypatch, enabled)
    assert module._rounds_float32_products(torch.device(device)) is enabled


def test_a_forward_pass_that_fails_is_named(make_model):
    model = make_model()
    add_distillation_forward(model)

    def fail(*args, **kwargs):
        raise IndexError("list index out of range\nmore of it")

    model.model.layers[1].forward = fail
    with pytest.raises(
        ValueError, match=r"'qwen2'\) fails on a batch of text \(IndexError: list index out of range\); load it"
    ):
        self_check(model, packed=True)


@pytest.mark.parametrize("case", ["meta", "zero-3", "quantized", "large", "other-process"])
def test_a_model_whose_weights_are_not_there_is_not_run(make_model, monkeypatch, case):
    model = make_model()
    add_distillation_forward(model)
    if case == "meta":
        model.to("meta")
    elif case == "zero-3":
        model.lm_head.weight.ds_id = 3
    elif case == "quantized":
        model.hf_quantizer = object()
    elif case == "large":
        monkeypatch.setattr(module, "_MOST_PARAMETERS_ON_CPU", 1000)
    else:
        monkeypatch.setattr(module, "is_fsdp_enabled", lambda: True)

    def run(*args, **kwargs):
        raise AssertionError("the model was run")

    monkeypatch.setattr(model, "forward", run)
    assert self_check(model, packed=True) is None
    assert self_check(model, packed=False) is None
