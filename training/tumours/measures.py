"""What a reader measures about a voxel: how much darker or brighter than its organ it is, at several sizes, and how mottled.

A network of convolutions that began with the image alone had not found these in ten thousand steps; with them, a classifier of
single voxels finds most dark lesions of the liver after seconds (LOG.md). All at half the resolution, without weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from flare_trt.training.tumours.recipe import HOSTS

#: What a tumour may grow in or out of (FLARE labels): all organs but vessels, gallbladder and oesophagus.
GROUNDS = tuple(sorted(label for host in HOSTS for label in host.labels))
#: Liver; and whose brightness tells the contrast phase: liver, right kidney, spleen, aorta.
LIVER, PHASE = 1, (1, 2, 3, 5)
#: Boxes over which means are taken, in voxels of half the resolution (5 x 3.2 x 3.2 mm in the default model).
BOXES = ((1, 3, 3), (3, 5, 5), (5, 7, 7), (7, 13, 13), (11, 21, 21))
#: Boxes over which the organs' shares are taken.
SURROUNDINGS = ((3, 7, 7), (9, 17, 17))
#: Soft tissue in the organs' network's normalised values (-200 to 290 HU), and the units of it that are 50 HU.
WINDOW, PER_50_HU = (-2.0, 1.5), 2.8
#: Above this normalised value the body begins.
BODY = -2.5
#: How far a voxel may be from its organ's mean and still count in it, units of 50 HU: wide first, then narrow, so that lesions and
#: vessels do not draw the mean.
SPREADS = (1.0, 0.5)
#: A contrast of 20 HU is half dark or half bright; contrasts of 200 HU and more are one.
MARKED, STEEPNESS, MOST_CONTRAST = 0.4, 8.0, 4.0


@dataclass(frozen=True)
class _Ground:
    """Of a tile (n, 1, z, y, x): soft tissue in units of 50 HU, and what it is compared with.

    `mean` is the mean of the organ of each voxel times its share `share`; `phase` are numbers of the whole tile.
    """

    tissue: Tensor
    mean: Tensor
    share: Tensor
    to_liver: Tensor
    phase: list[Tensor]


def measures(image: Tensor, organs: Tensor) -> Tensor:
    """(n, 1, z, y, x) normalised HU and the organs' logits (n, organs, z, y, x) -> (n, m, z / 2, y / 2, x / 2), m measures."""
    shares = functional.avg_pool3d(torch.softmax(organs, 1), 2)
    body = functional.avg_pool3d((image > BODY).to(image.dtype), 2)
    ground = _ground(functional.avg_pool3d(image.clamp(*WINDOW) * PER_50_HU, 2), shares)
    shares_about = [_mean_over(ground.share, box) for box in BOXES]
    wide_mean, near = _mean_over(ground.mean, BOXES[-1]), shares_about[-1]
    contrast = (ground.tissue - wide_mean / (near + 0.02)).clamp(-MOST_CONTRAST, MOST_CONTRAST) * (near / (near + 0.02))
    of_organ = ground.share * ground.tissue - ground.mean
    levels = [_mean_over(contrast, box) for box in BOXES]
    dark, bright = (torch.sigmoid((sign * levels[0] - MARKED) * STEEPNESS) for sign in (-1, 1))
    found = [ground.tissue, body, contrast, ground.to_liver, of_organ, ground.share, near, dark, bright]
    in_liver, of_tile = shares[:, LIVER : LIVER + 1], [*ground.phase]
    for number, (box, level, share) in enumerate(zip(BOXES, levels, shares_about, strict=True)):
        tissue, square, own, of_dark, of_bright, to_liver = (
            _mean_over(value, box) for value in (ground.tissue, contrast**2, of_organ, dark, bright, ground.to_liver)
        )
        deviation = (square - level**2).clamp(min=0).add(1e-4).sqrt()
        found += [tissue, level, deviation, own / (share + 0.05), share, to_liver]
        if number:
            found += [of_dark, of_bright, dark * of_dark]
        else:
            of_tile.append(_over_tile(deviation * in_liver) / (_over_tile(in_liver) + 1e-4))  # noise
    found += [value.expand_as(body) for value in of_tile]
    return torch.cat([*found, shares, *(_mean_over(shares, box) for box in SURROUNDINGS)], 1)


def _ground(tissue: Tensor, shares: Tensor) -> _Ground:
    """The mean of each organ, by the voxels that look like most of it."""
    means, grounds, phase, to_liver = list[Tensor](), list[Tensor](), list[Tensor](), tissue
    for label in sorted({*GROUNDS, *PHASE}):
        own = shares[:, label : label + 1]
        here = _over_tile(own)
        level = _over_tile(own * tissue) / (here + 1e-5)
        for spread in SPREADS:
            like = own * own * torch.exp(-0.5 * ((tissue - level) / spread) ** 2)
            level = _over_tile(like * tissue) / (_over_tile(like) + 1e-6)
        if label in GROUNDS:
            means.append(own * level)
            grounds.append(own)
        if label in PHASE:
            phase += [level * (here / (here + 1e-3)), here / (here + 2e-3)]
        if label == LIVER:
            to_liver = ((tissue - level) * (here / (here + 2e-3))).clamp(-MOST_CONTRAST, MOST_CONTRAST)
    mean, share = (sum(parts[1:], parts[0]) for parts in (means, grounds))  # zeros to begin with would be stored in the ONNX file
    return _Ground(tissue, mean, share, to_liver, phase)


def _over_tile(values: Tensor) -> Tensor:
    return values.mean((2, 3, 4), True)


def _mean_over(values: Tensor, box: tuple[int, int, int]) -> Tensor:
    """The mean over a box about each voxel, as far as it lies in the tile, axis by axis. No box is wider than the tile."""
    for axis, wanted in enumerate(box):
        size = min(wanted, (values.shape[2 + axis] - 1) // 2 * 2 + 1)
        if size > 1:
            sizes, edges = [1, 1, 1], [0, 0, 0]
            sizes[axis], edges[axis] = size, size // 2
            values = functional.avg_pool3d(values, sizes, 1, edges, count_include_pad=False)
    return values
