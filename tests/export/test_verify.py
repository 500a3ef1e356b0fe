"""An export that is off by a little is caught before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.networks.separable_net import separable_net
from tests.engine.tiny_bundle import PATCH_ZYX, write_network

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.engine.model.spec import NetworkFile, StageSpec
from flare_trt.engine.networks.device_choice import OWN_BF16
from flare_trt.engine.networks.native_.backend import has_bf16
from flare_trt.export import nnunet, verify
from flare_trt.export.nnunet import About, TrainedModel, export_nnunet
from flare_trt.export.sample_patch import noise_patch, scan_patch
from flare_trt.export.verify import CheckPlan, Reference, Verified, session_reference, verify_graph, verify_logits
from flare_trt.kernels import Intensity

onnx = pytest.importorskip("onnx")

IMAGES = ("CT-like patch", "noise")
STAGE = StageSpec((NetworkFile("fine.onnx"),), (3.0, 2.0, 2.0), PATCH_ZYX, Intensity(-200.0, 300.0, 40.0, 120.0), (0, 1, 2, 3))


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "fine.onnx")


def changed(network: Path, change: Callable[[Any], None]) -> Path:
    model = onnx.load(str(network))
    change(model)
    onnx.save(model, str(network))
    return network


def test_a_sound_network_passes(network: Path) -> None:
    verify_graph(network, STAGE)
    told: list[str] = []
    checks = verify_logits(network, STAGE, session_reference(network, "onnxruntime"), CheckPlan(tell=told.append)).checks
    assert [line.partition(":")[0] for line in told[:2]] == [f"fine.onnx, {name}" for name in IMAGES], "the reference takes longest"
    assert [line.partition(":")[0] for line in told[2:]] == [f"fine.onnx, {name}, openvino against onnxruntime" for name in IMAGES]
    assert all("(limit 0.001)" in line and "(limit 0.01 %)" in line and "barred" not in line for line in told[2:])
    assert [check.limit for check in checks] == [1e-3, 1e-4] * 2
    assert max(check.measured for check in checks) < 1e-5


def test_logits_that_are_off_are_caught(network: Path) -> None:
    truth = session_reference(network, "onnxruntime")
    with pytest.raises(
        ExportError, match=r"fine.onnx, CT-like patch, openvino.*largest difference.*expected at most 0.001; nothing"
    ):
        verify_logits(network, STAGE, Reference("torch", lambda image: truth.run(image) * np.float32(1.2)))
    with pytest.raises(ExportError, match=r"largest difference.*got nan"):
        verify_logits(network, STAGE, Reference("torch", lambda image: truth.run(image) * np.float32(np.nan)))
    with pytest.raises(ExportError, match=r"largest difference.*got inf"):
        verify_logits(network, STAGE, Reference("torch", lambda image: truth.run(image)[:3]))


def test_a_backend_that_misses_its_limit_is_barred_and_the_others_are_not(network: Path) -> None:
    """Logits 0.2 % off: past OpenVINO's limit, within ONNX Runtime's."""
    truth = session_reference(network, "onnxruntime")
    off = Reference("torch", lambda image: truth.run(image) * np.float32(1.002))
    told: list[str] = []
    found = verify_logits(network, STAGE, off, CheckPlan(tell=told.append))
    assert [line.endswith("missed, so the backend is barred") for line in told] == [False] * 2 + [True] * 2 + [False] * 2
    (barred,) = found.barred
    assert barred.backend == "openvino"
    assert barred.reason.startswith("fine.onnx, CT-like patch, openvino against torch: largest difference")
    assert len(found.checks) == 4
    assert all("onnxruntime against torch" in check.name for check in found.checks)
    with pytest.raises(ExportError, match=r"openvino"):
        verify_logits(network, STAGE, off, CheckPlan("quick"))


@pytest.mark.skipif(not has_bf16(), reason="this processor has no AVX512_BF16")
def test_our_own_kernels_are_compared_in_bf16_too_and_barred_in_that_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = separable_net(tmp_path / "fine.onnx", (8, 24, 20), ((1, 1, 1), (2, 2, 2)), 4)
    stage = replace(STAGE, patch_zyx=(8, 24, 20))

    def found() -> Verified:
        return verify_logits(network, stage, session_reference(network, "openvino"))

    monkeypatch.setattr(verify, "CHANGE_LIMIT", 0.5)  # half precision moves the labels of random weights far
    checks = [check for check in found().checks if "native in bf16 against openvino: share of voxels" in check.name]
    assert [check.name.partition(", native")[0] for check in checks] == [f"fine.onnx, {name}" for name in IMAGES]
    assert all(0 < check.measured < check.limit == 0.5 for check in checks)
    monkeypatch.setattr(verify, "CHANGE_LIMIT", 0.0)
    missed = found()
    assert [bar.backend for bar in missed.barred] == [OWN_BF16]
    assert {check.name.partition(" against")[0].rpartition(", ")[2] for check in missed.checks} == {"native", "onnxruntime"}


def test_quick_compares_one_image_on_the_default_backend(network: Path) -> None:
    calls = []
    truth = session_reference(network, "onnxruntime")

    def run(image: np.ndarray) -> np.ndarray:
        calls.append(image)
        return truth.run(image)

    found = verify_logits(network, STAGE, Reference("torch", run), CheckPlan("quick"))
    assert len(calls) == 1
    assert [check.name.rpartition(":")[0] for check in found.checks] == ["fine.onnx, CT-like patch, openvino against torch"] * 2


def test_labels_that_differ_are_caught_though_logits_are_near(network: Path) -> None:
    """Two channels a hair apart everywhere, and the hair has the other sign."""
    truth = session_reference(network, "onnxruntime")

    def twisted(image: np.ndarray) -> np.ndarray:
        logits = truth.run(image).copy()
        logits[..., :4] = logits[..., :4].mean(axis=0) + np.array([1e-5, 0, 0, 0], np.float32)[:, None, None, None]
        return logits

    with pytest.raises(ExportError, match=r"(largest difference|another label)"):
        verify_logits(network, STAGE, Reference("torch", twisted))


def test_a_change_after_the_export_is_caught_and_nothing_is_written(
    golden: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = nnunet.write_onnx

    def damaged(module: Any, patch: tuple[int, int, int], path: Path, channels: int) -> None:
        import torch

        written(module, patch, path, channels)
        with torch.no_grad():
            module.decoder.seg_layers[-1].bias[3] += 0.05

    monkeypatch.setattr(nnunet, "write_onnx", damaged)
    with pytest.raises(ExportError, match=r"largest difference"):
        export_nnunet(TrainedModel(golden("plain"), ("0",)), None, About("x"), tmp_path / "bundle", lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_graphs_that_are_not_of_the_stage_are_refused(network: Path) -> None:
    with pytest.raises(ExportError, match=r"outputs \[\(1, 4, 16, 24, 20\)\], expected .* and \[\(1, 4, 16, 24, 21\)\]"):
        verify_graph(network, StageSpec(STAGE.networks, (3.0, 2.0, 2.0), (16, 24, 21), STAGE.intensity, (0, 1, 2, 3)))
    with pytest.raises(ExportError, match=r"expected .*\(1, 3, 16, 24, 20\)"):
        verify_graph(network, StageSpec(STAGE.networks, (3.0, 2.0, 2.0), PATCH_ZYX, STAGE.intensity, (0, 1, 2)))
    changed(network, lambda model: model.graph.input[0].type.tensor_type.shape.dim[2].__setattr__("dim_param", "z"))
    with pytest.raises(ExportError, match=r"inputs \[\(1, 1, 'z', 24, 20\)\]|not a valid ONNX"):
        verify_graph(network, STAGE)


def test_operators_from_elsewhere_are_refused(network: Path) -> None:
    def add(model: Any) -> None:
        model.opset_import.append(onnx.helper.make_opsetid("com.evil", 1))
        model.graph.node[0].output[0] = "hidden"
        model.graph.node.append(onnx.helper.make_node("Run", ["hidden"], ["y"], domain="com.evil"))

    changed(network, add)
    with pytest.raises(ExportError, match=r"got operators of com.evil, expected standard ones only"):
        verify_graph(network, STAGE)
    network.write_bytes(b"not a graph")
    with pytest.raises(ExportError, match=r"is not a valid ONNX file"):
        verify_graph(network, STAGE)


def test_sample_patches() -> None:
    patch, noise = scan_patch(STAGE), noise_patch(STAGE)
    assert patch.shape == noise.shape == (1, 1, *PATCH_ZYX)
    assert patch.dtype == noise.dtype == np.float32
    np.testing.assert_array_equal(patch, scan_patch(STAGE))
    np.testing.assert_array_equal(noise, noise_patch(STAGE))
    assert patch.min() == np.float32(-2.0), "air is clipped to low_hu"
    assert patch.max() <= np.float32((300 - 40) / 120)
    assert 0.3 < (patch > -2).mean() < 0.7


def test_sample_patches_of_other_channels() -> None:
    """Each as its normalisation leaves a scan."""
    channels = ChannelSpec("a", "zscore"), ChannelSpec("b", "zscore", masked=True), ChannelSpec("c", "range_0_1")
    patch = scan_patch(replace(STAGE, intensity=None, channels=channels))[0]
    assert patch[:2].std(axis=(1, 2, 3)).min() > 0.5
    assert [float(channel[0, 0, 0]) for channel in patch] == [-1, 0, 0], "the corner lies outside of the body"
    assert patch[2].min() == 0 < 0.7 < patch[2].max() <= 1
