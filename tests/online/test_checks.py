"""What would make an online training fail or learn nothing: one sentence each, before the model is loaded or used."""

import ast
import inspect
import re

import pytest
import torch
from datasets import Dataset, IterableDataset, concatenate_datasets
from peft import LoraConfig, get_peft_model
from trl import GRPOConfig, GRPOTrainer

from reflection_trl import (
    OnlineReflectionDistillConfig,
    OnlineReflectionDistillTrainer,
    execution_reward,
    load_problems_for_rl,
    repair_environment,
)
from reflection_trl.online.checks import requirements, runs_programs
from reflection_trl.online.config import CHOICES
from reflection_trl.problems import Problem, load_problems
from reflection_trl.sandbox import Sandbox, SandboxUnavailableError
from reflection_trl.training.checks import settings_without_effect

from .conftest import ADD, BASH, SAT
from .scripted import scripted_reward


SETTINGS = {
    "per_device_train_batch_size": 4,
    "num_generations": 2,
    "max_completion_length": 8,
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
}


def make(model, folder, tokenizer=None, dataset=None, reward=None, eval_dataset=None, peft_config=None, **settings):
    return OnlineReflectionDistillTrainer(
        model,
        peft_config=peft_config,
        eval_dataset=eval_dataset,
        reward_funcs=reward if reward is not None else scripted_reward(),
        args=OnlineReflectionDistillConfig(str(folder), **(SETTINGS | settings)),
        train_dataset=load_problems_for_rl([ADD, SAT]) if dataset is None else dataset,
        processing_class=tokenizer,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_generations": 1}, "`num_generations` is 1, but rewards are compared within a group"),
        (
            {"num_generations": 4, "per_device_train_batch_size": 3, "gradient_accumulation_steps": 2},
            "`per_device_train_batch_size` * processes * `steps_per_generation` (3 * 1 * 2) is 6, but a generation batch contains whole "
            "groups of `num_generations` answers to one prompt; set it to a multiple of 4.",
        ),
        (
            {"num_generations": 4, "per_device_train_batch_size": 2, "generation_batch_size": 6},
            "`generation_batch_size` is 6, but a generation batch contains whole groups",
        ),
        ({"distillation_weight": 1.5}, "`distillation_weight` is 1.5; it must lie in [0, 1]"),
        ({"distillation_beta": -0.1}, "`distillation_beta` is -0.1; it must lie in [0, 1]"),
        ({"distillation_temperature": 0.0}, "`distillation_temperature` is 0.0; it must be above 0"),
        ({"distillation_temperature": float("nan")}, "`distillation_temperature` is nan; it must be above 0"),
        ({"teacher": "frozen"}, "`teacher` is 'frozen'; use one of ema, base, trust-region, live"),
        ({"max_feedback_length": 0}, "`max_feedback_length` is 0; it must be at least 1"),
        ({"show_feedback": False, "show_peer": False}, "the teacher knows no more than the student"),
        ({"dynamic_sampling_rounds": -1}, "`dynamic_sampling_rounds` is -1; it must be 0 (off) or a number of rounds"),
        ({"remove_unused_columns": True}, "`remove_unused_columns` is on, which would remove the tests"),
        (
            {"loss_type": "ppo"},
            "`loss_type` is 'ppo'; use one of grpo, dr_grpo, dapo, bnpo, cispo, sapo, luspo, vespo.",
        ),
        ({"scale_rewards": "std"}, "`scale_rewards` is 'std'; use one of group, batch, none."),
        ({"importance_sampling_level": "word"}, "`importance_sampling_level` is 'word'; use one of token, sequence."),
        (
            {"multi_objective_aggregation": "sum"},
            "`multi_objective_aggregation` is 'sum'; use one of sum_then_normalize,",
        ),
        (
            {"vllm_importance_sampling_mode": "token"},
            "`vllm_importance_sampling_mode` is 'token'; use one of token_truncate,",
        ),
        ({"vllm_mode": "remote"}, "`vllm_mode` is 'remote'; use one of server, colocate."),
        ({"min_p": 1.5}, "`min_p` is 1.5; it must lie in [0, 1]."),
        ({"top_entropy_quantile": 20}, "`top_entropy_quantile` is 20; it must lie in [0, 1]."),
        ({"top_p": 0.0}, "`top_p` is 0.0; it must lie in (0, 1]."),
        ({"top_p": 1.1}, "`top_p` is 1.1; it must lie in (0, 1]."),
        ({"temperature": 0.0}, "`temperature` is 0.0; it must be above 0."),
        ({"temperature": float("inf")}, "`temperature` is inf; it must be above 0."),
        ({"delta": -0.5}, "`delta` is -0.5; it must be above 0."),
        ({"beta": -0.1}, "`beta` is -0.1; it must not be negative."),
        ({"top_k": -1}, "`top_k` is -1; it must not be negative."),
        ({"num_iterations": 0}, "`num_iterations` is 0; it must be at least 1."),
        ({"num_generations_eval": 0}, "`num_generations_eval` is 0; it must be at least 1."),
        ({"num_generations": None}, "`num_generations` is None, but rewards are compared within a group"),
        ({"max_completion_length": 0}, "`max_completion_length` is 0; it must be at least 1."),
        (
            {"max_completion_length": None},
            "`max_completion_length` is None, with which transformers samples 20 tokens",
        ),
        ({"pad_to_multiple_of": 0}, "`pad_to_multiple_of` is 0; it must be at least 1."),
        ({"gradient_accumulation_steps": 0}, "`gradient_accumulation_steps` is 0; it must be at least 1."),
        ({"max_steps": 0}, "`max_steps` is 0 and `num_train_epochs` is 3.0, so there is nothing to train"),
        ({"label_smoothing_factor": 0.1}, "`label_smoothing_factor` is 0.1, but no loss term has labels to smooth"),
        ({"data_seed": 1}, "`data_seed` is 1, but the order of the prompts depends on `seed`; leave it at None."),
        (
            {"train_sampling_strategy": "sequential"},
            "`train_sampling_strategy` is 'sequential', but `shuffle_dataset`",
        ),
        (
            {"include_num_input_tokens_seen": True},
            "`include_num_input_tokens_seen` is True, but `num_tokens` is always",
        ),
        (
            {"accelerator_config": {"dispatch_batches": True}},
            "`dispatch_batches` of `accelerator_config` concatenates",
        ),
        (
            {"accelerator_config": {"split_batches": True}},
            "`split_batches` of `accelerator_config` divides each batch among the processes",
        ),
        (
            {"generation_kwargs": {"surpress_tokens": [1]}},
            "`generation_kwargs` has surpress_tokens, which transformers would ignore",
        ),
        (
            {"generation_kwargs": {"num_return_sequences": 2}},
            "`generation_kwargs` has `num_return_sequences=2`, but `num_generations`",
        ),
        (
            {"generation_kwargs": {"stop_strings": ["x"]}},
            "`generation_kwargs` has `stop_strings=['x']`, but TRL passes no tokenizer",
        ),
        (
            {"generation_kwargs": {"do_sample": False}},
            "`generation_kwargs` has `do_sample=False`, but answers to a prompt that are not sampled are equal",
        ),
        (
            {"generation_kwargs": {"temperature": 0.5}},
            "`generation_kwargs` has `temperature=0.5`, but the loss has the probabilities of the trainer's `temperature`",
        ),
        (
            {"generation_kwargs": {"max_new_tokens": 4}},
            "`generation_kwargs` has `max_new_tokens=4`, but `max_completion_length` is the length",
        ),
        (
            {"generation_kwargs": {"max_tokens": 4}, "use_vllm": True},
            "`generation_kwargs` has `max_tokens=4`, but `max_completion_length` is the length",
        ),
        (
            {"generation_kwargs": {"eos_token_id": 4}},
            "`generation_kwargs` has `eos_token_id=4`, but TRL looks for the tokenizer's tokens",
        ),
    ],
)
def test_settings(tmp_path, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        OnlineReflectionDistillConfig(str(tmp_path), **(SETTINGS | settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_generations_eval": None, "min_p": 0.0, "top_k": 0, "top_p": 1.0, "delta": None, "epsilon": 0.0},
        {"scale_rewards": False, "pad_to_multiple_of": "8", "generation_kwargs": {"suppress_tokens": [1]}},
        {"generation_kwargs": {"do_sample": True, "top_k": 20, "min_new_tokens": 2}},
        {"scale_rewards": True, "top_entropy_quantile": 0, "ref_model_mixup_alpha": 1.0, "max_feedback_length": 1},
        {"max_completion_length": None, "use_vllm": True, "generation_kwargs": {"stop": ["x"]}},
    ],
)
def test_settings_at_the_edge_of_their_range(tmp_path, settings):
    OnlineReflectionDistillConfig(str(tmp_path), **(SETTINGS | settings))


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"stop_strings": ["x"]}, "TRL passes no tokenizer to the generation"),
        ({"token_healing": True}, "TRL passes no tokenizer to the generation"),
        ({"prompt_lookup_num_tokens": 2}, "transformers then generates only one answer at a time"),
        ({"assistant_early_exit": 1}, "transformers then generates only one answer at a time"),
        ({"return_dict_in_generate": True}, "TRL reads token ids, not a dictionary"),
        ({"num_return_sequences": 2}, "`num_generations` determines the number of answers"),
        ({"num_beam_groups": 2}, "its code is on the Hub"),
        ({"dola_layers": "low"}, "its code is on the Hub"),
    ],
)
def test_generation_that_does_not_give_the_expected_answers(make_model, tokenizer, tmp_path, setting, reason):
    [(name, value)] = setting.items()
    with pytest.raises(ValueError, match=re.escape(f"`generation_kwargs` has `{name}={value!r}`, but {reason}")):
        OnlineReflectionDistillConfig(str(tmp_path), **SETTINGS, generation_kwargs=setting)
    model = make_model()
    setattr(model.generation_config, name, value)
    with pytest.raises(
        ValueError, match=re.escape(f"`generation_config` of `Qwen2ForCausalLM` has `{name}={value!r}`, but {reason}")
    ):
        make(model, tmp_path, tokenizer)
    make(model, tmp_path, tokenizer, use_transformers_continuous_batching=True)


def test_generation_of_models_with_settings_at_their_defaults(make_model, tokenizer, tmp_path):
    model = make_model()
    model.generation_config.update(num_return_sequences=1, num_beam_groups=1, return_dict_in_generate=False)
    make(model, tmp_path, tokenizer)


def values_in_source(name):
    """The strings with which TRL's trainer compares a setting."""
    for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(GRPOTrainer)))):
        if isinstance(node, ast.Compare) and getattr(node.left, "attr", None) == name:
            yield from (c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str))


@pytest.mark.parametrize("name", sorted(set(CHOICES) - {"teacher"}))
def test_the_values_of_settings_are_those_of_trl(name):
    documented = re.search(rf"\n {{8}}{name} \(.*?(?=\n {{8}}\w+ \()", GRPOConfig.__doc__, re.DOTALL).group()
    assert set(CHOICES[name]) <= set(re.findall(r'"(\w+)"', documented))
    assert set(values_in_source(name)) <= set(CHOICES[name])
    assert set(re.findall(r'^ *- `(?:\w+` or `)?"(\w+)"', documented, re.MULTILINE)) <= set(CHOICES[name])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {}),
        (
            {"teacher_update_rate": 0.1, "distillation_temperature": 2.0, "vllm_mode": "server", "use_vllm": True},
            {},
        ),
        (
            {"vllm_mode": "server", "vllm_server_port": 1},
            {"`use_vllm`": ["vllm_mode", "vllm_server_port"]},
        ),
        (
            {"teacher": "base", "teacher_update_rate": 0.1, "trust_region_weight": 0.1},
            {"`teacher='ema'`": ["teacher_update_rate"], "`teacher='trust-region'`": ["trust_region_weight"]},
        ),
        (
            {"distillation_weight": 0.0, "distillation_beta": 0.5, "teacher": "live"},
            {"`distillation_weight` above 0": ["distillation_beta", "teacher"]},
        ),
        (
            {"distillation_weight": 0.0, "show_peer": False, "teach_passed": True, "max_feedback_length": 9},
            {
                "`distillation_weight` above 0": ["show_peer", "teach_passed"],
                "`distillation_weight` above 0, or `repair_failed`": ["max_feedback_length"],
            },
        ),
        ({"show_feedback": False, "max_feedback_length": 9, "repair_failed": True, "distillation_weight": 0.5}, {}),
        (
            {"show_feedback": False, "max_feedback_length": 9},
            {"`show_feedback` or `repair_failed`": ["max_feedback_length"]},
        ),
        (
            {"loss_type": "cispo", "epsilon_high": 5.0, "delta": 2.0, "sapo_temperature_neg": 1.0},
            {
                "`loss_type='sapo'`": ["sapo_temperature_neg"],
                "a `loss_type` other than 'cispo', 'sapo' and 'vespo'": ["delta"],
            },
        ),
        (
            {"loss_type": "sapo", "epsilon_high": 0.28, "vespo_k_pos": 1.0},
            {
                "`loss_type='vespo'`": ["vespo_k_pos"],
                "a `loss_type` other than 'sapo' and 'vespo'": ["epsilon_high"],
            },
        ),
        (
            {"scale_rewards": "none", "multi_objective_aggregation": "normalize_then_sum"},
            {"`multi_objective_aggregation='sum_then_normalize'`": ["scale_rewards"]},
        ),
        ({"eval_strategy": "steps", "eval_steps": 5}, {}),
        ({"eval_steps": 5}, {"an `eval_strategy` other than 'no'": ["eval_steps"]}),
        (
            {"ref_model_sync_steps": 8, "entropy_target": 1.0, "entropy_coef": 0.1, "num_completions_to_print": 3},
            {
                "`sync_ref_model`": ["ref_model_sync_steps"],
                "`use_adaptive_entropy`": ["entropy_target"],
                "`log_completions`": ["num_completions_to_print"],
            },
        ),
    ],
)
def test_settings_that_only_another_setting_makes_effective(tmp_path, settings, expected):
    args = OnlineReflectionDistillConfig(str(tmp_path), **SETTINGS, **settings)
    assert settings_without_effect(args, requirements(args)) == expected


def test_variables_that_the_template_does_not_read_are_named(make_model, tokenizer, tmp_path, caplog):
    make(make_model(), tmp_path, tokenizer, chat_template_kwargs={"thinking": False})
    assert "`chat_template_kwargs` has `thinking`, which the chat template of the model does not read" in caplog.text


def test_settings_without_effect_are_named(tmp_path, caplog):
    with pytest.raises(ValueError, match="The easy dataset is empty"):
        make(
            "no/model",
            tmp_path,
            eval_dataset={"easy": load_problems_for_rl([ADD]).select([])},
            delta=2.0,
            loss_type="cispo",
        )
    assert (
        "`delta` has no effect on the training without a `loss_type` other than 'cispo', 'sapo' and 'vespo'."
        in caplog.text
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"init_lora_weights": "pissa"},
            "`beta` is 0.1, but with `init_lora_weights='pissa'` the adapter also changes",
        ),
        ({"bias": "lora_only"}, "`beta` is 0.1, but with `bias='lora_only'` the adapter also changes the base model"),
    ],
)
def test_a_reference_model_that_the_adapter_changes(make_model, tokenizer, tmp_path, settings, message):
    lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", **settings)
    with pytest.raises(ValueError, match=re.escape(message)):
        make("no/model", tmp_path, peft_config=lora, beta=0.1)
    with pytest.raises(ValueError, match=re.escape(message)):
        make(get_peft_model(make_model(), lora), tmp_path, tokenizer, beta=0.1)
    make(make_model(), tmp_path, tokenizer, peft_config=lora)
    make(make_model(), tmp_path, tokenizer, peft_config=LoraConfig(r=2, target_modules=["q_proj"]), beta=0.1)


@pytest.mark.parametrize("teacher", ["ema", "base", "trust-region"])
def test_a_second_copy_of_sharded_weights_is_refused_before_they_are_loaded(tmp_path, monkeypatch, teacher):
    (tmp_path / "config.json").write_text("{}")  # is rejected when it is loaded
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ValueError, match=f"`teacher='{teacher}'` keeps a second copy of the trained weights"):
        make(str(tmp_path), tmp_path, teacher=teacher)
    with pytest.raises(ValueError, match="config"):
        make(str(tmp_path), tmp_path, teacher=teacher, distillation_weight=0.0)


def test_a_teacher_that_is_not_used_may_know_nothing(tmp_path):
    OnlineReflectionDistillConfig(
        str(tmp_path), **SETTINGS, distillation_weight=0.0, show_feedback=False, show_peer=False
    )


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        (
            Dataset.from_list([{"text": "x"}]),
            ValueError,
            "needs a column `prompt`, and `tests`, `examples` or `answer`",
        ),
        (Dataset.from_list([{"prompt": "x", "solution": "1"}]), ValueError, "but has prompt, solution"),
        ([{"prompt": "x"}], TypeError, "must be a `Dataset` or `IterableDataset`, got `list`"),
        (load_problems_for_rl([ADD]), ValueError, "has 1 prompts, fewer than the 2 of one generation batch"),
        (load_problems_for_rl([ADD, SAT]).select([]), ValueError, "The train dataset is empty"),
        (
            Dataset.from_list([{"prompt": "x", "tests": "c"}, {"prompt": "y", "tests": None}]),
            ValueError,
            "1 of 2 rows of `train_dataset` are without `tests`, `examples` or `answer` to judge answers by: 1; leave",
        ),
        (
            Dataset.from_list([{"prompt": [], "problem_id": f"p{i}", "tests": "c"} for i in range(4)]),
            ValueError,
            "4 of 4 rows of `train_dataset` are without a prompt: 'p0', 'p1', 'p2' and others; leave these problems out",
        ),
        *(
            (
                Dataset.from_list([{"prompt": prompt, "tests": "c"}]),
                ValueError,
                "1 of 1 rows of `train_dataset` are without a prompt of text or of messages with `role` and `content`: 0;",
            )
            for prompt in (None, 5, ["x"], {"role": "user", "content": "x"}, [{"from": "human", "value": "x"}])
        ),
        (
            Dataset.from_list([{"prompt": "x", "tests": "c", "images": []}]),
            ValueError,
            "`train_dataset` has a column `images`, but this trainer reads only text; remove the column, or train on",
        ),
        (
            Dataset.from_list(
                [
                    {"prompt": [{"role": "user", "content": [{"type": kind, "text": "x"}]}], "tests": "c"}
                    for kind in ("text", "image")
                ]
            ),
            ValueError,
            "1 of 2 rows of `train_dataset` are without a prompt of text alone: 1; leave these problems out",
        ),
        (
            IterableDataset.from_generator(lambda: iter([{"prompt": "x"}])),
            ValueError,
            "`train_dataset` needs a column `prompt`, and `tests`, `examples` or `answer` to judge answers by, but has prompt",
        ),
        (
            Dataset.from_list([{"prompt": "x", "tests": "c"}, {"prompt": "y", "tests": "assert ("}]),
            ValueError,
            "The answers to the problem '1' cannot be judged: the tests are not Python",
        ),
    ],
)
def test_datasets(make_model, tokenizer, tmp_path, dataset, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make(make_model(), tmp_path, tokenizer, dataset)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eval_strategy": "steps"}, "`eval_strategy` is 'steps', but there is no `eval_dataset`"),
        ({"eval_on_start": True}, "`eval_on_start` is set, but there is no `eval_dataset`"),
        ({"report_to": "wandb"}, "`report_to` names 'wandb', which is not installed"),
    ],
)
def test_what_fails_later_is_found_before_the_model_is_loaded(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        make("no/model", tmp_path, **settings)


def test_held_out_problems_are_checked_too(tmp_path):
    rows = load_problems_for_rl([ADD, SAT])
    with pytest.raises(ValueError, match="The easy dataset is empty"):
        make("no/model", tmp_path, eval_dataset={"easy": rows.select([])})
    untested = rows.map(lambda row: {"tests": "" if row["problem_id"] == "sat" else row["tests"]})
    with pytest.raises(ValueError, match=r"1 of 2 rows of `eval_dataset` are without `tests`, .*: 'sat';"):
        make("no/model", tmp_path, eval_dataset=untested)


@pytest.mark.parametrize(
    ("processes", "size", "warns"), [(1, 16, False), (2, 2, False), (2, 8, True), (4, 1, False), (4, 2, True)]
)
def test_prompts_that_fill_the_last_batch_of_an_evaluation(tmp_path, caplog, monkeypatch, processes, size, warns):
    monkeypatch.setattr(OnlineReflectionDistillConfig, "world_size", processes)
    rows = load_problems_for_rl([ADD, SAT])
    with pytest.raises(ValueError, match="fewer than the"):
        make(
            "no/model",
            tmp_path,
            dataset=rows.select([0]),
            eval_dataset={"easy": rows},
            per_device_eval_batch_size=size,
        )
    warning = f"The last batch of `easy` has 4 of {size * processes} answers on {processes} processes. It is filled"
    assert (warning in caplog.text) == warns


@pytest.mark.parametrize(("size", "settings"), [(5, {}), (8, {"num_generations_eval": 3})])
def test_batches_of_an_evaluation_hold_whole_groups(tmp_path, size, settings):
    with pytest.raises(
        ValueError, match=rf"`per_device_eval_batch_size` {size} on 1 processes does not contain whole"
    ):
        make(
            "no/model",
            tmp_path,
            eval_dataset=load_problems_for_rl([ADD]),
            per_device_eval_batch_size=size,
            **settings,
        )


@pytest.mark.parametrize(
    ("settings", "named", "message"),
    [
        ({"load_best_model_at_end": True}, None, "`metric_for_best_model` is 'loss', but the loss of an evaluation"),
        ({"lr_scheduler_type": "reduce_lr_on_plateau"}, None, "`metric_for_best_model` is 'loss', but the loss of an"),
        (
            {"load_best_model_at_end": True, "metric_for_best_model": "eval_easy_loss"},
            "easy",
            "`metric_for_best_model` is 'eval_easy_loss', but the loss of an evaluation",
        ),
        (
            {"load_best_model_at_end": True, "metric_for_best_model": "eval_reward"},
            "easy",
            "`metric_for_best_model` is 'eval_reward', but each of several evaluation datasets has metrics of its own",
        ),
        ({"load_best_model_at_end": True, "metric_for_best_model": "reward"}, None, "fewer than the 2"),
        ({"load_best_model_at_end": True, "metric_for_best_model": "eval_easy_reward"}, "easy", "fewer than the 2"),
    ],
)
def test_metrics_that_select_a_checkpoint_measure_answers(tmp_path, settings, named, message):
    rows = load_problems_for_rl([ADD])
    with pytest.raises(ValueError, match=message):
        make(
            "no/model",
            tmp_path,
            dataset=rows,
            eval_dataset=rows if named is None else {named: rows},
            eval_strategy="steps",
            eval_steps=1,
            save_steps=1,
            **settings,
        )


def test_held_out_problems_that_are_trained_on_are_counted(tmp_path, caplog):
    rows = load_problems_for_rl([ADD, SAT])
    other = load_problems_for_rl([BASH])
    for eval_dataset in (other, {"new": other, "seen": concatenate_datasets([other, rows])}):
        assert not caplog.records
        with pytest.raises(ValueError, match="fewer than the 4"):
            make("no/model", tmp_path, dataset=rows, eval_dataset=eval_dataset, per_device_train_batch_size=8)
    assert "2 of 3 prompts of `seen` are also in `train_dataset`, so their solve rate is not that of" in caplog.text


def test_a_compiler_that_is_missing_is_named_before_the_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("reflection_trl.languages.bash.Bash.missing", lambda self: "Install bash.")
    with pytest.raises(ValueError, match="Install bash"):
        make("no/model", tmp_path, dataset=load_problems_for_rl([ADD, BASH]))


def test_answers_of_zero_are_answers(make_model, tokenizer, tmp_path):
    make(make_model(), tmp_path, tokenizer, Dataset.from_list([{"prompt": "x", "answer": 0}] * 2))


def test_dynamic_sampling_needs_a_dataset_of_known_length(make_model, tokenizer, tmp_path):
    stream = load_problems_for_rl([ADD, SAT]).to_iterable_dataset()
    with pytest.raises(ValueError, match="`dynamic_sampling_rounds` is 2, but `train_dataset` is a stream"):
        make(make_model(), tmp_path, tokenizer, stream, dynamic_sampling_rounds=2, max_steps=1)


def test_a_prompt_longer_than_the_context(make_model, tokenizer, tmp_path):
    with pytest.raises(
        ValueError, match=r"2 of 2 prompts leave no room for 2040 completion tokens in a context of 2048: 'add' \("
    ):
        make(make_model(), tmp_path, tokenizer, max_completion_length=2040)
    long = load_problems_for_rl([Problem("long", "word " * 2100, tests=ADD.tests, entry_point="add")])
    with pytest.raises(ValueError, match=r"1 of 1 prompts leave no room for 8 completion tokens .*: 'long' \("):
        make(make_model(), tmp_path, tokenizer, eval_dataset={"held_out": long})


def test_steps_that_are_rounded_to_zero(make_model, tokenizer, tmp_path, caplog):
    make(make_model().to(torch.bfloat16), tmp_path, tokenizer, learning_rate=2e-6)
    assert "The trained weights are in bfloat16, in which steps of `learning_rate` 2e-06 are rounded" in caplog.text


def test_rewards_without_feedback(make_model, tokenizer, tmp_path):
    for reward, number in (([lambda **_: []], 0), ([scripted_reward(), scripted_reward()], 2)):
        with pytest.raises(ValueError, match=rf"must have one `execution_reward\(\.\.\.\)`.* but has {number}"):
            make(make_model(), tmp_path, tokenizer, reward=reward)


def test_lengths_are_punished_for_the_limit_of_the_trainer(tmp_path):
    for weight, message in (
        (0.5, "up to a `max_completion_length` of 16, but the trainer's is 8"),
        (0.0, "huggingface.co"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            make("no/model", tmp_path, reward=execution_reward(length_weight=weight, max_completion_length=16))


def test_another_reward_may_stand_beside(make_model, tokenizer, tmp_path):
    def short(completions, **_):
        return [0.25] * len(completions)

    trainer = make(
        make_model(), tmp_path, tokenizer, reward=[short, scripted_reward()], max_steps=1, save_strategy="no"
    )
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["reward"] == 0.25 and log["rewards/short/mean"] == 0.25 and log["execution/pass_rate"] == 0.0


def test_settings_of_another_trainer(make_model, tmp_path):
    from trl import GRPOConfig

    with pytest.raises(TypeError, match="must be an `OnlineReflectionDistillConfig`, got `GRPOConfig`"):
        OnlineReflectionDistillTrainer(make_model(), args=GRPOConfig(str(tmp_path), **SETTINGS))


def test_vllm_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("reflection_trl.online.checks.is_vllm_available", lambda: False)
    with pytest.raises(ImportError, match="vLLM is not installed: run `pip install vllm`"):
        make("no/model", tmp_path, use_vllm=True)


def test_a_folder_without_a_model(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty"):
        make(str(tmp_path / "empty"), tmp_path)


PROGRAMS = [{"instruction": "Write f, which returns 1.", "tests": "assert f() == 1"}]
ANSWERS = [{"question": "What is 6 times 6?", "answer": "#### 36"}]
CHECKED = [{"instruction": "What?", "answer": "1", "checker": "def check(answer, expected):\n    return True"}]


@pytest.fixture
def no_sandbox(monkeypatch):
    def refuse(self):
        raise SandboxUnavailableError("No isolation mechanism works on this machine.")

    monkeypatch.setattr(Sandbox, "start", refuse)


def test_a_machine_on_which_no_sandbox_holds(no_sandbox):
    reward = execution_reward()
    with pytest.raises(SandboxUnavailableError, match="No isolation mechanism works"):
        reward(["?"], ["```python\nx = 1\n```"], tests=["assert x"])
    with pytest.raises(SandboxUnavailableError, match="No isolation mechanism works"):
        repair_environment()


@pytest.mark.parametrize(
    ("rows", "eval_rows"),
    [
        (PROGRAMS, {}),
        ([*load_problems(ANSWERS), ADD], {}),
        (CHECKED, {}),
        (ANSWERS, {"": PROGRAMS}),
        (ANSWERS, {"x": PROGRAMS}),
    ],
)
def test_training_on_programs_needs_a_sandbox_before_the_model_is_loaded(no_sandbox, tmp_path, rows, eval_rows):
    (tmp_path / "config.json").write_text("{}")  # is rejected when it is loaded
    evaluated = {name: load_problems_for_rl(given) for name, given in eval_rows.items()}
    with pytest.raises(SandboxUnavailableError, match="No isolation mechanism works"):
        OnlineReflectionDistillTrainer(
            str(tmp_path),
            args=OnlineReflectionDistillConfig(str(tmp_path), **(SETTINGS | {"per_device_train_batch_size": 2})),
            train_dataset=load_problems_for_rl(rows),
            eval_dataset=evaluated.get("", evaluated) or None,
        )


def test_final_answers_need_no_sandbox(no_sandbox):
    dataset = load_problems_for_rl(ANSWERS)
    assert not runs_programs(dataset, {"x": dataset}) and not runs_programs(dataset.to_iterable_dataset(), None)
    assert runs_programs(load_problems_for_rl(PROGRAMS).to_iterable_dataset(), None)
    reward = execution_reward()
    assert reward(["?"], [r"\boxed{36}"], answer=["#### 36"]) == [1.0]
    assert reward.judge._executor is None
