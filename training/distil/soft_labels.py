"""Class probabilities kept as their three largest shares a voxel: 6 bytes instead of 4 a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

KEPT = 3


@dataclass(frozen=True)
class SoftLabels:
    """`classes` and `shares` are uint8 (KEPT, z, y, x), largest first; a share of 255 is a probability of 1."""

    classes: NDArray[np.uint8]
    shares: NDArray[np.uint8]

    def cut(self, place: tuple[slice, ...]) -> SoftLabels:
        """The labels of a box of voxels."""
        return SoftLabels(self.classes[(slice(None), *place)], self.shares[(slice(None), *place)])

    def dense(self, channels: int) -> Tensor:
        """float32 (channels, z, y, x); sums to 1 at each voxel (what was dropped goes to the largest class)."""
        shares = torch.from_numpy(self.shares.astype(np.float32)) / 255
        shares[0] += 1 - shares.sum(0)
        result = torch.zeros(channels, *shares.shape[1:])
        return result.scatter_add_(0, torch.from_numpy(self.classes.astype(np.int64)), shares)


def soft_labels(probabilities: NDArray[np.float32]) -> SoftLabels:
    """Keep the KEPT largest of (c, z, y, x) probabilities."""
    shape = (KEPT, *probabilities.shape[1:])
    classes, shares = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    for z in range(shape[1]):  # plane by plane: an index of the whole array would take 8 bytes a class
        order = np.argsort(-probabilities[:, z], axis=0, kind="stable")[:KEPT]
        classes[:, z] = order
        shares[:, z] = np.rint(np.take_along_axis(probabilities[:, z], order, 0) * 255)
    return SoftLabels(classes, shares)


def halved(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of each 2x2x2 voxels of (c, z, y, x); an odd last plane is a mean of fewer."""
    pooled = functional.avg_pool3d(torch.from_numpy(probabilities)[None], 2, ceil_mode=True, count_include_pad=False)
    result: NDArray[np.float32] = pooled[0].numpy()
    return result
