"""ONNX files with a description become a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.tiny_bundle import PATCH_ZYX, write_network
from tests.shared_data import shared_file

from flare_trt.engine.base.errors import BundleError, ExportError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.export.bare_onnx import export_onnx

onnx = pytest.importorskip("onnx")


def description(**changes: Any) -> dict[str, Any]:
    stage = {
        "networks": [{"file": "net.onnx"}],
        "spacing_mm": [3.0, 2.0, 2.0],
        "patch_zyx": list(PATCH_ZYX),
        "intensity": {"low_hu": -200.0, "high_hu": 300.0, "mean_hu": 40.0, "std_hu": 120.0},
        "channel_values": [0, 1, 2, 3],
    }
    labels = [{"value": v, "name": n, "colour": "#112233"} for v, n in ((1, "liver"), (2, "spleen"), (3, "aorta"))]
    provenance = {"source": "a test", "licence": "CC0-1.0"}
    return {"schema": 1, "name": "bare", "labels": labels, "fine": {**stage, **changes}, "provenance": provenance}


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(description()))
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "net.onnx")


def test_a_described_network_becomes_a_bundle(network: Path, spec_file: Path, tmp_path: Path) -> None:
    spec = export_onnx([network], spec_file, tmp_path / "bundle.zip")
    with open_bundle(tmp_path / "bundle.zip") as bundle:
        assert bundle.spec == spec
    assert spec.provenance.exported_by.startswith("flare-trt ")
    assert spec.provenance.checks[0].name.startswith("net.onnx, CT-like patch, onnxruntime against openvino")


def test_free_batch_and_external_weights_are_mended(network: Path, spec_file: Path, tmp_path: Path) -> None:
    model = onnx.load(str(network))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(4000, np.float32), "spare"))
    onnx.save(model, str(network), save_as_external_data=True, location="weights.bin", size_threshold=0)
    export_onnx([network], spec_file, tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == ["bundle.json", "net.onnx"]


def test_a_description_is_strict(network: Path, spec_file: Path, tmp_path: Path) -> None:
    spec_file.write_text(json.dumps(description(spacing=[1, 1, 1])))
    with pytest.raises(BundleError, match=r"spec.json.fine: unknown key 'spacing'; did you mean 'spacing_mm'"):
        export_onnx([network], spec_file, tmp_path / "bundle")
    spec_file.write_text(json.dumps(description(networks=[{"file": "other.onnx"}])))
    with pytest.raises(ExportError, match=r"spec.json: names 'other.onnx', got the files net.onnx"):
        export_onnx([network], spec_file, tmp_path / "bundle")
    with pytest.raises(ExportError, match=r"gone.json: cannot be read: No such file or directory; expected a bundle.json"):
        export_onnx([network], tmp_path / "gone.json", tmp_path / "bundle")
    spec_file.write_text(json.dumps(description(patch_zyx=[16, 24, 24])))
    with pytest.raises(ExportError, match=r"expected .*24, 24"):
        export_onnx([network], spec_file, tmp_path / "bundle")
    network.write_bytes(b"no graph")
    with pytest.raises(ExportError, match=r"net.onnx: cannot be read as ONNX"):
        export_onnx([network], spec_file, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.nightly
def test_a_trained_network_of_somebody_else(tmp_path: Path) -> None:
    network = shared_file("teacher_flare25", "exported_model.onnx")
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(_teacher_description(network.name)))
    spec = export_onnx([network], path, tmp_path / "bundle")
    assert spec.fine.patch_zyx == (96, 160, 160)


def _teacher_description(file: str) -> dict[str, Any]:
    data = description(
        networks=[{"file": file}],
        spacing_mm=[2.5, 1.5, 1.5],
        patch_zyx=[96, 160, 160],
        intensity={"low_hu": -973.0, "high_hu": 295.0, "mean_hu": 80.0, "std_hu": 141.0},
        channel_values=list(range(14)),
    )
    return {**data, "labels": [{"value": value, "name": f"organ {value}", "colour": "#112233"} for value in range(1, 14)]}
