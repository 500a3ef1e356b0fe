from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flare_trt.training.distil.network import NetworkConfig, network_from_onnx
from flare_trt.training.tumours.network import HalfConfig, HalfUNet, start_from_teacher
from tests.shared_data import shared_file


def teacher_file() -> Path:
    return shared_file("teacher_flare25", "exported_model.onnx")


def test_the_network_keeps_the_image_s_shape_and_fits_the_wheel() -> None:
    network = HalfUNet(HalfConfig())
    with torch.no_grad():
        logits = network(torch.randn(1, 1, 24, 48, 32))
    assert logits.shape == (1, 15, 24, 48, 32)
    assert 2 * sum(parameter.numel() for parameter in network.parameters()) < 7.2e6  # bytes in half precision


def test_the_encoder_starts_as_the_teacher_s() -> None:
    """Each stage gives the teacher's own output."""
    teacher = network_from_onnx(teacher_file(), NetworkConfig())
    network = HalfUNet(HalfConfig())
    start_from_teacher(network, teacher_file())
    image = other = torch.randn(1, 1, 16, 32, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for mine, theirs in zip(network.down, teacher.encoder.stages, strict=True):
            image, other = mine(image), theirs(other)
            torch.testing.assert_close(image, other, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("level", range(3))
def test_the_decoder_starts_as_the_teacher_s(level: int) -> None:
    network, teacher = HalfUNet(HalfConfig()), network_from_onnx(teacher_file(), NetworkConfig())
    start_from_teacher(network, teacher_file())
    block = teacher.decoder.stages[level].convs[0]
    width = block.conv["depthwise"].weight.shape[0]
    image = torch.randn(1, width, 6, 8, 10, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(network.join[level][0](image), block(image), atol=2e-5, rtol=1e-4)


def test_the_branch_does_the_same_in_training_and_with_folded_norms() -> None:
    torch.manual_seed(0)
    network = HalfUNet(HalfConfig())
    image = torch.randn(1, 1, 32, 64, 64)
    with torch.no_grad():
        inner, _ = network.organ_features(image)
        network.branch.calibrate([(image, inner), (2 * image, inner)])
        whole = network(image)
        network.train()
        torch.testing.assert_close(network(image), whole, atol=1e-5, rtol=1e-5)  # no statistics of its own
        network.eval()
        network.branch.fold_norms()
        torch.testing.assert_close(network(image), whole, atol=1e-4, rtol=1e-3)
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in network.modules())


def test_calibrated_norms_give_what_they_saw_no_mean_and_unit_deviation() -> None:
    torch.manual_seed(0)
    network = HalfUNet(HalfConfig())
    image = 3 * torch.randn(1, 1, 32, 64, 64) + 5
    with torch.no_grad():
        inner, _ = network.organ_features(image)
        network.branch.calibrate([(image, inner)])
        seen = list[torch.Tensor]()
        network.branch.first.norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
        network.branch(image, inner)
    normed = seen[0]
    torch.testing.assert_close(normed.mean((0, 2, 3, 4)), torch.zeros(16), atol=1e-3, rtol=0)
    torch.testing.assert_close(normed.std((0, 2, 3, 4)), torch.ones(16), atol=1e-2, rtol=0)
