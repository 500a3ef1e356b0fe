"""The notebooks run from the first cell to the last, and are kept without what a run leaves in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from tests.engine.tiny_bundle import LABELS, write_tiny_bundle

from flare_trt.engine.model.bundle import open_bundle

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "docs" / "notebooks"
ORGANS = NOTEBOOKS / "organs-of-a-scan.ipynb"
DEFAULT_MODEL = ROOT / "engine" / "model" / "models" / "default"


def cells_run(path: Path, monkeypatch: pytest.MonkeyPatch, added: str = "") -> list[Any]:
    """The code cells after a run; `added` is appended to the cell of parameters. Raises where a cell does."""
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source += f"\n{added}"
    link = ROOT / "build" / "typing"  # `make typing` makes it
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(link), str(ROOT)]))
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def require_results(cells: list[Any], organs: int) -> list[tuple[str, float, float]]:
    """(organ, ml found, ml drawn); also that the picture and the report are there."""
    *_, table, picture, report = cells
    rows = [line.replace(" found", "").replace(" drawn", "").split(" ml") for line in printed(table).splitlines()]
    assert len(rows) == organs
    assert picture.outputs[0].data["image/png"].startswith("iVBORw0KGgo")
    assert '"stages"' in printed(report)
    return [(row[0][:22].strip(), float(row[0][22:]), float(row[1])) for row in rows]


def test_the_organs_of_a_small_phantom_with_a_tiny_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = write_tiny_bundle(tmp_path / "model")
    smaller = f"model, shape_zyx, spacing_mm = Path({str(bundle)!r}), (21, 33, 31), (20.0, 12.0, 12.0)"
    rows = require_results(cells_run(ORGANS, monkeypatch, smaller), len(LABELS))
    assert all(found > 0 for _, found, _ in rows)


@pytest.mark.nightly
def test_the_organs_of_the_phantom_with_the_default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_bundle(DEFAULT_MODEL) as bundle:
        organs = len(bundle.spec.labels)
    rows = require_results(cells_run(ORGANS, monkeypatch), organs)
    liver_ml, drawn_ml = next((found, drawn) for name, found, drawn in rows if name == "liver")
    assert 0.5 < liver_ml / drawn_ml < 2
    assert sum(found > 0 for _, found, _ in rows) > organs / 2


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
