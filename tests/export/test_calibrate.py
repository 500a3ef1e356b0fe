"""int8 networks calibrated on CTs: kept where the labels stay, used by mode fast alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.tiny_bundle import PATCH_ZYX
from tests.export.test_bare_onnx import description

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.modes import Mode
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.engine.segmenter import Segmenter
from flare_trt.export import int8_gate
from flare_trt.export.calibrate import Calibration
from flare_trt.export.calibration_scans import patches_of
from flare_trt.export.cli import summaries
from flare_trt.export.int8_onnx import Int8Writer, with_plain_weights
from flare_trt.export.triton_repository import export_triton
from flare_trt.export.verify import CheckPlan

onnx = pytest.importorskip("onnx")

#: HU of air and of what the bands of the network mean; all far from the bands' borders at -80, 40 and 160 HU.
_STRIPES_HU = (-1000, -140, -20, 100, 220)
#: Beside it a channel a thousand times as large leaves the image nothing of 8 bits.
_OUTLIER = 1000.0


def phantom(seed: int, shape: tuple[int, int, int] = (35, 52, 44)) -> Volume:
    """A CT in stripes along x: every patch holds every class."""
    stripes = np.take(_STRIPES_HU, (np.arange(shape[2]) // 2 + seed) % len(_STRIPES_HU))
    noise = np.random.default_rng(seed).integers(-9, 10, shape)
    return Volume((stripes + noise).astype(np.int16), Grid(shape, (3.0, 2.0, 2.0)))


@pytest.fixture
def cts(tmp_path: Path) -> Path:
    (tmp_path / "cts").mkdir()
    for number in range(2):
        write_ct(tmp_path / "cts" / f"case_{number}.nii.gz", phantom(number))
    return tmp_path / "cts"


def write_bands(path: Path, outliers: Sequence[float]) -> Path:
    """The image through a convolution for each of `outliers`, beside a channel that much larger, and one that bands it."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, source, width = [], [], "x", 1
    for index, factor in enumerate(outliers):
        kernel = np.zeros((2, width), np.float32)
        kernel[0, 0], kernel[1, 0] = 1, factor
        weights.append(numpy_helper.from_array(kernel.reshape(2, width, 1, 1, 1), f"w{index}"))
        nodes.append(helper.make_node("Conv", [source, f"w{index}"], [f"h{index}"], name=f"conv{index}"))
        source, width = f"h{index}", 2
    centres = np.linspace(-1.5, 1.5, 4, dtype=np.float32)
    bands = np.zeros((4, width), np.float32)
    bands[:, 0] = 2 * centres
    weights += [numpy_helper.from_array(bands.reshape(4, width, 1, 1, 1), "w"), numpy_helper.from_array(-(centres**2), "b")]
    nodes.append(helper.make_node("Conv", [source, "w", "b"], ["y"], name="bands"))
    graph = helper.make_graph(
        nodes,
        "bands",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, *PATCH_ZYX])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, *PATCH_ZYX])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def exported(folder: Path, outliers: Sequence[float], calibrate: Path | None, name: str = "bundle") -> ModelSpec:
    from flare_trt.export.bare_onnx import export_onnx

    (folder / "spec.json").write_text(json.dumps(description(crop_nonzero=False)))
    network = write_bands(folder / "net.onnx", outliers)
    return export_onnx([network], folder / "spec.json", folder / name, CheckPlan("quick"), calibrate)


def labels(bundle: Path, mode: Mode, backend: str = "openvino") -> tuple[Any, str]:
    options = RunOptions(mode=mode, device="cpu", backend=backend, threads=1)
    with Segmenter.open(bundle, options) as segmenter:
        found = segmenter.segment(phantom(7))
    return found.labels.array, found.report.precision


def test_a_calibrated_network_is_int8_in_mode_fast_alone(cts: Path, tmp_path: Path) -> None:
    spec = exported(tmp_path, (1.0,), cts, "bundle.zip")
    plain = exported(tmp_path, (1.0,), None, "plain")
    assert spec.fine.fast.networks is not None
    assert [network.file for network in spec.fine.fast.networks] == ["net.int8.onnx"]
    (line,) = spec.provenance.int8
    assert re.fullmatch(r"net.onnx: int8 in 2 of 2 convolutions, least DSC of \w+ to the exact labels [01]\.\d{4}", line)
    with open_bundle(tmp_path / "bundle.zip") as bundle:
        assert bundle.spec == spec
        model = onnx.load(str(bundle.folder / "net.int8.onnx"))
    require_explicit_int8(model)
    assert spec.provenance.checks[-1].limit == pytest.approx(0.005)
    assert summaries(spec.provenance.checks)[-1].startswith("net.int8.onnx: 1 - DSC of ")

    export_triton(tmp_path / "bundle.zip", tmp_path / "triton")
    assert [path.name for path in sorted((tmp_path / "triton").iterdir())] == ["README.md", "bundle.json", "net"]
    assert "net.int8" not in (tmp_path / "triton" / "bundle.json").read_text().partition('"provenance"')[0]

    exact, precision = labels(tmp_path / "bundle.zip", "exact")
    assert precision == "fp32"
    np.testing.assert_array_equal(exact, labels(tmp_path / "plain", "exact")[0])
    assert plain.fine == replace(spec.fine, fast=plain.fine.fast)
    for backend in ("openvino", "onnxruntime"):
        fast, precision = labels(tmp_path / "bundle.zip", "fast", backend)
        assert precision.startswith("int8 and ")
        assert np.mean(fast == exact) > 0.999
    assert not labels(tmp_path / "plain", "fast")[1].startswith("int8")
    assert {RunOptions(mode=mode).stage_as_run(spec.fine, "fine").networks for mode in ("exact", "half")} == {spec.fine.networks}


def require_explicit_int8(model: Any) -> None:
    """Every convolution reads int8: activations by one scale, weights by one a channel, zero points 0."""
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    for node in (node for node in model.graph.node if node.op_type == "Conv"):
        image, kernel = (makers[name] for name in node.input[:2])
        assert (image.op_type, kernel.op_type) == ("DequantizeLinear", "DequantizeLinear")
        assert weights[image.input[1]].size == 1
        assert weights[kernel.input[0]].dtype == np.int8
        assert weights[kernel.input[1]].shape == (weights[kernel.input[0]].shape[0],)
        for part in (image, kernel):
            zero = weights[part.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()


def test_a_convolution_that_int8_breaks_stays_in_floating_point(cts: Path, tmp_path: Path) -> None:
    spec = exported(tmp_path, (_OUTLIER,), cts)
    (line,) = spec.provenance.int8
    assert line.startswith("net.onnx: int8 in 1 of 2 convolutions")
    assert line.endswith("in floating point: bands")
    model = onnx.load(str(tmp_path / "bundle" / "net.int8.onnx"))
    reads = {
        node.name: [name for name in node.input if "Dequantize" in name] for node in model.graph.node if node.op_type == "Conv"
    }
    assert reads["bands"] == []
    assert len(reads["conv0"]) == 2


def test_a_network_that_int8_breaks_keeps_none(cts: Path, tmp_path: Path) -> None:
    spec = exported(tmp_path, (_OUTLIER, _OUTLIER), cts)
    (line,) = spec.provenance.int8
    assert line.startswith("net.onnx: no int8: with 2 of 3 convolutions in it, DSC of ")
    assert line.endswith(", expected at least 0.995")
    assert spec.fine.fast.networks is None
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == ["bundle.json", "net.onnx"]
    assert labels(tmp_path / "bundle", "fast")[1] in ("fp32", "bf16")


def test_labels_that_are_too_few_are_no_evidence(cts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_gate, "LEAST_VOXELS", 10**9)
    spec = exported(tmp_path, (1.0,), cts)
    assert spec.provenance.int8 == (f"net.onnx: no int8: no class has {10**9} voxels in the patches held out; add CTs",)
    assert spec.fine.fast.networks is None


def test_an_nnunet_folder_is_calibrated(
    golden: Callable[[str], Path], cts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its labels lie on ties, so that either may come of it; what it was is said and kept."""
    pytest.importorskip("torch")
    words = [str(golden("plain")), "-o", str(tmp_path / "model"), "--check", "quick", "--calibrate", str(cts)]
    assert main(["export", "nnunet", *words]) == 0
    with open_bundle(tmp_path / "model") as bundle:
        spec = bundle.spec
    printed = capsys.readouterr().out.splitlines()
    assert set(spec.provenance.int8) <= set(printed)
    assert [line.partition(":")[0] for line in spec.provenance.int8] == [network.file for network in spec.fine.networks]
    assert (spec.fine.fast.networks is None) == all(": no int8: " in line for line in spec.provenance.int8)
    assert main(["info", str(tmp_path / "model")]) == 0
    assert f"  int8     {spec.provenance.int8[0]}" in capsys.readouterr().out


def test_every_second_ct_is_held_out(cts: Path, tmp_path: Path) -> None:
    stage = exported(tmp_path, (1.0,), None).fine
    scans = sorted(cts.iterdir())
    both = patches_of(scans, stage, lambda line: None)
    assert (len(both.calibration), len(both.held_out)) == (12, 12)
    assert both.held_out[0].shape == (1, 1, *PATCH_ZYX)
    alone = patches_of(scans[1:], stage, lambda line: None)
    known = {patch.tobytes() for patch in alone.calibration}
    assert known
    assert known.isdisjoint(patch.tobytes() for patch in alone.held_out)


def test_what_cannot_be_calibrated_on_is_refused(cts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(folder: Path, message: str) -> None:
        with pytest.raises(ExportError, match=message):
            exported(tmp_path, (1.0,), folder)
        assert not (tmp_path / "bundle").exists()

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "nowhere", r"--calibrate: got .*nowhere, expected a folder of CTs")
    refused(tmp_path / "empty", r"--calibrate: .*empty holds no scan, expected CTs as .nii.gz")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "case.nii.gz").write_text("no scan")
    refused(tmp_path / "text", r"--calibrate: .*case.nii.gz")
    (tmp_path / "mr").mkdir()
    brightness = np.random.default_rng(0).integers(300, 900, (35, 52, 44), dtype=np.int16)
    write_ct(tmp_path / "mr" / "t1.nii.gz", Volume(brightness, Grid(brightness.shape, (3.0, 2.0, 2.0))))
    refused(tmp_path / "mr", r"--calibrate: .*t1.nii.gz: does not look like a CT: .*; take it out of the folder")
    (tmp_path / "small").mkdir()
    write_ct(tmp_path / "small" / "one.nii.gz", phantom(0, PATCH_ZYX))
    refused(tmp_path / "small", r"--calibrate: got one patch of one.nii.gz, expected two at the least, one held out; add a CT")
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    refused(cts, r"--calibrate: the package 'onnxruntime.quantization' is not installed; pip install")


def test_a_model_of_no_ct_is_refused(cts: Path, tmp_path: Path) -> None:
    from flare_trt.engine.model.channel_spec import ChannelSpec

    spec = exported(tmp_path, (1.0,), None)
    mr = replace(spec, fine=replace(spec.fine, intensity=None, channels=(ChannelSpec("T1", "zscore"),)))
    with pytest.raises(ExportError, match="--calibrate: got a model of T1, expected one of a CT alone; leave it out"):
        Calibration(cts).applied(mr, {}, tmp_path, lambda line: None)


def test_ranges_of_another_network_of_the_same_name_are_not_taken(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(1, 1, *PATCH_ZYX)).astype(np.float32)
    scales = []
    for number, size in enumerate((1, 4)):
        (tmp_path / str(number)).mkdir()
        network = write_bands(tmp_path / str(number) / "net.onnx", (1.0,))
        Int8Writer(network, [size * image], tmp_path).write(tmp_path / "net.int8.onnx")
        model = onnx.load(str(tmp_path / "net.int8.onnx"))
        scales.append({t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}["x_scale"])
    assert scales[1] == pytest.approx(4 * scales[0])


def test_weights_behind_a_cast_or_an_identity_are_weights(tmp_path: Path) -> None:
    """Kernels in half precision, as the default model's, and biases that torch's exporter shares."""
    model = onnx.load(str(write_bands(tmp_path / "net.onnx", (1.0,))))
    (kernel,) = (tensor for tensor in model.graph.initializer if tensor.name == "w")
    kernel.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(kernel).astype(np.float16), "half"))
    cast = onnx.helper.make_node("Cast", ["half"], ["w"], to=onnx.TensorProto.FLOAT)
    same = onnx.helper.make_node("Identity", ["b"], ["shared"])
    model.graph.node[-1].input[2] = "shared"
    model.graph.node[-1].name = ""
    for node in (cast, same):
        model.graph.node.insert(0, node)
    plain = with_plain_weights(model)
    onnx.checker.check_model(plain, full_check=True)
    assert [node.op_type for node in plain.graph.node] == ["Conv", "Conv"]
    assert all(node.name for node in plain.graph.node)
    assert {tensor.name: tensor.data_type for tensor in plain.graph.initializer} == dict.fromkeys(
        ("w0", "w", "shared"), onnx.TensorProto.FLOAT
    )


def test_regions_are_counted_by_channel() -> None:
    wanted = np.zeros((2, 2, 2, 3), bool)
    wanted[0, 0], wanted[1, :, 0] = True, True
    got = wanted.copy()
    got[1, 1] = False
    assert int8_gate._counts(wanted, got, 2).tolist() == [[6, 3], [6, 6], [6, 3]]
    painted = np.array([[[0, 1, 1, 2]]], np.uint16)
    assert int8_gate._counts(painted, np.array([[[0, 1, 2, 2]]], np.uint16), 3).tolist() == [[1, 1, 1], [1, 2, 1], [1, 1, 2]]
