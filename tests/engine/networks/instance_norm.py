"""Networks around one InstanceNormalization over many voxels, and what float64 makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SHAPE = (88, 75, 99)


def norm_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "w": rng.normal(1.0, 0.3, (8, 1, 1, 1, 1)).astype(np.float32),
        "b": rng.normal(3.0, 1.0, 8).astype(np.float32),
        "scale": rng.normal(1.0, 0.2, 8).astype(np.float32),
        "shift": rng.normal(0.0, 0.5, 8).astype(np.float32),
    }


def write_norm_network(path: Path, weights: dict[str, np.ndarray], opset: int = 17) -> Path:
    """Convolution, then InstanceNormalization over 653 400 voxels."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["features"], kernel_shape=[1, 1, 1]),
            helper.make_node("InstanceNormalization", ["features", "scale", "shift"], ["y"], epsilon=1e-2),
        ],
        "norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, *SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, *SHAPE])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), str(path))
    return path


def norm_in_double(image: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    wide = {name: value.astype(np.float64) for name, value in weights.items()}
    features = image[0].astype(np.float64) * wide["w"][:, 0] + wide["b"][:, None, None, None]
    axes = (1, 2, 3)
    normal = (features - features.mean(axes, keepdims=True)) / np.sqrt(features.var(axes, keepdims=True) + 1e-2)
    return normal * wide["scale"][:, None, None, None] + wide["shift"][:, None, None, None]
