"""The organs' network as it stands, and beside it what learns one thing more: where a tumour is.

The organs' weights never change, so neither do the organs outside tumours. A U-Net of plain convolutions at half the resolution
looks at the image and at measures of it (measures.py), and says how much likelier tumour is than what it may grow in. A second
channel of the same label wins where that is high: a piece of tumour without such voxels is a false alarm more often than not (the
gates).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from flare_trt.engine.model.bundle import open_bundle
from flare_trt.training.distil.network import NetworkConfig, SeparableUNet, network_from_onnx
from flare_trt.training.tumours.measures import FINE_MEASURES, GROUNDS, MEASURES, Levels, levels_of, measures, shares_of

#: nnU-Net's leaky ReLU, and into how many groups a norm parts its channels.
SLOPE, GROUPS = 0.01, 8
#: What a tumour is weighed against: background and what it may grow in. Where the organs' network is sure of a vessel, the
#: gallbladder or the oesophagus, the branch has to be surer.
HOSTS = (0, *GROUNDS)
#: The logit that the branch begins with: tumours are rare.
FIRST_BIAS = -3.0
#: The logit above which a voxel is surely tumour.
SURE = 2.5


@dataclass(frozen=True)
class TumourConfig:
    """The organs' network, and the branch's features at a half, a quarter, an eighth and a sixteenth of the resolution."""

    organs: NetworkConfig = field(default_factory=NetworkConfig)
    branch: tuple[int, ...] = (32, 64, 96, 128)


class TumourUNet(nn.Module):
    """(n, 1, z, y, x) normalised HU -> (n, organs + 2, z, y, x) logits, tumour and sure tumour last; sizes are multiples of 16."""

    def __init__(self, config: TumourConfig) -> None:
        super().__init__()
        self.organs = SeparableUNet(config.organs).requires_grad_(False)
        self.branch = TumourBranch(config.branch)

    def forward(self, image: Tensor) -> Tensor:
        organs = self.organs(image)
        shares = shares_of(organs)
        likelier = self.likelier(image, shares, levels_of(image, shares))
        host = organs[:, HOSTS].amax(1, True)
        channels = organs, host + likelier, host + 2 * likelier - SURE
        # rows of voxels: a backend that keeps channels last for its convolutions turns the organs once, in half precision
        return torch.cat([channel.flatten(2) for channel in channels], 1).unflatten(2, image.shape[2:])

    def likelier(self, image: Tensor, shares: Tensor, levels: Levels) -> Tensor:
        """How much likelier tumour is than its host (n, 1, z, y, x), in whole tiles."""
        logit: Tensor = self.branch(*measures(image, shares, levels))
        return logit


class TumourBranch(nn.Module):
    """A U-Net of plain convolutions behind a stem of stride 2. Its norms go over groups of channels of one crop: statistics of
    batches are the suspect of a slow start (LOG.md)."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv3d(FINE_MEASURES, widths[0], 2, 2)
        self.beside = nn.Conv3d(MEASURES, widths[0], 1)
        self.first = _Block(widths[0], widths[0], 1)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList([nn.Sequential(_Block(above, width, 2), _Block(width, width, 1)) for above, width in pairs])
        self.up = nn.ModuleList([nn.ConvTranspose3d(below, width, 2, 2) for width, below in pairs])
        self.join = nn.ModuleList([_Block(2 * width, width, 1) for width, _ in pairs])
        self.out = nn.Conv3d(widths[0], 8, 1)
        nn.init.constant_(self.out.bias, FIRST_BIAS)

    def forward(self, fine: Tensor, half: Tensor) -> Tensor:
        inner = self.first(nn.functional.leaky_relu(self.stem(fine) + self.beside(half), SLOPE))
        skips = []
        for down in self.down:
            skips.append(inner)
            inner = down(inner)
        for level in reversed(range(len(self.down))):
            inner = self.join[level](torch.cat((self.up[level](inner), skips[level]), 1))
        return doubled(self.out(inner))


def doubled(eights: Tensor) -> Tensor:
    """(n, 8, z, y, x) -> (n, 1, 2 z, 2 y, 2 x): a voxel's values become its 2^3 voxels, the last axis' neighbours first.

    Behind a 1^3 convolution, what a transposed one of stride 2 gives; one of one channel OpenVINO computes in float32 even in bf16.
    """
    n, _, z, y, x = eights.shape
    return eights.view(n, 2, 2, 2, z, y, x).permute(0, 4, 1, 5, 2, 6, 3).reshape(n, 1, 2 * z, 2 * y, 2 * x)


def organs_of_bundle(path: Path, config: NetworkConfig) -> SeparableUNet:
    """The fine network of a bundle, with or without a branch for tumours. Raises InputError where it is another network."""
    with open_bundle(path) as bundle:
        return network_from_onnx(bundle.network_files(bundle.spec.fine)[0], config)


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(before, width, 3, stride, 1)
        self.norm = nn.GroupNorm(GROUPS, width)

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.norm(self.conv(image)), SLOPE)
