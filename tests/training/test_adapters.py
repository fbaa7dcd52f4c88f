"""An adapter and its base model: what others need to load it, and what its card says."""

import copy
import json

import pytest
import torch
from conftest import tiny_config
from datasets import Dataset
from huggingface_hub import ModelCard
from peft import IA3Config, LoraConfig, get_peft_model
from reference import make_trainer
from transformers import AutoModelForCausalLM

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.training.adapters import (
    adapter_settings,
    hub_id,
    merge_adapter,
    name_base_model,
    origin_id,
    private_base_warning,
)


COMMIT = "a" * 40


def write_card(folder, base_model):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(f"---\nbase_model: {json.dumps(base_model)}\n---\n\nA model.\n")
    return str(folder)


@pytest.fixture
def cached(tmp_path):
    folder = tmp_path / "hub" / "models--org--name-1.5B" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return str(folder)


def test_ids_of_models(tmp_path, cached):
    assert hub_id("org/name") == origin_id("org/name") == "org/name"
    assert hub_id(None) is None and hub_id("") is None and origin_id(None) is None
    assert hub_id(cached) == origin_id(cached) == "org/name-1.5B"
    assert hub_id(str(tmp_path)) is None and origin_id(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("base_model", "expected"),
    [("org/base", "org/base"), (["org/base"], "org/base"), (["org/one", "org/two"], None), (None, None)],
)
def test_a_folder_is_traced_by_its_card(tmp_path, base_model, expected):
    folder = write_card(tmp_path / "local", base_model)
    assert hub_id(folder) is None and origin_id(folder) == expected


def test_cards_that_cannot_be_read_tell_nothing(tmp_path):
    (tmp_path / "README.md").write_text("---\n: [\n---\n")
    assert origin_id(str(tmp_path)) is None
    (tmp_path / "README.md").write_text("No metadata.")
    assert origin_id(str(tmp_path)) is None
    # A model that was made from a folder of the same machine
    assert origin_id(write_card(tmp_path, str(tmp_path))) is None


def adapted(make_model, base, revision=None):
    model = get_peft_model(make_model(), LoraConfig(target_modules=["q_proj"]))
    model.active_peft_config.base_model_name_or_path = base
    name_base_model(model, revision)
    return model


def test_adapter_names_a_base_that_others_have(make_model, cached, tmp_path):
    def named(base, revision=None):
        config = adapted(make_model, base, revision).active_peft_config
        return config.base_model_name_or_path, config.revision

    assert named("org/name") == ("org/name", None)
    assert named("org/name", "v2") == ("org/name", "v2")
    assert named(cached) == ("org/name-1.5B", COMMIT)
    assert named(cached, "v2") == ("org/name-1.5B", "v2")
    assert named(str(tmp_path)) == (str(tmp_path), None)


def test_warning_of_a_base_that_nobody_else_has(make_model, cached, tmp_path):
    assert private_base_warning(adapted(make_model, "org/name")) is None
    assert private_base_warning(adapted(make_model, cached)) is None
    warning = private_base_warning(adapted(make_model, str(tmp_path)))
    assert f"The adapter's base model is the folder '{tmp_path}', which nobody else has" in warning
    assert "train on a Hub id, or publish the base model" in warning
    folder = write_card(tmp_path / "local", "org/base")
    warning = private_base_warning(adapted(make_model, folder))
    assert (
        "(made from org/base, as its card says), which nobody else has" in warning and "train on org/base" in warning
    )


def test_settings_of_adapters():
    lora = LoraConfig(r=4, target_modules=["v_proj", "q_proj"], use_dora=True, modules_to_save=["lm_head"])
    lora.base_model_name_or_path = "org/name"
    assert adapter_settings(lora) == {
        "peft_type": lora.peft_type,
        "r": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "target_modules": ["q_proj", "v_proj"],
        "use_dora": True,
        "modules_to_save": ["lm_head"],
    }
    assert adapter_settings(IA3Config(target_modules=["q_proj"], feedforward_modules=[])) == {
        "peft_type": IA3Config().peft_type,
        "target_modules": ["q_proj"],
    }


def test_card_of_an_adapter(make_model, tokenizer, mixed_rows, tmp_path):
    model = make_model()
    model.config._name_or_path = write_card(tmp_path / "local", "org/base")
    config = LoraConfig(r=4, lora_alpha=32, target_modules=["v_proj", "q_proj"])
    trainer = make_trainer(model, tokenizer, mixed_rows, tmp_path / "out", peft_config=config)
    trainer.create_model_card(dataset_name=["org/rows", "data/own/rows.jsonl"])
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.base_model == "org/base" and card.data.base_model_relation == "adapter"
    assert card.data.datasets == ["org/rows"] and card.data.library_name == "peft"
    assert "trained on [org/rows](https://huggingface.co/datasets/org/rows), `rows.jsonl` with" in card.text
    for line in ("| `peft_type` | `LORA` |", "| `r` | `4` |", "| `lora_alpha` | `32` |"):
        assert line in card.text
    assert "| `target_modules` | `q_proj, v_proj` |" in card.text
    trainer.create_model_card(dataset_name="rows.parquet")
    assert ModelCard.load(tmp_path / "out" / "README.md").data.datasets is None


def test_card_of_an_adapter_that_only_peft_loads(make_model, tokenizer, mixed_rows, tmp_path):
    config = LoraConfig(r=4, target_modules=["q_proj"], use_dora=True)
    make_trainer(make_model(), tokenizer, mixed_rows, tmp_path, peft_config=config).create_model_card()
    text = ModelCard.load(tmp_path / "README.md").text
    assert (
        f'model = AutoPeftModelForCausalLM.from_pretrained("{tmp_path}", device_map="auto")\ngenerator = pipeline('
        in text
    )
    assert f'tokenizer=AutoTokenizer.from_pretrained("{tmp_path}"))\nrequest = ' in text


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "adapter",
    [
        LoraConfig(target_modules=["embed_tokens", "q_proj"], init_lora_weights=False, task_type="CAUSAL_LM"),
        LoraConfig(target_modules=["q_proj"], use_dora=True, init_lora_weights=False, task_type="CAUSAL_LM"),
        LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM"),
    ],
    ids=["embeddings", "dora", "head"],
)
def test_a_merged_model_equals_its_adapter(make_model, tokenizer, tmp_path, tied, adapter):
    make_model(tiny_config(tie_word_embeddings=tied)).save_pretrained(tmp_path / "base")
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), copy.deepcopy(adapter))
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.rand_like(parameter)
    adapted.save_pretrained(tmp_path / "adapter")
    tokenizer.save_pretrained(tmp_path / "adapter")
    merge_adapter(str(tmp_path / "adapter"), str(tmp_path / "merged"))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    ids = torch.arange(20)[None]
    with torch.no_grad():
        expected = adapted.eval()(input_ids=ids).logits
        torch.testing.assert_close(merged.eval()(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-4)


def test_card_of_a_whole_model_has_no_settings_of_adapters(make_model, tokenizer, mixed_rows, tmp_path):
    trainer = make_trainer(make_model(), tokenizer, mixed_rows, tmp_path)
    trainer.create_model_card()
    assert "peft_type" not in ModelCard.load(tmp_path / "README.md").text


def test_push_of_an_adapter_without_a_public_base_is_warned_of_before_training(
    make_model, tokenizer, mixed_rows, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("transformers.Trainer.init_hf_repo", lambda self, token=None, private=None: None)
    model = make_model(tiny_config())
    model.name_or_path = write_card(tmp_path / "local", "org/base")
    ReflectionDistillTrainer(
        model,
        ReflectionDistillConfig(str(tmp_path / "out"), push_to_hub=True, use_cpu=True, bf16=False, report_to="none"),
        train_dataset=Dataset.from_list(mixed_rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(target_modules=["q_proj"]),
    )
    assert (
        caplog.text.count("which nobody else has, so nobody else can load the adapter from the Hub; train on org/base")
        == 1
    )
