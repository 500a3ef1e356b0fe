"""A patch in work: HU, class probabilities, and how far each voxel's label is trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.distil.warp import Vector
from flare_trt.training.tumours.filters import Floats, gaussian

#: Trust in a voxel's label: ignored, right unless it is an undrawn tumour, right.
IGNORED, PARTIAL, FULL = 0, 1, 2


@dataclass
class Scene:
    """`hu` (z, y, x) and `shares` (15, z, y, x) are float32, `trust` is uint8 (z, y, x). All are changed in place.

    `lesions` numbers the voxels of what was planted, 1 for the first; where two overlap, the later one has them.
    """

    hu: Floats
    shares: Floats
    trust: NDArray[np.uint8]
    spacing_mm: Vector

    def __post_init__(self) -> None:
        self.labels: NDArray[np.uint8] = self.shares.argmax(0).astype(np.uint8)
        self.lesions: NDArray[np.uint8] = np.zeros(self.hu.shape, np.uint8)
        self.smooth: Floats = smoothed(self.hu, 1.8, self.spacing_mm)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (z, y, x)."""
        z, y, x = self.hu.shape
        return z, y, x

    def of(self, labels: tuple[int, ...]) -> NDArray[np.bool_]:
        """Where the most likely class is one of some."""
        return np.isin(self.labels, labels)


def lesion_boxes(lesions: NDArray[np.uint8], margin: int) -> list[tuple[int, tuple[slice, slice, slice]]]:
    """The number of each planted lesion that shows, and its box of voxels with a margin of so many."""
    found = []
    for number in np.flatnonzero(np.bincount(lesions.ravel())[1:]) + 1:
        where = lesions == number
        ends = (np.flatnonzero(where.any(axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1)))
        z, y, x = (slice(max(0, int(first) - margin), int(last) + 1 + margin) for first, last in ends)
        found.append((int(number), (z, y, x)))
    return found


def smoothed(hu: Floats, sigma_mm: float, spacing_mm: Vector) -> Floats:
    """HU without the scan's noise."""
    return gaussian(hu, [sigma_mm / mm for mm in spacing_mm], truncate=2.5)
