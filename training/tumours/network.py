"""The organs' network as it stands, and beside it a branch that learns one thing more: where a tumour is.

The organs' weights never change, so neither do the organs outside tumours. The branch works at half the resolution on the image
and on the organs' own features there; its logit is how much likelier tumour is than what it may grow in. A second channel of the
same label wins where that logit is high: a piece of tumour without such voxels is a false alarm more often than not (the gates).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from flare_trt.engine.model.bundle import open_bundle
from flare_trt.training.distil.network import NetworkConfig, SeparableUNet, network_from_onnx

#: nnU-Net's leaky ReLU, and into how many groups a norm parts its channels.
SLOPE, GROUPS = 0.01, 8
#: What the branch sees, in the organs' network's normalised values: -100 to 250 HU, 50 HU to the unit. A lesion differs from its
#: organ by 20 to 80 HU; where air is -7.5 and bone 1.5, that is next to nothing.
WINDOW, WINDOW_SCALE = (-1.28, 1.21), 2.8
#: What a tumour may grow in or out of: all but vessels, gallbladder and oesophagus. Where the organs' network is sure of one of
#: those, the branch has to be surer. The second is added to the logits of all others, so that none of them is the largest.
HOSTS, OUT_OF_REACH = (0, 1, 2, 3, 4, 7, 8, 11, 12, 13), -1e4
#: A share of a tile that is none.
LEAST_SHARE = 1e-5
#: The logit that the branch begins with: tumours are rare.
FIRST_BIAS = -3.0
#: The logit above which a voxel is surely tumour.
SURE = 3.5


@dataclass(frozen=True)
class TumourConfig:
    """The organs' network, features of the branch at a half, a quarter, an eighth and a sixteenth of the resolution, and of its
    last step at full resolution."""

    organs: NetworkConfig = field(default_factory=NetworkConfig)
    branch: tuple[int, ...] = (24, 64, 96, 128)
    hidden: int = 8


class TumourUNet(nn.Module):
    """(n, 1, z, y, x) normalised HU -> (n, organs + 2, z, y, x) logits, tumour and sure tumour last; sizes are multiples of 16."""

    def __init__(self, config: TumourConfig) -> None:
        super().__init__()
        width, first, stride = config.organs.features[1], config.organs.features[0], config.organs.strides_zyx[1]
        self.organs = SeparableUNet(config.organs).requires_grad_(False)
        self.branch = TumourBranch(width + 1, config.branch)
        half = config.branch[0]
        self.up = nn.ConvTranspose3d(half, config.hidden, stride, stride)
        self.edge = nn.Conv3d(first, config.hidden, 1, bias=False)
        self.out = nn.Conv3d(config.hidden, 1, 1)
        nn.init.constant_(self.out.bias, FIRST_BIAS)
        others = torch.full((1, config.organs.channels, 1), OUT_OF_REACH)
        others[:, list(HOSTS)] = 0
        self.not_hosts = nn.Buffer(others, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        half, first = self.organs.half_features(image)
        organs = self.organs.finish(half, first)
        tumour = self.tumour_logit(image, torch.cat((half, contrast_to_organs(image, organs)), 1), first)
        # rows of voxels: a backend that keeps channels last for its convolutions turns the organs once, in half precision
        rows, likelier = organs.flatten(2), tumour.flatten(2)
        host = (rows + self.not_hosts).amax(1, True)
        return torch.cat((rows, host + likelier, host + 2 * likelier - SURE), 1).unflatten(2, image.shape[2:])

    def tumour_logit(self, image: Tensor, half: Tensor, first: Tensor) -> Tensor:
        """How much likelier tumour is than its host (n, 1, z, y, x), of a part of an image and of its features.

        `half` are the organs' features and, last, the image's contrast to its organs.
        """
        hidden = self.up(self.branch(image, half)) + self.edge(first)
        logit: Tensor = self.out(nn.functional.leaky_relu(hidden, SLOPE))
        return logit


def contrast_to_organs(image: Tensor, organs: Tensor) -> Tensor:
    """How much brighter each second voxel of a tile is than its organ is on average (n, 1, z / 2, y / 2, x / 2).

    By it a dark lesion looks alike in every contrast phase. `organs` are the organs' logits: a voxel belongs to each by its share.
    """
    thin = (slice(None), slice(None), *3 * (slice(None, None, 2),))
    tissue, shares = image[thin].clamp(*WINDOW) * WINDOW_SCALE, torch.softmax(organs[thin], 1)
    contrast = torch.zeros_like(tissue)
    for label in HOSTS[1:]:
        share = shares[:, label : label + 1]
        mean = (share * tissue).mean((2, 3, 4), True) / (share.mean((2, 3, 4), True) + LEAST_SHARE)
        contrast = contrast + share * (tissue - mean)
    return contrast


class TumourBranch(nn.Module):
    """A U-Net of plain convolutions on the image at half resolution, and on the organs' features and the contrast to them there.

    Its norms go over groups of channels of one crop: statistics of batches are the suspect of a slow start (LOG.md).
    """

    def __init__(self, organs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv3d(1, 16, 2, 2)
        self.first = _Block(nn.Conv3d(16 + organs, widths[0], 1), widths[0])
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList([_stage(before, width, 2, 2) for before, width in pairs])
        self.up = nn.ModuleList([nn.ConvTranspose3d(below, width, 2, 2) for width, below in pairs])
        self.join = nn.ModuleList([_stage(2 * width, width, 1, 1) for width, _ in pairs])

    def forward(self, image: Tensor, organs: Tensor) -> Tensor:
        soft_tissue = image.clamp(*WINDOW) * WINDOW_SCALE
        inner = self.first(torch.cat((self.stem(soft_tissue), organs), 1))
        skips = []
        for down in self.down:
            skips.append(inner)
            inner = down(inner)
        for level in reversed(range(len(self.down))):
            inner = self.join[level](torch.cat((self.up[level](inner), skips[level]), 1))
        return inner


def organs_of_bundle(path: Path, config: NetworkConfig) -> SeparableUNet:
    """The fine network of a bundle, with or without a branch for tumours. Raises InputError where it is another network."""
    with open_bundle(path) as bundle:
        return network_from_onnx(bundle.network_files(bundle.spec.fine)[0], config)


def _stage(before: int, width: int, stride: int, count: int) -> nn.Sequential:
    blocks = [_Block(nn.Conv3d(before, width, 3, stride, 1), width)]
    blocks += [_Block(nn.Conv3d(width, width, 3, 1, 1), width) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


class _Block(nn.Module):
    def __init__(self, convolution: nn.Conv3d, width: int) -> None:
        super().__init__()
        self.conv = convolution
        self.norm = nn.GroupNorm(GROUPS, width)

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.norm(self.conv(image)), SLOPE)
