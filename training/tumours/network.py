"""The organs' network as it stands, and beside it what learns one thing more: where a tumour is.

The organs' weights never change, so neither do the organs outside tumours. A classifier looks at each voxel by itself, at half the
resolution: at measures of it and its surroundings and at the organs' own features. A branch of convolutions on what the classifier
made of them corrects its answer. The sum is how much likelier tumour is than what it may grow in. A second channel of the same
label wins where that logit is high: a piece of tumour without such voxels is a false alarm more often than not (the gates).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from flare_trt.engine.model.bundle import open_bundle
from flare_trt.training.distil.network import NetworkConfig, SeparableUNet, network_from_onnx
from flare_trt.training.tumours.measures import GROUNDS, measures

#: nnU-Net's leaky ReLU, that of the classifier, and into how many groups a norm parts its channels.
SLOPE, CLASSIFIER_SLOPE, GROUPS = 0.01, 0.05, 8
#: Measures: all, and how many of the first the branch sees beside the classifier's features.
MEASURES, SHOWN_MEASURES = 102, 9
#: What a tumour is weighed against: background and what it may grow in. Where the organs' network is sure of a vessel, the
#: gallbladder or the oesophagus, the branch has to be surer. The second is added to the logits of all others, so that none of them
#: is the largest.
HOSTS, OUT_OF_REACH = (0, *GROUNDS), -1e4
#: The logit that the classifier begins with: tumours are rare.
FIRST_BIAS = -3.0
#: The logit above which a voxel is surely tumour.
SURE = 2.5


@dataclass(frozen=True)
class TumourConfig:
    """The organs' network, the widths of the classifier's two layers, and the branch's features at a half, a quarter, an eighth
    and a sixteenth of the resolution."""

    organs: NetworkConfig = field(default_factory=NetworkConfig)
    classifier: tuple[int, int] = (128, 24)
    branch: tuple[int, ...] = (16, 48, 96, 128)


class TumourUNet(nn.Module):
    """(n, 1, z, y, x) normalised HU -> (n, organs + 2, z, y, x) logits, tumour and sure tumour last; sizes are multiples of 16."""

    def __init__(self, config: TumourConfig) -> None:
        super().__init__()
        self.organs = SeparableUNet(config.organs).requires_grad_(False)
        self.classifier = VoxelClassifier(config.organs, config.classifier).requires_grad_(False)
        self.branch = TumourBranch(1 + config.classifier[1] + SHOWN_MEASURES, config.branch)
        others = torch.full((1, config.organs.channels, 1), OUT_OF_REACH)
        others[:, list(HOSTS)] = 0
        self.not_hosts = nn.Buffer(others, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        organs, seen = self.seen(image)
        # rows of voxels: a backend that keeps channels last for its convolutions turns the organs once, in half precision
        rows, likelier = organs.flatten(2), twice_as_fine(self.tumour_logit(seen)).flatten(2)
        host = (rows + self.not_hosts).amax(1, True)
        return torch.cat((rows, host + likelier, host + 2 * likelier - SURE), 1).unflatten(2, image.shape[2:])

    def seen(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The organs' logits, and what the branch sees, at half the resolution: the classifier's logit and features, measures."""
        organs, levels = self.read(image)
        logit, hidden = self.classifier(levels)
        return organs, torch.cat((logit, hidden, levels[0][:, :SHOWN_MEASURES]), 1)

    def read(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The organs' logits, and what the classifier reads at a half, a quarter and an eighth of the resolution."""
        features, first = self.organs.decoded(image)
        organs = self.organs.finish(features[-1], first)
        return organs, [torch.cat((measures(image, organs), features[-1]), 1), *features[-2:0:-1]]

    def tumour_logit(self, seen: Tensor) -> Tensor:
        """How much likelier tumour is than its host (n, 1, z / 2, y / 2, x / 2), of a part of what is seen."""
        logit: Tensor = seen[:, :1] + self.branch(seen)
        return logit


class VoxelClassifier(nn.Module):
    """Looks at one voxel of half the resolution, with the organs' features there and of the coarser voxels that it lies in."""

    def __init__(self, organs: NetworkConfig, widths: tuple[int, int]) -> None:
        super().__init__()
        half, *coarser = organs.features[1:-1]
        wide, narrow = widths
        self.inputs = nn.ModuleList(
            [nn.Conv3d(MEASURES + half, wide, 1), *(nn.Conv3d(size, wide, 1, bias=False) for size in coarser)]
        )
        self.hidden = nn.Conv3d(wide, narrow, 1)
        self.out = nn.Conv3d(narrow, 1, 1)
        nn.init.constant_(self.out.bias, FIRST_BIAS)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Features at a half, a quarter, an eighth of the resolution -> the logit and the last hidden features, at a half."""
        mixed, *coarser = (layer(level) for layer, level in zip(self.inputs, features, strict=True))
        for level, coarse in enumerate(coarser, start=1):
            mixed = mixed + nn.functional.interpolate(coarse, scale_factor=2**level, mode="nearest")
        hidden = nn.functional.leaky_relu(self.hidden(nn.functional.leaky_relu(mixed, CLASSIFIER_SLOPE)), CLASSIFIER_SLOPE)
        return self.out(hidden), hidden


class TumourBranch(nn.Module):
    """A U-Net of plain convolutions on what is seen at half the resolution; what it adds to the classifier's logit is 0 at first.

    Its norms go over groups of channels of one crop: statistics of batches are the suspect of a slow start (LOG.md).
    """

    def __init__(self, seen: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.first = _stage(seen, widths[0], 1, 1)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList([_stage(before, width, 2, 2) for before, width in pairs])
        self.up = nn.ModuleList([nn.ConvTranspose3d(below, width, 2, 2) for width, below in pairs])
        self.join = nn.ModuleList([_stage(2 * width, width, 1, 1) for width, _ in pairs])
        self.out = nn.Conv3d(widths[0], 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, seen: Tensor) -> Tensor:
        inner = self.first(seen)
        skips = []
        for down in self.down:
            skips.append(inner)
            inner = down(inner)
        for level in reversed(range(len(self.down))):
            inner = self.join[level](torch.cat((self.up[level](inner), skips[level]), 1))
        more: Tensor = self.out(inner)
        return more


def twice_as_fine(values: Tensor) -> Tensor:
    """Values at twice the resolution, linear in between."""
    return nn.functional.interpolate(values, scale_factor=2, mode="trilinear", align_corners=False)


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
