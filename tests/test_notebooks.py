"""The notebooks: as committed they show their figures, and run again they show no error."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SIZE_LIMIT = 2_000_000  # bytes, of a notebook with its figures

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def complaints(notebook):
    """What a reader should not meet: errors, and warnings or other text on stderr."""
    return [
        f"cell [{cell.execution_count}]: "
        + (f"{output.ename}: {output.evalue}" if output.output_type == "error" else output.text)
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_notebook_is_committed_as_it_ran(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem), "notebooks are named NN_title.ipynb"
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1)), "run it from the top in a new kernel"
    assert any(cell.outputs for cell in cells), "commit it with its outputs"
    assert complaints(notebook) == []
    assert path.stat().st_size < SIZE_LIMIT, "smaller figures, please"


@pytest.mark.slow
@each_notebook
def test_notebook_runs(path, tmp_path, monkeypatch):
    # A copy, so that the figures it writes do not land in the checkout.
    folder = tmp_path / "notebooks"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    # The kernel is this Python, whatever kernels and start-up files the user has.
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("MPLBACKEND")  # figures go into the notebook

    notebook = nbformat.read(folder / path.name, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    assert complaints(notebook) == []
