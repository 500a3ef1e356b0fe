"""What a reader measures about a voxel: how much darker or brighter than its organ it is, at several sizes, and how mottled.

A network of convolutions that began with the image alone had not found these in ten thousand steps (LOG.md). They take no weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flare_trt.training.tumours.recipe import HOSTS, TUMOUR

#: What a tumour may grow in or out of (FLARE labels): all organs but vessels, gallbladder and oesophagus.
GROUNDS = tuple(sorted(label for host in HOSTS for label in host.labels))
#: Liver; and whose brightness tells the contrast phase: liver, right kidney, spleen, aorta.
LIVER, PHASE = 1, (1, 2, 3, 5)
#: The organs whose brightness is measured.
MEASURED = tuple(sorted({*GROUNDS, *PHASE}))
#: Boxes over which means are taken, in voxels of half the resolution (5 x 3.2 x 3.2 mm in the default model).
BOXES = ((1, 3, 3), (3, 5, 5), (5, 7, 7), (7, 13, 13), (11, 21, 21))
#: Soft tissue in the organs' network's normalised values (-200 to 290 HU), and the units of it that are 50 HU.
WINDOW, PER_50_HU = (-2.0, 1.5), 2.8
#: Above this normalised value the body begins.
BODY = -2.5
#: How far a voxel may be from its organ's mean and still count in it, units of 50 HU: wide first, then narrow, so that lesions and
#: vessels do not draw the mean.
SPREADS = (1.0, 0.5)
#: Contrasts of 200 HU and more are one.
MOST_CONTRAST = 4.0
#: Channels at full and at half the resolution.
FINE_MEASURES, MEASURES = 2, 7 + 4 * len(BOXES) + 2 * len(PHASE) + TUMOUR


@dataclass(frozen=True)
class Levels:
    """Of each tile and each organ of MEASURED (n, organs, 1, 1, 1): its mean in units of 50 HU, and its share of the tile."""

    mean: Tensor
    share: Tensor

    def of(self, label: int) -> tuple[Tensor, Tensor]:
        """Mean and share of one organ, (n, 1, 1, 1, 1)."""
        place = MEASURED.index(label)
        return self.mean[:, place : place + 1], self.share[:, place : place + 1]


def shares_of(organs: Tensor) -> Tensor:
    """The organs' logits (n, organs, z, y, x) -> the share of each in the voxels of half the resolution."""
    return functional.avg_pool3d(torch.softmax(organs, 1), 2)


def levels_of(image: Tensor, shares: Tensor) -> Levels:
    """How bright the organs of whole tiles are: (n, 1, z, y, x) normalised HU and the organs' shares at half the resolution."""
    tissue, means, parts = functional.avg_pool3d(_tissue(image), 2), list[Tensor](), list[Tensor]()
    for label in MEASURED:
        own = shares[:, label : label + 1]
        part = _over_tile(own)
        mean = _over_tile(own * tissue) / (part + 1e-5)
        for spread in SPREADS:
            like = own * own * torch.exp(-0.5 * ((tissue - mean) / spread) ** 2)
            mean = _over_tile(like * tissue) / (_over_tile(like) + 1e-6)
        means.append(mean)
        parts.append(part)
    return Levels(torch.cat(means, 1), torch.cat(parts, 1))


def measures(image: Tensor, shares: Tensor, levels: Levels) -> tuple[Tensor, Tensor]:
    """What the branch is shown of tiles, or of crops of them with the tiles' levels.

    (n, 1, z, y, x) normalised HU and the organs' shares (n, organs, z / 2, y / 2, x / 2) -> (n, FINE_MEASURES, z, y, x) and
    (n, MEASURES, z / 2, y / 2, x / 2).
    """
    fine = _tissue(image)
    tissue, body = functional.avg_pool3d(fine, 2), functional.avg_pool3d((image > BODY).to(image.dtype), 2)
    share, mean = (sum(parts[1:], parts[0]) for parts in zip(*_grounds(shares, levels), strict=True))
    near, wide_mean = _mean_over(share, BOXES[-1]), _mean_over(mean, BOXES[-1])
    contrast = _limited(tissue - wide_mean / (near + 0.02)) * (near / (near + 0.02))
    to_liver = _to_liver(tissue, levels)
    found = [tissue, body, contrast, to_liver, share * tissue - mean, share, near]
    together = torch.cat((tissue, contrast, contrast**2, to_liver), 1)
    for box in BOXES:
        level, of_contrast, square, of_liver = _mean_over(together, box).split(1, 1)
        found += [level, of_contrast, (square - of_contrast**2).clamp(min=0).add(1e-4).sqrt(), of_liver]
    for label in PHASE:
        value, part = levels.of(label)
        found += [(value * (part / (part + 1e-3))).expand_as(tissue), (part / (part + 2e-3)).expand_as(tissue)]
    return torch.cat((fine, _to_liver(fine, levels)), 1), torch.cat([*found, shares], 1)


def _grounds(shares: Tensor, levels: Levels) -> list[tuple[Tensor, Tensor]]:
    """The share of each organ that may hold a tumour, and its mean times that."""
    return [(shares[:, label : label + 1], shares[:, label : label + 1] * levels.of(label)[0]) for label in GROUNDS]


def _to_liver(tissue: Tensor, levels: Levels) -> Tensor:
    """The contrast to the liver, 0 where the tile shows none."""
    mean, part = levels.of(LIVER)
    return _limited((tissue - mean) * (part / (part + 2e-3)))


def _tissue(image: Tensor) -> Tensor:
    return image.clamp(*WINDOW) * PER_50_HU


def _limited(contrast: Tensor) -> Tensor:
    return contrast.clamp(-MOST_CONTRAST, MOST_CONTRAST)


def _over_tile(values: Tensor) -> Tensor:
    return values.mean((2, 3, 4), True)


def _mean_over(values: Tensor, box: tuple[int, int, int]) -> Tensor:
    """The mean over a box about each voxel, as far as it lies in the tile, axis by axis. No box is wider than the tile.

    As products of matrices: pooling with a stride of 1 took a third of the branch's time.
    """
    sizes = (int(size) for size in values.shape[2:])  # an export counts in tensors
    over_z, over_y, over_x = (
        _means(size, min(wanted, (size - 1) // 2 * 2 + 1), values) for size, wanted in zip(sizes, box, strict=True)
    )
    values = over_y @ (values @ over_x.T)
    return values if box[0] == 1 else (over_z @ values.flatten(3)).unflatten(3, values.shape[3:])


def _means(size: int, box: int, like: Tensor) -> Tensor:
    """(size, size): row i takes the mean of what lies at most half a box (odd) from i."""
    places = np.arange(size)
    near = abs(places[:, None] - places) <= box // 2
    return torch.from_numpy(near / near.sum(1, keepdims=True)).to(like)
