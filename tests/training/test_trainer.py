"""The trainer as a user meets it: data it takes, what it logs and saves, and how it refuses."""

import dataclasses
import importlib.metadata
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import generation_row, reflection_row, tiny_config
from datasets import Dataset, DatasetDict, IterableDataset
from huggingface_hub import HfApi, ModelCard
from peft import AutoPeftModelForCausalLM, LoraConfig, PromptTuningConfig
from reference import make_trainer, prepared_rows, reference_loss, step_loss
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM, MistralConfig, Qwen3MoeConfig, TrainerCallback, pipeline
from trl import SFTTrainer

from reflection_trl import (
    PAPER_PRESET,
    DataCollatorForReflectionDistillation,
    ReflectionDistillConfig,
    ReflectionDistillTrainer,
    to_typed_blocks,
)
from reflection_trl.training.attention import PACKED_SDPA
from reflection_trl.training.checkpoints import CHECKPOINT_FILE
from reflection_trl.training.curves import summarize
from reflection_trl.training.metrics import EvaluationMetrics
from reflection_trl.training.teachers import TEACHER_FILE


MOE = Qwen3MoeConfig(
    vocab_size=512, hidden_size=32, intermediate_size=48, moe_intermediate_size=16, num_hidden_layers=1,
    num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_experts=4, num_experts_per_tok=2,
)  # fmt: skip
SHORT = {"max_steps": 2, "logging_steps": 1, "save_strategy": "no", "per_device_train_batch_size": 4}


@pytest.mark.parametrize("form", ["ours", "typed", "json"])
def test_takes_every_form_of_row(make_model, tokenizer, mixed_rows, tmp_path, form):
    rows = mixed_rows
    if form != "ours":
        rows = [to_typed_blocks(row) for row in rows]
    if form == "json":
        rows = [{**row, "messages": json.dumps(row["messages"])} for row in rows]
    trainer = make_trainer(make_model(), tokenizer, rows, tmp_path)
    plain = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    assert trainer.train_dataset.to_list() == plain.train_dataset.to_list()


def test_rows_without_a_sequence_are_plain_fine_tuning(make_model, tokenizer, tmp_path, caplog):
    rows = [generation_row(number) for number in range(4)]
    message = "The train dataset has no reflection rows, so nothing is distilled"
    make_trainer(make_model(), tokenizer, rows, tmp_path, token_budget=500)
    assert message in caplog.text
    caplog.clear()
    with pytest.raises(ValueError, match="no reflection rows, and `sequence_loss_weight` is 0, so nothing is trained"):
        make_trainer(make_model(), tokenizer, rows, tmp_path, sequence_loss_weight=0.0)
    make_trainer(make_model(), tokenizer, [*rows, reflection_row()], tmp_path, sequence_loss_weight=0.0)
    assert message not in caplog.text


def test_takes_plain_conversations_as_trl_does(make_model, tokenizer, tmp_path):
    turns = generation_row(1)["messages"]
    forms = [
        {"messages": turns},
        {"prompt": turns[:1], "completion": turns[1:]},
        {"prompt": turns[0]["content"], "completion": turns[1]["content"]},
        {"conversations": [{"from": turn["role"], "value": turn["content"]} for turn in turns]},
    ]
    trainers = [make_trainer(make_model(), tokenizer, [form], tmp_path, **SHORT) for form in forms]
    for trainer in trainers:
        assert trainer.train_dataset.to_list() == trainers[0].train_dataset.to_list()
    trainers[1].train()
    assert trainers[1].evaluate(Dataset.from_list(forms[3:]))["eval_loss"] > 0


@pytest.mark.parametrize(
    "empty",
    [
        Dataset.from_list([]),
        Dataset.from_dict({"messages": [], "type": []}),
        Dataset.from_list([generation_row()]).to_iterable_dataset().skip(1),
        IterableDataset.from_generator(lambda: iter([])),
    ],
    ids=["no columns", "no rows", "stream", "stream without columns"],
)
@pytest.mark.parametrize("which", ["train", "eval", "one"])
def test_a_dataset_without_rows_is_refused_before_the_model_is_loaded(mixed_rows, tmp_path, empty, which):
    rows = Dataset.from_list(mixed_rows)
    datasets = {
        "train": {"train_dataset": empty},
        "eval": {"train_dataset": rows, "eval_dataset": empty},
        "one": {"train_dataset": rows, "eval_dataset": {"other": rows, "one": empty}},
    }[which]
    with pytest.raises(ValueError, match=f"The {which} dataset is empty; check its file, its split and its filters"):
        ReflectionDistillTrainer(
            "org/no-such-model", ReflectionDistillConfig(str(tmp_path), bf16=False, use_cpu=True), **datasets
        )


def test_every_parameter_learns(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, **SHORT, learning_rate=0.1)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    for name, parameter in trainer.model.named_parameters():
        assert not torch.equal(parameter, before[name]), name


def test_streaming_dataset(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = ReflectionDistillTrainer(
        model=make_model(),
        args=ReflectionDistillConfig(
            output_dir=str(tmp_path), **SHORT, bf16=False, use_cpu=True, report_to="none", disable_tqdm=True
        ),
        train_dataset=Dataset.from_list(mixed_rows).to_iterable_dataset(),
        processing_class=tokenizer,
    )
    trainer.train()
    assert trainer.state.global_step == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_of_which_no_row_is_left(make_model, tokenizer, mixed_rows, tmp_path, workers):
    trainer = ReflectionDistillTrainer(
        model=make_model(),
        args=ReflectionDistillConfig(
            output_dir=str(tmp_path), **SHORT, bf16=False, use_cpu=True, report_to="none", disable_tqdm=True, max_length=5,
            dataloader_num_workers=workers,
        ),
        train_dataset=Dataset.from_list(mixed_rows).to_iterable_dataset(num_shards=2),
        processing_class=tokenizer,
    )  # fmt: skip
    with pytest.raises(
        ValueError,
        match=r"^No row of the train dataset can be used, of 8: 8 longer than max_length=5 \(row 0: \d+ tokens\)\.$",
    ):
        trainer.train()


def test_metrics_of_a_step_by_hand(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(
        make_model(), tokenizer, mixed_rows, tmp_path, mask_strategy=["all"], max_steps=1, logging_steps=1
    )
    rows = prepared_rows(trainer)
    model, logits = trainer.model, {}
    model.eval()
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor(row.input_ids)[None]
            mask = torch.tensor(row.block_ids == -1).long()[None]
            positions = torch.arange(ids.shape[1])[None]
            logits[row.row_id] = (
                model(input_ids=ids, position_ids=positions, attention_mask=torch.ones_like(ids)).logits[0],
                model(input_ids=ids, position_ids=positions, attention_mask=mask).logits[0],
            )
    agree = right = total = entropy = kl = nll = 0
    for row in rows:
        if row.is_reflection:
            for token in range(row.answer_start, len(row.input_ids)):
                teacher, student = (x[token - 1].log_softmax(-1) for x in logits[row.row_id])
                agree += int(teacher.argmax() == student.argmax())
                right += int(student.argmax() == row.input_ids[token])
                nll -= float(teacher[row.input_ids[token]])
                entropy -= float((student.exp() * student).sum())
                kl += float((teacher.exp() * (teacher - student)).sum())
                total += 1
    trainer.train()
    entry = trainer.state.log_history[0]
    assert entry["mask/rate"] == 1.0
    assert entry["student/teacher_agreement"] == pytest.approx(agree / total)
    assert entry["student/mean_token_accuracy"] == pytest.approx(right / total)
    assert entry["student/entropy"] == pytest.approx(entropy / total, rel=1e-4)
    assert entry["loss/teacher"] == pytest.approx(nll / total, rel=1e-5)
    assert entry["loss/distillation"] == pytest.approx(kl / total, rel=1e-4)
    assert entry["loss"] == pytest.approx(
        entry["loss/sequence"] + entry["loss/student"] + entry["loss/distillation"], rel=1e-5
    )
    assert entry["mask/hidden_share"] == 1.0
    hidden = sum(int((row.block_ids >= 0).sum()) for row in rows if row.is_reflection)
    twice = sum(len(row.input_ids) * (1 + row.is_reflection) for row in rows)
    assert entry["mask/tokens_saved"] == pytest.approx(hidden / twice, rel=1e-4)
    assert entry["num_tokens"] == twice - hidden


@pytest.mark.parametrize("teacher", ["live", "base", "ema"])
def test_the_logged_loss_of_the_teacher_is_that_of_the_model_that_teaches(
    make_model, tokenizer, mixed_rows, tmp_path, teacher
):
    """The weights move after the teacher was made, so that the teacher and the model in training differ."""
    settings = {"teacher": teacher, "temperature": 2.0, "max_steps": 1, "logging_steps": 1}
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, **settings)
    trainer.model.load_state_dict(make_model(seed=1).state_dict())
    teaches = make_model(seed=1 if teacher == "live" else 0)
    nll, total = 0.0, 0
    for row in prepared_rows(trainer):
        if row.is_reflection:
            ids = torch.tensor(row.input_ids)
            with torch.no_grad():
                log_probs = teaches(input_ids=ids[None]).logits[0, row.answer_start - 1 : -1].log_softmax(-1)
            nll -= float(log_probs.gather(1, ids[row.answer_start :, None]).sum())
            total += len(ids) - row.answer_start
    trainer.train()
    assert trainer.state.log_history[0]["loss/teacher"] == pytest.approx(nll / total, rel=1e-5)


def test_mask_rate_of_steps_with_fewer_micro_batches(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(
        make_model(), tokenizer, mixed_rows[:6], tmp_path, max_steps=-1, num_train_epochs=1, logging_steps=2,
        per_device_train_batch_size=1, gradient_accumulation_steps=4,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.log_history[0]["mask/rate"] == pytest.approx((0.5 + 1.0) / 2)


def test_what_trackers_record_of_a_run(make_model, tokenizer, mixed_rows, tmp_path):
    noted = {}

    class Tracker(TrainerCallback):  # trackio, W&B and TensorBoard read no more than this
        def on_train_begin(self, args, state, control, **kwargs):
            noted.update(json.loads(args.to_json_string()))

    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, max_steps=1, logging_steps=1)
    trainer.add_callback(Tracker)
    trainer.train()
    assert noted["mask_order"] == ["execution", "text", "code"]
    facts = noted["run_facts"]
    assert facts["data/rows"] == len(mixed_rows)
    assert facts["data/fingerprint"] == Dataset.from_list(mixed_rows)._fingerprint
    assert facts["versions/torch"] == importlib.metadata.version("torch")
    # One group for each kind of metric, where trackers make groups of what stands before a slash
    groups = {name.split("/")[0] for entry in trainer.state.log_history for name in entry if "/" in name}
    assert groups == {"loss", "mask", "student"}


def evaluated(make_model, tokenizer, rows, tmp_path, eval_dataset, **settings):
    return ReflectionDistillTrainer(
        model=make_model(),
        args=ReflectionDistillConfig(output_dir=str(tmp_path), bf16=False, use_cpu=True, report_to="none", **settings),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=eval_dataset,
        processing_class=tokenizer,
    )


@pytest.mark.parametrize("dispatch", [None, True])
def test_evaluation_of_a_stream_and_prediction(make_model, tokenizer, mixed_rows, tmp_path, dispatch):
    rows = Dataset.from_list(mixed_rows)
    settings = {"accelerator_config": {"dispatch_batches": dispatch}, "per_device_eval_batch_size": 3}
    trainer = evaluated(make_model, tokenizer, mixed_rows, tmp_path, rows.to_iterable_dataset(), **settings)
    loss = trainer.evaluate()["eval_loss"]
    assert loss == pytest.approx(trainer.evaluate(rows)["eval_loss"])
    for dataset in (rows, rows.to_iterable_dataset()):
        assert trainer.predict(dataset).metrics["test_loss"] == pytest.approx(loss)
    for several in (DatasetDict({"a": rows}), {"a": rows}):
        with pytest.raises(
            TypeError, match=r"The test dataset must be one split, got splits a; choose one, .*\[\"a\"\]"
        ):
            trainer.predict(several)
    with pytest.raises(TypeError, match="The eval dataset must be a `Dataset` or `IterableDataset`, got `list`"):
        trainer.evaluate(mixed_rows)
    short = evaluated(
        make_model, tokenizer, mixed_rows, tmp_path, rows.select([5]).to_iterable_dataset(), max_length=200
    )
    with pytest.raises(ValueError, match=r"No row of the stream to evaluate on can be used \(max_length=200\)"):
        short.evaluate()


def test_a_row_that_comes_twice_in_a_batch_is_evaluated_once(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = evaluated(make_model, tokenizer, mixed_rows, tmp_path, Dataset.from_list(mixed_rows[:3]))
    once = trainer.data_collator([trainer.eval_dataset[number] for number in range(3)])["rows"]
    figures = []
    for rows in (once, [*once, once[0]]):
        trainer._evaluation_metrics = EvaluationMetrics(trainer.accelerator)
        trainer.model.eval()
        with torch.no_grad():
            trainer._one_off_loss(trainer.model, rows)
        figures.append(trainer._evaluation_metrics.means())
    assert figures[0] == figures[1]


def test_equal_rows_of_a_stream_count_as_often_as_in_a_dataset(make_model, tokenizer, mixed_rows, tmp_path):
    rows = Dataset.from_list([mixed_rows[0], mixed_rows[0], mixed_rows[0], mixed_rows[3]])
    settings = {"per_device_eval_batch_size": 3}
    losses = [
        evaluated(make_model, tokenizer, mixed_rows, tmp_path, dataset, **settings).evaluate()["eval_loss"]
        for dataset in (rows, rows.to_iterable_dataset(), rows.to_iterable_dataset(num_shards=2))
    ]
    assert losses[1:] == [pytest.approx(losses[0], rel=1e-6)] * 2


@pytest.mark.parametrize(
    ("teacher", "weight", "reported"), [(0.4, 1.0, 1), (0.3, 1.0, 1), (0.2, 1.0, 0), (0.4, 0.0, 0), (None, 1.0, 0)]
)
def test_a_teacher_that_knows_no_more_than_a_student_without_the_sequences_is_reported_once(
    make_model, tokenizer, mixed_rows, tmp_path, caplog, monkeypatch, teacher, weight, reported
):
    """A student that sees the sequence's program predicts the answer as well as the teacher: that is no fault of the rows."""
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, distillation_weight=weight)
    monkeypatch.setattr(type(trainer._training_metrics), "is_empty", False, raising=False)
    counts = []
    for share in (0.05, 0.6, 1.0, 1.0):
        metrics = {} if teacher is None else {"loss/teacher": teacher, "loss/student": 0.3, "mask/hidden_share": share}
        monkeypatch.setattr(trainer._training_metrics, "read", lambda accelerator, metrics=metrics: (metrics, 0))
        trainer.log({"loss": 1.0})
        messages = [record.getMessage() for record in caplog.records if "nothing to distill" in record.getMessage()]
        counts.append(len(messages))
    assert counts == [0, 0, reported, reported]
    assert not reported or f"loss/teacher {teacher:.3f}, loss/student 0.300" in messages[0]


@pytest.mark.parametrize("steps", [2, 3])
@pytest.mark.heavy
def test_metrics_since_the_last_log_are_logged_when_an_evaluation_ends_the_training(
    make_model, tokenizer, mixed_rows, tmp_path, steps
):
    rows = Dataset.from_list(mixed_rows)
    settings = {"max_steps": steps, "logging_steps": 2, "eval_strategy": "steps", "eval_steps": steps}
    trainer = evaluated(make_model, tokenizer, mixed_rows, tmp_path, rows, **settings, save_strategy="no")
    trainer.train()
    rates = [entry["mask/rate"] for entry in trainer.state.log_history if "mask/rate" in entry]
    assert rates == pytest.approx({2: [0.75], 3: [0.5, 1.0]}[steps])
    assert all("mask/rate" not in entry for entry in trainer.state.log_history if "eval_loss" in entry)


def test_rows_of_like_size_share_a_batch(make_model, tokenizer, mixed_rows, tmp_path):
    """By what they take as teacher and student; a pack has as many rows as columns of one have tokens."""
    settings = {"train_sampling_strategy": "group_by_length"}
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, **settings)
    rows = prepared_rows(trainer)
    expected = [len(row.input_ids) + row.is_reflection * int((row.block_ids != 0).sum()) for row in rows]
    assert trainer._get_train_sampler().lengths == expected
    packed = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, token_budget=1000, **settings)
    packs = [[expected[row_id] for row_id in pack] for pack in packed.train_dataset["row_id"]]
    assert len(packs) < len(rows) and packed._get_train_sampler().lengths == [sum(pack) for pack in packs]
    packed.train()
    assert packed.state.global_step == packed.args.max_steps


def test_rows_to_evaluate_on_are_not_packed_whatever_they_are_called(make_model, tokenizer, mixed_rows, tmp_path):
    rows = Dataset.from_list(mixed_rows)
    trainer = evaluated(make_model, tokenizer, mixed_rows, tmp_path, {"train": rows}, token_budget=2000)
    assert len(trainer.train_dataset) < len(trainer.eval_dataset["train"]) == len(rows)


def test_evaluation_is_what_inference_meets(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = ReflectionDistillTrainer(
        model=make_model(),
        args=ReflectionDistillConfig(
            output_dir=str(tmp_path), bf16=False, use_cpu=True, report_to="none", per_device_eval_batch_size=3
        ),
        train_dataset=Dataset.from_list(mixed_rows),
        eval_dataset={"held_out": Dataset.from_list(mixed_rows)},
        processing_class=tokenizer,
    )
    metrics = trainer.evaluate()
    total = tokens = 0
    for row in mixed_rows:
        prompt = tokenizer.apply_chat_template(
            [row["messages"][-2]], add_generation_prompt=True, return_dict=False, return_tensors="pt"
        )
        answer = tokenizer(
            row["messages"][-1]["content"] + "<|im_end|>", add_special_tokens=False, return_tensors="pt"
        ).input_ids
        with torch.no_grad():
            log_probs = trainer.model(torch.cat([prompt, answer], 1)).logits[0].log_softmax(-1)
        for place, token in enumerate(answer[0]):
            total -= log_probs[prompt.shape[1] - 1 + place, token].item()
            tokens += 1
    assert metrics["eval_held_out_loss"] == pytest.approx(total / tokens, rel=1e-5)


@pytest.mark.parametrize("rendering", ["chat", "block-token"])
def test_saved_model_answers(make_model, tokenizer, mixed_rows, tmp_path, rendering):
    import copy

    tokenizer = copy.deepcopy(tokenizer)
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, rendering=rendering, **SHORT)
    trainer.train()
    trainer.save_model()
    config = json.loads((tmp_path / "config.json").read_text())
    assert PACKED_SDPA not in json.dumps(config)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.config._attn_implementation == "sdpa"
    generate = pipeline("text-generation", model=model, tokenizer=trainer.processing_class)
    (answer,) = generate([{"role": "user", "content": "Write a function."}], max_new_tokens=4, return_full_text=False)
    assert isinstance(answer["generated_text"], str)


def test_generation_during_training_is_that_of_sdpa(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    fresh = make_model()
    batch = tokenizer(["def add", "Let me try, then run"], padding=True, padding_side="left", return_tensors="pt")
    settings = {"max_new_tokens": 8, "do_sample": False}
    assert torch.equal(trainer.model.generate(**batch, **settings), fresh.generate(**batch, **settings))


def test_adapter_is_saved_and_loads(make_model, tokenizer, mixed_rows, tmp_path):
    make_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    trainer = make_trainer(
        str(tmp_path / "base"),
        tokenizer,
        mixed_rows,
        tmp_path / "out",
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
        **SHORT,
        learning_rate=0.1,
    )
    trainer.train()
    trainer.save_model()
    ids = torch.arange(10)[None]
    with torch.no_grad():
        loaded = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "out")(ids).logits
        torch.testing.assert_close(loaded, trainer.model.eval()(ids).logits, rtol=1e-4, atol=1e-5)
        with trainer.model.disable_adapter():
            assert (trainer.model(ids).logits - loaded).abs().max() > 0.01


def test_model_card(make_model, tokenizer, mixed_rows, tmp_path):
    model = make_model()
    model.config._name_or_path = "Qwen/Qwen2.5-Coder-0.5B-Instruct"
    trainer = make_trainer(model, tokenizer, mixed_rows, tmp_path, mask_order=["text", "code", "execution"])
    trainer.create_model_card(dataset_name="SenseLLM/ReflectionSeq-GPT", tags="code")
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.base_model == "Qwen/Qwen2.5-Coder-0.5B-Instruct"
    assert card.data.datasets == ["SenseLLM/ReflectionSeq-GPT"]
    assert {"reflection-distill", "trl", "code"} <= set(card.data.tags)
    for part in ("papers/2405.17057", "@inproceedings{ren2025reflectioncoder", "`text, code, execution`", "`5e-05`"):
        assert (part in card.text) == (part != "`5e-05`"), part
    assert "num_train_epochs" not in card.text and "| `max_steps` | `10` |" in card.text
    # Checkpoints write the card again, without naming the dataset
    trainer.create_model_card()
    assert ModelCard.load(tmp_path / "README.md").data.datasets == ["SenseLLM/ReflectionSeq-GPT"]
    mixture = ["SenseLLM/ReflectionSeq-GPT", "SenseLLM/ReflectionSeq-DS"]
    trainer.create_model_card(dataset_name=mixture)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.datasets == mixture
    assert all(f"](https://huggingface.co/datasets/{name})" in card.text for name in mixture)


def test_card_names_the_variables_of_the_chat_template(make_model, tokenizer, mixed_rows, tmp_path):
    variables = {"enable_thinking": False}
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, chat_template_kwargs=variables)
    trainer.create_model_card()
    text = ModelCard.load(tmp_path / "README.md").text
    assert "| `chat_template_kwargs` | `{'enable_thinking': False}` |" in text
    assert (
        "variables = {'enable_thinking': False}  # of the chat template, as in training\noutput = generator(\n" in text
    )
    assert "return_full_text=False, tokenizer_encode_kwargs=variables\n)[0]\nprint(" in text


@pytest.mark.parametrize(
    ("settings", "hidden"),
    [
        ({}, r"rises as more of the sequence is hidden: \d\d% to 100%"),
        ({"mask_strategy": ["all"]}, "with every block hidden"),
        ({"mask_strategy": "none"}, "with no block hidden"),
        ({"mask_strategy": ["all", "none"]}, "with every block hidden or with no block hidden"),
        ({"mask_schedule": "constant", "mask_rate_end": 0.7}, "at mask rate 0.70"),
        ({"distillation_weight": 0.0}, r"rises as more of the sequence is hidden: \d\d% to 100%"),
    ],
)
@pytest.mark.heavy
def test_the_card_says_what_was_hidden_and_learnt(make_model, tokenizer, mixed_rows, tmp_path, settings, hidden):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, **SHORT | settings)
    trainer.train()
    trainer.create_model_card()
    text = ModelCard.load(tmp_path / "README.md").text
    assert re.search(rf"\| {hidden} \|", text)
    learnt = settings.get("distillation_weight", 1.0) > 0
    assert ("self-distillation. Training distilled" in text) == learnt
    assert ("only measured: its weight is 0 |" in text) == (not learnt)


def test_a_summary_says_what_should_fall_and_what_rises():
    """Three of five figures rise in a good run, which a newcomer would take for divergence."""
    log = [{"step": 0, "eval_loss": 2.0, "eval_mean_token_accuracy": 0.5}]
    log += [
        {"step": step, "loss/sequence": 3 - step / 8, "loss/student": step, "loss/distillation": step / 2}
        | {"mask/rate": step / 8, "mask/hidden_share": step / 10}
        for step in range(1, 9)
    ]
    log.append({"step": 8, "eval_loss": 1.0, "eval_mean_token_accuracy": 0.75})
    assert summarize(log) == [
        ("eval loss (direct answer)", 2.0, 1.0, "should fall; steps 0 and 8"),
        ("eval top-1 token accuracy", 0.5, 0.75, "should rise"),
        ("train loss, whole sequences", 2.8125, 2.0625, "should fall; first and last quarter of the steps"),
        ("train loss, student's answer", 1.5, 7.5, "rises as more of the sequence is hidden: 15% to 75%"),
        ("train divergence from teacher", 0.75, 3.75, "rises as more of the sequence is hidden: 15% to 75%"),
    ]
    assert summarize(log, distillation_weight=0.0)[-1][-1] == "only measured: its weight is 0"
    assert summarize(log, ["none"])[-1][-1] == "with no block hidden"


def test_a_summary_of_one_step_shows_no_change():
    log = [{"step": 4, "loss/sequence": 6.827, "mask/rate": 1.0}, {"step": 4, "eval_loss": 2.0}]
    assert [str(row) for row in summarize(log)] == [
        "eval loss (direct answer)        2.000   (logged only at step 4)",
        "train loss, whole sequences      6.827   (logged only at step 4)",
    ]
    two = summarize([{"step": 3, "loss/sequence": 7.5, "mask/rate": 0.5}, log[0]])
    assert (
        str(two[0])
        == "train loss, whole sequences      7.500 -> 6.827   (should fall; first and last quarter of the steps)"
    )


@pytest.mark.parametrize(
    "data_collator", [None, DataCollatorForReflectionDistillation(train_on_failed_attempts=False)]
)
def test_failed_attempts_can_be_left_out_of_the_loss(make_model, tokenizer, tmp_path, data_collator):
    rows = [reflection_row(1, rounds=3), generation_row(2)]
    args = ReflectionDistillConfig(
        output_dir=str(tmp_path), bf16=False, use_cpu=True, report_to="none", train_on_failed_attempts=False
    )
    trainer = ReflectionDistillTrainer(
        make_model(), args, data_collator, Dataset.from_list(rows), processing_class=tokenizer
    )
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])["rows"]
    every = prepared_rows(trainer)
    assert np.array_equal(batch[1].loss_mask, every[1].loss_mask)
    kept = tokenizer.decode(batch[0].input_ids[batch[0].loss_mask])
    left_out = tokenizer.decode(batch[0].input_ids[every[0].loss_mask & ~batch[0].loss_mask])
    assert (
        left_out.count("Let me try") == 2 and "a + 0" in left_out and "a + 1" in left_out and "a + 2" not in left_out
    )
    assert kept.count("Let me try") == 1 and kept.count("a + 2") == 2 and "The asserts pass." in kept
    assert np.array_equal(batch[0].input_ids, every[0].input_ids), "they stay as context"
    # The loss is that of the definition, with this mask
    trainer.args.mask_strategy = ["all"]
    loss, _ = step_loss(trainer, batch, step=0)
    expected = reference_loss(make_model(), batch, lambda row: row.block_ids >= 0)
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_a_collator_that_would_train_on_failed_attempts_is_refused(make_model, tokenizer, mixed_rows, tmp_path):
    args = ReflectionDistillConfig(
        output_dir=str(tmp_path), bf16=False, use_cpu=True, report_to="none", train_on_failed_attempts=False
    )
    with pytest.raises(
        ValueError, match=r"`train_on_failed_attempts` is False, which `DataCollator.*` does not support"
    ):
        ReflectionDistillTrainer(
            make_model(), args, DataCollatorForReflectionDistillation(), Dataset.from_list(mixed_rows)
        )


def test_a_tracker_that_is_not_installed(make_model, tokenizer, mixed_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "reflection_trl.training.checks.get_available_reporting_integrations", lambda: ["trackio", "wandb"]
    )
    for report_to in ("tensorboard", ["wandb", "tensorboard"]):
        with pytest.raises(
            ValueError, match=r"`report_to` names 'tensorboard', .*run `pip install tensorboard`, or set"
        ):
            make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, report_to=report_to)


def test_generation_stops_at_what_the_answers_end_with(make_model, tokenizer, mixed_rows, tmp_path):
    """Qwen2.5's base models: ChatML in the template, but the end of texts as end token."""
    import copy

    base = copy.deepcopy(tokenizer)
    base.eos_token = "<|endoftext|>"
    trainer = make_trainer(make_model(), base, mixed_rows, tmp_path, **SHORT)
    trainer.train()
    trainer.save_model()
    stops = AutoModelForCausalLM.from_pretrained(tmp_path).generation_config.eos_token_id
    assert set(stops) == set(base.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"]))


def test_training_loss_without_a_training_is_one_sentence(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    trainer.model.train()
    with pytest.raises(ValueError, match=r"No training is running.* call `train\(\)` first"):
        trainer.compute_loss(trainer.model, trainer.data_collator([trainer.train_dataset[0]]))


def test_a_copy_of_the_settings_keeps_the_token_that_a_file_must_not_have(tmp_path):
    import copy
    import pickle

    args = ReflectionDistillConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, hub_token="secret")
    copied = copy.deepcopy(args)
    assert copied.hub_token == "secret" and copied.mask_order is not args.mask_order
    assert pickle.loads(pickle.dumps(args)).hub_token is None


def test_settings_are_made_again_of_what_they_tell(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, mask_strategy="all", hub_token="hf_abc")
    reported = json.loads(trainer.args.to_json_string())
    again = ReflectionDistillConfig(**reported)
    assert again.to_dict() == trainer.args.to_dict() == reported
    assert again.run_facts == trainer.args.run_facts and again.hub_token == "<HUB_TOKEN>"
    ReflectionDistillTrainer(
        make_model(), again, train_dataset=Dataset.from_list(mixed_rows), processing_class=tokenizer
    )


def test_rows_are_counted_and_not_packs(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, token_budget=2000)
    assert len(trainer.train_dataset) < len(mixed_rows) == trainer.args.run_facts["data/rows"]
    trainer.create_model_card()
    assert f"{len(mixed_rows)} rows" in ModelCard.load(tmp_path / "README.md").text


def test_settings_serve_a_second_trainer(make_model, tokenizer, mixed_rows, tmp_path):
    make_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    settings = {"rendering": "block-token", "model_init_kwargs": {"attn_implementation": "eager"}}
    first = make_trainer(str(tmp_path / "base"), None, mixed_rows, tmp_path, **settings)
    second = ReflectionDistillTrainer(str(tmp_path / "base"), first.args, train_dataset=Dataset.from_list(mixed_rows))
    assert first.model.config._attn_implementation == second.model.config._attn_implementation == "eager"


def test_settings_outlive_a_failed_attempt(make_model, tokenizer, mixed_rows, tmp_path):
    make_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    args = ReflectionDistillConfig(
        output_dir=str(tmp_path), rendering="block-token", model_init_kwargs={"attn_implementation": "eager"}, bf16=False,
        use_cpu=True,
    )  # fmt: skip
    with pytest.raises(ValueError, match="Row 0"):
        ReflectionDistillTrainer(
            str(tmp_path / "base"), args, train_dataset=Dataset.from_list([{"messages": [], "type": "reflection"}])
        )
    trainer = ReflectionDistillTrainer(str(tmp_path / "base"), args, train_dataset=Dataset.from_list(mixed_rows))
    assert trainer.model.config._attn_implementation == "eager"


def test_padding_token_is_the_one_that_is_named(make_model, tokenizer, mixed_rows, tmp_path):
    import copy

    trainer = make_trainer(
        make_model(), copy.deepcopy(tokenizer), mixed_rows, tmp_path, **SHORT, pad_token="<|im_start|>"
    )
    trainer.train()
    assert trainer.processing_class.pad_token == "<|im_start|>"
    assert trainer.model.config.pad_token_id == tokenizer.convert_tokens_to_ids("<|im_start|>")
    with pytest.raises(ValueError, match=r"`pad_token` is '<pad>', which the tokenizer of '.*' does not have"):
        make_trainer(make_model(), copy.deepcopy(tokenizer), mixed_rows, tmp_path, pad_token="<pad>")


def test_paper_preset_is_accepted(tmp_path):
    args = ReflectionDistillConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **PAPER_PRESET)
    assert args.mask_order == ["text", "code", "execution"] and args.rendering == "block-token" and args.hide_prefix


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mask_strategy": ["blocks"]}, r"`mask_strategy` is 'blocks'; use one of block-type, random-block"),
        ({"mask_strategy": []}, r"`mask_strategy` is empty"),
        ({"mask_order": ["text", "code"]}, r"`mask_order` is \['text', 'code'\]; it must name each"),
        ({"mask_order": ["text", "code", "code"]}, r"it must name each of execution, text and code once"),
        ({"mask_schedule": "exponential"}, r"`mask_schedule` is 'exponential'; use one of linear"),
        ({"mask_rate_end": 1.5}, r"`mask_rate_end` is 1.5; it must lie in \[0, 1\]"),
        ({"mask_rate_start": -0.1}, r"`mask_rate_start` is -0.1"),
        ({"mask_rate_start": 0.9, "mask_rate_end": 0.1}, r"is above `mask_rate_end`"),
        ({"mask_levels": 1}, r"`mask_levels` is 1"),
        ({"beta": 2.0}, r"`beta` is 2.0"),
        ({"temperature": 0.0}, r"`temperature` is 0.0; it must be above 0"),
        ({"distillation_weight": -1.0}, r"`distillation_weight` is -1.0"),
        ({"teacher": "gpt-4"}, r"`teacher` is 'gpt-4'; use one of live, ema, base"),
        ({"rendering": "plain"}, r"`rendering` is 'plain'"),
        ({"packing": True}, r"set `token_budget`"),
        (
            {"dataset_kwargs": {"skip_prepare_dataset": True}, "use_cpu": True, "bf16": False},
            r"the trainer needs prepared rows",
        ),
        ({"eval_packing": True}, r"set `token_budget`"),
        ({"include_for_metrics": ["inputs"]}, r"`include_for_metrics` is \['inputs'\], but .*; leave it at \[\]"),
        ({"loss_type": "dft"}, r"`loss_type` is 'dft', a loss of TRL's .* leave it at 'nll'"),
        (
            {"completion_only_loss": False},
            r"`completion_only_loss` is False, but this trainer trains on the assistant.s text, in `prompt`",
        ),
        (
            {"completion_only_loss": True},
            r"`completion_only_loss` is True, but this trainer trains on the assistant.s text, in `prompt`",
        ),
        (
            {"average_tokens_across_devices": False},
            r"the loss is always a mean over the tokens of all processes; leave it at True",
        ),
        ({"activation_offloading": True, "use_cpu": True}, r"`activation_offloading` moves activations from a GPU"),
        ({"rendering": "block-token", "chat_template_path": "a.jinja"}, r"uses the block-token template"),
        ({"label_smoothing_factor": 0.1}, r"`label_smoothing_factor` is not supported"),
        ({"truncation_mode": "keep_end"}, r"`truncation_mode` is 'keep_end', but rows that are too long are dropped"),
        ({"pad_to_multiple_of": 64}, r"`pad_to_multiple_of` is 64, but batches are padded .* leave it at 'auto'"),
        ({"dataset_text_field": "prompt"}, r"`dataset_text_field` is 'prompt', but rows are conversations"),
        ({"packing_strategy": "wrapped"}, r"`packing_strategy` is 'wrapped', but rows are packed by `token_budget`"),
    ],
)
def test_bad_settings(tmp_path, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ReflectionDistillConfig(output_dir=str(tmp_path), **settings)


def test_bad_datasets(make_model, tokenizer, mixed_rows, tmp_path):
    def attempt(dataset, error=ValueError, match="", eval_dataset=None, **settings):
        with pytest.raises(error, match=match):
            ReflectionDistillTrainer(
                model=make_model(),
                args=ReflectionDistillConfig(
                    output_dir=str(tmp_path / "out"), bf16=False, use_cpu=True, report_to="none", **settings
                ),
                train_dataset=dataset,
                eval_dataset=eval_dataset,
                processing_class=tokenizer,
            )

    good = Dataset.from_list(mixed_rows)
    attempt(None, match="`train_dataset` is required")
    attempt(good, match="`eval_strategy` is 'steps', but there is no `eval_dataset`", eval_strategy="steps")
    attempt(good, match="`eval_on_start` is set, but there is no `eval_dataset`", eval_on_start=True)
    attempt(
        good,
        match="`eval_strategy` is 'steps', but there is no `eval_dataset`",
        eval_strategy="steps",
        eval_dataset={},
    )
    attempt(
        good,
        match="`metric_for_best_model` is 'loss', but each of several evaluation datasets .* such as 'eval_a_loss'",
        eval_dataset={"a": good, "b": good},
        load_best_model_at_end=True,
        eval_strategy="steps",
    )
    attempt(DatasetDict({"train": good}), TypeError, r'choose one, such as `dataset\["train"\]`')
    attempt(Dataset.from_list([{"prompt": "a"}]), match="has no column `messages`, only prompt; rows need")
    attempt(good, match=r"No row of the train dataset can be used, of 8: 8 longer than max_length=5", max_length=5)
    attempt(good, match=r"`token_budget` is 20, but the largest row has \d+ tokens", token_budget=20)
    broken = reflection_row(1)
    broken["messages"] = broken["messages"][:-1]
    attempt(
        Dataset.from_list([*mixed_rows, broken]),
        match=r"Row 8 of the train dataset: `messages` must .* end with the final answer",
    )
    attempt(Dataset.from_list([{**generation_row(), "type": "chat"}]), match=r"Row 0 .*`type` is 'chat'")
    assert not (tmp_path / "out").exists()


def test_bad_models(make_model, tokenizer, mixed_rows, tmp_path):
    import copy

    def attempt(match, model=None, tokenizer=tokenizer, error=ValueError, **settings):
        with pytest.raises(error, match=match):
            make_trainer(model or make_model(), tokenizer, mixed_rows, tmp_path / "out", **settings)

    bare = copy.deepcopy(tokenizer)
    bare.chat_template = None
    attempt("has no chat template; use an instruct model", tokenizer=bare)
    attempt(
        r"The tokenizer has \d+ tokens but the model has embeddings for 64", make_model(tiny_config(vocab_size=64))
    )
    rude = copy.deepcopy(tokenizer)
    rude.chat_template = (
        "{% for m in messages %}{% if m['role'] != 'assistant' %}{{ m['content'] }}{% endif %}{% endfor %}"
    )
    attempt("drops or reorders plain user and assistant turns", tokenizer=rude)
    attempt(
        "is not a local folder and is not a valid model identifier|couldn't connect|offline",
        "no-such/model",
        error=OSError,
    )
    attempt("set `router_aux_loss_coef=0.0`", make_model(MOE))
    make_trainer(make_model(MOE), tokenizer, mixed_rows, tmp_path / "out", router_aux_loss_coef=0.0)
    window = MistralConfig(
        vocab_size=512, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, sliding_window=16,
    )  # fmt: skip
    attempt(
        "must be masked, not dropped, for model type 'mistral', since its attention window of 16 tokens",
        make_model(window, attn_implementation="flex_attention"),
    )
    settings = {"vocab_size": 512, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    for kind in ("gpt2", "opt", "gpt_bigcode"):
        model = make_model(AutoConfig.for_model(kind, **settings, max_position_embeddings=256))
        for max_length in (4096, None):
            attempt(
                f"`max_length` is {max_length}, but .* has embeddings for only 256 positions",
                model,
                max_length=max_length,
            )
        make_trainer(model, tokenizer, mixed_rows, tmp_path / "out", max_length=256)
    prompts = PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
    attempt("PROMPT_TUNING adds virtual tokens before each row", peft_config=prompts)
    tool = copy.deepcopy(tokenizer)
    tool.chat_template = "{% for m in messages %}{{ '<|im_start|>' + ('user' if m['role'] == 'user' else 'assistant') + m['content'] + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
    attempt("renders tool turns as the assistant's own; use 'auto' or 'user'", tokenizer=tool, execution_role="tool")


def test_a_checkpoint_of_another_trainer_is_refused(make_model, tokenizer, mixed_rows, tmp_path):
    (tmp_path / "checkpoint-1").mkdir()
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    with pytest.raises(
        ValueError,
        match=r"cannot be resumed, because it has no reflection_checkpoint.json: .* or it is not a checkpoint of this",
    ):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))


@pytest.mark.heavy
def test_another_length_of_a_resumed_training_is_reported(make_model, tokenizer, mixed_rows, tmp_path, caplog):
    def resumed(**settings):
        caplog.clear()
        trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, **saved | settings)
        trainer.train(resume_from_checkpoint=checkpoint)
        return [record.getMessage() for record in caplog.records if "by a training of" in record.getMessage()]

    saved = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1, "logging_steps": 1}
    checkpoint = str(tmp_path / "checkpoint-1")
    make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, **saved).train()
    assert resumed() == []
    for settings in ({"max_steps": 4}, {"max_steps": -1, "num_train_epochs": 4}):
        (message,) = resumed(**settings)
        # Online training, which warns too, has no mask rate
        assert message == (
            f"{checkpoint} was written by a training of 2 steps, but this one has 4, which changes the schedules, such as that of the "
            f"learning rate; set `max_steps` or `num_train_epochs` as before to resume with those of that training."
        )


@pytest.mark.parametrize("teacher", ["live", "ema"])
@pytest.mark.heavy
def test_a_checkpoint_is_complete_when_it_is_pushed(make_model, tokenizer, mixed_rows, tmp_path, monkeypatch, teacher):
    pushed = {}
    monkeypatch.setattr(
        ReflectionDistillTrainer,
        "_push_from_checkpoint",
        lambda self, folder: pushed.update({Path(folder).name: {path.name for path in Path(folder).iterdir()}}),
    )
    monkeypatch.setattr(ReflectionDistillTrainer, "init_hf_repo", lambda self: None)
    settings = SHORT | {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1, "teacher": teacher}
    trainer = make_trainer(
        make_model(), tokenizer, mixed_rows, tmp_path, push_to_hub=True, hub_strategy="checkpoint", **settings
    )
    trainer.train()
    needed = {"model.safetensors", CHECKPOINT_FILE, "trainer_state.json"} | (
        {TEACHER_FILE} if teacher == "ema" else set()
    )
    assert sorted(pushed) == ["checkpoint-1", "checkpoint-2"] and all(needed <= files for files in pushed.values())
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]


@pytest.mark.heavy
def test_tokens_that_the_trainer_is_asked_to_count_are_those_of_the_batches(
    make_model, tokenizer, mixed_rows, tmp_path, caplog
):
    trainer = make_trainer(
        make_model(), tokenizer, mixed_rows, tmp_path, **SHORT, include_num_input_tokens_seen="non_padding"
    )
    trainer.train()
    assert "Tried to track the number of tokens seen" not in caplog.text
    (last,) = [entry for entry in trainer.state.log_history if "train_runtime" in entry and "loss" not in entry]
    assert last["num_input_tokens_seen"] == trainer.state.num_input_tokens_seen > 0


class Waits(TorchDispatchMode):
    """Counts where Python needs a value, for which it would wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("teacher", ["live", "base"])
def test_steps_between_logs_wait_for_no_value(make_model, tokenizer, mixed_rows, tmp_path, teacher):
    waits = Waits()

    class OfTwoSteps(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 1:
                waits.__enter__()

        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 3:
                waits.__exit__(None, None, None)

    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "max_steps": 4, "logging_steps": 4}
    # One epoch, since a new one draws an order on the host
    trainer = make_trainer(make_model(), tokenizer, 2 * mixed_rows, tmp_path, **settings, teacher=teacher)
    trainer.add_callback(OfTwoSteps)
    trainer.train()
    assert waits.count == 0


def test_a_loss_that_is_not_a_number_is_logged(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, max_steps=2, logging_steps=2)
    trainer.model.lm_head.weight.data[5, 5] = math.nan
    trainer.train()
    assert math.isnan(trainer.state.log_history[0]["loss"])


def test_operations_are_counted_with_the_parameters_of_the_layers(
    make_model, tokenizer, mixed_rows, tmp_path, monkeypatch
):
    settings = {"per_device_train_batch_size": 2, "max_steps": 4}  # all rows, once
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, **settings)
    layers = sum(p.numel() for name, p in trainer.model.named_parameters() if "embed_tokens" not in name)
    counted = []
    count = trainer.model.num_parameters
    monkeypatch.setattr(trainer.model, "num_parameters", lambda **kwargs: counted.append(1) or count(**kwargs))
    trainer.train()
    tokens = sum(len(row.input_ids) * (1 + row.is_reflection) for row in prepared_rows(trainer))
    assert trainer.state.total_flos == 6 * tokens * layers
    assert counted == [1]


def test_tokens_are_counted_through_a_checkpoint_between_logs(make_model, tokenizer, mixed_rows, tmp_path):
    def train(checkpoint=None):
        settings = {"max_steps": 6, "logging_steps": 3, "save_strategy": "steps", "save_steps": 2}
        trainer = make_trainer(
            make_model(), tokenizer, mixed_rows, tmp_path, per_device_train_batch_size=4, **settings
        )
        trainer.train(resume_from_checkpoint=checkpoint)
        return [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry]

    assert train() == train(str(tmp_path / "checkpoint-4"))


@pytest.mark.heavy
def test_what_a_failed_attempt_at_a_batch_size_left_is_not_logged(
    make_model, tokenizer, mixed_rows, tmp_path, monkeypatch
):
    trainer = make_trainer(
        make_model(), tokenizer, mixed_rows, tmp_path, **SHORT | {"logging_steps": 2}, auto_find_batch_size=True
    )
    add_metrics = trainer._training_metrics.add

    def too_large(*args, **kwargs):
        add_metrics(*args, **kwargs)
        if trainer._train_batch_size > 2:
            raise RuntimeError("CUDA out of memory.")

    monkeypatch.setattr(trainer._training_metrics, "add", too_large)
    trainer.train()
    assert trainer.state.log_history[0]["mask/rate"] == 0.75  # of 0.5 and 1


def test_push_to_hub_uploads_model_tokenizer_and_card(make_model, tokenizer, mixed_rows, tmp_path, monkeypatch):
    uploads = {}
    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, **kwargs: SimpleNamespace(repo_id=f"me/{repo_id}"))
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, **kwargs: uploads.update(kwargs))
    trainer = make_trainer(
        make_model(), tokenizer, mixed_rows, tmp_path / "my-coder", hub_model_id="my-coder", **SHORT
    )
    trainer.push_to_hub(dataset_name="me/my-rows")
    assert uploads["repo_id"] == "me/my-coder"
    files = {path.name for path in (tmp_path / "my-coder").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "README.md"} <= files
    card = ModelCard.load(tmp_path / "my-coder" / "README.md")
    assert card.data.datasets == ["me/my-rows"] and 'model="me/my-coder"' in card.text


def test_fp8_of_the_launcher_is_not_overridden_without_a_word(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    args = ReflectionDistillConfig(output_dir=str(tmp_path), use_cpu=True)
    assert args.mixed_precision == "fp8" and not args.bf16
    with pytest.raises(ValueError, match=r"`bf16` is on, which overrides the fp8 .* `bf16=False` \(`--bf16 false`\)"):
        ReflectionDistillConfig(output_dir=str(tmp_path), use_cpu=True, bf16=True)


@pytest.mark.parametrize(("config", "asked", "expected"), [(None, None, False), (None, True, True), (MOE, None, None)])
def test_ddp_looks_for_unused_parameters_only_where_there_may_be_some(
    make_model, tokenizer, mixed_rows, tmp_path, config, asked, expected
):
    trainer = make_trainer(
        make_model(config), tokenizer, mixed_rows, tmp_path, router_aux_loss_coef=0.0, ddp_find_unused_parameters=asked
    )
    assert trainer.args.ddp_find_unused_parameters is expected
    # What makes that right: a batch in which nothing is trained on still gives every parameter a gradient
    if config is None:
        row = trainer.train_dataset[0]
        batch = trainer.data_collator([row | {"loss_mask": [0] * len(row["loss_mask"])}])
        trainer.state.max_steps = 1
        trainer.model.train()
        trainer.compute_loss(trainer.model, batch).backward()
        assert all(parameter.grad is not None for parameter in trainer.model.parameters())


def with_accelerator(trainer, monkeypatch, **stub):
    """The trainer, as it is after making this accelerator."""
    accelerator = SimpleNamespace(**{"ao_recipe_handler": None, "is_fsdp2": False, "parallelism_config": None} | stub)
    monkeypatch.setattr(
        SFTTrainer, "create_accelerator_and_postprocess", lambda self: setattr(self, "accelerator", accelerator)
    )
    trainer.create_accelerator_and_postprocess()
    return accelerator


@pytest.mark.parametrize("fsdp2", [False, True])
def test_float8_keeps_the_parameters_that_the_optimizer_knows(
    make_model, tokenizer, mixed_rows, tmp_path, monkeypatch, fsdp2
):
    """accelerate turns float8 all-gather on everywhere; without FSDP2 it leaves every linear layer untrained."""

    @dataclasses.dataclass(frozen=True)
    class Float8LinearConfig:
        pad_inner_dim: bool = True
        enable_fsdp_float8_all_gather: bool = True

    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    plugin = SimpleNamespace(mixed_precision_policy=None)
    accelerator = with_accelerator(
        trainer,
        monkeypatch,
        ao_recipe_handler=SimpleNamespace(config=Float8LinearConfig()),
        is_fsdp2=fsdp2,
        state=SimpleNamespace(fsdp_plugin=plugin),
    )
    assert accelerator.ao_recipe_handler.config == Float8LinearConfig(enable_fsdp_float8_all_gather=fsdp2)


def fsdp2_policy(trainer, monkeypatch):
    """What the trainer makes of accelerate's policy for bfloat16."""
    plugin = SimpleNamespace(
        mixed_precision_policy=MixedPrecisionPolicy(torch.bfloat16, torch.bfloat16, torch.bfloat16)
    )
    with_accelerator(trainer, monkeypatch, is_fsdp2=True, state=SimpleNamespace(fsdp_plugin=plugin))
    return plugin.mixed_precision_policy


def test_fsdp2_rounds_neither_the_loss_nor_the_weights_of_tokens(
    make_model, tokenizer, mixed_rows, tmp_path, monkeypatch
):
    """FSDP2 with one process, against the same weights in bfloat16."""
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    for parameter in trainer.model.parameters():  # and no buffers, which FSDP2 leaves as they are
        parameter.data = parameter.data.bfloat16()
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(3)])
    trainer.state.max_steps = 1
    trainer.model.train()
    expected = trainer.compute_loss(trainer.model, batch)

    sharded = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    policy = fsdp2_policy(sharded, monkeypatch)
    sharded.accelerator = trainer.accelerator  # the stub has served
    sharded.state.max_steps = 1
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        for layer in sharded.model.model.layers:
            fully_shard(layer, mp_policy=policy)
        fully_shard(sharded.model, mp_policy=policy)
        sharded.model.train()
        loss = sharded.compute_loss(sharded.model, batch)
    finally:
        torch.distributed.destroy_process_group()
    assert loss.dtype == expected.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_model_that_is_gathered_is_saved_when_all_processes_are_done(
    make_model, tokenizer, mixed_rows, tmp_path, monkeypatch
):
    """A rank that ended before the others had gathered its shards left them waiting for ever, seen on two GPUs."""
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    done = []
    monkeypatch.setattr(SFTTrainer, "save_model", lambda self, *_: done.append("saved"))
    monkeypatch.setattr(trainer.accelerator, "wait_for_everyone", lambda: done.append("waited"))
    trainer.save_model()
    assert done == ["saved"]
    trainer.is_fsdp_enabled = True
    trainer.save_model()
    assert done == ["saved", "saved", "waited"]
