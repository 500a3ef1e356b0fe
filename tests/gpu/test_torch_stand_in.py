"""The gate's torch stand-in: the default model's networks as OpenVINO computes them, memory shared, and what it refuses."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_network
from tests.fakes import device_memory, fake_cupy
from tests.gpu import torch_session

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.model.default_model import DEFAULT_MODEL
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.device_choice import GPU_BACKENDS, place
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.kernels import load

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")


def test_the_default_network_is_computed_as_openvino_does() -> None:
    pytest.importorskip("openvino")
    file = DEFAULT_MODEL / "coarse.onnx"
    expected_session, session = open_session("openvino", file, SessionOptions()), torch_session.open_session(file, SessionOptions())
    tile = np.random.default_rng(0).standard_normal(session.input_shape).astype(np.float32)
    expected, found = expected_session.run(tile), session.run(tile)
    assert (session.input_shape, session.channels) == (expected_session.input_shape, expected_session.channels)
    assert found.dtype == np.float32
    assert found.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())


def unet(path: Path, operator: str = "LeakyRelu", pads: tuple[int, ...] = (0, 1, 1, 0, 1, 1)) -> Path:
    """A tiny U-Net with every operator that the stand-in knows: strides, groups, a skip and half-precision weights."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(1)
    shapes = {"w1": (4, 1, 1, 3, 3), "w2": (4, 1, 1, 3, 3), "w3": (4, 3, 1, 2, 2), "w4": (2, 7, 1, 1, 1)}
    kept = [numpy_helper.from_array(rng.standard_normal(shape).astype(np.float16), f"{name}h") for name, shape in shapes.items()]
    kept += [numpy_helper.from_array(rng.standard_normal(4).astype(np.float32), name) for name in ("scale", "shift")]
    casts = [helper.make_node("Cast", [f"{name}h"], [name], to=1) for name in shapes]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=pads, kernel_shape=[1, 3, 3]),
        helper.make_node("InstanceNormalization", ["a", "scale", "shift"], ["b"], epsilon=1e-5),
        helper.make_node(operator, ["b"], ["c"], **({"alpha": 0.01} if operator == "LeakyRelu" else {})),
        helper.make_node("Conv", ["c", "w2"], ["d"], pads=[0, 1, 1, 0, 1, 1], strides=[1, 2, 2], group=4, kernel_shape=[1, 3, 3]),
        helper.make_node("ConvTranspose", ["d", "w3"], ["e"], strides=[1, 2, 2], kernel_shape=[1, 2, 2]),
        helper.make_node("Concat", ["e", "c"], ["f"], axis=1),
        helper.make_node("Conv", ["f", "w4"], ["y"], kernel_shape=[1, 1, 1]),
    ]
    shape = [1, 1, 3, 8, 10]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, *shape[2:]]) for n, c in (("x", 1), ("y", 2))]
    graph = helper.make_graph([*casts, *nodes], "unet", ends[:1], ends[1:], kept)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-5), ("fp16", 2e-2)])
def test_every_operator(tmp_path: Path, precision: Any, limit: float) -> None:
    file = unet(tmp_path / "unet.onnx")
    tile = np.random.default_rng(2).standard_normal((1, 1, 3, 8, 10)).astype(np.float32)
    expected = open_session("onnxruntime", file, SessionOptions()).run(tile)
    found = torch_session.open_session(file, SessionOptions("cpu", precision)).run(tile)
    assert found.shape == expected.shape == (2, 3, 8, 10)
    assert np.abs(found - expected).max() < limit * expected.std() * 5
    assert (precision == "fp16") == (not np.allclose(found, expected, atol=1e-5))


def test_what_it_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"other\.onnx: the torch stand-in got the operator Relu, expected one of Conv,"):
        torch_session.open_session(unet(tmp_path / "other.onnx", "Relu"), SessionOptions())
    with pytest.raises(BundleError, match="as many before as after"):
        torch_session.open_session(unet(tmp_path / "pads.onnx", pads=(0, 0, 1, 0, 2, 1)), SessionOptions())
    with pytest.raises(DeviceError, match="torch-stand-in: got precision bf16"):
        torch_session.open_session(unet(tmp_path / "unet.onnx"), SessionOptions("cpu", "bf16"))
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="finds no GPU that it can use"):
            torch_session.open_session(unet(tmp_path / "gpu.onnx"), SessionOptions("cuda:0"))


def test_neither_tile_nor_logits_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the fake GPU, whose memory torch sees as the host's; only the device's name and the stream are another's."""
    monkeypatch.setattr(torch_session, "problem", lambda device: None)
    monkeypatch.setattr(torch_session, "torch_device", lambda device: torch.device("cpu"))
    monkeypatch.setattr(torch_session, "on_callers_stream", lambda device: nullcontext())
    seen: list[int] = []

    def shared(tile: device_memory.ndarray) -> Any:
        tensor = torch.from_numpy(tile._host)
        seen.extend([tensor.data_ptr(), tile.data.ptr])
        return tensor

    monkeypatch.setattr(torch_session, "to_torch", shared)
    with fake_cupy.installed():
        kernels, session = load("cuda"), torch_session.open_session(write_network(tmp_path / "n.onnx"), SessionOptions("cuda:0"))
        tile = np.random.default_rng(0).standard_normal(session.input_shape).astype(np.float32)
        logits = session.run(kernels.upload(tile))
        assert isinstance(logits, device_memory.ndarray)
        assert seen[0] == seen[1]
        assert logits.data.ptr == session._logits.data_ptr()  # type: ignore[attr-defined]
        expected = open_session("onnxruntime", tmp_path / "n.onnx", SessionOptions()).run(tile)
        np.testing.assert_allclose(kernels.download(logits), expected, atol=1e-5)
        session.close()
        with pytest.raises(ValueError, match="closed"):
            session.run(kernels.upload(tile))


def test_no_user_comes_by_it() -> None:
    """It is among the backends only where the gate has put it, and no device takes it by itself."""
    assert torch_session.NAME not in GPU_BACKENDS
    with pytest.raises(DeviceError):
        place(RunOptions(device="cuda:0", backend=torch_session.NAME))
