"""The notebook: its outputs are those of its cells, and the cells run."""

import sys
from pathlib import Path

import pytest
import torch
from conftest import tiny_config
from transformers import AutoModelForCausalLM


nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
MODEL = "../models/smollm2-135m-instruct"

sys.path.append(str(NOTEBOOKS))
import run  # noqa: E402


@pytest.fixture
def notebook():
    return nbformat.read(run.NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook, kind):
    return [output for cell in code_cells(notebook) for output in cell.outputs if output.output_type == kind]


def pictures(notebook):
    return [
        output
        for kind in ("display_data", "execute_result")
        for output in outputs(notebook, kind)
        if "image/png" in output.data
    ]


def printed(notebook):
    return "".join(output.text for output in outputs(notebook, "stream") if output.name == "stdout")


def check_outputs(notebook):
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    assert not outputs(notebook, "error")
    assert len(pictures(notebook)) == 3  # schedule, losses against the rate, curves
    text = printed(notebook)
    assert text.index("=== tool") < text.index("distilled") < text.index("=== before") < text.index("=== after")


def test_stored_outputs_are_of_the_stored_cells(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.outputs_of == run.fingerprint(notebook), "run `python notebooks/run.py` and commit"
    check_outputs(notebook)
    assert not [output.text for output in outputs(notebook, "stream") if output.name == "stderr"]
    assert run.NOTEBOOK.stat().st_size < 500_000


def test_a_changed_cell_makes_its_outputs_stale(notebook):
    before = run.fingerprint(notebook)
    code_cells(notebook)[2].source += "\nprint(1)"
    assert run.fingerprint(notebook) != before


def test_runs_with_a_tiny_model(notebook, tokenizer, tmp_path, monkeypatch):
    config = tiny_config(hidden_size=16, intermediate_size=16, max_position_embeddings=8192)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    substitutes = {MODEL: tmp_path / "model", "../out": tmp_path / "out", r"(1[5-9]|2\d)": r"\d", "=160": "=4"}
    for old, new in substitutes.items():
        assert any(old in cell.source for cell in code_cells(notebook))
        for cell in code_cells(notebook):
            cell.source = cell.source.replace(old, str(new))
    run.run(notebook)
    check_outputs(notebook)


@pytest.mark.slow
def test_runs_with_the_real_model(notebook, tmp_path):
    for cell in code_cells(notebook):
        cell.source = cell.source.replace("../out", str(tmp_path))
    losses = '[entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]'
    notebook.cells.append(nbformat.v4.new_code_cell(f"first, last = {losses}\nassert last < first - 0.02"))
    run.run(notebook)
