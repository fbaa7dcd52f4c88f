"""Settings that would train something else than they say are refused."""

from types import SimpleNamespace

import pytest
import torch
from accelerate import ParallelismConfig
from conftest import tiny_config
from datasets import Dataset
from peft import AdaLoraConfig, LoraConfig, PeftModel, get_peft_model
from reference import make_trainer
from transformers import Phi3Config

from reflection_trl import PAPER_PRESET, ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.training.accelerator import adjust_accelerator
from reflection_trl.training.checks import check_adapter, requirements, settings_without_effect, warn_of_lost_steps


ON_CPU = {"report_to": "none", "use_cpu": True, "bf16": False}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {}),
        (PAPER_PRESET, {}),
        ({"teacher": "ema", "teacher_update_rate": 0.1, "temperature": 2.0, "beta": 1.0}, {}),
        ({"mask_strategy": ["all", "random-token"], "mask_schedule": "step", "mask_levels": 3}, {}),
        ({"teacher_update_rate": 0.1}, {"`teacher='ema'`": ["teacher_update_rate"]}),
        ({"eval_strategy": "steps", "eval_steps": 5, "eval_delay": 2}, {}),
        (
            {"load_best_model_at_end": True, "save_strategy": "no"},
            {"an `eval_strategy` other than 'no'": ["load_best_model_at_end"]},
        ),
        ({"eval_steps": 5, "eval_delay": 2}, {"an `eval_strategy` other than 'no'": ["eval_steps", "eval_delay"]}),
        (
            {"distillation_weight": 0.0, "beta": 0.5, "temperature": 2.0, "teacher": "base"},
            {"`distillation_weight` above 0": ["beta", "temperature", "teacher"]},
        ),
        ({"mask_levels": 3, "mask_schedule": "cosine"}, {"`mask_schedule='step'`": ["mask_levels"]}),
        (
            {"mask_schedule": "constant", "mask_rate_start": 0.5, "mask_rate_end": 0.9},
            {"a `mask_schedule` other than 'constant'": ["mask_rate_start"]},
        ),
        (
            {"mask_strategy": ["random-block", "all"], "mask_order": ["text", "code", "execution"]},
            {"'block-type' in `mask_strategy`": ["mask_order"]},
        ),
        (
            {
                "mask_strategy": ["all", "none"],
                "mask_schedule": "cosine",
                "mask_rate_start": 0.1,
                "mask_rate_end": 0.5,
            },
            {
                "a `mask_strategy` other than 'all' and 'none'": ["mask_schedule", "mask_rate_start", "mask_rate_end"],
            },
        ),
        (
            {"student_loss_weight": 0.0, "distillation_weight": 0.0, "mask_strategy": ["all"]},
            {"`student_loss_weight` or `distillation_weight` above 0": ["mask_strategy"]},
        ),
        ({"student_loss_weight": 0.0, "mask_strategy": ["all"]}, {}),
        ({"distillation_weight": 0.0, "mask_strategy": ["all"]}, {}),
        (
            {"sequence_loss_weight": 0.0, "train_on_failed_attempts": False},
            {"`sequence_loss_weight` above 0": ["train_on_failed_attempts"]},
        ),
        ({"sequence_loss_weight": 0.0, "train_on_failed_attempts": False, "loss_normalization": "joint"}, {}),
        (
            {"rendering": "block-token", "execution_role": "user", "chat_template_kwargs": {"enable_thinking": False}},
            {"`rendering='chat'`": ["execution_role", "chat_template_kwargs"]},
        ),
    ],
)
def test_settings_that_only_another_setting_makes_effective(tmp_path, settings, expected):
    args = ReflectionDistillConfig(str(tmp_path), **ON_CPU, **settings)
    assert settings_without_effect(args, requirements(args)) == expected


def test_settings_without_effect_are_named_before_the_model_is_loaded(mixed_rows, tmp_path, caplog):
    args = ReflectionDistillConfig(str(tmp_path), **ON_CPU, teacher_update_rate=0.1)
    with pytest.raises(ValueError, match="does not exist"):
        ReflectionDistillTrainer("./no-model", args=args, train_dataset=Dataset.from_list(mixed_rows))
    assert "`teacher_update_rate` has no effect on the training without `teacher='ema'`." in caplog.text


@pytest.mark.parametrize("kind", ["cp", "sp", "tp"])
def test_sequences_and_layers_are_not_split_among_processes(kind):
    parallelism = ParallelismConfig(**{f"{kind}_size": 2})
    accelerator = SimpleNamespace(parallelism_config=parallelism, ao_recipe_handler=None, is_fsdp2=False)
    with pytest.raises(ValueError, match=f"`{kind}_size` is 2, but sequences and layers cannot be split.*Set it to 1"):
        adjust_accelerator(accelerator, SimpleNamespace(torch_compile=False))
    accelerator.parallelism_config = ParallelismConfig(dp_shard_size=2)
    adjust_accelerator(accelerator, SimpleNamespace(torch_compile=False))


@pytest.mark.parametrize(("learning_rate", "warns"), [(0.0019, True), (0.0020, False)])
def test_a_step_is_lost_below_half_the_distance_to_the_next_number(make_model, caplog, learning_rate, warns):
    """Below 1 the numbers of bfloat16 are 2^-8 apart, so a step of less than 2^-9 = 0.00195 leaves a weight of 1 as it is."""
    one = torch.ones((), dtype=torch.bfloat16)
    assert (one - learning_rate == one) == warns
    model = make_model().to(torch.bfloat16)
    for parameter in model.parameters():
        parameter.data.fill_(1)
    warn_of_lost_steps(model, learning_rate)
    assert ("are rounded to zero for most of them" in caplog.text) == warns


@pytest.mark.parametrize(
    ("dtype", "learning_rate", "warns"),
    [(torch.bfloat16, 2e-6, True), (torch.bfloat16, 1e-2, False), (torch.float32, 2e-6, False)],
)
def test_steps_that_half_precision_rounds_to_zero_are_reported(make_model, caplog, dtype, learning_rate, warns):
    model = make_model().to(dtype)
    before = model.model.layers[0].mlp.up_proj.weight.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    model(input_ids=torch.tensor([[5, 6, 7]]), labels=torch.tensor([[5, 6, 7]])).loss.backward()
    optimizer.step()
    same = (model.model.layers[0].mlp.up_proj.weight == before).float().mean()
    assert (same > 0.5) == warns
    model = make_model().to(dtype)
    warn_of_lost_steps(model, learning_rate)
    assert ("steps of `learning_rate` 2e-06 are rounded to zero" in caplog.text) == warns
    caplog.clear()
    warn_of_lost_steps(
        get_peft_model(model, LoraConfig(target_modules=["q_proj"]), autocast_adapter_dtype=False), learning_rate
    )
    assert not caplog.text


def test_the_trainer_reports_steps_that_are_rounded_to_zero(make_model, tokenizer, mixed_rows, tmp_path, caplog):
    make_trainer(make_model().to(torch.bfloat16), tokenizer, mixed_rows, tmp_path, learning_rate=1e-6)
    assert "The trained weights are in bfloat16, in which steps of `learning_rate` 1e-06 are rounded" in caplog.text


def test_an_adapter_that_was_loaded_for_inference_is_not_trained(make_model, tokenizer, mixed_rows, tmp_path):
    get_peft_model(make_model(), LoraConfig(target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")

    def make(**kwargs):
        adapted = PeftModel.from_pretrained(make_model(), tmp_path / "adapter", **kwargs)
        return make_trainer(adapted, tokenizer, mixed_rows, tmp_path / "out")

    with pytest.raises(
        ValueError, match=r"has no parameters to train, because it was loaded for inference; .*is_trainable=True"
    ):
        make()
    make(is_trainable=True)
    with pytest.raises(ValueError, match="`Qwen2ForCausalLM` has no parameters to train; set `requires_grad`"):
        make_trainer(make_model().requires_grad_(False), tokenizer, mixed_rows, tmp_path / "out")
    with pytest.raises(ValueError, match=r"adapter' contains an adapter, not a model; pass its base model"):
        make_trainer(str(tmp_path / "adapter"), tokenizer, mixed_rows, tmp_path / "out")


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        (
            LoraConfig(alora_invocation_tokens=[1, 2], task_type="CAUSAL_LM"),
            "after the last such tokens of a row, but packed",
        ),
        (AdaLoraConfig(total_step=9), "ADALORA allocates its ranks by a call of `update_and_allocate` in each step"),
    ],
)
def test_adapters_that_need_more_than_layers_are_refused(make_model, tokenizer, mixed_rows, tmp_path, adapter, says):
    with pytest.raises(ValueError, match=says):
        make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, peft_config=adapter)


def longrope(original):
    factors = [1.0] * 4
    rope = {"rope_type": "longrope", "short_factor": factors, "long_factor": [2.0] * 4, "rope_theta": 10000.0}
    rope["original_max_position_embeddings"] = original
    return Phi3Config(
        vocab_size=512, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=8192, original_max_position_embeddings=original, pad_token_id=0,
        rope_parameters=rope,
    )  # fmt: skip


DYNAMIC = tiny_config(rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0})


@pytest.mark.parametrize(("config", "limit"), [(longrope(1024), 1024), (DYNAMIC, 2048)], ids=["longrope", "dynamic"])
def test_rows_do_not_change_the_frequencies_of_others(make_model, tokenizer, mixed_rows, tmp_path, config, limit):
    """Above their original length these turn to other frequencies, for the short rows of a batch too."""
    for max_length in (4096, None):
        with pytest.raises(
            ValueError, match=rf"`max_length` is {max_length}, but .*set `max_length` to at most {limit}"
        ):
            make_trainer(make_model(config), tokenizer, mixed_rows, tmp_path, max_length=max_length)
    make_trainer(make_model(config), tokenizer, mixed_rows, tmp_path, max_length=limit)


@pytest.mark.parametrize("tied", [True, False])
def test_single_tokens_of_tied_embeddings_are_not_trained_under_fsdp2(make_model, tied):
    adapter = LoraConfig(target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [3], "lm_head": [3]})
    if tied:
        adapter.trainable_token_indices = {"embed_tokens": [3]}
    model = get_peft_model(make_model(tiny_config(tie_word_embeddings=tied)), adapter)
    check_adapter(model, is_fsdp2=False)
    if tied:
        with pytest.raises(
            ValueError, match=r"FSDP2 cannot shard the embeddings of `Qwen2ForCausalLM`.*tie_word_embeddings=False"
        ):
            check_adapter(model, is_fsdp2=True)
    else:
        check_adapter(model, is_fsdp2=True)
