"""Connected pieces of each label of a map, and which label each piece has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pieces:
    """`index` (z, y, x) numbers the pieces from 1, 0 is background; `voxels[i]` and `label[i]` are of piece i."""

    index: NDArray[np.int64]
    voxels: NDArray[np.int64]
    label: NDArray[np.int64]


def find_pieces(labels: NDArray[np.uint8]) -> Pieces:
    """26-connected pieces of each label of a uint8 (z, y, x) map."""
    import cc3d

    index = cc3d.connected_components(labels, connectivity=26)
    flat = index.ravel()
    voxels = np.bincount(flat)
    label = np.zeros(len(voxels), np.int64)
    numbers, places = np.unique(flat, return_index=True)
    label[numbers] = labels.ravel()[places]
    return Pieces(index, voxels, label)
