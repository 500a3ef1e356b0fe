"""The normalisation that the OpenVINO backend puts in, against float64."""

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.networks.openvino_.means import split_means
from flare_trt.engine.networks.session import SessionOptions, open_session

onnx = pytest.importorskip("onnx")

SHAPE = (88, 75, 99)


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "w": rng.normal(1.0, 0.3, (8, 1, 1, 1, 1)).astype(np.float32),
        "b": rng.normal(3.0, 1.0, 8).astype(np.float32),
        "scale": rng.normal(1.0, 0.2, 8).astype(np.float32),
        "shift": rng.normal(0.0, 0.5, 8).astype(np.float32),
    }


@pytest.fixture
def network(tmp_path: Path, weights: dict[str, np.ndarray]) -> Path:
    """Convolution, then InstanceNormalization over 653 400 voxels: OpenVINO runs the second in blocks of channels."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["features"], kernel_shape=[1, 1, 1]),
            helper.make_node("InstanceNormalization", ["features", "scale", "shift"], ["y"], epsilon=1e-5),
        ],
        "norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, *SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, *SHAPE])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    file = tmp_path / "norm.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(file))
    return file


def expected(image: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    wide = {name: value.astype(np.float64) for name, value in weights.items()}
    features = image[0].astype(np.float64) * wide["w"][:, 0] + wide["b"][:, None, None, None]
    axes = (1, 2, 3)
    normal = (features - features.mean(axes, keepdims=True)) / np.sqrt(features.var(axes, keepdims=True) + 1e-5)
    return normal * wide["scale"][:, None, None, None] + wide["shift"][:, None, None, None]


def test_normalisation_is_exact_to_float32(network: Path, weights: dict[str, np.ndarray]) -> None:
    image = np.random.default_rng(6).normal(0.5, 1.0, (1, 1, *SHAPE)).astype(np.float32)
    session = open_session("openvino", network, SessionOptions(threads=1))
    assert np.abs(session.run(image) - expected(image, weights)).max() < 1e-5


def test_only_instance_norms_are_replaced(network: Path) -> None:
    import openvino
    from openvino import opset13 as ops

    model = openvino.Core().read_model(str(network))
    assert [split_means(model), split_means(model)] == [1, 0]
    image = ops.parameter([1, 4, 5, 6, 7], np.float32)
    layer_norm = openvino.Model([ops.mvn(image, np.array([1, 2, 3, 4]), True, 1e-5, "INSIDE_SQRT")], [image])
    outside = openvino.Model([ops.mvn(image, np.array([2, 3, 4]), True, 1e-5, "OUTSIDE_SQRT")], [image])
    assert [split_means(layer_norm), split_means(outside)] == [0, 0]
