"""The golden network at patches of real size: no backend misses a limit, as ONNX Runtime with norms of its own did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flare_trt.export.nnunet import About, TrainedModel, export_nnunet

pytest.importorskip("torch")
pytest.importorskip("onnx")


@pytest.mark.parametrize("size", [96, pytest.param(128, marks=pytest.mark.slow)])
def test_every_backend_is_within_its_limits(size: int, golden: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(golden("plain"), folder)
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["patch_size"] = [size, size, size]
    (folder / "plans.json").write_text(json.dumps(plans))
    spec = export_nnunet(TrainedModel(folder, ("0",)), None, About("CC-BY-4.0"), tmp_path / "bundle", lambda line: None)
    assert spec.barred == ()
    assert spec.provenance.checked == "full"
    measured = {check.name.partition(": ")[0]: check.measured for check in spec.provenance.checks if "share" in check.name}
    assert len(measured) == 4
    assert max(measured.values()) < 3e-5, "the promise leaves 1e-4 for everything"
