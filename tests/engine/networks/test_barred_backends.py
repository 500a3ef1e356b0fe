"""A backend that the export barred on a bundle is never used; the default passes to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import BarredBackend
from flare_trt.engine.networks.device_choice import place
from flare_trt.engine.segmenter import Segmenter
from tests.engine.tiny_bundle import write_tiny_bundle

REASON = "fine.onnx, noise, openvino against torch: got 0.2, expected at most 0.001"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A zip, so that what it is unpacked to has to go where the opening fails."""
    with open_bundle(write_tiny_bundle(tmp_path / "tiny")) as tiny:
        spec = replace(tiny.spec, barred=(BarredBackend("openvino", REASON),))
        write_bundle(spec, {"fine.onnx": tiny.folder / "fine.onnx"}, tmp_path / "barred.zip")
    return tmp_path / "barred.zip"


def test_the_next_backend_runs_and_the_run_says_why(bundle: Path) -> None:
    with Segmenter.open(bundle, RunOptions(device="cpu")) as segmenter:
        assert segmenter.placement.backend == "onnxruntime"
        assert segmenter.placement.warning == f"onnxruntime runs instead of openvino, barred by this bundle: {REASON}"


def test_a_barred_backend_is_refused_by_name(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    with pytest.raises(DeviceError, match=r"openvino: barred by this bundle: .*got 0.2.*; use onnxruntime"):
        Segmenter.open(bundle, RunOptions(device="cpu", backend="openvino"))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_bundles_that_bar_nothing_run_as_ever() -> None:
    assert place(RunOptions(device="cpu")).backend == "openvino"
    assert place(RunOptions(device="cpu"), {"onnxruntime": "x"}).warning is None
