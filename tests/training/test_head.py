"""The loss in place of a model's head: whatever a family does before and after it, the cross-entropy is that of its own logits."""

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from reflection_trl.training.forward import LossInputs, add_distillation_forward
from reflection_trl.training.head import check_head, head_module, logit_scaling


TINY = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "patch_size": 16,
}


def new(kind):
    return pytest.mark.skipif(kind not in CONFIG_MAPPING, reason="the oldest transformers do not have it")


FAMILIES = [
    pytest.param("llama", {}, (1.0, None), id="plain"),
    pytest.param("phi", {}, (1.0, None), id="bias"),
    pytest.param("cohere", {"logit_scale": 0.25}, (0.25, None), id="cohere"),
    pytest.param("granite", {"logits_scaling": 8.0}, (0.125, None), id="granite"),
    pytest.param("hyperclovax", {"logits_scaling": 8.0}, (8.0, None), id="hyperclovax", marks=new("hyperclovax")),
    pytest.param("falcon_h1", {"lm_head_multiplier": 0.25}, (0.25, None), id="falcon_h1"),
    pytest.param("gemma2", {"final_logit_softcapping": 2.0, "head_dim": 16}, (1.0, 2.0), id="gemma2"),
    pytest.param("modernbert-decoder", {}, (1.0, None), id="layers-before-the-head"),
    pytest.param(
        "xlstm", {"output_logit_soft_cap": 1.5, "num_heads": 2, "num_blocks": 1}, (1.0, 1.5), id="cap-of-another-name"
    ),
    pytest.param("llama4_text", {"head_dim": 16, "num_local_experts": 2}, (1.0, None), id="no-backbone-of-its-own"),
    pytest.param("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}, (1.0, None), id="decoder-called-by-itself"),
]


def make(kind, settings, device="cpu"):
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **TINY, **settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(
                0, 0.3
            )  # what layers before the head do shows only when their norms and biases are not plain
    return model


def losses_both_ways(model, ids):
    own = F.cross_entropy(model(input_ids=ids[None], use_cache=False).logits[0, :-1], ids[1:], reduction="none")
    none, count = torch.zeros(0, dtype=torch.long), len(ids) - 1
    weight = torch.full((count,), 1 / count)
    return own, model(input_ids=ids[None], loss_inputs=LossInputs(torch.arange(count), ids[1:], weight, none, none))


@pytest.mark.parametrize(("kind", "settings", "scaling"), FAMILIES)
def test_loss_and_gradients_are_those_of_the_models_own_logits(kind, settings, scaling):
    model = make(kind, settings)
    assert logit_scaling(model) == pytest.approx(scaling)
    add_distillation_forward(model)
    own, outputs = losses_both_ways(model, torch.randint(5, 90, (12,)))
    torch.testing.assert_close(outputs["nll"], own, rtol=1e-5, atol=1e-5)
    own.mean().backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    assert any("head" in name or "embed" in name for name in expected)
    model.zero_grad()
    outputs["loss"].backward()
    actual = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(actual[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(("kind", "settings", "scaling"), FAMILIES)
def test_the_scaling_is_read_without_weights(kind, settings, scaling):
    """Which are sharded, quantized or not there yet in some trainings."""
    assert logit_scaling(make(kind, settings, device="meta")) == pytest.approx(scaling)


@new("muse_glimmer")
def test_a_multiplier_of_another_name_within_a_model_for_images():
    text = {**TINY, "head_dim": 16, "output_multiplier": 0.3, "sliding_window": 512}
    config = CONFIG_MAPPING["muse_glimmer"](text_config=text)
    for name, value in VISION.items():
        if hasattr(config.vision_config, name):
            setattr(config.vision_config, name, value)
    from transformers import MuseGlimmerForConditionalGeneration

    torch.manual_seed(0)
    model = MuseGlimmerForConditionalGeneration(config).eval()
    assert logit_scaling(model)[0] == pytest.approx(0.3)
    add_distillation_forward(model)
    with torch.no_grad():
        model.lm_head.weight.normal_()
        own, outputs = losses_both_ways(model, torch.randint(5, 90, (12,)))
    torch.testing.assert_close(outputs["nll"], own, rtol=1e-5, atol=1e-5)


def test_a_head_with_further_parameters_is_refused():
    model = make("llama", {})
    model.lm_head.logit_scale = torch.nn.Parameter(torch.ones(97))  # one for each token
    with pytest.raises(
        ValueError, match=r"`LlamaForCausalLM` \(model type 'llama'\) has logit_scale in addition to weight and bias"
    ):
        add_distillation_forward(model)


def replace_logits(model, change):
    original = model.forward

    def forward(*args, **kwargs):
        output = original(*args, **kwargs)
        output.logits = change(output.logits)
        return output

    model.forward = forward


@pytest.mark.parametrize(
    "change",
    [lambda x: x + 0.1, lambda x: x.clamp(max=20), lambda x: torch.cat([x[..., :-1], x[..., -1:] * 2], -1)],
    ids=["offset", "hard-cap", "one-token"],
)
def test_whatever_else_is_done_to_logits_is_refused(change):
    model = make("llama", {})
    replace_logits(model, change)
    with pytest.raises(
        ValueError, match=r"model type 'llama'.* changes its logits by more than a scale and a soft cap"
    ):
        logit_scaling(model)


def test_logits_that_do_not_come_from_the_output_embedding_are_refused():
    model = make("llama", {})
    model.get_output_embeddings = lambda: model.model.layers[0].mlp.gate_proj
    with pytest.raises(ValueError, match="does not take its logits from its output embedding, a `Linear`"):
        logit_scaling(model)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8], ids=str)
def test_a_quantized_head_is_refused_with_the_setting_that_leaves_it_out(dtype):
    model = make("llama", {})
    model.lm_head.weight = torch.nn.Parameter(torch.zeros(97, 32, dtype=dtype), requires_grad=False)
    with pytest.raises(
        ValueError, match=r"model type 'llama'\) is a quantized `Linear`.*llm_int8_skip_modules=\['lm_head'\]"
    ):
        check_head(model)


def test_a_head_without_a_weight_is_refused():
    """GPTQ and AWQ keep theirs in buffers of other names."""
    model = make("llama", {})
    del model.lm_head.weight
    model.lm_head.register_buffer("qweight", torch.zeros(4, 97, dtype=torch.int32))
    with pytest.raises(ValueError, match="is a quantized `Linear`"):
        check_head(model)


def test_the_forward_pass_of_the_head_is_left_as_it_was():
    model = make("llama", {})
    add_distillation_forward(model)
    ids = torch.randint(5, 90, (6,))
    before = model(input_ids=ids[None]).logits
    losses_both_ways(model, ids)
    assert "forward" not in vars(head_module(model))
    with pytest.raises(IndexError):
        model(input_ids=ids[None], teacher_index=torch.tensor([99]))
    assert "forward" not in vars(head_module(model))
    assert torch.equal(model(input_ids=ids[None]).logits, before)
