from __future__ import annotations

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.default_model import default_model
from flare_trt.training.distil.network import NetworkConfig
from flare_trt.training.tumours.network import SURE, WINDOW_SCALE, TumourConfig, TumourUNet, contrast_to_organs, organs_of_bundle
from tests.engine.tiny_bundle import write_tiny_bundle

SMALL = TumourConfig(NetworkConfig(), branch=(8, 16, 16), hidden=4)
ODD = (1, 1, 16, 48, 32)


def image_like_a_ct(shape: tuple[int, ...] = ODD) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def network_on_the_default_organs() -> TumourUNet:
    torch.manual_seed(0)
    network = TumourUNet(SMALL)
    network.organs.load_state_dict(organs_of_bundle(default_model(), SMALL.organs).state_dict())
    network.eval()
    return network


def test_the_network_keeps_the_image_s_shape_and_fits_the_wheel() -> None:
    network = TumourUNet(TumourConfig())
    with torch.no_grad():
        logits = network(image_like_a_ct((1, 1, 32, 48, 64)))
    assert logits.shape == (1, 16, 32, 48, 64)
    assert 2 * sum(parameter.numel() for parameter in network.parameters()) < 7.2e6  # bytes in half precision


def test_the_organs_are_the_bundle_s_own_whatever_the_branch_says() -> None:
    """Voxel by voxel the organs' logits; the last channel is above them where the branch's logit beats the lead over a host."""
    network, image = network_on_the_default_organs(), image_like_a_ct()
    organs = organs_of_bundle(default_model(), SMALL.organs).eval()
    with torch.no_grad():
        half, first = organs.half_features(image)
        half = torch.cat((half, contrast_to_organs(image, organs(image))), 1)
        network.out.bias -= network.tumour_logit(image, half, first).median()
        tumour = network.tumour_logit(image, half, first)  # noise is background all over, and background is a host
        logits = network(image)
        torch.testing.assert_close(logits[:, :14], organs(image), atol=0, rtol=0)
    clear = tumour.abs() > 1e-3  # beyond rounding
    wins = (tumour > 0)[clear]
    assert 0.001 < float(wins.float().mean()) < 0.98
    np.testing.assert_array_equal((logits.argmax(1, True) >= 14)[clear].numpy(), wins.numpy())


@pytest.mark.parametrize(
    ("label", "is_host"), [(0, True), (1, True), (4, True), (5, False), (6, False), (7, True), (9, False), (10, False), (13, True)]
)
def test_tumour_competes_as_its_host(monkeypatch: pytest.MonkeyPatch, label: int, is_host: bool) -> None:
    """The organs' network is sure of one class by 5, the branch of tumour by 3."""
    network = TumourUNet(SMALL)
    organs = torch.zeros(1, 14, *ODD[2:])
    organs[:, label] = 5
    monkeypatch.setattr(network.organs, "finish", lambda half, first: organs)
    monkeypatch.setattr(network, "tumour_logit", lambda image, half, first: torch.full((1, 1, *ODD[2:]), 3.0))
    with torch.no_grad():
        found = network(image_like_a_ct()).argmax(1).unique().tolist()
    assert found == [14 if is_host else label]


@pytest.mark.parametrize(("tumour", "channel"), [(-0.5, 1), (SURE - 0.5, 14), (SURE + 0.5, 15)])
def test_a_high_logit_wins_by_the_second_channel(monkeypatch: pytest.MonkeyPatch, tumour: float, channel: int) -> None:
    network = TumourUNet(SMALL)
    organs = torch.zeros(1, 14, *ODD[2:])
    organs[:, 1] = 5
    monkeypatch.setattr(network.organs, "finish", lambda half, first: organs)
    monkeypatch.setattr(network, "tumour_logit", lambda image, half, first: torch.full((1, 1, *ODD[2:]), tumour))
    with torch.no_grad():
        assert network(image_like_a_ct()).argmax(1).unique().tolist() == [channel]


def test_the_contrast_is_to_the_mean_of_the_organ_that_a_voxel_belongs_to() -> None:
    """Liver of 0.5 with a lesion of 0 in an eighth of it, spleen of 1, else background, in normalised values."""
    image, organs = torch.full((1, 1, 16, 16, 32), -1.0), torch.zeros(1, 14, 16, 16, 32)
    organs[:, 0] = 30
    image[..., :16], organs[:, 0, ..., :16], organs[:, 1, ..., :16] = 0.5, 0, 30
    image[..., :8, :8, :8] = 0.0
    image[..., 24:], organs[:, 0, ..., 24:], organs[:, 3, ..., 24:] = 1.0, 0, 30
    contrast = contrast_to_organs(image, organs)
    assert contrast.shape == (1, 1, 8, 8, 16)
    mean = 0.5 * (7 / 8) * WINDOW_SCALE
    torch.testing.assert_close(contrast[0, 0, 0, 0, 0], torch.tensor(-mean), atol=2e-3, rtol=0)
    torch.testing.assert_close(contrast[0, 0, -1, -1, 7], torch.tensor(0.5 * WINDOW_SCALE - mean), atol=2e-3, rtol=0)
    torch.testing.assert_close(contrast[..., 8:12], torch.zeros(1, 1, 8, 8, 4), atol=2e-3, rtol=0)
    torch.testing.assert_close(contrast[..., 12:], torch.zeros(1, 1, 8, 8, 4), atol=2e-3, rtol=0)


def test_only_the_branch_learns() -> None:
    network = TumourUNet(SMALL)
    network.train()
    network(image_like_a_ct()).square().mean().backward()
    learnt = {name.partition(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learnt == {"branch", "up", "edge", "out"}


def test_a_bundle_of_another_network_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match="use a network of this topology"):
        organs_of_bundle(write_tiny_bundle(tmp_path / "tiny.zip"), NetworkConfig())
