"""One step of the trainer against the padded double batch of the method's definition: loss and every gradient."""

import math

import pytest
import torch
from conftest import tiny_config
from peft import LoraConfig
from reference import (
    assert_same_gradients,
    gradients,
    hidden_by_definition,
    make_trainer,
    prepared_rows,
    reference_loss,
    step_loss,
)
from transformers import AutoConfig

from reflection_trl.training.masking import MASK_STRATEGIES
from reflection_trl.training.teachers import TeacherWeights


# What all families call alike
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "initializer_range",
)


def compare(trainer, make_reference_model, step, **reference_settings):
    rows = prepared_rows(trainer)
    loss, actual = step_loss(trainer, rows, step)
    reference = make_reference_model()
    rate = trainer.current_mask_rate
    expected = reference_loss(reference, rows, hidden_by_definition(trainer, rate, step), **reference_settings)
    reference.zero_grad()
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert_same_gradients(actual, gradients(reference))


@pytest.mark.parametrize("rendering", ["chat", "block-token"])
@pytest.mark.parametrize("strategy", MASK_STRATEGIES)
def test_packed_step_equals_definition(make_model, tokenizer, mixed_rows, tmp_path, strategy, rendering):
    import copy

    trainer = make_trainer(
        make_model(), copy.deepcopy(tokenizer), mixed_rows, tmp_path, mask_strategy=[strategy], rendering=rendering
    )
    weights = copy.deepcopy(trainer.model.state_dict())

    def reference():
        model = make_model(tiny_config(vocab_size=trainer.model.config.vocab_size))
        model.load_state_dict(weights)
        return model

    for step in (0, 4, 9) if rendering == "chat" else (4,):
        compare(trainer, reference, step)


@pytest.mark.parametrize("implementation", ["sdpa", pytest.param("eager", marks=pytest.mark.heavy)])
def test_attention_backends(make_model, tokenizer, mixed_rows, tmp_path, implementation):
    trainer = make_trainer(make_model(attn_implementation=implementation), tokenizer, mixed_rows, tmp_path)
    compare(trainer, make_model, step=2)


@pytest.mark.parametrize(
    ("adapter", "checkpointing"),
    [
        pytest.param(None, False, id="full"),
        pytest.param(
            LoraConfig(target_modules="all-linear", init_lora_weights=False),
            True,
            id="lora-checkpointing",
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.heavy
def test_compiled_equals_eager(make_model, tokenizer, mixed_rows, tmp_path, monkeypatch, adapter, checkpointing):
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "no")  # which the settings change, for every trainer to come
    settings = {"peft_config": adapter, "activation_checkpointing": checkpointing}
    one_layer = tiny_config(num_hidden_layers=1)  # compiling each takes its time
    eager = make_trainer(make_model(one_layer), tokenizer, mixed_rows, tmp_path, **settings)
    weights = {name: value.clone() for name, value in eager.model.state_dict().items()}
    if checkpointing:  # `train` does it
        eager.model.activation_checkpointing_enable()
    expected_loss, expected = step_loss(eager, prepared_rows(eager), step=4)
    # Not inductor, which makes machine code: what is tested is that nothing is lost between the graphs
    compiled = make_trainer(
        make_model(one_layer), tokenizer, mixed_rows, tmp_path, torch_compile_backend="aot_eager", **settings
    )
    compiled.model.load_state_dict(weights)
    if checkpointing:
        compiled.model.activation_checkpointing_enable()
        assert compiled.model.is_activation_checkpointing
    rows = prepared_rows(compiled)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    loss, actual = step_loss(compiled, rows, step=4)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    assert_same_gradients(actual, expected)
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert graphs > 0
    assert torch._dynamo.utils.counters["aot_autograd"]["total"] == graphs, "a graph was discarded and traced again"
    for step, others in enumerate([rows[1:], rows[:2] * 2, rows[::-1]]):
        step_loss(compiled, others, step)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs, "other lengths were compiled anew"


@pytest.mark.parametrize("checkpointing", [True, False])
def test_layers_that_stay_eager_are_reported(
    make_model, tokenizer, mixed_rows, tmp_path, monkeypatch, caplog, checkpointing
):
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "no")
    trainer = make_trainer(
        make_model(tiny_config(num_hidden_layers=1)),
        tokenizer,
        mixed_rows,
        tmp_path,
        torch_compile_backend="aot_eager",
        activation_checkpointing=checkpointing,
    )
    assert caplog.text.count("`torch_compile` has no effect on the layers.") == checkpointing
    if checkpointing:
        trainer.model.gradient_checkpointing_enable()  # as the Trainer does when training begins
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        step_loss(trainer, prepared_rows(trainer), step=4)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2, "the two parts of the loss"


def test_several_strategies_hide_prefix_and_other_losses(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(
        make_model(),
        tokenizer,
        mixed_rows,
        tmp_path,
        mask_strategy=["random-token", "random-block", "sequential-block"],
        mask_schedule="cosine",
        mask_rate_start=0.2,
        mask_rate_end=0.8,
        hide_prefix=True,
        sequence_loss_weight=0.5,
        student_loss_weight=2.0,
        distillation_weight=3.0,
        loss_normalization="joint",
        beta=0.3,
        temperature=1.7,
    )
    compare(trainer, make_model, step=5, weights=(0.5, 2.0, 3.0), normalization="joint", beta=0.3, temperature=1.7)


def test_masked_path_of_sliding_window_models(make_model, tokenizer, mixed_rows, tmp_path, caplog):
    from transformers import MistralConfig

    usual = {key: value for key, value in tiny_config().to_dict().items() if key in SIZES}
    config = MistralConfig(**usual, sliding_window=16, head_dim=8)
    trainer = make_trainer(make_model(config), tokenizer, mixed_rows, tmp_path)
    assert not trainer._packed
    compare(trainer, lambda: make_model(config), step=4)


FAMILIES = {
    "modernbert-decoder": ({"local_attention": 64}, False),  # layers between backbone and head
    "jetmoe": ({"kv_channels": 8, "num_local_experts": 2, "num_experts_per_tok": 2, "num_key_value_heads": 4}, True),
    "afmoe": ({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "sliding_window": 4096}, True),
    "llama4_text": ({"num_local_experts": 2, "intermediate_size_mlp": 48, "attention_chunk_size": 4096}, True),
    "deepseek_v3": (
        {"kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8},
        True,
    ),
    "nemotron": ({}, False),  # its layers do not pass the boundaries on
    "doge": ({}, False),  # a mask of its own
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_that_do_more_than_others(make_model, tokenizer, mixed_rows, tmp_path, family):
    settings, packed = FAMILIES[family]
    usual = {key: value for key, value in tiny_config().to_dict().items() if key in SIZES}
    if family == "deepseek_v3":
        usual |= {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 1}
        usual |= {"topk_group": 1, "first_k_dense_replace": 1, "num_key_value_heads": 4}
    config = AutoConfig.for_model(family, **(usual | {"head_dim": 8, "pad_token_id": 0} | settings))
    trainer = make_trainer(make_model(config), tokenizer, mixed_rows, tmp_path, router_aux_loss_coef=aux(config))
    assert trainer._packed == packed
    compare(trainer, lambda: make_model(config), step=4)


def aux(config):
    return 0.0 if hasattr(config, "output_router_logits") else None


def test_activation_checkpointing_and_lora(make_model, tokenizer, mixed_rows, tmp_path):
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    trainer = make_trainer(
        make_model(), tokenizer, mixed_rows, tmp_path, peft_config=lora, activation_checkpointing=True
    )
    # the same adapter under the reference
    from peft import get_peft_model

    def reference():
        model = get_peft_model(make_model(), lora)
        model.load_state_dict(trainer.model.state_dict())
        return model

    trainer.model.activation_checkpointing_enable()
    compare(trainer, reference, step=3)


def test_token_budget_packs_give_the_same_sum(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, token_budget=1000)
    assert len(trainer.train_dataset) < len(mixed_rows)
    rows = prepared_rows(trainer)
    assert sorted(row.row_id for row in rows) == list(range(len(mixed_rows)))
    compare(trainer, make_model, step=3)


@pytest.mark.parametrize("teacher", ["ema", "base"])
def test_other_teachers(make_model, tokenizer, mixed_rows, tmp_path, teacher):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, teacher=teacher, teacher_update_rate=0.25)
    start = make_model()
    moved = make_model(seed=1)
    with torch.no_grad():
        for p, q in zip(trainer.model.parameters(), moved.parameters(), strict=True):
            p.copy_(q)
    if teacher == "ema":
        trainer._teacher_weights.update()
        with torch.no_grad():
            for p, q in zip(start.parameters(), moved.parameters(), strict=True):
                p.lerp_(q, 0.25)

    def teacher_logits(row):
        ids = torch.tensor(row.input_ids)[None]
        return start(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]

    compare(trainer, lambda: make_model(seed=1), step=4, teacher_logits_of=teacher_logits)


def test_base_teacher_of_an_adapter_is_the_model_without_it(make_model, tokenizer, mixed_rows, tmp_path):
    from peft import get_peft_model

    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, peft_config=lora, teacher="base")
    base = make_model()

    def reference():
        model = get_peft_model(make_model(), lora)
        model.load_state_dict(trainer.model.state_dict())
        return model

    def teacher_logits(row):
        ids = torch.tensor(row.input_ids)[None]
        return base(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]

    compare(trainer, reference, step=4, teacher_logits_of=teacher_logits)


def assert_teacher_stays(trainer, expected):
    """The teacher is the model of another trainer, and training does not change it."""
    rows = [row for row in prepared_rows(trainer) if row.is_reflection]
    before = trainer._teacher_predictions(trainer.model, rows).hidden
    torch.testing.assert_close(
        before, expected._teacher_predictions(expected.model, rows).hidden, rtol=1e-4, atol=1e-4
    )
    trainer.train()
    assert torch.equal(trainer._teacher_predictions(trainer.model, rows).hidden, before)


@pytest.mark.parametrize("kind", ["trained", "new"])
def test_base_teacher_of_a_model_with_an_adapter_is_that_model(make_model, tokenizer, mixed_rows, tmp_path, kind):
    """An adapter that was trained before is a part of the model before training; a new one has no effect yet."""
    from peft import get_peft_model

    lora = LoraConfig(
        r=4, target_modules=["q_proj", "embed_tokens"], init_lora_weights=kind == "new", task_type="CAUSAL_LM"
    )
    trainer = make_trainer(
        get_peft_model(make_model(), lora),
        tokenizer,
        mixed_rows,
        tmp_path,
        teacher="base",
        save_strategy="no",
        max_steps=2,
        learning_rate=0.1,
    )
    live = make_trainer(get_peft_model(make_model(), lora), tokenizer, mixed_rows, tmp_path, teacher="base")
    live.model.load_state_dict(trainer.model.state_dict())
    merged = live.model.merge_and_unload().requires_grad_(True)
    expected = make_trainer(merged, tokenizer, mixed_rows, tmp_path, teacher="base")
    assert_teacher_stays(trainer, expected)
    assert (trainer._teacher_weights is None) == (kind == "new")  # nothing is copied where the adapter can be disabled


@pytest.mark.parametrize("settings", [{"init_lora_weights": "pissa"}, {"bias": "all"}], ids=["pissa", "bias"])
def test_base_teacher_is_the_model_before_training_where_the_adapter_changes_the_base(
    make_model, tokenizer, mixed_rows, tmp_path, settings
):
    trainer = make_trainer(
        make_model(),
        tokenizer,
        mixed_rows,
        tmp_path,
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", **settings),
        teacher="base",
        save_strategy="no",
        max_steps=2,
        learning_rate=0.1,
    )
    expected = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, teacher="base")
    assert_teacher_stays(trainer, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_the_average_follows_weights_of_any_precision(make_model, dtype):
    model = make_model().to(dtype)
    teacher = TeacherWeights(model, 0.05)
    start = {name: value.clone() for name, value in teacher.values.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.02)
    for _ in range(200):
        teacher.update()
    for name, parameter in model.named_parameters():
        gap = parameter.float() - start[name].float()
        torch.testing.assert_close(teacher.values[name].float() - start[name].float(), gap, rtol=1e-2, atol=1e-4)
    with teacher.in_place():
        assert all(parameter.dtype == dtype for parameter in model.parameters())


@pytest.mark.parametrize("teacher", ["ema", "base"])
@pytest.mark.parametrize("adapter", [False, True], ids=["all-weights", "lora"])
def test_other_teachers_predict_without_dropout(make_model, tokenizer, mixed_rows, tmp_path, teacher, adapter):
    trainer = make_trainer(
        make_model(tiny_config(attention_dropout=0.3)),
        tokenizer,
        mixed_rows,
        tmp_path,
        peft_config=LoraConfig(target_modules="all-linear", lora_dropout=0.3) if adapter else None,
        teacher=teacher,
    )
    trainer.model.train()
    modes = [module.training for module in trainer.model.modules()]
    rows = [row for row in prepared_rows(trainer) if row.is_reflection]
    first, second = (trainer._teacher_predictions(trainer.model, rows).hidden for _ in range(2))
    assert torch.equal(first, second)
    assert [module.training for module in trainer.model.modules()] == modes


@pytest.mark.parametrize("teacher", ["ema", "base"])
def test_a_process_without_reflection_rows_runs_as_often_as_the_others(
    make_model, tokenizer, mixed_rows, tmp_path, monkeypatch, teacher
):
    """DDP and FSDP exchange in each forward pass: one less on one of two processes ended in mismatched collectives."""
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, teacher=teacher)
    monkeypatch.setattr(type(trainer.accelerator), "num_processes", 2)
    runs = []
    trainer.model.register_forward_hook(lambda *_: runs.append(1))
    every = prepared_rows(trainer)
    for rows in (every, [row for row in every if not row.is_reflection]):
        runs.clear()
        loss, _ = step_loss(trainer, rows, step=3)
        assert len(runs) == 2 and math.isfinite(loss)


def test_without_student_terms_it_is_plain_fine_tuning(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(
        make_model(), tokenizer, mixed_rows, tmp_path, student_loss_weight=0.0, distillation_weight=0.0
    )
    compare(trainer, make_model, step=4, weights=(1.0, 0.0, 0.0))
    assert math.isclose(float(trainer._training_metrics._sums[0]), 1.0)
