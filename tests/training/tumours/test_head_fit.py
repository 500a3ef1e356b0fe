from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from flare_trt.training.tumours.head_fit import fit_head
from flare_trt.training.tumours.loss import Target
from flare_trt.training.tumours.network import HalfConfig, HalfUNet
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import FULL, IGNORED

SHAPE = (16, 32, 48)
#: Labels of the bands of an image's values.
BANDS = torch.tensor([0, 3])


def banded_tile(seed: int, ignored: float = 0.0) -> tuple[Tensor, Target]:
    """An image and, as its labels, two bands of its values; in a share of the voxels the label is wrong and not trusted."""
    from scipy import ndimage

    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)).numpy()
    smooth = torch.from_numpy(ndimage.gaussian_filter(noise, 2.0))
    image = smooth / smooth.std()
    best = BANDS[torch.bucketize(image, torch.tensor([0.3]))].flatten()
    trust = torch.full((best.numel(),), FULL, dtype=torch.uint8)
    wrong = torch.rand(best.numel(), generator=torch.Generator().manual_seed(seed + 1)) < ignored
    trust[wrong], best[wrong] = IGNORED, 5
    classes = torch.stack([best, torch.zeros_like(best), torch.zeros_like(best)])
    shares = torch.zeros(3, best.numel())
    shares[0] = 1
    return image[None, None], Target(classes, shares, trust)


def fitted(ignored: float) -> HalfUNet:
    torch.manual_seed(0)
    network = HalfUNet(HalfConfig())
    torch.nn.init.constant_(network.down[0][0].conv[0].weight, 1 / 27)  # a random filter would lose the smooth image
    fit_head(network, (banded_tile(seed, ignored) for seed in range(6)), seed=3)
    return network


@pytest.fixture(scope="module")
def network() -> HalfUNet:
    return fitted(ignored=0.4)


def test_the_fitted_head_labels_a_tile_that_it_has_not_seen(network: HalfUNet) -> None:
    """Two fifths of the labels that it saw were wrong and not trusted."""
    image, target = banded_tile(99)
    with torch.no_grad():
        best = network(image)[0, :TUMOUR].argmax(0).flatten()
    assert float((best == target.classes[0]).float().mean()) > 0.85  # the larger band is 0.62 of the voxels
    assert set(best.unique().tolist()) == set(BANDS.tolist())


def test_the_branch_has_no_say_yet_in_the_organs(network: HalfUNet) -> None:
    image, _ = banded_tile(99)
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.branch.parameters():
            parameter.mul_(3)
        torch.testing.assert_close(other(image)[0, :TUMOUR], network(image)[0, :TUMOUR], atol=1e-5, rtol=1e-5)


def test_the_same_seed_gives_the_same_head(network: HalfUNet) -> None:
    torch.testing.assert_close(fitted(ignored=0.4).head.state_dict(), network.head.state_dict(), atol=0, rtol=0)
