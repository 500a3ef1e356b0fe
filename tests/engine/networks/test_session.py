"""What a session may be asked, and which shapes of network files are taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.networks.fake import FakeSession
from flare_trt.engine.networks.session import SessionOptions, backend_problem, open_session, require_tile, static_shape


def test_the_number_of_a_gpu() -> None:
    assert [SessionOptions(device).ordinal for device in ("cpu", "cuda:0", "cuda:11")] == [0, 0, 11]


@pytest.mark.parametrize(
    "tile",
    [np.zeros((1, 1, 4, 5, 7), np.float32), np.zeros((1, 1, 4, 5, 6)), np.zeros((1, 1, 4, 5, 12), np.float32)[..., ::2]],
    ids=["shape", "dtype", "strides"],
)
def test_a_wrong_tile_is_refused(tile: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected C-contiguous float32 \(1, 1, 4, 5, 6\)"):
        require_tile(FakeSession((1, 1, 4, 5, 6), 3), tile)
    require_tile(FakeSession((1, 1, 4, 5, 6), 3), np.zeros((1, 1, 4, 5, 6), np.float32))


def test_only_static_shapes_are_taken() -> None:
    assert static_shape("n.onnx", (1, 1, 4, 5, 6), 1) == (1, 1, 4, 5, 6)
    assert static_shape("n.onnx", (None, 3, 4, 5, 6), 1) == (1, 3, 4, 5, 6)  # a free batch is one
    for sizes, outputs in [
        ((1, 1, None, 5, 6), 1),
        ((1, 1, 4, 5), 1),
        ((2, 1, 4, 5, 6), 1),
        ((1, 1, 4, 5, 6), 2),
    ]:
        with pytest.raises(BundleError, match="expected \\(1, c, z, y, x\\) with fixed sizes and one output"):
            static_shape("n.onnx", sizes, outputs)


def test_no_backend_stands_in_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = "openvino, native, onnxruntime, onnxruntime-tensorrt, tensorrt"
    with pytest.raises(DeviceError, match=f"got 'torch', expected one of {offered}$"):
        open_session("torch", tmp_path / "n.onnx", SessionOptions())
    monkeypatch.setitem(__import__("sys").modules, "flare_trt.engine.networks.fake", None)
    assert "flare_trt.engine.networks.fake" in str(backend_problem("fake", "cpu"))
