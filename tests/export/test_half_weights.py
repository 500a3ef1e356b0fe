"""Kernels in half precision: half the bytes, and the very logits of the rounded network on both backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.onnx_file import require_embedded_weights
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.engine.networks.tensorrt_.fp16 import to_fp16
from flare_trt.export.half_weights import round_kernels, store_kernels_half
from flare_trt.export.to_onnx import write_onnx

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
PATCH = (9, 14, 11)


def network() -> Any:
    torch.manual_seed(4)
    return torch.nn.Sequential(
        torch.nn.Conv3d(1, 24, 3, padding=1),
        torch.nn.InstanceNorm3d(24, affine=True),
        torch.nn.LeakyReLU(),
        torch.nn.Conv3d(24, 24, 3, padding=1, groups=24),
        torch.nn.Conv3d(24, 5, 1),
    ).eval()


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Any, Path]:
    rounded, file = network(), tmp_path / "net.onnx"
    round_kernels(rounded)
    write_onnx(rounded, PATCH, file)
    before = file.stat().st_size
    store_kernels_half(file)
    assert file.stat().st_size < before - 2 * sum(w.numel() for w in rounded.parameters() if w.ndim > 1) + 1500
    return rounded, file


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_both_backends_compute_the_rounded_network(stored: tuple[Any, Path], backend: str) -> None:
    rounded, file = stored
    tile = np.random.default_rng(1).normal(size=(1, 1, *PATCH)).astype(np.float32)
    with torch.no_grad():
        expected = rounded(torch.from_numpy(tile))[0].numpy()
        unrounded = network()(torch.from_numpy(tile))[0].numpy()
    session = open_session(backend, file, SessionOptions())
    got = np.array(session.run(tile))
    session.close()
    assert np.abs(got - expected).max() < 2e-5
    assert np.abs(got - unrounded).max() > 5e-5, "rounding has to show, or this test shows nothing"


def test_kernels_are_halves_and_vectors_are_not(stored: tuple[Any, Path]) -> None:
    model = onnx.load(str(stored[1]))
    onnx.checker.check_model(model, full_check=True)
    kinds = {len(tensor.dims) > 1: tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {True: onnx.TensorProto.FLOAT16, False: onnx.TensorProto.FLOAT}
    require_embedded_weights(stored[1], "a test")


def test_the_fp16_form_for_gpus_takes_the_stored_halves(stored: tuple[Any, Path]) -> None:
    converted = onnx.load_model_from_string(to_fp16(stored[1].read_bytes(), "net.onnx"))
    onnx.checker.check_model(converted, full_check=True)
    weights = {tensor.name for tensor in converted.graph.initializer}
    assert not [node for node in converted.graph.node if node.op_type == "Cast" and node.input[0] in weights]
    kinds = {len(tensor.dims) > 1: tensor.data_type for tensor in converted.graph.initializer if "Conv" not in tensor.name}
    assert kinds[True] == onnx.TensorProto.FLOAT16


def test_weights_that_would_change_are_refused(tmp_path: Path) -> None:
    write_onnx(network(), PATCH, tmp_path / "net.onnx")
    with pytest.raises(ExportError, match="round the kernels first"):
        store_kernels_half(tmp_path / "net.onnx")


def test_a_kernel_past_the_range_is_refused() -> None:
    large = network()
    with torch.no_grad():
        large[3].weight[0, 0, 1, 1, 1] = 7e4
    with pytest.raises(ExportError, match=r"weight 3.weight: got values past 65504"):
        round_kernels(large)


def test_the_scale_of_a_group_norm_stays_a_vector_of_floats(tmp_path: Path) -> None:
    """torch writes it with axes of one behind, as if it were a kernel."""
    torch.manual_seed(4)
    norm = torch.nn.GroupNorm(4, 24)
    torch.nn.init.uniform_(norm.weight)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 24, 3, padding=1), norm).eval()
    round_kernels(network)
    write_onnx(network, PATCH, tmp_path / "net.onnx")
    store_kernels_half(tmp_path / "net.onnx")
    kept = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(str(tmp_path / "net.onnx")).graph.initializer]
    scale = next(values for values in kept if values.size == 24 and np.allclose(values.ravel(), norm.weight.detach().numpy()))
    assert scale.dtype == np.float32
    assert sum(values.dtype == np.float16 for values in kept) == 1
