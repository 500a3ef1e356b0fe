from __future__ import annotations

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.default_model import default_model
from flare_trt.training.distil.network import NetworkConfig
from flare_trt.training.tumours.measures import levels_of, shares_of
from flare_trt.training.tumours.network import FIRST_BIAS, SURE, TumourConfig, TumourUNet, doubled, organs_of_bundle
from tests.engine.tiny_bundle import write_tiny_bundle

SMALL = TumourConfig(NetworkConfig(), branch=(8, 16, 16))
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


def likelier(network: TumourUNet, image: torch.Tensor) -> torch.Tensor:
    shares = shares_of(network.organs(image))
    return network.likelier(image, shares, levels_of(image, shares))


def test_the_organs_are_the_bundle_s_own_whatever_the_branch_says() -> None:
    """Voxel by voxel the organs' logits; the last channel is above them where the branch's logit beats the lead over a host."""
    network, image = network_on_the_default_organs(), image_like_a_ct()
    organs = organs_of_bundle(default_model(), SMALL.organs).eval()
    with torch.no_grad():
        network.branch.out.bias -= likelier(network, image).median()
        tumour = likelier(network, image)  # noise is background all over, and that is a host
        logits = network(image)
        torch.testing.assert_close(logits[:, :14], organs(image), atol=0, rtol=0)
    clear = tumour.abs() > 1e-3  # beyond rounding
    wins = (tumour > 0)[clear]
    assert 0.001 < float(wins.float().mean()) < 0.98
    np.testing.assert_array_equal((logits.argmax(1, True) >= 14)[clear].numpy(), wins.numpy())


def sure_of(network: TumourUNet, label: int, tumour: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The organs' network is sure of one class by 5, the branch of tumour by some logit."""
    organs = torch.zeros(1, 14, *ODD[2:])
    organs[:, label] = 5
    monkeypatch.setattr(network.organs, "forward", lambda image: organs)
    monkeypatch.setattr(network, "likelier", lambda image, shares, levels: torch.full(ODD, tumour))


@pytest.mark.parametrize(
    ("label", "is_host"), [(0, True), (1, True), (4, True), (5, False), (6, False), (7, True), (9, False), (10, False), (13, True)]
)
def test_tumour_competes_as_its_host(monkeypatch: pytest.MonkeyPatch, label: int, is_host: bool) -> None:
    network = TumourUNet(SMALL)
    sure_of(network, label, 2.0, monkeypatch)
    with torch.no_grad():
        found = network(image_like_a_ct()).argmax(1).unique().tolist()
    assert found == [14 if is_host else label]


@pytest.mark.parametrize(("tumour", "channel"), [(-0.5, 1), (SURE - 0.5, 14), (SURE + 0.5, 15)])
def test_a_high_logit_wins_by_the_second_channel(monkeypatch: pytest.MonkeyPatch, tumour: float, channel: int) -> None:
    network = TumourUNet(SMALL)
    sure_of(network, 1, tumour, monkeypatch)
    with torch.no_grad():
        assert network(image_like_a_ct()).argmax(1).unique().tolist() == [channel]


def test_only_the_branch_learns() -> None:
    network = TumourUNet(SMALL)
    network.train()
    network(image_like_a_ct()).square().mean().backward()
    learnt = {name.partition(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learnt == {"branch"}


def test_tumours_are_rare_at_first() -> None:
    network = network_on_the_default_organs()
    with torch.no_grad():
        network.branch.out.weight.zero_()
        torch.testing.assert_close(likelier(network, image_like_a_ct()), torch.full(ODD, FIRST_BIAS))
        assert not bool((network(image_like_a_ct()).argmax(1) >= 14).any())


def test_a_bundle_of_another_network_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match="use a network of this topology"):
        organs_of_bundle(write_tiny_bundle(tmp_path / "tiny.zip"), NetworkConfig())


def test_doubled_values_are_a_transposed_convolution_s() -> None:
    torch.manual_seed(1)
    plain, image = torch.nn.ConvTranspose3d(5, 1, 2, 2), torch.randn(2, 5, 3, 4, 5)
    mixed = torch.nn.functional.conv3d(image, plain.weight[:, 0].reshape(5, 8).T.reshape(8, 5, 1, 1, 1), plain.bias.repeat(8))
    torch.testing.assert_close(doubled(mixed), plain(image))
