"""Run the notebook and store what it gives, after a change of its cells:

    python notebooks/run.py

Needs `pip install -e ".[notebook]"`.
"""

import argparse
import hashlib
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode


NOTEBOOK = Path(__file__).parent / "reflection_distillation.ipynb"


def fingerprint(notebook: NotebookNode) -> str:
    """The code of a notebook as a short hash, stored with its outputs to tell whether they are of this code."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def run(notebook: NotebookNode) -> None:
    """Execute all cells in place, in the notebook's own folder; the first error ends it."""
    NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day, which would change with every run
    notebook.metadata.language_info = {"name": "python"}
    notebook.metadata["outputs_of"] = fingerprint(notebook)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    run(notebook)
    nbformat.write(notebook, NOTEBOOK)
    print(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
