"""All causal language models of the installed transformers: none is trained on anything but its own loss."""

import pytest
import transformers

from training import zoo


# One of each way to be treated, for every run of the tests
QUICK = {
    "llama": "packed",
    "gemma3_text": "packed",
    "longcat_flash": "packed",
    "falcon": "padded",
    "nemotron": "padded",
    "modernbert-decoder": "packed",
    "mamba": "refused",
    "rwkv": "refused",
    "roberta": "not causal",
}


@pytest.mark.parametrize("model_type", QUICK)
def test_each_way_to_be_treated(model_type):
    outcome = zoo.examine(model_type)
    assert outcome.kind == QUICK[model_type], outcome.reason


@pytest.mark.slow
def test_every_model_type_and_the_table_in_the_docs():
    outcomes = {model_type: zoo.examine(model_type) for model_type in zoo.MODEL_TYPES}
    assert {model_type: outcome for model_type, outcome in outcomes.items() if outcome.kind == "WRONG"} == {}
    kinds = [outcome.kind for outcome in outcomes.values()]
    assert kinds.count("packed") > 80 and kinds.count("not built") < 40
    text = zoo.DOCS.read_text()
    shown = text.partition(zoo.START)[2].partition(zoo.END)[0]
    if f"transformers {transformers.__version__}," in shown:
        assert shown.strip() == zoo.section(outcomes).strip(), "python tests/training/zoo.py --write"
