"""The normalisation that the OpenVINO backend puts in, against float64."""

from pathlib import Path

import numpy as np
import pytest
from tests.engine.networks.instance_norm import SHAPE, norm_in_double, norm_weights, write_norm_network

from flare_trt.engine.networks.openvino_.means import split_means
from flare_trt.engine.networks.session import SessionOptions, open_session

pytest.importorskip("onnx")


def test_normalisation_is_exact_to_float32(tmp_path: Path) -> None:
    weights = norm_weights()
    image = np.random.default_rng(6).normal(0.5, 1.0, (1, 1, *SHAPE)).astype(np.float32)
    session = open_session("openvino", write_norm_network(tmp_path / "norm.onnx", weights), SessionOptions(threads=1))
    assert np.abs(session.run(image) - norm_in_double(image, weights)).max() < 1e-5


def test_only_instance_norms_are_replaced(tmp_path: Path) -> None:
    import openvino
    from openvino import opset13 as ops

    model = openvino.Core().read_model(str(write_norm_network(tmp_path / "norm.onnx", norm_weights())))
    assert [split_means(model), split_means(model)] == [1, 0]
    image = ops.parameter([1, 4, 5, 6, 7], np.float32)
    layer_norm = openvino.Model([ops.mvn(image, np.array([1, 2, 3, 4]), True, 1e-5, "INSIDE_SQRT")], [image])
    outside = openvino.Model([ops.mvn(image, np.array([2, 3, 4]), True, 1e-5, "OUTSIDE_SQRT")], [image])
    assert [split_means(layer_norm), split_means(outside)] == [0, 0]
