"""What only runs on a GPU as a rule: bfloat16 under autocast, continuous batching and compiled layers, here on the CPU."""

import pytest
import torch
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, GRPOTrainer

from reflection_trl import load_problems_for_rl
from reflection_trl.training import losses
from reflection_trl.training.teachers import TeacherWeights

from .scripted import PROBLEMS, SETTINGS, make_trainer, scripted_reward
from .test_loss import gradients, make_inputs, moved
from .test_loss import make_trainer as make_loss_trainer


def test_weights_in_place_are_not_those_that_autocast_has_cast_before(make_model):
    model = make_model()
    teacher = TeacherWeights(model, 0.0)
    ids = torch.tensor([[5, 6, 7]])

    def predict():
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            return model(input_ids=ids).logits

    before = predict()
    moved(model)
    after = predict()
    assert not torch.allclose(before, after, atol=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(predict(), after)
        with teacher.in_place():
            assert torch.equal(predict(), before)
        assert torch.equal(predict(), after)


@pytest.mark.parametrize("kind", ["base", "ema", "trust-region"])
def test_teachers_are_the_same_under_autocast(make_model, tokenizer, tmp_path, kind):
    found = []
    for bf16 in (False, True):
        trainer = make_loss_trainer(
            make_model, tokenizer, tmp_path, distillation_weight=0.5, teacher=kind, trust_region_weight=0.5, bf16=bf16
        )
        moved(trainer.model)
        trainer._compute_loss(trainer.model, make_inputs()).backward()
        assert all(parameter.dtype == torch.float32 for parameter in trainer.model.parameters())
        found.append((trainer._metrics["train"]["distillation/divergence"], gradients(trainer.model)))
    (exact, wanted), (rounded, got) = found
    assert rounded == pytest.approx(exact, rel=0.01)
    apart = sum((got[name] - wanted[name]).square().sum() for name in wanted) ** 0.5
    assert apart < 0.03 * sum(value.square().sum() for value in wanted.values()) ** 0.5


@pytest.mark.parametrize("cast", [False, True])
def test_both_terms_obey_the_precision_of_the_head(make_model, tokenizer, tmp_path, monkeypatch, cast):
    chosen = []
    monkeypatch.setattr(losses, "product_dtype", lambda *_: chosen.append(torch.float32) or torch.float32)
    trainer = make_loss_trainer(
        make_model, tokenizer, tmp_path, distillation_weight=0.5, teacher="live", cast_lm_head_to_fp32=cast
    )
    trainer._compute_loss(trainer.model, make_inputs())
    # By the device, or else always float32
    assert len(chosen) == (0 if cast else 1)


CONTINUOUS = {
    "use_transformers_continuous_batching": True,
    "transformers_continuous_batching_config": {
        "max_memory_percent": 0.01,
        "num_blocks": 16,
        "page_size": 32,
        "max_batch_tokens": 64,
    },
    "bf16": True,
}


def test_continuous_batching_leaves_the_precision_of_the_weights(guesser, tokenizer, tmp_path):
    trainer = make_trainer(guesser, tokenizer, tmp_path, max_steps=1, learning_rate=1e-6, **CONTINUOUS)
    before = {name: parameter.clone() for name, parameter in trainer.model.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in trainer.model.named_buffers()}
    trainer.train()
    for name, parameter in trainer.model.named_parameters():
        assert parameter.dtype == torch.float32
        # Steps of 1e-6, of which bfloat16 would keep nothing
        assert 0 < (parameter - before[name]).abs().max() < 2e-6, name
    assert buffers and all(torch.equal(buffers[name], buffer) for name, buffer in trainer.model.named_buffers())


def test_continuous_batching_does_not_turn_an_evaluation_into_training(guesser, tokenizer, tmp_path):
    trainer = make_trainer(
        guesser, tokenizer, tmp_path, max_steps=1, per_device_eval_batch_size=16, num_generations_eval=8, **CONTINUOUS
    )
    metrics = trainer.evaluate(load_problems_for_rl(PROBLEMS, conversational=False))
    assert metrics["eval_execution/pass_rate"] == metrics["eval_reward"] < 0.5
    assert not trainer.model.training and not (tmp_path / "rollouts").exists()


def test_a_compiled_model_trains_as_it_is(make_model, tokenizer, tmp_path):
    found = []
    for settings in ({}, {"torch_compile": True, "torch_compile_backend": "eager"}):
        torch._dynamo.reset()
        trainer = make_loss_trainer(
            make_model,
            tokenizer,
            tmp_path,
            distillation_weight=0.5,
            teacher="ema",
            teacher_update_rate=0.5,
            **settings,
        )
        moved(trainer.model)
        ids, _ = trainer._generate_single_turn([[5, 6, 7], [8, 9]], None, {}, num_generations=1)
        loss = trainer._compute_loss(trainer.model, make_inputs())
        loss.backward()
        found.append((ids, loss.item(), gradients(trainer.model)))
    (ids, loss, wanted), (other_ids, other_loss, got) = found
    assert ids == other_ids and other_loss == pytest.approx(loss, rel=1e-5)
    for name in wanted:
        torch.testing.assert_close(got[name], wanted[name], rtol=1e-4, atol=1e-7)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


def test_without_a_teacher_it_is_trls_trainer(guesser, tokenizer, tmp_path):
    """The same prompts, answers and weights as `GRPOTrainer`, over a whole epoch."""
    settings = SETTINGS | {"num_iterations": 2, "beta": 0.01, "max_steps": 4, "bf16": True}
    guesser.save_pretrained(tmp_path / "model")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")  # from its folder, so is the reference model
    ours = make_trainer(loaded, tokenizer, tmp_path / "ours", distillation_weight=0.0, **settings)
    ours.train()
    trls = GRPOTrainer(
        str(tmp_path / "model"),
        reward_funcs=scripted_reward(),
        args=GRPOConfig(str(tmp_path / "trls"), logging_steps=1, **settings),
        train_dataset=ours.train_dataset,
        processing_class=tokenizer,
    )
    trls.train()
    for one, other in zip(ours.state.log_history[:4], trls.state.log_history[:4], strict=True):
        for name in set(other) - {"step_time"}:
            assert one[name] == pytest.approx(other[name], abs=1e-5), name
    for (name, one), other in zip(ours.model.named_parameters(), trls.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name)
    assert max(log["kl"] for log in ours.state.log_history[:4]) > 1e-4
