from __future__ import annotations

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.network import NetworkConfig, SeparableUNet, network_from_onnx
from tests.shared_data import shared_file

TINY = NetworkConfig(channels=3, features=(2, 4), strides_zyx=((1, 1, 1), (1, 2, 2)), convs_encoder=(1, 2), convs_decoder=(1,))


def test_logits_have_the_image_s_shape() -> None:
    assert SeparableUNet(TINY)(torch.randn(2, 1, 5, 6, 8)).shape == (2, 3, 5, 6, 8)


def test_the_default_topology_is_the_teacher_s() -> None:
    assert sum(weight.numel() for weight in SeparableUNet(NetworkConfig()).parameters()) == 357_882


def test_the_teacher_s_weights_give_the_teacher_s_logits() -> None:
    import onnxruntime

    path = shared_file("teacher_flare25", "exported_model.onnx")
    tile = np.random.default_rng(0).normal(size=(1, 1, 96, 160, 160)).astype(np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"input": tile})[0]
    with torch.no_grad():
        got = network_from_onnx(path, NetworkConfig())(torch.from_numpy(tile)).numpy()
    assert np.abs(got - expected).max() < 2e-2
    assert expected.std() > 1


def test_weights_of_another_topology_are_refused() -> None:
    path = shared_file("teacher_flare25", "exported_model.onnx")
    with pytest.raises(InputError, match="expected shape"):
        network_from_onnx(path, NetworkConfig(features=(16, 32, 64, 128, 160)))
